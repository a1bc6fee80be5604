"""The Agreement section of the Audit page: how far reviewers agree, who is off, and in which direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.figures import describe_metric_intervals, metric_intervals
from mad_core.metrics.agreement import (
    Estimate,
    bias,
    bootstrap_alpha,
    bootstrap_kappa,
    confusion,
    drift,
    krippendorff_alpha,
    quadratic_weighted_kappa,
)
from mad_core.metrics.intervals import percentile_interval
from pages.ui import charts, session
from pages.ui.auditing import Audit, records
from pages.ui.text import level_text, number, plain, with_interval

FEW = 20
"""Images below which an interval is too wide to lean on."""
LABELS = "the labels"


@dataclass(frozen=True)
class Table:
    """Ratings of one subset: raters by images, NaN where there is none; the last row may be the labels."""

    names: tuple[str, ...]
    images: tuple[str, ...]
    levels: np.ndarray
    times: np.ndarray
    scale: tuple[float, ...]
    labels: np.ndarray


def agreement_section(audit: Audit) -> None:
    """Kappa of each pair, alpha of all, confusion, bias and drift, each with its interval and in words."""
    ratings = records().ratings(audit.info.id)
    subsets = sorted({(audit.image(i) or {}).get("subset", "") for i in ratings["image_id"]} - {""})
    if not subsets:
        st.info(
            "Nobody has rated an image yet. Agreement shows here once two reviewers rated the same images.",
            icon=":material/info:",
        )
        return
    subset = subsets[0]
    if len(subsets) > 1:
        subset = st.selectbox("Subset", subsets, width=240, **session.bound("agreed", subsets, subsets[0]))
    table = _table(audit, ratings, subset)
    _alpha(table)
    _kappas(audit, table)
    _confusion(audit, table, subset)
    _bias(table)


def _table(audit: Audit, ratings: pd.DataFrame, subset: str) -> Table:
    there = [(audit.image(i) or {}).get("subset") == subset for i in ratings["image_id"]]
    rows: Any = ratings[np.asarray(there, dtype=bool)]
    names = tuple(sorted(rows["reviewer"].unique()))
    images = tuple(rows["image_id"].unique())
    wide = {
        value: rows.pivot_table(index="reviewer", columns="image_id", values=value).reindex(names, columns=images)
        for value in ("level", "time")
    }
    labels = np.array([(audit.image(i) or {})["level"] for i in images])
    scale = {*records().levels(audit.info.id, subset), *labels, *rows["level"].dropna()}
    times = wide["time"].where(wide["level"].notna())
    return Table(names, images, wide["level"].to_numpy(float), times.to_numpy(float), tuple(sorted(scale)), labels)


# -- all of them ----------------------------------------------------------------------------------


def _alpha(table: Table) -> None:
    shared = int((np.isfinite(table.levels).sum(axis=0) >= 2).sum())
    if not shared:
        st.info(
            f"{plain(_listed(table.names))} rated {len(table.images):,} images here, none of them rated by two. "
            "Agreement needs a second reviewer on the same images.",
            icon=":material/info:",
        )
        return
    found = _alpha_of(table.levels)
    st.subheader("All reviewers", anchor=False)
    st.markdown(
        f"Ordinal Krippendorff's alpha of {len(table.names)} reviewers on {shared:,} images rated by two or more: "
        f"**{with_interval(found.value, found.interval)}**"
    )
    st.caption(plain(_alpha_in_words(found)))


def _alpha_of(levels: np.ndarray) -> Estimate:
    drawn = bootstrap_alpha(levels)
    shared = int((np.isfinite(levels).sum(axis=0) >= 2).sum())
    return Estimate(krippendorff_alpha(levels), _interval(drawn), shared)


def _alpha_in_words(found: Estimate) -> str:
    if found.value is None:
        return "Alpha cannot be computed: all ratings that can be paired are the same level."
    strong = (
        "enough to rely on"
        if found.value >= 0.8
        else "enough for tentative conclusions"
        if found.value >= 0.667
        else "not enough to rely on the labels"
    )
    wide = f" On {found.n} images it is a rough estimate." if found.n < FEW else ""
    return (
        f"1 is full agreement, 0 what chance gives; {found.value:.2f} is {strong} by Krippendorff's rule (0.80 and "
        f"0.667). Unsure and not gradable count as missing.{wide}"
    )


# -- two of them ----------------------------------------------------------------------------------


def _kappas(audit: Audit, table: Table) -> None:
    """Quadratic-weighted kappa of each pair of reviewers, and of each with the labels."""
    st.subheader("Each pair, and each against the labels", anchor=False)
    rows = []
    for first, second in combinations(range(len(table.names)), 2):
        rows.append(
            _kappa_row(
                f"{table.names[first]} and {table.names[second]}",
                table.levels[first],
                table.levels[second],
                table.scale,
            )
        )
    for place, name in enumerate(table.names):
        rows.append(_kappa_row(f"{name} and {LABELS}", table.levels[place], table.labels, table.scale))
    shown = [row for row in rows if row["n"]]
    facts = {"x_title": "quadratic-weighted kappa", "reference": [("chance", 0.0)]}
    charts.show(
        metric_intervals(shown, theme=charts.theme(), width=760, **facts),
        describe_metric_intervals(shown, **facts),
        "audit_kappas",
    )
    st.caption(
        "Cohen's kappa with quadratic weights: two levels apart counts four times as much as one. 95 % bootstrap "
        "intervals over images; in brackets the images that both rated."
    )


def _kappa_row(name: str, a: np.ndarray, b: np.ndarray, scale: Sequence[float]) -> dict[str, Any]:
    n = int((np.isfinite(a) & np.isfinite(b)).sum())
    interval = _interval(bootstrap_kappa(a, b, scale)) if n > 1 else None
    return {
        "name": f"{name} ({n:,})",
        "n": n,
        "estimate": quadratic_weighted_kappa(a, b, scale),
        "low": interval[0] if interval else None,
        "high": interval[1] if interval else None,
    }


def _interval(drawn: np.ndarray) -> list[float] | None:
    usable = drawn[np.isfinite(drawn)]
    return percentile_interval(usable) if len(usable) else None


def _confusion(audit: Audit, table: Table, subset: str) -> None:
    """How often one gave a level where the other gave another."""
    st.subheader("Level against level", anchor=False)
    names = [*table.names, LABELS]
    with st.container(horizontal=True):
        rows = st.selectbox("Rows", names, width=240, **session.bound("rater", names, names[0]))
        others = [name for name in names if name != rows]
        columns = st.selectbox("Columns", others, width=240, **session.bound("other", others, others[0]))
    values = {name: table.levels[i] for i, name in enumerate(table.names)} | {LABELS: table.labels}
    counts = confusion(values[rows], values[columns], table.scale)
    card = audit.info.card.subset(subset)
    words = [level_text(level, card) for level in table.scale]
    frame = pd.DataFrame(counts, index=pd.Index(words, name=rows), columns=words)
    st.dataframe(
        frame, width="content", alt=f"How often {rows} gave a level (row) where {columns} gave another (column)"
    )
    total = int(counts.sum())
    same = int(np.trace(counts))
    far = int(sum(counts[i, j] for i in range(len(words)) for j in range(len(words)) if abs(i - j) > 1))
    st.caption(
        f"Of {total:,} images that both rated, {same:,} have the same level and {far:,} are more than one level apart."
    )


# -- one against the others -------------------------------------------------------------------------


def _bias(table: Table) -> None:
    """How far each reviewer is above or below, and whether that changes over the ratings."""
    st.subheader("Bias and drift", anchor=False)
    several = len(table.names) > 1 and bool((np.isfinite(table.levels).sum(axis=0) >= 2).any())
    reference = None if several else table.labels
    against = "the other reviewers" if several else LABELS
    off, moving = bias(table.levels, reference), drift(table.levels, table.times, reference)
    rows = [
        {
            "Reviewer": name,
            "Images": int(np.isfinite(table.levels[i]).sum()),
            f"Bias against {against}, levels": with_interval(off[i].value, off[i].interval),
            "Drift, levels per 100 ratings": with_interval(moving[i].value, moving[i].interval),
        }
        for i, name in enumerate(table.names)
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", alt="Bias and drift of each reviewer")
    said = [_off_in_words(name, off[i], moving[i], against) for i, name in enumerate(table.names)]
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in said))


def _off_in_words(name: str, off: Estimate, moving: Estimate, against: str) -> str:
    if off.value is None or off.interval is None:
        return f"{name}: too few images in common for a bias."
    if off.interval[0] <= 0 <= off.interval[1]:
        said = f"{name} rates neither clearly higher nor clearly lower than {against}"
    else:
        way = "higher" if off.value > 0 else "lower"
        said = f"{name} rates {number(abs(off.value), 2)} levels {way} than {against}"
    if moving.value is not None and moving.interval is not None and not moving.interval[0] <= 0 <= moving.interval[1]:
        way = "up" if moving.value > 0 else "down"
        return f"{said}, and drifts {way} by {number(abs(moving.value), 2)} levels per 100 ratings."
    return f"{said}; no drift can be told."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
