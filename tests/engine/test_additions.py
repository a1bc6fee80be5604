"""A dataset grows: images come in as its next version, and runs score those alone that are new."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import mad_core as mad
from mad_core.cli.main import app
from mad_core.datasets.dataset import Imported
from mad_core.datasets.growing import grown
from mad_core.datasets.importing import import_dataset
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.additions import add_images
from mad_core.runs.results import run_table
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Context, Item, Scored
from mad_core.scorers.detectors.filterbank import FilterBank
from mad_core.settings import Settings
from tests.engine.conftest import make_dataset
from tests.engine.pictures import draw, tree

NORMALS = [f"train/good/{i}.png" for i in range(4)]
TESTS = ["test/good/0.png", "test/level_1/1.png", "test/level_2/2.png"]


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MAD_HOME", str(settings.home))
    return settings


@pytest.fixture
def scored_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that the filter bank scores, as often as it scores them."""
    names: list[str] = []
    score = FilterBank.score

    def counting(self: FilterBank, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        names.extend(Path(item.path).name for item in images)
        return score(self, images, context)

    monkeypatch.setattr(FilterBank, "score", counting)
    return names


def test_rows_stay_and_new_ones_follow() -> None:
    old = make_dataset(subsets=("a",))
    other = make_dataset(subsets=("a",), per_level=5)
    result = grown(old, other)
    table = result.dataset.table
    assert result.added == 6 and result.there == len(other.table) - 6
    assert table.iloc[: len(old.table)].equals(old.table)
    fresh = table.iloc[len(old.table) :]
    assert set(fresh["split"]) == {"test"} and sorted(fresh["level"]) == [0, 0, 1, 1, 2, 2]
    assert table["image_id"].is_unique and result.dataset.version != old.version
    again = grown(result.dataset, other)
    assert again.added == 0 and again.dataset.version == result.dataset.version


def test_another_picture_of_the_same_name_has_an_id_of_its_own() -> None:
    old = make_dataset(subsets=("a",))
    changed = old.table.assign(content_hash=[f"other {i}" for i in range(len(old.table))])
    other = type(old)("other", changed, old.card)
    result = grown(old, other)
    table = result.dataset.table
    assert result.added == len(old.table) and result.from_training == 3
    assert table["image_id"].is_unique and table["template_path"].is_unique


def test_it_is_asked_to_which_subset_images_belong() -> None:
    old, other = make_dataset(), make_dataset("monday", subsets=("monday",))
    with pytest.raises(InputError, match=r"subsets a, b; say to which.*monday"):
        grown(old, other)
    assert set(grown(old, other, "b").dataset.table["subset"].iloc[len(old.table) :]) == {"b"}
    with pytest.raises(InputError, match="no subset 'c'"):
        grown(old, other, "c")
    one = make_dataset(subsets=("a",))
    assert grown(one, other).added == len(other.table)


def test_nothing_is_scored_twice(tmp_path: Path, home: Settings, scored_paths: list[str]) -> None:
    run = mad.score(tree(tmp_path / "parts", [*NORMALS, *TESTS]), "filterbank")
    dataset_id = run.store.run(run.id).dataset_id
    before, seen = run.table, len(scored_paths)
    more = tree(tmp_path / "monday", ["a.png", "b.png", "c.png"])
    draw(more / "d.png", TESTS[0])  # a picture that is there already
    added = mad.add(more, dataset_id)
    assert (added.added, added.there, added.images, added.runs) == (3, 1, 10, (run.id,))
    assert sorted(scored_paths[seen:]) == ["a.png", "b.png", "c.png"]
    table = run.table
    assert table.iloc[: len(before)].equals(before) and bool(table["score"].notna().all()) and len(table) == 6
    assert len({ref.row for ref in run.store.map_refs(run.id, "parts").values()}) == 6
    now = run.store.run(run.id)
    assert now.dataset_version == run.store.dataset(dataset_id).version == added.version and now.status == "done"
    assert mad.score(str(tmp_path / "parts"), "filterbank").id == run.id  # asked for again it is the same run
    assert len(scored_paths) == seen + 3
    again = mad.add(more, run.store.dataset_info(dataset_id).name)
    assert (again.added, again.there, again.runs) == (0, 4, ())
    with pytest.raises(NotFoundError, match="`python -m mad_core datasets` lists them"):
        mad.add(more, "nothing")


def test_other_runs_stay_with_their_version(store: Store) -> None:
    dataset_id = store.add_dataset(Imported(make_dataset(subsets=("a",))))
    limited = store.request_run(RunRequest(dataset_id, "filterbank", {}, limit=4))
    whole = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    asked = run_table(store, limited.id)
    added = add_images(store, dataset_id, Imported(make_dataset(subsets=("a",), per_level=6)))
    assert added.runs == () and added.added == 9
    assert run_table(store, limited.id).equals(asked)
    assert store.run(limited.id).dataset_version != added.version == store.run(whole.id).dataset_version
    assert store.run(whole.id).total == 18 and len(run_table(store, whole.id)) == 18
    assert len(store.dataset(dataset_id).as_of(store.run(limited.id).dataset_version).table) == 12
    aside = store.dataset(dataset_id).with_calibration(1)
    assert aside.as_of(aside.version) is aside
    other = Store(store.settings)  # another process sees it, too
    assert len(other.dataset(dataset_id).table) == 21
    other.close()


def test_images_that_come_while_a_run_is_going_are_scored_by_it(
    tmp_path: Path, home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, more = tree(tmp_path / "parts", [*NORMALS, *TESTS]), tree(tmp_path / "monday", ["a.png"])
    store, score = Store(home), FilterBank.score
    dataset_id = store.add_dataset(import_dataset(parts, home))

    def growing(self: FilterBank, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        if len(store.dataset(dataset_id).table) == 7:
            add_images(store, dataset_id, import_dataset(more, home))
        return score(self, images, context)

    monkeypatch.setattr(FilterBank, "score", growing)
    run = mad.score(mad.load(parts), "filterbank")
    assert len(run.table) == 4 and bool(run.table["score"].notna().all())
    assert run.store.run(run.id).done == run.store.run(run.id).total == 4
    store.close()


def test_the_command(tmp_path: Path, home: Settings) -> None:
    run = mad.score(tree(tmp_path / "parts", [*NORMALS, *TESTS]), "filterbank")
    tree(tmp_path / "tuesday", ["a.png"])
    asked: list[Any] = ["add", str(tmp_path / "tuesday"), "--to", "parts", "--json"]
    found = CliRunner().invoke(app, asked)
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert said["added"] == 1 and said["runs"] == [run.id] and said["images"] == 8
    assert np.isfinite(run.table["score"]).all()
