"""Decode images in threads while the model computes.

Pillow releases the interpreter lock while it decodes, so a few threads keep the device busy.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from mad_core.errors import MadError
from mad_core.images import CHANGED, ImageError, with_image, with_pixels
from mad_core.scorers.contract import Item, LabelledItem, Scored

T = TypeVar("T")
THREADS = max(2, min(8, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class LoadedImage(Generic[T]):
    """A decoded and prepared image, or the sentence that says why there is none and the failure's name."""

    item: Item
    value: T | None
    error: str | None
    status: str = "unreadable"

    def failed(self, seconds: float = 0.0) -> Scored:
        """The result of an image that could not be read."""
        return Scored.failed(self.item.image_id, self.status, self.error or "The image cannot be read.", seconds)


def image_of(item: Item | LabelledItem, use: Callable[[np.ndarray], T]) -> T:
    """``use(image)`` of an item, of the bytes that were imported: uint8 (H, W, 3), RGB, through its window.

    Raises
    ------
    ImageError
        If it cannot be read, or has other bytes by now.
    """
    return _opened(with_image, item, use)


def pixels_of(item: Item | LabelledItem, use: Callable[[np.ndarray], T]) -> T:
    """As :func:`image_of`, with the full depth of the file: float32 (H, W, 3) in 0-1, RGB."""
    return _opened(with_pixels, item, use)


def _opened(opener: Callable[..., Any], item: Item | LabelledItem, use: Callable[[np.ndarray], T]) -> T:
    def whole(then: Callable[[np.ndarray], Any]) -> Any:
        seen = then if item.ignored is None else _after(item.ignored.left_out_of, then)
        return opener(Path(item.path), seen, content_hash=item.content_hash, window=item.window)

    crop = getattr(item, "crop", None)
    if crop is None:
        return whole(use)
    return use(crop.of(item, lambda: whole(np.ascontiguousarray)))


def _after(first: Callable[[np.ndarray], np.ndarray], then: Callable[[np.ndarray], T]) -> Callable[[np.ndarray], T]:
    return lambda image: then(first(image))


def deepest_of(item: Item | LabelledItem, use: Callable[[np.ndarray], T]) -> T:
    """As :func:`pixels_of` in a subset of pictures deeper than 8 bits, as :func:`image_of` in one of 8 bits."""
    return (image_of if item.window is None else pixels_of)(item, use)


def load(
    items: Sequence[Item],
    prepare: Callable[[np.ndarray], T],
    *,
    read: Callable[[Item, Callable[[np.ndarray], T]], T] = image_of,
    ahead: int = 8,
    threads: int = THREADS,
) -> Iterator[LoadedImage[T]]:
    """Yield ``prepare(image)`` for every item, in order, at most ``ahead`` images early.

    Parameters
    ----------
    items : sequence of Item
    prepare : callable
        Gets the image as ``read`` gives it, and runs in the thread that decoded it.
    read : callable
        :func:`image_of`, :func:`pixels_of` or :func:`deepest_of`.
    """

    return work_ahead(items, lambda item: read(item, prepare), ahead=ahead, threads=threads)


def failure_of(error: BaseException) -> str:
    """The name of the failure of an image that could not be read."""
    return CHANGED if isinstance(error, ImageError) and error.kind == CHANGED else "unreadable"


def work_ahead(
    items: Sequence[Item], work: Callable[[Item], T], *, ahead: int = 8, threads: int = THREADS
) -> Iterator[LoadedImage[T]]:
    """As :func:`load`, for work that reads the image itself and wants to know whose it is."""

    def guarded(item: Item) -> LoadedImage[T]:
        try:
            return LoadedImage(item, work(item), None)
        except (MadError, OSError, ValueError, MemoryError) as error:
            return LoadedImage(item, None, str(error) or type(error).__name__, failure_of(error))

    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    waiting: deque[Future[LoadedImage[T]]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(guarded, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def batches(loaded: Iterator[LoadedImage[T]], size: int) -> Iterator[list[LoadedImage[T]]]:
    """Group loaded images, failed ones included, into lists of at most ``size``, order kept."""
    batch: list[LoadedImage[T]] = []
    for one in loaded:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
