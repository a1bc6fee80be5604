"""What the benchmark says of its datasets (arXiv 2411.14515): names, domains, meanings of levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mad_core.datasets.dataset import Domain, LevelMeaning, SubsetCard
from mad_core.datasets.naming import plain

_ECONOMIC = {
    "0": LevelMeaning("normal", "A sound part."),
    "1": LevelMeaning("usable", "Economic impact: the part can be used as it is."),
    "2": LevelMeaning("repairable", "Economic impact: the part can be used once it is repaired."),
    "3": LevelMeaning("lost", "Economic impact: the part is lost."),
}
_DANGER = {
    "0": LevelMeaning("normal", "Healthy skin."),
    "1": LevelMeaning("benign", "A harmless lesion."),
    "2": LevelMeaning("precancerous", "A lesion that can become cancer."),
    "3": LevelMeaning("malignant", "Skin cancer."),
}
_RETINOPATHY = {
    "0": LevelMeaning("normal", "No diabetic retinopathy."),
    "1": LevelMeaning("mild", "Mild non-proliferative diabetic retinopathy."),
    "2": LevelMeaning("moderate", "Moderate non-proliferative diabetic retinopathy."),
    "3": LevelMeaning("severe", "Severe non-proliferative diabetic retinopathy."),
    "4": LevelMeaning("proliferative", "Proliferative diabetic retinopathy."),
}
_LUNG_DAMAGE = {"0": LevelMeaning("normal", "No damage of the lungs.")} | {
    f"{half / 2:g}": LevelMeaning("", f"Extent of lung damage: {half / 2:g} of 6.") for half in range(1, 13)
}
_DISTANCE = {
    "0": LevelMeaning("same breed", "A dog of the breed."),
    "1": LevelMeaning("other dogs", "Distance in meaning: a dog of another breed."),
    "2": LevelMeaning("cats", "Distance in meaning: a cat."),
    "3": LevelMeaning("birds", "Distance in meaning: a bird."),
    "4": LevelMeaning("flowers", "Distance in meaning: a flower."),
}


@dataclass(frozen=True)
class Benchmark:
    """One dataset of the benchmark.

    ``parts`` says whether it has subsets of its own; ``product`` is what its images show (the
    subset's name where that is empty); ``rubric`` is the id of its rubric; ``spellings`` are further
    names, as :func:`naming.plain` writes them.
    """

    key: str
    domain: Domain
    levels: Mapping[str, LevelMeaning]
    rubric: str
    parts: bool = False
    product: str = ""
    spellings: frozenset[str] = field(default_factory=frozenset)

    def card(self, part: str = "") -> SubsetCard:
        """The card of a subset; ``part`` is its name within the dataset (``metal_nut``)."""
        return SubsetCard(self.domain, self.levels, product=self.product or part.replace("_", " "), rubric=self.rubric)

    def is_called(self, name: str) -> bool:
        return plain(name) in {plain(self.key), *self.spellings}


BENCHMARKS = (
    Benchmark(
        "mvtec", "industrial", _ECONOMIC, "mvtec", True, "", frozenset({"mvtecad", "mvtecmad", "mvtecanomalydetection"})
    ),
    Benchmark("visa", "industrial", _ECONOMIC, "visa", True, "", frozenset({"visamad"})),
    Benchmark("covid19", "medical", _LUNG_DAMAGE, "covid19", False, "chest X-ray", frozenset({"covid", "covid19mad"})),
    Benchmark(
        "diabetic-retinopathy",
        "medical",
        _RETINOPATHY,
        "drd",
        False,
        "photograph of the retina",
        frozenset({"drd", "drdmad"}),
    ),
    Benchmark("skin-lesion", "medical", _DANGER, "skin", False, "photograph of the skin", frozenset({"skinlesionmad"})),
    Benchmark("multidog", "novelty", _DISTANCE, "multidogs", True, "", frozenset({"multidogs", "multidogsmad"})),
)
"""The benchmark's six datasets."""

ECONOMIC = SubsetCard("industrial", _ECONOMIC)
"""The card of any industrial subset that is laid out and listed as the benchmark does it."""


@dataclass(frozen=True)
class Identity:
    """Which dataset of the benchmark a folder holds, and the subset's name within it (or nothing)."""

    benchmark: Benchmark
    part: str = ""

    def card(self) -> SubsetCard:
        return self.benchmark.card(self.part)


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
