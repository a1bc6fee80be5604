"""Properties of the figures: who stands where, what is counted, what the text alternatives say."""

# pyright: reportAttributeAccessIssue=false, reportOptionalSubscript=false
# (Plotly makes the attributes of figures at run time.)

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from mad_core import figures
from mad_core.figures.layout import add_vertical_lines, empty_figure
from mad_core.figures.raincloud import POINTS_A_LEVEL
from mad_core.metrics.ranking import count_pairs, inversion_matrix
from mad_core.palette import THEMES, Theme, severity_colours

NAMES = {0.0: "normal", 1.0: "slight", 2.0: "moderate", 3.0: "a very long name <b>of</b> a level"}
RNG = np.random.default_rng(7)
LEVELS = np.repeat([0.0, 1.0, 2.0, 3.0], [40, 26, 20, 8])
SCORES = 0.3 * LEVELS + RNG.gamma(2, 0.1, len(LEVELS))
SCORES[[1, 50]] = [np.nan, np.inf]
IDS = [f"image{i}" for i in range(len(LEVELS))]
MATRIX = inversion_matrix(count_pairs(LEVELS[np.isfinite(SCORES)], SCORES[np.isfinite(SCORES)]))
ROWS = [
    {"name": "PatchCore", "estimate": 0.86, "low": 0.83, "high": 0.89, "colour": "#2a5dbd"},
    {"name": "Hybrid <i>", "estimate": 0.9, "low": None, "high": None},
    {"name": "GANomaly", "estimate": None, "low": None, "high": None},
]
REFERENCE = [("random severity", 0.79), ("perfect binary", 0.81), ("ceiling", 0.95)]
COUNTS = pd.DataFrame(
    [("nut", "train", 0.0, 300), ("nut", "test", 0.0, 24), ("nut", "test", 1.0, 20), ("pill", "test", 0.5, 7)],
    columns=["subset", "split", "level", "n"],
)
PROBABILITIES = np.exp(-0.5 * ((np.arange(101) - 70) / 5) ** 2)
BANDS = [(0, 0, "normal"), (1, 30, "usable & fine"), (31, 100, "lost")]


def every_figure(theme: Theme) -> dict[str, go.Figure]:
    ranks = figures.percentile_ranks(SCORES)
    said: dict[str, Any] = {"level_names": NAMES, "theme": theme}
    strip = {"mark_label": "this image", **said}
    return {
        "raincloud": figures.raincloud(LEVELS, SCORES, IDS, title="A & B", highlight=IDS[0], **said),
        "inversion_matrix": figures.inversion_matrix(MATRIX, [0, 1, 2, 3], counts=[39, 25, 20, 8], **said),
        "rank_scatter": figures.rank_scatter(ranks, ranks[::-1], LEVELS, IDS, name_a="A", name_b="B", **said),
        "score_strip": figures.score_strip(LEVELS, SCORES, mark=0.5, **strip),
        "score_strip without a mark": figures.score_strip(LEVELS, SCORES, mark=np.nan, **strip),
        "metric_intervals": figures.metric_intervals(ROWS, reference=REFERENCE, x_title="C-index", theme=theme),
        "level_counts": figures.level_counts(COUNTS, **said),
        "distribution_101 with bands": figures.distribution_101(
            PROBABILITIES, expected=69.5, written=75, spread=6.2, bands=BANDS, theme=theme
        ),
        "distribution_101": figures.distribution_101(PROBABILITIES, expected=69.5, written=None, theme=theme),
    }


def numbers(value: Any) -> list[float]:
    """All numbers in what Plotly hands to a browser; its arrays are decoded."""
    if isinstance(value, (int, float)):
        return [float(value)]
    if isinstance(value, (np.ndarray, tuple, list)):
        return [n for item in value for n in numbers(item)]
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    return []


def with_ids(figure: go.Figure) -> list[Any]:
    return [trace for trace in figure.data if trace.customdata is not None]


@pytest.mark.parametrize("theme", THEMES)
def test_figures_hold_no_missing_numbers_and_are_transparent(theme: Theme) -> None:
    for name, figure in every_figure(theme).items():
        assert np.isfinite(numbers(figure.to_plotly_json())).all(), name
        text = json.dumps(json.loads(str(figure.to_json())), allow_nan=False)
        assert "NaN" not in text and "Infinity" not in text
        assert "<i>" not in text and "<b>" not in text, f"{name} does not escape texts of users"
        assert figure.layout.paper_bgcolor == figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert not figure.layout.template.layout.to_plotly_json()
        assert figure.layout.height < 700


def test_points_carry_the_id_of_their_image() -> None:
    score_of = dict(zip(IDS, SCORES, strict=True))
    level_of = dict(zip(IDS, LEVELS, strict=True))
    figure = figures.raincloud(LEVELS, SCORES, IDS, level_names=NAMES, theme="light")
    seen = []
    for place, trace in enumerate(with_ids(figure)):
        for x, y, (image,), text in zip(trace.x, trace.y, trace.customdata, trace.text, strict=True):
            assert score_of[image] == y and text == image
            assert level_of[image] == place and abs(x - place) < 0.5
            seen.append(image)
    assert sorted(seen) == sorted(i for i in IDS if np.isfinite(score_of[i]))
    colours = [trace.marker.color for trace in with_ids(figure)]
    assert colours == severity_colours(4, "light")


def test_raincloud_prints_how_many_images_have_a_score() -> None:
    figure = figures.raincloud(LEVELS, SCORES, IDS, level_names=NAMES, theme="light")
    ticks = figure.layout.xaxis.ticktext
    for tick, count in zip(ticks, ("n = 39 of 40", "n = 25 of 26", "n = 20", "n = 8"), strict=True):
        assert count in tick
    assert ticks[2].startswith("L2 · moderate<br>")
    clouds = [trace for trace in figure.data if trace.type == "scatter" and trace.fill == "toself"]
    boxes = [trace for trace in figure.data if trace.type == "box"]
    assert len(clouds) == len(boxes) == 3  # level 3 has points only
    shared = figures.raincloud(LEVELS, SCORES, IDS, level_names=NAMES, theme="light", hover=["part.png"] * len(IDS))
    assert set(with_ids(shared)[0].text) == {"part.png"}


def test_cuts_are_lines_across_the_clouds() -> None:
    cuts = tuple(float(cut) for cut in np.percentile(SCORES[np.isfinite(SCORES)], (50, 100)))
    facts: Any = {"level_names": NAMES, "theme": "dark"}
    plain: Any = figures.raincloud(LEVELS, SCORES, IDS, **facts)
    cut: Any = figures.raincloud(LEVELS, SCORES, IDS, **facts, cuts=cuts)
    lines = cut.data[len(plain.data) :]
    assert [tuple(line.y) for line in lines] == [(c, c) for c in cuts]
    assert all(tuple(line.x) == tuple(cut.layout.xaxis.range) for line in lines) and len(with_ids(cut)) == 4
    said = figures.describe_raincloud(LEVELS, SCORES, level_names=NAMES, cuts=cuts)
    assert f"cut into levels at {cuts[0]:.3g} and {cuts[1]:.3g}." in said


def test_the_box_is_that_of_the_scores() -> None:
    scores = SCORES[(LEVELS == 0) & np.isfinite(SCORES)]
    box = next(t for t in figures.raincloud(LEVELS, SCORES, IDS, level_names={}, theme="dark").data if t.type == "box")
    assert (box.q1[0], box.median[0], box.q3[0]) == tuple(np.percentile(scores, (25, 50, 75)))
    assert scores.min() <= box.lowerfence[0] <= box.q1[0] <= box.q3[0] <= box.upperfence[0] <= scores.max()


def test_many_images_are_thinned_evenly_and_quickly() -> None:
    n = 10_000
    levels = np.arange(n) % 6.0
    scores = levels + RNG.normal(0, 1, n)
    ids = [f"i{i}" for i in range(n)]
    hidden = ids[int(np.argsort(scores)[501])]
    figures.raincloud(levels, scores, ids, level_names=NAMES, theme="light")
    started = time.perf_counter()
    figure = figures.raincloud(levels, scores, ids, level_names=NAMES, theme="light", highlight=hidden)
    assert time.perf_counter() - started < 1.0  # about 0.05 s on a quiet machine
    traces = with_ids(figure)
    assert {trace.type for trace in traces} == {"scattergl"}
    assert all(POINTS_A_LEVEL <= len(trace.y) <= POINTS_A_LEVEL + 1 for trace in traces)
    for level, trace in enumerate(traces):
        everyone = scores[levels == level]
        assert {everyone.min(), everyone.max()} <= set(trace.y)
        assert np.median(trace.y) == pytest.approx(np.median(everyone), abs=0.01)
    assert any([hidden] in trace.customdata.tolist() for trace in traces)
    assert sum(trace.name == "this image" for trace in figure.data) == 1
    assert "600 points" in figure.layout.annotations[0].text
    assert len(str(figure.to_json())) < 600_000


def test_the_same_scores_give_the_same_figure() -> None:
    first, second = (figures.raincloud(LEVELS, SCORES, IDS, level_names=NAMES, theme="dark") for _ in range(2))
    assert first.to_json() == second.to_json()


@pytest.mark.parametrize(
    ("levels", "scores"),
    [
        ([], []),
        ([0.0], [0.5]),
        ([0.0] * 30, [0.5] * 30),
        ([0.0, 1.0], [np.nan, np.nan]),
        ([0.0] * 20 + [0.5] * 20, [1e-300] * 19 + [1e300] + [-1e300] * 20),
        ([2.0] * 20, np.arange(20)),
        (np.repeat([0.0, 1.0], 20), [0.0] * 19 + [1.0] + [1.0] * 20),
    ],
)
def test_odd_scores_are_drawn(levels: Any, scores: Any) -> None:
    ids = [str(i) for i in range(len(levels))]
    for theme in THEMES:
        rain = figures.raincloud(levels, scores, ids, level_names={}, theme=theme)
        strip = figures.score_strip(levels, scores, mark=0.5, mark_label="this", level_names={}, theme=theme)
        ranks = figures.percentile_ranks(scores)
        scatter = figures.rank_scatter(ranks, ranks, levels, ids, name_a="", name_b="", level_names={}, theme=theme)
        assert all(np.isfinite(numbers(figure.to_plotly_json())).all() for figure in (rain, strip, scatter))
    assert "n = " in figures.describe_raincloud(levels, scores, level_names={})
    assert "n = " in figures.describe_place(levels, scores, 0.5, level_names={})


def test_scores_over_decades_get_a_logarithmic_axis() -> None:
    levels = np.repeat([0.0, 1.0, 2.0, 3.0], 50)
    scores = 10 ** (levels + RNG.normal(0, 0.2, 200))
    ids = [str(i) for i in range(200)]
    for values, kind in ((scores, "log"), (scores - scores.min(), None), (levels * 30 + 1, None)):
        rain = figures.raincloud(levels, values, ids, level_names={}, theme="light")
        assert rain.layout.yaxis.type == kind
        strip = figures.score_strip(levels, values, mark=20.0, mark_label="", level_names={}, theme="light")
        assert strip.layout.xaxis.type == kind
    below_zero = figures.score_strip(levels, scores, mark=-1.0, mark_label="", level_names={}, theme="light")
    assert below_zero.layout.xaxis.type is None


def test_levels_and_scores_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match="shape"):
        figures.raincloud([0.0, 1.0], [0.5], ["a"], level_names={}, theme="light")


def test_inversion_matrix_shows_each_pair_once() -> None:
    figure = figures.inversion_matrix(MATRIX, [0, 1, 2, 3], counts=[39, 25, 20, 8], level_names=NAMES, theme="light")
    shown = {(a.y, a.x): a.text for a in figure.layout.annotations}
    assert shown == {(i, j): f"{MATRIX[i, j]:.2f}" for i in range(4) for j in range(i + 1, 4)}
    assert [row[j - 1] for i, row in enumerate(figure.data[0].z) for j in range(1, i + 1)] == [None] * 3
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0, 1)
    assert figure.layout.xaxis.ticktext[0] == "L1 · slight<br>n = 25"
    said = figures.describe_inversion_matrix(MATRIX, [0, 1, 2, 3], counts=[39, 25, 20, 8], level_names=NAMES)
    assert f"L3 above L0 {MATRIX[0, 3]:.2f}" in said and "n = 92" in said
    alone = figures.inversion_matrix(np.array([[np.nan]]), [0], level_names={}, theme="light")
    assert not alone.data and "Two levels" in alone.layout.annotations[0].text


def test_percentile_ranks() -> None:
    assert figures.percentile_ranks([3.0, 1.0, 2.0]).tolist() == [100.0, 0.0, 50.0]
    assert figures.percentile_ranks([1.0, 1.0]).tolist() == [50.0, 50.0]
    assert figures.percentile_ranks([7.0]).tolist() == [50.0]
    assert np.isnan(figures.percentile_ranks([np.nan, 1.0])[0])


def test_rank_scatter_leaves_out_who_lacks_a_score() -> None:
    a, b = figures.percentile_ranks(SCORES), figures.percentile_ranks(-SCORES)
    b[2] = np.nan
    figure = figures.rank_scatter(a, b, LEVELS, IDS, name_a="A", name_b="B", level_names=NAMES, theme="light")
    drawn = {image: (x, y) for t in with_ids(figure) for x, y, (image,) in zip(t.x, t.y, t.customdata, strict=True)}
    assert drawn == {IDS[i]: (a[i], b[i]) for i in np.flatnonzero(np.isfinite(a) & np.isfinite(b))}
    said = figures.describe_rank_scatter(a, b, name_a="A", name_b="B")
    assert f"n = {len(drawn)}" in said and "correlation is -1.00" in said


def test_place_among_levels() -> None:
    levels, scores = [0, 0, 0, 0, 1, 1, 2, 2], [1.0, 2.0, 3.0, 4.0, 4.0, 6.0, 8.0, np.nan]
    places = figures.place_among_levels(levels, scores, 4.0)
    assert [(p["level"], p["n"], p["below"], p["equal"], p["nearest"]) for p in places] == [
        (0, 4, 0.75, 0.25, False),
        (1, 2, 0.0, 0.5, True),
        (2, 1, 0.0, 0.0, False),
    ]
    said = figures.describe_place(levels, scores, 4.0, level_names=NAMES)
    assert "75 % of L0 (n = 4)" in said and said.endswith("The nearest median is 5, of L1 · slight.")
    with pytest.raises(ValueError):
        figures.place_among_levels(levels, scores, np.nan)
    assert figures.describe_score_strip(levels, scores, mark=np.nan, level_names=NAMES).startswith("This image has no")


def test_score_strip_marks_the_score() -> None:
    figure = figures.score_strip(LEVELS, SCORES, mark=0.5, mark_label="this image", level_names=NAMES, theme="light")
    low, high = figure.layout.xaxis.range
    assert low + figure.layout.shapes[0].x0 * (high - low) == pytest.approx(0.5)
    texts = [a.text for a in figure.layout.annotations]
    assert {"L0", "normal", "n = 39 of 40", "L3", "n = 8", "this image"} <= set(texts)
    assert not figures.score_strip(
        LEVELS, SCORES, mark=np.nan, mark_label="", level_names={}, theme="dark"
    ).layout.shapes


def test_metric_intervals_show_what_they_are_given() -> None:
    figure = figures.metric_intervals(ROWS, reference=REFERENCE, x_title="C-index", theme="light")
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert [tuple(line.x) for line in lines] == [(0.83, 0.89)]
    assert [dot.x[0] for dot in dots] == [0.86, 0.9]
    assert dots[0].marker.color == "#2a5dbd"
    assert len(figure.layout.shapes) == 3
    said = figures.describe_metric_intervals(ROWS, reference=REFERENCE, x_title="C-index")
    assert "PatchCore 0.860 [0.830, 0.890]" in said and "GANomaly not available" in said and "ceiling 0.95" in said
    assert not figures.metric_intervals([], x_title="C-index", theme="light").data


@pytest.mark.parametrize("seed", range(20))
def test_labels_of_lines_never_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = [(f"reference {i}", float(place), "#000000") for i, place in enumerate(rng.uniform(0, 1, 5))]
    figure = empty_figure("light", height=200, margin=(8, 150, 8, 8))
    add_vertical_lines(figure, lines, span=(0.0, 1.0), width=500, right=150)
    boxes = [(500 * a.x, 500 * a.x + 75, a.ay) for a in figure.layout.annotations]
    for i, (start, end, up) in enumerate(boxes):
        for other_start, other_end, other_up in boxes[:i]:
            assert end <= other_start or other_end <= start or up != other_up
        crossing = [u for s, _, u in boxes if start < s < end and u < up]  # upwards is negative
        assert not crossing, "a line runs through a label"


def test_level_counts_count_every_image_once() -> None:
    figure = figures.level_counts(COUNTS, level_names=NAMES, theme="light")
    assert [list(bar.x) for bar in figure.data] == [[300, 24, 0], [0, 0, 7], [0, 20, 0]]
    assert list(figure.layout.yaxis.ticktext) == ["nut · train", "nut · test", "pill · test"]
    assert [bar.marker.color for bar in figure.data] == severity_colours(3, "light")
    said = figures.describe_level_counts(COUNTS, level_names=NAMES)
    assert said.startswith("n = 351 images in 2 subsets: train 300 L0 · normal; test 24 L0 · normal, 7 L0.5")
    nothing = COUNTS.iloc[:0]
    assert not figures.level_counts(nothing, level_names={}, theme="light").data
    assert "n = 0" in figures.describe_level_counts(nothing, level_names={})


def test_distribution_adds_up() -> None:
    figure = figures.distribution_101(PROBABILITIES, expected=69.5, written=75, theme="light")
    assert sum(figure.data[0].y) == pytest.approx(1)
    assert [a.text for a in figure.layout.annotations] == ["expected 69.5", "written 75"]
    said = figures.describe_distribution_101(PROBABILITIES, expected=69.5, written=None)
    assert "most probable is 70 with 8 %" in said and "expected score is 69.5" in said and "written" not in said
    bad: list[Callable[[], np.ndarray]] = [
        lambda: np.ones(100),
        lambda: np.zeros(101),
        lambda: np.full(101, np.nan),
        lambda: -PROBABILITIES,
    ]
    for values in bad:
        with pytest.raises(ValueError):
            figures.distribution_101(values(), expected=None, written=None, theme="light")


def test_distribution_shows_spread_and_bands() -> None:
    figure = figures.distribution_101(
        PROBABILITIES, expected=98.0, written=None, spread=6.2, bands=BANDS, theme="light"
    )
    rectangles = [(s.x0, s.x1) for s in figure.layout.shapes if s.type == "rect"]
    assert rectangles == [(-0.5, 0.5), (0.5, 30.5), (30.5, 100.5)]
    (around,) = [s for s in figure.layout.shapes if s.type == "line" and s.y0 == s.y1]
    assert (around.x0, around.x1) == (pytest.approx(91.8), 100.5)  # the spread ends where the scores end
    texts = [a.text for a in figure.layout.annotations]
    assert texts == ["usable &amp; fine", "lost", "expected 98 ± 6.2"]  # a band one score wide has no room for a name
    facts: dict[str, Any] = {"expected": 69.5, "written": None, "spread": 6.2, "bands": BANDS}
    said = figures.describe_distribution_101(PROBABILITIES, **facts)
    inside = 100 * PROBABILITIES[31:].sum() / PROBABILITIES.sum()
    assert "with a spread of 6.2" in said and f"{inside:.0f} % in lost" in said


def test_raincloud_in_words() -> None:
    said = figures.describe_raincloud(LEVELS, SCORES, level_names=NAMES)
    median = np.median(SCORES[LEVELS == 2])
    assert "n = 92 images" in said and f"{median:.3g} at L2 · moderate (n = 20)" in said and "C-index is 0." in said
