"""Datasets, runs, scores and maps in the store."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from mad_core.datasets.dataset import Dataset, Imported, LevelMeaning, Problem
from mad_core.errors import InputError, NotFoundError
from mad_core.metrics.summary import evaluate
from mad_core.runs.database.engine import HEAD, MIGRATIONS, open_engine, place
from mad_core.runs.database.schema import metadata
from mad_core.runs.store import RunRequest, Store
from mad_core.runs.store.sampling import proportional
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings

from .conftest import make_dataset


def request(dataset_id: str, **changes: object) -> RunRequest:
    return dataclasses.replace(RunRequest(dataset_id, "filterbank", {"bank": 5}), **changes)


def test_migrations_lead_to_the_declared_tables(store: Store) -> None:
    with store.database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


def test_the_password_of_a_database_is_never_shown(tmp_path) -> None:
    url = "postgresql://ada:hidden-key@127.0.0.1:9/x?sslpassword=hidden-key"
    settings = Settings.from_environment(
        {"MAD_HOME": str(tmp_path), "MAD_ENDPOINT_KEY": "hidden-key", "MAD_DATABASE_URL": url}
    )
    assert "hidden-key" not in repr(settings)
    assert place(open_engine(url)) == "postgresql://ada:***@127.0.0.1:9/x"


def test_a_dataset_comes_back_as_it_went_in(store: Store) -> None:
    problem = Problem("missing-file", "x.png", "x.png is not there.")
    dataset = make_dataset()
    dataset_id = store.add_dataset(Imported(dataset, (problem,)))
    back = store.dataset(dataset_id)
    assert back.table.equals(dataset.table)
    assert back.version == dataset.version
    assert store.dataset_info(dataset_id).problems == (problem,)


def test_the_same_import_twice_is_one_dataset_and_keeps_edits(store: Store, dataset_id: str) -> None:
    card = store.dataset_info(dataset_id).card.with_level("a", 1, LevelMeaning("usable", ""))
    store.update_card(dataset_id, card)
    store.rename_dataset(dataset_id, "line 3")
    assert store.add_dataset(Imported(make_dataset())) == dataset_id
    info = store.dataset_info(dataset_id)
    assert (info.name, info.card) == ("line 3", card)
    assert len(store.datasets()) == 1


def test_masks_that_come_later_are_taken_up(store: Store, dataset_id: str) -> None:
    dataset = make_dataset()
    masked = dataset.table.assign(mask_path=[None if level == 0 else "/m.png" for level in dataset.table["level"]])
    assert store.dataset(dataset_id).table["mask_path"].isna().all()
    assert store.add_dataset(Imported(Dataset(dataset.name, masked, dataset.card, dataset.source))) == dataset_id
    assert (store.dataset(dataset_id).table["mask_path"] == "/m.png").sum() == (dataset.table["level"] > 0).sum()


def test_names_of_datasets_are_unique(store: Store, dataset_id: str) -> None:
    other = store.add_dataset(Imported(make_dataset(per_level=4)))
    assert store.dataset_info(other).name == "parts (2)"
    with pytest.raises(InputError, match="already called"):
        store.rename_dataset(other, "parts")
    with pytest.raises(InputError, match="1 to 190"):
        store.rename_dataset(other, "   ")


def test_the_same_request_is_the_same_run(store: Store, dataset_id: str) -> None:
    first = store.request_run(request(dataset_id))
    assert store.request_run(request(dataset_id, title="another title")).id == first.id
    assert store.request_run(request(dataset_id, seed=1)).id != first.id
    assert store.request_run(request(dataset_id, parameters={"bank": 6})).id != first.id
    assert len(store.queue.active()) == 3


def test_sessions_that_ask_at_once_get_one_run(settings: Settings, store: Store, dataset_id: str) -> None:
    found: list[str] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        mine = Store(settings)
        barrier.wait()
        found.append(mine.request_run(request(dataset_id)).id)
        mine.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(store.queue.active()) == 1


def test_scores_keep_what_came_first_and_failures_have_none(store: Store, dataset_id: str) -> None:
    run = store.request_run(request(dataset_id))
    ids = store.test_images(store.dataset(dataset_id), ["a"])["image_id"].tolist()
    store.add_scores(run.id, "a", [(Scored(ids[0], 1.5), None), (Scored.failed(ids[1], "unreadable", "cut off"), None)])
    store.add_scores(run.id, "a", [(Scored(ids[0], 9.0), None), (Scored(ids[2], -1e300), None)])
    table = store.scores(run.id).set_index("image_id")
    assert table.loc[ids[0], "score"] == 1.5
    assert table.loc[ids[2], "score"] == -1e300
    assert np.isnan(table.loc[ids[1], "score"])
    assert table.loc[ids[1], "status"] == "unreadable"
    assert store.run(run.id).done == 3


def test_a_run_counts_each_image_once_however_batches_overlap(store: Store, dataset_id: str) -> None:
    run = store.request_run(request(dataset_id))
    ids = store.dataset(dataset_id).select(split="test", subset="a")["image_id"].tolist()
    for batch in (ids[:4], ids[2:6], ids[2:6], ids[6:]):
        store.add_scores(run.id, "a", [(Scored.of(image, 1.0, None, 0.1), None) for image in batch])
    assert store.run(run.id).done == len(ids) == store.count_done(run.id)


def test_an_edited_dataset_is_made_anew_once(store: Store, dataset_id: str) -> None:
    before = store.dataset(dataset_id)
    store.rename_dataset(dataset_id, "Another name")
    after = store.dataset(dataset_id)
    assert (after.name, after.table is before.table) == ("Another name", True)
    assert store.dataset(dataset_id) is after


def test_failed_images_are_retried_on_demand_only(store: Store, dataset_id: str) -> None:
    run = store.request_run(request(dataset_id))
    ids = store.test_images(store.dataset(dataset_id), ["a"])["image_id"].tolist()
    store.add_scores(run.id, "a", [(Scored(ids[0], 1.0), None), (Scored.failed(ids[1], "unreadable", "cut off"), None)])
    store.update_run(run.id, status="done")
    store.resume_run(run.id)
    assert store.scored_ids(run.id, "a") == set(ids[:2])
    store.update_run(run.id, status="done")
    store.resume_run(run.id, retry_failed=True)
    assert store.scored_ids(run.id, "a") == {ids[0]}
    assert store.run(run.id).done == 1


def test_distribution_and_detail_come_back(store: Store, dataset_id: str) -> None:
    run = store.request_run(request(dataset_id))
    ids = store.test_images(store.dataset(dataset_id), ["a"])["image_id"].tolist()
    distribution = np.linspace(0, 1, 101)
    scored = Scored(ids[0], 2.0, reason="deep", distribution=distribution, detail={"written": 72})
    store.add_scores(run.id, "a", [(scored, None)])
    back = store.score(run.id, ids[0])
    assert back is not None and back.distribution is not None
    assert np.array_equal(back.distribution, distribution)
    assert (back.reason, back.detail) == ("deep", {"written": 72})
    assert store.score(run.id, "unknown") is None


def test_limit_is_stratified_seeded_and_per_subset(store: Store) -> None:
    dataset = make_dataset(per_level=10)
    chosen = store.test_images(dataset, (), 6, seed=3)
    assert chosen.groupby(["subset", "level"]).size().tolist() == [2] * 6
    assert chosen.equals(store.test_images(dataset, (), 6, seed=3))
    assert not chosen["image_id"].equals(store.test_images(dataset, (), 6, seed=4)["image_id"])
    alone = store.test_images(dataset, ("b",), 6, seed=3)
    assert alone.equals(chosen[chosen["subset"] == "b"])
    assert len(store.test_images(dataset, ("b",), 1000)) == 30


def test_a_limit_keeps_the_shares_of_levels_so_metrics_of_a_sample_are_about_those_of_all() -> None:
    rng = np.random.default_rng(0)
    levels = np.repeat([0.0, 1.0, 2.0, 3.0], [240, 60, 90, 10])
    rows = pd.DataFrame({"level": levels, "score": 1.5 * levels + rng.normal(size=400)})
    sample = proportional(rows, 100, 1)
    assert sample["level"].value_counts().sort_index().tolist() == [60, 15, 22, 3] or len(sample) == 100
    assert proportional(rows, 6, 1)["level"].nunique() == 4 and len(proportional(rows, 6, 1)) == 6
    assert len(proportional(rows, 2, 1)) == 2 and len(proportional(rows, 400, 1)) == 400
    drawn = [evaluate(s["level"], s["score"], draws=0) for k in range(60) for s in [proportional(rows, 100, k)]]
    whole = evaluate(rows["level"], rows["score"], draws=0)
    for name in ("c_index", "kendall_tau_b"):
        assert np.mean([one[name] for one in drawn]) == pytest.approx(whole[name], abs=0.01)


def test_runs_of_the_version_before_keep_the_images_they_scored(store: Store, dataset_id: str) -> None:
    run = store.request_run(request(dataset_id, limit=4))
    assert run.sampling == "proportional" and run.record["sampling"] == "proportional"
    store.update_run(run.id, record={})
    assert store.run(run.id).sampling == "even"


def test_deleting_takes_everything_along(store: Store, dataset_id: str) -> None:
    run = store.request_run(request(dataset_id))
    ids = store.test_images(store.dataset(dataset_id), ["a"])["image_id"].tolist()
    ref = store.maps.write(run.id, "a", 0, np.ones((4, 4), np.float32), 256)
    store.add_scores(run.id, "a", [(Scored(ids[0], 1.0), ref)])
    assert store.maps.disk_use(run.id) > 0
    store.delete_dataset(dataset_id)
    assert store.datasets() == []
    assert store.runs() == []
    assert store.queue.active() == []
    with pytest.raises(NotFoundError):
        store.dataset(dataset_id)
    with store.database.read() as connection:
        for table in metadata.sorted_tables:
            if table.name in ("images", "scores", "run_subsets"):
                assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0
    assert store.maps.disk_use(run.id) == 0


def test_a_run_that_works_cannot_be_deleted(store: Store, dataset_id: str) -> None:
    run = store.request_run(request(dataset_id))
    store.queue.claim("w", ("auto",))
    with pytest.raises(InputError, match="cancel it first"):
        store.delete_run(run.id)


def test_a_forced_request_starts_over(store: Store, dataset_id: str) -> None:
    run = store.request_run(request(dataset_id))
    ids = store.test_images(store.dataset(dataset_id), ["a"])["image_id"].tolist()
    store.add_scores(run.id, "a", [(Scored(ids[0], 1.0), None)])
    store.cancel_run(run.id)
    assert store.request_run(request(dataset_id)).done == 1
    store.cancel_run(run.id)
    assert store.request_run(request(dataset_id), force=True).done == 0
