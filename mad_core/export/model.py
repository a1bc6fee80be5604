"""Take a run's detector away: a file of pixels to score and map, what belongs to it in JSON, an example, a proof.

Nothing is left behind unless the file was run and answered as the app does.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mad_core.assets import asset
from mad_core.datasets.dataset import Dataset
from mad_core.errors import InputError, NotFoundError, WorkError
from mad_core.export import formats
from mad_core.export.calls import GRAPH, Calls, calls_of
from mad_core.export.proof import PICTURES, Parity, ScoredPicture, prove
from mad_core.runs.execute import items, kept_scorer, scorer_graph
from mad_core.runs.job_control import Control, without_job
from mad_core.runs.map_thresholds import FACT as NORMAL_MAPS
from mad_core.runs.results import run_table
from mad_core.runs.store import Run, Store
from mad_core.runs.triage import taken_as_normal, usual_threshold
from mad_core.scorers import catalog
from mad_core.scorers.contract import Item, Scored
from mad_core.settings import VERSION

FACTS, EXAMPLE = "model.json", "example.py"

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Exported:
    """A model on disk.

    Parameters
    ----------
    folder : Path
        Holds the model, ``model.json`` and ``example.py``.
    facts : dict
        What stands in ``model.json``.
    parity : Parity
    """

    folder: Path
    facts: dict[str, Any]
    parity: Parity

    @property
    def size_in_words(self) -> str:
        """``640 x 480 pixels``"""
        return f"{self.facts['input']['width']} x {self.facts['input']['height']} pixels"

    def to_json(self) -> dict[str, Any]:
        return {"subset": self.facts["subset"], "folder": str(self.folder), "proof": self.parity.to_json()}


def export_run(
    store: Store,
    run_id: str,
    to: str,
    out: Path,
    *,
    subset: str = "",
    size: str = "",
    progress: Progress = lambda facts: None,
) -> list[Exported]:
    """Write the fitted detector of a run to a folder; of a run of several subsets a folder for each in it.

    Parameters
    ----------
    to : {"onnx", "openvino"}
    out : Path
        Is made; may be there if it is empty.
    subset : str
        One subset alone.
    size : str
        Of the pictures, ``"640x480"``: width and height. By default the one that most pictures of the subset have.

    Raises
    ------
    NotFoundError, InputError, UnavailableError
        If it cannot be done; nothing was written.
    WorkError
        If the file answers differently; nothing is left behind.
    """
    run = store.run(run_id)
    formats.check_format(to)
    _check_run(run)
    subsets = _subsets(run, subset)
    wanted = _parsed(size)
    out = out.expanduser().absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is there already and not an empty folder; name another one.")
    if not out.parent.is_dir():
        raise InputError(f"The folder {out.parent} is not there.")
    building = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        names = _folder_names(subsets)
        for name in subsets:
            (building / names[name]).mkdir(parents=True, exist_ok=True)
        made = [_export(store, run, name, to, building / names[name], wanted, progress) for name in subsets]
        if out.exists():
            out.rmdir()
        building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return [replace(one, folder=out / names[one.facts["subset"]]) for one in made]


def _check_run(run: Run) -> None:
    exportable = [info.id for info in catalog.scorers() if info.exports]
    if run.imported or run.scorer not in exportable:
        what = "imported scores" if run.imported else f"the scorer '{run.scorer}'"
        raise InputError(
            f"Run '{run.title}' is of {what}, which cannot be exported. Those that can are {', '.join(exportable)}."
        )
    if run.status != "done":
        raise InputError(f"Run '{run.title}' is {run.status}; a finished run can be exported.")


def _subsets(run: Run, wanted: str) -> Sequence[str]:
    if wanted and wanted not in run.subsets:
        raise InputError(f"Run '{run.title}' has no subset '{wanted[:80]}'; it has {', '.join(run.subsets)}.")
    return (wanted,) if wanted else run.subsets


def _parsed(size: str) -> tuple[int, int] | None:
    """Height and width of ``"640x480"``."""
    if not size:
        return None
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", size.strip())
    if match is None or not all(int(side) for side in match.groups()):
        raise InputError(f"'{size[:40]}' is no size; write width and height, as 640x480.")
    return int(match[2]), int(match[1])


def _folder_names(subsets: Sequence[str]) -> dict[str, str]:
    """Where the model of each subset lies: the folder itself where there is one."""
    if len(subsets) == 1:
        return {subsets[0]: ""}
    names: dict[str, str] = {}
    for subset in subsets:
        name = re.sub(r"[^\w-]+", "-", subset).strip("-") or "subset"
        names[subset] = name if name not in names.values() else f"{name}-{len(names) + 1}"
    return names


def _export(
    store: Store, run: Run, subset: str, to: str, folder: Path, wanted: tuple[int, int] | None, progress: Progress
) -> Exported:
    dataset = store.dataset(run.dataset_id).as_of(run.dataset_version)
    _check_pictures(dataset, subset)
    control = without_job(store, "cpu")
    rows = store.test_images(dataset, [subset], run.image_limit, run.seed, run.sampling)
    height, width = wanted or _usual_size(rows, subset)
    progress({"phase": f"writing {subset}"})
    graph = scorer_graph(control, run, subset, height, width)
    path = formats.write(graph, height, width, to, folder)
    table: Any = run_table(store, run.id)
    scored = table[table["subset"] == subset]
    calls = _calls(store, run, subset, scored, graph.outputs)
    parity = _proved(control, run, subset, rows, scored, path, graph.outputs, (height, width), calls, progress)
    facts = {
        "format": to,
        "file": path.name,
        "made_by": f"MAD Inspector {VERSION}",
        "run": run.id,
        "title": run.title,
        "dataset": {"name": dataset.name, "version": run.dataset_version},
        "subset": subset,
        "scorer": _scorer_facts(store, run, subset),
        "input": {"name": formats.PIXELS, "height": height, "width": width, "type": "uint8", "channels": "RGB"},
        "outputs": list(graph.outputs),
        "window": None,
        "threshold": usual_threshold(*(np.asarray(scored[name], np.float64) for name in ("level", "score"))),
        "map_threshold": _map_threshold(store, run, subset),
        "levels": {
            key: {"name": level.name, "meaning": level.meaning}
            for key, level in dataset.card.subset(subset).levels.items()
        },
        "calls": None if calls is None else calls.to_json(),
        "proof": parity.to_json(),
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1, allow_nan=False, ensure_ascii=False), encoding="utf-8")
    shutil.copyfile(asset("export", EXAMPLE), folder / EXAMPLE)
    return Exported(folder, facts, parity)


def _check_pictures(dataset: Dataset, subset: str) -> None:
    """Refuse what lies before a scorer and not in a file."""
    card = dataset.card.subset(subset)
    if card.window is not None:
        raise InputError(
            f"Pictures of subset '{subset}' are deeper than 8 bits and seen through a window; a file takes 8-bit RGB."
        )
    if card.ignored is not None:
        raise InputError(
            f"A region of the pictures of subset '{subset}' is left out, which a file cannot know; export a run on a "
            "dataset that was imported without --ignore."
        )


def _usual_size(rows: pd.DataFrame, subset: str) -> tuple[int, int]:
    """Height and width that most pictures have."""
    known = rows[["height", "width"]].dropna()
    sizes = Counter(zip(known["height"].astype(int), known["width"].astype(int), strict=True))
    if not sizes:
        raise InputError(f"The size of the pictures of subset '{subset}' is not known; name one (--size 640x480).")
    ((height, width), _), *_ = sizes.most_common(1)
    return int(height), int(width)


def _scorer_facts(store: Store, run: Run, subset: str) -> dict[str, Any]:
    info = catalog.scorer(run.scorer)
    fit = next((entry.fit for entry in store.run_subsets(run.id) if entry.subset == subset), None)
    facts = {"id": run.scorer, "title": info.title, "parameters": dict(run.parameters), "fit": fit}
    return facts | {"code": run.record.get("code"), "versions": run.record.get("versions")}


def _map_threshold(store: Store, run: Run, subset: str) -> float | None:
    for entry in store.run_subsets(run.id):
        if entry.subset == subset:
            return entry.facts.get(NORMAL_MAPS, {}).get("threshold")
    return None


def _calls(store: Store, run: Run, subset: str, scored: pd.DataFrame, outputs: tuple[str, ...]) -> Calls | None:
    if "level" not in outputs:
        return calls_of(store, run, subset, scored)
    grades = next(entry.facts["grades"] for entry in store.run_subsets(run.id) if entry.subset == subset)
    return Calls(GRAPH, tuple(sorted(float(level) for level in grades)))


def _proved(
    control: Control,
    run: Run,
    subset: str,
    rows: pd.DataFrame,
    scored: pd.DataFrame,
    path: Path,
    outputs: tuple[str, ...],
    size: tuple[int, int],
    calls: Calls | None,
    progress: Progress,
) -> Parity:
    """Run the file beside the app.

    Raises
    ------
    WorkError
        If they answer differently.
    """
    store = control.store
    by_id = dict(zip(scored["image_id"], scored["score"].astype(float), strict=True))
    apart = taken_as_normal(store, run, subset)  # these were scored by fits that have not seen them
    spread = _spread(np.array(list(by_id.values())))
    examples = _examples(items(rows, store.dataset(run.dataset_id)), by_id, apart)
    with kept_scorer(control, run, subset) as (scorer, context):

        def score(chosen: Sequence[Item]) -> list[Scored]:
            return list(scorer.score(chosen, context))

        def step(done: int, total: int) -> None:
            progress({"phase": f"proving {subset}", "done": done, "total": total})

        parity = prove(formats.runner(path, outputs), score, examples, size, spread, calls, step)
    _check_stored(run, parity)
    if not parity.passed:
        raise WorkError(
            f"The exported file does not answer as the app does, so it is not kept. Subset '{subset}', "
            f"{parity.in_words()}; at most {parity.limit:g} of the spread is let pass."
        )
    return parity


def _check_stored(run: Run, parity: Parity) -> None:
    """See that the fit still gives what the run has stored; another device may round otherwise."""
    apart = parity.passed and (parity.stored_difference or 0.0) > parity.limit * parity.score_spread
    if apart and run.record.get("device", {}).get("id", run.device) == "cpu":
        raise WorkError(
            f"The file answers as the app does now, but the run '{run.title}' has stored scores that differ by up to "
            f"{parity.stored_difference:.3g}: they are of another version. Score the dataset anew, "
            "then export that run."
        )


def _spread(scores: np.ndarray) -> float:
    """Standard deviation of the scores; where all are alike, a thousandth of their size."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        raise NotFoundError("The run has no scores, so nothing proves that a file answers as it does.")
    return float(max(finite.std(), 1e-3 * np.abs(finite).max(), 1e-12))


def _examples(chosen: Sequence[Item], scores: dict[str, float], apart: frozenset[str]) -> list[ScoredPicture]:
    """Up to ``PICTURES``, evenly from the lowest score to the highest."""
    there = sorted((item for item in chosen if np.isfinite(scores.get(item.image_id, np.nan))), key=_score_in(scores))
    places = np.unique(np.linspace(0, len(there) - 1, min(PICTURES, len(there))).round().astype(int)) if there else []
    return [
        ScoredPicture(there[k], None if there[k].image_id in apart else scores[there[k].image_id])
        for k in np.asarray(places, int)
    ]


def _score_in(scores: dict[str, float]) -> Callable[[Item], float]:
    return lambda item: scores[item.image_id]
