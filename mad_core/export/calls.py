"""Which level a score is called, in numbers that a file carries with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.datasets.dataset import level_key
from mad_core.learning.conformal import needed
from mad_core.runs.store import Run, Store
from mad_core.runs.triage import MISS, medians_without

CUTS, MEDIANS, GRAPH = "cuts", "medians", "graph"


@dataclass(frozen=True)
class Calls:
    """As :func:`mad_core.runs.triage.calls` calls levels.

    Parameters
    ----------
    by : {"cuts", "medians", "graph"}
        Cut-points kept with the run, the nearest median of its labelled images, or the graph itself.
    levels : tuple of float
        Ascending.
    places : tuple of float
        The cut-points, one less than levels, or the medians.
    strangeness : dict of str to list of float
        By level, how far its labelled images lie from the median of the others, ascending: what the sets of levels are
        made of. Empty where a level has too few of them.
    """

    by: str
    levels: tuple[float, ...]
    places: tuple[float, ...] = ()
    strangeness: dict[str, list[float]] | None = None

    def of(self, score: float) -> float:
        """The level of a score."""
        places = np.array(self.places)
        if self.by == CUTS:
            return self.levels[int(np.searchsorted(places, score, side="right"))]
        return self.levels[int(np.abs(score - places).argmin())]

    def to_json(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"by": self.by, "levels": list(self.levels)}
        if self.by != GRAPH:
            facts[self.by] = list(self.places)
        if self.strangeness:
            facts["sets"] = {"guarantee": 1 - MISS, "strangeness": self.strangeness}
        return facts


def calls_of(store: Store, run: Run, subset: str, scored: pd.DataFrame) -> Calls | None:
    """How a detector's scores are called; None where nothing says it.

    Parameters
    ----------
    scored : DataFrame
        With ``level`` and ``score``.
    """
    cuts = store.cuts.of_run(run.id).get(subset)
    if cuts is not None:
        return Calls(CUTS, cuts.levels, cuts.cuts)
    known = scored[np.isfinite(scored["score"]) & np.isfinite(scored["level"])]
    by_level = {float(level): np.asarray(of, float) for level, of in known.groupby("level")["score"]}  # type: ignore[arg-type]
    if len(by_level) < 2:
        return None
    medians = tuple(float(np.median(of)) for of in by_level.values())
    own = {level_key(k): np.sort(np.abs(of - medians_without(of))).tolist() for k, of in by_level.items()}
    enough = all(len(of) >= needed(MISS) for of in by_level.values())
    return Calls(MEDIANS, tuple(by_level), medians, own if enough else None)
