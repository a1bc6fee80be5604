"""The same picture in training and test is found by pixels and by nearness; pictures that look alike are others."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mad_core.datasets.importing import import_dataset
from mad_core.datasets.near_copies import SIDE, near_copies
from mad_core.settings import Settings


def plate(number: int, size: tuple[int, int] = (160, 200)) -> np.ndarray:
    """A plate with bores at the same places as all others, a light of its own and the grain of its own photograph."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[: size[0], : size[1]]
    grey = 130 + 15 * rng.normal() * columns / size[1]
    for y, x in ((40, 40), (40, 160), (120, 40), (120, 160)):
        grey = np.where((rows - y) ** 2 + (columns - x) ** 2 < 200, 30, grey)
    fine, coarse = rng.normal(0, 4, size), np.kron(rng.normal(0, 4, (size[0] // 4, size[1] // 4)), np.ones((4, 4)))
    return np.clip(grey + fine + coarse, 0, 255).astype(np.uint8)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for number in range(24):
        folder = tmp_path / ("train/good" if number < 12 else f"test/level_{number % 2}")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(plate(number)).save(folder / f"{number:02d}.png")
    return tmp_path


COPIES: dict[str, tuple[str, str, Callable[[Image.Image], Image.Image]]] = {
    "identical pixels": ("z.bmp", "identical pixels", lambda image: image),
    "recompressed": ("z.jpg", "near copy", lambda image: image),
    "resized": ("z.png", "resized (100 x 80 and 200 x 160", lambda image: image.resize((100, 80))),
    "turned": ("z.png", "turned by 90°", lambda image: image.transpose(Image.Transpose.ROTATE_270)),
    "mirrored": ("z.jpg", "mirrored", lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "turned and resized": (
        "z.png",
        "turned by 180° and resized",
        lambda image: image.transpose(Image.Transpose.ROTATE_180).resize((150, 120)),
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_in_training_and_test_is_found_and_its_kind_is_said(parts: Path, settings: Settings, name: str) -> None:
    file, words, change = COPIES[name]
    with Image.open(parts / "train/good/03.png") as image:
        change(image).save(parts / "test/level_0" / file, quality=80)
    (problem,) = import_dataset(parts, settings).problems
    assert problem.kind == "train-test-leak" and words in problem.message
    assert {Path(problem.path).name, "03.png"} <= {file, "03.png", *problem.message.replace(" (", "/").split("/")}


def test_different_parts_that_look_alike_are_no_copies(parts: Path, settings: Settings) -> None:
    assert import_dataset(parts, settings).problems == ()


def test_copies_of_two_levels_contradict_each_other(parts: Path, settings: Settings) -> None:
    with Image.open(parts / "test/level_1/13.png") as image:
        image.save(parts / "test/level_0/z.jpg", quality=85)
    (problem,) = import_dataset(parts, settings).problems
    assert problem.kind == "conflicting-level" and "near copy" in problem.message


def test_pictures_that_show_nothing_are_not_compared() -> None:
    assert near_copies(np.full((5, SIDE, SIDE), 90, np.uint8)) == []


def test_few_pictures_are_compared_without_a_median() -> None:
    squares = np.stack([plate(number, (SIDE, SIDE)) for number in (1, 2, 1)])
    squares[2] = np.clip(squares[2].astype(int) + 3, 0, 255)
    assert [(copy.first, copy.second, copy.turn) for copy in near_copies(squares)] == [(0, 2, 0)]


def test_groups_in_several_splits_are_reported_and_drawn_groups_stay_together(parts: Path, settings: Settings) -> None:
    rows = [(p.relative_to(parts).as_posix(), p.stem, p) for p in sorted(parts.rglob("*.png"))]
    lines = [f"{path},{int(stem) % 2 if 'test' in path else 0},p{int(stem) // 6}" for path, stem, _ in rows]
    (parts / "labels.csv").write_text("\n".join(["path,level,patient", *lines]))
    table = import_dataset(parts / "labels.csv", settings).dataset.table
    assert set(table["split"]) == {"train", "test"} and table.groupby("group")["split"].nunique().max() == 1
    told = [f"{line},{('train', 'test')[at % 2]}" for at, line in enumerate(lines[:12])]
    (parts / "labels.csv").write_text("\n".join(["path,level,patient,split", *told]))
    problems = import_dataset(parts / "labels.csv", settings).problems
    assert {p.kind for p in problems} >= {"group-leak"}
    assert any("'p2' has images in several splits: 2 in train" in p.message for p in problems)


def wafer(number: int) -> np.ndarray:
    """A wafer of one ingot: all share its crystals, each has a photograph's grain and a scratch of its own."""
    ingot, own = np.random.default_rng(99), np.random.default_rng(number)
    crystals = np.kron(ingot.normal(0, 14, (16, 16)), np.ones((8, 8))) + np.kron(
        ingot.normal(0, 6, (64, 64)), np.ones((2, 2))
    )
    grey = 130 + crystals + own.normal(0, 2, (SIDE, SIDE))
    row, column = own.integers(20, 90, 2)
    grey[row : row + 14, column : column + 2] -= 60
    return np.clip(grey, 0, 255).astype(np.uint8)


def test_wafers_of_one_ingot_are_no_copies_of_each_other() -> None:
    wafers = np.stack([wafer(number) for number in range(6)])
    copy = np.clip(wafers[2] + np.random.default_rng(7).normal(0, 1, wafers[2].shape), 0, 255).astype(np.uint8)
    assert near_copies(wafers) == []
    assert [(c.first, c.second) for c in near_copies(np.concatenate([wafers, copy[None]]))] == [(2, 6)]


def cell(number: int) -> np.ndarray:
    """A cell of one wafer: all share its crystals and most of their grain, each has dark lines of its own."""
    wafer, own = np.random.default_rng(5), np.random.default_rng(number)
    shared = np.kron(wafer.normal(0, 18, (32, 32)), np.ones((4, 4))) + wafer.normal(0, 6, (SIDE, SIDE))
    grey = 130 + shared + own.normal(0, 1.5, (SIDE, SIDE)) + np.kron(own.normal(0, 3, (16, 16)), np.ones((8, 8)))
    return np.clip(grey, 0, 255).astype(np.uint8)


def test_cells_whose_details_agree_but_for_some_greys_are_no_copies() -> None:
    cells = np.stack([cell(number) for number in range(5)])
    assert near_copies(cells) == []
    copy = np.clip(cells[2].astype(int) + 2, 0, 255).astype(np.uint8)
    assert [(c.first, c.second) for c in near_copies(np.concatenate([cells, copy[None]]))] == [(2, 5)]


def test_how_many_are_compared_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    squares = np.stack([plate(number % 20, (SIDE, SIDE)) for number in range(26)])
    squares[20:23] = np.clip(squares[20:23].astype(int) + 2, 0, 255)
    squares[23], squares[24] = np.rot90(squares[3]), squares[4][:, ::-1]
    found = near_copies(squares)
    assert {(c.first, c.second) for c in found} == {(0, 20), (1, 21), (2, 22), (3, 23), (4, 24), (5, 25)}
    monkeypatch.setattr("mad_core.datasets.near_copies._ROWS", 7)
    monkeypatch.setattr("mad_core.datasets.near_copies._AT_ONCE", 1)
    assert near_copies(squares) == found
