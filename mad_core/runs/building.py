"""What a scorer sees of another run that it builds on."""

from __future__ import annotations

import numpy as np

from mad_core.datasets.dataset import Dataset
from mad_core.errors import InputError, NotFoundError
from mad_core.runs.store import Store


class RunResults:
    """The stored scores and maps of one run; may be read from several threads.

    Parameters
    ----------
    store : Store
    run_id : str
    dataset : Dataset
        The dataset of the run that builds on it.

    Raises
    ------
    InputError
        If there is no such run, or it scored other images.
    """

    def __init__(self, store: Store, run_id: str, dataset: Dataset) -> None:
        try:
            self.run = store.run(run_id)
        except NotFoundError:
            raise InputError(f"There is no run '{run_id}' to build on; `python -m mad_core runs` lists them.") from None
        if self.run.dataset_version != dataset.version:
            raise InputError(
                f"Run '{self.run.title}' scored another dataset (or another version of it) than '{dataset.name}'; "
                "score this one with that scorer first."
            )
        self.store = store

    def score(self, image_id: str) -> float | None:
        stored = self.store.score(self.run.id, image_id)
        return stored.score if stored else None

    def map(self, image_id: str) -> np.ndarray | None:
        return self.store.read_map(self.run, image_id)
