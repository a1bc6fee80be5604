"""The inversion matrix: which pairs of levels a scorer puts in order, and which it does not."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from mad_core.figures.layout import SMALL, TEXT, WIDTH, axis, empty_figure, ink, sentence_figure
from mad_core.figures.words import broken, escaped, letters_in, level_label, listed, short
from mad_core.palette import Theme, chrome, diverging_colour, text_on

_ONE_LEVEL = "Two levels with scores are needed to compare them."
_STEPS = np.linspace(0, 1, 11).tolist()
READ_INVERSION_MATRIX = (
    "Each cell takes two levels, the less severe in the row, the more severe in the column, and says how often the "
    "more severe image scores higher. 1 is always, 0.5 is chance, below 0.5 the order is reversed. The row of L0 is "
    "detection, the other cells are severity alone. A high C-index can hide a cell near 0.5, most often between "
    "neighbouring levels."
)


def inversion_matrix(
    matrix: np.ndarray,
    levels: Sequence[float],
    *,
    counts: Sequence[int] | None = None,
    level_names: Mapping[float, str],
    theme: Theme,
    width: int = WIDTH,
) -> go.Figure:
    """P(score of level j > score of level i) for each pair of levels i < j, which takes the C-index apart.

    Parameters
    ----------
    matrix : ndarray of shape (L, L)
        From :func:`mad_core.metrics.ranking.inversion_matrix`: rows the less severe level, 0-1, NaN
        outside the upper triangle.
    levels : sequence of L numbers, ascending
    counts : sequence of L int, optional
        Images a level.
    width : int
        Expected width in pixels; it only sets where labels break.
    """
    n_levels = len(levels)
    height = 88 + 46 * max(n_levels - 1, 2)
    if n_levels < 2:
        return sentence_figure(theme, height=height, sentence=_ONE_LEVEL)
    labels = [level_label(level, level_names) for level in levels]
    values = [[None if np.isnan(v) else float(v) for v in row[1:]] for row in matrix[:-1]]
    columns, lines = list(range(1, n_levels)), list(range(n_levels - 1))
    figure = empty_figure(theme, height=height, margin=(8, 8, 8, 8))
    figure.add_trace(
        go.Heatmap(
            z=values,
            x=columns,
            y=lines,
            zmin=0,
            zmax=1,
            colorscale=[[step, diverging_colour(step, theme)] for step in _STEPS],
            xgap=3,
            ygap=3,
            hoverongaps=False,
            customdata=[[[escaped(upper), escaped(lower)] for upper in labels[1:]] for lower in labels[:-1]],
            hovertemplate="%{customdata[0]} scores above %{customdata[1]} in %{z:.1%} of pairs<extra></extra>",
            colorbar={
                "thickness": 8,
                "outlinewidth": 0,
                "tickvals": [0, 0.5, 1],
                "ticktext": ["0 · reversed", "0.5 · chance", "1 · in order"],
                "tickfont": {"size": SMALL, "color": chrome(theme).muted},
                "xpad": 8,
                "ypad": 2,
            },
        )
    )
    for i, row in enumerate(values):
        for j, value in enumerate(row, start=1):
            if value is not None:
                font = {"size": 13, "color": text_on(diverging_colour(value, theme))}
                figure.add_annotation(x=j, y=i, text=f"{value:.2f}", showarrow=False, font=font)
    numbers = [f"<br>n = {n:,}" for n in counts] if counts is not None else [""] * n_levels
    letters = letters_in((width - 270) / (n_levels - 1), TEXT)
    above = [broken(label, letters) + n for label, n in zip(labels, numbers, strict=True)]
    beside = [escaped(short(label, 22)) + n for label, n in zip(labels, numbers, strict=True)]
    ticks = {"showgrid": False, "tickfont": ink(theme), "tickangle": 0}
    figure.update_xaxes(axis(theme, "more severe level", tickvals=columns, ticktext=above[1:], **ticks))
    ticks |= {"autorange": "reversed", "ticklabelstandoff": 4}
    figure.update_yaxes(axis(theme, "less severe level", tickvals=lines, ticktext=beside[:-1], **ticks))
    return figure


def describe_inversion_matrix(
    matrix: np.ndarray,
    levels: Sequence[float],
    *,
    counts: Sequence[int] | None = None,
    level_names: Mapping[float, str],
) -> str:
    """The value of each pair of levels, and the pair that is hardest to order, in words."""
    size = "" if counts is None else f" (n = {sum(counts):,} images)"
    pairs = [(levels[i], levels[j], float(matrix[i, j])) for i, j in np.argwhere(np.isfinite(matrix))]
    if not pairs:
        return f"{_ONE_LEVEL[:-1]}{size}."
    cells = listed([f"L{j:g} above L{i:g} {value:.2f}" for i, j, value in pairs])
    i, j, value = min(pairs, key=lambda pair: pair[2])
    hardest = f"{level_label(i, level_names)} and {level_label(j, level_names)} ({value:.2f})"
    return f"Probability that the more severe image scores higher{size}: {cells}. Hardest to order are {hardest}."
