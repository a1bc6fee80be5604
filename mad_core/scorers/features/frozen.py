"""Features of a backbone that needs no download, for whoever learns from them: maps a layer, pooled, and by place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import nn
from torch.nn import functional as F

from mad_core.scorers.features import weights
from mad_core.scorers.features.backbones import local_weights
from mad_core.scorers.features.compiled import CompiledNet, compiled


class FrozenBackbone:
    """A pretrained backbone of :data:`mad_core.scorers.features.weights.ANY_SHAPE`.

    Parameters
    ----------
    name : str
    layers : sequence of int
        Layers 1, 2, 3 and 4 lie at strides 4, 8, 16 and 32; the backbone that ships has no fourth.
    folder : Path
        Where weights are kept (``Settings.weights``, ``Context.weights``).
    device : str

    Raises
    ------
    UnavailableError
        If its weights are not on this machine.
    """

    def __init__(self, name: str, layers: Sequence[int], folder: Path, device: str = "cpu") -> None:
        path = weights.resolve("patchcore", {"backbone": name, "weights": weights.PRETRAINED}, folder)
        indices = [layer - 1 for layer in layers]
        with local_weights(path):
            net = timm.create_model(name, pretrained=True, features_only=True, out_indices=indices)
        self.net = compiled(net) if torch.device(device).type == "cpu" else net.to(device)
        self.device, self.digest = device, weights.digest(path)

    def traceable(self) -> nn.Module:
        """The network itself, in torch; pixels as :meth:`layers` takes them are brought to -1 to 1 before it."""
        return self.net.net if isinstance(self.net, CompiledNet) else self.net

    @torch.inference_mode()
    def layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Features (N, C, H / stride, W / stride) of each layer, of images uint8 (N, 3, H, W)."""
        return self.net(images.to(self.device).float() / 127.5 - 1)


def pooled(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean, then maximum, of every channel over an image: (N, 2 C) of layers (N, C_l, H_l, W_l)."""
    return torch.cat([part for x in layers for part in (x.mean((2, 3)), x.amax((2, 3)))], 1)


def patches(layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """All layers on the grid of the first, each averaged over its 3 x 3 surroundings: (N, C, H_1, W_1)."""
    around = [F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) for x in layers]
    size = around[0].shape[-2:]
    return torch.cat(
        [around[0], *(F.interpolate(x, size, mode="bilinear", align_corners=False) for x in around[1:])], 1
    )


def at_highest(features: torch.Tensor, anomaly_maps: torch.Tensor, count: int) -> torch.Tensor:
    """Features (N, C, H, W) averaged over the ``count`` places that maps (N, H, W) rate highest: (N, C)."""
    places = anomaly_maps.flatten(1).topk(min(count, anomaly_maps[0].numel())).indices
    chosen = features.flatten(2).gather(2, places[:, None].expand(-1, features.shape[1], -1))
    return chosen.mean(2)
