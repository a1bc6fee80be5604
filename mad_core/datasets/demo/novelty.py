"""Demo subset ``novelty``: a herbarium of one oak; severity is the distance in meaning from its leaf.

Nothing here is damaged. What lies on the sheet is another form of the oak, another plant, another
living thing, or a thing that was never alive.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mad_core.datasets.dataset import LevelMeaning, SubsetCard
from mad_core.datasets.demo.shapes import Leaf, Line, ginkgo, maple, oak, rowan, scallop, wings
from mad_core.datasets.demo.texture import (
    SIZE,
    Colour,
    blur,
    clouds,
    cover,
    developed,
    fill,
    fractal,
    paint,
    picked,
    pixels,
    placed,
    radial,
    rgb,
    rounded_box,
    slopes,
    strokes,
    turned,
    vary,
    wander,
)

CARD = SubsetCard(
    domain="novelty",
    rubric="demo-novelty",
    product="herbarium sheet with a leaf of one kind of oak",
    levels={
        "0": LevelMeaning("same kind", "A leaf of the round-lobed oak. Form, size, hue, pose and light vary."),
        "1": LevelMeaning(
            "cultivar",
            "The same plant in another form. Pointed cultivar: pointed, deeper lobes. Variegated cultivar: cream "
            "margin.",
        ),
        "2": LevelMeaning("cousin", "Another plant's leaf: maple cousin, ginkgo cousin, rowan cousin."),
        "3": LevelMeaning("stranger", "Another living thing: butterfly stranger, shell stranger."),
        "4": LevelMeaning("artefact", "Never alive, a made thing: key artefact, gear artefact, spanner artefact."),
    },
)


@dataclass(frozen=True)
class _Pose:
    """Where a thing lies: centre in pixels, angle in radians, pixels per local unit."""

    centre: tuple[float, float]
    angle: float
    scale: float

    def place(self, points: np.ndarray) -> np.ndarray:
        return placed(points, self.centre, self.angle, self.scale)

    def lines(self, lines: list[Line] | tuple[Line, ...]) -> np.ndarray:
        return strokes([(self.place(p), r * self.scale) for p, r in lines])

    def frame(self) -> tuple[np.ndarray, np.ndarray]:
        return turned(self.centre, self.angle, self.scale)


@dataclass(frozen=True)
class _Thing:
    """A thing ready to lie on the sheet: its colour (3, 256, 256), its cover, how high it stands (pixels)."""

    colour: np.ndarray
    cover: np.ndarray
    lift: float


_Light = tuple[float, float]


def draw(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray | None]:
    """A sheet: ``kind`` is ``good`` or one of ``DEFECTS``.

    Returns
    -------
    image : ndarray of shape (256, 256, 3), uint8
    mask : bool ndarray of shape (256, 256), the silhouette, or None for ``good``
    """
    toward = -0.75 * np.pi + vary(rng, 0.5)
    light = (float(np.cos(toward)), float(np.sin(toward)))
    pose = _Pose((128 + vary(rng, 7), 122 + vary(rng, 6)), vary(rng, 0.38), vary(rng, 8, 92))
    thing = _THINGS[kind](rng, pose, light)
    image = _laid(_sheet(rng), thing, light)
    x, y = pixels()
    lamp = (128 + 95 * light[0], 128 + 95 * light[1])
    falloff = 1.05 - 0.17 * (((x - lamp[0]) ** 2 + (y - lamp[1]) ** 2) / 256**2)
    cast = vary(rng, 0.05, 0.98) * rgb(1 + vary(rng, 0.012), 1.0, 1 + vary(rng, 0.02))
    image = image * falloff * cast
    return developed(image, rng, vary(rng, 0.0015, 0.0055)), None if kind == "good" else thing.cover > 0.5


def _sheet(rng: np.random.Generator) -> np.ndarray:
    """Warm rag paper with fibres, and a label with a few lines of writing."""
    tone = 1 + 0.003 * fractal(rng, 40, 2) + 0.008 * clouds(rng, 110) + 0.006 * clouds(rng, 4)
    paper = tone * rgb(0.905, 0.880, 0.815 + vary(rng, 0.02))
    fibres = []
    for _ in range(26):
        path = wander(rng, SIZE * rng.random(2), vary(rng, np.pi), vary(rng, 6, 14), jitter=0.35)
        fibres.append((path, np.full(len(path), 0.25)))
    paper = paint(paper, paper * rgb(0.80, 0.76, 0.70), 0.55 * strokes(fibres))
    at = (211 + vary(rng, 3), 232 + vary(rng, 2))
    u, v = turned(at, vary(rng, 0.03))
    card = rounded_box(u, v, (33, 15), 1.0)
    paper = paper * (1 - 0.16 * cover(card - 0.5, 4))
    paper = paint(paper, (0.955, 0.94, 0.895), cover(card))
    frame = np.exp(-(((card + 2.6) / 0.55) ** 2))
    ink = 0.45 * frame
    scrawl = []
    for line, length in enumerate((48, 40, 27)):
        t = np.arange(0, length, 1.3)
        height = np.interp(t, np.arange(0, length + 3, 1.6), rng.standard_normal(len(np.arange(0, length + 3, 1.6))))
        points = np.stack([at[0] - 25 + t, at[1] - 6.5 + 6.5 * line + 1.0 * height], axis=1)
        scrawl.append((points, np.full(len(points), 0.22)))
    return paint(paper, (0.36, 0.30, 0.27), np.clip(ink + 0.62 * strokes(scrawl), 0, 0.8))


def _laid(sheet: np.ndarray, thing: _Thing, light: _Light) -> np.ndarray:
    """The thing on the sheet, with a contact shadow and a soft one away from the light."""
    x, y = round(-light[0] * thing.lift), round(-light[1] * thing.lift)
    thrown = blur(np.roll(thing.cover, (y, x), axis=(0, 1)), 0.8 + 0.75 * thing.lift)
    contact = blur(thing.cover, 1.6)
    shade = 1 - 0.36 * thrown - 0.16 * contact
    tinted = sheet * (1 - (1 - shade) * rgb(1.0, 1.0, 0.92))
    return paint(tinted, thing.colour, thing.cover)


# --- leaves


def _leaf(
    rng: np.random.Generator, pose: _Pose, light: _Light, leaf: Leaf, colour: Colour, margin: Colour | None = None
) -> _Thing:
    """A pressed leaf: domed between its veins, paler along them, uneven in hue."""
    blade = fill(*(pose.place(outline) for outline in leaf.blade))
    veins = pose.lines(leaf.veins)
    stalk = pose.lines(leaf.stalk)
    whole = np.maximum(blade, stalk)
    inner = blur(blade, 5)
    relief = (
        1.3 * blur(blade, 1.6) + 2.6 * inner - 1.7 * blur(veins, 1.1) + 0.4 * clouds(rng, 22) + 0.8 * clouds(rng, 8)
    )
    sx, sy = slopes(relief)
    tilt = -(sx * light[0] + sy * light[1])
    hue = rgb(*colour) * (1 + 0.06 * clouds(rng, 4) * rgb(1.2, 0.7, 0.6))
    skin = hue * (1 + 0.03 * fractal(rng, 60, 2))
    skin = skin * (1 - 0.14 * (1 - inner))
    if margin is not None:
        ragged = np.clip((0.76 + 0.055 * clouds(rng, 24) + 0.04 * clouds(rng, 60) - blur(blade, 5)) / 0.10, 0, 1)
        skin = paint(skin, margin, 0.88 * ragged)
    u, _v = pose.frame()
    fold = np.tanh(9 * u) * (light[0] * np.cos(pose.angle) + light[1] * np.sin(pose.angle))
    shade = 1 - 0.055 * fold + 0.55 * np.clip(tilt, -0.5, 0.5)
    skin = skin * shade + 0.05 * np.clip(tilt - 0.02, 0, 1)
    pale = rgb(*colour) * 0.45 + rgb(0.38, 0.38, 0.25)
    skin = paint(skin, pale, 0.62 * veins * np.clip(2 * blade, 0, 1))
    woody = rgb(*colour) * 0.5 + rgb(0.22, 0.16, 0.09)
    sheen = 1 + 0.35 * (blur(stalk, 0.8) - 0.6)
    return _Thing(paint(skin, woody * sheen, stalk * (1 - 0.55 * blade)), whole, vary(rng, 0.6, 2.6))


def _green(rng: np.random.Generator) -> Colour:
    """Leaf green: from olive over grass to a yellowish green, lighter or darker."""
    yellow, value = float(rng.random()), vary(rng, 0.13, 1.0)
    return value * (0.275 + 0.16 * yellow), value * (0.375 + 0.05 * yellow), value * (0.165 + 0.025 * yellow)


def _oak_leaf(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    shape = oak(rng, points=0.0, depth=vary(rng, 0.05, 0.40), lobes=4 + picked(rng, 2))
    return _leaf(rng, pose, light, shape, _green(rng))


def _pointed(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    shape = oak(rng, points=vary(rng, 0.12, 0.88), depth=vary(rng, 0.06, 0.62), lobes=4 + picked(rng, 2))
    return _leaf(rng, pose, light, shape, _green(rng))


def _variegated(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    shape = oak(rng, points=0.0, depth=vary(rng, 0.05, 0.40), lobes=4 + picked(rng, 2))
    return _leaf(rng, pose, light, shape, _green(rng), margin=(0.82, 0.80, 0.56))


def _maple_leaf(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    return _leaf(rng, pose, light, maple(rng), _green(rng))


def _ginkgo_leaf(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    r, g, b = _green(rng)
    return _leaf(rng, pose, light, ginkgo(rng), (1.25 * r, 1.12 * g, b))


def _rowan_leaf(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    return _leaf(rng, pose, light, rowan(rng), _green(rng))


# --- other living things


def _butterfly(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    hinds, fores, ribs, body = wings(rng)
    hind, fore = (fill(*(pose.place(o) for o in outlines)) for outlines in (hinds, fores))
    trunk, veins = pose.lines(body), pose.lines(ribs)
    wing = np.maximum(hind, fore)
    u, v = pose.frame()
    ground = ((0.72, 0.44, 0.20), (0.50, 0.56, 0.64), (0.78, 0.66, 0.40), (0.60, 0.34, 0.24))[picked(rng, 4)]
    ground = rgb(*ground) * vary(rng, 0.06, 1.0)
    away = radial(u, v)
    skin = ground * (1.12 - 0.25 * away + 0.03 * fractal(rng, 30, 2))
    dusk = (0.16, 0.12, 0.10)
    skin = paint(skin, dusk, 0.6 * np.exp(-((away / 0.22) ** 2)))
    skin = paint(skin, dusk, 0.55 * veins)
    rim = np.clip((0.86 - np.maximum(blur(hind, 5), blur(fore, 5))) / 0.22, 0, 1) * np.clip(
        (np.abs(u) - 0.18) / 0.2, 0, 1
    )
    skin = paint(skin, dusk, 0.92 * rim)
    spots = [((0.86, -0.60), 0.028), ((0.83, -0.44), 0.022), ((0.77, -0.28), 0.02), ((0.64, 0.42), 0.024)]
    spots += [((0.70, 0.26), 0.020), ((0.52, 0.55), 0.022)]
    both = [(np.array([(s * x, y), (s * x, y + 0.01)]), np.array([r, r])) for (x, y), r in spots for s in (-1, 1)]
    skin = paint(skin, (0.92, 0.88, 0.76), 0.85 * pose.lines(both))
    eyes = [(np.array([(s * 0.47, -0.42), (s * 0.47, -0.41)]), np.array([0.055, 0.055])) for s in (-1, 1)]
    skin = paint(skin, dusk, 0.85 * pose.lines(eyes))
    edge = np.clip(blur(fore, 1.2) - blur(np.roll(fore, (1, 0), axis=(0, 1)), 2.2), -0.5, 0.5)
    fold = 1 - 0.10 * np.tanh(8 * u) * light[0]
    skin = skin * (fold - 0.25 * np.clip(edge, 0, 1) * hind)
    fur = rgb(0.25, 0.20, 0.16) * (1 + 0.10 * clouds(rng, 70) - 0.35 * np.tanh(u / 0.04) * light[0])
    return _Thing(paint(skin, fur, trunk), np.maximum(wing, trunk), vary(rng, 1, 4.5))


def _shell(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    ribs = 17 + picked(rng, 5)
    small = _Pose(pose.centre, pose.angle, 0.86 * pose.scale)
    outlines = [small.place(o) for o in scallop(rng, ribs)]
    fan, ears = fill(outlines[0]), fill(outlines[1])
    u, v = small.frame()
    r, a = radial(u / 0.98, v - 0.72), np.arctan2(u / 0.98, 0.72 - v)
    ridge = np.abs(np.cos(np.pi * ribs * (np.degrees(a) + 74) / 148))
    growth = np.interp(r, np.linspace(0, 1.6, 90), np.cumsum(0.4 * rng.standard_normal(90)))
    bands = np.interp(r, np.linspace(0, 1.6, 60), rng.standard_normal(60))
    dome = small.scale * 0.55 * np.sqrt(np.clip(1.02 - ((u / 1.25) ** 2 + ((v + 0.05) / 1.0) ** 2), 0.02, None))
    relief = dome + 2.0 * ridge * np.clip(r * 1.2, 0, 1) + 0.18 * bands
    sx, sy = slopes(blur(relief, 0.5))
    tilt = -(sx * light[0] + sy * light[1]) / np.sqrt(1 + sx * sx + sy * sy)
    tones = (((0.90, 0.74, 0.62), (0.74, 0.44, 0.34)), ((0.90, 0.82, 0.68), (0.72, 0.54, 0.38)))[picked(rng, 2)]
    mixed = np.clip(0.45 + 0.30 * np.tanh(growth) + 0.16 * bands + 0.2 * (ridge - 0.5), 0, 1)
    skin = paint(rgb(*tones[0]), tones[1], 0.75 * mixed * np.clip(r, 0, 1))
    skin = skin * (0.90 + 0.36 * tilt) + 0.16 * np.clip(tilt - 0.45, 0, 1)
    flap = rgb(*tones[0]) * (0.80 + 0.10 * np.sin(38 * u) + 0.03 * clouds(rng, 40))
    return _Thing(paint(flap, skin, fan), np.maximum(fan, ears), vary(rng, 1.2, 6.5))


# --- made things


def _cast(
    rng: np.random.Generator, light: _Light, distance: np.ndarray, bevel: float, colour: Colour, lift: float
) -> _Thing:
    """A metal thing from its signed distance in pixels, with a rounded edge of ``bevel`` pixels."""
    rise = np.clip(-distance / bevel, 0, 1)
    sx, sy = slopes(blur(bevel * np.sqrt(1 - (1 - rise) ** 2 + 1e-4), 0.6))
    tilt = -(sx * light[0] + sy * light[1])
    wear = 0.035 * clouds(rng, 9) + 0.03 * fractal(rng, 48, 2)
    x, y = pixels()
    sweep = 0.09 * np.cos((x * light[0] + y * light[1]) / 26 + vary(rng, np.pi))
    tone = 0.86 + wear + sweep + 0.40 * np.clip(tilt, -0.9, 0.9)
    gleam = 0.30 * np.clip(tilt - 0.35, 0, 1)
    return _Thing(rgb(*colour) * tone + gleam, cover(distance), lift)


def _metal(rng: np.random.Generator) -> Colour:
    return ((0.62, 0.63, 0.64), (0.66, 0.53, 0.31), (0.53, 0.41, 0.32), (0.46, 0.47, 0.49))[picked(rng, 4)]


def _key(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    u, v = pose.frame()
    ring = np.abs(radial(u, (v + 0.60) * vary(rng, 0.12, 1.0)) - 0.27) - 0.075
    shaft = rounded_box(u, v - 0.30, (0.062, 0.62), 0.05)
    collar = rounded_box(u, v + 0.26, (0.12, 0.04), 0.03)
    parts = [ring, shaft, collar]
    side = 1 if picked(rng, 2) else -1
    for at, long in ((0.84, vary(rng, 0.04, 0.26)), (0.70, vary(rng, 0.04, 0.16)), (0.57, vary(rng, 0.05, 0.22))):
        parts.append(rounded_box(u - side * (0.03 + long / 2), v - at, (long / 2 + 0.03, 0.045), 0.015))
    return _cast(rng, light, np.min(parts, axis=0) * pose.scale, 4.5, _metal(rng), vary(rng, 0.8, 4.0))


def _gear(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    u, v = pose.frame()
    r, a = radial(u, v), np.arctan2(v, u)
    teeth = 12 + 2 * picked(rng, 4)
    wave = np.cos(a * teeth)
    rim = (r - 0.70 - 0.085 * np.clip(2.4 * wave, -1, 1)) * 0.8
    holes, count = [0.16 - r], 5 + picked(rng, 2)
    for k in range(count):
        b = 2 * np.pi * k / count + np.pi / 2
        holes.append(0.115 - radial(u - 0.40 * np.cos(b), v - 0.40 * np.sin(b)))
    distance = np.max([rim, *holes], axis=0) * pose.scale
    thing = _cast(rng, light, distance, 4.0, _metal(rng), vary(rng, 0.8, 4.2))
    hub = np.exp(-((((r - 0.24) * pose.scale) / 1.1) ** 2)) + np.exp(-((((r - 0.56) * pose.scale) / 1.1) ** 2))
    return _Thing(thing.colour * (1 - 0.28 * hub), thing.cover, thing.lift)


def _spanner(rng: np.random.Generator, pose: _Pose, light: _Light) -> _Thing:
    u, v = pose.frame()
    handle = rounded_box(u, v, (0.115 + 0.012 * np.cos(2 * v), 0.72), 0.05)  # pyright: ignore[reportArgumentType]
    lean = vary(rng, 0.06, 0.26)
    ju, jv = np.cos(lean) * u + np.sin(lean) * (v + 0.74), np.cos(lean) * (v + 0.74) - np.sin(lean) * u
    head = radial(ju, jv) - 0.30
    mouth = rounded_box(ju, jv + 0.22, (0.135, 0.26), 0.05)
    eye = radial(u, v - 0.76)
    hexagon = np.max([np.abs(np.cos(b) * u + np.sin(b) * (v - 0.76)) for b in (0.2, 1.247, 2.294)], axis=0) - 0.135
    whole = np.min([np.maximum(np.minimum(handle, head), -mouth), eye - 0.235], axis=0)
    distance = np.maximum(whole, -hexagon)
    panel = rounded_box(u, v, (0.055, 0.42), 0.05) * pose.scale
    colour = ((0.63, 0.64, 0.66), (0.50, 0.51, 0.53), (0.60, 0.57, 0.52))[picked(rng, 3)]
    thing = _cast(rng, light, distance * pose.scale, 4.5, colour, vary(rng, 0.8, 4.2))
    sunk = 0.16 * cover(panel, 2) + 0.12 * np.exp(-((panel / 1.2) ** 2))
    return _Thing(thing.colour * (1 - sunk), thing.cover, thing.lift)


_THINGS: Mapping[str, Callable[[np.random.Generator, _Pose, _Light], _Thing]] = {
    "good": _oak_leaf,
    "pointed_cultivar": _pointed,
    "variegated_cultivar": _variegated,
    "maple_cousin": _maple_leaf,
    "ginkgo_cousin": _ginkgo_leaf,
    "rowan_cousin": _rowan_leaf,
    "butterfly_stranger": _butterfly,
    "shell_stranger": _shell,
    "key_artefact": _key,
    "gear_artefact": _gear,
    "spanner_artefact": _spanner,
}

DEFECTS: Mapping[str, int] = {
    "pointed_cultivar": 1,
    "variegated_cultivar": 1,
    "maple_cousin": 2,
    "ginkgo_cousin": 2,
    "rowan_cousin": 2,
    "butterfly_stranger": 3,
    "shell_stranger": 3,
    "key_artefact": 4,
    "gear_artefact": 4,
    "spanner_artefact": 4,
}
"""Severity level of every other thing."""
