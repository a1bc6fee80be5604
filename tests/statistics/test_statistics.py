"""A small version of ``make truth``: intervals cover, the best is seldom wrong, studies claim little without effect."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from mad_core.metrics.decisions import wilson
from tests.statistics.coverage import Covered, best_of, coverage, macro_coverage
from tests.statistics.decided import decided
from tests.statistics.designs import Design, truths
from tests.statistics.studies import EFFECTS, NULLS, Trial

TRIALS = 300
SLOW = {"robustness": 3, "correspondence": 4, "hybrid": 4, "area": 6, "decisions": 8, "ablation": 5, "grades": 5}


DESIGNS = (
    Design((5, 5), 0.9),
    Design((10, 10), 0.5),
    Design((25, 25), 0.995),
    Design((100, 10), 0.7),
    Design((25, 25), 0.9, "t3"),
    Design((10, 10, 10, 10), 0.8, grid=1.0),
    Design((8, 30, 12), 0.97, "lognormal"),
    Design((5,) * 7, 0.7, "cauchy"),
)
LEAST, MOST = 0.93, 0.98


@cache
def covered(design: Design) -> list[Covered]:
    return coverage(design, TRIALS)


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_intervals_cover_and_not_too_often(design: Design) -> None:
    for one in covered(design):
        low, high = wilson(one.holding, one.trials)
        assert high >= LEAST and low <= MOST, one


def test_over_all_designs_intervals_hold_what_they_say() -> None:
    for metric in ("c_index", "kendall_tau_b", "auroc_whole"):
        shares = [one.share for design in DESIGNS for one in covered(design) if one.metric == metric]
        assert 0.945 <= np.mean(shares) <= MOST, metric


def test_averages_cover_and_are_no_wider_than_they_need() -> None:
    design = Design((20, 20, 20), 0.8)
    for one in macro_coverage((design,) * 4, TRIALS):
        low, high = wilson(one.holding, one.trials)
        assert high >= LEAST and low <= MOST, one
        alone = next(own.width for own in coverage(design, 20) if own.metric == one.metric)
        assert one.width / alone == pytest.approx(0.5, rel=0.2)


def test_truths_are_what_large_samples_give() -> None:
    from mad_core.metrics.summary import evaluate

    design = Design((600, 300, 300), 0.8, grid=0.5)
    found = [evaluate(design.levels, design.scores(np.random.default_rng(k)), draws=0) for k in range(20)]
    assert np.mean([one["kendall_tau_b"] for one in found]) == pytest.approx(truths(design)["kendall_tau_b"], abs=0.01)
    assert np.mean([one["auroc"]["whole"] for one in found]) == pytest.approx(truths(design)["auroc_whole"], abs=0.01)


def test_the_best_is_seldom_called_falsely_and_found_where_it_is() -> None:
    false = best_of((1.0,) * 4, 0.5, 20, TRIALS)
    assert wilson(false.called, TRIALS)[0] <= 0.05
    pair = best_of((1.0, 1.0), 0.8, 20, TRIALS)
    assert wilson(pair.called, TRIALS)[0] <= 0.05 and wilson(pair.holding, TRIALS)[1] >= 0.95
    assert best_of((1.3, 1.0), 0.9, 50, 30).called >= 20


@pytest.mark.parametrize("trial", NULLS, ids=lambda trial: f"{trial.study}: {trial.about}")
def test_studies_claim_little_without_effect(trial: Trial) -> None:
    trials = SLOW.get(trial.study, 20)
    assert wilson(trial.count(trials, seed=1), trials)[0] <= 0.05


@pytest.mark.parametrize("trial", EFFECTS, ids=lambda trial: f"{trial.study}: {trial.about}")
def test_studies_find_a_large_effect(trial: Trial) -> None:
    assert trial.count(SLOW.get(trial.study, 8), seed=2)


@pytest.mark.parametrize("do", decided(200), ids=range(9))
def test_promises_are_kept(do) -> None:
    kept = do()
    assert kept.good, kept
