"""Detection against severity order: the correlation, its interval, and the sentence on opposite data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mad_core.metrics.differences import difference
from mad_core.metrics.macro import Measured, measure
from mad_core.metrics.ranking import count_pairs, reference_points
from mad_core.palette import THEMES
from mad_core.studies.correspondence.run import (
    correlated,
    correspondence,
    points_of,
    reversals_of,
    scorers_of,
)
from mad_core.studies.sampling import Sample
from mad_core.studies.study import figures

SUBSETS = ("bolt", "nut", "gear", "plate")


def scores(levels: np.ndarray, detection: float, order: float, rng: np.random.Generator) -> np.ndarray:
    """Scores that lift abnormal images by ``detection`` and each further level by ``order``."""
    return rng.normal(0, 1, len(levels)) + detection * (levels > 0) + order * np.maximum(levels - 2, -2) * (levels > 0)


def made(
    skills: Mapping[str, tuple[float, float]], subsets: tuple[str, ...] = SUBSETS, per_level: int = 40, draws: int = 100
) -> tuple[dict[str, dict[str, Measured]], Sample]:
    """Scorers of given skill in detection and in order, on subsets of four levels."""
    rng = np.random.default_rng(5)
    levels = np.repeat(np.arange(4.0), per_level)
    places: dict[str, dict[str, Measured]] = {}
    for name, (detection, order) in skills.items():
        places[name] = {
            subset: measure(levels, scores(levels, detection + 0.3 * place, order, rng))
            for place, subset in enumerate(subsets)
        }
    ids = [f"{subset}{i}" for subset in subsets for i in range(len(levels))]
    table = pd.DataFrame(
        {"image_id": ids, "subset": np.repeat(subsets, len(levels)), "level": np.tile(levels, len(subsets))}
    )
    names = {name: f"Scorer {name}" for name in skills}
    return places, Sample(dict.fromkeys(skills, table), names, len(ids), 2 * len(ids), draws)


ALIKE = {"a": (0.6, 0.0), "b": (1.4, 0.4), "c": (2.4, 0.9), "d": (3.2, 1.4)}
OPPOSED = {"a": (0.6, 1.4), "b": (1.4, 0.9), "c": (2.4, 0.4), "d": (3.2, 0.0)}
SEVEN = {name: 0.45 * place for place, name in enumerate("abcdefg")}
SEVEN_ALIKE = {name: (0.4 + skill, skill / 2) for name, skill in SEVEN.items()}
SEVEN_OPPOSED = {name: (0.4 + skill, 1.4 - skill / 2) for name, skill in SEVEN.items()}
SEVEN_UNRELATED = {name: (0.4 + skill, (0.6, 0.0)["adfg".find(name) < 0]) for name, skill in SEVEN.items()}
UNRELATED = {"a": (0.6, 0.6), "b": (1.4, 0.0), "c": (2.4, 0.0), "d": (3.2, 0.6)}


def test_the_sentence_follows_the_data() -> None:
    found = correspondence(*made(SEVEN_ALIKE), quick=False)
    assert found.sentence.startswith("Scorers that detect better also order severity better (rank correlation 0.")
    assert found.facts["correlation"]["interval"][0] > 0 and not found.facts["reversals"]
    found = correspondence(*made(SEVEN_OPPOSED), quick=False)
    assert found.sentence.startswith("Scorers that detect better order severity worse (rank correlation -0.")
    assert found.facts["correlation"]["interval"][1] < 0
    found = correspondence(*made(SEVEN_UNRELATED), quick=False)
    assert found.sentence.startswith("No clear difference: how well a scorer detects does not tell")
    low, high = found.facts["correlation"]["interval"]
    assert low < 0 < high


def test_a_quick_finding_names_its_sample() -> None:
    found = correspondence(*made(SEVEN_ALIKE), quick=True)
    assert found.sentence.startswith("On a sample of 640 of 1,280 test images, scorers that detect better")
    assert found.facts["images"] == 640 and found.facts["bootstrap_draws"] == 100


def test_a_good_detector_with_random_order_is_counted() -> None:
    found = correspondence(*made({"a": (4.0, 0.0), "b": (4.0, 1.5)}), quick=False)
    assert "Of the 8 that detect with an AUROC of 0.90 or more, 4 are not told from a random order" in found.sentence
    found = correspondence(*made({"a": (4.5, 1.5), "b": (4.0, 1.5)}), quick=False)
    assert (
        "Of the 8 that detect with an AUROC of 0.90 or more, all order abnormal images better than at random"
        in found.sentence
    )
    found = correspondence(*made({"a": (4.0, 0.0), "b": (4.0, 0.0)}), quick=False)
    assert "Of the 8 that detect with an AUROC of 0.90 or more, none is told from a random order" in found.sentence
    found = correspondence(*made({"a": (0.0, 0.0), "b": (0.0, 0.1)}), quick=False)
    assert "None of the 8 detects with an AUROC of 0.90" in found.sentence


def test_the_correlation_is_spearmans_of_distances_on_two_halves() -> None:
    places, sample = made(SEVEN_UNRELATED, per_level=400)
    points = points_of(places, sample.names)
    apart = points.groupby("subset")[["auroc_whole", "abnormal_c_index"]].transform(lambda v: v - v.mean())
    found = correlated(places)
    whole = spearmanr(apart["auroc_whole"], apart["abnormal_c_index"]).statistic
    assert found["value"] == pytest.approx(whole, abs=0.1)  # of all images; halves say about the same of so many
    assert (found["points"], found["independent"]) == (28, 7)
    centre, reach = np.arctanh(found["value"]), np.ptp(np.arctanh(found["interval"])) / 2
    assert np.tanh(centre - reach) == pytest.approx(found["interval"][0])
    assert correlated(places) == found  # the same images, the same halves


def test_a_sentence_agrees_with_its_interval() -> None:
    for skills in (SEVEN_ALIKE, SEVEN_OPPOSED, SEVEN_UNRELATED):
        found = correspondence(*made(skills), quick=False)
        low, high = found.facts["correlation"]["interval"]
        assert ("better (rank" in found.sentence, "worse (rank" in found.sentence) == (low > 0, high < 0)


def test_with_fewer_than_six_scorers_nothing_is_said() -> None:
    for skills in ({"a": (1, 1), "b": (2, 2)}, ALIKE, dict(list(SEVEN_ALIKE.items())[:5])):
        found = correspondence(*made(skills), quick=False)
        assert f"scorers that can be compared are {len(skills)}, and 6 are needed" in found.sentence
        assert found.facts["correlation"]["interval"] is None


def test_clear_reversals_are_found_by_paired_intervals() -> None:
    places, sample = made(OPPOSED, per_level=80)
    pairs = {(pair["detects_better"], pair["orders_better"]) for pair in reversals_of(places, sample.names)}
    assert ("Scorer d", "Scorer a") in pairs and ("Scorer a", "Scorer d") not in pairs
    sentence = correspondence(places, sample, quick=False).sentence
    assert len(pairs) == 6 and "but orders severity worse, both clearly (6 such pairs in all)." in sentence
    gap = difference(places["a"], places["d"], "auroc_whole")
    assert gap is not None and gap.interval is not None
    means = [np.mean([places[n][s].values["auroc_whole"] for s in SUBSETS]) for n in ("a", "d")]
    assert gap.value == pytest.approx(means[0] - means[1]) and gap.interval[0] < gap.value < gap.interval[1] < 0


def test_scorers_are_sorted_by_how_far_their_places_lie_apart() -> None:
    places, sample = made({"a": (0.5, 1.4), "b": (1.5, 0.7), "c": (3.0, 0.0)})
    table = scorers_of(places, sample.names).set_index("scorer")
    assert table["detection_place"].to_dict() == {"Scorer a": 3, "Scorer b": 2, "Scorer c": 1}
    assert table["order_place"].to_dict() == {"Scorer a": 1, "Scorer b": 2, "Scorer c": 3}
    assert table.index[-1] == "Scorer b" and table["places_apart"].tolist() == [2, 2, 0]


def test_the_reference_is_perfect_detection_with_random_severity() -> None:
    found = correspondence(*made(ALIKE), quick=False)
    levels = np.repeat(np.arange(4.0), 40)
    sizes = dict.fromkeys(range(4), 40)
    assert count_pairs(levels, levels).sizes.tolist() == [40] * 4
    assert found.facts["reference"]["c_index"] == pytest.approx(reference_points(sizes)["c_index_random_severity"])
    assert found.facts["reference"]["abnormal_c_index"] == 0.5


@pytest.mark.parametrize("theme", THEMES)
def test_figures_hold_every_point_and_say_it(theme: str) -> None:
    plots = {plot.title: plot for plot in figures(correspondence(*made(OPPOSED), quick=False), theme)}
    assert len(plots) == 3
    plot = plots["Detection and C-index"]
    assert sum(len(trace.x) for trace in plot.figure.data if trace.mode == "markers") == 16
    assert "Scorer a on bolt AUROC" in plot.alt and "random severity reaches 0.75" in plot.alt
    plot = plots["Places of the scorers"]
    assert "Scorer a: place 4 in detection" in plot.alt and len(plot.figure.data) == 4


def test_a_subset_without_normals_has_no_point() -> None:
    places, sample = made(ALIKE, SUBSETS[:2])
    rng = np.random.default_rng(0)
    levels = np.repeat([1.0, 2.0], 20)
    for name in ALIKE:
        places[name]["odd"] = measure(levels, rng.normal(size=40))
    assert correlated(places)["points"] == 8
    found = correspondence(places, sample, quick=False)
    assert all(plot.figure and plot.alt for plot in figures(found, "light"))
