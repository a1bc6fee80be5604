"""Demo subset ``fundus``: drawn pictures in the manner of retinal photographs, after the grades of
diabetic retinopathy.

Every picture is computed; none shows an eye, and nothing here may serve a medical purpose.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mad_core.datasets.dataset import LevelMeaning, SubsetCard
from mad_core.datasets.demo.texture import (
    blur,
    clouds,
    cover,
    developed,
    fractal,
    paint,
    picked,
    pixels,
    radial,
    rgb,
    strokes,
    vary,
    vector,
    wander,
)

CARD = SubsetCard(
    domain="medical",
    rubric="demo-fundus",
    product="synthetic retinal fundus picture (drawn, not medical data)",
    levels={
        "0": LevelMeaning(
            "no retinopathy",
            "Disc, macula and vessels as in a healthy eye; side, pigment, light and pose vary.",
        ),
        "1": LevelMeaning("mild", "Microaneurysms: a few red dots of two or three pixels, nothing else."),
        "2": LevelMeaning(
            "moderate",
            "Dot haemorrhages: some dot and blot haemorrhages. Hard exudates: waxy yellow specks with "
            "a few microaneurysms.",
        ),
        "3": LevelMeaning(
            "severe",
            "Widespread haemorrhages: more than twenty, in all quadrants. Cotton wool: pale fluffy "
            "infarcts with haemorrhages. Venous beading: veins swell and narrow like a string of beads.",
        ),
        "4": LevelMeaning(
            "proliferative",
            "Neovascularisation: a tuft of fine new vessels, small in area but a threat to sight. "
            "Preretinal haemorrhage: blood pooled before the retina, with a level upper edge.",
        ),
    },
)

_RADIUS = 119.0
_BLOOD = rgb(0.55, 1.75, 1.6)  # absorption of red, green and blue by blood
_Line = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class _Eye:
    """Where things lie in one picture, in pixels; ``side`` is 1 where the disc is on the right."""

    side: int
    disc: np.ndarray
    fovea: np.ndarray
    centre: np.ndarray

    def at(self, angle: float, reach: float) -> np.ndarray:
        """A point seen from the fovea; the angle 0 looks to the disc."""
        return self.fovea + reach * np.array([self.side * np.cos(angle), np.sin(angle)])

    def away(self, point: np.ndarray) -> np.ndarray:
        """Distance of every pixel to a point."""
        x, y = pixels()
        return radial(x - point[0], y - point[1])


@dataclass(frozen=True)
class _Lesion:
    """Blood and pale deposits laid over the retina, and the pixels that count as diseased."""

    mask: np.ndarray
    blood: np.ndarray | float = 0.0
    pale: np.ndarray | float = 0.0
    pale_colour: tuple[float, float, float] = (0.98, 0.90, 0.62)
    pool: np.ndarray | float = 0.0  # blood before the retina: it hides the vessels
    beaded: float = 0.0


def draw(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """A fundus picture: ``kind`` is ``good`` or one of ``DEFECTS``.

    Returns
    -------
    image : ndarray of shape (256, 256, 3), uint8
    mask : bool ndarray of shape (256, 256), or None for ``good``
    """
    side = 1 if picked(rng, 2) else -1
    centre = np.array([128 + vary(rng, 2.5), 128 + vary(rng, 2.5)])
    fovea = centre + vector(-side * vary(rng, 7, 14), vary(rng, 7, 3))
    tilt = vary(rng, 0.09, -0.07)
    gap = vary(rng, 4, 71)
    eye = _Eye(side, fovea + gap * np.array([side * np.cos(tilt), np.sin(tilt)]), fovea, centre)
    veins, arteries = _mains(rng, eye, 1.0), _mains(rng, eye, 0.74)
    lesion = _LESIONS[kind](rng, eye, veins) if kind != "good" else None
    field = eye.away(centre) < _RADIUS - 1.5  # the camera blackens what lies outside, noise included
    image = _picture(rng, eye, veins, arteries, lesion)
    return developed(image, rng, vary(rng, 0.002, 0.007) * field), None if lesion is None else lesion.mask & field


# --- the healthy eye


def _picture(
    rng: np.random.Generator, eye: _Eye, veins: list[_Line], arteries: list[_Line], lesion: _Lesion | None
) -> np.ndarray:
    x, y = pixels()
    from_disc, from_fovea, from_centre = eye.away(eye.disc), eye.away(eye.fovea), eye.away(eye.centre)
    pigment = vary(rng, 0.5, 0.5)  # 0 fair, 1 dark
    base = rgb(0.80, 0.43, 0.23) * (1 - pigment) + rgb(0.66, 0.29, 0.135) * pigment
    base = base * rgb(1 + vary(rng, 0.03), 1 + vary(rng, 0.05), 1 + vary(rng, 0.10))
    tissue = 1 + 0.030 * clouds(rng, 4) + 0.020 * fractal(rng, 14, 3)
    choroid = np.abs(clouds(rng, 11)) * np.clip((from_fovea - 20) / 60, 0, 1)  # vessels of the layer below
    tissue = tissue * (1 - (0.015 + 0.035 * (1 - pigment)) * np.exp(-((choroid / 0.28) ** 2)))
    image = base * tissue

    near = np.exp(-((from_disc / 46) ** 2))
    image = image * (1 + near * rgb(0.06, 0.16, 0.20))
    macula = np.exp(-((from_fovea / 27) ** 2)) + 0.35 * np.exp(-((from_fovea / 9) ** 2))
    image = image * np.exp(-macula * (rgb(0.20, 0.42, 0.55) * vary(rng, 0.15, 0.85)))

    image = _with_disc(rng, eye, image)
    if lesion is not None:
        image = paint(image, lesion.pale_colour, np.clip(lesion.pale, 0, 1) * np.ones_like(x))
    image = _with_vessels(rng, eye, image, veins, arteries, lesion.beaded if lesion is not None else 0.0)
    if lesion is not None:
        blood = lesion.blood * np.ones_like(x)
        image = image * np.exp(-blood * (_BLOOD * 0.62))
        image = paint(image, (0.34, 0.045, 0.035), lesion.pool * np.ones_like(x))
    reflex = np.exp(-((radial(x - eye.fovea[0] - vary(rng, 0.8), y - eye.fovea[1] - vary(rng, 0.8)) / 1.6) ** 2))
    image = image + reflex * (vary(rng, 0.05, 0.11) * rgb(1.0, 0.8, 0.55))

    lamp = eye.centre + vector(vary(rng, 26), vary(rng, 22))
    light = 1.06 - 0.40 * (eye.away(lamp) / _RADIUS) ** 2 - 0.10 * np.clip((from_centre - 96) / 24, 0, 1) ** 2
    image = image * (np.clip(light, 0.2, 2) * vary(rng, 0.09, 1.03))
    haze = vary(rng, 0.5, 0.5) * np.clip((from_centre - 78) / 42, 0, 1) ** 2  # lens haze towards the rim
    image = image + haze * (0.035 * rgb(1.0, 0.62, 0.42))
    return 0.018 + image * cover(from_centre - _RADIUS, 1.8)


def _with_disc(rng: np.random.Generator, eye: _Eye, image: np.ndarray) -> np.ndarray:
    """``image`` with the head of the nerve, its pale cup, and the dark crescent on its temporal side."""
    left, top = int(eye.disc[0]) - 28, int(eye.disc[1]) - 28
    window = (slice(top, top + 56), slice(left, left + 56))
    x, y = (part[window] - centre for part, centre in zip(pixels(), eye.disc, strict=True))
    patch = image[:, *window]
    size = vary(rng, 1.3, 14.6)
    rim = radial(x * 1.07, y * 0.96) - size + 0.5 * clouds(rng, 22)[window]
    crescent = np.exp(-(((rim - 1.5) / 2.0) ** 2)) * np.clip(-eye.side * x / size, 0, 1)
    patch = patch * (1 - 0.22 * crescent)
    temporal = np.clip(0.5 - eye.side * x / (2 * size), 0, 1)
    nerve = (rgb(0.95, 0.66, 0.36) + temporal * rgb(0.03, 0.09, 0.09)) * (1 + 0.02 * clouds(rng, 40)[window])
    patch = paint(patch, nerve, 0.93 * cover(rim, 3.2))
    cup = radial(x + eye.side * 1.5, y * 0.93) - size * vary(rng, 0.09, 0.42)
    result = image.copy()
    result[:, *window] = paint(patch, (1.0, 0.90, 0.68), 0.75 * cover(cup, 5))
    return result


def _mains(rng: np.random.Generator, eye: _Eye, width: float) -> list[_Line]:
    """The four main vessels of one kind, from the disc to the rim: temporal ones first."""
    lines = []
    for up in (-1, 1):
        bow = vary(rng, 6, 82)
        knots = (
            eye.disc + vector(vary(rng, 1.5), vary(rng, 1.5)),
            eye.disc + vector(eye.side * vary(rng, 5, 3), up * vary(rng, 8, 52)),
            eye.fovea + vector(eye.side * vary(rng, 8, 22), up * bow),
            eye.fovea + vector(-eye.side * vary(rng, 10, 96), up * vary(rng, 16, 52)),
        )
        lines.append(_vessel(rng, knots, 1.65 * width, 0.65 * width))
    for up in (-1, 1):
        knots = (
            eye.disc + vector(vary(rng, 1.5), vary(rng, 1.5)),
            eye.disc + vector(eye.side * vary(rng, 4, 2), up * vary(rng, 6, 26)),
            eye.disc + vector(eye.side * vary(rng, 8, 26), up * vary(rng, 10, 42)),
            eye.disc + vector(eye.side * vary(rng, 12, 52), up * vary(rng, 18, 84)),
        )
        lines.append(_vessel(rng, knots, 1.3 * width, 0.6 * width))
    return lines


def _vessel(rng: np.random.Generator, knots: tuple[np.ndarray, ...], first: float, last: float) -> _Line:
    """A cubic Bezier curve with a slight waviness, and its radii."""
    t = np.linspace(0, 1, 36)[:, None]
    a, b, c, d = knots
    path = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    wave = np.cumsum(rng.standard_normal((36, 2)), axis=0)
    wave = wave - t * wave[-1]
    smooth = (np.roll(wave, 1, axis=0) + wave + np.roll(wave, -1, axis=0)) / 3
    return path + 0.55 * smooth, np.linspace(first, last, 36)


def _branches(rng: np.random.Generator, parents: list[_Line], count: int, reach: float) -> list[_Line]:
    """Side vessels that leave their parents forward, first to one side, then to the other."""
    lines = []
    for path, radii in parents:
        n = len(path)
        for k in range(count):
            at = min(n - 2, int(n * (0.16 + 0.76 * (k + float(rng.random())) / count)))
            tangent = path[at + 1] - path[at]
            heading = float(np.arctan2(tangent[1], tangent[0]))
            side = 1 if (k + picked(rng, 2)) % 2 else -1
            length = reach * vary(rng, 0.35, 0.9)
            branch = _curl(rng, path[at], heading, side * vary(rng, 0.2, 0.75), side * -0.55, length)
            lines.append((branch, np.linspace(max(0.42, 0.62 * radii[at]), 0.28, len(branch))))
    return lines


def _curl(
    rng: np.random.Generator, start: np.ndarray, heading: float, first: float, swing: float, length: float
) -> np.ndarray:
    """A path that leaves ``heading`` by ``first`` radians and swings by ``swing`` more on its way."""
    steps = max(4, round(length / 4))
    turn = heading + first + swing * np.arange(steps) / steps + np.cumsum(0.10 * rng.standard_normal(steps))
    moves = np.concatenate([np.zeros((1, 2)), 4 * np.stack([np.cos(turn), np.sin(turn)], axis=1)])
    return start + np.cumsum(moves, axis=0)


def _macular(rng: np.random.Generator, eye: _Eye, temporal: list[_Line]) -> list[_Line]:
    """Thin vessels that run from the temporal arcades and from the disc towards the fovea."""
    lines = []
    for path, _radii in temporal:
        for k in range(3):
            start = path[9 + 7 * k + picked(rng, 6)]
            inward = eye.fovea - start
            heading = float(np.arctan2(inward[1], inward[0]))
            branch = _curl(rng, start, heading, vary(rng, 0.55), vary(rng, 0.6), vary(rng, 10, 38))
            lines.append((branch, np.linspace(0.55, 0.28, len(branch))))
    for up in (-1, 1):
        start = eye.disc + vector(-eye.side * 6, up * vary(rng, 2, 6))
        outward = 0.0 if eye.side < 0 else np.pi
        first = up * eye.side * vary(rng, 0.15, -0.45)
        branch = _curl(rng, start, outward, first, -first * 1.3, vary(rng, 8, 42))
        lines.append((branch, np.linspace(0.6, 0.3, len(branch))))
    return lines


def _with_vessels(
    rng: np.random.Generator, eye: _Eye, image: np.ndarray, veins: list[_Line], arteries: list[_Line], beaded: float
) -> np.ndarray:
    free = np.clip((eye.away(eye.fovea) - 10) / 12, 0, 1)  # no vessel crosses the fovea
    dark = []
    for mains in (veins, arteries):
        side = [*_branches(rng, mains[:2], 5, 50), *_branches(rng, mains[2:], 4, 44)]
        twigs = [*_branches(rng, side, 2, 24), *_macular(rng, eye, mains[:2])]
        thick = strokes([*(_beaded(mains[:2], beaded) if mains is veins else mains[:2]), *mains[2:]])
        dark.append(np.maximum(thick, 0.85 * free * np.maximum(strokes(side), 0.8 * strokes(twigs))))
    x, y = pixels()
    reach = 0.35 + 0.65 * np.clip(radial(x - eye.disc[0], y - eye.disc[1]) / 8, 0, 1)
    vein, artery = (blur(d, 0.55) * reach for d in dark)
    image = image * np.exp(-(vein * rgb(0.44, 0.86, 0.66) + artery * rgb(0.22, 0.66, 0.60)))
    shine = blur(strokes([(path, 0.3 * radii) for path, radii in arteries]), 0.5)
    return image + shine * reach * (0.16 * rgb(1.0, 0.6, 0.4))


def _beaded(lines: list[_Line], strength: float) -> list[_Line]:
    """Temporal veins whose width swells and narrows along their middle part."""
    result = []
    for path, radii in lines:
        fine = np.linspace(0, len(path) - 1, 4 * len(path))
        knots = np.arange(len(path))
        dense = np.stack([np.interp(fine, knots, path[:, k]) for k in (0, 1)], axis=1)
        wide = np.interp(fine, knots, radii)
        t = fine / (len(path) - 1)
        middle = np.clip((t - 0.2) / 0.08, 0, 1) * np.clip((0.85 - t) / 0.08, 0, 1)
        result.append((dense, wide * (1 + strength * middle * (0.35 + np.sin(t * 2 * np.pi * 15)))))
    return result


# --- the lesions; each takes (rng, eye, veins)


def _spots(rng: np.random.Generator, points: np.ndarray, radii: np.ndarray, soft: float) -> np.ndarray:
    """Cover of roundish spots, each a short fat stroke."""
    lines = []
    for point, radius in zip(points, radii, strict=True):
        angle = vary(rng, np.pi)
        arm = 0.45 * radius * np.array([np.cos(angle), np.sin(angle)])
        lines.append((np.stack([point - arm, point + arm]), np.array([radius, radius * vary(rng, 0.25, 0.85)])))
    return strokes(lines, soft)


def _scattered(rng: np.random.Generator, eye: _Eye, count: int, near: float, far: float) -> np.ndarray:
    """Points round the fovea, ``near`` to ``far`` pixels away, none on the disc; shape (n, 2)."""
    angles = (np.arange(count) + rng.random(count)) * 2 * np.pi / count + vary(rng, np.pi)
    reach = near + (far - near) * np.sqrt(rng.random(count))
    points = np.array([eye.at(float(a), float(r)) for a, r in zip(angles, reach, strict=True)])
    keep = (np.hypot(*(points - eye.disc).T) > 24) & (np.hypot(*(points - eye.centre).T) < _RADIUS - 9)
    return points[keep]


def _dots(rng: np.random.Generator, eye: _Eye, count: int) -> np.ndarray:
    points = _scattered(rng, eye, count, 16, 62)
    return _spots(rng, points, 0.9 + 0.55 * rng.random(len(points)), 1.4)


def _blots(rng: np.random.Generator, eye: _Eye, count: int, far: float) -> np.ndarray:
    points = _scattered(rng, eye, count, 18, far)
    spots = _spots(rng, points, 1.5 + 2.4 * rng.random(len(points)) ** 1.6, 2.0)
    return spots * np.clip(0.85 + 0.18 * clouds(rng, 60), 0, 1.2)


def _microaneurysms(rng: np.random.Generator, eye: _Eye, veins: list[_Line]) -> _Lesion:
    dots = _dots(rng, eye, 6 + picked(rng, 6))
    return _Lesion(dots > 0.35, blood=vary(rng, 0.12, 0.72) * dots)


def _dot_haemorrhages(rng: np.random.Generator, eye: _Eye, veins: list[_Line]) -> _Lesion:
    blood = np.maximum(_blots(rng, eye, 8 + picked(rng, 5), 74), 0.75 * _dots(rng, eye, 7))
    return _Lesion(blood > 0.35, blood=0.9 * blood)


def _hard_exudates(rng: np.random.Generator, eye: _Eye, veins: list[_Line]) -> _Lesion:
    points = []
    for _ in range(2 + picked(rng, 2)):
        middle = eye.at(vary(rng, np.pi), vary(rng, 13, 34))
        count = 8 + picked(rng, 9)
        points.append(middle + rng.standard_normal((count, 2)) * (6.5, 5))
    where = np.concatenate(points)
    specks = _spots(rng, where, 0.6 + 1.3 * rng.random(len(where)) ** 2, 1.2)
    dots = _dots(rng, eye, 6)
    return _Lesion((specks > 0.35) | (dots > 0.35), blood=0.7 * dots, pale=0.72 * specks)


def _widespread(rng: np.random.Generator, eye: _Eye, veins: list[_Line]) -> _Lesion:
    blood = np.maximum(_blots(rng, eye, 20 + picked(rng, 8), 108), _blots(rng, eye, 16 + picked(rng, 6), 80))
    blood = np.maximum(blood, _flames(rng, eye, 6 + picked(rng, 5)))
    return _Lesion(blood > 0.35, blood=0.95 * blood)


def _flames(rng: np.random.Generator, eye: _Eye, count: int) -> np.ndarray:
    """Flame-shaped haemorrhages that follow the nerve fibres away from the disc."""
    lines = []
    for _ in range(count):
        reach, angle = vary(rng, 22, 58), vary(rng, np.pi)
        start = eye.disc + reach * np.array([np.cos(angle), np.sin(angle)])
        outward = start - eye.disc
        heading = float(np.arctan2(outward[1], outward[0]))
        for _ in range(4):
            path = wander(rng, start + 1.6 * rng.standard_normal(2), heading + vary(rng, 0.12), vary(rng, 4, 11))
            lines.append((path, np.linspace(1.1, 0.2, len(path))))
    return 0.9 * strokes(lines, 1.6)


def _cotton_wool(rng: np.random.Generator, eye: _Eye, veins: list[_Line]) -> _Lesion:
    x, y = pixels()
    fluff = np.zeros_like(x)
    wisps = 3.0 * clouds(rng, 34) + 1.4 * clouds(rng, 80)
    for _ in range(4 + picked(rng, 4)):
        path, _radii = veins[picked(rng, 4)]
        at = path[9 + picked(rng, 18)] + 9 * rng.standard_normal(2)
        angle, long = vary(rng, np.pi), vary(rng, 2.5, 7.5)
        c, s = np.cos(angle), np.sin(angle)
        du, dv = c * (x - at[0]) + s * (y - at[1]), c * (y - at[1]) - s * (x - at[0])
        fluff = np.maximum(fluff, cover(radial(du, dv * 1.5) - long + wisps, 8) * (radial(du, dv) < 22))
    blood = np.maximum(_blots(rng, eye, 12 + picked(rng, 6), 90), _flames(rng, eye, 4))
    mask = (fluff > 0.4) | (blood > 0.35)
    return _Lesion(mask, blood=0.95 * blood, pale=0.7 * fluff, pale_colour=(0.97, 0.86, 0.68))


def _venous_beading(rng: np.random.Generator, eye: _Eye, veins: list[_Line]) -> _Lesion:
    strength = vary(rng, 0.1, 0.72)
    beads = []
    for path, radii in _beaded(veins[:2], strength):
        n = len(path)
        part = slice(int(0.2 * n), int(0.85 * n))
        beads.append((path[part], radii[part]))
    blood = _blots(rng, eye, 12 + picked(rng, 6), 92)
    return _Lesion((strokes(beads) > 0.4) | (blood > 0.35), blood=0.9 * blood, beaded=strength)


def _neovascularisation(rng: np.random.Generator, eye: _Eye, veins: list[_Line]) -> _Lesion:
    at_disc = picked(rng, 2) == 0
    path, _radii = veins[picked(rng, 2)]
    root = eye.disc if at_disc else path[14 + picked(rng, 8)]
    lines = []
    opening = vary(rng, np.pi)
    for k in range(15 + picked(rng, 6)):
        heading = opening + k * 2.4 if at_disc else opening + vary(rng, 1.3)
        start = root + 3 * rng.standard_normal(2)
        stem = wander(rng, start, heading, vary(rng, 8, 25), step=2.0, jitter=0.42)
        lines.append((stem, np.linspace(0.62, 0.35, len(stem))))
        for _ in range(2):
            at = stem[2 + picked(rng, len(stem) - 3)]
            twig = wander(rng, at, heading + vary(rng, 1.2), vary(rng, 4, 10), step=2.0, jitter=0.5)
            lines.append((twig, np.linspace(0.45, 0.3, len(twig))))
    net = strokes(lines, 1.1)
    leak = 0.35 * np.maximum(_blots(rng, eye, 5, 70), 0)
    return _Lesion((net > 0.3) | (leak > 0.2), blood=np.maximum(0.8 * net, 2 * leak) + 0.10 * blur(net, 3))


def _preretinal(rng: np.random.Generator, eye: _Eye, veins: list[_Line]) -> _Lesion:
    x, y = pixels()
    at = eye.at(vary(rng, 0.9, np.pi / 2) + picked(rng, 2) * np.pi, vary(rng, 14, 46))
    size = vary(rng, 6, 25)
    wavy = 1.3 * clouds(rng, 12)
    bowl = radial((x - at[0]) / 1.25, y - at[1] + size * 0.1) - size + wavy
    level = at[1] - size * 0.30 - y + vary(rng, 0.08) * (x - at[0]) + 0.5 * wavy
    sharp = np.maximum(bowl, level)
    blunt = radial(np.maximum(bowl + 5, 0), np.maximum(level + 5, 0)) - 5  # rounds the two corners
    pool = cover(np.maximum(blunt, sharp), 2.4)
    depth = np.clip((y - at[1] + size * 0.3) / size, 0, 1)
    dark = pool * (0.9 + 0.6 * depth) * (1 + 0.05 * clouds(rng, 30))
    blood = np.maximum(dark, 0.95 * _blots(rng, eye, 9, 96))
    return _Lesion(blood > 0.35, blood=blood, pool=0.72 * pool)


_LESIONS: Mapping[str, Callable[[np.random.Generator, _Eye, list[_Line]], _Lesion]] = {
    "microaneurysms": _microaneurysms,
    "dot_haemorrhages": _dot_haemorrhages,
    "hard_exudates": _hard_exudates,
    "widespread_haemorrhages": _widespread,
    "cotton_wool": _cotton_wool,
    "venous_beading": _venous_beading,
    "neovascularisation": _neovascularisation,
    "preretinal_haemorrhage": _preretinal,
}

DEFECTS: Mapping[str, int] = {
    "microaneurysms": 1,
    "dot_haemorrhages": 2,
    "hard_exudates": 2,
    "widespread_haemorrhages": 3,
    "cotton_wool": 3,
    "venous_beading": 3,
    "neovascularisation": 4,
    "preretinal_haemorrhage": 4,
}
"""Severity level of every kind of lesion."""
