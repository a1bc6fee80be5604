"""A page of the gallery, against the same images shown by ``st.image``.

    python -m tests.benchmarks.gallery [--rounds 5]

Two servers, two tabs of one browser, 24 images of 1200 x 900 pixels a page. A click on "Next page" is timed until
the browser has every picture of the new page; then pages are seen again, backwards. The peer is a bare page that has
nothing else to do (``st_image_page.py``); ours is the whole Images page with its store, filters and header.
Both send pictures of about 256 pixels. That both show the same files in the same order is checked at every click.
Processor time is that of the server alone.

Expected: on first sight both read, scale and encode 24 images once, ours in the threads that serve images and as
WebP, which costs more than JPEG: about equal. Seen again ours comes from files that were kept, or from the
browser, while ``st.image`` reads and encodes everything anew in every run of the page: several times faster.
Came on a machine busy with other work (two pages): first sight equal by the clock, but at 2.2 times the server's
processor time; seen again 4 times faster by the clock and at 3.5 times less processor time.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.images import content_hash
from mad_core.runs.store import Store
from mad_core.settings import Settings
from tests import reaper
from tests.benchmarks.pairs import Cost, Row, arguments, hand_over
from tests.benchmarks.web import DONE, ROOT, started

SIZE = 24
"""Images a page, the smallest number that the gallery offers."""
HEIGHT, WIDTH = 900, 1200
TALL = {"width": 1440, "height": 3200}
"""All pictures of a page are in view: ours loads those below only when they come into view."""
SHOWN = """pictures => pictures.map(p => [p.alt, p.complete && p.naturalWidth > 0])"""
PATIENCE = 120


@dataclass(frozen=True)
class Tab:
    """A browser tab with a gallery: where its pictures are, and which process serves them."""

    page: Page
    pictures: str
    server: psutil.Process

    def turn(self, label: str, names: Sequence[str]) -> Cost:
        """Go to the page that shows ``names``; the cost until all are there."""
        processor, clock = self._processor(), time.perf_counter()
        self.page.get_by_role("button", name=label, exact=True).first.click()
        self.wait(names)
        return Cost(time.perf_counter() - clock, self._processor() - processor)

    def wait(self, names: Sequence[str]) -> None:
        """Until exactly these files are shown, in this order.

        Raises
        ------
        SystemExit
            If that takes too long; the sentence says what is shown instead.
        """
        end = time.perf_counter() + PATIENCE
        while True:
            found = self.page.locator(self.pictures).evaluate_all(SHOWN)
            if [alt.partition(",")[0] for alt, _ in found] == list(names) and all(there for _, there in found):
                self.page.wait_for_selector(DONE)
                return
            if time.perf_counter() > end:
                raise SystemExit(f"After {PATIENCE} s the page shows {found[:3]} … instead of {names[:3]} …")
            time.sleep(0.02)

    def _processor(self) -> float:
        used = self.server.cpu_times()
        return used.user + used.system


def fill(home: Path, count: int) -> list[Path]:
    """A dataset of drawn images in a store of its own; their files in the gallery's order."""
    rng = np.random.default_rng(0)
    folder = home / "images"
    folder.mkdir()
    rows = []
    for number in range(count):
        name = f"{number:04d}.png"
        coarse = Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT))
        grain = rng.integers(-6, 7, (HEIGHT, WIDTH, 1))
        Image.fromarray((np.asarray(coarse) + grain).clip(0, 255).astype(np.uint8)).save(folder / name)
        rows.append(
            {
                "image_id": image_id("parts", name),
                "content_hash": content_hash(folder / name),
                "path": str(folder / name),
                "template_path": name,
                "split": "test",
                "subset": "parts",
                "level": 0.0,
                "defect": None,
                "mask_path": None,
                "width": WIDTH,
                "height": HEIGHT,
            }
        )
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    store.add_dataset(Imported(Dataset.from_rows("parts", rows, Card(), str(folder))))
    store.close()
    return [folder / row["template_path"] for row in rows]


def compare(theirs: Tab, ours: Tab, pages: Sequence[Sequence[str]]) -> list[Row]:
    def pairs(label: str, wanted: Sequence[Sequence[str]]) -> tuple[list[Cost], list[Cost]]:
        both = [(theirs.turn(label, names), ours.turn(label, names)) for names in wanted]
        return [a for a, _ in both], [b for _, b in both]

    line: Callable[[str], str] = lambda when: f"a gallery page of {SIZE} images of {WIDTH} x {HEIGHT}, {when}"  # noqa: E731
    same = "same files, same order"
    first = Row(line("seen first"), "bare page of st.image", same, *pairs("Next page", pages[1:]))
    again = Row(line("seen again"), "bare page of st.image", same, *pairs("Previous page", pages[-2::-1]))
    return [first, again]


def main() -> None:
    reaper.guard()
    given = arguments(__doc__, rounds=5).parse_args()
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        home = Path(name)
        files = fill(home, SIZE * (given.rounds + 1))
        paths = [files[start : start + SIZE] for start in range(0, len(files), SIZE)]
        listed = home / "pages.json"
        listed.write_text(json.dumps([[str(path) for path in page] for page in paths]), encoding="utf-8")
        pages = [[path.name for path in page] for page in paths]
        peer = ROOT / "tests" / "benchmarks" / "st_image_page.py"
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        with (
            mock.patch.dict(os.environ, {"BENCH_PAGES": str(listed)}),
            started(peer, home) as (their_server, their_address, _),
            started(ROOT / "app.py", home) as (our_server, our_address, _),
        ):
            theirs = Tab(
                browser.new_page(viewport=TALL), "[data-testid='stImage'] img", psutil.Process(their_server.pid)
            )
            ours = Tab(browser.new_page(viewport=TALL), ".tile img", psutil.Process(our_server.pid))
            theirs.page.goto(their_address)
            ours.page.goto(f"{our_address}images?size={SIZE}")
            for tab in (theirs, ours):
                tab.wait(pages[0])
            found = compare(theirs, ours, pages)
        browser.close()
    hand_over(found, given.rows)


if __name__ == "__main__":
    main()
