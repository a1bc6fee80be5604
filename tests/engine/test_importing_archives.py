"""Archives: the same as their folder, and nothing but files inside their own folder."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mad_core.datasets.importing import import_dataset
from mad_core.datasets.plan import ImportPlan, LevelsUnknownError, parse_plan
from mad_core.datasets.readers import archives
from mad_core.datasets.readers.archives import extract, name_of
from mad_core.errors import CancelledError, InputError
from mad_core.images import content_hash
from mad_core.runs.store import Store
from mad_core.runs.uploads import keep_upload, keep_uploads, safe_name
from mad_core.settings import Settings

from .pictures import draw, industrial, tree


def pack_zip(folder: Path, target: Path, top: str) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{top}{path.relative_to(folder)}")
    return target


def pack_tar(folder: Path, target: Path, top: str) -> Path:
    mode = {"gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(target.suffix[1:], "w")
    with tarfile.open(target, mode) as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        archive.add(folder, top or ".")
    return target


def made_tar(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """A tar of members: name, type, where a link leads (of a file: its content)."""
    with tarfile.open(path, "w") as archive:
        for name, kind, goal in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.linkname = "" if kind == tarfile.REGTYPE else goal
            info.size = len(goal) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(goal.encode()))
    return path


def made_zip(path: Path, *members: tuple[str, int, str]) -> Path:
    """A zip of members: name, Unix mode, content."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, mode, content in members:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, content)
    return path


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("top", ["plate/", ""])
@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz"])
def test_an_archive_is_the_same_dataset_as_its_folder(
    tmp_path: Path, settings: Settings, suffix: str, top: str
) -> None:
    root = industrial(tmp_path / "plate")
    (root / "test/crack_level_3").mkdir()
    pack = pack_zip if suffix == ".zip" else pack_tar
    packed = import_dataset(pack(root, tmp_path / f"plate{suffix}", top), settings)
    folder = import_dataset(root, settings)
    assert packed.dataset.version == folder.dataset.version
    assert packed.dataset.counts() == folder.dataset.counts()
    assert packed.dataset.name == "plate"
    assert packed.dataset.source == str(tmp_path / f"plate{suffix}")
    assert [p.kind for p in packed.problems] == [p.kind for p in folder.problems] == ["empty-level"]
    assert all(p.startswith(f"{settings.imports}/") for p in packed.dataset.table["path"])


def test_a_table_in_an_archive(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "parts", ["images/a.png", "images/b.png"])
    (root / "labels.csv").write_text("path,level\nimages/a.png,0\nimages/b.png,1\n")
    packed = import_dataset(pack_zip(root, tmp_path / "any.zip", "parts/"), settings)
    assert packed.dataset.version == import_dataset(root, settings).dataset.version
    assert len(packed.dataset.table) == 2


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path: Path) -> None:
    made_zip(tmp_path / "z.zip", ("inner.png", 0o644, "x"))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "z.zip", "z.zip")
    assert set(everything(extract(tmp_path / "a.tar", tmp_path / "into"))) == {"z.zip"}


def test_an_archive_is_unpacked_once(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack_zip(industrial(tmp_path / "plate"), tmp_path / "plate.zip", "")
    folder = extract(path, settings.imports)
    monkeypatch.setattr(archives, "_unpack", lambda *_: pytest.fail("unpacked again"))
    assert extract(path.rename(tmp_path / "other.zip"), settings.imports) == folder


def test_a_stopped_unpacking_leaves_nothing(tmp_path: Path, settings: Settings) -> None:
    path = pack_zip(industrial(tmp_path / "plate"), tmp_path / "plate.zip", "")

    def stop(done: int, total: int) -> None:
        raise CancelledError("Stopped.")

    with pytest.raises(CancelledError):
        extract(path, settings.imports, stop)
    assert not [p for p in settings.imports.iterdir() if p.is_dir()]
    assert len(everything(extract(path, settings.imports))) == 12


EVIL = ["../evil.png", "a/../../evil.png", "/evil.png", "C:\\evil.png", "..\\evil.png", "\\\\host\\evil.png"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_paths_out_of_the_archive_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "zip":
        path = made_zip(tmp_path / "a.zip", ("ok.png", 0o644, "x"), (name, 0o644, "x"))
    else:
        path = made_tar(tmp_path / "a.tar", ("ok.png", tarfile.REGTYPE, "x"), (name, tarfile.REGTYPE, "x"))
    with pytest.raises(InputError, match="leads out of it"):
        extract(path, tmp_path / "into")
    assert everything(tmp_path / "into").keys() <= {f"{p.name}" for p in (tmp_path / "into").glob("*.lock")}
    assert not list(tmp_path.rglob("evil.png"))


LINKS = [
    ("../evil", "leads out of it"),
    ("/etc/passwd", "leads out of it"),
    ("absent", "leads to no file in it"),
    ("link.png", "leads to no file in it"),
    ("folder", "leads to no file in it"),
]


@pytest.mark.parametrize(("goal", "sentence"), LINKS)
@pytest.mark.parametrize("kind", ["zip", "symbolic", "hard"])
def test_links_that_lead_nowhere_are_refused(tmp_path: Path, goal: str, sentence: str, kind: str) -> None:
    if kind == "zip":
        path = made_zip(tmp_path / "a.zip", ("folder/x.png", 0o100644, "x"), ("link.png", 0o120777, goal))
    else:
        link = tarfile.SYMTYPE if kind == "symbolic" else tarfile.LNKTYPE
        path = made_tar(tmp_path / "a.tar", ("folder/x.png", tarfile.REGTYPE, "x"), ("link.png", link, goal))
    with pytest.raises(InputError, match=sentence):
        extract(path, tmp_path / "into")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_links_inside_become_files(tmp_path: Path, kind: str) -> None:
    if kind == "zip":
        path = made_zip(
            tmp_path / "a.zip", ("f/1.png", 0o120777, "../g/2.png"), ("g/2.png", 0o120777, "3.png"), ("g/3.png", 0, "x")
        )
    else:
        path = made_tar(
            tmp_path / "a.tar",
            ("f/1.png", tarfile.SYMTYPE, "../g/2.png"),
            ("g/3.png", tarfile.REGTYPE, "x"),
            ("g/2.png", tarfile.LNKTYPE, "g/3.png"),
        )
    folder = extract(path, tmp_path / "into")
    assert everything(folder) == {"f/1.png": b"x", "g/2.png": b"x", "g/3.png": b"x"}
    assert not any(p.is_symlink() for p in folder.rglob("*"))


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(InputError, match="device or a pipe"):
        extract(made_tar(tmp_path / "a.tar", ("x", kind, "")), tmp_path / "into")


def zip_bomb(path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.png", bytes(3_000_000))
    return path


def tar_bomb(path: Path) -> Path:
    with tarfile.open(path, "w:xz") as archive:
        info = tarfile.TarInfo("zeros.png")
        info.size = 3_000_000
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    return path


@pytest.mark.parametrize("bomb", [zip_bomb, tar_bomb])
def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: Callable[[Path], Path]) -> None:
    monkeypatch.setattr(archives, "RATIO_FROM", 1_000_000)
    with pytest.raises(InputError, match="would unpack to more than"):
        extract(bomb(tmp_path / "bomb"), tmp_path / "into")
    assert not [p for p in (tmp_path / "into").iterdir() if p.is_dir()]


def test_a_list_of_too_many_files_is_not_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_zip(tmp_path / "a.zip", *((f"{n:04d}", 0o644, "") for n in range(1_000)))
    monkeypatch.setattr(archives, "MAX_FILES", 900)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(InputError, match="more than 900 files and folders"):
        extract(path, tmp_path / "into")


@pytest.mark.parametrize(("name", "value"), [("MAX_FILES", 3), ("MAX_BYTES", 500)])
def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setattr(archives, name, value)
    path = pack_zip(industrial(tmp_path / "plate"), tmp_path / "a.zip", "")
    with pytest.raises(InputError, match="more than"):
        extract(path, tmp_path / "into")


DEEP = {"deep": "a/" * 1990, "long": "/".join(["b" * 250] * 5), "long name": "c" * 256}


@pytest.mark.parametrize("name", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("kind", ["zip", "tar", "link"])
def test_paths_that_are_too_deep_or_too_long_are_refused(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "zip":
        path = made_zip(tmp_path / "a.zip", (name, 0o644, ""))
    else:
        members = {"tar": (name, tarfile.REGTYPE, "x"), "link": ("link.png", tarfile.SYMTYPE, name)}
        path = made_tar(tmp_path / "a.tar", ("ok.png", tarfile.REGTYPE, "x"), members[kind])
    with pytest.raises(InputError, match="too long or too deep"):
        extract(path, tmp_path / "into")
    assert not [p for p in (tmp_path / "into").iterdir() if p.is_dir()]


def many_folders(path: Path, count: int) -> Path:
    """Members whose paths make ``count`` folders, in a tar of a few hundred bytes."""
    with tarfile.open(path, "w:xz") as archive:
        for i in range(count // 30):
            info = tarfile.TarInfo(f"{i}/" + "a/" * 28 + "b")
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
    return path


def test_folders_that_only_a_path_names_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 1_000)
    with pytest.raises(InputError, match="more than 1000 files and folders"):
        extract(many_folders(tmp_path / "a.tar.xz", 3_000), tmp_path / "into")
    assert [p.suffix for p in (tmp_path / "into").iterdir()] == [".lock"]


def test_every_entry_is_charged_against_the_size_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "RATIO_FROM", 2_000_000)
    with pytest.raises(InputError, match="would unpack to more than 2 MB"):
        extract(many_folders(tmp_path / "a.tar.xz", 3_000), tmp_path / "into")
    assert len(list(extract(many_folders(tmp_path / "b.tar.xz", 300), tmp_path / "into").rglob("*"))) == 300


def test_a_reserve_of_the_disk_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk._replace(total=40_000_000_000, free=1_000_000_500))
    path = made_tar(tmp_path / "a.tar", ("a.png", tarfile.REGTYPE, "x" * 501))
    with pytest.raises(InputError, match="or for this disk"):
        extract(path, tmp_path / "into")
    assert len(everything(extract(made_tar(tmp_path / "b.tar", ("a.png", tarfile.REGTYPE, "x")), tmp_path / "b"))) == 1


def test_what_a_killed_unpacking_left_goes_however_deep_it_is(tmp_path: Path) -> None:
    path = pack_zip(industrial(tmp_path / "plate"), tmp_path / "plate.zip", "")
    left = tmp_path / "into" / f"{content_hash(path)}.part"
    left.mkdir(parents=True)
    here = os.getcwd()
    try:
        os.chdir(left)
        for _ in range(3_000):  # longer than any path can be written
            os.mkdir("deep")
            os.chdir("deep")
    finally:
        os.chdir(here)
    folder = extract(path, tmp_path / "into")
    assert {p.name for p in folder.parent.iterdir()} == {folder.name, f"{folder.name}.lock"}


def test_an_encrypted_zip_is_a_sentence(tmp_path: Path) -> None:
    data = bytearray(made_zip(tmp_path / "a.zip", ("a.png", 0o644, "x")).read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(mark) + at] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match="is encrypted"):
        extract(tmp_path / "a.zip", tmp_path / "into")


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.xz"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_damaged_archive_is_a_sentence(tmp_path: Path, settings: Settings, suffix: str, part: float) -> None:
    pack = pack_zip if suffix == ".zip" else pack_tar
    path = pack(industrial(tmp_path / "plate"), tmp_path / f"a{suffix}", "")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(
        InputError, match=r"neither a table nor|is damaged|cannot be unpacked|cut off|is empty|packed by"
    ):
        import_dataset(path, settings)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_tar_with_a_broken_header_is_not_taken_for_a_shorter_one(tmp_path: Path, suffix: str) -> None:
    data = bytearray(pack_tar(industrial(tmp_path / "plate"), tmp_path / "a.tar", "plate").read_bytes())
    with tarfile.open(tmp_path / "a.tar") as archive:
        data[archive.getmembers()[9].offset] ^= 255
    packed = gzip.compress(data) if suffix == ".tar.gz" else data
    (tmp_path / f"b{suffix}").write_bytes(packed)
    with pytest.raises(InputError, match="is damaged"):
        extract(tmp_path / f"b{suffix}", tmp_path / "into")


NAMES = st.lists(st.sampled_from(["..", ".", "a", "b c", "", "C:", "\\", "é", "x" * 300]), min_size=1, max_size=6)


@given(NAMES, st.sampled_from(["/", "\\"]), st.sampled_from(["zip", "tar"]))
def test_no_name_is_ever_written_outside(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], separator: str, kind: str
) -> None:
    place = tmp_path_factory.mktemp("archive")
    name = separator.join(parts) + "/f.png"
    if kind == "zip":
        path = made_zip(place / "a.zip", (name, 0o644, "content"))
    else:
        path = made_tar(place / "a.tar", (name, tarfile.REGTYPE, "content"))
    try:
        folder = extract(path, place / "into")
    except InputError:
        folder = place / "into"
        assert not [p for p in folder.iterdir() if p.is_dir()]
    written = [p for p in place.rglob("*") if p.is_file() and p not in (path,) and p.suffix != ".lock"]
    assert all(p.is_relative_to(folder) for p in written)


@pytest.mark.parametrize(
    ("name", "stem"),
    [("parts.tar.gz", "parts"), ("a.b.ZIP", "a.b"), ("x.tgz", "x"), ("odd.gz", "odd"), ("plain", "plain")],
)
def test_names_of_archives(name: str, stem: str) -> None:
    assert name_of(Path(name)) == stem


# -- uploads ------------------------------------------------------------------------------------


def test_an_upload_is_kept_and_imported(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "plate")
    data = pack_zip(root, tmp_path / "a.zip", "plate/").read_bytes()
    path = keep_upload(settings, "../../line 3/plate.zip", data)
    assert path.name == "plate.zip"
    assert path.is_relative_to(settings.imports)
    assert keep_upload(settings, "C:\\x\\plate.zip", io.BytesIO(data)) == path
    assert import_dataset(path, settings).dataset.version == import_dataset(root, settings).dataset.version


def test_uploads_of_one_name_do_not_overwrite_each_other(settings: Settings) -> None:
    first, second = (keep_upload(settings, "a.csv", data) for data in (b"one", b"two"))
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def test_uploads_at_once_write_to_files_of_their_own(settings: Settings) -> None:
    meanwhile: list[Path] = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if not self.tell():
                meanwhile.append(keep_upload(settings, "a.zip", b"another"))
            return super().read(size)

    first = keep_upload(settings, "a.zip", Slow(b"one"))
    assert first.read_bytes() == b"one" and meanwhile[0].read_bytes() == b"another"


def test_too_large_and_empty_uploads_are_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mad_core.runs.uploads.MAX_BYTES", 10)
    for data, sentence in ((b"x" * 11, "more than"), (b"", "empty")):
        with pytest.raises(InputError, match=sentence):
            keep_upload(settings, "a.zip", data)
    assert list(settings.imports.iterdir()) == []


@given(st.text(max_size=300))
def test_upload_names_are_safe(name: str) -> None:
    safe = safe_name(name)
    assert safe and len(safe) <= 120
    assert Path(safe).name == safe and not safe.startswith(".") and safe.isprintable()


def test_deleting_a_dataset_frees_its_upload_and_unpacked_files(tmp_path: Path, store: Store) -> None:
    settings = store.settings
    for name in ("plate", "bolt"):
        tree(tmp_path / name, [f"level_{level}/{name}{i}.png" for level in (0, 1) for i in (0, 1)])
        pack_zip(tmp_path / name, tmp_path / f"{name}.zip", f"{name}/")
    kept, gone = (
        store.add_dataset(
            import_dataset(keep_upload(settings, f"{n}.zip", (tmp_path / f"{n}.zip").read_bytes()), settings)
        )
        for n in ("plate", "bolt")
    )
    store.delete_dataset(gone)
    folders = [p for p in settings.imports.iterdir() if p.is_dir()]
    assert len(folders) == 2
    assert all(Path(p).is_file() for p in store.dataset(kept).table["path"])


def test_an_archive_whose_words_are_asked_about_has_a_plan_that_keeps_what_was_decided(
    tmp_path: Path, settings: Settings
) -> None:
    for name in ("none/a", "mild/b", "odd/c", "extra/d"):
        draw(tmp_path / f"set/{name}.png", name)
    path = pack_zip(tmp_path / "set", tmp_path / "set.zip", "")
    told = ImportPlan(group_from_name="first-number", window=("used",)).with_folder("extra", role="left out")
    with pytest.raises(LevelsUnknownError) as asked:
        import_dataset(path, settings, plan=told)
    plan = asked.value.plan
    assert {row.name for row in plan.asked} == {"none", "mild", "odd"} and str(settings.imports) not in str(asked.value)
    assert parse_plan(plan.to_yaml()) == told
    taken = plan.accepted().with_level("odd", 2)
    levels = import_dataset(path, settings, plan=taken).dataset.table.set_index("template_path")["level"]
    assert levels.to_dict() == {"none/a.png": 0, "mild/b.png": 1, "odd/c.png": 2}


def test_pictures_dropped_at_once_are_one_archive(settings: Settings) -> None:
    drawn = {}
    for number, name in enumerate(("a.png", "b.png", "A.png")):
        data = io.BytesIO()
        Image.new("RGB", (8, 8), (number, 0, 0)).save(data, "PNG")
        drawn[name] = data.getvalue()

    def dropped() -> list[tuple[str, IO[bytes]]]:
        return [(name, io.BytesIO(data)) for name, data in drawn.items()]

    path = keep_uploads(settings, dropped())
    assert path.name == "3 pictures.zip"
    assert keep_uploads(settings, dropped()) == path
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.png": drawn["a.png"],
            "b.png": drawn["b.png"],
            "2-A.png": drawn["A.png"],
        }
    table = keep_uploads(settings, [("levels.csv", io.BytesIO(b"path,level\n"))])
    assert table.name == "levels.csv"
    with pytest.raises(InputError, match="one archive or one table at a time"):
        keep_uploads(settings, [*dropped(), ("levels.csv", io.BytesIO(b"x"))])
    with pytest.raises(InputError, match="Nothing was uploaded"):
        keep_uploads(settings, [])
