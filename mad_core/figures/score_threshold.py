"""A threshold on the scores of a subset: the distribution of all of them, and the clouds of labelled levels behind."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from mad_core.figures.layout import NO_SCORE, WIDTH, add_vertical_lines, axis, empty_figure, score_axis, sentence_figure
from mad_core.figures.levels import by_level, evenly
from mad_core.figures.words import level_label, short
from mad_core.palette import Theme, chrome, level_colour, translucent

BINS = 48
CLOUDS_FROM = 5
"""Labelled images of a level from which on its cloud is drawn."""
MOST_DECADES = 1e6
"""Scores that span more than this are near 0 for most images, not spread over decades: their axis is linear."""
READ_SCORE_THRESHOLD = (
    "Grey bars count all images by their score, to the right a higher one. The coloured clouds behind are the labelled "
    "images of each level, each as high as the others whatever their number; normals are level 0. The line is the "
    "threshold: what lies right of it is flagged. Where clouds overlap at the line, images of both are on its wrong "
    "side."
)


def score_threshold(
    levels: ArrayLike,
    scores: ArrayLike,
    threshold: float,
    *,
    level_names: Mapping[float, str],
    theme: Theme,
    height: int = 190,
    width: int = WIDTH,
) -> go.Figure:
    """Bars of all scores, clouds of the labelled levels, and the threshold as a line.

    Parameters
    ----------
    levels : array of shape (n,)
        NaN where nobody has graded the image.
    scores : array of shape (n,)
        NaN and infinite scores are left out.
    """
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    at, values = at[np.isfinite(values)], values[np.isfinite(values)]
    if not len(values):
        return sentence_figure(theme, height=height, sentence=NO_SCORE)
    low, high = np.percentile(values, (1, 99))
    log = bool(values.min() > 0 and 100 * low < high < MOST_DECADES * low)
    drawn = np.log10(values) if log else values
    line = np.log10(threshold) if log and threshold > 0 else threshold
    pad = 0.03 * (drawn.max() - drawn.min()) or 0.5
    span = float(min(drawn.min(), line) - pad), float(max(drawn.max(), line) + pad)
    counts, edges = np.histogram(drawn, BINS, span)
    figure = empty_figure(theme, height=height, margin=(44, 16, 8, 44))
    middle = (edges[:-1] + edges[1:]) / 2
    for level in np.unique(at[np.isfinite(at)]):
        own = drawn[at == level]
        if len(own) >= CLOUDS_FROM:
            figure.add_trace(_cloud(own, float(level), at, counts.max(), span, level_names, theme))
    tones = chrome(theme)
    figure.add_trace(
        go.Bar(
            x=middle,
            y=counts,
            width=edges[1] - edges[0],
            marker={"color": translucent(tones.muted, 0.55), "line": {"width": 0}},
            hovertemplate="%{y} images<extra></extra>",
        )
    )
    lines = [(f"threshold {threshold:.4g}", float(line), tones.accent)]
    add_vertical_lines(figure, lines, span=span, width=width - 60, right=16)
    ticks = score_axis(theme, "anomaly score", values.tolist(), log=log)
    if log:  # places are decades already
        ticks |= {"type": "linear", "tickvals": np.log10(ticks["tickvals"]).tolist()}
    figure.update_xaxes(ticks | {"range": list(span)})
    figure.update_yaxes(axis(theme, "images", nticks=4, rangemode="tozero"))
    return figure


def describe_score_threshold(levels: ArrayLike, scores: ArrayLike, threshold: float) -> str:
    """The figure in words."""
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    there, labelled = values[np.isfinite(values)], np.isfinite(at)
    if not len(there):
        return NO_SCORE
    groups = [g for g in by_level(at[labelled], values[labelled], {}, "light") if len(g.scores)]
    medians = [f"L{g.level:g} has the median {np.median(g.scores):.4g}" for g in groups]
    above = int((there >= threshold).sum())
    words = f"{above:,} of {len(there):,} scores lie at or above the threshold {threshold:.4g}."
    return f"{words} {'; '.join(medians)}." if medians else words


def _cloud(
    own: np.ndarray,
    level: float,
    levels: np.ndarray,
    top: float,
    span: tuple[float, float],
    names: Mapping[float, str],
    theme: Theme,
) -> go.Scatter:
    """The density of one level's scores over the axis as drawn, as high as the highest bar."""
    colour = level_colour(level, np.unique(levels[np.isfinite(levels)]).tolist(), theme)
    grid = np.linspace(*span, 160)
    sample = np.sort(own)[evenly(len(own), 1000)]
    width = max(0.9 * float(sample.std()) * len(own) ** -0.2, (span[1] - span[0]) / 120)
    density = np.exp(-0.5 * ((grid[:, None] - sample) / width) ** 2).sum(axis=1)
    return go.Scatter(
        x=grid,
        y=density / density.max() * top,
        mode="lines",
        line={"color": colour, "width": 1.5},
        fill="tozeroy",
        fillcolor=translucent(colour, 0.18),
        hovertemplate=f"{short(level_label(level, names), 30)}, {len(own):,} images<extra></extra>",
    )
