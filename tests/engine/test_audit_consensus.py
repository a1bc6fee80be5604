"""One label out of many ratings, and what the corrections do to the metrics."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mad_core.audit.consensus import RULES, consensus, consensus_of, corrections, disagreements
from mad_core.audit.consequence import consequence, consequences, each_undone, metrics_of, with_audited
from mad_core.audit.events import Event
from mad_core.audit.labels import AuditStore
from mad_core.errors import InputError
from mad_core.metrics.intervals import METRICS
from mad_core.metrics.names import flat
from mad_core.metrics.ranking import count_pairs, counts_of_table, score_table
from mad_core.metrics.summary import evaluate
from mad_core.runs.results import run_table
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Scored

NAN = float("nan")


def ratings(**images: list[float | str]) -> pd.DataFrame:
    rows = [
        (image, f"R{number}", NAN if isinstance(said, str) else said, said if isinstance(said, str) else "level")
        for image, votes in images.items()
        for number, said in enumerate(votes)
    ]
    return pd.DataFrame(rows, columns=["image_id", "reviewer", "level", "state"])


def labels(**levels: float) -> pd.Series:
    return pd.Series(levels, dtype="float64")


def outcome(rule: str, label: float, *votes: float | str) -> tuple[float, str, bool]:
    row = consensus(ratings(x=list(votes)), rule, labels(x=label, y=3.0)).iloc[0]
    return row["audited"], row["by"], bool(row["contested"])


@pytest.mark.parametrize(
    ("label", "votes", "expected"),
    [
        (0, [2], (2, "majority of 1", False)),
        (0, [1, 1, 3], (1, "majority of 3", True)),
        (0, [1, 2], (0, "label", True)),
        (0, [1, 2, 3], (0, "label", True)),
        (0, [1, 1, 2, 2], (0, "label", True)),
        (1, [2, 2, "unsure"], (2, "majority of 2", False)),
        (1, ["unsure"], (1, "label", False)),
        (1, ["ungradable", "ungradable", 2], (1, "not gradable", True)),
        (1, ["ungradable", 2], (2, "majority of 1", True)),
        (1, ["ungradable"], (1, "not gradable", False)),
    ],
)
def test_majority(label, votes, expected) -> None:
    assert outcome("majority", label, *votes) == expected


@pytest.mark.parametrize(
    ("label", "votes", "expected"),
    [
        (0, [1, 1, 3], 1),
        (0, [1, 2, 3], 2),
        (0, [1, 3], 1),
        (4, [1, 3], 3),
        (2, [1, 3], 2),
        (0.5, [0, 0.5, 1, 1], 0.5),
        (3, ["unsure"], 3),
    ],
)
def test_median(label, votes, expected) -> None:
    assert outcome("median", label, *votes)[0] == expected


def test_decisions_stand_above_votes_and_alone_under_their_own_rule() -> None:
    said = ratings(a=[1.0, 1.0], b=[1.0, 2.0])
    decided = pd.DataFrame({"image_id": ["b", "c"], "reviewer": ["Ada", "Ada"], "level": [2.0, 0.0]})
    start = labels(a=0, b=0, c=3, d=1)
    for rule in ("majority", "median"):
        table = consensus(said, rule, start, decided)
        assert table["image_id"].tolist() == ["a", "b", "c", "d"]
        assert table["audited"].tolist() == [1, 2, 0, 1]
        assert table["by"].tolist()[1:] == ["Ada", "Ada", "label"]
        assert table["contested"].tolist() == [False] * 4
        assert corrections(table)["image_id"].tolist() == ["a", "b", "c"]
    alone = consensus(said, "adjudicator", start, decided)
    assert alone["audited"].tolist() == [0, 2, 0, 1]
    assert consensus(said, "adjudicator", start)["audited"].tolist() == start.tolist()
    with pytest.raises(InputError, match="'mean' is no rule"):
        consensus(said, "mean", start)


votes = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0, "unsure", "ungradable"]), max_size=6)


@given(votes, st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.permutations(range(6)), st.sampled_from(RULES))
@settings(max_examples=60, deadline=None)
def test_the_order_of_reviewers_does_not_matter(said, label, order, rule) -> None:
    first = outcome(rule, label, *said)
    assert outcome(rule, label, *(said[i] for i in order if i < len(said))) == first
    given_levels = [v for v in said if not isinstance(v, str)]
    assert float(first[0]) == label or (given_levels and min(given_levels) <= first[0] <= max(given_levels))


def test_disagreements_come_widest_first() -> None:
    said = ratings(
        same=[1.0, 1.0], near=[1.0, 2.0], far=[0.0, 3.0, 0.0], one=[2.0], odd=[2.0, "ungradable"], doubt=[2.0, "unsure"]
    )
    table = disagreements(said)
    assert table["image_id"].tolist() == ["far", "near", "odd"]
    assert table["spread"].tolist() == [3, 1, 0]
    assert table["said"].tolist() == ["0, 0, 3", "1, 2", "2, not gradable"]
    assert disagreements(ratings(one=[2.0])).empty


def test_consensus_of_reads_the_record(store: Store, dataset_id: str) -> None:
    audit = AuditStore(store)
    audit.reviewer("Ada")
    image = store.dataset(dataset_id).select(split="test")["image_id"].iloc[0]
    audit.record(Event(dataset_id, image, "Ada", "level", after=2.0))
    assert corrections(consensus_of(audit, dataset_id))["audited"].tolist() == [2.0]
    assert corrections(consensus_of(audit, dataset_id, "adjudicator")).empty
    audit.record(Event(dataset_id, image, "Ada", "adjudicate", after=1.0))
    assert corrections(consensus_of(audit, dataset_id, "adjudicator"))["by"].tolist() == ["Ada"]


# -- consequence --------------------------------------------------------------------------------


def sample(images: int, changes: int, seed: int = 0) -> tuple[Any, Any]:
    """Run table and audited labels; the second of two subsets has a failed image among the changed ones."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 5, images).astype(float)
    table = pd.DataFrame(
        {
            "image_id": [f"i{n}" for n in range(images)],
            "path": [f"{n}.png" for n in range(images)],
            "subset": np.where(np.arange(images) % 2, "a", "b"),
            "level": level,
            "score": np.round(level + rng.normal(0, 1.2, images), 1),
        }
    )
    changed = rng.choice(images, changes, replace=False)
    table.loc[changed[0], "score"] = NAN
    audited = level.copy()
    audited[changed] = (level[changed] + rng.integers(1, 4, changes)) % 5
    by = pd.DataFrame(
        {"image_id": table["image_id"], "label": level, "audited": audited, "by": "x", "contested": False}
    )
    return table, by


def test_metrics_stand_side_by_side_and_each_correction_is_undone_alone() -> None:
    table, audited = sample(120, 12)
    found = consequence(table, audited, "r", "Run", draws=50)
    new = with_audited(table, audited)["level"]
    for macro, levels in ((found.original, table["level"]), (found.audited, new)):
        expected = flat(evaluate(levels, table["score"], table["subset"], draws=0))
        for metric in METRICS:
            assert macro.values[metric] == pytest.approx(expected[metric], abs=1e-12)
            low, high = macro.intervals[metric] or (1, 0)
            assert low <= (macro.values[metric] or 2) <= high
    assert len(found.corrections) == 12
    assert found.corrections["c_index"].abs().is_monotonic_decreasing
    for row in found.corrections.to_dict("records"):
        undone = new.where(table["image_id"] != row["image_id"], row["label"])
        without = flat(evaluate(undone, table["score"], table["subset"], draws=0))
        now = flat(evaluate(new, table["score"], table["subset"], draws=0))
        for metric in METRICS:
            before, after = without[metric], now[metric]
            assert before is not None and after is not None
            assert row[metric] == pytest.approx(after - before, abs=1e-12)
        if np.isnan(row["score"]):
            assert row["c_index"] == 0
    before, after = (one.values["c_index"] or 0 for one in (found.original, found.audited))
    assert found.difference("c_index") == pytest.approx(after - before)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["metrics"]["c_index"]["audited"] > 0


samples = st.lists(
    st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(0, 4)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(samples)
def test_each_undone_equals_counting_anew(rows) -> None:
    old, new, scores = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    scores[scores == 4] = NAN
    changed = np.flatnonzero(old != new)
    for place, found in zip(changed, each_undone(old, new, scores, changed), strict=True):
        levels = new.copy()
        levels[place] = old[place]
        expected = flat(evaluate(levels, scores, draws=0))
        for metric in METRICS:
            if metric in expected and expected[metric] is not None:
                assert found[metric] == pytest.approx(expected[metric], abs=1e-12)
            else:
                assert found[metric] is None


def test_counts_of_a_table_are_those_of_the_images() -> None:
    levels, scores = np.array([0, 0, 2, 2, 1.5]), np.array([1, 2, 2, 3, 2.0])
    table, known = score_table(levels, scores)
    padded = np.insert(table, 1, 0, axis=0)
    ours, theirs = counts_of_table(padded, np.array([0, 1, 1.5, 2])), count_pairs(levels, scores)
    assert np.array_equal(ours.wins2, theirs.wins2)
    assert (ours.distinct, ours.tied_all, ours.tied_cross) == (theirs.distinct, theirs.tied_all, theirs.tied_cross)
    assert known.tolist() == ours.levels.tolist() == [0, 1.5, 2]
    assert metrics_of(np.zeros((1, 2), dtype=np.int64), np.array([0]))["c_index"] is None


def test_fifty_corrections_in_4000_images_take_under_two_seconds() -> None:
    table, audited = sample(4_000, 50)
    table["score"] += np.random.default_rng(1).normal(0, 1e-6, len(table))  # no ties: the most distinct scores
    started = time.perf_counter()
    found = consequence(table, audited, draws=0)
    seconds = time.perf_counter() - started
    assert len(found.corrections) == 50
    assert seconds < 2


def test_runs_of_the_store_are_measured(store: Store, dataset_id: str) -> None:
    audit = AuditStore(store)
    audit.reviewer("Ada")
    run = store.request_run(RunRequest(dataset_id, "filterbank", {"bank": 5}, title="Bank"))
    tests = store.dataset(dataset_id).select(split="test")
    for subset, rows in tests.groupby("subset"):
        scored = [Scored(row["image_id"], row["level"]) for row in rows.to_dict("records")]
        store.add_scores(run.id, str(subset), [(one, None) for one in scored])
    worst: Any = tests[tests["level"] == 2].iloc[0]
    audit.record(Event(dataset_id, worst["image_id"], "Ada", "level", after=0.0))
    found: Any
    (found,) = consequences(store, [run.id], consensus_of(audit, dataset_id), draws=0)
    assert (found.title, found.original.values["c_index"]) == ("Bank", 1.0)
    moved: Any = found.corrections.iloc[0]
    assert moved["path"] == worst["template_path"]
    assert moved["c_index"] == pytest.approx(found.difference("c_index"))
    assert float(moved["c_index"]) < 0
    assert max(run_table(store, run.id)["level"].tolist()) == 2
