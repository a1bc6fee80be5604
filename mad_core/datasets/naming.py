"""What folder names say: severity level, defect type, split."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

NORMAL = frozenset({"good", "normal", "ok", "normals", "healthy"})
TEMPLATES = ("template", "templates")
UNSORTED = frozenset(
    {"unlabelled", "unlabeled", "unlabel", "unknown", "ungraded", "unrated", "unsorted", "unclassified", "nolabel"}
    | {
        "new",
        "inbox",
        "incoming",
        "todo",
        "upload",
        "uploads",
        "images",
        "image",
        "imgs",
        "img",
        "pictures",
        "photos",
        "jpegimages",
    }
)
"""Names of folders, as :func:`plain` writes them, of which nobody would expect that they say a level."""

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

_NUMBER = r"(?P<level>\d{1,6}(?:[.,]\d{1,6})?)"
_LEVEL = re.compile(
    rf"(?:(?P<before>.+?)[_\- ]+)?(?:level|severity|grade)[_\- ]?{_NUMBER}(?:[_\- ]+(?P<after>.+))?",
    re.IGNORECASE | re.DOTALL,
)
_SHORT = re.compile(rf"(?P<before>)(?:L[_\- ]?)?{_NUMBER}(?:[_\- ](?P<after>{'|'.join(SPLITS)}))?", re.IGNORECASE)
_GRADE = r"level|lvl|severity|sev|grade|stage|degree|score|kl"
_GRADED = re.compile(
    rf"(?P<before>)(?:{_GRADE})[_\-=:. ]*{_NUMBER}(?:[_\-.: ]+(?P<after>.*\D.*))?", re.IGNORECASE | re.DOTALL
)
_ROMAN = re.compile(
    rf"(?P<before>)(?:{_GRADE})[_\-=:. ]*(?P<level>[IVX]{{1,5}})(?:[_\-.: ]+(?P<after>.+))?", re.IGNORECASE | re.DOTALL
)
_COUNTED = re.compile(
    rf"(?P<before>)(?:class[_\-=:. ]*)?{_NUMBER}(?:[_\-.: ]+(?P<after>.*[^\W\d].*))?", re.IGNORECASE | re.DOTALL
)
_ROMANS = {r: n for n, r in enumerate(["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"], start=1)}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a folder's name says; ``split`` is None where it says nothing about it."""

    level: float
    defect: str | None = None
    split: str | None = None


NO_LEVEL = "none"
"""How the level of an image that nobody has graded yet is written."""


UNLABELLED = -1.0
"""What stands for that in an import, where NaN is a level that is not known yet."""


def level_key(level: float) -> str:
    """A level written as short as it goes: ``1.0`` → ``"1"``, ``0.5`` → ``"0.5"``; ``"none"`` where there is none."""
    return format(float(level), "g") if level >= 0 else NO_LEVEL


def level_label(level: float) -> str:
    """A level in a sentence or a table: ``L2``; ``no level`` where there is none."""
    return f"L{level_key(level)}" if level >= 0 else "no level"


def meaning(name: str) -> Meaning | None:
    """``broken_large_level_3``, ``level_0.5``, ``level_0_train``, ``good``; None for any other name."""
    match = _LEVEL.fullmatch(name.strip())
    if match:
        return _meaning(match)
    return Meaning(0.0) if name.strip().lower() in NORMAL else None


def meanings(names: Iterable[str]) -> dict[str, Meaning | None]:
    """What names that stand beside each other say.

    A level that is written out counts anywhere. Bare numbers (``2``, ``L2``), numbers behind a grade's word (``KL2``,
    ``stage_2``, ``level=2``, ``Grade II``) and, where they begin at 0, numbers before a word or behind "class"
    (``0_normal``, ``0 - No DR``, ``class 0``) count where at least two siblings are written so and fewer are not; the
    others say nothing.
    """
    names = list(names)
    by_name = {name: meaning(name) for name in names}
    for read in (_short, _graded, _roman, _counted):
        numbers = {name: number for name in names if by_name[name] is None and (number := read(name))}
        levels = {number.level for number in numbers.values()}
        rest = sum(by_name[name] is None for name in names) - len(numbers)
        if (
            len(numbers) > rest
            and (len(numbers) > 1 or (numbers and not rest))
            and (0 in levels or read is not _counted)
        ):
            by_name |= numbers
    return by_name


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
    match = _SHORT.fullmatch(name.strip())
    return _meaning(match) if match else None


def _graded(name: str) -> Meaning | None:
    match = _GRADED.fullmatch(name.strip())
    return _meaning(match) if match else None


def _roman(name: str) -> Meaning | None:
    match = _ROMAN.fullmatch(name.strip())
    return Meaning(float(_ROMANS[match["level"].upper()])) if match and match["level"].upper() in _ROMANS else None


def _counted(name: str) -> Meaning | None:
    match = _COUNTED.fullmatch(name.strip())
    return _meaning(match) if match else None


def _meaning(match: re.Match[str]) -> Meaning:
    """The words before and after a level: one may be a split, another the defect type."""
    level, words = float(match["level"].replace(",", ".")), [w for w in (match["before"], match["after"]) if w]
    split = next((SPLITS[w.lower()] for w in words if w.lower() in SPLITS), None)
    defect = next((w for w in words if w.lower() not in SPLITS and w.lower() not in NORMAL), None)
    return Meaning(level, None if level == 0 else defect, split)
