"""Folders of images: a folder a level, the benchmark's trees, and trees with a folder a defect type."""

import math
import posixpath
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import pandas as pd

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, Gathered, stem, together
from mad_core.datasets.naming import SPLITS, TEMPLATES, UNLABELLED, UNSORTED, level_key, plain
from mad_core.datasets.plan import LABELS, ImportPlan, LevelsUnknownError, PlanRow, TablePlan
from mad_core.datasets.policies import HOW_TO, LEFT_OUT, Policy
from mad_core.datasets.readers.annotations import SIDECARS, sidecar_table
from mad_core.datasets.readers.published import PublishedFolder, published_place
from mad_core.datasets.readers.subset_folder import SubsetFolder, is_place, policy_beside, unmatched, without_level
from mad_core.datasets.readers.table_paths import name_key
from mad_core.datasets.readers.tables import (
    ColumnsUnknownError,
    Table,
    TableLine,
    asked_rows,
    gather_table,
    is_template,
    labels_of_table,
    read_labels,
    read_rows,
    subset_named,
)
from mad_core.datasets.readers.tables_above import beside_tables_above, not_normals
from mad_core.datasets.readers.visa import RawVisa, is_raw_visa
from mad_core.datasets.walking import Walker, is_image
from mad_core.errors import InputError
from mad_core.filekinds import kind_of
from mad_core.tables import TEXTS, OtherTableError, is_table, lists_images

_MOST_TEXTS = 20
"""Texts in a folder that are looked into; more are those of YOLO."""
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
    return beside_tables_above(_gather_below(root, name, walker, policy), root, walker)


def _gather_below(root: Path, name: str, walker: Walker, policy: Policy | None) -> Gathered:
    places, templates, tables = _survey(root, name, walker, policy)
    if not places and not templates:
        return _by_tables_alone(root, name, tables, walker, policy)
    of_place = {place: [t for t in templates if _is_of(t, place)] for place in places}
    parts = [
        _by_templates(place, own) if own else _by_names_or_tables(place, [t for t in tables if _is_near(t, place)])
        for place, own in of_place.items()
    ]
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
        places, _, _ = _survey(walker.root, walker.root.name, walker, policy)
    else:
        subset_folder = _place(table.parent, (table.parent.name,), walker, policy)
        places = [subset_folder] if subset_folder else []
    labels = _read_labels(table, walker)
    place = next((p for p in places if _is_of(table, p)), None)
    if place is not None and not any(row.split or row.subset for row in labels.rows):
        return (
            _by_templates(place, [table]) if is_template(table.name) else _as_named(_by_tables(place, [labels]), table)
        )
    others = [] if is_template(table.name) else _of_other_splits(table, walker)
    split = "test" if is_template(table.name) else split_named(table) if others else None
    listing = _alone(labels, name, table.parent, walker, policy, split)
    words = f"It lies beside {table.name} and is not read; name the folder to read both."
    rows = (PlanRow("table", walker.relative(other), LEFT_OUT, note=words) for other in others)
    return replace(listing, rows=(*listing.rows, *rows))


def _as_named(gathered: Gathered, table: Path) -> Gathered:
    """What a table that was given itself names; other pictures without a level are left out."""
    passed = {f.path for f in gathered.found if f.level == UNLABELLED and f.path not in gathered.named}
    words = f"No row of {table.name} names this image; it is left out."
    problems = [p for p in gathered.problems if p.path not in passed]
    images = tuple(f for f in gathered.found if f.path not in passed)
    return replace(gathered, found=images, problems=(*problems, *unmatched(sorted(passed), words)))


def _of_other_splits(table: Path, walker: Walker) -> list[Path]:
    """Tables beside one that is called by a split, called by another one: together they are a dataset."""
    own = split_named(table)
    beside = (table.parent / name for name in walker.files(table.parent) if is_table(Path(name)))
    return [other for other in beside if own and split_named(other) not in (None, own)]


@dataclass(frozen=True)
class _Labels:
    """A table that says levels, as read."""

    path: Path
    rows: Sequence[TableLine]
    columns: Mapping[str, str]


def _read_labels(table: Path, walker: Walker) -> _Labels:
    def named() -> Set[str]:
        return {name_key(relative) for relative, _ in walker.images(walker.root)}

    try:
        return _Labels(table, *read_labels(table, _told(table, walker).columns, named))
    except ColumnsUnknownError as error:
        name = walker.relative(table)
        known = (PlanRow("column", column, ours, note=f"of {name}") for ours, column in error.columns.items())
        rows = (PlanRow("table", name, LABELS), *known, *_unused_columns(error.others, name))
        words = f"{error} Say in the plan which of them it is."
        raise LevelsUnknownError(words, ImportPlan(rows=rows)) from None


def _labels(tables: Iterable[Path], walker: Walker) -> tuple[list[_Labels], list[PlanRow]]:
    """The tables that hold labels, and why the others are passed over."""
    held, rows = [], []
    for table in tables:
        name, told = walker.relative(table), walker.plan.table(walker.relative(table))
        try:
            if told and told.role == LEFT_OUT:
                raise InputError("The plan leaves it out.")
            if "submission" in table.stem.lower() and not told:
                raise InputError("It is called as files of predictions are.")
            held.append(_read_labels(table, walker))
        except InputError as error:
            rows.append(PlanRow("table", name, LEFT_OUT, note=str(error).replace(str(table), table.name)))
            rows += [row for row in getattr(error, "plan", ImportPlan()).rows if row.kind == "column"]
    return held, rows


def _survey(
    root: Path, name: str, walker: Walker, policy: Policy | None
) -> tuple[list[SubsetFolder], list[Path], list[Path]]:
    """The subsets' folders below a folder, the templates on the way to them, and other tables there and just inside."""
    places, templates, tables = [], [], []
    waiting: list[tuple[Path, tuple[str, ...]]] = [(root, (name,))]
    while waiting:
        folder, trail = waiting.pop()
        templates += [folder / n for n in walker.files(folder) if is_template(n)]
        place = _place(folder, trail, walker, policy)
        tables += _tables_in(folder, walker)
        places += [place] if place else []
        for inside in walker.folders(folder) if place and not isinstance(place, RawVisa | PublishedFolder) else []:
            tables += _tables_in(inside, walker)
        for sub in reversed(walker.folders(folder) if len(trail) <= _DEPTH else []):
            if sub.name.lower() in TEMPLATES or (place is None and not walker.is_beside(sub)):
                waiting.append((sub, (*trail, sub.name)))
    return _told_apart(places), sorted(templates), sorted(tables)


def _tables_in(folder: Path, walker: Walker) -> list[Path]:
    """The tables right in a folder; what an annotation tool says of one picture, in a file called as it is, is none."""
    names = walker.files(folder)
    stems = {stem(name) for name in names if is_image(name)}
    tables = [n for n in names if is_table(Path(n)) and not is_template(n)]
    texts = [n for n in names if Path(n).suffix.lower() in TEXTS and stem(n) not in stems]
    tables += [n for n in texts if len(texts) <= _MOST_TEXTS and lists_images(folder / n)]
    return [folder / n for n in tables if Path(n).suffix.lower() != ".json" or stem(n) not in stems]


def _place(folder: Path, trail: tuple[str, ...], walker: Walker, policy: Policy | None) -> SubsetFolder | None:
    """The subset that a folder holds; None where it holds none itself."""
    if is_raw_visa(folder, walker):
        return RawVisa(folder, trail, walker, policy)
    published = published_place(folder, trail, walker, policy)
    return published or (SubsetFolder(folder, trail, walker, policy) if is_place(folder, walker, policy) else None)


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


def _is_near(table: Path, place: SubsetFolder) -> bool:
    """Whether a table lies above a place, in it, or just inside: no other place may be meant."""
    return place.folder.is_relative_to(table.parent) or table.parent.parent == place.folder


def _by_names_or_tables(place: SubsetFolder, tables: Sequence[Path]) -> Gathered:
    """What folders say where they say all levels; else what the tables here say, and folders where these are silent.

    Loose images in a training folder are normals only where no table names any of them.
    """
    if isinstance(place, RawVisa | PublishedFolder):
        return _by_names(place)
    labels, passed_over = _labels(tables, place.walker)
    labels += _beside_pictures(place) if place.loose else []
    gathered = [(t, gather_table(_table(place, t), place.walker)) for t in labels]
    relevant = [(t, g) for t, g in gathered if g.named]
    passed_over += [_naming_nothing(place, t) for t, g in gathered if not g.named]
    named = {path for _, g in relevant for path in g.named}
    silent = [i for i in place.images if i.path in place.loose or (not i.level >= 0 and not i.word)]
    silent = [i for i in silent if i.path in named or i.origin != place.walker.relative(place.folder)]
    told = [(t, g) for t, g in relevant if place.walker.plan.table(place.walker.relative(t.path))]
    used = told or (relevant if silent else [])
    if not used:
        rows = [*passed_over, *(_unused(place, t, g) for t, g in relevant)]
        outlines = together(g for _, g in relevant).outlines
        idle = [p for t, g in gathered if silent and not g.named for p in g.problems if p.path == str(t.path)]
        problems = (*_contradictions(place, relevant), *(p for p in idle if p.kind == "missing-file"))
        by_names = not_normals(_by_names(place), place, _unread(tables, passed_over, place.walker))
        return together([by_names, Gathered(problems=problems, rows=tuple(rows), outlines=outlines)])
    return together([_by_tables(place, [t for t, _ in used]), Gathered(rows=tuple(passed_over))])


def _unread(tables: Iterable[Path], passed_over: Iterable[PlanRow], walker: Walker) -> dict[Path, str]:
    """The tables that were passed over for what they are, and not because a person or their names say so, and why."""
    notes = {row.name: row.note for row in passed_over if not walker.plan.table(row.name)}
    names = {table: walker.relative(table) for table in tables if "submission" not in table.stem.lower()}
    return {table: notes[name] for table, name in names.items() if name in notes}


def _beside_pictures(place: SubsetFolder) -> list[_Labels]:
    """What files beside pictures say of each; nothing where they say no level and no defect type."""
    told = _told(place.folder / SIDECARS, place.walker)
    table = sidecar_table(place.folder, place.walker) if told.role != LEFT_OUT else None
    try:
        return [] if table is None else [_of_sidecars(table, place.folder)]
    except InputError:
        return []


def _of_sidecars(table: pd.DataFrame, folder: Path) -> _Labels:
    return _Labels(folder / SIDECARS, *labels_of_table(table, folder))


def _unused(place: SubsetFolder, table: _Labels, listing: Gathered) -> PlanRow:
    command = f"python -m mad_core check {shlex.quote(str(table.path))}"
    words = f"The folders' names say every level and count; `{command}` takes the table's."
    return PlanRow("table", place.walker.relative(table.path), LEFT_OUT, images=len(listing.named), note=words)


def _naming_nothing(place: SubsetFolder, table: _Labels) -> PlanRow:
    words = f"None of its {len(table.rows):,} rows names an image here."
    return PlanRow("table", place.walker.relative(table.path), LEFT_OUT, note=words)


def _contradictions(place: SubsetFolder, relevant: Iterable[tuple[_Labels, Gathered]]) -> Iterator[Problem]:
    """Tables that are not used and say other levels than the folders do."""
    levels = {i.path: i.level for i in place.images}
    for table, listing in relevant:
        other = [f for f in listing.found if f.path in levels and f.level != levels[f.path]]
        if other:
            first, row = other[0], _unused(place, table, listing)
            words = (
                f"It says other levels than the folders of {len(other)} images, of {first.template_path} "
                f"{level_key(first.level)} and not {level_key(levels[first.path])}. {row.note}"
            )
            yield Problem("conflicting-level", str(table.path), words)


def _by_tables(place: SubsetFolder, tables: Sequence[_Labels]) -> Gathered:
    """What tables say of a place's images, and what folders say of those that no table names."""
    walker, listings = place.walker, [gather_table(_table(place, t), place.walker) for t in tables]
    named = frozenset(path for listing in listings for path in listing.named)
    spoken_of = {Path(path).parent for path in named}
    rest = [i for i in place.images if i.path not in named]
    passed = {i.path for i in rest if i.path in place.loose and Path(i.path).parent in spoken_of}
    rest = [without_level(i) if i.path in passed else i for i in rest]
    unknown = [i for i in rest if math.isnan(i.level) and not i.word]
    kept = [replace(i, subset=place.name) for i in rest if not math.isnan(i.level)]
    images = _with_tests([*(f for listing in listings for f in listing.found), *kept], place.loose)
    words = f"No row of {tables[0].path.name} names this image; it is tested without a level."
    problems = [*unmatched(sorted(passed), words), *_unknown(place, unknown), *place.leftovers()]
    tabled = [row for t, g in zip(tables, listings, strict=True) for row in _table_rows(t, g, walker)]
    rows = [*tabled, *_asked(unknown), *_left_out(rest)]
    told = {walker.relative(t.path): replace(_told(t.path, walker), columns=t.columns) for t in tables}
    cards = {place.name: place.card(False)}
    listed_rest = together([replace(g, found=()) for g in listings])
    return together(
        [
            listed_rest,
            Gathered(tuple(images), (), tuple(problems), cards, tables=told, rows=tuple(rows)),
        ]
    )


def _with_tests(images: Sequence[Found], drawn: Set[str]) -> Sequence[Found]:
    """Images for test where no folder and no table says which are: those of validation folders.

    Without such folders the split of the images ``drawn``, by path, is to be drawn.
    """
    if any(f.split in (None, "test") and f.level >= 0 for f in images) or not any(f.level > 0 for f in images):
        return images
    if any(map(_is_validation, images)):
        return [replace(f, split="test") if _is_validation(f) else f for f in images]
    return [replace(f, split=None) if f.path in drawn and f.level >= 0 else f for f in images]


def _is_validation(image: Found) -> bool:
    """Whether an image lies in a folder that is called as those of validation are."""
    words = re.findall(r"[a-z]+", posixpath.dirname(image.relative).lower())
    return any(SPLITS.get(word) == "calibration" for word in words)


def _table_rows(table: _Labels, listing: Gathered, walker: Walker) -> Iterator[PlanRow]:
    """What the plan says of a table that is used, and of its columns."""
    name, images = walker.relative(table.path), len(listing.named)
    count = [f"{len(table.rows)} rows."] if len(table.rows) != images else []
    note = " ".join([*count, *getattr(table.rows, "notes", ())])
    yield PlanRow("table", name, LABELS, images=images, example=table.rows[0].path if table.rows else "", note=note)
    for ours, column in table.columns.items():
        cells = [cell for row in table.rows if (cell := getattr(row, ours, ""))]
        yield PlanRow("column", column, ours, images=len(cells), example=cells[0] if cells else "", note=f"of {name}")
    yield from _unused_columns(getattr(table.rows, "unused", {}), name)


def _unused_columns(columns: Mapping[str, str], table: str) -> Iterator[PlanRow]:
    for column, cell in columns.items():
        yield PlanRow("column", column, LEFT_OUT, example=cell, note=f"of {table}")


def _by_names(place: SubsetFolder) -> Gathered:
    """What the folders' own names and the policy say."""
    parts = []
    for name, images in _kinds(place).items():
        expected = [c.expected(name) for c in place.classes if c.level >= 0]
        levelled = [replace(i, subset=name) for i in images if not math.isnan(i.level)]
        levelled = _with_tests(levelled, {i.path for i in levelled})
        parts.append(Gathered(tuple(levelled), tuple(expected), cards={name: place.card(False)}))
    unknown = [i for i in place.images if math.isnan(i.level) and not i.word]
    problems = (*_unknown(place, unknown), *place.leftovers())
    return together([*parts, Gathered(problems=problems, rows=(*_asked(unknown), *_left_out(place.images)))])


def _unknown(place: SubsetFolder, images: Iterable[Found]) -> list[Problem]:
    counts = Counter(i.promise for i in images)
    return [Problem("unknown-level", folder, _no_level(place, folder, n)) for folder, n in counts.items()]


def _left_out(images: Iterable[Found]) -> tuple[PlanRow, ...]:
    """The words that a policy leaves out, with their images."""
    counts = Counter(i.word for i in images if math.isnan(i.level) and i.word)
    return tuple(PlanRow("level", word, LEFT_OUT, images=n, note="by the policy") for word, n in counts.items())


def _asked(images: Sequence[Found]) -> tuple[PlanRow, ...]:
    """The words whose level nobody has said, with what is proposed."""
    return asked_rows(Counter(Path(i.promise).name for i in images), True, "a folder's name")


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


def _table(place: SubsetFolder, table: _Labels) -> Table:
    """A table and where its paths lead: beside it, into the folders of the split it is called by, into the place."""
    split = split_named(table.path)
    told = _told(table.path, place.walker)
    splits = [f for f in place.walker.image_folders(place.folder) if f.name.lower() in SPLITS]
    own = [f for f in splits if SPLITS[f.name.lower()] == split]
    beside = [table.path.parent] if table.path.parent.is_relative_to(place.folder) else []
    folders: dict[Path, None] = dict.fromkeys([*beside, *own, *(splits if split is None else [])])
    seen = {i.path: i for i in place.images}
    return Table(
        table.path,
        table.rows,
        told.subset or place.name,
        place.folder,
        [f for f in folders if f != place.folder],
        seen,
        told.split or split,
        place.policy,
    )


def split_named(table: Path) -> str | None:
    """The split that a table is called by: ``train.csv``, ``testLabels.csv``, ``val_metadata.jsonl``."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", table.stem)
    splits = {SPLITS[part.lower()] for part in parts if part.lower() in SPLITS}
    return splits.pop() if len(splits) == 1 else None


def _is_training(image: Found) -> bool:
    return image.split in ("train", "calibration")


def _kinds(place: SubsetFolder) -> dict[str, list[Found]]:
    """Images by subset: one subset, but in ``multidog`` one for each breed, with all other animals."""
    identity = place.identity
    if identity is None or identity.benchmark.key != "multidog":
        return {place.name: place.images}
    breeds = sorted({_breed(i) for i in place.images if i.level == 0})
    if identity.part or not breeds or "" in breeds:
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
    asked = any(p.kind == "unknown-level" for p in gathered.problems)
    unknown = list(dict.fromkeys(row.name for row in ImportPlan(rows=gathered.rows).asked)) if asked else []
    if unknown and not any(f.level > 0 for f in gathered.found) and not any(p.policy for p in places):
        names = ", ".join(unknown[:5]) + (", …" if len(unknown) > 5 else "")
        fact = f"Nothing in {root} says the severity level of {names}"
        proposed = _proposal(gathered.rows)
        words = f"{fact}: {HOW_TO}.{_accepted(proposed)} To test such images without a level: --unlabelled."
        raise LevelsUnknownError(words, ImportPlan(rows=gathered.rows), f"{fact}.{proposed}")


def _accepted(proposed: str) -> str:
    """What is proposed, and how it is taken at the command line."""
    return f"{proposed} --accept takes this." if proposed else ""


def _proposal(rows: Iterable[PlanRow]) -> str:
    """What is proposed for words, as a sentence; nothing where nothing is."""
    proposed = {row.name: row.proposed for row in rows if row.proposed is not None}
    if not proposed:
        return ""
    order = sorted(proposed.items(), key=lambda item: item[1])
    words = ", ".join(f"{word}: {level_key(level)}" for word, level in order[:12])
    return f" Proposed: {words}."


def _by_tables_alone(root: Path, name: str, tables: Sequence[Path], walker: Walker, policy: Policy | None) -> Gathered:
    """The images that tables name, or files beside each of them, where no folder says anything."""
    top = [t for t in tables if t.parent == root] or list(tables)
    sidecars = sidecar_table(root, walker) if len(top) != 1 else None
    if sidecars is not None:
        return _alone(_of_sidecars(sidecars, root), name, root, walker, policy, None)
    if len(top) == 1 and not _is_of_something_else(top[0], walker):
        labels, passed_over = [_read_labels(top[0], walker)], []
    else:
        labels, passed_over = _labels(top, walker)
    if len(labels) > 1 and not all(
        split_named(t.path) or walker.relative(t.path) in walker.plan.tables for t in labels
    ):
        names = ", ".join(t.path.name for t in labels[:5])
        raise InputError(f"{root} holds several tables ({names}); name the one that lists the images.")
    if labels:
        splits = [split_named(t.path) if len(labels) > 1 else None for t in labels]
        parts = [_alone(t, name, root, walker, policy, split) for t, split in zip(labels, splits, strict=True)]
        listed = together([*parts, Gathered(rows=tuple(passed_over))])
        return together([listed, _unnamed(root, name, listed, walker)])
    if next(walker.images(root), None) is None:
        raise InputError(_no_image(root, walker))
    place = SubsetFolder(root, (name,), walker, policy)
    if walker.plan.unlabelled or all(f == root or plain(f.name) in UNSORTED for f in _holding(root, walker)):
        return together([_by_names(place), Gathered(rows=tuple(passed_over))])
    _ask_for_levels(root, walker, passed_over)


def _is_of_something_else(table: Path, walker: Walker) -> bool:
    """Whether a table beside pictures neither names them nor says a level."""
    if next(walker.images(walker.root), None) is None:
        return False
    try:
        _read_labels(table, walker)
    except OtherTableError:
        return True
    except InputError:
        return False
    return False


def _unnamed(root: Path, name: str, listed: Gathered, walker: Walker) -> Gathered:
    """Pictures that lie beside those that tables name and that no row names: they are tested without a level."""
    used = listed.named | {f.mask for f in listed.found if f.mask}
    folders = {Path(f.path).parent for f in listed.found}
    subsets = {f.subset for f in listed.found}
    subset = subsets.pop() if len(subsets) == 1 else name
    unlisted = [
        Found(subset, r, p, r, "test", UNLABELLED, promise=str(root), origin=walker.relative(Path(p).parent))
        for r, p in walker.images(root)
        if p not in used and Path(p).parent in folders
    ]
    words = "No row of a table names this image; it is tested without a level."
    return Gathered(tuple(unlisted), problems=tuple(unmatched((f.path for f in unlisted), words)))


def _holding(root: Path, walker: Walker) -> set[Path]:
    """The folders right below a folder, or itself, in which pictures lie."""
    return {root / relative.split("/")[0] if "/" in relative else root for relative, _ in walker.images(root)}


def _no_image(root: Path, walker: Walker) -> str:
    """Why a folder without images is of no use: what its files are, where that is known."""
    kinds = Counter(k for f in walker.files(root) if (k := kind_of(root / f)))
    kind, n = kinds.most_common(1)[0] if kinds else ("", 0)
    if not kind:
        return f"{root} holds no image of a known format."
    first = next(f for f in walker.files(root) if kind_of(root / f) == kind)
    many = f", and {n - 1:,} more like it" if n > 1 else ""
    todo = "" if ":" in kind else ": unpack it, or name it itself" if "archive" in kind else ""
    return f"{root} holds no image of a known format: {first}{many} is {kind}{todo}."


def _alone(
    table: _Labels, name: str, folder: Path, walker: Walker, policy: Policy | None, split: str | None
) -> Gathered:
    """The images that a table names, where no folder says anything of them."""
    told, relative = _told(table.path, walker), walker.relative(table.path)
    beside = [table.path.parent] if table.path.parent != folder else []
    listing = gather_table(
        Table(
            table.path,
            table.rows,
            told.subset or name,
            folder,
            beside,
            split=told.split or split,
            policy=policy_beside(table.path.parent, walker, policy),
        ),
        walker,
    )
    decided = replace(told, split=told.split or split or "", columns=table.columns)
    return replace(listing, tables={relative: decided}, rows=(*listing.rows, *_table_rows(table, listing, walker)))


def _told(table: Path, walker: Walker) -> TablePlan:
    return walker.plan.table(walker.relative(table)) or TablePlan()


def _ask_for_levels(root: Path, walker: Walker, passed_over: Sequence[PlanRow]) -> NoReturn:
    """Say that nothing says any level, and propose an order of the folders' names where one is known."""
    counts = Counter(Path(path).parent for _, path in walker.images(root))
    names = Counter({f.name: n for f, n in counts.items() if f != root})
    rows = (*asked_rows(names, False, "a folder's name"), *passed_over)
    fact = f"{root} holds images, but nothing says their severity levels"
    words = (
        f"{fact}: sort them into folders level_0, level_1 …, or add a table with the columns path and level. "
        "To test them without levels: --unlabelled."
    )
    proposed = _proposal(rows)
    if names:
        listed = ", ".join(list(names)[:5]) + (", …" if len(names) > 5 else "")
        words += f" If the folders ({listed}) are defect types or grades, {HOW_TO}.{_accepted(proposed)}"
    raise LevelsUnknownError(words, ImportPlan(rows=rows), f"{fact}.{proposed}")
