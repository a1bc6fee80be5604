"""The package as a stranger installs it: a wheel in an empty environment, bare, far from the checkout."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from mad_core.settings import VERSION
from tests.used_home import used_home

ROOT = Path(__file__).resolve().parents[2]
MOST_MEGABYTES = 400
MOST_SECONDS = 1.0
COMPILED = 1.6
"""What a compiled source takes at most, in terms of the source: compiling all of them takes longer than the rest."""

USE = """
import sys, time
begun = time.process_time()  # other work on this machine does not count
import mad_core as mad
metrics = mad.evaluate([0, 0, 1, 2], [0.1, 0.3, 0.2, 0.9])
seconds = time.process_time() - begun
from mad_core.assets import app_script, asset
from mad_core import figures
assert asset("rubrics", "general.yaml").is_file() and asset("mllm", "config.json").is_file()
assert app_script().is_file() and (app_script().parent / ".streamlit" / "config.toml").is_file()
assert figures.raincloud([0, 1], [0.1, 0.2], ["a", "b"], level_names={}, theme="light").to_json()
assert not {"torch", "streamlit", "scipy", "pyarrow"} & set(sys.modules)
print(metrics["c_index"], seconds)
"""


FIRST_PAGE = """
import runpy, sys
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest
from mad_core.assets import app_script
script_runner._mpa_v1 = runpy.run_path  # as tests/app/conftest.py opens a page
app = AppTest.from_file(str(app_script()), default_timeout=120).run()
assert not app.exception, app.exception
print(app.title[0].value, *sys.modules["pages"].__path__)
"""


def run(*command: object, cwd: Path, status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "MAD_HOME": str(cwd / "home"), **environment}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=variables, capture_output=True, text=True)
    assert done.returncode == status, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy: a build leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if files.returncode:
        pytest.skip("this is no git checkout")
    for name in filter(None, files.stdout.split("\0")):
        if not name.startswith("tests/") and (ROOT / name).is_file():
            target = folder / "source" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, "."]
    done = subprocess.run([str(part) for part in pip], cwd=folder / "source", capture_output=True, text=True)
    if done.returncode and "setuptools" in done.stderr:
        pytest.skip("building needs setuptools 77 or later")
    assert done.returncode == 0, done.stderr[-3000:]
    return next(folder.glob("*.whl"))


def test_a_wheel_holds_app_pages_and_assets(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert wheel.name.startswith(f"mad_inspector-{VERSION}-")
    tracked = subprocess.run(["git", "ls-files", "pages", "assets"], cwd=ROOT, capture_output=True, text=True)
    wanted = [n for n in tracked.stdout.split() if not n.startswith("assets/screenshots") and (ROOT / n).is_file()]
    moved = {"pages": "mad_core/_app/pages", "assets": "mad_core/_assets"}
    placed = {re.sub(r"^\w+", lambda found: moved[found[0]], name) for name in wanted}
    assert placed <= names
    assert {"mad_core/_app/app.py", "mad_core/_app/.streamlit/config.toml", "mad_core/py.typed"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_the_whole_is_made_of_its_parts() -> None:
    """``requirements.txt`` and the extra ``all`` are the same; no range is written twice."""
    dynamic = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["dynamic"]
    extras = dynamic["optional-dependencies"]
    whole = set(re.findall(r"^-r (\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE))
    assert whole == {*extras["all"]["file"], *dynamic["dependencies"]["file"]}
    assert {file for name in ("audit", "parquet", "detectors", "mllm", "app") for file in extras[name]["file"]} == set(
        extras["all"]["file"]
    )
    parts = sorted((ROOT / "requirements").glob("*.txt"))
    lines = [line for part in parts for line in part.read_text(encoding="utf-8").splitlines() if line[:1].isalpha()]
    names = [re.split(r"[\[<>=;]", line)[0] for line in lines]
    assert len(names) == len(set(names))


@pytest.mark.slow
def test_the_app_opens_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    """Where the environment has Streamlit and the rest: far from the checkout, by the command."""
    pytest.importorskip("streamlit")
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    home = used_home(tmp_path / "home")
    environment = {**os.environ, "PYTHONPATH": str(site), "MAD_HOME": str(home)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mad_core", "app", "--no-demo", "--port", str(port), "--"]
    app = subprocess.Popen([*command, "--server.headless", "true"], cwd=tmp_path, env=environment)
    try:
        page = run(sys.executable, "-c", FIRST_PAGE, cwd=tmp_path, PYTHONPATH=str(site))
        assert page.stdout.splitlines()[-1] == f"Data {site / 'mad_core' / '_app' / 'pages'}"
        assert healthy(app, f"http://127.0.0.1:{port}/_stcore/health")
    finally:
        app.kill()
        app.wait()


def healthy(app: subprocess.Popen[bytes], address: str) -> bool:
    end = time.monotonic() + 120
    while time.monotonic() < end and app.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.network
def test_the_bare_package_is_small_and_enough(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    installing = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-compile",
        "--disable-pip-version-check",
        wheel,
    ]
    done = subprocess.run([str(part) for part in installing], capture_output=True, text=True)
    if done.returncode and re.search("No matching distribution|connection|resolution|timed out", done.stderr):
        pytest.skip("the package index does not answer")
    assert done.returncode == 0, done.stderr[-3000:]
    files = [path for path in (tmp_path / "venv").rglob("*") if path.is_file()]
    size = sum(path.lstat().st_size * (1 + COMPILED * (path.suffix == ".py")) for path in files)
    assert size < MOST_MEGABYTES * 1e6
    run(python, "-c", USE, cwd=tmp_path)
    index, seconds = run(python, "-c", USE, cwd=tmp_path).stdout.split()
    assert float(index) == 0.8 and float(seconds) < MOST_SECONDS
    for level in (0, 1, 2):
        (tmp_path / "parts" / f"level_{level}").mkdir(parents=True)
        Image.new("RGB", (32, 32), (level * 90, 40, 40)).save(tmp_path / "parts" / f"level_{level}" / "a.png")
    mad = tmp_path / "venv" / "bin" / "mad"
    assert '"2": 1' in run(mad, "check", "parts", "--json", cwd=tmp_path).stdout
    (tmp_path / "scores.csv").write_text("Path,Severity,Anomaly Score\na.png,0,0.1\nb.png,1,0.4\nc.png,2,0.9\n")
    assert "C-index" in run(mad, "evaluate", "scores.csv", cwd=tmp_path).stdout
    doctor = run(mad, "doctor", cwd=tmp_path).stdout
    assert "torch is not installed, so no scorer that ships can run" in doctor
    for command, extra in (("score parts", "detectors"), ("score parts --scorer mllm", "mllm"), ("app", "app")):
        said = run(mad, *command.split(), cwd=tmp_path, status=1).stderr
        assert f'pip install "mad-inspector[{extra}]"' in said and "Traceback" not in said
