"""How a language model spreads its answer over the scores 0 to 100."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from mad_core.figures.layout import add_vertical_lines, axis, empty_figure
from mad_core.figures.words import listed, percent
from mad_core.palette import Theme, chrome, translucent


def distribution_101(
    probabilities: ArrayLike,
    *,
    expected: float | None,
    written: float | None,
    theme: Theme,
    height: int = 150,
    width: int = 420,
) -> go.Figure:
    """Bars over 0 to 100, with the expected score and the written one.

    Parameters
    ----------
    probabilities : array of shape (101,)
        Non-negative; shown as shares of their sum.
    expected, written : float or None
        The expected score and the one that the model wrote, 0-100.
    height, width : int
        In pixels, the height without the labels; the expected width only places them.

    Raises
    ------
    ValueError
        If there are not 101 finite, non-negative probabilities with a positive sum.
    """
    tones = chrome(theme)
    figure = empty_figure(theme, height=height, margin=(44, 12, 8, 40))
    marker = {"color": translucent(tones.muted, 0.6), "line": {"width": 0}}
    said = "score %{x}: %{y:.1%}<extra></extra>"
    figure.add_trace(go.Bar(x=list(range(101)), y=_shares(probabilities), width=1, marker=marker, hovertemplate=said))
    named = [("expected", expected, tones.accent), ("written", written, tones.ink)]
    lines = [(f"{name} {value:.4g}", float(value), colour) for name, value, colour in named if value is not None]
    span = (-1.0, 101.0)
    add_vertical_lines(figure, lines, span=span, width=width - 56, right=12)
    figure.update_xaxes(axis(theme, "score", range=list(span), tickvals=[0, 25, 50, 75, 100], showgrid=False))
    figure.update_yaxes(axis(theme, tickformat=".0%", rangemode="tozero", nticks=4))
    return figure


def describe_distribution_101(probabilities: ArrayLike, *, expected: float | None, written: float | None) -> str:
    """The most probable score, and the expected and written ones, in words."""
    shares = _shares(probabilities)
    top = int(shares.argmax())
    text = f"Probabilities of the n = 101 scores 0 to 100; the most probable is {top} with {percent(shares[top])}"
    named = (("expected", expected), ("written", written))
    said = listed([f"the {name} score is {value:.4g}" for name, value in named if value is not None])
    return f"{text}; {said}." if said else f"{text}."


def _shares(probabilities: ArrayLike) -> np.ndarray:
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (101,) or not np.isfinite(values).all() or (values < 0).any() or not values.sum():
        raise ValueError("a distribution over scores has 101 finite probabilities that are not negative")
    return values / values.sum()
