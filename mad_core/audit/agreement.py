"""How far the reviewers of a dataset agree: among themselves, and with its labels.

Levels of different subsets mean different things, so alpha and kappa are made for each subset, and their plain mean
stands for all; bias and drift are differences on the same image and are taken over all images at once.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import level_key
from mad_core.metrics.agreement import (
    AgreementEstimate,
    bias,
    bootstrap_alpha,
    bootstrap_kappa,
    confusion,
    drift,
    krippendorff_alpha,
    quadratic_weighted_kappa,
)
from mad_core.metrics.intervals import percentile_interval

_FINITE = 0.95
"""An interval needs so many of the draws to have a value."""


@dataclass(frozen=True)
class ReviewerFacts:
    """One reviewer: how many images got a level, were unsure, not gradable; kappa with the labels; bias and drift.

    ``bias`` and ``drift`` are held against the other reviewers, ``label_bias`` and ``label_drift`` against the
    labels; in levels, and in levels per 100 ratings.
    """

    name: str
    rated: int
    unsure: int
    ungradable: int
    kappa: AgreementEstimate
    bias: AgreementEstimate
    label_bias: AgreementEstimate
    drift: AgreementEstimate
    label_drift: AgreementEstimate

    def to_json(self) -> dict[str, Any]:
        return {
            key: value.to_json() if isinstance(value, AgreementEstimate) else value for key, value in vars(self).items()
        }


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of the reviewers of a dataset.

    Parameters
    ----------
    images, several : int
        Images with a level, and those with levels of two reviewers or more.
    alpha : AgreementEstimate
        Krippendorff's alpha, ordinal.
    kappas : mapping of (reviewer, reviewer) to AgreementEstimate
        Quadratic-weighted kappa.
    reviewers : tuple of ReviewerFacts
    levels : list of float
        The scale of the two tables.
    among : ndarray of shape (L, L), int64
        Pairs of ratings of one image: level of the one and of the other reviewer, either way round.
    against_labels : ndarray of shape (L, L), int64
        ``[i, j]``: ratings ``levels[j]`` of images labelled ``levels[i]``.
    subsets : mapping of subset to AgreementEstimate
        Alpha of each.
    notes : tuple of str
    """

    images: int
    several: int
    alpha: AgreementEstimate
    kappas: Mapping[tuple[str, str], AgreementEstimate]
    reviewers: tuple[ReviewerFacts, ...]
    levels: list[float]
    among: np.ndarray
    against_labels: np.ndarray
    subsets: Mapping[str, AgreementEstimate] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "several": self.several,
            "alpha": self.alpha.to_json(),
            "kappa": [{"reviewers": list(pair), **one.to_json()} for pair, one in self.kappas.items()],
            "reviewers": [one.to_json() for one in self.reviewers],
            "levels": [level_key(level) for level in self.levels],
            "confusion": {"among_reviewers": self.among.tolist(), "against_labels": self.against_labels.tolist()},
            "subsets": {name: {"alpha": one.to_json()} for name, one in self.subsets.items()},
            "notes": list(self.notes),
        }


def agreement_of(audit: AuditStore, dataset_id: str, *, draws: int = 1000, seed: int = 0) -> Agreement:
    """:func:`agreement` of what stands in the record of a dataset.

    Raises
    ------
    NotFoundError
    """
    return agreement(audit.ratings(dataset_id), audit.store.dataset(dataset_id).table, draws=draws, seed=seed)


def agreement(ratings: pd.DataFrame, table: pd.DataFrame, *, draws: int = 1000, seed: int = 0) -> Agreement:
    """Agreement of reviewers.

    Parameters
    ----------
    ratings : DataFrame
        As :meth:`mad_core.audit.labels.AuditStore.ratings` gives them.
    table : DataFrame
        The dataset's: ``image_id``, ``subset``, ``level``.
    draws, seed : int
        Bootstrap draws over images for the 95 % intervals (0 leaves them out) and their seed.
    """
    names = sorted(set(ratings["reviewer"].tolist()))
    rated: Any = table[table["image_id"].isin(ratings["image_id"])]
    images, labels = rated["image_id"].tolist(), rated["level"].to_numpy(dtype=np.float64)
    given, times = (_wide(ratings, names, images, column) for column in ("level", "time"))
    times = np.where(np.isnan(given), np.nan, times)
    scale = sorted({*labels[~np.isnan(labels)].tolist(), *given[~np.isnan(given)].tolist()})
    parts = [rated["subset"].to_numpy() == name for name in sorted(rated["subset"].unique())]
    options: dict[str, Any] = {"draws": draws, "seed": seed}

    def kappa(a: np.ndarray, b: np.ndarray) -> AgreementEstimate:
        return _mean(
            [(a[part], b[part]) for part in parts],
            lambda x, y: quadratic_weighted_kappa(x, y, scale),
            lambda x, y: bootstrap_kappa(x, y, scale, **options),
            int((~(np.isnan(a) | np.isnan(b))).sum()),
        )

    def alpha(columns: Sequence[np.ndarray]) -> AgreementEstimate:
        several = sum(int(((~np.isnan(given[:, part])).sum(axis=0) > 1).sum()) for part in columns)
        return _mean(
            [(given[:, part],) for part in columns],
            krippendorff_alpha,
            lambda x: bootstrap_alpha(x, **options),
            several,
        )

    pairs = list(itertools.combinations(range(len(names)), 2))
    among = sum((confusion(given[a], given[b], scale) for a, b in pairs), np.zeros((len(scale),) * 2, dtype=np.int64))
    state: Any = ratings.groupby(["reviewer", "state"]).size().to_dict() if len(ratings) else {}
    biases, label_biases = bias(given, **options), bias(given, labels, **options)
    drifts, label_drifts = drift(given, times, **options), drift(given, times, labels, **options)
    facts = tuple(
        ReviewerFacts(
            name=name,
            rated=int(state.get((name, "level"), 0)),
            unsure=int(state.get((name, "unsure"), 0)),
            ungradable=int(state.get((name, "ungradable"), 0)),
            kappa=kappa(labels, given[place]),
            bias=biases[place],
            label_bias=label_biases[place],
            drift=drifts[place],
            label_drift=label_drifts[place],
        )
        for place, name in enumerate(names)
    )
    whole = alpha(parts)
    return Agreement(
        images=int((~np.isnan(given)).any(axis=0).sum()) if len(names) else 0,
        several=whole.n,
        alpha=whole,
        kappas={(names[a], names[b]): kappa(given[a], given[b]) for a, b in pairs},
        reviewers=facts,
        levels=scale,
        among=among + among.T,
        against_labels=sum(
            (confusion(labels, row, scale) for row in given), np.zeros((len(scale),) * 2, dtype=np.int64)
        ),
        subsets={str(name): alpha([part]) for name, part in zip(sorted(rated["subset"].unique()), parts, strict=True)},
        notes=_notes(names, whole, len(parts), sum(ratings["scores_visible"].tolist())),
    )


def _wide(ratings: pd.DataFrame, names: Sequence[str], images: Sequence[str], column: str) -> np.ndarray:
    """A column of the ratings as a table of reviewers by images, NaN where there is no rating."""
    wide = np.full((len(names), len(images)), np.nan)
    rows, columns = ({key: place for place, key in enumerate(keys)} for keys in (names, images))
    for name, image, value in zip(ratings["reviewer"], ratings["image_id"], ratings[column], strict=True):
        if image in columns:
            wide[rows[name], columns[image]] = value
    return wide


def _mean(
    parts: Sequence[tuple[Any, ...]],
    value: Callable[..., float | None],
    resampled: Callable[..., np.ndarray],
    n: int,
) -> AgreementEstimate:
    """The plain mean over the subsets that have a value, with the interval of the draws' means."""
    estimates = [(estimate, part) for part in parts if (estimate := value(*part)) is not None]
    if not estimates:
        return AgreementEstimate(None, None, n)
    drawn = np.stack([resampled(*part) for _, part in estimates])
    means = drawn.mean(axis=0)
    finite = means[np.isfinite(means)]
    enough = len(finite) and len(finite) >= _FINITE * len(means)
    return AgreementEstimate(
        sum(estimate for estimate, _ in estimates) / len(estimates), percentile_interval(finite) if enough else None, n
    )


def _notes(names: Sequence[str], alpha: AgreementEstimate, subsets: int, visible: int) -> tuple[str, ...]:
    notes = []
    if len(names) < 2:
        notes.append("Agreement needs two reviewers or more.")
    elif not alpha.n:
        notes.append("No image has levels of two reviewers yet.")
    elif alpha.value is None:
        notes.append("All levels are equal, so agreement beyond chance cannot be told.")
    if alpha.value is not None and subsets > 1:
        notes.append("Alpha and kappa are means over subsets, whose levels mean different things.")
    if visible:
        notes.append(f"{visible} ratings were given with scores, maps or the label in view.")
    return tuple(notes)
