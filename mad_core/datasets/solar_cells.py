"""Photographs of solar cells with experts' labels, from the package ``elpv-dataset`` where somebody installed it.

Buerhop-Lutz et al. 2018, "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
Imagery". 2,624 cells, 300 x 300 pixels, grey. Their label is how certain experts were of a defect, in thirds: an order,
and no severity. The pictures are CC BY-NC-SA 4.0, so the package is never installed by default.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from filelock import FileLock

from mad_core.datasets.dataset import Card, LevelMeaning, SubsetCard
from mad_core.errors import InputError, UnavailableError

SOURCE = "solar-cells"
"""The word by which the dataset is imported, and the folder of ``MAD_HOME`` in which it lies."""
TITLE = "Solar cells (photographs)"
NEEDS = (
    "It needs the package elpv-dataset: pip install -r requirements-real.txt (pictures for non-commercial use only)."
)
VERSION = "1"
TRAINING_BELOW = 96
"""Of the normals those train whose SHA-256 has a second byte below this: three in eight."""
_KINDS = {"mono": "monocrystalline", "poly": "polycrystalline"}
_FOLDERS = {0: "good_level_0", 1: "possible_level_1", 2: "likely_level_2", 3: "certain_level_3"}
_LEVELS = {
    "0": LevelMeaning("no defect", "Experts were certain that the cell works."),
    "1": LevelMeaning("possibly defective", "Rated working, and the raters were not certain of it (1/3)."),
    "2": LevelMeaning("likely defective", "Rated defective, and the raters were not certain of it (2/3)."),
    "3": LevelMeaning("certainly defective", "Experts were certain of a defect; how harmful it is was not asked."),
}


@dataclass(frozen=True)
class _Cell:
    path: Path
    level: int
    kind: str


def card() -> Card:
    """Title, source, licence, and what the levels are: certainty, not severity."""
    return Card(
        title=TITLE,
        description=(
            "Electroluminescence photographs of 2,624 solar cells of 44 modules, extracted and normalised by their "
            "authors. The level is the experts' certainty of a defect in thirds, not its severity: a C-index here says "
            "whether scores follow how sure people were. Cells of one module look alike."
        ),
        source="elpv-dataset: Buerhop-Lutz et al. 2018, Deitsch et al. 2019 and 2021, "
        "https://github.com/zae-bayern/elpv-dataset",
        licence="CC BY-NC-SA 4.0: not for commercial use, name the authors, share alike",
        version=VERSION,
        subsets={
            kind: SubsetCard(domain="industrial", product=f"{name} solar cell", levels=_LEVELS)
            for kind, name in _KINDS.items()
        },
    )


def installed() -> Path | None:
    """The data folder of the package; None where it is not installed. The package is not imported."""
    spec = importlib.util.find_spec("elpv_dataset")
    folders = [Path(place, "data") for place in (spec.submodule_search_locations or ())] if spec else []
    return next((folder for folder in folders if (folder / "labels.csv").is_file()), None)


def trains(content: bytes) -> bool:
    """Whether a normal cell is a training normal: by its bytes alone."""
    return hashlib.sha256(content).digest()[1] < TRAINING_BELOW


def make_solar_cells(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Lay the pictures out in ``folder`` as MAD-Bench does, unless they lie there; it appears all at once.

    Takes seconds, and 90 MB of disk.

    Raises
    ------
    UnavailableError
        If the package is not installed.
    InputError
        If its table cannot be read.
    """
    data = installed()
    if (folder / "mad.yaml").is_file():
        return folder
    if data is None:
        raise UnavailableError(f"{TITLE} is not on this machine. {NEEDS}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not (folder / "mad.yaml").is_file():
            _lay_out(list(_cells(data)), folder, progress)
    return folder


def _lay_out(cells: list[_Cell], folder: Path, progress: Callable[[int, int], None]) -> None:
    building = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    try:
        for done, cell in enumerate(cells, start=1):
            target = building / cell.kind / _place(cell)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cell.path, target)
            progress(done, len(cells))
        text = yaml.safe_dump(card().to_json(), sort_keys=False, allow_unicode=True)
        (building / "mad.yaml").write_text(text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _place(cell: _Cell) -> Path:
    if cell.level == 0 and trains(cell.path.read_bytes()):
        return Path("train", "good", cell.path.name)
    return Path("test", _FOLDERS[cell.level], cell.path.name)


def _cells(data: Path) -> Iterator[_Cell]:
    """The rows of ``labels.csv``: path, probability and kind, with blanks between."""
    for number, line in enumerate((data / "labels.csv").read_text(encoding="utf-8").splitlines(), start=1):
        try:
            name, probability, kind = line.split()
            cell = _Cell(data / "images" / Path(name).name, round(3 * float(probability)), kind)
        except ValueError:
            raise InputError(f"Line {number} of elpv-dataset's labels.csv cannot be read: {line[:100]}.") from None
        if cell.level not in _FOLDERS or cell.kind not in _KINDS or not cell.path.is_file():
            raise InputError(f"Line {number} of elpv-dataset's labels.csv names no known cell: {line[:100]}.")
        yield cell
