"""Tables that name images, in any form that :mod:`mad_core.tables` reads; the benchmark's templates are such tables."""

import math
import os
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import LISTED, Found, Gathered, PromisedLevel, split_of
from mad_core.datasets.level_cells import levels_of
from mad_core.datasets.naming import SPLITS, UNLABELLED, meanings
from mad_core.datasets.plan import PlanRow
from mad_core.datasets.policies import HOW_TO, LEFT_OUT, NOTHING, Policy, level_written
from mad_core.datasets.polygons import Outlines
from mad_core.datasets.proposing import propose
from mad_core.datasets.readers.annotations import NOTHING_SAID, read_label_table
from mad_core.datasets.readers.table_paths import Match, TablePaths, naming_column, real_inside
from mad_core.datasets.walking import Walker
from mad_core.errors import InputError
from mad_core.tables import OtherTableError, also_meant, columns_in_words, printable, resolve_columns

_TEMPLATE = "_template"
_SHOWN = 12
"""Columns that are not used and that a plan shows."""
_EXAMPLES = 5
"""Rows of one kind of problem that are listed where it is that of more than ``LISTED``."""
_ABSOLUTE = re.compile(r"/|[A-Za-z]:|file:", re.IGNORECASE)


_MARKS = {"0": False, "0.0": False, "false": False, "False": False, "FALSE": False}
_MARKS |= {"1": True, "1.0": True, "true": True, "True": True, "TRUE": True}
"""What stands in columns of which each is a word that applies or not."""


class ColumnsUnknownError(InputError):
    """No column of a table is called as those of paths or of levels are.

    ``columns`` are those that are known, ours to the table's name; ``others`` the first of the rest, each with a cell.
    """

    def __init__(self, message: str, columns: Mapping[str, str], others: Mapping[str, str]) -> None:
        super().__init__(message)
        self.columns, self.others = columns, others


@dataclass(frozen=True, slots=True)
class TableLine:
    """One line of a table; empty where a column is not there, paths with ``/`` whatever was written."""

    number: int
    path: str
    level: str = ""
    split: str = ""
    subset: str = ""
    defect: str = ""
    mask: str = ""
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A table and where its paths lead.

    Parameters
    ----------
    path : Path
        The table's file.
    rows : sequence of TableLine
    subset : str
        What the subset is called where no column says it.
    folder : Path
        Paths are relative to it or to one of ``others``; none may leave it.
    others : sequence of Path
        Folders below ``folder`` that are tried first (a subset's ``test``).
    seen : mapping
        Images that lie in the subset's folder, by path: what their folders say of them.
    split : str or None
        The split of images for which nothing says it.
    policy : Policy or None
        Levels of defect types, for rows that only name a defect type.
    """

    path: Path
    rows: Sequence[TableLine]
    subset: str
    folder: Path
    others: Sequence[Path] = ()
    seen: Mapping[str, Found] = field(default_factory=dict)
    split: str | None = None
    policy: Policy | None = None

    @cached_property
    def written(self) -> Mapping[str, str]:
        """Paths of those images by how the benchmark's templates write them."""
        return {image.template_path: path for path, image in self.seen.items()}


def is_template(name: str) -> bool:
    """Whether a file is called as the benchmark's templates are: ``mvtec_bottle_template.csv``."""
    return name.lower().endswith(f"{_TEMPLATE}.csv")


def subset_named(path: Path) -> str:
    """The subset that a table's file name gives: ``mvtec_bottle_template.csv`` → ``mvtec_bottle``."""
    return path.stem[: -len(_TEMPLATE)] if is_template(path.name) else path.stem


@dataclass(frozen=True)
class Rows(Sequence[TableLine]):
    """The lines of a table, and notes on how it was read.

    ``levels`` holds the level of each text that says one, or of each defect type; None where a policy has to say it.
    ``outlines`` are those that an export draws on the image of a path, ``unused`` its first other columns, each with a
    cell.
    """

    lines: tuple[TableLine, ...]
    notes: tuple[str, ...] = ()
    levels: Mapping[str, float | None] = field(default_factory=dict)
    outlines: Mapping[str, Outlines] = field(default_factory=dict)
    unused: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, at: Any) -> Any:
        return self.lines[at]


def read_rows(path: Path) -> Rows:
    """The lines of a table: see :func:`read_labels`."""
    return read_labels(path)[0]


def read_labels(
    path: Path, told: Mapping[str, str] | None = None, images: Callable[[], Set[str]] = frozenset
) -> tuple[Rows, dict[str, str]]:
    """Read a table; columns are known by the meaning of their names.

    Parameters
    ----------
    path : Path
    told : mapping, optional
        Which column is which, ours to the table's name: it counts before the spellings.
    images : callable
        Gives the images that it may name, as :func:`name_key` writes them; asked where no column is called as those of
        paths are.

    Returns
    -------
    lines : list of TableLine
    columns : dict
        Which of its columns is which, ours to the table's name.

    Raises
    ------
    InputError
        If it cannot be read, lacks a chosen column, or has no column for the path, or none for level or defect type.
    """
    table, outlines = read_label_table(path)
    rows, columns = labels_of_table(table, path, told, images)
    return replace(rows, outlines={_path(name): drawn for name, drawn in outlines.items()}), columns


def labels_of_table(
    table: pd.DataFrame,
    path: Path,
    told: Mapping[str, str] | None = None,
    images: Callable[[], Set[str]] = frozenset,
) -> tuple[Rows, dict[str, str]]:
    """The lines of a table of texts that is called ``path``; see :func:`read_labels`."""
    columns = table_columns(path, table.columns, told)
    if "path" not in columns and (column := naming_column(table, set(columns.values()), images)):
        columns = {"path": column, **columns}
    numbered = _numbered_folds(table, columns, told or {})
    columns = {ours: name for ours, name in columns.items() if ours not in numbered}
    names = columns_in_words(table.columns)
    if "path" not in columns:
        words = f"{path} has no column for the images' paths, such as 'path'; its columns are {names}."
        known = columns.keys() & {"level", "defect"}
        raise _columns_unknown(words, table, columns) if known else OtherTableError(words)
    marks = [] if columns.keys() & {"level", "defect"} else _marking_columns(table, set(columns.values()))
    if not marks and not columns.keys() & {"level", "defect"}:
        words = f"{path} has no column for the severity, such as 'level'; its columns are {names}."
        raise _columns_unknown(words, table, columns)
    wanted = {ours: name for ours, name in columns.items() if ours in TableLine.__slots__}
    cells = [[_path(v) if c in ("path", "mask") else _text(v) for v in table[name]] for c, name in wanted.items()]
    fields = [*wanted, *(["defect"] if marks else [])]
    lines = zip(*cells, *([_marked(table, marks)] if marks else []), strict=True)
    rows = (TableLine(number, **dict(zip(fields, line, strict=True))) for number, line in enumerate(lines, start=1))
    notes = [f"'{printable(name)[:40]}' holds numbers, which are no splits." for name in numbered.values()]
    notes += [f"A 1 in the columns {columns_in_words(marks)} stands for the column's name."] if marks else []
    facts: Any = {**table.attrs, "notes": (*table.attrs.get("notes", ()), *also_meant(table, columns), *notes)}
    read = rows_of_lines((row for row in rows if row.path or row.level), facts)
    return replace(read, unused=_cells_of(table, [*wanted.values(), *marks])), wanted


def _columns_unknown(words: str, table: pd.DataFrame, columns: Mapping[str, str]) -> ColumnsUnknownError:
    return ColumnsUnknownError(words, columns, _cells_of(table, columns.values()))


def _cells_of(table: pd.DataFrame, taken: Iterable[str]) -> dict[str, str]:
    """The first columns of a table but for those that are taken, each with a cell."""
    others = [name for name in table.columns if name not in set(taken)][:_SHOWN]
    return {name: next((cell for cell in map(_text, table[name].iloc[:100]) if cell), "")[:80] for name in others}


def _numbered_folds(table: pd.DataFrame, columns: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """The column of splits where it holds numbers alone, as folds of cross-validation do, and nobody says otherwise."""
    name = columns.get("split")
    if name is None or "split" in told:
        return {}
    cells = [cell for cell in map(_text, table[name]) if cell]
    return {"split": name} if cells and all(cell.removesuffix(".0").isdecimal() for cell in cells) else {}


def _marking_columns(table: pd.DataFrame, taken: Set[str]) -> list[str]:
    """Columns of zeros and ones, a word each, as exports of several classes have them; none where it is one alone."""
    free = [name for name in table.columns if name not in taken]
    marking = [name for name in free if set(map(_text, table[name])) - {""} <= _MARKS.keys()]
    marking = [name for name in marking if any(_MARKS.get(_text(cell)) for cell in table[name])]
    return marking if len(marking) > 1 else []


def _marked(table: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The names of the columns that are marked in each row, joined by commas."""
    rows = zip(*([_MARKS.get(_text(cell), False) for cell in table[name]] for name in columns), strict=True)
    return [",".join(_text(name) for name, on in zip(columns, row, strict=True) if on) for row in rows]


def rows_of_lines(lines: Iterable[TableLine], facts: Mapping[str, Any] | None = None) -> Rows:
    """Lines with the levels that their texts stand for; ``facts`` are those of :func:`mad_core.tables.read_table`."""
    kept, facts = tuple(lines), facts or {}
    levels = levels_of({line.level for line in kept if line.level}, facts.get("separator", ""))
    words = meanings({line.defect for line in kept if not line.level})
    defects = {word: meaning.level if meaning else None for word, meaning in words.items() if word not in levels}
    return Rows(kept, tuple(facts.get("notes", ())), {**levels, **defects})


def table_columns(path: Path, header: Iterable[str], told: Mapping[str, str] | None) -> dict[str, str]:
    """Which column of a table is which: ours to the table's name.

    Raises
    ------
    InputError
        If a column that a person named is not there.
    """
    header = list(header)
    absent = [name for name in (told or {}).values() if name not in header]
    if absent:
        name = printable(absent[0])[:80]
        raise InputError(f"{path} has no column '{name}'; its columns are {columns_in_words(header)}.")
    return {**resolve_columns(header), **(told or {})}


@dataclass(frozen=True, slots=True)
class _Lost:
    """A row that is of no use, and why; ``unclear`` where several images fit."""

    row: TableLine
    problem: Problem
    unclear: bool = False


def gather_table(table: Table, walker: Walker) -> Gathered:
    """The images that a table names; those that cannot be used are problems, in short where they are many."""
    listed, expected, lost, named, asked, left_out = [], {}, list[_Lost](), set(), Counter(), Counter()
    outlines: dict[str, Outlines] = {}
    paths = _paths_of(table, walker)
    read = table.rows if isinstance(table.rows, Rows) else rows_of_lines(table.rows)
    for row in read:
        subset = row.subset or table.subset
        level, word = _level_of(row, subset, table, read.levels)
        path, promise = _find(row, table, walker, paths), f"{table.path}\0{subset}\0{level}"
        unclear = isinstance(path, Match)
        if isinstance(path, Match):  # nobody knows which
            named |= set(path.paths)
            path = _either(row.path, path)
        named |= {path} if isinstance(path, str) else set()
        if isinstance(path, str) and row.path in read.outlines:
            outlines[path] = read.outlines[row.path]
        if level is not None and math.isnan(level):
            left_out[word] += 1
            continue
        if level is None and _says_nothing(row, walker):
            level, word = UNLABELLED, word or NOTHING
        if level is not None and level >= 0:
            expected[promise] = PromisedLevel(promise, subset, level, str(table.path))
        if isinstance(path, Problem):
            lost.append(_Lost(row, path, unclear))
        elif level is None:
            asked[row.defect or row.level] += 1
            lost.append(_Lost(row, Problem("unknown-level", row.path, _no_level(row, table.policy))))
        elif row.split and row.split.lower() not in SPLITS:
            sentence = f"the split '{row.split[:40]}' is none of train, calibration, test."
            lost.append(_Lost(row, Problem("unmatched", row.path, sentence)))
        else:
            image = _found(row, path, table)
            mask = _mask(row, image, table, walker)
            if isinstance(mask, Problem):
                lost.append(_Lost(row, mask))
                mask = None
            split = split_of(SPLITS.get(row.split.lower(), image.split), level)
            origin = walker.relative(table.path)
            listed.append(
                replace(
                    image,
                    subset=subset,
                    level=level,
                    split=split,
                    mask=mask,
                    promise=promise,
                    group=row.group,
                    origin=origin,
                    word=word,
                )
            )
    zero = any(f.level == 0 for f in listed)
    return Gathered(
        tuple(listed),
        tuple(expected.values()),
        tuple(_in_short(lost, table, len(read), paths)),
        named=frozenset(named),
        rows=(
            *asked_rows(asked, zero, f"a word in {table.path.name}"),
            *(PlanRow("level", word, LEFT_OUT, images=n, note="by the policy") for word, n in left_out.items()),
        ),
        outlines=outlines,
    )


def _says_nothing(row: TableLine, walker: Walker) -> bool:
    """Whether a row has no level because nobody gave one, or a person takes all others so, too."""
    return walker.plan.unlabelled or (not row.level and row.defect in ("", NOTHING_SAID))


def asked_rows(asked: Mapping[str, int], zero: bool, note: str) -> tuple[PlanRow, ...]:
    """What the plan says of words whose level nobody has said; ``zero``: something else stands for level 0."""
    proposed = propose((word for word in asked if word), zero)
    return tuple(
        PlanRow("level", word or NOTHING, "asked", images=n, note=note, proposed=proposed.get(word))
        for word, n in asked.items()
    )


def _level_of(
    row: TableLine, subset: str, table: Table, levels: Mapping[str, float | None]
) -> tuple[float | None, str]:
    """A row's level and the word that stood for it: a policy is asked first, of numbers, too (``99: none``)."""
    text = row.level or row.defect
    number = levels.get(text)
    plain = number is not None and level_written(text) is not None
    if table.policy:
        words = [text] if plain else [word for word in dict.fromkeys((row.level, row.defect)) if word] or [NOTHING]
        stated = (table.policy.level(word, subset) for word in words)
        level = next((level for level in stated if level is not None), None)
        if level is not None:
            return level, text or NOTHING
    return number, "" if plain else text


def _in_short(lost: Sequence[_Lost], table: Table, rows: int, paths: TablePaths) -> Iterator[Problem]:
    """Each row's problem; of one that many rows have, a few, and a sentence that counts them and says what helps."""
    by_kind: dict[tuple[str, bool], list[_Lost]] = {}
    for one in lost:
        by_kind.setdefault((one.problem.kind, one.unclear), []).append(one)
    for (kind, _), ones in by_kind.items():
        for one in ones if len(ones) <= LISTED else ones[:_EXAMPLES]:
            words = f"{table.path.name}, row {one.row.number}: {one.problem.message}"
            yield replace(one.problem, message=printable(words))
        if len(ones) > LISTED or (kind == "missing-file" and len(ones) == rows):
            yield Problem(kind, str(table.path), printable(_summary(kind, ones, rows, paths)))


def _summary(kind: str, ones: Sequence[_Lost], rows: int, paths: TablePaths) -> str:
    """How many rows have a problem, and the likeliest cure."""
    many = f"{len(ones):,} of {rows:,} rows"
    match kind:
        case "missing-file" if ones[0].unclear:
            return f"{many} fit several images here and are not used: write the folder, too."
        case "missing-file":
            return f"{many} name no file here. {paths.cure([one.row.path for one in ones])}"
        case "unknown-level":
            words = Counter(one.row.level or one.row.defect for one in ones)
            texts = ", ".join(f"'{w[:40]}' ({n:,})" if w else f"an empty one ({n:,})" for w, n in words.most_common(8))
            return f"{many} have no level: {texts}{', …' if len(words) > 8 else ''}. To use them, {HOW_TO}."
        case _:
            words = Counter(one.row.split for one in ones)
            texts = ", ".join(f"'{w[:40]}' ({n:,})" for w, n in words.most_common(8))
            return f"{many} are left out for their split: {texts}; write train, calibration or test."


def _paths_of(table: Table, walker: Walker) -> TablePaths:
    has_images = next(walker.images(table.folder), None) is not None
    return TablePaths.below(table.folder if has_images else walker.root, walker, [row.path for row in table.rows])


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    return unicodedata.normalize("NFC", str(value).strip()).encode(errors="replace").decode()


def _path(value: Any) -> str:
    return _text(value).replace("\\", "/")


def _no_level(row: TableLine, policy: Policy | None) -> str:
    word = (row.level or row.defect)[:80]
    if policy and word:
        return f"the severity policy {policy.source} gives no level for '{word}'."
    if row.level:
        return f"the severity '{row.level[:40]}' is not a number from 0 up."
    if row.defect:
        return f"nothing says the severity level of '{word}'; a severity policy does, with the line '{word}: level'."
    return "the severity is empty."


def _find(row: TableLine, table: Table, walker: Walker, paths: TablePaths) -> str | Match | Problem:
    """The image that a row names: as it stands there, else by what of its path fits an image of the folder, or more."""
    written = row.path
    if not written:
        return Problem("missing-file", str(table.path), "the path is empty.")
    exact = _exactly(written, table, walker)
    if exact is not None:
        return exact
    match = None if is_template(table.path.name) else paths.find(written, (row.split, row.subset, table.split or ""))
    if match is not None:
        return match.paths[0] if len(match.paths) == 1 else match
    if _inside(written, table.folder) is None:
        return Problem("missing-file", written, f"this path leads out of {table.folder} and is not opened.")
    return Problem("missing-file", written, f"the file is not in {table.folder}.")


def _either(written: str, match: Match) -> Problem:
    both = " and ".join(match.relatives[:2])
    more = f" and {len(match.paths) - 2:,} more" if len(match.paths) > 2 else ""
    return Problem("missing-file", written, f"this may be {both}{more}; write the folder, too.")


def _exactly(written: str, table: Table, walker: Walker) -> str | None:
    """The image at a path as written, relative to the table's folders, or absolute through whatever links."""
    relative = _inside(written, table.folder)
    if relative is None:
        above = posixpath.normpath(posixpath.join(table.folder.as_posix(), written)) if written[:2] == ".." else written
        inside = real_inside(above, walker.root)
        return None if inside is None else walker.find(walker.root, inside)
    for candidate in _shortened(relative, table):
        for folder in (*table.others, table.folder):
            path = walker.find(folder, candidate)
            if path is not None:
                return path
        if candidate in table.written:
            return table.written[candidate]
    return None


def _shortened(relative: str, table: Table) -> Iterator[str]:
    """A path, and what follows the subset's folder in it: templates may begin at the benchmark's root."""
    yield relative
    own = {table.folder.name.lower(), table.subset.lower(), table.subset.lower().partition("_")[2]}
    parts = relative.split("/")
    for at, part in enumerate(parts[:-1] if table.seen else [], start=1):
        if part.lower() in own:
            yield "/".join(parts[at:])


def _inside(written: str, folder: Path) -> str | None:
    """A path as written, relative to the folder in POSIX form; None where it leads out of it."""
    path = written.removeprefix(f"{folder.as_posix()}/")
    if "\0" in path or _ABSOLUTE.match(path):
        return None
    path = posixpath.normpath(path)
    return None if path in (".", "..") or path.startswith("../") else path


def _found(row: TableLine, path: str, table: Table) -> Found:
    """What a row and the folder it leads to say of an image; subset and level are still to be set."""
    seen = table.seen.get(path)
    if seen is None:
        relative = os.path.relpath(path, table.folder).removeprefix("../")
        seen = Found(table.subset, relative, path, row.path, None, math.nan)
    split = (_split_of_folders(seen.relative) if seen.level == UNLABELLED else seen.split) or table.split
    return replace(seen, template_path=row.path, split=split, defect=row.defect or seen.defect, group=row.group)


def _split_of_folders(relative: str) -> str | None:
    """The split that one of an image's folders is called by; an image that has no level yet is for test till then."""
    return next((SPLITS[part.lower()] for part in relative.split("/")[:-1] if part.lower() in SPLITS), None)


def _mask(row: TableLine, image: Found, table: Table, walker: Walker) -> str | Problem | None:
    if not row.mask:
        return image.mask
    relative = _inside(row.mask, table.folder)
    if relative is None:
        return Problem("missing-file", row.mask, f"the mask's path leads out of {table.folder} and is not opened.")
    path = walker.find(table.folder, relative)
    return path or Problem("missing-file", row.mask, f"the mask is not in {table.folder}.")
