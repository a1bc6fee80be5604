"""Normal where no image is known to be: a subset's own images, as a person said, from which detectors learn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mad_core.errors import InputError

if TYPE_CHECKING:
    from mad_core.datasets.dataset import Dataset

TYPICAL, EVERY = "typical", "all"
DRAWN = 240
"""Images that are drawn for ``typical``: a scorer keeps the half of them that departs least."""
MOST = 1_000
"""Images that are drawn for ``all``, where there are more."""
FEWEST = 12
"""Images of a subset from which something can be learned."""
FACT = "own_normals"
"""Under this name facts of a run's subset say what its scorer has learned from."""
WAYS = {
    TYPICAL: "the most typical of its own images",
    EVERY: "all of its own images",
}
"""What a person can choose, in words; a number draws so many."""


@dataclass(frozen=True)
class OwnNormals:
    """From which of a subset's images detectors learn normal, none of which is known to be.

    Parameters
    ----------
    way : str
        ``"typical"``, ``"all"`` or a number.
    images : tuple of str
        Ids of those that were drawn when it was chosen; images that come later do not change them.
    """

    way: str
    images: tuple[str, ...]

    @property
    def key(self) -> str:
        """The same for the same choice and images."""
        return "\0".join((self.way, *self.images))

    def to_json(self) -> dict[str, Any]:
        return {"way": self.way, "images": list(self.images)}

    @classmethod
    def from_json(cls, data: Any) -> OwnNormals | None:
        """The inverse of :meth:`to_json`; None where nothing was chosen."""
        if not isinstance(data, Mapping):
            return None
        return cls(str(data.get("way", "")), tuple(map(str, data.get("images", ()))))

    def in_words(self, subset: str) -> str:
        """What was chosen, and what follows from it."""
        drawn = len(self.images)
        what = f"the half of {drawn:,} of its own images" if self.way == TYPICAL else f"{drawn:,} of its own images"
        which = " that departs least from the rest" if self.way == TYPICAL else ""
        return (
            f"No image of '{subset}' is known to be normal: detectors learn from {what}{which}, and score each of "
            "these by a fit that has not seen it. What most images share counts as normal."
        )


def without_normals(dataset: Dataset) -> list[str]:
    """The subsets in which nothing is known to be normal and nobody has said what detectors learn from."""
    untrained = [name for name in dataset.subsets if "train" not in dataset.splits(name)]
    return [name for name in untrained if dataset.normals(name).empty]


def with_own_normals(dataset: Dataset, way: str, subsets: Iterable[str] = ()) -> Dataset:
    """A version of a dataset in which detectors learn from the images themselves where no normal is known.

    Parameters
    ----------
    way : str
        ``"typical"`` (a scorer keeps the half of the drawn images that departs least), ``"all"``, or a number: so
        many, drawn by their content.
    subsets : iterable of str
        By default every one without training normals.

    Raises
    ------
    InputError
        If the way is none, or a subset has too few images that may be normal.
    """
    chosen = {name: _drawn(dataset, name, way) for name in subsets or without_normals(dataset)}
    cards = {name: replace(dataset.card.subset(name), own_normals=own) for name, own in chosen.items()}
    return replace(dataset, card=replace(dataset.card, subsets={**dataset.card.subsets, **cards}))


def notes_of_normals(dataset: Dataset, subsets: Iterable[str]) -> list[str]:
    """A sentence on each subset of which detectors learn from its own images."""
    chosen = {name: dataset.own_normals(name) for name in subsets}
    return [own.in_words(name) for name, own in chosen.items() if own is not None]


def way_chosen(dataset: Dataset) -> str:
    """What was chosen for a dataset's subsets, the first of several; empty where nothing was."""
    return next((own.way for name in dataset.subsets if (own := dataset.own_normals(name)) is not None), "")


def checked_way(way: str) -> int:
    """How many images a way draws at most.

    Raises
    ------
    InputError
    """
    counts = {TYPICAL: DRAWN, EVERY: MOST}
    number = int(way) if way.isdecimal() and len(way) < 10 else counts.get(way, 0)
    if number < FEWEST:
        raise InputError(
            f"Detectors learn from '{TYPICAL}', '{EVERY}' or a number of images from {FEWEST} on, not from "
            f"'{way[:40]}'."
        )
    return number


def _drawn(dataset: Dataset, subset: str, way: str) -> OwnNormals:
    """One image of each content that may be normal, in the order of a digest of their content."""
    most, rows = checked_way(way), dataset.select(split="test", subset=subset)
    may_be: Any = rows[~(rows["level"] > 0)]
    may_be = may_be.drop_duplicates("content_hash")
    if len(may_be) < FEWEST:
        raise InputError(
            f"Subset '{subset}' has {len(may_be)} images that may be normal; a detector needs {FEWEST} to learn from."
        )
    order = may_be["content_hash"].map(lambda content: hashlib.blake2b(content.encode()).hexdigest()).sort_values()
    ids = set(may_be.loc[order.index[:most], "image_id"])
    return OwnNormals(way, tuple(image_id for image_id in may_be["image_id"] if image_id in ids))
