"""Does a blend of a conventional detector and a multimodal model order severity better than its better part?

Stored scores are blended as :mod:`mad_core.scorers.hybrid` does, each subset by itself: each score is counted in
spreads above normal images, and both are added with a weight. That scorer learns both from calibration images and
training normals, of which runs store no scores. Here the spreads are those of the normal test images: they bring two
units together and know nothing of severity. The weight, which does, is learned on the other four fifths of the
images than those it judges, so the blend may well lose; every bootstrap draw chooses its weights anew.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.metrics.intervals import counted_c_index, seed_of, stratified_counts
from mad_core.metrics.names import headline
from mad_core.metrics.ranking import told_apart
from mad_core.metrics.units import dealt, groups_of, units_of
from mad_core.runs.parts import kind_of
from mad_core.scorers.hybrid import LABELLED, WEIGHTS, ScoreScale
from mad_core.studies.estimates import RISK, Estimate, of_subset, over_subsets
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import sample_of
from mad_core.studies.study import Work

FOLDS = 5


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
            left: Any = sample.tables[detector][["image_id", "subset", "level", "group", "score"]]
            right: Any = sample.tables[model][["image_id", "score"]]
            joined = left.rename(columns={"score": "detector"}).merge(right.rename(columns={"score": "mllm"}))
            pairs[sample.names[detector], sample.names[model]] = joined
    finding = hybrid(pairs, draws=sample.draws, seed=work.seed, check_cancel=work.check_cancel)
    start = f"On a sample of {sample.in_words()}: " if work.quick else ""
    facts = {**finding.facts, **sample.facts()}
    return Finding(finding.study, finding.title, start + finding.sentence, finding.caveat, finding.tables, facts)


def hybrid(
    pairs: Mapping[tuple[str, str], pd.DataFrame],
    *,
    draws: int,
    seed: int = 0,
    check_cancel: Callable[[], None] = lambda: None,
) -> Finding:
    """The finding, from scores.

    Parameters
    ----------
    pairs : mapping of (detector, model) to DataFrame
        ``image_id``, ``subset``, ``level``, ``detector`` and ``mllm`` (finite raw scores); ``group`` where known.
    """
    curves, sides, gaps, sentences = [], [], {}, []
    confidence = 1 - RISK / max(len(pairs), 1)
    for (detector, model), table in pairs.items():
        name = f"{detector} + {model}"
        scaled = standardised(table)
        by_weight = {}
        for weight in WEIGHTS:
            check_cancel()
            by_weight[weight] = _estimates(scaled, blended(scaled, weight), draws, seed)
            row = {"blend": name, "weight": weight}
            curves.append(row | _columns(by_weight[weight]))
        judged = judge(scaled, draws=draws, seed=seed, check_cancel=check_cancel)
        ways = {detector: by_weight[1.0], model: by_weight[0.0], "half and half": by_weight[0.5]}
        ways["weight from other images"] = {"c_index": judged["blend"]} if judged else {}
        sides += [{"blend": name, "way": way} | _columns(values) for way, values in ways.items()]
        if not judged:
            sentences.append(f"{name} cannot be compared: there are fewer than two levels.")
            continue
        column = max(("detector", "mllm"), key=lambda part: judged[part].value)
        better = {"detector": detector, "mllm": model}[column]
        gap = judged["blend"] - judged[column]
        gaps[name] = {"better_part": better, "difference": gap.value, "interval": gap.interval(confidence)}
        sentences.append(_in_words(name, better, judged["blend"], judged[column], gap, confidence))
    return Finding(
        "hybrid",
        "Detector, multimodal model and their blend",
        " ".join(sentences),
        "Each score is counted in spreads above the normal test images, where the scorer 'hybrid' takes calibration or "
        f"training normals. The weight that is judged comes from the other {FOLDS - 1} of {FOLDS} parts of the images, "
        "anew in every bootstrap draw; the highest point of the curve was chosen on the images that judge it.",
        {"curves": pd.DataFrame(curves), "sides": pd.DataFrame(sides)},
        {"differences": gaps, "confidence": confidence, "folds": FOLDS, "seed": seed},
    )


def _columns(values: Mapping[str, Estimate]) -> dict[str, Any]:
    return {k: v for m in headline() if m.id in values for k, v in values[m.id].columns(m.id).items()}


def _in_words(name: str, better: str, blend: Estimate, part: Estimate, gap: Estimate, confidence: float) -> str:
    numbers = f"C-index {blend.value:.2f} against {part.value:.2f}, difference {gap.in_words(3, confidence)}"
    if gap.sign(confidence) > 0:
        return f"The blend {name} orders better than its better part, {better} ({numbers})."
    if gap.sign(confidence) < 0:
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
            scale = ScoreScale.of(values, floor)
            own[column] = [scale.standard(float(score)) for score in own[column]]
        parts.append(own)
    return pd.concat(parts, ignore_index=True)


def blended(table: pd.DataFrame, weight: float) -> np.ndarray:
    """``weight`` times the detector's score plus the rest times the model's."""
    return (weight * table["detector"] + (1 - weight) * table["mllm"]).to_numpy(dtype=np.float64)


# -- the blend that is judged -----------------------------------------------------------------------


def judge(
    scaled: pd.DataFrame, *, draws: int, seed: int, check_cancel: Callable[[], None] = lambda: None
) -> dict[str, Estimate]:
    """The C-index of ``detector``, ``mllm`` and ``blend``, paired draws, averaged over the subsets.

    Empty where no subset has two levels.

    Parameters
    ----------
    scaled : DataFrame
        As from :func:`standardised`.
    """
    parts = []
    for subset, rows in scaled.groupby("subset"):
        levels = told_apart(rows["level"])
        if len(np.unique(levels)) < 2:
            continue
        own = seed_of(str(subset), seed)
        blends = np.stack([blended(rows, weight) for weight in WEIGHTS])
        together, once = groups_of(rows), np.ones((1, len(levels)), dtype=np.int64)
        value = _values(levels, blends, folds(levels, own, together), once)
        series = {name: [float(one[0])] for name, one in value.items()}
        for counts in stratified_counts(levels, draws, own, together):
            check_cancel()
            for name, values in _values(levels, blends, folds(levels, own, together), counts).items():
                series[name] += values.tolist()
        parts.append({name: _centred(values[0], np.array(values[1:])) for name, values in series.items()})
    return over_subsets(parts)


def _centred(value: float, draws: np.ndarray) -> Estimate:
    """The draws moved so that their mean is the value: a draw has fewer different images to learn a weight from."""
    return Estimate(value, draws - draws.mean() + value if len(draws) else draws)


def folds(levels: np.ndarray, seed: int, groups: Any = None) -> np.ndarray:
    """A fold for each image, even within levels; images of a group have one fold."""
    rng, fold = np.random.default_rng(seed), np.zeros(len(levels), dtype=int)
    units = units_of(groups, len(levels))
    if units is not None:
        return dealt(levels, units, FOLDS, rng)
    for level in np.unique(levels):
        own = np.flatnonzero(levels == level)
        fold[rng.permutation(own)] = (np.arange(len(own)) + rng.integers(FOLDS)) % FOLDS
    return fold


def _values(levels: np.ndarray, blends: np.ndarray, fold: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """The C-index of both parts and of the blend for each row of counts; blends are of shape (weights, n)."""
    chosen = np.stack([_chosen(levels, blends, counts * (fold != held)) for held in range(FOLDS)])
    scores = blends[chosen[fold].T, np.arange(len(levels))]  # draw, image
    each = [counted_c_index(levels, own, count[None])[0] for own, count in zip(scores, counts, strict=True)]
    ends = {name: counted_c_index(levels, blends[WEIGHTS.index(w)], counts) for name, w in _ENDS.items()}
    return ends | {"blend": np.array(each)}


_ENDS = {"detector": 1.0, "mllm": 0.0}


def _chosen(levels: np.ndarray, blends: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The place of the weight with the highest C-index, for each row of counts; near ties go to the even weight.

    Of too few images none is learned, as in :mod:`mad_core.scorers.hybrid`.
    """
    evenness = -np.abs(np.array(WEIGHTS) - 0.5)[:, None]
    if (counts > 0).sum(axis=1).max() < LABELLED:
        return np.full(len(counts), int(np.argmax(evenness)))
    order = np.nan_to_num(np.stack([counted_c_index(levels, own, counts) for own in blends]), nan=0.5)
    return np.argmax(np.round(order, 9) + 1e-10 * evenness, axis=0)


def _estimates(table: pd.DataFrame, scores: np.ndarray, draws: int, seed: int) -> dict[str, Estimate]:
    levels = table["level"].to_numpy(dtype=np.float64)
    parts, groups = table.groupby("subset").indices.items(), table.get("group")
    told = {s: {"draws": draws, "seed": seed, "groups": None if groups is None else groups.iloc[i]} for s, i in parts}
    return over_subsets([of_subset(levels[i], scores[i], str(s), **told[s]) for s, i in parts])
