"""Everything that is reported of one scorer's scores, in the form of ``evaluate --json``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mad_core.errors import InputError
from mad_core.metrics import names as metric_names
from mad_core.metrics.arguments import check_draws, checked
from mad_core.metrics.intervals import METRICS
from mad_core.metrics.metrics_table import Metrics
from mad_core.metrics.names import ABNORMAL_C_INDEX, ABNORMAL_TAU, C_INDEX, TAU
from mad_core.metrics.ranking import (
    PairCounts,
    aurocs,
    c_index,
    counts_of_table,
    cross_pairs,
    kendall_tau_b,
    level_name,
    reference_points,
    rounded_up,
    score_table,
    told_apart,
)
from mad_core.metrics.uncertainty import Uncertainty, interval, uncertainties
from mad_core.metrics.units import FEWEST, held, units_of

INTERVALS = ("c_index", "kendall_tau_b", "auroc_whole")
"""Metrics that get an interval in ``evaluate --json``."""


AS_IS, ROUNDED_UP = "as-is", "rounded-up"
ROUNDINGS = (AS_IS, ROUNDED_UP)
AS_IS_NOTE = "Levels with fractions are levels of their own: images are ordered by their levels as they are."
ROUNDED_UP_NOTE = "Levels with fractions are rounded up first, as the benchmark does: 0.5 counts as 1."


def evaluate(
    levels: ArrayLike,
    scores: ArrayLike,
    subsets: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int = 0,
    intervals: Sequence[str] = INTERVALS,
    rounding: str = AS_IS,
    groups: Any = None,
) -> Metrics:
    """All metrics of one set of scores.

    Parameters
    ----------
    levels : array of shape (n,)
        Severity levels, non-negative; fractions are levels of their own.
    scores : array of shape (n,)
        Raw anomaly scores; NaN and infinities count as unscored.
    subsets : array of shape (n,), optional
        Subset of each image. With several, each stands under ``"subsets"`` and the top level holds
        macro averages; raw scores of different subsets are never pooled.
    draws, seed : int
        0 draws leave the 95 % intervals out. They are computed without draws
        (:mod:`mad_core.metrics.uncertainty`), so any other number, and the seed, change nothing.
    intervals : sequence of str
        Which of :data:`mad_core.metrics.intervals.METRICS` get an interval.
    rounding : {"as-is", "rounded-up"}
        Whether images are ordered by their levels as they are, or half levels are rounded up first, as the benchmark
        does. Where it makes a difference the notes say which.
    groups : array of shape (n,), optional
        What images belong to (a patient, a part, a lot), None or an empty text where one stands alone. The images of a
        group are no independent ones: intervals take them together where every level has images of five groups; the
        notes say whether they do.

    Returns
    -------
    Metrics
        A dictionary, printed as a table. Fractions; ``None`` with a sentence in ``"notes"`` where something cannot
        be computed.

    Raises
    ------
    InputError
        If a level is missing or negative, lengths differ, or something is not a number.

    Examples
    --------
    >>> metrics = evaluate([0, 0, 1, 2], [0.1, 0.3, 0.2, 0.9], draws=0)
    >>> metrics["c_index"], metrics["auroc"]["whole"]
    (0.8, 0.75)
    """
    levels, scores, names = checked(levels, scores, subsets)
    levels, remarks = by_rule(levels, rounding)
    check_draws(draws, seed, intervals, METRICS)
    subset_names = sorted(set(names.tolist()))
    units = units_of(groups, len(levels))
    if len(subset_names) <= 1:
        return Metrics(_with_notes(_one(levels, scores, bool(draws), intervals, units)[0], remarks))
    parts = {}
    for name in subset_names:
        own = names == name
        together = None if units is None else units[own]
        parts[name] = _one(levels[own], scores[own], bool(draws), intervals, together)
    return Metrics(_with_notes(_macro(parts, intervals), remarks))


def by_rule(levels: np.ndarray, rounding: str) -> tuple[np.ndarray, list[str]]:
    """Levels by a rule, and the sentence that says which; no sentence where all are whole.

    Raises
    ------
    InputError
        If the rule is none of :data:`ROUNDINGS`.
    """
    if rounding not in ROUNDINGS:
        raise InputError(f"'{rounding}' is no way to take levels; there are {' and '.join(ROUNDINGS)}.")
    if np.all(told_apart(levels) % 1 == 0):
        return levels, []
    return (levels, [AS_IS_NOTE]) if rounding == AS_IS else (rounded_up(levels), [ROUNDED_UP_NOTE])


def ordered(rows: pd.DataFrame, rounding: str | None = None) -> tuple[np.ndarray, list[str]]:
    """The levels by which the images of a run's table are ordered, and sentences that say how where it matters.

    Parameters
    ----------
    rows : DataFrame
        ``level``, and ``rounded_up`` (bool) where the benchmark's protocol may ask for it.
    rounding : {"as-is", "rounded-up"}, optional
        For all images; by default what ``rounded_up`` says of each.
    """
    levels = rows["level"].to_numpy(dtype=np.float64)
    if rounding is not None or "rounded_up" not in rows:
        return by_rule(levels, rounding or AS_IS)
    up = rows["rounded_up"].to_numpy(dtype=bool)
    notes = [*by_rule(levels[up], ROUNDED_UP)[1], *by_rule(levels[~up], AS_IS)[1]]
    return np.where(up, rounded_up(levels), levels), notes


def _together(levels: np.ndarray, units: np.ndarray | None) -> list[str]:
    """Whether intervals take the images of a group together, where several are of one."""
    if units is None or units_of(units, len(levels)) is None:
        return []
    count = len(np.unique(units))
    start = f"{len(levels):,} images are of {count:,} groups (each that stands alone counts as one)"
    if held(told_apart(levels), units) is not None:
        return [f"{start}: intervals take the images of a group together."]
    return [
        f"{start}. Fewer than {FEWEST} groups have images of some level: intervals take images as independent, and "
        "hold for other images of these groups, not for other groups."
    ]


def _with_notes(result: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    return result | {"notes": [*notes, *result["notes"]]}


def _one(
    levels: np.ndarray,
    scores: np.ndarray,
    with_intervals: bool,
    intervals: Sequence[str],
    units: np.ndarray | None = None,
) -> tuple[dict[str, Any], dict[str, Uncertainty]]:
    """The metrics of one subset and how uncertain they are."""
    usable = np.isfinite(scores)
    notes = []
    infinite = int(np.isinf(scores).sum())
    if infinite:
        notes.append(f"{infinite} infinite scores count as unscored.")
    if not usable.all():
        notes.append(f"{int((~usable).sum())} of {len(scores)} images have no score and are left out.")
    table, at = score_table(levels[usable], scores[usable])
    counts, abnormal = counts_of_table(table, at), counts_of_table(table[at > 0], at[at > 0])
    sizes = dict(zip(counts.levels.tolist(), counts.sizes.tolist(), strict=True))
    everyone = np.unique(told_apart(levels), return_counts=True)
    pairs = cross_pairs(counts.sizes)
    together = None if units is None else units[usable]
    parts = uncertainties(levels[usable], scores[usable], together) if with_intervals else {}
    result = {
        "n": len(levels),
        "n_scored": int(usable.sum()),
        "coverage": float(usable.mean()) if len(levels) else None,
        "levels": {level_name(level): int(n) for level, n in zip(*everyone, strict=True)},
        "auroc": _every_level(aurocs(counts), everyone[0]),
        **severity(counts, abnormal),
        "ties": {
            "share_of_pairs": counts.tied_cross / pairs if pairs else None,
            "distinct_scores": counts.distinct,
        },
        "reference": reference_points(sizes),
        "intervals": {},
        "subsets": {},
        "notes": notes
        + _missing(counts.levels, counts.distinct)
        + _backwards(counts)
        + (_too_few(sizes) + _together(levels[usable], together) if with_intervals and pairs else []),
    }
    values = metric_names.flat(result)
    available = {name: parts[name] for name in intervals if name in parts and values.get(name) is not None}
    result["intervals"] = {name: interval([available[name]]) if name in available else None for name in intervals}
    return result, parts


def counted(metric: metric_names.Metric, result: Mapping[str, Any]) -> float | None:
    """The value that enters a macro average."""
    value = metric.value(result)
    return equal_scores(metric.id, metric_names.flat(result).get) if value is None else value


def equal_scores(metric: str, value_of: Callable[[str], float | None]) -> float | None:
    """What counts of a metric without a value: 0 for Kendall's tau-b of equal scores, which order nothing."""
    shares = {TAU.id: C_INDEX.id, ABNORMAL_TAU.id: ABNORMAL_C_INDEX.id}
    return 0.0 if metric in shares and value_of(shares[metric]) is not None else None


def _too_few(sizes: Mapping[float, int]) -> list[str]:
    """Levels that are too small for an interval."""
    small = [f"{level_name(level)} ({count})" for level, count in sizes.items() if count < FEWEST]
    if not small:
        return []
    return [
        f"Fewer than {FEWEST} scored images of level {', '.join(small)}: what needs that level has no interval, since "
        "none would hold with so few."
    ]


def severity(whole: PairCounts, abnormal: PairCounts) -> dict[str, Any]:
    """What is measured of all pairs and of those of abnormal images, where :mod:`mad_core.metrics.names` places it."""
    return {
        "c_index": c_index(whole),
        "kendall_tau_b": kendall_tau_b(whole),
        "abnormal_only": {"c_index": c_index(abnormal), "kendall_tau_b": kendall_tau_b(abnormal)},
    }


def _every_level(aurocs: dict[str, float | None], levels: np.ndarray) -> dict[str, float | None]:
    """AUROC for every level of the data, in order, None where it has no scored image."""
    return {"whole": aurocs["whole"]} | {name: aurocs.get(name) for name in (level_name(v) for v in levels if v > 0)}


def _missing(levels: np.ndarray, distinct: int) -> list[str]:
    """Sentences for what cannot be computed."""
    if not len(levels):
        return ["No image has a score, so no metric can be computed."]
    notes = []
    if len(levels) == 1:
        notes.append(f"All scored images are of level {level_name(levels[0])}: the C-index and tau-b need two levels.")
    if levels[0] != 0:
        notes.append("No scored image is of level 0: AUROC and the reference points need normals.")
    elif len(levels) == 1:
        notes.append("AUROC needs abnormal images.")
    if len(levels) == 2 and levels[0] == 0:
        notes.append("There is one abnormal level only, so nothing can be said about severity among abnormal images.")
    if distinct == 1 and len(levels) > 1:
        notes.append("All scores are equal: tau-b is not defined; in an average over subsets it counts as 0.")
    return notes


BACKWARDS = 0.4
"""At or below this share of rightly ordered pairs, and surely below a half, scores may mean the opposite."""


def _backwards(counts: PairCounts) -> list[str]:
    """A warning where scores order the wrong way round, and chance does so in less than 2.5 of 100 cases.

    Normals against abnormal images (the Mann-Whitney test), where there are normals; else the levels (Kendall's).
    """
    sizes = counts.sizes.astype(np.float64)
    if len(sizes) < 2:
        return []
    if counts.levels[0] == 0:
        name, wins, pairs = "AUROC", counts.wins2[0, 1:].sum() / 2, sizes[0] * sizes[1:].sum()
        spread = np.sqrt(pairs * (sizes.sum() + 1) / 12)
    else:
        n = sizes.sum()
        name, wins, pairs = "C-index", counts.wins2.sum() / 2, float(cross_pairs(counts.sizes))
        spread = np.sqrt((n * (n - 1) * (2 * n + 5) - (sizes * (sizes - 1) * (2 * sizes + 5)).sum()) / 18) / 2
    share = wins / pairs
    if share > BACKWARDS or spread == 0 or (wins - pairs / 2) / spread > -1.96:
        return []
    return [
        f"The scores order the images backwards ({name} {share:.2f}, surely below 0.5): they may mean the opposite, "
        "such as how normal an image is. Higher must mean more severe; if so, turn their sign and evaluate again."
    ]


def _macro(parts: dict[str, tuple[dict[str, Any], dict[str, Uncertainty]]], intervals: Sequence[str]) -> dict[str, Any]:
    """Macro averages over subsets; totals for counts; intervals over the subsets that enter the average."""
    results = {name: result for name, (result, _) in parts.items()}
    every = list(results.values())
    levels = sorted({level for r in every for level in r["levels"]}, key=float)
    aurocs_known = ["whole", *(level for level in levels if level != "0")]
    means = metric_names.nested({m: _mean([counted(m, r) for r in every]) for m in metric_names.METRICS})
    n, scored = sum(r["n"] for r in every), sum(r["n_scored"] for r in every)
    notes = [f"Macro averages over {len(every)} subsets; raw scores of different subsets are never pooled."]
    notes += [f"{name}: {note}" for name, r in results.items() for note in r["notes"]]
    return {
        "n": n,
        "n_scored": scored,
        "coverage": scored / n if n else None,
        "levels": {level: sum(r["levels"].get(level, 0) for r in every) for level in levels},
        **means,
        "auroc": {key: _mean([r["auroc"].get(key) for r in every]) for key in aurocs_known},
        "ties": means["ties"] | {"distinct_scores": sum(r["ties"]["distinct_scores"] for r in every)},
        "reference": {key: _mean([r["reference"][key] for r in every]) for key in every[0]["reference"]},
        "intervals": {name: _macro_interval(list(parts.values()), name) for name in intervals},
        "subsets": results,
        "notes": notes,
    }


def _macro_interval(parts: Sequence[tuple[dict[str, Any], dict[str, Uncertainty]]], name: str) -> list[float] | None:
    """Over the subsets whose value is averaged; None where one of them has too few images for an interval."""
    metric = metric_names.metric_of(name)
    used = [of_part.get(name) for result, of_part in parts if counted(metric, result) is not None]
    present = [one for one in used if one is not None]
    return interval(present) if present and len(present) == len(used) else None


def _mean(values: list[float | None]) -> float | None:
    numbers = [v for v in values if v is not None]
    return sum(numbers) / len(numbers) if numbers else None
