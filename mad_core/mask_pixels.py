"""Which pixels of a mask are marked, whichever way a tool wrote it.

Black is not marked and everything else is: any grey, any label number, any colour, 8 or 16 bits or floats. Two things
are softer than that. Where greys run softly from black to the brightest (antialiased or lossy masks) what is brighter
than half of the brightest is marked. And where a mask's opacity varies, what is transparent is not marked; where the
colour says nothing more, the opacity is the mask.
"""

import numpy as np
from PIL import Image, ImageChops, ImageFilter

LOSSY = frozenset({"JPEG", "MPO", "WEBP", "JPEG2000", "AVIF", "JXL", "HEIF"})
"""Formats whose black is not quite black."""
_STEP = 16
"""Greys of a lossy mask that are nearer to each other than that are the same."""
_NEAR_TOP = 0.9
_LIKE_A_MASK = 0.9
_PROBED = 256


def marked(image: Image.Image) -> np.ndarray:
    """The marked pixels of a mask.

    Parameters
    ----------
    image : Image
        Decoded, as it was opened.

    Returns
    -------
    ndarray of shape (H, W), bool
    """
    lossy = image.format in LOSSY
    values, alpha = _values(image)
    above = values >= _threshold(values, lossy)
    if alpha is None:
        return above
    opaque = alpha >= _threshold(alpha, lossy)
    inside = above[opaque]
    return opaque if inside.all() or not inside.any() else above & opaque


def looks_like_mask(image: Image.Image) -> bool:
    """Whether a picture could be a mask: nearly all of it is of two greys, or of one."""
    small = image.resize((min(_PROBED, image.width), min(_PROBED, image.height)), Image.Resampling.NEAREST)
    values, alpha = _values(small)
    shares = np.bincount((values >> 2).ravel(), minlength=64) / values.size
    if alpha is not None and alpha.min() < alpha.max():
        shares = np.bincount((alpha >> 2).ravel(), minlength=64) / alpha.size
    near = np.convolve(shares, np.ones(3), "same")
    first = int(near.argmax())
    rest = near.copy()
    rest[max(0, first - 2) : first + 3] = 0
    return bool(near[first] + rest.max() >= _LIKE_A_MASK)


def _values(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Brightness as uint8, 0 for black alone, and the opacity where it varies."""
    if image.mode == "P" and "transparency" not in image.info:
        return _of_palette(image), None
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8), None
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(np.asarray(image)), None
    if image.mode in ("L", "RGB"):
        return _brightest(image), None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layers = image.convert("RGBA")
        alpha = np.asarray(layers.getchannel("A"))
        return _brightest(layers.convert("RGB")), alpha if alpha.min() < alpha.max() else None
    return _brightest(image.convert("RGB")), None


def _of_palette(image: Image.Image) -> np.ndarray:
    """The colours' brightness; the colours' numbers where none of them is black, or all are."""
    index = np.asarray(image)
    colours = np.asarray(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3).max(axis=1, initial=0)
    lookup = np.zeros(256, dtype=np.uint8)
    lookup[: len(colours)] = colours[:256]
    used = np.flatnonzero(image.histogram()[:256])
    dark = int((lookup[used] == 0).sum())
    return lookup[index] if 0 < dark < len(used) or len(used) < 2 else index


def _brightest(image: Image.Image) -> np.ndarray:
    bands = image.split()
    brightest = bands[0]
    for band in bands[1:]:
        brightest = ImageChops.lighter(brightest, band)
    return np.asarray(brightest)


def _scaled(numbers: np.ndarray) -> np.ndarray:
    """Numbers as uint8: as they are where none is above 255, else by the largest; what is above 0 stays above 0."""
    top = float(np.nanmax(numbers, initial=0, where=np.isfinite(numbers)))
    if numbers.dtype.kind in "ui" and top <= 255:
        return np.clip(numbers, 0, 255).astype(np.uint8)
    scale = 255 / top if top > 0 else 0.0
    return np.ceil(np.clip(np.nan_to_num(numbers, posinf=top) * scale, 0, 255)).astype(np.uint8)


def _threshold(values: np.ndarray, lossy: bool) -> int:
    """The least brightness that is marked; 1 where greys are labels, half of the brightest where they run softly."""
    if lossy:
        values = ((values.astype(np.uint16) + _STEP // 2) // _STEP * _STEP).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(values)
    counts = np.asarray(picture.histogram())
    present = np.flatnonzero(counts[1:]) + 1
    if len(present) == 0:
        return 256 if not lossy else _STEP
    if len(present) <= 2 and not lossy:
        return 1
    top = int(present[-1])
    between = present[present < _NEAR_TOP * top]
    flat = _flat(picture, values)
    if len(between) and flat[between].sum() >= counts[between].sum() / 2:
        plateaus = between[flat[between] >= 0.05 * counts[between].sum()]
        return (int(plateaus[0]) + 1) // 2 if lossy and len(plateaus) else 1
    return top // 2 + 1


def _flat(picture: Image.Image, values: np.ndarray) -> np.ndarray:
    """How many pixels of each brightness have only their own kind around them."""
    same = np.asarray(picture.filter(ImageFilter.MaxFilter(3))) == np.asarray(picture.filter(ImageFilter.MinFilter(3)))
    return np.asarray(picture.histogram(Image.fromarray(same.astype(np.uint8) * 255)))
