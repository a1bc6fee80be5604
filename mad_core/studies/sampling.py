"""The images on which a study compares runs: those that all of them scored, a stratified sample of them when quick."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.labelled import labelled
from mad_core.metrics.macro import Measured, measure
from mad_core.metrics.summary import ordered
from mad_core.metrics.units import groups_of
from mad_core.runs.comparing import distinct_names
from mad_core.runs.results import run_table
from mad_core.studies.study import Work

QUICK_IMAGES = 80
"""Images a subset in quick mode, levels in their shares."""
QUICK_DRAWS, DRAWS = 300, 1000


@dataclass(frozen=True, eq=False)
class Sample:
    """Runs on the same images.

    Parameters
    ----------
    tables : mapping of run id to DataFrame
        As :func:`mad_core.runs.results.run_table`, only the sample's images.
    names : mapping of run id to str
    images, of : int
        How many images of how many test images.
    draws : int
        Bootstrap draws that go with it.
    """

    tables: Mapping[str, pd.DataFrame]
    names: Mapping[str, str]
    images: int
    of: int
    draws: int

    def in_words(self) -> str:
        """``160 of 420 test images``."""
        return f"{self.images:,} of {self.of:,} test images"

    def facts(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "test_images": self.of,
            "bootstrap_draws": self.draws,
            "sampling": "levels in their shares",
        }


def sample_of(work: Work, *, images: int = QUICK_IMAGES) -> Sample:
    """The labelled images that every run has a score of, each subset for itself among the runs that were asked for it.

    Parameters
    ----------
    images : int
        How many a subset in quick mode.

    Raises
    ------
    InputError
        If there is none.
    """
    tables = {run.id: _by_protocol(labelled(run_table(work.store, run.id))) for run in work.runs}
    scored: dict[str, Any] = {run_id: table[np.isfinite(table["score"])] for run_id, table in tables.items()}
    if not any(map(len, tables.values())):
        raise InputError("No test image of the chosen runs has a severity level yet; grade some on Audit first.")
    ids: set[str] = set()
    for subset in work.dataset.subsets:
        asked = [scored[run.id] for run in work.runs if subset in run.subsets]
        of_runs = [set(table.loc[table["subset"] == subset, "image_id"]) for table in asked]
        ids |= set.intersection(*of_runs) if of_runs else set()
    if not ids:
        raise InputError("The chosen runs have no image that all of them scored; choose other runs or finish them.")
    everything = work.dataset.table
    common = replace(work.dataset, table=_only(everything, ids))
    chosen = work.store.test_images(common, (), images if work.quick else None, work.seed)
    kept = set(chosen["image_id"])
    subsets = {name for run in work.runs for name in run.subsets}
    test = work.dataset.select(split="test")
    return Sample(
        {run_id: _only(table, kept) for run_id, table in scored.items()},
        distinct_names(work.runs),
        len(kept),
        sum(name in subsets for name in labelled(test)["subset"]),
        QUICK_DRAWS if work.quick else DRAWS,
    )


def _by_protocol(table: pd.DataFrame) -> pd.DataFrame:
    """A run's table whose levels are those by which metrics order images."""
    return table.assign(level=ordered(table)[0])


def _only(table: pd.DataFrame, ids: set[str]) -> pd.DataFrame:
    chosen: Any = table["image_id"].isin(list(ids))
    return table.loc[chosen]


def measured(work: Work, sample: Sample) -> dict[str, dict[str, Measured]]:
    """Every run on every subset of the sample, on the same images."""
    results: dict[str, dict[str, Measured]] = {}
    for done, (run_id, table) in enumerate(sample.tables.items()):
        results[run_id] = {}
        for subset, rows in table.groupby("subset"):
            work.check_cancel()
            values = rows["level"], rows["score"]
            results[run_id][str(subset)] = measure(*values, rows["image_id"], groups=groups_of(rows))
        work.progress(done + 1, len(sample.tables))
    return results
