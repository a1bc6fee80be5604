"""Where a dataset's pictures lie in feature space: which are alike, and a map of them all. Read without torch.

Made by :mod:`mad_core.runs.picture_features`; everything here can be made again.
"""

from __future__ import annotations

import hashlib
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from mad_core.errors import NotFoundError
from mad_core.settings import Settings

ALL = ""
"""In the place of a subset's name: the pictures of all subsets together."""
PCA, TSNE = "pca", "tsne"
NEAREST = 12
_ARRAYS = ("image_ids", "hashes", "vectors", "groups", "pairs", "nearest")


@dataclass(frozen=True)
class Alike:
    """A picture that is like another.

    Parameters
    ----------
    image_id : str
    distance : float
        Between the two vectors.
    closer : float
        Share of all pairs of these pictures that lie farther apart, 0-1.
    words : str
        How alike they are.
    """

    image_id: str
    distance: float
    closer: float
    words: str

    def in_words(self) -> str:
        """``very alike, closer than 99.8 % of pairs``."""
        return f"{self.words}, closer than {_percent(self.closer)} of pairs"


@dataclass(frozen=True, eq=False)
class PictureSpace:
    """Pictures of a subset, or of all, as points.

    Parameters
    ----------
    image_ids, hashes : ndarray of shape (n,)
        Which pictures, and the digests of their bytes.
    vectors : ndarray of shape (n, k), float32
        Standardised features in their principal components, largest first.
    groups : ndarray of shape (n,)
        Pictures that lie together have a number in common, from 0, the largest group first.
    pairs, nearest : ndarray
        Quantiles, evenly spread from 0 to 1, of the distances of all pairs, and of each picture to its nearest.
    places : mapping of str to ndarray of shape (n, 2)
        Maps by name (``PCA``, ``TSNE``), each from 0 to 1.
    """

    image_ids: np.ndarray
    hashes: np.ndarray
    vectors: np.ndarray
    groups: np.ndarray
    pairs: np.ndarray
    nearest: np.ndarray
    places: Mapping[str, np.ndarray]

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each picture."""
        return {image_id: row for row, image_id in enumerate(self.image_ids.tolist())}

    @cached_property
    def keys(self) -> dict[str, str]:
        """Of each map a short text that is another one whenever the map was made anew."""
        return {
            name: hashlib.blake2b(np.round(of, 4).tobytes() + self.image_ids.tobytes(), digest_size=4).hexdigest()
            for name, of in self.places.items()
        }

    def alike(self, image_id: str, count: int = NEAREST) -> list[Alike]:
        """The pictures nearest to one of these, the nearest first.

        Raises
        ------
        NotFoundError
            If the picture is none of these.
        """
        if image_id not in self.rows:
            raise NotFoundError(f"The features of image {image_id} are not kept.")
        row = self.rows[image_id]
        distances = np.linalg.norm(self.vectors - self.vectors[row], axis=1)
        distances[row] = np.inf
        nearest = np.argsort(distances, kind="stable")[: min(count, len(distances) - 1)]
        return [
            Alike(
                str(self.image_ids[at]), float(distances[at]), self._closer(distances[at]), self._words(distances[at])
            )
            for at in nearest
        ]

    def _closer(self, distance: float) -> float:
        return 1 - float(np.searchsorted(self.pairs, distance)) / len(self.pairs)

    def _words(self, distance: float) -> str:
        usual, far = np.quantile(self.nearest, (0.5, 0.95))
        if distance <= 1e-3 * usual:
            return "the same"
        if distance <= 0.3 * usual:
            return "nearly the same"
        if distance <= usual:
            return "very alike"
        of_pairs, of_many = np.quantile(self.pairs, (0.01, 0.1))
        if distance <= max(far, of_pairs):
            return "alike"
        return "somewhat alike" if distance <= max(far, of_many) else "less alike"

    def stands_alone(self, alike: list[Alike]) -> bool:
        """Whether even the nearest is farther than that of nearly every other picture."""
        return bool(alike) and alike[0].distance > float(np.quantile(self.nearest, 0.95))


def _percent(share: float) -> str:
    """Rounded down, so that nothing is closer than 100 %."""
    share = min(share, 0.999)
    return f"{int(1000 * share) / 10:.1f} %" if share >= 0.99 else f"{int(100 * share)} %"


def read_space(settings: Settings, dataset_id: str, subset: str) -> PictureSpace | None:
    """What is kept of a subset's pictures, of all with ``ALL``; None where that was not made yet."""
    path = space_path(settings, dataset_id, subset)
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return None
    return _read(path, changed)


@lru_cache(maxsize=6)
def _read(path: Path, changed: int) -> PictureSpace | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = [file[name] for name in _ARRAYS]
            return PictureSpace(*facts, places={name: file[name] for name in (PCA, TSNE) if name in file})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # cut off: it is made again
        return None


def write_space(settings: Settings, dataset_id: str, subset: str, space: PictureSpace) -> None:
    """Keep what was made, all or nothing."""
    path = space_path(settings, dataset_id, subset)
    write_arrays(path, {**{name: getattr(space, name) for name in _ARRAYS}, **space.places})


def space_path(settings: Settings, dataset_id: str, subset: str) -> Path:
    """Where the pictures of a subset are kept."""
    name = hashlib.blake2b(subset.encode(), digest_size=8).hexdigest() if subset else "all"
    return settings.features / dataset_id / f"{name}.npz"


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A file of arrays, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with building.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    building.replace(path)


# -- a part of a map ----------------------------------------------------------------------------------

GROUP = "group"
SCALE, BEYOND = 1000, 0.05
"""Corners are written as whole numbers from 0 to this, from a little before the first place to a little behind the
last: else an outline could not enclose the outermost."""
MOST_CORNERS = 100


@dataclass(frozen=True)
class MapPart:
    """Pictures that were chosen on a map, as an address writes them.

    Parameters
    ----------
    map : str
        The map's name, or ``GROUP`` for the pictures of a group.
    whole : bool
        Whether it is the map of all subsets.
    key : str
        Of the map that it was chosen on.
    corners : tuple of (int, int)
        Of its outline.
    group : int
    """

    map: str
    whole: bool
    key: str
    corners: tuple[tuple[int, int], ...] = ()
    group: int = -1

    def to_text(self) -> str:
        """``tsne-s-1a2b3c4d-120.340-125.350-…``, or ``group-a-1a2b3c4d-3``."""
        parts = [f"{x}.{y}" for x, y in self.corners] if self.map != GROUP else [str(self.group)]
        return "-".join([self.map, "a" if self.whole else "s", self.key, *parts])

    @classmethod
    def from_text(cls, text: str) -> MapPart | None:
        """The inverse of :meth:`to_text`; None of any other text."""
        name, scope, key, *parts = [*text.split("-"), "", "", ""] if text.count("-") < 3 else text.split("-")
        if name not in (PCA, TSNE, GROUP) or scope not in ("a", "s") or len(parts) > MOST_CORNERS:
            return None
        try:
            if name == GROUP:
                return cls(name, scope == "a", key, group=int(parts[0])) if len(parts) == 1 else None
            corners = tuple((int(x), int(y)) for x, y in (part.split(".") for part in parts))
        except ValueError:
            return None
        return cls(name, scope == "a", key, corners) if len(corners) >= 3 else None

    def of(self, space: PictureSpace | None) -> frozenset[str] | None:
        """Ids of the pictures in it; None where the map that it was chosen on is no longer there."""
        if space is None or space.keys.get(PCA if self.map == GROUP else self.map) != self.key:
            return None
        if self.map == GROUP:
            return frozenset(space.image_ids[space.groups == self.group].tolist())
        corners = np.array(self.corners) / SCALE * (1 + 2 * BEYOND) - BEYOND
        inside = within(space.places[self.map], corners)
        return frozenset(space.image_ids[inside].tolist())


def within(places: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Which places (n, 2) an outline (m, 2) encloses, crossings counted: bool of shape (n,)."""
    x, y = places[:, 0].astype(np.float64), places[:, 1].astype(np.float64)
    inside = np.zeros(len(places), dtype=bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        between = (y0 > y) != (y1 > y)
        inside ^= between & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside
