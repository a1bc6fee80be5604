"""Which images a report shows, and why each stands there: the best, the worst, and the most contested ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.audit.consensus import disagreements
from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import level_key
from mad_core.datasets.naming import level_label
from mad_core.labelled import labelled
from mad_core.report.contents import ReportPart
from mad_core.runs.comparing import ranks_within_subsets
from mad_core.runs.store import Run, Store

STRIP = 6
APART = 20.0
"""Percentile points; images that scorers rank closer to each other, or to the label, are not contested."""
READ_STRIPS = (
    "A rank is the place among the images of a subset: 0 is the lowest, 100 the highest. Best: rank by score and rank "
    "by severity level lie close together. Worst: they lie furthest apart. Contested: two scorers, the scorers and "
    "the label, or reviewers lie apart. At the right of a picture stands the image under anomaly maps; bright places "
    "are strange to the scorer, on one colour range for the whole run. A worst image may be an error of the scorer or "
    "of its label."
)


@dataclass(frozen=True)
class StripImage:
    """One image of a strip.

    Parameters
    ----------
    runs : sequence of Run
        Those whose maps stand beside it.
    why : str
        Why it stands here, in words.
    """

    image_id: str
    runs: Sequence[Run]
    why: str


@dataclass(frozen=True)
class ImageStrip:
    """Some images under a title; ``none`` says what it means that there are none."""

    title: str
    about: str
    shown: Sequence[StripImage]
    none: str = ""


def strips_of_run(part: ReportPart, run: Run) -> Iterator[ImageStrip]:
    """The best and the worst images of a run, and the highest scores of those that nobody has graded."""
    yield from _without_level(part, run)
    rows: Any = _ranked(part.tables[run.id])
    if rows.empty:
        return
    gaps: Any = (rows["by_score"] - rows["by_level"]).abs()
    why = {
        row.image_id: f"Rank {row.by_score:.0f} by score, {row.by_level:.0f} by level; score {row.score:.4g}."
        for row in rows.itertuples()
    }

    def shown(ordered: Sequence[Any]) -> list[StripImage]:
        return [StripImage(image_id, (run,), why[image_id]) for image_id in ordered]

    name = part.names[run.id]
    yield ImageStrip(
        f"{name}: best",
        "Of each level in turn the images whose rank by score is nearest to their rank by level.",
        shown(_in_turn(rows.assign(gap=gaps))),
    )
    worst = rows.loc[gaps.sort_values(ascending=False, kind="stable").index[:STRIP], "image_id"].tolist()
    yield ImageStrip(f"{name}: worst", "Rank by score and rank by level lie furthest apart.", shown(worst))


def _without_level(part: ReportPart, run: Run) -> Iterator[ImageStrip]:
    """The images without a level that score highest within their subset."""
    rows: Any = part.tables[run.id]
    rows = rows[rows["score"].notna()]
    rows = rows.assign(rank=ranks_within_subsets(rows, "score"))
    absent = rows[rows["level"].isna()].sort_values("rank", ascending=False, kind="stable").head(STRIP)
    shown = [
        StripImage(row.image_id, (run,), f"Rank {row.rank:.0f} by score; score {row.score:.4g}; no level.")
        for row in absent.itertuples()
    ]
    if shown:
        title = f"{part.names[run.id]}: highest scores without a level"
        yield ImageStrip(title, "Nobody has graded these images yet; they enter no metric.", shown)


def contested(store: Store, part: ReportPart) -> Iterator[ImageStrip]:
    """Where scorers disagree with each other, all of them with the label, and reviewers among themselves."""
    if len(part.runs) > 1:
        ranks = _ranks_of_runs(part)
        yield _between_scorers(part, ranks)
        yield _against_labels(part, ranks)
    if part.audited:
        yield _between_reviewers(store, part)


def _ranked(rows: pd.DataFrame) -> pd.DataFrame:
    """The images that have a score, with ``by_score`` and ``by_level``: percentile ranks within their subset."""
    with_score: Any = rows[rows["score"].notna()]
    scored = labelled(with_score)
    ranks = {"by_score": ranks_within_subsets(scored, "score"), "by_level": ranks_within_subsets(scored, "level")}
    return scored.assign(**ranks)


def _in_turn(rows: pd.DataFrame) -> list[str]:
    """Images by ascending ``gap``, one of each level after the other."""
    ordered: Any = rows.sort_values("gap", kind="stable")
    turn = ordered.groupby("level").cumcount()
    return ordered.assign(turn=turn).sort_values(["turn", "level"], kind="stable")["image_id"].tolist()[:STRIP]


def _ranks_of_runs(part: ReportPart) -> Any:
    """Images that two runs or more have scored: rank by each run (its id names the column), ``label`` and ``level``.

    ``label`` is the rank by level, averaged over runs, which may have scored different images.
    """
    ranked = {run.id: _ranked(part.tables[run.id]).set_index("image_id") for run in part.runs}
    table = pd.DataFrame({run_id: rows["by_score"] for run_id, rows in ranked.items()})
    table["label"] = pd.DataFrame({run_id: rows["by_level"] for run_id, rows in ranked.items()}).mean(axis=1)
    levels = pd.concat([rows["level"] for rows in ranked.values()])
    table["level"] = levels[~levels.index.duplicated()]
    return table[table[[*ranked]].notna().sum(axis=1) > 1]


def _between_scorers(part: ReportPart, ranks: Any) -> ImageStrip:
    ids = [run.id for run in part.runs]
    by_id = {run.id: run for run in part.runs}
    spread: Any = ranks[ids].max(axis=1) - ranks[ids].min(axis=1)
    chosen = spread[spread >= APART].sort_values(ascending=False, kind="stable").index[:STRIP]
    shown = []
    for image_id in chosen:
        own: Any = ranks.loc[image_id, ids].dropna().astype(float)
        low, high = own.idxmin(), own.idxmax()
        why = f"Rank {own[low]:.0f} by {part.names[low]}, {own[high]:.0f} by {part.names[high]}."
        shown.append(StripImage(image_id, (by_id[low], by_id[high]), why))
    return ImageStrip(
        "Most contested: scorers differ",
        "Two scorers rank the image furthest apart. Their maps stand beside it, that of the lower rank first.",
        shown,
        f"No two scorers rank an image more than {APART:.0f} percentile points apart.",
    )


def _against_labels(part: ReportPart, ranks: Any) -> ImageStrip:
    """Images that every scorer ranks above their level, or every scorer below it, by the smallest of the gaps."""
    ids = [run.id for run in part.runs]
    gaps: Any = ranks[ids].sub(ranks["label"], axis=0)
    low, high = gaps.min(axis=1), gaps.max(axis=1)
    least: Any = pd.Series(np.where(low > 0, low, np.where(high < 0, -high, 0.0)), index=ranks.index)
    chosen = least[least >= APART].sort_values(ascending=False, kind="stable").index[:STRIP]
    shown = []
    for image_id in chosen:
        own: Any = ranks.loc[image_id, ids].dropna().astype(float)
        side = "above" if gaps.loc[image_id].mean() > 0 else "below"
        listed_ranks = ", ".join(f"{own[run_id]:.0f} by {part.names[run_id]}" for run_id in own.index)
        level = f"L{level_key(ranks.loc[image_id, 'level'])}"
        why = (
            f"Labelled {level}, rank {ranks.loc[image_id, 'label']:.0f}; every scorer ranks it {side}: {listed_ranks}."
        )
        nearest = gaps.loc[image_id].abs().sort_values(ascending=False, kind="stable").index[:2]
        shown.append(StripImage(image_id, [run for run in part.runs if run.id in nearest], why))
    return ImageStrip(
        "Most contested: scorers against the label",
        "Every scorer ranks the image on the same side of its level: the label may be wrong, or all scorers are.",
        shown,
        f"On no image do all scorers lie more than {APART:.0f} percentile points to the same side of the label.",
    )


def _between_reviewers(store: Store, part: ReportPart) -> ImageStrip:
    ratings: Any = AuditStore(store).ratings(part.info.id)
    labels = _labels(part)
    disagreeing: Any = disagreements(ratings[ratings["image_id"].isin(list(labels))])
    shown = [
        StripImage(
            row.image_id, part.runs[:1], f"Reviewers say {row.said}; labelled {level_label(labels[row.image_id])}."
        )
        for row in disagreeing.head(STRIP).itertuples()
    ]
    return ImageStrip(
        "Most contested: reviewers differ",
        "Reviewers name different levels, the widest apart first.",
        shown,
        "Reviewers agree on every image that more than one of them rated.",
    )


def _labels(part: ReportPart) -> Mapping[str, float]:
    """The original label of each image in the report."""
    rows = pd.concat(list(part.originals.values()))
    return dict(zip(rows["image_id"].tolist(), rows["level"].tolist(), strict=True))
