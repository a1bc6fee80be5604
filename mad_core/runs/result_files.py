"""Result files in the published naming: ``<model>/<model>_<dataset>_<subset>.csv``, a file a subset."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mad_core.datasets.dataset import Dataset
from mad_core.datasets.madbench import identify, recognise
from mad_core.datasets.naming import plain
from mad_core.errors import InputError, WorkError
from mad_core.runs.results import run_table
from mad_core.runs.store import Run, Store
from mad_core.runs.uploads import safe_name
from mad_core.scorefiles import result_csv, write_text


@dataclass(frozen=True)
class NamedFile:
    """A result file, the model its name says, and the dataset's subset its name says (or None)."""

    path: Path
    model: str
    subset: str | None


def model_name(run: Run) -> str:
    """What a run's result files are called: its scorer's id; of an imported run its title."""
    return safe_name(run.title if run.imported else run.scorer).replace(" ", "-")


def file_name(model: str, dataset: Dataset, subset: str) -> str:
    """The name of one subset's file: ``patchcore_mvtec_bottle.csv``, ``patchcore_covid19.csv``."""
    recognised = recognise(subset, dataset.card.subset(subset))
    place = recognised.benchmark.subset_name(recognised.part) if recognised else subset
    if recognised is None and plain(dataset.name) != plain(subset):
        place = f"{dataset.name}_{subset}"
    return f"{model}_{safe_name(place).replace(' ', '-')}.csv"


def export_run(store: Store, run_id: str, folder: Path, model: str = "") -> list[Path]:
    """Write a run's result files below ``folder``; failed images keep their row, without a score.

    Parameters
    ----------
    model : str
        What the files are called; :func:`model_name` where empty.

    Returns
    -------
    list of Path
        The files, one a subset.

    Raises
    ------
    NotFoundError
        If there is no such run.
    InputError
        If two subsets would get the same file.
    WorkError
        If a file cannot be written.
    """
    run = store.run(run_id)
    dataset, table = store.dataset(run.dataset_id), run_table(store, run_id)
    name = safe_name(model).replace(" ", "-") if model else model_name(run)
    target = folder / name
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkError(f"The folder {target} cannot be made: {error.strerror}.") from None
    files: dict[Path, str] = {}
    for subset in run.subsets:
        path = target / file_name(name, dataset, subset)
        if path in files:
            raise InputError(f"The subsets {files[path]} and {subset} would both be written to {path}; rename one.")
        rows: Any = table[table["subset"] == subset]
        write_text(path, result_csv(rows))
        files[path] = subset
    return list(files)


def find_result_files(places: Sequence[Path], dataset: Dataset) -> list[NamedFile]:
    """Result files among files and folders, with the model and the subset that their names say.

    Of a folder those are taken that are called after it (``<model>/<model>_….csv``), also one folder further
    down; if there are none, every ``.csv`` file in it whose name ends in a subset.

    Raises
    ------
    InputError
        If a place is not there or a folder holds none.
    """
    files: dict[Path, NamedFile] = {}
    for place in places:
        if place.is_dir():
            inside = list(_in_folder(place, dataset))
            if not inside:
                raise InputError(
                    f"{place} holds no result file; they are called <model>_<dataset>_<subset>.csv, after a subset of "
                    f"'{dataset.name}' ({', '.join(dataset.subsets[:5])}, …)."
                )
            files |= {file.path.resolve(): file for file in inside}
        elif place.is_file():
            files[place.resolve()] = named(place, dataset)
        else:
            raise InputError(f"{place} is not there; name result files or folders of them.")
    return list(files.values())


def named(path: Path, dataset: Dataset) -> NamedFile:
    """What a file's name says; its folder's name is the model where the file is called after it."""
    stem, folder = path.stem, path.parent.name
    if folder and stem.startswith(f"{folder}_"):
        subset = _ending(stem.removeprefix(f"{folder}_"), dataset)[1]
        return NamedFile(path, folder, subset)
    model, subset = _ending(stem, dataset)
    return NamedFile(path, model or folder or stem, subset)


def subset_called(name: str, dataset: Dataset) -> str | None:
    """The dataset's subset of this name, in any spelling of the benchmark's; None where there is none."""
    if name in dataset.subsets:
        return name
    same = [subset for subset in dataset.subsets if plain(subset) == plain(name)]
    asked = identify((name,))
    if not same and asked is not None:
        for subset in dataset.subsets:
            its = recognise(subset, dataset.card.subset(subset))
            if its and (its.benchmark.key, plain(its.part)) == (asked.benchmark.key, plain(asked.part)):
                same.append(subset)
    return same[0] if len(same) == 1 else None


def _ending(stem: str, dataset: Dataset) -> tuple[str, str | None]:
    """The longest ending that is a subset, and what stands before it, without the dataset's own name."""
    cuts = [0, *(match.end() for match in re.finditer("_", stem))]
    for cut in cuts:
        subset = subset_called(stem[cut:], dataset)
        if subset is not None:
            return _without(stem[:cut].rstrip("_"), dataset), subset
    return stem, None


def _without(model: str, dataset: Dataset) -> str:
    """A model's name without a dataset's name at its end."""
    before, _, last = model.rpartition("_")
    of_benchmark = identify((last,)) is not None
    return before if before and (of_benchmark or plain(last) == plain(dataset.name)) else model


def _in_folder(folder: Path, dataset: Dataset) -> Iterator[NamedFile]:
    """A folder's result files in order of name."""
    folder = folder.resolve()
    nested = [folder, *sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))]
    called = [
        path for inner in nested for path in sorted(inner.glob("*.csv")) if path.stem.startswith(f"{inner.name}_")
    ]
    if called:
        yield from (named(path, dataset) for path in called)
        return
    for path in sorted(folder.glob("*.csv")):
        file = named(path, dataset)
        if file.subset is not None:
            yield file
