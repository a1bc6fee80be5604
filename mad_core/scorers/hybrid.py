"""Hybrid scorers: a conventional detector and a multimodal model together.

Two ways. *Stages*, as proposed in arXiv 2411.14515: the detector decides whether and where, the model how bad.
*Blend*: a weighted sum of both, with the weight learned on the calibration split. Both build on two stored runs
and ask these for the scores of images they have not seen yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mad_core.errors import InputError
from mad_core.metrics.ranking import c_index, count_pairs, told_apart
from mad_core.scorers.contract import OK, Context, Item, LabelledItem, Part, Scored, Scorer

if TYPE_CHECKING:
    import torch

STAGES, BLEND = "stages", "blend"
NORMALS = 10
"""Calibration normals from which they say alone what is normal; with fewer the training normals do."""
MOST_NORMALS = 24
"""Training normals that a multimodal model is asked about, at most."""
LABELLED, PER_LEVEL = 8, 2
"""Labelled images, and images in each of two levels, below which no weight is learned."""
WEIGHTS = tuple(step / 20 for step in range(21))
CHUNK = 32


@dataclass(frozen=True)
class ScoreScale:
    """What normal images score, and how far their scores are apart.

    Parameters
    ----------
    middle : float
        Median.
    spread : float
        Robust standard deviation (1.4826 times the median absolute deviation), positive.
    """

    middle: float
    spread: float

    @classmethod
    def of(cls, scores: np.ndarray, least: float) -> ScoreScale:
        """From scores of normals, float64 of shape (n,); a spread below ``least`` is taken as ``least``."""
        middle = float(np.median(scores))
        robust = 1.4826 * float(np.median(np.abs(scores - middle)))
        return cls(middle, max(robust or float(scores.std()), least))

    def standard(self, score: float) -> float:
        """Spreads above the middle, linear near it and logarithmic far out: neither part's unit decides a blend."""
        return float(np.arcsinh((score - self.middle) / self.spread))


@dataclass(frozen=True)
class Fitted:
    """What a fit found, JSON-able.

    Parameters
    ----------
    threshold : float
        Detector score up to which an image counts as normal, raw units.
    detector : Scale
    mllm : Scale or None
        None where the mode does not need it.
    weight : float
        Of the detector in the blend, 0 to 1.
    notes : mapping
        How these were found, for the run's record.
    """

    threshold: float
    detector: ScoreScale
    mllm: ScoreScale | None
    weight: float
    notes: Mapping[str, Any]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fitted:
        scales = {name: ScoreScale(**data[name]) if data[name] else None for name in ("detector", "mllm")}
        return cls(**{**data, **scales})

    def normal_side(self, score: float) -> float:
        """The detector's order among images up to the threshold, squeezed into (-1, 0]."""
        depth = max(0.0, (self.threshold - score) / self.detector.spread)
        return -depth / (1 + depth)


class Hybrid(Scorer):
    """Scores by two runs: ``stages`` or ``blend``."""

    _fitted: Fitted | None = None

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        """Find what is normal for the parts and, for a blend, the weight that orders the calibration images best.

        Raises
        ------
        InputError
            If neither calibration nor training normals have scores to compare with.
        """
        detector, mllm = context.parts["detector"], context.parts["mllm"]
        context.step(0, 3)
        calm, source = _calm(normals, context)
        values = _values(_judged(detector, calm, context), detector)
        notes: dict[str, Any] = {"normals": f"{len(values)} {source}"}
        threshold = _threshold(values, self.parameters["quantile"])
        scale = ScoreScale.of(values, 1e-9 * max(1e-3, float(np.abs(values).max())))
        context.step(1, 3)
        if self.parameters["mode"] == STAGES:
            notes["threshold"] = _threshold_in_words(len(values), self.parameters["quantile"])
            self._fitted = Fitted(threshold, scale, None, 1.0, notes)
            return
        asked = _some(calm) if isinstance(calm[0], Item) else calm
        other = ScoreScale.of(_values(_judged(mllm, asked, context), mllm), 1.0)
        context.step(2, 3)
        weight, learned = _learn(detector, mllm, scale, other, context.calibration)
        self._fitted = Fitted(threshold, scale, other, weight, notes | learned)

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        if self._fitted is None:
            raise InputError("The hybrid scorer is not fitted.")
        way = self._staged if self.parameters["mode"] == STAGES else self._blended
        for start in range(0, len(images), CHUNK):
            context.check_cancel()
            yield from way(images[start : start + CHUNK], context.parts["detector"], context.parts["mllm"])

    def _staged(self, images: Sequence[Item], detector: Part, mllm: Part) -> Iterator[Scored]:
        """Only images above the threshold are put to the model."""
        fitted = self._fitted
        assert fitted is not None
        first = detector.scored(images)
        above = [
            item
            for item, one in zip(images, first, strict=True)
            if one.score is not None and one.score > fitted.threshold
        ]
        second = {one.image_id: one for one in (mllm.scored(above) if above else ())}
        for one in first:
            if one.score is None:
                yield _failed("detector", detector, one, one.seconds)
            elif one.image_id in second:
                yield _judged_by_model(fitted, one, second[one.image_id], mllm)
            else:
                yield _found_normal(fitted, one)

    def _blended(self, images: Sequence[Item], detector: Part, mllm: Part) -> Iterator[Scored]:
        fitted = self._fitted
        assert fitted is not None
        assert fitted.mllm is not None
        for one, other in zip(detector.scored(images), mllm.scored(images), strict=True):
            seconds = one.seconds + other.seconds
            if one.score is None or other.score is None:
                name, part, lost = ("detector", detector, one) if one.score is None else ("mllm", mllm, other)
                yield _failed(name, part, lost, seconds)
                continue
            first, second = fitted.detector.standard(one.score), fitted.mllm.standard(other.score)
            detail = {
                "detector": one.score,
                "mllm": other.score,
                "detector_standard": first,
                "mllm_standard": second,
                "weight": fitted.weight,
            }
            yield Scored(
                one.image_id,
                fitted.weight * first + (1 - fitted.weight) * second,
                map=one.map,
                reason=other.reason,
                distribution=other.distribution,
                seconds=seconds,
                detail=detail,
            )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        if self._fitted is None:
            return {}, {}
        return {}, {"fitted": asdict(self._fitted)}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self._fitted = Fitted.from_json(facts["fitted"])

    def facts(self) -> dict[str, Any]:
        fitted = self._fitted
        if fitted is None:
            return {}
        facts: dict[str, Any] = {"mode": self.parameters["mode"], **fitted.notes}
        if self.parameters["mode"] == STAGES:
            return facts | {"threshold_value": fitted.threshold}
        return facts | {"weight_of_detector": fitted.weight, "supervision": "labels of calibration images"}


# -- what is normal -----------------------------------------------------------------------------


def _calm(normals: Sequence[Item], context: Context) -> tuple[Sequence[Item | LabelledItem], str]:
    """Images that are known to be normal and that the detector has not learned from, if there are enough."""
    calibration = [item for item in context.calibration if item.level == 0]
    if len(calibration) >= NORMALS:
        return calibration, "calibration normals"
    return normals, "training normals, each judged by a fit on the other folds of them"


def _judged(part: Part, items: Sequence[Item | LabelledItem], context: Context) -> Sequence[Scored]:
    plain = [Item(item.image_id, item.path, item.content_hash, item.window, item.ignored) for item in items]
    return part.scored(plain) if isinstance(items[0], LabelledItem) else part.unseen(plain)


def _threshold(scores: np.ndarray, share: float) -> float:
    """A score that new normals stay up to with a chance of ``share``; the highest where so few cannot promise that.

    Of n scores the one of rank ceil((n + 1) share): as :func:`mad_core.metrics.decisions.overkill_cut`.
    """
    rank = min(int(np.ceil((len(scores) + 1) * share - 1e-9)), len(scores))
    return float(np.sort(scores)[max(rank, 1) - 1])


def _threshold_in_words(count: int, share: float) -> str:
    """What the threshold promises of new normals."""
    promised = min(share, count / (count + 1))
    sentence = f"{100 * promised:.3g} % of new normals stay up to it on average, by {count} scores of normals"
    needed = int(np.ceil(share / (1 - share) - 1e-9)) if share < 1 else 0
    return sentence if count >= needed else f"{sentence}; {100 * share:g} % would take {needed}"


def _some(items: Sequence[Any]) -> list[Any]:
    """At most ``MOST_NORMALS``, spread evenly by name; the first ones, which are shown as references, left out."""
    ordered = sorted(items, key=lambda item: item.path)
    rest = ordered[8:] if len(ordered) >= 8 + NORMALS else ordered
    places = np.linspace(0, len(rest) - 1, min(len(rest), MOST_NORMALS)).round().astype(int)
    return [rest[place] for place in places]


def _values(judged: Sequence[Scored], part: Part) -> np.ndarray:
    values = np.array([one.score for one in judged if one.score is not None], dtype=np.float64)
    if not len(values):
        raise InputError(f"Run '{part.title}' gives no normal image a score, so nothing says what is normal for it.")
    return values


# -- the weight ---------------------------------------------------------------------------------


def _learn(
    detector: Part, mllm: Part, scale: ScoreScale, other: ScoreScale, calibration: Sequence[LabelledItem]
) -> tuple[float, dict[str, Any]]:
    """The detector's weight with the highest C-index on the calibration images; 0.5 where these are too few."""
    plain = [Item(item.image_id, item.path, item.content_hash, item.window, item.ignored) for item in calibration]
    both = list(zip(calibration, detector.scored(plain), mllm.scored(plain), strict=True)) if plain else []
    rows = [
        (item.level, scale.standard(one.score), other.standard(two.score))
        for item, one, two in both
        if one.score is not None and two.score is not None
    ]
    levels, first, second = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.empty(0),) * 3
    sizes = np.unique(told_apart(levels), return_counts=True)[1]
    if len(levels) < LABELLED or (sizes >= PER_LEVEL).sum() < 2:
        reason = (
            f"0.5, not learned: {len(levels)} labelled calibration images of {len(sizes)} levels are too few "
            f"(at least {LABELLED}, and {PER_LEVEL} each of two levels)"
        )
        return 0.5, {"weight_from": reason}
    orders = {w: _order(levels, w * first + (1 - w) * second) for w in WEIGHTS}
    best = max(orders.values())
    weight = min((w for w, value in orders.items() if value == best), key=lambda w: (abs(w - 0.5), w))
    return weight, {
        "weight_from": f"highest C-index on {len(levels)} calibration images of {len(sizes)} levels",
        "calibration_c_index": {"blend": best, "detector alone": orders[1.0], "mllm alone": orders[0.0]},
    }


def _order(levels: np.ndarray, scores: np.ndarray) -> float:
    return c_index(count_pairs(levels, scores)) or 0.0


# -- results ------------------------------------------------------------------------------------


def _failed(name: str, part: Part, lost: Scored, seconds: float) -> Scored:
    sentence = f"Run '{part.title}' has no score of this image: {lost.reason or lost.status}"
    return Scored.failed(lost.image_id, f"{name}-failed", sentence, seconds, part=part.run_id, part_status=lost.status)


def _found_normal(fitted: Fitted, one: Scored) -> Scored:
    assert one.score is not None
    return Scored(
        one.image_id,
        fitted.normal_side(one.score),
        map=one.map,
        reason=f"The detector finds nothing: {one.score:.4g} is not above its threshold, {fitted.threshold:.4g}.",
        seconds=one.seconds,
        detail={"stage": "detector", "detector": one.score, "threshold": fitted.threshold},
    )


def _judged_by_model(fitted: Fitted, one: Scored, two: Scored, mllm: Part) -> Scored:
    seconds = one.seconds + two.seconds
    if two.status != OK or two.score is None:
        return _failed("mllm", mllm, two, seconds)
    detail = {"stage": "mllm", "detector": one.score, "mllm": two.score, "threshold": fitted.threshold}
    return Scored(
        one.image_id,
        two.score,
        map=one.map,
        reason=two.reason,
        distribution=two.distribution,
        seconds=seconds,
        detail=detail,
    )
