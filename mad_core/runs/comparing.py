"""Runs of one dataset beside each other: names that tell them apart, and tables to take away."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mad_core.errors import NotFoundError
from mad_core.figures import percentile_ranks
from mad_core.metrics.names import flat
from mad_core.runs.imported_scores import provenance
from mad_core.runs.store import Run
from mad_core.scorefiles import csv_text, text_cell
from mad_core.scorers import catalog
from mad_core.scorers.multimodal import models

_KEYS = ["image_id", "path", "subset", "level", "group"]


def distinct_names(runs: Sequence[Run]) -> dict[str, str]:
    """A name for each run, by id: its title, with what differs where a title stands twice; imported ones say so."""
    names = {run.id: _marked(run, run.title) for run in runs}
    for run in runs:
        twins = [_facts(other) for other in runs if other.title == run.title and other.id != run.id]
        differing = [
            f"{key} {str(value)[:24]}"
            for key, value in _facts(run).items()
            if any(twin.get(key) != value for twin in twins)
        ]
        if differing:
            names[run.id] = _marked(run, f"{run.title} ({', '.join(differing)})")
    seen = Counter(names.values())
    return {run_id: name if seen[name] == 1 else f"{name} · {run_id}" for run_id, name in names.items()}


def _marked(run: Run, name: str) -> str:
    return f"{name} · imported" if run.imported else name


def _facts(run: Run) -> dict[str, Any]:
    return {**run.parameters, "seed": run.seed, "limit": run.image_limit}


def how_made(runs: Sequence[Run], names: Mapping[str, str]) -> tuple[pd.DataFrame, int]:
    """How runs were made, beside each other: what differs first.

    Returns
    -------
    table, differing : DataFrame, int
        A row a fact, with its name under ``What`` and a column of texts a run; how many of the first rows differ.
    """
    facts = {run.id: _how_made(run) for run in runs}
    rows = list(dict.fromkeys(what for one in facts.values() for what in one))
    values = {what: [facts[run.id].get(what, "–") for run in runs] for what in rows}
    differing = [what for what in rows if len(set(values[what])) > 1]
    order = [*differing, *(what for what in rows if what not in differing)]
    columns = {names[run.id]: [values[what][place] for what in order] for place, run in enumerate(runs)}
    return pd.DataFrame({"What": order, **columns}), len(differing)


def _how_made(run: Run) -> dict[str, str]:
    facts = {
        "scorer": run.scorer,
        **run.parameters,
        "subsets": ", ".join(run.subsets),
        "images a subset": run.image_limit,
    }
    device = run.record.get("device", {})
    facts |= {"seed": run.seed, "dataset version": run.dataset_version, "device": device.get("id", run.device)}
    facts |= {f"version of {name}": version for name, version in run.record.get("versions", {}).items()}
    facts |= {"code": run.record.get("code")}
    return {what: str(value) for what, value in facts.items() if value is not None}


def supervision_note(run: Run, facts: Sequence[Mapping[str, Any]] = ()) -> str:
    """What labels a run owes its scores to, in words; empty where it saw training normals alone.

    Of an imported run that is not known; where its scores come from is phrases instead.

    Parameters
    ----------
    facts : sequence of mapping
        What the run recorded of its fitted scorers, one a subset (:attr:`RunSubset.facts`).
    """
    if run.imported:
        return provenance(run)
    try:
        info = catalog.scorer(run.scorer)
    except NotFoundError:
        return ""
    phrases = [str(fact["supervision"]) for fact in facts if fact.get("supervision")]
    if not phrases and run.scorer == "mllm":
        phrases = [models.supervision(str(run.parameters.get("model", models.SHIPPED)))]
    if info.supervision == "labels":
        phrases.append("learned on calibration labels")
    if info.shows_labels(run.parameters):
        phrases.append("shown calibration images with their levels")
    return "; ".join(dict.fromkeys(phrases))


def side_by_side(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The images of several runs with a column of scores for each.

    Parameters
    ----------
    tables : mapping of run id to :func:`mad_core.runs.results.run_table`

    Returns
    -------
    DataFrame
        ``image_id``, ``path``, ``subset``, ``level``, ``group``, then for each run its id: float64, NaN where it
        has no score. Images stand in the order in which they first occur.
    """
    everything: Any = pd.concat([table.reindex(columns=_KEYS) for table in tables.values()])
    images = everything.drop_duplicates("image_id", ignore_index=True)
    for run_id, table in tables.items():
        images[run_id] = images["image_id"].map(dict(zip(table["image_id"], table["score"], strict=True)))
    return images


def ranks_within_subsets(table: pd.DataFrame, column: str) -> pd.Series:
    """Percentile ranks of a column of scores, 0-100, each subset for itself; NaN where there is no score."""
    scores: Any = table.groupby("subset")[column]
    return scores.transform(lambda values: percentile_ranks(values))


def scores_side_by_side_csv(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """:func:`side_by_side` as CSV, an image a row, raw scores in full precision."""
    titles = {run_id: text_cell(name) for run_id, name in names.items()}
    columns: Any = table[["path", "subset", "level", *titles, "image_id"]]
    columns = columns.assign(path=columns["path"].map(text_cell), subset=columns["subset"].map(text_cell))
    header = ["Path", "Subset", "Severity", *titles.values(), "Image"]
    return csv_text(columns, header=header, float_format=_every_digit)


def metrics_csv(rows: Sequence[tuple[str, str, str, Mapping[str, Any]]]) -> str:
    """Metrics as CSV, fractions in full precision.

    Parameters
    ----------
    rows : sequence of (run id, name, subset, metrics)
        Metrics as from :func:`mad_core.metrics.comparing.summarize`.
    """
    table = pd.DataFrame([_csv_row(*row) for row in rows])
    return csv_text(table, float_format=_every_digit)


def _every_digit(value: float) -> str:
    """The shortest text that reads back as the same number, whatever a library did to numpy's way of printing."""
    return repr(float(value))


def _csv_row(run_id: str, name: str, subset: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"Run": run_id, "Name": text_cell(name), "Subset": text_cell(subset)}
    row |= {key: metrics[key] for key in ("n", "n_scored", "coverage")}
    for metric, value in flat(metrics).items():
        row[metric] = value
        if metric in metrics["intervals"]:
            row[f"{metric}_low"], row[f"{metric}_high"] = metrics["intervals"].get(metric) or (None, None)
    row["distinct_scores"] = metrics["ties"]["distinct_scores"]
    return row | {f"reference_{key}": value for key, value in metrics["reference"].items()}
