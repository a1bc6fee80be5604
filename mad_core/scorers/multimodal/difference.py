"""The difference view: a picture of what an image shows that its references do not.

Models that see several images compare them badly. So the comparison is done by plain registration and
given to the model as one more picture: mid grey where the image agrees with a reference, brighter,
darker or coloured where it departs from all of them, in units of how much the references differ among
themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

GREY = 128
GAIN = 0.22
"""Share of the display range that a departure of one usual spread takes, before it saturates."""
_ALIGN_SIDE = 128
_COARSE = 32
_STEPS = 30
_SHIFTS = tuple((dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if abs(dy) + abs(dx) <= 2)
_FLOOR = 0.025
_SUM = np.ones((1, 3), np.float32)


class DifferenceView:
    """Difference views against a few references, which are read once.

    Parameters
    ----------
    references : sequence of ndarray of shape (H, W, 3), uint8, RGB
        At least one.
    side : int
        Longest side of the views, pixels. References and images are compared at this size.
    nearest : int
        How many references, the most alike, each image is compared with.

    Raises
    ------
    ValueError
        Without a reference.
    """

    def __init__(self, references: Sequence[np.ndarray], side: int = 256, nearest: int = 3) -> None:
        if not references:
            raise ValueError("a difference view needs at least one reference")
        self.side, self.nearest = side, nearest
        self.pages = [_Page.of(image, side) for image in references]
        self.spread = self._usual_spread()

    def render(self, image: np.ndarray) -> np.ndarray:
        """The view of one image.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3), uint8, RGB

        Returns
        -------
        ndarray of shape (h, w, 3), uint8
            On the image's own aspect, ``side`` pixels on the longest side.
        """
        page = _Page.of(image, self.side)
        residual = self._residual(page, self.pages)
        spread = cv2.resize(self.spread, page.size, interpolation=cv2.INTER_LINEAR)
        scaled = np.tanh(GAIN * residual / spread[..., None])
        return (GREY + 127 * scaled).round().astype(np.uint8)

    def _residual(self, page: _Page, others: Sequence[_Page]) -> np.ndarray:
        """What is left of ``page`` after the best of the nearest others is taken away, (h, w, 3), of 1."""
        near = sorted(others, key=lambda other: float(np.abs(other.coarse - page.coarse).mean()))[: self.nearest]
        return _best(page.pixels, [other.onto(page) for other in near])

    def _usual_spread(self) -> np.ndarray:
        """How far references depart from each other at each place, (h, w), of 1, never below a floor."""
        first = self.pages[0]
        total = np.zeros(first.pixels.shape[:2], np.float32)
        for page in self.pages if len(self.pages) > 1 else ():
            residual = self._residual(page, [other for other in self.pages if other is not page])
            strength = np.abs(residual).max(2)
            total = np.maximum(total, cv2.resize(strength, first.size, interpolation=cv2.INTER_LINEAR))
        wide = cv2.GaussianBlur(total, (0, 0), self.side / 64)
        return 0.5 * wide + 0.25 * float(np.median(total)) + _FLOOR


class _Page:
    """An image at the size it is compared at, with the small grey versions that registration works on."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        height, width = pixels.shape[:2]
        self.size = (width, height)
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, _ALIGN_SIDE / max(height, width))
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        self.small = cv2.GaussianBlur(small, (0, 0), 1.0)
        self.coarse = cv2.resize(pixels, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
        self.coarse = self.coarse - self.coarse.mean((0, 1))

    @classmethod
    def of(cls, image: np.ndarray, side: int) -> _Page:
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return cls(cv2.resize(image, size, interpolation=how).astype(np.float32) / 255)

    def onto(self, page: _Page) -> np.ndarray:
        """This page's pixels as they would lie under ``page``: turned, shifted, scaled and lit alike; (h, w, 3)."""
        height, width = page.small.shape
        mine = cv2.resize(self.small, (width, height), interpolation=cv2.INTER_LINEAR)
        warp = _register(page.small, mine)
        to_page = np.diag([page.size[0] / width, page.size[1] / height, 1.0])
        to_mine = np.diag([self.size[0] / width, self.size[1] / height, 1.0])
        full = to_mine @ np.vstack([warp, [0, 0, 1]]) @ np.linalg.inv(to_page)
        moved = cv2.warpAffine(
            self.pixels,
            full[:2],
            page.size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return _lit_alike(moved, page.pixels)


def _register(target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """The affine map, (2, 3), from places in ``target`` to places in ``source``; the identity where none is found."""
    warp = np.eye(2, 3, dtype=np.float32)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-4)
    try:
        estimated = cv2.findTransformECC(
            target, source, warp, cv2.MOTION_AFFINE, stop, np.ones(target.shape, np.uint8), 3
        )[1]
    except cv2.error:  # textures without structure do not converge: they need no alignment either
        return warp.astype(np.float64)
    turned = estimated[:, :2]
    sane = np.abs(turned - np.eye(2)).max() < 0.35 and np.abs(estimated[:, 2]).max() < 0.25 * max(target.shape)
    return (estimated if sane else warp).astype(np.float64)


def _lit_alike(moved: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """``moved`` with each channel's gain and offset fitted to ``pixels``, twice, without what fits worst."""
    a, b = moved[::2, ::2].reshape(-1, 3), pixels[::2, ::2].reshape(-1, 3)
    keep = np.ones(len(a), bool)
    gain, offset = np.ones(3, np.float32), np.zeros(3, np.float32)
    for _ in range(2):
        x, y = a[keep], b[keep]
        mean_x, mean_y = x.mean(0), y.mean(0)
        variance = ((x - mean_x) ** 2).mean(0) + 1e-4
        gain = np.clip((((x - mean_x) * (y - mean_y)).mean(0) + 1e-4) / variance, 0.5, 2.0)
        offset = mean_y - gain * mean_x
        misfit = np.abs(a * gain + offset - b).max(1)
        keep = misfit <= np.quantile(misfit, 0.9)
    return moved * gain + offset


def _best(pixels: np.ndarray, candidates: Sequence[np.ndarray]) -> np.ndarray:
    """The smallest smoothed departure over candidates and shifts of up to two pixels, at each place."""
    height, width = pixels.shape[:2]
    shifted = []
    for candidate in candidates:
        padded = cv2.copyMakeBorder(candidate, 2, 2, 2, 2, cv2.BORDER_REPLICATE)
        shifted += [padded[2 + dy : 2 + dy + height, 2 + dx : 2 + dx + width] for dy, dx in _SHIFTS]
    least = np.full((height, width), np.inf, np.float32)
    which = np.zeros((height, width), np.uint8)
    for number, candidate in enumerate(shifted):
        departure = cv2.subtract(pixels, candidate)
        cost = cv2.GaussianBlur(cv2.transform(cv2.multiply(departure, departure), _SUM), (0, 0), 2.0)
        better = cost < least
        np.copyto(least, cost, where=better)
        np.copyto(which, number, where=better, casting="unsafe")
    best = np.empty_like(pixels)
    for number in np.unique(which):
        place = which == number
        best[place] = pixels[place] - shifted[number][place]
    return best
