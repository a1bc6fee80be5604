"""The studies on data without effect, and with one of a stated size: does their sentence claim something?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.metrics.macro import measure
from mad_core.runs.map_reductions import MASK_AREA
from mad_core.studies.ablation.run import ablation
from mad_core.studies.area.run import Areas, area_and_severity
from mad_core.studies.correspondence.run import correspondence
from mad_core.studies.cost.run import Spent, cost
from mad_core.studies.decisions.run import decisions
from mad_core.studies.grades.run import LabelledPool, grades
from mad_core.studies.hybrid.run import hybrid
from mad_core.studies.level_mix.run import level_mix
from mad_core.studies.robustness.run import robustness
from mad_core.studies.sampling import Sample
from mad_core.studies.separability.run import SubsetFeatures, separability

DRAWS, MANY_DRAWS = 200, 1000


@dataclass(frozen=True)
class Trial:
    """A study on made-up data.

    Parameters
    ----------
    study, about : str
        Its id, and what the data are.
    claims : str
        A regular expression that the sentence holds where it claims something that is not so (or, with an effect,
        what is so).
    sentence : callable(rng) -> str
    """

    study: str
    about: str
    claims: str
    sentence: Callable[[np.random.Generator], str]

    def count(self, trials: int, seed: int = 0) -> int:
        """In how many of the trials the sentence claims it."""
        found = (self.sentence(np.random.default_rng([seed, trial])) for trial in range(trials))
        return sum(re.search(self.claims, sentence) is not None for sentence in found)


def _sample(scores: dict[str, np.ndarray], levels: np.ndarray, subsets: np.ndarray | None = None) -> Sample:
    ids = [f"i{k}" for k in range(len(levels))]
    names = np.repeat("a", len(levels)) if subsets is None else subsets
    tables = {
        name: pd.DataFrame({"image_id": ids, "subset": names, "level": levels, "score": own})
        for name, own in scores.items()
    }
    return Sample(tables, {name: name for name in scores}, len(ids), len(ids), DRAWS)


def _area(rng: np.random.Generator, follows: float, per_level: int = 60, scorers: int = 2) -> str:
    """Scorers that measure area, which goes with the level, and follow the level beside it by so much."""
    levels = np.repeat([0.0, 1.0, 2.0, 3.0], per_level)
    area = np.exp(0.8 * levels + rng.normal(0, 1, len(levels)))
    scores = {f"s{k}": np.log(area) + follows * levels + rng.normal(0, 0.3, len(levels)) for k in range(scorers)}
    sample = _sample(scores, levels)
    of = dict(zip(sample.tables["s0"]["image_id"], (area / area.max()).tolist(), strict=True))
    return area_and_severity(sample, Areas(of, {"a": MASK_AREA})).sentence


def _random_area(rng: np.random.Generator) -> str:
    """Neither area nor score has to do with the level, nor with each other."""
    levels = np.repeat([0.0, 1.0, 2.0], 20)
    sample = _sample({"s": rng.normal(size=60)}, levels)
    of = dict(zip(sample.tables["s"]["image_id"], rng.random(60).tolist(), strict=True))
    return area_and_severity(sample, Areas(of, {"a": MASK_AREA})).sentence


def _correspondence(rng: np.random.Generator, scorers: int, subsets: int, together: float, spread: float = 1.0) -> str:
    """Scorers of random skill in detection and in order, which go together by so much."""
    levels = np.repeat(np.arange(4.0), 12)
    places = {}
    for k in range(scorers):
        detect, own = rng.normal(size=2)
        order = together * detect + (1 - together**2) ** 0.5 * own
        places[f"s{k}"] = {
            f"p{s}": measure(
                levels,
                rng.normal(size=len(levels))
                + (1.2 + 0.5 * spread * detect) * (levels > 0)
                + (0.4 + 0.3 * spread * order) * np.where(levels > 0, levels - 2, 0.0),
            )
            for s in range(subsets)
        }
    table = pd.DataFrame({"image_id": [str(i) for i in range(len(levels))], "subset": "p0", "level": levels})
    sample = Sample(dict.fromkeys(places, table), {n: n for n in places}, len(levels), len(levels), DRAWS)
    return correspondence(places, sample, quick=False).sentence


def _cost(rng: np.random.Generator, better: float, scorers: int = 4) -> str:
    levels = np.repeat(np.arange(3.0), 25)
    shared = rng.normal(size=len(levels))
    places, spent = {}, {}
    for k in range(scorers):
        step = 1.0 + (better if k == 0 else 0.0)
        noise = 0.7 * shared + 0.7 * rng.normal(size=len(levels))
        places[f"s{k}"] = {"a": measure(levels, step * levels + noise)}
        spent[f"s{k}"] = Spent("cpu", 100, 1.0, 10.0 / (1 + k))
    table = pd.DataFrame({"image_id": [str(i) for i in range(len(levels))], "subset": "a", "level": levels})
    sample = Sample(dict.fromkeys(places, table), {n: n for n in places}, len(levels), len(levels), DRAWS)
    return cost(spent, places, sample, metric="c_index", quick=False).sentence


def _decisions(rng: np.random.Generator, better: float, per_level: int = 30, scorers: int = 3) -> str:
    levels = np.repeat(np.arange(3.0), per_level)
    steps = [1.0 + (better if not k else 0.0) for k in range(scorers)]
    scores = {f"s{k}": step * levels + rng.normal(size=len(levels)) for k, step in enumerate(steps)}
    parameters = {"under": 5.0, "over": 1.0, "overkill": 0.05, "confidence": 0.9}
    return decisions(_sample(scores, levels), parameters, seed=int(rng.integers(1 << 30))).sentence


def _level_mix(rng: np.random.Generator, easy: float) -> str:
    """Every two levels are ordered as often; with ``easy`` normals lie further away."""
    levels = np.repeat(np.arange(3.0), 25)
    scores = {f"s{k}": easy * (levels > 0) + rng.normal(size=75) for k in range(2)}
    parameters = {"normal": 0.9, "under": 5.0, "over": 1.0}
    return level_mix(_sample(scores, levels), parameters, seed=int(rng.integers(1 << 30))).sentence


def _hybrid(rng: np.random.Generator, detector: float, mllm: float, per_level: int = 20) -> str:
    """Both parts follow the level by so much, with noise of their own."""
    levels = np.repeat(np.arange(3.0), per_level)
    noise = rng.normal(size=(2, len(levels)))
    scores = {"detector": detector * levels + noise[0], "mllm": 20 * (mllm * levels + noise[1])}
    ids = [f"i{k}" for k in range(len(levels))]
    table = pd.DataFrame({"image_id": ids, "subset": "a", "level": levels, **scores})
    return hybrid({("d", "m"): table}, draws=100, seed=int(rng.integers(1 << 30))).sentence


def _ablation(rng: np.random.Generator, lost: float) -> str:
    """Every way of asking gives scores as good; with ``lost`` the references bring something."""
    levels = np.repeat(np.arange(4.0), 8)
    shared, rows = rng.normal(size=32), []
    for way in ("chosen", "references", "view", "rubric", "reversed", "strange"):
        step = 1.0 - (lost if way == "references" else 0.0)
        scores = step * levels + 0.7 * shared + 0.7 * rng.normal(size=32)
        rows += [("m", way, "s", f"i{k}", *pair) for k, pair in enumerate(zip(levels, scores, strict=True))]
    cells = pd.DataFrame(rows, columns=["run", "way", "subset", "image_id", "level", "score"])
    return ablation(cells, draws=MANY_DRAWS, seed=int(rng.integers(1 << 30))).sentence


def _robustness(rng: np.random.Generator, lost: float, per_level: int = 8) -> str:
    """Spoilt images score as clean ones but for noise; with ``lost`` level 2 falls towards the normals."""
    levels = np.repeat(np.arange(4.0), per_level)
    conditions = [("", 0), *((c, s) for c in ("blur", "noise") for s in (1, 3, 5))]
    rows = []
    for run in ("r0",):
        grain = rng.normal(0, 0.7, len(levels))
        for corruption, strength in conditions:
            fall = np.where(levels == 2, 1 - lost * strength / 5, 1.0)
            scores = 0.8 * levels * fall + grain + rng.normal(0, 0.7, len(levels))
            rows += [
                (run, "a", f"i{k}", level, corruption, strength, score)
                for k, (level, score) in enumerate(zip(levels, scores, strict=True))
            ]
    cells = pd.DataFrame(rows, columns=["run", "subset", "image_id", "level", "corruption", "strength", "score"])
    return robustness(cells, {"r0": "one"}, draws=DRAWS, seed=int(rng.integers(1 << 30))).sentence


def _grades(rng: np.random.Generator, told: float, per_level: int = 14) -> str:
    """Features that tell levels apart by so many spreads in one of six directions; a detector that knows nothing."""
    levels = np.repeat(np.arange(3.0), per_level)
    look = rng.normal(size=(len(levels), 6))
    look[:, 0] += told * levels
    scale = NormalScale.of({"look": rng.normal(size=(30, 6))}, rng.normal(size=30))
    evidence = Evidence(rng.normal(size=len(levels)), {"look": look})
    pool = LabelledPool(evidence, levels, scale, [""] * len(levels), {"other": rng.normal(size=len(levels))})
    return grades({"learned": {"s": pool}}, draws=10, seed=int(rng.integers(1 << 30))).sentence


def _separability(rng: np.random.Generator, gap: float, subsets: int) -> str:
    """Features of the same spread in every subset; with ``gap`` the first one's levels lie further apart."""
    levels = np.repeat(np.arange(3.0), 10)
    places = {}
    for k in range(subsets):
        vectors = rng.normal(size=(30, 6))
        vectors[:, 0] += (0.5 * (subsets > 1) + (gap if not k else 0.0)) * levels
        places[f"s{k}"] = SubsetFeatures(vectors, levels)
    return separability(places, draws=DRAWS, seed=int(rng.integers(1 << 30))).sentence


_ORDER = r"order severity (?:better|worse) \("
NULLS = (
    Trial("robustness", "spoilt images score as clean ones", r"breaks|loses most", lambda rng: _robustness(rng, 0.0)),
    Trial(
        "correspondence",
        "8 scorers on 6 subsets, skills unrelated",
        _ORDER,
        lambda rng: _correspondence(rng, 8, 6, 0.0),
    ),
    Trial(
        "correspondence", "6 scorers on 1 subset, skills unrelated", _ORDER, lambda rng: _correspondence(rng, 6, 1, 0.0)
    ),
    Trial("correspondence", "4 scorers on 12 subsets", _ORDER, lambda rng: _correspondence(rng, 4, 12, 0.0)),
    Trial(
        "correspondence",
        "8 scorers on 4 subsets, all of one skill",
        _ORDER + "|both clearly",
        lambda rng: _correspondence(rng, 8, 4, 0.0, spread=0.0),
    ),
    Trial(
        "area",
        "2 scorers measure area alone, 60 a level",
        r"still follow|against severity",
        lambda rng: _area(rng, 0.0),
    ),
    Trial(
        "area",
        "1 scorer measures area alone, 300 a level",
        r"still follow|against severity",
        lambda rng: _area(rng, 0.0, 300, 1),
    ),
    Trial(
        "area",
        "neither area nor score goes with the level",
        r"still follow|against severity|more closely|better than chance|backwards",
        _random_area,
    ),
    Trial("level-mix", "all levels at random", r"rises|falls", lambda rng: _level_mix(rng, 0.0)),
    Trial("decisions", "3 scorers as good", r"cost less than", lambda rng: _decisions(rng, 0.0)),
    Trial("hybrid", "both parts at random", r"orders better than|loses", lambda rng: _hybrid(rng, 0.0, 0.0)),
    Trial("hybrid", "the model knows nothing", r"orders better than", lambda rng: _hybrid(rng, 1.0, 0.0)),
    Trial(
        "ablation",
        "every way is as good",
        r"Most comes|Something comes|Less comes|Harm comes|suffers|is better,|orders worse,|orders better,",
        lambda rng: _ablation(rng, 0.0),
    ),
    Trial(
        "grades",
        "features, detector and another run at random",
        r"better than|worse than",
        lambda rng: _grades(rng, 0.0),
    ),
    Trial("separability", "3 subsets alike", r"are harder", lambda rng: _separability(rng, 0.0, 3)),
    Trial(
        "separability", "one subset, no order", r"(?:better|worse) than chance", lambda rng: _separability(rng, 0.0, 1)
    ),
    Trial("cost", "4 scorers as good", r"is better than|clearly the best", lambda rng: _cost(rng, 0.0)),
)
EFFECTS = (
    replace(
        NULLS[0],
        about="level 2 falls to the normals, 30 a level",
        claims=r"L2 breaks|loses most",
        sentence=lambda rng: _robustness(rng, 1.0, 30),
    ),
    Trial(
        "correspondence",
        "10 scorers on 6 subsets, skills go together by .9",
        r"also order",
        lambda rng: _correspondence(rng, 10, 6, 0.9),
    ),
    Trial("area", "the score follows the level too, 60 a level", r"still follow", lambda rng: _area(rng, 0.5)),
    Trial("level-mix", "normals lie 1.5 spreads away", r"rises", lambda rng: _level_mix(rng, 1.5)),
    Trial(
        "decisions",
        "one scorer's levels lie three times as far apart, 100 a level",
        r"of s0 cost less than",
        lambda rng: _decisions(rng, 2.0, 100),
    ),
    Trial("grades", "features tell levels apart by two spreads", r"better than", lambda rng: _grades(rng, 2.0)),
    Trial(
        "hybrid",
        "both parts know as much, of their own, 60 a level",
        r"orders better than",
        lambda rng: _hybrid(rng, 1.0, 1.0, 60),
    ),
    Trial("ablation", "all order goes without references", r"references \(", lambda rng: _ablation(rng, 1.0)),
    Trial(
        "separability",
        "one subset's levels lie two spreads apart",
        r"than those of s0",
        lambda rng: _separability(rng, 2.0, 3),
    ),
    Trial(
        "cost",
        "one scorer's levels lie twice as far apart",
        r"is better than|clearly the best",
        lambda rng: _cost(rng, 1.0),
    ),
)
