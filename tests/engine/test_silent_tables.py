"""Loose pictures are normals only where no table says otherwise: above the folder, by ids, or by names that fit two."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError
from mad_core.settings import Settings

from .pictures import counts, draw, kinds, tree


def roles(imported: Imported, kind: str = "column") -> dict[str, str]:
    return {row.name: row.role for row in imported.plan.rows if row.kind == kind}


@pytest.mark.parametrize(("below", "prefix"), [("", ""), ("train", ""), ("", "images/train/"), ("train", "images/")])
def test_a_table_above_the_folder_named_is_said_and_its_images_are_no_normals(
    tmp_path: Path, settings: Settings, below: str, prefix: str
) -> None:
    tree(tmp_path, [f"images/train/{i}.png" for i in range(4)])
    lines = ["file_name,grade", *(f"{prefix}{'train/' if prefix == 'images/' else ''}{i}.png,{i}" for i in range(3))]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    (tmp_path / "prices.csv").write_text("city,price\nA,3\n")
    imported = import_dataset(tmp_path / "images" / below, settings)
    (said,) = [p for p in imported.problems if p.kind == "unmatched"]
    assert "3 images" in said.message and f"check {tmp_path}` reads both" in said.message
    assert counts(imported, "train") == ({} if below else {"0": 1})
    assert roles(imported, "table") == {f"../{'../' if below else ''}labels.csv": "left out"}


def test_what_a_plan_says_of_a_folder_counts_before_a_table_above(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, ["images/train/0.png", "images/train/1.png"])
    first = import_dataset(tmp_path / "images", settings)
    (tmp_path / "labels.csv").write_text("file_name,grade\n0.png,2\n")
    again = import_dataset(tmp_path / "images", settings, plan=first.plan)
    assert counts(again, "train") == {"0": 2}
    assert [problem.message[:35] for problem in again.problems] == ["No picture of 'images' is for test,"]


def test_a_column_of_ids_that_name_images_is_their_path(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"{split}/{i}.png" for split in ("train", "test") for i in range(4)])
    (tmp_path / "train.csv").write_text("id,age,diagnosis\n0,3,0\n1,2,0\n2,1,1\n3,0,2\n")
    imported = import_dataset(tmp_path, settings)
    assert roles(imported) == {"id": "path", "diagnosis": "level", "age": "left out"}
    (entry,) = imported.dataset.counts()
    assert (entry["train"], entry["test"], entry["unlabelled"]) == ({"0": 1}, {"0": 1, "1": 1, "2": 1}, 4)


def test_of_several_columns_that_may_name_images_none_is_taken(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"img/{i}.png" for i in range(3)])
    (tmp_path / "labels.csv").write_text("a,b,grade\n0,2,0\n1,1,1\n2,0,2\n")
    with pytest.raises(InputError, match="no column for the images' paths"):
        import_dataset(tmp_path / "labels.csv", settings)


def test_names_that_fit_two_images_leave_both_out(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"{split}/{i}.png" for split in ("train", "test") for i in range(2)])
    (tmp_path / "labels.csv").write_text("image,grade\n0,0\n1,2\n")
    imported = import_dataset(tmp_path, settings)
    assert len(imported.dataset.table) == 0
    said = [p.message for p in imported.problems if p.kind == "missing-file"]
    assert "may be test/0.png and train/0.png" in said[0]
    assert said[-1].startswith("2 of 2 rows fit several images here")


def test_a_table_whose_rows_name_nothing_is_said(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, ["train/a.png", "train/b.png"])
    (tmp_path / "labels.csv").write_text("image,grade\nx1,0\nx2,2\n")
    imported = import_dataset(tmp_path, settings)
    assert roles(imported, "table") == {"labels.csv": "left out"}
    said, untested = imported.problems
    assert "is for test" in untested.message
    assert said.kind == "missing-file" and said.message.startswith("2 of 2 rows name no file here.")


@pytest.mark.parametrize(
    ("folders", "train", "calibration", "test"),
    [
        (["train/0", "train/1", "val/0", "val/1"], {"0": 3}, {"1": 3}, {"0": 3, "1": 3}),
        (["train/0", "train/1"], {"0": 1}, {}, {"0": 2, "1": 3}),
        (["train/0", "val/0", "test/0", "test/1"], {"0": 3}, {"0": 3}, {"0": 3, "1": 3}),
    ],
)
def test_where_no_folder_is_for_test_validation_is_or_tests_are_drawn(
    tmp_path: Path, settings: Settings, folders: list[str], train: object, calibration: object, test: object
) -> None:
    (entry,) = import_dataset(
        tree(tmp_path, [f"{f}/{i}.png" for f in folders for i in range(3)]), settings
    ).dataset.counts()
    assert (entry["train"], entry.get("calibration", {}), entry["test"]) == (train, calibration, test)


def test_a_table_in_each_split_keeps_its_images_there(tmp_path: Path, settings: Settings) -> None:
    for split in ("train", "validation", "test"):
        tree(tmp_path, [f"{split}/{split}{i}.png" for i in range(2)])
        (tmp_path / split / "metadata.csv").write_text(f"file_name,label\n{split}0.png,0\n{split}1.png,1\n")
    (entry,) = import_dataset(tmp_path, settings).dataset.counts()
    assert (entry["train"], entry["calibration"], entry["test"]) == ({"0": 1}, {"0": 1, "1": 2}, {"0": 1, "1": 1})


def test_a_pointer_called_as_a_table_is_named(tmp_path: Path, settings: Settings) -> None:
    draw(tmp_path / "0.png")
    (tmp_path / "labels.csv").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n")
    with pytest.raises(InputError, match="is a Git LFS pointer, not the file itself: run git lfs pull"):
        import_dataset(tmp_path / "labels.csv", settings)


@pytest.mark.parametrize("folder", ["ann", "mask_images", "masks_png"])
def test_folders_of_masks_with_a_word_more(tmp_path: Path, settings: Settings, folder: str) -> None:
    tree(tmp_path, ["level_0/a.png", "level_1/b.png"])
    mask = draw(tmp_path / "masks/b.png")
    (tmp_path / folder).mkdir()
    mask.rename(tmp_path / folder / "b.png")
    (tmp_path / "masks").rmdir()
    imported = import_dataset(tmp_path, settings)
    assert imported.dataset.counts()[0]["masks"] == 1 and kinds(imported) == []


def test_what_a_tool_says_of_one_picture_is_no_table(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"level_{i}/{i}.png" for i in range(2)])
    shape = {"label": "crack", "points": [[1, 1], [6, 1], [6, 4]], "shape_type": "polygon"}
    said = {"version": "5", "flags": {}, "shapes": [shape], "imagePath": "1.png", "imageHeight": 6, "imageWidth": 8}
    (tmp_path / "level_1/1.json").write_text(json.dumps(said))
    imported = import_dataset(tmp_path, settings)
    assert imported.dataset.counts()[0]["masks"] == 1 and roles(imported, "table") == {}
