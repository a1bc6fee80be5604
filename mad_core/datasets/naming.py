"""What folder names say: severity level, defect type, split."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

NORMAL = frozenset({"good", "normal", "ok", "normals", "healthy"})
TEMPLATES = ("template", "templates")

SPLIT_NAMES = ("train", "calibration", "test")
SPLITS = {
    "train": "train",
    "training": "train",
    "fit": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "calibration": "calibration",
    "calib": "calibration",
    "val": "calibration",
    "valid": "calibration",
    "validation": "calibration",
    "dev": "calibration",
}
"""Spellings of a split, in lower case."""

_NUMBER = r"(?P<level>\d{1,6}(?:\.\d{1,6})?)"
_LEVEL = re.compile(
    rf"(?:(?P<before>.+?)[_\- ]+)?(?:level|severity|grade)[_\- ]?{_NUMBER}(?:[_\- ]+(?P<after>.+))?",
    re.IGNORECASE | re.DOTALL,
)
_SHORT = re.compile(rf"(?P<before>)(?:L[_\- ]?)?{_NUMBER}(?:[_\- ](?P<after>{'|'.join(SPLITS)}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a folder's name says; ``split`` is None where it says nothing about it."""

    level: float
    defect: str | None = None
    split: str | None = None


def level_key(level: float) -> str:
    """A level written as short as it goes: ``1.0`` → ``"1"``, ``0.5`` → ``"0.5"``."""
    return format(float(level), "g")


def meaning(name: str) -> Meaning | None:
    """``broken_large_level_3``, ``level_0.5``, ``level_0_train``, ``good``; None for any other name."""
    found = _LEVEL.fullmatch(name.strip())
    if found:
        return _meaning(found)
    return Meaning(0.0) if name.strip().lower() in NORMAL else None


def meanings(names: Iterable[str]) -> dict[str, Meaning | None]:
    """What sibling folders' names say; ``L2`` and ``2`` count only where every sibling says a level."""
    names = list(names)
    short = {name: _short(name) for name in names}
    return short if all(short.values()) else {name: meaning(name) for name in names}


def looks_short(name: str) -> bool:
    """Whether a name is no more than a level, such as ``L2``, ``2`` or ``0_train``."""
    return _SHORT.fullmatch(name.strip()) is not None


def looks_levelled(name: str) -> bool:
    """Whether a name carries a level that is written out, as ``good_level_0`` does and ``good`` does not."""
    return _LEVEL.fullmatch(name.strip()) is not None


def plain(name: str) -> str:
    """A name in lower case, letters and digits only: ``Diabetic-Retinopathy`` → ``diabeticretinopathy``."""
    return re.sub(r"[\W_]+", "", name.lower())


def _short(name: str) -> Meaning | None:
    found = _SHORT.fullmatch(name.strip())
    return _meaning(found) if found else meaning(name)


def _meaning(found: re.Match[str]) -> Meaning:
    """The words before and after a level: one may be a split, another the defect type."""
    level, words = float(found["level"]), [w for w in (found["before"], found["after"]) if w]
    split = next((SPLITS[w.lower()] for w in words if w.lower() in SPLITS), None)
    defect = next((w for w in words if w.lower() not in SPLITS and w.lower() not in NORMAL), None)
    return Meaning(level, None if level == 0 else defect, split)
