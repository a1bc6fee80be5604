"""How long a run will take, from what the same scorer took in this store before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mad_core.datasets.dataset import Dataset
from mad_core.runs import same_fit
from mad_core.runs.store import Run, Store


@dataclass(frozen=True)
class Pace:
    """What a finished run took: seconds to fit one normal and to score one image."""

    run: Run
    a_normal: float
    an_image: float

    def seconds(self, dataset: Dataset, subsets: Sequence[str] = (), limit: int | None = None) -> float:
        """What a dataset would take; some subsets of it (empty: all), of each at most ``limit`` test images."""
        normals, images = _counts(dataset, subsets or dataset.subsets, limit)
        return normals * self.a_normal + images * self.an_image


def finished(store: Store) -> dict[str, list[Run]]:
    """By scorer, the runs that were made to their end here, newest first; those that took over all scores left out."""
    by_scorer: dict[str, list[Run]] = {}
    taken = store.subset_facts(same_fit.FACT)
    for run in reversed(store.runs()):
        if run.status == "done" and not run.imported and _scored_here(run, taken.get(run.id, ())):
            by_scorer.setdefault(run.scorer, []).append(run)
    return by_scorer


def _scored_here(run: Run, taken: Iterable[Mapping[str, int]]) -> int:
    """How many images a run scored, and did not take over from another version of its dataset."""
    return run.done - sum(sum(by_run.values()) for by_run in taken)


def pace_of(store: Store, runs: Sequence[Run], parameters: Mapping[str, Any], device: str = "auto") -> Pace | None:
    """The pace of the newest run with these parameters, else of the newest at all.

    Parameters
    ----------
    runs : sequence of Run
        Finished ones of one scorer, newest first.
    device : str
        Where one is named, runs on others are left out.

    Returns
    -------
    Pace or None
        None where there is no such run.
    """
    there = [run for run in runs if device in ("auto", run.record.get("device", {}).get("id", run.device))]
    alike = (run for run in there if dict(run.parameters) == dict(parameters))
    run = next(alike, next(iter(there), None))
    if run is None:
        return None
    entries = store.run_subsets(run.id)
    normals, _ = _counts(store.dataset(run.dataset_id), run.subsets, None)
    fitting, scoring = sum(e.seconds_fit for e in entries), sum(e.seconds_score for e in entries)
    scored = _scored_here(run, (entry.facts.get(same_fit.FACT, {}) for entry in entries))
    return Pace(run, fitting / max(normals, 1), scoring / scored)


NORMALS_TRIED = 2
"""Training normals that a probe fits on."""


def from_probe(
    result: Mapping[str, Any], dataset: Dataset, subsets: Sequence[str] = (), limit: int | None = None
) -> tuple[float, float | None]:
    """Seconds that a run will take at least and at most, from two images (:mod:`mad_core.runs.probe`).

    At least: a fit takes as long as on two normals, as where training has a number of steps. At most: it takes the
    longer the more normals there are. None where the fit on two took so long that no image was scored.
    """
    chosen = subsets or dataset.subsets
    normals, images = _counts(dataset, chosen, limit)
    fit, image = float(result["fit"]), result["image"]
    least = fit * len(chosen) + images * float(image or 0.0)
    if image is None:
        return least, None
    return least, max(least, fit * normals / NORMALS_TRIED + images * float(image))


def _counts(dataset: Dataset, subsets: Sequence[str], limit: int | None) -> tuple[int, int]:
    """Training normals, and test images that a run of this limit scores."""
    counts = [entry for entry in dataset.counts() if entry["subset"] in subsets]
    images = [sum(entry["test"].values()) + entry.get("unlabelled", 0) for entry in counts]
    return sum(sum(entry["train"].values()) for entry in counts), sum(min(n, limit or n) for n in images)
