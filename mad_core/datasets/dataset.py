"""The dataset: one frozen object over one table, a row per image file, and its card.

Every importer yields an :class:`Imported`: the dataset and the list of problems met on the way.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from mad_core.datasets.naming import SPLIT_NAMES, level_key
from mad_core.datasets.own_normals import OwnNormals
from mad_core.datasets.plan import ImportPlan
from mad_core.errors import InputError, NotFoundError
from mad_core.ignored import IgnoredRegion
from mad_core.labelled import labelled
from mad_core.pixels import Depth, PixelRange, Window

SPLITS = SPLIT_NAMES
DOMAINS = ("industrial", "medical", "novelty", "other")
Domain = Literal["industrial", "medical", "novelty", "other"]

COLUMNS: Mapping[str, str] = {
    "image_id": "str",
    "content_hash": "str",
    "path": "str",  # absolute path of the file
    "template_path": "str",  # how score files and templates name the image
    "split": "str",  # train | calibration | test
    "subset": "str",
    "level": "float64",  # 0 = normal, higher = more severe; half levels exist; NaN where nobody has graded it
    "defect": "object",  # str or None
    "group": "object",  # what belongs together: patient, part, lot, camera; str or None
    "mask_path": "object",  # absolute path or None
    "mask_hash": "object",  # digest of the mask's bytes, or None where nothing is known
    "width": "int64",  # pixels as shown, after EXIF rotation; 0 where the header was not read
    "height": "int64",
}
"""Columns of :attr:`Dataset.table`, in order, with their dtypes."""
OPTIONAL = ("group", "mask_hash")
"""Columns that a table may lack: nothing is known there."""

PROBLEM_WORDS = {
    "missing-file": ("missing file", "missing files"),
    "unreadable": ("unreadable file", "unreadable files"),
    "duplicate": ("copy", "copies"),
    "conflicting-level": ("picture under two levels", "pictures under two levels"),
    "train-test-leak": ("picture in training and test", "pictures in training and test"),
    "empty-level": ("level without images", "levels without images"),
    "too-large": ("file that is too large", "files that are too large"),
    "unknown-level": ("level that is not known", "levels that are not known"),
    "unmatched": ("file that fits nothing", "files that fit nothing"),
    "question": ("question", "questions"),  # what may be one thing or another, and what was made of it
    "mask-size": ("mask of another size", "masks of another size"),
    "mask-empty": ("empty mask", "empty masks"),  # of an abnormal image
    "mask-full": ("mask of everything", "masks of everything"),  # marks nearly everything
    "mask-of-normal": ("mask of a normal image", "masks of normal images"),
    "mask-partial": ("mask in part", "masks in part"),  # outlines that cannot be drawn, or beside boxes, points, lines
    "near-duplicate": ("near copy", "near copies"),
    "group-leak": ("group in training and test", "groups in training and test"),
    "mixed-depth": ("subset of mixed depth", "subsets of mixed depth"),
    "narrow-range": ("narrow range of pixels", "narrow ranges of pixels"),
    "pages": ("file of several pages", "files of several pages"),
}
"""Kinds of problems, and what one and several of a kind are called."""
PROBLEM_KINDS = tuple(PROBLEM_WORDS)


@dataclass(frozen=True)
class Problem:
    """Something an importer met: its kind (one of ``PROBLEM_KINDS``), the file, and a sentence."""

    kind: str
    path: str
    message: str

    def __post_init__(self) -> None:
        if self.kind not in PROBLEM_KINDS:
            raise ValueError(f"unknown kind of problem: {self.kind}")

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, "path": self.path, "message": self.message}


@dataclass(frozen=True)
class LevelMeaning:
    """What one severity level is called and what it means for the person who acts on it."""

    name: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class SubsetCard:
    """Facts of one subset: its domain, its levels' names and meanings, its rubric.

    ``levels`` is keyed by the level written as short as it goes (``"1"``, ``"0.5"``);
    ``rubric`` is the id of a rubric file or its text. ``window`` is the one through which its pictures are seen, none
    where all of them are of 8 bits; ``pixels`` what a sample of them spans; ``ignored`` what of them does not count.
    ``own_normals`` are the images that detectors learn from where none is known to be normal.
    """

    domain: Domain = "other"
    levels: Mapping[str, LevelMeaning] = field(default_factory=dict)
    rubric: str = ""
    product: str = ""
    window: Window | None = None
    pixels: PixelRange | None = None
    ignored: IgnoredRegion | None = None
    own_normals: OwnNormals | None = None

    def to_json(self) -> dict[str, Any]:
        names = ("window", "pixels", "ignored", "own_normals")
        seldom = {name: value.to_json() for name in names if (value := getattr(self, name)) is not None}
        levels = {k: {"name": m.name, "meaning": m.meaning} for k, m in self.levels.items()}
        return {"domain": self.domain, "rubric": self.rubric, "product": self.product, "levels": levels} | seldom

    def seen_through(self, window: Window | None, pixels: PixelRange | None = None) -> SubsetCard:
        """A copy with another window."""
        return replace(self, window=window, pixels=pixels or self.pixels)


@dataclass(frozen=True)
class Addition:
    """Images that came later: from where, one of their files, how many, the version before, and the one they made."""

    source: str
    path: str
    images: int
    before: str
    version: str
    time: float


@dataclass(frozen=True)
class Card:
    """Facts of a dataset that its images do not carry.

    With ``audit_open`` reviewers of its labels see label, scores and maps before they rate an image; by default
    these are hidden until then. ``policy`` is the path of the severity policy that was given on import, ``plan`` the
    YAML text of the plan that repeats it. ``additions`` are the images that came after the import, oldest first.
    ``comparisons`` are answers to "which is worse?" that learners may use: ids of the worse and of the milder image.
    """

    title: str = ""
    description: str = ""
    source: str = ""
    licence: str = ""
    version: str = ""
    subsets: Mapping[str, SubsetCard] = field(default_factory=dict)
    audit_open: bool = False
    policy: str = ""
    plan: str = ""
    additions: tuple[Addition, ...] = ()
    comparisons: tuple[tuple[str, str], ...] = ()

    def subset(self, name: str) -> SubsetCard:
        """The card of one subset; an empty one where nothing is known."""
        return self.subsets.get(name) or SubsetCard()

    def level_names(self, subsets: Iterable[str]) -> dict[float, str]:
        """Names of the levels on which these subsets agree."""
        by_subset = [{float(k): m.name for k, m in self.subset(s).levels.items() if m.name} for s in subsets]
        first = by_subset[0] if by_subset else {}
        return {level: name for level, name in first.items() if all(k.get(level) == name for k in by_subset)}

    def with_level(self, subset: str, level: float, meaning: LevelMeaning) -> Card:
        """A copy in which one level of one subset is called and means something else."""
        old = self.subset(subset)
        new = replace(old, levels={**old.levels, level_key(level): meaning})
        return replace(self, subsets={**self.subsets, subset: new})

    def to_json(self) -> dict[str, Any]:
        seldom = {"audit_open": True} if self.audit_open else {}
        seldom |= {name: text for name in ("policy", "plan") if (text := getattr(self, name))}
        seldom |= {"additions": [asdict(one) for one in self.additions]} if self.additions else {}
        seldom |= {"comparisons": [list(pair) for pair in self.comparisons]} if self.comparisons else {}
        return seldom | {
            "title": self.title,
            "description": self.description,
            "source": self.source,
            "licence": self.licence,
            "version": self.version,
            "subsets": {name: card.to_json() for name, card in self.subsets.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Card:
        """The inverse of :meth:`to_json`; unknown keys are ignored."""
        subsets = {
            str(name): SubsetCard(
                domain=card.get("domain") if card.get("domain") in DOMAINS else "other",
                rubric=str(card.get("rubric", "")),
                product=str(card.get("product", "")),
                levels={
                    level_key(k) if isinstance(k, float) else str(k): LevelMeaning(
                        str(m.get("name", "")), str(m.get("meaning", ""))
                    )
                    for k, m in card.get("levels", {}).items()
                },
                window=Window.from_json(card.get("window")),
                pixels=PixelRange.from_json(card.get("pixels")),
                ignored=IgnoredRegion.from_json(card.get("ignored")),
                own_normals=OwnNormals.from_json(card.get("own_normals")),
            )
            for name, card in data.get("subsets", {}).items()
        }
        names = ("title", "description", "source", "licence", "version", "policy", "plan")
        return cls(
            **{name: str(data.get(name, "")) for name in names},
            subsets=subsets,
            audit_open=data.get("audit_open") is True,
            additions=tuple(Addition(**one) for one in given)
            if isinstance(given := data.get("additions"), list)
            else (),
            comparisons=tuple((str(worse), str(milder)) for worse, milder in data.get("comparisons") or ()),
        )


def rounded_level(level: float) -> int:
    """The integer level used by the metrics: half levels are rounded up (0.5 counts as 1)."""
    return math.ceil(level)


def image_id(subset: str, relative_path: str) -> str:
    """Digest of subset and path relative to the subset (POSIX form); 16 hexadecimal characters.

    Two rows may share content, never an id.
    """
    return hashlib.blake2b(f"{subset}\0{relative_path}".encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A frozen table of images with severity levels.

    A test image may have no level: it is scored and shown, and enters no metric. Training and calibration images have
    one.

    Parameters
    ----------
    name : str
    table : DataFrame
        One row per image file, columns and dtypes as in ``COLUMNS``; treat it as read-only.
    card : Card
    source : str
        The path or the word the dataset was imported from.

    Raises
    ------
    InputError
        If a column is missing, an ``image_id`` stands twice, a split is unknown, a level is negative or infinite, or an
        image that is not for test has none.
    """

    name: str
    table: pd.DataFrame
    card: Card = field(default_factory=Card)
    source: str = ""

    def __post_init__(self) -> None:
        absent = [c for c in OPTIONAL if c not in self.table.columns]
        if absent:
            object.__setattr__(self, "table", self.table.assign(**dict.fromkeys(absent)))
        missing = [c for c in COLUMNS if c not in self.table.columns]
        if missing:
            raise InputError(f"The table of dataset '{self.name}' lacks the columns {', '.join(missing)}.")
        if self.table["image_id"].duplicated().any():
            raise InputError(f"Dataset '{self.name}' names an image twice in the same subset.")
        if not set(self.table["split"].unique()) <= set(SPLITS):
            raise InputError(f"Dataset '{self.name}' has a split that is none of {', '.join(SPLITS)}.")
        levels = self.table["level"].to_numpy(dtype=np.float64)
        absent = np.isnan(levels)
        if not np.all(absent | (np.isfinite(levels) & (levels >= 0))):
            raise InputError(f"Dataset '{self.name}' has a severity level that is negative or not a number.")
        if (absent & (self.table["split"] != "test").to_numpy()).any():
            raise InputError(f"Dataset '{self.name}' has an image without a level that is not for test.")

    @classmethod
    def from_rows(cls, name: str, rows: Iterable[Mapping[str, Any]], card: Card, source: str) -> Dataset:
        """Build the table from dictionaries with the keys of ``COLUMNS``."""
        table = pd.DataFrame(list(rows), columns=list(COLUMNS)).astype(dict(COLUMNS))
        table = table.assign(**{c: table[c].where(table[c].notna(), None) for c in OPTIONAL})
        return cls(name, table.reset_index(drop=True), card, source)

    @property
    def subsets(self) -> list[str]:
        return list(self._numbers)

    @cached_property
    def _numbers(self) -> dict[str, dict[tuple[str, float], int]]:
        """Images of each subset by split and level, ascending; counted once."""
        t: Any = self.table
        counts: dict[str, dict[tuple[str, float], int]] = {name: {} for name in sorted(t["subset"].unique().tolist())}
        for (subset, split, level), n in t.groupby(["subset", "split", "level"]).size().items():
            counts[subset][split, float(level)] = int(n)
        return counts

    @cached_property
    def _places(self) -> dict[tuple[str, str], np.ndarray]:
        """Where the rows of each subset and split stand in the table, ascending; looked for once."""
        groups: Any = self.table.groupby(["subset", "split"])
        return groups.indices

    @cached_property
    def _unlabelled(self) -> dict[str, int]:
        t: Any = self.table
        return {str(subset): int(n) for subset, n in t["level"].isna().groupby(t["subset"]).sum().items()}

    @cached_property
    def _masks(self) -> dict[str, int]:
        t: Any = self.table
        return {subset: int(n) for subset, n in t["mask_path"].notna().groupby(t["subset"]).sum().items()}

    @cached_property
    def _groups(self) -> dict[str, int]:
        t: Any = self.table
        return {str(subset): int(n) for subset, n in t["group"].groupby(t["subset"]).nunique().items()}

    def levels(self, subset: str, split: str | None = None) -> list[float]:
        """The levels of a subset's images, ascending; those of one split where it is named.

        Raises
        ------
        NotFoundError
            If the subset is not in the dataset.
        """
        self._check(subset)
        return sorted({level for of, level in self._numbers[subset] if split in (None, of)})

    def unlabelled(self, subset: str | None = None) -> int:
        """How many test images have no level, in one subset or in all.

        Raises
        ------
        NotFoundError
            If the subset is not in the dataset.
        """
        if subset is None:
            return sum(self._unlabelled.values())
        self._check(subset)
        return self._unlabelled[subset]

    def _check(self, subset: str) -> None:
        if subset not in self._numbers:
            raise NotFoundError(f"Dataset '{self.name}' has no subset '{subset}'; it has {', '.join(self.subsets)}.")

    @property
    def windows(self) -> dict[str, Window]:
        """Through which the pictures of each subset are seen; subsets of 8-bit pictures have none."""
        return {name: window for name in self.subsets if (window := self.card.subset(name).window) is not None}

    def with_windows(self, windows: Mapping[str, Window | None]) -> Dataset:
        """A copy, a version of its own, whose pictures are seen through other windows.

        Raises
        ------
        NotFoundError
            If a subset is not in the dataset.
        """
        for name in windows:
            self._check(name)
        changed = {name: self.card.subset(name).seen_through(window) for name, window in windows.items()}
        return replace(self, card=replace(self.card, subsets={**self.card.subsets, **changed}))

    @property
    def ignored(self) -> dict[str, IgnoredRegion]:
        """What of the pictures of each subset counts for nothing; subsets of which all counts have no entry."""
        return {name: region for name in self.subsets if (region := self.card.subset(name).ignored) is not None}

    def with_ignored(self, regions: Mapping[str, IgnoredRegion | None]) -> Dataset:
        """A copy, a version of its own, with other regions left out of its subsets.

        Raises
        ------
        NotFoundError
            If a subset is not in the dataset.
        """
        for name in regions:
            self._check(name)
        changed = {name: replace(self.card.subset(name), ignored=region) for name, region in regions.items()}
        return replace(self, card=replace(self.card, subsets={**self.card.subsets, **changed}))

    @cached_property
    def version(self) -> str:
        """Digest of what scorers and metrics see: ids, content, splits, subsets, levels, windows, regions, normals."""
        digest = hashlib.blake2b(digest_size=12)
        t: Any = self.table
        columns = (t["image_id"], t["content_hash"], t["split"], t["subset"], t["level"].map(level_key))
        for row in sorted(zip(*columns, strict=True)):
            digest.update("\0".join(row).encode() + b"\n")
        for name, window in sorted(self.windows.items()):
            digest.update(f"window\0{name}\0{window.key}\n".encode())
        for name, region in sorted(self.ignored.items()):
            digest.update(f"ignored\0{name}\0{region.key}\n".encode())
        for name in self.subsets:
            if (own := self.own_normals(name)) is not None:
                digest.update(f"own normals\0{name}\0{own.key}\n".encode())
        for worse, milder in sorted(self.card.comparisons):
            digest.update(f"worse\0{worse}\0{milder}\n".encode())
        return digest.hexdigest()

    def select(self, *, split: str | None = None, subset: str | None = None) -> pd.DataFrame:
        """Rows of one split and/or subset, in table order.

        Raises
        ------
        NotFoundError
            If the subset is not in the dataset.
        """
        if subset is not None:
            self._check(subset)
        if split is None and subset is None:
            return self.table
        places = [at for (of, part), at in self._places.items() if subset in (None, of) and split in (None, part)]
        return self.table.take(np.sort(np.concatenate(places or [np.empty(0, dtype=np.intp)])))

    def count(self, split: str) -> int:
        """How many images a split has."""
        return sum(len(at) for (_, part), at in self._places.items() if part == split)

    def splits(self, subset: str) -> list[str]:
        """The splits that a subset has images of, in the order of ``SPLITS``.

        Raises
        ------
        NotFoundError
            If the subset is not in the dataset.
        """
        self._check(subset)
        return [split for split in SPLITS if (subset, split) in self._places]

    def as_of(self, version: str) -> Dataset:
        """The dataset as it was in one of its versions, before images that came later; itself where it is no such."""
        if version == self.version:
            return self
        rows = len(self.table)
        for addition in reversed(self.card.additions):
            rows -= addition.images
            if addition.before == version:
                return replace(self, table=self.table.iloc[:rows])
        return self

    def own_normals(self, subset: str) -> OwnNormals | None:
        """Which of a subset's images detectors learn from without their being known normals; None where nobody chose.

        Raises
        ------
        NotFoundError
            If the subset is not in the dataset.
        """
        self._check(subset)
        return self.card.subset(subset).own_normals

    def normals(self, subset: str) -> pd.DataFrame:
        """What detectors learn normal from: training normals, and those of :meth:`own_normals`; empty without either.

        Raises
        ------
        NotFoundError
            If the subset is not in the dataset.
        """
        own = self.own_normals(subset)
        if own is None:
            return self.select(split="train", subset=subset)
        rows: Any = self.select(subset=subset)
        return rows[(rows["split"] == "train") | rows["image_id"].isin(own.images)]

    def with_calibration(self, per_level: int, seed: int = 0) -> Dataset:
        """A copy in which ``per_level`` test images of each level and subset are set aside for calibration.

        They leave every metric. Images of a group leave together. A level keeps at least half of its test images;
        images whose content stands in the subset twice stay, so that no calibration image is tested under another
        name. Which ones are taken depends on ``seed``, their ids and their groups alone.

        Raises
        ------
        InputError
            If ``per_level`` is not positive, or no image can be set aside.
        """
        if per_level < 1:
            raise InputError("At least one image a level is set aside for calibration.")
        everything: Any = self.select(split="test")
        tests: Any = labelled(everything)
        once: Any = tests[~everything.duplicated(["subset", "content_hash"], keep=False).loc[tests.index]]
        choose = _whole_groups if once["group"].notna().any() else _of_each_level
        taken = choose(tests, once, per_level, seed)
        if tests.empty and len(everything):
            raise InputError(f"No test image of dataset '{self.name}' has a level, so none can be set aside.")
        if not taken:
            raise InputError(f"Dataset '{self.name}' has too few test images to set some aside for calibration.")
        split = self.table["split"].mask(self.table["image_id"].isin(taken), "calibration")
        name = f"{self.name}, {per_level} a level for calibration"
        return replace(self, name=name, table=self.table.assign(split=split))

    def with_grades(self, levels: Mapping[str, float], comparisons: Iterable[tuple[str, str]] = ()) -> Dataset:
        """A copy in which test images are set aside for calibration with the level that somebody gave them.

        Parameters
        ----------
        levels : mapping of image id to level
        comparisons : iterable of (str, str)
            Ids of a worse and of a milder image. Those of two images that are set aside are kept; no others, for
            what is tested is not learned from.

        Raises
        ------
        InputError
            If one is no test image of this dataset, or none is left to test.
        """
        table: Any = self.table
        tests = table["split"] == "test"
        chosen = tests & table["image_id"].isin(list(levels))
        if int(chosen.sum()) != len(levels):
            strange = sorted(set(levels) - set(table.loc[tests, "image_id"]))
            raise InputError(f"Dataset '{self.name}' has no test image '{strange[0]}' to be graded.")
        if not (tests & ~chosen).any():
            raise InputError(f"Every test image of dataset '{self.name}' is graded, so none is left to be judged.")
        level = table["level"].mask(chosen, table["image_id"].map(dict(levels))).astype("float64")
        table = table.assign(split=table["split"].mask(chosen, "calibration"), level=level)
        aside = set(table.loc[table["split"] == "calibration", "image_id"])
        kept = [(worse, milder) for worse, milder in comparisons if {worse, milder} <= aside]
        card = replace(self.card, comparisons=tuple(dict.fromkeys([*self.card.comparisons, *kept])))
        return replace(self, name=f"{self.name}, {len(levels)} graded", table=table, card=card)

    def counts(self) -> list[dict[str, Any]]:
        """Counts by subset, split and level, in the form of ``check --json``.

        ``unlabelled`` counts the test images that have no level, ``groups`` those of images, ``own_normals`` the
        images that detectors learn from where none is known to be normal, where there are any.
        """
        result = []
        for subset, numbers in self._numbers.items():
            entry: dict[str, Any] = {"subset": subset, "domain": self.card.subset(subset).domain}
            for split in SPLITS:
                levels = {level_key(level): n for (of, level), n in numbers.items() if of == split}
                if split != "calibration" or levels:
                    entry[split] = levels
            if self._unlabelled[subset]:
                entry["unlabelled"] = self._unlabelled[subset]
            entry["masks"] = self._masks[subset]
            if self._groups.get(subset):
                entry["groups"] = self._groups[subset]
            if (own := self.own_normals(subset)) is not None:
                entry["own_normals"] = len(own.images)
            result.append(entry)
        return result


@dataclass(frozen=True)
class Imported:
    """What an importer yields: the dataset, every problem it met, and the plan: what became what."""

    dataset: Dataset
    problems: tuple[Problem, ...] = ()
    plan: ImportPlan = field(default_factory=ImportPlan)
    depths: Mapping[str, Depth] = field(default_factory=dict, repr=False, compare=False)  # by path
    pages: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)


def _of_each_level(tests: Any, once: Any, per_level: int, seed: int) -> list[str]:
    """Images to set aside, of each subset and level in the order of their digests."""
    order = once["image_id"].map(lambda name: hashlib.blake2b(f"{seed}:{name}".encode()).hexdigest())
    taken: list[str] = []
    for (subset, level), rows in once.groupby(["subset", "level"]):
        there = int(((tests["subset"] == subset) & (tests["level"] == level)).sum())
        taken += rows.loc[order[rows.index].sort_values().index, "image_id"].tolist()[: min(per_level, there // 2)]
    return taken


def _whole_groups(tests: Any, once: Any, per_level: int, seed: int) -> list[str]:
    """Images to set aside where some belong to groups: whole groups and single images, by their digests."""
    unit = once["group"].where(once["group"].notna(), once["image_id"])
    there = tests.groupby(["subset", "level"]).size().to_dict()
    whole = set(zip(tests["subset"], tests["group"], strict=True)) - {
        (row.subset, row.group) for row in tests[~tests["image_id"].isin(once["image_id"])].itertuples()
    }
    moved: dict[tuple[str, float], int] = dict.fromkeys(there, 0)
    taken: list[str] = []
    units = [(key, rows) for key, rows in once.groupby([once["subset"], unit])]
    for (subset, _), rows in sorted(units, key=lambda u: hashlib.blake2b(f"{seed}:{u[0][1]}".encode()).hexdigest()):
        group = rows["group"].iloc[0]
        counts = {(subset, level): int(n) for level, n in rows["level"].value_counts().items()}
        wanted = any(moved[key] < per_level for key in counts)
        fits = all(moved[key] + n <= there[key] // 2 for key, n in counts.items())
        if wanted and fits and (not isinstance(group, str) or (subset, group) in whole):
            moved |= {key: moved[key] + n for key, n in counts.items()}
            taken += rows["image_id"].tolist()
    return taken
