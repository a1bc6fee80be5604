"""Scorers that ask a multimodal model."""

import os
import sys

os.environ["USE_HUB_KERNELS"] = "0"
sys.modules.setdefault("kernels", None)  # type: ignore[arg-type]  # else libraries fetch code from the Hub and run it
