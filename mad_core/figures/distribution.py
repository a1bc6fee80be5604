"""How a language model spreads its answer over the scores 0 to 100."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from mad_core.figures.layout import SMALL, add_vertical_lines, axis, empty_figure
from mad_core.figures.words import escaped, listed, percent, pixels
from mad_core.palette import Theme, chrome, severity_colours, translucent

ScoreBand = tuple[int, int, str]
"""Whole scores from and to, both included, and the band's name."""

_BARS, _SPREAD = 0.74, 0.78
"""Height of the highest bar and of the spread's bar, shares of the plot; above them stand the bands' names."""
READ_DISTRIBUTION_101 = (
    "How a language model spreads its answer over the scores 0 to 100: the higher a bar, the more probable that "
    "score. The expected score is the mean of them all, with its standard deviation after the ±; the written score is "
    "what the model wrote. The areas behind are the bands of the rubric. One narrow peak means that the model is "
    "sure, not that it is right."
)


def distribution_101(
    probabilities: ArrayLike,
    *,
    expected: float | None,
    written: float | None,
    theme: Theme,
    spread: float | None = None,
    bands: Sequence[ScoreBand] = (),
    height: int = 150,
    width: int = 420,
) -> go.Figure:
    """Bars over 0 to 100, with the expected score, its spread, and the written one.

    Parameters
    ----------
    probabilities : array of shape (101,)
        Non-negative; shown as shares of their sum.
    expected, written : float or None
        The expected score and the one that the model wrote, 0-100.
    spread : float or None
        Standard deviation of the distribution; drawn as a bar around the expected score.
    bands : sequence of (low, high, name)
        Of the rubric, least severe first; they stand behind the bars, named where there is room.
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
    span = (-1.0, 101.0)
    _add_bands(figure, bands, theme, width=(width - 56) / (span[1] - span[0]))
    hover = "score %{x}: %{y:.1%}<extra></extra>"
    shares = _shares(probabilities)
    figure.add_trace(go.Bar(x=list(range(101)), y=shares, width=1, marker=marker, hovertemplate=hover))
    around = "" if spread is None else f" ± {spread:.2g}"
    named = [("expected", expected, around, tones.accent), ("written", written, "", tones.ink)]
    lines = [
        (f"{name} {value:.4g}{more}", float(value), tone) for name, value, more, tone in named if value is not None
    ]
    if expected is not None and spread is not None:
        _add_spread(figure, expected, spread, tones.accent)
    add_vertical_lines(figure, lines, span=span, width=width - 56, right=12)
    figure.update_xaxes(axis(theme, "score", range=list(span), tickvals=[0, 25, 50, 75, 100], showgrid=False))
    figure.update_yaxes(axis(theme, tickformat=".0%", range=[0, shares.max() / _BARS], nticks=4))
    return figure


def _add_bands(figure: go.Figure, bands: Sequence[ScoreBand], theme: Theme, width: float) -> None:
    """Faint areas in the colours of severity; ``width`` is that of one score, pixels."""
    if len(bands) < 2:
        return
    colours = severity_colours(len(bands), theme)
    for (low, high, name), colour in zip(bands, colours, strict=True):
        place = {"x0": low - 0.5, "x1": high + 0.5, "yref": "y domain", "y0": 0, "y1": 1}
        fill = translucent(colour, 0.16 if theme == "light" else 0.22)
        figure.add_shape(type="rect", fillcolor=fill, line={"width": 0}, layer="below", **place)
        if pixels(name, SMALL) + 8 <= (high - low + 1) * width:
            figure.add_annotation(
                text=escaped(name),
                x=(low + high) / 2,
                y=0.99,
                yref="y domain",
                yanchor="top",
                showarrow=False,
                font={"size": SMALL, "color": chrome(theme).muted},
            )


def _add_spread(figure: go.Figure, expected: float, spread: float, colour: str) -> None:
    """A bar from the expected score less its spread to it plus its spread, as far as the axis goes."""
    low, high = max(-0.5, expected - spread), min(100.5, expected + spread)
    line = {"color": colour, "width": 3}
    figure.add_shape(type="line", x0=low, x1=high, yref="y domain", y0=_SPREAD, y1=_SPREAD, line=line, layer="above")


def describe_distribution_101(
    probabilities: ArrayLike,
    *,
    expected: float | None,
    written: float | None,
    spread: float | None = None,
    bands: Sequence[ScoreBand] = (),
) -> str:
    """The most probable score, the expected and written ones, and each band's share, in words."""
    shares = _shares(probabilities)
    top = int(shares.argmax())
    text = f"Probabilities of the n = 101 scores 0 to 100; the most probable is {top} with {percent(shares[top])}"
    named = (("expected", expected), ("written", written))
    scores = listed([f"the {name} score is {value:.4g}" for name, value in named if value is not None])
    text = f"{text}; {scores}" if scores else text
    text += f", with a spread of {spread:.2g}" if scores and expected is not None and spread is not None else ""
    held = listed(
        [f"{percent(shares[low : high + 1].sum())} in {name or f'{low}-{high}'}" for low, high, name in bands]
    )
    return f"{text}. By band: {held}." if held else f"{text}."


def _shares(probabilities: ArrayLike) -> np.ndarray:
    values = np.asarray(probabilities, dtype=np.float64)
    if values.shape != (101,) or not np.isfinite(values).all() or (values < 0).any() or not values.sum():
        raise ValueError("a distribution over scores has 101 finite probabilities that are not negative")
    return values / values.sum()
