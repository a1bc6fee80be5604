"""Made-up rubrics and answers: what the faults are called, which band each belongs to, and why.

Some wordings are kept out of training (``HELD_OUT``), so that a test can ask for bands that were never
worded like this.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from mad_core.scorers.prompts import answer
from mad_core.scorers.rubrics import Band, Rubric
from tools.mllm.faults import FAMILIES

Rng = np.random.Generator

NAMES: dict[str, tuple[str, ...]] = {
    "crack": ("crack", "fracture", "fissure", "split", "break line", "rupture", "through crack", "hairline crack"),
    "scratch": ("scratch", "groove", "scrape", "score mark", "gouge", "scored line"),
    "scuff": ("scuff", "abrasion", "rub marks", "hairlines", "dull patch", "worn patch", "scuffed area"),
    "stain": ("stain", "discolouration", "blotch", "smudge", "tarnish", "oil spot", "water mark", "faded area"),
    "burn": ("burn", "scorch", "charring", "heat mark", "burnt spot", "overheated zone"),
    "pits": ("pits", "pitting", "pores", "pinholes", "blowholes", "corrosion pits", "porosity"),
    "dent": ("dent", "bump", "dimple", "bulge", "deformation", "impression", "bent area"),
    "hole": ("hole", "puncture", "perforation", "cavity", "pierced spot", "opening"),
    "chip": ("chip", "broken edge", "broken corner", "break-out", "piece broken off", "spalled edge", "missing corner"),
    "fibre": ("fibre", "hair", "lint", "thread", "stray strand", "foreign fibre"),
    "spill": ("spatter", "specks", "contamination", "dirt", "particles", "dust", "splashes"),
    "missing": ("missing part", "absent component", "part not fitted", "lost part", "empty seat", "part is gone"),
    "wrong_colour": ("wrong colour", "miscoloured part", "part of another colour", "swapped colour", "colour error"),
    "surplus": ("extra part", "surplus component", "foreign part", "additional part", "one part too many"),
    "shifted": ("misplaced part", "shifted part", "part out of place", "crooked part", "misaligned component"),
}
GROUPS = {
    "looks": ("stain", "scuff", "fibre", "spill", "wrong_colour", "burn"),
    "surface": ("scratch", "pits", "dent"),
    "works": ("crack", "hole", "chip", "missing", "surplus", "shifted"),
}
_OF = {family: group for group, families in GROUPS.items() for family in families}
_GENERIC = {
    "looks": (
        "looks only",
        "cosmetic, works as it should",
        "a blemish of the finish",
        "appearance alone is touched",
        "harmless to the function, only seen",
        "optical flaw",
        "visible marks and dirt",
        "the eye sees it, the part does not mind",
        "surface discolouration and soiling",
    ),
    "surface": (
        "some material is lost or moved",
        "can be touched up",
        "mechanical marks of the surface",
        "wear that can be reworked",
        "repairable",
        "local damage without load on it",
        "marks that can be felt",
    ),
    "works": (
        "the part no longer works",
        "function lost",
        "strength or completeness is gone",
        "breaks under load or leaks",
        "structural damage",
        "assembly faults and broken material",
        "dangerous in use",
        "scrap",
        "safety is at stake",
    ),
}
HELD_OUT = {
    "looks": ("beauty faults that a customer might notice", "merely aesthetic", "unsightly but sound"),
    "surface": ("shallow mechanical damage", "polish or fill it"),
    "works": ("it will fail in service", "integrity is compromised", "unusable, parts broken or absent"),
}
_NAMES_OF_BANDS = {
    "looks": ("cosmetic", "minor", "negligible", "usable", "aesthetic", "acceptable"),
    "surface": ("moderate", "repairable", "noticeable", "to be reworked", "middling"),
    "works": ("critical", "severe", "lost", "functional", "reject", "dangerous"),
}
_BY_RANK = (
    ("trace", "slight", "mild", "low", "minor", "early"),
    ("moderate", "medium", "intermediate", "noticeable", "marked"),
    ("severe", "critical", "high", "extreme", "worst", "advanced"),
)
_CRITERIA = {
    "works": (
        "Judge by what the fault does to the function.",
        "Severity is the risk in use, not the size.",
        "Function matters, looks do not.",
        "What counts is whether the part still does its job.",
        "Economic loss decides: usable, repairable or lost.",
        "",
    ),
    "looks": (
        "Judge by how it looks to a buyer.",
        "Appearance matters, function does not.",
        "Severity is how much the sight of it disturbs.",
        "What counts is the look of the part in the shop.",
        "Optical quality decides.",
        "",
    ),
    "any": ("Judge by the list.", "Severity follows the house rules below.", "Use the scale as it stands.", ""),
    "extent": (
        "Severity is the extent of the fault.",
        "Judge by how much of the part is affected.",
        "The larger the damaged area, the more severe.",
        "What counts is how far the damage has spread.",
    ),
}
_EXTENTS = (
    ("a trace", "barely affected", "very small area", "a first sign"),
    ("small extent", "small area affected", "limited damage", "a little"),
    ("medium extent", "moderate area", "a good part is affected", "damage of middle size"),
    ("large extent", "large area affected", "widespread damage", "much of it"),
    ("very large extent", "nearly everything affected", "the damage is everywhere it can be", "huge area"),
)
_REMARKS = (
    "",
    "",
    "",
    " of any size",
    " anywhere",
    ", deep or not",
    ", even a small one",
    ", large but harmless",
    " at a joint",
)
_NORMALS = (
    "Nothing departs from the references.",
    "Sound part.",
    "Light and pose vary as they do on a line.",
    "No anomaly.",
    "As it should be.",
    "",
)
_PRODUCTS = (
    "moulded cover",
    "flange with bolts",
    "printed panel",
    "tile",
    "machined plate",
    "woven sheet",
    "connector",
    "capsule",
    "",
)
_EXPERTS = (
    "",
    "an inspector of parts",
    "a quality engineer",
    "a radiologist",
    "an expert of surfaces",
    "a doctor",
    "a buyer",
)


@dataclass(frozen=True)
class Judged:
    """A rubric with the band of every family; ``bands[family]`` is None where the extent decides."""

    rubric: Rubric
    bands: dict[str, int] | None
    called: dict[str, str]

    def score(self, family: str | None, extent: float) -> int:
        """The score the rubric asks for."""
        if family is None:
            return 0
        abnormal = self.rubric.bands[1:]
        if self.bands is None:
            place = extent * len(abnormal)
            number = min(int(place), len(abnormal) - 1)
            within = place - number
        else:
            number, within = self.bands[family], 0.15 + 0.7 * extent
        band = abnormal[number]
        return round(band.low + (band.high - band.low) * min(1.0, within))

    def reason(self, family: str | None, extent: float, where: str, rng: Rng) -> str:
        """One sentence that fits the score."""
        band = self.rubric.band_of(self.score(family, extent))
        name = band.name if band else ""
        if family is None:
            return f"{rng.choice(('nothing departs from the references', 'no difference that matters'))}; {name}."
        size = ("small", "medium", "large")[min(2, int(extent * 3))]
        return f"{size} {self.called.get(family, NAMES[family][0])} {where}; {name}."


def make_rubric(rng: Rng, *, held_out: bool = False, policy: str | None = None) -> Judged:
    """A made-up rubric.

    Parameters
    ----------
    held_out : bool
        Word the groups as training never does.
    policy : {"works", "looks", "any", "extent"}, optional
        What severity follows.
    """
    policy = policy or str(rng.choice(["works", "looks", "any", "extent"], p=[0.36, 0.24, 0.3, 0.1]))
    count = int(rng.integers(2, 6)) if policy in ("any", "extent") else int(rng.integers(2, 5))
    spans = _spans(count, rng)
    called = {family: str(rng.choice(names)) for family, names in NAMES.items()}
    bands: dict[str, int] | None
    if policy == "extent":
        bands, lines = None, _by_extent(count, rng)
    elif policy == "any":
        bands = {family: int(rng.integers(count)) for family in FAMILIES}
        lines = [_listed([f for f in FAMILIES if bands[f] == k], called, rng, 0.0) for k in range(count)]
    else:
        bands, groups = _by_group(policy, count, rng)
        lines = []
        for k in range(count):
            families = [f for f in FAMILIES if bands[f] == k]
            generic = _generic(groups[k], held_out, rng)
            keep = 1.0 if count == 4 else float(rng.choice([0.0, 0.4, 0.7, 1.0]))  # four bands split a group: list it
            listed = _listed(families, called, rng, 1 - keep)
            order = [generic, listed] if rng.random() < 0.7 else [listed, generic]
            lines.append(" ".join(part for part in order if part))
    ranks = [_BY_RANK[min(2, 3 * k // count)] for k in range(count)]
    names = [str(rng.choice(rank)) for rank in ranks]
    if policy == "works" and count == 3 and rng.random() < 0.6:
        names = [str(rng.choice(_NAMES_OF_BANDS[group])) for group in ("looks", "surface", "works")]
    made = [Band(0, 0, str(rng.choice(("normal", "normal", "sound", "good"))), str(rng.choice(_NORMALS)))]
    made += [Band(a, b, name, line) for (a, b), name, line in zip(spans, names, lines, strict=True)]
    rubric = Rubric("made up", tuple(made), str(rng.choice(_EXPERTS)), str(rng.choice(_CRITERIA[policy])))
    return Judged(rubric, bands, called)


def make_product(rng: Rng) -> str:
    return str(rng.choice(_PRODUCTS))


def _spans(count: int, rng: Rng) -> list[tuple[int, int]]:
    edges = [round(100 * k / count) for k in range(count + 1)]
    if rng.random() < 0.5:
        known = {2: (0, 50, 100), 3: (0, 30, 70, 100), 4: (0, 25, 50, 75, 100), 5: (0, 15, 30, 50, 70, 100)}
        edges = list(known[count])
    elif rng.random() < 0.4:
        inner = np.sort(rng.choice(np.arange(10, 91, 5), count - 1, replace=False))
        if np.diff([0, *inner, 100]).min() >= 10:
            edges = [0, *map(int, inner), 100]
    return [(a + 1, b) for a, b in itertools.pairwise(edges)]


def _by_group(policy: str, count: int, rng: Rng) -> tuple[dict[str, int], list[tuple[str, ...]]]:
    """The band of each family, and the groups each band speaks of, from mild to severe."""
    order = ["looks", "surface", "works"] if policy == "works" else ["works", "surface", "looks"]
    if count == 2:
        middle = int(rng.integers(2))
        groups = [(order[0], "surface"), (order[2],)] if middle == 0 else [(order[0],), ("surface", order[2])]
    elif count == 3:
        groups = [(order[0],), ("surface",), (order[2],)]
    else:
        groups = [(order[0],), ("surface",), (order[2],), (order[2],)]
    bands = {}
    for family in FAMILIES:
        places = [k for k, names in enumerate(groups) if _OF[family] in names]
        bands[family] = places[int(rng.integers(len(places)))]
    return bands, groups


def _generic(groups: tuple[str, ...], held_out: bool, rng: Rng) -> str:
    source = HELD_OUT if held_out else _GENERIC
    text = ", or ".join(str(rng.choice(source[group])) for group in groups)
    return text[0].upper() + text[1:] + "."


def _listed(families: list[str], called: dict[str, str], rng: Rng, drop: float) -> str:
    """The families of a band in words; some are left out with probability ``drop``."""
    kept = [f for f in rng.permutation(families) if rng.random() >= drop]
    if not kept:
        return "" if drop else "Nothing that is listed elsewhere."
    if rng.random() < 0.45:
        items = [f"{called[f][0].upper()}{called[f][1:]}{rng.choice(_REMARKS)}." for f in kept]
        return " ".join(items)
    items = [called[f] for f in kept]
    text = items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {rng.choice(('or', 'and'))} {items[-1]}"
    return text[0].upper() + text[1:] + "."


def _by_extent(count: int, rng: Rng) -> list[str]:
    return [str(rng.choice(_EXTENTS[round(k * 4 / max(1, count - 1))])).capitalize() + "." for k in range(count)]


def where(cells: np.ndarray) -> str:
    """Where a fault lies, from the share of each cell it covers."""
    if cells.sum() <= 0:
        return "somewhere"
    rows, columns = np.mgrid[0 : cells.shape[0], 0 : cells.shape[1]]
    y = float((rows * cells).sum() / cells.sum() + 0.5) / cells.shape[0]
    x = float((columns * cells).sum() / cells.sum() + 0.5) / cells.shape[1]
    down = "upper" if y < 0.36 else "lower" if y > 0.64 else ""
    across = "left" if x < 0.36 else "right" if x > 0.64 else ""
    return f"at the {' '.join(part for part in (down, across) if part)}" if down or across else "in the middle"


def described(family: str | None, extent: float, place: str, rng: Rng) -> str:
    """What the picture shows, in words that stand in for it while the language model learns to read rubrics."""
    if family is None:
        return "no difference"
    return f"{('small', 'medium', 'large')[min(2, int(extent * 3))]} {rng.choice(NAMES[family])} {place}"


def answer_of(judged: Judged, family: str | None, extent: float, place: str, rng: Rng) -> str:
    """Score and reason, in the form that every model is asked for."""
    return answer(judged.score(family, extent), judged.reason(family, extent, place, rng))
