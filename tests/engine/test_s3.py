"""Datasets in a bucket of a real S3 server: asked, listed and fetched over HTTP as from any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from mad_core import remote
from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError, MadError
from mad_core.settings import Settings
from tests.engine.storage_parts import draw, scores_of

pytest.importorskip("s3fs", reason="S3 needs s3fs: pip install -r requirements-storage.txt")
moto_server = pytest.importorskip("moto.server", reason="an S3 server needs moto[s3,server]")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    started = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    started.start()
    host, port = started.get_host_and_port()
    yield f"http://{host}:{port}"
    started.stop()


@pytest.fixture
def settings(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A store of its own, and credentials where S3's library looks for them."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "inspector")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-told")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    return Settings.from_environment()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return draw(tmp_path / "parts", "a scratch_level_2", "{} + é.png")


@pytest.fixture
def bucket(settings: Settings, folder: Path) -> Iterator[str]:
    system = fsspec.filesystem("s3")
    system.mkdir("shop")
    system.put(str(folder), "shop/", recursive=True)
    yield "s3://shop/parts"
    system.rm("shop", recursive=True)


def test_it_is_imported_and_scored_as_from_a_folder(settings: Settings, folder: Path, bucket: str) -> None:
    here, there = import_dataset(folder, settings), import_dataset(bucket, settings)
    assert there.dataset.version == here.dataset.version
    assert not there.problems
    for kept in settings.remote.rglob("*.png"):  # scoring fetches what it needs by itself
        kept.unlink()
    expected, found = scores_of(here, settings.home / "0"), scores_of(there, settings.home / "1")
    assert expected.notna().all() and found.notna().all()
    assert expected.equals(found)


def test_what_cannot_be_had_is_said_with_its_address(settings: Settings, bucket: str) -> None:
    with pytest.raises(InputError, match="s3://shop/elsewhere is not there or holds no files"):
        import_dataset("s3://shop/elsewhere", settings)
    with pytest.raises(MadError, match="s3://no-such-bucket/parts"):
        import_dataset("s3://no-such-bucket/parts", settings)
    with pytest.raises(remote.MissingError, match=r"s3://shop/parts/gone\.png is not there"):
        remote.local(f"{bucket}/gone.png")


def test_a_server_that_is_not_there_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(MadError, match=r"s3://shop/parts cannot be read: .*127\.0\.0\.1:9") as caught:
        import_dataset("s3://shop/parts", settings)
    assert "not-told" not in str(caught.value)
