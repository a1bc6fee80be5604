"""OCR-GAN, our re-implementation: coarse and fine frequencies are redrawn apart, and channels choose between them.

Liang et al. 2022, "Omni-frequency Channel-selection Representations for Unsupervised Anomaly Detection",
https://arxiv.org/abs/2203.00259. What differs beside what :mod:`mad_core.scorers.detectors.skip_ganomaly` says: the
fine band keeps its sign, the weights that select channels are trained, and cut-and-pasted normals, shown to
the discriminator as unreal, keep their colours.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.framed import TrainingPlan
from mad_core.scorers.detectors.skip_ganomaly import SkipGanomaly, UNet
from mad_core.scorers.features.filters import blur

BANDS = 2


def bands(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Coarse and fine frequencies of images (N, C, S, S), a step of a Laplacian pyramid: they add up to the images."""
    small = F.avg_pool2d(blur(images, 0.8), 2)
    coarse = F.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)
    return coarse, images - coarse


class ChannelSelection(nn.Module):
    """Weighs each channel of the bands against the same channel of the others: weights add up to one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // 2, 32)
        self.shared = nn.Linear(channels, narrow)
        self.wanted = nn.Linear(narrow, BANDS * channels)

    def forward(self, features: list[torch.Tensor]) -> list[torch.Tensor]:
        pooled = torch.stack(features).sum(0).mean((2, 3))
        weights = self.wanted(self.shared(pooled)).view(len(pooled), BANDS, -1).softmax(1)
        return [one * weights[:, k, :, None, None] for k, one in enumerate(features)]


class OmniFrequency(nn.Module):
    """A U-Net for each band; after each level of the encoders the channels are selected across the bands."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.nets = nn.ModuleList(UNet(size, width) for _ in range(BANDS))
        levels = size.bit_length() - 1
        self.selections = nn.ModuleList(ChannelSelection(width * min(8, 2**k)) for k in range(levels))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features, levels = list(bands(images)), []
        for k, select in enumerate(self.selections):
            features = select([net.down[k](x) for net, x in zip(self.nets, features, strict=True)])  # type: ignore[index]
            levels.append(features)
        drawn = [net.decode([level[b] for level in levels]) for b, net in enumerate(self.nets)]  # type: ignore[operator]
        return torch.stack(drawn).sum(0)


class OcrGan(SkipGanomaly):
    """Reconstruction band by band; the discriminator sees cut-and-pasted normals as unreal too."""

    id = "ocr-gan"
    scales: Mapping[str, TrainingPlan] = {"cpu": TrainingPlan(128, 8, 400), "cuda": TrainingPlan(256, 64, 6000)}
    contextual = 50.0

    def generator(self) -> nn.Module:
        return OmniFrequency(self.size, self.width)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        self.cuts = context.torch_generator()
        super().learn(images, context)

    def discriminator_loss(self, batch: torch.Tensor) -> torch.Tensor:
        pasted = self.model.discriminator(cut_and_pasted(batch, self.cuts))[0]
        unreal = F.binary_cross_entropy_with_logits(pasted, torch.zeros_like(pasted))
        return super().discriminator_loss(batch) + unreal


def cut_and_pasted(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images (N, C, S, S) in each of which one box, 2 to 15 % of the area, is copied to another place."""
    copies, side = images.clone(), images.shape[-1]
    for image in copies:
        area, stretch, *places = torch.rand(6, generator=generator).tolist()
        area, stretch = (0.02 + 0.13 * area) * side * side, 0.3 + stretch * (1 / 0.3 - 0.3)
        height, width = min(side, round((area / stretch) ** 0.5)), min(side, round((area * stretch) ** 0.5))
        tops = [int(place * (side - height + 1)) for place in places[:2]]
        lefts = [int(place * (side - width + 1)) for place in places[2:]]
        box = image[:, tops[0] : tops[0] + height, lefts[0] : lefts[0] + width].clone()
        image[:, tops[1] : tops[1] + height, lefts[1] : lefts[1] + width] = box
    return copies
