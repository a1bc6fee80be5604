"""The study of how many grades it takes, on features whose worth is known."""

import numpy as np
import pandas as pd
import pytest

from mad_core.errors import InputError
from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.studies.grades.run import DETECTOR, LabelledPool, grades


def pool(seed: int, *, told: float, detected: float, per_level: int = 15, other: float = 0.0) -> LabelledPool:
    """Three levels; one direction of the features tells them apart, the detector says a little, another run too."""
    rng, levels = np.random.default_rng(seed), np.repeat(np.arange(3.0), per_level)
    look = rng.normal(size=(len(levels), 12)) + told * levels[:, None] * np.linspace(-1, 1, 12)
    normals = {"look": rng.normal(size=(30, 12))}
    return LabelledPool(
        Evidence(detected * levels + rng.normal(size=len(levels)), {"look": look}),
        levels,
        NormalScale.of(normals, rng.normal(size=30)),
        [""] * len(levels),
        {"other": other * levels + rng.normal(size=len(levels))},
    )


def by_grades(curves: pd.DataFrame) -> dict[int, float]:
    """The learned order's C-index by the number of grades a level."""
    own = curves[curves["order"] == "learned"]
    return dict(zip(own["grades"].tolist(), own["c_index"].tolist(), strict=True))


def test_grades_that_teach_are_found_and_the_curve_rises() -> None:
    finding = grades({"learned": {"s": pool(0, told=1.5, detected=0.3)}}, draws=12)
    assert f"learned orders better than {DETECTOR} with" in finding.sentence
    assert "better than other" in finding.sentence
    curves: pd.DataFrame = finding.tables["curves"]
    own = by_grades(curves)
    assert own[max(own)] > own[min(own)]
    for low, high, of in zip(curves["c_index_low"], curves["c_index_high"], curves["c_index"], strict=True):
        assert low <= of <= high


def test_where_nothing_teaches_no_difference_is_claimed() -> None:
    finding = grades({"learned": {"s": pool(1, told=0.0, detected=0.0)}}, draws=12)
    assert "not clearly different from" in finding.sentence and " than " not in finding.sentence


def test_a_better_scorer_without_grades_is_said_to_be_better() -> None:
    finding = grades({"learned": {"s": pool(2, told=0.0, detected=0.0, other=4.0)}}, draws=12)
    assert "worse than other" in finding.sentence


def test_groups_never_judge_what_they_taught() -> None:
    """Every image twice: with groups a copy of a graded image is no judge."""
    once = pool(3, told=0.0, detected=0.0, per_level=8)
    twice = np.repeat(np.arange(len(once.levels)), 2)
    names = [f"part {number}" for number in twice]
    copied = LabelledPool(
        once.evidence.rows(twice), once.levels[twice], once.scale, names, {"other": once.others["other"][twice]}
    )
    apart = grades({"learned": {"s": copied}}, draws=12).tables["curves"]
    alone = LabelledPool(copied.evidence, copied.levels, copied.scale, [""] * len(names), copied.others)
    together = grades({"learned": {"s": alone}}, draws=12).tables["curves"]
    first, second = by_grades(apart), by_grades(together)
    assert second[max(second)] > first[max(first)] + 0.05


def test_too_few_labelled_images_are_said() -> None:
    with pytest.raises(InputError, match="two levels of four"):
        grades({"learned": {"s": pool(4, told=1.0, detected=1.0, per_level=3)}}, draws=2)
