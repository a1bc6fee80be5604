"""One subset's folder: its folders of images, what their names and a severity policy say of them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mad_core.datasets.dataset import Problem, SubsetCard, level_key
from mad_core.datasets.gathering import Found, PromisedLevel, listed, split_of
from mad_core.datasets.madbench import BENCHMARKS, ECONOMIC, Identity, built_in, identify
from mad_core.datasets.naming import SPLITS, UNLABELLED, UNSORTED, looks_levelled, looks_short, meaning, meanings, plain
from mad_core.datasets.policies import FILE_NAMES, Policy, read_policy
from mad_core.datasets.readers.yolo import yolo_words
from mad_core.datasets.walking import Walker, image_kind
from mad_core.filekinds import kind_of


@dataclass(frozen=True)
class Class:
    """A folder of images of one split, level and defect type; ``level`` is NaN where nothing says it.

    ``word`` is what stands for the level where a policy or the plan says it. A class that is not ``deep`` holds loose
    images, about which no folder of their own says anything. ``prefix`` leads to it from the subset's folder,
    ``written`` is how templates write that.
    """

    folder: Path
    prefix: str
    written: str
    split: str | None
    level: float
    defect: str | None
    deep: bool = True
    word: str = ""

    def images(self, walker: Walker) -> Iterator[tuple[str, str]]:
        """Paths relative to this folder, and paths."""
        if self.deep:
            return walker.images(self.folder)
        return ((name, str(self.folder / name)) for name in walker.pictures(self.folder))

    def expected(self, subset: str) -> PromisedLevel:
        return PromisedLevel(str(self.folder), subset, self.level, str(self.folder))


@dataclass(frozen=True, eq=False)
class SubsetFolder:
    """A folder that holds one subset (of ``multidog``: several), and the names of the folders above it."""

    folder: Path
    trail: tuple[str, ...]
    walker: Walker
    given: Policy | None = None

    @property
    def own(self) -> str:
        return self.trail[-1]

    @property
    def name(self) -> str:
        """What the subset is called: ``mvtec_bottle`` below the benchmark's ``mvtec``, else as its folder is."""
        identity = self.identity
        if identity and identity.part and len(self.trail) > 1 and identity.benchmark.is_called(self.trail[-2]):
            return f"{identity.benchmark.key}_{identity.part}"
        return self.own

    @cached_property
    def identity(self) -> Identity | None:
        """Which subset of the benchmark this is, by the folders' names or by its own and its defect types'."""
        by_defects = (Identity(b, self.own) for b in BENCHMARKS if self._is_covered(built_in(b.key)))
        return identify(self.trail) or next(by_defects, None)

    @cached_property
    def policy(self) -> Policy | None:
        """The policy given, or one that lies in this folder or above it, or the benchmark's own; the plan above all."""
        beside = policy_beside(self.folder, self.walker, self.given)
        if beside is None and self.identity:
            return self.walker.plan.policy(built_in(self.identity.benchmark.key))
        return beside

    @cached_property
    def classes(self) -> list[Class]:
        """The folders of images of this subset."""
        named = _classes(self.folder, self.walker, self._told)
        return [replace(c, written=self._published(c) or c.written) for c in named]

    @cached_property
    def images(self) -> list[Found]:
        """Every image in those folders; their level is NaN where no folder says it."""
        result = []
        for c in self.classes:
            by_relative = dict(c.images(self.walker))
            open_to_others = not c.word and (not c.deep or math.isnan(c.level))
            words = yolo_words(by_relative.values(), self.walker) if open_to_others else {}
            for relative in sorted(by_relative):
                within = c.prefix + relative
                split = c.split or SPLITS.get(relative.partition("/")[0].lower() if "/" in relative else "")
                image = Found(
                    self.name,
                    within,
                    by_relative[relative],
                    c.written + relative,
                    split_of(split, c.level),
                    c.level,
                    c.defect,
                    promise=str(c.folder),
                    origin=self.walker.relative(c.folder),
                    word=c.word,
                )
                image = self._by_classes(image, split, words[image.path]) if words else image
                result.append(self._undecided(image, c))
        return [*result, *self._unsorted()]

    def leftovers(self) -> list[Problem]:
        """Files here that belong to no image of the subset."""
        loose = [str(self.folder / n) for n in self.walker.pictures(self.folder)] if self.identity else []
        strangers = [s for c in self.classes if c.deep for s in self.walker.strangers(c.folder)]
        return [
            *unmatched(loose, "This image lies in no folder that says its level."),
            *not_read(strangers),
        ]

    def card(self, listed_by_template: bool) -> SubsetCard:
        """Domain and levels as the benchmark has them; an industrial layout is told by its folders."""
        if self.identity:
            return self.identity.card()
        if not any(c.defect for c in self.classes if c.split == "test"):
            return SubsetCard()
        economic = listed_by_template and all(level_key(c.level) in ECONOMIC.levels for c in self.classes)
        return ECONOMIC if economic else SubsetCard("industrial")

    @cached_property
    def loose(self) -> frozenset[str]:
        """Images that lie right in a folder of a split: only its name says anything about them."""
        return frozenset(path for c in self.classes if not c.deep for _, path in c.images(self.walker))

    def _unsorted(self) -> list[Found]:
        """Pictures right in this folder, about which nothing says anything; the benchmark's folders have none."""
        names = [] if self.identity else sorted(self.walker.pictures(self.folder))
        origin = self.walker.relative(self.folder)
        return [
            Found(self.name, n, str(self.folder / n), n, "test", UNLABELLED, promise=str(self.folder), origin=origin)
            for n in names
        ]

    def _undecided(self, image: Found, c: Class) -> Found:
        """An image of which nothing says the level is tested without one where nobody could expect that it does."""
        if not math.isnan(image.level) or image.word:
            return image
        silent = (not c.deep or plain(c.folder.name) in UNSORTED) and image.promise == str(c.folder)
        if not (silent or self.walker.plan.unlabelled):
            return image
        return without_level(replace(image, defect=None) if silent and image.defect == c.defect else image)

    def _by_classes(self, image: Found, split: str | None, words: str | None) -> Found:
        """An image with the level of the classes that a text of YOLO gives it: that of the most severe of them."""
        if words == "":
            return replace(image, level=0.0, split=split, defect=None)
        if words is None:
            return without_level(replace(image, defect=None))
        defects = words.split(",")
        level = self._level(words)
        if math.isnan(level) and defects:
            levels = [self._level(d) for d in defects]
            level = UNLABELLED if UNLABELLED in levels else max(levels)
            level = math.nan if any(map(math.isnan, levels)) else level
        levelled = not math.isnan(level)
        promise = image.promise if levelled else f"{image.promise}/{words}"
        return replace(
            image,
            level=level,
            split=split_of(split, level) if levelled else split,
            defect=words,
            promise=promise,
            word=words if levelled else "",
        )

    def _level(self, defect: str) -> float:
        level = self.policy.level(defect, self.own, self.name) if self.policy else None
        return math.nan if level is None else level

    def _told(self, folder: Path) -> float | None:
        """The level that the plan gives a folder, or a policy its name, NaN for none; None where nobody says it."""
        told = self.walker.plan.folder(self.walker.relative(folder))
        if told and told.level is not None:
            return told.level
        return self.policy.level(folder.name, self.own, self.name) if self.policy else None

    def _published(self, c: Class) -> str | None:
        """How templates write a folder that carries a defect type alone, as raw MVTec AD has them."""
        identity = self.identity
        if identity is None or c.split != "test" or looks_levelled(c.folder.name):
            return None
        named = identity.benchmark.test_folder(identity.part, c.folder.name, c.level)
        return f"{named}/" if named else None

    def _is_covered(self, policy: Policy | None) -> bool:
        """Whether a policy names this subset and every defect type in it."""
        if policy is None or not policy.covers(self.own):
            return False
        defects = [c.defect for c in _classes(self.folder, self.walker, lambda _: None) if c.defect]
        return bool(defects) and all(policy.level(d, self.own) is not None for d in defects)


def without_level(image: Found) -> Found:
    """An image that is tested without a level."""
    return replace(image, level=UNLABELLED, split="test")


def policy_beside(folder: Path, walker: Walker, given: Policy | None) -> Policy | None:
    """The levels of words: of the plan, then of the policy given or of the nearest one in a folder or above it."""
    if given is None:
        for place in (folder, *folder.parents):
            if not place.is_relative_to(walker.root):
                break
            names = [n for n in walker.files(place) if n.lower() in FILE_NAMES]
            if names:
                return walker.plan.policy(read_policy(place / names[0]))
    return walker.plan.policy(given)


def is_place(folder: Path, walker: Walker, given: Policy | None = None) -> bool:
    """Whether a folder holds a subset: a folder a split, or folders whose level a name, a policy or the plan says."""
    inside = walker.image_folders(folder)
    if any(SPLITS.get(f.name.lower()) in ("train", "test") for f in inside):
        return True
    if any(meaning(f.name) or _told_level(f, walker) for f in inside):
        return True
    filled = [f for f in inside if looks_short(f.name) or next(walker.images(f), None)]
    policy = policy_beside(folder, walker, given) if filled else None
    if policy and any(policy.level(f.name, folder.name) is not None for f in filled):
        return True
    by_name = meanings(f.name for f in filled)
    return any(by_name.values()) and not any(is_place(f, walker, given) for f in filled if by_name[f.name])


def _told_level(folder: Path, walker: Walker) -> bool:
    told = walker.plan.folder(walker.relative(folder)) if walker.plan.folders else None
    return told is not None and told.level is not None


def _classes(folder: Path, walker: Walker, told: Callable[[Path], float | None]) -> Iterator[Class]:
    inside = walker.image_folders(folder)
    plain_folders = [f for f in inside if f.name.lower() not in SPLITS]
    yield from _siblings(plain_folders, "", "", None, walker, told)
    for container in inside:
        split = SPLITS.get(container.name.lower())
        if split is None:
            continue
        prefix = f"{container.name}/"
        written = "" if split == "test" else prefix
        yield from _siblings(walker.image_folders(container), prefix, written, split, walker, told)
        for around in (f for f in walker.image_folders(container) if _only_holds(f, walker, told)):
            ahead = f"{around.name}/"
            yield from _siblings(walker.image_folders(around), prefix + ahead, written + ahead, split, walker, told)
        if walker.pictures(container):
            level = told(container)
            if level is None:
                level = 0.0 if split == "train" else math.nan
            yield Class(container, prefix, written, split, level, None, deep=False)


def _only_holds(folder: Path, walker: Walker, told: Callable[[Path], float | None]) -> bool:
    """Whether a folder in one of a split is called as those of images and holds folders alone: these say the level."""
    if plain(folder.name) not in UNSORTED or folder.parent.name.lower() not in SPLITS or told(folder) is not None:
        return False
    return not walker.pictures(folder) and bool(walker.image_folders(folder))


def _siblings(
    folders: Sequence[Path],
    prefix: str,
    written: str,
    split: str | None,
    walker: Walker,
    told: Callable[[Path], float | None],
) -> Iterator[Class]:
    """The classes of folders that lie beside each other; one without images and without a level is none."""
    filled = [f.name for f in folders if looks_short(f.name) or next(walker.images(f), None)]
    by_name = meanings(filled)
    for f in folders:
        m, level, word = by_name.get(f.name) or meaning(f.name), told(f), ""
        if m is None and level is None and (f.name not in by_name or _only_holds(f, walker, told)):
            continue
        if level is not None:
            word, defect = "" if _told_level(f, walker) else f.name, (m.defect if m else f.name)
        else:
            level, defect = (m.level, m.defect) if m else (math.nan, f.name)
        part = split or (m.split if m else None)
        yield Class(f, f"{prefix}{f.name}/", f"{written}{f.name}/", part, level, defect, word=word)


def _what_it_is(path: str) -> str:
    kind, image = kind_of(Path(path)), image_kind(path)
    if kind is None and image is not None:
        return f"an image ({image}) that is not called as one: give its name the suffix of its format"
    return kind or "no image of a known format"


def not_read(paths: Iterable[str]) -> list[Problem]:
    """Files that are no pictures, each kind named for what it is."""
    by_words: dict[str, list[str]] = {}
    for path in paths:
        by_words.setdefault(f"This file is {_what_it_is(path)}.", []).append(path)
    return [problem for words, group in by_words.items() for problem in unmatched(group, words)]


def unmatched(paths: Iterable[str], words: str) -> list[Problem]:
    return listed(Problem("unmatched", path, words) for path in paths)
