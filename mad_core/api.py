"""The engine in a notebook: load a dataset, score it, measure; through the same store as the app.

>>> import mad_core as mad
>>> run = mad.score("demo", "filterbank", subsets=["plate"], limit=40)
>>> run.metrics()["c_index"]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mad_core.errors import InputError
from mad_core.metrics.summary import evaluate
from mad_core.scorers.contract import Parameter, Scorer
from mad_core.scorers.exported import from_onnx, from_torch
from mad_core.scorers.own import scorer
from mad_core.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mad_core.datasets.dataset import Imported
    from mad_core.runs.store import Store

__all__ = ["Parameter", "ScoredRun", "Scorer", "evaluate", "from_onnx", "from_torch", "load", "score", "scorer"]


def load(source: str | Path, *, policy: Path | None = None) -> Imported:
    """Read a dataset: a folder, a table, an archive, or the word ``demo``.

    Returns
    -------
    Imported
        ``dataset`` (its ``table`` has a row per image) and ``problems``, a sentence each.

    Raises
    ------
    InputError
        If there is nothing that can be read as a dataset.
    """
    from mad_core.datasets.importing import import_dataset

    return import_dataset(source, Settings.from_environment(), policy=policy)


@dataclass(frozen=True)
class ScoredRun:
    """A finished run in the store, as the app shows it too."""

    id: str
    store: Store

    @property
    def table(self) -> pd.DataFrame:
        """A row per test image: ``image_id``, ``path``, ``subset``, ``level``, ``defect``, ``score``
        (float64, raw units, NaN where the image failed), ``status``, ``reason``, ``seconds``."""
        from mad_core.runs.results import run_table

        return run_table(self.store, self.id)

    def metrics(self, *, draws: int = 1000, seed: int = 0) -> dict[str, Any]:
        """All metrics in the form of ``evaluate --json``."""
        table = self.table
        return evaluate(table["level"], table["score"], table["subset"], draws=draws, seed=seed)

    def anomaly_map(self, image_id: str) -> np.ndarray | None:
        """The image's anomaly map, float32 of shape (H, W) in raw units; None where there is none."""
        return self.store.read_map(self.store.run(self.id), image_id)


def score(
    source: str | Path | Imported,
    scorer: str | Any = "filterbank",
    *,
    subsets: Sequence[str] = (),
    limit: int | None = None,
    calibrate: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[dict[str, Any]], None] = lambda facts: None,
    **parameters: Any,
) -> ScoredRun:
    """Fit a scorer on each subset's training normals and score its test images, in this process.

    The same request again returns the stored scores; one that was interrupted goes on where it was.

    Parameters
    ----------
    source : path, "demo", or what :func:`load` gave
    scorer : str, or what is one
        An id of the catalogue (``python -m mad_core scorers``); a function or class under :func:`scorer`; what
        :func:`from_torch` or :func:`from_onnx` gave.
    subsets : sequence of str
        All if empty.
    limit : int or None
        Test images a subset, even over the levels, drawn by ``seed``.
    calibrate : int or None
        Test images of each level and subset that are set aside for calibration, outside metrics.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda:n"``.
    progress : callable
        Called now and then with a dictionary: ``phase``, ``done``, ``total``, ``rate``, …
    **parameters
        As the scorer declares them.

    Raises
    ------
    InputError, NotFoundError
        If a name or a value is unknown, or nothing can be scored.
    UnavailableError
        If the scorer cannot run on this machine; the sentence says what it needs.
    CancelledError, WorkError
    """
    from mad_core.machine.devices import check_device
    from mad_core.runs.in_process import do_here
    from mad_core.runs.request import request_run
    from mad_core.runs.store import RunRequest, Store
    from mad_core.scorers import catalog
    from mad_core.scorers.own import resolved

    info = catalog.scorer(resolved(scorer))
    checked = info.check(parameters)
    info.check_available(checked)  # before a dataset is read, which may take long
    imported = load(source) if isinstance(source, str | Path) else source
    if imported.dataset.table.empty:
        raise InputError(f"Nothing usable is in {imported.dataset.source}.")
    if calibrate is not None:
        imported = replace(imported, dataset=imported.dataset.with_calibration(calibrate))
    store = Store(Settings.from_environment())
    dataset_id = store.add_dataset(imported)
    request = RunRequest(dataset_id, info.id, checked, tuple(subsets), limit, seed, check_device(device))
    run = request_run(store, request)
    job = store.queue.active_for(run.job_key)
    if job is not None:
        do_here(store, job.id, device, progress)
    return ScoredRun(run.id, store)
