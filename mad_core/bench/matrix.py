"""A matrix of scorers and subsets, done through the store, and what comes of it as entries of the benchmark table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mad_core.bench.table import IMPORTED, NOT_RUN, SCORED, BenchTable, Cost, Entry, bench_table, places_of
from mad_core.errors import CancelledError, InputError, MadError, UnavailableError
from mad_core.machine.memory import PEAK
from mad_core.metrics.macro import Measured
from mad_core.runs.comparing import distinct_names, supervision_note
from mad_core.runs.request import request_run
from mad_core.runs.store import EVEN, FAILED_SUBSETS, Run, RunRequest, Store
from mad_core.scorers.catalog import ScorerInfo


@dataclass(frozen=True)
class Matrix:
    """What is asked for: the same images for every scorer, one run a scorer over all subsets."""

    dataset_id: str
    scorers: Sequence[tuple[ScorerInfo, Mapping[str, Any]]]
    subsets: tuple[str, ...] = ()
    limit: int | None = None
    seed: int = 0
    device: str = "auto"
    map_policy: str = "all"


@dataclass(frozen=True)
class Outcome:
    """What became of one scorer: its run, if there is one, and why it did not come to its end."""

    info: ScorerInfo
    run: Run | None
    why: str = ""


def run_matrix(store: Store, matrix: Matrix, do: Callable[[Run], None]) -> list[Outcome]:
    """Request each scorer's run and have it done, one after the other, so that later ones can build on earlier ones.

    The same matrix again gives the stored runs, and what was stopped goes on. A scorer that cannot run here, or
    whose run fails, is told by its outcome and does not hold up the others.

    Parameters
    ----------
    do : callable(run)
        Does the run's waiting job, if there is one; what it raises is told by the outcome.

    Raises
    ------
    CancelledError
        If a run was cancelled: the rest is not begun.
    NotFoundError, InputError
        If the dataset has no such subset, or nothing to score.
    """
    dataset = store.dataset(matrix.dataset_id)
    if store.test_images(dataset, matrix.subsets, matrix.limit, matrix.seed).empty:
        raise InputError(f"Dataset '{dataset.name}' has no test images to score.")
    return [_outcome(store, matrix, info, parameters, do) for info, parameters in matrix.scorers]


def _outcome(
    store: Store, matrix: Matrix, info: ScorerInfo, parameters: Mapping[str, Any], do: Callable[[Run], None]
) -> Outcome:
    request = RunRequest(
        matrix.dataset_id,
        info.id,
        parameters,
        matrix.subsets,
        matrix.limit,
        matrix.seed,
        matrix.device,
        matrix.map_policy,
    )
    try:
        run = request_run(store, request)
    except (InputError, UnavailableError) as error:
        return Outcome(info, None, str(error))
    try:
        do(run)
    except CancelledError:
        raise
    except MadError as error:
        return Outcome(info, store.run(run.id), str(error))
    return Outcome(info, store.run(run.id))


def entry_of(store: Store, run: Run, name: str, table: pd.DataFrame, measured: Mapping[str, Measured]) -> Entry:
    """A run as an entry of the table.

    Parameters
    ----------
    name : str
        What its row is called.
    table : DataFrame
        As :func:`mad_core.runs.results.run_table` gives it.
    measured : mapping of subset to Measured
        As :func:`mad_core.bench.table.measured_subsets` gives it for that table.
    """
    kept = store.run_subsets(run.id)
    done: Any = table[table["status"] != "waiting"]
    counts = done["subset"].value_counts().to_dict()
    costs = {}
    for each in kept:
        memory = each.facts.get(PEAK) or {}
        images = int(counts.get(each.subset, 0))
        costs[each.subset] = Cost(images, each.seconds_fit, each.seconds_score, memory.get("rss"), memory.get("cuda"))
    notes = [supervision_note(run, [each.facts for each in kept]), *run.record.get("imported", {}).get("notes", ())]
    if run.done < run.total:
        notes.append(f"{run.done:,} of {run.total:,} images were done when the table was made.")
    return Entry(
        name,
        IMPORTED if run.imported else SCORED,
        measured,
        costs,
        dict(run.record.get(FAILED_SUBSETS, {})),
        notes=tuple(note for note in notes if note),
        run=run.id,
    )


def not_run(info: ScorerInfo, why: str) -> Entry:
    """The entry of a scorer that could not run."""
    return Entry(info.title, NOT_RUN, notes=(why,))


def table_of_runs(
    store: Store,
    dataset_id: str,
    runs: Sequence[Run],
    measured: Callable[[Run], tuple[pd.DataFrame, Mapping[str, Measured]]],
    *,
    further: Sequence[Entry] = (),
    published: Callable[[Sequence[Any]], Sequence[Entry]] = lambda places: (),
    subsets: Sequence[str] = (),
) -> BenchTable:
    """The benchmark table of runs on one dataset.

    Parameters
    ----------
    runs : sequence of Run
        On this dataset.
    measured : callable(run) -> (table, measured subsets)
    further : sequence of Entry
        Scorers that could not run.
    published : callable(places) -> entries
        Figures from elsewhere, once it is known which places there are.
    subsets : sequence of str
        Which ones; empty for all that a run was asked for.

    Raises
    ------
    NotFoundError
        If there is no such dataset.
    """
    dataset = store.dataset(dataset_id)
    wanted = sorted(set(subsets) or {name for run in runs for name in run.subsets} or dataset.subsets)
    names = distinct_names(runs)
    entries = [entry_of(store, run, names[run.id], *measured(run)) for run in runs]
    places = places_of(wanted, dataset.card, dataset.name)
    return bench_table(dataset.name, places, [*entries, *further, *published(places)], _conditions(runs))


def _conditions(runs: Sequence[Run]) -> list[str]:
    """What sets the runs' images apart from all test images, or from each other."""
    own = [run for run in runs if not run.imported]
    limits = {run.image_limit for run in own}
    if not limits - {None}:
        return []
    amounts = ", ".join("all" if limit is None else f"{limit:,}" for limit in sorted(limits, key=lambda v: v or 0))
    sentences = [f"Test images a subset: {amounts}, levels in their shares; figures as published are of all of them."]
    even = [run.title for run in own if run.image_limit is not None and run.sampling == EVEN]
    if even:
        sentences.append(
            f"{', '.join(even)}: as many images of each level, so the metrics are of another mix of levels."
        )
    return sentences
