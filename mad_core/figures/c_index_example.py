"""The C-index in one picture: five images, their pairs of different levels, and how many are in order."""

from itertools import combinations

import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure
from mad_core.palette import Theme, chrome, level_colour

LEVELS = (0, 1, 1, 2, 3)
SCORES = (0.15, 0.55, 0.3, 0.4, 0.85)
READ_C_INDEX_EXAMPLE = (
    "Each point is an image, to the right more severe. A line joins two images of different levels: whole where the "
    "more severe one has the higher score, broken where it has the lower one. The C-index is the share of whole lines: "
    "half of them at random, all of them for a perfect order. Images of the same level make no line."
)


def _pairs() -> list[tuple[int, int, bool]]:
    """Images of different levels, the less severe first, and whether their scores are in order."""
    of_levels = ((i, j) for i, j in combinations(range(len(LEVELS)), 2) if LEVELS[i] < LEVELS[j])
    return [(i, j, SCORES[i] < SCORES[j]) for i, j in of_levels]


def c_index_example(*, theme: Theme) -> go.Figure:
    """The picture."""
    tones, figure = chrome(theme), empty_figure(theme, height=260, margin=(48, 12, 12, 48))
    for i, j, right in _pairs():
        line = {"color": tones.muted if right else tones.accent, "width": 1.5, "dash": "solid" if right else "dash"}
        ends = {"x": [LEVELS[i], LEVELS[j]], "y": [SCORES[i], SCORES[j]]}
        figure.add_trace(go.Scatter(**ends, mode="lines", line=line, hoverinfo="skip"))
    colours = [level_colour(level, LEVELS, theme) for level in LEVELS]
    points = {"color": colours, "size": 13, "line": {"color": tones.ink, "width": 1}}
    figure.add_trace(go.Scatter(x=LEVELS, y=SCORES, mode="markers", marker=points, hoverinfo="skip"))
    figure.update_xaxes(axis(theme, "severity level", tickvals=[0, 1, 2, 3], ticktext=["L0", "L1", "L2", "L3"]))
    figure.update_yaxes(axis(theme, "anomaly score", showticklabels=False))
    return figure


def describe_c_index_example() -> str:
    """The figure in words."""
    pairs = _pairs()
    right = sum(right for *_, right in pairs)
    return (
        f"Five images make {len(pairs)} pairs of different levels; in {right} the more severe image has the higher "
        f"score: a C-index of {right / len(pairs):.2f}."
    )
