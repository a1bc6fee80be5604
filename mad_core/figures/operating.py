"""ROC and precision-recall curves of runs, with the threshold in use as a point on each."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import axis, empty_figure, sentence_figure
from mad_core.figures.levels import evenly
from mad_core.figures.marks import add_key, key_name, marker
from mad_core.palette import Theme, chrome, scorer_colours, scorer_dashes

MOST_POINTS = 600
NO_CURVE = "Normal and abnormal images with scores are needed."
READ_ROC = (
    "Each place on a curve is a threshold: to the right more normal images are flagged, upwards more abnormal ones. A "
    "curve that goes to the upper left corner tells them apart; along the dashed line a score tells nothing. The mark "
    "is the threshold that Triage proposes. How severe a missed image is stands in no such curve: see called levels."
)
READ_PRECISION_RECALL = (
    "Each place on a curve is a threshold: to the right more of the abnormal images are flagged, upwards fewer of the "
    "flagged ones are normal. The dashed line is what flagging at random would give; it moves with the share of "
    "abnormal images, so curves of datasets with another share do not compare. The mark is the threshold that Triage "
    "proposes."
)


def roc(
    points: Mapping[str, pd.DataFrame], thresholds: Mapping[str, float], *, theme: Theme, width: int = 520
) -> go.Figure:
    """The share of abnormal images that is flagged against the share of normal ones.

    Parameters
    ----------
    points : mapping of name to DataFrame
        As :func:`mad_core.metrics.operating.operating_points` gives them.
    thresholds : mapping of name to float
        In use; marked on the curve.
    """
    chance = {"x": [0, 1], "y": [0, 1]}
    titles = "normal images flagged", "abnormal images flagged"
    return _curves(points, thresholds, ("false_alarms", "recall"), titles, chance, "linear", theme, width)


def precision_recall(
    points: Mapping[str, pd.DataFrame], thresholds: Mapping[str, float], *, theme: Theme, width: int = 520
) -> go.Figure:
    """The share of flagged images that is abnormal against the share of abnormal images that is flagged; as steps,
    for between two thresholds there is none.
    """
    shares = [float(table["precision"].iloc[-1]) for table in points.values() if len(table)]
    chance = {"x": [0, 1], "y": [shares[0], shares[0]]} if len({round(s, 9) for s in shares}) == 1 else {}
    titles = "abnormal images flagged", "flagged images that are abnormal"
    return _curves(points, thresholds, ("recall", "precision"), titles, chance, "vh", theme, width)


def describe_roc(points: Mapping[str, pd.DataFrame], thresholds: Mapping[str, float]) -> str:
    """The figure in words."""
    return _described(points, thresholds, "false_alarms", "of the normal images")


def describe_precision_recall(points: Mapping[str, pd.DataFrame], thresholds: Mapping[str, float]) -> str:
    """The figure in words."""
    return _described(points, thresholds, "precision", "of the flagged images are abnormal")


def _curves(
    points: Mapping[str, pd.DataFrame],
    thresholds: Mapping[str, float],
    columns: tuple[str, str],
    titles: tuple[str, str],
    chance: Mapping[str, Any],
    shape: str,
    theme: Theme,
    width: int,
) -> go.Figure:
    drawn = {name: table for name, table in points.items() if len(table)}
    if not drawn:
        return sentence_figure(theme, height=330, sentence=NO_CURVE)
    figure = empty_figure(theme, height=330, margin=(56, 12, 12, 52))
    if chance:
        dashes = {"color": chrome(theme).muted, "dash": "dash", "width": 1}
        figure.add_trace(go.Scatter(**chance, mode="lines", line=dashes, showlegend=False, hoverinfo="skip"))
    names = list(drawn)
    for name, colour, dash in zip(names, scorer_colours(len(names), theme), scorer_dashes(len(names)), strict=True):
        table: Any = drawn[name].dropna(subset=list(columns))
        table = table.iloc[evenly(len(table), MOST_POINTS)]
        x, y = (table[column].tolist() for column in columns)
        hover = f"%{{y:.1%}} at %{{x:.1%}}, threshold %{{text}}<extra>{key_name(name)}</extra>"
        texts = [f"{threshold:.4g}" for threshold in table["threshold"]]
        line = {"color": colour, "dash": dash, "shape": shape, "width": 2}
        figure.add_trace(
            go.Scatter(x=x, y=y, text=texts, mode="lines", line=line, hovertemplate=hover, name=key_name(name))
        )
        used = _at(drawn[name], thresholds.get(name, float("nan")))
        if used is not None and used[list(columns)].notna().all():
            place = {"x": [used[columns[0]]], "y": [used[columns[1]]], "text": [f"{thresholds[name]:.4g}"]}
            point = marker(names, name, theme)
            figure.add_trace(go.Scatter(**place, mode="markers", marker=point, hovertemplate=hover, showlegend=False))
    span = {"range": [-0.02, 1.02], "tickformat": ".0%"}
    figure.update_xaxes(axis(theme, titles[0]) | span)
    figure.update_yaxes(axis(theme, titles[1]) | span)
    add_key(figure, names, theme, width=width)
    return figure


def _at(table: pd.DataFrame, threshold: float) -> Any:
    """What a threshold does: the last row that it flags all of."""
    rows: Any = table[table["threshold"] >= threshold]
    return rows.iloc[-1] if len(rows) else None


def _described(points: Mapping[str, pd.DataFrame], thresholds: Mapping[str, float], column: str, words: str) -> str:
    sentences = []
    for name, table in points.items():
        used = _at(table, thresholds.get(name, float("nan"))) if len(table) else None
        if used is not None:
            share = "none" if pd.isna(used[column]) else f"{used[column]:.1%}"
            at = f"At its threshold {thresholds[name]:.4g}"
            sentences.append(f"{name}: {at} {used['recall']:.1%} of the abnormal images are flagged, {share} {words}.")
    return " ".join(sentences) or NO_CURVE
