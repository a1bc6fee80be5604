"""Corruptions of images in five strengths: what a camera, a lamp or a cable does to a picture, repeatable per image.

After Hendrycks and Dietterich 2019, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations
(https://arxiv.org/abs/1903.12261), by Pillow and OpenCV. What is drawn at random (direction, place, grain) depends on
seed, image and corruption alone: a stronger corruption is more of the same. Sizes are shares of the image, so images
of any size suffer alike. No torch here: the page shows the same pixels that were scored.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from mad_core.errors import InputError

STRENGTHS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Corruption:
    """One way to spoil an image.

    Parameters
    ----------
    id, title : str
    unit : str
        What the amounts are.
    amounts : tuple of five float
        Of the strengths 1 to 5.
    apply : callable(image, amount, rng) -> image
        Images are uint8 of shape (H, W, 3), RGB; the one that is handed in stays as it is.
    """

    id: str
    title: str
    unit: str
    amounts: tuple[float, ...]
    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def corrupted(image: np.ndarray, corruption: str, strength: int, *, image_id: str, seed: int = 0) -> np.ndarray:
    """The image, spoilt.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8, RGB
    corruption : str
        One of :data:`CORRUPTIONS`.
    strength : int
        1 to 5; 0 gives the image back.
    image_id : str
        With ``seed`` and ``corruption`` it decides what is random.

    Returns
    -------
    ndarray of the same shape, uint8

    Raises
    ------
    InputError
        If there is no such corruption or strength.
    """
    if strength == 0:
        return image
    kind = corruption_of(corruption)
    if strength not in STRENGTHS:
        raise InputError(f"The strength of a corruption is {STRENGTHS[0]} to {STRENGTHS[-1]}, not {strength}.")
    digest = hashlib.blake2b(f"{seed}\0{image_id}\0{corruption}".encode(), digest_size=8).digest()
    return kind.apply(image, kind.amounts[strength - 1], np.random.default_rng(int.from_bytes(digest)))


def corruption_of(name: str) -> Corruption:
    """One corruption by its id.

    Raises
    ------
    InputError
    """
    try:
        return CORRUPTIONS[name]
    except KeyError:
        raise InputError(f"No corruption is called '{name}'; known are {', '.join(CORRUPTIONS)}.") from None


# -- light ----------------------------------------------------------------------------------------


def _brightness(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(1 + _sign(rng) * amount))


def _contrast(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(image)).enhance(1 + _sign(rng) * amount))


def _cast(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """One channel gains what another loses, as under a lamp of another colour."""
    up, down, _ = rng.permutation(3)
    gains = np.ones(3)
    gains[up], gains[down] = 1 + amount, 1 - amount
    return _bytes(image * gains)


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


# -- camera ---------------------------------------------------------------------------------------


def _noise(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    return _bytes(image + rng.standard_normal(image.shape) * (255 * amount))


def _blur(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    radius = amount * min(image.shape[:2])
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def _jpeg(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=int(amount))
    with Image.open(buffer, formats=("JPEG",)) as opened:
        return np.asarray(opened.convert("RGB"))


# -- place ----------------------------------------------------------------------------------------


def _moved(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Turned by so many degrees, and shifted by half a percent of each side a degree; edges are mirrored."""
    height, width = image.shape[:2]
    turn, right, down = (_sign(rng) for _ in range(3))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), turn * amount, 1.0)
    matrix[:, 2] += right * 0.005 * amount * width, down * 0.005 * amount * height
    size = (width, height)
    return cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _occlusion(image: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """A plain patch of the image's mean colour hides so much of its area."""
    height, width = image.shape[:2]
    tall, wide = max(1, round(amount**0.5 * height)), max(1, round(amount**0.5 * width))
    down, right = rng.random(2)
    top, left = round(down * (height - tall)), round(right * (width - wide))
    hidden = image.copy()
    hidden[top : top + tall, left : left + wide] = image.mean((0, 1)).round().astype(np.uint8)
    return hidden


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


CORRUPTIONS: Mapping[str, Corruption] = {
    c.id: c
    for c in (
        Corruption("brightness", "Brightness", "share up or down", (0.1, 0.2, 0.3, 0.4, 0.5), _brightness),
        Corruption("contrast", "Contrast", "share up or down", (0.12, 0.25, 0.4, 0.55, 0.7), _contrast),
        Corruption("noise", "Gaussian noise", "deviation of the range", (0.02, 0.04, 0.08, 0.12, 0.18), _noise),
        Corruption("blur", "Blur", "radius, share of the shorter side", (0.004, 0.008, 0.012, 0.02, 0.03), _blur),
        Corruption("jpeg", "JPEG", "quality", (60, 35, 20, 10, 5), _jpeg),
        Corruption("cast", "Colour cast", "gain of a channel", (0.05, 0.1, 0.2, 0.3, 0.4), _cast),
        Corruption("moved", "Rotation and shift", "degrees", (2, 4, 7, 10, 15), _moved),
        Corruption("occlusion", "Occlusion", "share of the area", (0.01, 0.03, 0.06, 0.1, 0.15), _occlusion),
    )
}
"""The corruptions by id."""
