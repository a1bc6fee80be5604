"""The door of weights: safetensors files and the folders of models. Here torch is imported."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save

from mad_core.errors import MadError
from mad_core.scorers.features import weights
from mad_core.scorers.features.backbones import local_weights
from mad_core.scorers.features.formula_net import FormulaNet
from mad_core.scorers.multimodal import models
from tests.hard.attack import Door, expect, refusal
from tests.hard.mutation import json_value, spoiled_bytes, spoiled_json


@cache
def _fine() -> bytes:
    return save(FormulaNet().state_dict())


def _header(data: bytes) -> tuple[dict[str, Any], bytes]:
    size = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def _file(header: Any, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def weight_cases(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """Spoiled headers, which are most of what can lie, and spoiled files."""
    header, body = _header(_fine())
    first = next(iter(header))
    given = {
        "whole": _fine(),
        "empty": b"",
        "a header of 2^63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
        "a header of 10^9 bytes": struct.pack("<Q", 10**9) + b"{}",
        "a pickle": b"\x80\x04cposix\nsystem\n(S'true'\ntR.",
        "html": b"<!doctype html>404",
        "another model": save({"x": torch.zeros(3)}),
        "a tensor of 10^12": _file(
            {first: {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}}, b""
        ),
        "one tensor over another": _file({k: {**v, "data_offsets": [0, 4]} for k, v in header.items()}, body),
        "deep": struct.pack("<Q", 100_000) + b"[" * 100_000,
    }
    for number in range(count):
        if number < len(given):
            name = list(given)[number]
            yield f"{number} {name}", given[name]
        elif rng.random() < 0.7:
            changed: Any = header
            for _ in range(rng.choice((1, 2, 5))):
                changed = spoiled_json(rng, changed)
            yield f"{number} header", _file(changed, body)
        else:
            yield f"{number} bytes", spoiled_bytes(rng, _fine())


def enter_weights(case: bytes, folder: Path) -> bool:
    path = folder / "my weights.safetensors"
    path.write_bytes(case)
    reason = weights.why_not("patchcore", {"weights": str(path), "backbone": weights.FORMULA})
    expect(reason is None, f"{reason}")
    try:
        with local_weights(path):
            net = timm.create_model(weights.FORMULA, pretrained=True, features_only=True)
    except MadError as error:
        return refusal(error, path.name)
    expect(sum(p.numel() for p in net.parameters()) > 1000, "a network without weights")
    return True


def folder_cases(rng: random.Random, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(count):
        files: dict[str, Any] = {
            "config.json": {"model_type": "llava", "quantization_config": {"quant_method": "bitsandbytes"}},
            "model.safetensors.index.json": {"weight_map": {"a": "model-1.safetensors"}},
            "processor_config.json": {"chat_template": "x"},
        }
        name = rng.choice(list(files))
        files[name] = spoiled_json(rng, files[name]) if rng.random() < 0.8 else json_value(rng)
        if rng.random() < 0.1:
            files[name] = rng.choice(("[" * 100_000, "{", "", "\ufeff{}", '{"a": ' + "9" * 5000 + "}"))
        yield f"{number} {json.dumps(files)[:100]}", files


def enter_folder(case: dict[str, Any], folder: Path) -> bool:
    """A folder given as a model: nothing is loaded to say what is wrong with it."""
    for name, data in case.items():
        (folder / name).write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    (folder / "model-1.safetensors").write_bytes(_fine()[:100])
    try:
        reason = models.why_not({"model": str(folder), "quantisation": "auto"})
    except MadError as error:
        return refusal(error)
    expect(reason is None or (reason.rstrip()[-1:] in ".)" and len(reason) < 1500), f"{reason}")
    return reason is None


DOORS = (
    Door("weights", weight_cases, enter_weights, megabytes=900),
    Door("folders of models", folder_cases, enter_folder),
)
