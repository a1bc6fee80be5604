"""Episodes: a few normal pieces of one surface or board, and pieces to judge by them, some of them blemished."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from tools.backbone.blemishes import BLEMISHES
from tools.backbone.surfaces import SHEET, Part, draw_parts, draw_sheet
from tools.mllm.products import random_colour
from tools.mllm.training import say

Rng = np.random.Generator
SIDE = 128
NORMALS, BLEMISHED, SOUND = 5, 4, 2
_JITTER = 12
_ALIGNED, _OF_PARTS, _GREY = 0.45, 0.3, 0.5


@dataclass(frozen=True)
class Episode:
    """Pieces as pictures, float32 RGB in 0-1.

    Parameters
    ----------
    normals : ndarray of shape (NORMALS, SIDE, SIDE, 3)
    tests : ndarray of shape (BLEMISHED + SOUND, SIDE, SIDE, 3)
    shares : ndarray of shape (BLEMISHED + SOUND, SIDE, SIDE)
        How much of each pixel a blemish changed.
    """

    normals: np.ndarray
    tests: np.ndarray
    shares: np.ndarray


def sheets(path: Path, count: int) -> np.ndarray:
    """``count`` sheets, uint8 of shape (count, SHEET, SHEET); drawn once and kept at ``path``."""
    if path.exists():
        kept = np.load(path, mmap_mode="r")
        if len(kept) >= count:
            return kept[:count]
    drawn = np.empty((count, SHEET, SHEET), np.uint8)
    for number in range(count):
        drawn[number] = draw_sheet(number)
    np.save(path, drawn)
    say(f"drew {count} sheets")
    return drawn


class Line:
    """A production line: what pieces have in common, and how pictures of them differ."""

    def __init__(self, pool: np.ndarray, rng: Rng) -> None:
        self.sheet = pool[int(rng.integers(len(pool)))]
        self.other = pool[int(rng.integers(len(pool)))]
        self.crop = int(rng.uniform(80, 220))
        self.colour = random_colour(rng)
        if rng.random() < _GREY:
            self.colour = np.full(3, self.colour.mean(), np.float32)
        self.depth = float(np.exp(rng.uniform(np.log(0.015), np.log(0.3))))
        self.parts = draw_parts(rng, SIDE + 2 * _JITTER) if rng.random() < _ALIGNED else []
        self.part_tint = rng.uniform(-0.25, 0.25, 3).astype(np.float32) * (rng.random() > _GREY)
        self.jitter = int(rng.integers(0, 5))
        self.gain, self.shading, self.noise = rng.uniform(0, 0.25), rng.uniform(0, 0.35), rng.uniform(0, 0.03)
        self.blur = rng.uniform(0, 0.8)

    def material(self, sheet: np.ndarray, left_half: bool, rng: Rng) -> np.ndarray:
        """A piece of a sheet, mean about 0 and spread about 1: normals and tests come from different halves."""
        half = SHEET // 2
        top = int(rng.integers(0, SHEET - self.crop + 1))
        left = int(rng.integers(0, half - self.crop + 1)) + (0 if left_half else half)
        piece = sheet[top : top + self.crop, left : left + self.crop]
        how = cv2.INTER_AREA if self.crop > SIDE else cv2.INTER_LINEAR
        return (cv2.resize(piece, (SIDE, SIDE), interpolation=how).astype(np.float32) - 128) / 36

    def piece(self, normal: bool, rng: Rng) -> np.ndarray:
        image = self.colour * (1 + self.depth * self.material(self.sheet, normal, rng)[..., None])
        y, x = _JITTER + rng.integers(-self.jitter, self.jitter + 1, 2)
        for part in self.parts:
            self._lay(image, part, y, x)
        return image.astype(np.float32)

    def _lay(self, image: np.ndarray, part: Part, y: int, x: int) -> np.ndarray:
        share = part.cover[y : y + SIDE, x : x + SIDE]
        painted = np.clip(self.colour * (1 + 0.25 * part.tone) + self.part_tint * np.sign(part.tone), 0.02, 0.98)
        image += 0.9 * share[..., None] * (painted - image)
        return share

    def faulty_board(self, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
        """A piece with a part too few, one too many or one at another place, and what is changed of each pixel."""
        whole = self.parts
        k = int(rng.integers(len(whole)))
        kind = rng.integers(3)
        gone = [] if kind == 0 else [whole[k]]
        extra = [] if kind == 1 else draw_parts(rng, SIDE + 2 * _JITTER)[:1]
        self.parts = [part for part in whole if all(part is not one for one in gone)] + extra
        image = self.piece(False, rng)
        self.parts = whole
        inner = np.s_[_JITTER : _JITTER + SIDE, _JITTER : _JITTER + SIDE]
        share = np.zeros((SIDE, SIDE), np.float32)
        for part in (*gone, *extra):
            share = np.maximum(share, part.cover[inner])
        return image, share

    def photographed(self, image: np.ndarray, rng: Rng) -> np.ndarray:
        """Another light, shading, sharpness and grain each time."""
        shading = cv2.resize(
            rng.standard_normal((3, 3)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
        )
        image = image * (1 + self.gain * rng.standard_normal() * 0.5) * (1 + self.shading * 0.4 * shading[..., None])
        image = np.clip(image, 0, 1.2) ** np.float32(np.exp(0.3 * self.gain * rng.standard_normal()))
        if self.blur > 0.3:
            image = cv2.GaussianBlur(image, (0, 0), self.blur * rng.uniform(0.9, 1.2))
        image = image + self.noise * rng.standard_normal(image.shape, np.float32) * rng.uniform(0.7, 1.2)
        return np.clip(image, 0, 1).astype(np.float32)


def draw_episode(pool: np.ndarray, rng: Rng) -> Episode:
    line = Line(pool, rng)
    normals = [line.photographed(line.piece(True, rng), rng) for _ in range(NORMALS)]
    tests, shares = [], []
    for k in range(BLEMISHED + SOUND):
        piece = line.piece(False, rng)
        share = np.zeros((SIDE, SIDE), np.float32)
        if k < BLEMISHED and line.parts and rng.random() < _OF_PARTS:
            piece, share = line.faulty_board(rng)
        elif k < BLEMISHED:
            other = line.colour * (1 + line.depth * line.material(line.other, False, rng)[..., None])
            blemish = BLEMISHES[int(rng.integers(len(BLEMISHES)))]
            share = np.asarray(blemish(piece, rng, other.astype(np.float32)), np.float32)
        tests.append(line.photographed(piece, rng))
        shares.append(share)
    return Episode(np.stack(normals), np.stack(tests), np.stack(shares))
