"""Datasets in a bucket of a real S3 server: asked, listed and fetched over HTTP as from any other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from mad_core import remote
from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError, MadError
from mad_core.runs.here import do_here
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.settings import Settings

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
    rng = np.random.default_rng(0)
    root = tmp_path / "parts"
    for place, count in (("train/good", 4), ("test/good", 3), ("test/a scratch_level_2", 3)):
        (root / place).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(root / place / f"{i} + é.png")
    return root


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
    scores = []
    for found in (here, there):
        store = Store(Settings.from_environment({"MAD_HOME": str(settings.home / str(len(scores)))}))
        dataset = store.add_dataset(found)
        request = RunRequest(dataset, "filterbank", catalog.scorer("filterbank").check({}), device="cpu")
        run = store.request_run(request)
        job = store.queue.active_for(run.job_key)
        assert job is not None
        do_here(store, job.id, "cpu", lambda progress: None)
        table = store.scores(run.id).set_index("image_id")
        assert table["score"].notna().all()
        scores.append(table["score"].sort_index())
        store.close()
    assert scores[0].equals(scores[1])


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
