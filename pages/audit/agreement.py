"""The Agreement section of the Audit page: how far reviewers agree, who is off, and in which direction."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.audit.agreement import Agreement, agreement
from mad_core.figures import describe_metric_intervals, interval_row, metric_intervals
from mad_core.figures.words import listed
from mad_core.metrics.agreement import AgreementEstimate, confusion
from pages.audit.context import Audit, records
from pages.ui import charts
from pages.ui.reading import how_to_read
from pages.ui.text import level_text, number, plain, with_interval
from pages.ui.widgets import pick, pick_subset

FEW = 20
"""Images below which an interval is too wide to lean on."""
LABELS = "the labels"
READ_ALPHA = (
    "How far all reviewers agree beyond chance, on images that two or more of them rated. 1 is full agreement, 0 what "
    "chance gives, below 0 less than chance. A step between levels that are often given counts more than one between "
    "rare ones. High agreement does not show that the reviewers are right: they may share an error."
)
READ_KAPPA = (
    "Each row is two reviewers, or a reviewer and the labels. To the right they agree more: 1 is full agreement, 0 "
    "what chance gives, below 0 less than chance. An error of two levels counts four times as much as one of one "
    "level. Where nearly all images have one level, kappa can be low although the two seldom differ."
)
READ_RATINGS = (
    "How many images the one of the rows gave a level (row) and the one of the columns another (column). On the "
    "diagonal both agree. Right of it the one of the columns gave the higher level, left of it the lower one. Rows "
    "with many images say more than those with few."
)
READ_BIAS = (
    "Bias is how many levels a reviewer stands above the others (or the labels, where the column says so), on average "
    "over the same images; negative is below. Drift is how that changes over 100 ratings. An interval that holds 0 "
    "tells of neither. Who differs from the others is not therefore wrong."
)


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
    subset = pick_subset("agreed", subsets, width=240)
    there = [(audit.image(i) or {}).get("subset") == subset for i in ratings["image_id"]]
    rows: Any = ratings[np.asarray(there, dtype=bool)]
    result = agreement(rows, audit.dataset.select(subset=subset))
    _alpha(result)
    _kappas(result)
    _confusion(audit, rows, subset)
    _bias(result)


# -- all of them ----------------------------------------------------------------------------------


def _alpha(result: Agreement) -> None:
    names = [one.name for one in result.reviewers]
    if not result.several:
        st.info(
            f"{plain(listed(names))} rated {result.images:,} images here, none of them rated by two. "
            "Agreement needs a second reviewer on the same images.",
            icon=":material/info:",
        )
        return
    st.header("All reviewers", anchor=False)
    st.markdown(
        f"Ordinal Krippendorff's alpha of {len(names)} reviewers on {result.several:,} images rated by two or more: "
        f"**{with_interval(result.alpha.value, result.alpha.interval)}**"
    )
    st.caption(plain(_alpha_in_words(result.alpha)))
    how_to_read(READ_ALPHA, "alpha")


def _alpha_in_words(alpha: AgreementEstimate) -> str:
    if alpha.value is None:
        return "Alpha cannot be computed: all ratings that can be paired are the same level."
    strong = (
        "enough to rely on"
        if alpha.value >= 0.8
        else "enough for tentative conclusions"
        if alpha.value >= 0.667
        else "not enough to rely on the labels"
    )
    wide = f" On {alpha.n} images it is a rough estimate." if alpha.n < FEW else ""
    return (
        f"1 is full agreement, 0 what chance gives; {alpha.value:.2f} is {strong} by Krippendorff's rule (0.80 and "
        f"0.667). Unsure and not gradable count as missing.{wide}"
    )


# -- two of them ----------------------------------------------------------------------------------


def _kappas(result: Agreement) -> None:
    """Quadratic-weighted kappa of each pair of reviewers, and of each with the labels."""
    st.header("Each pair, and each against the labels", anchor=False)
    rows = [_kappa_row(f"{first} and {second}", kappa) for (first, second), kappa in result.kappas.items()]
    rows += [_kappa_row(f"{one.name} and {LABELS}", one.kappa) for one in result.reviewers]
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
    how_to_read(READ_KAPPA, "kappa")


def _kappa_row(name: str, kappa: AgreementEstimate) -> dict[str, Any]:
    return interval_row(f"{name} ({kappa.n:,})", kappa.value, kappa.interval, n=kappa.n)


def _confusion(audit: Audit, ratings: pd.DataFrame, subset: str) -> None:
    """How often one gave a level where the other gave another."""
    st.header("Level against level", anchor=False)
    given = ratings.pivot_table(index="image_id", columns="reviewer", values="level", dropna=False)
    given[LABELS] = [(audit.image(str(i)) or {})["level"] for i in given.index]
    names = [str(name) for name in given.columns]
    with st.container(horizontal=True):
        rows = pick("Rows", "rater", names, width=240)
        others = [name for name in names if name != rows]
        columns = pick("Columns", "other", others, width=240)
    levels = given.to_numpy(float)
    scale = sorted({*records().levels(audit.info.id, subset), *levels[np.isfinite(levels)].tolist()})
    counts = confusion(given[rows].to_numpy(float), given[columns].to_numpy(float), scale)
    card = audit.info.card.subset(subset)
    words = [level_text(level, card) for level in scale]
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
    how_to_read(READ_RATINGS, "level against level")


# -- one against the others -------------------------------------------------------------------------


def _bias(result: Agreement) -> None:
    """How far each reviewer is above or below, and whether that changes over the ratings."""
    st.header("Bias and drift", anchor=False)
    against = "the other reviewers" if result.several else LABELS
    off = {
        one.name: (one.bias, one.drift) if result.several else (one.label_bias, one.label_drift)
        for one in result.reviewers
    }
    rows = [
        {
            "Reviewer": one.name,
            "Images": one.rated,
            f"Bias against {against}, levels": with_interval(off[one.name][0].value, off[one.name][0].interval),
            "Drift, levels per 100 ratings": with_interval(off[one.name][1].value, off[one.name][1].interval),
        }
        for one in result.reviewers
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", alt="Bias and drift of each reviewer")
    sentences = [_off_in_words(name, *estimates, against) for name, estimates in off.items()]
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences))
    how_to_read(READ_BIAS, "bias and drift")


def _off_in_words(name: str, off: AgreementEstimate, moving: AgreementEstimate, against: str) -> str:
    if off.value is None or off.interval is None:
        return f"{name}: too few images in common for a bias."
    if off.interval[0] <= 0 <= off.interval[1]:
        sentence = f"{name} rates neither clearly higher nor clearly lower than {against}"
    else:
        way = "higher" if off.value > 0 else "lower"
        sentence = f"{name} rates {number(abs(off.value), 2)} levels {way} than {against}"
    if moving.value is not None and moving.interval is not None and not moving.interval[0] <= 0 <= moving.interval[1]:
        way = "up" if moving.value > 0 else "down"
        return f"{sentence}, and drifts {way} by {number(abs(moving.value), 2)} levels per 100 ratings."
    return f"{sentence}; no drift can be told."
