"""Graphs as files, written and run: ONNX by onnxruntime, OpenVINO's own by OpenVINO. Torch is imported at use."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mad_core.errors import InputError, UnavailableError, WorkError
from mad_core.extras import lacking

if TYPE_CHECKING:
    from mad_core.scorers.graph import Graph

ONNX, OPENVINO = "onnx", "openvino"
PIXELS = "pixels"
"""Name of a graph's input: uint8 (H, W, 3), RGB."""
NEEDS: Mapping[str, Mapping[str, str]] = {
    ONNX: {"onnx": "export", "onnxscript": "export", "onnxruntime": "export"},
    OPENVINO: {"onnx": "export", "onnxscript": "export", "openvino": "detectors"},
}
"""What each format cannot do without, and the extra that brings it."""
SUFFIXES: Mapping[str, str] = {ONNX: "onnx", OPENVINO: "xml"}
_EXACT = {"INFERENCE_PRECISION_HINT": "f32"}

Runner = Callable[[np.ndarray], dict[str, np.ndarray]]
"""From pixels to the named outputs."""


def check_format(to: str) -> None:
    """See that files of a format can be written and run here.

    Raises
    ------
    InputError
        If there is no such format.
    UnavailableError
        If a package is missing.
    """
    if to not in NEEDS:
        raise InputError(f"Models are exported to {' or '.join(NEEDS)}, not to '{to[:80]}'.")
    for module, extra in NEEDS[to].items():
        if missing := lacking(module, extra):
            raise UnavailableError(f"The export to {to} cannot be done. {missing}")


def write(graph: Graph, height: int, width: int, to: str, folder: Path) -> Path:
    """Write a graph of pictures of one size into a folder, as ``model.onnx`` or ``model.xml``.

    Raises
    ------
    WorkError
        If something in it has no counterpart in the format.
    """
    path = folder / "model.onnx"
    _write_onnx(graph, height, width, path)
    return path if to == ONNX else _as_openvino(path)


def _write_onnx(graph: Graph, height: int, width: int, path: Path) -> None:
    import torch

    pixels = torch.zeros(height, width, 3, dtype=torch.uint8)
    graph.eval()
    with torch.no_grad(), _quiet():
        graph(pixels)  # what functions remember between calls is computed before anything is traced
        try:
            program = torch.onnx.export(
                graph, (pixels,), input_names=[PIXELS], output_names=list(graph.outputs), dynamo=True, verbose=False
            )
        except Exception as error:  # the exporter's errors share no base
            raise WorkError(f"The scorer cannot be written as a graph: {_cause_of(error)}") from error
        assert program is not None
        program.save(path)


def _as_openvino(path: Path) -> Path:
    """The same graph in OpenVINO's form, with weights in full precision, in place of the ONNX file."""
    import openvino

    target = path.with_suffix(".xml")
    openvino.serialize(openvino.Core().read_model(path), target)  # the converter, which reports its use, is not called
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    return target


def runner(path: Path, outputs: tuple[str, ...]) -> Runner:
    """A file, ready to run on this machine's CPU.

    Raises
    ------
    WorkError
        If it cannot be read.
    """
    make = _onnx_runner if path.suffix == ".onnx" else _openvino_runner
    try:
        return make(path, outputs)
    except Exception as error:  # of libraries that share no base
        raise WorkError(f"The file {path.name} cannot be run: {_cause_of(error)}") from error


def _cause_of(error: BaseException) -> str:
    """The first line of what made a library give up."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0][:300]


def _onnx_runner(path: Path, outputs: tuple[str, ...]) -> Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(pixels: np.ndarray) -> dict[str, np.ndarray]:
        values = session.run(list(outputs), {PIXELS: pixels})
        return {name: np.asarray(value) for name, value in zip(outputs, values, strict=True)}

    return run


def _openvino_runner(path: Path, outputs: tuple[str, ...]) -> Runner:
    import openvino

    model = openvino.Core().compile_model(str(path), "CPU", _EXACT)

    def run(pixels: np.ndarray) -> dict[str, np.ndarray]:
        results = model({PIXELS: pixels})
        return {name: np.array(results[name]) for name in outputs}

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own words from standard output, and its warnings to itself."""
    import warnings

    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
