"""Severity policies: which level a defect type has, by subset."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mad_core.datasets import plain_yaml
from mad_core.datasets.naming import plain
from mad_core.errors import InputError

FILE_NAMES = ("severity.yaml", "severity.yml", "policy.yaml", "policy.yml")
MAX_BYTES = 200_000

HOW_TO = (
    "write a severity policy, a YAML file with a line 'defect type: level' for each "
    "(or such lines under each subset's name), as severity.yaml in this folder, or pass it with --policy"
)


@dataclass(frozen=True)
class Policy:
    """Levels by defect type: for every subset (``anywhere``) and for single subsets (``by_subset``).

    Keys are normalised by :func:`defect_key` and :func:`naming.plain`.
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
    """Read a severity policy.

    Raises
    ------
    InputError
        If it is missing, no YAML, or a level is not a number from 0 up.
    """
    data = read_yaml(path)
    if not data:
        raise InputError(f"The severity policy {path} names no defect type; write lines 'defect type: level'.")
    anywhere, by_subset = {}, {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            by_subset[plain(str(key))] = {defect_key(d): _level(v, d, path) for d, v in value.items()}
        else:
            anywhere[defect_key(str(key))] = _level(value, key, path)
    return Policy(str(path), anywhere, by_subset)


def read_yaml(path: Path) -> dict[Any, Any]:
    """A small YAML file that holds a mapping; empty where the file is.

    Raises
    ------
    InputError
        If it cannot be read or holds something else.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES // 1000} kB, too much for a card or a policy.")
        data = plain_yaml.parse(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except plain_yaml.ERRORS as error:
        raise InputError(f"{path}{plain_yaml.why(error)}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InputError(f"{path} must hold lines 'name: value', not a {type(data).__name__}.")
    return data


def _level(value: object, defect: object, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InputError(f"{path}: the level of '{str(defect)[:80]}' is not a number from 0 up.")
    return float(value)
