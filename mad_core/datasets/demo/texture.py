"""Drawing for the demo: noise, anti-aliased strokes and outlines, light, and the last step to 8 bits.

Everything is computed in double precision and rounded to 8 bits once, at the end: the mathematics
libraries of two machines differ in the last bits of a double, which is far too little to move a pixel.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

SIZE = 256
"""Width and height of every demo image, in pixels."""

Colour = tuple[float, float, float]
"""Red, green and blue, 0-1. Pictures in the making have shape (3, 256, 256), which numpy works through fastest."""

_SUBROWS = 4
_SPLINE_SPREAD = 0.479  # root mean square of cubic B-spline weights, per pair of axes


@cache
def pixels() -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres ``x`` and ``y``, each of shape (256, 256), in pixels from the upper left corner."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    x.flags.writeable = y.flags.writeable = False
    return x, y


def radial(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Length of the vectors ``(a, b)``; several times faster than ``numpy.hypot``."""
    return np.sqrt(a * a + b * b)


def vector(x: float, y: float) -> np.ndarray:
    """A point or a step, of shape (2,)."""
    return np.array([x, y], dtype=np.float64)


def turned(centre: tuple[float, float], angle: float, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates ``u``, ``v`` of every pixel in a frame at ``centre``, turned by ``angle`` (radians)."""
    x, y = pixels()
    c, s = np.cos(angle) / scale, np.sin(angle) / scale
    return c * (x - centre[0]) + s * (y - centre[1]), c * (y - centre[1]) - s * (x - centre[0])


def placed(points: ArrayLike, centre: tuple[float, float], angle: float, scale: float = 1.0) -> np.ndarray:
    """The inverse of :func:`turned`: points of shape (n, 2) from such a frame into the image."""
    local = np.asarray(points, dtype=np.float64)
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    return np.stack(
        [centre[0] + c * local[:, 0] - s * local[:, 1], centre[1] + s * local[:, 0] + c * local[:, 1]], axis=1
    )


# --- noise


def clouds(rng: np.random.Generator, rows: int, columns: int | None = None) -> np.ndarray:
    """Smooth noise of shape (256, 256), mean 0 and spread about 1, with so many cells a side."""
    columns = columns or rows
    lattice = rng.standard_normal((rows + 3, columns + 3))
    return _spline(rows) @ lattice @ _spline(columns).T / _SPLINE_SPREAD


def fractal(rng: np.random.Generator, cells: int, octaves: int) -> np.ndarray:
    """Noise with detail at every scale from ``256 / cells`` pixels down, halved from octave to octave."""
    return sum((clouds(rng, cells << k) / 2**k for k in range(octaves)), start=np.zeros((SIZE, SIZE)))


def brushed(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Noise that is white from row to row and smooth along a row: the marks of a brush."""
    return rng.standard_normal((SIZE, cells + 3)) @ _spline(cells).T / np.sqrt(_SPLINE_SPREAD)


@cache
def _spline(cells: int) -> np.ndarray:
    """Cubic B-spline weights of shape (256, cells + 3)."""
    place = (np.arange(SIZE) + 0.5) * cells / SIZE
    distance = np.abs(place[:, None] - (np.arange(cells + 3) - 1)[None, :])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    weights = np.where(distance < 1, near, far)
    weights.flags.writeable = False
    return weights


# --- shapes


def cover(distance: np.ndarray, soft: float = 1.0) -> np.ndarray:
    """Share of each pixel inside a shape, from the signed distance (negative inside), 0-1."""
    share = np.clip(0.5 - distance / soft, 0, 1)
    return share * share * (3 - 2 * share) if soft > 2 else share


def rounded_box(u: np.ndarray, v: np.ndarray, half: tuple[float, float], radius: float) -> np.ndarray:
    """Signed distance to a box with rounded corners, centred on the frame's origin."""
    qu, qv = np.abs(u) - half[0] + radius, np.abs(v) - half[1] + radius
    return radial(np.maximum(qu, 0), np.maximum(qv, 0)) + np.minimum(np.maximum(qu, qv), 0) - radius


def spline(points: ArrayLike, steps: int = 8, *, closed: bool = False) -> np.ndarray:
    """A Catmull-Rom curve through points of shape (n, 2), ``steps`` pieces between two of them."""
    p = np.asarray(points, dtype=np.float64)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    t = (np.arange(steps) / steps)[None, :, None]
    a, b, c, d = (p[k : len(p) - 3 + k, None, :] for k in range(4))
    curve = b + t * (c - a) / 2 + t**2 * (a - 2.5 * b + 2 * c - d / 2) + t**3 * (1.5 * (b - c) + (d - a) / 2)
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, p[-2:-1]])


def strokes(lines: Sequence[tuple[ArrayLike, ArrayLike]], soft: float = 1.0) -> np.ndarray:
    """Cover of shape (256, 256), 0-1, of lines given as (points of shape (n, 2), one radius or n of them)."""
    starts, ends, first, last = [], [], [], []
    for points, radii in lines:
        p = np.asarray(points, dtype=np.float64)
        r = np.broadcast_to(np.asarray(radii, dtype=np.float64), (len(p),))
        starts.append(p[:-1])
        ends.append(p[1:])
        first.append(r[:-1])
        last.append(r[1:])
    if not starts:
        return np.zeros((SIZE, SIZE))
    a, b, ra, rb = (np.concatenate(part) for part in (starts, ends, first, last))
    return _segments(a, b, ra, rb, soft)


def _segments(a: np.ndarray, b: np.ndarray, ra: np.ndarray, rb: np.ndarray, soft: float) -> np.ndarray:
    """Cover of many short segments, each computed in a window of its own only."""
    pieces = np.maximum(1, np.ceil(np.hypot(*(b - a).T) / 6)).astype(int)  # short pieces keep the windows small
    which = np.repeat(np.arange(len(a)), pieces)
    order = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    low, high = (order / pieces[which])[:, None], ((order + 1) / pieces[which])[:, None]
    span, swell = (b - a)[which], (rb - ra)[which, None]
    a, b = a[which] + low * span, a[which] + high * span
    ra, rb = (ra[which, None] + low * swell)[:, 0], (ra[which, None] + high * swell)[:, 0]
    half = int(np.ceil(3 + max(ra.max(), rb.max()) + soft)) + 1
    middle = np.floor((a + b) / 2).astype(int)
    inside = ((middle >= -half) & (middle < SIZE + half)).all(axis=1)
    a, b, ra, rb, middle = a[inside], b[inside], ra[inside], rb[inside], middle[inside]
    offset = np.arange(-half, half + 1)
    px = middle[:, 0, None] + offset + 0.5 - a[:, 0, None]
    py = middle[:, 1, None] + offset + 0.5 - a[:, 1, None]
    d = b - a
    length = np.maximum((d * d).sum(axis=1), 1e-9)
    along = (px * (d[:, 0] / length)[:, None])[:, None, :] + (py * (d[:, 1] / length)[:, None])[:, :, None]
    along = np.clip(along, 0, 1)
    dx = px[:, None, :] - along * d[:, 0, None, None]
    dy = py[:, :, None] - along * d[:, 1, None, None]
    radius = ra[:, None, None] + along * (rb - ra)[:, None, None]
    share = np.clip(0.5 - (np.sqrt(dx * dx + dy * dy) - radius) / soft, 0, 1)
    pad = 2 * half + 1
    wide = SIZE + 2 * pad
    canvas = np.zeros(wide * wide)
    rows, columns = middle[:, 1, None] + offset + pad, middle[:, 0, None] + offset + pad
    np.maximum.at(canvas, (rows[:, :, None] * wide + columns[:, None, :]).ravel(), share.ravel())
    return canvas.reshape(wide, wide)[pad : pad + SIZE, pad : pad + SIZE]


def fill(*outlines: np.ndarray) -> np.ndarray:
    """Cover of shape (256, 256), 0-1, of closed outlines of shape (n, 2); overlaps count as inside.

    Exact along a row, averaged over four lines a row.
    """
    a = np.concatenate([np.asarray(o, dtype=np.float64) for o in outlines])
    b = np.concatenate([np.roll(np.asarray(o, dtype=np.float64), -1, axis=0) for o in outlines])
    lines = (np.arange(SIZE * _SUBROWS) + 0.5) / _SUBROWS
    above_a, above_b = a[:, 1, None] <= lines, b[:, 1, None] <= lines
    edge, line = np.nonzero(above_a != above_b)
    rise = b[edge, 1] - a[edge, 1]
    x = a[edge, 0] + (lines[line] - a[edge, 1]) * (b[edge, 0] - a[edge, 0]) / rise
    x = np.clip(x, 0, SIZE - 1e-6)
    cell = np.floor(x).astype(int)
    sign = np.sign(rise)
    steps = np.zeros((len(lines), SIZE + 2))
    np.add.at(steps, (line, cell), sign * (cell + 1 - x))
    np.add.at(steps, (line, cell + 1), sign * (x - cell))
    winding = np.clip(np.abs(np.cumsum(steps, axis=1)[:, :SIZE]), 0, 1)
    return winding.reshape(SIZE, _SUBROWS, SIZE).mean(axis=1)


def wander(
    rng: np.random.Generator, start: ArrayLike, heading: float, length: float, *, step: float = 4.0, jitter: float = 0.2
) -> np.ndarray:
    """A path of about ``length`` pixels whose heading (radians) drifts by ``jitter`` a step."""
    count = max(2, round(length / step))
    headings = heading + np.cumsum(jitter * rng.standard_normal(count))
    moves = step * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return np.concatenate([[np.zeros(2)], np.cumsum(moves, axis=0)]) + np.asarray(start, dtype=np.float64)


# --- colour and light


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a field of shape (256, 256), cut at three sigma; beyond the edge it goes on as at the edge.

    Terms are added in the order in which SciPy adds them: the demo is the same pixels with and without it.
    """
    reach = int(3.0 * sigma + 0.5)
    kernel = np.exp(-0.5 / sigma**2 * np.arange(-reach, reach + 1) ** 2)
    return _blur_rows(_blur_rows(field, kernel / kernel.sum()).T, kernel / kernel.sum()).T


def _blur_rows(field: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """A field correlated along its first axis with a symmetric kernel."""
    reach, n = len(kernel) // 2, len(field)
    wide = np.pad(field, ((reach, reach), (0, 0)), mode="edge")
    total = field * kernel[reach]
    for far in range(reach, 0, -1):
        total += (wide[reach - far : reach - far + n] + wide[reach + far : reach + far + n]) * kernel[reach - far]
    return total


def sampled(field: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A field at any places, in pixels, between its pixels by bilinear weights; beyond the edge as at the edge."""
    (y, top), (x, left) = (_between(at, size) for at, size in ((y, field.shape[0]), (x, field.shape[1])))
    return (
        field[top, left] * (1 - y) * (1 - x)
        + field[top, left + 1] * (1 - y) * x
        + field[top + 1, left] * y * (1 - x)
        + field[top + 1, left + 1] * y * x
    )


def _between(at: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each place lies above the pixel below it, and which pixel that is."""
    at = np.clip(at, 0, size - 1)
    below = np.minimum(at.astype(np.int64), size - 2)
    return at - below, below


def closed(mask: np.ndarray) -> np.ndarray:
    """A mask dilated and eroded by a cross of five pixels; what lies beyond the edge is not in it."""
    return _cross(_cross(mask, np.logical_or), np.logical_and)


def _cross(mask: np.ndarray, join: Callable[..., np.ndarray]) -> np.ndarray:
    wide = np.pad(mask, 1)
    around = (wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:])
    for neighbours in around:
        mask = join(mask, neighbours)
    return mask


def slopes(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope of a height field along x and along y, in pixels of height a pixel."""
    along_y, along_x = np.gradient(height)
    return along_x, along_y


def rgb(red: float, green: float, blue: float) -> np.ndarray:
    """Three factors, one a channel, of shape (3, 1, 1)."""
    return np.array([red, green, blue], dtype=np.float64).reshape(3, 1, 1)


def paint(image: np.ndarray, colour: np.ndarray | Colour, share: np.ndarray) -> np.ndarray:
    """``image`` of shape (3, h, w) with a colour, a grey field or another image laid over it by ``share``."""
    over = rgb(*colour) if isinstance(colour, tuple) else colour
    mixed = share * (over - image)
    mixed += image
    return mixed


def vary(rng: np.random.Generator, spread: float, middle: float = 0.0) -> float:
    """A number between ``middle - spread`` and ``middle + spread``, all equally likely."""
    return middle + spread * (2 * float(rng.random()) - 1)


def picked(rng: np.random.Generator, count: int) -> int:
    """One of ``count`` numbers from 0 on."""
    return int(rng.random() * count)


def developed(image: np.ndarray, rng: np.random.Generator, grain: float | np.ndarray) -> np.ndarray:
    """The 8-bit picture of shape (256, 256, 3): sensor noise of spread ``grain`` (of 1), then rounding."""
    noise = rng.standard_normal((SIZE, SIZE)) + 0.4 * rng.standard_normal((SIZE, SIZE)) * rgb(1.0, -0.5, -0.9)
    noise *= grain
    noise += image
    np.clip(noise, 0, 1, out=noise)
    noise *= 255
    noise += 0.5
    return np.ascontiguousarray(noise.astype(np.uint8).transpose(1, 2, 0))
