"""A scorer from a function of normals that returns a function of an image; and what models may answer."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from mad_core.errors import InputError, WorkError
from mad_core.scorers.contract import Context, Item, Scored, Scorer
from mad_core.scorers.exported import ExportedModel
from mad_core.scorers.image_loading import deepest_of, image_of, load, pixels_of
from mad_core.scorers.image_scorer import map_shape, on_aspect, read_normals, sample
from mad_core.scorers.reductions import left_out

MOST_NORMALS = 1000
"""Normals handed over at most, drawn by the seed: they lie in memory whole."""
FAILURES = 3
"""A model that fails on so many images before it scored one is broken, not the images."""


class FunctionScorer(Scorer):
    """Calls ``function(normals, **parameters)`` for each subset, and what that returns for each image.

    A function's model cannot be kept on disk: where a fit is taken up again, the function is called again. A model
    that needs no fit says so by ``learns = False``; it is brought to the device by its ``on(device)``.
    """

    def __init__(self, function: Callable[..., Any], parameters: Mapping[str, Any], pixels: str = "uint8") -> None:
        super().__init__(**parameters)
        self._function = function
        self._read = deepest_of if isinstance(function, ExportedModel) else pixels_of if pixels == "float" else image_of
        self._predict: Callable[[np.ndarray], Any] | None = None
        self._normals = 0

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        if not getattr(self._function, "learns", True):
            self._predict = self._function.on(context.device)  # pyright: ignore[reportFunctionMemberAccess]
            return
        chosen = sample(normals, MOST_NORMALS, context)
        total = len(chosen) + 1
        images = read_normals(chosen, lambda image: image, context, fewest=1, total=total, read=self._read)
        context.seed_libraries()
        self._normals = len(images)
        predict = self._function(images, **self.parameters)
        if not callable(predict):
            raise InputError(
                "The function of a scorer returns a function that takes an image and returns its score; this one "
                f"returned a {type(predict).__name__}."
            )
        self._predict = predict.on(context.device) if getattr(predict, "learns", True) is False else predict
        context.step(total, total)

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        assert self._predict is not None, "fit first"
        scored, failures = 0, 0
        for loaded in load(images, lambda image: image, read=self._read):
            context.check_cancel()
            started, image_id = time.perf_counter(), loaded.item.image_id
            if loaded.value is None:
                yield Scored.failed(image_id, "unreadable", loaded.error or "Unreadable.")
                continue
            try:
                score, anomaly_map = answer(self._predict(loaded.value), loaded.value.shape[:2])
            except Exception as error:
                failures += 1
                sentence = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
                if not scored and failures == min(FAILURES, len(images)):
                    raise WorkError(f"The scorer fails on every image; the last time: {sentence}") from error
                yield Scored.failed(image_id, "model-failed", sentence, time.perf_counter() - started)
                continue
            scored += 1
            if anomaly_map is not None and loaded.item.ignored is not None:
                anomaly_map = left_out(anomaly_map, loaded.item.ignored.on(anomaly_map.shape))
            yield Scored.of(image_id, score, anomaly_map, time.perf_counter() - started)

    def restore(self, tensors: Mapping[str, Any], facts: Mapping[str, Any], context: Context) -> None:
        self.fit(context.normals, context)

    def facts(self) -> dict[str, Any]:
        return {"normals": self._normals, **getattr(self._predict, "facts", {})}

    def close(self) -> None:
        self._predict = None


def answer(output: Any, size: tuple[int, int]) -> tuple[float, np.ndarray | None]:
    """Score and anomaly map of one image from what a model answered.

    Parameters
    ----------
    output : number, (score, map), mapping or object with ``pred_score`` and ``anomaly_map``
        As anomalib's models answer. Of further parts of a tuple the first number is the score and the first array the
        map; labels and masks, which are true or false, do not count. A map alone is scored by its maximum.
    size : tuple of int
        Height and width of the image.

    Returns
    -------
    float, ndarray of shape (H, W), float32, on the image's aspect, or None

    Raises
    ------
    InputError
        If there is neither a score nor a map in it.
    """
    values = [_array(value) for value in _values(output) if value is not None]
    numbers = [value for value in values if value.dtype != np.bool_]
    score = next((value for value in numbers if value.size == 1), None)
    anomaly_map = next((value for value in numbers if value.ndim >= 2 and value is not score), None)
    if anomaly_map is not None:
        anomaly_map = _on_image(anomaly_map, size)
    if score is not None:
        return float(score.reshape(())), anomaly_map
    if anomaly_map is None:
        raise InputError(f"A scorer's function returned neither a score nor an anomaly map, but {_named(output)}.")
    return float(anomaly_map.max()), anomaly_map


def _values(output: Any) -> Iterable[Any]:
    if isinstance(output, Mapping):
        return [output.get("pred_score"), output.get("anomaly_map")]
    if hasattr(output, "pred_score") or hasattr(output, "anomaly_map"):
        return [getattr(output, "pred_score", None), getattr(output, "anomaly_map", None)]
    return output if isinstance(output, tuple | list) else [output]


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise InputError(f"A scorer's function returned {_named(value)} where a number or an array is needed.")
    return array


def _named(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _on_image(anomaly_map: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """A map (1, …, h, w) on the aspect of its image; None where it is not finite."""
    inner = anomaly_map.reshape(anomaly_map.shape[-2:]) if anomaly_map.size == np.prod(anomaly_map.shape[-2:]) else None
    if inner is None:
        raise InputError(f"An anomaly map has two axes, and this one is of shape {anomaly_map.shape}.")
    if not np.isfinite(inner).all():
        return None
    return on_aspect(torch.from_numpy(inner.astype(np.float32)), map_shape(np.empty((*size, 0))))
