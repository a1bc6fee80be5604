"""Does a blend of a conventional detector and a multimodal model order severity better than its better part?

Stored scores are blended as :mod:`mad_core.scorers.hybrid` does: each is counted in spreads above its normals, and both
are added with a weight. The weight that is judged was found on other images (five folds), so it may well lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.runs.building import kind_of
from mad_core.scorers.hybrid import WEIGHTS, Scale
from mad_core.studies.estimates import Estimate, of_subset, over_subsets
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import sample_of
from mad_core.studies.study import Work

FOLDS = 5
METRICS = ("c_index", "kendall_tau_b", "auroc_whole", "abnormal_c_index")


def run(work: Work) -> Finding:
    """Blend every chosen detector with every chosen multimodal model.

    Raises
    ------
    InputError
        If a detector or a multimodal model is missing among the runs.
    """
    sample = sample_of(work)
    kinds = {one.id: kind_of(one.scorer) for one in work.runs}
    detectors, models = ([i for i, kind in kinds.items() if kind == wanted] for wanted in ("detector", "mllm"))
    if not detectors or not models:
        raise InputError("A blend needs a run of a conventional detector and one of a multimodal model; choose both.")
    pairs: dict[tuple[str, str], pd.DataFrame] = {}
    for detector in detectors:
        for model in models:
            left: Any = sample.tables[detector][["image_id", "subset", "level", "score"]]
            right: Any = sample.tables[model][["image_id", "score"]]
            joined = left.rename(columns={"score": "detector"}).merge(right.rename(columns={"score": "mllm"}))
            pairs[sample.names[detector], sample.names[model]] = joined
            work.check_cancel()
    found = hybrid(pairs, draws=sample.draws, seed=work.seed)
    start = f"On a sample of {sample.in_words()}: " if work.quick else ""
    facts = {**found.facts, **sample.facts()}
    return Finding(found.study, found.title, start + found.sentence, found.caveat, found.tables, facts)


def hybrid(pairs: Mapping[tuple[str, str], pd.DataFrame], *, draws: int, seed: int = 0) -> Finding:
    """The finding, from scores.

    Parameters
    ----------
    pairs : mapping of (detector, model) to DataFrame
        ``image_id``, ``subset``, ``level``, ``detector`` and ``mllm`` (finite raw scores).
    """
    curves, sides, gaps, said = [], [], {}, []
    for (detector, model), table in pairs.items():
        name = f"{detector} + {model}"
        scaled = standardised(table)
        by_weight = {w: _estimates(scaled, blended(scaled, w), draws, seed) for w in WEIGHTS}
        for weight, values in by_weight.items():
            row = {"blend": name, "weight": weight}
            curves.append(row | {k: v for m in METRICS if m in values for k, v in values[m].columns(m).items()})
        learned = _estimates(scaled, held_out(scaled, seed), draws, seed)
        ways = {detector: by_weight[1.0], model: by_weight[0.0], "half and half": by_weight[0.5]}
        ways["weight from other images"] = learned
        for way, values in ways.items():
            row = {"blend": name, "way": way}
            sides.append(row | {k: v for m in METRICS if m in values for k, v in values[m].columns(m).items()})
        parts = {n: ways[n]["c_index"] for n in (detector, model) if "c_index" in ways[n]}
        if len(parts) < 2 or "c_index" not in learned:
            said.append(f"{name} cannot be compared: there are fewer than two levels.")
            continue
        better = max(parts, key=lambda n: parts[n].value)
        gap = learned["c_index"] - parts[better]
        gaps[name] = {"better_part": better, "difference": gap.value, "interval": gap.interval()}
        said.append(_in_words(name, better, learned["c_index"], parts[better], gap))
    return Finding(
        "hybrid",
        "Detector, multimodal model and their blend",
        " ".join(said),
        "Each score is counted in spreads above the normal test images, and the interval does not hold that other "
        "images would give another weight; the highest point of the curve was chosen on the images that judge it.",
        {"curves": pd.DataFrame(curves), "sides": pd.DataFrame(sides)},
        {"differences": gaps, "folds": FOLDS, "seed": seed},
    )


def _in_words(name: str, better: str, blend: Estimate, part: Estimate, gap: Estimate) -> str:
    numbers = f"C-index {blend.value:.2f} against {part.value:.2f}, difference {gap.in_words(3)}"
    if gap.sign() > 0:
        return f"The blend {name} orders better than its better part, {better} ({numbers})."
    if gap.sign() < 0:
        return f"The blend {name} loses: it orders worse than {better} alone ({numbers})."
    return f"No clear difference between the blend {name} and its better part, {better} ({numbers})."


def standardised(table: pd.DataFrame) -> pd.DataFrame:
    """Both scores in spreads above the normals of their subset."""
    parts = []
    for _, rows in table.groupby("subset"):
        own: Any = rows.copy()
        calm: Any = own[own["level"] == 0] if (own["level"] == 0).any() else own
        for column, least in (("detector", None), ("mllm", 1.0)):
            values = calm[column].to_numpy(dtype=np.float64)
            floor = 1e-9 * max(1e-3, float(np.abs(values).max())) if least is None else least
            own[column] = [Scale.of(values, floor).standard(float(score)) for score in own[column]]
        parts.append(own)
    return pd.concat(parts, ignore_index=True)


def blended(table: pd.DataFrame, weight: float) -> np.ndarray:
    """``weight`` times the detector's score plus the rest times the model's."""
    return (weight * table["detector"] + (1 - weight) * table["mllm"]).to_numpy(dtype=np.float64)


def held_out(table: pd.DataFrame, seed: int) -> np.ndarray:
    """Every image blended with the weight that orders the other folds best; near ties go to the even weight."""
    rng, fold = np.random.default_rng(seed), np.zeros(len(table), dtype=int)
    for rows in table.groupby(["subset", "level"]).indices.values():
        fold[rng.permutation(rows)] = (np.arange(len(rows)) + rng.integers(FOLDS)) % FOLDS
    found = np.empty(len(table))
    for held in range(FOLDS):
        others: Any = table[fold != held]
        order = {w: _c_index(others, blended(others, w)) for w in WEIGHTS}
        weight = max(WEIGHTS, key=lambda w: (round(order[w], 9), -abs(w - 0.5)))
        found[fold == held] = blended(table, weight)[fold == held]
    return found


def _c_index(table: pd.DataFrame, scores: np.ndarray) -> float:
    from mad_core.metrics.ranking import c_index, count_pairs

    levels = table["level"].to_numpy(dtype=np.float64)
    parts = [c_index(count_pairs(levels[i], scores[i])) for i in table.groupby("subset").indices.values()]
    known = [value for value in parts if value is not None]
    return float(np.mean(known)) if known else 0.5


def _estimates(table: pd.DataFrame, scores: np.ndarray, draws: int, seed: int) -> dict[str, Estimate]:
    levels = table["level"].to_numpy(dtype=np.float64)
    parts = table.groupby("subset").indices.items()
    return over_subsets([of_subset(levels[i], scores[i], str(s), draws=draws, seed=seed) for s, i in parts])
