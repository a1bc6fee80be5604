"""Models that were trained elsewhere as scorers: torch modules, TorchScript files, ONNX files. No torch here.

Each is a function of an image and needs no fit; ``mad.score("demo", mad.from_torch(model, size=256))`` scores with it
in this process, and ``mad.scorer("mine")(mad.from_torch(…))`` gives it a name of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mad_core.errors import InputError, UnavailableError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
Size = int | tuple[int, int] | None
Normalise = tuple[Sequence[float], Sequence[float]] | None

NEEDS_ONNX = "An ONNX file needs onnxruntime, see requirements-onnx.txt: python -m pip install 'onnxruntime>=1.32,<2'."


def from_torch(module: Any, *, size: Size = None, normalise: Normalise = IMAGENET) -> TorchModel:
    """A scorer from what answers as anomalib's models do.

    Parameters
    ----------
    module : torch module, or path of a TorchScript file
        Takes a batch (1, 3, H, W) and gives ``pred_score`` and ``anomaly_map``, by attribute, by key, or in a tuple; a
        fitted model of anomalib as it is, without what clamps its scores to 0-1.
    size : int, (height, width) or None
        What images are squeezed to, pixels; None leaves them as large as they are.
    normalise : (mean, deviation) of three numbers each, or None
        For channels in 0-1, those of ImageNet unless told otherwise. A Lightning model of anomalib brings them itself,
        and its size.

    Raises
    ------
    InputError
        If the file is not there or no TorchScript.
    """
    if isinstance(module, str | Path):
        module = _script(Path(module).expanduser())
    if not callable(module):
        raise InputError(f"A torch module or the path of a TorchScript file is needed, not a {type(module).__name__}.")
    transform = None
    if (own := getattr(module, "pre_processor", None)) is not None and callable(getattr(module, "model", None)):
        module, transform = module.model, own.transform
    return TorchModel(module, size, None if transform is not None else normalise, transform)


def from_onnx(path: str | Path, *, size: Size = None, normalise: Normalise = None) -> OnnxModel:
    """A scorer from an exported model, run by onnxruntime.

    Parameters
    ----------
    path : path
        Takes one input, float32 (1, 3, H, W); gives ``pred_score`` and ``anomaly_map`` by name, or as
        :func:`from_torch` says.
    size : int, (height, width) or None
        None takes the size that the model says, else that of the image.
    normalise : (mean, deviation) of three numbers each, or None
        None leaves channels in 0-1: what anomalib exports normalises by itself.

    Raises
    ------
    InputError
        If the file is not there or no ONNX model.
    UnavailableError
        If onnxruntime is not installed.
    """
    file = Path(path).expanduser()
    content = _content(file)
    model = OnnxModel(content, file.stem, size, normalise)
    model.session(("CPUExecutionProvider",))  # whether it can be read is said now, not by a worker
    return model


class ExportedModel:
    """A model that was fitted elsewhere: called with an image, it gives score and anomaly map."""

    learns = False
    size: Size = None
    normalise: Normalise = None

    def on(self, device: str) -> Callable[[np.ndarray], Any]:
        """The same on a device."""
        raise NotImplementedError

    def __call__(self, image: np.ndarray) -> tuple[float, np.ndarray | None]:
        """Score and map, float32 on the image's aspect, of one image (H, W, 3), uint8 or float32 in 0-1."""
        from mad_core.scorers.function_scorer import answer

        return answer(self.on("cpu")(image), image.shape[:2])

    def pixels(self, image: np.ndarray, size: Size) -> np.ndarray:
        """An image as the model takes it: float32 (1, 3, h, w)."""
        from mad_core.scorers.image_scorer import in_unit, resized

        if size is not None:
            height, width = (size, size) if isinstance(size, int) else size
            image = resized(image, (width, height))
        values = in_unit(image)
        if self.normalise is not None:
            mean, deviation = (np.asarray(part, np.float32) for part in self.normalise)
            values = (values - mean) / deviation
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


class TorchModel(ExportedModel):
    """A torch module; ``transform`` is what anomalib's own model does with pixels first."""

    def __init__(self, module: Any, size: Size, normalise: Normalise, transform: Any = None) -> None:
        self.module, self.size, self.normalise, self.transform = module, size, normalise, transform

    def __str__(self) -> str:
        return str(getattr(self.module, "original_name", None) or type(self.module).__name__)

    def on(self, device: str) -> Callable[[np.ndarray], Any]:
        import torch

        if isinstance(self.module, torch.nn.Module):
            self.module.to(device).eval()

        @torch.inference_mode()
        def infer(image: np.ndarray) -> Any:
            pixels = torch.from_numpy(self.pixels(image, self.size)).to(device)
            return self.module(pixels if self.transform is None else self.transform(pixels))

        return infer


class OnnxModel(ExportedModel):
    """The bytes of an ONNX file."""

    def __init__(self, content: bytes, name: str, size: Size, normalise: Normalise) -> None:
        self._content, self.name, self.size, self.normalise = content, name, size, normalise

    def __str__(self) -> str:
        return self.name

    def session(self, providers: Sequence[str]) -> Any:
        """A session of onnxruntime.

        Raises
        ------
        InputError, UnavailableError
        """
        try:
            import onnxruntime
        except ImportError:
            raise UnavailableError(NEEDS_ONNX) from None
        usable = [name for name in providers if name in onnxruntime.get_available_providers()]
        try:
            return onnxruntime.InferenceSession(self._content, providers=usable)
        except Exception as error:  # its errors share no base of their own
            raise InputError(f"The file {self.name} cannot be read as an ONNX model: {error}") from None

    def on(self, device: str) -> Callable[[np.ndarray], Any]:
        cuda = ("CUDAExecutionProvider",) if device.startswith("cuda") else ()
        session = self.session((*cuda, "CPUExecutionProvider"))
        (entry, *_), names = session.get_inputs(), [one.name for one in session.get_outputs()]
        fixed = tuple(entry.shape[-2:]) if all(isinstance(side, int) for side in entry.shape[-2:]) else None
        size = self.size if self.size is not None else fixed
        named = {"pred_score", "anomaly_map"} & set(names)

        def infer(image: np.ndarray) -> Any:
            outputs = session.run(None, {entry.name: self.pixels(image, size)})
            return dict(zip(names, outputs, strict=True)) if named else tuple(outputs)

        return infer


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"The model {file} cannot be read: {error.strerror}.") from None


def _script(file: Path) -> Any:
    import io

    import torch

    content = _content(file)
    try:
        return torch.jit.load(io.BytesIO(content), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{file} is no TorchScript file ({first}); save one with torch.jit.script(model).save(path) or "
            "torch.jit.trace."
        ) from None
