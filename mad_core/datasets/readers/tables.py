"""Tables that name images: CSV, TSV, JSON, JSON lines, Parquet; the benchmark's templates are such tables."""

import json
import math
import posixpath
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, Gathered, PromisedLevel, split_of
from mad_core.datasets.naming import SPLITS, meanings
from mad_core.datasets.plan import PlanRow
from mad_core.datasets.policies import Policy, level_written
from mad_core.datasets.proposing import propose
from mad_core.datasets.walking import Walker
from mad_core.errors import InputError
from mad_core.scorefiles import MAX_BYTES, MOST_COLUMNS, MOST_ROWS, columns_in_words, read_table, resolve_columns

SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet"})
_BATCH_ROWS = 1_024
_TEMPLATE = "_template"
_ABSOLUTE = re.compile(r"/|[A-Za-z]:|file:", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"\d+,\d+")


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


def is_table(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def is_template(name: str) -> bool:
    """Whether a file is called as the benchmark's templates are: ``mvtec_bottle_template.csv``."""
    return name.lower().endswith(f"{_TEMPLATE}.csv")


def subset_named(path: Path) -> str:
    """The subset that a table's file name gives: ``mvtec_bottle_template.csv`` → ``mvtec_bottle``."""
    return path.stem[: -len(_TEMPLATE)] if is_template(path.name) else path.stem


def read_rows(path: Path) -> list[TableLine]:
    """The lines of a table: see :func:`read_labels`."""
    return read_labels(path)[0]


def read_labels(path: Path, told: Mapping[str, str] | None = None) -> tuple[list[TableLine], dict[str, str]]:
    """Read a table; column names are taken in any of their known spellings.

    Parameters
    ----------
    path : Path
    told : mapping, optional
        Which column is which, ours to the table's name: it counts before the spellings.

    Returns
    -------
    lines : list of TableLine
    columns : dict
        Which of its columns is which, ours to the table's name.

    Raises
    ------
    InputError
        If it cannot be read, or has no column for the path, or none for level or defect type.
    """
    table = _read(path)
    columns = table_columns(path, table.columns, told)
    names = columns_in_words(table.columns)
    if "path" not in columns:
        raise InputError(f"{path} has no column for the images' paths, such as 'path'; its columns are {names}.")
    if not columns.keys() & {"level", "defect"}:
        raise InputError(f"{path} has no column for the severity, such as 'level'; its columns are {names}.")
    wanted = [c for c in columns if c in TableLine.__slots__]
    cells = ([_path(v) if c in ("path", "mask") else _text(v) for v in table[columns[c]]] for c in wanted)
    lines = zip(*cells, strict=True)
    rows = [TableLine(number, **dict(zip(wanted, line, strict=True))) for number, line in enumerate(lines, start=1)]
    return [row for row in rows if row.path or row.level], {name: columns[name] for name in wanted}


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
        raise InputError(f"{path} has no column '{absent[0][:80]}'; its columns are {columns_in_words(header)}.")
    return {**resolve_columns(header), **(told or {})}


def gather_table(table: Table, walker: Walker) -> Gathered:
    """The images that a table names; those that cannot be used are problems, one by one."""
    found, expected, problems, named, asked = [], {}, [], set(), Counter()
    levels = _levels({row.level or row.defect for row in table.rows})
    for row in table.rows:
        where = f"{table.path.name}, row {row.number}"
        subset = row.subset or table.subset
        level, word = _level_of(row, subset, table, levels)
        path, promise = _find(row.path, table, walker), f"{table.path}\0{subset}\0{level}"
        named |= {path} if isinstance(path, str) else set()
        if level is not None and math.isnan(level):
            continue  # the policy leaves these images out
        if level is not None:
            expected[promise] = PromisedLevel(promise, subset, level, str(table.path))
        if isinstance(path, Problem):
            problems.append(replace(path, message=f"{where}: {path.message}"))
        elif level is None:
            asked[row.defect or row.level] += 1
            problems.append(Problem("unknown-level", row.path, f"{where}: {_no_level(row, table.policy)}"))
        elif row.split and row.split.lower() not in SPLITS:
            sentence = f"the split '{row.split[:40]}' is none of train, calibration, test."
            problems.append(Problem("unmatched", row.path, f"{where}: {sentence}"))
        else:
            image = _found(row, path, table)
            mask = _mask(row, image, table, walker)
            if isinstance(mask, Problem):
                problems.append(replace(mask, message=f"{where}: {mask.message}"))
                mask = None
            split = split_of(SPLITS.get(row.split.lower(), image.split), level)
            origin = walker.relative(table.path)
            found.append(
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
    zero = any(f.level == 0 for f in found)
    return Gathered(
        tuple(found),
        tuple(expected.values()),
        tuple(problems),
        named=frozenset(named),
        rows=asked_rows(asked, zero, f"a word in {table.path.name}"),
    )


def asked_rows(asked: Mapping[str, int], zero: bool, note: str) -> tuple[PlanRow, ...]:
    """What the plan says of words whose level nobody has said; ``zero``: something else stands for level 0."""
    proposed = propose((word for word in asked if word), zero)
    return tuple(
        PlanRow("level", word or "(nothing)", "asked", images=n, note=note, proposed=proposed.get(word))
        for word, n in asked.items()
    )


def _level_of(
    row: TableLine, subset: str, table: Table, levels: Mapping[str, float | None]
) -> tuple[float | None, str]:
    """A row's level and the word that stood for it: a policy is asked before a number is sought in a word."""
    text = row.level or row.defect
    if table.policy and text and level_written(text) is None:
        said = table.policy.level(row.defect or row.level, subset)
        said = table.policy.level(text, subset) if said is None else said
        if said is not None:
            return said, row.defect or row.level
    return levels[text], "" if level_written(text) is not None else text


def _read(path: Path) -> pd.DataFrame:
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_table(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES / 1e6:.0f} MB; split it.")
        if suffix == ".parquet":
            return _parquet(path)
        text = path.read_text(encoding="utf-8-sig")
        records = _records(text) if suffix == ".json" else [json.loads(t) for t in text.splitlines() if t.strip()]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or 'it is damaged'}.") from None
    except (ValueError, RecursionError) as error:  # JSON, Unicode and Arrow errors are ValueErrors
        raise InputError(f"{path} is not readable as {suffix[1:]}: {str(error)[:120].strip('. ')}.") from None
    if not records or not all(isinstance(r, dict) for r in records):
        raise InputError(f"{path} must hold a list of objects, one an image.")
    if len({key for record in records for key in record}) > MOST_COLUMNS:
        raise InputError(f"The objects of {path} have more than {MOST_COLUMNS} different names; keep those needed.")
    return pd.DataFrame(records, dtype=object)


def _parquet(path: Path) -> pd.DataFrame:
    """The known columns of a Parquet file, all names where these are not there; a few bytes may stand for any amount.

    Its own counts are looked at first, then what each batch really holds.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            names = file.schema_arrow.names
            texts = [
                f.name for f in file.schema_arrow if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)
            ]
            rows = file.metadata.num_rows
        if rows > MOST_ROWS or len(names) > MOST_COLUMNS:
            raise InputError(
                f"{path} has {rows:,} rows in {len(names):,} columns, too much for a list of images; split it."
            )
        wanted = list(resolve_columns(names).values())
        if not wanted:
            return pd.DataFrame(columns=names)
        with pq.ParquetFile(path, memory_map=True, read_dictionary=texts) as file:
            return _counted(path, file.iter_batches(_BATCH_ROWS, columns=wanted), wanted)
    except InputError:
        raise
    except Exception as error:  # Arrow raises nearly anything for a file that is broken
        raise InputError(f"{path} is not readable as parquet: {str(error)[:120].strip('. ')}.") from None


def _counted(path: Path, batches: Iterable[Any], wanted: Sequence[str]) -> pd.DataFrame:
    """Batches of a Parquet file as one table; what they hold is counted before it is unfolded."""
    parts, left = [], MAX_BYTES
    for batch in batches:
        left -= sum(_unfolded_bytes(batch.column(name)) for name in wanted)
        if left < 0:
            raise InputError(
                f"The known columns of {path} hold more than {MAX_BYTES / 1e6:.0f} MB, too much for a list of images."
            )
        parts.append(batch.select(list(wanted)).to_pandas().astype(object))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(wanted))


def _unfolded_bytes(column: Any) -> int:
    """Bytes of a column once each row has its own value; a text that many rows share is kept once until then."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(column.type):
        raise InputError("A column of paths, levels or names holds lists or structures, not plain values.")
    if not pa.types.is_dictionary(column.type):
        return column.nbytes + len(column)
    lengths = pc.call_function("binary_length", [column.dictionary])
    return int(pc.call_function("sum", [lengths.take(column.indices)]).as_py() or 0) + len(column)


def _records(text: str) -> list[Any]:
    """The list of objects of a JSON document: the document itself, or the only list in it."""
    data = json.loads(text)
    if isinstance(data, dict):
        lists = [v for v in data.values() if isinstance(v, list)]
        data = lists[0] if len(lists) == 1 else []
    return data if isinstance(data, list) else []


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    return unicodedata.normalize("NFC", str(value).strip()).encode(errors="replace").decode()


def _path(value: Any) -> str:
    return _text(value).replace("\\", "/")


def _levels(texts: Iterable[str]) -> dict[str, float | None]:
    """Severity levels as tables write them: ``2``, ``2.0``, ``0,5``, ``L2``, ``level_2``, ``good``."""
    result: dict[str, float | None] = {}
    texts = list(texts)
    said = meanings(texts)
    for text in texts:
        clean = text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text
        try:
            level = float(clean)
        except ValueError:
            found = said[text] or meanings([clean])[clean]
            level = found.level if found else math.nan
        result[text] = level if math.isfinite(level) and level >= 0 else None
    return result


def _no_level(row: TableLine, policy: Policy | None) -> str:
    if policy and (row.defect or row.level):
        return f"the severity policy {policy.source} gives no level for '{(row.defect or row.level)[:80]}'."
    if row.level:
        return f"the severity '{row.level[:40]}' is not a number from 0 up."
    return "the severity is empty."


def _find(written: str, table: Table, walker: Walker) -> str | Problem:
    if not written:
        return Problem("missing-file", str(table.path), "the path is empty.")
    relative = _inside(written, table.folder)
    if relative is None:
        return Problem("missing-file", written, f"this path leads out of {table.folder} and is not opened.")
    for candidate in _shortened(relative, table):
        for folder in (*table.others, table.folder):
            path = walker.find(folder, candidate)
            if path is not None:
                return path
        if candidate in table.written:
            return table.written[candidate]
    return Problem("missing-file", written, f"the file is not in {table.folder}.")


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
        relative = path[len(str(table.folder)) + 1 :]
        seen = Found(table.subset, relative, path, row.path, None, math.nan)
    split = seen.split or table.split
    return replace(seen, template_path=row.path, split=split, defect=row.defect or seen.defect, group=row.group)


def _mask(row: TableLine, image: Found, table: Table, walker: Walker) -> str | Problem | None:
    if not row.mask:
        return image.mask
    relative = _inside(row.mask, table.folder)
    if relative is None:
        return Problem("missing-file", row.mask, f"the mask's path leads out of {table.folder} and is not opened.")
    path = walker.find(table.folder, relative)
    return path or Problem("missing-file", row.mask, f"the mask is not in {table.folder}.")
