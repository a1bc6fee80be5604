"""Images that belong together, a patient's or a lot's, are drawn, dealt and counted as one unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mad_core.audit.ordinal import predict
from mad_core.errors import InputError
from mad_core.metrics.decisions import crossed_confusion, distance_cost
from mad_core.metrics.differences import by_subset, difference
from mad_core.metrics.intervals import METRICS, bootstrap, drawn_tables, stratified_counts
from mad_core.metrics.levelwise import bootstrap_level_aurocs
from mad_core.metrics.ranking import score_table
from mad_core.metrics.separation import halves, joined, measured, probe, products_and_distances, spread_factor
from mad_core.metrics.summary import evaluate
from mad_core.metrics.uncertainty import uncertainties
from mad_core.metrics.units import dealt, held, in_words, units_of
from mad_core.scorefiles import read_scores, scores_csv
from mad_core.studies.decisions import run as deciding
from mad_core.studies.hybrid.run import folds
from mad_core.studies.separability.run import SubsetFeatures, separability

ONCE = np.repeat([0.0, 1.0, 2.0], 12)
NOISY = ONCE + np.random.default_rng(3).normal(0, 1.2, len(ONCE))
LEVELS, SCORES, GROUPS = (np.repeat(values, 4) for values in (ONCE, NOISY, np.arange(len(ONCE))))
"""36 images, each there four times, as one group."""


def test_an_image_without_a_group_is_a_unit_by_itself() -> None:
    assert units_of(None, 3) is None and units_of(["a", "b", None], 3) is None
    units = units_of(["a", None, "a", "", float("nan")], 5)
    assert units is not None and units[0] == units[2] and len(set(units.tolist())) == 4
    with pytest.raises(InputError, match="groups has 2 entries for 3 images"):
        units_of(["a", "b"], 3)


def test_of_too_few_groups_images_are_taken_one_by_one() -> None:
    assert held(LEVELS, GROUPS) is not None
    assert held(LEVELS, GROUPS % 4) is None  # four groups
    assert held(np.array([0, 0, 0, 0, 1, 1]), ["a", "a", "b", "c", "d", "e"]) is None
    assert held(np.array([0, 0, 1, 1]), ["a", "b", "a", "b"]) is not None  # as many groups as images


def test_intervals_of_copies_in_a_group_are_those_of_the_images_without_copies() -> None:
    alone = evaluate(ONCE, NOISY, intervals=METRICS)["intervals"]
    found = evaluate(LEVELS, SCORES, groups=GROUPS, intervals=METRICS)
    apart = evaluate(LEVELS, SCORES, intervals=METRICS)["intervals"]
    for name, ends in found["intervals"].items():
        width = alone[name][1] - alone[name][0]
        assert ends == pytest.approx(alone[name], abs=0.2 * width)
        assert apart[name][1] - apart[name][0] < 0.75 * width
    assert (
        "144 images are of 36 groups" in found["notes"][0]
        and "take the images of a group together" in found["notes"][0]
    )
    assert evaluate(LEVELS, SCORES, groups=[None] * 144, intervals=METRICS)["intervals"] == apart
    assert evaluate(LEVELS, SCORES, groups=GROUPS, draws=0)["notes"] == []


def test_intervals_hold_for_other_groups_where_those_of_images_do_not() -> None:
    groups, held_by = np.repeat(np.arange(24), 4), np.zeros(2, dtype=int)
    levels = (groups % 4).astype(float)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = 0.7 * levels + 0.7**0.5 * rng.normal(size=24)[groups] + 0.3**0.5 * rng.normal(size=96)
        for place, own in enumerate((groups, None)):
            low, high = evaluate(levels, scores, groups=own, intervals=["c_index"])["intervals"]["c_index"]
            held_by[place] += low <= 0.783 <= high  # the mean of many such samples
    assert held_by[0] >= 55 and held_by[1] <= 52


def test_few_groups_are_said_to_tell_of_these_groups_alone() -> None:
    found = evaluate(LEVELS, SCORES, groups=GROUPS % 4)
    assert found["intervals"] == evaluate(LEVELS, SCORES)["intervals"]
    assert "Fewer than 5 groups" in found["notes"][0] and "not for other groups" in found["notes"][0]


def test_the_variance_of_groups_is_that_of_what_their_images_move_together() -> None:
    rng = np.random.default_rng(0)
    levels, groups = np.repeat([0.0, 1.0, 2.0], 20), rng.integers(0, 25, 60)
    scores = levels + rng.normal(size=25)[groups] + rng.normal(size=60)
    for name, one in uncertainties(levels, scores, groups).items():
        assert one.units is not None, name
        counts = [len(set(one.units[one.strata == level].tolist())) for level in range(one.strata.max() + 1)]
        expected = 0.0
        for unit in set(one.units.tolist()):
            inside = (one.units == unit) & (one.strata >= 0)
            whole = one.moves[inside].sum()
            for level, n in enumerate(counts):
                expected += one.moves[inside & (one.strata == level)].sum() * whole * n / (n - 1)
        assert one.variances.sum() == pytest.approx(expected)
        assert one.freedom.tolist() == [n - 1 for n in counts]


def test_paired_differences_take_groups_together() -> None:
    other = SCORES + np.repeat(np.random.default_rng(5).normal(0, 0.6, 36), 4)
    widths = []
    for groups in (None, GROUPS):
        a, b = (by_subset(LEVELS, values, ["s"] * 144, groups=groups) for values in (SCORES, other))
        gap = difference(a, b, "c_index")
        assert gap is not None and gap.interval is not None
        widths.append(gap.interval[1] - gap.interval[0])
    assert widths[1] > 1.4 * widths[0]


def test_draws_hold_groups_together_and_are_the_same_where_there_are_none() -> None:
    (counts,) = stratified_counts(LEVELS, 20, 7, GROUPS)
    assert counts.shape == (20, 144) and (counts.reshape(20, 36, 4) == counts[:, ::4, None]).all()
    assert (counts.reshape(20, 3, 48).sum(axis=2) == 48).all()  # levels keep their sizes
    (plain,) = stratified_counts(LEVELS, 20, 7)
    (alone,) = stratified_counts(LEVELS, 20, 7, [None] * 144)
    assert (plain == alone).all()
    across = np.tile(np.arange(48), 3)  # each group has an image of every level
    (mixed,) = stratified_counts(LEVELS, 20, 7, across)
    assert (mixed.reshape(20, 3, 48) == mixed[:, None, :48]).all()


def test_tables_drawn_of_groups_are_those_of_counting() -> None:
    (counts,) = stratified_counts(LEVELS, 5, 1, GROUPS)
    for row, table in zip(counts, drawn_tables(LEVELS, SCORES, 5, 1, GROUPS), strict=True):
        drawn = score_table(np.repeat(LEVELS, row), np.repeat(SCORES, row))[0]
        assert (table[:, table.sum(axis=0) > 0] == drawn).all() and table.sum() == 144
    drawn = bootstrap(LEVELS, SCORES, draws=200, groups=GROUPS)["c_index"]
    once = bootstrap(ONCE, NOISY, draws=200)["c_index"]
    assert drawn.std() == pytest.approx(once.std(), rel=0.25)
    assert set(bootstrap_level_aurocs(LEVELS, SCORES, draws=5, groups=GROUPS)) == {1.0, 2.0}


def test_folds_hold_groups_together() -> None:
    rng = np.random.default_rng(0)
    for fold in (dealt(LEVELS, GROUPS, 5, rng), folds(LEVELS, 0, GROUPS)):
        assert (fold.reshape(36, 4) == fold[::4, None]).all()
        assert set(np.bincount(fold[LEVELS == 1] // 1).tolist()) <= {8, 12}  # even within levels


def random_twins() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of 60 parts without any relation to the level, each part seen twice: whoever saw one knows the other."""
    rng = np.random.default_rng(1)
    levels = np.repeat(rng.permutation(np.repeat([0.0, 1.0, 2.0], 20)), 2)
    vectors = np.repeat(rng.normal(size=(60, 40)), 2, axis=0) + 0.05 * rng.normal(size=(120, 40))
    return vectors, levels, np.repeat(np.arange(60), 2)


def test_the_probe_learns_nothing_from_a_twin() -> None:
    vectors, levels, groups = random_twins()
    products, apart = products_and_distances(vectors)
    rng = np.random.default_rng(0)
    assert float(measured(products, apart, levels, rng).order) > 0.7
    assert 0.35 < float(measured(products, apart, levels, rng, units=groups).order) < 0.65
    guess, blind = probe(products, levels, units=groups), products.copy()
    blind[0, 1] = blind[1, 0] = 1e6  # what a picture's twin says of it is not looked at where the two are predicted
    assert np.allclose(guess[:2], probe(blind, levels, units=groups)[:2])


def test_halves_are_of_whole_groups() -> None:
    levels, groups = np.repeat([0.0, 1.0], 24), np.repeat(np.arange(12), 4)
    apart = np.where(groups[:, None] == groups, 0.0, 1.0)  # a part of a group alone would have another share of zeros
    drawn = joined(halves(np.eye(48), apart, levels, 20, np.random.default_rng(0), units=groups))
    assert len({round(float(v), 12) for v in drawn.ratio}) == 1
    assert spread_factor(levels, groups) == pytest.approx(1.0)


def test_separability_says_that_random_features_order_nothing() -> None:
    vectors, levels, groups = random_twins()
    with_groups = separability({"s": SubsetFeatures(vectors, levels, groups=groups)}, draws=12)
    without = separability({"s": SubsetFeatures(vectors, levels)}, draws=12)
    assert "No clear difference from chance" in with_groups.sentence
    assert "better than chance" in without.sentence


def test_labels_are_judged_by_fits_that_have_seen_nothing_of_the_group() -> None:
    rng = np.random.default_rng(0)
    levels, groups = np.repeat(np.tile([0.0, 1.0, 2.0], 20), 2), np.repeat(np.arange(60), 2)
    scores = (levels + np.repeat(rng.normal(0, 0.8, 60), 2))[:, None]
    found, apart = predict(levels, scores, together=groups), predict(levels, scores)
    assert found is not None and apart is not None
    assert np.allclose(found.joint[::2], found.joint[1::2])  # twins are judged by one fit
    assert not np.allclose(apart.joint[::2], apart.joint[1::2])


def test_cuts_are_placed_on_other_groups_than_they_are_measured_on() -> None:
    rows = pd.DataFrame({"image_id": [f"i{k}" for k in range(144)], "level": LEVELS, "score": SCORES, "group": GROUPS})
    parts = deciding.halves(rows)
    first, second = (set(values.tolist()) for _, values in (parts.fit, parts.held))
    assert not first & second and len(first) == len(second) == 18
    one_side = rows.assign(group=np.where(LEVELS == 2, 99, GROUPS))  # a level of one group cannot be parted
    assert deciding.halves(one_side).scale.tolist() == [0, 1]
    counts = crossed_confusion(LEVELS, SCORES, np.unique(LEVELS), distance_cost(np.unique(LEVELS), 5, 1), groups=GROUPS)
    assert counts.sum() == 144
    with pytest.raises(InputError, match="on other groups"):
        crossed_confusion(LEVELS, SCORES, [0, 1, 2], distance_cost(np.arange(3), 5, 1), groups=["a"] * 144)


def test_a_score_file_keeps_groups(tmp_path: Path) -> None:
    rows = {"path": [f"{k}.png" for k in range(144)], "level": LEVELS, "score": SCORES, "subset": "s"}
    table = pd.DataFrame({**rows, "status": "ok", "reason": "", "group": [f"P{g}" for g in GROUPS]})
    file = tmp_path / "scores.csv"
    file.write_text(scores_csv(table))
    read = read_scores(file).table
    assert read["group"].tolist() == table["group"].tolist()
    assert evaluate(LEVELS, SCORES, groups=read["group"])["notes"] == evaluate(LEVELS, SCORES, groups=GROUPS)["notes"]
    assert "Group" not in scores_csv(table.assign(group=None)).splitlines()[0]
    assert "36 groups" in in_words(table.assign(image_id=table["path"])) and in_words(table.drop(columns="group")) == ""
