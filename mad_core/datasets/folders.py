"""Folders of images: a folder a level, the benchmark's trees, and trees with a folder a defect type."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mad_core.datasets.dataset import Problem, SubsetCard, level_key
from mad_core.datasets.gathering import Expected, Found, Gathered, listed, split_of, together
from mad_core.datasets.madbench import BENCHMARKS, ECONOMIC, Identity, identify
from mad_core.datasets.masks import Masks, beside
from mad_core.datasets.naming import BESIDE, SPLITS, TEMPLATES, looks_short, meaning, meanings, plain
from mad_core.datasets.policies import FILE_NAMES, HOW_TO, Policy, built_in, read_policy
from mad_core.datasets.tables import Row, Table, gather_table, is_table, is_template, read_rows, subset_named
from mad_core.datasets.walking import Walker, is_image
from mad_core.errors import InputError

_DEPTH = 6
"""How far below the folder named by the user subsets are looked for."""


@dataclass(frozen=True)
class Class:
    """A folder of images of one split, level and defect type; ``level`` is NaN where nothing says it.

    ``prefix`` leads to it from the subset's folder, ``written`` is how templates write that.
    """

    folder: Path
    prefix: str
    written: str
    split: str | None
    level: float
    defect: str | None
    deep: bool = True

    def images(self, walker: Walker) -> Iterator[tuple[str, str]]:
        """Paths relative to this folder, and paths."""
        if self.deep:
            return walker.images(self.folder)
        return ((name, str(self.folder / name)) for name in walker.files(self.folder) if is_image(name))

    def expected(self, subset: str) -> Expected:
        return Expected(str(self.folder), subset, self.level, str(self.folder))


@dataclass(frozen=True, eq=False)
class Place:
    """A folder that holds one subset (of ``multidog``: several), and the names of the folders above it."""

    folder: Path
    trail: tuple[str, ...]
    walker: Walker
    given: Policy | None = None

    @property
    def own(self) -> str:
        return self.trail[-1]

    @property
    def name(self) -> str:
        """What the subset is called: ``mvtec_bottle`` below the benchmark's ``mvtec``, else as its folder is."""
        known = self.identity
        if known and known.part and len(self.trail) > 1 and known.benchmark.is_called(self.trail[-2]):
            return f"{known.benchmark.key}_{known.part}"
        return self.own

    @cached_property
    def identity(self) -> Identity | None:
        """Which subset of the benchmark this is, by the folders' names or by its own and its defect types'."""
        by_defects = (Identity(b, self.own) for b in BENCHMARKS if self._is_covered(built_in(b.key)))
        return identify(self.trail) or next(by_defects, None)

    @cached_property
    def policy(self) -> Policy | None:
        """The policy given, or one that lies in this folder or above it, or the benchmark's own."""
        if self.given:
            return self.given
        for folder in (self.folder, *self.folder.parents):
            if not folder.is_relative_to(self.walker.root):
                break
            names = [n for n in self.walker.files(folder) if n.lower() in FILE_NAMES]
            if names:
                return read_policy(folder / names[0])
        return built_in(self.identity.benchmark.key) if self.identity else None

    @cached_property
    def classes(self) -> list[Class]:
        """The folders of images of this subset."""
        return list(_classes(self.folder, self.walker, self._level))

    @cached_property
    def images(self) -> list[Found]:
        """Every image in those folders; their level is NaN where no folder says it."""
        result = []
        for c in self.classes:
            here = dict(c.images(self.walker))
            masks = beside(here)
            for relative in sorted(here.keys() - masks.values()):
                within = c.prefix + relative
                split = c.split or SPLITS.get(relative.partition("/")[0].lower() if "/" in relative else "")
                mask = here.get(masks.get(relative, "")) or self._masks.of(
                    c.written + relative, within, f"{c.defect}/{relative}"
                )
                result.append(
                    Found(
                        self.name,
                        within,
                        here[relative],
                        c.written + relative,
                        split_of(split, c.level),
                        c.level,
                        c.defect,
                        mask,
                        str(c.folder),
                    )
                )
        return result

    def leftovers(self) -> list[Problem]:
        """Files here that belong to no image of the subset."""
        loose = [str(self.folder / n) for n in self.walker.files(self.folder) if is_image(n)]
        strangers = [s for c in self.classes if c.deep for s in self.walker.strangers(c.folder)]
        taken = {i.mask for i in self.images}
        masks = [m for m in self._masks.paths() if m not in taken]
        return [
            *_unmatched(loose, "This image lies in no folder that says its level."),
            *_unmatched(strangers, "This file is no image of a known format."),
            *_unmatched(masks, "This mask belongs to no image."),
        ]

    def card(self, listed_by_template: bool) -> SubsetCard:
        """Domain and levels as the benchmark has them; an industrial layout is told by its folders."""
        if self.identity:
            return self.identity.card()
        if not any(c.defect for c in self.classes if c.split == "test"):
            return SubsetCard()
        economic = listed_by_template and all(level_key(c.level) in ECONOMIC.levels for c in self.classes)
        return ECONOMIC if economic else SubsetCard("industrial")

    @cached_property
    def _masks(self) -> Masks:
        return Masks(self.folder, self.walker)

    def _level(self, defect: str) -> float:
        level = self.policy.level(defect, self.own, self.name) if self.policy else None
        return math.nan if level is None else level

    def _is_covered(self, policy: Policy | None) -> bool:
        """Whether a policy names this subset and every defect type in it."""
        if policy is None or not policy.covers(self.own):
            return False
        defects = [c.defect for c in _classes(self.folder, self.walker, lambda _: math.nan) if c.defect]
        return bool(defects) and all(policy.level(d, self.own) is not None for d in defects)


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
    _check_levels(gathered, places)
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
        places = [Place(table.parent, (table.parent.name,), walker, policy)] if _is_place(table.parent, walker) else []
    place = next((p for p in places if _is_of(table, p)), None)
    rows = read_rows(table)
    if place is not None and not any(row.split or row.subset for row in rows):
        return _by_templates(place, [table])
    split = "test" if is_template(table.name) else None
    return gather_table(Table(table, rows, name, table.parent, split=split, policy=policy), walker)


def _survey(root: Path, name: str, walker: Walker, policy: Policy | None) -> tuple[list[Place], list[Path]]:
    """The subsets' folders below a folder, and the templates on the way to them."""
    places, templates = [], []
    waiting: list[tuple[Path, tuple[str, ...]]] = [(root, (name,))]
    while waiting:
        folder, trail = waiting.pop()
        templates += [folder / n for n in walker.files(folder) if is_template(n)]
        is_place = _is_place(folder, walker)
        if is_place:
            places.append(Place(folder, trail, walker, policy))
        for sub in reversed(walker.folders(folder) if len(trail) <= _DEPTH else []):
            if sub.name.lower() in TEMPLATES or (not is_place and sub.name.lower() not in BESIDE):
                waiting.append((sub, (*trail, sub.name)))
    return _told_apart(places), sorted(templates)


def _told_apart(places: list[Place]) -> list[Place]:
    """Subsets that are called the same take the names of the folders above as well."""
    names = [p.name for p in places]
    return [replace(p, trail=(*p.trail[:-1], "_".join(p.trail[1:]))) if names.count(p.name) > 1 else p for p in places]


def _is_place(folder: Path, walker: Walker) -> bool:
    """Whether a folder holds a subset: a folder a split, or a folder a level."""
    inside = [f for f in walker.folders(folder) if f.name.lower() not in BESIDE]
    if any(SPLITS.get(f.name.lower()) in ("train", "test") for f in inside):
        return True
    if any(meaning(f.name) for f in inside):
        return True
    short = [f for f in inside if looks_short(f.name)]
    rest = (f for f in inside if f not in short)
    return (
        len(short) > 1
        and not any(_is_place(f, walker) for f in short)
        and not any(next(walker.images(f), None) for f in rest)
    )


def _classes(folder: Path, walker: Walker, level_of: Callable[[str], float]) -> Iterator[Class]:
    inside = [f for f in walker.folders(folder) if f.name.lower() not in BESIDE]
    plain_folders = [f for f in inside if f.name.lower() not in SPLITS]
    yield from _siblings(plain_folders, "", "", None, walker, level_of)
    for container in inside:
        split = SPLITS.get(container.name.lower())
        if split is None:
            continue
        prefix = f"{container.name}/"
        written = "" if split == "test" else prefix
        below = [f for f in walker.folders(container) if f.name.lower() not in BESIDE]
        yield from _siblings(below, prefix, written, split, walker, level_of)
        if any(is_image(n) for n in walker.files(container)):
            level = 0.0 if split == "train" else math.nan
            yield Class(container, prefix, written, split, level, None, deep=False)


def _siblings(
    folders: Sequence[Path],
    prefix: str,
    written: str,
    split: str | None,
    walker: Walker,
    level_of: Callable[[str], float],
) -> Iterator[Class]:
    """The classes of folders that lie beside each other; one without images and without a level is none."""
    filled = [f.name for f in folders if looks_short(f.name) or next(walker.images(f), None)]
    said = meanings(filled)
    for f in folders:
        m = said.get(f.name) or meaning(f.name)
        if m is None and f.name not in said:
            continue
        level, defect = (m.level, m.defect) if m else (level_of(f.name), f.name)
        part = split or (m.split if m else None)
        yield Class(f, f"{prefix}{f.name}/", f"{written}{f.name}/", part, level, defect)


def _is_of(template: Path, place: Place) -> bool:
    """Whether a template lists a place's images: it lies there, or is called as the place is."""
    if template.parent == place.folder or template.parent.parent == place.folder:
        return True
    called = plain(subset_named(template))
    if place.identity and place.identity.benchmark.key == "multidog":
        return called.startswith(plain(place.name))
    return called in {plain(place.name), plain(place.own), plain("".join(place.trail[-2:]))}


def _by_names(place: Place) -> Gathered:
    """What the folders' own names and the policy say."""
    parts = []
    for name, images in _kinds(place).items():
        expected = [c.expected(name) for c in place.classes if c.level >= 0]
        found = [replace(i, subset=name) for i in images if i.level >= 0]
        parts.append(Gathered(tuple(found), tuple(expected), cards={name: place.card(False)}))
    unknown = Counter(i.group for i in place.images if math.isnan(i.level))
    problems = [Problem("unknown-level", folder, _no_level(place, folder, n)) for folder, n in unknown.items()]
    return together([*parts, Gathered(problems=(*problems, *place.leftovers()))])


def _by_templates(place: Place, templates: Sequence[Path]) -> Gathered:
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
    return together([*listings, *training, Gathered(problems=(*_unmatched(loose, words), *place.leftovers()))])


def _template(place: Place, subset: str, path: Path, rows: Sequence[Row]) -> Table:
    tests = [f for f in place.walker.folders(place.folder) if SPLITS.get(f.name.lower()) == "test"]
    split = "test" if is_template(path.name) else None
    return Table(path, rows, subset, place.folder, tests, {i.path: i for i in place.images}, split, place.policy)


def _is_training(image: Found) -> bool:
    return image.split in ("train", "calibration")


def _unmatched(paths: Iterable[str], words: str) -> list[Problem]:
    return listed(Problem("unmatched", path, words) for path in paths)


def _kinds(place: Place) -> dict[str, list[Found]]:
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


def _no_level(place: Place, folder: str, count: int) -> str:
    defect = Path(folder).name
    left_out = f"its {count} images are left out"
    if place.policy:
        return f"The severity policy {place.policy.source} gives no level for '{defect}'; {left_out}."
    return f"Nothing says the severity level of '{defect}' and {left_out}: {HOW_TO}."


def _check_levels(gathered: Gathered, places: Iterable[Place]) -> None:
    """A tree of defect types without any level is of no use until somebody writes a policy."""
    unknown = list(dict.fromkeys(Path(p.path).name for p in gathered.problems if p.kind == "unknown-level"))
    if unknown and not any(f.level > 0 for f in gathered.found) and not any(p.policy for p in places):
        names = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        raise InputError(f"Nothing says the severity level of {names}: {HOW_TO}.")


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
