"""Whether a model uses what it is shown: pairs of pictures whose right order flips with references or rubric.

``python -m tools.mllm.trials --pairs 100 [--param model=FOLDER …]`` scores them through the scorer ``mllm``, as any
dataset is scored, and prints the shares that flip with their Wilson intervals. The pictures are drawn
from seeds that training never uses.

References
    Two products that differ in one thing: a hole that belongs to one alone, a part that the other lacks, a
    part of another colour. A picture of each is judged by the references of each; a pair flips if either is
    found the more severe under the other's references.
Rubric
    One product, a fault of its looks and a fault of its function. A pair flips if the first is the more severe
    where appearance matters and the second where function matters. Every other pair is worded as
    training never words it.
"""

import argparse
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mad_core.datasets.dataset import SubsetCard
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Resources
from mad_core.settings import Settings
from tools.mllm.faults import make_faulty, possible
from tools.mllm.products import CANVAS, Part, Product, make_piece, photograph, random_colour
from tools.mllm.training import say
from tools.mllm.words import GROUPS, make_rubric

REFERENCES = 6
DIFFERENCES = ("hole", "missing part", "colour")
_SEED = 7_000_000
LEAST_EXTENT = 0.25


@dataclass(frozen=True)
class Question:
    """Two pictures, judged twice: each time by references and a rubric; the first must be the milder at first."""

    kind: str
    pictures: tuple[np.ndarray, np.ndarray]
    references: tuple[Sequence[np.ndarray], Sequence[np.ndarray]]
    rubrics: tuple[str, str]


def by_references(number: int) -> Question:
    """Pair ``number`` of the pictures whose order flips with the references."""
    rng = np.random.default_rng([_SEED, 1, number])
    kind = DIFFERENCES[number % len(DIFFERENCES)]
    first = _with_parts(rng)
    second = _other(first, kind, rng)
    pictures = tuple(photograph(make_piece(product, rng), rng)[0] for product in (first, second))
    references = tuple(
        [photograph(make_piece(product, rng), rng)[0] for _ in range(REFERENCES)] for product in (first, second)
    )
    rubric = make_rubric(rng, policy="works").rubric.to_yaml()
    return Question(kind, pictures, references, (rubric, rubric))  # type: ignore[arg-type]


def _with_parts(rng: np.random.Generator) -> Product:
    while True:
        product = Product.random(rng)
        if sum(part.shape != "print" for part in product.parts) >= 2:
            return product


def _other(product: Product, kind: str, rng: np.random.Generator) -> Product:
    """The same product but for one thing."""
    parts = list(product.parts)
    k = int(rng.choice([i for i, part in enumerate(parts) if part.shape != "print"]))
    if kind == "hole":
        at = tuple(float(v) for v in rng.uniform(CANVAS * 0.35, CANVAS * 0.65, 2))
        parts.append(Part("disc", (at[0], at[1]), float(rng.uniform(14, 26)), 0.0, np.full(3, 0.04, np.float32)))
    elif kind == "missing part":
        parts.pop(k)
    else:
        colour = random_colour(rng)
        while np.abs(colour - parts[k].colour).max() < 0.3:
            colour = np.clip(rng.random(3), 0.05, 0.95).astype(np.float32)
        parts[k] = replace(parts[k], colour=colour)
    return replace(product, parts=tuple(parts))


def by_rubric(number: int) -> Question:
    """Pair ``number`` of the pictures whose order flips with the rubric."""
    rng = np.random.default_rng([_SEED, 2, number])
    product = _with_parts(rng)
    there = set(possible(product))
    looks, works = (
        _photograph_of(product, str(rng.choice([f for f in GROUPS[group] if f in there])), rng)
        for group in ("looks", "works")
    )
    references = [photograph(make_piece(product, rng), rng)[0] for _ in range(REFERENCES)]
    held_out = number % 2 == 1
    rubrics = tuple(
        make_rubric(rng, policy=policy, held_out=held_out).rubric.to_yaml() for policy in ("works", "looks")
    )
    kind = "worded otherwise" if held_out else "worded as in training"
    return Question(kind, (looks, works), (references, references), rubrics)  # type: ignore[arg-type]


def _photograph_of(product: Product, family: str, rng: np.random.Generator) -> np.ndarray:
    while True:
        piece, extent = make_faulty(product, family, rng)
        if extent >= LEAST_EXTENT:
            return photograph(piece, rng)[0]


def flips(question: Question, parameters: Mapping[str, object], folder: Path, kept: Resources) -> bool | None:
    """Whether the first picture is the milder by the first references and rubric and the other way by the second.

    None where an answer failed.
    """
    items = _written(question.pictures, folder / "pictures")
    order = []
    for turn, (references, rubric) in enumerate(zip(question.references, question.rubrics, strict=True)):
        normals = _written(references, folder / f"references{turn}")
        scores = list(_scores(items, normals, {**parameters, "rubric": rubric}, kept))
        if None in scores:
            return None
        order.append(scores[0] < scores[1])  # type: ignore[operator]
    return order == [True, False]


def _written(pictures: Sequence[np.ndarray], folder: Path) -> list[Item]:
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for number, picture in enumerate(pictures):
        path = folder / f"{number:02d}.png"
        Image.fromarray(picture).save(path)
        items.append(Item(f"{number:02d}", str(path)))
    return items


def _scores(
    items: Sequence[Item], normals: Sequence[Item], parameters: Mapping[str, object], kept: Resources
) -> Iterator[float | None]:
    info = catalog.scorer("mllm")
    scorer = info.create(info.check(parameters))
    context = Context(card=SubsetCard(), weights=Settings.from_environment().weights, normals=normals, resources=kept)
    try:
        scorer.fit(normals, context)
        yield from (scored.score for scored in scorer.score(items, context))
    finally:
        scorer.close()


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    z, p = 1.959964, right / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return middle - half, middle + half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--param", action="append", default=[], help="a parameter of the scorer, name=value")
    chosen = parser.parse_args()
    parameters = dict(text.split("=", 1) for text in chosen.param) | {"reasons": False}
    cv2.setNumThreads(1)
    kept = Resources()
    for title, make in (("references", by_references), ("rubric", by_rubric)):
        by_kind: dict[str, list[bool]] = {}
        for number in range(chosen.pairs):
            question = make(number)
            with tempfile.TemporaryDirectory() as folder:
                flipped = flips(question, parameters, Path(folder), kept)
            by_kind.setdefault(question.kind, []).append(bool(flipped))
        everything = [one for some in by_kind.values() for one in some]
        for kind, some in {"all": everything, **by_kind}.items():
            low, high = wilson(sum(some), len(some))
            say(f"flips with the {title}, {kind}: {sum(some)} of {len(some)}, {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
