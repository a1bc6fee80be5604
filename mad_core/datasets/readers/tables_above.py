"""Tables in the folder above the one that was named: what they say of its images is never passed over in silence."""

import os
import shlex
from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, Gathered
from mad_core.datasets.naming import SPLITS, UNLABELLED
from mad_core.datasets.plan import PlanRow
from mad_core.datasets.policies import LEFT_OUT
from mad_core.datasets.readers.annotations import read_label_table
from mad_core.datasets.readers.subset_folder import SubsetFolder, without_level
from mad_core.datasets.readers.table_paths import TablePaths, name_key, naming_column
from mad_core.datasets.readers.tables import is_template, read_rows
from mad_core.datasets.walking import Walker, is_hidden
from mad_core.errors import InputError
from mad_core.tables import OtherTableError, is_table, resolve_columns

_MOST_TABLES, _MOST_BYTES = 20, 20_000_000
"""Tables above that are looked into, and how large each may be."""


def beside_tables_above(gathered: Gathered, root: Path, walker: Walker) -> Gathered:
    """What was gathered below a folder, with images that a table above it names and nothing else says a level of.

    Such a table is not read, since it lies outside of what was named; but loose images of a training folder are normals
    only where nothing else says so, so those it names are tested without a level. The problem says what reads both.
    """
    silent = {f.path for f in gathered.found if _is_silent(f, gathered, walker)}
    if not silent:
        return gathered
    listed, problems, rows = list(gathered.found), [], []
    for table in _tables_above(root):
        named = _named(table, root, walker) & silent
        if named:
            command = f"`python -m mad_core check {shlex.quote(str(table.parent))}` reads both"
            words = (
                f"This table lies above the folder that was named and is not read, but has rows of {len(named):,} "
                f"images here: they are tested without a level. {command}."
            )
            problems.append(Problem("unmatched", str(table), words))
            place = Path(os.path.relpath(table, root)).as_posix()
            rows.append(PlanRow("table", place, LEFT_OUT, images=len(named), note=f"It lies above; {command}."))
            listed = [without_level(f) if f.path in named else f for f in listed]
    return replace(
        gathered, found=tuple(listed), problems=(*gathered.problems, *problems), rows=(*gathered.rows, *rows)
    )


def not_normals(gathered: Gathered, place: SubsetFolder, unread: Mapping[Path, str]) -> Gathered:
    """What folders say, but for loose pictures of a training folder of which a table may say something else.

    Such tables are ``unread`` for a reason. The pictures that one names are tested without a level; all of them where
    it is damaged, or holds levels and nobody knows whose.
    """
    told = place.walker.plan.folders
    loose = {f.path for f in gathered.found if f.level == 0 and f.path in place.loose and f.origin not in told}
    for table, why in unread.items():
        if spoken := _spoken_of(table, place) & loose:
            words = (
                f"It may say the levels of {len(spoken):,} loose images in a training folder and is not used: they are "
                f"tested without a level. {why} Or give the folder a level in the plan, or leave the table out there."
            )
            listed = tuple(without_level(f) if f.path in spoken else f for f in gathered.found)
            problem = Problem("unmatched", str(table), words)
            gathered = replace(gathered, found=listed, problems=(*gathered.problems, problem))
    return gathered


def _spoken_of(table: Path, place: SubsetFolder) -> Set[str]:
    """The pictures that a table names; all loose ones where it cannot be read, or names none and holds levels."""
    try:
        cells, _ = read_label_table(table)
        columns = resolve_columns(cells.columns)
    except OtherTableError:
        return frozenset()
    except InputError:
        return place.loose
    column = columns.get("path") or naming_column(
        cells, set(columns.values()), lambda: {name_key(relative) for relative, _ in place.walker.images(place.folder)}
    )
    if column is None:
        return place.loose if "level" in columns else frozenset()
    written = [str(cell) for cell in cells[column]]
    paths = TablePaths.below(place.folder, place.walker, written)
    return {path for name in written if (match := paths.find(name)) for path in match.paths}


def _is_silent(image: Found, gathered: Gathered, walker: Walker) -> bool:
    """Whether nothing says an image's level, or no more than that it lies right in the folder of a split."""
    told = walker.plan.folder(image.origin)
    if image.origin in gathered.tables or image.word or (told and told.level is not None):
        return False
    loose = image.level == 0 and Path(image.path).parent.name.lower() in SPLITS
    return loose or image.level == UNLABELLED


def _tables_above(root: Path) -> Iterator[Path]:
    """Tables right in the folder above, and in the one above that where the folder named is a split."""
    folders = [root.parent, root.parent.parent] if root.name.lower() in SPLITS else [root.parent]
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                files = [e for e in entries if e.is_file(follow_symlinks=False) and not is_hidden(e.name)]
                names = sorted(e.name for e in files if is_table(Path(e.name)) and e.stat().st_size <= _MOST_BYTES)
        except OSError:
            continue
        yield from (folder / name for name in names[:_MOST_TABLES] if not is_template(name))


def _named(table: Path, root: Path, walker: Walker) -> Set[str]:
    """The images below a folder that a table above it names."""
    try:
        rows = read_rows(table)
    except InputError:
        return frozenset()
    above = f"{root.relative_to(table.parent).as_posix()}/"
    written = [row.path.removeprefix("./").removeprefix(above) for row in rows]
    paths = TablePaths.below(root, walker, written)
    return {path for name in written if (match := paths.find(name)) for path in match.paths}
