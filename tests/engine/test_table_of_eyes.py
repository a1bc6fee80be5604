"""The table of scorers on real pictures: what is kept, and when it is measured anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mad_core.scorers import catalog
from tools.eyes import figures

FOUND: dict[str, Any] = {
    "scorer": "filterbank",
    "set": "plate",
    "parts": {"demo": {"n": 130, "auroc": (0.98, [0.94, 1.0]), "order": (None, None)}},
    "seconds": 12.4,
    "megabytes": 700,
}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What was measured, in order; nothing is."""
    cells: list[tuple[str, str]] = []

    def answer(scorer: str, name: str, data: Path) -> dict[str, Any] | None:
        cells.append((scorer, name))
        return None if name == "tiles" else {**FOUND, "scorer": scorer, "set": name}

    monkeypatch.setattr(figures, "in_own_process", answer)
    return cells


def run(monkeypatch: pytest.MonkeyPatch, kept: Path, *more: str) -> None:
    monkeypatch.setattr("sys.argv", ["figures", "--data", "nowhere", "--kept", str(kept), *more])
    figures.main()


def test_a_stopped_table_goes_on_where_it_was(
    measured: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--scorers", "filterbank,padim:weights=random", "--sets", "plate,tiles")
    run(monkeypatch, tmp_path, *asked, "--minutes", "0")
    assert measured == [] and "0 of 4 measured" in capsys.readouterr().out
    run(monkeypatch, tmp_path, *asked)
    assert len(measured) == 4
    out = capsys.readouterr().out
    assert "| plate | 130 | `filterbank` | 0.980 [0.94, 1.00] | – | 12 | 700 |" in out and "2 of 4 measured" in out
    run(monkeypatch, tmp_path, *asked)
    assert measured[4:] == [("filterbank", "tiles"), ("padim:weights=random", "tiles")]  # what failed is tried again
    assert len(list(tmp_path.glob("*.json"))) == 2 and all(json.loads(f.read_text()) for f in tmp_path.glob("*.json"))


def test_other_code_or_parameters_are_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = figures.kept_file(tmp_path, "filterbank", "plate")
    assert first != figures.kept_file(tmp_path, "filterbank:size=64", "plate")
    assert first != figures.kept_file(tmp_path, "filterbank", "fundus")
    monkeypatch.setattr(catalog.ScorerInfo, "code", property(lambda self: "other"))
    assert first != figures.kept_file(tmp_path, "filterbank", "plate")


def test_every_scorer_that_runs_offline_by_itself_is_asked() -> None:
    asked = figures.offline()
    assert {"filterbank", "subspace", "patchcore", "mh-patchcore", "knn", "skip-ganomaly"} <= set(asked)
    assert not {"endpoint", "hybrid", "graded"} & set(asked)


def test_the_page_has_the_place_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert figures.OPEN in figures.PAGE.read_text() and figures.CLOSE in figures.PAGE.read_text()
    page = tmp_path / "scorers.md"
    page.write_text(f"before\n{figures.OPEN}\nold\n{figures.CLOSE}\nafter\n")
    monkeypatch.setattr(figures, "PAGE", page)
    figures._write(["new"])
    assert page.read_text() == f"before\n{figures.OPEN}\nnew\n{figures.CLOSE}\nafter\n"
    page.write_text("without")
    with pytest.raises(SystemExit):
        figures._write(["new"])
