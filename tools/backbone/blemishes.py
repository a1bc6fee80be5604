"""Blemishes of a surface: each changes a piece, float32 of shape (S, S, 3) in 0-1, and says where."""

from collections.abc import Callable

import cv2
import numpy as np

Rng = np.random.Generator
Blemish = Callable[[np.ndarray, Rng, np.ndarray], np.ndarray]
"""(piece, rng, another material (S, S, 3)) -> share of each pixel that is changed (S, S); changes the piece."""


def _spot(piece: np.ndarray, rng: Rng) -> np.ndarray:
    return rng.uniform(0.08, 0.92, 2) * len(piece)


def _strength(piece: np.ndarray, rng: Rng) -> float:
    """How far the tone moves, either way: some spreads of the surface, most faint ones still visible."""
    spread = float(piece.mean(2).std()) + 0.02
    return float(rng.choice([-1, -1, 1]) * np.clip(rng.uniform(1.2, 5) * spread, 0.06, 0.6))


def _tone(piece: np.ndarray, share: np.ndarray, strength: float) -> np.ndarray:
    piece += share[..., None] * strength
    return share


def _walk(rng: Rng, start: np.ndarray, length: float, bend: float, steps: int = 24) -> np.ndarray:
    turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend, steps))
    return start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * length / steps, 0)


def _line(piece: np.ndarray, path: np.ndarray, width: float) -> np.ndarray:
    """Anti-aliased, thinner than a pixel too."""
    share = np.zeros(piece.shape[:2], np.float32)
    points = np.round(path * 16).astype(np.int32)
    cv2.polylines(share, [points], False, min(1.0, width), max(1, round(width)), cv2.LINE_AA, 4)
    return share


def _blob(piece: np.ndarray, rng: Rng, radius: float, ragged: float) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    waves = sum(rng.standard_normal() * np.cos(k * angles + 6.3 * rng.random()) / k for k in range(1, 7))
    lengths = radius * np.clip(1 + ragged * waves, 0.3, 2)
    points = _spot(piece, rng) + np.stack([np.cos(angles), np.sin(angles) * rng.uniform(0.4, 1)], 1) * lengths[:, None]
    share = np.zeros(piece.shape[:2], np.float32)
    cv2.fillPoly(share, [np.round(points * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return share


def crack(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    path = _walk(rng, _spot(piece, rng), rng.uniform(0.2, 1.1) * len(piece), 0.35)
    share = _line(piece, path, rng.uniform(0.7, 2.5))
    if rng.random() < 0.4:
        share = np.maximum(share, _line(piece, _walk(rng, path[10], 0.3 * len(piece), 0.4), 1))
    return _tone(piece, share, -abs(_strength(piece, rng)) if rng.random() < 0.8 else abs(_strength(piece, rng)))


def scratch(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    share = _line(piece, _walk(rng, _spot(piece, rng), rng.uniform(0.2, 1.2) * len(piece), 0.03), rng.uniform(0.6, 2))
    return _tone(piece, share, _strength(piece, rng))


def pits(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    share = np.zeros(piece.shape[:2], np.float32)
    centre, spread = _spot(piece, rng), rng.uniform(0, 0.15) * len(piece)
    for _ in range(int(rng.choice([1, 1, 1, 3, 8]))):
        at = centre + spread * rng.standard_normal(2)
        axes = (int(16 * rng.uniform(0.8, 4.5)), int(16 * rng.uniform(0.8, 4.5)))
        cv2.ellipse(share, [int(v) for v in at * 16], axes, 0, 0, 360, 1.0, -1, cv2.LINE_AA, 4)
    return _tone(piece, share, -abs(_strength(piece, rng)) * 1.3)


def stain(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    share = _blob(piece, rng, rng.uniform(5, 0.3 * len(piece)), rng.uniform(0.1, 0.4))
    share = cv2.GaussianBlur(share, (0, 0), rng.uniform(0.6, 7))
    tint = rng.standard_normal(3) * rng.choice([0, 0, 0.5])
    piece += share[..., None] * (_strength(piece, rng) * 0.7 * (1 + tint)).astype(np.float32)
    return share


def foreign(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    """A patch of another material, its tone moved towards that of the surroundings."""
    share = _blob(piece, rng, rng.uniform(5, 0.22 * len(piece)), 0.3)
    patch = other - other.mean((0, 1)) + piece.mean((0, 1)) + rng.uniform(-0.15, 0.15)
    piece += share[..., None] * (patch - piece)
    return share


def worn(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    """A patch without its pattern, or with more of it."""
    share = cv2.GaussianBlur(_blob(piece, rng, rng.uniform(7, 0.25 * len(piece)), 0.3), (0, 0), 1)
    smooth = cv2.GaussianBlur(piece, (0, 0), rng.uniform(2, 6))
    piece += share[..., None] * (smooth - piece) * np.float32(rng.choice([1, 1, -1.3]))
    return share


def warped(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    """The pattern is pushed aside."""
    at, radius = _spot(piece, rng), rng.uniform(6, 0.22 * len(piece))
    y, x = np.mgrid[0 : len(piece), 0 : len(piece)].astype(np.float32)
    share = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * radius**2)).astype(np.float32)
    push = (rng.uniform(3, 9) * rng.choice([-1, 1], 2)).astype(np.float32)
    piece[:] = cv2.remap(
        piece, x + push[0] * share, y + push[1] * share, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return (share > 0.35).astype(np.float32)


def dent(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    """Bright on one side, dark on the other."""
    at, radius, turn = _spot(piece, rng), rng.uniform(3, 0.15 * len(piece)), rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0 : len(piece), 0 : len(piece)].astype(np.float32)
    u, v = (x - at[0]) / radius, (y - at[1]) / radius
    bell = np.exp(-(u * u + v * v))
    piece += (abs(_strength(piece, rng)) * 2 * (u * np.cos(turn) + v * np.sin(turn)) * bell)[..., None]
    return (bell > 0.25).astype(np.float32)


def fibre(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    share = _line(piece, _walk(rng, _spot(piece, rng), rng.uniform(0.2, 0.9) * len(piece), 0.3), rng.uniform(0.6, 1.8))
    piece += share[..., None] * (rng.random(3).astype(np.float32) - piece) * np.float32(rng.uniform(0.5, 1))
    return share


def bite(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    """A flat piece is gone: one tone, with a rim."""
    share = _blob(piece, rng, rng.uniform(4, 0.2 * len(piece)), 0.3)
    piece += share[..., None] * (np.float32(rng.choice([0.03, 0.1, 0.9])) - piece)
    rim = np.clip(cv2.GaussianBlur(share, (0, 0), 1.2) - share, 0, 1)
    piece += rim[..., None] * _strength(piece, rng)
    return share


def streak(piece: np.ndarray, rng: Rng, other: np.ndarray) -> np.ndarray:
    """A band across the piece, soft at its sides."""
    at, width = rng.uniform(0.1, 0.9) * len(piece), rng.uniform(1.5, 14)
    profile = np.exp(-((np.arange(len(piece)) - at) ** 2) / (2 * width**2)).astype(np.float32)
    share = np.repeat(profile[None], len(piece), 0)
    share = share if rng.random() < 0.5 else share.T
    return _tone(piece, share, 0.7 * _strength(piece, rng)) > 0.4


BLEMISHES: tuple[Blemish, ...] = (
    crack,
    crack,
    scratch,
    pits,
    pits,
    pits,
    stain,
    stain,
    foreign,
    worn,
    warped,
    dent,
    fibre,
    bite,
    streak,
)
