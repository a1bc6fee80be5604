"""A picture as a whole, as one vector of a frozen backbone: what the learner of severity sees, and pictures alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from mad_core.scorers.features import weights
from mad_core.scorers.features.frozen import FrozenBackbone, pooled
from mad_core.scorers.image_scorer import scaled

SIZE = 320
"""Side of a typical picture as the network sees it, pixels; that of the learner's card."""
LAYERS = {weights.LITE: (2, 3, 4), weights.FORMULA: (1, 2, 3)}
"""Of each backbone that needs no download."""
STEP = 32


def prepared(image: np.ndarray, size: int) -> torch.Tensor:
    """An image (H, W, 3), uint8, at the network's scale: (3, H', W'), uint8."""
    pixels = scaled(image, size / (image.shape[0] * image.shape[1]) ** 0.5, size, STEP)
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


class WholeEncoder:
    """Pictures as vectors.

    Parameters
    ----------
    folder : Path
        Where weights are kept (``Settings.weights``).
    device : str
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.backbone = weights.LITE if weights.find(weights.LITE, folder) is not None else weights.FORMULA
        self._net = FrozenBackbone(self.backbone, LAYERS[self.backbone], folder, device)
        self.digest = self._net.digest

    def prepare(self, image: np.ndarray) -> torch.Tensor:
        """An image (H, W, 3), uint8, as :meth:`vector` takes it; runs in the threads that decode."""
        return prepared(image, SIZE)

    def vector(self, pixels: torch.Tensor) -> np.ndarray:
        """Mean, then maximum, of every channel of its layers: float32 of shape (d,)."""
        return pooled(self._net.layers(pixels[None]))[0].float().cpu().numpy()
