"""The six datasets of MAD-Bench (arXiv 2411.14515) as published: what they are, their levels, their test lists.

The facts stand in ``published/*.yaml``, a file a dataset, which is its card.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from mad_core.datasets.dataset import Card, Domain, LevelMeaning, SubsetCard, level_key
from mad_core.datasets.naming import meaning, plain
from mad_core.datasets.policies import Policy, defect_key, read_yaml

_PUBLISHED = Path(__file__).parent / "published"
_ORDER = ("mvtec", "visa", "covid19", "diabetic-retinopathy", "skin-lesion", "multidog")
DOMAIN_FOLDERS = {
    "industry": "industrial",
    "medical": "medical",
    "oneclassnovelty": "novelty",
    "noveltyclass": "novelty",
}
"""The folders of the published tree that hold the datasets of one domain, as :func:`naming.plain` writes them."""


@dataclass(frozen=True)
class PublishedClass:
    """Test images of one subset: their defect type or folder, their level, and how many were published."""

    name: str
    level: float
    images: int


@dataclass(frozen=True, eq=False)
class Benchmark:
    """One dataset of the benchmark.

    Parameters
    ----------
    key, title : str
    domain : str
    folder : str
        Where it lies in the published tree.
    train, test : str
        Where a subset's training normals and the test images of one class lie in the subset's folder;
        ``{name}``, ``{level}`` and ``{subset}`` are to be filled in.
    levels : mapping
        Names and meanings by :func:`level_key`.
    rubric : str
        The id of its rubric.
    subsets : mapping
        The published test images by subset; a dataset without subsets of its own has one that is called as it is.
    product : str
        What its images show; the subset's name where that is empty.
    spellings : frozenset
        Further names, as :func:`naming.plain` writes them.
    source, licence : str
        Sentences.
    """

    key: str
    title: str
    domain: Domain
    folder: str
    train: str
    test: str
    levels: Mapping[str, LevelMeaning]
    rubric: str
    subsets: Mapping[str, tuple[PublishedClass, ...]]
    product: str = ""
    spellings: frozenset[str] = field(default_factory=frozenset)
    source: str = ""
    licence: str = ""

    @property
    def parts(self) -> bool:
        """Whether it has subsets of its own."""
        return self.key not in self.subsets

    def card(self, part: str = "") -> SubsetCard:
        """The card of a subset; ``part`` is its name within the dataset (``metal_nut``)."""
        return SubsetCard(self.domain, self.levels, product=self.product or part.replace("_", " "), rubric=self.rubric)

    def is_called(self, name: str) -> bool:
        return plain(name) in {plain(self.key), *self.spellings}

    def subset_name(self, part: str) -> str:
        """What a subset is called in templates and result files: ``mvtec_bottle``, ``covid19``."""
        return f"{self.key}_{part}" if self.parts else self.key

    def classes(self, part: str) -> tuple[PublishedClass, ...]:
        """The published test images of a subset; nothing where it was not published."""
        return next((c for name, c in self.subsets.items() if not self.parts or plain(name) == plain(part)), ())

    def counts(self, part: str) -> dict[str, int]:
        """Published test images of a subset by level, as :func:`level_key` writes it."""
        result: dict[str, int] = {}
        for c in sorted(self.classes(part), key=lambda c: c.level):
            result[level_key(c.level)] = result.get(level_key(c.level), 0) + c.images
        return result

    def test_folder(self, part: str, defect: str, level: float) -> str | None:
        """How templates write the folder of a defect type, such as ``melt,scratch_level_2``.

        Returns
        -------
        str or None
            None where the benchmark publishes no such images of this subset, or at another level.
        """
        for c in self.classes(part):
            if defect_key(c.name) == defect_key(defect) and c.level == level:
                path = self.test.format(name=c.name, level=level_key(level), subset=part)
                return path.removeprefix("test/")
        return None

    @cached_property
    def policy(self) -> Policy | None:
        """The published levels of its defect types; None where the folders themselves say every level."""
        by_subset = {
            plain(subset): {defect_key(c.name): c.level for c in classes if meaning(c.name) is None}
            for subset, classes in self.subsets.items()
        }
        filled = {subset: levels for subset, levels in by_subset.items() if levels}
        return Policy(f"of {self.title} as published", by_subset=filled) if filled else None


def _read(key: str) -> Benchmark:
    data: dict[str, Any] = read_yaml(_PUBLISHED / f"{key}.yaml")
    levels = {k: LevelMeaning(m["name"], m["meaning"]) for k, m in data.pop("levels").items()}
    subsets = {
        subset: tuple(PublishedClass(name, float(level), images) for name, (level, images) in classes.items())
        for subset, classes in data.pop("subsets").items()
    }
    return Benchmark(key=key, levels=levels, subsets=subsets, spellings=frozenset(data.pop("spellings", ())), **data)


BENCHMARKS = tuple(_read(key) for key in _ORDER)
"""The benchmark's six datasets."""

ECONOMIC = SubsetCard("industrial", BENCHMARKS[0].levels)
"""The card of any industrial subset that is laid out and listed as the benchmark does it."""


@cache
def built_in(dataset: str) -> Policy | None:
    """The published levels of ``mvtec``, ``visa`` and ``skin-lesion``; None for other datasets."""
    return next((b.policy for b in BENCHMARKS if b.key == dataset), None)


@dataclass(frozen=True)
class Identity:
    """Which dataset of the benchmark a folder holds, and the subset's name within it (or nothing)."""

    benchmark: Benchmark
    part: str = ""

    def card(self) -> SubsetCard:
        return self.benchmark.card(self.part)

    @property
    def published(self) -> bool:
        """Whether the benchmark has such a subset; ``toothbrush`` it has not."""
        return bool(self.benchmark.classes(self.part))


def identify(trail: Sequence[str]) -> Identity | None:
    """What the names of a folder and those above it say; None for other data.

    ``("data", "mvtec", "bottle")``, ``("mvtec_bottle",)``, ``("Covid19",)``.
    """
    name = trail[-1]
    above = trail[-2] if len(trail) > 1 else ""
    for benchmark in BENCHMARKS:
        if benchmark.is_called(name):
            return Identity(benchmark)
        if benchmark.parts and above and benchmark.is_called(above):
            return Identity(benchmark, name)
        first, _, rest = name.partition("_")
        if benchmark.parts and rest and benchmark.is_called(first):
            return Identity(benchmark, rest)
    return None


def rounds_up(subsets: Iterable[str], card: Card) -> dict[str, bool]:
    """Of which subsets metrics round half levels up: of the benchmark's own, by its protocol."""
    return {subset: recognise(subset, card.subset(subset)) is not None for subset in set(subsets)}


def results_rounded_up(path: Path, subsets: Iterable[str]) -> list[bool]:
    """Of which rows of a score file metrics round half levels up: of files and subsets called as the benchmark's are.

    Result files are called ``<model>_<dataset>_<subset>.csv``.
    """
    parts = path.stem.split("_")
    of_file = any(_is_published("_".join(parts[start:])) for start in range(len(parts)))
    names = [str(subset) for subset in subsets]
    of_name = {name: _is_published(name) if name else of_file for name in set(names)}
    return [of_name[name] or of_file for name in names]


def _is_published(name: str) -> bool:
    identity = identify((name,))
    return identity is not None and identity.published and bool(identity.part) == identity.benchmark.parts


def recognise(subset: str, card: SubsetCard) -> Identity | None:
    """Which published subset an imported one is, by its card, else by its name; None for other data."""
    for benchmark in BENCHMARKS:
        if (card.rubric, card.domain) != (benchmark.rubric, benchmark.domain):
            continue
        for part in benchmark.subsets:
            if card.product == benchmark.card(part).product:
                return Identity(benchmark, part if benchmark.parts else "")
    identity = identify((subset,))
    return identity if identity and identity.published and bool(identity.part) == identity.benchmark.parts else None
