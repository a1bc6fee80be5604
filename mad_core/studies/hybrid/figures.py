"""Metrics of a blend against the detector's weight."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.curves import curves_figure
from mad_core.figures.layout import sentence_figure
from mad_core.figures.plot import Plot
from mad_core.figures.words import listed
from mad_core.metrics.names import AUROC, C_INDEX, TAU, Metric
from mad_core.palette import Theme

_READ = (
    "To the right the detector counts more: at 0 the model decides alone, at 1 the detector. Upwards is better. A "
    "curve higher in the middle than at both ends says that each knows what the other does not. Its highest point was "
    "found on the same images and flatters the blend; the sentence above does not use it."
)
_METRICS = (C_INDEX, TAU, AUROC)


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``hybrid``."""
    curves = tables["curves"]
    return [
        Plot(f"{metric.title} over weights", _over(curves, metric, theme), _curve_in_words(curves, metric), _READ)
        for metric in _METRICS
    ]


def _over(curves: pd.DataFrame, metric: Metric, theme: Theme) -> go.Figure:
    if metric.id not in curves:
        return sentence_figure(theme, height=160, sentence="There is nothing to draw.")
    title = "Weight of the detector: 0 is the model alone, 1 the detector alone"
    return curves_figure(curves, "blend", "weight", metric, title, theme)


def _curve_in_words(curves: pd.DataFrame, metric: Metric) -> str:
    if metric.id not in curves:
        return "There is nothing to draw."
    texts = [f"{r['blend']} at {r['weight']:.2f}: {r[metric.id]:.2f}" for r in curves.to_dict("records")]
    return f"{metric.title} (n = {len(texts)} values): {listed(texts)}."
