"""What an imported dataset has of the published benchmark: complete, incomplete and absent subsets."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mad_core.datasets.dataset import Card, Dataset, SubsetCard
from mad_core.datasets.madbench import BENCHMARKS, DOMAIN_FOLDERS, Benchmark, Identity, identify, recognise
from mad_core.datasets.naming import plain
from mad_core.datasets.readers.archives import name_of
from mad_core.datasets.readers.tables import subset_named
from mad_core.tables import is_table

COMPLETE, INCOMPLETE, MORE, ABSENT = "complete", "incomplete", "more", "absent"
_NAMED = 6
"""Subsets that a sentence names one by one."""


@dataclass(frozen=True)
class Completeness:
    """One published subset, and what of it is there.

    Parameters
    ----------
    identity : Identity
    subset : str
        What it is called in the imported dataset; as templates call it where it is absent.
    train : int
        Training normals found. How many were published is not fixed by the test lists.
    test : mapping
        Test images found, by level.
    present : bool
        Whether the imported dataset has such a subset.
    """

    identity: Identity
    subset: str
    train: int = 0
    test: Mapping[str, int] = field(default_factory=dict)
    present: bool = False

    @property
    def published(self) -> dict[str, int]:
        """Published test images by level."""
        return self.identity.benchmark.counts(self.identity.part)

    @property
    def levels(self) -> list[str]:
        """Levels that were published or found, least severe first."""
        return sorted({*self.published, *self.test}, key=float)

    @property
    def state(self) -> str:
        """``complete``, ``incomplete`` (test images or all training normals missing), ``more`` or ``absent``."""
        if not self.present:
            return ABSENT
        surplus = [self.test.get(level, 0) - self.published.get(level, 0) for level in self.levels]
        if min(surplus) < 0 or not self.train:
            return INCOMPLETE
        return MORE if max(surplus) > 0 else COMPLETE

    def differs(self) -> str:
        """How it differs from what was published: ``3 test images missing, no training normals``."""
        surplus = [self.test.get(level, 0) - self.published.get(level, 0) for level in self.levels]
        missing, more = -sum(n for n in surplus if n < 0), sum(n for n in surplus if n > 0)
        words = ((missing, "missing"), (more, "more than published"))
        parts = [f"{n} test {'image' if n == 1 else 'images'} {word}" for n, word in words if n]
        return ", ".join([*parts, *([] if self.train else ["no training normals"])])

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": self.identity.benchmark.key,
            "title": self.identity.benchmark.title,
            "subset": self.subset,
            "state": self.state,
            "train": self.train,
            "test": {
                level: {"found": self.test.get(level, 0), "published": self.published.get(level, 0)}
                for level in self.levels
            },
        }


def against_published(dataset: Dataset) -> list[Completeness]:
    """Every published subset that is here or should be, in the benchmark's order.

    What should be here follows from what the dataset was imported from: a subset's folder holds one,
    a dataset's folder its subsets, ``Industry`` and its like the datasets of a domain, any other
    folder all six.

    Returns
    -------
    list of Completeness
        Empty where nothing of the benchmark was found.
    """
    imported = [one for entry in dataset.counts() if (one := _of_subset(entry, dataset.card.subset(entry["subset"])))]
    if not imported:
        return []
    present = {_key(one.identity) for one in imported}
    expected = (
        [] if _is_one_subset(dataset) else _expected(dataset.source, [one.identity.benchmark for one in imported])
    )
    absent = [Completeness(i, i.benchmark.subset_name(i.part)) for i in expected if _key(i) not in present]
    order = [b.key for b in BENCHMARKS]
    both = [*imported, *absent]
    return sorted(both, key=lambda one: (order.index(one.identity.benchmark.key), plain(one.identity.part)))


def in_short(entries: Sequence[Completeness]) -> str:
    """What is complete and what is missing, in sentences."""
    by_state = {state: [e for e in entries if e.state == state] for state in (COMPLETE, INCOMPLETE, MORE, ABSENT)}
    total = len(entries)
    noun = "subset" if total == 1 else "subsets"
    sentences = [f"{len(by_state[COMPLETE])} of {total} published {noun} complete."]
    if by_state[INCOMPLETE]:
        sentences.append(f"Incomplete: {_some([f'{e.subset} ({e.differs()})' for e in by_state[INCOMPLETE]])}.")
    if by_state[MORE]:
        sentences.append(f"More than published: {_some([f'{e.subset} ({e.differs()})' for e in by_state[MORE]])}.")
    if by_state[ABSENT]:
        sentences.append(f"Absent: {', '.join(_absent(by_state[ABSENT], entries))}.")
    return " ".join(sentences)


def table_lines(entries: Sequence[Completeness]) -> list[str]:
    """The subsets that are here as lines of text: state, training normals, found / published by level."""
    present = [e for e in entries if e.present]
    if not present:
        return []
    width = max(len("subset"), *(len(e.subset) for e in present)) + 2
    lines = [f"{'subset':<{width}}{'state':<12}{'train':<7}test: found/published"]
    for e in present:
        cells = (f"L{level}: {e.test.get(level, 0)}/{e.published.get(level, 0)}" for level in e.levels)
        lines.append(f"{e.subset:<{width}}{e.state:<12}{e.train:<7}{'  '.join(cells)}")
    return lines


def with_published_facts(card: Card, subsets: Mapping[str, SubsetCard]) -> Card:
    """A card that says source and licence where every subset is one of the benchmark."""
    identities = [recognise(name, subset) or identify((name,)) for name, subset in subsets.items()]
    benchmarks = [b for b in BENCHMARKS if any(i and i.benchmark is b for i in identities)]
    if not benchmarks or not all(identities):
        return card
    if len(benchmarks) == 1:
        return replace(card, source=benchmarks[0].source, licence=benchmarks[0].licence)
    return replace(
        card,
        source=" ".join(f"{b.title}: {b.source}" for b in benchmarks),
        licence=" ".join(f"{b.title}: {b.licence}" for b in benchmarks),
    )


def _of_subset(entry: Mapping[str, Any], card: SubsetCard) -> Completeness | None:
    identity = recognise(entry["subset"], card)
    if identity is None:
        return None
    return Completeness(identity, entry["subset"], sum(entry["train"].values()), entry["test"], present=True)


def _is_one_subset(dataset: Dataset) -> bool:
    """Whether it was imported from the folder or table of its only subset."""
    source = Path(dataset.source)
    names = {source.name, name_of(source), subset_named(source) if is_table(source) else "", dataset.name}
    return len(dataset.subsets) == 1 and plain(dataset.subsets[0]) in set(map(plain, names))


def _expected(source: str, benchmarks: Iterable[Benchmark]) -> list[Identity]:
    benchmarks, names = list(benchmarks), (Path(source).name, name_of(Path(source)))
    named = next(filter(None, (identify((name,)) for name in names)), None)
    domain = DOMAIN_FOLDERS.get(plain(names[0]))
    wanted = [named.benchmark] if named else [b for b in BENCHMARKS if domain in (None, b.domain)]
    return [
        Identity(b, part if b.parts else "") for b in BENCHMARKS if b in [*wanted, *benchmarks] for part in b.subsets
    ]


def _key(identity: Identity) -> tuple[str, str]:
    return identity.benchmark.key, plain(identity.part)


def _some(words: Sequence[str]) -> str:
    rest = len(words) - _NAMED
    return "; ".join(words[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _absent(absent: Sequence[Completeness], entries: Sequence[Completeness]) -> list[str]:
    """Absent subsets by name; a dataset of which nothing is here by its title."""
    present = {e.identity.benchmark.key for e in entries if e.present}
    words: dict[str, None] = {}
    for e in absent:
        benchmark = e.identity.benchmark
        whole = benchmark.title + (f" ({len(benchmark.subsets)} subsets)" if benchmark.parts else "")
        words[e.subset if benchmark.key in present else f"all of {whole}"] = None
    return list(words)
