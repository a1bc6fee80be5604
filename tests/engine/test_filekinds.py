"""What is not read is named for what it is, with what to do."""

import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mad_core.cli.terminal import harmless
from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError
from mad_core.filekinds import kind_of, kind_of_bytes
from mad_core.images import ImageError, inspect
from mad_core.settings import Settings

from .pictures import tree

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
ANNEX = b"/annex/objects/MD5E-s1--0cc1.png\n"
HTML = b"\r\n<!DOCTYPE html>\n<html><title>Sign in</title></html>"


@pytest.mark.parametrize(
    ("head", "name", "words"),
    [
        (LFS, "a.png", "run git lfs pull"),
        (ANNEX, "a.png", "run git annex get"),
        (HTML, "a.jpg", "web page"),
        (b"MATLAB 5.0 MAT-file, Platform", "x", "MATLAB"),
        (b"\x93NUMPY\x01\0", "x", "NumPy"),
        (b"\0" * 344 + b"n+1\0" + b"\0" * 100, "x", "NIfTI"),
        (gzip.compress(b"x", mtime=0), "ct.nii.gz", "NIfTI"),
        (gzip.compress(b"x", mtime=0), "ct.gz", "gzip"),
        (b"\x80\x04\x95", "model", "pickle"),
        (b"", "a.png", "0 bytes"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "t.xls", r"\.xlsx or CSV"),
    ],
)
def test_a_file_is_told_by_its_first_bytes(head: bytes, name: str, words: str) -> None:

    assert re.search(words, kind_of_bytes(head, name) or "")


def test_nothing_is_said_of_what_is_not_known(tmp_path: Path) -> None:
    assert kind_of_bytes(b"abc", "a.txt") is None
    assert kind_of(tmp_path / "none") is None


@pytest.mark.parametrize(("data", "words"), [(LFS, "git lfs pull"), (ANNEX, "git annex get"), (HTML, "web page")])
def test_a_pointer_in_a_pictures_place_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=words):
        inspect(tmp_path / "a.png")


def test_files_among_images_are_named_by_kind(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "parts", ["level_0/a.png", "level_1/b.png"])
    np.save(root / "level_0/x.npy", np.zeros(3))
    (root / "level_1/y.nii").write_bytes(b"\0" * 600)
    (root / "level_1/z.dat").write_bytes((root / "level_1/b.png").read_bytes())
    messages = {Path(p.path).name: p.message for p in import_dataset(root, settings).problems}
    assert "NumPy array" in messages["x.npy"] and "NIfTI" in messages["y.nii"]
    assert "an image (PNG) that is not called as one" in messages["z.dat"]


def test_a_zip_that_was_cut_off_is_named(tmp_path: Path, settings: Settings) -> None:
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("level_0/a.png", b"x" * 500)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(whole.read_bytes()[:200])
    with pytest.raises(InputError, match="cut off"):
        import_dataset(cut, settings)


def test_a_zip_with_backslashes_unpacks(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "parts", ["level_0/a.png", "level_1/b.png"])
    path = tmp_path / "windows.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("parts", "parts/level_0", "parts/level_1"):
            info = zipfile.ZipInfo("x")
            info.filename = name.replace("/", "\\") + "\\"
            archive.writestr(info, b"")
        for name in ("level_0/a.png", "level_1/b.png"):
            info = zipfile.ZipInfo("x")
            info.filename = f"parts\\{name}".replace("/", "\\")
            archive.writestr(info, (root / name).read_bytes())
    assert len(import_dataset(path, settings).dataset.table) == 2


def test_the_text_of_a_link_is_named() -> None:
    assert "cp -rL" in (kind_of_bytes(b"../../../blobs/00", "0.png") or "")
    assert kind_of_bytes(b"../../up\nand more lines", "notes.txt") is None


def test_nothing_of_a_file_reaches_the_terminal_as_an_order() -> None:
    assert harmless("a\x1b[2Jb\x00\x9bc\td\n") == "a�[2Jb��c\td\n"


def test_many_files_of_one_kind_are_a_few_lines(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "parts", ["level_0/a.png", "level_1/b.png"])
    for i in range(60):
        (root / f"level_1/{i}.png").write_bytes(LFS)
    problems = [p for p in import_dataset(root, settings).problems if "git lfs pull" in p.message]
    assert len(problems) == 21 and "39 more files" in problems[-1].message
