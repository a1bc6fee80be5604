"""What the backbone that ships sees, on real photographs and on the demo. Figures are those of its card."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

import mad_core as mad
from mad_core.scorers.features import weights
from tools.backbone.figures import halves

SHARED = Path(os.environ.get("MAD_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAD_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "find", lambda name, folder: None)


def auroc(table: pd.DataFrame) -> float:
    return mad.evaluate(table["level"], table["score"], draws=0)["auroc"]["whole"]


def test_patchcore_sees_defects_of_real_tiles_without_a_download() -> None:
    if not (SHARED / "magnetic_tile").is_dir():
        pytest.skip("the sample of magnetic tiles is not on this machine")
    tiles = mad.load(SHARED / "magnetic_tile")
    found = mad.score(tiles, "patchcore").table
    seen, held_out = (auroc(half) for half in halves(found))
    plain = mad.score(tiles, "filterbank").table
    assert auroc(found) >= 0.80 and min(seen, held_out) >= 0.74
    assert held_out > auroc(halves(plain)[1])


def test_patchcore_sees_the_defects_of_the_demo_fundus(with_demo, tmp_path: Path) -> None:
    with_demo(tmp_path, normals=24, a_level=10)
    found = mad.score("demo", "patchcore", subsets=["fundus"]).table
    assert auroc(found) > 0.98
