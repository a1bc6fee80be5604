"""Loose pictures of a training folder are normals only where nothing beside them says more, in whatever form."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.level_cells import levels_of
from mad_core.datasets.plan import ImportPlan, LevelsUnknownError, parse_plan
from mad_core.datasets.proposing import propose
from mad_core.errors import InputError
from mad_core.images import read_mask
from mad_core.settings import Settings

from .pictures import counts, kinds, tree

OUTLINE = '<polygon label="crack" points="1,1;6,1;6,4" occluded="0"/>'
SHAPE = {"label": "crack", "points": [[1, 1], [6, 1], [6, 4]], "shape_type": "polygon"}


@pytest.fixture
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home outside of the folders that are imported here."""
    return Settings.from_environment({"MAD_HOME": str(tmp_path_factory.mktemp("home"))})


def write(path: Path, text: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def voc(*names: str) -> str:
    objects = "".join(f"<object><name>{name}</name><bndbox><xmin>1</xmin></bndbox></object>" for name in names)
    return f"<annotation><filename>x.jpg</filename>{objects}</annotation>"


def labelme(*shapes: object) -> dict[str, object]:
    return {"version": "5", "flags": {}, "shapes": [*shapes], "imageHeight": 6, "imageWidth": 8}


def cvat(split: str, picture: Callable[[int], str]) -> str:
    images = "".join(
        f'<image id="{i}" name="{split}{i}.png" width="8" height="6">{picture(i)}</image>' for i in (0, 1, 2)
    )
    return f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{images}</annotations>'


def beside(root: Path, form: str) -> None:
    """Three loose pictures a split, of which the first shows nothing and the others a crack, in one of the forms."""
    for split in ("train", "test"):
        names = [f"{split}/{split}{i}" for i in range(3)]
        tree(root, [f"{name}.png" for name in names])
        match form:
            case "voc":
                for i, name in enumerate(names):
                    write(root / f"{name}.xml", voc("crack", "crack") if i else voc())
            case "labelme":
                for i, name in enumerate(names):
                    write(root / f"{name}.json", labelme(SHAPE) if i else labelme())
            case "cvat":
                write(root / split / "annotations.xml", cvat(split, lambda i: OUTLINE if i else ""))
            case "zeros and ones":
                lines = [f"{split}{i}.png, {int(i == 0)}, {int(i > 0)}" for i in range(3)]
                write(root / split / "_classes.csv", "\n".join(["filename, no annotation, crack", *lines]))


FORMS = ["voc", "labelme", "cvat", "zeros and ones"]


@pytest.mark.parametrize("form", FORMS)
def test_annotations_of_each_picture_say_what_it_shows(tmp_path: Path, settings: Settings, form: str) -> None:
    beside(tmp_path, form)
    with pytest.raises(LevelsUnknownError, match="severity level of crack: write a severity policy"):
        import_dataset(tmp_path, settings)
    write(tmp_path / "severity.yaml", "crack: 2\n")
    silent = import_dataset(tmp_path, settings)
    assert (counts(silent, "test"), silent.dataset.unlabelled()) == ({"2": 2}, 2)
    assert "train" not in silent.dataset.counts()[0] or not counts(silent, "train")
    write(tmp_path / "severity.yaml", "crack: 2\nno annotation: 0\n")
    imported = import_dataset(tmp_path, settings)
    assert (counts(imported, "train"), counts(imported, "calibration")) == ({"0": 1}, {"2": 2})
    assert counts(imported) == {"0": 1, "2": 2}
    drawn = 4 if form in ("labelme", "cvat") else 0
    assert imported.dataset.counts()[0]["masks"] == drawn and kinds(imported) == []
    again = import_dataset(tmp_path, settings, plan=parse_plan(imported.plan.to_yaml()))
    assert (again.dataset.version, again.problems) == (imported.dataset.version, imported.problems)


def test_a_sample_of_facts_beside_each_loose_picture_says_its_level(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"train/{i}.png" for i in range(3)])
    for i in range(3):
        write(tmp_path / f"train/{i}.json", {"severity": i})
    assert counts(import_dataset(tmp_path, settings)) == {"0": 1, "1": 1, "2": 1}
    left = ImportPlan().with_table("sidecars", role="left out")
    assert counts(import_dataset(tmp_path, settings, plan=left), "train") == {"0": 3}


def test_facts_that_say_no_level_change_nothing(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, ["train/0.png", "train/1.png", "test/good/2.png"])
    write(tmp_path / "train/0.json", {"exposure": 3})
    write(tmp_path / "camera.json", {"exposure": 3})
    assert counts(import_dataset(tmp_path, settings), "train") == {"0": 2}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("train.csv", "path,is_bad\n0.png,0\n1.png,1\n", "no column for the severity"),
        ("train.csv", "number,level\n7,0\n8,1\n", "no column for the images' paths"),
        ("labels.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n", "run git lfs pull"),
        ("annotations.xml", '<!DOCTYPE a [<!ENTITY b "x">]><annotations/>', "no XML that can be read"),
        ("annotations.xml", "<annotations><meta/></annotations>", "no list of images as CVAT"),
    ],
)
def test_a_table_that_is_not_used_keeps_pictures_from_being_normals(
    tmp_path: Path, settings: Settings, name: str, text: str, reason: str
) -> None:
    tree(tmp_path, ["train/0.png", "train/1.png", "test/good/2.png"])
    write(tmp_path / name, text)
    imported = import_dataset(tmp_path, settings)
    assert (imported.dataset.counts()[0]["train"], imported.dataset.unlabelled()) == ({}, 2)
    (said,) = [p for p in imported.problems if p.path == str(tmp_path / name)]
    assert "tested without a level" in said.message and reason in said.message
    told = ImportPlan().with_folder("train", level=0.0, split="train")
    assert counts(import_dataset(tmp_path, settings, plan=told), "train") == {"0": 2}
    left = ImportPlan().with_table(name, role="left out")
    assert counts(import_dataset(tmp_path, settings, plan=left), "train") == {"0": 2}


def test_columns_that_are_not_used_are_shown_and_may_be_chosen(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, ["0.png", "1.png", "2.png"])
    written = write(tmp_path / "t.csv", "file,age,how bad\n0.png,50,0\n1.png,51,0\n2.png,52,3\n")
    with pytest.raises(LevelsUnknownError, match="Say in the plan which of them it is") as asked:
        import_dataset(written, settings)
    rows = {row.name: row for row in asked.value.plan.rows if row.kind == "column"}
    assert {name: row.role for name, row in rows.items()} == {"file": "path", "age": "left out", "how bad": "left out"}
    plan = asked.value.plan.corrected(rows["how bad"], role="level", split="", subset="", level=None)
    imported = import_dataset(written, settings, plan=plan)
    assert sorted(imported.dataset.table["level"]) == [0, 0, 3]
    assert {r.name: r.role for r in imported.plan.rows if r.kind == "column"}["age"] == "left out"


def test_lists_of_names_and_labels_are_tables(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"{split}/{split}{i}.png" for split in ("train", "test") for i in range(3)])
    for split in ("train", "test"):
        write(tmp_path / f"{split}.txt", "".join(f"{split}/{split}{i}.png {i}\n" for i in range(3)))
    write(tmp_path / "classes.txt", "mild\nsevere\n")
    write(tmp_path / "val.txt", "train/train0.png\ntrain/train1.png\n")
    imported = import_dataset(tmp_path, settings)
    assert (counts(imported, "train"), counts(imported, "calibration")) == ({"0": 1}, {"1": 1, "2": 1})
    assert counts(imported) == {"0": 1, "1": 1, "2": 1}


def test_shapes_of_cvat(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"images/x{i}.png" for i in range(3)])
    grade = '<tag label="grade"><attribute name="severity">{}</attribute></tag>'
    outline = '<polygon label="dent" points="2.0,1.0;6.0,1.0;6.0,5.0;2.0,5.0"/>'
    write(tmp_path / "annotations.xml", cvat("x", lambda i: grade.format(i) + (outline if i == 2 else "")))
    imported = import_dataset(tmp_path, settings)
    table = imported.dataset.table.sort_values("level")
    assert table["level"].tolist() == [0, 1, 2] and kinds(imported) == []
    marked = read_mask(Path(table["mask_path"].iloc[2]))
    expected = np.zeros((6, 8), bool)
    expected[1:5, 2:6] = True
    assert np.array_equal(marked, expected)


def test_pascal_voc_in_folders_of_its_own(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"JPEGImages/{i}.jpg" for i in range(3)])
    for i in range(3):
        write(tmp_path / f"Annotations/{i}.xml", voc(*["mild", "severe"][:i]))
    write(tmp_path / "severity.yaml", "mild: 1\nmild,severe: 2\nno annotation: 0\n")
    assert sorted(import_dataset(tmp_path, settings).dataset.table["level"]) == [0, 1, 2]


def test_folders_of_images_below_a_split_hold_what_says_the_level(tmp_path: Path, settings: Settings) -> None:
    names = [f"{s}/images/{k}/{s}{k}.png" for s in ("train", "validation") for k in ("good", "pits", "level_3")]
    tree(tmp_path, names)
    first = import_dataset(tmp_path, settings)
    assert [p.path.endswith("images/pits") for p in first.problems if p.kind == "unknown-level"] == [True, True]
    write(tmp_path / "severity.yaml", "pits: 1\n")
    imported = import_dataset(tmp_path, settings)
    assert (counts(imported, "train"), counts(imported)) == ({"0": 1}, {"0": 1, "1": 1, "3": 1})


def table(root: Path, levels: list[str], head: str = "path,level") -> Path:
    tree(root, [f"{i}.png" for i in range(len(levels))])
    return write(root / "labels.csv", "\n".join([head, *(f"{i}.png,{level}" for i, level in enumerate(levels))]))


def questions(imported: Imported) -> list[str]:
    return [p.message for p in imported.problems if p.kind == "question" and "nobody knows the level" in p.message]


def test_a_level_far_above_the_others_is_asked_about(tmp_path: Path, settings: Settings) -> None:
    table(tmp_path, ["0", "0", "1", "4", "9", "99"])
    said = questions(import_dataset(tmp_path, settings))
    assert [sentence[:20] for sentence in said] == ["Level 9 of 1 images ", "Level 99 of 1 images"]
    write(tmp_path / "severity.yaml", "99: none\n9: left out\n")
    imported = import_dataset(tmp_path, settings)
    assert (imported.dataset.levels(tmp_path.name), imported.dataset.unlabelled(), questions(imported)) == (
        [0, 1, 4],
        1,
        [],
    )
    assert import_dataset(tmp_path, settings, plan=imported.plan).dataset.version == imported.dataset.version


@pytest.mark.parametrize("levels", [["0", "5", "9"], ["0", "3", "8"], ["9", "99"], ["0", "1", "7"]])
def test_other_levels_are_not_asked_about(tmp_path: Path, settings: Settings, levels: list[str]) -> None:
    table(tmp_path, levels)
    assert questions(import_dataset(tmp_path, settings)) == []


def test_a_policy_is_asked_of_plain_numbers_and_never_against_them(tmp_path: Path, settings: Settings) -> None:
    table(tmp_path, ["1,dent", "2,dent", "3,dent"], "path,level,defect")
    write(tmp_path / "severity.yaml", "1: 0\ndent: 7\n")
    assert import_dataset(tmp_path, settings).dataset.levels(tmp_path.name) == [0, 2, 3]


def test_folds_of_numbers_are_no_splits(tmp_path: Path, settings: Settings) -> None:
    table(tmp_path, ["0,0", "0,0", "1,1", "2,1"], "path,level,fold")
    imported = import_dataset(tmp_path, settings)
    assert (counts(imported, "train"), counts(imported)) == ({"0": 1}, {"0": 1, "1": 1, "2": 1})
    assert any("'fold' holds numbers, which are no splits" in row.note for row in imported.plan.rows)


@pytest.mark.parametrize("text", ["2-Jan", "02. Feb", "1-Dez"])
def test_a_date_that_a_spreadsheet_made_is_no_level(text: str) -> None:
    assert levels_of([text, "2 - moderate"]) == {text: None, "2 - moderate": None}


@pytest.mark.parametrize(
    ("words", "levels"),
    [
        (["keine", "leicht", "mittel", "schwer"], [0, 1, 2, 3]),
        (["正常", "轻微", "严重"], [0, 1, 2]),
        (["aucune", "légère", "sévère"], [0, 1, 2]),
        (["False", "True"], [0, 1]),
        (["IO", "NIO"], [0, 1]),
    ],
)
def test_orders_of_words_in_other_languages_are_proposed(words: list[str], levels: list[float]) -> None:
    assert propose(words) == dict(zip(words, levels, strict=True))


def test_what_a_folder_without_images_holds_is_named_with_what_to_do(tmp_path: Path, settings: Settings) -> None:
    for name, head in (("a.zip", b"PK\5\6" + b"\0" * 18), ("b.exr", b"\x76\x2f\x31\x01")):
        (tmp_path / name[0]).mkdir()
        (tmp_path / name[0] / name).write_bytes(head)
    with pytest.raises(InputError, match=r"a\.zip is a zip archive: unpack it, or name it itself"):
        import_dataset(tmp_path / "a", settings)
    with pytest.raises(InputError, match=r"b\.exr is an OpenEXR image: save it as TIFF"):
        import_dataset(tmp_path / "b", settings)
