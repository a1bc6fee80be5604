"""Every kind of problem, each told once and none passed over."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from mad_core.datasets import image_headers
from mad_core.datasets.dataset import Imported
from mad_core.datasets.gathering import LISTED
from mad_core.datasets.importing import import_dataset
from mad_core.images import ImageError, ImageInfo, inspect
from mad_core.settings import Settings

from .pictures import counts, draw, industrial, kinds, tree


def told(imported: Imported, kind: str) -> list[str]:
    """Paths of the problems of a kind."""
    return [p.path for p in imported.problems if p.kind == kind]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_cut_off_images_are_left_out(tmp_path: Path, settings: Settings, suffix: str) -> None:
    root = tree(tmp_path / "d", ["level_0/a.png", "level_1/b.png"])
    whole = draw(root / f"level_1/cut{suffix}", size=(64, 64)).read_bytes()
    (root / f"level_1/cut{suffix}").write_bytes(whole[: len(whole) // 2])
    imported = import_dataset(root, settings)
    assert [(p.kind, p.path) for p in imported.problems] == [("unreadable", str(root / f"level_1/cut{suffix}"))]
    assert len(imported.dataset.table) == 2


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"<svg/>"])
def test_files_that_are_no_images_are_left_out(tmp_path: Path, settings: Settings, data: bytes) -> None:
    root = tree(tmp_path / "d", ["level_0/a.png", "level_1/b.png"])
    (root / "level_1/x.png").write_bytes(data)
    assert kinds(import_dataset(root, settings)) == ["unreadable"]


def test_a_jpeg_with_a_thumbnail_is_judged_by_its_own_end(tmp_path: Path) -> None:
    small, exif = io.BytesIO(), Image.Exif()
    Image.open(draw(tmp_path / "s.png")).save(small, "JPEG")
    exif[0x927C] = small.getvalue()
    Image.open(draw(tmp_path / "b.png", size=(64, 64))).save(tmp_path / "b.jpg", exif=exif)
    assert inspect(tmp_path / "b.jpg") == ImageInfo(64, 64, "JPEG")
    data = (tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(data[: data.rindex(b"\xff\xda") + 40])
    with pytest.raises(ImageError, match="cannot be decoded"):
        inspect(tmp_path / "b.jpg")


def test_too_large_images_are_left_out(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", ["level_0/a.png", "level_1/b.png"])
    Image.new("1", (20_000, 6_000)).save(root / "level_1/huge.png")
    imported = import_dataset(root, settings)
    assert [(p.kind, Path(p.path).name) for p in imported.problems] == [("too-large", "huge.png")]


def test_copies_under_one_label_stay_and_are_told(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "d")
    for name in ("x", "y"):
        draw(root / f"test/stain_level_1/{name}.png", "test/stain_level_1/000.png")
    imported = import_dataset(root, settings)
    assert told(imported, "duplicate") == [str(root / f"test/stain_level_1/{n}.png") for n in "xy"]
    assert kinds(imported) == ["duplicate", "duplicate"]
    assert counts(imported)["1"] == 4


def test_copies_under_two_levels(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "d")
    draw(root / "test/scratch,dent_level_2/x.png", "test/stain_level_1/000.png")
    imported = import_dataset(root, settings)
    assert kinds(imported) == ["conflicting-level"]
    assert "level 2, the other level 1" in imported.problems[0].message


def test_test_images_in_training(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "d")
    draw(root / "train/good/x.png", "test/good_level_0/000.png")
    assert kinds(import_dataset(root, settings)) == ["train-test-leak"]
    draw(root / "test/stain_level_1/x.png", "train/good/0.png")
    assert kinds(import_dataset(root, settings)) == ["conflicting-level", "train-test-leak", "train-test-leak"]


def test_copies_in_two_subsets_are_no_problem(tmp_path: Path, settings: Settings) -> None:
    industrial(tmp_path / "d/a")
    industrial(tmp_path / "d/b")
    assert import_dataset(tmp_path / "d", settings).problems == ()


def test_levels_without_a_usable_image(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "d")
    (root / "test/crack_level_3").mkdir()
    (root / "test/break_level_4").mkdir()
    (root / "test/break_level_4/x.png").write_text("no image")
    imported = import_dataset(root, settings)
    assert told(imported, "empty-level") == [str(root / f"test/{n}") for n in ("break_level_4", "crack_level_3")]
    assert kinds(imported) == ["empty-level", "empty-level", "unreadable"]


def test_an_image_named_twice_in_a_table(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, ["a.png", "b.png", "c.png"])
    (tmp_path / "t.csv").write_text("path,level\na.png,0\nb.png,1\nc.png,0\n./b.png,1\na.png,2\n")
    imported = import_dataset(tmp_path / "t.csv", settings)
    assert sorted((p.kind, p.path) for p in imported.problems if p.kind != "empty-level") == [
        ("conflicting-level", "a.png"),
        ("duplicate", "./b.png"),
    ]
    assert len(imported.dataset.table) == 3


def test_files_that_belong_nowhere(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "d")
    draw(root / "loose.png")
    draw(root / "ground_truth/stain_level_1/999_mask.png")
    (root / "test/stain_level_1/scan.dcm").write_bytes(b"DICM")
    (root / "test/stain_level_1/notes.txt").write_text("a companion is no problem")
    imported = import_dataset(root, settings)
    assert {Path(p).name for p in told(imported, "unmatched")} == {"999_mask.png"}
    assert imported.dataset.table.query("level.isna()")["template_path"].tolist() == ["loose.png"]
    assert [Path(p).name for p in told(imported, "unreadable")] == ["scan.dcm"]  # DICOM is read, and this is none
    assert len(imported.problems) == 3


def test_stray_files_do_not_flood(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "d")
    for i in range(500):
        (root / f"test/stain_level_1/{i:03d}.raw").write_bytes(b"x")
    imported = import_dataset(root, settings)
    assert len(imported.problems) == LISTED + 1
    assert imported.problems[-1].message.endswith(f"So it is with {500 - LISTED - 1} more files.")


def test_a_broken_mask_leaves_its_image_in(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "d")
    (root / "ground_truth/stain_level_1/000_mask.png").write_text("no image")
    imported = import_dataset(root, settings)
    assert kinds(imported) == ["unreadable"]
    assert imported.dataset.counts()[0]["masks"] == 1
    assert counts(imported)["1"] == 2


def test_broken_links_and_links_out(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "d")
    draw(tmp_path / "secret.png")
    (root / "test/stain_level_1/out.png").symlink_to(tmp_path / "secret.png")
    (root / "test/stain_level_1/gone.png").symlink_to(root / "gone.png")
    (root / "test/stain_level_1/loop").symlink_to(root)
    imported = import_dataset(root, settings)
    assert kinds(imported) == ["missing-file", "missing-file", "unmatched"]
    assert {Path(p).name for p in told(imported, "missing-file")} == {"out.png", "gone.png"}
    assert not any("secret" in p for p in imported.dataset.table["path"])


def test_links_of_a_hub_cache(tmp_path: Path, settings: Settings) -> None:
    """Files of a snapshot are links to blobs without a suffix, which lie beside the snapshots."""
    snapshot = tmp_path / "datasets--a--b/snapshots/abc"
    for level in range(3):
        for i in range(2):
            name = f"level_{level}/{i}.png"
            blob = draw(tmp_path / "drawn.png", name).rename(tmp_path / f"{level}{i}")
            (tmp_path / "datasets--a--b/blobs").mkdir(parents=True, exist_ok=True)
            blob.rename(tmp_path / f"datasets--a--b/blobs/{level}{i}")
            (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
            (snapshot / name).symlink_to(f"../../../blobs/{level}{i}")
    above = import_dataset(tmp_path / "datasets--a--b", settings)
    assert (counts(above, "train"), counts(above)) == ({"0": 1}, {"0": 1, "1": 2, "2": 2}) and kinds(above) == []
    alone = import_dataset(snapshot, settings)
    assert alone.dataset.table.empty
    (said,) = {p.message for p in alone.problems if p.kind == "missing-file"}
    assert "name the folder above with both" in said and "cp -rL" in said


def test_nothing_usable_is_an_empty_table(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "d/level_0").mkdir(parents=True)
    (tmp_path / "d/level_1").mkdir()
    imported = import_dataset(tmp_path / "d", settings)
    assert imported.dataset.table.empty
    assert kinds(imported) == ["empty-level", "empty-level"]


def test_each_file_is_opened_once(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    plain = image_headers._read
    monkeypatch.setattr(image_headers, "_read", lambda path, few: opened.append(path) or plain(path, few))
    names = [
        f"{f}/{i}.png"
        for f in ("level_0_train/a", "level_0_test/a", "level_0_train/b", "level_0_test/b")
        for i in (0, 1)
    ]
    root = tree(tmp_path / "multidog", [*names, "level_1/cats/0.png"])
    imported = import_dataset(root, settings)
    assert len(imported.dataset.table) == 10
    assert len(opened) == len(set(opened)) == 9
