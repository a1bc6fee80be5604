"""What was learned from grades as a graph: the detector, the description of a picture, and the fitted learner.

A learner is a few matrices once it is fitted (:mod:`mad_core.learning.learner`); its predictions are written down here
in torch, in double precision.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from mad_core.errors import InputError
from mad_core.learning.cuts import LEAST, Cuts
from mad_core.learning.evidence import FURTHEST, NormalScale
from mad_core.learning.kernels import DETECTOR, NOISE, OFFSET
from mad_core.learning.kernels import FURTHEST as FURTHEST_SCORE
from mad_core.learning.learner import BEYOND, POWER, UNLIKE, Learner, strangeness
from mad_core.learning.regression import Regression
from mad_core.scorers.features.described import PatchBank, described_tensors, extent_tensor
from mad_core.scorers.features.looks import EXTENT
from mad_core.scorers.graph import Graph, PillowResize

LEVEL, PROBABILITIES, INSIDE, OUTSIDE = "level", "probabilities", "levels", "unlike"
"""Further outputs: the called level, the probability of each level, which cannot be ruled out, and whether the picture
is unlike all graded ones (bytes, 0 or 1)."""
MOST_CELLS = 1200
"""Of a map of departures, of which regions are counted in a graph."""

Rows = Mapping[str, torch.Tensor]


class GradedGraph(Graph):
    """From pixels to severity, the detector's map, the called level and its set.

    Parameters
    ----------
    detector : Graph
    resize : PillowResize
        To the size of the described picture.
    network : Module
        Gives the layers that are described.
    bank : PatchBank
    learner : LearnerGraph
    """

    def __init__(
        self, detector: Graph, resize: PillowResize, network: nn.Module, bank: PatchBank, learner: LearnerGraph
    ) -> None:
        super().__init__()
        self.detector, self.resize, self.network, self.bank, self.learner = detector, resize, network, bank, learner
        self.outputs = (*detector.outputs, LEVEL, PROBABILITIES, INSIDE, OUTSIDE)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        score, *maps = self.detector(pixels)
        image = self.resize(pixels.permute(2, 0, 1)[None].float())
        layers = [layer[0] for layer in self.network(image / 127.5 - 1)]
        groups, surface = described_tensors(layers, self.bank)
        if surface.numel() > MOST_CELLS:
            raise InputError("Its pictures are too large for a graph; learn with a smaller --param size.")
        groups = groups | {EXTENT: extent_tensor(surface, self.bank.thresholds)}
        severity, *answers = self.learner(groups, score)
        return (severity, *maps, *answers)


class LearnerGraph(nn.Module):
    """A fitted learner without what a multimodal model says; ``miss`` as of :meth:`Learner.sets`."""

    def __init__(self, learner: Learner, miss: float) -> None:
        super().__init__()
        self.scale, self.miss = _Scale(learner.scale), miss
        self.presence = _Question(learner.presence.regression, learner.presence.cuts) if learner.presence else None
        self.severity = _Question(learner.severity.regression, learner.severity.cuts) if learner.severity else None
        self.levels, self.knows_normal = _doubles(learner.levels), learner.levels[0] == 0
        own = strangeness(learner.out_of_fold.probabilities)[
            np.arange(len(learner.grades)), np.searchsorted(learner.levels, learner.grades)
        ]
        self.own = [_doubles(own[learner.grades == level]) for level in learner.levels]
        among = learner.regressions[-1].distances(learner.graded, learner.graded)
        np.fill_diagonal(among, np.inf)
        self.reach = UNLIKE * float(among.min(axis=1).max())
        self.graded = _Distances(learner)

    def forward(self, groups: Rows, score: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Severity, called level (1,), probabilities and levels that cannot be ruled out (L,), unlike (1,)."""
        rows = self.scale(groups, score)
        chance, level, abnormal = self._answers(rows)
        below = (1 - chance)[None]
        probabilities = torch.cat([below, chance * abnormal]) if self.knows_normal else abnormal
        called = self.levels[probabilities.argmax()].reshape(1)
        unlike = (self.graded(rows).min() > self.reach).reshape(1)
        severity = (chance**POWER * level).reshape(1)
        return severity, called, probabilities, self._inside(probabilities), unlike.to(torch.uint8)

    def _answers(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Chance of being abnormal, the level if so, and the probabilities of the abnormal levels."""
        one = torch.ones((), dtype=torch.float64)
        chance = one if self.presence is None else self.presence.probabilities(*self.presence(rows))[1]
        if self.severity is None:
            return chance, self.levels[-1], one.reshape(1)
        number, deviation = self.severity(rows)
        abnormal = self.severity.probabilities(number, deviation)
        return chance, (abnormal * self.severity.levels).sum() + BEYOND * number, abnormal

    def _inside(self, probabilities: torch.Tensor) -> torch.Tensor:
        below = probabilities.cumsum(0) - probabilities
        strange = torch.maximum(below, 1 - below - probabilities)
        places = range(len(self.own))
        shares = torch.stack(
            [(1 + (own >= value).sum()) / (len(own) + 1) for own, value in zip(self.own, strange, strict=True)]
        )
        best = strange.argmin() == torch.tensor(list(places))
        inside = ((shares > self.miss) | best).to(torch.int64)
        return ((inside.cumsum(0) > 0) & (inside.flip(0).cumsum(0).flip(0) > 0)).to(torch.uint8)


class _Scale(nn.Module):
    """Features and a detector's score as departures from normal, as :meth:`NormalScale.departures` gives them."""

    def __init__(self, scale: NormalScale) -> None:
        super().__init__()
        self.centre = {name: _doubles(of) for name, of in scale.centre.items()}
        self.spread = {name: _doubles(of) for name, of in scale.spread.items()}
        self.middle, self.step = scale.middle, scale.step

    def forward(self, groups: Rows, score: torch.Tensor) -> dict[str, torch.Tensor]:
        rows = {
            name: ((values.double() - self.centre[name]) / self.spread[name]).clamp(-FURTHEST, FURTHEST)
            for name, values in groups.items()
        }
        detector = score.double()[0]
        if self.step:
            away = (detector - self.middle) / self.step
            detector = away.sign() * (away.abs() + (away * away + 1).sqrt()).log()  # asinh
        return rows | {DETECTOR: detector}


class _Kernel(nn.Module):
    """Covariances of an image with known rows, and its own variance, weighted as the regression weights them."""

    def __init__(self, regression: Regression, rows: Mapping[str, np.ndarray], detector: np.ndarray) -> None:
        super().__init__()
        kernels, amplitudes = regression.kernels, regression.amplitudes
        self.centre = {name: _doubles(of) for name, of in kernels.centre.items()}
        self.weight = {name: amplitudes[name] / kernels.size[name] for name in kernels.centre}
        self.rows = {name: _doubles((of - kernels.centre[name]).T) for name, of in rows.items()}
        self.middle, self.spread = kernels.middle, kernels.spread
        self.slope, self.detector = amplitudes[DETECTOR], _doubles(kernels.standard(detector))

    def standard(self, detector: torch.Tensor) -> torch.Tensor:
        return ((detector - self.middle) / self.spread).clamp(-FURTHEST_SCORE, FURTHEST_SCORE)

    def forward(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """Covariances (n,) and variance."""
        standard = self.standard(rows[DETECTOR])
        cross, own = self.slope * standard * self.detector, self.slope * standard * standard
        for name, centre in self.centre.items():
            away = rows[name] - centre
            cross = cross + self.weight[name] * (away @ self.rows[name])
            own = own + self.weight[name] * (away * away).sum()
        return cross + OFFSET, own + OFFSET


class _Question(nn.Module):
    """A regression and its cuts."""

    def __init__(self, regression: Regression, cuts: Cuts) -> None:
        super().__init__()
        self.kernel = _Kernel(regression, regression.evidence.groups, regression.evidence.detector)
        self.design = _doubles(regression.design.T)
        self.weights, self.precision = _doubles(regression.posterior.weights), _doubles(regression.posterior.precision)
        self.middle, self.unit, self.leaning = regression.middle, regression.unit, regression.belief.leaning
        self.noise = regression.amplitudes[NOISE]
        self.levels, self.places, self.stretch = _doubles(cuts.levels), _doubles(cuts.places), cuts.stretch

    def forward(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """The number and its standard deviation."""
        known, own = self.kernel(rows)
        cross = known @ self.design
        variance = (own - (cross @ self.precision * cross).sum()).clamp_min(0) + self.noise
        leaning = self.leaning * self.kernel.standard(rows[DETECTOR])
        return self.middle + self.unit * ((cross * self.weights).sum() + leaning), self.unit * variance.sqrt()

    def probabilities(self, number: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
        """Of each level, (L,)."""
        places = (number - self.places) / (self.stretch * deviation.clamp_min(LEAST))
        above = 0.5 * (1 + torch.erf((places / 2**0.5).float()).double())
        one = torch.ones(1, dtype=torch.float64)
        return torch.cat([one, above]) - torch.cat([above, 0 * one])


class _Distances(nn.Module):
    """How far an image is from each graded one, as :meth:`Learner.distances` gives it."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        regression = learner.regressions[-1]
        self.kernel = _Kernel(regression, learner.graded.groups, learner.graded.detector)
        own = regression.kernels.diagonals(learner.graded)
        total = np.sum([regression.amplitudes[name] * of for name, of in own.items()], axis=0) + OFFSET
        self.own = _doubles(total)

    def forward(self, rows: Rows) -> torch.Tensor:
        cross, own = self.kernel(rows)
        return (own + self.own - 2 * cross).clamp_min(0).sqrt()


def _doubles(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
