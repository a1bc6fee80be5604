"""How suspicious the label of each image is, from what scorers, look-alikes and reviewers say; and why, in words.

Pure functions over tables: the page, the command line and the benchmark use the same ones.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.audit.lookalikes import lookalikes
from mad_core.audit.ordinal import Predictions, number, predict
from mad_core.datasets.dataset import level_key
from mad_core.errors import InputError
from mad_core.labelled import labelled
from mad_core.metrics.units import groups_of

PARTS = ("prediction", "agreement", "distance", "lookalikes", "raters")
"""The parts of suspicion, each a column of 0 to 1; NaN where nothing is known."""
UNKNOWN = 0.05
"""Suspicion of every label where nothing is known of any: the share of errors that audits of labels often find."""
COLUMNS = ("image_id", "subset", "level", "suspicion", *PARTS, "disagreement", "predicted", "rank", "reason")
NEIGHBOUR = 0.7
"""How much a look-alike or a reviewer counts that says a neighbouring level; one farther off counts in full."""


@dataclass(frozen=True)
class SuspicionWeights:
    """How much each part counts; suspicion is the weighted mean of the parts that are known of an image.

    A part that is not known of an image (no scorer has a score, no look-alike, no reviewer yet) does not count
    at all, neither for nor against. Each is at least 0.
    """

    prediction: float = 1.0
    agreement: float = 0.5
    distance: float = 0.1
    lookalikes: float = 1.5
    raters: float = 3.0

    def __post_init__(self) -> None:
        values = astuple(self)
        if not all(np.isfinite(value) and value >= 0 for value in values) or not any(values):
            raise InputError("Each weight of suspicion is 0 or a positive number, and one at least is above 0.")


def suspicions(
    table: pd.DataFrame,
    scores: Mapping[str, pd.Series],
    ratings: pd.DataFrame | None = None,
    hashes: Mapping[str, str] | None = None,
    weights: SuspicionWeights | None = None,
    *,
    seed: int = 0,
) -> pd.DataFrame:
    """Suspicion of every label, with its parts and its reason.

    Parts, each 0 (nothing speaks against the label) to 1:

    prediction
        Chance that the level is another one, by the ordinal model of all scorers, out of fold
        (:mod:`mad_core.audit.ordinal`), for each subset by itself.
    agreement
        How far the scorers, each by itself, agree that the level is another one: 1 less the geometric mean of the
        chances that they give the label, scorers weighed by how well they predict.
    distance
        How many levels off the label is by that prediction, in the mean, as part of the subset's largest distance.
    lookalikes
        How many of the copies (same content) and near-duplicates (perceptual hash) in the subset have another
        label, the nearest counting most. Training images are looked at too. Only what ``table`` and ``hashes`` hold
        is used.
    raters
        How many of the reviewers that gave a level gave another, those two or more levels off counting in full, a
        neighbouring level by seven tenths.

    Parameters
    ----------
    table : DataFrame
        As :attr:`mad_core.datasets.dataset.Dataset.table`.
    scores : mapping of run id to Series
        Raw scores of any images by ``image_id``; NaN or absence means that there is no score, never 0.
    ratings : DataFrame or None
        Columns ``image_id``, ``reviewer``, ``level`` (NaN for unsure and not gradable); a row per image and reviewer.
    hashes : mapping of image_id to str, or None
        Perceptual hashes of :mod:`mad_core.audit.lookalikes`; without them only copies count.
    weights : SuspicionWeights or None
    seed : int
        Deals images into folds.

    Returns
    -------
    DataFrame
        A row per image that is not for training, in table order: ``image_id``, ``subset``, ``level`` (the label),
        ``suspicion`` (0 to 1), the columns of ``PARTS``, ``disagreement`` (of the scorers with each other: standard
        deviation of the mean levels that each predicts, in levels; NaN with fewer than two), ``predicted`` (the
        most likely level by all scorers, NaN where there is none), ``rank`` (mean percentile rank of its scores within
        its subset, 0 to 1, NaN where there is none), ``reason``. An image of which nothing is known
        is as suspicious as the mean of its subset; of one without a label nothing is known.
    """
    weights = weights or SuspicionWeights()
    raw = pd.DataFrame({name: values.reindex(table["image_id"]).to_numpy() for name, values in scores.items()})
    raw.index = table.index
    given = _given(ratings)
    tables = []
    audited: Any = table[table["split"] != "train"]
    if audited.empty:
        return pd.DataFrame(columns=list(COLUMNS))
    for subset in sorted(labelled(audited)["subset"].unique()):
        of_subset: Any = table[table["subset"] == subset]
        rows = labelled(of_subset)
        tables.append(_of_subset(rows, raw.loc[rows.index], given, hashes or {}, weights, seed))
    tables.append(_ungraded(audited[audited["level"].isna()]))
    result: Any = pd.concat([one for one in tables if len(one)]).reindex(audited.index).reset_index(drop=True)
    result["suspicion"] = result["suspicion"].fillna(UNKNOWN)
    result["rank"] = _ranks(raw.loc[audited.index], audited["subset"])
    return result[list(COLUMNS)]


def _ranks(raw: pd.DataFrame, subsets: pd.Series) -> np.ndarray:
    """Mean percentile rank of each image's scores within its subset; NaN where it has none."""
    if not raw.shape[1]:
        return np.full(len(raw), np.nan)
    finite: Any = raw.astype("float64").replace([np.inf, -np.inf], np.nan)
    ranks: Any = finite.groupby(subsets.to_numpy()).rank(pct=True)
    return ranks.mean(axis=1).to_numpy()


def combined(parts: Mapping[str, np.ndarray], weights: SuspicionWeights) -> np.ndarray:
    """Weighted mean of the parts that are known; NaN where none is. Arrays of shape (n,)."""
    values = np.stack([parts[name] for name in PARTS])
    counts = np.where(np.isfinite(values), np.array([getattr(weights, name) for name in PARTS])[:, None], 0.0)
    total = counts.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, (np.nan_to_num(values) * counts).sum(axis=0) / total, np.nan)


def scorer_parts(predictions: Predictions) -> dict[str, np.ndarray]:
    """The parts ``prediction``, ``agreement`` and ``distance`` of one subset's images, arrays of shape (n,)."""
    groups, rows = predictions.groups, np.arange(len(predictions.groups.of))
    return {
        "prediction": 1 - predictions.joint[rows, groups.of],
        "agreement": _agreement(predictions),
        "distance": (predictions.joint * groups.apart[groups.of]).sum(axis=1),
    }


def _agreement(predictions: Predictions) -> np.ndarray:
    of = predictions.groups.of
    own = predictions.alone[:, np.arange(len(of)), of]
    seen = np.isfinite(own)
    weight = np.array([_skill(chances, of) for chances in predictions.alone])[:, None] * seen
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = (np.log(np.maximum(np.where(seen, own, 1.0), 1e-9)) * weight).sum(axis=0) / weight.sum(axis=0)
    return 1 - np.exp(logs)


def _skill(chances: np.ndarray, of: np.ndarray) -> float:
    """How much better than the shares of the levels a scorer predicts the labels (nats an image); hardly 0 at least."""
    seen = np.isfinite(chances).all(axis=1)
    if not seen.any():
        return 0.0
    share = np.bincount(of[seen]) / seen.sum()
    # A floor, so that a few grave label errors do not make a good scorer count for nothing.
    gain = np.log(np.maximum(chances[seen, of[seen]], 0.01)) - np.log(share[of[seen]])
    return max(float(gain.mean()), 0.01)


# -- one subset -----------------------------------------------------------------------------------

Given = Mapping[str, Sequence[float]]
"""Levels that reviewers gave, by image."""


def _given(ratings: pd.DataFrame | None) -> Given:
    if ratings is None or ratings.empty:
        return {}
    rated = ratings.dropna(subset=["level"])
    return {str(image): rows["level"].tolist() for image, rows in rated.groupby("image_id")}


def _of_subset(
    table: pd.DataFrame,
    raw: pd.DataFrame,
    given: Given,
    hashes: Mapping[str, str],
    weights: SuspicionWeights,
    seed: int,
) -> pd.DataFrame:
    """Rows of :func:`suspicions` for one subset, whose training images come along as look-alikes."""
    audited = (table["split"] != "train").to_numpy()
    labels = table["level"].to_numpy(dtype=np.float64)
    ids = table["image_id"].tolist()
    rank = {level: place for place, level in enumerate(np.unique(labels))}
    near = lookalikes(table["content_hash"].tolist(), [hashes.get(image) for image in ids])
    rows = np.flatnonzero(audited)
    ids, own = [ids[row] for row in rows], labels[rows]
    # Training normals take no part: scorers were fitted on them, so their scores are lower than they should be.
    belong = groups_of(table.iloc[rows])
    values = raw.to_numpy(dtype=np.float64)[rows]
    predictions = predict(own, values, seed=seed, together=belong) if raw.shape[1] else None
    nothing = np.full(len(rows), np.nan)
    parts: dict[str, np.ndarray] = dict(scorer_parts(predictions)) if predictions else dict.fromkeys(PARTS[:3], nothing)
    of_alike = [labels[near.which[row][near.which[row] >= 0]] for row in rows]
    of_raters = [np.array(given.get(image, ())) for image in ids]
    parts["lookalikes"] = np.array(
        [
            _others(label, levels, 1 / (1 + near.bits[row][: len(levels)]), rank)
            for label, levels, row in zip(own, of_alike, rows, strict=True)
        ]
    )
    parts["raters"] = np.array(
        [_others(label, levels, np.ones(len(levels)), rank) for label, levels in zip(own, of_raters, strict=True)]
    )
    suspicion = combined(parts, weights)
    if np.isfinite(suspicion).any():
        suspicion = np.where(np.isfinite(suspicion), suspicion, np.nanmean(suspicion))
    copies = [int((near.bits[row] == 0).sum()) for row in rows]
    words = predictions.words() if predictions else [""] * len(rows)
    return pd.DataFrame(
        {
            "image_id": ids,
            "subset": table["subset"].to_numpy()[rows],
            "level": own,
            "suspicion": suspicion,
            **{name: parts[name] for name in PARTS},
            "disagreement": _disagreement(predictions) if predictions else nothing,
            "predicted": _likely(predictions) if predictions else nothing,
            "rank": nothing,
            "reason": [reason(*facts) for facts in zip(words, own, of_alike, copies, of_raters, strict=True)],
        },
        index=table.index[rows],
    )


def _ungraded(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of images that have no label to be suspicious of."""
    numbers = ["level", "suspicion", *PARTS, "disagreement", "predicted", "rank"]
    facts = {"image_id": rows["image_id"], "subset": rows["subset"], **dict.fromkeys(numbers, np.nan)}
    values = {**facts, "reason": "nobody has graded it yet"}
    return pd.DataFrame({name: values[name] for name in COLUMNS}, index=rows.index)


def _others(label: float, levels: np.ndarray, weights: np.ndarray, rank: Mapping[float, int]) -> float:
    """Weighted share of ``levels`` that are not the label; NaN where there is none."""
    if not len(levels):
        return np.nan
    apart = np.array([abs(rank.get(level, -9) - rank[label]) for level in levels.tolist()])
    against = np.where(apart == 0, 0.0, np.where(apart == 1, NEIGHBOUR, 1.0))
    return float(np.average(against, weights=weights))


def _disagreement(predictions: Predictions) -> np.ndarray:
    means = predictions.alone @ predictions.groups.levels
    seen = np.isfinite(means)
    count = seen.sum(axis=0)
    centre = np.nan_to_num(means).sum(axis=0) / np.maximum(count, 1)
    variance = (np.where(seen, means - centre, 0.0) ** 2).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 1, np.sqrt(variance), np.nan)


def _likely(predictions: Predictions) -> np.ndarray:
    some = np.isfinite(predictions.joint).all(axis=1)
    best = np.nan_to_num(predictions.joint).argmax(axis=1)
    return np.where(some, predictions.groups.levels[best], np.nan)


# -- in words -------------------------------------------------------------------------------------


def reason(scorers: str, label: float, alike: np.ndarray, copies: int, raters: np.ndarray) -> str:
    """Why a label is suspicious, in words.

    Parameters
    ----------
    scorers : str
        What the scorers say, from :meth:`mad_core.audit.ordinal.Predictions.words`; empty where they say nothing.
    label : float
    alike : ndarray
        Labels of the look-alikes, nearest first.
    copies : int
        How many of them, from the first on, have the same pixels as far as is known.
    raters : ndarray
        Levels that reviewers gave.

    Examples
    --------
    >>> reason("three of four scorers place it among L3", 1.0, np.array([3.0, 3.0]), 0, np.array([]))
    'three of four scorers place it among L3; labelled L1; its nearest look-alikes are L3'
    """
    clauses = [scorers or "no scorer has a say", f"labelled L{level_key(label)}"]
    if len(alike):
        clauses.append(_of_lookalikes(alike, copies))
    if len(raters):
        clauses.append(_of_raters(raters))
    return "; ".join(clauses)


def _of_lookalikes(levels: np.ndarray, copies: int) -> str:
    if copies:
        levels = levels[:copies]
        one, many = "a copy of it is", "copies of it are"
    else:
        one, many = "its nearest look-alike is", "its nearest look-alikes are"
    return f"{one if len(levels) == 1 else many} {listed(levels)}"


def _of_raters(levels: np.ndarray) -> str:
    distinct, counts = np.unique(levels, return_counts=True)
    most = int(counts.max())
    if most == len(levels):
        who = {1: "the one reviewer calls", 2: "both reviewers call"}.get(most, f"all {number(most)} reviewers call")
        return f"{who} it L{level_key(distinct[0])}"
    if (counts == most).sum() > 1:
        return f"reviewers call it {listed(levels)}"
    verb = "calls" if most == 1 else "call"
    return f"{number(most)} of {number(len(levels))} reviewers {verb} it L{level_key(distinct[counts.argmax()])}"


def listed(levels: np.ndarray) -> str:
    """``"L3"``, ``"L1 and L3"``, ``"L1, L2 and L3"``: the different levels, lowest first."""
    names = [f"L{level_key(level)}" for level in np.unique(levels)]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
