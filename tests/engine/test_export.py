"""Detectors taken away: a file of every exportable scorer answers as the app does, or is not there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F
from typer.testing import CliRunner

import mad_core as mad
from mad_core.cli import main
from mad_core.errors import InputError, UnavailableError, WorkError
from mad_core.export import formats
from mad_core.export.model import export_run
from mad_core.runs import execute
from mad_core.runs.store import Store
from mad_core.scorers import catalog
from mad_core.scorers.contract import Scorer
from mad_core.scorers.features.described import extent, extent_tensor
from mad_core.scorers.graph import PillowResize
from mad_core.scorers.reductions import REDUCTIONS, reduce_map, reduced
from mad_core.settings import Settings

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

FORMULA = {"backbone": "mad-formula-s", "size": 64}
SMALL: dict[str, dict[str, Any]] = {
    "filterbank": {"size": 64},
    "autoencoder": {"size": 64, "steps": 2, "reduction": "model"},
    "patchcore": {**FORMULA, "positions": "anywhere", "coreset": 0.2},
    "subspace": FORMULA,
    "knn": FORMULA,
    "padim": {**FORMULA, "features": 20},
}
"""Parameters with which an exportable scorer takes no time."""


def picture(rng: np.random.Generator, level: int, size: tuple[int, int] = (72, 100)) -> Image.Image:
    pixels = rng.integers(100, 150, (*size, 3))
    pixels[20:34, 20:40] += 30 * level
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of pictures, two of another size, and a store."""
    place, rng = tmp_path_factory.mktemp("export"), np.random.default_rng(0)
    for name, level, count in (
        ("train/good", 0, 8),
        ("test/good", 0, 6),
        ("test/level_1", 1, 5),
        ("test/level_3", 3, 5),
    ):
        (place / "parts" / name).mkdir(parents=True)
        for number in range(count):
            size = (60, 60) if number == 4 and "test" in name else (72, 100)
            picture(rng, level, size).save(place / "parts" / name / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAD_HOME", str(place / "home"))
        yield place


@pytest.fixture(scope="module")
def store(home: Path) -> Store:
    return Store(Settings.from_environment())


def scored(home: Path, scorer: str, **further: Any) -> mad.ScoredRun:
    return mad.score(home / "parts", scorer, device="cpu", **{**SMALL[scorer], **further})


LAST = "level_3/3.png"


def answered(folder: Path, home: Path, name: str = LAST) -> dict[str, np.ndarray]:
    """What the file in a folder says of one picture."""
    facts = json.loads((folder / "model.json").read_text())
    return formats.runner(folder / facts["file"], tuple(facts["outputs"]))(
        np.asarray(Image.open(home / "parts/test" / name))
    )


class Averages:
    """Stands for a network: mean colours on three grids."""

    digest = "none"

    def __init__(self, *given: Any) -> None:
        pass

    def layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self.traceable()(images.float() / 127.5 - 1)

    def traceable(self) -> Any:
        return lambda images: [F.avg_pool2d(images, step) for step in (8, 16, 32)]


def test_what_was_learned_from_grades_is_one_file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mad_core.scorers.graded.FrozenBackbone", Averages)
    monkeypatch.setattr(execute, "FOLDS", execute.FEW_FOLDS)  # as where a fit takes long
    run = mad.learn(home / "parts", scored(home, "autoencoder"), 2, size=64, device="cpu")
    (made,) = mad.export(run, "onnx", tmp_path / "out")
    assert made.facts["outputs"] == ["score", "map", "level", "probabilities", "levels", "unlike"]
    assert made.facts["calls"] == {"by": "graph", "levels": [0.0, 1.0, 3.0]}
    assert made.parity.passed and made.parity.called == made.parity.called_alike == made.parity.pictures == 10
    row = run.table[~run.table["path"].str.endswith("4.png")].iloc[-1]
    answer = answered(made.folder, home, row["path"])
    detail = Store(Settings.from_environment()).details(run.id, "parts")[row["image_id"]]
    assert answer["probabilities"].tolist() == pytest.approx(list(detail["probabilities"].values()), abs=1e-4)
    assert np.array([0.0, 1.0, 3.0])[answer["levels"] == 1].tolist() == detail["levels"]
    assert bool(answer["unlike"][0]) == detail["unlike"]


def test_the_catalogue_says_which_scorers_export() -> None:
    for info in catalog.scorers():
        if info.exports:
            assert info.create(info.defaults()).graph.__func__ is not Scorer.graph
            assert info.to_json()["exports"]
    assert {info.id for info in catalog.scorers() if info.exports} == {*SMALL, "graded"}


@pytest.mark.parametrize("scorer", [name for name in SMALL if name != "knn"])
def test_the_file_answers_as_the_app_does(scorer: str, home: Path, tmp_path: Path) -> None:
    run = scored(home, scorer)
    (made,) = mad.export(run, "onnx", tmp_path / "out")
    assert made.parity.passed and made.parity.pictures == 16 and made.parity.resized == 3
    assert made.parity.score_difference <= 1e-4 * made.parity.score_spread
    assert made.parity.called == made.parity.called_alike == 16
    assert made.parity.map_difference is not None
    facts = json.loads((made.folder / "model.json").read_text())
    assert (facts["input"]["height"], facts["input"]["width"]) == (72, 100)
    assert facts["scorer"]["id"] == scorer and facts["proof"]["passed"]
    assert sorted(p.name for p in made.folder.iterdir()) == ["example.py", "model.json", "model.onnx"]
    stored = run.table.set_index("path")["score"][LAST]
    assert float(answered(made.folder, home)["score"][0]) == pytest.approx(stored, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.tuples(*[st.integers(1, 90)] * 4), st.integers(0, 2**32 - 1))
def test_pictures_are_resized_as_pillow_does_to_the_bit(sides: tuple[int, int, int, int], seed: int) -> None:
    height, width, to_height, to_width = sides
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    there = np.asarray(Image.fromarray(pixels).resize((to_width, to_height), Image.Resampling.BILINEAR))
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    ours = PillowResize((height, width), (to_height, to_width))(image)
    np.testing.assert_array_equal(ours[0].permute(1, 2, 0).numpy(), there)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_reductions_of_tensors_are_those_of_arrays(reduction: str) -> None:
    anomaly_map = np.random.default_rng(1).random((13, 17), dtype=np.float32)
    ours = float(reduced(torch.from_numpy(anomaly_map), reduction))
    assert ours == pytest.approx(reduce_map(anomaly_map, reduction), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_regions_and_extent_of_tensors_are_those_of_arrays(seed: int, at: float, shape: tuple[int, int]) -> None:
    surface = np.random.default_rng(seed).random(shape).astype(np.float32)
    thresholds = np.quantile(surface, (at, 0.99)).astype(np.float32)
    ours = extent_tensor(torch.from_numpy(surface), torch.from_numpy(thresholds)).numpy()
    np.testing.assert_allclose(ours, extent(surface.astype(np.float64), thresholds), rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def by_command(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the command made of a run, and what it said."""
    out = tmp_path_factory.mktemp("by command") / "out"
    command = ["export", scored(home, "knn").id, "--out", str(out), "--size", "60x60"]
    return out, CliRunner().invoke(main.app, command, catch_exceptions=False).stdout


def test_the_command_says_what_was_proved(by_command: tuple[Path, str], home: Path) -> None:
    out, printed = by_command
    assert "16 pictures: scores differ by" in printed and "called levels equal in 16 of 16" in printed
    facts = json.loads((out / "model.json").read_text())
    assert facts["proof"]["resized"] == 13 and facts["input"]["width"] == 60 and facts["outputs"] == ["score"]
    assert len((out / "example.py").read_text().splitlines()) <= 40
    named = [str(home / f"parts/test/level_3/{number}.png") for number in (4, 0)]
    done = subprocess.run([sys.executable, str(out / "example.py"), *named], capture_output=True, text=True)
    name, score, *_, level = done.stdout.strip().split("\t")
    stored = mad.run(facts["run"]).table.set_index("path")["score"]["level_3/4.png"]
    assert name == named[0] and float(score) == pytest.approx(stored, rel=1e-4)
    calls = facts["calls"]
    assert level == f"level {calls['levels'][np.abs(stored - np.array(calls['medians'])).argmin()]}"
    assert done.returncode == 1 and f"{named[1]} is 100 x 72" in done.stderr


@pytest.fixture
def written(by_command: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are not traced again: the file is the one that the command wrote."""
    monkeypatch.setattr(formats, "_write_onnx", lambda *given: shutil.copyfile(by_command[0] / "model.onnx", given[-1]))


@pytest.mark.usefixtures("written")
def test_the_same_in_openvino_s_form(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (made,) = mad.export(scored(home, "knn"), "openvino", tmp_path / "out", size="60x60")
    assert made.parity.passed
    assert sorted(p.name for p in made.folder.iterdir()) == ["example.py", "model.bin", "model.json", "model.xml"]


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("there", [False, True])
def test_a_file_that_answers_differently_is_refused_and_nothing_is_left(
    there: bool, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = scored(home, "knn"), tmp_path / "out"
    if there:
        out.mkdir()
    runner = formats.runner

    def wrong(path: Path, outputs: tuple[str, ...]) -> formats.Runner:
        right = runner(path, outputs)
        return lambda pixels: {name: value * np.float32(1.01) for name, value in right(pixels).items()}

    monkeypatch.setattr(formats, "runner", wrong)
    done = CliRunner().invoke(main.app, ["export", run.id, "--size", "60x60", "--out", str(out)])
    assert isinstance(done.exception, WorkError) and "does not answer as the app does" in str(done.exception)
    assert [p.name for p in tmp_path.rglob("*")] == (["out"] if there else [])


def test_a_file_that_cannot_be_run_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_write_onnx", lambda *given: given[-1].write_bytes(b"no graph"))
    with pytest.raises(WorkError, match=r"model\.onnx cannot be run"):
        mad.export(scored(home, "knn"), "onnx", tmp_path / "out")
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_exported_is_a_sentence(
    home: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = scored(home, "knn"), tmp_path / "out"
    tiled = scored(home, "subspace", tiles="64")
    with pytest.raises(InputError, match=r"tiles of 64 pixels.*tiles=off"):
        export_run(store, tiled.id, "onnx", out)
    with monkeypatch.context() as patch:
        patch.setitem(catalog._CATALOG, "knn", replace(catalog.scorer("knn"), exports=False))
        with pytest.raises(InputError, match=r"'knn', which cannot be exported\. Those that can are .*subspace"):
            export_run(store, run.id, "onnx", out)
    with pytest.raises(InputError, match="onnx or openvino, not to 'coreml'"):
        export_run(store, run.id, "coreml", out)
    with pytest.raises(InputError, match="no size"):
        export_run(store, run.id, "onnx", out, size="large")
    with pytest.raises(InputError, match="no subset 'x'"):
        export_run(store, run.id, "onnx", out, subset="x")
    with pytest.raises(InputError, match="not an empty folder"):
        export_run(store, run.id, "onnx", home)
    monkeypatch.setattr("mad_core.export.formats.lacking", lambda module, extra: f"It needs {module}.")
    with pytest.raises(UnavailableError, match="It needs onnx"):
        export_run(store, run.id, "onnx", out)
    assert not out.exists()
