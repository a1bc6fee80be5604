"""Figures as SVG and PNG: drawn by a Chromium browser of this machine, without a window and without the network."""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from mad_core.errors import UnavailableError, WorkError
from mad_core.machine.child_environment import of_program

KINDS = ("svg", "png")
WIDTH, HEIGHT, SCALE = 760, 400, 2
"""Of a picture in pixels, where a figure does not say; a PNG has ``SCALE`` times as many each way."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
NEEDS = (
    "Pictures of figures need a Chromium browser (Debian: apt-get install chromium), on the search path or named in "
    "CHROMIUM."
)
SECONDS = 300
_ARGUMENTS = (
    "--headless",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # large clouds of points are drawn with WebGL
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--virtual-time-budget=3600000",  # it leaves once all is drawn
    "--dump-dom",
)
_POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_SCRIPT = """
(async () => {
  const made = [];
  for (const figure of JSON.parse(document.getElementById('figures').textContent)) {
    const size = { width: figure.layout.width || WIDTH, height: figure.layout.height || HEIGHT };
    const svg = await Plotly.toImage(figure, { format: 'svg', ...size });
    made.push({ svg, png: await Plotly.toImage(figure, { format: 'png', scale: SCALE, ...size }) });
  }
  document.getElementById('made').textContent = JSON.stringify(made);
})();
"""


def find_browser() -> str | None:
    """The Chromium browser of this machine: the one in ``CHROMIUM``, else the first on the search path."""
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


def draw_figures(figures: Mapping[str, go.Figure]) -> dict[str, dict[str, bytes]]:
    """Each figure as ``svg`` and ``png``, all by one start of the browser.

    Parameters
    ----------
    figures : mapping of name to Figure

    Raises
    ------
    UnavailableError
        If there is no Chromium browser on this machine.
    WorkError
        If it draws nothing.
    """
    if not figures:
        return {}
    browser = find_browser()
    if browser is None:
        raise UnavailableError(NEEDS)
    with tempfile.TemporaryDirectory(prefix="mad-pictures-") as folder:
        page = Path(folder) / "figures.html"
        page.write_text(_page(figures), encoding="utf-8")
        drawn = _drawn(browser, page)
    made = [{kind: _content(address) for kind, address in one.items()} for one in drawn]
    return dict(zip(figures, made, strict=True))


def _page(figures: Mapping[str, go.Figure]) -> str:
    data = ",".join(str(figure.to_json()) for figure in figures.values()).replace("<", "\\u003c")
    sizes = {"WIDTH": WIDTH, "HEIGHT": HEIGHT, "SCALE": SCALE}
    script = re.sub(r"\b(WIDTH|HEIGHT|SCALE)\b", lambda name: str(sizes[name[0]]), _SCRIPT)
    return (
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<script>{get_plotlyjs()}</script><pre id="made"></pre>'
        f'<script type="application/json" id="figures">[{data}]</script><script>{script}</script>'
    )


def _drawn(browser: str, page: Path) -> list[dict[str, str]]:
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [browser, *_ARGUMENTS, *root, f"--user-data-dir={page.parent / 'profile'}", page.as_uri()]
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL, env=of_program())
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WorkError(f"The browser {browser} did not draw the figures: {type(error).__name__}.") from None
    made = re.search(r'<pre id="made">(.+?)</pre>', done.stdout.decode("utf-8", "replace"), re.DOTALL)
    if made is None:
        raise WorkError(f"The browser {browser} drew no figure (exit status {done.returncode}).")
    return json.loads(html.unescape(made[1]))


def _content(address: str) -> bytes:
    """What a ``data:`` address holds."""
    head, _, data = address.partition(",")
    return base64.b64decode(data) if head.endswith(";base64") else urllib.parse.unquote_to_bytes(data)
