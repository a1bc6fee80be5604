"""Backup and restore of the store: nothing lost, nothing trusted, and the old store whole until the new one stands."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from mad_core.audit.events import Event
from mad_core.audit.labels import AuditStore
from mad_core.backup import restore as restoring
from mad_core.backup import table_rows
from mad_core.backup.create import FILES, MANIFEST, back_up
from mad_core.backup.restore import restore
from mad_core.cli.main import main
from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import InputError, MadError, WorkError
from mad_core.images import ImageError, read_image
from mad_core.runs.database.schema import datasets, images, metadata, runs
from mad_core.runs.store import Run, RunRequest, RunSubset, Store
from mad_core.runs.uploads import keep_upload
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings

from .conftest import make_dataset

ROOT = Path(__file__).resolve().parents[2]


def scored_run(store: Store, dataset_id: str, *, images: int | None = None) -> Run:
    """A run with scores and maps, as a worker leaves it; of so many images of each subset, or of all."""
    run = store.request_run(RunRequest(dataset_id, "filterbank", {"bank": 5}, map_side=16))
    rng = np.random.default_rng(3)
    for subset in run.subsets:
        for slot, image_id in enumerate(
            store.dataset(dataset_id).select(split="test", subset=subset)["image_id"][:images]
        ):
            found = Scored(image_id, rng.normal(), map=rng.random((12, 16), np.float32), distribution=np.full(101, 0.1))
            ref = store.maps.write(run.id, subset, slot, found.map, 16)
            store.add_scores(run.id, subset, [(found, ref)])
    return store.run(run.id)


@pytest.fixture
def filled(settings: Settings, store: Store) -> Store:
    """A store with an uploaded dataset, a run with maps, cuts, a label, and files that belong into a backup or not."""
    data = make_dataset()
    folder = settings.imports / "upload-1" / "parts"
    table = data.table.assign(path=[str(folder / path) for path in data.table["template_path"]])
    dataset_id = store.add_dataset(Imported(Dataset("parts", table, data.card, str(folder))))
    run = scored_run(store, dataset_id)
    store.save_run_subset(run.id, RunSubset("a", "f", 1.0, 2.0, {"bank": 5}))
    store.cuts.save(run.id, "a", [0, 1, 2], [0.1, 0.5])
    store.tags.add(dataset_id, table["image_id"].tolist()[:2], "to rework")
    store.notices.of("ada")
    audit = AuditStore(store)
    audit.record(Event(dataset_id, table["image_id"].iloc[3], audit.reviewer("Mara").name, "level", after=1.0))
    for name in ("fits/f/state.safetensors", "studies/s/k.json", "imports/upload-1/parts/x.png", "consents.json"):
        (settings.home / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.home / name).write_bytes(name.encode())
    for name in ("thumbnails/t.webp", "weights/w.safetensors", "logs/worker.log", "imports/half.part", "x.lock"):
        (settings.home / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.home / name).write_bytes(b"made again")
    return store


def elsewhere(settings: Settings, folder: Path) -> Settings:
    return Settings.from_environment({"MAD_HOME": str(folder)})


def all_rows(store: Store) -> dict[str, list[str]]:
    with store.database.read() as connection:
        return {table.name: sorted(table_rows.lines_of(connection, table)) for table in table_rows.tables(connection)}


def files_of(home: Path) -> set[str]:
    return {p.relative_to(home).as_posix() for p in home.rglob("*") if p.is_file()}


def test_a_backup_comes_back_as_it_was_in_another_folder(filled: Store, settings: Settings, tmp_path: Path) -> None:
    (run,) = filled.runs()
    done = back_up(filled, tmp_path / "b.zip")
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o600 and done.skipped == ()
    there = elsewhere(settings, tmp_path / "new")
    restore(there, done.path, own=True)
    opened = Store(there)
    moved = {
        name: [line.replace(str(there.home), str(settings.home)) for line in lines]
        for name, lines in all_rows(opened).items()
    }
    assert moved == all_rows(filled) and all(len(lines) > 1 for name, lines in moved.items() if name != "studies")
    (dataset,) = opened.datasets()
    image = opened.image(dataset.id, opened.dataset(dataset.id).table["image_id"].iloc[0])
    assert image["path"].startswith(str(there.imports)) and dataset.source.startswith(str(there.imports))
    for image_id in filled.scores(run.id)["image_id"]:
        np.testing.assert_array_equal(opened.read_map(run, image_id), filled.read_map(run, image_id))
    assert opened.cuts.of_run(run.id)["a"].cuts == (0.1, 0.5)
    assert {"fits/f/state.safetensors", "studies/s/k.json", "consents.json"} <= files_of(there.home)
    assert not {"thumbnails", "weights", "logs", "x.lock"} & {p.name for p in there.home.iterdir()}
    assert opened.queue.submit("run", {}) > max(job.id for job in filled.queue.active())
    opened.close()
    assert [p.name for p in tmp_path.iterdir() if ".restoring" in p.name] == []


def test_what_passes_is_in_no_backup(filled: Store, settings: Settings, tmp_path: Path) -> None:
    """Single uploads, and archives that became no dataset; one that still waits to be imported is in it."""
    waiting = keep_upload(settings, "waiting.zip", b"waiting")
    failed = keep_upload(settings, "failed.zip", b"failed")
    filled.queue.submit("import", {"source": str(waiting)})
    (settings.imports / "0123").mkdir()
    for file in (settings.uploads / "a", settings.imports / "0123" / "x.png"):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    with zipfile.ZipFile(back_up(filled, tmp_path / "b.zip").path) as archive:
        names = {name.removeprefix(FILES) for name in archive.namelist()}
    assert {waiting.relative_to(settings.home).as_posix(), "imports/upload-1/parts/x.png"} <= names
    assert not {failed.relative_to(settings.home).as_posix(), "uploads/a", "imports/0123/x.png", "secret.key"} & names


def test_what_is_left_out_stays_in_the_store_it_is_restored_to(
    filled: Store, settings: Settings, tmp_path: Path
) -> None:
    done = back_up(filled, tmp_path / "b.zip", leave_out=["maps", "datasets"])
    with zipfile.ZipFile(done.path) as archive:
        assert not [n for n in archive.namelist() if n.startswith((f"{FILES}maps", f"{FILES}imports"))]
    (settings.home / "fits" / "later").mkdir()
    (settings.home / "fits" / "later" / "x").touch()
    (settings.home / "madbench").symlink_to(tmp_path)
    filled.close()
    restore(settings, done.path, replace=True)
    (run,) = filled.runs()
    assert filled.read_map(run, filled.scores(run.id)["image_id"].iloc[0]) is not None
    kept = {"imports/upload-1/parts/x.png", "weights/w.safetensors", "thumbnails/t.webp"}
    assert kept <= files_of(settings.home) and not (settings.home / "fits" / "later").exists()
    assert (settings.home / "madbench").readlink() == tmp_path


def test_a_store_that_is_there_goes_only_when_asked_and_never_under_a_worker(
    filled: Store, settings: Settings, tmp_path: Path
) -> None:
    done, before = back_up(filled, tmp_path / "b.zip"), all_rows(filled)
    with pytest.raises(InputError, match="--replace"):
        restore(settings, done.path)
    filled.queue.register("w", "cpu", {})
    with pytest.raises(WorkError, match="stop the app"):
        restore(settings, done.path, replace=True)
    filled.queue.unregister("w")
    filled.rename_run(filled.runs()[0].id, "changed since")
    filled.close()
    restore(settings, done.path, replace=True)
    assert all_rows(filled) == before


def test_a_store_that_cannot_be_read_can_be_replaced(filled: Store, settings: Settings, tmp_path: Path) -> None:
    done, before = back_up(filled, tmp_path / "b.zip"), all_rows(filled)
    filled.close()
    for file in settings.home.glob("mad.db*"):
        file.write_bytes(b"this is no database" * 100)
    restore(settings, done.path, replace=True)
    assert all_rows(filled) == before


def test_a_backup_while_a_run_is_at_work_is_one_moment_of_it(store: Store, dataset_id: str, tmp_path: Path) -> None:
    big = make_dataset("big", ("a",), per_level=150)
    run = scored_run(store, store.add_dataset(Imported(big)), images=20)
    store.queue.claim("w", ("auto",))
    store.update_run(run.id, status="running")
    ends = threading.Event()

    def work() -> None:
        rest = big.select(split="test", subset="a")["image_id"].tolist()[20:]
        for slot, image_id in enumerate(rest, start=20):
            if ends.is_set():
                return
            ref = store.maps.write(run.id, "a", slot, np.full((12, 16), slot + 1, np.float32), 16)
            store.add_scores(run.id, "a", [(Scored(image_id, float(slot)), ref)])

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for number in range(3):
            there = elsewhere(store.settings, tmp_path / f"new{number}")
            restore(there, back_up(store, tmp_path / f"{number}.zip").path, own=True)
            opened = Store(there)
            table, found = opened.scores(run.id), opened.run(run.id)
            assert len(table) == found.done >= 20
            for image_id, score in zip(table["image_id"][20:], table["score"][20:], strict=True):
                np.testing.assert_allclose(opened.read_map(found, image_id), score + 1, rtol=1e-3)
            job = opened.queue.active_for(found.job_key)
            assert job is not None and job.status == "running"
            opened.queue.requeue_lost()
            again = opened.queue.claim("me", ("auto",))
            assert again is not None and again.payload == {"run": run.id}
            opened.close()
    finally:
        ends.set()
        worker.join()


# -- what nobody vouches for ----------------------------------------------------------------------


@pytest.fixture
def armed(filled: Store, tmp_path: Path) -> Path:
    """A backup with work that waits and is at work, and rows that name files of the machine and addresses."""
    (info,) = filled.datasets()
    ids = filled.dataset(info.id).table["image_id"].tolist()
    changed = {
        ids[0]: {"path": "/etc/passwd"},
        ids[1]: {"path": "s3://theirs/x.png"},
        ids[2]: {"mask_path": "/etc/passwd"},
        ids[3]: {"mask_path": "memory://theirs/m.png"},
        ids[4]: {"path": str(filled.settings.home / ".." / "x.png")},
        ids[5]: {"path": "relative/x.png"},
    }
    with filled.database.write() as connection:
        for image_id, values in changed.items():
            connection.execute(images.update().where(images.c.image_id == image_id).values(**values))
        connection.execute(datasets.update().values(source="/"))
        connection.execute(runs.update().values(parameters={"bank": 5, "model": "/etc", "rubric": "a: b\n/x"}))
    filled.queue.submit("import", {"source": "/etc"})
    filled.queue.submit("run", {"run": filled.runs()[0].id})
    filled.queue.claim("w", ("auto",))
    filled.update_run(filled.runs()[0].id, status="running")
    return back_up(filled, tmp_path / "theirs.zip").path


def test_what_another_store_wrote_does_nothing_and_opens_nothing(
    armed: Path, settings: Settings, tmp_path: Path
) -> None:
    there = replace(elsewhere(settings, tmp_path / "new"), allowed_roots=(tmp_path / "open",))
    assert restore(there, armed).strange
    opened = Store(there)
    assert opened.queue.active() == [] and opened.runs()[0].status == "cancelled"
    assert "another store wrote" in str(opened.runs()[0].error)
    assert "consents.json" not in files_of(there.home) and "secret.key" not in files_of(there.home)
    elsewhere_in = str(there.home / "elsewhere" / "etc")
    assert opened.runs()[0].parameters == {"bank": 5, "model": elsewhere_in, "rubric": "a: b\n/x"}
    (info,) = opened.datasets()
    table = opened.dataset(info.id).table
    named = [*table["path"], *table["mask_path"].dropna(), info.source]
    assert all(Path(path).is_relative_to(there.home) for path in named)
    assert sum("elsewhere" in path for path in named) == 7
    assert not (there.home / "elsewhere").exists()
    with pytest.raises(ImageError, match="is not there"):
        read_image(Path(table["path"].iloc[0]))
    opened.close()


def test_what_the_store_itself_wrote_or_somebody_vouches_for_goes_on(
    armed: Path, filled: Store, settings: Settings, tmp_path: Path
) -> None:
    before = all_rows(filled)
    filled.close()
    assert not restore(settings, armed, replace=True).strange
    assert all_rows(filled) == before and "consents.json" in files_of(settings.home)
    assert not restore(settings, armed, replace=True).strange  # the key came along
    there = elsewhere(settings, tmp_path / "new")
    assert not restore(there, armed, own=True).strange
    assert len(Store(there).queue.active()) == len(filled.queue.active())


def test_a_seal_is_of_every_byte_and_no_backup_brings_a_key(armed: Path, settings: Settings, tmp_path: Path) -> None:
    def turned(members: dict[str, bytes], manifest: dict) -> None:
        members["rows/jobs.jsonl"] = members["rows/jobs.jsonl"].replace(b"/etc", b"/usr")
        manifest["members"].pop("rows/jobs.jsonl")

    forged = rewritten(armed, tmp_path / "forged.zip", turned)
    assert restore(settings, forged, replace=True).strange

    def with_key(members: dict[str, bytes], manifest: dict) -> None:
        members["files/secret.key"] = b"x" * 32

    with pytest.raises(InputError, match="no file of a store"):
        restore(settings, rewritten(armed, tmp_path / "key.zip", with_key), replace=True)


def rewritten(source: Path, target: Path, change: Callable[[dict[str, bytes], dict], None]) -> Path:
    """A backup whose members and manifest were changed by hand; digests and sizes fit again unless they are changed."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop(MANIFEST))
    change(members, manifest)
    for name, data in members.items():
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        manifest["members"].setdefault(name, {"bytes": len(data), "digest": digest})
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, json.dumps(manifest))
    return target


def put(name: str, data: bytes = b"x") -> Callable[[dict[str, bytes], dict], None]:
    def change(members: dict[str, bytes], manifest: dict) -> None:
        members[name] = data
        manifest["members"].pop(name, None)

    return change


def said(**facts: object) -> Callable[[dict[str, bytes], dict], None]:
    return lambda members, manifest: manifest.update(facts)


def without(name: str) -> Callable[[dict[str, bytes], dict], None]:
    return lambda members, manifest: members.pop(name)  # type: ignore[func-returns-value]


def bent(members: dict[str, bytes], manifest: dict) -> None:
    members["files/consents.json"] = b"others"[: len(members["files/consents.json"])].ljust(13, b"!")


RUNS = "rows/runs.jsonl"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("files/../../evil"), "no file of a store"),
        (put("files//etc/evil"), "no file of a store"),
        (put("files/a\\..\\evil"), "no file of a store"),
        (put("files/weights/evil.safetensors"), "no file of a store"),
        (put("files/mad.db"), "no file of a store"),
        (put("files/.ssh/authorized_keys"), "no file of a store"),
        (put("evil"), "no file of a store"),
        (put("rows/evil.jsonl"), "not those that its manifest names"),
        (put(RUNS, b'["id"]\n'), "columns of 'runs'"),
        (put(RUNS, b"cos\nsystem\n(S'id'\ntR.\n"), "damaged"),
        (put(RUNS, b"[" * 100_000), "damaged"),
        (without(RUNS), "not those that its manifest names"),
        (without("files/consents.json"), "not those that its manifest names"),
        (bent, "other bytes"),
        (said(tables={"runs": 1}), "not those that its manifest names"),
        (said(schema="9999", version="7.0"), "newer version"),
        (said(format=2), "newer version"),
        (said(tables=[]), "damaged"),
    ],
)
def test_a_backup_that_was_tampered_with_is_refused_and_nothing_is_written(
    filled: Store, settings: Settings, tmp_path: Path, change, sentence: str
) -> None:
    good = back_up(filled, tmp_path / "b.zip").path
    bad = rewritten(good, tmp_path / "bad.zip", change)
    before, contents = all_rows(filled), files_of(settings.home)
    filled.close()
    there = {p.name for p in tmp_path.iterdir()}
    with pytest.raises(MadError, match=sentence):
        restore(settings, bad, replace=True)
    assert all_rows(filled) == before and files_of(settings.home) == contents
    assert {p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")} == there


def test_links_in_a_backup_are_refused(filled: Store, settings: Settings, tmp_path: Path) -> None:
    good, bad = back_up(filled, tmp_path / "b.zip").path, tmp_path / "bad.zip"
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, "w") as out:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename == "files/consents.json":
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            out.writestr(info, data)
    with pytest.raises(InputError, match="no plain file"):
        restore(elsewhere(settings, tmp_path / "new"), bad)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("cut", [0, 10, 0.3, 0.9, -1])
def test_a_damaged_backup_is_a_sentence(filled: Store, settings: Settings, tmp_path: Path, cut: float) -> None:
    good = back_up(filled, tmp_path / "b.zip").path
    whole = good.read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: cut if isinstance(cut, int) else int(cut * len(whole))])
    with pytest.raises(InputError, match="damaged or no backup"):
        restore(elsewhere(settings, tmp_path / "new"), tmp_path / "cut.zip")
    assert not (tmp_path / "new").exists()


def test_a_flipped_byte_is_found_wherever_it_is(filled: Store, settings: Settings, tmp_path: Path) -> None:
    good = bytearray(back_up(filled, tmp_path / "b.zip").path.read_bytes())
    rng = np.random.default_rng(1)
    there = elsewhere(settings, tmp_path / "new")
    for at in rng.integers(0, len(good), 10):
        bad = bytearray(good)
        bad[at] ^= 0x41
        (tmp_path / "bad.zip").write_bytes(bad)
        try:
            restore(there, tmp_path / "bad.zip")
        except MadError:
            assert not there.home.exists()
        else:  # a byte that says nothing, such as a member's date
            opened = Store(there)
            assert {k: len(v) for k, v in all_rows(opened).items()} == {k: len(v) for k, v in all_rows(filled).items()}
            opened.close()
            subprocess.run(["rm", "-r", str(there.home)], check=True)


# -- a kill in the middle -------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from mad_core.backup import restore as restoring
from mad_core.settings import Settings

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr(restoring, sys.argv[1], die)
restoring.restore(Settings.from_environment(), Path(sys.argv[2]), replace=True)
"""


@pytest.mark.parametrize("step", ["_write_database", "_change_places"])
def test_killed_in_the_middle_the_old_store_is_whole(
    filled: Store, settings: Settings, tmp_path: Path, step: str
) -> None:
    done = back_up(filled, tmp_path / "b.zip")
    filled.rename_run(filled.runs()[0].id, "the old one")
    before = all_rows(filled)
    filled.close()
    environment = {**os.environ, "MAD_HOME": str(settings.home), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", KILLED, step, str(done.path)], env=environment, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    assert all_rows(filled) == before and "weights/w.safetensors" in files_of(settings.home)
    filled.close()
    restore(settings, done.path, replace=True)
    assert filled.runs()[0].title != "the old one"
    assert [p.name for p in tmp_path.iterdir() if ".restoring" in p.name] == []


def test_where_folders_cannot_change_places_in_one_step_they_do_in_two(
    filled: Store, settings: Settings, tmp_path: Path, monkeypatch
) -> None:
    def cannot(one: Path, other: Path) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    done, before = back_up(filled, tmp_path / "b.zip"), all_rows(filled)
    filled.rename_run(filled.runs()[0].id, "the old one")
    filled.close()
    monkeypatch.setattr(restoring, "_exchange", cannot)
    restore(settings, done.path, replace=True)
    assert all_rows(filled) == before
    assert [p.name for p in tmp_path.iterdir() if ".before" in p.name] == []


# -- databases that are not in the folder -----------------------------------------------------------


def test_a_database_elsewhere_is_restored_with_the_folder_or_not_at_all(
    filled: Store, settings: Settings, tmp_path: Path, monkeypatch
) -> None:
    done, before = back_up(filled, tmp_path / "b.zip"), all_rows(filled)
    apart = replace(settings, home=tmp_path / "apart", database_url=f"sqlite:///{tmp_path / 'rows.db'}")
    restore(apart, done.path, own=True)
    opened = Store(apart)
    title = opened.runs()[0].title
    opened.rename_run(opened.runs()[0].id, "later")
    again = back_up(opened, tmp_path / "again.zip")
    assert not (apart.home / "mad.db").exists() and (apart.home / "consents.json").exists()
    assert {k: len(v) for k, v in all_rows(opened).items()} == {k: len(v) for k, v in before.items()}
    opened.close()
    with pytest.raises(InputError, match="--replace"):
        restore(apart, again.path)

    def fails(building: Path, home: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "_change_places", fails)
        with pytest.raises(WorkError, match="No space"):
            restore(apart, done.path, replace=True)
    assert opened.runs()[0].title == "later"
    opened.close()
    restore(apart, done.path, replace=True)
    assert opened.runs()[0].title == title
    opened.close()


def test_a_backup_says_what_it_could_not_take(filled: Store, settings: Settings, tmp_path: Path) -> None:
    (settings.home / "madbench").symlink_to(tmp_path)
    done = back_up(filled, tmp_path / "b.zip")
    assert done.skipped == ("madbench: a link; what it leads to is not in the backup",)
    with pytest.raises(InputError, match="own folder"):
        back_up(filled, settings.home / "b.zip")
    with pytest.raises(InputError, match="cannot be left out"):
        back_up(filled, tmp_path / "c.zip", leave_out=["scores"])


def test_the_commands(filled: Store, settings: Settings, tmp_path: Path, monkeypatch, capsys) -> None:
    def mad(*arguments: str, home: Path = settings.home) -> tuple[str, str]:
        monkeypatch.setenv("MAD_HOME", str(home))
        monkeypatch.setattr(sys, "argv", ["mad", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
        out, err = capsys.readouterr()
        return out, err if ended.value.code else ""

    written = json.loads(mad("backup", str(tmp_path / "b.zip"), "--leave-out", "fits", "--json")[0])
    assert written["rows"]["datasets"] == 1 and written["left_out"] == ["fits"]
    put_back = json.loads(mad("restore", str(tmp_path / "b.zip"), "--json", home=tmp_path / "new")[0])
    assert put_back["rows"] == written["rows"] and (tmp_path / "new" / "mad.db").exists()
    assert "--replace puts the backup in its place" in mad("restore", str(tmp_path / "b.zip"))[1]
    assert "none.zip: No such file" in mad("restore", str(tmp_path / "none.zip"), home=tmp_path / "other")[1]


def test_rows_of_an_unknown_shape_are_refused(store: Store) -> None:
    with store.database.write() as connection:
        (table,) = [t for t in table_rows.tables(connection) if t.name == "reviewers"]
        names = json.dumps(table.columns.keys())
        for bad in ('["a"]', '{"name": "a"}', '[{"a": 1}, "r", null, 1.0]', "7"):
            with pytest.raises((ValueError, TypeError)):
                table_rows.fill(connection, table, [names, bad])
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0


def test_the_rows_of_before_go_with_each_table_before_those_it_refers_to(store: Store) -> None:
    """SQLite drops a table that others refer to, a server does not."""
    dropped: list[str] = []

    def note(connection, cursor, statement: str, *rest) -> None:
        if statement.strip().startswith("DROP TABLE"):
            dropped.append(statement.split()[-1].strip('"'))

    with store.database.write() as connection:
        sa.event.listen(connection, "before_cursor_execute", note)
        restoring._clear(connection)
    assert {*metadata.tables} <= {*dropped}
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            assert dropped.index(table.name) < dropped.index(key.column.table.name)
