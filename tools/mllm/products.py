"""Made-up products to train on: a patterned body on a patterned ground, with parts fixed to it.

A product is drawn at twice the size of the pictures and photographed with another pose, light and grain
each time. Shares no code and no pattern with the demo dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from scipy.spatial import KDTree

SIDE = 256
CANVAS = 512
_SHEET = 768


# --- patterns: fields of shape (_SHEET, _SHEET), mean 0, spread 1


def _spectral(rng: np.random.Generator) -> np.ndarray:
    """Noise with a power spectrum 1/f^b, stretched along one axis or none."""
    fy, fx = np.meshgrid(np.fft.fftfreq(_SHEET), np.fft.rfftfreq(_SHEET), indexing="ij")
    stretch = rng.choice([1.0, 1.0, 3.0, 8.0])
    radius = np.hypot(fy * stretch, fx) + 2 / _SHEET
    phase = np.exp(2j * np.pi * rng.random(radius.shape))
    return np.fft.irfft2(phase * radius ** -rng.uniform(0.6, 1.9), s=(_SHEET, _SHEET))


def _weave(rng: np.random.Generator) -> np.ndarray:
    """Warp and weft."""
    pitch = rng.uniform(7, 22)
    y, x = np.mgrid[0:_SHEET, 0:_SHEET] / pitch * 2 * np.pi
    over = np.sign(np.sin(x / 2) * np.sin(y / 2))
    return np.where(over > 0, np.abs(np.sin(x)), np.abs(np.sin(y))) + 0.2 * rng.standard_normal((_SHEET, _SHEET))


def _wood(rng: np.random.Generator) -> np.ndarray:
    """Growth rings cut along the trunk."""
    y, x = np.mgrid[0:_SHEET, 0:_SHEET] / _SHEET
    bend = cv2.resize(rng.standard_normal((6, 3)), (_SHEET, _SHEET), interpolation=cv2.INTER_CUBIC)
    rings = np.sin(2 * np.pi * rng.uniform(10, 30) * (x + 0.06 * bend + 0.1 * y))
    fibre = cv2.GaussianBlur(rng.standard_normal((_SHEET, _SHEET)), (0, 0), sigmaX=0.6, sigmaY=14)
    return rings + 6 * fibre


def _speckle(rng: np.random.Generator) -> np.ndarray:
    """Terrazzo: chips of stone, each of one tone."""
    points = rng.random((int(rng.integers(150, 1500)), 2)) * _SHEET
    y, x = np.mgrid[0:_SHEET:2, 0:_SHEET:2]
    _, owner = KDTree(points).query(np.stack([y.ravel(), x.ravel()], 1))
    tones = rng.standard_normal(len(points))[owner].reshape(_SHEET // 2, _SHEET // 2)
    return cv2.resize(tones, (_SHEET, _SHEET), interpolation=cv2.INTER_LINEAR)


def _cells(rng: np.random.Generator) -> np.ndarray:
    """Leather: distance to the nearest of many points."""
    points = rng.random((int(rng.integers(400, 3000)), 2)) * _SHEET
    y, x = np.mgrid[0:_SHEET:2, 0:_SHEET:2]
    distance, _ = KDTree(points).query(np.stack([y.ravel(), x.ravel()], 1), k=2)
    edge = (distance[:, 1] - distance[:, 0]).reshape(_SHEET // 2, _SHEET // 2)
    return cv2.resize(np.minimum(edge, np.quantile(edge, 0.7)), (_SHEET, _SHEET), interpolation=cv2.INTER_LINEAR)


def _tiles(rng: np.random.Generator) -> np.ndarray:
    """A grid of slightly different tiles with joints."""
    pitch = int(rng.integers(24, 90))
    count = _SHEET // pitch + 2
    tones = np.kron(rng.standard_normal((count, count)), np.ones((pitch, pitch)))[:_SHEET, :_SHEET]
    place = np.arange(_SHEET) % pitch < max(2, pitch // 16)
    return np.where(place[:, None] | place[None, :], -2.5, 0.5 * tones) + 0.3 * rng.standard_normal((_SHEET, _SHEET))


def _grain(rng: np.random.Generator) -> np.ndarray:
    """Cast plastic: nearly nothing."""
    return cv2.GaussianBlur(rng.standard_normal((_SHEET, _SHEET)), (0, 0), rng.uniform(0.7, 3))


PATTERNS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    _spectral,
    _spectral,
    _weave,
    _wood,
    _speckle,
    _cells,
    _tiles,
    _grain,
    _grain,
)


@dataclass(frozen=True)
class Material:
    """A colour and the pattern that modulates it."""

    colour: np.ndarray
    sheet: np.ndarray
    depth: float

    @classmethod
    def random(cls, rng: np.random.Generator, tone: float | None = None) -> Material:
        field = PATTERNS[int(rng.integers(len(PATTERNS)))](rng)
        field = np.clip((field - field.mean()) / (field.std() + 1e-9), -3, 3)
        return cls(random_colour(rng, tone), field.astype(np.float32), float(rng.uniform(0.005, 0.09)))

    def paint(self, rng: np.random.Generator, fixed: bool) -> np.ndarray:
        """A piece of it, (CANVAS, CANVAS, 3); another piece each time unless ``fixed``."""
        top, left = (0, 0) if fixed else rng.integers(0, _SHEET - CANVAS, 2)
        piece = self.sheet[top : top + CANVAS, left : left + CANVAS, None]
        return self.colour * (1 + self.depth * piece)


def random_colour(rng: np.random.Generator, tone: float | None = None) -> np.ndarray:
    """RGB of 1: half of them nearly grey."""
    tone = rng.uniform(0.12, 0.88) if tone is None else tone
    tint = rng.standard_normal(3) * rng.choice([0.02, 0.05, 0.22])
    return np.clip(tone + tint - tint.mean(), 0.03, 0.97).astype(np.float32)


# --- parts


@dataclass(frozen=True)
class Part:
    """Something fixed to the body: where, what shape, what colour. Lengths in canvas pixels."""

    shape: str
    at: tuple[float, float]
    size: float
    turn: float
    colour: np.ndarray
    text: str = ""

    def outline(self, grow: float = 1.0) -> np.ndarray:
        """Corner points of shape (n, 2), x then y."""
        radius = self.size * grow
        if self.shape in ("disc", "ring"):
            angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
            points = np.stack([np.cos(angles), np.sin(angles)], 1) * radius
        elif self.shape == "print":
            points = _POLYGONS["square"] * radius * np.array([0.5 * len(self.text), 0.6])
        else:
            points = _POLYGONS[self.shape] * radius
        c, s = np.cos(self.turn), np.sin(self.turn)
        return points @ np.array([[c, s], [-s, c]]) + self.at

    def draw(self, image: np.ndarray, light: np.ndarray) -> None:
        """Paint it into ``image`` (CANVAS, CANVAS, 3), float32, with a shadow and a lit rim."""
        if self.shape == "print":
            scale = self.size / 22
            place = (int(self.at[0] - 9 * scale * len(self.text)), int(self.at[1] + 9 * scale))
            mask = np.zeros((CANVAS, CANVAS), np.uint8)
            cv2.putText(mask, self.text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
            image += mask[..., None].astype(np.float32) / 255 * (self.colour - image)
            return
        fill(image, self.outline(1.06) - 3.5 * light, 0.55, 0.35)
        fill(image, self.outline(), self.colour)
        cv2.polylines(
            image, [_fixed(self.outline() + 0.8 * light)], True, (self.colour * 1.3).tolist(), 1, cv2.LINE_AA, _BITS
        )
        fill(image, self.outline(0.82), self.colour * 0.94)
        if self.shape == "ring":
            fill(image, self.outline(0.5), self.colour * 0.35)


_BITS = 4
_POLYGONS = {
    "square": np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float) * 0.85,
    "bar": np.array([(-1.8, -0.4), (1.8, -0.4), (1.8, 0.4), (-1.8, 0.4)], float) * 0.8,
    "hexagon": np.stack([np.cos(np.arange(6) * np.pi / 3), np.sin(np.arange(6) * np.pi / 3)], 1),
    "triangle": np.array([(0, -1.1), (0.95, 0.55), (-0.95, 0.55)], float),
    "plus": np.array(
        [(-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1)],
        float,
    )
    / 3,
}
SHAPES = ("disc", "ring", *_POLYGONS)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * 2**_BITS).astype(np.int32)


def cover(points: np.ndarray) -> np.ndarray:
    """Share of each canvas pixel inside an outline, (CANVAS, CANVAS) of 1."""
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    cv2.fillPoly(mask, [_fixed(points)], 255, cv2.LINE_AA, _BITS)
    return mask.astype(np.float32) / 255


def fill(image: np.ndarray, points: np.ndarray, colour: np.ndarray | float, share: float = 1.0) -> None:
    """Lay a colour, or a factor (a number), over the inside of an outline, in place."""
    low = np.clip(np.floor(points.min(0)).astype(int) - 2, 0, CANVAS)
    high = np.clip(np.ceil(points.max(0)).astype(int) + 3, 0, CANVAS)
    if (high <= low).any():
        return
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(mask, [_fixed(points - low)], 255, cv2.LINE_AA, _BITS)
    weight = mask[..., None].astype(np.float32) * (share / 255)
    piece = image[low[1] : high[1], low[0] : high[0]]
    over = piece * colour if isinstance(colour, float) else colour
    piece += weight * (over - piece)


# --- products


@dataclass(frozen=True)
class Product:
    """What stays the same from one piece to the next."""

    ground: Material
    body: Material
    fixed: bool
    outline: np.ndarray | None
    parts: tuple[Part, ...]
    wobble: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Product:
        body = Material.random(rng)
        ground = Material.random(rng, tone=float(rng.choice([0.08, 0.2, 0.75, 0.92])))
        outline = None if rng.random() < 0.3 else _outline(rng)
        parts = _parts(rng, body) if rng.random() < 0.75 else ()
        return cls(ground, body, bool(rng.random() < 0.3), outline, parts, float(rng.choice([0.2, 0.6, 1.0])))

    def body_cover(self) -> np.ndarray:
        return np.ones((CANVAS, CANVAS), np.float32) if self.outline is None else cover(self.outline)


def _outline(rng: np.random.Generator) -> np.ndarray:
    middle = np.array([CANVAS / 2, CANVAS / 2])
    kind = rng.choice(["rectangle", "polygon", "blob"])
    if kind == "rectangle":
        half = rng.uniform(130, 225, 2)
        return middle + np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    angles = np.linspace(0, 2 * np.pi, 160, endpoint=False)
    if kind == "polygon":
        sides = int(rng.integers(3, 9))
        radius = 1 / np.cos((angles + rng.random()) % (2 * np.pi / sides) - np.pi / sides)
        radius = np.minimum(radius, 1.25) * rng.uniform(140, 180)
    else:
        waves = rng.standard_normal((3, 2)) * np.array([[0.14], [0.08], [0.05]])
        radius = 190 * (1 + sum(a * np.cos(k * angles) + b * np.sin(k * angles) for k, (a, b) in enumerate(waves, 1)))
    return middle + np.stack([np.cos(angles), np.sin(angles)], 1) * np.clip(radius, 90, 245)[:, None]


def _parts(rng: np.random.Generator, body: Material) -> tuple[Part, ...]:
    """Several like parts in a regular arrangement, and perhaps one of another kind."""
    shape, size = str(rng.choice(SHAPES)), float(rng.uniform(16, 38))
    tone = float(body.colour.mean())
    colour = random_colour(rng, float(np.clip(tone + rng.choice([-1, 1]) * rng.uniform(0.12, 0.4), 0.06, 0.94)))
    count, turn = int(rng.integers(2, 7)), float(rng.uniform(0, np.pi))
    angles = np.arange(count) * 2 * np.pi / count + rng.choice([0.0, np.pi / count, np.pi / 4])
    radius = rng.uniform(75, 125)
    places = CANVAS / 2 + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    if rng.random() < 0.25:
        places = CANVAS / 2 + np.stack(
            [(np.arange(count) - (count - 1) / 2) * 2.6 * size, 0 * angles + rng.uniform(-60, 60)], 1
        )
    parts = [Part(shape, (float(x), float(y)), size, turn, colour) for x, y in places if 40 < x < CANVAS - 40]
    if rng.random() < 0.5:
        parts.append(Part(str(rng.choice(SHAPES)), (CANVAS / 2, CANVAS / 2), size * 1.3, turn, random_colour(rng)))
    if rng.random() < 0.4:
        letters = "".join(rng.choice(list("ABCEHKLNPRTXZ0123456789"), int(rng.integers(2, 5))))
        parts.append(Part("print", (CANVAS / 2, CANVAS / 2 + radius + size + 20), 20, 0, random_colour(rng), letters))
    return tuple(parts)


@dataclass
class Piece:
    """One piece of a product on the canvas, before it is photographed; faults change it.

    Parameters
    ----------
    image : ndarray of shape (CANVAS, CANVAS, 3), float32, of 1
    body : ndarray of shape (CANVAS, CANVAS)
        Where the body is, 0-1.
    light : ndarray of shape (2,)
        Direction from which the light comes, x then y.
    changed : ndarray of shape (CANVAS, CANVAS)
        Where a fault is, 0-1.
    """

    product: Product
    image: np.ndarray
    body: np.ndarray
    light: np.ndarray
    changed: np.ndarray = field(default_factory=lambda: np.zeros((CANVAS, CANVAS), np.float32))


def make_piece(product: Product, rng: np.random.Generator, parts: tuple[Part, ...] | None = None) -> Piece:
    """A sound piece, or one with other ``parts``."""
    angle = rng.uniform(-2.6, -1.2)
    light = np.array([np.cos(angle), np.sin(angle)])
    ground = product.ground.paint(rng, product.fixed)
    body = product.body.paint(rng, product.fixed)
    inside = product.body_cover()
    if product.outline is not None:
        fill(ground, product.outline - 8 * light, 0.7, 0.6)
    image = ground + inside[..., None] * (body - ground)
    if product.outline is not None:
        rim = product.outline
        cv2.polylines(image, [_fixed(rim)], True, (product.body.colour * 1.25).tolist(), 2, cv2.LINE_AA, _BITS)
    for part in product.parts if parts is None else parts:
        shaken = rng.uniform(-1, 1, 2) * product.wobble
        replace(part, at=(part.at[0] + shaken[0], part.at[1] + shaken[1])).draw(image, light)
    return Piece(product, np.ascontiguousarray(image, np.float32), inside, light)


def photograph(piece: Piece, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The picture, uint8 of shape (SIDE, SIDE, 3), and where its fault is, float32 of shape (SIDE, SIDE), 0-1."""
    wobble = piece.product.wobble
    turn = cv2.getRotationMatrix2D(
        (CANVAS / 2, CANVAS / 2), rng.uniform(-4, 4) * wobble, 1 + rng.uniform(-0.03, 0.03) * wobble
    )
    turn[:, 2] += rng.uniform(-9, 9, 2) * wobble
    y, x = np.mgrid[0:CANVAS:8, 0:CANVAS:8] / CANVAS - 0.5
    shade = 1 + rng.uniform(-0.1, 0.1) + rng.uniform(-0.18, 0.18) * x + rng.uniform(-0.18, 0.18) * y
    lit = piece.image * cv2.resize(shade.astype(np.float32), (CANVAS, CANVAS))[..., None]
    lit = lit * (1 + rng.uniform(-0.03, 0.03, 3)).astype(np.float32)
    moved = cv2.warpAffine(lit, turn, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    small = cv2.resize(moved, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        small = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.4, 0.9))
    small = small + rng.uniform(0.002, 0.02) * rng.standard_normal(small.shape)
    changed = cv2.warpAffine(piece.changed, turn, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR)
    return (np.clip(small, 0, 1) * 255).round().astype(np.uint8), cv2.resize(
        changed, (SIDE, SIDE), interpolation=cv2.INTER_AREA
    )
