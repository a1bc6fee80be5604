"""More than one look at an image: other wordings, a doubtful second look, words of levels, pairs. No torch here.

Every look ends in a distribution over the scores 0 to 100, and what counts is the mean of all of them. All begin
with the part of the question that images share, so none of it is computed anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mad_core.errors import InputError
from mad_core.scorers.multimodal.prompts import LOOK, WORDINGS, Piece
from mad_core.scorers.multimodal.readout import SCORES, ExpectedScore, of_distribution
from mad_core.scorers.multimodal.rubrics import Rubric
from mad_core.scorers.multimodal.showing import Question

LEVEL_CUE, WORSE_CUE = "Severity: ", "Worse: "
FIRST, SECOND = "first", "second"
WIDTH = 4.0
"""Points over which a habit for single numbers is told from what images are like."""


@dataclass(frozen=True)
class Looks:
    """Which looks are taken besides the direct one; see :func:`mad_core.scorers.multimodal.parameters.looks`."""

    wordings: int = 1
    second: bool = False
    first: int = 0
    words: bool = False
    pairs: bool = False
    habits: int = 0

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Looks:
        """Of checked parameters; the benchmark's protocols take none."""
        if given["protocol"] != "inspector":
            return cls()
        names = ("wordings", "second_look", "looks_first", "level_words", "pairs", "habits")
        return cls(*(given[name] for name in names))  # type: ignore[arg-type]

    @property
    def more(self) -> bool:
        """Whether there is any look besides the direct one."""
        return self.wordings > 1 or self.second or self.first > 0 or self.words or self.pairs


# -- questions ----------------------------------------------------------------------------------


def closed_with(question: Question, text: str) -> Question:
    """The question with another text behind the image."""
    own = question.conversation.own
    last = max(index for index, piece in enumerate(own) if piece.kind == "image")
    pieces = (*own[: last + 1], Piece("text", f"\n{text}"))
    return replace(question, conversation=replace(question.conversation, own=pieces))


def worded(question: Question, count: int) -> list[Question]:
    """The question in all further ways to word it."""
    return [closed_with(question, wording) for wording in WORDINGS[1:count]]


def looking(question: Question) -> Question:
    """The question what is to be seen."""
    return closed_with(question, LOOK)


def for_level(question: Question, words: Sequence[str]) -> Question:
    """The question for a level's word."""
    return closed_with(
        question, f"Answer in one line: '{LEVEL_CUE}' and one of these words for the last image: {', '.join(words)}."
    )


def against(question: Question, anchor: np.ndarray, *, anchor_first: bool) -> Question:
    """The question which of two images is worse: the one to judge, or one of a level.

    Parameters
    ----------
    anchor : ndarray of shape (H, W, 3), uint8, RGB
    anchor_first : bool
        Whether it stands before the image to judge.
    """
    pair = [anchor, question.own[-1]] if anchor_first else [question.own[-1], anchor]
    asked = f"Which shows the more severe anomaly? Answer '{WORSE_CUE}' and '{FIRST}' or '{SECOND}'."
    own = (
        Piece("text", "\nFirst image:"),
        Piece("image"),
        Piece("text", "\nSecond image:"),
        Piece("image"),
        Piece("text", f"\n{asked}"),
    )
    return replace(question, conversation=replace(question.conversation, own=own), own=tuple(pair))


# -- distributions ------------------------------------------------------------------------------


def averaged(looks: Sequence[ExpectedScore | None], least: float = 0.0) -> ExpectedScore | None:
    """The mean of several looks; None where none saw anything.

    Parameters
    ----------
    looks : sequence of ExpectedScore or None
        The direct one first.
    least : float
        Probability of all scores together below which a look is left out; where all are, the first one stands.
    """
    any_mass = [look for look in looks if look is not None]
    seen = [look for look in any_mass if look.mass >= least] or any_mass[:1]
    if not seen:
        return None
    distribution = np.mean([look.distribution for look in seen], axis=0)
    return of_distribution(distribution, float(np.mean([look.mass for look in seen])))


def places_of_words(rubric: Rubric) -> dict[str, int]:
    """Middle of each band of a rubric by its name.

    Raises
    ------
    InputError
        If the rubric has fewer than two named bands.
    """
    places = {band.name: round((band.low + band.high) / 2) for band in rubric.bands if band.name}
    if len(places) < 2:
        raise InputError("Words of levels need a rubric with named bands; set level_words=no or take another rubric.")
    return places


def of_words(places: Mapping[str, int], probabilities: np.ndarray) -> ExpectedScore | None:
    """The distribution that words of levels say.

    Parameters
    ----------
    places : mapping of str to int
        Where on 0-100 each word lies.
    probabilities : ndarray of shape (words,)
        Of each word, in order; what the model would write otherwise is missing.
    """
    distribution = np.zeros(SCORES)
    np.add.at(distribution, list(places.values()), probabilities)
    total = float(distribution.sum())
    return of_distribution(distribution / total, min(1.0, total)) if total > 0 else None


def of_pairs(places: Sequence[int], worse: Sequence[float]) -> ExpectedScore | None:
    """The distribution that comparisons say.

    Parameters
    ----------
    places : sequence of int
        Where on 0-100 the images lie that were compared with, rising.
    worse : sequence of float
        Probability that the image is worse than each of them.
    """
    if not places:
        return None
    above = np.minimum.accumulate(np.clip(worse, 0, 1))  # worse than a bad one is worse than a mild one
    edges = [0, *places, 100]
    middles = [round((low + high) / 2) for low, high in pairwise(edges)]
    shares = -np.diff([1.0, *above, 0.0])
    distribution = np.zeros(SCORES)
    np.add.at(distribution, middles, shares)
    return of_distribution(distribution, 1.0)


def habit_of(distributions: Sequence[np.ndarray]) -> np.ndarray:
    """How much more probable each number is than its neighbours, whatever a model sees: (101,), mean about 1.

    Parameters
    ----------
    distributions : sequence of ndarray of shape (101,)
        Of normals that the model has not been shown. Their coarse shape is what they are like; what stands out of it
        number by number (the round ones) is habit.
    """
    if not distributions:
        return np.ones(SCORES)
    mean = np.mean(distributions, axis=0) + 1e-4
    steps = np.arange(SCORES)
    kernel = np.exp(-0.5 * ((steps[:, None] - steps) / WIDTH) ** 2)
    smooth = (kernel @ mean) / kernel.sum(1)
    return np.clip(mean / smooth, 0.1, 10)


def without_habit(look: ExpectedScore | None, habit: np.ndarray) -> ExpectedScore | None:
    """A look without what the model likes to write; its probability in all stays."""
    if look is None:
        return None
    distribution = look.distribution / habit
    return of_distribution(distribution / distribution.sum(), look.mass)
