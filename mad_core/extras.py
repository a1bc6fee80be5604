"""Parts of the package that need not be installed, and the sentence that says which one is missing."""

import contextlib
import importlib.util
from collections.abc import Iterator
from functools import cache

from mad_core.errors import UnavailableError

EXTRAS = {
    "scipy": "audit",
    "pyarrow": "parquet",
    "torch": "detectors",
    "torchvision": "detectors",
    "safetensors": "detectors",
    "huggingface_hub": "detectors",
    "cv2": "detectors",
    "anomalib": "detectors",
    "timm": "detectors",
    "skimage": "detectors",
    "sklearn": "detectors",
    "transformers": "mllm",
    "bitsandbytes": "mllm",
    "accelerate": "mllm",
    "openai": "mllm",
    "httpx2": "mllm",
    "streamlit": "app",
    "starlette": "app",
    "pydicom": "dicom",
    "pillow_heif": "formats",
    "pillow_jxl": "formats",
    "open_clip": "clip",
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "export",
}
"""The extra of ``pyproject.toml`` that installs what is imported by this name."""

SCORERS = {"detectors": ("torch", "timm", "anomalib"), "mllm": ("torch", "transformers", "openai")}
"""What the scorers of an extra cannot do without."""


def install(extra: str) -> str:
    """The command that installs an extra.

    >>> install("detectors")
    'pip install "mad-inspector[detectors]"'
    """
    return f'pip install "mad-inspector[{extra}]"'


@cache
def installed(module: str) -> bool:
    """Whether a package can be imported; it is not imported for that."""
    return importlib.util.find_spec(module) is not None


def lacking(module: str, extra: str) -> str | None:
    """A sentence where a package that an extra installs is not there."""
    return None if installed(module) else f"It needs {module}, which is not installed: {install(extra)}."


def missing(extra: str) -> str | None:
    """A sentence where the scorers of an extra cannot run, because it is not installed."""
    absent = [module for module in SCORERS[extra] if not installed(module)]
    return f"{absent[0]} is not installed: {install(extra)}." if absent else None


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What is not installed ends in a sentence with the command that installs it; also a decorator.

    Raises
    ------
    UnavailableError
        Instead of the :class:`ModuleNotFoundError` of a package that an extra installs.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRAS:
            raise
        raise UnavailableError(f"This needs {name}, which is not installed: {install(EXTRAS[name])}.") from None
