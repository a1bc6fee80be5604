"""The plan of an import: which folder, table, column and word became what, and what a person decided of it.

A plan says two things. Its *decisions* (``folders``, ``tables``, ``levels``) are what an import is told; where they are
silent the import reads names and tables by its own rules. Its ``rows`` say what came of it, with counts and an example.
The decisions of the plan that an import returns, given to the next import, repeat it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mad_core.datasets import plain_yaml
from mad_core.datasets.naming import NO_LEVEL, SPLIT_NAMES, UNLABELLED, level_key
from mad_core.datasets.policies import LEFT_OUT, Policy, level_written, mapping_of, policy_of, read_text
from mad_core.errors import InputError

IMAGES, MASKS, LABELS = "images", "masks", "labels"
FOLDER_ROLES = (IMAGES, MASKS, LEFT_OUT)
TABLE_ROLES = (LABELS, LEFT_OUT)
COLUMNS = ("path", "level", "defect", "split", "subset", "mask", "group")
"""What a column of a table may be."""
_GROUP = "group-from-name"
_LISTS = ("window", "ignore")
"""Options of an import that may stand there several times."""
_PAGES, _NORMALS = "pages", "normals-from"
ROOT = "."
"""How a plan names the folder itself."""
MAX_BYTES = 2_000_000
_HEADER = """\
# What became what when these images were imported. Change a line and import with --plan.
# folders: images, masks or left out; a split (train, calibration, test), a subset and a level where they are to be set.
# tables: labels or left out; which column is path, level, defect, split, subset, mask or group.
# levels: what a defect type or a word stands for; left out where its images are not to be used,
# none where they are tested without a level.
# group-from-name: which part of a file's name is its group (patient, part), a preset or a pattern with one ( ).
# window, pages, ignore, normals-from: as the options of these names.
"""


@dataclass(frozen=True, slots=True)
class FolderPlan:
    """What a folder's images are; None and an empty text leave it to the names."""

    role: str = IMAGES
    split: str = ""
    subset: str = ""
    level: float | None = None


@dataclass(frozen=True, slots=True)
class TablePlan:
    """Whether a table's labels count, what it says of all its images, and its columns: ours to the table's name."""

    role: str = LABELS
    split: str = ""
    subset: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanRow:
    """What one folder, table, column or word became.

    Parameters
    ----------
    kind : {"folder", "table", "column", "level", "outlines", "question"}
    name : str
        The folder, table or file relative to the source (``.`` is the source itself), the column, the word.
    role : str
        ``images``, ``masks``, ``labels``, ``left out``, or what a column is (``path``, ``level`` …); ``asked`` of a
        word whose level nothing says.
    split, subset : str
        Empty where images of several belong to it.
    level : float or None
        None where images of several belong to it, ``UNLABELLED`` where they have none.
    images : int
        Files, or rows of a table.
    example : str
        One of them.
    note : str
        Why, where a name does not say it.
    proposed : float or None
        The level that is proposed for a word; nothing is read by it until a person takes it.
    """

    kind: Literal["folder", "table", "column", "level", "outlines", "question"]
    name: str
    role: str
    split: str = ""
    subset: str = ""
    level: float | None = None
    images: int = 0
    example: str = ""
    note: str = ""
    proposed: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what is empty; levels are written as short as they go."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("level", "proposed"):
            values[name] = None if values[name] is None else level_key(values[name])
        return {name: value for name, value in values.items() if value not in (None, "")}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PlanRow:
        """The inverse of :meth:`to_json`."""
        levels = {name: level_told(data[name]) for name in ("level", "proposed") if name in data}
        return cls(**{**data, **levels})


@dataclass(frozen=True)
class ImportPlan:
    """Decisions on an import, and what came of it.

    Parameters
    ----------
    folders : mapping of relative path to FolderPlan
    tables : mapping of relative path to TablePlan
    levels : mapping
        As a severity policy: word to level or ``left out``, or subset to such lines; texts and numbers.
    rows : tuple of PlanRow
        What came of it; not read back.
    group_from_name : str
        Which part of a file's name is its group: see :mod:`mad_core.datasets.name_groups`.
    window, ignore : tuple of str
        Through which windows pictures are seen, and masks of what counts for nothing, in the words of
        :func:`~mad_core.datasets.importing.import_dataset`.
    pages : str
        Which pages of a file are images, where it is not the first one.
    normals_from : str
        From which of the images detectors learn where none is known to be normal.
    unlabelled : bool
        Whether images of which nothing says the level are tested without one, instead of asking about them. The plan
        that comes of it says so of each folder and word, so this is not written.
    """

    folders: Mapping[str, FolderPlan] = field(default_factory=dict)
    tables: Mapping[str, TablePlan] = field(default_factory=dict)
    levels: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[PlanRow, ...] = ()
    group_from_name: str = ""
    window: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    pages: str = ""
    normals_from: str = ""
    unlabelled: bool = False

    def corrected(self, row: PlanRow, *, role: str, split: str, subset: str, level: float | None) -> ImportPlan:
        """A copy in which a person says something else of one of its rows.

        Raises
        ------
        InputError
            If it is one of those that say what was done, and are not corrected here.
        """
        if row.kind in ("outlines", "question"):
            raise InputError(f"'{row.name[:200]}' is not corrected here; leave its folder out, or rename the file.")
        if row.kind == "folder":
            return self.with_folder(row.name, role=role, split=split, subset=subset, level=level)
        if row.kind == "table":
            return self.with_table(row.name, role=role, split=split, subset=subset)
        if row.kind == "column":
            table = row.note.removeprefix("of ")
            mapped = self.tables.get(table, TablePlan()).columns
            columns = {ours: name for ours, name in mapped.items() if name != row.name}
            return self.with_table(table, columns=columns | ({role: row.name} if role in COLUMNS else {}))
        return self.with_level(row.name, None if role == LEFT_OUT else level)

    @property
    def empty(self) -> bool:
        """Whether nothing is decided."""
        return not (self.folders or self.tables or self.levels or self._options())

    @property
    def asked(self) -> tuple[PlanRow, ...]:
        """The words whose level nobody has said."""
        return tuple(row for row in self.rows if row.kind == "level" and row.role == "asked")

    def folder(self, relative: str) -> FolderPlan | None:
        return self.folders.get(relative.strip("/") or ROOT)

    def table(self, relative: str) -> TablePlan | None:
        return self.tables.get(relative)

    def policy(self, below: Policy | None) -> Policy | None:
        """Its levels, and those of a severity policy where it says nothing."""
        if not self.levels:
            return below
        own = policy_of(self.levels, "the plan")
        if below is None:
            return own
        by_subset = {
            name: {**below.by_subset.get(name, {}), **own.by_subset.get(name, {})}
            for name in {**below.by_subset, **own.by_subset}
        }
        return Policy(f"{own.source} with {below.source}", {**below.anywhere, **own.anywhere}, by_subset)

    def accepted(self) -> ImportPlan:
        """A copy that takes the levels which were proposed."""
        proposed = {row.name: row.proposed for row in self.asked if row.proposed is not None}
        return replace(self, levels={**self.levels, **proposed})

    def with_folder(self, relative: str, **changes: Any) -> ImportPlan:
        """A copy in which a folder is something else: ``role``, ``split``, ``subset``, ``level``."""
        old = self.folders.get(relative, FolderPlan())
        return replace(self, folders={**self.folders, relative: replace(old, **changes)})

    def with_table(self, relative: str, **changes: Any) -> ImportPlan:
        """A copy in which a table is something else: ``role``, ``split``, ``subset``, ``columns``."""
        old = self.tables.get(relative, TablePlan())
        return replace(self, tables={**self.tables, relative: replace(old, **changes)})

    def with_level(self, word: str, level: float | None) -> ImportPlan:
        """A copy in which a word stands for a level, or for none: its images are left out."""
        decision = LEFT_OUT if level is None else NO_LEVEL if level == UNLABELLED else level
        return replace(self, levels={**self.levels, word: decision})

    def with_window(self, subset: str, words: str) -> ImportPlan:
        """A copy in which a subset's pictures are seen through another window."""
        others = (text for text in self.window if text.rpartition("=")[:2] != (subset, "="))
        return replace(self, window=(*others, f"{subset}={words}"))

    def to_json(self) -> dict[str, Any]:
        """The decisions under ``folders``, ``tables`` and ``levels``, options by their names, and the rows."""
        return {**self._decisions(), **self._options(), "rows": [row.to_json() for row in self.rows]}

    def to_yaml(self) -> str:
        """The decisions as a small YAML file, with counts and examples as comments."""
        lines = [_HEADER]
        lines += [f"{name}: {_flow(value)}\n" for name, value in self._options().items()]
        for part, entries in self._decisions().items():
            if entries:
                lines.append(f"{part}:\n")
                lines += [f"  {_key(k)}: {_flow(v)}{self._comment(part, k)}\n" for k, v in entries.items()]
        return "".join(lines)

    def _options(self) -> dict[str, Any]:
        """What stands beside the decisions, without what is empty."""
        words = {_GROUP: self.group_from_name, _PAGES: self.pages, _NORMALS: self.normals_from}
        values = words | {name: [*getattr(self, name)] for name in _LISTS}
        return {name: value for name, value in values.items() if value}

    def _decisions(self) -> dict[str, dict[str, Any]]:
        return {
            "folders": {name: _plain(entry) for name, entry in self.folders.items()},
            "tables": {name: _plain(entry) for name, entry in self.tables.items()},
            "levels": {word: _level_text(level) for word, level in self.levels.items()},
        }

    def _comment(self, part: str, name: str) -> str:
        rows = [r for r in self.rows if f"{r.kind}s" == part and r.name == name]
        if not rows:
            return ""
        example = next((r.example for r in rows if r.example), "")
        text = f"  # {sum(r.images for r in rows)}{example and f', {example}'}"
        return "".join(c if c.isprintable() else "?" for c in text)[:120]


class LevelsUnknownError(InputError):
    """Nothing says the level of what was named; ``plan`` says which words are asked about, and what is proposed.

    ``fact`` is the sentence without what to do at the command line, where the images can be tested without levels.
    """

    def __init__(self, message: str, plan: ImportPlan, fact: str = "") -> None:
        super().__init__(message)
        self.plan = plan
        self.fact = fact


def read_plan(path: Path) -> ImportPlan:
    """Read a plan's YAML file.

    Raises
    ------
    InputError
        If it is missing, no YAML, or no plan.
    """
    text = read_text(path, MAX_BYTES, f"{MAX_BYTES // 1_000_000} MB, too much for a plan")
    return parse_plan(text, str(path))


def parse_plan(text: str, source: str = "The plan") -> ImportPlan:
    """A plan from the text of its YAML file; names and words are the texts that stand there.

    Raises
    ------
    InputError
        If it is no plan; the sentence names the place.
    """
    data = mapping_of(text, source, plain_yaml.parse_words)
    named, pages, normals = (_word(data.pop(name, ""), name, source) for name in (_GROUP, _PAGES, _NORMALS))
    window, ignore = (_words(data.pop(name, ""), name, source) for name in _LISTS)
    unknown = [key for key in data if key not in ("folders", "tables", "levels")]
    if unknown or any(v and not isinstance(v, Mapping) for v in data.values()):
        raise InputError(
            f"{source} is not a plan: it holds folders, tables and levels, each with lines 'name: value', "
            "and the options group-from-name, window, pages, ignore and normals-from."
        )
    parts = {part: data.get(part) or {} for part in ("folders", "tables", "levels")}
    policy_of(parts["levels"], source)
    return ImportPlan(
        {name.strip("/") or ROOT: _folder(entry, name, source) for name, entry in parts["folders"].items()},
        {name: _table(entry, name, source) for name, entry in parts["tables"].items()},
        parts["levels"],
        group_from_name=named,
        window=window,
        ignore=ignore,
        pages=pages,
        normals_from=normals,
    )


def _word(entry: Any, name: str, source: str) -> str:
    if entry and not isinstance(entry, str):
        raise InputError(f"{source}: {name} is one word or pattern.")
    return entry or ""


def _words(entry: Any, name: str, source: str) -> tuple[str, ...]:
    """One text, or a list of them."""
    entries = [entry] if isinstance(entry, str) else entry
    if not isinstance(entries, list) or not all(isinstance(text, str) for text in entries):
        raise InputError(f"{source}: {name} is a text or a list of texts, as the option takes them.")
    return tuple(filter(None, entries))


def _folder(entry: Any, name: str, source: str) -> FolderPlan:
    facts = _facts(entry, ("role", "split", "subset", "level"), name, source)
    level = level_told(facts["level"]) if facts.get("level") else None
    if facts.get("level") and level is None:
        raise InputError(f"{source}: the level of the folder '{name[:80]}' is not a number from 0 up.")
    role, split = _known(facts, FOLDER_ROLES, name, source)
    return FolderPlan(role, split, facts.get("subset", ""), level)


def _table(entry: Any, name: str, source: str) -> TablePlan:
    facts = _facts(entry, ("role", "split", "subset", "columns"), name, source)
    columns = facts.pop("columns", None) or {}
    if not isinstance(columns, Mapping) or not all(isinstance(v, str) for v in columns.values()):
        raise InputError(f"{source}: the columns of '{name[:80]}' are lines such as 'level: grade'.")
    unknown = [key for key in columns if key not in COLUMNS]
    if unknown:
        words = f"'{unknown[0][:40]}' is none of {', '.join(COLUMNS)}"
        raise InputError(f"{source}: of the columns of '{name[:80]}', {words}.")
    role, split = _known(facts, TABLE_ROLES, name, source)
    return TablePlan(role, split, facts.get("subset", ""), dict(columns))


def _facts(entry: Any, allowed: Iterable[str], name: str, source: str) -> dict[str, Any]:
    """What a plan says of a folder or table: a role alone, or several facts."""
    facts = {"role": entry} if isinstance(entry, str) else entry
    if not isinstance(facts, Mapping) or not set(facts) <= set(allowed):
        raise InputError(f"{source}: '{name[:80]}' takes {', '.join(allowed)} and nothing else.")
    if not all(isinstance(value, str) for key, value in facts.items() if key != "columns"):
        raise InputError(f"{source}: what stands under '{name[:80]}' must be single words.")
    return dict(facts)


def _known(facts: Mapping[str, str], roles: tuple[str, ...], name: str, source: str) -> tuple[str, str]:
    """The role and the split of an entry."""
    role, split = facts.get("role") or roles[0], facts.get("split", "")
    if role not in roles:
        raise InputError(f"{source}: the role '{role[:40]}' of '{name[:80]}' is none of {', '.join(roles)}.")
    if split and split not in SPLIT_NAMES:
        raise InputError(f"{source}: the split '{split[:40]}' of '{name[:80]}' is none of {', '.join(SPLIT_NAMES)}.")
    return role, split


def _plain(entry: FolderPlan | TablePlan) -> dict[str, Any]:
    """What an entry says, without what is empty."""
    values = {name: getattr(entry, name) for name in entry.__dataclass_fields__}
    facts = {name: dict(v) if isinstance(v, Mapping) else v for name, v in values.items() if v not in (None, "", {})}
    return facts | ({"level": _number(facts["level"])} if "level" in facts else {})


def _level_text(level: Any) -> Any:
    if isinstance(level, Mapping):
        return {word: _level_text(value) for word, value in level.items()}
    return str(level) if isinstance(level, str) else _number(level)


def level_told(text: object) -> float | None:
    """The level that a plan writes, ``UNLABELLED`` for ``none``; None where it is neither that nor a level."""
    return UNLABELLED if str(text).strip().lower() == NO_LEVEL else level_written(text)


def _number(level: Any) -> str:
    """A level as short as it goes, and exactly."""
    short = level_key(level)
    return short if short == NO_LEVEL or float(short) == level else repr(float(level))


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_quoted(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _quoted(str(value))


def _key(text: str) -> str:
    """A name before its colon; YAML reads more than a thousand characters there only after a question mark."""
    quoted = _quoted(text)
    return quoted if len(quoted) < 1000 else f"? {quoted}\n  "


def _quoted(text: str) -> str:
    """A text as it stands where YAML would read it so, else in double quotes."""
    if re.fullmatch(r"[A-Za-z0-9_./](?:[\w./ -]*[\w./-])?", text, re.ASCII):
        return text
    return re.sub(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", _escaped, json.dumps(text, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
