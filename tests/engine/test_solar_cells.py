"""The photographs that a package brings: laid out once, called by what their label is, and offered or explained."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import mad_core as mad
from mad_core.cli.main import app
from mad_core.datasets import solar_cells
from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError, UnavailableError
from mad_core.settings import Settings


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the same layout with few small cells, found before the real one."""
    data, rng, lines = tmp_path / "site" / "elpv_dataset" / "data", np.random.default_rng(0), []
    (data / "images").mkdir(parents=True)
    (data.parent / "__init__.py").write_text("raise ImportError('it is not to be imported')")
    for number in range(48):
        name = f"images/cell{number:04d}.png"
        Image.fromarray(rng.integers(0, 255, (30, 30), np.uint8)).save(data / name)
        certainty = 0.0 if number < 24 else (number % 3 + 1) / 3
        lines.append(f"{name}  {certainty}   {'mono' if number % 2 else 'poly'}")
    (data / "labels.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    monkeypatch.delitem(sys.modules, "elpv_dataset", raising=False)
    return data


def test_the_cells_become_two_subsets_of_ordered_levels(package: Path) -> None:
    settings = Settings.from_environment()
    imported = import_dataset("solar-cells", settings)
    table = imported.dataset.table
    assert not imported.problems and set(table["subset"]) == {"mono", "poly"} and len(table) == 48
    assert Counter(table["level"]) == {0: 24, 1: 8, 2: 8, 3: 8}
    trained = {Path(path).name for path in table.loc[table["split"] == "train", "path"]}
    normals = sorted((package / "images").iterdir())[:24]
    assert trained == {path.name for path in normals if solar_cells.trains(path.read_bytes())} != set()
    again = import_dataset("solar-cells", settings)
    assert list(again.dataset.table["content_hash"]) == list(table["content_hash"])


def test_the_card_says_certainty_and_the_licence(package: Path) -> None:
    card = import_dataset("solar-cells", Settings.from_environment()).dataset.card
    assert "certainty" in card.description and "not its severity" in card.description
    assert "not for commercial use" in card.licence and "CC BY-NC-SA" in card.licence
    assert [meaning.name for meaning in card.subset("mono").levels.values()] == [
        "no defect",
        "possibly defective",
        "likely defective",
        "certainly defective",
    ]


def test_without_the_package_the_sentence_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(solar_cells, "installed", lambda: None)
    with pytest.raises(UnavailableError, match=r"pip install -r requirements-real\.txt"):
        solar_cells.make_solar_cells(tmp_path / "cells")
    monkeypatch.setenv("MAD_HOME", str(tmp_path))
    ended = CliRunner().invoke(app, ["demo", "--real"])
    assert ended.exit_code == 1


@pytest.mark.parametrize("line", ["images/cell0000.png 0.5", "images/none.png 1.0 mono", "images/cell0000.png 1.0 x"])
def test_a_table_that_cannot_be_read_is_a_sentence(line: str, package: Path, tmp_path: Path) -> None:
    (package / "labels.csv").write_text(line + "\n")
    with pytest.raises(InputError, match=r"Line 1 of elpv-dataset's labels.csv"):
        solar_cells.make_solar_cells(tmp_path / "cells")
    assert not (tmp_path / "cells").exists()


def test_the_command_line_makes_it(package: Path) -> None:
    answer = json.loads(CliRunner().invoke(app, ["demo", "--real", "--json"]).stdout)
    assert answer["images"] == 48 and Path(answer["path"]).name == "solar-cells"


def test_the_photographs_of_the_package_go_through_score_maps_audit_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = solar_cells.installed()
    if data is None:
        pytest.skip("elpv-dataset is not installed: pip install -r requirements-real.txt")
    lines = (data / "labels.csv").read_text().splitlines()[::16]  # 164 of the cells
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "labels.csv").write_text("\n".join(lines) + "\n")
    for line in lines:
        (tmp_path / "data" / line.split()[0]).symlink_to(data / line.split()[0])
    monkeypatch.setattr(solar_cells, "installed", lambda: tmp_path / "data")
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))

    run = mad.score("solar-cells", subsets=["mono"], size=128)
    metrics = run.metrics(draws=50)
    assert len(run.table) > 40 and run.table["score"].notna().all()
    assert metrics["auroc"]["whole"] > 0.75 and metrics["c_index"] > 0.65
    shown = run.anomaly_map(run.table.sort_values("score")["image_id"].iloc[-1])
    assert shown is not None and shown.shape == (256, 256) and np.isfinite(shown).all()
    contested = mad.suspicious(runs=[run])
    assert set(run.table["image_id"]) <= set(contested["image_id"]) and contested["suspicion"].max() > 0
    learned = mad.learn(mad.load("solar-cells"), run, grades=4, subsets=["mono"])
    assert set(learned.table["image_id"]) < set(run.table["image_id"])
    page = mad.report([run, learned], tmp_path / "report.html", draws=50).read_text(encoding="utf-8")
    assert "not for commercial use" in page and "certainty of a defect" in page
