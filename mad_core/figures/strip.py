"""One image's score among the scores of each level, drawn and in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from mad_core.figures.layout import (
    NO_SCORE,
    SMALL,
    TEXT,
    WIDTH,
    add_vertical_lines,
    axis,
    chip_style,
    empty_figure,
    ink,
    row_text,
    score_axis,
    sentence_figure,
)
from mad_core.figures.levels import Level, by_level, cloud, spans_decades
from mad_core.figures.raincloud import describe_raincloud
from mad_core.figures.words import escaped, level_label, listed, percent, pixels, short
from mad_core.palette import Theme, chrome, text_on, translucent

_ROW = 38  # pixels
READ_SCORE_STRIP = (
    "Each row is a level with the scores of its images; to the right a higher score. The vertical line is this image. "
    "Where it crosses the thick part of a row, images of that level score alike; where rows overlap, the score alone "
    "does not settle the level. The level of the nearest median is a hint, not a verdict."
)


def score_strip(
    levels: ArrayLike,
    scores: ArrayLike,
    *,
    mark: float,
    mark_label: str,
    level_names: Mapping[float, str],
    theme: Theme,
    score_label: str = "anomaly score",
    height: int | None = None,
    width: int = WIDTH,
) -> go.Figure:
    """The scores of each level as a row, and one image's score as a line across them.

    Parameters
    ----------
    levels, scores : array of shape (n,)
        The images compared with; NaN and infinite scores are left out.
    mark : float
        The image's score; there is no line where it is not finite.
    height, width : int
        In pixels, the height without the mark's label, by default what the rows need; the expected
        width only places the labels.
    """
    groups = by_level(levels, scores, level_names, theme)
    scored = [g for g in groups if len(g.scores)]
    height = height or 56 + _ROW * max(len(groups), 1)
    if not scored:
        return sentence_figure(theme, height=height, sentence=NO_SCORE)
    names = [short(g.label.partition(" · ")[2], 22) for g in groups]
    left = 48 + int(max(pixels(name, TEXT) for name in names))
    right = 20 + int(max(pixels(g.count_text, SMALL) for g in groups))
    figure = empty_figure(theme, height=height, margin=(left, right, 8, 44))
    marks = [float(mark)] if np.isfinite(mark) else []
    log = spans_decades(scored) and all(at > 0 for at in marks)
    traces, texts = [], []
    for row, (group, name) in enumerate(zip(groups, names, strict=True)):
        traces += _row(-row, group, log)
        chip = chip_style(group.colour, group.line)
        font = {"size": SMALL, "color": text_on(group.colour)}
        count = {"size": SMALL, "color": chrome(theme).muted}
        texts.append(row_text(0.1 - row, f"L{group.level:g}", shift=6 - left, font=font, **chip))
        texts.append(row_text(0.1 - row, escaped(name), shift=42 - left, font=ink(theme)))
        texts.append(row_text(0.1 - row, group.count_text, shift=10, font=count))
    figure.add_traces(traces)
    figure.update_layout(annotations=texts)
    ends = np.array([end for g in scored for end in (g.scores[0], g.scores[-1])] + marks)
    drawn = np.log10(ends) if log else ends
    pad = 0.03 * (drawn.max() - drawn.min()) or 0.5
    span = (float(drawn.min() - pad), float(drawn.max() + pad))
    lines = [(mark_label, float(at), chrome(theme).accent) for at in drawn[len(drawn) - len(marks) :]]
    add_vertical_lines(figure, lines, span=span, width=width - left - right, right=right)
    figure.update_xaxes(score_axis(theme, score_label, ends.tolist(), log=log) | {"range": list(span)})
    figure.update_yaxes(axis(theme, range=[0.7 - len(groups), 0.85], showticklabels=False, showgrid=False))
    return figure


def describe_score_strip(
    levels: ArrayLike,
    scores: ArrayLike,
    *,
    mark: float,
    level_names: Mapping[float, str],
    mark_label: str = "This image",
) -> str:
    """As :func:`describe_place`, also where the image has no score."""
    if not np.isfinite(mark):
        return f"{mark_label} has no score. {describe_raincloud(levels, scores, level_names=level_names)}"
    return describe_place(levels, scores, mark, level_names=level_names, mark_label=mark_label)


def place_among_levels(levels: ArrayLike, scores: ArrayLike, mark: float) -> list[dict[str, Any]]:
    """Where one score falls among the scores of each level.

    Returns
    -------
    list of dict
        For each level with a score, ascending: ``level``, ``n``, ``below`` (share of its images that
        score below the mark, 0-1), ``equal`` (share that score the same), ``median``, and ``nearest``:
        True for the level whose median is nearest to the mark, the lower one of two. Nearness is
        measured on a logarithmic scale where scores are positive and span decades.

    Raises
    ------
    ValueError
        If the mark is not finite.
    """
    groups, log = _around(levels, scores, mark, {}, "light")
    medians = np.array([np.median(g.scores) for g in groups])
    distances = np.abs(np.log(medians) - np.log(mark)) if log else np.abs(medians - mark)
    return [
        {
            "level": group.level,
            "n": len(group.scores),
            "below": float((group.scores < mark).mean()),
            "equal": float((group.scores == mark).mean()),
            "median": float(median),
            "nearest": i == int(distances.argmin()),
        }
        for i, (group, median) in enumerate(zip(groups, medians, strict=True))
    ]


def describe_place(
    levels: ArrayLike,
    scores: ArrayLike,
    mark: float,
    *,
    level_names: Mapping[float, str],
    mark_label: str = "This image",
) -> str:
    """In words: above what share of each level the mark stands, and the level of the nearest median.

    Raises
    ------
    ValueError
        If the mark is not finite.
    """
    places = place_among_levels(levels, scores, mark)
    if not places:
        return f"{mark_label} scores {mark:.4g}; no other image has a score yet (n = 0)."
    shares = listed([f"{percent(p['below'])} of L{p['level']:g} (n = {p['n']:,})" for p in places])
    nearest = next(p for p in places if p["nearest"])
    label = level_label(nearest["level"], level_names)
    return f"{mark_label} scores {mark:.4g}, above {shares}. The nearest median is {nearest['median']:.4g}, of {label}."


def boxes_of_levels(
    levels: ArrayLike, scores: ArrayLike, mark: float, *, level_names: Mapping[float, str], theme: Theme
) -> dict[str, Any]:
    """What a strip is drawn from where it is not drawn by Plotly: places on one axis, as shares of its length.

    Returns
    -------
    dict
        ``mark``, and ``rows``: for each level with a score, ascending, ``label``, ``colour``, ``line``, ``ink``, and
        the places of its ``ends`` (lowest and highest), of its ``middle`` half and of its ``median``, all 0-1. The
        axis is logarithmic where scores are positive and span decades.

    Raises
    ------
    ValueError
        If the mark is not finite.
    """
    groups, log = _around(levels, scores, mark, level_names, theme)
    at = np.log if log else np.asarray
    quartiles = [at(np.percentile(g.scores, (0, 25, 50, 75, 100))) for g in groups]
    ends = np.concatenate([*quartiles, [at(mark)]])
    low, length = ends.min(), float(np.ptp(ends)) or 1.0
    rows = []
    for group, places in zip(groups, quartiles, strict=True):
        first, q1, median, q3, last = ((places - low) / length).tolist()
        rows.append(
            {
                "label": group.label,
                "colour": group.colour,
                "line": group.line,
                "ink": text_on(group.colour),
                "ends": [first, last],
                "middle": [q1, q3],
                "median": median,
            }
        )
    return {"mark": float((at(mark) - low) / length), "rows": rows}


def _around(
    levels: ArrayLike, scores: ArrayLike, mark: float, level_names: Mapping[float, str], theme: Theme
) -> tuple[list[Level], bool]:
    """The levels with a score that a mark stands among, and whether nearness is measured on a logarithmic scale."""
    if not np.isfinite(mark):
        raise ValueError("an image without a score has no place among the levels")
    groups = [g for g in by_level(levels, scores, level_names, theme) if len(g.scores)]
    return groups, spans_decades(groups) and mark > 0


def _row(base: int, group: Level, log: bool) -> list[go.Scatter]:
    """One row: a cloud over its middle half and median, or the points of few images."""
    hover = {"hoverinfo": "text", "text": f"{escaped(group.label)}: {group.count_text}", "name": escaped(group.label)}
    shape = cloud(group, log)
    if not shape:
        marker = {"color": group.colour, "size": 6.5, "line": {"color": group.line, "width": 0.75}}
        seen = np.unique(group.scores)
        return [go.Scatter(x=seen, y=np.full(len(seen), base + 0.1), mode="markers", marker=marker, **hover)]
    at, density = shape
    q1, median, q3 = np.percentile(group.scores, (25, 50, 75))
    low = base - 0.08
    return [
        go.Scatter(
            x=np.concatenate([at[:1], at, at[-1:]]),
            y=np.concatenate([[base], base + 0.74 * density, [base]]),
            mode="lines",
            fill="toself",
            fillcolor=translucent(group.colour, 0.75),
            line={"color": group.line, "width": 1, "simplify": False},
            hoveron="fills",
            **hover,
        ),
        go.Scatter(
            x=[q1, median, q3],
            y=[low] * 3,
            mode="lines+markers",
            line={"color": group.line, "width": 2.5},
            marker={"size": [0, 8, 0], "color": group.colour, "line": {"color": group.line, "width": [0, 2, 0]}},
            hoverinfo="skip",
        ),
    ]
