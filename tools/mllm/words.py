"""Made-up rubrics and answers: what the faults are called, which band each belongs to, and why.

Some wordings are kept out of training (``HELD_OUT``), so that a test can ask for bands that were never
worded like this.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from mad_core.scorers.multimodal.prompts import answer
from mad_core.scorers.multimodal.rubrics import Band, Rubric
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
_CLAUSES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "looks": (
        (
            "looks only",
            "cosmetic",
            "appearance alone is touched",
            "the finish is spoiled",
            "a visual flaw",
            "ugly",
            "optical flaw",
            "visible marks and dirt",
            "the sight of it disturbs",
            "a customer may dislike it",
            "seen but not felt",
            "surface discolouration and soiling",
        ),
        (
            "usable as it is",
            "still works",
            "the function is untouched",
            "no effect in use",
            "strength is kept",
            "safe",
            "does its job",
            "harmless",
            "wipes off or does no harm",
        ),
    ),
    "surface": (
        (
            "some material is lost or moved",
            "mechanical marks of the surface",
            "a mark that can be felt",
            "the surface is rough or worn",
            "shallow damage",
            "local loss of material without load on it",
            "wear",
        ),
        (
            "repairable",
            "can be touched up",
            "rework it",
            "polish or fill it",
            "usable after touching up",
            "still strong",
            "rust can start there",
        ),
    ),
    "works": (
        (
            "the part no longer works",
            "function is lost",
            "strength or completeness is gone",
            "breaks under load",
            "leaks",
            "structural damage",
            "broken or missing parts",
            "it fails in use",
            "the joint holds less",
            "incomplete",
        ),
        (
            "must be replaced",
            "scrap",
            "lost",
            "dangerous in use",
            "cannot be sold",
            "repair before use",
            "safety is at stake",
            "total loss",
        ),
    ),
}
HELD_OUT = {
    "looks": (
        "ugly but safe",
        "a customer may dislike the sight, the function is kept",
        "the finish, not the strength",
    ),
    "surface": ("rough or worn, polish it", "material is lost, still strong", "shallow marks, repairable"),
    "works": ("the part fails and is lost", "missing strength, unsafe in use", "incomplete or broken, replace it"),
}
"""Bands worded in ways that training never uses, of words that it does use."""
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
# fmt: off
_NEUTRAL = (
    "alder", "amber", "apple", "ash", "basil", "beech", "birch", "cedar", "cherry", "clay", "cobalt", "copper",
    "coral", "crane", "delta", "eagle", "ebony", "elm", "falcon", "fern", "fir", "flint", "garnet", "ginger",
    "granite", "hazel", "heron", "iris", "ivory", "ivy", "jade", "juniper", "kite", "lark", "laurel", "lemon",
    "lilac", "linden", "maple", "marble", "mint", "moss", "myrtle", "oak", "ochre", "olive", "onyx", "opal",
    "otter", "pearl", "pine", "plum", "poplar", "quartz", "robin", "rose", "ruby", "sage", "slate", "swan", "teal",
    "tulip", "umber", "violet", "walnut", "willow", "wren", "yarrow",
)
# fmt: on
"""Names of bands that tell nothing of how bad they are: they have to be read."""
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
    " of any size",
    " anywhere",
    ", deep or not",
    ", even a small one",
    ", large but harmless",
    " at a joint",
    " on the face",
    ", faint or strong",
)
_NOTES = (
    "large but faint",
    "short and small in area",
    "deep, so it grows under load",
    "a cluster of them",
    "one or more",
    "takes away no material to speak of",
    "breaks the finish",
    "wipes off",
    "seen at once",
    "easily overlooked",
    "from the handling",
    "old or new",
    "part of it is gone",
)
_SMALL, _LARGE = (
    ("small {}", "short {}", "slight {}", "little {}"),
    (
        "large {}",
        "through {}",
        "long {}",
        "{} from edge to edge",
        "wide {}",
    ),
)
_SPLIT = ("crack", "scratch", "stain", "hole", "chip", "scuff", "pits", "burn", "dent")
_SPLIT_AT = 0.45
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
_CONTEXTS = (
    "Light and pose vary from piece to piece.",
    "The part is seen from above.",
    "Pieces come from two suppliers.",
    "Pictures were taken with one camera.",
    "It is mounted by hand.",
    "The ground does not belong to the part.",
    "Judge one piece at a time.",
    "The patterns of two pieces never agree in full.",
    "Do not judge the light.",
    "Customers see the face of it.",
    "It carries load at the joints.",
    "The price of a piece is low.",
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
    """A rubric with the bands of every family, small and large; ``bands`` is None where the extent alone decides."""

    rubric: Rubric
    bands: dict[str, tuple[int, int]] | None
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
            small, large = self.bands[family]
            number = large if extent > _SPLIT_AT else small
            within = 0.15 + 0.7 * extent
        band = abnormal[number]
        return round(band.low + (band.high - band.low) * min(1.0, within))

    def reason(self, family: str | None, extent: float, where: str, rng: Rng) -> str:
        """One sentence that fits the score."""
        band = self.rubric.band_of(self.score(family, extent))
        name = band.name if band else ""
        if family is None:
            return f"no difference that matters; {name}."
        size = ("small", "medium", "large")[min(2, int(extent * 3))]
        return f"{' '.join(part for part in (size, self.called.get(family, NAMES[family][0]), where) if part)}; {name}."


def make_rubric(rng: Rng, *, held_out: bool = False, policy: str | None = None) -> Judged:
    """A made-up rubric.

    Parameters
    ----------
    held_out : bool
        Word the groups as training never does.
    policy : {"works", "looks", "any", "extent"}, optional
        What severity follows.
    """
    policy = policy or str(rng.choice(["works", "looks", "any", "extent"], p=[0.32, 0.24, 0.36, 0.08]))
    count = int(rng.integers(2, 6)) if policy in ("any", "extent") else int(rng.integers(2, 5))
    spans = _spans(count, rng)
    called = {family: str(rng.choice(names)) for family, names in NAMES.items()}
    bands: dict[str, tuple[int, int]] | None
    if policy == "extent":
        bands, lines = None, _by_extent(count, rng)
    elif policy == "any":
        bands = {family: (k, k) for family, k in zip(FAMILIES, rng.integers(count, size=len(FAMILIES)), strict=True)}
        bands |= _split(bands, count, rng)
        lines = [_listed(bands, k, called, rng, 0.0) for k in range(count)]
    else:
        bands, groups = _by_group(policy, count, rng)
        if rng.random() < 0.4:
            bands |= _split(bands, count, rng)
        lines = []
        for k in range(count):
            generic = _generic(groups[k], held_out, rng)
            keep = 1.0 if count == 4 else float(rng.choice([0.0, 0.4, 0.7, 1.0]))  # four bands split a group: list it
            listed = _listed(bands, k, called, rng, 1 - keep)
            order = [generic, listed] if rng.random() < 0.7 else [listed, generic]
            lines.append(" ".join(part for part in order if part))
    ranks = [_BY_RANK[min(2, 3 * k // count)] for k in range(count)]
    names = [str(rng.choice(rank)) for rank in ranks]
    if policy == "works" and count >= 3 and rng.random() < 0.6:
        groups_named = ("looks", "surface", "works", "works")[:count]
        names = [str(name) for group in groups_named for name in rng.choice(_NAMES_OF_BANDS[group], 1)]
    if rng.random() < 0.4 or len(set(names)) < count:
        names = _neutral(count, rng)
    made = [Band(0, 0, str(rng.choice(("normal", "normal", "sound", "good"))), str(rng.choice(_NORMALS)))]
    made += [Band(a, b, name, line) for (a, b), name, line in zip(spans, names, lines, strict=True)]
    rubric = Rubric("made up", tuple(made), str(rng.choice(_EXPERTS)), str(rng.choice(_CRITERIA[policy])))
    return Judged(rubric, bands, called)


def make_easy(rng: Rng) -> Judged:
    """A rubric in few words that calls each family always the same: what reading begins with."""
    count = int(rng.integers(2, 5))
    called = {family: names[0] for family, names in NAMES.items()}
    bands = {
        family: (k, k) for family, k in zip(FAMILIES, map(int, rng.integers(count, size=len(FAMILIES))), strict=True)
    }
    names = _neutral(count, rng)
    lines = [
        ", ".join(called[f] for f in map(str, rng.permutation(FAMILIES)) if bands[f][0] == k) for k in range(count)
    ]
    made = [
        Band(0, 0, "normal"),
        *(Band(a, b, n, x) for (a, b), n, x in zip(_spans(count, rng), names, lines, strict=True)),
    ]
    return Judged(Rubric("made up", tuple(made)), bands, called)


def _neutral(count: int, rng: Rng) -> list[str]:
    """Names of one or two words."""
    words = [str(word) for word in rng.choice(_NEUTRAL, 2 * count, replace=False)]
    return [f"{a} {b}" if rng.random() < 0.3 else a for a, b in zip(words[::2], words[1::2], strict=True)]


def make_product(rng: Rng) -> str:
    return str(rng.choice(_PRODUCTS))


def make_context(rng: Rng) -> str:
    """Sentences about other things, as rubrics have them; mostly none."""
    if rng.random() < 0.5:
        return ""
    return "\n" + " ".join(str(rng.choice(_CONTEXTS)) for _ in range(int(rng.integers(1, 4))))


def _spans(count: int, rng: Rng) -> list[tuple[int, int]]:
    edges = [round(100 * k / count) for k in range(count + 1)]
    if rng.random() < 0.5:
        edges_of = {2: (0, 50, 100), 3: (0, 30, 70, 100), 4: (0, 25, 50, 75, 100), 5: (0, 15, 30, 50, 70, 100)}
        edges = list(edges_of[count])
    elif rng.random() < 0.4:
        inner = np.sort(rng.choice(np.arange(10, 91, 5), count - 1, replace=False))
        if np.diff([0, *inner, 100]).min() >= 10:
            edges = [0, *map(int, inner), 100]
    return [(a + 1, b) for a, b in itertools.pairwise(edges)]


def _by_group(policy: str, count: int, rng: Rng) -> tuple[dict[str, tuple[int, int]], list[tuple[str, ...]]]:
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
        k = places[int(rng.integers(len(places)))]
        bands[family] = (k, k)
    return bands, groups


def _split(bands: dict[str, tuple[int, int]], count: int, rng: Rng) -> dict[str, tuple[int, int]]:
    """Some families of which a large one stands in a higher band than a small one."""
    chosen = rng.choice(_SPLIT, int(rng.integers(1, 4)), replace=False)
    low = {str(family): bands[str(family)][0] for family in chosen}
    return {f: (k, int(rng.integers(k + 1, count))) for f, k in low.items() if k + 1 < count}


def _generic(groups: tuple[str, ...], held_out: bool, rng: Rng) -> str:
    text = ", or ".join(str(rng.choice(HELD_OUT[group])) if held_out else _clauses(group, rng) for group in groups)
    return text[0].upper() + text[1:] + "."


def _clauses(group: str, rng: Rng) -> str:
    what, so = (str(rng.choice(options)) for options in _CLAUSES[group])
    kept = [(what, so), (so, what), (what,), (so,)][int(rng.choice(4, p=[0.45, 0.2, 0.2, 0.15]))]
    return str(rng.choice([", ", "; ", ": "])).join(kept)


def _listed(bands: dict[str, tuple[int, int]], k: int, called: dict[str, str], rng: Rng, drop: float) -> str:
    """The families of a band in words; some are left out with probability ``drop``."""
    items = []
    for family in map(str, rng.permutation(FAMILIES)):
        small, large = bands[family]
        if small == large == k and rng.random() >= drop:
            items.append(called[family])
        elif small == k != large:
            items.append(str(rng.choice(_SMALL)).format(called[family]))
        elif large == k != small:
            items.append(str(rng.choice(_LARGE)).format(called[family]))
    if not items:
        return "" if drop else "Nothing that is listed elsewhere."
    style = int(rng.integers(3))
    if style == 0:
        return " ".join(f"{_upper(item)}: {rng.choice(_NOTES)}." for item in items)
    if style == 1:
        return " ".join(f"{_upper(item)}{rng.choice(_REMARKS) if rng.random() < 0.5 else ''}." for item in items)
    text = items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {rng.choice(('or', 'and'))} {items[-1]}"
    return f"{_upper(text)}."


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


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
