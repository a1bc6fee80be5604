"""Metrics against the strength of corruptions, and a slider through one image and its maps."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mad_core.figures.layout import SMALL, axis, empty_figure, sentence_figure
from mad_core.figures.marks import add_key, key_name
from mad_core.figures.plot import Plot
from mad_core.figures.words import escaped, listed, short
from mad_core.metrics.names import AUROC, C_INDEX, TAU, metric_of
from mad_core.metrics.ranking import level_name
from mad_core.palette import Theme, chrome, level_colour, outline, scorer_colours, scorer_dashes

ROW, ACROSS = 250, 4  # height of a row of panels in pixels, panels side by side
_TALL, _SLIDER = {2: 380, 3: 290, 4: 220}, 96  # heights in pixels, of a row of so many pictures and of the slider
_READ_METRIC = (
    "One panel a kind of corruption, one line a scorer. To the right the images are spoilt more, 0 is clean; upwards "
    "is better. Guessing is 0.5, for tau-b 0. A level line does not care; a falling one loses what the title says. "
    "Lines around a point are 95 % intervals. The same strength of two corruptions is not the same harm, so compare "
    "lines within a panel."
)
_READ_LEVELS = (
    "One line a severity level, averaged over the scorers: how often its images score above normal ones that are "
    "spoilt alike. 1 is always, 0.5 is guessing. The line that falls first is the level that is lost first. A line "
    "above another one at the left only says that its level is easier to see."
)
READ_EXAMPLE = (
    "Move the slider: the image at each strength, and beside it what each scorer sees. Bright places look strange to "
    "the scorer; its colours mean the same at every strength, but not for another scorer. One image is an example, "
    "not evidence."
)
METRICS = tuple(metric.id for metric in (C_INDEX, TAU, AUROC))
NAMES = {
    "brightness": "Brightness",
    "contrast": "Contrast",
    "noise": "Gaussian noise",
    "blur": "Blur",
    "jpeg": "JPEG",
    "cast": "Colour cast",
    "moved": "Rotation and shift",
    "occlusion": "Occlusion",
}
_EMPTY = "There is nothing to draw."


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``robustness``."""
    drawn = [metric_plot(tables, metric, theme) for metric in METRICS]
    levels = tables["detection"]
    figure = against_strength(levels, "auroc", "level", level_looks(levels, theme), title=AUROC.title, theme=theme)
    drawn.append(Plot("Detection of each level", figure, _lines_in_words(levels, "auroc", "level"), _READ_LEVELS))
    for corruption in corruptions_of(facts):
        steps = steps_of(facts, corruption)
        title = slider_title(corruption)
        strengths = listed([str(step["strength"]) for step in steps])
        words = f"{title}, strengths {strengths}, with the scorers' maps."
        drawn.append(Plot(title, slider(steps, theme=theme), words, READ_EXAMPLE))
    return drawn


def title_of(metric: str) -> str:
    """Title of the figure of one of :data:`METRICS`."""
    return f"{metric_of(metric).title} against strength"


def metric_plot(tables: Mapping[str, pd.DataFrame], metric: str, theme: Theme) -> Plot:
    """The figure of one of :data:`METRICS`, a line for each scorer."""
    curves = tables["curves"]
    looks = scorer_looks(_distinct(curves, "scorer"), theme)
    figure = against_strength(curves, metric, "scorer", looks, title=metric_of(metric).title, theme=theme)
    return Plot(title_of(metric), figure, _lines_in_words(curves, metric, "scorer"), _READ_METRIC)


def slider_title(corruption: str) -> str:
    """Title of the figure with the slider of one corruption."""
    return f"One image under {NAMES.get(corruption, corruption)}"


# -- lines ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """How one line is drawn: what it stands for, and the colours of its points and of the line itself."""

    name: str
    fill: str
    line: str
    dash: str


def scorer_looks(names: Sequence[str], theme: Theme) -> list[Look]:
    """Scorers in theirs."""
    colours = scorer_colours(len(names), theme), scorer_dashes(len(names))
    return [Look(name, colour, colour, dash) for name, colour, dash in zip(names, *colours, strict=True)]


def level_looks(table: pd.DataFrame, theme: Theme) -> list[Look]:
    """Levels in their colours; pale ones by their outline."""
    levels = sorted(float(level) for level in set(table["level"])) if "level" in table else []
    fills = [level_colour(level, levels, theme) for level in levels]
    dashes = scorer_dashes(len(levels))
    return [Look(level_name(v), f, outline(f, theme), d) for v, f, d in zip(levels, fills, dashes, strict=True)]


def against_strength(
    table: pd.DataFrame, value: str, by: str, looks: Sequence[Look], *, title: str, theme: Theme
) -> go.Figure:
    """A panel for each corruption; each line starts at the clean images.

    Parameters
    ----------
    table : DataFrame
        ``corruption`` (empty: clean), ``strength``, a column ``by``, and ``value`` with ``…_low`` and ``…_high``; a row
        for each corruption, strength and line.
    """
    if table.empty or value not in table:
        return sentence_figure(theme, height=160, sentence=_EMPTY)
    panels = [name for name in _distinct(table, "corruption") if name]
    across = min(len(panels), ACROSS)
    down = math.ceil(len(panels) / across)
    titles = [NAMES.get(panel, panel) for panel in panels]
    shared: Any = "all"
    made = make_subplots(
        rows=down,
        cols=across,
        shared_yaxes=shared,
        subplot_titles=[escaped(text) for text in titles],
        horizontal_spacing=0.03,
        vertical_spacing=0.22 / down if down > 1 else 0,
    )
    figure = made.update_layout(empty_figure(theme, height=60 + ROW * down, margin=(48, 12, 30, 52)).layout)
    for number, panel in enumerate(panels):
        place = _cell(number, across)
        rows: Any = table[table["corruption"].isin(["", panel])]
        for look in looks:
            own = rows[rows[by].map(level_name if by == "level" else str) == look.name].sort_values("strength")
            figure.add_trace(_line(own, value, look, by, number == 0), **place)
        last = number + across >= len(panels)
        figure.update_xaxes(axis(theme, "strength" if last else "", dtick=1), **place)
        figure.update_yaxes(axis(theme, title if place["col"] == 1 else ""), **place)
    figure.update_annotations(font={"size": SMALL + 1, "color": chrome(theme).ink})
    add_key(figure, [_key(look.name, by) for look in looks], theme, width=620)
    return figure


def _line(rows: pd.DataFrame, value: str, look: Look, by: str, key: bool) -> go.Scatter:
    at, low, high = (rows[name].astype("float64") for name in (value, f"{value}_low", f"{value}_high"))
    bars = {"type": "data", "symmetric": False, "width": 0, "thickness": 1.2, "color": look.line}
    bars |= {"array": (high - at).tolist(), "arrayminus": (at - low).tolist()}
    return go.Scatter(
        x=rows["strength"].tolist(),
        y=at.tolist(),
        mode="lines+markers",
        line={"color": look.line, "dash": look.dash, "width": 1.8},
        marker={"color": look.fill, "size": 7, "line": {"color": look.line, "width": 1}},
        error_y=bars,
        name=key_name(_key(look.name, by)),
        legendgroup=look.name,
        showlegend=key,
    )


def _key(name: str, by: str) -> str:
    return f"L{name}" if by == "level" else name


def _distinct(table: pd.DataFrame, column: str) -> list[str]:
    return [str(name) for name in dict.fromkeys(table[column])] if column in table else []


def _lines_in_words(table: pd.DataFrame, value: str, by: str) -> str:
    if table.empty or value not in table:
        return _EMPTY
    texts = []
    for row in table.to_dict("records"):
        where = f"{NAMES.get(row['corruption'], row['corruption'])} {row['strength']}" if row["strength"] else "clean"
        texts.append(f"{_key(str(row[by]), by)}, {where}: {row[value]:.2f}")
    return f"n = {len(texts)} values. " + "; ".join(texts) + "."


# -- one image --------------------------------------------------------------------------------------

ExampleStep = Mapping[str, Any]
"""``corruption``, ``strength``, ``image`` (an address), ``maps``: by scorer ``shape``, ``low``, ``high``, ``data``."""


def corruptions_of(facts: Mapping[str, Any]) -> list[str]:
    """The corruptions under which the example is kept."""
    steps = facts.get("example", {}).get("steps", [])
    return list(dict.fromkeys(step["corruption"] for step in steps if step["strength"]))


def steps_of(facts: Mapping[str, Any], corruption: str) -> list[ExampleStep]:
    """The clean example and the example under one corruption, by strength."""
    return [step for step in facts["example"]["steps"] if step["corruption"] in ("", corruption)]


def pictures(step: ExampleStep, scorers: Sequence[str], *, theme: Theme) -> go.Figure:
    """The image and each scorer's map beside it, all of one size.

    Parameters
    ----------
    scorers : sequence of str
        Those that have a map at any strength; one that has none here keeps its place.
    """
    figure = _panels(scorers, theme)
    for trace, place in _traces(step, scorers, figure, theme):
        figure.add_trace(trace, **place)
    return figure


def slider(steps: Sequence[ExampleStep], *, theme: Theme) -> go.Figure:
    """The same for every strength; a slider in the figure chooses it, without any server."""
    scorers = scorers_of(steps)
    figure = _panels(scorers, theme)
    owners: list[int] = []
    for number, step in enumerate(steps):
        for trace, place in _traces(step, scorers, figure, theme):
            figure.add_trace(trace.update(visible=number == 0), **place)
            owners.append(number)
    choices = [
        {
            "label": str(step["strength"]),
            "method": "update",
            "args": [{"visible": [owner == number for owner in owners]}],
        }
        for number, step in enumerate(steps)
    ]
    tones, height = chrome(theme), figure.layout.height  # type: ignore[union-attr]
    look = {"bgcolor": tones.line, "bordercolor": tones.line, "activebgcolor": tones.accent, "tickcolor": tones.muted}
    shown = {"prefix": "Strength ", "font": {"color": tones.ink}}
    place = {"pad": {"t": 24}, "len": 0.6, "x": 0, "font": {"color": tones.muted}}
    sliders = [{"steps": choices, "currentvalue": shown, **look, **place}]
    return figure.update_layout(sliders=sliders, height=height + _SLIDER, margin_b=8 + _SLIDER)


def scorers_of(steps: Sequence[ExampleStep]) -> list[str]:
    """Scorers with a map at any of these strengths, in order."""
    return list(dict.fromkeys(name for step in steps for name in step["maps"]))


def describe_pictures(step: ExampleStep) -> str:
    """Which image and whose maps, with the range that a scorer's maps share."""
    maps = [f"{name}, {packed['low']:.3g} to {packed['high']:.3g}" for name, packed in step["maps"].items()]
    where = f"{NAMES.get(step['corruption'], step['corruption'])}, strength {step['strength']}"
    return f"The example, {where if step['strength'] else 'clean'}. Maps: {listed(maps) or 'none'}."


def _panels(scorers: Sequence[str], theme: Theme) -> go.Figure:
    titles = ["Image", *(escaped(short(name, 24)) for name in scorers)]
    across = min(len(titles), ACROSS)
    down = math.ceil(len(titles) / across)
    figure = make_subplots(
        rows=down, cols=across, subplot_titles=titles, horizontal_spacing=0.08, vertical_spacing=0.1 / down
    )
    figure.update_layout(empty_figure(theme, height=40 + _TALL.get(across, 380) * down, margin=(8, 64, 32, 8)).layout)
    figure.update_annotations(font={"size": SMALL + 1, "color": chrome(theme).ink})
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", constrain="domain")
    for number in range(len(titles)):
        figure.update_yaxes(scaleanchor=f"x{number + 1}" if number else "x", **_cell(number, across))
    return figure


def _cell(number: int, across: int) -> dict[str, Any]:
    return {"row": number // across + 1, "col": number % across + 1}


def _traces(
    step: ExampleStep, scorers: Sequence[str], figure: go.Figure, theme: Theme
) -> list[tuple[Any, dict[str, Any]]]:
    """Image and maps of one step with their places; a map keeps the range of its scorer, written on its bar."""
    across = min(len(scorers) + 1, ACROSS)
    traces: list[tuple[Any, dict[str, Any]]] = [(go.Image(source=step["image"], hoverinfo="skip"), _cell(0, across))]
    layout: Any = figure.layout
    for number, name in enumerate(scorers, start=1):
        kept = step["maps"].get(name)
        if kept is None:
            continue
        parts = np.frombuffer(base64.b64decode(kept["data"]), dtype=np.uint8).reshape(kept["shape"])
        low, high = kept["low"], max(kept["high"], kept["low"] + 1e-12)
        values = (low + parts.astype(np.float64) / 255 * (high - low)).astype(np.float32)
        wide, tall = (layout[f"{axis}axis{number + 1}"].domain for axis in "xy")
        bar = {
            "x": wide[1],
            "xanchor": "left",
            "y": (tall[0] + tall[1]) / 2,
            "thickness": 9,
            "len": 0.8 * (tall[1] - tall[0]),
            "nticks": 4,
            "outlinewidth": 0,
            "tickfont": {"size": SMALL, "color": chrome(theme).muted},
            "title": {"text": "score", "font": {"size": SMALL, "color": chrome(theme).muted}},
        }
        heat = go.Heatmap(z=values, zmin=low, zmax=high)
        heat.update(colorscale="Viridis", colorbar=bar, zsmooth="best", hovertemplate="%{z:.3g}<extra></extra>")
        traces.append((heat, _cell(number, across)))
    return traces
