"""What scorers that look at one image at a time share: reading, batching, failures and maps on the image's aspect."""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from mad_core.errors import InputError
from mad_core.scorers.contract import Context, Item, Scored, Scorer
from mad_core.scorers.image_loading import batches, deepest_of, image_of, load

MAP_SIDE = 256
"""Longest side of an anomaly map, pixels."""

LEAST_SIDE, MOST_STRETCH = 48, 2.0
LONGEST = 8.0
"""Side of a strip at its own scale, in working sides."""

T = TypeVar("T")


class ImageScorer(Scorer):
    """A scorer that prepares images in threads and infers them in batches.

    ``read`` says how :meth:`prepare` gets them: as uint8 unless a subclass takes the full depth.
    """

    batch = 16
    read = staticmethod(image_of)
    positionless: Mapping[str, Any] = {}
    """Parameters with which it compares without regard to positions, as in tiles of a picture."""

    def view(self, context: Context) -> int:
        """Side in pixels of the square, or of a picture of as many pixels, that it sees at once."""
        return int(self.parameters["size"])

    @abstractmethod
    def prepare(self, image: np.ndarray) -> Any:
        """Bring an image, (H, W, 3) as ``read`` gives it, into the form :meth:`infer` takes; runs in threads."""

    @abstractmethod
    def infer(self, prepared: Sequence[Any], context: Context) -> list[tuple[float, np.ndarray | None]]:
        """Score and anomaly map (or None) of each prepared image."""

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for batch in batches(load(images, self.prepare, read=self.read, ahead=2 * self.batch), self.batch):
            context.check_cancel()
            started = time.perf_counter()
            prepared = [loaded.value for loaded in batch if loaded.value is not None]
            results = iter(self.infer(prepared, context) if prepared else ())
            seconds = (time.perf_counter() - started) / len(batch)
            for loaded in batch:
                if loaded.value is None:
                    yield loaded.failed(seconds)
                else:
                    score, anomaly_map = next(results)
                    yield Scored.of(loaded.item.image_id, score, anomaly_map, seconds)


class DeepScorer(ImageScorer):
    """An image scorer that takes uint8 of 8-bit pictures, and float32 in 0-1 where a subset's are deeper."""

    read = staticmethod(deepest_of)


def read_normals(
    normals: Sequence[Item],
    prepare: Callable[[np.ndarray], T],
    context: Context,
    *,
    fewest: int,
    total: int,
    read: Callable[[Item, Callable[[np.ndarray], T]], T] = image_of,
) -> list[T]:
    """Every readable training normal, prepared, as :func:`readable_normals` gives them."""
    step = lambda done: context.step(done, total)  # noqa: E731
    return list(readable_normals(normals, prepare, context, fewest=fewest, step=step, read=read))


def readable_normals(
    normals: Sequence[Item],
    prepare: Callable[[np.ndarray], T],
    context: Context,
    *,
    fewest: int,
    step: Callable[[int], None],
    read: Callable[[Item, Callable[[np.ndarray], T]], T] = image_of,
) -> Iterator[T]:
    """Every readable training normal, prepared, one after the other: only a few are in memory.

    Parameters
    ----------
    step : callable(done)
        Called after each image with how many were read, good or bad.
    fewest : int
        How many a fit needs at least.

    Raises
    ------
    InputError
        At the end, if fewer than ``fewest`` are readable.
    """
    count, failures = 0, []
    for done, loaded in enumerate(load(normals, prepare, read=read)):
        if loaded.value is None:
            failures.append(loaded.error)
        else:
            count += 1
            yield loaded.value
        step(done + 1)
    if count < fewest:
        why = f" First failure: {failures[0]}" if failures else ""
        raise InputError(
            f"At least {fewest} readable training normals are needed; subset '{context.subset}' has {count}.{why}"
        )


def joined_samples(old: int, new: int, seen: int, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Which of ``old`` kept and ``new`` normals make a sample of at most ``most``, each as likely to be in it.

    Parameters
    ----------
    old : int
        Normals kept so far, of ``seen``.

    Returns
    -------
    kept, taken : ndarray of int
        Ascending numbers of the old and of the new ones.
    """
    room = min(most, old + new)
    taken = min(new, max(room - old, round(room * new / (seen + new))))
    chosen = (np.sort(rng.choice(count, of, replace=False)) for count, of in ((old, room - taken), (new, taken)))
    kept, drawn = chosen
    return kept, drawn


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let every torch step take one thread: several images go at once instead.

    Threads that wait for each other in the middle of a step stall on a machine that is doing other things.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sample(normals: Sequence[Item], most: int, context: Context) -> list[Item]:
    """At most ``most`` normals, drawn by the run's seed, in their order."""
    if len(normals) <= most:
        return list(normals)
    keep = np.sort(context.rng().choice(len(normals), most, replace=False))
    return [normals[i] for i in keep]


def working_scale(normals: Sequence[Item], side: float) -> float:
    """One scale for all images, so that a defect has one size: a typical normal gets ``side`` squared pixels."""
    areas = [loaded.value for loaded in load(normals[:32], lambda image: image.shape[0] * image.shape[1])]
    positive = [area for area in areas if area]
    return side / float(np.median(np.sqrt(positive))) if positive else 1.0


def own_scale(image: np.ndarray, side: float) -> float:
    """The scale at which an image (H, W, 3) gets ``side`` squared pixels; a strip gets fewer."""
    height, width = image.shape[:2]
    return min(side / (height * width) ** 0.5, LONGEST * side / max(height, width))


def scaled(image: np.ndarray, scale: float, side: float, step: int = 1) -> np.ndarray:
    """An image (H, W, 3) at a working scale, aspect kept; sides are multiples of ``step``.

    An image much larger than a typical normal is brought to ``MOST_STRETCH`` times ``side``.
    """
    height, width = image.shape[:2]
    factor = min(scale, MOST_STRETCH * side / (height * width) ** 0.5)
    return resized(image, (_side(width * factor, step), _side(height * factor, step)))


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image (H, W, 3), uint8 or float32, at a width and height, interpolated linearly."""
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
    channels = (Image.fromarray(np.ascontiguousarray(image[..., channel])) for channel in range(3))
    return np.dstack([np.asarray(channel.resize(size, Image.Resampling.BILINEAR)) for channel in channels])


def in_unit(pixels: np.ndarray) -> np.ndarray:
    """Pixels, uint8 or in 0-1 already, as float32 in 0-1."""
    return pixels.astype(np.float32) / 255 if pixels.dtype == np.uint8 else pixels


def _side(length: float, step: int) -> int:
    return max(LEAST_SIDE, round(length / step) * step)


def map_shape(image: np.ndarray) -> tuple[int, int]:
    """Height and width of an image's anomaly map: its aspect, ``MAP_SIDE`` on the longest side."""
    height, width = image.shape[:2]
    longest = max(height, width)
    return max(1, round(MAP_SIDE * height / longest)), max(1, round(MAP_SIDE * width / longest))


def on_aspect(anomaly_map: torch.Tensor, shape: tuple[int, int]) -> np.ndarray:
    """An anomaly map (h, w) interpolated to ``shape``, float32."""
    return enlarged_to(anomaly_map, shape).cpu().numpy()


def enlarged_to(anomaly_map: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """As :func:`on_aspect`, where the map lies."""
    resized = F.interpolate(anomaly_map[None, None].float(), shape, mode="bicubic", align_corners=False)[0, 0]
    return resized.clamp(anomaly_map.min(), anomaly_map.max())
