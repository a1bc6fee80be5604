"""The learning curve: how well the learned order agrees with people over the number of grades."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.curves import curves_figure
from mad_core.metrics.names import C_INDEX
from mad_core.palette import Theme

READ_LEARNING_CURVE = (
    "To the right more images are graded, upwards is better. Each point learns from so many of the grades at hand, "
    "drawn 8 to 20 times, and is judged by the grades that the draw left out; lines hold 95 % of the draws. The flat "
    "line is the detector, which learns from none. The last point is what more grades would likely bring, if the curve "
    "goes on as it went. Where the lines are long, grade more before leaning on it."
)

Point = Mapping[str, Any]


def learning_curve_figure(points: Sequence[Point], detector: float, forecast: Point | None, theme: Theme) -> go.Figure:
    """The curve, the detector's level, and the forecast.

    Parameters
    ----------
    points : sequence of mapping
        ``grades``, ``c_index``, ``low``, ``high``, as :class:`mad_core.learning.curve.CurvePoint` has them.
    detector : float
    forecast : mapping or None
    """
    ends = [*points, *([forecast] if forecast else [])]
    flat = [{"grades": p["grades"], "c_index": detector, "low": detector, "high": detector} for p in ends]
    named = {"learned": points, "detector": flat, "likely with more": [forecast] if forecast else []}
    rows = [
        {"of": name, "grades": p["grades"], C_INDEX.id: p["c_index"]}
        | {f"{C_INDEX.id}_low": p["low"], f"{C_INDEX.id}_high": p["high"]}
        for name, part in named.items()
        for p in part
    ]
    return curves_figure(pd.DataFrame(rows), "of", "grades", C_INDEX, "Graded images", theme)


def describe_learning_curve(points: Sequence[Point], detector: float, forecast: Point | None) -> str:
    """``With 20 grades C-index .82 [.75, .90], the detector .70; 20 more would likely bring .86 [.80, .92].``"""
    last = points[-1]
    text = f"With {last['grades']} grades {C_INDEX.title} {_value(last)}, the detector {detector:.2f}"
    if forecast is None:
        return f"{text}."
    return f"{text}; with {forecast['grades']} grades it would likely be {_value(forecast)}."


def _value(point: Point) -> str:
    return f"{point['c_index']:.2f} [{point['low']:.2f}, {point['high']:.2f}]"
