"""Scores of calibration images, which no run scores: by a run's kept fit, and kept beside the store.

Reading what is kept needs no torch.
"""

from typing import Any

import numpy as np
import pandas as pd

from mad_core.datasets.dataset import Dataset
from mad_core.errors import CancelledError, MadError
from mad_core.runs.store import Run, Store
from mad_core.runs.store.sampling import proportional
from mad_core.scorers import catalog
from mad_core.studies.scoring import ResultCache, fitted_scorer
from mad_core.studies.study import Work

COLUMNS = ["image_id", "subset", "level", "score"]


def calibration_scores(work: Work, run: Run, subset: str, limit: int | None = None) -> tuple[pd.DataFrame, str]:
    """The scored calibration images of a subset; those that have no score yet are scored now.

    Parameters
    ----------
    limit : int, optional
        At most so many, levels in their shares.

    Returns
    -------
    table : DataFrame
        ``image_id``, ``subset``, ``level`` and ``score``; empty where there are none to be had.
    why_not : str
        In a sentence, where the subset has calibration images that cannot be used.

    Raises
    ------
    CancelledError
    """
    rows = work.dataset.select(split="calibration", subset=subset)
    nothing = pd.DataFrame(columns=COLUMNS)
    if rows.empty:
        return nothing, ""
    why_not = _why_not(run)
    if why_not:
        return nothing, why_not
    rows = proportional(rows, limit, work.seed)
    cache = _kept(work.store, run)
    scores = cache.read([subset])
    missing: Any = rows[~rows["image_id"].isin(list(scores))]
    if len(missing):
        try:
            scores = scores | _scored(work, run, subset, missing)
        except CancelledError:
            raise
        except MadError as error:
            return nothing, f"{run.title} cannot score the calibration images: {error}"
        cache.write([subset], scores)
    return _table(rows, scores), ""


def stored_calibration(store: Store, run: Run, subset: str) -> pd.DataFrame:
    """The calibration images of a subset that have been scored before; as :func:`calibration_scores`."""
    rows = store.dataset(run.dataset_id).select(split="calibration", subset=subset)
    return pd.DataFrame(columns=COLUMNS) if _why_not(run) else _table(rows, _kept(store, run).read([subset]))


def has_calibration(dataset: Dataset, subset: str) -> bool:
    """Whether images of the subset are set aside for calibration."""
    return not dataset.select(split="calibration", subset=subset).empty


def _why_not(run: Run) -> str:
    if run.imported:
        return f"{run.title} was scored elsewhere, so its calibration images have no scores."
    try:
        info = catalog.scorer(run.scorer)
        taught = info.uses_labels(info.check(run.parameters))
    except MadError as error:
        return f"{run.title} cannot score the calibration images: {error}"
    return f"{run.title} has learned from the labels of the calibration images." if taught else ""


def _scored(work: Work, run: Run, subset: str, rows: Any) -> dict[str, float | None]:
    from mad_core.runs.execute import items

    with fitted_scorer(work, run, subset) as scorer:
        return {scored.image_id: scored.score for scored in scorer.score(items(rows, work.dataset))}


def _kept(store: Store, run: Run) -> ResultCache:
    return ResultCache(store.settings.studies / run.id / "calibration")


def _table(rows: Any, scores_by_image: dict[str, Any]) -> pd.DataFrame:
    """The images that have a finite score; what a file says that is none is left out."""
    scores = [scores_by_image.get(image_id) for image_id in rows["image_id"]]
    values = np.array([v if isinstance(v, float | int) else np.nan for v in scores], dtype=np.float64)
    table = rows[["image_id", "subset", "level"]].assign(score=values)
    return table[np.isfinite(values)].reset_index(drop=True)
