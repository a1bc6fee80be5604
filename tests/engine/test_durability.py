"""A power cut, a full disk, other users of the machine: what was acknowledged stays, and it is its owner's alone."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from PIL import Image

from mad_core import remote
from mad_core.audit.events import Event
from mad_core.audit.labels import AuditStore
from mad_core.backup.create import back_up
from mad_core.datasets.readers import archives
from mad_core.errors import WorkError
from mad_core.images import thumbnail
from mad_core.report.contents import Steps
from mad_core.report.export import write_report
from mad_core.runs import uploads
from mad_core.runs.store import RunRequest, Store
from mad_core.runs.worker import Worker
from mad_core.scorefiles import write_text
from mad_core.scorers.contract import Scored
from mad_core.scorers.features import weights
from mad_core.settings import Settings

from .pictures import industrial
from .test_importing_archives import pack_zip


@pytest.fixture
def modes(store: Store) -> Iterator[dict[str, str]]:
    """How each table was last written to: with FULL or NORMAL synchronisation."""
    now, found = ["?"], dict[str, str]()

    @sa.event.listens_for(store.database.engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        first, *rest = statement.replace("=", " ").split()
        if statement.startswith("PRAGMA synchronous"):
            now[0] = rest[-1]
        elif first in ("INSERT", "UPDATE", "DELETE"):
            found[f"{first} {rest[1] if first != 'UPDATE' else rest[0]}"] = now[0]

    yield found
    sa.event.remove(store.database.engine, "before_cursor_execute", note)


def test_what_people_did_survives_a_power_cut_and_work_is_done_again(
    store: Store, dataset_id: str, modes: dict[str, str]
) -> None:
    audit = AuditStore(store)
    image = store.dataset(dataset_id).table["image_id"].iloc[3]
    audit.record(Event(dataset_id, image, audit.reviewer("Mara").name, "level", after=1.0))
    run = store.request_run(RunRequest(dataset_id, "filterbank", {"bank": 5}))
    store.cuts.save(run.id, "a", [0, 1, 2], [0.1, 0.5])
    people = dict(modes)
    assert {"INSERT audit_events", "INSERT reviewers", "INSERT runs", "INSERT jobs", "INSERT cuts"} <= people.keys()
    assert set(people.values()) == {"FULL"}
    modes.clear()
    store.queue.register("w", "cpu", {})
    store.queue.claim("w", ("auto",))
    store.queue.beat_worker("w", None, {})
    store.add_scores(run.id, "a", [(Scored.of(image, 1.0, None, 0.1), None)])
    assert {"INSERT workers", "UPDATE jobs", "INSERT scores"} <= modes.keys() and set(modes.values()) == {"NORMAL"}
    with store.database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_store_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "mad.db").touch(mode=0o644)
    before = os.umask(0o022)
    try:
        store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
        store.queue.submit("run", {})
        assert mode(home) == 0o700
        assert {p.name: oct(mode(p)) for p in home.glob("mad.db*")} == dict.fromkeys(
            ("mad.db", "mad.db-wal", "mad.db-shm"), "0o600"
        )
        store.close()
    finally:
        os.umask(before)


def test_a_thumbnail_is_its_owners_alone_whoever_makes_it(tmp_path: Path) -> None:
    """Commands that write for others keep the user's own mask, and a report makes thumbnails in the store."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    before = os.umask(0o022)
    try:
        made = thumbnail(tmp_path / "a.png", tmp_path / "thumbnails" / "data", 8, "key")
    finally:
        os.umask(before)
    assert [oct(mode(path)) for path in (made, made.parent, made.parent.parent)] == ["0o600", "0o700", "0o700"]


def test_the_worker_makes_files_for_its_owner_alone(tmp_path: Path) -> None:
    """As its own process: what it makes is private, but a benchmark fetched elsewhere can be read by others."""
    code = (
        "import os, sys; from pathlib import Path; from mad_core.paths import keep_private, shared_files\n"
        "place = Path(sys.argv[1]); keep_private(); (place / 'a').touch()\n"
        "with shared_files(): (place / 'b').touch()\n"
        "(place / 'c').touch()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert [oct(mode(tmp_path / name)) for name in "abc"] == ["0o600", "0o644", "0o600"]


def test_what_was_unpacked_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack_zip(industrial(tmp_path / "plate"), tmp_path / "plate.zip", "")
    synced: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        archives, "sync", lambda place: synced.append((place.suffix, (tmp_path / "into" / "x").parent == place))
    )
    archives.extract(path, tmp_path / "into")
    assert synced == [(".part", False), ("", True)]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, bool]]:
    """What was brought to the disk: its suffix, its bytes, and whether the file that it becomes was there already."""
    seen: list[tuple[str, bytes, bool]] = []

    def note(path: Path) -> None:
        others = [other for other in path.parent.rglob("*") if other.is_file() and other != path]
        seen.append((path.suffix, path.read_bytes(), bool(others)))

    for module in (remote, uploads, weights):
        monkeypatch.setattr(module, "sync", note)
    return seen


BROUGHT = [(".part", b"bytes", False)]


def test_what_came_from_a_storage_is_on_the_disk_before_it_counts(tmp_path: Path, synced: list) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe("/durable/a.bin", b"bytes")
    remote.fetch("memory://durable/a.bin", tmp_path / "new" / "a.bin")
    memory.rm("/durable", recursive=True)
    assert synced == BROUGHT and (tmp_path / "new" / "a.bin").read_bytes() == b"bytes"


def test_an_upload_is_on_the_disk_before_it_counts(settings: Settings, synced: list) -> None:
    path = uploads.keep_upload(settings, "a.zip", b"bytes")
    assert synced == BROUGHT and path.read_bytes() == b"bytes"


def test_fetched_weights_are_on_the_disk_before_they_count(tmp_path: Path, synced: list, monkeypatch) -> None:
    (tmp_path / "cache").write_bytes(b"bytes")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: str(tmp_path / "cache"))
    (tmp_path / "weights").mkdir()
    path = weights._from_hub(next(iter(weights.KNOWN.values())), tmp_path / "weights")
    assert synced == BROUGHT and path.read_bytes() == b"bytes"


def test_a_full_disk_is_a_sentence_of_the_job(settings: Settings, store: Store, monkeypatch) -> None:
    def full(control: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x")

    monkeypatch.setattr("mad_core.runs.worker.handler_of", lambda job: full)
    job = store.queue.submit("import", {"source": "demo"})
    worker = Worker(settings, "cpu")
    try:
        claimed = store.queue.claim(worker.id, worker.devices)
        assert claimed is not None and worker.do(claimed).status == "failed"
    finally:
        worker.close()
    assert store.queue.job(job).error == "/data/x cannot be used: No space left on device."


def test_a_device_or_a_pipe_is_not_replaced_and_a_link_stays_one(tmp_path: Path) -> None:
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file.csv"
    os.mkfifo(pipe)
    with pytest.raises(WorkError, match="pipe cannot be written: it is no plain file"):
        write_text(pipe, "x")
    assert pipe.is_fifo()
    file.write_text("before")
    link.symlink_to(file)
    write_text(link, "after")
    assert link.is_symlink() and file.read_text() == "after"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.csv", "link", "pipe"]


def test_backups_and_reports_leave_devices_alone(store: Store, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(WorkError, match="it is no plain file"):
        back_up(store, pipe)
    with pytest.raises(WorkError, match="it is no plain file"):
        write_report(store, [], pipe, Steps(lambda done, total: None, 1))
    assert pipe.is_fifo() and list(tmp_path.glob(".*")) == []
