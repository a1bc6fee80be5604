"""Pictures of one subset that are the same picture: recompressed, resized, turned or with equal pixels.

Pictures of one kind of part look alike, and different ones must not be taken for copies. So a picture's residual is
compared, what is left of it without the median picture of its subset and without what is smooth; and the pairs that
are alike then, in their fine grain away from edges: two photographs of like parts share edges and no grain, a copy
shares both. Pictures without any grain have to agree within a few greys throughout.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

SIDE = 128
"""Pixels a side of the small pictures that are compared."""
MOST = 20_000
"""Pictures of a subset that are compared; a larger one is not looked through."""
_COARSE, _MIDDLE = 32, 64
_MEDIAN_FROM = 10
"""Fewer pictures have no median picture that is not one of them."""
_MEDIAN_OF = 500
_MAY_BE = (0.9, 0.6, 0.5)
_IS = (0.95, 0.9, 0.6)
"""Correlation of the residuals, coarsely and more closely, and of the grain: for a pair that is much more alike than
each of both is to any other picture, and for any pair."""
_AWAY, _AWAY_COARSELY = 0.2, 0.6
"""What the grain, and that of half as many pixels, has to agree well away from all edges; one of both is enough."""
_REACH, _CALMEST, _SOME_GRAIN = (3, 2), 0.4, 0.3
"""Pixels to the next edge in both, the share of pixels that lie calmest, and the grain they need to be told by."""
_EVERYWHERE, _EVERYWHERE_RESIZED = 0.9, 0.72
"""What the details around (nearly) every point have to agree; less where the files differ in size."""
_SURELY, _UNEXPLAINED = 0.96, 1.5
"""What they have to agree in files of one size that are not turned, unless so few greys (standard deviation) of one are
not explained by the other that noise and compression do it: two cells of one wafer differ by more, even where their
details agree by 0.95. Turned ones are shrunk from other pixels."""
_AROUND, _DETAIL = 8, 2.0
"""Pixels to each side, and the standard deviation in greys from which on there are details."""
_FEW_POINTS = 0.02
_COARSER = 0.35
"""How much better the grain of fewer pixels has to agree."""
_MUCH = 0.25
"""Of the distance to any other picture."""
_GRAIN, _FEW_GREYS = 0.7, 5.0
"""Standard deviation, in greys, from which on a picture has grain to compare; what one without may differ."""
_FLAT = 2.0
"""Standard deviation, in greys, under which a picture shows nothing."""
_PROJECTED, _PROJECTED_ALIKE, _ROWS, _AT_ONCE = 192, 0.7, 512, 64
_MOST_PAIRS, _A_ROW = 200_000, 3
"""Pairs that are compared at all, and those of one picture that are compared closely."""
TURNS = (
    "",
    "turned by 90°",
    "turned by 180°",
    "turned by 90°",
    "mirrored",
    "turned by 90° and mirrored",
    "mirrored",
    "turned by 90° and mirrored",
)
"""What turns the second picture of a pair into the first, in words; the first one leaves it as it is."""


@dataclass(frozen=True, slots=True)
class Copy:
    """Two of the pictures, by number, and how the second is turned (a place in :data:`TURNS`)."""

    first: int
    second: int
    turn: int


def turned(picture: np.ndarray, turn: int) -> np.ndarray:
    """A square picture, or several of shape (n, S, S), turned as :data:`TURNS` says."""
    rotated = np.rot90(picture, turn % 4, axes=(-2, -1))
    return rotated[..., ::-1] if turn >= 4 else rotated


def near_copies(pictures: np.ndarray, sizes: Sequence[tuple[int, int]] | None = None) -> list[Copy]:
    """The pairs that are the same picture.

    Parameters
    ----------
    pictures : ndarray of shape (n, SIDE, SIDE), uint8
        Greys of the whole pictures, squeezed to a square.
    sizes : sequence of (width, height), optional
        Of the files: of two that differ, details need not agree as closely. All alike where absent.

    Returns
    -------
    list of Copy
        Each pair once, the smaller number first.
    """
    usable = np.flatnonzero(pictures.reshape(len(pictures), -1).std(axis=1) >= _FLAT)
    if len(usable) < 2:
        return []
    middle = _shrunk(pictures[usable], SIDE // _MIDDLE)
    median = np.zeros_like(middle[0])
    if len(usable) >= _MEDIAN_FROM:
        median = np.median(middle[:: -(-len(usable) // _MEDIAN_OF)], axis=0)
    copies: dict[tuple[int, int], Copy] = {}
    shapes = [sorted(size) for size in sizes] if sizes is not None else [[0]] * len(pictures)
    upright = _Coarse.of(middle, median)
    for turn in range(len(TURNS)):
        for a, b, closely in _alike(upright, middle, median, turn):
            first, second = int(usable[a]), int(usable[b])
            limits = (_IS if closely else _MAY_BE)[2], _EVERYWHERE, np.inf if turn else _UNEXPLAINED
            if shapes[first] != shapes[second]:
                limits = limits[0], _EVERYWHERE_RESIZED, np.inf
            if (first, second) not in copies and _is_copy(pictures[first], turned(pictures[second], turn), *limits):
                copies[first, second] = Copy(first, second, turn)
    return list(copies.values())


def _shrunk(pictures: np.ndarray, factor: int) -> np.ndarray:
    n, side = len(pictures), pictures.shape[-1] // factor
    return pictures.reshape(n, side, factor, side, factor).mean(axis=(2, 4), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _Coarse:
    """Pictures as they are compared first: residuals of few pixels, those as fewer numbers, and the nearest of each."""

    residuals: np.ndarray
    projected: np.ndarray
    values: np.ndarray
    nearest: np.ndarray

    @classmethod
    def of(cls, middle: np.ndarray, median: np.ndarray) -> Self:
        residuals = _coarsely(middle, median)
        projected = residuals @ _projection(residuals.shape[1])
        return cls(residuals, projected, *_two_nearest(projected))


def _coarsely(middle: np.ndarray, median: np.ndarray) -> np.ndarray:
    factor = _MIDDLE // _COARSE
    return _residuals(_shrunk(middle, factor), _shrunk(median[None], factor))


def _projection(numbers: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(numbers, _PROJECTED)).astype(np.float32) / _PROJECTED**0.5


def _alike(upright: _Coarse, middle: np.ndarray, median: np.ndarray, turn: int) -> Iterator[tuple[int, int, bool]]:
    """Pairs whose residuals are alike, the second turned; True where they are so alike only as any copies are."""
    other = upright if turn == 0 else None
    residuals = other.residuals if other else _coarsely(turned(middle, turn), median)
    projected = other.projected if other else residuals @ _projection(residuals.shape[1])
    values, nearest = upright.values, upright.nearest
    left = _MOST_PAIRS
    for start in range(0, len(middle), _ROWS):
        rows, columns = np.nonzero(upright.projected[start : start + _ROWS] @ projected[start:].T >= _PROJECTED_ALIKE)
        keep = rows < columns
        rows, columns = (rows[keep] + start)[:left], (columns[keep] + start)[:left]
        left -= len(rows)
        alike = _dots(upright.residuals, residuals, rows, columns)
        around = np.maximum(*(values[a, (nearest[a] == b).astype(int)] for a, b in ((rows, columns), (columns, rows))))
        apart = 1 - alike <= _MUCH * (1 - around)
        likely = alike >= np.where(apart, _MAY_BE[0], _IS[0])
        best = np.flatnonzero(likely)[_best(rows[likely], alike[likely])]
        rows, columns, apart = rows[best], columns[best], apart[best]
        for at in range(0, len(rows), _AT_ONCE):
            part = slice(at, at + _AT_ONCE)
            close = [_residuals(g, median) for g in (middle[rows[part]], turned(middle[columns[part]], turn))]
            for a, b, alone, one, two in zip(
                rows[part].tolist(), columns[part].tolist(), apart[part].tolist(), *close, strict=True
            ):
                if one @ two >= (_MAY_BE if alone else _IS)[1]:
                    yield a, b, not alone


def _best(rows: np.ndarray, alike: np.ndarray) -> np.ndarray:
    """Places of the ``_A_ROW`` most alike pairs of each row."""
    order = np.lexsort((-alike, rows))
    ordered = rows[order]
    place = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return order[place < _A_ROW]


def _two_nearest(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of each row to the two nearest others, shape (n, 2), and which row is the nearest."""
    values, nearest = np.full((len(rows), 2), -1.0), np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS] @ rows.T
        at = np.arange(len(part))
        part[at, at + start] = -1.0
        nearest[start : start + _ROWS] = part.argmax(axis=1)
        values[start : start + _ROWS, 0] = part.max(axis=1)
        part[at, part.argmax(axis=1)] = -1.0
        values[start : start + _ROWS, 1] = part.max(axis=1)
    return values, nearest


def _dots(one: np.ndarray, other: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    parts = [
        np.einsum("ij,ij->i", one[rows[at : at + _ROWS]], other[columns[at : at + _ROWS]])
        for at in range(0, len(rows), _ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def _residuals(pictures: np.ndarray, median: np.ndarray) -> np.ndarray:
    """What is neither in the median picture nor smooth, as rows of length 1."""
    rest = pictures - median
    rows = (rest - _blurred(rest, 2)).reshape(len(rest), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 1e-3, lengths, np.inf)


def _blurred(pictures: np.ndarray, reach: int) -> np.ndarray:
    """Means over squares of ``2 * reach + 1`` pixels; at the border the outermost pixels go on."""
    width = 2 * reach + 1
    for axis in (-1, -2):
        padded = np.pad(
            pictures, [(0, 0)] * (pictures.ndim + axis) + [(reach + 1, reach)] + [(0, 0)] * (-1 - axis), "edge"
        )
        sums = np.cumsum(padded, axis=axis, dtype=np.float64)
        high, low = np.arange(width, sums.shape[axis]), np.arange(sums.shape[axis] - width)
        pictures = ((sums.take(high, axis) - sums.take(low, axis)) / width).astype(np.float32)
    return pictures


def _is_copy(one: np.ndarray, other: np.ndarray, same_grain: float, everywhere: float, unexplained: float) -> bool:
    """Whether two pictures that look alike share their grain and, all over, their details.

    Where there is no grain, whether they differ by few greys.

    A picture that was small has no fine grain, so the grain of half as many pixels counts, too, if it agrees better.
    """
    a, b = one.astype(np.float32), other.astype(np.float32)
    grain = _grain(a, b)
    if grain is None:
        gain = float(a.std() / max(float(b.std()), 1e-6))
        return float(np.abs(a - a.mean() - gain * (b - b.mean())).max()) <= _FEW_GREYS
    halves = _shrunk(np.stack([a, b]), SIDE // _MIDDLE)
    if grain < same_grain:
        coarser = _grain(*halves)
        if coarser is None or coarser < same_grain + _COARSER:
            return False
    away = [_grain_away(a, b, _REACH[0]), _grain_away(halves[0], halves[1], _REACH[1])]
    limits = zip(away, (_AWAY, _AWAY_COARSELY), strict=True)
    if None not in away and not any(agreed is not None and agreed >= least for agreed, least in limits):
        return False
    all_over = _alike_all_over(a, b)
    if all_over is None:
        return True
    alike, left = all_over
    return alike >= everywhere and (alike >= _SURELY or left <= unexplained)


def _alike_all_over(a: np.ndarray, b: np.ndarray) -> tuple[float, float] | None:
    """Correlation of details around a point, and the greys of them that the other picture does not explain.

    Each as it is at 99 of 100 points; None where hardly any has details.

    Two wafers of one ingot, say, look the same but for a scratch or a few cells.
    """
    one, other = (_blurred(g, 1) - _blurred(g, 6) for g in (a, b))
    inner = slice(_AROUND, -_AROUND)
    means = [_blurred(g, _AROUND) for g in (one, other)]
    squares = [_blurred(g * g, _AROUND) - mean * mean for g, mean in zip((one, other), means, strict=True)]
    shared = (_blurred(one * other, _AROUND) - means[0] * means[1])[inner, inner]
    high, low = (np.maximum(v[inner, inner], 1e-6) for v in squares)
    detailed = np.maximum(high, low) >= _DETAIL**2
    if detailed.mean() < _FEW_POINTS:
        return None
    alike = (shared / np.sqrt(high * low))[detailed]
    left = np.sqrt(np.maximum(np.minimum(high, low)[detailed] * (1 - alike**2), 0))
    return float(np.quantile(alike, 0.01)), float(np.quantile(left, 0.99))


def _grain_away(a: np.ndarray, b: np.ndarray, reach: int) -> float | None:
    """Correlation of two pictures' grain well away from edges, which photographs of like parts share.

    None where one has no grain there.
    """
    both = _blurred((a + b) / 2, 1)
    slope = np.hypot(*np.gradient(both))
    for axis in (0, 1):
        slope = sliding_window_view(np.pad(slope, reach, "edge"), 2 * reach + 1, axis).max(axis=-1)
        slope = slope[reach:-reach] if axis else slope[:, reach:-reach]
    inner = slice(reach + 1, -reach - 1)
    calm = slope[inner, inner] <= np.quantile(slope[inner, inner], _CALMEST)
    grains = [(g - _blurred(g, 1))[inner, inner][calm] for g in (a, b)]
    return float(np.corrcoef(grains[0], grains[1])[0, 1]) if min(g.std() for g in grains) >= _SOME_GRAIN else None


def _grain(a: np.ndarray, b: np.ndarray) -> float | None:
    """Correlation of two pictures' grain where neither has edges; None where one has no grain."""
    both = _blurred((a + b) / 2, 1)
    slope = np.hypot(*np.gradient(both))[2:-2, 2:-2]
    calm = slope <= np.quantile(slope, 0.6)
    grains = [(g - _blurred(g, 1))[2:-2, 2:-2][calm] for g in (a, b)]
    return float(np.corrcoef(grains[0], grains[1])[0, 1]) if min(g.std() for g in grains) >= _GRAIN else None
