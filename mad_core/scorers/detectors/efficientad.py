"""EfficientAd: a small teacher, a student and an autoencoder; Batzner et al. 2024, https://arxiv.org/abs/2303.14535."""

from collections.abc import Mapping

import torch
from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel
from safetensors.torch import load_file
from torch import nn

from mad_core.errors import InputError
from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.trained_scorer import TrainedScorer


class EfficientAd(TrainedScorer):
    """A student and an autoencoder learn a small distilled teacher on normals; Batzner et al. 2024.

    The paper punishes the student for answering on ImageNet pictures; here spectral noise stands for
    them, so that nothing is downloaded for it.
    """

    id = "efficientad"
    frozen = ("teacher.",)
    normalisation = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # the model normalises by itself
    default_steps: Mapping[str, int] = {"cpu": 100, "cuda": 3000}

    def build(self) -> nn.Module:
        model = EfficientAdModel()
        if self.weights is not None:
            try:
                model.teacher.load_state_dict(load_file(self.weights))
            except RuntimeError as error:
                raise InputError(f"The weights {self.weights.name} do not fit EfficientAd's small teacher.") from error
        return model

    def optimiser(self) -> torch.optim.Optimizer:
        trained = [*self.model.student.parameters(), *self.model.ae.parameters()]
        return torch.optim.Adam(trained, lr=1e-4, weight_decay=1e-5)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        parts = images.split(self.batch)
        with torch.no_grad():
            outputs = [self.model.teacher(self.normalised(part, context)) for part in parts]
            teacher = torch.cat([o.transpose(0, 1).flatten(1)[:, ::4] for o in outputs], 1)
            self.model.mean_std["mean"] = teacher.mean(1)[None, :, None, None]
            self.model.mean_std["std"] = teacher.std(1)[None, :, None, None]
        super().learn(images, context)
        self.model.eval()
        with torch.no_grad():
            of_parts = [self.model.get_maps(self.normalised(part, context)) for part in parts]
        for name, maps in zip(("st", "ae"), zip(*of_parts, strict=True), strict=True):
            values = torch.cat(maps).flatten()
            values = values[:: max(1, len(values) // 1_000_000)]
            self.model.quantiles[f"qa_{name}"] = torch.quantile(values, 0.9)
            self.model.quantiles[f"qb_{name}"] = torch.quantile(values, 0.995)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return sum(self.model(batch, _spectral_noise(1, self.size, batch.device)), batch.new_zeros(()))


def _spectral_noise(count: int, size: int, device: torch.device) -> torch.Tensor:
    """Images with the 1/f spectrum of natural pictures: (count, 3, size, size) in 0-1."""
    frequency = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1.0
    spectrum = torch.fft.rfft2(torch.randn(count, 3, size, size)) / frequency
    noise = torch.fft.irfft2(spectrum, s=(size, size))
    return ((noise / noise.std() + 2) / 4).clamp(0, 1).to(device)
