"""Load a multimodal model from its folder: safetensors only, no remote code, quantised as asked."""

import gc
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from mad_core.errors import InputError, UnavailableError, WorkError
from mad_core.scorers.multimodal import models
from mad_core.scorers.out_of_memory import is_out_of_memory

_OTHERS = (RuntimeError, ImportError, AssertionError, ArithmeticError, SafetensorError)
"""What the library raises besides at files that do not fit together."""
_OUTPUTS, _INPUTS = 32, 64
"""Quantised layers need outputs and inputs in multiples of these on CPUs with bfloat16 instructions."""


class _WithoutFasterKernel(logging.Filter):
    """Drops one line: that a faster kernel for CPUs is not on this machine, which is nothing to act on."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Failed to load CPU gemm_4bit_forward from kernels-community")


_WITHOUT_FASTER_KERNEL = _WithoutFasterKernel()


@dataclass
class LoadedModel:
    """A model with its processor, ready to be asked.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode, on ``device``.
    processor : ProcessorMixin
    device : str
    quantisation : {"4bit", "8bit", "bf16", "fp32"}
    folder : Path
    """

    model: Any
    processor: Any
    device: str
    quantisation: str
    folder: Path

    def close(self) -> None:
        """Give the memory back."""
        self.model = self.processor = None
        free_memory()


def free_memory() -> None:
    """Collect what is no longer referred to, and empty the GPU's cache."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def load(model: str, quantisation: str, device: str) -> LoadedModel:
    """Load a model.

    Parameters
    ----------
    model : str
        As :func:`mad_core.scorers.multimodal.models.locate` takes it.
    quantisation : {"auto", "4bit", "8bit", "bf16", "fp32"}
        ``auto`` is the best of bf16, 8-bit and 4-bit (NF4 with double quantisation) that fits a graphics card, and
        4-bit on the CPU.
    device : str

    Raises
    ------
    UnavailableError
        If it is not on this machine, cannot be used, or is too big; the sentence says what to do.
    InputError
        If the files in the folder do not fit together.
    """
    reason = models.why_not({"model": model, "quantisation": quantisation})
    folder = models.locate(model)
    if reason or folder is None:
        raise UnavailableError(reason or f"The model {model} is not on this machine.")
    chosen = models.chosen_quantisation(folder, device) if quantisation == "auto" else quantisation
    logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(_WITHOUT_FASTER_KERNEL)
    failure = None
    try:
        network = AutoModelForImageTextToText.from_pretrained(
            folder,
            **_how(folder, chosen, device),
            device_map={"": device},
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, *_OTHERS) as error:
        failure = None if is_out_of_memory(error) else error
    else:
        return LoadedModel(network.eval(), processor, device, chosen, folder)
    free_memory()
    if failure is None:
        raise WorkError(
            f"The model in {folder} does not fit into the memory of {device} in {chosen}. "
            "Close what else uses it, choose a smaller model, or quantisation=4bit."
        )
    first = (str(failure).strip().splitlines() or [type(failure).__name__])[0]
    raise InputError(f"The model in {folder} cannot be loaded: {first}. Fetch it again, or take another.") from failure


def _how(folder: Path, quantisation: str, device: str) -> dict[str, Any]:
    """What from_pretrained is told of precision; CPUs compute in float32."""
    plain = _half(device) if device.startswith("cuda") else torch.float32
    if quantisation in ("bf16", "fp32"):
        return {"dtype": _half(device) if quantisation == "bf16" else torch.float32}
    if models.is_quantised(folder):
        return {"dtype": plain}
    kept = kept_modules(folder)
    if quantisation == "8bit":
        config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    else:
        config = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=plain,
            llm_int8_skip_modules=kept,
        )
    return {"dtype": plain, "quantization_config": config}


def _half(device: str) -> torch.dtype:
    """bfloat16; float16 on cards that only imitate it (T4, V100, RTX 20)."""
    old = device.startswith("cuda") and torch.cuda.get_device_capability(device)[0] < 8
    return torch.float16 if old else torch.bfloat16


def kept_modules(folder: Path) -> list[str]:
    """Full names of the layers that stay unquantised: all but the language model's own linear layers.

    The vision tower, the projector and the output layer lose most by quantisation and weigh least;
    layers of odd widths cannot be quantised on every CPU.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    with torch.device("meta"):
        skeleton: Any = AutoModelForImageTextToText.from_config(config, trust_remote_code=False)
    inner = {id(module) for module in skeleton.get_decoder().modules()}
    linear = [(name, module) for name, module in skeleton.named_modules() if isinstance(module, nn.Linear)]
    kept = [
        name
        for name, module in linear
        if id(module) not in inner or module.out_features % _OUTPUTS or module.in_features % _INPUTS
    ]
    return sorted({*kept, "lm_head"})
