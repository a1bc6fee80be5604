"""The backbone that ships: a small residual network taught on formula-made surfaces only (``tools/backbone``).

It standardises each image by itself, once as a whole and once within a wide window, before the first
convolution: light and slow shading differ from image to image, and no photograph taught it to expect that.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS = (64, 128, 256)
STRIDES = (4, 8, 16)
LAYERS = ("layer1", "layer2", "layer3")
STEM = 32
WINDOW = 31
"""Side of the window of local standardisation, pixels."""


class Standardised(nn.Module):
    """Images (N, 3, H, W) as four channels: colour by the whole image, grey by the surroundings."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        images = images.float()
        grey = images.mean(1, keepdim=True)
        spread = grey.std((2, 3), keepdim=True) + 1e-2
        whole = (images - grey.mean((2, 3), keepdim=True)) / spread
        mean = _around(grey)
        variance = (_around(grey * grey) - mean * mean).clamp_min(0)
        variance = variance + 0.1 * variance.mean((2, 3), keepdim=True) + 1e-5
        return torch.cat([whole, (grey - mean) / variance.sqrt()], 1).clamp(-8, 8)


def _around(x: torch.Tensor) -> torch.Tensor:
    """Mean over the window, of what of it lies within the image."""
    half = WINDOW // 2
    rows = F.avg_pool2d(x, (WINDOW, 1), 1, (half, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, WINDOW), 1, (0, half), count_include_pad=False)


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a short cut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        self.short = (
            nn.Identity()
            if before == after and stride == 1
            else nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False), nn.Conv2d(before, after, 1, bias=False)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(inner + self.short(x))


class FormulaNet(nn.Module):
    """The network; gives the features of its layers, (N, channels, H / stride, W / stride) each.

    Parameters
    ----------
    layers : sequence of str
        Which of ``LAYERS`` to give.
    """

    def __init__(self, layers: Sequence[str] = LAYERS) -> None:
        super().__init__()
        self.wanted = [LAYERS.index(name) for name in layers]
        self.standardised = Standardised()
        self.stem = nn.Sequential(
            nn.Conv2d(4, STEM, 3, 2, 1, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(),
            nn.Conv2d(STEM, STEM, 3, 1, 1, bias=False),
            nn.BatchNorm2d(STEM),
            nn.ReLU(),
        )
        width = STEM
        for name, channels in zip(LAYERS, CHANNELS, strict=True):
            self.add_module(name, nn.Sequential(Block(width, channels, 2), Block(channels, channels, 1)))
            width = channels

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        x = self.stem(self.standardised(images))
        layers = []
        for name in LAYERS[: max(self.wanted) + 1]:
            x = self.get_submodule(name)(x)
            layers.append(x)
        return [layers[k] for k in self.wanted]
