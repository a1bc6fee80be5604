"""The scorer contract as a test that anyone can run, as scikit-learn's ``check_estimator`` is.

>>> from mad_core.testing import check_scorer
>>> check_scorer("filterbank", size=64)
"""

import itertools
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mad_core.errors import CancelledError, MadError
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import OK, Context, Item, Scored, Scorer
from mad_core.scorers.own import check, resolved

__all__ = ["check_scorer"]

NORMALS = 6
SHAPES = ((64, 80), (80, 64))
LEVELS = (0, 1, 2)
RELATIVE = 1e-4
"""Differences up to this share of a score are rounding: sums over a batch depend on who else is in it."""


def check_scorer(scorer: Any, *, context: Context | None = None, **parameters: Any) -> None:
    """Try a scorer on small pictures, and fail with a sentence that names what it breaks of the contract.

    Same scores from the same seed; scores that depend on the image alone, not on its name, its folder, the order or
    the other images; a failed image without a score; a cancel that is heard; maps on the image's aspect; a run that is
    taken up again from the state on disk.

    Parameters
    ----------
    scorer : ScorerInfo, str, or what stands under ``mad.scorer``
        A declaration, an id of the catalogue, a function or a class.
    context : Context, optional
        What it needs beside normals: parts, weights, a card. Its images are replaced.
    **parameters
        As declared, for instance a small size.

    Raises
    ------
    AssertionError
        If it breaks the contract.
    InputError, UnavailableError
        If a parameter is wrong or something that it needs is missing here.
    """
    info = scorer if isinstance(scorer, ScorerInfo) else catalog.scorer(resolved(scorer))
    checked = info.check(parameters)
    missing = info.why_not(checked)
    if missing:
        raise MadError(missing)
    with tempfile.TemporaryDirectory() as folder:
        _Trial(info, checked, context or Context(subset="trial", seed=3), _Pictures(Path(folder))).all()


class _Pictures:
    """Normals, and the same test images twice: by level and defect with masks, and under names that say nothing."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.normals = [
            _written(folder / "train" / "good" / f"{i:03}.png", _surface(rng, SHAPES[0], 0)) for i in range(NORMALS)
        ]
        self.labelled: list[Item] = []
        self.nameless: list[Item] = []
        self.shapes: dict[str, tuple[int, int]] = {}
        for number, (level, shape) in enumerate(itertools.product(LEVELS, SHAPES)):
            picture = _surface(rng, shape, level)
            kind = f"scratch_level_{level}" if level else "good_level_0"
            self.labelled.append(_written(folder / "test" / kind / f"{number:03}.png", picture))
            self.nameless.append(_written(folder / "other" / f"{(number * 5 + 2) % 7}.png", picture))
            self.shapes[self.labelled[-1].image_id] = shape
            _written(folder / "ground_truth" / kind / f"{number:03}.png", _mask(shape, level))
        broken = folder / "test" / "scratch_level_2" / "broken.png"
        broken.write_bytes(b"no image")
        self.broken = Item("broken", str(broken))


def _surface(rng: np.random.Generator, shape: tuple[int, int], level: int) -> np.ndarray:
    grey = 120 + 25 * np.sin(np.arange(shape[1])[None, :] / 4) + rng.normal(0, 4, shape)
    grey[_mask(shape, level)[..., 0] > 0] = 20
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)


def _mask(shape: tuple[int, int], level: int) -> np.ndarray:
    mask = np.zeros((*shape, 3), np.uint8)
    mask[20 : 20 + 8 * level, 24 : 24 + 10 * level] = 255
    return mask


def _written(path: Path, picture: np.ndarray) -> Item:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return Item("-".join(path.parts[-3:]), str(path))


@dataclass
class _Trial:
    """One scorer with its parameters, put to the test."""

    info: ScorerInfo
    parameters: Mapping[str, Any]
    base: Context
    pictures: _Pictures
    scorers: list[Scorer] = field(default_factory=list)

    def all(self) -> None:
        """Every promise in turn; two fits."""
        try:
            self._declaration()
            self._cancel_of_fit()
            first = self._fitted()
            expected = self._scores(first)
            self._cancel_of_score(first)
            self._state(first, expected)
            self._again(expected)
        finally:
            for scorer in self.scorers:
                scorer.close()

    def fails(self, what: str) -> AssertionError:
        return AssertionError(f"Scorer '{self.info.id}' {what}")

    def expect(self, holds: object, what: str) -> None:
        if not holds:
            raise self.fails(what)

    @property
    def context(self) -> Context:
        return replace(self.base, normals=self.pictures.normals)

    def made(self) -> Scorer:
        try:
            scorer = self.info.create(self.parameters)
        except TypeError as error:
            raise self.fails(f"does not take the parameters that it declares: {error}") from error
        self.expect(isinstance(scorer, Scorer), "is not made by a class that inherits from Scorer.")
        self.scorers.append(scorer)
        return scorer

    def learned(self, scorer: Scorer, context: Context) -> None:
        scorer.fit(self.pictures.normals if self.info.needs_fit else [], context)

    def _fitted(self) -> Scorer:
        scorer, steps = self.made(), []
        self.learned(scorer, replace(self.context, progress=lambda done, total: steps.append((done, total))))
        done = [one for one, _ in steps]
        self.expect(done == sorted(done), f"reports progress that goes back: {done}.")
        self.expect(all(one <= total for one, total in steps), "reports more progress than there is to do.")
        return scorer

    def _declaration(self) -> None:
        if self.info.local:  # checked when it was declared
            return
        try:
            check(replace(self.info, made=None))
        except MadError as error:
            raise self.fails(f"has a declaration that cannot be used: {error}") from error

    def _cancel_of_fit(self) -> None:
        if self.info.needs_fit:
            self._hears(lambda context: self.learned(self.made(), context), "fitting", after=1)

    def _cancel_of_score(self, scorer: Scorer) -> None:
        self._hears(lambda context: list(scorer.score(self.pictures.labelled, context)), "scoring", after=0)

    def _hears(self, work: Callable[[Context], Any], what: str, after: int) -> None:
        calls = itertools.count()
        try:
            work(replace(self.context, cancelled=lambda: next(calls) >= after))
        except CancelledError:
            return
        raise self.fails(f"does not leave when it is cancelled while {what}: call context.step or check_cancel.")

    def results(self, scorer: Scorer, images: Sequence[Item]) -> list[Scored]:
        results = list(scorer.score(images, self.context))
        ids = [scored.image_id for scored in results]
        self.expect(
            ids == [item.image_id for item in images], f"does not give one result an image, in order: {ids} came back."
        )
        return results

    def values(self, scorer: Scorer, images: Sequence[Item]) -> list[float]:
        return self._numbers(self.results(scorer, images))

    def _numbers(self, results: Sequence[Scored]) -> list[float]:
        failed = next((scored for scored in results if scored.status != OK), None)
        self.expect(failed is None, f"gives an image that can be read no score: {failed.reason if failed else ''}")
        return [float(scored.score) for scored in results if scored.score is not None]

    def _scores(self, scorer: Scorer) -> list[float]:
        """The scores of the images, found beside a file that is no image."""
        first, *others = self.pictures.labelled
        try:
            results = self.results(scorer, [first, self.pictures.broken, *others])
        except (AssertionError, CancelledError):
            raise
        except Exception as error:
            raise self.fails(f"stops at a file that is no image: {type(error).__name__}: {error}") from error
        failed = results.pop(1)
        self.expect(failed.score is None, f"gives a file that is no image the score {failed.score}.")
        self.expect(failed.status != OK and failed.reason, "does not say why a file that is no image has no score.")
        for scored in results:
            self._result(scored)
        self._json("facts()", scorer.facts())
        return self._numbers(results)

    def _result(self, scored: Scored) -> None:
        self.expect(scored.score is None or math.isfinite(scored.score), "gives a score that is not finite.")
        self.expect((scored.status == OK) == (scored.score is not None), "gives a score and says that it failed.")
        self._json("detail", dict(scored.detail))
        if scored.map is None:
            return
        height, width = self.pictures.shapes[scored.image_id]
        shape = scored.map.shape
        self.expect(scored.map.dtype == np.float32, f"gives a map of {scored.map.dtype}, and float32 is wanted.")
        self.expect(np.isfinite(scored.map).all(), "gives a map that is not finite.")
        same = len(shape) == 2 and abs(shape[0] - shape[1] * height / width) <= max(1.0, height / width)
        self.expect(same, f"gives a map of {shape} for an image of {(height, width)}: another aspect.")

    def _json(self, what: str, facts: Any) -> None:
        try:
            json.dumps(facts, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise self.fails(f"gives {what} that JSON cannot hold: {error}") from error

    def _state(self, scorer: Scorer, expected: Sequence[float]) -> None:
        """A run that is taken up again: another instance, the state from disk, the images in two goes."""
        from mad_core.runs import fitted

        again, images = self.made(), self.pictures.labelled
        if self.info.needs_fit:
            self._json("the facts of state()", scorer.state()[1])
            with tempfile.TemporaryDirectory() as folder:
                fitted.save_fit(Path(folder) / "fit", scorer, {})
                self.expect(
                    fitted.load_fit(Path(folder) / "fit", again, self.context), "gives a state that is lost on disk."
                )
        else:
            self.learned(again, self.context)
        half = len(images) // 2
        scores = self.values(again, images[:half]) + self.values(again, images[half:])
        self._agree(expected, scores, "other scores when it is taken up again from its state and scores in two goes")

    def _again(self, expected: Sequence[float]) -> None:
        """A second fit by the same seed, and the images nameless and in another order."""
        second, order = self.made(), [3, 0, 5, 1, 4, 2]
        self.learned(second, self.context)
        if self._same(expected, self._turned(second, self.pictures.nameless, order)):
            return
        labelled = self.pictures.labelled
        self._agree(expected, self.values(second, labelled), "other scores when it is fitted again by the same seed")
        self._agree(expected, self._turned(second, labelled, order), "scores that depend on the order of the images")
        raise self.fails("looks at more than the image: the same pictures under other names get other scores.")

    def _turned(self, scorer: Scorer, images: Sequence[Item], order: Sequence[int]) -> list[float]:
        """Scores of the images in their order, scored in another."""
        scores = dict(zip(order, self.values(scorer, [images[i] for i in order]), strict=True))
        return [scores[i] for i in range(len(images))]

    def _same(self, expected: Sequence[float], scores: Sequence[float]) -> bool:
        return np.allclose(scores, expected, rtol=RELATIVE, atol=RELATIVE * float(np.ptp(expected)))

    def _agree(self, expected: Sequence[float], scores: Sequence[float], what: str) -> None:
        self.expect(self._same(expected, scores), f"gives {what}: {_short(scores)} instead of {_short(expected)}.")


def _short(scores: Sequence[float]) -> str:
    return ", ".join(f"{score:.6g}" for score in scores)
