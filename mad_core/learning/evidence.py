"""What is known of images before anybody grades them: groups of features, measured against normals, and a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mad_core.errors import InputError

FURTHEST = 3.0
"""Spreads of the normals beyond which a feature tells no more: an outlier in one must not drown the others."""
EXAMPLES = 20
"""Normals that are taken for graded as level 0, at most."""
NARROWEST = 2.0
"""Spreads of the normals that a detector's scores of graded images are taken to differ by at least: what differs less
is noise to it, and stretched it would lend that noise the detector's weight."""
LEAST_SPREAD = 0.1
"""Added to each spread, in median spreads of the group: few normals say little of a feature that hardly varies."""


@dataclass(frozen=True)
class Evidence:
    """Images as a learner sees them.

    Parameters
    ----------
    detector : ndarray of shape (n,), float64
        Anomaly scores of a detector, finite, higher = more severe.
    groups : mapping of str to ndarray of shape (n, d)
        Features by the name under which people meet them.

    Raises
    ------
    InputError
        If the shapes disagree or a value is not finite.
    """

    detector: np.ndarray
    groups: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, values in (("detector", self.detector), *self.groups.items()):
            if len(values) != len(self.detector) or not np.isfinite(values).all():
                raise InputError(f"The features '{name}' are not a finite row for each of {len(self.detector)} images.")

    def __len__(self) -> int:
        return len(self.detector)

    def rows(self, which: np.ndarray) -> Evidence:
        """Some of the images, by number or by a mask."""
        return Evidence(self.detector[which], {name: values[which] for name, values in self.groups.items()})


def joined(first: Evidence, second: Evidence) -> Evidence:
    """The images of both, one after the other."""
    groups = {name: np.concatenate([values, second.groups[name]]) for name, values in first.groups.items()}
    return Evidence(np.concatenate([first.detector, second.detector]), groups)


@dataclass(frozen=True)
class NormalScale:
    """How normals look in each feature, and what the detector says of them.

    Parameters
    ----------
    centre, spread : mapping of str to ndarray of shape (d,)
        Mean and standard deviation of each feature among normals.
    examples : Evidence or None
        Up to ``EXAMPLES`` of them, as :meth:`departures` gives them; None where no detector's scores of them are known.
    middle, step : float
        Median and standard deviation of the detector's scores of normals.
    """

    centre: Mapping[str, np.ndarray]
    spread: Mapping[str, np.ndarray]
    examples: Evidence | None = None
    middle: float = 0.0
    step: float = 0.0

    @classmethod
    def of(
        cls,
        normals: Mapping[str, np.ndarray],
        scores: Sequence[float | None] | np.ndarray = (),
        least: Mapping[str, np.ndarray] | None = None,
    ) -> NormalScale:
        """From features of training normals, (m, d) each, and a detector's scores of them by fits without them.

        Scores are of m normals, None or NaN where one is not known; empty where none are. ``least`` are spreads of
        groups, (d,) each, that are not gone below.
        """
        spread = {name: values.std(axis=0) for name, values in normals.items()}
        scale = cls(
            {name: values.mean(axis=0) for name, values in normals.items()},
            {
                name: np.maximum(of + LEAST_SPREAD * float(np.median(of)) + 1e-9, (least or {}).get(name, 0.0))
                for name, of in spread.items()
            },
        )
        detector = np.array(scores, dtype=np.float64)
        scored = np.flatnonzero(np.isfinite(detector))
        if len(scored) < 2:
            return scale
        step = float(detector[scored].std()) or 1.0
        scale = replace(scale, middle=float(np.median(detector[scored])), step=step)
        few = scored[np.unique(np.linspace(0, len(scored) - 1, min(EXAMPLES, len(scored))).round().astype(int))]
        examples = Evidence(detector[few], {name: values[few] for name, values in normals.items()})
        return replace(scale, examples=scale.departures(examples))

    @property
    def narrowest(self) -> float:
        """Spread of the departures' detector scores below which they say nothing; 0 where normals' are not known."""
        return NARROWEST if self.step else 0.0

    def departures(self, images: Evidence) -> Evidence:
        """Features in spreads from the normals' mean, at most ``FURTHEST`` to either side.

        The detector's scores become spreads above what normals score, linear near it and logarithmic far out, where
        that is known.
        """
        detector = np.arcsinh((images.detector - self.middle) / self.step) if self.step else images.detector
        groups = {
            name: np.clip((values - self.centre[name]) / self.spread[name], -FURTHEST, FURTHEST)
            for name, values in images.groups.items()
        }
        return Evidence(detector, groups)
