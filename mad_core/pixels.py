"""What a picture's numbers mean: how deep they are, and the window through which a dataset's pictures are seen.

A number ``v`` becomes ``clip((v - low) / (high - low), 0, 1) ** gamma``. One window serves all pictures of a subset, so
that a darker picture stays darker; it is found from what the files state, else from a sample of their pixels, and
never from one picture's own maximum. 8-bit pictures need none: 0 is black and 255 is white.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from mad_core.errors import InputError

Kind = Literal["unsigned", "signed", "float"]

PRESETS: Mapping[str, tuple[float, float]] = {
    "brain": (0.0, 80.0),
    "subdural": (-20.0, 180.0),
    "soft-tissue": (-160.0, 240.0),
    "mediastinum": (-125.0, 225.0),
    "liver": (-45.0, 105.0),
    "lung": (-1350.0, 150.0),
    "bone": (-450.0, 1050.0),
    "angio": (0.0, 600.0),
}
"""Windows of CT, low and high in Hounsfield units, as viewers of radiology offer them."""
FOUND, FULL, USED = "auto", "full", "used"
CT_RANGE = (-1024.0, 3071.0)
"""Hounsfield units that 12 bits hold."""
NARROW = 1 / 8
"""Pictures that use less than this share of their window leave three bits of it unused."""
_CHOSEN = ("chosen", "the full range", "what the pixels use")
_PRESET = "preset "
_DEPTHS = (8, 10, 12, 14, 16, 24, 32, 64, 1100)
"""Bits of sensors and files."""
_TINY = 1e-3
_SHARES = (0.1, 99.9)
_BINS = 64
_LETTERS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Depth:
    """What a file says of its numbers.

    Parameters
    ----------
    bits : int
        Of one number as it is stored.
    kind : {"unsigned", "signed", "float"}
    negative : bool
        Whether the smallest number is white, as in X-ray films (TIFF's WhiteIsZero, DICOM's MONOCHROME1).
    stated : tuple of float, optional
        Numbers of black and white that the file states: by a depth between whole bytes, or by DICOM's window.
    """

    bits: int = 8
    kind: Kind = "unsigned"
    negative: bool = False
    stated: tuple[float, float] | None = None

    @property
    def deep(self) -> bool:
        """Whether the numbers are other than 0 to 255."""
        return self.bits > 8 or self.kind != "unsigned"

    def __str__(self) -> str:
        words = f"{self.bits} bit" if self.kind == "unsigned" else f"{self.bits} bit {self.kind}"
        return f"{words}, smallest is white" if self.negative else words


EIGHT = Depth()


@dataclass(frozen=True, slots=True)
class Window:
    """The numbers that are black and white, in the units of the files (Hounsfield units in CT).

    Parameters
    ----------
    low, high : float
        ``low < high``.
    gamma : float
        Exponent; below 1 brightens.
    bits : int
        Depth of the pictures that it is made for. Through a window of more than 8 bits a picture of 8 bits is seen
        as it is, 0 to 255.
    origin : str
        Where it comes from, for people.
    floats : bool, optional
        Where floating-point pictures stand among those of whole numbers, which of them it is made for: the others are
        seen through windows of their own.

    Raises
    ------
    InputError
        If it holds no range.
    """

    low: float
    high: float
    gamma: float = 1.0
    bits: int = 16
    origin: str = field(default="", compare=False)
    floats: bool | None = None

    def __post_init__(self) -> None:
        if not all(isinstance(v, int | float) and math.isfinite(v) for v in (self.low, self.high, self.gamma)):
            raise InputError("A window's low, high and gamma are numbers.")
        if not self.low < self.high:
            raise InputError(
                f"A window goes from a low number to a higher one, not from {self.low:g} to {self.high:g}."
            )
        if not 0.05 <= self.gamma <= 20:
            raise InputError(f"A window's gamma lies in [0.05, 20], and {self.gamma:g} does not.")

    def unit(self, values: np.ndarray, *, negative: bool = False) -> np.ndarray:
        """Numbers as float32 in 0-1, black to white."""
        exact = np.float64 if values.dtype.itemsize > 2 else np.float32
        scaled = (values.astype(exact) - exact(self.low)) / exact(self.high - self.low)
        np.clip(scaled, 0, 1, out=scaled)
        if negative:
            np.subtract(1, scaled, out=scaled)
        if self.gamma != 1:
            np.power(scaled, self.gamma, out=scaled)
        return scaled.astype(np.float32, copy=False)

    def serves(self, depth: Depth) -> bool:
        """Whether a picture of this depth is seen through it."""
        if not depth.deep:
            return self.bits <= 8
        return self.floats is None or (depth.kind == "float") == self.floats

    @property
    def plain(self) -> bool:
        """Whether 8-bit pictures look the same through it."""
        return self.bits > 8 or (self.low, self.high, self.gamma) == (0, 255, 1)

    @property
    def chosen(self) -> bool:
        """Whether a person chose it."""
        return self.origin in _CHOSEN or self.origin.startswith(_PRESET)

    @property
    def words(self) -> str:
        """As :func:`chosen` reads it."""
        return ":".join(f"{value!r}".removesuffix(".0") for value in (self.low, self.high, self.gamma))

    @property
    def key(self) -> str:
        """What tells windows apart, for digests."""
        kind = "" if self.floats is None else ":float" if self.floats else ":whole"
        return f"{float(self.low)!r}:{float(self.high)!r}:{float(self.gamma)!r}:{self.bits}{kind}"

    def __str__(self) -> str:
        gamma = f", gamma {self.gamma:g}" if self.gamma != 1 else ""
        return f"{self.low:g} to {self.high:g}{gamma}"

    def to_json(self) -> dict[str, Any]:
        facts = {"low": self.low, "high": self.high, "gamma": self.gamma, "bits": self.bits, "origin": self.origin}
        return facts | ({} if self.floats is None else {"floats": self.floats})

    @classmethod
    def from_json(cls, data: Any) -> Window | None:
        """The inverse of :meth:`to_json`; None where there is no window in it.

        Raises
        ------
        InputError
        """
        if not isinstance(data, Mapping) or not data:
            return None
        try:
            numbers = [float(data[name]) for name in ("low", "high")]
            gamma, bits = float(data.get("gamma", 1.0)), int(data.get("bits", 16))
        except (KeyError, TypeError, ValueError):
            raise InputError("A window is made of low, high and, if need be, gamma and bits.") from None
        floats = data.get("floats")
        origin = str(data.get("origin", "chosen"))
        return cls(numbers[0], numbers[1], gamma, bits, origin, floats if isinstance(floats, bool) else None)


EIGHT_BIT = Window(0, 255, bits=8, origin="8 bits")
"""Through which 8-bit pictures are what they are, as numbers in 0-1."""


def to_bytes(unit: np.ndarray) -> np.ndarray:
    """Numbers in 0-1 as uint8; each 255th part is one grey value."""
    return (unit * np.float32(255) + np.float32(_TINY)).astype(np.uint8)


# -- what the pixels say ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class PixelSample:
    """Numbers of one picture.

    Parameters
    ----------
    depth : Depth
    low, high : float
        Smallest and largest of all its numbers.
    whole : bool
        Whether all of them are whole numbers.
    values : ndarray of shape (n,), float32
        Some of them.
    """

    depth: Depth
    low: float
    high: float
    whole: bool
    values: np.ndarray


@dataclass(frozen=True)
class PixelRange:
    """What the pictures of a subset say together, for people: in ``check``, on the Data page, in the report.

    Parameters
    ----------
    depths : mapping of str to int
        How many of the sampled pictures are of each depth.
    used : tuple of float
        Between which numbers 99.8 % of the sampled pixels lie.
    edges : tuple of float
        First and last edge of the histogram.
    counts : tuple of int
        Sampled pixels in equal steps between them.
    """

    depths: Mapping[str, int]
    used: tuple[float, float]
    edges: tuple[float, float]
    counts: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "depths": dict(self.depths),
            "used": list(self.used),
            "edges": list(self.edges),
            "counts": list(self.counts),
        }

    @classmethod
    def from_json(cls, data: Any) -> PixelRange | None:
        """The inverse of :meth:`to_json`; None where there is nothing that can be read."""
        if not isinstance(data, Mapping):
            return None
        try:
            (first, last), (low, high) = (map(float, data[name]) for name in ("edges", "used"))
            depths = {str(name): int(n) for name, n in data["depths"].items()}
            return cls(depths, (low, high), (first, last), tuple(map(int, data["counts"])))
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


def sampled(depth: Depth, strips: Sequence[np.ndarray] | Any, most: int = 4096) -> PixelSample:
    """A sample of one picture's numbers, that come in strips of any shape."""
    low, high, whole, parts = math.inf, -math.inf, True, []
    for number, strip in enumerate(strips):
        flat = strip.reshape(-1)
        low, high = min(low, float(flat.min())), max(high, float(flat.max()))
        step = max(1, flat.size // most) | 1  # odd: it wanders through the columns
        some = flat[number % step :: step].astype(np.float32)
        whole = whole and (flat.dtype.kind in "iu" or bool((some == np.round(some)).all()))
        parts.append(some)
    values = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return PixelSample(depth, low, high, whole, values[:: max(1, len(values) // most)])


def find_window(samples: Sequence[PixelSample]) -> Window | None:
    """The window of pictures that are seen together; None where all of them are of 8 bits.

    What the files state counts first: a depth such as 12 bits, or DICOM's own window (the median of those stated,
    where they differ). Else unsigned whole numbers take the smallest depth of sensors that holds the largest of them,
    so that 12 bits kept in 16 are 12; signed and floating-point ones the range that the sample spans. Where there are
    both whole numbers and floats, it is the window of those that are more.
    """
    deep = [s for s in samples if s.depth.deep]
    if not deep:
        return None
    real = [s for s in deep if s.depth.kind == "float"]
    whole = [s for s in deep if s.depth.kind != "float"]
    if real and whole:
        more = real if len(real) > len(whole) else whole
        return replace(_window_of(more), floats=more is real)
    return _window_of(deep)


def _window_of(deep: Sequence[PixelSample]) -> Window:
    bits = max(s.depth.bits for s in deep)
    stated = [s.depth.stated for s in deep if s.depth.stated is not None]
    if len(stated) == len(deep):
        return _stated(stated, bits)
    low, high = min(s.low for s in deep), max(s.high for s in deep)
    if all(s.whole for s in deep) and low >= 0:
        needed = next(bits for bits in _DEPTHS if high < 2**bits)
        words = f"whole numbers up to {high:g}, which {needed} bits hold"
        return Window(0, 2**needed - 1, 1.0, needed, words)
    if low >= 0 and high <= 1:
        return Window(0, 1, 1.0, bits, "fractions between 0 and 1")
    if low == high:
        high = low + 1
    return Window(low, high, 1.0, bits, f"numbers from {low:g} to {high:g}")


def _stated(stated: Sequence[tuple[float, float]], bits: int) -> Window:
    if len(set(stated)) == 1:
        low, high = stated[0]
        return Window(low, high, 1.0, _least_deep(bits), "stated by the files")
    low, high = (float(np.median(ends)) for ends in zip(*stated, strict=True))
    words = f"stated by the files, in the middle of {len(set(stated))} that differ"
    return Window(low, max(high, low + 1), 1.0, _least_deep(bits), words)


def _least_deep(bits: int) -> int:
    """Above 8, so that 8-bit pictures among them stay as they are."""
    return max(9, bits)


def pixel_range(samples: Sequence[PixelSample], window: Window | None) -> PixelRange | None:
    """What the sampled pixels of a subset span, with a histogram; 8-bit pictures among deep ones are left out."""
    depths = Counter(str(s.depth) for s in samples)
    counted = [s for s in samples if window is not None and window.serves(s.depth)] or list(samples)
    values = np.concatenate([s.values for s in counted]) if counted else np.zeros(0, np.float32)
    if not len(values):
        return None
    used = tuple(float(v) for v in np.percentile(values, _SHARES))
    window = window or EIGHT_BIT
    edges = min(window.low, float(values.min())), max(window.high, float(values.max()))
    counts, _ = np.histogram(values.astype(np.float64), bins=_BINS, range=edges)
    return PixelRange(dict(depths.most_common()), (used[0], used[1]), edges, tuple(int(n) for n in counts))


def share_used(spread: PixelRange, window: Window | None) -> float:
    """Which share of the window 99.8 % of the pixels lie in, 0-1."""
    window = window or EIGHT_BIT
    low, high = (min(max(v, window.low), window.high) for v in spread.used)
    return (high - low) / (window.high - window.low)


def bars(spread: PixelRange, width: int = 32) -> str:
    """The histogram as text, a letter a step: logarithms, so that a few bright pixels show."""
    joined = np.add.reduceat(np.asarray(spread.counts), np.arange(0, len(spread.counts), len(spread.counts) // width))
    heights = np.log1p(joined) / max(float(np.log1p(joined.max())), 1e-9)
    return "".join(_LETTERS[round(float(height) * (len(_LETTERS) - 1))] for height in heights)


# -- what people choose -----------------------------------------------------------------------------


def chosen(words: str, proposed: Window | None, spread: PixelRange | None = None) -> Window | None:
    """A window as people write it.

    Parameters
    ----------
    words : str
        ``"low:high"`` or ``"low:high:gamma"``; a preset of CT such as ``"lung"``; ``"auto"``, what is found by
        itself; ``"full"``, all that the depth holds; ``"used"``, what the sampled pixels use.
    proposed : Window or None
        What was found by itself.
    spread : PixelRange, optional
        What the pixels use.

    Raises
    ------
    InputError
        If it is none of these.
    """
    words = words.strip().lower()
    base = proposed or EIGHT_BIT
    if words in ("", FOUND):
        return proposed
    if words in PRESETS:
        low, high = PRESETS[words]
        return replace(base, low=low, high=high, gamma=1.0, origin=f"{_PRESET}{words}")
    if words == FULL:
        return _full(base, spread)
    if words == USED and spread is not None:
        low, high = spread.used
        return replace(base, low=low, high=max(high, low + 1e-6), gamma=1.0, origin=_CHOSEN[2])
    try:
        numbers = [float(part) for part in words.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3):
        choices = ", ".join((FOUND, FULL, USED, *PRESETS))
        raise InputError(f"'{words[:80]}' is no window: write low:high, low:high:gamma, or one of {choices}.")
    return replace(base, low=numbers[0], high=numbers[1], gamma=numbers[2] if numbers[2:] else 1.0, origin=_CHOSEN[0])


def _full(base: Window, spread: PixelRange | None) -> Window:
    """All numbers of the stored depth, or, of signed and floating-point ones, all that are in the sample."""
    depths = list(spread.depths) if spread else []
    if spread and any("signed" in depth or "float" in depth for depth in depths):
        low, high = spread.edges
    else:
        stored = max((int(depth.partition(" ")[0]) for depth in depths), default=base.bits)
        low, high = 0.0, float(2 ** min(stored, 32) - 1)
    return replace(base, low=low, high=high, gamma=1.0, origin=_CHOSEN[1])
