"""Severity policies: which level a defect type has, by subset."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mad_core.datasets import plain_yaml
from mad_core.datasets.naming import NO_LEVEL, UNLABELLED, plain
from mad_core.errors import InputError

FILE_NAMES = ("severity.yaml", "severity.yml", "policy.yaml", "policy.yml")
MAX_BYTES = 200_000
NOTHING = "(nothing)"
"""What stands in the place of a word where a table says nothing."""
LEFT_OUT = "left out"
"""What stands in the place of a level where images of a defect type are not to be used."""

HOW_TO = (
    "write a severity policy, a YAML file with a line 'defect type: level' for each "
    "(or such lines under each subset's name), as severity.yaml in this folder, or pass it with --policy"
)


@dataclass(frozen=True)
class Policy:
    """Levels by defect type: for every subset (``anywhere``) and for single subsets (``by_subset``).

    Keys are normalised by :func:`defect_key` and :func:`naming.plain`. A level is NaN where the images are left out,
    ``UNLABELLED`` where they are tested without one.
    """

    source: str
    anywhere: Mapping[str, float] = field(default_factory=dict)
    by_subset: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def covers(self, *subset_names: str) -> bool:
        """Whether it says anything of a subset, known under several names."""
        return bool(self.anywhere) or any(plain(name) in self.by_subset for name in subset_names)

    def level(self, defect: str, *subset_names: str) -> float | None:
        """The level of a defect type; None where the policy does not name it."""
        key = defect_key(defect)
        for name in subset_names:
            if key in self.by_subset.get(plain(name), {}):
                return self.by_subset[plain(name)][key]
        return self.anywhere.get(key)


def defect_key(defect: str) -> str:
    """A defect type in lower case, ``_`` for blanks and hyphens, combined types in order of name."""
    parts = (re.sub(r"[\s_\-]+", "_", part.strip().lower()) for part in str(defect).split(","))
    return ",".join(sorted(p for p in parts if p))


def read_policy(path: Path) -> Policy:
    """Read a severity policy; its defect types are words as they stand there (``no`` is the word "no").

    Raises
    ------
    InputError
        If it is missing, no YAML, or a level is not a number from 0 up.
    """
    data = read_yaml(path, plain_yaml.parse_words)
    if not data:
        raise InputError(f"The severity policy {path} names no defect type; write lines 'defect type: level'.")
    return policy_of(data, str(path))


def policy_in(folder: Path) -> Policy | None:
    """The severity policy that lies in a folder; None where there is none."""
    path = next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)
    return read_policy(path) if path else None


def policy_of(data: Mapping[str, Any], source: str) -> Policy:
    """A policy from words and texts: defect type to level, or subset to such lines.

    Raises
    ------
    InputError
        If a level is neither a number from 0 up nor ``left out`` or ``none``, or a word has two levels.
    """
    anywhere, by_subset = {}, {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            by_subset[plain(str(key))] = _levels(value, source)
        else:
            anywhere[key] = value
    return Policy(source, _levels(anywhere, source), by_subset)


def read_yaml(path: Path, parse: Callable[[str], Any] = plain_yaml.parse) -> dict[Any, Any]:
    """A small YAML file that holds a mapping; empty where the file is.

    Raises
    ------
    InputError
        If it cannot be read or holds something else.
    """
    text = read_text(path, MAX_BYTES, f"{MAX_BYTES // 1000} kB, too much for a card or a policy")
    return mapping_of(text, str(path), parse)


def read_text(path: Path, most: int, bound: str) -> str:
    """The text of a small file in UTF-8; ``bound`` says in words what more than ``most`` bytes would be.

    Raises
    ------
    InputError
        If it is missing, larger, or no text.
    """
    try:
        if path.stat().st_size > most:
            raise InputError(f"{path} has more than {bound}.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}{plain_yaml.why(error)}") from None


def mapping_of(text: str, source: str, parse: Callable[[str], Any]) -> dict[Any, Any]:
    """The mapping that a YAML text holds; empty where the text is.

    Raises
    ------
    InputError
        If it holds something else, or is no YAML.
    """
    try:
        data = parse(text)
    except plain_yaml.ERRORS as error:
        raise InputError(f"{source}{plain_yaml.why(error)}") from None
    if data is None or data == "":
        return {}
    if not isinstance(data, dict):
        raise InputError(f"{source} must hold lines 'name: value', not a {type(data).__name__}.")
    return data


def level_written(text: object) -> float | None:
    """The level that a text writes: ``2``, ``0.5``, ``0,5``; None where it is no number from 0 up."""
    words = str(text).strip()
    try:
        level = float(words.replace(",", ".") if re.fullmatch(r"\d+,\d+", words) else words)
    except ValueError:
        return None
    return level if math.isfinite(level) and level >= 0 else None


_OTHER = {LEFT_OUT: math.nan, NO_LEVEL: UNLABELLED}
"""What may stand in the place of a level."""


def _levels(data: Mapping[Any, Any], source: str) -> dict[str, float]:
    """Levels by :func:`defect_key`, NaN where a word is left out, ``UNLABELLED`` where it says no level."""
    levels: dict[str, float] = {}
    for word, value in data.items():
        level = _OTHER.get(str(value).strip().lower(), level_written(value))
        if level is None:
            raise InputError(f"{source}: the level of '{str(word)[:80]}' is not a number from 0 up.")
        key = defect_key(str(word))
        if key in levels and repr(levels[key]) != repr(level):
            raise InputError(f"{source} gives '{str(word)[:80]}' two levels; write it once.")
        levels[key] = level
    return levels
