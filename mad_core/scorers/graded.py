"""Severity learned from a few graded images, on top of any detector: :mod:`mad_core.learning` with pictures.

The grades are the levels of the calibration images, which leave every metric. Features come from a frozen backbone;
the detector is a stored run, which is asked for the scores of images that it has not seen.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mad_core.datasets.dataset import level_key
from mad_core.errors import InputError
from mad_core.learning.conformal import never_ruled_out
from mad_core.learning.evidence import EXAMPLES, Evidence, NormalScale
from mad_core.learning.importance import shares
from mad_core.learning.learner import Learner, Predicted, learn
from mad_core.learning.regression import Comparison
from mad_core.scorers.contract import Context, Item, LabelledItem, Scored, Scorer
from mad_core.scorers.features.answers import ANSWER, answer, spread_over
from mad_core.scorers.features.described import LAYERS, bank_of, bank_state, described, make_bank
from mad_core.scorers.features.frozen import FrozenBackbone
from mad_core.scorers.features.looks import GROUPS, LookFolder, as_kept, scale_of
from mad_core.scorers.features.whole import prepared
from mad_core.scorers.graded_graph import GradedGraph, LearnerGraph
from mad_core.scorers.graph import Graph, PillowResize
from mad_core.scorers.image_loading import LoadedImage, load
from mad_core.scorers.image_scorer import read_normals, sample
from mad_core.source_digest import source_digest

if TYPE_CHECKING:
    from mad_core.scorers.features.described import PatchBank

MODEL = "model"
"""The parameter that names a multimodal model's run."""
FEWEST_NORMALS, MOST_NORMALS = 4, 120
CHUNK = 16
NEAREST = 3
"""Graded images that are named as the reason of a score."""

Look = Mapping[str, np.ndarray]
"""An image in numbers, a vector for each of ``GROUPS``."""


class Graded(Scorer):
    """A learner of severity over a detector's run."""

    backbone: FrozenBackbone | None = None
    bank: PatchBank | None = None
    learner: Learner | None = None
    evidence: Evidence | None = None
    kept = LookFolder(None)
    graded: Sequence[LabelledItem] = ()
    comparisons: Sequence[tuple[str, str]] = ()
    """Ids of a worse and of a milder graded image."""
    normal_scores: Sequence[float | None] = ()
    """Of the training normals by the detector, each by a fit without it."""
    normal_answers: np.ndarray | None = None
    """What a multimodal model says of them, (m, 3), where one is asked."""
    graded_answers: Mapping[str, np.ndarray] = MappingProxyType({})

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        """Learn how normals look, then from the graded images what makes one severe.

        Raises
        ------
        InputError
            If there are too few normals or grades.
        """
        if not context.calibration:
            raise InputError(
                f"Subset '{context.subset}' has no graded images: set some of its labelled test images aside "
                "(--calibrate 5), or bring calibration images with levels."
            )
        chosen = sample(normals, MOST_NORMALS, context)
        self.kept = LookFolder(self._folder(chosen, context))
        total = 2 * len(chosen) + 1
        evidence = self._look_at_normals(chosen, context, total)
        context.step(total - 1, total)
        self.graded, self.evidence = self._graded(context)
        graded_ids = {item.image_id for item in self.graded}
        self.comparisons = [pair for pair in context.comparisons if graded_ids.issuperset(pair)]
        self.learner = self._learned(evidence)
        context.step(total, total)

    def _look_at_normals(self, normals: Sequence[Item], context: Context, total: int) -> NormalScale:
        """The bank of patches, and how normals look, to the network and to the detector."""
        pixels = read_normals(normals, self._prepare, context, fewest=FEWEST_NORMALS, total=total)
        layers = [self._layers(image, context) for image in pixels]
        self.bank = make_bank(layers, context)
        looks = []
        for number, of in enumerate(layers):
            looks.append(described(of, self.bank, number))
            context.step(len(normals) + number + 1, total)
        together = as_kept({name: np.stack([look[name] for look in looks]) for name in GROUPS})
        self.kept.write_normals(together)
        if len(looks) == len(normals):  # else who is who is not known: some could not be read
            self.normal_scores = [one.score for one in context.parts["detector"].unseen(normals)]
            if MODEL in context.parts:
                self.normal_answers = self._answers_to_normals(normals, context)
        elif MODEL in context.parts:
            raise InputError("A training normal cannot be read, so what a multimodal model says of them stays unknown.")
        return scale_of(together, self.normal_scores, self.normal_answers)

    @staticmethod
    def _answers_to_normals(normals: Sequence[Item], context: Context) -> np.ndarray:
        """What the model says of a few of them, (m, 3); the others are taken for their mean."""
        places = np.unique(np.linspace(0, len(normals) - 1, min(EXAMPLES, len(normals))).round().astype(int)).tolist()
        scored = zip(places, context.parts[MODEL].scored([normals[place] for place in places]), strict=True)
        answers = {place: answer(one.score, one.distribution) for place, one in scored if one.score is not None}
        if not answers:
            raise InputError(
                "The multimodal model has scored none of the training normals, so nothing is normal to it."
            )
        return spread_over(list(answers.values()), list(answers), len(normals))

    def _folder(self, normals: Sequence[Item], context: Context) -> Path | None:
        """Where looks are kept: named after all that they depend on. Images without a digest are not kept apart."""
        if context.looks is None or not all(item.content_hash for item in normals):
            return None
        facts = [source_digest("mad_core.scorers.features.described"), self.parameters["backbone"]]
        facts += [str(self.parameters["size"]), str(context.seed), context.device.partition(":")[0]]
        seen = [normals[0].window, normals[0].ignored] if normals else []
        facts += [one.key for one in seen if one is not None]
        digest = hashlib.blake2b("\0".join([*facts, *(item.content_hash for item in normals)]).encode(), digest_size=12)
        return context.looks / digest.hexdigest()

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        if self.learner is None:
            raise InputError("The learner is not fitted.")
        for start in range(0, len(images), CHUNK):
            context.check_cancel()
            started = time.perf_counter()
            chunk = images[start : start + CHUNK]
            told = _told_of(chunk, context)
            looks = self._looks(chunk, context)
            usable = [one for one in looks if one.value is not None and told[one.item.image_id].complete]
            results = iter(self._judged(usable, told) if usable else ())
            seconds = (time.perf_counter() - started) / len(chunk)
            for loaded in looks:
                yield self._result(loaded, told[loaded.item.image_id], results, seconds)

    def _result(
        self, loaded: LoadedImage[Any], told: _Told, results: Iterator[dict[str, Any]], seconds: float
    ) -> Scored:
        base, model = told.detector, told.model
        if loaded.value is None:
            return loaded.failed(seconds)
        if base.score is None:
            why = f"The detector has no score of this image: {base.reason or base.status}"
            return Scored.failed(loaded.item.image_id, "detector-failed", why, seconds)
        if model is not None and model.score is None:
            why = f"The multimodal model has no score of this image: {model.reason or model.status}"
            return Scored.failed(loaded.item.image_id, "mllm-failed", why, seconds)
        return Scored(loaded.item.image_id, map=base.map, seconds=seconds, **next(results))

    def _judged(self, usable: Sequence[LoadedImage[Look]], told: Mapping[str, _Told]) -> list[dict[str, Any]]:
        """Score, reason and detail of each image."""
        learner, rows = self.learner, _evidence(usable, told)
        assert learner is not None
        predicted = learner.predict(rows)
        sets = learner.sets(predicted, 1 - self.parameters["guarantee"])
        distances, unlike = learner.distances(rows), learner.unlike(rows)
        return [
            self._in_words(
                row, predicted, sets[row], distances[row], bool(unlike[row]), told[one.item.image_id].detector
            )
            for row, one in enumerate(usable)
        ]

    def _in_words(
        self, row: int, predicted: Predicted, inside: np.ndarray, distances: np.ndarray, unlike: bool, base: Scored
    ) -> dict[str, Any]:
        assert self.learner is not None
        levels = self.learner.levels
        called = float(levels[predicted.probabilities[row].argmax()])
        within = [float(level) for level in levels[inside]]
        nearest = [self.graded[place] for place in np.argsort(distances, kind="stable")[:NEAREST]]
        like = ", ".join(f"L{level_key(item.level)}" for item in nearest)
        reason = f"Called {_names([called])}; {_names(within)} cannot be ruled out. The nearest graded images: {like}."
        if unlike:
            reason += " It is unlike every graded image, so its level is a guess."
        detail = {
            "level": called,
            "levels": within,
            "probabilities": {
                level_key(k): float(p) for k, p in zip(levels, predicted.probabilities[row], strict=True)
            },
            "expected_level": float(predicted.expected[row]),
            "spread": float(predicted.spread[row]),
            "unlike": unlike,
            "nearest": [{"image_id": item.image_id, "level": item.level} for item in nearest],
            "detector": base.score,
        }
        return {"score": float(predicted.severity[row]), "reason": reason, "detail": detail}

    def graph(self, height: int, width: int, context: Context) -> Graph:
        if self.learner is None or self.bank is None:
            raise InputError("The learner is not fitted.")
        if MODEL in context.parts:
            raise InputError("It asks a multimodal model, which cannot be exported; learn from grades without one.")
        pixels = self._prepare(np.zeros((height, width, 3), np.uint8))
        if self.backbone is None:
            self.backbone = FrozenBackbone(self.parameters["backbone"], LAYERS, context.weights, context.device)
        return GradedGraph(
            context.parts["detector"].graph(height, width),
            PillowResize((height, width), (pixels.shape[1], pixels.shape[2])),
            self.backbone.traceable(),
            self.bank,
            LearnerGraph(self.learner, 1 - self.parameters["guarantee"]),
        )

    # -- what the learner sees ----------------------------------------------------------------------

    def _prepare(self, image: np.ndarray) -> torch.Tensor:
        return prepared(image, self.parameters["size"])

    def _layers(self, image: torch.Tensor, context: Context) -> list[torch.Tensor]:
        if self.backbone is None:
            self.backbone = FrozenBackbone(self.parameters["backbone"], LAYERS, context.weights, context.device)
        return [layer[0] for layer in self.backbone.layers(image[None])]

    def _looks(self, images: Sequence[Item], context: Context) -> list[LoadedImage[Look]]:
        """The look of each image, in order: kept ones, else new ones; an image that cannot be read has none."""
        kept = {item.image_id: self.kept.read(item.content_hash) for item in images}
        missing = [item for item in images if kept[item.image_id] is None]
        made = {one.item.image_id: self._made(one, context) for one in load(missing, self._prepare)}
        return [made.get(item.image_id) or LoadedImage(item, kept[item.image_id], None) for item in images]

    def _made(self, one: LoadedImage[torch.Tensor], context: Context) -> LoadedImage[Look]:
        assert self.bank is not None
        context.check_cancel()
        if one.value is None:
            return LoadedImage(one.item, None, one.error, one.status)
        look = as_kept(described(self._layers(one.value, context), self.bank))
        self.kept.write(one.item.content_hash, look)
        return LoadedImage(one.item, look, None)

    def _graded(self, context: Context) -> tuple[list[LabelledItem], Evidence]:
        """The graded images that can be read and that the detector has scored."""
        plain = [
            Item(item.image_id, item.path, item.content_hash, item.window, item.ignored) for item in context.calibration
        ]
        told = _told_of(plain, context)
        looks = self._looks(plain, context)
        usable = [one for one in looks if one.value is not None and told[one.item.image_id].complete]
        if not usable:
            raise InputError(f"None of the graded images of subset '{context.subset}' can be read and scored.")
        levels = {item.image_id: item for item in context.calibration}
        evidence = _evidence(usable, told)
        if ANSWER in evidence.groups:
            ids = [one.item.image_id for one in usable]
            self.graded_answers = dict(zip(ids, evidence.groups[ANSWER], strict=True))
        return [levels[one.item.image_id] for one in usable], evidence

    # -- what is kept -------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        if self.learner is None or self.bank is None or self.evidence is None:
            return {}, {}
        kept = {f"bank.{name}": tensor for name, tensor in bank_state(self.bank).items()}
        for kind, of in self._numbers(self.learner, self.evidence).items():
            kept |= {f"{kind}.{name}": torch.from_numpy(np.ascontiguousarray(values)) for name, values in of.items()}
        graded = [[item.image_id, item.path, item.level, item.content_hash, item.group] for item in self.graded]
        normals = [self.learner.scale.middle, self.learner.scale.step]
        facts = {"normals": normals, "normal_scores": list(self.normal_scores), "graded": graded}
        facts["comparisons"] = [list(pair) for pair in self.comparisons]
        return kept, facts | {"looks": self.kept.folder and self.kept.folder.name, **self._answers()}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        parts: dict[str, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            parts.setdefault(kind, {})[rest] = tensor
        numbers = {kind: {name: t.cpu().numpy() for name, t in of.items()} for kind, of in parts.items()}
        self.bank = bank_of(parts["bank"], context.device)
        self.kept = LookFolder(context.looks / facts["looks"] if context.looks and facts["looks"] else None)
        self.graded = [LabelledItem(*of, group=group) for *of, group in facts["graded"]]
        self.evidence = Evidence(numbers["detector"]["score"], numbers["graded"])
        self.normal_scores = facts["normal_scores"]
        self.comparisons = [(worse, milder) for worse, milder in facts.get("comparisons", ())]
        if "normal_answers" in facts:
            self.normal_answers = np.array(facts["normal_answers"])
            self.graded_answers = {name: np.array(of) for name, of in facts["graded_answers"].items()}
        examples = None
        if "example" in numbers:
            examples = Evidence(numbers["example score"]["score"], numbers["example"])
        self.learner = self._learned(NormalScale(numbers["centre"], numbers["spread"], examples, *facts["normals"]))

    @staticmethod
    def _numbers(learner: Learner, evidence: Evidence) -> dict[str, Mapping[str, np.ndarray]]:
        """What the learner is made of; the fit itself takes no time and is done again."""
        numbers: dict[str, Mapping[str, np.ndarray]] = {
            "centre": learner.scale.centre,
            "spread": learner.scale.spread,
            "graded": evidence.groups,
            "detector": {"score": evidence.detector},
        }
        if learner.scale.examples is not None:
            examples = learner.scale.examples
            numbers |= {"example": examples.groups, "example score": {"score": examples.detector}}
        return numbers

    def _learned(self, scale: NormalScale) -> Learner:
        assert self.evidence is not None
        groups = [item.group for item in self.graded]
        places = {item.image_id: place for place, item in enumerate(self.graded)}
        pairs = [Comparison(places[worse], places[milder]) for worse, milder in self.comparisons]
        levels = np.array([item.level for item in self.graded])
        compared = self.evidence if pairs else None
        return learn(self.evidence, levels, scale, together=groups, compared=compared, comparisons=pairs)

    def _answers(self) -> dict[str, Any]:
        """What the multimodal model said of normals and graded images, in lists; nothing where none was asked."""
        if self.normal_answers is None:
            return {}
        graded = {name: of.tolist() for name, of in self.graded_answers.items()}
        return {"normal_answers": self.normal_answers.tolist(), "graded_answers": graded}

    def facts(self) -> dict[str, Any]:
        """How many grades went in and of which images, what carries, and how well fits agree with grades unseen."""
        learner = self.learner
        if learner is None or self.evidence is None:
            return {}
        counts = {level_key(level): int((learner.grades == level).sum()) for level in learner.levels}
        return {
            "supervision": f"{len(learner.grades)} grades",
            "grades": counts,
            "comparisons": len(self.comparisons),
            "graded_images": [item.image_id for item in self.graded],
            "detector_scores": dict(
                zip((item.image_id for item in self.graded), self.evidence.detector.tolist(), strict=True)
            ),
            "normal_scores": list(self.normal_scores),
            **self._answers(),
            "shares": [asdict(share) for share in shares(learner)],
            "never_ruled_out": {
                level_key(level): count
                for level, count in never_ruled_out(
                    learner.grades, learner.levels, 1 - self.parameters["guarantee"]
                ).items()
            },
            "looks": self.kept.folder.name if self.kept.folder else None,
            "weights": self.backbone.digest if self.backbone else None,
        }


@dataclass(frozen=True)
class _Told:
    """What the runs that the learner is made of say of an image; the model is None where none is asked."""

    detector: Scored
    model: Scored | None

    @property
    def complete(self) -> bool:
        return self.detector.score is not None and (self.model is None or self.model.score is not None)


def _told_of(images: Sequence[Item], context: Context) -> dict[str, _Told]:
    detectors = context.parts["detector"].scored(images)
    if MODEL not in context.parts:
        return {item.image_id: _Told(one, None) for item, one in zip(images, detectors, strict=True)}
    models = context.parts[MODEL].scored(images)
    return {item.image_id: _Told(*of) for item, *of in zip(images, detectors, models, strict=True)}


def _evidence(looks: Sequence[LoadedImage[Look]], told: Mapping[str, _Told]) -> Evidence:
    """What is known of images that both runs have scored."""
    of = [told[one.item.image_id] for one in looks]
    values = [one.value for one in looks if one.value is not None]
    groups = {name: np.stack([look[name] for look in values]) for name in GROUPS}
    models = [one.model for one in of if one.model is not None]
    if models:
        groups[ANSWER] = np.stack([answer(one.score, one.distribution) for one in models if one.score is not None])
    return Evidence(np.array([one.detector.score for one in of], dtype=np.float64), groups)


def _names(levels: Sequence[float]) -> str:
    """Levels in words: "L2", "L2 or L3"."""
    names = [f"L{level_key(level)}" for level in levels]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
