"""The commands that make stored runs anew, as one would type them."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mad_core.datasets.dataset import Dataset
from mad_core.datasets.own_normals import way_chosen
from mad_core.errors import NotFoundError
from mad_core.pixels import Window
from mad_core.runs.store import DatasetInfo, Run, RunRequest, Store
from mad_core.scorers import catalog

MAP_SIDE = RunRequest("", "", {}).map_side


@dataclass(frozen=True)
class Repeat:
    """How a run is made anew: commands in order, those of the runs that it builds on first, and what they leave out."""

    commands: tuple[str, ...]
    notes: tuple[str, ...] = ()


def score_command(
    source: str,
    request: RunRequest,
    *,
    policy: str = "",
    windows: Mapping[str, Window] = MappingProxyType({}),
    calibrate: int | None = None,
    normals_from: str = "",
    defaults: Mapping[str, Any] | None = None,
    out: str = "scores.csv",
) -> str:
    """The ``score`` command of a request.

    Parameters
    ----------
    source, policy : str
        What the dataset was imported from, and its severity policy, if one was given.
    windows : mapping of str to Window
        Those of the dataset's subsets; the ones that a person chose are said.
    calibrate : int or None
        Images of each level and subset that were set aside.
    normals_from : str
        From which of its own images detectors learn, where a person chose that.
    defaults : mapping, optional
        Parameters that need not be said.
    """
    words = ["python", "-m", "mad_core", "score", source, "--scorer", request.scorer]
    for subset in request.subsets:
        words += ["--subset", subset]
    for name, value in request.parameters.items():
        if defaults is None or value != defaults.get(name):
            words += ["--param", f"{name}={'' if value is None else value}"]
    for option, value, usual in (
        ("--limit", request.limit, None),
        ("--device", request.device, None),  # its default is the machine's
        ("--seed", request.seed, 0),
        ("--maps", request.map_policy, "all"),
        ("--policy", policy, ""),
        ("--calibrate", calibrate, None),
        ("--normals-from", normals_from, ""),
    ):
        if value != usual:
            words += [option, str(value)]
    for subset, window in windows.items():
        words += ["--window", f"{subset}={window.words}"] if window.chosen else []
    return shlex.join([*words, "--out", out])


def repeat_run(store: Store, run: Run) -> Repeat:
    """How a stored run is made anew; in the same store its last command finds the same run.

    Raises
    ------
    NotFoundError
        If its dataset is not in the store.
    """
    if run.imported:
        return Repeat(
            (), ("Its scores were made elsewhere and imported; `import-results` takes the same files again.",)
        )
    if run.parent:
        return _repeat_joined(store, run)
    info = store.dataset_info(run.dataset_id)
    commands: dict[str, None] = {}
    notes: dict[str, None] = {}
    for name, part_id in _parts(run):
        try:
            part = repeat_run(store, store.run(part_id))
        except NotFoundError:
            notes[f"The run {part_id} that it builds on ({name}) is not in this store any more."] = None
            continue
        commands |= dict.fromkeys(part.commands)
        notes |= dict.fromkeys(part.notes)
        notes["In another store its runs have other ids: put in those that the first commands print."] = None
    steps = calibration_steps(store, info)
    if len(steps) > 1:
        numbers = ", then ".join(map(str, steps))
        notes[
            f"Calibration images were set aside in steps, {numbers} a level; a command does the first step alone."
        ] = None
    if run.map_side != MAP_SIDE:
        notes[f"Its maps have a longest side of {run.map_side} pixels, which no option asks for."] = None
    for addition in info.card.additions:
        notes[f"Its dataset grew by {addition.images:,} images: `add {addition.source} --to DATASET`."] = None
    dataset = store.dataset(info.id)
    if dataset.ignored:
        of = ", ".join(dataset.ignored)
        notes[
            f"A region is left out of subsets {of}: give its mask with --ignore, or use the dataset in this store."
        ] = None
    asked = {
        "policy": info.card.policy,
        "windows": dataset.windows,
        "normals_from": way_chosen(dataset),
        "calibrate": steps[0] if steps else None,
        "out": f"{run.id}.csv",
    }
    commands[score_command(info.source, run.asked, **asked)] = None
    return Repeat(tuple(commands), tuple(notes))


def _repeat_joined(store: Store, run: Run) -> Repeat:
    """How a run is made anew whose normals joined the fit of another one."""
    earlier = set(store.dataset(store.run(run.parent).dataset_id).table["image_id"])
    table = store.dataset(run.dataset_id).table
    paths = [path for i, path in zip(table["image_id"], table["path"], strict=True) if i not in earlier]
    folder = os.path.commonpath([Path(path).parent for path in paths]) if paths else "FOLDER"
    words = ["python", "-m", "mad_core", "add-normals", run.parent, folder, "--subset", run.subsets[0]]
    before = repeat_run(store, store.run(run.parent))
    return Repeat((*before.commands, shlex.join(words)), before.notes)


def calibration_steps(store: Store, info: DatasetInfo) -> list[int]:
    """Images of each level and subset that were set aside here, step by step; none if the dataset came so.

    They are not recorded; a step is found by setting as many aside from the dataset without it.
    """
    dataset = store.dataset(info.id)
    if dataset.select(split="calibration").empty:
        return []
    whole = dataset.table.assign(split=dataset.table["split"].replace("calibration", "test"))
    if number := _step(Dataset(dataset.name, whole, dataset.card, dataset.source), dataset):
        return [number]
    for base in store.datasets():
        if base.source == info.source and base.id != info.id and (number := _step(store.dataset(base.id), dataset)):
            return [*calibration_steps(store, base), number]
    return []


def _step(base: Dataset, dataset: Dataset) -> int | None:
    """How many a level are set aside from ``base`` to get ``dataset``; None if that is not how it came about."""
    before = set(base.select(split="calibration")["image_id"])
    after: Any = dataset.select(split="calibration")
    fresh = after[~after["image_id"].isin(before)]
    if fresh.empty or len(base.table) != len(dataset.table):
        return None
    number = int(fresh.groupby(["subset", "level"]).size().max())
    return number if base.with_calibration(number).version == dataset.version else None


def _parts(run: Run) -> list[tuple[str, str]]:
    """Parameters that name runs, and those runs."""
    try:
        info = catalog.scorer(run.scorer)
    except NotFoundError:  # a scorer that this version no longer has
        return []
    named = {name: str(part) for name in info.parts_of(run.parameters) if (part := run.parameters.get(name))}
    other = info.builds_on(run.parameters)
    named |= {name: other for name, value in run.parameters.items() if other and value == other}
    return list(named.items())
