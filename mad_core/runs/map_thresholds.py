"""What the anomaly maps of normal images reach: the threshold of area, mass and number of regions.

It comes from normals alone, never from test images. Normals that a scorer was fitted on look too normal to it, so
normals of the calibration split are taken, or training normals held out of a second fit; where that fit would take
too long, the fitted ones, and the run says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mad_core.datasets.dataset import Dataset, SubsetCard
from mad_core.errors import InputError
from mad_core.map_files import shrink
from mad_core.scorers.contract import Item, Scored

if TYPE_CHECKING:
    from mad_core.runs.store import Run, RunSubset, Store
    from mad_core.scorers.catalog import ScorerInfo

FACT = "normal_maps"
"""Under this name the finding stands in the facts of a run's subset."""
QUANTILE = 0.999
"""Of the values of all pixels: one pixel in a thousand of a normal image lies above."""
FEWEST, MOST, LEARNED = 4, 16, 48
"""Normals whose maps are looked at, at least and at most, and normals of a second fit at most."""
CALIBRATION = "calibration normals"
"""The words for normals that the scorer has not learned from."""
LONG_FIT = 30.0
"""Seconds of a fit that is not done a second time."""

Judge = Callable[[Sequence[Item]], Sequence[Scored]]


@dataclass(frozen=True)
class NormalMaps:
    """What was found on one subset.

    Parameters
    ----------
    threshold : float
        In the units of the run's maps.
    quantile : float
        Of the values of all pixels of these maps.
    maps : int
    of : str
        Which normals, in words.
    """

    threshold: float
    quantile: float
    maps: int
    of: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> NormalMaps:
        return cls(**{name: facts[name] for name in ("threshold", "quantile", "maps", "of")})

    def in_words(self) -> str:
        """Where the threshold comes from."""
        return (
            f"the {self.quantile:g} quantile of all pixels in the maps of {self.maps} {self.of} ({self.threshold:.4g})"
        )


class TooLongError(Exception):
    """A second fit took longer than it may."""


def wanted(run: Run, info: ScorerInfo, entry: RunSubset) -> bool:
    """Whether the run keeps maps of a scorer that learns what normal looks like, and this is not known yet."""
    return run.map_policy == "all" and info.needs_fit and not info.parts and FACT not in entry.facts


def carried(old: RunSubset | None, fit: str | None) -> dict[str, Any]:
    """What of a subset's facts outlives a new session with the same fit."""
    return {FACT: old.facts[FACT]} if old and old.fit == fit and FACT in old.facts else {}


def of_same_fit(
    store: Store, run: Run, entry: RunSubset, dataset: Dataset, calibration: bool
) -> Mapping[str, Any] | None:
    """What another run with the same fit and the same size of maps has found already, on the same normals.

    The normals of a fit are the same in every version of a dataset; those of the calibration split are not.
    """
    aside = len(_aside(dataset, entry.subset, run.seed, calibration)) >= FEWEST
    for other in store.runs():
        if (other.scorer, other.map_side, other.seed) != (run.scorer, run.map_side, run.seed):
            continue
        same = other.dataset_id == run.dataset_id
        for there in store.run_subsets(other.id):
            found = there.facts.get(FACT, {})
            if there.fit != entry.fit or "threshold" not in found:
                continue
            if same or not (aside or found["of"] == CALIBRATION):
                return found
    return None


def find(
    dataset: Dataset,
    subset: str,
    *,
    seed: int,
    side: int,
    calibration: bool,
    fitted: Judge,
    held_out: Callable[[Sequence[Item], Sequence[Item]], Sequence[Scored]] | None,
) -> NormalMaps:
    """The threshold of one subset.

    Parameters
    ----------
    seed : int
        Draws the normals.
    side : int
        Longest side of the run's stored maps, pixels.
    calibration : bool
        Whether the scorer has not learned from the calibration split, so that its normals may be taken.
    fitted : callable(items) -> results
        Scores by the run's own fit.
    held_out : callable(learned, judged) -> results, or None
        Scores ``judged`` by a fit on ``learned`` alone; may raise :class:`TooLongError`. None: not to be tried.

    Raises
    ------
    InputError
        If there are no normals, or none of them got a map.
    """
    aside = _aside(dataset, subset, seed, calibration)
    if len(aside) >= FEWEST:
        return _of(fitted(aside[:MOST]), side, CALIBRATION)
    normals = _drawn(dataset.normals(subset), seed, dataset.card.subset(subset))
    judged = normals[: min(MOST, len(normals) // 3)]
    learned = normals[len(judged) :][:LEARNED]
    if held_out is not None and len(judged) >= FEWEST:
        try:
            scored = held_out(learned, judged)
        except (TooLongError, InputError):  # it learns too slowly, or nothing from so few
            pass
        else:
            return _of(scored, side, f"training normals held out of a second fit on {len(learned)} others")
    return _of(fitted(normals[:MOST]), side, "training normals that it was fitted on, which look too normal to it")


def _aside(dataset: Dataset, subset: str, seed: int, calibration: bool) -> list[Item]:
    """Normals of the calibration split, where the scorer has not learned from it."""
    rows = dataset.select(split="calibration", subset=subset)
    return _drawn(rows[rows["level"] == 0], seed, dataset.card.subset(subset)) if calibration else []


def _drawn(rows: Any, seed: int, card: SubsetCard) -> list[Item]:
    """The images of a part of the dataset's table, in a seeded order."""
    order = np.random.default_rng(seed).permutation(len(rows))
    facts = zip(rows["image_id"], rows["path"], rows["content_hash"], strict=True)
    items = [Item(i, path, digest, card.window, card.ignored) for i, path, digest in facts]
    return [items[place] for place in order]


def _of(results: Sequence[Scored], side: int, words: str) -> NormalMaps:
    maps = [shrink(np.asarray(one.map, dtype=np.float32), side) for one in results if one.map is not None]
    maps = [one for one in maps if np.isfinite(one).all()]
    if not maps:
        raise InputError("None of the normal images got an anomaly map.")
    pixels = np.concatenate([one.ravel() for one in maps])
    return NormalMaps(float(np.quantile(pixels, QUANTILE)), QUANTILE, len(maps), words)
