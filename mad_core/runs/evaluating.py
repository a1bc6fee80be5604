"""The metrics of a stored run, or of any table of scores, in the form of `evaluate --json`."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from mad_core.labelled import labelled, unlabelled_notes
from mad_core.metrics.summary import evaluate, ordered
from mad_core.metrics.units import groups_of
from mad_core.runs.results import reading_notes, run_table
from mad_core.runs.store import Store


def evaluate_run(
    store: Store, run_id: str, *, draws: int = 1000, seed: int = 0, rounding: str | None = None
) -> dict[str, Any]:
    """As :func:`evaluate_table`, of the images that a run was asked to score.

    Raises
    ------
    NotFoundError
        If there is no such run.
    """
    notes = reading_notes(store, run_id)
    return evaluate_table(run_table(store, run_id), notes, draws=draws, seed=seed, rounding=rounding)


def evaluate_table(
    table: pd.DataFrame,
    notes: Sequence[str] = (),
    *,
    draws: int = 1000,
    seed: int = 0,
    rounding: str | None = None,
) -> dict[str, Any]:
    """The metrics of the labelled rows of a table.

    Parameters
    ----------
    table : DataFrame
        As :func:`~mad_core.runs.results.run_table` gives it.
    notes : sequence of str
        What is to be known of the table, a sentence each; they stand first.
    rounding : str or None
        One of :data:`mad_core.metrics.summary.ROUNDINGS`; None for what the table says.

    Returns
    -------
    dict
        As :func:`mad_core.metrics.summary.evaluate`, with all notes, and ``unlabelled`` (images without a level) where
        there are any.
    """
    with_level = labelled(table)
    levels, how = ordered(with_level, rounding)
    together = groups_of(with_level)
    result = evaluate(levels, with_level["score"], with_level["subset"], draws=draws, seed=seed, groups=together)
    result["notes"] = [*notes, *dict.fromkeys([*unlabelled_notes(table), *how, *result["notes"]])]
    return result | ({"unlabelled": len(table) - len(with_level)} if len(with_level) < len(table) else {})
