"""One scorer's ranks against another's."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from mad_core.figures.layout import TEXT, add_note, axis, empty_figure, sentence_figure
from mad_core.figures.levels import by_level, evenly
from mad_core.figures.raincloud import WEBGL_FROM, points
from mad_core.figures.words import escaped, percent, short
from mad_core.metrics.special import mean_ranks
from mad_core.palette import Theme, chrome

READ_RANK_SCATTER = (
    "Each point is an image: to the right it ranks higher by the first scorer, upwards by the second; 0 is the lowest "
    "score, 100 the highest. On the dotted line they agree; the further off, the more they disagree. Far off, the "
    "colour, which is the level, shows which of them is nearer to the label. Ranks say nothing about how much higher "
    "a score is."
)


def percentile_ranks(scores: ArrayLike) -> np.ndarray:
    """Percentile rank of each score among all, ties sharing their mean rank; NaN where there is no score.

    Returns
    -------
    ndarray of shape (n,)
        Without ties the lowest score stands at 0 and the highest at 100; a single one at 50.
    """
    scores = np.asarray(scores, dtype=np.float64)
    finite = np.isfinite(scores)
    n = int(finite.sum())
    ranks = np.full(len(scores), np.nan)
    ranks[finite] = 100 * (mean_ranks(scores[finite]) - 1) / (n - 1) if n > 1 else 50.0
    return ranks


def rank_scatter(
    ranks_a: ArrayLike,
    ranks_b: ArrayLike,
    levels: ArrayLike,
    image_ids: Sequence[str],
    *,
    name_a: str,
    name_b: str,
    level_names: Mapping[float, str],
    theme: Theme,
    hover: Sequence[str] | None = None,
    height: int = 440,
    points_a_level: int | None = None,
) -> go.Figure:
    """Scorer against scorer by rank, images coloured by level; far from the diagonal they disagree.

    Parameters
    ----------
    ranks_a, ranks_b : array of shape (n,)
        Percentile ranks, 0-100, from :func:`percentile_ranks`; images that lack one are left out.
    levels : array of shape (n,)
    image_ids : sequence of n str
    hover : sequence of n str, optional
        What a point says first; the image's id otherwise.
    points_a_level : int, optional
        Of more points a level that many are drawn, evenly by the second rank, and a note says so.
    """
    a, b = np.asarray(ranks_a, dtype=np.float64), np.asarray(ranks_b, dtype=np.float64)
    groups = by_level(levels, np.where(np.isfinite(a), b, np.nan), level_names, theme)
    n = sum(len(g.scores) for g in groups)
    if not n:
        return sentence_figure(theme, height=height, sentence="No image has a score of both scorers.")
    tones = chrome(theme)
    figure = empty_figure(theme, height=height, margin=(8, 8, 8, 8))
    line = {"color": tones.muted, "width": 1, "dash": "dot"}
    figure.add_trace(go.Scatter(x=[0, 100], y=[0, 100], mode="lines", line=line, hoverinfo="skip", showlegend=False))
    shown = [evenly(len(g.scores), points_a_level or len(g.scores)) for g in groups]
    scatter = go.Scattergl if sum(map(len, shown)) > WEBGL_FROM else go.Scatter
    template = f"{escaped(name_a)} %{{x:.0f}}, {escaped(name_b)} %{{y:.0f}}<extra></extra>"
    texts = image_ids if hover is None else hover
    for group, chosen in zip(groups, shown, strict=True):
        rows = group.rows[chosen]
        trace = points(scatter, a[rows], group.scores[chosen], rows, group, image_ids, texts)
        trace.hovertemplate = f"%{{text}}<br>{escaped(group.label)}<br>{template}"
        trace.name = f"{escaped(short(group.label, 24))} ({len(group.scores):,})"
        figure.add_trace(trace)
    place = {"x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top", "itemsizing": "constant"}
    legend = {"bgcolor": "rgba(0,0,0,0)", "font": {"size": TEXT, "color": tones.ink}, **place}
    figure.update_layout(showlegend=True, legend=legend)
    square: dict[str, Any] = {"range": [-3, 103], "tickvals": [0, 25, 50, 75, 100], "constrain": "domain"}
    figure.update_xaxes(axis(theme, f"{short(name_a, 34)}, percentile rank", **square, constraintoward="left"))
    figure.update_yaxes(axis(theme, f"{short(name_b, 34)}, percentile rank", **square, scaleanchor="x"))
    if points_a_level and any(len(g.scores) > points_a_level for g in groups):
        add_note(figure, f"Of each level at most {points_a_level:,} points are drawn, evenly by rank.", theme)
    return figure


def describe_rank_scatter(ranks_a: ArrayLike, ranks_b: ArrayLike, *, name_a: str, name_b: str) -> str:
    """Spearman's rank correlation and how often the scorers disagree, in words."""
    a, b = np.asarray(ranks_a, dtype=np.float64), np.asarray(ranks_b, dtype=np.float64)
    both = np.isfinite(a) & np.isfinite(b)
    a, b = mean_ranks(a[both]), mean_ranks(b[both])
    text = f"Percentile ranks of {name_a} against {name_b} for n = {len(a):,} images"
    if not len(a):
        return f"{text}."
    if a.std() and b.std():
        text += f"; Spearman's rank correlation is {np.corrcoef(a, b)[0, 1]:.2f}"
    apart = np.abs(np.asarray(ranks_a, dtype=np.float64) - np.asarray(ranks_b, dtype=np.float64))[both]
    return f"{text}. {percent(float((apart > 25).mean()))} of the images stand more than 25 percentile points apart."
