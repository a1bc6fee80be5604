"""How far apart severity levels lie in feature space, subset against subset: no scorer is asked.

Three views (:mod:`mad_core.metrics.separation`): a linear probe, ridge regression of the level, which predicts images
that it has not seen; silhouettes of levels; and distance between levels against distance within them. Each feature is
set to mean 0 and spread 1 within a subset. The probe decides what is said, since it alone looks at the order.

Intervals come from halves of the images, with everything done again on each. They are rather too wide than too narrow:
two subsets drawn from one and the same distribution (200 trials for each of 9 distributions, from no separation to
perfect order, 3 to 5 levels, 8 to 20 images a level) had a 95 % interval of their difference without 0 in at most 3.5 %
of the trials, in each of the three measures; and 95 % intervals held the mean of the trials in 97.5 % or more. Three
subsets of the demo in both feature spaces, dealt at random into two of 13 images a level (200 trials each): at most
1.5 % by the probe, which decides, 5 % by the silhouette and 2.5 % by the distances; 99 % or more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mad_core.datasets.dataset import Dataset
from mad_core.datasets.madbench import rounds_up
from mad_core.errors import InputError
from mad_core.labelled import labelled
from mad_core.metrics.ranking import as_short, rounded_up, told_apart
from mad_core.metrics.separation import (
    FOLDS,
    PENALTY,
    Separation,
    halves,
    joined,
    measured,
    products_and_distances,
    spread_factor,
    standardised,
)
from mad_core.metrics.units import held
from mad_core.studies.estimates import Estimate, Ranking, mean, order_of
from mad_core.studies.finding import Finding
from mad_core.studies.separability.features import features
from mad_core.studies.study import Work

QUICK_IMAGES, MOST_IMAGES = 60, 1000
"""Images a subset, levels in their shares: in quick mode, and at most."""
DRAWS = 1000
FEWEST = 3
"""Images that a level has at least; smaller ones are left out."""
MEDICAL, NOT_MEDICAL = "medical", ("industrial", "novelty")
_LISTED = 6
_MEASURES = ("probe_c_index", "silhouette", "between_within")


@dataclass(frozen=True, eq=False)
class SubsetFeatures:
    """Features of one subset.

    Parameters
    ----------
    vectors : ndarray of shape (n, d)
    levels : ndarray of shape (n,)
        Half levels are rounded up.
    domain : str
    dataset : str
        Name of the dataset it is of.
    groups : ndarray of shape (n,), optional
        What images belong to; None where one stands alone.
    """

    vectors: np.ndarray
    levels: np.ndarray
    domain: str = "other"
    dataset: str = ""
    groups: np.ndarray | None = None

    @property
    def units(self) -> np.ndarray | None:
        """What belongs together, as :func:`mad_core.metrics.units.held` gives it."""
        return held(self.levels, self.groups)


def run(work: Work) -> Finding:
    """Take features of the test images and compare the subsets, with those of another dataset where one is named."""
    sources = _sources(work)
    limit = QUICK_IMAGES if work.quick else MOST_IMAGES
    chosen = {
        dataset_id: work.store.test_images(_once(dataset), (), limit, work.seed)
        for dataset_id, dataset in sources.items()
    }
    total, done = sum(map(len, chosen.values())), 0
    places: dict[str, SubsetFeatures] = {}
    for dataset_id, images in chosen.items():
        dataset = sources[dataset_id]
        for subset, rows in images.groupby("subset"):
            name = str(subset) if len(sources) == 1 else f"{dataset.name}: {subset}"
            vectors, which = features(
                work, dataset_id, rows, work.parameters["features"], lambda n, at=done: work.progress(at + n, total)
            )
            domain = dataset.card.subset(str(subset)).domain
            up = rounds_up([str(subset)], dataset.card)[str(subset)]
            levels = (rounded_up if up else told_apart)(rows["level"])[which]
            groups = rows["group"].to_numpy(dtype=object)[which]
            places[name] = SubsetFeatures(vectors, levels, domain, dataset.name, groups)
            done += len(rows)
    finding = separability(places, draws=DRAWS, seed=work.seed, step=work.check_cancel)
    used = sum(finding.tables["subsets"]["images"].tolist())
    of = sum(len(labelled(dataset.select(split="test"))) for dataset in sources.values())
    start = f"On a sample of {used:,} of {of:,} test images: " if used < of else ""
    facts = {
        **finding.facts,
        "images": used,
        "test_images": of,
        "features": work.parameters["features"],
        "datasets": {dataset_id: dataset.name for dataset_id, dataset in sources.items()},
    }
    sentence = finding.sentence
    return replace(finding, sentence=start + sentence[0].lower() + sentence[1:] if start else sentence, facts=facts)


def _sources(work: Work) -> dict[str, Dataset]:
    """The dataset, and the one to compare it with, by id.

    Raises
    ------
    InputError
        If no other imported dataset has that name or id.
    """
    named = str(work.parameters["against"]).strip()
    sources = {work.dataset_id: work.dataset}
    if not named:
        return sources
    others = {info.id: info.name for info in work.store.datasets() if info.id != work.dataset_id}
    ids = [dataset_id for dataset_id, name in others.items() if named in (dataset_id, name)]
    if not ids:
        names = ", ".join(others.values()) or "none"
        raise InputError(f"No other imported dataset is called '{named}'; others here: {names}.")
    return sources | {ids[0]: work.store.dataset(ids[0])}


def _once(dataset: Dataset) -> Dataset:
    """The test images, each content once a subset: a copy in another fold would tell the probe the answer."""
    test: Any = labelled(dataset.select(split="test"))
    return replace(dataset, table=test.drop_duplicates(["subset", "content_hash"]))


def _nothing() -> None:
    """Go on."""


def separability(
    places: Mapping[str, SubsetFeatures], *, draws: int, seed: int = 0, step: Callable[[], None] = _nothing
) -> Finding:
    """The finding, from features.

    Parameters
    ----------
    places : mapping of subset to SubsetFeatures
    draws : int
        Halves that are drawn for the intervals.
    step : callable
        Called now and then; raises to stop the work.

    Raises
    ------
    InputError
        If no subset has two levels with :data:`FEWEST` images.
    """
    usable = {name: part for name, place in places.items() if (part := _usable(place)) is not None}
    if not usable:
        raise InputError(
            f"No subset has two levels with {FEWEST} readable test images each, so there is nothing to separate."
        )
    learn = min(len(place.levels) for place in usable.values()) * (FOLDS - 1) // FOLDS
    results = {
        name: _separation_of(place, draws, np.random.default_rng([seed, number]), learn, step)
        for number, (name, place) in enumerate(usable.items())
    }
    probes = {name: one.whole["probe_c_index"] for name, one in results.items()}
    order = order_of(probes)
    domains, gap = _domains(usable, results)
    facts: dict[str, Any] = {
        "folds": FOLDS,
        "penalty": PENALTY,
        "probe_learns_from": learn,
        "draws": draws,
        "seed": seed,
        "left_out": [name for name in places if name not in usable],
        "confidence_of_pairs": None if order is None else order.confidence,
        "medical_less_others": None if gap is None else {"value": gap.value, "interval": gap.interval()},
    }
    sentences = [_subsets_in_words(probes, order), *_medical_in_words(usable, gap), _numbers_in_words(probes)]
    return Finding(
        "separability",
        "Separability of levels in feature space",
        " ".join(sentences),
        "It holds for these features and a linear probe: another backbone may separate what this one does not. "
        f"The probe learns from {learn} images everywhere, but a subset with more levels, or with levels that lie "
        "further apart, is easier. Intervals are over images; the subsets are taken as they are.",
        {
            "subsets": pd.DataFrame([_row(name, usable[name], one) for name, one in results.items()]),
            "levels": pd.DataFrame([row for name, one in results.items() for row in one.levels(name)]),
            "pairs": pd.DataFrame([row for name, one in results.items() for row in one.pairs(name)]),
            "domains": domains,
        },
        facts,
    )


def _usable(place: SubsetFeatures) -> SubsetFeatures | None:
    """Small levels left out; None where fewer than two are left."""
    levels = told_apart(place.levels)
    distinct, counts = np.unique(levels, return_counts=True)
    kept = np.isin(levels, distinct[counts >= FEWEST])
    if len(np.unique(levels[kept])) < 2:
        return None
    groups = None if place.groups is None else place.groups[kept]
    return replace(place, vectors=place.vectors[kept], levels=levels[kept], groups=groups)


# -- one subset -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Separation:
    """One subset: values with their draws."""

    levels_known: np.ndarray
    counts: np.ndarray
    whole: Mapping[str, Estimate]
    silhouettes: Sequence[Estimate]
    ratios: Mapping[tuple[int, int], Estimate]
    orders: Mapping[tuple[int, int], Estimate]

    def levels(self, subset: str) -> list[dict[str, Any]]:
        """A row for each level."""
        each = zip(self.levels_known, self.counts, self.silhouettes, strict=True)
        return [
            {"subset": subset, "level": as_short(level), "images": int(count)} | result.columns("silhouette")
            for level, count, result in each
        ]

    def pairs(self, subset: str) -> list[dict[str, Any]]:
        """A row for each pair of levels, the less severe one first."""
        return [
            {"subset": subset, "level": as_short(self.levels_known[i]), "other": as_short(self.levels_known[j])}
            | {"images": int(self.counts[i] + self.counts[j])}
            | ratio.columns("between_within")
            | self.orders[i, j].columns("probe_order")
            for (i, j), ratio in self.ratios.items()
        ]


def _separation_of(
    place: SubsetFeatures, draws: int, rng: np.random.Generator, learn: int, step: Callable[[], None]
) -> _Separation:
    levels, units = place.levels, place.units
    distinct, counts = np.unique(levels, return_counts=True)
    space = products_and_distances(standardised(place.vectors))
    value = measured(*space, levels, rng, learn, units)
    parts: list[Separation] = []
    for part in halves(*space, levels, draws, rng, learn, units):
        step()
        parts.append(part)
    drawn, factor = joined(parts), spread_factor(levels, units)

    def spread(at: np.ndarray, over: np.ndarray) -> Estimate:
        return Estimate(float(at), at + (over - over.mean()) * factor)

    def share(at: np.ndarray, over: np.ndarray, images: int) -> Estimate:
        """Half an image is the least that a share is uncertain by, also where every half is in perfect order."""
        plain = spread(at, over)
        return replace(plain, draws=np.clip(plain.draws + rng.normal(0, 0.5 / images, len(over)), 0, 1))

    pairs = [(i, j) for i in range(len(distinct)) for j in range(i + 1, len(distinct))]
    return _Separation(
        distinct,
        counts,
        {
            "probe_c_index": share(value.order, drawn.order, len(levels)),
            "silhouette": spread(value.silhouette, drawn.silhouette),
            "between_within": spread(value.ratio, drawn.ratio),
        },
        [spread(value.silhouettes[i], drawn.silhouettes[:, i]) for i in range(len(distinct))],
        {(i, j): spread(value.ratios[i, j], drawn.ratios[:, i, j]) for i, j in pairs},
        {(i, j): share(value.orders[i, j], drawn.orders[:, i, j], int(counts[i] + counts[j])) for i, j in pairs},
    )


def _row(name: str, place: SubsetFeatures, result: _Separation) -> dict[str, Any]:
    row = {"subset": name, "dataset": place.dataset, "domain": place.domain, "images": len(place.levels)}
    row["levels"] = len(result.levels_known)
    for measure in _MEASURES:
        row |= result.whole[measure].columns(measure)
    return row


def _domains(
    places: Mapping[str, SubsetFeatures], results: Mapping[str, _Separation]
) -> tuple[pd.DataFrame, Estimate | None]:
    """The plain mean of each measure over the subsets of a domain; and the probe's, medical less the others."""
    rows = []
    for domain in sorted({place.domain for place in places.values()}):
        row: dict[str, Any] = {"domain": domain, "subsets": sum(p.domain == domain for p in places.values())}
        for measure in _MEASURES:
            over = mean([results[name].whole[measure] for name, place in places.items() if place.domain == domain])
            row |= over.columns(measure) if over else {}
        rows.append(row)
    medical, others = (
        mean([results[name].whole["probe_c_index"] for name, place in places.items() if place.domain in domains])
        for domains in ((MEDICAL,), NOT_MEDICAL)
    )
    return pd.DataFrame(rows), medical - others if medical and others else None


# -- in words -------------------------------------------------------------------------------------


def _subsets_in_words(probes: Mapping[str, Estimate], order: Ranking | None) -> str:
    """Whether levels are in order at all, for one subset; which subset is the hardest, for several."""
    if order is None:
        above = next(iter(probes.values())) - Estimate(0.5, np.array(0.5))
        words = {1: "Features order levels better than chance", -1: "Features order levels worse than chance"}
        return f"{words.get(above.sign(), 'No clear difference from chance in how features order levels')}."
    if order.widest is None:
        return "No clear difference between the subsets in how well features separate levels."
    easy, hard, gap = order.widest
    by = gap.in_words(confidence=order.confidence)
    wide = f", a {100 * order.confidence:.3g} % interval for {order.pairs} pairs of subsets" if order.pairs > 1 else ""
    return (
        f"Levels of {hard} are harder to separate than those of {easy}: "
        f"the C-index of a linear probe is lower by {by}{wide}."
    )


def _medical_in_words(places: Mapping[str, SubsetFeatures], gap: Estimate | None) -> list[str]:
    """Whether medical subsets separate less than industrial and novelty ones; nothing where one kind is missing."""
    if gap is None:
        return []
    medical = sum(place.domain == MEDICAL for place in places.values())
    others = sum(place.domain in NOT_MEDICAL for place in places.values())
    words = {
        -1: "Medical subsets separate less than the others",
        1: "Medical subsets separate more than the others",
        0: "No clear difference between medical subsets and the others",
    }
    return [f"{words[gap.sign()]}: {gap.in_words()} on average, {medical} against {others}."]


def _numbers_in_words(probes: Mapping[str, Estimate]) -> str:
    """The probe's C-index of each subset, the hardest first; of many only that of the first and the last."""
    names = sorted(probes, key=lambda name: probes[name].value)
    which = "C-index of the probe, 0.5 is chance"
    if len(names) > _LISTED:
        names, which = [names[0], names[-1]], f"{which}, hardest and easiest of {len(names)} subsets"
    return f"{which}, 95 % intervals: {', '.join(f'{name} {probes[name].in_words()}' for name in names)}."
