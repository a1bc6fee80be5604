"""Demo subset ``plate``: a brushed metal flange with four bolts, and what can go wrong with it.

Severity is the risk in use, never the area or the contrast: a large faint stain is cosmetic, a crack
of a few pixels at a bolt is a functional fault.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mad_core.datasets.dataset import LevelMeaning, SubsetCard
from mad_core.datasets.demo.texture import (
    SIZE,
    Colour,
    blur,
    brushed,
    closed,
    clouds,
    cover,
    developed,
    fractal,
    paint,
    picked,
    placed,
    radial,
    rgb,
    rounded_box,
    sampled,
    slopes,
    strokes,
    turned,
    vary,
    vector,
    wander,
)

CARD = SubsetCard(
    domain="industrial",
    rubric="demo-plate",
    product="brushed metal flange with four hexagon-socket bolts",
    levels={
        "0": LevelMeaning("normal", "Sound part. Light, pose, brushing and colour cast vary as they do on a line."),
        "1": LevelMeaning(
            "cosmetic",
            "Looks only, usable as it is. Stain: an oil or heat stain, large but faint, wipes off or does no harm. "
            "Scuff: a patch of hairlines that takes away no material to speak of.",
        ),
        "2": LevelMeaning(
            "minor",
            "Usable after touching up. Scratch: a groove that breaks the finish, so rust can start there. "
            "Pits: a cluster of pits, local loss of material without load on it.",
        ),
        "3": LevelMeaning(
            "functional",
            "Must be repaired before use. Crack: short and small in area, but deep and at a bolt or the bore, so it "
            "grows under load. Wrong bolt: a slotted screw instead of the rated bolt, the joint holds less.",
        ),
        "4": LevelMeaning(
            "critical",
            "Lost or dangerous. Missing bolt: the joint is open. Through crack: from bore to edge, the part falls "
            "apart under load. Broken corner: part of the flange is gone.",
        ),
    },
)

_HALF, _CORNER = 104.0, 20.0
_BORE, _FACE = 25.0, 50.0
_BOLT_AT, _HEAD, _SEAT = 76.0, 15.0, 18.5
_BOLT_SIGNS = ((-1, -1), (1, -1), (1, 1), (-1, 1))
_LETTERS = (  # "MAD", one polyline a pen stroke, in units of the letter height
    ((0, 1), (0, 0), (0.38, 0.6), (0.76, 0), (0.76, 1)),
    ((1.1, 1), (1.48, 0), (1.86, 1)),
    ((1.25, 0.65), (1.71, 0.65)),
    ((2.2, 0), (2.2, 1), (2.5, 1), (2.8, 0.75), (2.8, 0.25), (2.5, 0), (2.2, 0)),
)


@dataclass(frozen=True)
class _Pose:
    """Where the plate lies: centre in pixels, angle in radians, scale."""

    centre: tuple[float, float]
    angle: float
    scale: float

    def place(self, points: object) -> np.ndarray:
        return placed(np.asarray(points, dtype=np.float64), self.centre, self.angle, self.scale)

    def bolt(self, which: int) -> np.ndarray:
        signs = _BOLT_SIGNS[which]
        return self.place([(signs[0] * _BOLT_AT, signs[1] * _BOLT_AT)])[0]


@dataclass(frozen=True)
class _Fault:
    """What a fault changes: relief (pixels of height), paint over the metal, bolts, the outline."""

    mask: np.ndarray
    relief: np.ndarray | None = None
    coat: np.ndarray | None = None
    colour: Colour | np.ndarray = (0.0, 0.0, 0.0)
    bolts: Mapping[int, str] = field(default_factory=dict)
    gone: np.ndarray | None = None


def draw(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """A plate: ``kind`` is ``good`` or one of ``DEFECTS``.

    Returns
    -------
    image : ndarray of shape (256, 256, 3), uint8
    mask : bool ndarray of shape (256, 256), or None for ``good``
    """
    pose = _Pose((128 + vary(rng, 3), 128 + vary(rng, 3)), vary(rng, 0.06), vary(rng, 0.02, 1.0))
    u, v = turned(pose.centre, pose.angle, pose.scale)
    fault = _FAULTS[kind](rng, pose, u, v) if kind != "good" else None
    image = _picture(rng, pose, u, v, fault)
    return developed(image, rng, vary(rng, 0.002, 0.008)), None if fault is None else fault.mask


# --- the sound plate


def _picture(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray, fault: _Fault | None) -> np.ndarray:
    toward = -0.75 * np.pi + vary(rng, 0.55)  # the lamp stands upper left, more or less
    light = (float(np.cos(toward)), float(np.sin(toward)))
    r = radial(u, v)
    outline = rounded_box(u, v, (_HALF, _HALF), _CORNER)
    if fault is not None and fault.gone is not None:
        outline = np.maximum(outline, fault.gone)
    body = cover(np.maximum(outline, _BORE - r))
    chamfer = np.clip(-outline / 4.5, 0, 1) * 2.6 + np.clip((r - _BORE) / 3, 0, 1) * 1.6
    groove = np.exp(-(((r - _FACE - 3.5) / 1.5) ** 2))
    letters = strokes([(pose.place((np.asarray(s) - (1.4, 0)) * 13 + (0, 71)), 0.75) for s in _LETTERS], 1.4)
    ticks = _ticks(pose)
    relief = chamfer - 1.3 * groove - 1.4 * letters - 1.1 * ticks
    if fault is not None and fault.relief is not None:
        relief = relief + fault.relief
    metal = _metal(rng, u, v, r, light)
    sx, sy = slopes(relief)
    tilt = -(sx * light[0] + sy * light[1])
    metal = metal * (1 - 0.45 * np.clip(np.maximum(letters, ticks), 0, 1)) + np.clip(0.34 * tilt, -0.3, 0.4)
    metal = metal * (1 - 0.35 * groove)
    image = metal * rgb(1 + vary(rng, 0.02), 1.0, 1.02 + vary(rng, 0.03))
    if fault is not None and fault.coat is not None:
        factor = rgb(*fault.colour) if isinstance(fault.colour, tuple) else fault.colour
        image = paint(image, image * factor, fault.coat)
    kinds = fault.bolts if fault is not None else {}
    for which in range(4):
        _set_bolt(rng, image, pose.bolt(which), pose.scale, light, kinds.get(which, "hex"))
    image = paint(_bench(rng, u, v, r, outline, light), image, body)
    falloff = 1.03 - 0.2 * (((u - 60 * light[0]) ** 2 + (v - 60 * light[1]) ** 2) / 180**2)
    image *= falloff * vary(rng, 0.1, 1.0)
    return image


def _metal(
    rng: np.random.Generator, u: np.ndarray, v: np.ndarray, r: np.ndarray, light: tuple[float, float]
) -> np.ndarray:
    """Brightness of brushed metal: a broad band across the brushing, and a turned face round the bore."""
    grain = 0.6 * brushed(rng, 7) + 0.45 * brushed(rng, 30) + 0.3 * brushed(rng, 90)
    grain = sampled(grain, v / 1.06 + SIZE / 2, u / 1.06 + SIZE / 2)
    band = np.exp(-(((u - 55 * light[0] - vary(rng, 25)) / vary(rng, 14, 76)) ** 2))
    plate = 0.45 + 0.17 * band + 0.03 * clouds(rng, 3) + (0.026 + 0.022 * band) * grain
    angle = np.arctan2(v, u)
    lamp = float(np.arctan2(light[1], light[0])) + vary(rng, 0.25)
    fan = _sharp(np.cos(angle - lamp + 0.12 * np.sin(r / 9))) + 0.4 * _sharp(_sharp(np.sin(angle - lamp)))
    rings = rng.standard_normal(SIZE)
    turning = np.interp(r, np.arange(SIZE) * 0.55 + _BORE - 4, rings)
    face = 0.42 + 0.3 * fan + (0.018 + 0.035 * fan) * turning
    return plate + cover(r - _FACE - 2, 1.5) * (face - plate)


def _sharp(wave: np.ndarray) -> np.ndarray:
    """The sixth power: narrow peaks where ``wave`` is 1 or -1."""
    square = wave * wave
    return square * square * square


def _ticks(pose: _Pose) -> np.ndarray:
    angles = np.arange(24) * np.pi / 12
    far = np.where(np.arange(24) % 6 == 0, 64.0, 60.0)
    ray = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return strokes([(pose.place([56.5 * d, f * d]), 0.6) for d, f in zip(ray, far, strict=True)], 1.3)


def _bench(
    rng: np.random.Generator,
    u: np.ndarray,
    v: np.ndarray,
    r: np.ndarray,
    outline: np.ndarray,
    light: tuple[float, float],
) -> np.ndarray:
    """The dark mat under the plate, seen round it and through the bore, with the plate's shadow on it."""
    mat = 0.17 + 0.012 * fractal(rng, 48, 2) + 0.012 * clouds(rng, 3)
    shift = (round(-7 * light[1]), round(-7 * light[0]))
    shadow = 0.62 * blur(np.roll(cover(outline), shift, axis=(0, 1)), 3.5) + 0.3 * cover(outline - 3, 8)
    wall = np.clip((u * light[0] + v * light[1]) / _BORE, -1, 1)  # the far wall of the bore catches the light
    depth = np.clip((r - _BORE + 9) / 9, 0, 1)
    mat = np.where(r < _BORE + 2, 0.07 + 0.20 * depth * np.clip(-wall, 0, 1) + 0.03 * depth, mat * (1 - shadow))
    return mat * rgb(0.94, 1.0, 1.09)


def _set_bolt(
    rng: np.random.Generator, image: np.ndarray, at: np.ndarray, scale: float, light: tuple[float, float], kind: str
) -> None:
    """Draw one bolt in its seat into ``image``; ``kind`` is ``hex``, ``slot`` or ``none`` (an empty threaded hole)."""
    turn = vary(rng, np.pi)
    rings = rng.standard_normal(64)
    reach = int(_SEAT * scale) + 4
    left, top = int(at[0]) - reach, int(at[1]) - reach
    window = (slice(top, top + 2 * reach + 1), slice(left, left + 2 * reach + 1))
    y, x = np.mgrid[window] + 0.5
    x, y = (x - at[0]) / scale, (y - at[1]) / scale
    r, angle = radial(x, y), np.arctan2(y, x)
    side = (x * light[0] + y * light[1]) / np.maximum(r, 1e-6)  # 1 on the side that faces the lamp
    lamp = float(np.arctan2(light[1], light[0]))
    patch = image[:, *window]
    floor = 0.20 + 0.10 * np.clip(-side, 0, 1) - 0.1 * np.clip(side, 0, 1)
    patch = paint(patch, floor, cover(r - _SEAT, 1.3))
    lip = np.exp(-(((r - _SEAT - 0.4) / 1.0) ** 2))
    patch = patch + lip * -0.2 * side
    if kind == "none":
        thread = 0.13 + 0.05 * np.sin(r * 2.6 + angle) * np.clip(0.4 - side, 0, 1)
        hole = np.where(r < 6.5, 0.035, thread + 0.08 * np.clip(-side, 0, 1))
        patch = paint(patch, hole * rgb(1.0, 1.0, 1.04), cover(r - 11))
        patch = patch + np.exp(-(((r - 11.3) / 0.8) ** 2)) * -0.16 * side
    else:
        fan = _sharp(np.cos(angle - lamp))
        turning = np.interp(r, np.arange(64) * 0.5, rings)
        tone = 0.50 + 0.2 * fan + (0.02 + 0.02 * fan) * turning
        tone = tone + 0.26 * np.clip((r - 11.8) / 2.4, 0, 1) * side
        if kind == "hex":
            hexagon = _hexagon(x, y, turn) - 7.0
            inner = np.cos(turn) * x + np.sin(turn) * y
            wall = np.clip(1 + hexagon / 2.6, 0, 1)
            recess = 0.06 + 0.17 * wall * np.clip(-side, 0, 1) + 0.05 * wall * (np.sign(inner) * 0.5 + 0.5)
            tone = tone + np.exp(-(((hexagon - 0.7) / 0.7) ** 2)) * 0.14 * -side
            tone = tone + cover(hexagon) * (recess - tone)
        else:
            across = np.abs(-np.sin(turn) * x + np.cos(turn) * y) - 2.0
            tone = tone + 0.05 * np.clip(1 - r / _HEAD, 0, 1)
            tone = tone + cover(across) * (0.09 + 0.05 * np.clip(-side, 0, 1) - tone)
        warm = rgb(1.0, 1.0, 1.015) if kind == "hex" else rgb(1.03, 1.0, 0.95)
        patch = paint(patch, tone * warm, cover(r - _HEAD))
    image[:, *window] = patch


def _hexagon(x: np.ndarray, y: np.ndarray, turn: float) -> np.ndarray:
    angles = turn + np.arange(3) * np.pi / 3
    return np.max([np.abs(np.cos(a) * x + np.sin(a) * y) for a in angles], axis=0)


# --- the faults; each takes (rng, pose, u, v)


def _stain(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    heading, reach = vary(rng, np.pi), vary(rng, 12, 58)
    du, dv = u - reach * np.cos(heading), v - reach * np.sin(heading)
    stretch = vary(rng, 0.2, 1.0)
    distance = radial(du * stretch, dv / stretch) - vary(rng, 6, 36) - 7 * clouds(rng, 5) - 2 * clouds(rng, 16)
    seats = _SEAT - radial(np.abs(u) - _BOLT_AT, np.abs(v) - _BOLT_AT)  # bolts sit on top of what is on the plate
    outside = [distance, rounded_box(u, v, (_HALF, _HALF), _CORNER), _BORE - radial(u, v), seats]
    inside = np.max(outside, axis=0)
    rim = np.exp(-(((distance + 3) / 3.0) ** 2))
    share = vary(rng, 0.07, 0.35) * cover(distance, 7) * (1 + 0.25 * clouds(rng, 10)) + 0.10 * rim
    colours = ((0.86, 0.66, 0.42), (0.58, 0.65, 0.88), (0.58, 0.55, 0.50))
    return _Fault(inside < 0, coat=np.clip(share, 0, 1), colour=colours[picked(rng, 3)])


def _scuff(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    heading = vary(rng, np.pi)
    middle = 72 * np.array([np.cos(heading), np.sin(heading)]) + (vary(rng, 8), vary(rng, 8))
    along = vary(rng, 0.5, np.pi / 2) + picked(rng, 2) * np.pi
    lines = []
    for _ in range(16 + picked(rng, 8)):
        start = middle + vector(9 * rng.standard_normal(), 9 * rng.standard_normal())
        path = wander(rng, start, along + vary(rng, 0.22), vary(rng, 8, 20), jitter=0.03)
        lines.append((pose.place(path), np.linspace(0.42, 0.12, len(path))))
    cut = strokes(lines) * _on_face(u, v)
    mask = closed(cut > 0.22)
    return _Fault(mask, coat=vary(rng, 0.1, 0.5) * cut, colour=(1.5, 1.5, 1.5))


def _scratch(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    lines = []
    for _ in range(1 + picked(rng, 2)):
        heading = vary(rng, np.pi)
        start = 70 * np.array([np.cos(heading), np.sin(heading)])
        path = wander(rng, start, heading + np.pi / 2 + vary(rng, 0.6), vary(rng, 16, 62), jitter=0.045)
        n = len(path)
        width = vary(rng, 0.15, 0.75) * np.sin(np.linspace(0.25, np.pi - 0.15, n)) ** 0.5
        lines.append((pose.place(path), width))
    cut = strokes(lines, 1.2) * _on_face(u, v)
    return _Fault(cut > 0.3, relief=-1.9 * cut, coat=0.5 * cut, colour=(0.5, 0.5, 0.5))


def _pits(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    heading = vary(rng, np.pi)
    middle = 72 * np.array([np.cos(heading), np.sin(heading)])
    count = 9 + picked(rng, 9)
    points = middle + rng.standard_normal((count, 2)) * (12, 10)
    radii = 0.8 + 1.9 * rng.random(count) ** 2
    dots = [(pose.place([p, p + vector(0.4, 0.2)]), r) for p, r in zip(points, radii, strict=True)]
    hole = strokes(dots, 1.5) * _on_face(u, v)
    halo = blur(hole, 2.5)
    share = np.clip(0.72 * hole + 0.5 * halo, 0, 0.85)
    return _Fault(hole > 0.35, relief=-2.0 * hole, coat=share, colour=(0.42, 0.36, 0.3))


def _crack(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    if picked(rng, 3):
        signs = _BOLT_SIGNS[picked(rng, 4)]
        inward = np.arctan2(-signs[1], -signs[0]) + vary(rng, 1.2)
        start = np.array(signs) * _BOLT_AT + _SEAT * np.array([np.cos(inward), np.sin(inward)])
    else:
        inward = vary(rng, np.pi)
        start = _BORE * np.array([np.cos(inward), np.sin(inward)])
    path = wander(rng, start, inward, vary(rng, 4, 20), step=2.5, jitter=0.38)
    gap = strokes([(pose.place(path), np.linspace(vary(rng, 0.15, 1.0), 0.2, len(path)))]) * _on_plate(u, v)
    return _Fault(gap > 0.3, relief=-1.6 * gap, coat=0.93 * gap, colour=(0.12, 0.12, 0.13))


def _wrong_bolt(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    which = picked(rng, 4)
    return _Fault(_disc(pose, which, _HEAD), bolts={which: "slot"})


def _missing_bolt(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    which = picked(rng, 4)
    return _Fault(_disc(pose, which, _HEAD), bolts={which: "none"})


def _through_crack(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    heading = picked(rng, 4) * np.pi / 2 + vary(rng, 0.35)
    start = _BORE * np.array([np.cos(heading), np.sin(heading)])
    count = 40
    drift = np.cumsum(0.9 * rng.standard_normal(count)) + 0.7 * rng.standard_normal(count)
    along = np.linspace(0, _HALF * 1.12 - _BORE, count)
    ray, across = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    path = start + along[:, None] * ray + (drift - drift[0])[:, None] * across
    lines = [(pose.place(path), np.linspace(1.0, vary(rng, 0.3, 1.5), count))]
    for _ in range(2):
        at = 8 + picked(rng, count - 18)
        side = 1 if picked(rng, 2) else -1
        twig = wander(rng, path[at], heading + side * vary(rng, 0.2, 0.7), vary(rng, 5, 14), step=2.5, jitter=0.3)
        lines.append((pose.place(twig), np.linspace(0.8, 0.2, len(twig))))
    gap = strokes(lines) * _on_plate(u, v)
    return _Fault(gap > 0.3, relief=-2.2 * gap, coat=0.95 * gap, colour=(0.10, 0.10, 0.11))


def _broken_corner(rng: np.random.Generator, pose: _Pose, u: np.ndarray, v: np.ndarray) -> _Fault:
    which = picked(rng, 4)
    signs = _BOLT_SIGNS[which]
    lean = np.pi / 4 + vary(rng, 0.25)
    beyond = signs[0] * u * np.cos(lean) + signs[1] * v * np.sin(lean)
    edge = beyond - vary(rng, 6, 102) + 2.6 * clouds(rng, 14) + 0.9 * clouds(rng, 60)
    sound = rounded_box(u, v, (_HALF, _HALF), _CORNER)
    face = np.clip(1 + edge / 7, 0, 1) * (sound < 0)  # the rough face of the break, still seen
    return _Fault(
        (edge > -7) & (sound < 0),
        relief=0.5 * face * clouds(rng, 60),
        coat=cover(-edge - 7, 1.5) * 0.8,
        colour=0.75 + 0.16 * clouds(rng, 70),
        bolts={which: "none"},  # it went with the corner
        gone=edge,
    )


def _on_plate(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return cover(np.maximum(rounded_box(u, v, (_HALF, _HALF), _CORNER), _BORE - radial(u, v)))


def _on_face(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The flat of the plate: not the chamfer, the bore or the seats of the bolts."""
    seats = radial(np.abs(u) - _BOLT_AT, np.abs(v) - _BOLT_AT)
    flat = rounded_box(u, v, (_HALF - 3, _HALF - 3), _CORNER)
    return cover(np.maximum(np.maximum(flat, _BORE + 2 - radial(u, v)), _SEAT + 1 - seats))


def _disc(pose: _Pose, which: int, radius: float) -> np.ndarray:
    at = pose.bolt(which)
    u, v = turned((float(at[0]), float(at[1])), 0.0, pose.scale)
    return radial(u, v) < radius


_FAULTS: Mapping[str, Callable[[np.random.Generator, _Pose, np.ndarray, np.ndarray], _Fault]] = {
    "stain": _stain,
    "scuff": _scuff,
    "scratch": _scratch,
    "pits": _pits,
    "crack": _crack,
    "wrong_bolt": _wrong_bolt,
    "missing_bolt": _missing_bolt,
    "through_crack": _through_crack,
    "broken_corner": _broken_corner,
}

DEFECTS: Mapping[str, int] = {
    "stain": 1,
    "scuff": 1,
    "scratch": 2,
    "pits": 2,
    "crack": 3,
    "wrong_bolt": 3,
    "missing_bolt": 4,
    "through_crack": 4,
    "broken_corner": 4,
}
"""Severity level of every defect type."""
