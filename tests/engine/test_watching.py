"""A folder under watch: arrivals come into the dataset once they are whole, each once, and are scored."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mad_core as mad
from mad_core.cli.main import app
from mad_core.errors import NotFoundError
from mad_core.runs.additions import add_images
from mad_core.runs.store import Store
from mad_core.runs.watching import WatchedFolders, Watcher
from mad_core.runs.worker import Worker
from mad_core.settings import Settings
from tests.engine.pictures import draw, tree

PARTS = [*(f"train/good/{i}.png" for i in range(4)), "test/good/0.png", "test/level_1/1.png"]


@pytest.fixture
def run(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> mad.ScoredRun:
    monkeypatch.setenv("MAD_HOME", str(settings.home))
    return mad.score(tree(tmp_path / "parts", PARTS), "filterbank")


@pytest.fixture
def watcher(run: mad.ScoredRun, tmp_path: Path) -> Watcher:
    (tmp_path / "camera").mkdir()
    return Watcher(run.store, run.store.run(run.id).dataset_id, (tmp_path / "camera").resolve())


def names(watcher: Watcher) -> list[str]:
    """Arrivals of the dataset, in order."""
    table = watcher.store.dataset(watcher.dataset_id).table
    return table.loc[table["path"].str.startswith(str(watcher.folder)), "template_path"].tolist()


def test_a_file_is_taken_once_it_stands_still_and_once_only(watcher: Watcher, run: mad.ScoredRun) -> None:
    assert watcher.look() is None
    draw(watcher.folder / "a.png", "a.png")
    assert watcher.look() is None  # it may still be growing
    added = watcher.look()
    assert added is not None and added.added == 1 and added.runs == (run.id,)
    assert watcher.look() is None and watcher.look() is None
    draw(watcher.folder / "copy.png", "a.png")
    draw(watcher.folder / "later/b.png", "b.png")
    watcher.look()
    added = watcher.look()
    assert added is not None and (added.added, added.there) == (1, 1)
    assert names(watcher) == ["a.png", "later/b.png"]
    again = Watcher(watcher.store, watcher.dataset_id, watcher.folder)  # after a restart
    again.look()
    assert again.look() is None and len(names(watcher)) == 2


def test_half_written_files_wait_and_others_do_not(watcher: Watcher, tmp_path: Path) -> None:
    whole = draw(tmp_path / "whole.png", "c.png", (64, 48)).read_bytes()
    (watcher.folder / "c.png").write_bytes(whole[: len(whole) // 2])
    (watcher.folder / "empty.png").touch()
    (watcher.folder / "d.png.part").write_bytes(whole)
    (watcher.folder / ".hidden.png").write_bytes(whole)
    (watcher.folder / "link.png").symlink_to(tmp_path / "whole.png")
    draw(watcher.folder / "e.png", "e.png")
    watcher.look()
    added = watcher.look()
    assert added is not None and names(watcher) == ["e.png"]
    assert [Path(path).name for path in watcher.waiting] == ["c.png"]
    assert watcher.look() is None
    (watcher.folder / "c.png").write_bytes(whole)
    os.utime(watcher.folder / "c.png", (1, 1))
    (watcher.folder / "d.png.part").rename(watcher.folder / "d.png")
    watcher.look()
    added = watcher.look()
    assert added is not None and (added.added, added.there) == (1, 1) and not watcher.waiting


def test_a_share_that_goes_away_is_said_and_taken_up_again(watcher: Watcher) -> None:
    draw(watcher.folder / "a.png", "a.png")
    watcher.look()
    watcher.look()
    watcher.folder.rename(watcher.folder.with_name("away"))
    assert watcher.look() is None and "cannot be read now" in watcher.error
    watcher.folder.symlink_to(watcher.folder.with_name("away"))
    assert watcher.look() is None and "not the folder that was asked for" in watcher.error
    watcher.folder.unlink()
    watcher.folder.with_name("away").rename(watcher.folder)
    draw(watcher.folder / "b.png", "b.png")
    assert watcher.look() is None and watcher.error == ""
    added = watcher.look()
    assert added is not None and added.added == 1 and names(watcher) == ["a.png", "b.png"]


def test_images_that_another_process_adds_meanwhile_do_no_harm(
    watcher: Watcher, run: mad.ScoredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(watcher.folder / "a.png", "a.png")
    watcher.look()
    other = Store(run.store.settings)
    more = mad.load(tree(tmp_path / "more", ["z.png"]), unlabelled=True)
    grow = watcher.store.grow_dataset

    def late(*asked: object) -> None:
        monkeypatch.setattr(watcher.store, "grow_dataset", grow)
        add_images(other, watcher.dataset_id, more)
        grow(*asked)

    monkeypatch.setattr(watcher.store, "grow_dataset", late)
    assert watcher.look() is None
    added = watcher.look()
    assert added is not None and added.added == 1 and added.images == len(PARTS) + 2
    other.close()


def test_the_worker_watches_and_scores_within_seconds(watcher: Watcher, run: mad.ScoredRun) -> None:
    store = Store(run.store.settings)
    watch = store.watches.add(watcher.dataset_id, str(watcher.folder))
    assert store.watches.add(watcher.dataset_id, str(watcher.folder), [run.id]).id == watch.id
    worker = Worker(run.store.settings, "cpu")
    working = threading.Thread(target=worker.work_forever)
    working.start()
    try:
        draw(watcher.folder / "a.png", "a.png")
        arrived = time.monotonic()
        while len(store.scores(run.id)) < 3 and time.monotonic() < arrived + 60:
            time.sleep(0.05)
        assert len(store.scores(run.id)) == 3
        took = time.monotonic() - arrived
    finally:
        worker.stopping.set()
        working.join()
        worker.close()
    assert took < 60  # 5 s on two cores that do nothing else
    (kept,) = store.watches.all()
    assert kept.state["added"] == 1 and kept.runs == (run.id,)
    store.watches.end(kept.id)
    with pytest.raises(NotFoundError):
        store.watches.end(kept.id)
    store.close()


def test_what_is_no_longer_watched_is_left(watcher: Watcher) -> None:
    folders = WatchedFolders(watcher.store)
    watch = watcher.store.watches.add(watcher.dataset_id, str(watcher.folder))
    folders.renew()
    _, stop, thread = folders._threads[watch.id]
    watcher.store.watches.end(watch.id)
    folders.renew()
    assert stop.is_set() and not folders._threads
    thread.join(30)
    assert not thread.is_alive()


def test_the_command(watcher: Watcher, run: mad.ScoredRun) -> None:
    draw(watcher.folder / "a.png", "a.png")
    asked = ["watch", str(watcher.folder), "--to", "parts", "--json"]
    found = CliRunner().invoke(app, [*asked, "--seconds", "3"])
    assert found.exit_code == 0, found.output
    assert (
        json.loads(found.stdout)["added"] == 1
        and len(run.table) == 3
        and run.table["score"].notna().tolist() == [True] * 3
    )
    assert json.loads(CliRunner().invoke(app, [*asked, "--leave"]).stdout)["watched"] == [str(watcher.folder)]
    assert json.loads(CliRunner().invoke(app, [*asked, "--end"]).stdout)["watched"] == []
    gone = CliRunner().invoke(app, ["watch", str(watcher.folder / "nothing"), "--to", "parts"])
    assert gone.exit_code != 0 and "no folder" in str(gone.exception)
