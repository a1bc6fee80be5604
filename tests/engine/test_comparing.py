"""Scorers beside each other: references, the best, paired differences, sentences and CSV."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mad_core.metrics import comparing
from mad_core.metrics.differences import by_subset, differences, every_to_the_best
from mad_core.metrics.intervals import METRICS, bootstrap
from mad_core.metrics.names import flat
from mad_core.metrics.ranking import count_pairs, inversion_matrix
from mad_core.metrics.summary import evaluate
from mad_core.runs.comparing import (
    distinct_names,
    metrics_csv,
    ranks_within_subsets,
    scores_side_by_side_csv,
    side_by_side,
)
from mad_core.runs.store import RunRequest, Store

LEVELS = np.repeat([0.0, 1.0, 2.0, 3.0], [30, 20, 15, 10])


def noisy(seed: int, spread: float = 1.0) -> np.ndarray:
    return LEVELS + np.random.default_rng(seed).normal(0, spread, len(LEVELS))


def test_summarize_adds_intervals_and_the_ceiling_of_abnormal_images() -> None:
    found, plain = (f(LEVELS, noisy(0), draws=100) for f in (comparing.summarize, evaluate))
    assert set(found["intervals"]) == set(METRICS)
    low, high = found["intervals"]["abnormal_c_index"]
    assert low < found["abnormal_only"]["c_index"] < high
    assert found["intervals"]["c_index"] == plain["intervals"]["c_index"]
    assert found["c_index"] == plain["c_index"]
    above = LEVELS[LEVELS > 0]
    untied = evaluate(above, np.argsort(np.argsort(above, kind="stable")), draws=0)["kendall_tau_b"]
    assert found["reference"]["abnormal_kendall_tau_b_max_untied"] == pytest.approx(untied)


def test_reference_rows_are_what_such_scorers_get() -> None:
    rows = comparing.reference_rows(comparing.summarize(LEVELS, noisy(0), draws=0))
    untied = np.arange(len(LEVELS)) / 1000 + LEVELS
    for name, scores in (("Perfect 0/1 score", LEVELS > 0), ("Perfect order without ties", untied)):
        assert rows[name] == pytest.approx(flat(evaluate(LEVELS, scores, draws=0)))
    rng = np.random.default_rng(1)
    orders = [np.where(LEVELS > 0, 1 + rng.random(len(LEVELS)), rng.random(len(LEVELS))) for _ in range(400)]
    table = pd.DataFrame([flat(evaluate(LEVELS, scores, draws=0)) for scores in orders])
    assert rows["Perfect detection, severity at random"] == pytest.approx(table.mean().to_dict(), abs=0.02)


def test_there_is_no_reference_without_normals_and_none_of_severity_with_one_abnormal_level() -> None:
    assert comparing.reference_rows(comparing.summarize([1, 1, 2], [1, 2, 3], draws=0)) == {}
    rows = comparing.reference_rows(comparing.summarize([0, 0, 1], [1, 2, 3], draws=0))
    assert "abnormal_c_index" not in rows["Perfect 0/1 score"]


def test_the_best_is_clear_only_by_paired_differences_to_all_others() -> None:
    scores = {"good": noisy(1, 0.3), "near": noisy(2, 0.35), "bad": noisy(3, 4)}
    founds = {name: comparing.summarize(LEVELS, own) for name, own in scores.items()}
    measured = {name: by_subset(LEVELS, own, ["a"] * len(LEVELS)) for name, own in scores.items()}

    def best(*names: str) -> dict[str, tuple[str, bool]]:
        gaps = every_to_the_best({name: measured[name] for name in names})
        return comparing.best({name: founds[name] for name in names}, gaps)

    assert best("good", "bad")["c_index"] == ("good", True)
    winner, clear = best("good", "near", "bad")["c_index"]
    assert winner in ("good", "near") and not clear
    assert best("good", "bad")["auroc_1"] == ("good", False)  # it has no interval
    assert "c_index" not in comparing.best({"good": founds["good"], "again": founds["good"]})
    assert comparing.best({"good": founds["good"]}) == {}
    assert "tied_pairs" not in best("good", "bad")
    assert comparing.best({"good": founds["good"], "bad": founds["bad"]})["c_index"] == ("good", False)


def test_a_difference_that_two_intervals_hide_is_found_in_pairs() -> None:
    near = noisy(1, 1.5)
    scores = {"good": LEVELS + 0.85 * (near - LEVELS), "near": near}
    founds = {name: comparing.summarize(LEVELS, own)["intervals"]["c_index"] for name, own in scores.items()}
    assert founds["near"][1] > founds["good"][0]
    measured = {name: by_subset(LEVELS, own, ["a"] * len(LEVELS)) for name, own in scores.items()}
    gap = every_to_the_best(measured)["c_index"]["near"]
    assert gap is not None and gap.sign < 0


def test_differences_are_paired_averaged_over_subsets_and_on_images_that_both_scored() -> None:
    levels, subsets = np.tile(LEVELS, 2), np.repeat(["a", "b"], len(LEVELS))
    first, second = np.concatenate([noisy(1), noisy(2)]), np.concatenate([noisy(3, 3), 1000 + noisy(4, 3)])
    first[3], second[40] = math.nan, math.inf
    n, found = differences(levels, first, second, subsets)
    both = np.isfinite(first) & np.isfinite(second)
    assert n == both.sum() == len(levels) - 2
    ours, theirs = (evaluate(levels[both], s[both], subsets[both], draws=0) for s in (first, second))
    value, interval = found["c_index"]
    assert value == pytest.approx(ours["c_index"] - theirs["c_index"])
    assert interval is not None and interval[0] < value < interval[1]
    assert found["abnormal_kendall_tau_b"][0] == pytest.approx(
        ours["abnormal_only"]["kendall_tau_b"] - theirs["abnormal_only"]["kendall_tau_b"]
    )


def test_differences_of_nothing_are_none() -> None:
    n, found = differences([0, 1], [math.nan, 1], [1, math.nan], ["a", "a"])
    assert n == 0
    assert set(found.values()) == {(None, None)}


def test_variances_of_differences_are_those_of_resampled_images() -> None:
    levels, rng = np.repeat([0.0, 1.0, 2.0], 60), np.random.default_rng(5)
    shared = levels + rng.normal(size=180)
    scores = [shared + 0.5 * rng.normal(size=180) for _ in range(2)]
    names = ["a"] * 180
    drawn = [bootstrap(levels, own, draws=400, seed=1)["c_index"] for own in scores]
    _, (low, high) = differences(levels, *scores, names)[1]["c_index"]
    assert high - low == pytest.approx(2 * 1.96 * np.std(drawn[0] - drawn[1]), rel=0.15)


def test_the_mean_inversion_matrix_averages_the_subsets_that_have_both_levels() -> None:
    scores = noisy(1)
    matrix, levels, counts = comparing.mean_inversion_matrix(LEVELS, scores, ["a"] * len(LEVELS))
    np.testing.assert_array_equal(matrix, inversion_matrix(count_pairs(LEVELS, scores)))
    assert (levels, counts) == ([0, 1, 2, 3], [30, 20, 15, 10])
    few = LEVELS != 2
    both, levels, counts = comparing.mean_inversion_matrix(
        np.concatenate([LEVELS, LEVELS[few]]),
        np.concatenate([scores, -scores[few]]),
        ["a"] * len(LEVELS) + ["b"] * int(few.sum()),
    )
    assert counts == [60, 40, 15, 20]
    assert both[0, 1] == pytest.approx(0.5)  # in order in one subset, reversed in the other
    assert both[0, 2] == matrix[0, 2]
    assert np.isnan(both[np.tril_indices(4)]).all()


def test_the_mean_inversion_matrix_of_nothing_is_empty() -> None:
    matrix, levels, counts = comparing.mean_inversion_matrix([0, 1], [math.nan, math.nan], ["a", "a"])
    assert matrix.shape == (0, 0) and levels == counts == []


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        (LEVELS + np.random.default_rng(0).random(len(LEVELS)) / 9, "100\u00a0%): better than chance"),
        ((LEVELS > 0) + np.random.default_rng(0).random(len(LEVELS)) / 9, "not told from chance"),
        (np.where(LEVELS > 0, 9 - LEVELS, 0) + noisy(1, 0.01) / 99, "worse than chance"),
        (LEVELS > 1, "flatters tau-b"),
        (np.where(LEVELS == 3, math.nan, noisy(1)), "10 of 75 images have no score"),
        (noisy(1, 9), "below that of perfect detection with random severity"),
    ],
)
def test_what_metrics_hide_is_said(scores: np.ndarray, sentence: str) -> None:
    assert sentence in " ".join(comparing.in_words(comparing.summarize(LEVELS, scores, draws=100)))


def test_nothing_is_said_of_severity_where_nothing_can_be() -> None:
    assert comparing.in_words(comparing.summarize([0, 0, 1, 1], [1, 2, 3, 4], draws=50)) == []
    assert comparing.in_words(comparing.summarize([], [], draws=50)) == []
    assert comparing.reference_in_words(comparing.summarize([], [], draws=50)) == ""


def test_reference_points_in_words() -> None:
    said = comparing.reference_in_words(comparing.summarize(LEVELS, noisy(0), draws=0))
    share = 30 * 45 / (30 * 45 + 20 * 15 + 20 * 10 + 15 * 10)
    assert said.startswith(f"{100 * share:.0f}\u00a0% of the pairs")
    assert f"C-index of {(1 + share) / 2:.3f}" in said
    assert f"0/1 score reaches a tau-b of {share**0.5:.3f}" in said


# -- runs -----------------------------------------------------------------------------------------


def test_runs_of_one_title_are_told_apart(store: Store, dataset_id: str) -> None:
    def add(title: str, **parameters: float) -> str:
        run = store.request_run(RunRequest(dataset_id, "toy", parameters, title=title))
        return run.id

    first, second, other = add("Toy", wait=0.1, size=3), add("Toy", wait=0.2, size=3), add("Other", wait=0.3)
    runs = store.runs(dataset_id)
    assert distinct_names(runs) == {first: "Toy (wait 0.1)", second: "Toy (wait 0.2)", other: "Other"}
    twins = [runs[0], replace(runs[0], id="twin")]
    assert distinct_names(twins) == {first: f"Toy · {first}", "twin": "Toy · twin"}


def tables() -> dict[str, pd.DataFrame]:
    columns = {"image_id": ["i", "j", "k"], "path": ["i.png", "j.png", "k.png"], "subset": ["a", "b", "b"]}
    first = pd.DataFrame({**columns, "level": [0.0, 0.5, 2.0], "score": [0.1, 1 / 3, math.nan]})
    second = first.iloc[[2, 1]].assign(score=[7.0, 8.0])
    return {"one": first, "two": second}


def test_scores_stand_side_by_side_by_image() -> None:
    table = side_by_side(tables())
    assert table["image_id"].tolist() == ["i", "j", "k"]
    np.testing.assert_array_equal(table["one"], [0.1, 1 / 3, math.nan])
    np.testing.assert_array_equal(table["two"], [math.nan, 8, 7])


def test_ranks_stay_within_their_subset() -> None:
    table = pd.DataFrame({"subset": list("aaabb"), "score": [3.0, 1.0, 2.0, 500.0, math.nan]})
    np.testing.assert_array_equal(ranks_within_subsets(table, "score"), [100, 0, 50, 50, math.nan])


def read(text: str) -> pd.DataFrame:
    """A CSV with every digit: pandas rounds the last one of some numbers unless Python reads them."""
    table = pd.read_csv(io.StringIO(text), dtype=str)
    return table.map(lambda cell: float(cell) if re.fullmatch(r"-?[\d.]+(e-?\d+)?", str(cell)) else cell)


def test_scores_as_csv_keep_every_digit_and_are_no_formula() -> None:
    with np.printoptions(legacy="1.13"):  # as some library may have set it
        text = scores_side_by_side_csv(side_by_side(tables()), {"one": "=SUM(A1)", "two": "Two"})
    table = read(text)
    assert table.columns.tolist() == ["Path", "Subset", "Severity", "'=SUM(A1)", "Two", "Image"]
    assert table["'=SUM(A1)"].iloc[1] == 1 / 3
    assert text.splitlines()[1] == "i.png,a,0.0,0.1,,i"


def test_metrics_as_csv_hold_values_intervals_and_references() -> None:
    found = comparing.summarize(LEVELS, noisy(1), draws=50)
    bare = comparing.summarize(LEVELS, np.ones(len(LEVELS)), draws=0)
    text = metrics_csv([("r1", "@Toy", "plate", found), ("r2", "Flat", "plate", bare)])
    table = read(text)
    row = table.iloc[0]
    assert (row["Run"], row["Name"], row["Subset"], row["n"]) == ("r1", "'@Toy", "plate", 75)
    assert row["c_index"] == found["c_index"]
    assert [row["c_index_low"], row["c_index_high"]] == found["intervals"]["c_index"]
    assert row["auroc_3"] == found["auroc"]["3"]
    assert row["reference_kendall_tau_b_max_untied"] == found["reference"]["kendall_tau_b_max_untied"]
    assert math.isnan(table.iloc[1]["kendall_tau_b"]) and math.isnan(table.iloc[1]["c_index_low"])
