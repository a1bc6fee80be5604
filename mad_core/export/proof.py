"""The proof that a file answers as the app does: the same pictures through both, score for score and cell for cell."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mad_core.export.calls import Calls
from mad_core.export.formats import Runner
from mad_core.images import ImageError
from mad_core.scorers.contract import Item, Scored
from mad_core.scorers.image_loading import image_of
from mad_core.scorers.image_scorer import resized

PICTURES = 50
LIMIT = 1e-3
"""Largest difference that is let pass, in standard deviations of the scores, and of the cells of the maps."""
AT_ONCE = 10


@dataclass(frozen=True)
class Parity:
    """What file and app answer to the same pictures.

    Parameters
    ----------
    pictures, resized : int
        Compared, and how many of these have another size in the dataset and were brought to the file's.
    score_difference, score_spread : float
        Largest difference of two scores, and the standard deviation of the run's scores.
    map_difference, map_spread : float or None
        The same of the cells of the maps; None where there are none.
    stored_difference : float or None
        Largest difference of the file's scores from those that the run has stored; None where no picture has one.
    called, called_alike : int
        Pictures that the app calls a level, and that the file calls the same.
    """

    pictures: int
    resized: int
    score_difference: float
    score_spread: float
    map_difference: float | None
    map_spread: float | None
    stored_difference: float | None
    called: int
    called_alike: int
    limit: float = field(default=LIMIT)

    @property
    def passed(self) -> bool:
        """Whether all differences are within the limit; one that is not a number is not."""
        small = self.score_difference <= self.limit * self.score_spread
        if self.map_difference is not None and self.map_spread is not None:
            small = small and self.map_difference <= self.limit * self.map_spread
        return bool(self.pictures and small and self.called == self.called_alike)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}

    def in_words(self) -> str:
        """``50 pictures: scores differ by 2e-06 at most (1e-06 of their spread), …``"""
        words = f"{self.pictures} pictures: scores differ by {_share(self.score_difference, self.score_spread)}"
        if self.map_difference is not None and self.map_spread is not None:
            words += f", maps by {_share(self.map_difference, self.map_spread)}"
        return f"{words}; called levels equal in {self.called_alike} of {self.called}" if self.called else words


def _share(difference: float, spread: float) -> str:
    return f"{difference:.2g} at most ({difference / spread:.1g} of their spread)"


@dataclass(frozen=True)
class ScoredPicture:
    """A picture of the dataset, and what the run has stored of it."""

    item: Item
    score: float | None


def prove(
    run_file: Runner,
    score: Callable[[Sequence[Item]], Sequence[Scored]],
    examples: Sequence[ScoredPicture],
    size: tuple[int, int],
    spread: float,
    calls: Calls | None,
    step: Callable[[int, int], None],
) -> Parity:
    """Show pictures to a file and to the app.

    Parameters
    ----------
    run_file : callable
    score : callable(items)
        The app's scorer.
    size : tuple of int
        Height and width of the file's pictures.
    spread : float
        Standard deviation of the run's scores.
    calls : Calls or None
        How levels are called, where scorer and file do not say it themselves.
    step : callable(done, total)
    """
    gaps: list[float] = []
    stored: list[float] = []
    map_gaps: list[float] = []
    cells: list[np.ndarray] = []
    called: list[tuple[float, float]] = []
    changed = 0
    for example, pixels, answer in _answers(score, examples, size, step):
        if answer.score is None:
            continue
        file = run_file(pixels)
        value = float(file["score"][0])
        gaps.append(abs(value - answer.score))
        changed += example is None
        if example is not None and example.score is not None:
            stored.append(abs(value - example.score))
        if answer.map is not None and "map" in file:
            map_gaps.append(float(np.abs(file["map"] - answer.map).max()))
            cells.append(answer.map.ravel())
        if "level" in file:
            called.append((float(file["level"][0]), float(answer.detail["level"])))
        elif calls is not None:
            called.append((calls.of(value), calls.of(answer.score)))
    return Parity(
        pictures=len(gaps),
        resized=changed,
        score_difference=_largest(gaps),
        score_spread=spread,
        map_difference=_largest(map_gaps) if map_gaps else None,
        map_spread=float(np.concatenate(cells).std()) if cells else None,
        stored_difference=_largest(stored) if stored else None,
        called=len(called),
        called_alike=sum(file == app for file, app in called),
    )


def _largest(gaps: Sequence[float]) -> float:
    return float(np.max(gaps)) if gaps else float("nan")


def _answers(
    score: Callable[[Sequence[Item]], Sequence[Scored]],
    examples: Sequence[ScoredPicture],
    size: tuple[int, int],
    step: Callable[[int, int], None],
) -> Iterator[tuple[ScoredPicture | None, np.ndarray, Scored]]:
    """Pixels and the app's answer, some pictures at a time; without the example where its size was changed."""
    for start in range(0, len(examples), AT_ONCE):
        with tempfile.TemporaryDirectory(prefix="mad-proof-") as folder:
            there: list[tuple[ScoredPicture | None, np.ndarray, Item]] = []
            for number, example in enumerate(examples[start : start + AT_ONCE], start):
                try:
                    pixels = image_of(example.item, np.ascontiguousarray)
                except (ImageError, OSError):  # gone or changed since it was scored
                    continue
                kept = pixels.shape[:2] == size
                pixels = pixels if kept else resized(pixels, (size[1], size[0]))
                path = Path(folder, f"{number}.png")
                Image.fromarray(pixels).save(path, compress_level=1)
                there.append((example if kept else None, pixels, Item(f"proof-{number}", str(path))))
            answers = score([item for *_, item in there]) if there else ()
            for (example, pixels, _), answer in zip(there, answers, strict=True):
                yield example, pixels, answer
        step(min(len(examples), start + AT_ONCE), len(examples))
