"""Filters, orders and pages of the gallery, against plain loops over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mad_core.runs.browsing import ALL_RANKS, CALLS, ORDERS, STATES, Wanted, page_count, page_rows, select, with_scores
from mad_core.runs.store.cuts import HAND, SavedCuts

NAN = float("nan")
CUTS = SavedCuts("r", "s", (0.0, 0.5, 1.0, 1.5), (0.5, 2.0, 3.5), HAND, 0.0)


def images(count: int, rng: np.random.Generator) -> pd.DataFrame:
    levels = rng.integers(0, 4, count) / 2
    return pd.DataFrame(
        {
            "image_id": [f"id{i}" for i in range(count)],
            "template_path": [f"test/{rng.choice(['Crack', 'dent'])}/{i:02d}.png" for i in rng.permutation(count)],
            "level": levels,
            "defect": [None if level == 0 else str(rng.choice(["crack", "dent"])) for level in levels],
        }
    )


def run_table(ids: list[str], rng: np.random.Generator) -> pd.DataFrame:
    """Some images in another order, scored with ties, failed or waiting."""
    some = rng.permutation(ids)[: rng.integers(0, len(ids) + 1)]
    status = rng.choice(["ok", "ok", "ok", "unreadable", "waiting"], len(some))
    scores = np.where(status == "ok", rng.integers(0, 6, len(some)).astype(float), np.nan)
    return pd.DataFrame({"image_id": some.astype(object), "score": scores, "status": status.astype(object)})


def scores_of(table: pd.DataFrame, first: pd.DataFrame) -> list[float]:
    found = dict(zip(first["image_id"], first["score"], strict=True))
    return [found.get(image_id, NAN) for image_id in table["image_id"]]


def percentile(score: float, scores: list[float]) -> float:
    """Share of the other scores below, ties counting half, in per cent."""
    finite = [s for s in scores if np.isfinite(s)]
    if not np.isfinite(score):
        return NAN
    below, same = sum(s < score for s in finite), sum(s == score for s in finite)
    return 50.0 if len(finite) == 1 else 100 * (below + (same - 1) / 2) / (len(finite) - 1)


@pytest.mark.parametrize("seed", range(8))
def test_scores_states_and_ranks_are_those_of_the_runs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = images(17, rng)
    ids = rows["image_id"].tolist()
    first, second = run_table(ids, rng), run_table(ids, rng)
    table = with_scores(rows, first, second)
    ours, others = scores_of(rows, first), scores_of(rows, second)
    both = [np.isfinite(a) and np.isfinite(b) for a, b in zip(ours, others, strict=True)]
    status = dict(zip(first["image_id"], first["status"], strict=True))
    states = {"ok": "scored", "unreadable": "failed", "waiting": "not scored"}
    assert table["image_id"].tolist() == ids
    assert table["state"].tolist() == [states[status.get(i, "waiting")] for i in ids]
    np.testing.assert_array_equal(table["score"], ours)
    np.testing.assert_allclose(table["rank"], [percentile(s, ours) for s in ours])
    common = [[s if b else NAN for s, b in zip(scores, both, strict=True)] for scores in (ours, others)]
    ranks = [[percentile(s, scores) for s in scores] for scores in common]
    np.testing.assert_allclose(table["rank_first"], ranks[0])
    np.testing.assert_allclose(table["rank_second"], ranks[1])
    np.testing.assert_allclose(table["apart"], np.abs(np.subtract(ranks[0], ranks[1])))
    called = [NAN if not np.isfinite(s) else CUTS.levels[sum(s >= cut for cut in CUTS.cuts)] for s in ours]
    np.testing.assert_array_equal(with_scores(rows, first, second, CUTS)["called"], called)


def test_without_runs_nothing_is_scored() -> None:
    table = with_scores(images(5, np.random.default_rng(0)))
    assert set(table["state"]) == {"not scored"}
    assert np.isnan(table[["score", "rank", "apart"]].to_numpy()).all()


def passes(row: Any, wanted: Wanted) -> bool:
    return (
        (not wanted.levels or row.level in wanted.levels)
        and (not wanted.defects or row.defect in wanted.defects)
        and wanted.state in ("", row.state)
        and wanted.name.lower() in row.template_path.lower()
        and (wanted.ranks == ALL_RANKS or wanted.ranks[0] <= row.rank <= wanted.ranks[1])
        and (wanted.apart == 0 or row.apart >= wanted.apart)
        and (not wanted.called or row.called in wanted.called)
        and wanted.call in ("", call_of(row))
    )


def call_of(row: Any) -> str:
    if np.isnan(row.called):
        return "none"
    return "lower" if row.called < row.level else "higher" if row.called > row.level else "as labelled"


def sorting_key(row: Any, order: str) -> tuple[Any, ...]:
    number = {
        "severe first": -row.level,
        "normal first": row.level,
        "highest score": -row.score,
        "lowest score": row.score,
        "rank difference": -row.apart,
        "name": 0.0,
    }[order]
    return np.isnan(number), 0 if np.isnan(number) else number, row.template_path


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    wanted=st.builds(
        Wanted,
        levels=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5]), unique=True).map(tuple),
        defects=st.lists(st.sampled_from(["crack", "dent"]), unique=True).map(tuple),
        state=st.sampled_from(["", *STATES]),
        name=st.sampled_from(["", "crack", "DENT", "0", ".png", "(", "."]),
        ranks=st.sampled_from([ALL_RANKS, (0, 50), (50, 100), (25, 75)]),
        apart=st.sampled_from([0, 20, 60]),
        called=st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5]), unique=True).map(tuple),
        call=st.sampled_from(["", *CALLS]),
        order=st.sampled_from(ORDERS),
    ),
)
def test_the_wanted_images_in_the_wanted_order(seed: int, wanted: Wanted) -> None:
    rng = np.random.default_rng(seed)
    rows = images(15, rng)
    ids = rows["image_id"].tolist()
    table = with_scores(rows, run_table(ids, rng), run_table(ids, rng), CUTS if seed % 3 else None)
    kept: list[Any] = [row for row in table.itertuples() if passes(row, wanted)]
    expected = [row.image_id for row in sorted(kept, key=lambda row: sorting_key(row, wanted.order))]
    assert select(table, wanted)["image_id"].tolist() == expected


@pytest.mark.parametrize(("count", "size", "pages"), [(0, 24, 1), (1, 24, 1), (24, 24, 1), (25, 24, 2), (130, 36, 4)])
def test_pages_hold_every_image_once(count: int, size: int, pages: int) -> None:
    table = pd.DataFrame({"image_id": range(count)})
    assert page_count(count, size) == pages
    parts = [page_rows(table, number, size) for number in range(1, pages + 1)]
    assert pd.concat(parts)["image_id"].tolist() == list(range(count))
    assert all(len(part) == size for part in parts[:-1])
