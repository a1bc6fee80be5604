"""A linear probe of severity: how filter responses depart from those of normals, weighed by what was learned elsewhere.

The filter bank says where and how strongly an image departs from its normals. The probe was taught on
generated pictures with severity labels (``tools/probe.py``, the pictures and labels of the multimodal model
that ships) which departures are severe. It stands beside that model as the simple answer to the
question what such labels bring: it reads no rubric and is shown no reference.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from mad_core.assets import asset
from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.filterbank import FilterBank
from mad_core.scorers.reductions import REDUCTIONS

PATH = asset("probe", "probe.safetensors")
SUPERVISION = "trained with severity labels on generated images"
_HIGHEST = 0.05


def described(
    features: torch.Tensor, centre: torch.Tensor, spread: torch.Tensor, anomaly_map: np.ndarray
) -> torch.Tensor:
    """What the probe knows of an image: how far each filter departs from normal, and how much of the map is high.

    Parameters
    ----------
    features, centre, spread : tensor of shape (C, G, G)
        Responses of the image, and their centre and scale among normals.
    anomaly_map : ndarray of shape (H, W)

    Returns
    -------
    tensor of shape (3 C + 3,), float32
        The strongest excess, the strongest lack and the mean of the highest 5 % of absolute departures of
        each filter; maximum, mean of the highest 5 % and mean of the map. All as log(1 + x).
    """
    departures = ((features - centre) / spread).flatten(1)
    count = max(1, round(_HIGHEST * departures.shape[1]))
    parts = [
        departures.amax(1).clamp_min(0),
        (-departures).amax(1).clamp_min(0),
        departures.abs().topk(count, dim=1).values.mean(1),
        torch.tensor([REDUCTIONS[name](anomaly_map.ravel()) for name in ("max", "top5", "mean")]).float(),
    ]
    return torch.log1p(torch.cat([part.cpu() for part in parts]))


@cache
def weights(path: Path = PATH) -> Mapping[str, torch.Tensor]:
    """``centre``, ``scale`` and ``slope`` of shape (3 C + 3,), and ``offset`` of shape ()."""
    return load_file(path)


class SeverityProbe(FilterBank):
    """See the module; the parameters of the filter bank without its reduction. Scores are about 0-100, not clamped."""

    def infer(self, prepared: Sequence[tuple[torch.Tensor, tuple[int, int]]], context: Context) -> list[Any]:
        results = []
        coefficients = weights()
        for (features, _), anomaly_map in zip(prepared, self.mapped(prepared), strict=True):
            facts = described(features.cpu(), self.centre, self.spread, anomaly_map)
            score = float(
                ((facts - coefficients["centre"]) / coefficients["scale"]) @ coefficients["slope"]
                + coefficients["offset"]
            )
            results.append((score, anomaly_map))
        return results

    def facts(self) -> dict[str, Any]:
        return super().facts() | {"supervision": SUPERVISION}
