"""Score against severity level: half violin, box and the points of each level."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from mad_core.figures.layout import (
    NO_SCORE,
    SMALL,
    TEXT,
    WIDTH,
    add_note,
    add_title,
    axis,
    empty_figure,
    ink,
    score_axis,
    sentence_figure,
)
from mad_core.figures.levels import Level, by_level, cloud, evenly, spans_decades
from mad_core.figures.words import broken, escaped, letters_in, listed
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.palette import Theme, chrome, translucent

POINTS_A_LEVEL = 600
WEBGL_FROM = 3000  # points; above it a browser draws markers faster on a canvas than as SVG
_GOLDEN = (5**0.5 - 1) / 2
READ_RAINCLOUD = (
    "Each point is an image, placed by its severity level and its score: to the right more severe, upwards a higher "
    "score. A scorer that follows severity climbs from left to right. The box holds the middle half of a level and "
    "its line is the median; the shape beside it shows where scores gather; dashed lines are cuts that were kept with "
    "the run. Look at how far neighbouring levels overlap: there the score cannot tell them apart. Raw scores of "
    "different scorers have different units, so their heights do not compare."
)


def raincloud(
    levels: ArrayLike,
    scores: ArrayLike,
    image_ids: Sequence[str],
    *,
    level_names: Mapping[float, str],
    theme: Theme,
    title: str | None = None,
    highlight: str | None = None,
    score_label: str = "anomaly score",
    hover: Sequence[str] | None = None,
    height: int = 400,
    width: int = WIDTH,
    points_a_level: int = POINTS_A_LEVEL,
    cuts: Sequence[float] = (),
) -> go.Figure:
    """Score against severity level.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        NaN and infinite scores are left out; the counts say so.
    image_ids : sequence of n str
    level_names : mapping of level to name
    highlight : str, optional
        Id of the image to ring.
    hover : sequence of n str, optional
        What a point says first; the image's id otherwise.
    height, width : int
        In pixels, the height without the title; the expected width only sets where labels break.
    points_a_level : int
        Of more points a level that many are drawn, evenly by rank, and a note says so.
    cuts : sequence of float
        Where the scores are cut into levels, raw units: lines across the plot.

    Returns
    -------
    Figure
        Boxes are of all images, whiskers end within 1.5 times the box. Under 15 images a level
        there are only points. The score axis is logarithmic where scores are positive and span decades.
    """
    groups = by_level(levels, scores, level_names, theme)
    if not any(len(g.scores) for g in groups):
        return sentence_figure(theme, height=height, sentence=NO_SCORE)
    figure = empty_figure(theme, height=height, margin=(8, 8, 8, 8))
    log = spans_decades(groups)
    shown = [_shown(group, image_ids, highlight, points_a_level) for group in groups]
    scatter = go.Scattergl if sum(map(len, shown)) > WEBGL_FROM else go.Scatter
    texts = image_ids if hover is None else hover
    traces: list[Any] = []
    for place, (group, chosen) in enumerate(zip(groups, shown, strict=True)):
        shape = cloud(group, log)
        drawn = group.scores[chosen]
        rows = group.rows[chosen]
        if shape:
            traces += [_half_violin(place, group, *shape), _box(place, group, theme)]
            x = place - 0.23 + 0.16 * np.interp(drawn, *shape).clip(0.2) * _jitter(len(drawn))
        else:
            x = place + 0.16 * _jitter(len(drawn))
        traces.append(points(scatter, x, drawn, rows, group, image_ids, texts))
        traces += [_ring(x[i], drawn[i], theme) for i, row in enumerate(rows) if image_ids[row] == highlight]
    figure.add_traces([*traces, *(_cut(cut, len(groups), theme) for cut in cuts if cut > 0 or not log)])
    letters = letters_in((width - 70) / len(groups), TEXT)
    ticks = {"tickvals": list(range(len(groups))), "ticktext": [_tick(g, letters) for g in groups], "tickangle": 0}
    figure.update_xaxes(axis(theme, **ticks, tickfont=ink(theme), range=[-0.5, len(groups) - 0.5], showgrid=False))
    ends = [end for g in groups if len(g.scores) for end in (g.scores[0], g.scores[-1])]
    figure.update_yaxes(score_axis(theme, score_label, ends, log=log))
    if title:
        add_title(figure, title)
    if any(len(chosen) < len(g.scores) for chosen, g in zip(shown, groups, strict=True)):
        add_note(figure, f"Of each level at most {points_a_level:,} points are drawn, evenly by rank.", theme)
    return figure


def describe_raincloud(
    levels: ArrayLike,
    scores: ArrayLike,
    *,
    level_names: Mapping[float, str],
    score_label: str = "anomaly score",
    cuts: Sequence[float] = (),
) -> str:
    """Medians and counts by level, the C-index, and the cuts, in words."""
    groups = [g for g in by_level(levels, scores, level_names, "light") if len(g.scores)]
    if not groups:
        return f"{NO_SCORE} There is nothing to show of {score_label} by severity level (n = 0)."
    n = sum(len(g.scores) for g in groups)
    medians = listed([f"{np.median(g.scores):.3g} at {g.label} ({g.count_text})" for g in groups])
    text = f"{score_label[:1].upper()}{score_label[1:]} by severity level for n = {n:,} images; medians are {medians}."
    every_level = np.concatenate([np.full(len(g.scores), g.level) for g in groups])
    index = c_index(count_pairs(every_level, np.concatenate([g.scores for g in groups])))
    text += "" if index is None else f" The C-index is {index:.2f}."
    return f"{text} Scores are cut into levels at {listed([f'{cut:.3g}' for cut in cuts])}." if cuts else text


def _cut(cut: float, levels: int, theme: Theme) -> go.Scatter:
    return go.Scatter(
        x=[-0.5, levels - 0.5],
        y=[cut, cut],
        mode="lines",
        line={"color": chrome(theme).accent, "width": 1.25, "dash": "dash"},
        hoverinfo="text",
        text=f"cut at {cut:.4g}",
    )


def points(
    scatter: type[go.Scatter] | type[go.Scattergl],
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    group: Level,
    image_ids: Sequence[str],
    texts: Sequence[str],
) -> Any:
    """The points of one level, each with the id of its image in ``customdata[0]``."""
    size, opacity = (6.5, 0.9) if len(rows) <= 60 else (4.5, 0.75) if len(rows) <= 400 else (3, 0.45)
    dense = size == 3  # outlines would then be most of what is seen
    return scatter(
        x=x,
        y=y,
        mode="markers",
        marker={
            "color": group.line if dense else group.colour,
            "size": size,
            "opacity": opacity,
            "line": {"color": group.line, "width": 0 if dense else 0.75},
        },
        # Plotly fades what is not selected; after a click the picture is to stay as it was.
        unselected={"marker": {"opacity": opacity}},
        # Arrays of objects, because Plotly copies nested lists item by item.
        customdata=np.array([image_ids[row] for row in rows], dtype=object)[:, None],
        text=np.array([escaped(str(texts[row])) for row in rows], dtype=object),
        hovertemplate=f"%{{text}}<br>{escaped(group.label)}, score %{{y:.4g}}<extra></extra>",
        name=escaped(group.label),
    )


def _shown(group: Level, image_ids: Sequence[str], highlight: str | None, most: int) -> np.ndarray:
    """Places of the points to draw, ascending by score, the highlighted image always among them."""
    chosen = evenly(len(group.scores), most)
    if highlight is None or len(chosen) == len(group.scores):
        return chosen
    ringed = [place for place, row in enumerate(group.rows) if image_ids[row] == highlight]
    return np.union1d(chosen, np.array(ringed, dtype=np.int64))


def _tick(group: Level, letters: int) -> str:
    fits = len(group.count_text) <= letters
    count = group.count_text if fits else group.count_text.replace(" of ", "<br>of ")
    return f"{broken(group.label, letters)}<br><span style='font-size:{SMALL}px'>{count}</span>"


def _jitter(n: int) -> np.ndarray:
    """Offsets in -1 to 1 for points in order of score: neighbours in score stand well apart."""
    return 2 * ((np.arange(n) * _GOLDEN + 0.5) % 1) - 1


def _half_violin(place: int, group: Level, at: np.ndarray, density: np.ndarray) -> go.Scatter:
    base = place + 0.06
    q1, median, q3 = np.percentile(group.scores, (25, 50, 75))
    return go.Scatter(
        x=np.concatenate([[base], base + 0.36 * density, [base]]),
        y=np.concatenate([at[:1], at, at[-1:]]),
        mode="lines",
        fill="toself",
        fillcolor=translucent(group.colour, 0.75),
        line={"color": group.line, "width": 1, "simplify": False},
        hoveron="fills",
        hoverinfo="text",
        text=f"{escaped(group.label)}: {group.count_text}, median {median:.4g}, middle half {q1:.4g} to {q3:.4g}",
        name=escaped(group.label),
    )


def _box(place: int, group: Level, theme: Theme) -> go.Box:
    q1, median, q3 = np.percentile(group.scores, (25, 50, 75))
    reach = 1.5 * (q3 - q1)
    return go.Box(
        x=[place],
        q1=[q1],
        median=[median],
        q3=[q3],
        lowerfence=[group.scores[group.scores >= q1 - reach][0]],
        upperfence=[group.scores[group.scores <= q3 + reach][-1]],
        width=0.07,
        whiskerwidth=0,
        line={"color": chrome(theme).ink, "width": 1.25},
        fillcolor=chrome(theme).page,
        hoverinfo="skip",
        name=escaped(group.label),
    )


def _ring(x: float, y: float, theme: Theme) -> go.Scatter:
    marker = {"symbol": "circle-open", "size": 15, "color": chrome(theme).accent, "line": {"width": 2.5}}
    return go.Scatter(x=[x], y=[y], mode="markers", marker=marker, hoverinfo="skip", name="this image")
