"""Outlines of the things in the demo subset ``novelty``.

Local units: the thing is about 2 long, its foot near (0, 1) and its head near (0, -1), y downward as
in an image. Outlines have shape (n, 2); lines are given as (points, radius or radii).
"""

from dataclasses import dataclass

import numpy as np

from mad_core.datasets.demo.texture import spline, vary, vector

Line = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Leaf:
    """A leaf: outlines of its blade, its veins (thickest first) and its stalk."""

    blade: tuple[np.ndarray, ...]
    veins: tuple[Line, ...]
    stalk: tuple[Line, ...]


def oak(rng: np.random.Generator, *, points: float, depth: float, lobes: int) -> Leaf:
    """An oak leaf.

    Parameters
    ----------
    points : float
        0 for round lobes, 1 for pointed ones.
    depth : float
        How far the bays reach towards the midrib, 0-1.
    lobes : int
        Lobes on each side, the tip's not counted.
    """
    bend = vary(rng, 0.13)
    t = np.linspace(0, 1, 150)
    envelope = np.sin(np.pi * t**1.2) ** 0.7 * (1 - 0.12 * t) + 0.035 * (1 - t)
    sides, veins = [], []
    for side in (-1, 1):
        phase = t * (lobes + 0.55) + vary(rng, 0.12) + 0.1 * np.sin(2 * np.pi * t + vary(rng, 2))
        saw = 1 - np.abs(2 * (phase % 1) - 1)
        wave = (1 - points) * np.abs(np.sin(np.pi * phase)) ** 0.62 + points * saw**1.35
        swell = 1 + 0.10 * np.interp(t, np.linspace(0, 1, 6), rng.standard_normal(6))
        width = 0.60 * envelope * swell * (1 - depth * (1 - wave))
        along = t - 0.02 - 0.07 * width * (1 + points)  # lobes lean towards the tip
        sides.append(_bent(np.stack([side * width, 0.86 - 1.8 * along], axis=1), bend))
        for k in range(1, lobes + 2):
            peak = float(np.interp(k - 0.5, phase, t))
            if not 0.04 < peak < 0.93:
                continue
            reach = float(np.interp(peak, t, width))
            foot = max(0.0, peak - 0.10 - 0.12 * reach)
            rib = np.array([[0, foot], [0.45 * reach, foot + 0.6 * (peak - foot)], [0.93 * reach, peak]])
            curve = spline(rib, 6)
            points_xy = np.stack([side * curve[:, 0], 0.86 - 1.8 * curve[:, 1]], axis=1)
            veins.append((_bent(points_xy, bend), np.linspace(0.011, 0.004, len(curve))))
    blade = np.concatenate([sides[0], sides[1][::-1]])
    spine = np.stack([np.zeros(24), np.linspace(0.86, -0.85, 24)], axis=1)
    midrib = (_bent(spine, bend), np.linspace(0.022, 0.005, 24))
    return Leaf((blade,), (midrib, *veins), (_stalk(rng, 0.80),))


def maple(rng: np.random.Generator) -> Leaf:
    """A palmate leaf of five pointed, toothed lobes."""
    foot = np.array([0.0, 0.42])
    tips = [(-128, 0.60), (-58, 0.98), (0, 1.28), (58, 0.98), (128, 0.60)]
    outline: list[np.ndarray] = [foot + vector(0, 0.02)]
    veins = []
    for k, (angle, reach) in enumerate(tips):
        a, r = np.radians(angle + vary(rng, 3)), reach * vary(rng, 0.05, 1.0)
        ahead = np.array([np.sin(a), -np.cos(a)])
        beside = np.array([np.cos(a), np.sin(a)])
        wide = 0.27 * r
        if k:
            between = np.radians((angle + tips[k - 1][0]) / 2 + vary(rng, 3))
            outline.append(foot + 0.37 * np.array([np.sin(between), -np.cos(between)]))
        for along, across in ((0.52, -0.75), (0.60, -1.02), (0.66, -0.55), (0.83, -0.42), (0.85, -0.24), (1.0, 0.0)):
            outline.append(foot + r * along * ahead + wide * across * beside)
        for along, across in ((0.85, 0.24), (0.83, 0.42), (0.66, 0.55), (0.60, 1.02), (0.52, 0.75)):
            outline.append(foot + r * along * ahead + wide * across * beside)
        veins.append((np.stack([foot, foot + 0.95 * r * ahead]), np.array([0.018, 0.005])))
        for along, across in ((0.58, 0.9), (0.82, 0.36)):
            for side in (-1, 1):
                start = foot + (along - 0.2) * r * ahead
                end = foot + r * along * ahead + side * wide * across * beside
                veins.append((np.stack([start, end]), np.array([0.009, 0.004])))
    return Leaf((spline(outline, 4, closed=True),), tuple(veins), (_stalk(rng, 0.42),))


def ginkgo(rng: np.random.Generator) -> Leaf:
    """A fan with a notch, whose fine veins all start at the stalk."""
    foot = np.array([0.0, 0.38])
    opening = vary(rng, 6, 66)
    a = np.linspace(-opening, opening, 120)
    wave = np.interp(a, np.linspace(-90, 90, 26), rng.standard_normal(26))
    reach = 1.12 * (1 - 0.10 * (a / opening) ** 4) + 0.018 * wave
    reach = reach - vary(rng, 0.12, 0.34) * np.exp(-(((a - vary(rng, 4)) / 4.5) ** 2))
    rim = foot + reach[:, None] * np.stack([np.sin(np.radians(a)), -np.cos(np.radians(a))], axis=1)
    left, right = rim[0], rim[-1]
    inward = np.array([[left[0] * 0.42, 0.20], [-0.05, 0.37], [0.05, 0.37], [right[0] * 0.42, 0.20]])
    blade = np.concatenate([rim, inward[::-1]])
    veins = []
    for b in np.linspace(-opening * 0.94, opening * 0.94, 34):
        c = np.radians(b)
        r = 0.97 * float(np.interp(b, a, reach))
        middle = foot + 0.45 * r * np.array([np.sin(0.9 * c), -np.cos(0.9 * c)])
        end = foot + r * np.array([np.sin(c), -np.cos(c)])
        veins.append((spline(np.stack([foot, middle, end]), 5), np.linspace(0.007, 0.004, 11)))
    return Leaf((blade,), tuple(veins), (_stalk(rng, 0.38),))


def rowan(rng: np.random.Generator) -> Leaf:
    """A feathered leaf: pairs of toothed leaflets along one stalk, and one at its end."""
    bend = vary(rng, 0.16)
    pairs = 5 + int(2 * rng.random())
    blades, veins = [], []
    places = [(0.62 - 1.18 * k / (pairs - 1), side) for k in range(pairs) for side in (-1, 1)] + [(-0.66, 0)]
    for y, side in places:
        lean = np.radians(vary(rng, 5, 62) * side)
        ahead = np.array([np.sin(lean), -np.cos(lean)])
        beside = np.array([np.cos(lean), np.sin(lean)])
        long = vary(rng, 0.05, 0.52) * (1.0 - 0.35 * abs(y) ** 2)
        t = np.linspace(0, 1, 30)
        saw = 1 + 0.07 * (np.arange(30) % 2)
        half = 0.235 * long * np.sin(np.pi * t**0.9) ** 0.8 * saw
        foot = np.array([0.015 * side, y + vary(rng, 0.015)])
        spine = foot + long * t[:, None] * ahead
        ring = np.concatenate([spine + half[:, None] * beside, (spine - half[:, None] * beside)[::-1]])
        blades.append(_bent(ring, bend))
        veins.append((_bent(spine[:-2], bend), np.linspace(0.010, 0.004, 28)))
    axis = np.stack([np.zeros(20), np.linspace(1.0, -0.68, 20)], axis=1)
    return Leaf(tuple(blades), tuple(veins), ((_bent(axis, bend), np.linspace(0.028, 0.012, 20)),))


def wings(rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray], list[Line], list[Line]]:
    """A butterfly: outlines of the hind and the fore wings, the wings' veins, and body with feelers."""
    lift = vary(rng, 0.06)
    fore = [(0.05, -0.22), (0.34, -0.58 - lift), (0.78, -0.84 - lift), (1.00, -0.80 - lift), (0.97, -0.52)]
    fore += [(0.84, -0.22), (0.70, 0.00), (0.38, 0.04), (0.06, 0.02)]
    hind = [(0.05, -0.05), (0.36, -0.04), (0.66, 0.04), (0.80, 0.26), (0.70, 0.52), (0.52, 0.66)]
    hind += [(0.36, 0.62), (0.20, 0.42), (0.06, 0.20)]
    shape = 1 + 0.04 * rng.standard_normal((18, 1))
    fores, hinds, veins = [], [], []
    for side in (-1, 1):
        flip = np.array([side, 1.0])
        fores.append(spline(np.array(fore) * shape[:9] * flip, 8, closed=True))
        hinds.append(spline(np.array(hind) * shape[9:] * flip, 8, closed=True))
        for root, ends in (((0.10, -0.16), fore[2:8]), ((0.10, 0.02), hind[2:7])):
            for end in ends:
                rib = np.array([root, np.array(root) * 0.45 + np.array(end) * 0.5 + (0.0, -0.03), end])
                veins.append((spline(rib * flip, 5), np.linspace(0.012, 0.006, 11)))
    body = [(np.array([[0, -0.30], [0, -0.06], [0, 0.16], [0, 0.48]]), np.array([0.05, 0.065, 0.05, 0.022]))]
    for side in (-1, 1):
        feeler = spline(np.array([[0.0, -0.30], [0.12 * side, -0.62], [0.26 * side, -0.80]]), 8)
        body.append((feeler, np.linspace(0.008, 0.012, len(feeler))))
        body.append((feeler[-2:], np.array([0.018, 0.024])))
    return hinds, fores, veins, body


def scallop(rng: np.random.Generator, ribs: int) -> tuple[np.ndarray, np.ndarray]:
    """A scallop shell: the fan, its hinge at (0, 0.72) and ``ribs`` scallops at its rim, and the two ears."""
    a = np.linspace(-74, 74, 240)
    rim = 1.42 * (1 - 0.16 * np.abs(a / 74) ** 2.4) + 0.016 * np.abs(np.cos(np.pi * ribs * (a + 74) / 148))
    swing = np.radians(a)
    fan = np.stack([0.98 * rim * np.sin(swing), 0.72 - rim * np.cos(swing)], axis=1)
    fan = np.concatenate([fan, [(0.16, 0.70), (0.0, 0.74), (-0.16, 0.70)]])
    wide = vary(rng, 0.04, 0.40)
    ears = np.array([(-wide, 0.80), (-wide * 0.95, 0.50), (0, 0.40), (wide * 0.95, 0.50), (wide, 0.80)])
    return fan, ears


def _stalk(rng: np.random.Generator, top: float) -> Line:
    sway = vary(rng, 0.09)
    curve = spline(np.array([[0, top], [0.4 * sway, (top + 1.12) / 2], [sway, 1.12]]), 8)
    return curve, np.linspace(0.020, 0.026, len(curve))


def _bent(points: np.ndarray, bend: float) -> np.ndarray:
    """Points moved sideways along an arc that leaves the foot upright."""
    height = (0.9 - points[:, 1]) / 1.8
    return np.stack([points[:, 0] + bend * height * height, points[:, 1]], axis=1)
