"""What each part of a multimodal model's question brings: the same images are judged with one part left out or changed.

The run itself is the question as chosen. Only scores are asked for, which are read before any reason is written, so a
run with reasons and one without give the same ones. Differences are paired by image and averaged over the subsets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mad_core.errors import InputError
from mad_core.figures.words import listed
from mad_core.metrics.names import headline
from mad_core.metrics.ranking import told_apart
from mad_core.metrics.units import group_by_image, independent
from mad_core.studies.ablation.asking import BLANK, CHOSEN, NEUTRAL, REVERSED, STRANGE, WAYS, Asking, asks, stranger
from mad_core.studies.estimates import RISK, Estimate, of_subset, order_of, over_subsets
from mad_core.studies.finding import Finding
from mad_core.studies.sampling import sample_of
from mad_core.studies.study import Work

QUICK_IMAGES, QUICK_LEAST = 90, 20
"""Images in quick mode, shared by the subsets, levels in their shares; images a subset at least."""
DRAWS = 1000
LEAST_SCORED = 0.5
"""Share of a subset's images that a way must score to be judged there."""
TITLE = "Ablation of the question"
CAVEAT = (
    "A question without one of its parts is one that the model may never have learned to answer, so a loss says what "
    "this model does without it, not what the part is worth. Parts can stand in for each other: without references the "
    "difference view goes too, and what two parts bring together is not the sum. It holds for these rubrics alone, and "
    "the reversed ones lose their criterion, which would contradict them."
)


def run(work: Work) -> Finding:
    """Ask every chosen multimodal model again, one part of its question left out or changed at a time.

    Raises
    ------
    InputError
        If no chosen run is of a multimodal model and was made here, or nobody agreed to send images to its server.
    UnavailableError
        If its model or its server cannot be had.
    """
    runs = [one for one in work.runs if asks(one)]
    if not runs:
        raise InputError(
            "This takes the question of a multimodal model apart, so it needs a run of one that was made here; score "
            "the dataset with mllm or endpoint first (Score page)."
        )
    subsets = {name for one in runs for name in one.subsets}
    sample = sample_of(replace(work, runs=runs), images=max(QUICK_LEAST, QUICK_IMAGES // len(subsets)))
    groups = group_by_image(work.dataset.table)
    finding = ablation(Asking(work, sample).cells(runs), draws=DRAWS, seed=work.seed, groups=groups)
    start = f"On a sample of {sample.in_words()}: " if work.quick else ""
    alone = [name for one in runs for name in one.subsets if stranger(work.dataset, name) is None]
    missing = " References of another subset could not be shown, since no other one has normals." if alone else ""
    facts = {**finding.facts, **sample.facts(), "bootstrap_draws": DRAWS, "without_rubric": NEUTRAL}
    return replace(finding, sentence=start + finding.sentence, caveat=finding.caveat + missing, facts=facts)


# -- the finding ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Judged:
    """One run: its metrics as chosen and each way, its differences to as chosen, and what could not be judged."""

    metrics: Mapping[str, Mapping[str, Estimate]]
    losses: Mapping[str, Mapping[str, Estimate]]
    images: Mapping[str, int]
    freedom: Mapping[str, int]
    failed: Mapping[str, int]

    def loss(self, way: str, metric: str, confidence: float = 0.95) -> Estimate | None:
        """The difference to as chosen, for an interval of this confidence; None where it has none."""
        estimate = self.losses.get(way, {}).get(metric)
        return estimate and expanded(estimate, self.images[way], self.freedom[way], confidence)

    def judged(self, confidence: float = 0.95) -> dict[str, Estimate]:
        """By way, the difference that the sentence judges."""
        per_way = {way: self.loss(way, WAYS[way].metric, confidence) for way in self.losses if way != BLANK}
        return {way: loss for way, loss in per_way.items() if loss is not None}


def expanded(loss: Estimate, images: int, freedom: int, confidence: float) -> Estimate:
    """An estimate whose interval of this confidence allows for few images a level.

    Draws within small levels lie too close together by ``sqrt(freedom / images)``, and their spread is uncertain
    itself, which Student's t allows for (Hesterberg 2015, What Teachers Should Know About the Bootstrap, expanded
    percentile interval).

    Parameters
    ----------
    images, freedom : int
        How many images (or groups of them), and how many beyond the first one of each level and subset; without any
        there is no interval.
    """
    if not freedom:
        return Estimate(loss.value, np.full_like(loss.draws, np.nan))
    tail = (1 + confidence) / 2
    factor = (images / freedom) ** 0.5 * float(stats.t.ppf(tail, freedom) / stats.norm.ppf(tail))
    return Estimate(loss.value, loss.value + factor * (loss.draws - loss.value))


def ablation(cells: pd.DataFrame, *, draws: int, seed: int = 0, groups: Mapping[str, str] | None = None) -> Finding:
    """The finding, from scores.

    Parameters
    ----------
    cells : DataFrame
        A row for each score: ``run`` (its name), ``way`` (of ``WAYS``), ``subset``, ``image_id``, ``level``, ``score``
        (NaN where there is none). A subset's images that lack a score in one way leave all ways of that run; a way
        that scored less than half of them is left out there instead.
    draws, seed : int
        Of the bootstrap over images, stratified by level, paired between ways.
    groups : mapping of image id to str, optional
        What images belong to; those of one are drawn together.
    """
    results = {str(name): _judge(rows, draws, seed, groups or {}) for name, rows in cells.groupby("run", sort=False)}
    count = sum(len(one.judged()) for one in results.values())
    confidence = 1 - RISK / max(count, 1)
    rows = []
    for name, one in results.items():
        for way, values in one.metrics.items():
            row = {"run": name, "way": WAYS[way].title, "images": one.images[way], "failed": one.failed[way]}
            row |= {k: v for m in headline() if m.id in values for k, v in values[m.id].columns(m.id).items()}
            losses = {m.id: loss for m in headline() if (loss := one.loss(way, m.id)) is not None}
            row |= {k: v for m, loss in losses.items() for k, v in loss.columns(f"{m}_loss").items()}
            rows.append(row)
    priors = _priors(cells)
    sentences = [_in_words(name, one, confidence, priors) for name, one in results.items()]
    widened = f" With {count} comparisons a difference counts as clear where its {100 * confidence:.3g} % interval "
    widened += "leaves out 0; the sentences show these, the table 95 %."
    return Finding(
        "ablation",
        TITLE,
        " ".join(sentences),
        CAVEAT + (widened if count > 1 else ""),
        {"ways": pd.DataFrame(rows), "without_image": priors},
        {"comparisons": count, "confidence": confidence, "bootstrap_draws": draws, "seed": seed},
    )


def _images(wide: pd.DataFrame) -> list[str]:
    return wide.index.get_level_values("image_id").tolist()


def _judge(cells: pd.DataFrame, draws: int, seed: int, groups: Mapping[str, str]) -> _Judged:
    metrics: dict[str, list[dict[str, Estimate]]] = {}
    losses: dict[str, list[dict[str, Estimate]]] = {}
    ways = [way for way in WAYS if way in set(cells["way"])]
    images, freedom, failed = (dict.fromkeys(ways, 0) for _ in range(3))
    for subset, rows in cells.groupby("subset", sort=False):
        scores: Any = rows.set_index(["image_id", "level", "way"])["score"]
        wide = scores.unstack("way")  # noqa: PD010 - pivoting drops what is NaN
        answered = wide.notna()
        for way in wide.columns:
            failed[way] += int((~answered[way]).sum())
        kept = [way for way in wide.columns if answered[way].mean() >= LEAST_SCORED]
        whole = wide.loc[answered[kept].all(axis=1), kept]
        if CHOSEN not in kept or whole.empty:
            continue
        levels = whole.index.get_level_values("level").to_numpy(dtype=np.float64)
        told: Any = {"draws": draws, "seed": seed, "groups": [groups.get(image) for image in _images(whole)]}
        of_way = {w: of_subset(levels, whole[w].to_numpy(), str(subset), **told) for w in kept}
        apart = independent(levels, told["groups"])
        for way, values in of_way.items():
            images[way] += apart
            freedom[way] += max(apart - len(np.unique(told_apart(levels))), 0)
            metrics.setdefault(way, []).append(values)
            if way != CHOSEN:
                both = [m for m in values if m in of_way[CHOSEN]]
                losses.setdefault(way, []).append({m: of_way[CHOSEN][m] - values[m] for m in both})
    return _Judged(
        {way: over_subsets(metrics[way]) if way in metrics else {} for way in ways},
        {way: over_subsets(parts) for way, parts in losses.items()},
        images,
        freedom,
        failed,
    )


def _priors(cells: pd.DataFrame) -> pd.DataFrame:
    """What is said of a grey field, beside the mean scores of normal and of abnormal images."""
    rows = []
    groups: Any = cells.groupby(["run", "subset"], sort=False)
    for (name, subset), part in groups:
        blank = part.loc[part["way"] == BLANK, "score"].mean()
        chosen: Any = part[part["way"] == CHOSEN]
        seen = {"normal": chosen["level"] == 0, "abnormal": chosen["level"] > 0}
        means = {f"mean_{kind}": chosen.loc[rows_of, "score"].mean() for kind, rows_of in seen.items()}
        if BLANK in set(part["way"]):
            rows.append({"run": name, "subset": subset, "score": blank, **means})
    return pd.DataFrame(rows, columns=["run", "subset", "score", "mean_normal", "mean_abnormal"])


# -- in words ---------------------------------------------------------------------------------------


def _in_words(name: str, one: _Judged, confidence: float, priors: pd.DataFrame) -> str:
    full = one.metrics.get(CHOSEN, {}).get("c_index")
    if full is None:
        return f"{name} cannot be judged: no subset has scored images of two levels."
    sentences = [f"{name} has a C-index of {full.value:.2f}."]
    judged = one.judged(confidence)
    removed = {way: loss for way, loss in judged.items() if WAYS[way].removed}
    sentences += _parts_in_words(one, removed, confidence)
    if REVERSED in judged:
        sentences.append(_reversed_in_words(one, judged[REVERSED].sign(confidence), confidence))
    if STRANGE in judged:
        sentences.append(_strange_in_words(one, judged[STRANGE].sign(confidence), confidence))
    prior_scores: Any = priors[(priors["run"] == name) & priors["score"].notna()]
    if len(prior_scores):
        scores = listed([f"{row['score']:.0f} on {row['subset']}" for row in prior_scores.to_dict("records")])
        sentences.append(f"Shown a grey field instead of an image it says {scores}: what it expects before it looks.")
    lost = [WAYS[way].title for way in one.metrics if not one.metrics[way]]
    if lost:
        sentences.append(f"It gave too few scores to be judged {listed(lost)}.")
    return " ".join(sentences)


def _parts_in_words(one: _Judged, removed: Mapping[str, Estimate], confidence: float) -> list[str]:
    """Which part brings most, which brings something, which nothing clear, and which harms."""
    signs = {way: loss.sign(confidence) for way, loss in removed.items()}
    brings, unclear, harms = ([way for way, sign in signs.items() if sign == wanted] for wanted in (1, 0, -1))
    order, sentences = order_of(removed), []
    if order is not None and order.alone and order.leader in brings:
        sentences.append(f"Most comes from {_part(one, order.leader, confidence)}.")
        brings.remove(order.leader)
    if brings:
        unknown = "; which of them brings most is not clear" if len(brings) > 1 and not sentences else ""
        sentences.append(
            f"{'Less' if sentences else 'Something'} comes from {_listed(one, brings, confidence)}{unknown}."
        )
    if unclear:
        sentences.append(f"No clear difference comes from {_listed(one, unclear, confidence)}.")
    if harms:
        sentences.append(f"Harm comes from {_listed(one, harms, confidence)}: it orders better without.")
    return sentences


def _listed(one: _Judged, ways: Sequence[str], confidence: float) -> str:
    return listed([_part(one, way, confidence) for way in ways])


def _part(one: _Judged, way: str, confidence: float) -> str:
    return f"{WAYS[way].part} ({one.metrics[way]['c_index'].value:.2f} without, {_loss(one, way, confidence)})"


def _loss(one: _Judged, way: str, confidence: float) -> str:
    """With the interval that decides."""
    loss = one.judged(confidence)[way]
    gain = Estimate(-loss.value, -loss.draws)
    return (
        f"a loss of {loss.in_words(2, confidence)}" if loss.value >= 0 else f"a gain of {gain.in_words(2, confidence)}"
    )


def _reversed_in_words(one: _Judged, sign: int, confidence: float) -> str:
    """Whether the meanings of the rubric move the order of abnormal images."""
    before, after = (one.metrics[way]["abnormal_c_index"].value for way in (CHOSEN, REVERSED))
    numbers = f"C-index among abnormal images {before:.2f} to {after:.2f}, "
    numbers += _loss(one, REVERSED, confidence)
    if sign > 0:
        return f"With the rubric reversed the order of severity suffers, so it reads what the rubric says ({numbers})."
    if sign < 0:
        return f"With the rubric reversed the order of severity is better, so the rubric misleads it ({numbers})."
    return f"No clear difference with the rubric reversed: nothing shows that it reads the rubric ({numbers})."


def _strange_in_words(one: _Judged, sign: int, confidence: float) -> str:
    """Whether it matters whose normals are shown."""
    numbers = f"{one.metrics[STRANGE]['c_index'].value:.2f}, {_loss(one, STRANGE, confidence)}"
    if sign > 0:
        return f"With references of another subset it orders worse, so it compares with what they show ({numbers})."
    if sign < 0:
        return f"With references of another subset it orders better, so its own ones mislead it ({numbers})."
    return f"No clear difference with references of another subset ({numbers})."
