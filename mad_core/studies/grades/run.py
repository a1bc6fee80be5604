"""How well the learned order agrees with the levels after so many grades, beside the runs that learn from none.

The labelled images of a learned run are graded again, so many of each level at random, and the others judge: the
learned order, its detector and every other run on the same images. A draw is one grading and one resample of the images
that judge it, so an interval holds both; it is widened for few images in the smallest level.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.figures.words import listed
from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.learning.learner import folds_of, learn
from mad_core.metrics.intervals import counted_c_index, expanded, seed_of, stratified_counts
from mad_core.metrics.ranking import told_apart
from mad_core.runs.comparing import distinct_names
from mad_core.runs.learned import learned_images
from mad_core.scorers.catalog import GRADED
from mad_core.studies.estimates import RISK, Estimate, over_subsets
from mad_core.studies.finding import Finding
from mad_core.studies.study import Work

PER_LEVEL = (2, 5, 10, 20)
QUICK_DRAWS, DRAWS = 40, 150
RESAMPLES = 20
"""Of the images that judge a grading."""
DETECTOR = "its detector"


@dataclass(frozen=True, eq=False)
class LabelledPool:
    """The labelled images of a subset.

    Parameters
    ----------
    evidence : Evidence
        Of n images.
    levels : ndarray of shape (n,)
    scale : NormalScale
    groups : sequence of n str
        What belongs together; empty where none is known.
    others : mapping of str to ndarray of shape (n,)
        Finite scores of runs that learn from no grade, by name.
    """

    evidence: Evidence
    levels: np.ndarray
    scale: NormalScale
    groups: Sequence[str]
    others: Mapping[str, np.ndarray]


def run(work: Work) -> Finding:
    """Do the study, for each learned run among those chosen.

    Raises
    ------
    InputError
        If nothing can be graded twice and judged.
    """
    names = distinct_names(work.runs)
    learned = {one.id: one for one in work.runs if one.scorer == GRADED}
    others: dict[str, dict[str, Any]] = {
        names[one.id]: work.store.scores(one.id).set_index("image_id")["score"].to_dict()
        for one in work.runs
        if one.id not in learned
    }
    pools = {
        names[run_id]: {subset: _pool(work, run_id, subset, others) for subset in one.subsets}
        for run_id, one in learned.items()
    }
    return grades(
        pools,
        draws=QUICK_DRAWS if work.quick else DRAWS,
        seed=work.seed,
        progress=work.progress,
        check_cancel=work.check_cancel,
    )


def _pool(work: Work, run_id: str, subset: str, others: Mapping[str, Mapping[str, Any]]) -> LabelledPool:
    images = learned_images(work.store, work.store.run(run_id), subset)
    rows = work.dataset.table.drop_duplicates("image_id").set_index("image_id")["level"].reindex(images.image_ids)
    levels = rows.to_numpy(dtype=np.float64)
    scores = {
        name: np.array([of.get(image_id, np.nan) for image_id in images.image_ids], dtype=np.float64)
        for name, of in others.items()
    }
    kept = np.flatnonzero(np.isfinite(levels) & np.all([np.isfinite(of) for of in scores.values()] or [True], axis=0))
    return LabelledPool(
        images.evidence.rows(kept),
        levels[kept],
        images.scale,
        [images.groups[row] for row in kept],
        {name: of[kept] for name, of in scores.items()},
    )


def grades(
    pools: Mapping[str, Mapping[str, LabelledPool]],
    *,
    draws: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
    check_cancel: Callable[[], None] = lambda: None,
) -> Finding:
    """The finding, from what is known of the images.

    Parameters
    ----------
    pools : mapping of learned run to mapping of subset to LabelledPool
    draws : int
        Gradings of each size.

    Raises
    ------
    InputError
        If no subset has images of two levels that could be graded and judged.
    """
    total = len(PER_LEVEL) * draws * sum(map(len, pools.values()))
    curves, gaps, done = [], {}, 0
    for name, subsets in pools.items():
        for size in PER_LEVEL:
            parts = []
            for subset, pool in subsets.items():
                part = _graded(pool, size, draws, seed_of(subset, seed), check_cancel)
                parts.append(part)
                progress(done := done + draws, total)
            means = over_subsets([part for part in parts if part])
            for way, estimate in means.items():
                curves.append({"learned": name, "order": way or name, "grades": size, **estimate.columns("c_index")})
                if way:
                    gaps[name, way, size] = means[""] - estimate
    if not gaps:
        raise InputError(
            "No subset has two levels of four labelled images or more, to grade some and judge by the rest."
        )
    confidence = expanded(1 - RISK / len(gaps), _fewest(pools))
    return Finding(
        "grades",
        "How many grades it takes",
        " ".join(_in_words(name, gaps, confidence) for name in pools if any(key[0] == name for key in gaps)),
        "Images are graded at random, so many of each level, by the labels that the dataset has; a person who grades "
        "a mixture without knowing it needs more to see as many severe ones. At most half of a level is graded, and no "
        "image of a group that has a graded one judges.",
        {"curves": pd.DataFrame(curves)},
        {
            "differences": [
                {"learned": name, "against": way, "grades": size, **gap.columns("difference")}
                for (name, way, size), gap in gaps.items()
            ],
            "confidence": confidence,
            "gradings": draws,
            "seed": seed,
        },
    )


def _fewest(pools: Mapping[str, Mapping[str, LabelledPool]]) -> int:
    """Images in the smallest level that judges."""
    sizes = [np.unique(told_apart(pool.levels), return_counts=True)[1] for of in pools.values() for pool in of.values()]
    return max(2, int(min(own.min() for own in sizes if len(own)) // 2))


def _graded(
    pool: LabelledPool, per_level: int, draws: int, seed: int, check_cancel: Callable[[], None]
) -> dict[str, Estimate]:
    """The C-index of the learned order, by the name "", of its detector and of the others; empty where none can be."""
    at, folds = told_apart(pool.levels), folds_of(len(pool.levels), pool.groups)
    sizes = {level: int((at == level).sum()) for level in np.unique(at)}
    if sum(size >= 4 for size in sizes.values()) < 2 or per_level > max(sizes.values()) // 2:
        return {}
    rng = np.random.default_rng([seed, per_level])
    values: dict[str, list[float]] = {}
    resampled: dict[str, list[float]] = {}
    for _ in range(draws):
        check_cancel()
        taught = np.concatenate(
            [rng.permutation(np.flatnonzero(at == level))[: min(per_level, size // 2)] for level, size in sizes.items()]
        )
        judges = np.flatnonzero(~np.isin(folds, folds[taught]))
        if len(np.unique(at[judges])) < 2 or len(np.unique(pool.levels[taught])) < 2 or len(taught) < 4:
            continue
        together: list[str] = [str(pool.groups[row]) for row in taught.tolist()]
        learner = learn(pool.evidence.rows(taught), pool.levels[taught], pool.scale, together=together)
        rest = pool.evidence.rows(judges)
        orders = {"": learner.predict(rest).severity, DETECTOR: rest.detector}
        orders |= {name: of[judges] for name, of in pool.others.items()}
        once = np.ones((1, len(judges)), dtype=np.int64)
        belong = [pool.groups[row] for row in judges.tolist()]
        drawn = stratified_counts(at[judges], RESAMPLES, int(rng.integers(1 << 31)), belong)
        counts = np.concatenate([once, *drawn])
        for name, scores in orders.items():
            value, *more = counted_c_index(at[judges], scores, counts).tolist()
            values.setdefault(name, []).append(value)
            resampled.setdefault(name, []).extend(more)
    return {name: Estimate(float(np.mean(of)), np.array(resampled[name])) for name, of in values.items()}


def _in_words(name: str, gaps: Mapping[tuple[str, str, int], Estimate], confidence: float) -> str:
    """From how many grades on the learned order is clearly above or below each other one."""
    parts = []
    for way in dict.fromkeys(way for of, way, _ in gaps if of == name):
        own = {size: gap for (of, against, size), gap in gaps.items() if of == name and against == way}
        most = max(own)
        above = [size for size, gap in own.items() if gap.sign(confidence) > 0]
        below = [size for size, gap in own.items() if gap.sign(confidence) < 0]
        numbers = f"C-index {own[most].value:+.2f} with {most}, {_ends(own[most], confidence)}"
        if above:
            parts.append(f"better than {way} with {listed([str(size) for size in above])} grades a level ({numbers})")
        if below:
            parts.append(f"worse than {way} with {listed([str(size) for size in below])} grades a level ({numbers})")
        if not above and not below:
            parts.append(f"not clearly different from {way} with up to {most} grades a level ({numbers})")
    return f"{name} orders {'; '.join(parts)}."


def _ends(gap: Estimate, confidence: float) -> str:
    ends = gap.interval(confidence)
    return "without an interval" if ends is None else f"{ends[0]:+.2f} to {ends[1]:+.2f}"
