"""The learner against brute force, simulations whose truth is known, and its promises."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from mad_core.errors import InputError
from mad_core.learning.active import expected_changes, most_informative, most_spread
from mad_core.learning.conformal import level_sets, needed, never_ruled_out, p_values
from mad_core.learning.curve import forecast, learning_curve
from mad_core.learning.cuts import fit_cuts
from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.learning.gaussian import condition
from mad_core.learning.importance import shares
from mad_core.learning.learner import BEYOND, POWER, learn
from mad_core.learning.regression import Comparison
from mad_core.metrics.ranking import c_index, count_pairs


def pictures(
    count: int, seed: int, *, told: float = 1.0, detected: float = 1.0
) -> tuple[Evidence, np.ndarray, NormalScale]:
    """Images of four levels: one direction of the features follows the level, the detector says a little of it."""
    rng = np.random.default_rng(seed)
    grades = rng.integers(0, 4, count).astype(float)
    direction = np.linspace(-1, 1, 40)
    look = rng.normal(size=(count, 40)) + told * grades[:, None] * direction
    detector = detected * np.minimum(grades, 1) + rng.normal(0, 0.5, count)
    scale = NormalScale.of({"look": rng.normal(size=(60, 40)), "other": rng.normal(size=(60, 30))})
    return Evidence(detector, {"look": look, "other": rng.normal(size=(count, 30))}), grades, scale


def order(grades: np.ndarray, severity: np.ndarray) -> float:
    value = c_index(count_pairs(grades, severity))
    assert value is not None
    return value


# -- Gaussian processes ---------------------------------------------------------------------------


@given(st.integers(3, 9), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_what_is_left_out_is_what_a_fit_without_it_says(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(count, count))
    kernel, noise, targets = root @ root.T, 0.3, rng.normal(size=count)
    folds = rng.integers(0, 3, count)
    means, variances = condition(kernel + noise * np.eye(count), targets).left_out(folds)
    for fold in np.unique(folds):
        out = folds == fold
        if out.all():
            continue
        rest = condition(kernel[np.ix_(~out, ~out)] + noise * np.eye((~out).sum()), targets[~out])
        cross = kernel[np.ix_(out, ~out)]
        np.testing.assert_allclose(means[out], rest.mean(cross), atol=1e-6)
        np.testing.assert_allclose(variances[out], rest.variance(cross, np.diag(kernel)[out]) + noise, atol=1e-6)


def test_the_evidence_is_the_density_of_the_observations() -> None:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6))
    covariance, targets = root @ root.T + np.eye(6), rng.normal(size=6)
    expected = multivariate_normal.logpdf(targets, np.zeros(6), covariance)  # pyright: ignore[reportArgumentType]
    assert condition(covariance, targets).log_evidence == pytest.approx(expected)


# -- levels ---------------------------------------------------------------------------------------


def test_cuts_lie_where_levels_part_and_with_few_grades_near_the_middle() -> None:
    rng = np.random.default_rng(2)
    severity = rng.uniform(-0.5, 2.5, 2000)
    grades = (severity + rng.normal(0, 0.2, 2000) > 0.3).astype(float) + (severity > 1.9)
    cuts = fit_cuts(severity, np.full(2000, 0.2), grades)
    np.testing.assert_allclose(cuts.places, [0.3, 1.9], atol=0.08)
    few = fit_cuts(severity[:4], np.full(4, 0.2), np.array([0.0, 1.0, 2.0, 2.0]))
    assert (np.diff(few.places) > 0).all()


@given(st.lists(st.floats(-5, 9), min_size=1, max_size=8), st.floats(0.05, 3))
@settings(max_examples=50, deadline=None)
def test_probabilities_sum_to_one_and_grow_with_severity(severities: list[float], deviation: float) -> None:
    cuts = fit_cuts(np.array([0.1, 0.9, 2.2, 3.1]), np.full(4, 0.4), np.array([0.0, 1.0, 2.0, 3.0]))
    severity = np.sort(np.array(severities))
    chances = cuts.probabilities(severity, np.full(len(severity), deviation))
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (chances >= -1e-12).all()
    assert (np.diff(cuts.expected(chances)) >= -1e-9).all()


def test_probabilities_are_calibrated_on_images_that_were_not_graded() -> None:
    said, happened = [], []
    for seed in range(12):
        evidence, grades, scale = pictures(360, seed, told=0.25)
        learner = learn(evidence.rows(np.arange(60)), grades[:60], scale)
        chances = learner.predict(evidence.rows(np.arange(60, 360))).probabilities
        said.append(chances)
        happened.append(grades[60:, None] == learner.levels)
    chances, truth = np.concatenate(said).ravel(), np.concatenate(happened).ravel()
    for low in (0.0, 0.2, 0.4, 0.6):
        within = (chances >= low) & (chances < low + 0.2)
        assert abs(chances[within].mean() - truth[within].mean()) < 0.06


# -- conformal sets -------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(0, 6))
@settings(max_examples=50, deadline=None)
def test_a_p_value_counts_the_graded_images_that_are_as_strange(graded: list[int], new: int) -> None:
    counted = (1 + sum(value >= new for value in graded)) / (len(graded) + 1)
    assert p_values(np.array([float(new)]), np.array(graded, dtype=float))[0] == pytest.approx(counted)


def test_sets_lack_an_images_level_no_oftener_than_promised_even_with_few_grades() -> None:
    lacking: dict[float, list[bool]] = {}
    sizes = []
    for seed in range(40):
        evidence, grades, scale = pictures(160, 100 + seed, told=0.3)
        taught = np.arange(36)
        learner = learn(evidence.rows(taught), grades[taught], scale)
        rest = np.arange(36, 160)
        sets = learner.sets(learner.predict(evidence.rows(rest)), 0.2)
        assert sets.any(axis=1).all()
        sizes.append(sets.sum(axis=1).mean())
        for level, inside in zip(grades[rest], sets, strict=True):
            if level in learner.levels:
                lacking.setdefault(float(level), []).append(not inside[np.searchsorted(learner.levels, level)])
    for level in lacking.values():
        assert np.mean(level) < 0.25
    assert np.mean(sizes) < 3.0  # of four: they say something


def test_a_level_with_too_few_grades_is_never_ruled_out_and_said_to_be() -> None:
    levels, grades = np.array([0.0, 1.0]), np.array([0.0] * 20 + [1.0] * 3)
    sets = level_sets(np.array([[0.0, 9.9]]), np.zeros(23), grades, levels, 0.2)
    assert sets.tolist() == [[True, True]]
    assert never_ruled_out(grades, levels, 0.2) == {1.0: 3}
    assert needed(0.2) == 4


# -- the learner ----------------------------------------------------------------------------------


def test_a_few_grades_teach_what_the_detector_does_not_know() -> None:
    gained = []
    for seed in range(6):
        evidence, grades, scale = pictures(220, seed)
        learner = learn(evidence.rows(np.arange(20)), grades[:20], scale)
        rest = evidence.rows(np.arange(20, 220))
        gained.append(order(grades[20:], learner.predict(rest).severity) - order(grades[20:], rest.detector))
    assert np.mean(gained) > 0.1
    assert min(gained) > 0.0


def test_where_the_features_say_nothing_the_detectors_order_stays() -> None:
    lost = []
    for seed in range(12):
        evidence, grades, scale = pictures(220, seed, told=0.0, detected=2.0)
        learner = learn(evidence.rows(np.arange(20)), grades[:20], scale)
        rest = evidence.rows(np.arange(20, 220))
        lost.append(order(grades[20:], rest.detector) - order(grades[20:], learner.predict(rest).severity))
    assert np.mean(lost) < 0.02


def test_two_grades_a_level_that_lie_the_wrong_way_round_do_not_turn_the_order_over() -> None:
    kept, lost = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        levels = rng.permuted(np.repeat([0.0, 1.0, 2.0, 3.0], 60))
        detector = np.where(levels > 0, 1.5 + 0.4 * levels, 0.0) + rng.normal(0, 1.2, 240)
        noise, normals = rng.normal(size=(240, 40)), rng.normal(size=(60, 40))
        scale = NormalScale.of({"noise": normals}, rng.normal(0, 1.2, 60))
        images, by_score = Evidence(detector, {"noise": noise}), np.argsort(detector)
        # Of the normals the two that score highest, of each abnormal level two that score as normals do.
        wrong = [by_score[levels[by_score] == 0][-2:], *(by_score[levels[by_score] == k][1:3] for k in (1, 2, 3))]
        taught = np.concatenate(wrong)
        rest = np.setdiff1d(np.arange(240), taught)
        learned = learn(images.rows(taught), levels[taught], scale).predict(images.rows(rest)).severity
        kept.append(order(levels[rest], learned))
        lost.append(order(levels[rest], detector[rest]) - kept[-1])
    assert min(kept) > 0.55 and np.mean(lost) < 0.15, (min(kept), np.mean(lost))


def test_what_the_groups_add_makes_up_the_answer_to_each_question() -> None:
    evidence, grades, scale = pictures(60, 3)
    learner = learn(evidence.rows(np.arange(30)), grades[:30], scale)
    rest = learner.departures(evidence.rows(np.arange(30, 60)))
    assert len(learner.regressions) == 2
    for regression in learner.regressions:
        apart = regression.predict(rest)[0] - np.sum(list(regression.parts(rest).values()), axis=0)
        np.testing.assert_allclose(apart, apart[0], atol=1e-8)


def test_what_the_groups_add_to_the_severity_is_what_they_add_to_the_answers_times_its_slope() -> None:
    evidence, grades, scale = pictures(60, 3, told=0.5)
    learner = learn(evidence.rows(np.arange(30)), grades[:30], scale)
    rest = evidence.rows(np.arange(30, 60))
    parts = [regression.parts(learner.departures(rest)) for regression in learner.regressions]
    added = np.sum([slope * of["look"] for slope, of in zip(learner.slopes(rest), parts, strict=True)], axis=0)
    np.testing.assert_allclose(learner.contributions(rest)["look"], added)
    h, answers = 1e-6, [regression.predict(learner.departures(rest)) for regression in learner.regressions]

    def severity(steps: tuple[float, float]) -> np.ndarray:
        assert learner.presence and learner.severity
        (first, of_first), (second, of_second) = answers
        chance = learner.presence.cuts.probabilities(first + steps[0], of_first)[:, 1]
        level = learner.severity.cuts.probabilities(second + steps[1], of_second) @ learner.severity.cuts.levels
        return chance**POWER * (level + BEYOND * (second + steps[1]))

    np.testing.assert_allclose(severity((0, 0)), learner.predict(rest).severity)
    for slope, (up, down) in zip(learner.slopes(rest), [((h, 0), (-h, 0)), ((0, h), (0, -h))], strict=True):
        np.testing.assert_allclose(slope, (severity(up) - severity(down)) / (2 * h), atol=1e-6)


def test_images_of_one_group_are_judged_by_fits_without_it() -> None:
    evidence, grades, scale = pictures(12, 4)
    twice = np.repeat(np.arange(12), 2)
    names = [f"part {number}" for number in twice]
    alone = learn(evidence.rows(twice), grades[twice], scale)
    grouped = learn(evidence.rows(twice), grades[twice], scale, together=names)
    error = [np.abs(each.out_of_fold.severity - grades[twice]).mean() for each in (alone, grouped)]
    assert error[0] < 0.5 * error[1]  # a copy of the image gives its grade away


def test_answers_to_which_is_worse_teach() -> None:
    gained = []
    for seed in range(6):
        evidence, grades, scale = pictures(200, 40 + seed, told=0.4)
        taught, compared = np.arange(10), evidence.rows(np.arange(10, 50))
        answers = [
            Comparison(a, b) if grades[10 + a] > grades[10 + b] else Comparison(b, a)
            for a, b in zip(range(0, 40, 2), range(1, 40, 2), strict=True)
            if grades[10 + a] != grades[10 + b]
        ]
        rest = evidence.rows(np.arange(50, 200))
        without = learn(evidence.rows(taught), grades[taught], scale)
        taught_more = learn(evidence.rows(taught), grades[taught], scale, compared=compared, comparisons=answers)
        gained.append(
            order(grades[50:], taught_more.predict(rest).severity) - order(grades[50:], without.predict(rest).severity)
        )
    assert np.mean(gained) > 0.01


def test_a_black_frame_is_unlike_everything_graded_and_an_ordinary_image_is_not() -> None:
    evidence, grades, scale = pictures(80, 5)
    learner = learn(evidence.rows(np.arange(30)), grades[:30], scale)
    rest = evidence.rows(np.arange(30, 80))
    assert learner.unlike(rest).mean() < 0.1
    black = Evidence(np.zeros(1), {"look": np.full((1, 40), 30.0), "other": np.full((1, 30), 30.0)})
    assert learner.unlike(black).all()


def test_training_normals_and_the_detector_hold_the_normals_down() -> None:
    """Few grades must not undo what a detector knows from many normals."""
    lost = []
    for seed in range(8):
        evidence, grades, _ = pictures(220, 60 + seed, told=0.3, detected=3.0)
        rng = np.random.default_rng(seed)
        normals = {"look": rng.normal(size=(60, 40)), "other": rng.normal(size=(60, 30))}
        scale = NormalScale.of(normals, rng.normal(0, 0.5, 60))
        assert scale.examples is not None
        learner = learn(evidence.rows(np.arange(15)), grades[:15], scale)
        rest, abnormal = evidence.rows(np.arange(15, 220)), (grades[15:] > 0).astype(float)
        lost.append(order(abnormal, rest.detector) - order(abnormal, learner.predict(rest).severity))
    assert np.mean(lost) < 0.01


@pytest.mark.parametrize("levels", [(1.0, 2.0, 3.0), (0.0, 2.0), (0.0, 1 / 3, 2 / 3, 1.0)])
def test_any_levels_are_learned(levels: tuple[float, ...]) -> None:
    """No normal among the grades, one abnormal level, and fractions."""
    evidence, grades, scale = pictures(120, 11)
    grades = np.array(levels)[(grades % len(levels)).astype(int)]
    learner = learn(evidence.rows(np.arange(40)), grades[:40], scale)
    predicted = learner.predict(evidence.rows(np.arange(40, 120)))
    np.testing.assert_allclose(predicted.probabilities.sum(axis=1), 1)
    assert predicted.probabilities.shape[1] == len(levels)
    assert np.isfinite(predicted.severity).all()
    assert learner.sets(predicted, 0.2).any(axis=1).all()
    assert np.isfinite(learner.covariance(evidence)).all() and learner.noise > 0
    assert sum(each.share for each in shares(learner, draws=5)) == pytest.approx(1)


def test_too_few_grades_and_odd_features_are_refused_in_a_sentence() -> None:
    evidence, grades, scale = pictures(12, 6)
    with pytest.raises(InputError, match="two levels"):
        learn(evidence, np.ones(12), scale)
    with pytest.raises(InputError, match="below 0"):
        learn(evidence, np.arange(12.0) - 1, scale)
    with pytest.raises(InputError, match="finite"):
        Evidence(np.array([1.0, np.nan]), {})
    with pytest.raises(InputError, match="12 grades"):
        learning_curve(evidence.rows(np.arange(8)), grades[:8], scale)


def test_a_hundred_grades_are_learned_in_under_two_seconds() -> None:
    rng = np.random.default_rng(0)
    groups = {name: rng.normal(size=(100, 600)) for name in ("a", "b", "c", "d")}
    grades = rng.integers(0, 5, 100).astype(float)
    scale = NormalScale.of({name: rng.normal(size=(60, 600)) for name in groups})
    started = time.process_time()
    learn(Evidence(rng.normal(size=100), groups), grades, scale)
    assert time.process_time() - started < 2


# -- what carries, what to grade, what more grades bring --------------------------------------------


def test_the_group_that_tells_levels_apart_has_the_largest_share() -> None:
    evidence, grades, scale = pictures(80, 7, detected=0.0)
    learner = learn(evidence, grades, scale)
    found = shares(learner, draws=50)
    assert found[0].name == "look"
    assert found[0].low > 0
    assert sum(each.share for each in found) == pytest.approx(1)
    for regression in learner.regressions:
        total = np.sum(list(regression.parts_left_out(learner.folds).values()), axis=0)
        apart = regression.left_out(learner.folds)[0] - total
        assert np.abs(apart - apart.mean()).max() < 0.5  # all but the level that the images share


def test_expected_changes_are_counted_pair_by_pair() -> None:
    rng = np.random.default_rng(8)
    root = rng.normal(size=(6, 6))
    mean, covariance, levels = rng.normal(size=6), root @ root.T, np.array([0.0, 1.0, 2.0])
    chances = rng.dirichlet(np.ones(3), 6)
    found = expected_changes(mean, covariance, 0.5, chances, levels, np.arange(6), np.arange(6))
    for row in range(6):
        expected = 0.0
        for level, chance in zip(levels, chances[row], strict=True):
            after = mean + covariance[:, row] / (covariance[row, row] + 0.5) * (level - mean[row])
            turned = [(mean[a] - mean[b]) * (after[a] - after[b]) < 0 for a, b in combinations(range(6), 2)]
            expected += chance * np.mean(turned)
        assert found[row] == pytest.approx(expected)


def test_a_batch_is_spread_and_holds_no_image_twice() -> None:
    covariance = np.kron(np.eye(3), np.full((4, 4), 0.99) + 0.01 * np.eye(4))  # three clusters of near copies
    chances = np.full((12, 2), 0.5)
    chosen = most_informative(np.linspace(0, 1, 12), covariance, 0.1, chances, np.array([0.0, 1.0]), 3)
    assert {int(row) // 4 for row in chosen} == {0, 1, 2}
    assert {int(row) // 4 for row in most_spread(covariance, 0.1, 3)} == {0, 1, 2}
    assert len(set(most_informative(np.zeros(5), np.eye(5), 0.1, chances[:5], np.array([0.0, 1.0]), 9))) == 5


def test_the_curve_rises_with_the_grades_and_the_forecast_lies_above_its_end() -> None:
    evidence, grades, scale = pictures(60, 9, told=0.4)
    curve = learning_curve(evidence, grades, scale, draws=6)
    assert curve.points[-1].c_index > curve.points[0].c_index
    assert curve.forecast is not None
    assert curve.points[-1].c_index - 0.01 <= curve.forecast.c_index <= 1
    assert curve.forecast.low <= curve.forecast.c_index <= curve.forecast.high


def test_no_group_is_learned_from_and_judged_in_one_draw_of_the_curve() -> None:
    evidence, grades, scale = pictures(30, 9, told=0.2)
    twice = np.repeat(np.arange(30), 2)
    names = [f"part {number}" for number in twice]
    copies = learning_curve(evidence.rows(twice), grades[twice], scale, draws=6)
    apart = learning_curve(evidence.rows(twice), grades[twice], scale, together=names, draws=6)
    assert apart.points[-1].c_index < copies.points[-1].c_index - 0.05  # a copy gives the grade away


def test_errors_that_fall_by_a_known_law_are_forecast() -> None:
    sizes = np.array([8, 16, 32, 64])
    found = 1 - (0.1 + 0.8 / np.sqrt(sizes))[None] * np.ones((3, 1))
    point = forecast(sizes, found, 100)
    assert point is not None
    assert point.c_index == pytest.approx(1 - 0.1 - 0.08, abs=1e-6)
    assert forecast(sizes[:2], found[:, :2], 100) is None
