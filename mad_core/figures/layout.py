"""What all figures share: fonts, axes, labelled lines, and the empty figure that says why."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from mad_core.figures.words import escaped, pixels
from mad_core.palette import Theme, chrome, text_on, translucent

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"
SMALL, TEXT, TITLE = 11, 12, 14  # font sizes in pixels
CHIP = 24  # width of a level's chip in pixels
WIDTH = 700  # expected width in pixels where the caller knows nothing better
NO_SCORE = "No image has a score yet."


def empty_figure(theme: Theme, *, height: int, margin: tuple[int, int, int, int]) -> go.Figure:
    """A figure without traces in the tones of a theme; ``margin`` is left, right, top, bottom in pixels."""
    tones = chrome(theme)
    left, right, top, bottom = margin
    figure = go.Figure()
    figure.update_layout(
        template=go.layout.Template(),
        height=height,
        margin={"l": left, "r": right, "t": top, "b": bottom},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": TEXT, "color": tones.ink},
        hoverlabel={"bgcolor": tones.panel, "bordercolor": tones.line, "font": {"color": tones.ink, "family": FONT}},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": tones.muted, "activecolor": tones.accent},
        hovermode="closest",
        showlegend=False,
    )
    return figure


def sentence_figure(theme: Theme, *, height: int, sentence: str) -> go.Figure:
    """An empty figure that says why it is empty."""
    figure = empty_figure(theme, height=height, margin=(8, 8, 8, 8))
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    centre = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    figure.add_annotation(text=sentence, showarrow=False, font={"color": chrome(theme).muted}, **centre)
    return figure


def add_title(figure: go.Figure, title: str) -> None:
    """A title above the plot, which grows by its height."""
    font = {"size": TITLE, "weight": 600}
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top"}
    figure.update_layout(title={"text": escaped(title), "font": font, "pad": {"t": 6}, **place})
    grow_top(figure, 26)


def add_note(figure: go.Figure, text: str, theme: Theme) -> None:
    """A small remark above the plot, at its right end."""
    place = {"x": 1, "xref": "paper", "xanchor": "right", "y": 1, "yref": "paper", "yanchor": "bottom"}
    figure.add_annotation(text=text, showarrow=False, font={"size": SMALL, "color": chrome(theme).muted}, **place)
    grow_top(figure, 14)


def grow_top(figure: go.Figure, more: int) -> None:
    """Make room above the plot without taking any from it."""
    layout: Any = figure.layout
    figure.update_layout(height=layout.height + more, margin_t=layout.margin.t + more)


def axis(theme: Theme, title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with calm grid lines and no other line; ``title`` is escaped here."""
    tones = chrome(theme)
    return {
        "title": {"text": escaped(title), "font": {"size": TEXT, "color": tones.muted}, "standoff": 10},
        "tickfont": {"size": TEXT, "color": tones.muted},
        "ticks": "",
        "gridcolor": translucent(tones.line, 0.7),
        "gridwidth": 1,
        "zeroline": False,
        "showline": False,
        "automargin": True,
        "exponentformat": "e",
        "minexponent": 4,
        "nticks": 7,
    } | more


def score_axis(theme: Theme, label: str, scores: Sequence[float], *, log: bool) -> dict[str, Any]:
    """The axis of scores; a logarithmic one has its ticks at whole decades around ``scores``."""
    if not log:
        return axis(theme, label)
    decades = np.arange(np.floor(np.log10(min(scores))), np.ceil(np.log10(max(scores))) + 1)
    decades = decades[:: -(-len(decades) // 8)]
    ticks = {"tickvals": (10.0**decades).tolist(), "ticktext": [f"{10.0**d:g}" for d in decades]}
    return axis(theme, f"{label} (log scale)", type="log", **ticks)


def ink(theme: Theme) -> dict[str, Any]:
    """The font of what is read first, such as the names of rows."""
    return {"size": TEXT, "color": chrome(theme).ink}


def add_vertical_lines(
    figure: go.Figure, lines: Sequence[tuple[str, float, str]], *, span: tuple[float, float], width: float, right: float
) -> None:
    """Vertical lines over the whole plot with their labels above it, for which the figure grows.

    Labels begin at their line, the further left the higher up, so that neither labels nor lines cross;
    where one would leave the figure they all end at their line instead.

    Parameters
    ----------
    lines : sequence of (label, place, colour)
        Places are on the axis as drawn (decades on a logarithmic one).
    span : (low, high)
        Range of the axis, likewise.
    width, right : float
        Width of the plot and of the margin right of it in pixels, roughly.
    """
    low, high = span
    shares = [(place - low) / (high - low) for _, place, _ in lines]
    sizes = [pixels(label, SMALL) + 8 for label, _, _ in lines]
    fits = all(share * width + size <= width + right for share, size in zip(shares, sizes, strict=True))
    rows = _rows([s * width if fits else -s * width for s in shares], sizes)
    for (label, _, colour), share, row in zip(lines, shares, rows, strict=True):
        place = {"xref": "x domain", "x0": share, "x1": share, "yref": "y domain", "y0": 0, "y1": 1}
        figure.add_shape(type="line", line={"color": colour, "width": 1.25}, layer="above", **place)
        figure.add_annotation(
            text=escaped(label),
            font={"size": SMALL, "color": colour},
            x=share,
            xref="x domain",
            xanchor="left" if fits else "right",
            y=1,
            yref="y domain",
            yanchor="bottom",
            ax=0,
            ay=-(6 + 16 * row),
            showarrow=True,
            arrowhead=0,
            arrowwidth=1.25,
            arrowcolor=colour,
        )
    if lines:
        grow_top(figure, 16 + 16 * (1 + max(rows)))


def _rows(starts: Sequence[float], sizes: Sequence[float]) -> list[int]:
    """Row of each label (0 the lowest): above those that begin where it stands."""
    rows = [0] * len(starts)
    order = sorted(range(len(starts)), key=lambda i: -starts[i])
    for position, i in enumerate(order):
        under = [rows[j] for j in order[:position] if starts[j] < starts[i] + sizes[i]]
        rows[i] = 1 + max(under, default=-1)
    return rows


def add_chips(
    figure: go.Figure, levels: Sequence[tuple[str, str, str]], *, theme: Theme, left: int, width: int
) -> None:
    """A key above the plot, a chip and a name for each level, in as many lines as it needs.

    Parameters
    ----------
    levels : sequence of (label, colour, outline)
        Labels as from :func:`mad_core.figures.words.level_label`.
    left, width : int
        Left margin and expected width of the figure in pixels.
    """
    placed, x, line = [], 8, 0
    for label, colour, edge in levels:
        chip, _, name = label.partition(" · ")
        size = CHIP + 34 + int(pixels(name, TEXT))
        if x > 8 and x + size > width:
            x, line = 8, line + 1
        placed.append((chip, name, colour, edge, x, line))
        x += size
    for chip, name, colour, edge, x, row in placed:
        place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper", "yanchor": "middle"}
        place["yshift"] = 20 + 24 * (line - row)
        font = {"size": SMALL, "color": text_on(colour)}
        figure.add_annotation(text=chip, font=font, xshift=x - left, **place, **chip_style(colour, edge))
        figure.add_annotation(
            text=escaped(name), font=ink(theme), xshift=x + CHIP + 10 - left, **place, showarrow=False
        )
    grow_top(figure, 28 + 24 * line)


def chip_style(colour: str, edge: str) -> dict[str, Any]:
    """An annotation as a level's chip."""
    box = {"bgcolor": colour, "bordercolor": edge, "borderwidth": 1, "borderpad": 2, "width": CHIP}
    return {"showarrow": False, **box}


def row_text(row: float, text: str, *, shift: int, font: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An annotation beside a row of the y axis: left of the plot for a negative shift, right of it for a positive one.

    Add all rows' texts to a figure at once: Plotly checks all its annotations again at each addition.
    """
    place = {"x": int(shift > 0), "xref": "paper", "xanchor": "left", "xshift": shift, "y": row, "yref": "y"}
    return {"text": text, "font": font, "showarrow": False, **place, **more}
