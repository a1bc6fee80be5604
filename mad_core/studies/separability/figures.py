"""Separability of levels: three measures of every subset, and which levels lie apart in each."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import SMALL, TEXT, WIDTH, add_note, axis, empty_figure, ink, sentence_figure
from mad_core.figures.plot import Plot
from mad_core.figures.reductions import Panel, panel_plot
from mad_core.figures.words import escaped, letters_in, listed, short
from mad_core.palette import Theme, chrome, diverging_colour, level_colour, outline, text_on
from mad_core.studies.area.figures import column

SYMBOLS = {"medical": "cross", "industrial": "square", "novelty": "diamond", "other": "circle"}
"""Marks of the domains; each row says its domain in words too."""
_MEASURES = (
    ("probe_c_index", "C-index of the probe", ("chance", 0.5)),
    ("silhouette", "Silhouette", ("overlap", 0.0)),
    ("between_within", "Between / within", ("equal", 1.0)),
)
_READ_SEPARATION = (
    "Each row is a subset, no scorer is asked. Left: how well a weighted sum of the features, taught on other images, "
    "orders the levels; right is better, 0.5 is chance. Middle: the silhouette; 1 is far apart, 0 overlap, below 0 "
    "images lie nearer to another level. Right: how much farther images of different levels lie from each other than "
    "those of one level; 1 is no farther. Levels can lie in order without lying apart, then only the left panel is "
    "high."
)
_READ_DISTANCE = (
    "One panel a subset, one cell for two levels: how much farther their images lie from each other than images of "
    "one level do. 1 is no farther, above 1 the levels lie apart, and in brackets the 95 % interval holds 1. High "
    "values mean that these features tell the levels apart; whether a scorer uses that is another question."
)
_READ_SILHOUETTE = (
    "One panel a subset, one row a level. Right of 0 its images lie nearer to each other than to the next level, at 0 "
    "levels overlap, left of 0 they lie nearer to another level. Lines are 95 % intervals. Values far below 1 are "
    "usual: levels are steps on one scale, not separate kinds."
)
_ONE = 1.0
_COLUMNS, _CELL, _LINE, _HEAD, _LEFT = 2, 34, 24, 46, 44


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``separability``."""
    subsets = by_domain(tables["subsets"])
    names, panels = measures(subsets)
    order = subsets["subset"].tolist()
    return [
        panel_plot("Separation of each subset", names, panels, _READ_SEPARATION, theme),
        Plot(
            "Distance between two levels over that within them",
            level_distances(tables["pairs"], order, theme=theme),
            describe_level_distances(tables["pairs"], order),
            _READ_DISTANCE,
        ),
        Plot(
            "Silhouette of each level",
            level_silhouettes(tables["levels"], order, theme=theme),
            describe_level_silhouettes(tables["levels"], order),
            _READ_SILHOUETTE,
        ),
    ]


def by_domain(subsets: pd.DataFrame) -> pd.DataFrame:
    """The subsets of one domain together, medical ones first, the hardest of each first."""
    place = {domain: number for number, domain in enumerate(SYMBOLS)}
    ranks = subsets["domain"].map(lambda domain: place.get(domain, len(place)))
    return subsets.assign(_rank=ranks).sort_values(["_rank", "probe_c_index"], kind="stable", ignore_index=True)


def measures(subsets: pd.DataFrame) -> tuple[list[str], list[Panel]]:
    """Names of the rows with their domains, and a panel for each measure.

    Parameters
    ----------
    subsets : DataFrame
        ``subset``, ``domain``, and the measures, each also with ``_low`` and ``_high``.
    """
    symbols = [SYMBOLS.get(domain, "circle") for domain in subsets["domain"]]
    names = [
        f"{short(str(name), 28 - len(domain))} · {domain}"
        for name, domain in zip(subsets["subset"], subsets["domain"], strict=True)
    ]
    panels = [Panel(title, *column(subsets, name), reference, symbols=symbols) for name, title, reference in _MEASURES]
    return names, panels


# -- pairs of levels ------------------------------------------------------------------------------


def level_distances(pairs: pd.DataFrame, order: list[str], *, theme: Theme, width: int = WIDTH) -> go.Figure:
    """A panel a subset: mean distance between two levels over the mean distance within them.

    Values whose 95 % interval holds 1, so that the levels are not told apart, stand in brackets.

    Parameters
    ----------
    pairs : DataFrame
        ``subset``, ``level``, ``other``, and ``between_within`` with ``_low`` and ``_high``.
    order : list of str
        Subsets in the order of their panels.
    """
    measured: Any = pairs[pairs["between_within"].notna()]
    if measured.empty:
        return sentence_figure(theme, height=160, sentence="No two levels have a distance within them.")
    span = max(float((measured["between_within"] - _ONE).abs().max()), 0.02)
    most = max(len(_levels(measured, name)) for name in order) - 1
    figure = _panels(theme, len(order), _CELL * max(most, 2), width)
    for place, name in enumerate(order):
        rows: Any = measured[measured["subset"] == name]
        levels = _levels(rows, name)
        x = {float(level): number for number, level in enumerate(levels[1:])}
        y = {float(level): number for number, level in enumerate(levels[:-1])}
        axes = _axes(place)
        cells: list[list[float | None]] = [[None] * len(x) for _ in y]
        for row in rows.to_dict("records"):
            cells[y[row["level"]]][x[row["other"]]] = row["between_within"]
            colour = diverging_colour(_share(row["between_within"], span), theme)
            figure.add_annotation(
                x=x[row["other"]],
                y=y[row["level"]],
                xref=axes["xaxis"],
                yref=axes["yaxis"],
                text=_cell(row),
                showarrow=False,
                font={"size": TEXT if len(x) < 5 else SMALL, "color": text_on(colour)},
            )
        figure.add_trace(
            go.Heatmap(
                z=cells,
                zmin=_ONE - span,
                zmax=_ONE + span,
                colorscale=[[step / 10, diverging_colour(step / 10, theme)] for step in range(11)],
                showscale=False,
                xgap=2,
                ygap=2,
                hoverongaps=False,
                customdata=[[[f"L{lower:g}", f"L{upper:g}"] for upper in levels[1:]] for lower in levels[:-1]],
                hovertemplate="%{customdata[0]} and %{customdata[1]}: %{z:.3f}<extra></extra>",
                **axes,
            )
        )
        _label(figure, place, name, [f"L{v:g}" for v in levels[1:]], [f"L{v:g}" for v in levels[:-1]], theme, width)
    add_note(figure, "in brackets: not clearly apart", theme)
    return figure


def _levels(pairs: Any, name: str) -> list[float]:
    rows = pairs[pairs["subset"] == name]
    return sorted({*rows["level"].astype("float64"), *rows["other"].astype("float64")})


def _share(value: float, span: float) -> float:
    return 0.5 + (value - _ONE) / (2 * span)


def _cell(row: Mapping[Any, Any]) -> str:
    text = f"{row['between_within']:.2f}"
    return text if _clear(row) else f"({text})"


def _clear(row: Mapping[Any, Any]) -> bool:
    """Whether the interval leaves 1 out."""
    low, high = row["between_within_low"], row["between_within_high"]
    return bool(pd.notna(low) and pd.notna(high) and not low <= _ONE <= high)


def describe_level_distances(pairs: pd.DataFrame, order: list[str]) -> str:
    """Every pair of levels of every subset, in words."""
    measured: Any = pairs[pairs["between_within"].notna()]
    sentences = []
    for name in order:
        rows = measured[measured["subset"] == name].to_dict("records")
        cells = [f"L{row['level']:g} and L{row['other']:g} {_cell(row)}" for row in rows]
        sentences.append(f"{name}: {listed(cells) or 'none'}.")
    return f"In brackets: not clearly apart, the 95 % interval holds 1. {' '.join(sentences)}"


# -- levels ---------------------------------------------------------------------------------------


def level_silhouettes(levels: pd.DataFrame, order: list[str], *, theme: Theme, width: int = WIDTH) -> go.Figure:
    """A panel a subset: the mean silhouette of each level with its 95 % interval; 0 is overlap.

    Parameters
    ----------
    levels : DataFrame
        ``subset``, ``level``, and ``silhouette`` with ``_low`` and ``_high``.
    order : list of str
        Subsets in the order of their panels.
    """
    tones = chrome(theme)
    names = ("silhouette", "silhouette_low", "silhouette_high")
    seen = [float(v) for name in names for v in levels[name] if pd.notna(v)]
    low, high = min([0.0, *seen]), max([0.0, *seen])
    pad = 0.08 * (high - low) or 0.05
    most = max(levels["subset"].tolist().count(name) for name in order)
    figure = _panels(theme, len(order), _LINE * max(most, 2), width)
    for place, name in enumerate(order):
        rows: Any = levels[levels["subset"] == name]
        scale = rows["level"].astype("float64").tolist()
        values, intervals = column(rows, "silhouette")
        axes = _axes(place)
        for number, (level, value, interval) in enumerate(zip(scale, values, intervals, strict=True)):
            if value is None:
                continue
            colour = level_colour(level, scale, theme)
            edge = outline(colour, theme)
            if interval:
                line = {"color": edge, "width": 2}
                ends_of = {"x": interval, "y": [number, number], "mode": "lines", "line": line}
                figure.add_trace(go.Scatter(**ends_of, hoverinfo="skip", **axes))
            mark = {"color": colour, "size": 10, "line": {"color": edge, "width": 1.5}}
            hover = f"{escaped(name)}, L{level:g}: {_silhouette(value, interval)}"
            dot: dict[str, Any] = {"x": [value], "y": [number], "mode": "markers", "marker": mark}
            figure.add_trace(go.Scatter(**dot, hoverinfo="text", text=hover, **axes))
        zero = {"xref": axes["xaxis"], "yref": f"{axes['yaxis']} domain", "x0": 0, "x1": 0, "y0": 0, "y1": 1}
        figure.add_shape(type="line", **zero, layer="below", line={"color": tones.muted, "width": 1, "dash": "dot"})
        _label(figure, place, name, None, [f"L{v:g}" for v in scale], theme, width)
        figure.update_layout({_long("xaxis", place): {"range": [low - pad, high + pad], "nticks": 4}})
    add_note(figure, "0: levels overlap", theme)
    return figure


def describe_level_silhouettes(levels: pd.DataFrame, order: list[str]) -> str:
    """Every level of every subset, in words."""
    sentences = []
    for name in order:
        rows: Any = levels[levels["subset"] == name]
        values, intervals = column(rows, "silhouette")
        each = [
            f"L{level:g} {_silhouette(value, interval)} (n = {images:,})"
            for level, images, value, interval in zip(rows["level"], rows["images"], values, intervals, strict=True)
            if value is not None
        ]
        sentences.append(f"{name}: {listed(each) or 'none'}.")
    return " ".join(sentences)


def _silhouette(value: float, interval: list[float] | None) -> str:
    return f"{value:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


# -- panels ---------------------------------------------------------------------------------------


def _panels(theme: Theme, count: int, height: int, width: int) -> go.Figure:
    """An empty figure with room for ``count`` panels, each ``height`` pixels high, in rows of :data:`_COLUMNS`."""
    lines = -(-count // _COLUMNS)
    whole = lines * (height + _HEAD) + (lines - 1) * 10
    figure = empty_figure(theme, height=whole + 30, margin=(8, 8, 4, 26))
    places: dict[str, Any] = {}
    for place in range(count):
        line, at = divmod(place, _COLUMNS)
        left = at / _COLUMNS + _LEFT / width
        top = 1 - line * (height + _HEAD + 10) / whole
        bottom = top - (height + _HEAD) / whole
        places[_long("xaxis", place)] = {"domain": [left, (at + 1) / _COLUMNS - 0.01], "anchor": _axes(place)["yaxis"]}
        places[_long("yaxis", place)] = {
            "domain": [max(0.0, bottom + 22 / whole), top - 24 / whole],
            "anchor": _axes(place)["xaxis"],
        }
    figure.update_layout(places)
    return figure


def _axes(place: int) -> dict[str, str]:
    number = "" if place == 0 else str(place + 1)
    return {"xaxis": f"x{number}", "yaxis": f"y{number}"}


def _long(name: str, place: int) -> str:
    return name if place == 0 else f"{name}{place + 1}"


def _label(
    figure: go.Figure, place: int, name: str, x: list[str] | None, y: list[str], theme: Theme, width: int
) -> None:
    """A panel's heading and its ticks, rows from above."""
    axes, letters = _axes(place), letters_in(width / _COLUMNS - 16, TEXT)
    above = {"xref": f"{axes['xaxis']} domain", "yref": f"{axes['yaxis']} domain", "x": 0, "y": 1}
    heading = {"xanchor": "left", "yanchor": "bottom", "yshift": 3, "showarrow": False}
    figure.add_annotation(text=escaped(short(name, letters)), **above, **heading, font=ink(theme) | {"weight": 600})
    ticks = {"showgrid": x is None, "automargin": False, "ticklabelstandoff": 2, "tickangle": 0}
    facts = axis(theme, **ticks, tickfont={"size": SMALL, "color": chrome(theme).muted})
    labels = {"tickvals": list(range(len(x))), "ticktext": x} if x is not None else {}
    figure.update_layout({_long("xaxis", place): facts | labels})
    rows = {"tickvals": list(range(len(y))), "ticktext": y, "range": [len(y) - 0.5, -0.5], "showgrid": False}
    figure.update_layout({_long("yaxis", place): facts | rows})
