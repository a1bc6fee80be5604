"""anomalib is loaded in parts, and is whole for whoever asks for all of it."""

import subprocess
import sys

import pytest

IN_PARTS_THEN_WHOLE = """
import sys
import mad_core.scorers.detectors.padim
others = {name.partition(".")[0] for name in sys.modules} & {"lightning", "torchmetrics", "openai"}
models = [name for name in sys.modules if name.startswith("anomalib.models.image.")]
assert not others and len(models) < 10, (others, models)

import anomalib.data
from anomalib import models
from anomalib.engine import Engine
from anomalib.models import *
from anomalib.models.image import Padim as same
from anomalib.models.image.padim.torch_model import PadimModel
assert Padim is same is models.Padim and issubclass(Padim, models.AnomalibModule), Padim
assert mad_core.scorers.detectors.padim.PadimModel is PadimModel
assert models.list_models() >= {"padim", "patchcore"}
assert issubclass(models.UnknownModelError, ModuleNotFoundError) and anomalib.data.get_datamodule
assert set(models.__all__) <= set(dir(models)) and not hasattr(models, "no_such_model")
"""


@pytest.mark.slow
def test_a_detector_loads_its_own_model_alone_and_all_of_anomalib_is_there_for_whoever_asks():
    done = subprocess.run([sys.executable, "-c", IN_PARTS_THEN_WHOLE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
