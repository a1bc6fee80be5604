"""Loading a multimodal model says nothing that nobody can act on, and everything else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from mad_core.scorers.multimodal.loading import load

from . import tiny_models

MISSING_KERNEL = (
    "Failed to load CPU gemm_4bit_forward from kernels-community: %s. Please make sure you already "
    "`pip install kernels` and the kernels >= 0.11.1"
)


def test_only_the_line_about_the_faster_kernel_is_silenced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(str(tiny_models.make("llava", tmp_path / "model")), "4bit", "cpu").close()
    assert "gemm_4bit_forward" not in caplog.text  # the library itself says it here, on processors that know bfloat16
    said = logging.getLogger("bitsandbytes.backends.cpu.ops")
    said.warning(MISSING_KERNEL, ModuleNotFoundError("No module named 'kernels'"))
    said.warning("Failed to load the library.")
    logging.getLogger("bitsandbytes.cextension").warning(MISSING_KERNEL, "x")
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("bitsandbytes")]
    assert messages[0] == "Failed to load the library."
    assert len(messages) == 2 and messages[1].startswith("Failed to load CPU gemm")
