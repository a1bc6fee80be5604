"""One label an image out of what several reviewers said, by a stated rule.

Only ratings that name a level have a vote. "Unsure" and "not gradable" have none; an image that more than half of
its reviewers call not gradable keeps its label and says so, since a benchmark lists the same images for everybody.

``majority``
    The level that more than half of the votes name. Without one, as in a tie, the label stays and the image is
    contested.
``median``
    The middle vote. With an even number the two middle votes bound the level: the label stays if it lies between
    them, else it moves to the nearer of the two.
``adjudicator``
    What an adjudicator decided, and nothing else.

Under every rule a decision of an adjudicator stands above votes.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import level_key
from mad_core.errors import InputError

Rule = Literal["majority", "median", "adjudicator"]
RULES: tuple[Rule, ...] = ("majority", "median", "adjudicator")
RULE_IN_WORDS: Mapping[str, str] = {
    "majority": "the level that more than half of the reviewers name; without one the label stays",
    "median": "the middle one of the reviewers' levels; between two middle ones the label stays or moves to the nearer",
    "adjudicator": "what an adjudicator decided; every other label stays",
}
LABEL = "label"
"""Who says so where nobody does: the dataset."""
NOT_GRADABLE = "not gradable"


@dataclass(frozen=True)
class _Votes:
    """What the reviewers of one image said."""

    levels: tuple[float, ...]
    unsure: int
    ungradable: int

    @property
    def differ(self) -> bool:
        return len(set(self.levels)) > 1 or bool(self.levels and self.ungradable)

    @property
    def no_picture(self) -> bool:
        return 2 * self.ungradable > len(self.levels) + self.unsure + self.ungradable


def consensus(
    ratings: pd.DataFrame, rule: str, labels: pd.Series, adjudications: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The label of every image after the audit.

    Parameters
    ----------
    ratings : DataFrame
        As :meth:`mad_core.audit.labels.AuditStore.ratings` gives them.
    rule : {"majority", "median", "adjudicator"}
    labels : Series
        Level by image id, for every image.
    adjudications : DataFrame or None
        As :meth:`mad_core.audit.labels.AuditStore.adjudications` gives them.

    Returns
    -------
    DataFrame
        One row an image of ``labels``, in their order: ``image_id``, ``label``, ``audited`` (float64), ``by``
        (``"label"`` where nobody rated it or nothing came of it, ``"not gradable"``, ``"majority of 3"``,
        ``"median of 2"``, or the adjudicator's name) and ``contested`` (reviewers differ and no adjudicator decided).

    Raises
    ------
    InputError
        If there is no such rule.
    """
    if rule not in RULES:
        raise InputError(f"'{rule}' is no rule; there are {', '.join(RULES)}.")
    table = pd.DataFrame({"image_id": labels.index.astype("str"), "label": labels.to_numpy(dtype=np.float64)})
    votes, decided = _votes(ratings), _decided(adjudications)
    outcomes = [
        decided.get(image) or (_outcome(votes[image], rule, label) if image in votes else (label, LABEL, False))
        for image, label in zip(table["image_id"], table["label"].tolist(), strict=True)
    ]
    table["audited"] = np.array([level for level, _, _ in outcomes], dtype=np.float64)
    table["by"] = pd.Series([by for _, by, _ in outcomes], dtype="str")
    table["contested"] = np.array([contested for _, _, contested in outcomes], dtype=bool)
    return table


def consensus_of(audit: AuditStore, dataset_id: str, rule: str = "majority") -> pd.DataFrame:
    """:func:`consensus` on what stands in the record of a dataset, for every image of it.

    Raises
    ------
    NotFoundError
    InputError
        If there is no such rule.
    """
    table = audit.store.dataset(dataset_id).table
    labels = pd.Series(table["level"].to_numpy(), index=table["image_id"].to_numpy())
    return consensus(audit.ratings(dataset_id), rule, labels, audit.adjudications(dataset_id))


def corrections(audited: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`consensus` whose label the audit changed, or gave where there was none."""
    changed: Any = audited[(audited["audited"] != audited["label"]) & audited["audited"].notna()]
    return changed


def disagreements(ratings: pd.DataFrame) -> pd.DataFrame:
    """Images on which reviewers differ: the queue of those who decide.

    Different levels are a disagreement, and so is a level beside "not gradable"; "unsure" is none.

    Returns
    -------
    DataFrame
        ``image_id``, ``spread`` (highest less lowest level), ``lowest``, ``highest``, ``reviewers`` (how many rated
        it) and ``said`` (``"1, 1, 3"``), the widest first, then those that more reviewers rated.
    """
    rows = []
    for image_id, votes in _votes(ratings).items():
        if votes.differ:
            low, high = min(votes.levels), max(votes.levels)
            number = len(votes.levels) + votes.unsure + votes.ungradable
            rows.append(
                (image_id, high - low, low, high, number, in_words(votes.levels, votes.unsure, votes.ungradable))
            )
    columns = ["image_id", "spread", "lowest", "highest", "reviewers", "said"]
    table = pd.DataFrame(rows, columns=columns).astype({"spread": "float64", "image_id": "str"})
    return table.sort_values(["spread", "reviewers"], ascending=False, kind="stable", ignore_index=True)


def in_words(levels: Iterable[float], unsure: int = 0, ungradable: int = 0) -> str:
    """Ratings of one image in a few words: ``"1, 1, 3, unsure"``."""
    return ", ".join([*map(level_key, sorted(levels)), *["unsure"] * unsure, *[NOT_GRADABLE] * ungradable])


def _votes(ratings: pd.DataFrame) -> dict[str, _Votes]:
    levels: dict[str, list[float]] = {}
    states: dict[str, Counter[str]] = {}
    for image, level, state in zip(ratings["image_id"], ratings["level"], ratings["state"], strict=True):
        states.setdefault(image, Counter())[state] += 1
        if not math.isnan(level):
            levels.setdefault(image, []).append(float(level))
    return {
        image: _Votes(tuple(levels.get(image, ())), count["unsure"], count["ungradable"])
        for image, count in states.items()
    }


def _decided(adjudications: pd.DataFrame | None) -> dict[str, tuple[float, str, bool]]:
    if adjudications is None:
        return {}
    rows: Any = adjudications.itertuples()
    return {row.image_id: (float(row.level), row.reviewer, False) for row in rows}


def _outcome(votes: _Votes, rule: str, label: float) -> tuple[float, str, bool]:
    """The level, who says so, and whether it is contested."""
    if rule == "adjudicator":
        return label, LABEL, votes.differ
    if votes.no_picture:
        return label, NOT_GRADABLE, votes.differ
    if not votes.levels:
        return label, LABEL, False
    number = len(votes.levels)
    if rule == "median":
        low, high = _middle(votes.levels)
        return min(max(label, low), high), f"median of {number}", votes.differ
    level, most = Counter(votes.levels).most_common(1)[0]
    if 2 * most > number:
        return level, f"majority of {number}", votes.differ
    return label, LABEL, True


def _middle(levels: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(levels)
    return ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
