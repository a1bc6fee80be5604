"""Scorers of installed packages: the example of the documentation, and packages that fail in every way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.plugins import ROOT, install_example, with_site, write_package


def command(environment: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mad_core", *words], cwd=ROOT, env=dict(environment), capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("data") / "tiles", np.random.default_rng(0)
    for name, level, count in (("train", 0, 4), ("level_0", 0, 3), ("level_2", 2, 3)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            grey = rng.normal(150, 3, (40, 60)) - 60 * (level > 0) * (np.arange(60) > 40)
            Image.fromarray(np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, 2)).save(
                folder / name / f"{i}.png"
            )
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_example(tmp_path_factory.mktemp("plugin"))


def test_the_example_is_known_scored_and_fitted_again_when_its_source_changes(
    site: Path, tiles: Path, tmp_path: Path
) -> None:
    environment = {**with_site(site), "MAD_HOME": str(tmp_path / "home")}
    listed = json.loads(command(environment, "scorers", "--json").stdout)
    entry = next(one for one in listed if one["id"] == "blurred-mean")
    assert entry["available"] and entry["family"] == "example" and entry["package"] == "mad-blurred-mean 0.1.0"
    assert entry["parameters"][0]["name"] == "radius" and listed[-1] == entry

    package = site / "mad_blurred_mean"
    text = (package / "__init__.py").read_text(encoding="utf-8")
    score = ["score", str(tiles), "--scorer", "blurred-mean", "--param", "radius=1", "--json", "--force"]

    def kept_fits() -> set[str]:
        done = command(environment, *score, "--out", str(tmp_path / "scores.csv"))
        assert done.returncode == 0, done.stderr
        return {folder.name for folder in (tmp_path / "home" / "fits").iterdir()}

    try:
        with_helper = text.replace(
            "import mad_core as mad", "import mad_core as mad\nfrom mad_blurred_mean.side import SIDE"
        )
        (package / "__init__.py").write_text(with_helper.replace("(128, 128)", "(SIDE, SIDE)"), encoding="utf-8")
        (package / "side.py").write_text("SIDE = 128\n")
        first = kept_fits()
        table = pd.read_csv(tmp_path / "scores.csv")
        assert table.groupby("Severity")["Anomaly Score"].mean().is_monotonic_increasing and len(table) == 6
        assert len(first) == 1 and kept_fits() == first
        (package / "side.py").write_text("SIDE = 64\n")
        assert kept_fits() > first
    finally:
        (package / "__init__.py").write_text(text, encoding="utf-8")
        (package / "side.py").unlink()


ELSEWHERE = """
from mad_core.scorers.catalog import build
from mad_core.testing import check_scorer
check_scorer("blurred-mean", radius=1)
scorer = build("mad_blurred_mean:blurred_mean", {"radius": 1.0})  # as an actor of a cluster does
print(type(scorer).__name__)
"""


def test_the_example_keeps_the_contract_and_is_built_by_its_name_alone(site: Path, tmp_path: Path) -> None:
    environment = {**with_site(site), "MAD_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "FunctionScorer"


BROKEN = {
    "absent_library": ("import no_such_library\n", "absent_library:mine", "No module named 'no_such_library'"),
    "raises": ("raise RuntimeError('not today')\n", "raises:mine", "RuntimeError: not today"),
    "leaves": ("import sys\nsys.exit('gone')\n", "leaves:mine", "SystemExit: gone"),
    "no_syntax": ("def (\n", "no_syntax:mine", "SyntaxError"),
    "no_name": ("", "no_name:mine", "has no attribute 'mine'"),
    "no_scorer": ("mine = 3\n", "no_scorer:mine", "neither a declaration"),
    "clash": (
        "import mad_core as mad\n@mad.scorer('patchcore', title='Mine')\ndef mine(normals): return len\n",
        "clash:mine",
        "There is a scorer 'patchcore' already (PatchCore)",
    ),
    "silent_clash": (
        "from mad_core.scorers.catalog import ScorerInfo\nmine = ScorerInfo('padim', 'Mine', entry='silent_clash:X')\n",
        "silent_clash:mine",
        "there is a scorer 'padim' already",
    ),
    "bad_default": (
        "import mad_core as mad\n@mad.scorer('bad', parameters=[mad.Parameter('n', 'int', 9, '', 0, 5)])\n"
        "def mine(normals, n): return len\n",
        "bad_default:mine",
        "'n' is 9, but must lie in [0, 5]",
    ),
    "half": (
        "import mad_core as mad\n@mad.scorer('half-made')\ndef mine(normals): return len\n"
        "raise ValueError('half way')\n",
        "half:mine",
        "ValueError: half way",
    ),
}
GOOD = """
from mad_core.scorers.catalog import ScorerInfo
mine = ScorerInfo("good", "Good", entry="good_model:Good", why_not=lambda parameters: "Needs a licence.")
quiet = ScorerInfo("quiet", "Quiet", entry="good_model:Quiet", family="of its own")
"""


def test_what_fails_is_named_and_hurts_nothing_else(tmp_path: Path) -> None:
    for name, (text, entry, _) in BROKEN.items():
        write_package(tmp_path / "site", name, text, entry)
    write_package(tmp_path / "site", "good", GOOD, "good")
    environment = {**with_site(tmp_path / "site"), "MAD_HOME": str(tmp_path / "home")}
    done = command(environment, "doctor", "--json")
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    report = json.loads(done.stdout)
    reasons = {plugin["name"]: plugin["why_not"] for plugin in report["plugins"]}
    for name, (_, _, sentence) in BROKEN.items():
        assert f"The scorers '{name}' of {name} 1.0 cannot be used: " in reasons[name]
        assert sentence in reasons[name] and reasons[name] in report["missing"]
    assert reasons["good"] is None
    ids = [entry["id"] for entry in report["scorers"]]
    assert {"patchcore", "padim", "quiet"} <= set(ids) and not {"half-made", "bad"} & set(ids)
    assert len(ids) == len(set(ids))
    text = command(environment, "doctor").stdout
    assert "ValueError: half way" in text and "from good 1.0: good, quiet" in text
    listed = command(environment, "scorers", "--json")
    assert len(json.loads(listed.stdout)) == len(ids) and "RuntimeError: not today" in listed.stderr


def test_a_folder_of_data_is_not_installed_and_what_a_package_prints_is_no_json(tmp_path: Path) -> None:
    """A command is started in a folder that somebody made to look like a package."""
    write_package(tmp_path / "data", "planted", "open('planted.txt', 'w').close()\n", "planted:mine")
    text, entry, _ = BROKEN["no_scorer"]
    write_package(tmp_path / "site", "no_scorer", f"print('hello')\n{text}", entry)
    done = subprocess.run(
        [sys.executable, "-m", "mad_core", "doctor", "--json"],
        cwd=tmp_path / "data",
        env={**with_site(tmp_path / "site"), "MAD_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert [plugin["name"] for plugin in json.loads(done.stdout)["plugins"]] == ["no_scorer"] and "hello" in done.stderr
    assert not (tmp_path / "data" / "planted.txt").exists()


PAGE = """
import json, runpy, sys
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash
from mad_core.datasets.dataset import Imported
from mad_core.runs.store import Store
from mad_core.settings import Settings
from tests.engine.conftest import make_dataset
store = Store(Settings.from_environment())
store.add_dataset(Imported(make_dataset()))
script_runner._mpa_v1 = runpy.run_path  # as tests/app/conftest.py opens a page
app = AppTest.from_file("app.py", default_timeout=60)
app.query_params["view"] = "New run"
app._page_hash = calc_hash("score")
app.run()
print(json.dumps({
    "warnings": [w.value for w in app.warning],
    "cards": [b.key for b in app.button if str(b.key).startswith("set_up_")],
    "errors": [str(e.value) for e in app.exception],
    "torch": "torch" in sys.modules,
}))
"""


def test_the_score_page_shows_the_example_names_what_fails_and_loads_no_torch(site: Path, tmp_path: Path) -> None:
    text, entry, sentence = BROKEN["raises"]
    write_package(tmp_path / "site", "raises", text, entry)
    environment = with_site(site)
    environment = {**environment, "PYTHONPATH": f"{environment['PYTHONPATH']}:{tmp_path / 'site'}"}
    done = subprocess.run(
        [sys.executable, "-c", PAGE],
        cwd=ROOT,
        env={**environment, "MAD_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["errors"] == [] and not seen["torch"]
    assert any(sentence in warning.replace("\\", "") for warning in seen["warnings"])
    assert seen["cards"][-1] == "set_up_blurred-mean" and "set_up_filterbank" in seen["cards"]
