"""Metrics against the strength of corruptions, and a slider through one image and its maps."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mad_core.figures.layout import axis, empty_figure, sentence_figure
from mad_core.figures.marks import add_key, key_name
from mad_core.figures.words import escaped, listed, short
from mad_core.palette import Theme, chrome, scorer_colours, scorer_dashes

HEIGHT = 300
Drawn = tuple[str, go.Figure, str]
_NAMES = {
    "brightness": "Brightness",
    "contrast": "Contrast",
    "noise": "Gaussian noise",
    "blur": "Blur",
    "jpeg": "JPEG",
    "cast": "Colour cast",
    "moved": "Rotation and shift",
    "occlusion": "Occlusion",
}


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Drawn]:
    """The figures of the study ``robustness``, each with its title and its text alternative."""
    curves, levels = tables["curves"], tables["levels"]
    by_level = levels.assign(line=[f"L{level}" for level in levels["level"]])
    drawn = [
        ("C-index against strength", _lines(curves, "c_index", "scorer", "C-index", theme), _said(curves, "c_index")),
        ("Detection of each level", _lines(by_level, "auroc", "line", "AUROC", theme), _said(by_level, "auroc")),
    ]
    steps = facts.get("example", {}).get("steps", [])
    for corruption in dict.fromkeys(step["corruption"] for step in steps if step["strength"]):
        name = _NAMES.get(corruption, corruption)
        shown = [step for step in steps if step["corruption"] in ("", corruption)]
        words = f"The example under {name}, strengths {listed([str(s['strength']) for s in shown])}, with its maps."
        drawn.append((f"One image under {name}", slider(shown, theme=theme), words))
    return drawn


def _lines(table: pd.DataFrame, value: str, by: str, title: str, theme: Theme) -> go.Figure:
    """A panel for each corruption; the line of each ``by`` starts at the clean images, averaged over scorers."""
    if table.empty or value not in table:
        return sentence_figure(theme, height=160, sentence="There is nothing to draw.")
    panels = [name for name in dict.fromkeys(table["corruption"]) if name]
    names = [str(name) for name in dict.fromkeys(table[by])]
    colours, dashes = scorer_colours(len(names), theme), scorer_dashes(len(names))
    made = make_subplots(rows=1, cols=len(panels), shared_yaxes=True, subplot_titles=[_NAMES.get(p, p) for p in panels])
    figure = empty_figure(theme, height=HEIGHT, margin=(48, 12, 30, 52))
    template = figure.layout
    figure = made.update_layout(template)
    for column, panel in enumerate(panels, start=1):
        rows: Any = table[table["corruption"].isin(["", panel])]
        for place, name in enumerate(names):
            own = rows[rows[by].astype(str) == name].groupby("strength")[[value, f"{value}_low", f"{value}_high"]]
            at = own.mean()
            bars = {"type": "data", "symmetric": False, "width": 0, "thickness": 1.2}
            bars |= {"array": (at[f"{value}_high"] - at[value]).clip(lower=0).tolist()}
            bars |= {"arrayminus": (at[value] - at[f"{value}_low"]).clip(lower=0).tolist()}
            figure.add_trace(
                go.Scatter(
                    x=at.index.tolist(),
                    y=at[value].tolist(),
                    mode="lines+markers",
                    line={"color": colours[place], "dash": dashes[place]},
                    error_y=bars,
                    name=key_name(name),
                    showlegend=column == 1,
                ),
                row=1,
                col=column,
            )
        figure.update_xaxes(axis(theme, "Strength", dtick=1), row=1, col=column)
        figure.update_yaxes(axis(theme, title if column == 1 else ""), row=1, col=column)
    add_key(figure, names, theme, width=620)
    return figure


def _said(table: pd.DataFrame, value: str) -> str:
    if table.empty or value not in table:
        return "There is nothing to draw."
    found = []
    for row in table.to_dict("records"):
        what = f"{row['scorer']}" + (f" L{row['level']}" if "level" in row else "")
        place = f"{_NAMES.get(row['corruption'], row['corruption'])} {row['strength']}" if row["strength"] else "clean"
        found.append(f"{what}, {place}: {row[value]:.2f}")
    return f"n = {len(found)} values. " + "; ".join(found) + "."


def slider(steps: list[Mapping[str, Any]], *, theme: Theme) -> go.Figure:
    """The image and each scorer's map at every strength; a slider chooses the strength.

    Parameters
    ----------
    steps : list of mapping
        ``strength``, ``image`` (data address) and ``maps``: by scorer ``shape``, ``low``, ``high``, ``data``.
    """
    scorers = list(dict.fromkeys(name for step in steps for name in step["maps"]))
    titles = ["Image", *(escaped(short(name, 24)) for name in scorers)]
    figure = make_subplots(rows=1, cols=len(titles), subplot_titles=titles)
    figure.update_layout(empty_figure(theme, height=HEIGHT + 60, margin=(8, 8, 40, 80)).layout)
    owners: list[int] = []
    for number, step in enumerate(steps):
        figure.add_trace(go.Image(source=step["image"], visible=number == 0, hoverinfo="skip"), row=1, col=1)
        owners.append(number)
        for column, name in enumerate(scorers, start=2):
            if (found := step["maps"].get(name)) is None:
                continue
            values = np.frombuffer(base64.b64decode(found["data"]), dtype=np.uint8).reshape(found["shape"])
            heat = go.Heatmap(z=values, zmin=0, zmax=255, colorscale="Viridis", showscale=False, zsmooth="best")
            figure.add_trace(heat.update(visible=number == 0, hoverinfo="skip"), row=1, col=column)
            owners.append(number)
    choices = [
        {
            "label": str(step["strength"]),
            "method": "update",
            "args": [{"visible": [owner == number for owner in owners]}],
        }
        for number, step in enumerate(steps)
    ]
    shown = {"prefix": "Strength ", "font": {"color": chrome(theme).ink}}
    figure.update_layout(sliders=[{"steps": choices, "currentvalue": shown, "pad": {"t": 10}}])
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", constrain="domain")
    for column in range(1, len(titles) + 1):
        anchor = f"x{column}" if column > 1 else "x"
        figure.update_yaxes(scaleanchor=anchor, row=1, col=column)
    return figure
