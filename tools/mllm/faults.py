"""What goes wrong with a made-up product: fifteen families of faults, each drawn in many ways.

Every fault changes a :class:`~tools.mllm.products.Piece` in place and returns its extent: 0 (a trace)
to 1 (about as much as there can be). Lengths are canvas pixels, twice those of the picture.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from tools.mllm.products import CANVAS, SHAPES, Part, Piece, Product, cover, fill, make_piece, random_colour

Rng = np.random.Generator


def _spot(piece: Piece, rng: Rng, margin: int = 30) -> np.ndarray:
    """A place on the body, x then y."""
    inner = piece.body[margin:-margin, margin:-margin]
    ys, xs = np.nonzero(cv2.erode((inner > 0.99).astype(np.uint8), np.ones((25, 25), np.uint8)))
    if not len(ys):
        return np.array([CANVAS / 2, CANVAS / 2])
    k = int(rng.integers(len(ys)))
    return np.array([xs[k] + margin, ys[k] + margin], float)


def _extent(rng: Rng) -> float:
    return float(rng.random() ** 1.3)


def _lay(piece: Piece, share: np.ndarray, colour: np.ndarray | float) -> None:
    """Paint a colour, or a factor, over the body by ``share`` (CANVAS, CANVAS)."""
    share = share * piece.body
    over = piece.image * colour if isinstance(colour, float) else colour
    piece.image += share[..., None] * (over - piece.image)
    piece.changed = np.maximum(piece.changed, (share > 0.12).astype(np.float32))


def _line(points: np.ndarray, width: float) -> np.ndarray:
    """Cover of a polyline; widths below a pixel fade instead."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    cv2.polylines(canvas, [np.round(points * 16).astype(np.int32)], False, 255, max(1, round(width)), cv2.LINE_AA, 4)
    return canvas.astype(np.float32) / 255 * min(1.0, max(0.35, width))


def _blob(rng: Rng, middle: np.ndarray, radius: float, ragged: float) -> np.ndarray:
    """Outline of an irregular closed shape."""
    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    waves = sum(rng.standard_normal() * np.cos(k * angles + 6.3 * rng.random()) / k for k in range(1, 9))
    lengths = radius * np.clip(1 + ragged * waves, 0.25, 2.2)
    squeeze = np.array([1, rng.uniform(0.45, 1)])
    turn = rng.uniform(0, np.pi)
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * lengths[:, None] * squeeze
    c, s = np.cos(turn), np.sin(turn)
    return middle + points @ np.array([[c, s], [-s, c]])


def _broken_line(rng: Rng, start: np.ndarray, end: np.ndarray, rough: float) -> np.ndarray:
    """Midpoint displacement between two places: the path of a fracture."""
    points = np.stack([start, end])
    for _ in range(6):
        middle = (points[:-1] + points[1:]) / 2
        step = points[1:] - points[:-1]
        normal = np.stack([-step[:, 1], step[:, 0]], 1)
        middle = middle + normal * (rough * rng.standard_normal((len(middle), 1)))
        points = np.insert(points, np.arange(1, len(points)), middle, axis=0)
    return points


def _heading(rng: Rng) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def crack(piece: Piece, rng: Rng) -> float:
    extent = _extent(rng)
    start = _spot(piece, rng)
    length, width = 24 + 330 * extent, rng.uniform(1.2, 3.4) + 2 * extent
    path = _broken_line(rng, start, start + length * _heading(rng), rng.uniform(0.08, 0.22))
    share = _line(path, width)
    for _ in range(int(rng.integers(0, 2 + int(3 * extent)))):
        at = path[int(rng.integers(8, len(path) - 4))]
        share = np.maximum(
            share, _line(_broken_line(rng, at, at + length * rng.uniform(0.15, 0.5) * _heading(rng), 0.15), width * 0.6)
        )
    _lay(piece, share * rng.uniform(0.75, 1), float(rng.uniform(0.05, 0.35)))
    return extent


def scratch(piece: Piece, rng: Rng) -> float:
    extent = _extent(rng)
    bright = rng.random() < 0.6
    share = np.zeros((CANVAS, CANVAS), np.float32)
    heading = _heading(rng)
    start = _spot(piece, rng)
    for _ in range(1 if rng.random() < 0.7 else int(rng.integers(2, 4))):
        across = np.array([-heading[1], heading[0]])
        t = np.linspace(0, 1, 24)[:, None]
        length = 40 + 320 * extent * rng.uniform(0.8, 1.2)
        path = (
            start
            + rng.uniform(-9, 9) * across
            + t * length * heading
            + rng.uniform(-0.08, 0.08) * length * t * (1 - t) * 4 * across
        )
        share = np.maximum(share, _line(path, rng.uniform(1, 2.6)))
    colour = piece.image.max((0, 1)) * 0.5 + 0.5 if bright else None
    _lay(piece, share * rng.uniform(0.35, 0.9), colour if colour is not None else float(rng.uniform(0.3, 0.65)))
    return extent


def scuff(piece: Piece, rng: Rng) -> float:
    """Many hairlines side by side."""
    extent = _extent(rng)
    middle, heading = _spot(piece, rng), _heading(rng)
    across = np.array([-heading[1], heading[0]])
    share = np.zeros((CANVAS, CANVAS), np.float32)
    size = 25 + 90 * extent
    for _ in range(int(8 + 22 * extent)):
        at = middle + across * rng.normal(0, size / 2) + heading * rng.normal(0, size / 2.5)
        lean = heading + 0.12 * rng.standard_normal(2)
        share = np.maximum(
            share, rng.uniform(0.2, 1) * _line(np.stack([at, at + lean * size * rng.uniform(0.5, 1.3)]), 1)
        )
    bright = piece.image.mean((0, 1)) * 0.4 + 0.55
    _lay(piece, share * rng.uniform(0.2, 0.5), bright if rng.random() < 0.7 else 0.6)
    return extent


def stain(piece: Piece, rng: Rng) -> float:
    extent = _extent(rng)
    share = cover(_blob(rng, _spot(piece, rng), 16 + 110 * extent, rng.uniform(0.1, 0.4)))
    share = cv2.GaussianBlur(share, (0, 0), rng.uniform(1.5, 12))
    if rng.random() < 0.4:
        share = np.clip(share - 0.6 * cv2.GaussianBlur(share, (0, 0), 9), 0, 1)
    if rng.random() < 0.5:
        _lay(piece, share * rng.uniform(0.12, 0.5), random_colour(rng))
    else:
        _lay(piece, share * rng.uniform(0.3, 0.9), float(rng.uniform(0.6, 0.92)))
    return extent


def burn(piece: Piece, rng: Rng) -> float:
    extent = _extent(rng)
    share = cv2.GaussianBlur(cover(_blob(rng, _spot(piece, rng), 20 + 70 * extent, 0.25)), (0, 0), 10 + 8 * extent)
    _lay(piece, share * rng.uniform(0.8, 1), np.array([0.16, 0.09, 0.05], np.float32) * rng.uniform(0.5, 1.3))
    return extent


def pits(piece: Piece, rng: Rng) -> float:
    extent = _extent(rng)
    middle, spread = _spot(piece, rng), rng.uniform(8, 20) + 40 * extent
    for _ in range(int(2 + 22 * extent)):
        at = middle + rng.normal(0, spread, 2)
        radius = rng.uniform(1.6, 4.6)
        points = _blob(rng, at, radius, 0.2)
        _lay(piece, cover(points + 1.2 * -piece.light) * 0.4, 1.5)
        _lay(piece, cover(points), float(rng.uniform(0.1, 0.45)))
    return extent


def dent(piece: Piece, rng: Rng) -> float:
    extent = _extent(rng)
    at, radius = _spot(piece, rng), 12 + 45 * extent
    y, x = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32)
    u, v = (x - at[0]) / radius, (y - at[1]) / radius / rng.uniform(0.7, 1.3)
    slope = (u * piece.light[0] + v * piece.light[1]) * np.exp(-(u * u + v * v))
    strength = rng.uniform(0.35, 0.9) * rng.choice([-1, 1])
    piece.image *= (1 + strength * slope * piece.body)[..., None]
    piece.changed = np.maximum(piece.changed, ((u * u + v * v < 1.6) & (piece.body > 0.5)).astype(np.float32))
    return extent


def hole(piece: Piece, rng: Rng) -> float:
    extent = _extent(rng)
    points = _blob(rng, _spot(piece, rng), 7 + 38 * extent, rng.choice([0.02, 0.2]))
    middle = points.mean(0)
    _lay(piece, cover(middle + (points - middle) * 1.12) * 0.7, float(rng.choice([0.7, 1.3])))
    _lay(
        piece, cover(points), piece.product.ground.colour * 0.3 if rng.random() < 0.5 else np.full(3, 0.03, np.float32)
    )
    return extent


def chip(piece: Piece, rng: Rng) -> float:
    """A bite out of the outline; on a product without one, out of the picture's border."""
    extent = _extent(rng)
    outline = piece.product.outline
    border = np.array([(60, 60), (CANVAS - 60, 60), (CANVAS - 60, CANVAS - 60), (60, CANVAS - 60)], float)
    edge = border if outline is None else outline
    k = int(rng.integers(len(edge)))
    at = edge[k] if rng.random() < 0.5 else edge[k] + rng.random() * (edge[(k + 1) % len(edge)] - edge[k])
    points = _blob(rng, at, 18 + 65 * extent, 0.3)
    _lay(piece, cover(points + 2 * piece.light), float(rng.uniform(1.2, 1.5)))
    ground = piece.product.ground.paint(rng, piece.product.fixed)
    gone = cover(points) * piece.body
    piece.image += gone[..., None] * (ground * rng.uniform(0.6, 1) - piece.image)
    piece.changed = np.maximum(piece.changed, gone)
    return extent


def fibre(piece: Piece, rng: Rng) -> float:
    extent = _extent(rng)
    count = 1 + int(rng.random() < 0.4) + int(3 * extent)
    colour = random_colour(rng, float(rng.choice([0.05, 0.1, 0.9, 0.95])))
    for _ in range(count):
        turns = np.cumsum(rng.normal(0, 0.35, 40)) + rng.uniform(0, 6.3)
        path = _spot(piece, rng) + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * (1 + 3.2 * extent), 0)
        _lay(piece, _line(path, rng.uniform(0.8, 2)) * rng.uniform(0.6, 1), colour)
    return extent


def spill(piece: Piece, rng: Rng) -> float:
    """Specks of foreign material."""
    extent = _extent(rng)
    colour = random_colour(rng)
    middle = _spot(piece, rng)
    for _ in range(int(3 + 30 * extent)):
        at = middle + rng.normal(0, 20 + 60 * extent, 2)
        _lay(piece, cover(_blob(rng, at, rng.uniform(1.5, 7), 0.3)) * 0.95, colour)
    return extent


# --- faults of the parts: they are known before the piece is drawn


def missing(product: Product, rng: Rng) -> tuple[tuple[Part, ...], list[Part], float]:
    return _without(product, rng, 1 if rng.random() < 0.75 else 2)


def _without(product: Product, rng: Rng, count: int) -> tuple[tuple[Part, ...], list[Part], float]:
    gone = [int(k) for k in rng.choice(len(product.parts), min(count, len(product.parts)), replace=False)]
    kept = tuple(part for k, part in enumerate(product.parts) if k not in gone)
    return kept, [product.parts[k] for k in gone], min(1.0, 0.5 * len(gone) * product.parts[gone[0]].size / 30)


def wrong_colour(product: Product, rng: Rng) -> tuple[tuple[Part, ...], list[Part], float]:
    k = int(rng.integers(len(product.parts)))
    old = product.parts[k]
    colour = old.colour
    while np.abs(colour - old.colour).max() < 0.25:
        colour = np.clip(rng.random(3), 0.05, 0.95).astype(np.float32)
    new = replace(old, colour=colour)
    return (*product.parts[:k], new, *product.parts[k + 1 :]), [old], min(1.0, old.size / 50)


def surplus(product: Product, rng: Rng) -> tuple[tuple[Part, ...], list[Part], float]:
    like = product.parts[int(rng.integers(len(product.parts)))] if product.parts and rng.random() < 0.6 else None
    at = (float(rng.uniform(120, CANVAS - 120)), float(rng.uniform(120, CANVAS - 120)))
    if like is None:
        new = Part(
            str(rng.choice(SHAPES)), at, float(rng.uniform(14, 40)), float(rng.uniform(0, 3)), random_colour(rng)
        )
    else:
        new = replace(like, at=at)
    return (*product.parts, new), [new], min(1.0, new.size / 50)


def shifted(product: Product, rng: Rng) -> tuple[tuple[Part, ...], list[Part], float]:
    k = int(rng.integers(len(product.parts)))
    old = product.parts[k]
    step = rng.uniform(0.5, 1.6) * old.size * _heading(rng)
    new = replace(old, at=(old.at[0] + step[0], old.at[1] + step[1]), turn=old.turn + rng.uniform(-0.6, 0.6))
    return (*product.parts[:k], new, *product.parts[k + 1 :]), [old, new], min(1.0, float(np.abs(step).max()) / 60)


OF_SURFACE: dict[str, Callable[[Piece, Rng], float]] = {
    "crack": crack,
    "scratch": scratch,
    "scuff": scuff,
    "stain": stain,
    "burn": burn,
    "pits": pits,
    "dent": dent,
    "hole": hole,
    "chip": chip,
    "fibre": fibre,
    "spill": spill,
}
OF_PARTS: dict[str, Callable[[Product, Rng], tuple[tuple[Part, ...], list[Part], float]]] = {
    "missing": missing,
    "wrong_colour": wrong_colour,
    "surplus": surplus,
    "shifted": shifted,
}
FAMILIES = (*OF_SURFACE, *OF_PARTS)


def possible(product: Product) -> list[str]:
    """Families this product can suffer from."""
    parts = [name for name in OF_PARTS if name == "surplus" or any(p.shape != "print" for p in product.parts)]
    return [*OF_SURFACE, *parts]


def make_faulty(product: Product, family: str, rng: Rng) -> tuple[Piece, float]:
    """A piece with one fault, and the fault's extent in 0-1."""
    if family in OF_SURFACE:
        piece = make_piece(product, rng)
        extent = OF_SURFACE[family](piece, rng)
        return piece, extent
    parts, touched, extent = OF_PARTS[family](product, rng)
    piece = make_piece(product, rng, parts)
    for part in touched:
        mark = np.zeros((CANVAS, CANVAS, 3), np.float32)
        fill(mark, part.outline(1.1), np.ones(3, np.float32))
        piece.changed = np.maximum(piece.changed, mark[..., 0])
    return piece, extent
