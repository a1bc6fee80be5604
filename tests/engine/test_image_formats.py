"""Formats of cameras, phones and hospitals: read by content; DICOM without its patient; pages of a file."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from mad_core import extras, image_formats
from mad_core.datasets.importing import check_report, import_dataset
from mad_core.datasets.plan import parse_plan
from mad_core.errors import InputError
from mad_core.image_formats import jxl_size, kind_of
from mad_core.images import ImageError, content_hash, forget_patient, inspect, probe, read_image, read_pixels
from mad_core.pixels import Depth, Window
from mad_core.settings import Settings

PATIENT = "PLANTED^PATIENT"


@pytest.fixture(autouse=True)
def _fresh_formats() -> Any:
    yield
    image_formats.formats.cache_clear()


def grey(height: int = 12, width: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (height, width)).astype(np.uint8)


def saved(path: Path, values: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def dicom(path: Path, values: np.ndarray, **elements: Any) -> Path:
    """A DICOM file of whole numbers, 12 bits unless told otherwise, with a patient."""
    pydicom = pytest.importorskip("pydicom", reason="DICOM needs pydicom: pip install -r requirements-dicom.txt")
    from pydicom.dataset import Dataset, FileMetaDataset

    del pydicom
    data, data.file_meta = Dataset(), FileMetaDataset()
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.PatientName, data.PatientID, data.PatientBirthDate = PATIENT, "PLANTED7", "19300101"
    data.Rows, data.Columns = values.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = int(values.dtype.kind == "i")
    data.PixelData = values.tobytes()
    for name, value in elements.items():
        setattr(data, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def imported(folder: Path, home: Path, **options: Any) -> Any:
    return import_dataset(folder, Settings.from_environment({"MAD_HOME": str(home)}), **options)


# -- by content ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a", "1.2.840.113619.2"])
def test_a_jpeg_is_one_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    for level in range(2):
        saved(tmp_path / "set" / f"level_{level}" / name, grey(seed=level), format="JPEG", quality=95)
    (tmp_path / "set" / "level_1" / "LICENSE").write_text("no image")
    table = imported(tmp_path / "set", tmp_path / "home").dataset.table
    assert sorted(Path(path).name for path in table["path"]) == [name, name]


@pytest.mark.parametrize(
    ("name", "package", "options"),
    [
        ("a.jp2", "PIL", {}),
        ("a.avif", "PIL", {"quality": 100, "subsampling": "4:4:4"}),
        ("a.heic", "pillow_heif", {"quality": -1}),
        ("a.jxl", "pillow_jxl", {"lossless": True}),
        ("a.pbm", "PIL", {}),
    ],
)
def test_newer_formats_are_read(tmp_path: Path, name: str, package: str, options: dict[str, Any]) -> None:
    pytest.importorskip(package, reason=f"{name} needs {package}: pip install -r requirements-formats.txt")
    image_formats.formats()
    values = grey(32, 48) if name != "a.pbm" else grey() > 100
    try:
        path = saved(tmp_path / name, values if name == "a.pbm" else np.repeat(values[..., None], 3, 2), **options)
    except (OSError, KeyError, RuntimeError) as error:
        pytest.skip(f"this build writes no {name}: {error}")
    expected = values if name != "a.pbm" else np.where(values, 255, 0)
    assert np.abs(read_image(path)[..., 0].astype(int) - expected).max() <= 6
    assert (probe(path).width, probe(path).height) == values.shape[::-1] and inspect(path) == probe(path)


@pytest.mark.parametrize(
    ("module", "data", "words"),
    [
        ("pydicom", bytes(128) + b"DICM" + bytes(200), r"DICOM needs pydicom: pip install -r requirements-dicom\.txt"),
        ("pillow_heif", b"\0\0\0\x18ftypheic" + bytes(100), r"HEIC needs pillow-heif"),
        ("pillow_jxl", b"\xff\x0a" + bytes(100), r"JPEG XL needs pillow-jxl-plugin"),
        ("", b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer.*git lfs pull"),
        ("", b"\n<!DOCTYPE html><html>", "a web page"),
        ("", b"", "it is empty"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, data: bytes, words: str
) -> None:
    image_formats.formats.cache_clear()
    there = extras.installed
    monkeypatch.setattr(extras, "installed", lambda name: name != module and there(name))
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(ImageError, match=words):
        probe(tmp_path / "x.png")


def test_a_png_with_two_megabytes_of_text_or_profile_is_read(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("scanner", "settings " * 250_000, zip=True)
    assert np.array_equal(read_image(saved(tmp_path / "text.png", grey(), pnginfo=info))[..., 0], grey())
    profile = bytes(1_500_000)
    assert np.array_equal(read_image(saved(tmp_path / "icc.png", grey(), icc_profile=profile))[..., 0], grey())


def test_a_png_whose_text_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.png", grey()).read_bytes()
    text = b"k\0\0" + zlib.compress(bytes(200 << 20), 9)
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    (tmp_path / "b.png").write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(ImageError):
        read_image(tmp_path / "b.png")


def test_a_jpeg_that_lacks_its_end_mark_alone_is_whole(tmp_path: Path) -> None:
    data = saved(tmp_path / "a.jpg", grey(64, 64), quality=95).read_bytes()
    (tmp_path / "b.jpg").write_bytes(data[:-2])
    assert np.array_equal(read_image(tmp_path / "b.jpg"), read_image(tmp_path / "a.jpg"))
    assert inspect(tmp_path / "b.jpg").format == "JPEG"
    for cut in (12, 60, 800):
        (tmp_path / "c.jpg").write_bytes(data[:-cut])
        with pytest.raises(ImageError, match="cannot be"):
            read_image(tmp_path / "c.jpg")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiffs_of_any_float(tmp_path: Path, kind: Any, channels: int) -> None:
    tifffile = pytest.importorskip("tifffile", reason="halves and colours in floats are read by tifffile")
    values = np.random.default_rng(0).random((6, 5, 3) if channels == 3 else (6, 5)).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if channels == 3 else "minisblack")
    read = read_pixels(tmp_path / "a.tif", window=Window(0, 1))
    expected = values.astype(np.float32)
    assert np.allclose(read, expected if channels == 3 else np.repeat(expected[..., None], 3, 2), atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_sixteen_bits_in_planes(tmp_path: Path, options: dict[str, Any]) -> None:
    tifffile = pytest.importorskip("tifffile", reason="planes of 16 bits are read by tifffile")
    values = np.random.default_rng(0).integers(0, 4096, (3, 6, 5)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", planarconfig="separate", **options)
    read = read_pixels(tmp_path / "a.tif", window=Window(0, 4095))
    assert np.allclose(read, np.moveaxis(values, 0, -1) / 4095, atol=1e-6)


def test_the_size_of_jpeg_xl_is_known_before_it_is_decoded(tmp_path: Path) -> None:
    pytest.importorskip("pillow_jxl", reason="JPEG XL needs pillow-jxl-plugin: pip install -r requirements-formats.txt")
    image_formats.formats()
    for width, height in ((8, 8), (48, 32), (300, 200), (1030, 17)):
        file = io.BytesIO()
        Image.new("RGB", (width, height)).save(file, "JXL")
        assert jxl_size(file.getvalue()[:4096]) == (width, height)
    bomb = b"\xff\x0a" + (0 | 3 << 1 | (2**30 - 1) << 3 | 1 << 33).to_bytes(12, "little")
    (tmp_path / "bomb.jxl").write_bytes(bomb)
    with pytest.raises(ImageError) as caught:
        probe(tmp_path / "bomb.jxl")
    assert caught.value.kind == "too-large"


def test_broken_heads_are_of_no_kind() -> None:
    assert [kind_of(head) for head in (b"", b"P", b"BM", b"RIFF", b"MM", bytes(200), b"readme")] == [None] * 7


# -- DICOM --------------------------------------------------------------------------------------------


def ramp() -> np.ndarray:
    return np.arange(64, dtype=np.uint16).reshape(8, 8) * 60


def test_dicom_is_seen_through_its_own_window_in_hounsfield_units(tmp_path: Path) -> None:
    facts = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400, "Modality": "CT"}
    path = dicom(tmp_path / "a.dcm", ramp(), **facts)
    assert probe(path).depth == Depth(12, "signed", stated=(-160, 239))
    units = ramp().astype(float) - 1024
    assert np.allclose(read_pixels(path)[..., 0], np.clip((units + 160) / 399, 0, 1), atol=1e-6)


def test_dicom_without_a_window_takes_its_stored_bits(tmp_path: Path) -> None:
    assert probe(dicom(tmp_path / "a.dcm", ramp())).depth.stated == (0, 4095)
    ct = dicom(tmp_path / "b.dcm", ramp(), Modality="CT", RescaleIntercept=-1024, RescaleSlope=1)
    assert probe(ct).depth.stated == (-1024, 3071)
    signed = dicom(tmp_path / "c.dcm", (ramp().astype(np.int16) - 2000), BitsStored=16, HighBit=15)
    assert probe(signed).depth == Depth(16, "signed")


def test_monochrome1_comes_the_right_way_round(tmp_path: Path) -> None:
    plain, turned = (
        read_pixels(dicom(tmp_path / f"{kind}.dcm", ramp(), PhotometricInterpretation=kind), window=Window(0, 4095))
        for kind in ("MONOCHROME2", "MONOCHROME1")
    )
    assert np.allclose(turned, 1 - plain, atol=1e-6)
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PhotometricInterpretation": "MONOCHROME1"}
    assert np.array_equal(read_image(dicom(tmp_path / "8.dcm", grey(), **eight))[..., 0], 255 - grey())


def test_frames_of_dicom_are_pages(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", np.stack([ramp(), ramp()[::-1]]), NumberOfFrames=2)
    assert probe(path).pages == 2
    second = Path(f"{path}#page=2")
    assert np.array_equal(read_image(second), read_image(path)[::-1]) and content_hash(second) != content_hash(path)


def test_what_a_digest_and_a_copy_are_made_of(tmp_path: Path) -> None:
    one = dicom(tmp_path / "a.dcm", ramp())
    other = dicom(tmp_path / "b.dcm", ramp(), PatientName="SOMEBODY^ELSE")
    assert content_hash(one) == content_hash(other) != content_hash(dicom(tmp_path / "c.dcm", ramp() + 1))
    before = read_image(one), content_hash(one)
    assert forget_patient(one) and b"PLANTED" not in one.read_bytes() and forget_patient(one)
    assert np.array_equal(read_image(one), before[0]) and content_hash(one) == before[1]


def test_a_name_among_the_pixels_of_a_damaged_file_is_not_kept(tmp_path: Path) -> None:
    """Parts of a header that were written over pixels; pixels alone that look like nobody's name stay."""
    values = np.zeros((12, 20), np.uint16)
    values.view(np.uint8).reshape(-1)[40:55] = np.frombuffer(PATIENT.encode(), np.uint8)
    spoiled, plain = dicom(tmp_path / "a.dcm", values), dicom(tmp_path / "b.dcm", np.full((12, 20), 0x3030, np.uint16))
    assert forget_patient(spoiled) and b"PLANTED" not in spoiled.read_bytes()
    with pytest.raises(ImageError):
        read_image(spoiled)
    assert forget_patient(plain) and read_image(plain).shape == (12, 20, 3)


def test_a_text_that_swallowed_what_stands_behind_it_is_not_kept(tmp_path: Path) -> None:
    whole = dicom(tmp_path / "a.dcm", ramp(), Modality="CT", WindowCenter=[40, 50], WindowWidth=[400, 350])
    data = whole.read_bytes()
    at = data.index(b"\x08\x00\x60\x00CS")
    name = data.index(b"PLANTED") + 40 - (at + 8)
    spoiled = tmp_path / "b.dcm"
    spoiled.write_bytes(data[: at + 6] + name.to_bytes(2, "little") + data[at + 8 :])
    assert forget_patient(spoiled) and b"PLANTED" not in spoiled.read_bytes()
    assert forget_patient(whole) and read_image(whole).shape[2] == 3


def test_no_patient_is_kept_stored_or_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import mad_core as mad
    from mad_core.runs.single_image import submit_single

    home = tmp_path / "home"
    monkeypatch.setenv("MAD_HOME", str(home))
    for level in range(3):
        for number in range(8 if level == 0 else 3):
            noise = np.random.default_rng(10 * level + number).integers(0, 60, (32, 32)).astype(np.uint16)
            noise[8:16, 8:20] += 900 * level
            dicom(tmp_path / "set" / f"level_{level}" / f"{number}.dcm", noise)
    broken = dicom(tmp_path / "set" / "level_1" / "broken.dcm", ramp())
    broken.write_bytes(broken.read_bytes()[:-40])
    odd = dicom(tmp_path / "set" / "level_1" / "odd.dcm", ramp(), Rows=9)
    archive = home / "imports" / "upload-1" / "set.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for file in sorted((tmp_path / "set").rglob("*.dcm")):
            packed.write(file, file.relative_to(tmp_path / "set"))
    plain, unpacked = mad.load(tmp_path / "set"), mad.load(archive)
    assert plain.dataset.version == unpacked.dataset.version and not archive.exists()
    run = mad.score(unpacked, "filterbank", size=64, bank=16)
    submit_single(run.store, run.id, "set", odd.read_bytes())
    submit_single(run.store, run.id, "set", (tmp_path / "set" / "level_2" / "1.dcm").read_bytes())
    mad.report(run, tmp_path / "report.html")
    print(json.dumps(check_report(plain)), repr(plain), run.table.to_csv())
    out, err = capfd.readouterr()
    kept = [*home.rglob("*"), tmp_path / "report.html"]
    held = b"".join(path.read_bytes() for path in kept if path.is_file())
    for words in (b"PLANTED", b"19300101"):
        assert words not in held and words.decode() not in out + err + caplog.text
    assert any(path.suffix == ".dcm" for path in kept)


def test_a_deflated_dicom_is_refused(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", ramp())
    data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"[:20])
    path.write_bytes(data.replace(b"1.2.840.10008.1.2.1.", b"1.2.840.10008.1.2.1.99", 1))
    with pytest.raises(ImageError):
        read_image(path)


# -- pages --------------------------------------------------------------------------------------------


def paged(folder: Path) -> Path:
    pages = [Image.fromarray(grey(seed=seed)) for seed in range(3)]
    (folder / "level_0").mkdir(parents=True)
    pages[0].save(folder / "level_0" / "many.tif", save_all=True, append_images=pages[1:])
    saved(folder / "level_0" / "one.tif", grey(seed=9))
    return folder


@pytest.mark.parametrize(
    ("choice", "names", "words"),
    [
        ("first", ["many.tif", "one.tif"], "the first one is the picture"),
        ("each", ["many.tif#page=1", "many.tif#page=2", "many.tif#page=3", "one.tif"], "each is an image"),
        ("2", ["many.tif#page=2", "one.tif"], "page 2 is the picture"),
    ],
)
def test_pages_of_a_file_are_chosen_and_said(tmp_path: Path, choice: str, names: list[str], words: str) -> None:
    found = imported(paged(tmp_path / "set"), tmp_path / "home", pages=choice)
    table = found.dataset.table
    assert sorted(Path(path).name for path in table["path"]) == names
    (problem,) = found.problems
    assert problem.kind == "pages" and words in problem.message and "many.tif has 3" in problem.message
    for row in table.itertuples():
        page = int(row.path.rpartition("=")[2]) if "#" in row.path else 1
        expected = grey(seed=9 if "one" in row.path else page - 1)
        assert np.array_equal(read_image(Path(row.path), content_hash=row.content_hash)[..., 0], expected)
    with pytest.raises(InputError, match="says no page"):
        imported(tmp_path / "set", tmp_path / "home", pages="all")


def test_the_plan_repeats_pages_windows_and_regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, home = paged(tmp_path / "set"), tmp_path / "home"
    mask = Image.new("L", (48, 40), 0)
    mask.paste(255, (0, 0, 8, 8))
    mask.resize(Image.open(folder / "level_0/one.tif").size, 0).save(tmp_path / "clamp.png")
    monkeypatch.chdir(tmp_path)
    found = imported(folder, home, pages="each", windows=["10:200:0.8"], ignore=["clamp.png"])
    plan = parse_plan(found.plan.to_yaml())
    assert (plan.pages, plan.window, plan.ignore) == ("each", ("10:200:0.8",), (str(tmp_path / "clamp.png"),))
    monkeypatch.chdir("/")
    again = imported(folder, home, plan=plan)
    assert again.dataset.version == found.dataset.version and again.plan.to_yaml() == found.plan.to_yaml()
    assert len(again.dataset.table) == 4 and again.dataset.ignored and again.dataset.windows
    other = imported(folder, home, plan=plan, pages="2", windows=["auto"])  # what is asked for stands before the plan
    assert len(other.dataset.table) == 2 and other.plan.pages == "2"


def test_a_page_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    found = imported(paged(tmp_path / "set"), tmp_path / "home", pages="3")
    assert [p.kind for p in found.problems] == ["pages"]
    found = imported(tmp_path / "set", tmp_path / "home", pages="7")
    assert [Path(p).name for p in found.dataset.table["path"]] == ["one.tif"]
    assert any(p.kind == "unreadable" and "no page 7" in p.message for p in found.problems)


def test_a_thumbnail_within_a_tiff_is_no_page(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(grey())
        file.write(grey()[::2, ::2], subfiletype=1)
        file.write(grey()[::-1])
    assert probe(tmp_path / "a.tif").pages == 2
    assert np.array_equal(read_image(tmp_path / "a.tif#page=2")[..., 0], grey()[::-1])
