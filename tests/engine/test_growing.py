"""Further normals join a fitted memory: a run of its own that names its parent, and what that changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

import mad_core as mad
from mad_core.cli import main
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.commands import repeat_run
from mad_core.runs.growing import add_normals, changes
from mad_core.runs.store import Store
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Scorer
from mad_core.scorers.detectors.subspace import Moments
from mad_core.scorers.features.coreset import greedy_coreset
from mad_core.scorers.image_scorer import joined_samples
from mad_core.settings import Settings


def saved(path: Path, rng: np.random.Generator, bright: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(100, 150, (48, 64, 3))
    pixels[20:30, 20:30] += bright
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, and a folder of further normals, of which some show what was not normal before."""
    place, rng = tmp_path_factory.mktemp("growing"), np.random.default_rng(0)
    for number in range(6):
        saved(place / f"parts/train/good/{number}.png", rng)
    for number in range(4):
        saved(place / f"parts/test/good/{number}.png", rng, 60 if number % 2 else 0)
        saved(place / f"parts/test/level_1/{number}.png", rng, 100)
    for number in range(6):
        saved(place / f"more/lot {number % 2}/{number}.png", rng, 60)
    (place / "more/0-again.png").write_bytes((place / "parts/train/good/0.png").read_bytes())
    (place / "more/1-test.png").write_bytes((place / "parts/test/good/0.png").read_bytes())
    (place / "more/2-broken.png").write_bytes(b"no image")
    (place / "more/notes.txt").write_text("none")
    return place


@pytest.fixture
def store(home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("MAD_HOME", str(home / "home"))
    return Store(Settings.from_environment())


SMALL: dict[str, dict[str, Any]] = {
    "filterbank": {"size": 64},
    "probe": {"size": 64},
    "patchcore": {"backbone": "mad-formula-s", "positions": "anywhere", "size": 64, "coreset": 0.2},
    "subspace": {"backbone": "mad-formula-s", "size": 64},
    "knn": {"backbone": "mad-formula-s", "size": 64},
}


def test_a_run_with_more_normals_names_its_parent_and_changes_nothing_of_it(home: Path, store: Store) -> None:
    parent = mad.score(home / "parts", "filterbank", device="cpu", **SMALL["filterbank"])
    before, fit = parent.table, store.run_subsets(parent.id)[0].fit
    grown = mad.add_normals(parent, home / "more", device="cpu")
    run = store.run(grown.id)
    assert run.parent == parent.id and run.title == "Filter bank + 6 normals"
    assert store.dataset(run.dataset_id).counts()[0]["train"] == {"0": 12}
    assert store.dataset(store.run(parent.id).dataset_id).counts()[0]["train"] == {"0": 6}
    assert store.run_subsets(grown.id)[0].fit != fit == store.run_subsets(parent.id)[0].fit
    assert store.run_subsets(grown.id)[0].facts["normals_in_bank"] == 12
    np.testing.assert_array_equal(parent.table["score"], before["score"])
    found = grown.changes
    json.dumps(found, allow_nan=False)
    assert found["n"] == 8 and len(found["scores"]) == 8 and found["median_change"] < 0
    (bright,) = [row for row in found["scores"] if row["path"].endswith("good/1.png")]
    assert bright["after"] < 0.8 * bright["before"]
    for gap in (gap for gap in found["differences"].values() if gap["value"] is not None):
        low, high = gap["interval"] or (gap["value"], gap["value"])
        assert low <= gap["value"] <= high
    assert {"auroc_whole", "c_index"} <= set(found["differences"])
    assert mad.add_normals(parent, home / "more", device="cpu").id == grown.id
    # a fit from scratch on all normals is another fit
    scratch = mad.score(mad.load(home / "parts"), "filterbank", device="cpu", **SMALL["filterbank"])
    assert scratch.id == parent.id
    again = repeat_run(store, run).commands
    assert len(again) == 2 and again[1] == f"python -m mad_core add-normals {parent.id} {home / 'more'} --subset parts"
    with pytest.raises(InputError, match="has no parent"):
        changes(store, store.run(parent.id))


def test_normals_join_a_run_that_others_joined_before(home: Path, store: Store, tmp_path: Path) -> None:
    parent = mad.score(home / "parts", "knn", device="cpu", **SMALL["knn"])
    first = mad.add_normals(parent, home / "more", device="cpu")
    saved(tmp_path / "one.png", np.random.default_rng(9))
    second = mad.add_normals(first, tmp_path, device="cpu")
    assert store.run(second.id).parent == first.id
    for entry in Settings.from_environment().fits.iterdir():  # kept fits may be removed: they are made again
        for file in entry.iterdir():
            file.unlink()
        entry.rmdir()
    saved(tmp_path / "two.png", np.random.default_rng(10))
    third = mad.add_normals(second, tmp_path, device="cpu")
    assert store.run(third.id).parent == second.id and not np.isnan(third.table["score"]).any()


def test_the_command_shows_what_changed(home: Path, store: Store) -> None:
    parent = mad.score(home / "parts", "filterbank", device="cpu", **SMALL["filterbank"])
    done = CliRunner().invoke(main.app, ["add-normals", parent.id, str(home / "more"), "--json"])
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert data["added"] == 6 and data["parent"] == parent.id and len(data["left_out"]) == 3
    for words in ("0-again.png is a training normal already", "1-test.png is in the test split", "2-broken.png"):
        assert any(words in sentence for sentence in data["left_out"])
    said = CliRunner().invoke(main.app, ["add-normals", parent.id, str(home / "more")]).stdout
    assert "6 normals joined the fit" in said and "c_index:" in said


def test_what_cannot_join_is_said_in_a_sentence(home: Path, store: Store, tmp_path: Path) -> None:
    parent = mad.score(home / "parts", "filterbank", device="cpu", **SMALL["filterbank"])
    plain = mad.score(home / "parts", "autoencoder", size=64, steps=1, device="cpu")
    (tmp_path / "empty").mkdir()
    for run, folder, subset, words in (
        (plain.id, home / "more", "", "keeps no memory that normals can join.*filterbank"),
        (parent.id, tmp_path / "nowhere", "", "is no folder"),
        (parent.id, tmp_path / "empty", "", "No image of .* can join"),
        (parent.id, home / "parts/train", "", "No image of .* a training normal already"),
        (parent.id, home / "more", "bolts", "has no subset 'bolts'"),
    ):
        with pytest.raises(InputError, match=words):
            add_normals(store, run, folder, subset)
    with pytest.raises(NotFoundError):
        add_normals(store, "none", home / "more")
    store.update_run(parent.id, status="failed")
    with pytest.raises(InputError, match="is failed; normals can join a finished run"):
        add_normals(store, parent.id, home / "more")
    store.update_run(parent.id, status="done")


@pytest.mark.parametrize("tiles", ["off", "60"])
@pytest.mark.parametrize("scorer_id", sorted(SMALL))
def test_every_memory_grows_and_comes_back(scorer_id: str, tiles: str, home: Path) -> None:
    if tiles != "off" and not catalog.scorer(scorer_id).tiles:
        pytest.skip("it has no map")
    parameters = SMALL[scorer_id] | ({"tiles": tiles} if catalog.scorer(scorer_id).tiles else {})
    context, tests = Context(seed=0), items(home / "parts/test/good")[:2]
    assert catalog.scorer(scorer_id).grows
    scorer = catalog.scorer(scorer_id).create(parameters)
    scorer.fit(items(home / "parts/train/good"), context)
    tensors, facts = scorer.state()
    again = catalog.scorer(scorer_id).create(parameters)
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), context)
    before = scores_of(again, tests)
    for each in (scorer, again):  # from a fit and from a kept one alike
        each.add_normals(items(home / "more/lot 0") + items(home / "more/lot 1"), context)
    after = scores_of(again, tests)
    np.testing.assert_allclose(scores_of(scorer, tests), after, rtol=1e-4)
    if scorer_id != "probe":
        assert after[1] < before[1]  # what the new normals show is normal now


def scores_of(scorer: Scorer, images: list[Item]) -> list[float]:
    return [one.score for one in scorer.score(images, Context(seed=0)) if one.score is not None]


def items(folder: Path) -> list[Item]:
    return [Item(path.name, str(path)) for path in sorted(folder.glob("*.png"))]


def test_a_subspace_that_grew_is_the_one_of_all_normals(home: Path) -> None:
    """Of the residual; of the fine part the windows join, and what left-out normals score stays as it was measured."""
    context, parameters = Context(seed=0), SMALL["subspace"] | {"tiles": "off", "fine": 0.0}
    normals, more = items(home / "parts/train/good"), items(home / "more/lot 0")
    grown, whole = (catalog.scorer("subspace").create(parameters) for _ in range(2))
    grown.fit(normals, context)
    grown.add_normals(more, context)
    whole.fit([*normals, *more], context)
    tests = items(home / "parts/test/level_1")
    np.testing.assert_allclose(scores_of(grown, tests), scores_of(whole, tests), rtol=1e-3)


def test_moments_go_on_where_they_were() -> None:
    rows = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) + 50
    first, whole = Moments(), Moments()
    first.add(rows[:120])
    later = Moments.of(torch.tensor(first.count), first.mean(), first.covariance())
    later.add(rows[120:])
    whole.add(rows)
    np.testing.assert_allclose(later.mean(), whole.mean(), rtol=1e-6)
    np.testing.assert_allclose(later.covariance(), whole.covariance(), atol=1e-4)


def test_rows_beside_a_bank_are_the_farthest_from_it() -> None:
    rows = torch.tensor([[0.0], [1.0], [5.0], [9.0]])
    keep = greedy_coreset(rows, 2, Context(), 0, 2, beside=torch.tensor([[0.0], [8.0]]))
    assert keep.tolist() == [2, 1]  # 3 away, then 1 and 1: the first of them


@given(
    old=st.integers(0, 20),
    new=st.integers(1, 20),
    further=st.integers(0, 50),
    most=st.integers(1, 30),
    seed=st.integers(0, 9),
)
def test_a_joined_sample_is_as_large_as_it_may_be(old: int, new: int, further: int, most: int, seed: int) -> None:
    old = min(old, most)
    seen = old + (further if old == most else 0)
    kept, taken = joined_samples(old, new, seen, most, np.random.default_rng(seed))
    assert len(kept) + len(taken) == min(most, old + new)
    assert len(set(kept)) == len(kept) <= old and len(set(taken)) == len(taken) <= new
    if old + new <= most:
        assert len(kept) == old and len(taken) == new
