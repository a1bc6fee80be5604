"""Opening images: every kind comes back as upright 8-bit RGB, and nothing broken gets past a sentence."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mad_core import images
from mad_core.errors import WorkError
from mad_core.images import ImageError, ImageInfo, content_hash, inspect, probe, read_image, read_mask, thumbnail

LOSSLESS = ("PNG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
ORIENTATION = 0x0112


def picture(height: int = 20, width: int = 30) -> np.ndarray:
    """Grey values that differ everywhere, so that every turn and shift shows."""
    return (np.arange(height * width) % 251).astype(np.uint8).reshape(height, width)


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """What EXIF says an image of this orientation looks like, written with numpy alone."""
    turns = {
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].T,
        8: np.rot90(stored),
    }
    return turns.get(orientation, stored)


def saved(path: Path, image: Image.Image | np.ndarray, **options: object) -> Path:
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


# -- rotation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("x.png", "RGB", {}),
        ("x.webp", "RGB", {"lossless": True}),
        ("x.tif", "L", {}),
        ("x.tif", "RGB", {}),
        ("x.tif", "RGBA", {}),
        ("x.tif", "L", {"compression": "tiff_lzw"}),
    ],
)
def test_exif_rotation_is_applied_and_known_beforehand(tmp_path, name, mode, options, orientation):
    path = saved(tmp_path / name, Image.fromarray(picture()).convert(mode), exif=oriented(orientation), **options)
    expected = upright(picture(), orientation)
    assert np.array_equal(read_image(path)[..., 1], expected)
    info = probe(path)
    assert (info.height, info.width) == expected.shape


def test_a_rotated_photograph(tmp_path):
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[:20, :30] = 255  # the top left quarter comes to the top right
    image = read_image(saved(tmp_path / "x.jpg", stored, exif=oriented(6), quality=95))
    assert image.shape == (60, 40, 3)
    assert image[5:25, 25:35].min() > 200 and image[35:, :].max() < 60 and image[:, :15].max() < 60


def test_broken_exif_does_not_hide_the_pixels(tmp_path):
    data = bytearray(saved(tmp_path / "x.webp", picture(), exif=oriented(6), lossless=True).read_bytes())
    place = data.rindex(b"\x00*\x00\x00") - 2  # the TIFF header inside the EXIF block
    data[place + 3] = 0xFF
    (tmp_path / "x.webp").write_bytes(data)
    assert probe(tmp_path / "x.webp") == ImageInfo(30, 20, "WEBP")
    assert np.array_equal(read_image(tmp_path / "x.webp")[..., 0], picture())


# -- pixels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", LOSSLESS)
def test_grey_and_colour_come_back_unchanged(tmp_path, format):
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    path = saved(tmp_path / "grey", picture(), format=format, **options)
    assert np.array_equal(read_image(path), np.repeat(picture()[..., None], 3, 2))
    assert probe(path) == ImageInfo(30, 20, format)
    if format != "GIF":
        colour = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
        assert np.array_equal(read_image(saved(tmp_path / "colour", colour, format=format, **options)), colour)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.pgm"])
def test_sixteen_bits_keep_their_proportions(tmp_path, name):
    values = np.array([[0, 257, 1000], [32896, 65279, 65535]], dtype=np.uint16)
    image = read_image(saved(tmp_path / name, values))
    assert image[..., 0].tolist() == [[0, 1, 3], [128, 254, 255]]
    assert (image[..., 0] == image[..., 2]).all()


def test_sixteen_bits_in_the_other_byte_order(tmp_path):
    pixels = np.array([[0, 65535], [257, 32896]], dtype=">u2")
    image = Image.frombytes("I;16B", (2, 2), pixels.tobytes())
    assert read_image(saved(tmp_path / "x.tif", image))[..., 0].tolist() == [[0, 255], [1, 128]]


def test_eight_bits_kept_in_sixteen_are_eight_bits(tmp_path):
    values = np.array([[0, 7], [200, 255]], dtype=np.uint16)
    assert np.array_equal(read_image(saved(tmp_path / "x.png", values))[..., 0], values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 0.5, 1], [0, 127, 255]), ([0, 100, 255], [0, 100, 255]), ([0, 257, 65535], [0, 1, 255]), ([-5, 1], [0, 255])],
)
def test_floating_point_images(tmp_path, values, expected):
    path = saved(tmp_path / "x.tif", np.array([values], dtype=np.float32))
    assert read_image(path)[0, :, 0].tolist() == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_pixels_that_are_not_numbers_are_a_sentence(tmp_path, bad):
    path = saved(tmp_path / "x.tif", np.array([[0.5, bad]], dtype=np.float32))
    with pytest.raises(ImageError, match=r"x\.tif holds pixels that are not numbers") as caught:
        read_image(path)
    assert caught.value.kind == "unreadable"


def test_a_palette_becomes_its_colours(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 200, 100, 50, 0, 0, 255])
    image.putdata([0, 1, 2])
    for name in ("x.png", "x.gif", "x.tif", "x.bmp"):
        assert read_image(saved(tmp_path / name, image)).tolist() == [[[10, 20, 30], [200, 100, 50], [0, 0, 255]]]


def test_cmyk_photographs_have_natural_colours(tmp_path):
    red = Image.new("RGB", (16, 16), (220, 30, 40)).convert("CMYK")
    for name in ("x.jpg", "x.tif"):
        assert np.abs(read_image(saved(tmp_path / name, red)).astype(int) - [220, 30, 40]).max() < 12


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp"])
def test_transparency_lies_on_black(tmp_path, name):
    pixels = np.array([[[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 51]]], dtype=np.uint8)
    options = {"lossless": True, "exact": True} if name == "x.webp" else {}
    image = read_image(saved(tmp_path / name, pixels, **options))
    assert image[0, :2].tolist() == [[200, 100, 50], [0, 0, 0]]
    assert np.abs(image[0, 2].astype(int) - [40, 20, 10]).max() <= 1


def test_a_transparent_palette_colour_lies_on_black(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([0, 1])
    for name in ("x.png", "x.gif"):
        assert read_image(saved(tmp_path / name, image, transparency=1)).tolist() == [[[10, 20, 30], [0, 0, 0]]]


def test_the_first_frame_stands_for_an_animation(tmp_path):
    frames = [Image.new("L", (8, 6), value) for value in (50, 150, 250)]
    for name, options in (("x.gif", {}), ("x.webp", {"lossless": True}), ("x.png", {}), ("x.tif", {})):
        path = saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:], **options)
        image = read_image(path)
        assert image.shape == (6, 8, 3) and (image == 50).all()


def test_black_and_white(tmp_path):
    path = saved(tmp_path / "x.png", picture() > 100)
    assert np.array_equal(read_image(path)[..., 0], np.where(picture() > 100, 255, 0))


# -- masks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", [1, 3, 255, True])
@pytest.mark.parametrize("name", ["m.png", "m.tif"])
def test_masks_of_every_spelling(tmp_path, name, on):
    mask = picture() > 100
    stored = mask if on is True else np.where(mask, on, 0).astype(np.uint8)
    read = read_mask(saved(tmp_path / name, stored))
    assert read.dtype == bool and np.array_equal(read, mask)


def test_sixteen_bit_and_coloured_masks(tmp_path):
    mask = picture() > 100
    assert np.array_equal(read_mask(saved(tmp_path / "a.png", np.where(mask, 65535, 0).astype(np.uint16))), mask)
    red = np.zeros((*mask.shape, 3), np.uint8)
    red[mask, 0] = 255
    assert np.array_equal(read_mask(saved(tmp_path / "b.png", red)), mask)


def test_soft_edges_are_cut_in_the_middle_and_empty_masks_stay_empty(tmp_path):
    soft = np.array([[0, 100, 127, 128, 255]], dtype=np.uint8)
    assert read_mask(saved(tmp_path / "a.png", soft)).tolist() == [[False, False, False, True, True]]
    assert not read_mask(saved(tmp_path / "b.png", np.zeros((4, 4), np.uint8))).any()


# -- what cannot be used ------------------------------------------------------------------------


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises this many pixels, and that holds next to none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))


@pytest.mark.parametrize("read", [probe, inspect, read_image, read_mask])
@pytest.mark.parametrize(("width", "height"), [(10_001, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(tmp_path, read, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of(width, height))
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"bomb\.png") as caught:
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert caught.value.kind == "too-large"


def test_the_pixel_limit_is_inclusive_and_named(tmp_path):
    path = saved(tmp_path / "x.png", picture(20, 30))
    assert probe(path, max_pixels=600).width == 30
    with pytest.raises(ImageError, match="has 30 x 20 pixels; at most") as caught:
        read_image(path, max_pixels=599)
    assert caught.value.kind == "too-large"


@pytest.mark.parametrize("read", [probe, inspect, read_image, read_mask])
def test_a_missing_file_is_a_sentence(tmp_path, read):
    with pytest.raises(ImageError, match=r"none\.png is not there\.") as caught:
        read(tmp_path / "none.png")
    assert caught.value.kind == "missing-file"


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4", b"<svg/>", bytes(5000)])
@pytest.mark.parametrize("read", [probe, inspect, read_image, read_mask])
def test_what_is_no_image_is_a_sentence(tmp_path, read, data):
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(ImageError, match="cannot be read as an image") as caught:
        read(tmp_path / "x.png")
    assert caught.value.kind == "unreadable"


def test_a_folder_and_an_unlisted_format_are_sentences(tmp_path):
    with pytest.raises(ImageError, match="cannot be read as an image"):
        probe(tmp_path)
    Image.fromarray(picture()).save(tmp_path / "x.ico")
    with pytest.raises(ImageError, match="no known image format"):
        probe(tmp_path / "x.ico")


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif", "x.bmp", "x.webp"])
def test_a_file_that_is_cut_off_is_a_sentence(tmp_path, name):
    rng = np.random.default_rng(0)
    path = saved(tmp_path / name, rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for read in (read_image, inspect):
        with pytest.raises(ImageError, match=r"x\.\w+ cannot be") as caught:
            read(path)
        assert caught.value.kind == "unreadable"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bytes(128) + b"DICM", "DICOM, without a picture"),
        (bytes(128) + b"DICM" + b"\xff" * 40, "DICOM, "),
    ],
)
def test_a_dicom_file_without_a_picture_is_no_word_of_a_library(tmp_path, data, words):
    pytest.importorskip("pydicom")
    (tmp_path / "x.dcm").write_bytes(data)
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "x.dcm")
    assert words in str(caught.value) and "Error" not in str(caught.value)


def test_half_a_photograph_is_said_to_be_cut_off(tmp_path):
    path = saved(tmp_path / "x.jpg", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match=r"it is cut off: copy or download it again"):
        read_image(path)


def _seeds() -> list[bytes]:
    seeds = []
    for format in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM"):
        for mode in ("L", "RGB", "P", "RGBA", "CMYK", "F"):
            file = io.BytesIO()
            try:
                Image.fromarray(picture()).convert(mode).save(file, format, exif=oriented(6))
            except (OSError, ValueError):  # the format has no such mode
                continue
            seeds.append(file.getvalue())
    return seeds


SEEDS = _seeds()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")  # Pillow warns of broken metadata
def test_broken_bytes_are_an_image_or_a_sentence_and_never_anything_else(tmp_path, data):
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(0, 6))):
        within = data.draw(st.sampled_from((64, 400, len(content))))
        content[data.draw(st.integers(0, min(within, len(content)) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "x"
    path.write_bytes(content[: data.draw(st.sampled_from((len(content), len(content) * 2 // 3)))])
    try:
        image = read_image(path, max_pixels=1_000_000)
    except ImageError as error:
        assert str(path) in str(error)
        with contextlib.suppress(ImageError):
            inspect(path, max_pixels=1_000_000)
        return
    assert inspect(path, max_pixels=1_000_000) == probe(path, max_pixels=1_000_000)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    info = probe(path, max_pixels=1_000_000)
    assert (info.height, info.width) == image.shape[:2]


# -- thumbnails and digests ---------------------------------------------------------------------


def test_a_thumbnail_is_small_upright_and_kept(tmp_path):
    path = saved(tmp_path / "x.tif", picture(200, 300), exif=oriented(6))
    small = thumbnail(path, tmp_path / "small", 96, "a1")
    assert probe(small) == ImageInfo(64, 96, "WEBP")
    before = small.stat()
    path.unlink()
    assert thumbnail(path, tmp_path / "small", 96, "a1") == small
    assert small.stat() == before
    with pytest.raises(ImageError, match="is not there"):
        thumbnail(path, tmp_path / "small", 48, "a1")


def test_small_images_are_not_blown_up_and_thin_ones_stay_visible(tmp_path):
    assert probe(thumbnail(saved(tmp_path / "a.png", picture(20, 30)), tmp_path, 96, "a")) == ImageInfo(30, 20, "WEBP")
    thin = thumbnail(saved(tmp_path / "b.png", picture(2, 3000)), tmp_path, 96, "b")
    assert probe(thin) == ImageInfo(96, 1, "WEBP")


@pytest.mark.parametrize("key", ["../../outside", "/etc/passwd", "", "a/b", "..", "x\0y"])
def test_no_key_leaves_the_folder(tmp_path, key):
    folder = tmp_path / "deep" / "small"
    made = thumbnail(saved(tmp_path / "x.png", picture()), folder, 64, key)
    assert made.parent == folder and made.is_file()


def test_a_thumbnail_that_fails_leaves_nothing(tmp_path, monkeypatch):
    path = saved(tmp_path / "x.png", picture())

    def fail(self: Image.Image, target: Path, *args: object, **options: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(WorkError, match=r"x\.png cannot be kept in .*: No space"):
        thumbnail(path, tmp_path / "small", 64, "a")
    assert list((tmp_path / "small").iterdir()) == []


def test_sessions_that_ask_at_once_get_one_whole_thumbnail(tmp_path):
    path = saved(tmp_path / "x.png", np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
    sizes: list[ImageInfo] = []
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        sizes.append(probe(thumbnail(path, tmp_path / "small", 128, "a")))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes == [ImageInfo(128, 96, "WEBP")] * 6
    assert len(list((tmp_path / "small").iterdir())) == 1


READ = {"picture": images.read_image, "numbers": images.read_pixels}


@pytest.mark.parametrize("read", READ.values(), ids=READ)
def test_a_file_is_read_only_while_it_holds_the_bytes_that_were_imported(tmp_path, read):
    path = saved(tmp_path / "a.png", picture())
    digest = content_hash(path)
    assert read(path, content_hash=digest).shape[:2] == (20, 30)
    saved(path, picture()[::-1])
    assert read(path).shape[:2] == (20, 30)
    with pytest.raises(ImageError, match="not the one that was imported") as raised:
        read(path, content_hash=digest)
    assert raised.value.kind == "changed-file"


@pytest.mark.parametrize(("read", "decode"), [("picture", "_decoded"), ("numbers", "_loaded")])
def test_a_file_that_changes_while_it_is_decoded_is_not_the_one_that_was_imported(tmp_path, monkeypatch, read, decode):
    path = saved(tmp_path / "a.png", picture())
    decoded = getattr(images, decode)

    def written_to(*given, **named):
        with path.open("ab") as file:
            file.write(b"more")
        return decoded(*given, **named)

    monkeypatch.setattr(images, decode, written_to)
    with pytest.raises(ImageError, match="not the one that was imported") as raised:
        READ[read](path, content_hash=content_hash(path))
    assert raised.value.kind == "changed-file"


def test_the_digest_is_of_the_bytes(tmp_path):
    for name, data in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(data)
    digests = [content_hash(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 32 and int(digests[0], 16) >= 0


def test_a_tiff_whose_strips_do_not_make_up_the_image_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((23, 31), 0.5, np.float32)).save(path)
    data = bytearray(path.read_bytes())
    at = next(
        at for at in range(len(data)) if data[at : at + 2] == b"\x01\x01" and data[at + 8 : at + 12] == b"\x17\0\0\0"
    )
    data[at + 8 : at + 12] = (4000).to_bytes(4, "little")
    path.write_bytes(data)
    assert probe(path).height == 4000
    for read in (read_image, read_mask):
        with pytest.raises(ImageError, match="cut off"):
            read(path)
