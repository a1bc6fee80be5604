"""Datasets on object storage: the same as in a folder, image by image fetched when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mad_core import remote
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.readers import buckets
from mad_core.errors import InputError, UnavailableError
from mad_core.images import ImageError, content_hash, read_image, thumbnail
from mad_core.settings import Settings
from tests.engine.storage_parts import draw, scores_of


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    return Settings.from_environment()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tree with training normals, two levels, a mask, a table of no use and a card."""
    root = draw(tmp_path / "parts", "cut_level_2")
    (root / "ground_truth/cut_level_2").mkdir(parents=True)
    Image.fromarray(np.kron(np.eye(2), np.full((12, 16), 255)).astype(np.uint8)).save(
        root / "ground_truth/cut_level_2/0_mask.png"
    )
    (root / "mad.yaml").write_text("title: Parts on a bucket\n")
    return root


@pytest.fixture
def bucket(folder: Path) -> Iterator[str]:
    """The same tree in the memory of this process."""
    memory = fsspec.filesystem("memory")
    memory.put(str(folder), "/shop/parts", recursive=True)
    yield "memory://shop/parts"
    memory.rm("/shop", recursive=True)


def test_it_is_the_dataset_of_the_folder(settings: Settings, folder: Path, bucket: str) -> None:
    here, there = import_dataset(folder, settings), import_dataset(bucket, settings)
    assert there.dataset.version == here.dataset.version
    assert there.dataset.card == here.dataset.card
    same = [c for c in here.dataset.table.columns if c not in ("path", "mask_path")]
    assert there.dataset.table[same].equals(here.dataset.table[same])
    assert there.dataset.source == bucket
    first = there.dataset.table.iloc[0]
    assert first["path"] == f"{bucket}/{Path(here.dataset.table.iloc[0]['path']).relative_to(folder).as_posix()}"
    assert there.dataset.table["mask_path"].notna().sum() == 1
    assert not there.problems


def test_it_is_scored_and_shown_as_from_a_folder(settings: Settings, folder: Path, bucket: str) -> None:
    here, there = import_dataset(folder, settings), import_dataset(bucket, settings)
    assert scores_of(here, settings.home / "0").equals(scores_of(there, settings.home / "1"))


def test_shards_with_images_are_unpacked_as_from_a_folder(
    settings: Settings, folder: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"image": p.read_bytes(), "name": p.name, "level": i % 2} for i, p in enumerate(folder.rglob("train/*/*"))]
    (tmp_path / "hub").mkdir()
    for number in (0, 1):
        pq.write_table(pa.Table.from_pylist(rows[number::2]), tmp_path / f"hub/train-0000{number}.parquet")
    fsspec.filesystem("memory").put(str(tmp_path / "hub"), "/shop/hub", recursive=True)
    monkeypatch.setattr(buckets, "MOST_TEXT_BYTES", 10)  # no bound for shards
    here, there = import_dataset(tmp_path / "hub", settings), import_dataset("memory://shop/hub", settings)
    assert there.dataset.version == here.dataset.version and len(there.dataset.table) == len(rows) > 1
    assert (there.dataset.source, there.dataset.name) == ("memory://shop/hub", "hub")
    assert all(Path(path).is_relative_to(settings.imports) for path in there.dataset.table["path"])
    with pytest.raises(InputError, match="shards, more than the"):
        import_dataset("memory://shop/hub", replace(settings, remote_bytes=10))
    with pytest.raises(InputError, match="is one file; name the folder"):
        import_dataset("memory://shop/hub/train-00000.parquet", settings)


def test_an_image_that_was_dropped_is_fetched_again(settings: Settings, bucket: str, tmp_path: Path) -> None:
    row = import_dataset(bucket, settings).dataset.table.iloc[0]
    path = Path(row["path"])  # pathlib takes a slash away
    pixels = read_image(path)
    kept = remote.local(row["path"])
    assert kept.is_relative_to(settings.remote)
    kept.unlink()
    np.testing.assert_array_equal(read_image(path), pixels)
    assert content_hash(path) == row["content_hash"]
    assert thumbnail(path, tmp_path, 16, row["content_hash"]).is_file()


def test_what_is_kept_stays_below_its_limit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    monkeypatch.setenv("MAD_REMOTE_GB", "0.00001")  # ten thousand bytes
    for i in range(40):
        memory.pipe(f"/heap/{i}.bin", bytes([i]) * 1_000)
        remote.local(f"memory://heap/{i}.bin")
    there = [p for p in settings.remote.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in there) <= 10_000
    assert remote.local("memory://heap/39.bin") in there  # used least recently goes first
    memory.rm("/heap", recursive=True)


def test_what_is_gone_is_a_failed_image_with_its_address(settings: Settings, bucket: str) -> None:
    row = import_dataset(bucket, settings).dataset.table.iloc[0]
    remote.local(row["path"]).unlink()
    fsspec.filesystem("memory").rm(row["path"].removeprefix("memory:/"))
    with pytest.raises(ImageError, match=f"{row['path']} is not there") as caught:
        read_image(Path(row["path"]))
    assert caught.value.kind == "missing-file"


def test_a_lost_connection_is_said_and_no_half_file_stays(
    settings: Settings, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    class Cut:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def read(self, size: int) -> bytes:
            raise ConnectionResetError("Connection lost")

    monkeypatch.setattr(MemoryFileSystem, "open", lambda self, path, mode: Cut())
    address = f"{bucket}/test/good/0.png"
    with pytest.raises(ImageError, match=f"{address} cannot be read: Connection lost"):
        read_image(Path(address))
    assert not [p for p in settings.remote.rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("memory://nowhere/at/all", "is not there or holds no files"),
        ("memory://shop/../other", "leads out of itself"),
        ("s3://key:secret@bucket/parts", "carries no user, key or option"),
        ("s3://bucket/parts?versionId=1", "carries no user, key or option"),
        ("s3://bucket::file:///etc", "carries no user, key or option"),
    ],
)
def test_addresses_that_cannot_be_used(settings: Settings, address: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        import_dataset(address, settings)


def test_the_library_that_is_missing_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(address: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UnavailableError, match="pip install s3fs"):
        import_dataset("s3://bucket/parts", settings)


def test_names_that_lead_elsewhere_are_left_out(settings: Settings, bucket: str) -> None:
    memory = fsspec.filesystem("memory")
    memory.store["/shop/parts/test/good/a\\..\\..\\b.png"] = memory.store["/shop/parts/test/good/0.png"]
    memory.store["/shop/parts/test/good/../../../../../out.png"] = memory.store["/shop/parts/test/good/0.png"]
    found = import_dataset(bucket, settings)
    assert len(found.dataset.table) == 10
    assert any("no path that a folder can hold" in p.message for p in found.problems)
    assert not (settings.remote / "out.png").exists()


def test_pages_open_allowed_places_only() -> None:
    roots = "/data:s3://shop/parts/:/more"
    settings = Settings.from_environment({"MAD_HOME": "/home/mad", "MAD_ALLOWED_ROOTS": roots})
    assert settings.allowed_roots == (Path("/data"), Path("/more"))
    assert settings.may_open_address("s3://shop/parts")
    assert settings.may_open_address("s3://shop/parts/a")
    assert not settings.may_open_address("s3://shop/parts2")
    assert not Settings.from_environment({"MAD_HOME": "/home/mad"}).may_open_address("s3://shop/parts")
