"""What an importer gathers before any image is read."""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mad_core.datasets.dataset import Problem, SubsetCard
from mad_core.datasets.naming import UNLABELLED
from mad_core.datasets.plan import PlanRow, TablePlan
from mad_core.datasets.polygons import Outlines

LISTED = 20
"""Problems of one sort and place that are listed one by one; a last one counts the rest."""


@dataclass(frozen=True, slots=True)
class Found:
    """An image that a folder or a table names; not opened yet.

    ``relative`` is its path relative to the subset's folder: the source of its id. ``split`` is None
    where nothing says it; ``level`` is NaN where nothing says it, ``UNLABELLED`` where the image is taken without one.
    ``promise`` is the :class:`PromisedLevel` it helps to fill, ``group`` what it shares with
    others that belong together (patient, part, lot, camera); empty where nothing says it. ``origin`` is the folder or
    table that named it, relative to the source, and ``word`` what there stands for its level; empty for a number.
    ``mask`` is the mask that a table names; ``masks`` are all of its masks, which count together, and with them what
    ``outlines`` draw.
    """

    subset: str
    relative: str
    path: str
    template_path: str
    split: str | None
    level: float
    defect: str | None = None
    mask: str | None = None
    promise: str = ""
    group: str = ""
    origin: str = ""
    word: str = ""
    masks: tuple[str, ...] = ()
    outlines: Outlines | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PromisedLevel:
    """A level that a folder or a table promises; without one usable image it is a problem."""

    promise: str
    subset: str
    level: float
    path: str


@dataclass(frozen=True)
class Gathered:
    """Images found, levels promised, problems met, and facts known of the subsets.

    ``named`` are the files that tables name, usable or not; ``tables`` what was decided of tables, ``rows`` what the
    plan says of them and of words whose level nobody has said. ``outlines`` are those that tables draw, by the path of
    the image.
    """

    found: tuple[Found, ...] = ()
    expected: tuple[PromisedLevel, ...] = ()
    problems: tuple[Problem, ...] = ()
    cards: Mapping[str, SubsetCard] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    tables: Mapping[str, TablePlan] = field(default_factory=dict)
    rows: tuple[PlanRow, ...] = ()
    outlines: Mapping[str, Outlines] = field(default_factory=dict)


def together(parts: Iterable[Gathered]) -> Gathered:
    """Several gatherings as one."""
    parts = list(parts)
    return Gathered(
        tuple(f for p in parts for f in p.found),
        tuple(e for p in parts for e in p.expected),
        tuple(e for p in parts for e in p.problems),
        {name: card for p in parts for name, card in p.cards.items()},
        frozenset(path for p in parts for path in p.named),
        {name: table for p in parts for name, table in p.tables.items()},
        tuple(row for p in parts for row in p.rows),
        {path: drawn for p in parts for path, drawn in p.outlines.items()},
    )


def split_of(split: str | None, level: float) -> str | None:
    """Training is on normals alone: an abnormal image in a training folder serves calibration.

    An image without a level is for test, wherever it lies: a missing label is never a normal.
    """
    if level == UNLABELLED:
        return "test"
    return "calibration" if split == "train" and level > 0 else split


def differ(one: Found, other: Found) -> bool:
    """Whether two images have different levels; one without a level contradicts nothing."""
    return one.level != other.level and UNLABELLED not in (one.level, other.level)


def listed(problems: Iterable[Problem]) -> list[Problem]:
    """The first ``LISTED`` problems of one sort, and one more that counts the rest."""
    problems = list(problems)
    if len(problems) <= LISTED + 1:
        return problems
    rest = problems[LISTED:]
    words = f"{rest[0].message} So it is with {len(rest) - 1} more files."
    return [*problems[:LISTED], replace(rest[0], message=words)]


def summed(problems: Iterable[Problem]) -> list[Problem]:
    """Problems in order, those of one kind and sentence (but for the path in it) in short where they are many."""
    groups: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.kind, problem.message.replace(problem.path, "")), []).append(problem)
    return [problem for group in groups.values() for problem in listed(group)]


def stem(path: str) -> str:
    """A path without its suffix."""
    return posixpath.splitext(path)[0]
