"""Surfaces made by formulas: sheets of one material each, and boards of parts that lie the same way on every piece."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from tools.mllm.products import PATTERNS

Rng = np.random.Generator
SHEET = 512


def _smooth(rng: Rng, across: float, along: float) -> np.ndarray:
    return cv2.GaussianBlur(rng.standard_normal((SHEET, SHEET)).astype(np.float32), (0, 0), sigmaX=across, sigmaY=along)


def brushed(rng: Rng) -> np.ndarray:
    """Fine lines in one direction, some of them longer."""
    return _scaled(_smooth(rng, 0.5, rng.uniform(8, 40))) + rng.uniform(0, 0.8) * _scaled(_smooth(rng, 1.5, 60))


def gabor_noise(rng: Rng) -> np.ndarray:
    """Noise of a narrow band of frequencies and directions."""
    fy, fx = np.meshgrid(np.fft.fftfreq(SHEET), np.fft.rfftfreq(SHEET), indexing="ij")
    noise = np.zeros((SHEET, SHEET))
    for _ in range(int(rng.integers(1, 4))):
        frequency, angle = rng.uniform(0.02, 0.22), rng.uniform(0, np.pi)
        width = frequency * rng.uniform(0.08, 0.5)
        band = np.exp(-((fx - frequency * np.cos(angle)) ** 2 + (fy - frequency * np.sin(angle)) ** 2) / (2 * width**2))
        noise += np.fft.irfft2(band * np.exp(2j * np.pi * rng.random(fx.shape)), s=(SHEET, SHEET)) / (band.std() + 1e-9)
    return noise


def fractal(rng: Rng) -> np.ndarray:
    """The density of an iterated function system (Barnsley 1988), tiled and turned."""
    count = int(rng.integers(2, 5))
    maps = rng.uniform(-1, 1, (count, 2, 2)) * 0.8
    offsets = rng.uniform(-1, 1, (count, 2))
    points = rng.standard_normal((4000, 2))
    seen = []
    for step in range(40):
        which = rng.integers(count, size=len(points))
        points = np.einsum("nij,nj->ni", maps[which], points) + offsets[which]
        points = np.clip(points, -6, 6)
        if step > 8:
            seen.append(points)
    cloud = np.concatenate(seen)
    low, high = np.quantile(cloud, [0.01, 0.99], axis=0)
    side = int(rng.integers(96, 256))
    density, _, _ = np.histogram2d(
        *((cloud - low) / (high - low + 1e-9) * side).T, bins=side, range=[[0, side], [0, side]]
    )
    tile = np.log1p(density)
    tile = cv2.GaussianBlur(tile, (0, 0), rng.uniform(0.6, 1.5))
    repeated = np.tile(np.block([[tile, tile[:, ::-1]], [tile[::-1], tile[::-1, ::-1]]]), (4, 4))
    return repeated[:SHEET, :SHEET]


def cast(rng: Rng) -> np.ndarray:
    """Cast metal or stone: blotches of several sizes, bounded above or below."""
    shades = np.zeros((SHEET, SHEET), np.float32)
    for scale in np.geomspace(0.8, rng.uniform(4, 30), 4):
        shades += rng.uniform(0.2, 1) * _scaled(_smooth(rng, scale, scale * rng.uniform(1, 1.6)))
    kind = rng.integers(3)
    return shades if kind == 0 else np.abs(shades) if kind == 1 else -np.exp(-shades)


def corrugated(rng: Rng) -> np.ndarray:
    """Ribs, slightly bent."""
    x = np.tile(np.arange(SHEET, dtype=np.float32), (SHEET, 1))
    bend = 8 * _scaled(_smooth(rng, 60, 60))
    phase = 2 * np.pi * (x + bend) / rng.uniform(6, 50)
    shape = np.sin(phase) if rng.random() < 0.5 else np.tanh(rng.uniform(1, 5) * np.sin(phase))
    return shape + rng.uniform(0.05, 0.5) * _scaled(_smooth(rng, 0.8, 0.8))


def _scaled(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / (x.std() + 1e-9)


OWN: tuple[Callable[[Rng], np.ndarray], ...] = (brushed, gabor_noise, fractal, cast, cast, corrugated)


def draw_sheet(number: int) -> np.ndarray:
    """Sheet ``number``: uint8 of shape (SHEET, SHEET), grey, mean about 128."""
    rng = np.random.default_rng([2718, number])
    kinds = (*OWN, *PATTERNS)
    field = kinds[int(rng.integers(len(kinds)))](rng)
    if rng.random() < 0.35:  # a second material over the first
        field = _scaled(field[:SHEET, :SHEET]) + rng.uniform(0.2, 0.8) * _scaled(
            kinds[int(rng.integers(len(kinds)))](rng)[:SHEET, :SHEET]
        )
    field = np.rot90(field[:SHEET, :SHEET], int(rng.integers(4)))
    return np.clip(128 + 36 * np.clip(_scaled(field), -3.4, 3.4), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Part:
    """Something that lies at a fixed place of a board: its tone, and how much of each pixel it covers (side, side)."""

    tone: float
    cover: np.ndarray


def draw_parts(rng: Rng, side: int) -> list[Part]:
    """The parts of a board, (side, side) pixels."""
    return [Part(float(rng.uniform(-2.5, 2.5)), _shape(rng, side)) for _ in range(int(rng.integers(1, 9)))]


def _shape(rng: Rng, side: int) -> np.ndarray:
    mask = np.zeros((side, side), np.float32)
    centre = tuple(int(v) for v in rng.integers(0, side, 2))
    size = int(rng.uniform(4, side / 3))
    kind = rng.integers(4)
    if kind == 0:
        cv2.circle(mask, centre, size, 1, -1, cv2.LINE_AA)
    elif kind == 1:
        box = cv2.boxPoints((centre, (size * rng.uniform(0.4, 2.5), size), float(rng.uniform(0, 180))))
        cv2.fillPoly(mask, [box.astype(np.int32)], 1, cv2.LINE_AA)
    elif kind == 2:
        end = tuple(int(v) for v in rng.integers(0, side, 2))
        cv2.line(mask, centre, end, 1, int(rng.integers(1, 7)), cv2.LINE_AA)
    else:
        cv2.circle(mask, centre, size, 1, int(rng.integers(1, 6)), cv2.LINE_AA)
    return mask
