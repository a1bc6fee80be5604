"""The record of label audits: roles, undo, what stands, and many writers at once."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from mad_core.audit.events import Event, new_id
from mad_core.audit.labels import AuditStore, levels_of
from mad_core.datasets.dataset import Card, Dataset, Imported, LevelMeaning, image_id
from mad_core.errors import AccessError, InputError, NotFoundError
from mad_core.runs.database.engine import MIGRATIONS
from mad_core.runs.store import Store
from mad_core.settings import Settings

from .conftest import make_dataset


@pytest.fixture
def audit(store: Store) -> AuditStore:
    made = AuditStore(store)
    made.reviewer("Ada")
    made.reviewer("Ben")
    return made


@pytest.fixture
def tests(store: Store, dataset_id: str) -> pd.DataFrame:
    return store.dataset(dataset_id).select(split="test", subset="a")


def rate(dataset_id: str, image: str, reviewer: str = "Ada", level: float | None = 2.0, **facts: Any) -> Event:
    return Event(dataset_id, image, reviewer, "level", after=level, **facts)


# -- reviewers ----------------------------------------------------------------------------------


def test_the_first_reviewer_is_adjudicator_and_gives_roles(store: Store) -> None:
    audit = AuditStore(store)
    assert audit.reviewer("  Ada   Lovelace ").role == "adjudicator"
    assert audit.reviewer("Ben").role == "reviewer"
    assert audit.reviewer("ada lovelace").name == "Ada Lovelace"
    with pytest.raises(AccessError, match="'Ben' is a reviewer and cannot give roles"):
        audit.set_role("Ben", "adjudicator", by="Ben")
    with pytest.raises(AccessError, match="no reviewer here"):
        audit.set_role("Ben", "adjudicator", by="nobody")
    with pytest.raises(InputError, match="only adjudicator"):
        audit.set_role("Ada Lovelace", "reviewer", by="Ada Lovelace")
    assert audit.set_role("Ben", "adjudicator", by="Ada Lovelace").role == "adjudicator"
    assert audit.set_role("Ada Lovelace", "viewer", by="Ben").role == "viewer"
    assert [one.role for one in audit.reviewers()] == ["viewer", "adjudicator"]
    with pytest.raises(NotFoundError, match="no reviewer 'Cy'"):
        audit.set_role("Cy", "viewer", by="Ben")
    with pytest.raises(InputError, match="no role"):
        audit.set_role("Ben", "owner", by="Ben")
    with pytest.raises(InputError, match="1 to 200"):
        audit.reviewer("   ")


def test_only_an_adjudicator_opens_labels(store: Store, dataset_id: str) -> None:
    audit = AuditStore(store)
    audit.reviewer("Ada")
    audit.reviewer("Ben")
    with pytest.raises(AccessError, match="'Ben' is a reviewer and cannot open labels"):
        audit.open_labels(dataset_id, True, by="Ben")
    assert not store.dataset_info(dataset_id).card.audit_open
    audit.open_labels(dataset_id, True, by="Ada")
    assert store.dataset_info(dataset_id).card.audit_open


def test_a_login_is_somebody_else_than_a_name(store: Store) -> None:
    audit = AuditStore(store)
    assert audit.reviewer("Ada").role == "adjudicator"
    first = audit.reviewer("Ada", login="ada@example.org")
    assert (first.name, first.role) == ("Ada (ada@example.org)", "adjudicator")
    second = audit.reviewer("Ben", login="ben@example.org")
    assert (second.name, second.role) == ("Ben", "reviewer")
    assert audit.reviewer("Benjamin", login="ben@example.org") == second
    with pytest.raises(AccessError, match="belongs to somebody who logs in"):
        audit.reviewer("ben")


def test_a_login_is_issuer_and_subject_and_the_address_is_for_display(store: Store) -> None:
    audit = AuditStore(store)
    ada = audit.reviewer("Ada", "https://login 1", address="ada@example.org")
    assert (ada.login, ada.address) == ("https://login 1", "ada@example.org")
    assert audit.reviewer("Ada L.", "https://login 1", address="lovelace@example.org") == ada
    # Whoever gets the address later, or claims it, or has the number elsewhere, is somebody else.
    others = [
        ("https://login 2", "ada@example.org"),
        ("https://elsewhere 1", "ada@example.org"),
        ("https://login 3", ""),
    ]
    for login, address in others:
        other = audit.reviewer("Ada", login, address=address, former=address)
        assert other.name != "Ada" and other.role == "reviewer"
    assert len({one.name for one in audit.reviewers()}) == 4


def test_reviewers_of_earlier_stores_are_known_by_issuer_and_subject_from_now_on(store: Store) -> None:
    audit = AuditStore(store)
    audit.reviewer("Ada", "Ada@example.org")  # as written before logins were issuer and subject
    audit.reviewer("Ben", "1234")
    assert audit.reviewer("Eve", "https://login 6", address="", former="").name == "Eve"
    ada = audit.reviewer("Ada Lovelace", "https://login 1", address="ada@example.org", former="ada@example.org")
    assert (ada.name, ada.role, ada.login) == ("Ada", "adjudicator", "https://login 1")
    assert audit.reviewer("x", "https://login 2", former="1234").name == "Ben"
    assert audit.reviewer("x", "https://login 5", address="ada@example.org", former="ada@example.org").name == "x"
    assert [one.name for one in audit.reviewers()] == ["Ada", "Ben", "Eve", "x"]


def test_owner_of_the_store_gives_roles(audit: AuditStore) -> None:
    assert audit.set_role("Ben", "viewer", by=None).role == "viewer"


def test_roles_are_enforced_in_the_record(audit: AuditStore, dataset_id: str, tests: pd.DataFrame) -> None:
    image = tests["image_id"].iloc[0]
    audit.set_role("Ben", "viewer", by="Ada")
    with pytest.raises(AccessError, match="'Ben' is a viewer and cannot change the record"):
        audit.record(rate(dataset_id, image, "Ben"))
    with pytest.raises(AccessError, match="viewer"):
        audit.undo(dataset_id, "Ben")
    audit.set_role("Ben", "reviewer", by="Ada")
    audit.record(rate(dataset_id, image, "Ben"))
    audit.record(Event(dataset_id, image, "Ben", "anchor", after=2.0))
    with pytest.raises(AccessError, match="cannot decide on a label"):
        audit.record(Event(dataset_id, image, "Ben", "adjudicate", after=2.0))
    with pytest.raises(AccessError, match="cannot import events"):
        audit.merge([], by="Ben")
    audit.record(Event(dataset_id, image, "Ada", "adjudicate", after=1.0))
    with pytest.raises(AccessError, match="'Cy' is no reviewer here"):
        audit.record(rate(dataset_id, image, "Cy"))
    assert len(audit.events(dataset_id)) == 3


# -- what is written ----------------------------------------------------------------------------


def test_the_record_fills_in_what_the_store_knows(audit: AuditStore, store: Store, dataset_id: str, tests) -> None:
    row = tests.iloc[-1]  # labelled L2
    first = audit.record(rate(dataset_id, row["image_id"], level=1.0, reason="small", seconds=2.5))
    assert (first.before, first.after) == (2.0, 1.0)
    assert (first.content_hash, first.subset, first.path) == (row["content_hash"], "a", row["template_path"])
    assert first.dataset_version == store.dataset(dataset_id).version
    second = audit.record(rate(dataset_id, row["image_id"], level=0.0))
    assert second.before == 1.0
    assert second.time > first.time
    other = audit.record(rate(dataset_id, row["image_id"], "Ben", level=0.0))
    assert other.before == 2.0
    decided = audit.record(Event(dataset_id, row["image_id"], "Ada", "adjudicate", after=0.0))
    assert decided.before == 2.0
    assert audit.record(Event(dataset_id, row["image_id"], "Ada", "adjudicate", after=1.0)).before == 0.0
    assert audit.events(dataset_id)[:3] == [first, second, other]


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"after": 7.0}, InputError, "'a' has no level 7; it has 0, 1, 2"),
        ({"after": 0.5}, InputError, "no level 0.5"),
        ({"image_id": "elsewhere"}, NotFoundError, "not in dataset 'parts'"),
        ({"dataset_id": "none"}, NotFoundError, "No dataset"),
        ({"kind": "compare", "after": 1.0, "other": "elsewhere"}, NotFoundError, "not in dataset"),
        ({"kind": "undo", "after": None, "undoes": new_id()}, NotFoundError, "not in the record"),
    ],
)
def test_events_that_make_no_sense_leave_no_trace(audit, dataset_id, tests, change, error, sentence) -> None:
    with pytest.raises(error, match=sentence):
        audit.record(replace(rate(dataset_id, tests["image_id"].iloc[0]), **change))
    assert audit.events(dataset_id) == []


def test_comparisons_stay_within_a_subset(audit: AuditStore, store: Store, dataset_id: str, tests) -> None:
    foreign = store.dataset(dataset_id).select(split="test", subset="b")["image_id"].iloc[0]
    one, two = tests["image_id"].iloc[:2]
    made = audit.record(Event(dataset_id, one, "Ada", "compare", after=0.5, other=two))
    assert (made.other, made.other_path) == (two, tests["template_path"].iloc[1])
    with pytest.raises(InputError, match="different subsets"):
        audit.record(Event(dataset_id, one, "Ada", "compare", after=1.0, other=foreign))


def test_levels_include_halves_where_the_subset_has_any(store: Store) -> None:
    base = make_dataset()
    halved = base.table.assign(level=base.table["level"].where(base.table["subset"] != "b", base.table["level"] / 2))
    card = Card().with_level("a", 4, LevelMeaning("lost"))
    dataset = Dataset("halves", halved, card)
    assert levels_of(dataset, "a") == [0, 1, 2, 3, 4]
    assert levels_of(dataset, "b") == [0, 0.5, 1]
    assert AuditStore(store).levels(store.add_dataset(Imported(dataset)), "b") == [0, 0.5, 1]


def test_the_same_event_twice_is_written_once(audit: AuditStore, dataset_id: str, tests: pd.DataFrame) -> None:
    event = rate(dataset_id, tests["image_id"].iloc[0])
    first = audit.record(event)
    assert audit.record(event) == first
    assert len(audit.events(dataset_id)) == 1
    with pytest.raises(InputError, match="something else"):
        audit.record(replace(event, reviewer="Ben"))


def test_times_never_run_backwards(audit: AuditStore, dataset_id: str, tests: pd.DataFrame) -> None:
    images = tests["image_id"].tolist()
    late = audit.record(rate(dataset_id, images[0], time=time.time() + 1e6))
    assert late.time <= time.time()
    early = audit.record(rate(dataset_id, images[1], time=5.0))
    assert early.time > late.time


# -- undo and redo ------------------------------------------------------------------------------


def test_undo_and_redo_as_often_as_wanted(audit: AuditStore, settings: Settings, dataset_id: str, tests) -> None:
    images = tests["image_id"].tolist()
    made = [audit.record(rate(dataset_id, image)) for image in images[:3]]
    audit.record(rate(dataset_id, images[5], "Ben"))
    assert audit.redo(dataset_id, "Ada") is None
    undos = [audit.undo(dataset_id, "Ada") for _ in range(3)]
    assert [undo.undoes for undo in undos if undo] == [event.id for event in reversed(made)]
    assert audit.undo(dataset_id, "Ada") is None
    assert [event.reviewer for event in audit.standing(dataset_id)] == ["Ben"]
    again = AuditStore(Store(settings))  # another session, after a reload
    redone = again.redo(dataset_id, "Ada")
    assert redone is not None and redone.undoes == undos[2].id  # pyright: ignore[reportOptionalMemberAccess]
    assert [e.image_id for e in audit.standing(dataset_id) if e.reviewer == "Ada"] == images[:1]
    audit.record(rate(dataset_id, images[4]))
    assert audit.redo(dataset_id, "Ada") is None
    assert len(audit.events(dataset_id)) == 9


def test_a_repeated_undo_takes_back_once(audit: AuditStore, dataset_id: str, tests: pd.DataFrame) -> None:
    images = tests["image_id"].tolist()
    made = [audit.record(rate(dataset_id, image)) for image in images[:3]]
    undos = [audit.undo(dataset_id, "Ada", "0" * 32) for _ in range(2)]
    redos = [audit.redo(dataset_id, "Ada", "1" * 32) for _ in range(2)]
    assert [e.undoes for e in undos + redos if e] == [made[2].id, made[2].id, "0" * 32, "0" * 32]
    assert len(audit.events(dataset_id)) == 5
    with pytest.raises(InputError, match="as something else"):
        audit.undo(dataset_id, "Ada", made[0].id)
    with pytest.raises(InputError):
        audit.undo(dataset_id, "Ada", "no id")


def test_nobody_takes_back_what_others_did(audit: AuditStore, dataset_id: str, tests: pd.DataFrame) -> None:
    made = audit.record(rate(dataset_id, tests["image_id"].iloc[0]))
    with pytest.raises(AccessError, match="Only Ada"):
        audit.record(Event(dataset_id, made.image_id, "Ben", "undo", undoes=made.id))


# -- what stands --------------------------------------------------------------------------------


def test_ratings_are_the_newest_of_each_reviewer(audit: AuditStore, dataset_id: str, tests: pd.DataFrame) -> None:
    one, two = tests["image_id"].iloc[:2]
    box = {"shape": "box", "points": [[0.1, 0.2], [0.3, 0.4]]}
    assert audit.ratings(dataset_id).empty
    audit.record(rate(dataset_id, one, level=1.0, reason="first", scores_visible=True))
    audit.record(rate(dataset_id, one, level=2.0))
    audit.record(Event(dataset_id, one, "Ada", "region", region=box))
    audit.record(Event(dataset_id, one, "Ben", "unsure", reason="blurred"))
    audit.record(Event(dataset_id, two, "Ben", "ungradable"))
    audit.record(Event(dataset_id, two, "Ada", "comment", reason="no rating"))
    rows = audit.ratings(dataset_id)
    assert rows["reviewer"].tolist() == ["Ada", "Ben", "Ben"]
    assert rows["state"].tolist() == ["level", "unsure", "ungradable"]
    assert np.array_equal(rows["level"], [2.0, np.nan, np.nan], equal_nan=True)
    assert rows["reason"].tolist() == ["first", "blurred", ""]
    assert rows["region"].tolist() == [box, None, None]
    assert rows["scores_visible"].tolist() == [False, False, False]
    audit.undo(dataset_id, "Ada")  # the comment
    audit.undo(dataset_id, "Ada")  # the region
    audit.undo(dataset_id, "Ada")  # the second rating
    row = audit.ratings(dataset_id).set_index("reviewer").loc["Ada"]
    assert [row[name] for name in ("level", "region", "scores_visible")] == [1.0, None, True]


def test_somebody_unsure_may_hold_a_level_for_probable(audit: AuditStore, dataset_id: str, tests) -> None:
    image = tests["image_id"].iloc[0]
    audit.record(Event(dataset_id, image, "Ada", "unsure", after=2.0))
    (row,) = audit.ratings(dataset_id).itertuples()
    assert (row.state, row.probably) == ("unsure", 2.0) and np.isnan(row.level)
    with pytest.raises(InputError, match="has no level 7"):
        audit.record(Event(dataset_id, image, "Ada", "unsure", after=7.0))
    audit.record(rate(dataset_id, image))
    (row,) = audit.ratings(dataset_id).itertuples()
    assert (row.state, row.level) == ("level", 2.0) and np.isnan(row.probably)
    audit.undo(dataset_id, "Ada")
    (row,) = audit.ratings(dataset_id).itertuples()
    assert row.probably == 2.0


def test_anchors_and_adjudications_are_the_newest(audit: AuditStore, dataset_id: str, tests: pd.DataFrame) -> None:
    one, two, three = tests["image_id"].iloc[:3]
    for image, level in ((one, 2.0), (two, 1.0), (three, 1.0), (two, None), (one, 0.0)):
        audit.record(Event(dataset_id, image, "Ben", "anchor", after=level))
    assert list(audit.anchors(dataset_id).itertuples(index=False, name=None)) == [(0.0, one), (1.0, three)]
    audit.record(Event(dataset_id, one, "Ada", "adjudicate", after=2.0, reason="deep"))
    audit.record(Event(dataset_id, one, "Ada", "adjudicate", after=1.0))
    assert audit.adjudications(dataset_id)["level"].tolist() == [1.0]
    audit.undo(dataset_id, "Ada")
    assert audit.adjudications(dataset_id)[["level", "reason"]].to_numpy().tolist() == [[2.0, "deep"]]


def test_progress_and_pace(audit: AuditStore, dataset_id: str, tests: pd.DataFrame) -> None:
    assert audit.progress(dataset_id, "Ada") == audit.progress(dataset_id, "Ben")
    start = time.time() - 5_000
    for number, moment in enumerate((0, 10, 20, 4_000, 4_010)):  # ten seconds an image, and a long break
        audit.record(rate(dataset_id, tests["image_id"].iloc[number], time=start + moment))
    progress = audit.progress(dataset_id, "Ada")
    assert (progress.done, progress.total) == (5, 18)
    assert progress.per_minute == pytest.approx(6.0)
    assert audit.progress(dataset_id, "Ben").per_minute is None


# -- images that move ---------------------------------------------------------------------------


def renamed(dataset: Dataset) -> Dataset:
    """The same images in other folders, with other ids."""
    table = dataset.table.copy()
    table["template_path"] = "new/" + table["template_path"]
    table["image_id"] = [image_id(s, p) for s, p in zip(table["subset"], table["template_path"], strict=True)]
    return Dataset(dataset.name, table, dataset.card, source="/elsewhere")


def test_ratings_follow_the_images_into_other_versions(audit: AuditStore, store: Store, dataset_id: str, tests) -> None:
    made = audit.record(rate(dataset_id, tests["image_id"].iloc[4], level=2.0))
    later = store.add_dataset(Imported(renamed(make_dataset())))
    seen = audit.ratings(later)
    assert seen["image_id"].tolist() == [image_id("a", "new/" + made.path)]
    audit.record(rate(dataset_id, tests["image_id"].iloc[5], level=0.0))
    assert len(audit.ratings(later)) == 2
    audit.undo(dataset_id, "Ada")
    assert len(audit.ratings(later)) == 1
    assert audit.originals(later) == audit.originals(dataset_id)
    unlike = make_dataset()
    unlike.table["content_hash"] = "x" + unlike.table["content_hash"]
    assert audit.events(store.add_dataset(Imported(unlike))) == []


def test_the_record_outlives_a_deleted_dataset(audit: AuditStore, store: Store, dataset_id: str, tests) -> None:
    audit.record(rate(dataset_id, tests["image_id"].iloc[0]))
    before = audit.ratings(dataset_id)
    store.delete_dataset(dataset_id)
    assert len(audit.unmatched()) == 1
    with pytest.raises(NotFoundError):
        audit.events(dataset_id)
    assert store.add_dataset(Imported(make_dataset())) == dataset_id
    pd.testing.assert_frame_equal(audit.ratings(dataset_id), before)
    assert audit.unmatched() == []


# -- many at once -------------------------------------------------------------------------------

EACH = 12


def _work(settings: Settings, dataset_id: str, images: list[str], name: str) -> None:
    store = Store(settings)
    audit = AuditStore(store)
    audit.reviewer(name)
    for number in range(EACH):
        audit.record(rate(dataset_id, images[number % len(images)], name, level=float(number % 3)))
        if number % 4 == 3:
            audit.undo(dataset_id, name)
    store.close()


@pytest.mark.slow
def test_ten_threads_and_several_processes_lose_nothing(
    settings: Settings, store: Store, dataset_id, tests, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A page test that ran before may have left its script here, which a new process would run again.
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    images = tests["image_id"].tolist()
    context = multiprocessing.get_context("spawn")
    workers: list[Any] = [
        threading.Thread(target=_work, args=(settings, dataset_id, images, f"thread {n}")) for n in range(10)
    ]
    workers += [context.Process(target=_work, args=(settings, dataset_id, images, f"process {n}")) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    audit = AuditStore(store)
    events = audit.events(dataset_id)
    assert len(events) == 13 * (EACH + EACH // 4)
    assert len({event.id for event in events}) == len(events)
    assert pd.Series([e.reviewer for e in events]).value_counts().eq(EACH + EACH // 4).all()
    assert len(audit.standing(dataset_id)) == 13 * (EACH - EACH // 4)
    assert sum(one.role == "adjudicator" for one in audit.reviewers()) == 1
    if store.database.engine.dialect.name == "sqlite":
        with store.database.read() as connection:
            assert connection.execute(sa.text("PRAGMA integrity_check")).scalar() == "ok"


def test_sessions_that_come_first_at_once_make_one_adjudicator(settings: Settings, store: Store) -> None:
    barrier, found = threading.Barrier(8), []

    def begin(number: int) -> None:
        mine = Store(settings)
        barrier.wait()
        found.append(AuditStore(mine).reviewer(f"R{number % 4}"))
        mine.close()

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert sum(one.role == "adjudicator" for one in AuditStore(store).reviewers()) == 1
    assert len(AuditStore(store).reviewers()) == 4


# -- size and schema ----------------------------------------------------------------------------


def test_ratings_of_4000_images_by_three_are_read_at_once(store: Store, settings: Settings) -> None:
    dataset = make_dataset(subsets=("a",), per_level=1334)
    dataset_id = store.add_dataset(Imported(dataset))
    audit = AuditStore(store)
    names = [audit.reviewer(name).name for name in ("Ada", "Ben", "Cy")]
    table = dataset.select(split="test")
    audit.merge(
        rate(dataset_id, row["image_id"], name, 1.0, content_hash=row["content_hash"], subset="a", time=float(at))
        for at, row in enumerate(table.to_dict("records"))
        for name in names
    )
    fresh = AuditStore(Store(settings))
    assert len(fresh.ratings(dataset_id)) == 3 * 4002
    started = time.perf_counter()
    assert len(fresh.ratings(dataset_id)) == 3 * 4002
    assert time.perf_counter() - started < 0.3
    fresh.record(rate(dataset_id, table["image_id"].iloc[0], "Ada", 2.0))
    started = time.perf_counter()
    assert fresh.ratings(dataset_id)["level"].tolist().count(2.0) == 1
    assert time.perf_counter() - started < 1.0


def test_migration_from_the_first_schema_keeps_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command
    from alembic.config import Config

    settings = Settings.from_environment({"MAD_HOME": str(tmp_path / "home")})
    store = Store(settings)
    dataset_id = store.add_dataset(Imported(make_dataset()))
    before = store.dataset(dataset_id).table
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with store.database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    assert not sa.inspect(store.database.engine).has_table("audit_events")
    store.close()
    opened = Store(settings)
    assert opened.dataset(dataset_id).table.equals(before)
    audit = AuditStore(opened)
    audit.reviewer("Ada")
    audit.record(rate(dataset_id, before["image_id"].iloc[-1]))
    assert len(audit.ratings(dataset_id)) == 1
    indexes = {index["name"] for index in sa.inspect(opened.database.engine).get_indexes("images")}
    assert "ix_images_content_hash" in indexes
