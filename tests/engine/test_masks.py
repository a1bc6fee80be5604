"""Masks: how they are called, where they lie, what is marked, and what is said of those that cannot be right."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import import_dataset
from mad_core.images import ImageError, content_hash, read_mask
from mad_core.settings import Settings

from .pictures import counts, draw, kinds

SHAPE = (32, 48)


def spot(shape: tuple[int, int] = SHAPE, top: int = 4, left: int = 6) -> np.ndarray:
    """A mark of 8 x 10 pixels."""
    mask = np.zeros(shape, dtype=bool)
    mask[top : top + 8, left : left + 10] = True
    return mask


def save(path: Path, mask: np.ndarray, on: int = 255, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(mask, on, 0).astype(np.uint8)).save(path, **options)
    return path


def picture(path: Path) -> Path:
    return draw(path, "/".join(path.parts[-3:]), SHAPE[::-1])


def masks_of(imported: Imported) -> dict[str, str]:
    """The mask of each picture, both relative to the dataset."""
    root, table = Path(imported.dataset.source), imported.dataset.table
    there = table[table["mask_path"].notna()]
    return {
        str(Path(row["path"]).relative_to(root)): str(Path(row["mask_path"]).relative_to(root))
        for _, row in there.iterrows()
    }


# -- how they are called ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "x_mask.png",
        "x_GT.png",
        "x_label.bmp",
        "x-mask.png",
        "mask_x.png",
        "x.mask.png",
        "x mask.png",
        "xMask.png",
        "x_ground_truth.png",
        "x_segmentation.png",
        "X_MASK.PNG",
        "x_seg.tif",
        "gt-x.png",
        "x_mask_1.png",
        "x - mask.png",
        "x(mask).png",
        "[gt] x.png",
        "x.bmp",
    ],
)
def test_files_beside_their_picture_are_masks_and_no_pictures(tmp_path: Path, settings: Settings, name: str) -> None:
    for level in range(2):
        for at in "abx":
            picture(tmp_path / f"level_{level}" / f"{at}.png")
    save(tmp_path / "level_1" / name, spot())
    imported = import_dataset(tmp_path, settings)
    assert counts(imported) | {"0": 3} == {"0": 3, "1": 3}
    assert masks_of(imported) == {"level_1/x.png": f"level_1/{name}"}
    assert kinds(imported) == (["question"] if name == "x.bmp" else [])


@pytest.mark.parametrize(
    ("picture_at", "mask_at"),
    [
        ("level_1/0.png", "level_1/masks/0.png"),
        ("level_1/0.png", "level_1/Label/0_label.png"),
        ("level_1/0.png", "ground_truth/level_1/0.png"),
        ("level_1/0.png", "Ground Truth/level_1/0_mask.png"),
        ("level_1/0.png", "annotations/level_1/0.png"),
        ("level_1/0.png", "GT/level_1/0.bmp"),
        ("test/dent_level_1/0.png", "test/ground_truth/dent/0_mask.png"),
        ("test/dent_level_1/0.png", "ground_truth/dent/0.png"),
        ("test/dent_level_1/images/0.png", "test/dent_level_1/gt/0.png"),
        ("test/dent_level_1/rgb/0.png", "test/dent_level_1/gt/0.png"),
        ("test/dent_level_1/0.png", "test_masks/dent_level_1/0.png"),
        ("test/level_1/images/0.png", "test/level_1/labels/0.png"),
        ("level_1/0.png", "label_img/level_1/0.png"),
        ("level_1/003.png", "level_1/003mask.png"),
        ("level_1/003.png", "level_1/mask003.png"),
    ],
)
def test_folders_of_masks(tmp_path: Path, settings: Settings, picture_at: str, mask_at: str) -> None:
    top = "test/" if picture_at.startswith("test/") else ""
    for at in (picture_at, f"{top}level_0/0.png", f"{top}level_0/1.png", f"{top}level_2/0.png"):
        picture(tmp_path / at)
    save(tmp_path / mask_at, spot())
    imported = import_dataset(tmp_path, settings)
    assert masks_of(imported) == {picture_at: mask_at}
    assert len(imported.dataset.table) == 4 and not imported.problems


def test_several_masks_of_a_picture_are_joined(tmp_path: Path, settings: Settings) -> None:
    for at in ("train/good/0", "test/good/0", "test/logical/000", "test/logical/001"):
        picture(tmp_path / f"{at}.png")
    (tmp_path / "severity.yaml").write_text("logical: 2\n")
    masks = [spot(), spot(top=20), spot(left=30)]
    for number, mask in enumerate(masks):
        save(tmp_path / f"ground_truth/logical/000/{number:03d}.png", mask, 200 + number)
    imported = import_dataset(tmp_path, settings)
    (path,) = imported.dataset.table["mask_path"].dropna()
    assert np.array_equal(read_mask(Path(path)), masks[0] | masks[1] | masks[2])
    assert not imported.problems


def test_a_folder_that_may_be_a_kind_of_defect_is_one_if_its_files_are_photographs(
    tmp_path: Path, settings: Settings
) -> None:
    for kind in ("good", "label"):
        for at in "abc":
            picture(tmp_path / "test" / kind / f"{at}.png")
    picture(tmp_path / "train/good/a.png")
    (tmp_path / "severity.yaml").write_text("label: 3\n")
    imported = import_dataset(tmp_path, settings)
    assert counts(imported) == {"0": 3, "3": 3} and not masks_of(imported)


def test_photographs_that_are_named_like_masks_stay_pictures(tmp_path: Path, settings: Settings) -> None:
    for at in ("level_0/face_mask.png", "level_0/a.png", "level_0/b.png", "level_1/a_label.png", "level_1/a.png"):
        picture(tmp_path / at)
    imported = import_dataset(tmp_path, settings)
    assert len(imported.dataset.table) == 5


def test_a_picture_of_two_values_that_shares_a_name_is_asked_about(tmp_path: Path, settings: Settings) -> None:
    for level in range(2):
        for at in "abx":
            picture(tmp_path / f"level_{level}" / f"{at}.png")
    save(tmp_path / "level_1/x_roi.png", spot())
    imported = import_dataset(tmp_path, settings)
    (problem,) = imported.problems
    assert problem.kind == "question" and problem.path.endswith("x_roi.png") and "x_mask" in problem.message
    assert len(imported.dataset.table) == 6 and not masks_of(imported)


def test_masks_of_nothing_are_named(tmp_path: Path, settings: Settings) -> None:
    for at in ("level_0/a.png", "level_0/b.png", "level_1/a.png", "level_2/a.png"):
        picture(tmp_path / at)
    save(tmp_path / "level_1/masks/z.png", spot())
    save(tmp_path / "masks/a.png", spot())
    problems = {Path(p.path).name: p.message for p in import_dataset(tmp_path, settings).problems}
    assert "belongs to no image" in problems["z.png"] and "Several images" in problems["a.png"]


# -- what they mark -----------------------------------------------------------------------------


def palette(mask: np.ndarray) -> Image.Image:
    image = Image.fromarray(mask.astype(np.uint8) * 5)
    image.putpalette([0, 0, 0] * 5 + [128, 0, 128])
    return image


def opacity(mask: np.ndarray, colour: int) -> Image.Image:
    grey = np.full(mask.shape, colour, np.uint8)
    return Image.fromarray(np.dstack([grey, grey, grey, mask.astype(np.uint8) * 255]))


@pytest.mark.parametrize(
    "image",
    [
        *(Image.fromarray(np.where(spot(), grey, 0).astype(np.uint8)) for grey in (1, 38, 100, 255)),
        Image.fromarray(np.where(spot(), np.arange(48) % 2 * 37 + 38, 0).astype(np.uint8)),
        Image.fromarray(np.where(spot(), np.arange(48) % 2 * 254 + 1, 0).astype(np.uint8)),
        Image.fromarray(spot().astype(np.uint16)),
        Image.fromarray(spot().astype(np.float32)),
        palette(spot()),
        palette(spot()).convert("RGB"),
        opacity(spot(), 0),
        opacity(spot(), 255),
    ],
    ids=[
        "1",
        "38",
        "100",
        "255",
        "38-75",
        "1-255",
        "16bit",
        "float",
        "palette",
        "colour",
        "black-alpha",
        "white-alpha",
    ],
)
def test_whatever_is_not_black_is_marked(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "m.tif")
    assert np.array_equal(read_mask(tmp_path / "m.tif"), spot())


def test_a_lossy_mask_has_no_marks_where_black_is_not_quite_black(tmp_path: Path) -> None:
    mask = np.kron(spot(), np.ones((4, 4), bool))
    for quality, on in ((50, 255), (80, 100)):
        read = read_mask(save(tmp_path / f"{quality}.jpg", mask, on, quality=quality))
        assert (read != mask).mean() < 0.01


def test_soft_edges_are_cut_in_the_middle(tmp_path: Path) -> None:
    mask = Image.fromarray(spot().astype(np.uint8) * 255)
    mask.resize((480, 320), Image.Resampling.BICUBIC).save(tmp_path / "soft.png")
    read = read_mask(tmp_path / "soft.png")
    assert (read != np.kron(spot(), np.ones((10, 10), bool))).mean() < 0.002


# -- what is said of them -----------------------------------------------------------------------


def one_mask(root: Path, mask: np.ndarray, level: int = 1, **options: object) -> None:
    for at in range(2):
        for name in (0, 1):
            picture(root / f"level_{name}" / f"{at}.png")
    save(root / f"level_{level}" / "0_mask.png", mask, **options)


@pytest.mark.parametrize(
    ("mask", "level", "kind", "words"),
    [
        (spot((16, 24), 1, 1), 1, "mask-size", "24 x 16 pixels, its image 48 x 32: it is stretched"),
        (spot((32, 32)), 1, "mask-size", "does not fit"),
        (np.zeros(SHAPE, bool), 1, "mask-empty", "marks nothing"),
        (~spot(), 1, "mask-full", "94.8 %"),
        (~(spot() | spot(left=20) | spot(top=16) | spot(top=16, left=20)), 1, "mask-full", "inverted"),
        (spot(), 0, "mask-of-normal", "level 0"),
    ],
)
def test_masks_that_cannot_be_right_are_named(
    tmp_path: Path, settings: Settings, mask: np.ndarray, level: int, kind: str, words: str
) -> None:
    one_mask(tmp_path, mask, level)
    (problem,) = import_dataset(tmp_path, settings).problems
    assert (problem.kind, Path(problem.path).name) == (kind, "0_mask.png") and words in problem.message


def by_name(imported: Imported) -> Any:
    table = imported.dataset.table
    return table.set_index(table["path"].map(lambda path: Path(path).stem))


def test_the_bytes_of_masks_are_those_that_were_imported(tmp_path: Path, settings: Settings) -> None:
    root = tmp_path / "set"
    picture(root / "test/crack_level_1/a.png")
    picture(root / "test/good/b.png")
    picture(root / "test/crack_level_1/c.png")
    lies = save(root / "masks/crack_level_1/a_mask.png", spot())
    for number in (1, 2):
        save(root / f"masks/crack_level_1/c_mask_{number}.png", spot(top=8 * number))
    table = by_name(import_dataset(root, settings))
    for name in ("a", "c"):  # one lies there, the other is made of two
        row = table.loc[name]
        assert row["mask_hash"] == content_hash(Path(row["mask_path"]))
        assert read_mask(Path(row["mask_path"]), content_hash=row["mask_hash"]).any()
    assert table["mask_hash"].isna().equals(table["mask_path"].isna())
    save(lies, ~spot())
    with pytest.raises(ImageError, match="not the one that was imported") as error:
        read_mask(lies, content_hash=table.loc["a", "mask_hash"])
    assert error.value.kind == "changed-file"
    assert by_name(import_dataset(root, settings)).loc["a", "mask_hash"] == content_hash(lies)


def test_an_empty_mask_of_a_normal_image_is_right(tmp_path: Path, settings: Settings) -> None:
    one_mask(tmp_path, np.zeros(SHAPE, bool), 0)
    assert not import_dataset(tmp_path, settings).problems


@pytest.mark.parametrize("orientation", [6, 8])
def test_a_mask_is_turned_as_its_image_is(tmp_path: Path, settings: Settings, orientation: int) -> None:
    one_mask(tmp_path, np.zeros(SHAPE, bool), 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(picture(tmp_path / "level_1/turned.jpg")) as image:
        image.load()
    image.save(tmp_path / "level_1/turned.jpg", exif=exif)
    save(tmp_path / "level_1/turned_mask.png", spot())
    imported = import_dataset(tmp_path, settings)
    assert not imported.problems
    table = imported.dataset.table.set_index("template_path")
    row = table.loc["level_1/turned.jpg"]
    read = read_mask(Path(row["mask_path"]))
    assert read.shape == (row["height"], row["width"]) == SHAPE[::-1]
    assert np.array_equal(read, np.rot90(spot(), -1 if orientation == 6 else 1))
