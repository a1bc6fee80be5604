"""A run's scores joined with its images: the table that metrics, figures and score files are made of."""

from pathlib import Path

import numpy as np
import pandas as pd

from mad_core.datasets.madbench import rounds_up
from mad_core.datasets.own_normals import notes_of_normals
from mad_core.map_files import shared_range
from mad_core.runs.store import Run, Store
from mad_core.scorefiles import scores_csv, write_scores

SUGGESTED = "suggested_groups"
"""Under this name facts of a run's subset say which groups the names of its images suggest."""


def run_table(store: Store, run_id: str) -> pd.DataFrame:
    """Every image a run was asked to score, in table order, with its score where it has one.

    Returns
    -------
    DataFrame
        Columns ``image_id``, ``path`` (as templates name it), ``subset``, ``level``, ``defect``,
        ``group`` (patient, part, lot; None where nothing says it), ``score`` (float64, NaN where absent),
        ``status`` (``"waiting"`` where none came yet), ``reason``, ``seconds``,
        ``rounded_up`` (whether metrics round its level up, as the benchmark's protocol asks of its own subsets).

    Raises
    ------
    NotFoundError
        If there is no such run.
    """
    run = store.run(run_id)
    dataset = store.dataset(run.dataset_id).as_of(run.dataset_version)
    asked = store.test_images(dataset, run.subsets, run.image_limit, run.seed, run.sampling)
    asked = asked.drop(columns="path").rename(columns={"template_path": "path"})
    table = asked[["image_id", "path", "subset", "level", "defect", "group"]]
    scores = store.scores(run_id).drop(columns=["subset", "created"])
    joined = table.merge(scores, on="image_id", how="left", sort=False)
    rounded = rounds_up(joined["subset"], dataset.card)
    joined["rounded_up"] = [rounded[subset] for subset in joined["subset"]]
    joined["status"] = joined["status"].astype(object).where(joined["status"].notna(), "waiting")
    return joined


def reading_notes(store: Store, run_id: str) -> tuple[str, ...]:
    """What a person must know of how a run read its pictures, a sentence each; none where nothing is special.

    Regions that were left out, subsets in which normal was learned from the images that are scored, and groups that
    the names of images suggest and nobody has named, where labels were learned from.
    """
    run, entries = store.run(run_id), store.run_subsets(run_id)
    learned = [entry.subset for entry in entries if entry.fit]
    grouped = [entry.facts[SUGGESTED] for entry in entries if entry.facts.get(SUGGESTED)]
    return (*_ignored_notes(run), *notes_of_normals(store.dataset(run.dataset_id), learned), *dict.fromkeys(grouped))


def _ignored_notes(run: Run) -> tuple[str, ...]:
    shares = {name: share for name, share in run.record.get("ignored", {}).items() if name in run.subsets}
    if not shares:
        return ()
    told = ", ".join(f"{100 * share:.2g} % of each picture of subset '{name}'" for name, share in shares.items())
    return (f"A region to ignore is left out of fits, scores, maps and areas: {told}.",)


def run_scores_csv(store: Store, run_id: str) -> str:
    """A run's scores in the benchmark's result format; failed images keep their row, without a score."""
    return scores_csv(run_table(store, run_id))


def write_run_scores(store: Store, run_id: str, out: Path) -> None:
    """Write what :func:`run_scores_csv` gives, all of it or nothing."""
    write_scores(out, run_table(store, run_id))


MAPS_READ = 200
PIXELS_READ = 4096


def display_range(store: Store, run_id: str, subset: str) -> tuple[float, float, float] | None:
    """One display range for all maps of a run on one subset, so that two images compare.

    Returns
    -------
    (low, high, threshold) or None
        The normals' 1st percentile, the run's 99.5th, and the normals' 99.5th (a threshold that
        one in 200 pixels of normal test images exceeds), in raw units; None where there is no map.
        At most ``MAPS_READ`` maps are read, spread evenly over the subset.
    """
    run = store.run(run_id)
    refs = list(store.map_refs(run_id, subset).items())
    rows = store.dataset(run.dataset_id).select(subset=subset)
    normal_ids = set(rows.loc[rows["level"] == 0, "image_id"])
    chosen = refs[:: max(1, -(-len(refs) // MAPS_READ))]
    pixels = {image_id: _some(store.maps.read(run_id, subset, ref, run.map_side).ravel()) for image_id, ref in chosen}
    normal = [values for image_id, values in pixels.items() if image_id in normal_ids]
    return shared_range(normal, list(pixels.values()))


def _some(values: np.ndarray) -> np.ndarray:
    """At most ``PIXELS_READ`` values, spread evenly."""
    return values[:: max(1, len(values) // PIXELS_READ)]
