"""Folders of images: a folder a level, the benchmark's trees, and trees with a folder a defect type."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, Gathered, together
from mad_core.datasets.naming import SPLITS, TEMPLATES, plain
from mad_core.datasets.policies import HOW_TO, Policy
from mad_core.datasets.readers.subset_folder import SubsetFolder, is_place, unmatched
from mad_core.datasets.readers.tables import (
    Table,
    TableLine,
    gather_table,
    is_table,
    is_template,
    read_rows,
    subset_named,
)
from mad_core.datasets.readers.visa import RawVisa, is_raw_visa
from mad_core.datasets.walking import Walker
from mad_core.errors import InputError

_DEPTH = 6
"""How far below the folder named by the user subsets are looked for."""


def gather_folder(root: Path, name: str, walker: Walker, policy: Policy | None) -> Gathered:
    """The images below a folder, with what folders, templates and policies say of them.

    Parameters
    ----------
    root : Path
        Resolved.
    name : str
        What the dataset is called; also the subset's name where the folder holds only one.
    walker : Walker
    policy : Policy or None

    Raises
    ------
    InputError
        If nothing tells what the folder holds, or no level of any defect type.
    """
    places, templates = _survey(root, name, walker, policy)
    if not places and not templates:
        return _by_only_table(root, name, walker, policy)
    of_place = {place: [t for t in templates if _is_of(t, place)] for place in places}
    parts = [_by_templates(place, own) if own else _by_names(place) for place, own in of_place.items()]
    words = "No folder here holds the images of this template; they are left out."
    lost = [t for t in templates if not any(t in own for own in of_place.values())]
    parts.append(Gathered(problems=tuple(Problem("missing-file", str(t), words) for t in lost)))
    gathered = together(parts)
    _check_levels(gathered, places, root)
    return gathered


def gather_file(table: Path, name: str, walker: Walker, policy: Policy | None) -> Gathered:
    """The images that a table names, and the training images of its subset where folders tell them.

    Paths are relative to the table's folder or to a ``test`` folder in it; those of a template in a
    folder ``template`` lead to the folder of its subset beside that.

    Raises
    ------
    InputError
        If the table cannot be read.
    """
    if table.parent.name.lower() in TEMPLATES:
        places, _ = _survey(walker.root, walker.root.name, walker, policy)
    else:
        here = _place(table.parent, (table.parent.name,), walker, policy)
        places = [here] if here else []
    place = next((p for p in places if _is_of(table, p)), None)
    rows = read_rows(table)
    if place is not None and not any(row.split or row.subset for row in rows):
        return _by_templates(place, [table])
    split = "test" if is_template(table.name) else None
    return gather_table(Table(table, rows, name, table.parent, split=split, policy=policy), walker)


def _survey(root: Path, name: str, walker: Walker, policy: Policy | None) -> tuple[list[SubsetFolder], list[Path]]:
    """The subsets' folders below a folder, and the templates on the way to them."""
    places, templates = [], []
    waiting: list[tuple[Path, tuple[str, ...]]] = [(root, (name,))]
    while waiting:
        folder, trail = waiting.pop()
        templates += [folder / n for n in walker.files(folder) if is_template(n)]
        place = _place(folder, trail, walker, policy)
        places += [place] if place else []
        for sub in reversed(walker.folders(folder) if len(trail) <= _DEPTH else []):
            if sub.name.lower() in TEMPLATES or (place is None and not walker.is_beside(sub)):
                waiting.append((sub, (*trail, sub.name)))
    return _told_apart(places), sorted(templates)


def _place(folder: Path, trail: tuple[str, ...], walker: Walker, policy: Policy | None) -> SubsetFolder | None:
    """The subset that a folder holds; None where it holds none itself."""
    if is_raw_visa(folder, walker):
        return RawVisa(folder, trail, walker, policy)
    return SubsetFolder(folder, trail, walker, policy) if is_place(folder, walker) else None


def _told_apart(places: list[SubsetFolder]) -> list[SubsetFolder]:
    """Subsets that are called the same take the names of the folders above as well."""
    names = [p.name for p in places]
    return [replace(p, trail=(*p.trail[:-1], "_".join(p.trail[1:]))) if names.count(p.name) > 1 else p for p in places]


def _is_of(template: Path, place: SubsetFolder) -> bool:
    """Whether a template lists a place's images: it lies there, or is called as the place is."""
    if template.parent == place.folder or template.parent.parent == place.folder:
        return True
    called = plain(subset_named(template))
    if place.identity and place.identity.benchmark.key == "multidog":
        return called.startswith(plain(place.name))
    return called in {plain(place.name), plain(place.own), plain("".join(place.trail[-2:]))}


def _by_names(place: SubsetFolder) -> Gathered:
    """What the folders' own names and the policy say."""
    parts = []
    for name, images in _kinds(place).items():
        expected = [c.expected(name) for c in place.classes if c.level >= 0]
        found = [replace(i, subset=name) for i in images if i.level >= 0]
        parts.append(Gathered(tuple(found), tuple(expected), cards={name: place.card(False)}))
    unknown = Counter(i.promise for i in place.images if math.isnan(i.level))
    problems = [Problem("unknown-level", folder, _no_level(place, folder, n)) for folder, n in unknown.items()]
    return together([*parts, Gathered(problems=(*problems, *place.leftovers()))])


def _by_templates(place: SubsetFolder, templates: Sequence[Path]) -> Gathered:
    """What templates list for test, and what the folders keep for training."""
    kinds, listings, training, tests, named = _kinds(place), [], [], set[str](), set[str]()
    for name, template in {subset_named(t): t for t in templates}.items():
        try:
            rows = read_rows(template)
        except InputError as error:
            listings.append(Gathered(problems=(Problem("unmatched", str(template), str(error)),)))
            continue
        listing = gather_table(_template(place, name, template, rows), place.walker)
        tests |= {f.path for f in listing.found}
        named |= {row.path for row in rows}
        images = next((i for n, i in kinds.items() if plain(n) == plain(name)), place.images)
        fitting = [replace(i, subset=name) for i in images if _is_training(i) and i.level >= 0 and i.path not in tests]
        expected = [c.expected(name) for c in place.classes if c.split == "train" and c.level == 0]
        listings.append(listing)
        training.append(Gathered(tuple(fitting), tuple(expected), cards={name: place.card(True)}))
    if not tests:
        return together([*listings, _by_names(place)])
    loose = [
        i.path
        for i in place.images
        if not _is_training(i) and i.path not in tests and not named & {i.template_path, i.relative}
    ]
    words = f"No row of {templates[0].name} names this image; it is left out."
    return together([*listings, *training, Gathered(problems=(*unmatched(loose, words), *place.leftovers()))])


def _template(place: SubsetFolder, subset: str, path: Path, rows: Sequence[TableLine]) -> Table:
    tests = [f for f in place.walker.folders(place.folder) if SPLITS.get(f.name.lower()) == "test"]
    split = "test" if is_template(path.name) else None
    return Table(path, rows, subset, place.folder, tests, {i.path: i for i in place.images}, split, place.policy)


def _is_training(image: Found) -> bool:
    return image.split in ("train", "calibration")


def _kinds(place: SubsetFolder) -> dict[str, list[Found]]:
    """Images by subset: one subset, but in ``multidog`` one for each breed, with all other animals."""
    known = place.identity
    if known is None or known.benchmark.key != "multidog":
        return {place.name: place.images}
    breeds = sorted({_breed(i) for i in place.images if i.level == 0})
    if known.part or not breeds or "" in breeds:
        return {place.name: place.images}
    return {f"{place.own}_{breed}": [i for i in place.images if i.level > 0 or _breed(i) == breed] for breed in breeds}


def _breed(image: Found) -> str:
    """The folder below the level's folder: ``level_0_test/teddy/1.jpg`` → ``teddy``."""
    parts = image.relative.split("/")
    return parts[1] if len(parts) > 2 else ""


def _no_level(place: SubsetFolder, folder: str, count: int) -> str:
    defect = Path(folder).name
    left_out = f"its {count} images are left out"
    if place.policy:
        return f"The severity policy {place.policy.source} gives no level for '{defect}'; {left_out}."
    return f"Nothing says the severity level of '{defect}' and {left_out}: {HOW_TO}."


def _check_levels(gathered: Gathered, places: Iterable[SubsetFolder], root: Path) -> None:
    """A tree of defect types without any level is of no use until somebody writes a policy."""
    unknown = list(dict.fromkeys(Path(p.path).name for p in gathered.problems if p.kind == "unknown-level"))
    if unknown and not any(f.level > 0 for f in gathered.found) and not any(p.policy for p in places):
        names = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        raise InputError(f"Nothing in {root} says the severity level of {names}: {HOW_TO}.")


def _by_only_table(root: Path, name: str, walker: Walker, policy: Policy | None) -> Gathered:
    """The images named by the only table that lies right in a folder."""
    tables = [root / n for n in walker.files(root) if is_table(Path(n))]
    if len(tables) == 1:
        return gather_file(tables[0], name, walker, policy)
    if len(tables) > 1:
        names = ", ".join(t.name for t in tables[:5])
        raise InputError(f"{root} holds several tables ({names}); name the one that lists the images.")
    if next(walker.images(root), None) is None:
        raise InputError(f"{root} holds no image of a known format.")
    raise InputError(
        f"{root} holds images, but nothing says their severity levels: sort them into folders level_0, level_1 …, "
        "or add a table with the columns path and level."
    )
