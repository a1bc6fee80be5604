"""Detection against severity order: scorers and subsets as points, and the two places of each scorer."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import TEXT, WIDTH, axis, empty_figure, sentence_figure
from mad_core.figures.marks import add_key, key_name, marker
from mad_core.figures.plot import Plot
from mad_core.figures.words import escaped, listed, pixels, short, with_interval
from mad_core.metrics.names import AUROC, metric_of
from mad_core.palette import Theme, chrome, scorer_colours, translucent

HEIGHT = 380
_READ_ORDER = (
    "Each point is a scorer on a subset. To the right it tells normal from abnormal better, upwards it orders "
    "abnormal images better by severity. On the dotted line the order is random. A point at the far right near that "
    "line detects well and knows nothing of severity. Lines around a point are 95 % intervals."
)
_READ_C_INDEX = (
    "Each point is a scorer on a subset. To the right it tells normal from abnormal better, upwards its C-index over "
    "all images is higher. That counts pairs of a normal and an abnormal image too, so it rises with detection by "
    "itself: the dotted line is what a scorer reaches that orders severity at random. Only the height above that line "
    "is a sense of severity."
)
_READ_PLACES = (
    "Left the places in detection, right those in order of severity; the best at the top. A line that falls is a "
    "scorer with a better place in detection than in order. Places hide distances: look at the values, two places may "
    "differ by next to nothing."
)


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    """The figures of the study ``correspondence``."""
    points, scorers = tables["points"], tables["scorers"]
    reference = facts.get("reference", {})
    return [
        Plot(
            "Detection and order among abnormal images",
            detection_and_order(points, "abnormal_c_index", reference, theme=theme),
            describe_detection_and_order(points, "abnormal_c_index", reference),
            _READ_ORDER,
        ),
        Plot(
            "Detection and C-index",
            detection_and_order(points, "c_index", reference, theme=theme),
            describe_detection_and_order(points, "c_index", reference),
            _READ_C_INDEX,
        ),
        Plot("Places of the scorers", places_of_scorers(scorers, theme=theme), describe_places(scorers), _READ_PLACES),
    ]


# -- points -----------------------------------------------------------------------------------------


def detection_and_order(
    points: pd.DataFrame, order: str, reference: Mapping[str, float | None], *, theme: Theme, width: int = WIDTH
) -> go.Figure:
    """AUROC against a C-index, a point for each scorer and subset, with 95 % intervals.

    Parameters
    ----------
    points : DataFrame
        ``scorer``, ``subset``, ``images``, and ``auroc_whole`` and ``order``, each also with ``_low`` and ``_high``.
    order : {"abnormal_c_index", "c_index"}
    reference : mapping
        For ``order`` what perfect detection with severity at random reaches. The line leads there from 0.5: what a
        scorer of any detection reaches if it orders severity at random.
    """
    complete = _complete_rows(points, order)
    if complete.empty:
        return sentence_figure(theme, height=160, sentence="No subset has both values.")
    figure = empty_figure(theme, height=HEIGHT, margin=(8, 12, 30, 52))
    names = list(dict.fromkeys(complete["scorer"]))
    values = [*_column(complete, order), *_column(complete, f"{order}_low"), *_column(complete, f"{order}_high"), 0.5]
    if (at := reference.get(order)) is not None:
        _add_reference(figure, at, theme)
        values.append(at)
    for name in names:
        rows = complete[complete["scorer"] == name]
        mark = marker(names, name, theme)
        bars = {"color": translucent(mark["color"], 0.45), "thickness": 1.2, "width": 0}
        figure.add_trace(
            go.Scatter(
                x=_column(rows, "auroc_whole"),
                y=_column(rows, order),
                mode="markers",
                marker=mark,
                name=key_name(name),
                error_x=_bars(rows, "auroc_whole", bars),
                error_y=_bars(rows, order, bars),
                hoverinfo="text",
                text=[_point_in_words(row, order) for row in rows.to_dict("records")],
            )
        )
    low, high = min(v for v in values if math.isfinite(v)), max(v for v in values if math.isfinite(v))
    left = min(
        0.5, *(v for v in _column(complete, "auroc_whole_low") if math.isfinite(v)), *_column(complete, "auroc_whole")
    )
    figure.update_xaxes(axis(theme, f"Detection: {AUROC.title} of normal against abnormal", range=[left - 0.02, 1.02]))
    figure.update_yaxes(axis(theme, f"Order: {metric_of(order).title}", range=[low - 0.03, high + 0.04]))
    add_key(figure, [*names, *([] if at is None else [reference_name(at)])], theme, width=width - 80)
    return figure


def _add_reference(figure: go.Figure, at: float, theme: Theme) -> None:
    """What random severity reaches at each detection, ending in a cross at perfect detection."""
    muted = chrome(theme).muted
    line = {"color": muted, "width": 1.25, "dash": "dot"}
    mark = {"color": muted, "symbol": "x-thin", "size": 11, "line": {"color": muted, "width": 2}}
    label = reference_name(at)
    figure.add_trace(
        go.Scatter(
            x=[0.5, 1],
            y=[0.5, at],
            mode="lines+markers",
            line=line,
            marker=mark | {"size": [0, 11]},
            hoverinfo="text",
            text=["", label],
            name=label,
        )
    )


def reference_name(at: float) -> str:
    """What the cross at the end of the line of random severity is."""
    return f"perfect detection, random severity {at:.2f}"


def describe_detection_and_order(points: pd.DataFrame, order: str, reference: Mapping[str, float | None]) -> str:
    """Every point in words, and the reference."""
    complete = _complete_rows(points, order)
    texts = [
        f"{row['scorer']} on {row['subset']} AUROC {row['auroc_whole']:.2f}, {row[order]:.2f}"
        for row in complete.to_dict("records")
    ]
    at = reference.get(order)
    end = "" if at is None else f" Perfect detection with random severity reaches {at:.2f}."
    return f"AUROC and {metric_of(order).title} (n = {len(complete)} points): {listed(texts) or 'none'}.{end}"


def _point_in_words(row: Mapping[Any, Any], order: str) -> str:
    head = f"{escaped(str(row['scorer']))}<br>{escaped(str(row['subset']))}, {row['images']:,} images"
    values = [
        f"{m.title} {with_interval(row[m.id], row[f'{m.id}_low'], row[f'{m.id}_high'])}"
        for m in (AUROC, metric_of(order))
    ]
    return "<br>".join([head, *values])


def _complete_rows(points: pd.DataFrame, order: str) -> Any:
    return points[points["auroc_whole"].notna() & points[order].notna()]


def _column(rows: Any, name: str) -> list[float]:
    return rows[name].astype("float64").tolist()


def _bars(rows: Any, name: str, style: Mapping[str, Any]) -> dict[str, Any]:
    """Whiskers to both sides; nothing where there is no interval."""
    at = rows[name].astype("float64")
    up = (rows[f"{name}_high"].astype("float64") - at).clip(lower=0).fillna(0).tolist()
    down = (at - rows[f"{name}_low"].astype("float64")).clip(lower=0).fillna(0).tolist()
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, **style}


# -- places -----------------------------------------------------------------------------------------


def places_of_scorers(scorers: pd.DataFrame, *, theme: Theme, width: int = WIDTH) -> go.Figure:
    """The place of each scorer in detection and, beside it, in severity order, joined by a line.

    Parameters
    ----------
    scorers : DataFrame
        ``scorer``, ``auroc_whole``, ``abnormal_c_index``, ``detection_place`` and ``order_place`` (1 = best).
    """
    ranked: Any = scorers.dropna(subset=["detection_place", "order_place"])
    if ranked.empty:
        return sentence_figure(theme, height=160, sentence="No scorer has both values.")
    tones, count = chrome(theme), len(ranked)
    names = ranked["scorer"].tolist()
    widest = int(min(0.34 * width, 16 + max(pixels(short(name, 30), TEXT) + 40 for name in names)))
    figure = empty_figure(theme, height=64 + 30 * count, margin=(widest, widest, 40, 12))
    far = float(ranked["places_apart"].max())
    texts = []
    for place, row in enumerate(ranked.to_dict("records")):
        stands_out = row["places_apart"] == far and far >= 1
        colour = scorer_colours(count, theme)[place] if stands_out else tones.muted
        ends = [row["detection_place"], row["order_place"]]
        figure.add_trace(
            go.Scatter(
                x=[0, 1],
                y=ends,
                mode="lines+markers",
                line={"color": colour, "width": 3 if stands_out else 1.5},
                marker={"color": colour, "size": 9},
                hoverinfo="text",
                text=[f"{escaped(row['scorer'])}: {words}" for words in _place_words(row)],
            )
        )
        ink = tones.ink if stands_out else tones.muted
        values = f"{row['auroc_whole']:.2f}", f"{row['abnormal_c_index']:.2f}"
        for x, at, value, anchor in zip((0, 1), ends, values, ("right", "left"), strict=True):
            text = f"{escaped(short(row['scorer'], 30))} {value}"
            if anchor == "left":
                text = f"{value} {escaped(short(row['scorer'], 30))}"
            texts.append(
                {"x": x, "y": at, "text": text, "xanchor": anchor, "xshift": -10 if anchor == "right" else 10}
                | {"showarrow": False, "font": {"size": TEXT, "color": ink}}
            )
    for x, title in ((0, "Detection (AUROC)"), (1, "Order of abnormal images (C-index)")):
        texts.append(
            {"x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "yshift": 8, "text": f"<b>{title}</b>"}
            | {"xanchor": "center", "showarrow": False, "font": {"size": TEXT, "color": tones.ink}}
        )
    figure.update_layout(annotations=_apart(texts))
    figure.update_xaxes(visible=False, range=[-0.02, 1.02])
    figure.update_yaxes(visible=False, range=[count + 0.5, 0.5])
    return figure


def _apart(texts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Labels of scorers that share a place stand under each other."""
    seen: dict[tuple[Any, Any], int] = {}
    for text in texts:
        key = text["x"], text["y"]
        if "yref" not in text:
            text["yshift"] = -14 * seen.get(key, 0)
            seen[key] = seen.get(key, 0) + 1
    return texts


def describe_places(scorers: pd.DataFrame) -> str:
    """Both places of every scorer in words."""
    ranked: Any = scorers.dropna(subset=["detection_place", "order_place"])
    texts = [f"{row['scorer']}: {' and '.join(_place_words(row))}" for row in ranked.to_dict("records")]
    return f"Places of n = {len(ranked)} scorers, 1 is best. {'; '.join(texts) or 'None'}."


def _place_words(row: Mapping[Any, Any]) -> list[str]:
    return [
        f"place {row['detection_place']:g} in detection (AUROC {row['auroc_whole']:.2f})",
        f"place {row['order_place']:g} in order of abnormal images (C-index {row['abnormal_c_index']:.2f})",
    ]
