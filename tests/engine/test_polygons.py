"""Outlines become masks: drawn as by hand, read from every tool's file, bounded."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from mad_core.datasets import polygons
from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.polygons import Outlines, filled, together
from mad_core.errors import InputError
from mad_core.images import read_mask
from mad_core.settings import Settings

from .pictures import draw, kinds

SIZE = (12, 8)
SHAPE = (8, 12)
SQUARE = [2, 1, 7, 1, 7, 5, 2, 5]
HOLE = [3, 2, 5, 2, 5, 4, 3, 4]


def block(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size[::-1], dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def inside(x: float, y: float, ring: list[tuple[float, float]]) -> bool:
    """Whether a point lies in a polygon, by the crossings of a ray to the left."""
    found = False
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x:
            found = not found
    return found


coordinates = st.one_of(st.floats(-4, 14, allow_nan=False), st.integers(-2, 12).map(float))
rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8)


@given(ring=rings)
@hypothesis_settings(max_examples=60, deadline=None)
def test_a_pixel_is_marked_where_its_centre_is_inside(ring: list[tuple[float, float]]) -> None:
    truth = [[inside(x + 0.5, y + 0.5, ring) for x in range(SIZE[0])] for y in range(SIZE[1])]
    drawn = filled(np.array(ring), SHAPE)
    assert np.array_equal(drawn, truth)
    assert np.array_equal(Outlines("a", ([ring],)).drawn(SIZE), truth)


def test_strips_make_the_same_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = np.array([(0.2, 0.1), (11.0, 3.3), (4.0, 7.9), (2.0, 3.0)])
    whole = filled(ring, SHAPE)
    monkeypatch.setattr(polygons, "_STRIP", 30)
    assert np.array_equal(filled(ring, SHAPE), whole)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([[SQUARE]], block(2, 1, 7, 5)),
        ([[SQUARE, HOLE]], block(2, 1, 7, 5) & ~block(3, 2, 5, 4)),
        ([[HOLE, SQUARE]], block(2, 1, 7, 5) & ~block(3, 2, 5, 4)),
        ([[SQUARE], [HOLE]], block(2, 1, 7, 5)),
        ([[SQUARE, SQUARE]], block(2, 1, 7, 5)),
        ([[SQUARE, [2, 1, 4, 1, 4, 3, 2, 3]]], block(2, 1, 7, 5)),
        ([[SQUARE, [8, 0, 14, 0, 14, 20, 8, 20]]], block(2, 1, 7, 5) | block(8, 0, 12, 8)),
        ([[[-9, -9, -1, -9, -1, -1]]], block(0, 0, 0, 0)),
        ([[[0, 0, 12, 0, 12, 8, 0, 8], [2, 2, 9, 2, 9, 7, 2, 7], [4, 3, 6, 3, 6, 5, 4, 5]]],
         ~block(2, 2, 9, 7) | block(4, 3, 6, 5)),
    ],
    ids=["one", "hole", "hole-first", "two-shapes", "twice", "at-the-edge", "parts", "outside", "island"],
)  # fmt: skip
def test_shapes_of_several_polygons(shapes: Any, expected: np.ndarray) -> None:
    assert np.array_equal(Outlines("a", tuple(shapes)).drawn(SIZE), expected)


def test_outlines_are_drawn_at_the_size_of_the_picture() -> None:
    assert np.array_equal(
        Outlines("a", ([SQUARE],), None, SIZE).drawn((24, 16)), np.kron(block(2, 1, 7, 5), np.ones((2, 2)))
    )
    share = [[x / 12, y / 8] for x, y in zip(SQUARE[::2], SQUARE[1::2], strict=True)]
    assert np.array_equal(Outlines("a", ([share],), (1.0, 1.0)).drawn(SIZE), block(2, 1, 7, 5))


# -- run lengths ----------------------------------------------------------------------------------


def counts_of(mask: np.ndarray) -> list[int]:
    """COCO's counts: down the columns, unmarked first."""
    flat, counts, value = mask.T.ravel(), [0], False
    for pixel in flat:
        if bool(pixel) != value:
            counts.append(0)
            value = not value
        counts[-1] += 1
    return counts


def packed(counts: list[int]) -> str:
    """As ``rleToString`` of COCO's own code writes them."""
    text = ""
    for at, count in enumerate(counts):
        x, more = count - (counts[at - 2] if at > 2 else 0), True
        while more:
            c = x & 31
            x >>= 5
            more = x != -1 if c & 16 else x != 0
            text += chr((c | 32 if more else c) + 48)
    return text


def brushed(mask: np.ndarray) -> list[int]:
    """As Label Studio's brush writes it: a header, then runs of 0 or 255 and single values, four channels a pixel."""
    values = np.repeat(mask.ravel().astype(np.uint8) * 255, 4)
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    at = 0
    while at < len(values):
        run = 1
        while at + run < len(values) and values[at + run] == values[at] and run < 16:
            run += 1
        if run > 4:
            bits += f"1{1:02b}{run - 1:04b}{values[at]:08b}"
        else:
            bits += f"0{0:02b}{run - 1:03b}" + f"{values[at]:08b}" * run
        at += run
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


@given(st.integers(0, 2**32 - 1))
@hypothesis_settings(max_examples=20, deadline=None)
def test_run_lengths_are_read(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.kron(rng.random((4, 6)) < rng.random(), np.ones((2, 2))).astype(bool)
    counts = counts_of(mask)
    size = [mask.shape[0], mask.shape[1]]
    for shape in ({"counts": counts, "size": size}, {"counts": packed(counts), "size": size}):
        assert np.array_equal(Outlines("a", (shape,)).drawn(SIZE), mask)
    assert np.array_equal(Outlines("a", ({"rle": brushed(mask), "size": size},)).drawn(SIZE), mask)


# -- files of tools -------------------------------------------------------------------------------

CRACK = block(2, 1, 7, 5)
POINTS = [[2, 1], [7, 1], [7, 5], [2, 5]]


def pictures(root: Path, folders: tuple[str, ...] = ("", "", "")) -> Path:
    """Three pictures: 0 and 1 are sound, 2 has a crack; in folders or beside each other."""
    for i, folder in enumerate(folders):
        draw(root / folder / f"{i}.png", f"p{i}", SIZE)
    return root


def only_mask(imported: Imported) -> np.ndarray:
    table = imported.dataset.table
    rows: list[dict[str, Any]] = table.to_dict("records")
    (row,) = [r for r in rows if isinstance(r["mask_path"], str)]
    assert Path(row["path"]).name == "2.png" and row["level"] > 0
    return read_mask(Path(row["mask_path"]))


def coco(path: Path, segmentation: Any, **more: Any) -> None:
    images = [{"id": i, "file_name": f"{i}.png", "width": 12, "height": 8, "severity": [0, 0, 2][i]} for i in range(3)]
    annotations = [{"id": 1, "image_id": 2, "category_id": 1, "segmentation": segmentation, **more}]
    data = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "crack"}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    "segmentation",
    [
        [SQUARE],
        SQUARE,
        {"counts": counts_of(CRACK), "size": [8, 12]},
        {"counts": packed(counts_of(CRACK)), "size": [8, 12]},
    ],
    ids=["polygons", "flat", "counts", "packed"],
)
def test_coco(tmp_path: Path, settings: Settings, segmentation: Any) -> None:
    coco(pictures(tmp_path / "set") / "instances.json", segmentation)
    imported = import_dataset(tmp_path / "set", settings)
    assert np.array_equal(only_mask(imported), CRACK) and not imported.problems
    (row,) = [r for r in imported.plan.rows if r.kind == "outlines"]
    assert (row.name, row.role, row.images) == (".", "masks", 1)
    mask = imported.dataset.table["mask_path"].dropna().iloc[0]
    assert Path(mask).is_relative_to(settings.masks)


def test_outlines_of_a_table_are_masks_where_folders_say_the_levels(tmp_path: Path, settings: Settings) -> None:
    root = pictures(tmp_path / "set", ("level_0", "level_0", "level_1"))
    coco(root / "annotations/instances.json", [SQUARE])
    assert np.array_equal(only_mask(import_dataset(root, settings)), CRACK)


def test_boxes_beside_outlines_are_said(tmp_path: Path, settings: Settings) -> None:
    root = pictures(tmp_path / "set")
    coco(root / "a.json", [SQUARE])
    data = json.loads((root / "a.json").read_text())
    data["annotations"].append({"id": 2, "image_id": 2, "category_id": 1, "bbox": [8, 1, 2, 2], "segmentation": []})
    (root / "a.json").write_text(json.dumps(data))
    imported = import_dataset(root, settings)
    assert np.array_equal(only_mask(imported), CRACK) and kinds(imported) == ["mask-partial"]


def test_boxes_alone_are_said_once_and_hide_no_outlines_beside(tmp_path: Path, settings: Settings) -> None:
    root = pictures(tmp_path / "set")
    coco(root / "a.json", [])
    data = json.loads((root / "a.json").read_text())
    data["annotations"] = [{"id": k, "image_id": k, "category_id": 1, "bbox": [8, 1, 2, 2]} for k in (1, 2)]
    (root / "a.json").write_text(json.dumps(data))
    imported = import_dataset(root, settings)
    (said,) = (p.message for p in imported.problems if p.kind == "mask-partial")
    assert "boxes, points or lines are drawn and no outlines" in said and "1 more picture" in said
    assert imported.dataset.table["mask_path"].isna().all()


def label_studio(root: Path, value: dict[str, Any], kind: str) -> None:
    part = {"type": kind, "original_width": 12, "original_height": 8, "value": {**value, kind: ["crack"]}}
    tasks = [
        {"data": {"image": f"{i}.png", "severity": [0, 0, 2][i]}, "annotations": [{"result": []}]} for i in range(3)
    ]
    choice = {"type": "choices", "value": {"choices": ["2"]}}
    for i in range(2):
        tasks[i]["annotations"] = [{"result": [{"type": "choices", "value": {"choices": ["0"]}}]}]
    tasks[2]["annotations"] = [{"result": [part, choice]}]
    (root / "export.json").write_text(json.dumps(tasks))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"points": [[100 * x / 12, 100 * y / 8] for x, y in POINTS]}, "polygonlabels"),
        ({"format": "rle", "rle": brushed(CRACK)}, "brushlabels"),
    ],
)
def test_label_studio(tmp_path: Path, settings: Settings, value: dict[str, Any], kind: str) -> None:
    label_studio(pictures(tmp_path / "set"), value, kind)
    imported = import_dataset(tmp_path / "set", settings)
    assert np.array_equal(only_mask(imported), CRACK) and not imported.problems


def test_label_studio_in_short(tmp_path: Path, settings: Settings) -> None:
    root = pictures(tmp_path / "set")
    points = [[100 * x / 12, 100 * y / 8] for x, y in POINTS]
    shape = {"points": points, "polygonlabels": ["crack"], "original_width": 12, "original_height": 8}
    tasks = [{"image": f"{i}.png", "severity": [0, 0, 2][i], "label": [shape] if i == 2 else []} for i in range(3)]
    (root / "export.json").write_text(json.dumps(tasks))
    assert np.array_equal(only_mask(import_dataset(root, settings)), CRACK)


def labelme(path: Path, shapes: list[dict[str, Any]]) -> None:
    data = {"version": "5.0", "shapes": shapes, "imagePath": "x", "imageWidth": 12, "imageHeight": 8}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data | {"imageData": base64.b64encode(b"0" * 100).decode()}))


@pytest.mark.parametrize("levels", [True, False])
def test_labelme(tmp_path: Path, settings: Settings, levels: bool) -> None:
    root = pictures(tmp_path / "set", ("level_0", "level_0", "level_1") if levels else ("", "", ""))
    for i in range(3):
        shape = {"label": "crack", "points": POINTS, "shape_type": "polygon"}
        labelme(root / (f"level_{i // 2}" if levels else "") / f"{i}.json", [shape] if i == 2 else [])
    (tmp_path / "p.yaml").write_text("crack: 1\nno annotation: 0\n")
    imported = import_dataset(root, settings, policy=tmp_path / "p.yaml")
    assert np.array_equal(only_mask(imported), CRACK) and not imported.problems


@pytest.mark.parametrize("where", ["beside", "labels"])
def test_yolo(tmp_path: Path, settings: Settings, where: str) -> None:
    root = pictures(tmp_path / "set", ("images/train", "images/test", "images/test"))
    line = " ".join(["0", *(f"{v:.6f}" for x, y in POINTS for v in (x / 12, y / 8))])
    for i, split in enumerate(("train", "test", "test")):
        text = root / ("images" if where == "beside" else "labels") / split / f"{i}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(f"{line}\n" if i == 2 else "")
    (root / "data.yaml").write_text("names: [crack]\n")
    (root / "severity.yaml").write_text("crack: 2\n")
    imported = import_dataset(root, settings)
    assert np.array_equal(only_mask(imported), CRACK) and not imported.problems


def test_outlines_on_a_turned_picture_and_on_one_of_another_shape(tmp_path: Path, settings: Settings) -> None:
    root = pictures(tmp_path / "set", ("level_0", "level_0", "level_1"))
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(root / "level_1/2.png") as image:
        image.load()
    image.save(root / "level_1/2.png", exif=exif)
    labelme(root / "level_1/2.json", [{"label": "crack", "points": POINTS}])
    imported = import_dataset(root, settings)
    assert np.array_equal(only_mask(imported), np.rot90(CRACK, -1)) and not imported.problems
    draw(root / "level_1/2.png", "wide", (24, 8))
    imported = import_dataset(root, settings)
    assert kinds(imported) == ["mask-size"]
    assert not imported.dataset.counts()[0]["masks"]


# -- hostile files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape",
    [
        [],
        [[1, 2, 3]],
        [[1, 2, 3, 4]],
        [["a", "b", "c", "d", "e", "f"]],
        [[[1, 2], [3]]],
        [[1e300, 0, 1, 1, 2, 2]],
        [[float("nan"), 0, 1, 1, 2, 2]],
        [None],
        "polygon",
        {"counts": [1, 2], "size": [8, 12]},
        {"counts": [-4, 100], "size": [8, 12]},
        {"counts": [10**30], "size": [8, 12]},
        {"counts": "\u00e9", "size": [8, 12]},
        {"counts": "ooooooooooooooooooooooo", "size": [8, 12]},
        {"counts": [96], "size": [10**6, 10**6]},
        {"counts": [96], "size": "big"},
        {"counts": None, "size": [8, 12]},
        {"rle": [0, 0, 1, 128], "size": [8, 12]},
        {"rle": [255] * 40, "size": [8, 12]},
        {"rle": "x", "size": [8, 12]},
        {"rle": [0], "size": [10_000, 10_000]},
    ],
)
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    with pytest.raises(InputError):
        Outlines("a", (shape,)).drawn(SIZE)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="more than is drawn"):
        Outlines("a", ([SQUARE],) * (polygons.MOST_SHAPES + 1)).drawn(SIZE)
    monkeypatch.setattr(polygons, "MOST_WORK", 1_000_000)
    with pytest.raises(InputError, match="more than is drawn"):
        Outlines("a", ([[0, 0, 900, 0, 900, 900]],) * 2).drawn((900, 900))
    monkeypatch.undo()
    zigzag = [[x, 500 * (x % 2)] for x in range(500)]
    monkeypatch.setattr(polygons, "_MOST_CROSSINGS", 10_000)
    with pytest.raises(InputError, match="crossings"):
        Outlines("a", ([zigzag],)).drawn((500, 500))


def test_a_damaged_outline_is_said_and_leaves_no_mask(tmp_path: Path, settings: Settings) -> None:
    coco(pictures(tmp_path / "set") / "instances.json", [[1, 2, "x", 4, 5, 6]])
    imported = import_dataset(tmp_path / "set", settings)
    assert kinds(imported) == ["mask-partial"] and len(imported.dataset.table) == 3
    assert not imported.dataset.counts()[0]["masks"]


def test_outlines_of_several_answers_count_together() -> None:
    one, other = Outlines("a", ([SQUARE],), None, SIZE, 1), Outlines("a", ([HOLE],), None, SIZE)
    assert together([one, other]) == Outlines("a", ([SQUARE], [HOLE]), None, SIZE, 1)
    assert together([one, Outlines("a", ([HOLE],), None, (5, 5))]).others == 2
