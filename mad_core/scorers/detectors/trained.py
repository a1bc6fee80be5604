"""Detectors that train on the normals: distillation, flows, reconstruction. anomalib's torch models and losses.

Published schedules run for many epochs on a GPU; ``steps`` left open means a schedule this device
finishes in minutes, and the run records how many steps it took.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from anomalib.models.components import TimmFeatureExtractor
from anomalib.models.image.cflow.torch_model import CflowModel
from anomalib.models.image.cflow.utils import get_logp, positional_encoding_2d
from anomalib.models.image.dinomaly.components import StableAdamW, WarmCosineScheduler
from anomalib.models.image.dinomaly.torch_model import DinomalyModel
from anomalib.models.image.efficient_ad.torch_model import EfficientAdModel
from anomalib.models.image.fastflow.loss import FastflowLoss
from anomalib.models.image.fastflow.torch_model import FastflowModel
from anomalib.models.image.ganomaly.loss import DiscriminatorLoss, GeneratorLoss
from anomalib.models.image.ganomaly.torch_model import GanomalyModel
from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
from anomalib.models.image.reverse_distillation.loss import ReverseDistillationLoss
from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel
from anomalib.models.image.stfpm.loss import STFPMLoss
from anomalib.models.image.stfpm.torch_model import STFPMModel
from safetensors.torch import load_file
from torch import nn

from mad_core.errors import InputError
from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.conventional import ModelScorer
from mad_core.scorers.features import weights
from mad_core.scorers.features.filters import blur

TRAINING_BATCH = 8
STEPS = {"cpu": 200, "cuda": 2000}


class TrainedScorer(ModelScorer):
    """A model that takes ``steps`` optimiser steps on random batches of normals."""

    default_steps: Mapping[str, int] = STEPS

    def training_steps(self, context: Context) -> int:
        return self.parameters["steps"] or self.default_steps[context.device.partition(":")[0]]

    def steps(self, normals: int, context: Context) -> int:
        return normals + self.training_steps(context)

    def drawn_batches(self, images: torch.Tensor, context: Context) -> Iterator[torch.Tensor]:
        """Normalised batches drawn without replacement, epoch after epoch, with progress and cancel."""
        total, steps = self.steps(len(images), context), self.training_steps(context)
        generator, order = context.torch_generator(), torch.empty(0, dtype=torch.int64)
        size = min(TRAINING_BATCH, len(images))
        for step in range(steps):
            if len(order) < size:
                order = torch.cat([order, torch.randperm(len(images), generator=generator)])
            chosen, order = order[:size], order[size:]
            yield self.normalised(images[chosen], context)
            context.step(len(images) + step + 1, total)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        optimiser = self.optimiser()
        self.model.train()
        for batch in self.drawn_batches(images, context):
            optimiser.zero_grad()
            self.loss(batch).backward()
            optimiser.step()

    @abstractmethod
    def optimiser(self) -> torch.optim.Optimizer:
        """The published optimiser over what is trained."""

    @abstractmethod
    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """The training loss of a normalised batch (N, 3, S, S)."""


class ReverseDistillation(TrainedScorer):
    """A decoder learns to give the encoder's features of normals back; Deng and Li 2022."""

    id = "reverse-distillation"
    frozen = ("encoder.",)

    def build(self) -> nn.Module:
        side = (self.size, self.size)
        name, layers = self.architecture(), ["layer1", "layer2", "layer3"]
        if name != weights.FORMULA:
            return ReverseDistillationModel(name, side, layers, AnomalyMapGenerationMode.ADD, True)
        model = ReverseDistillationModel("resnet18", side, layers, AnomalyMapGenerationMode.ADD, False)
        model.encoder = TimmFeatureExtractor(name, layers)  # its layers are as wide as those of a ResNet-18
        return model

    def optimiser(self) -> torch.optim.Optimizer:
        trained = [*self.model.decoder.parameters(), *self.model.bottleneck.parameters()]
        return torch.optim.Adam(trained, lr=0.005, betas=(0.5, 0.99))

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return ReverseDistillationLoss()(*self.model(batch))


class Stfpm(TrainedScorer):
    """A student learns the teacher's feature pyramid on normals; Wang et al. 2021."""

    id = "stfpm"
    frozen = ("teacher_model.",)

    def build(self) -> nn.Module:
        return STFPMModel(["layer1", "layer2", "layer3"], self.architecture())

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.model.student_model.parameters(), lr=0.4, momentum=0.9, weight_decay=0.001)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        self.model.teacher_model.eval()
        return STFPMLoss()(*self.model(batch))


class Fastflow(TrainedScorer):
    """A two-dimensional normalising flow over backbone features; Yu et al. 2021."""

    id = "fastflow"

    def build(self) -> nn.Module:
        return FastflowModel((self.size, self.size), self.architecture(), True)

    def optimiser(self) -> torch.optim.Optimizer:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return torch.optim.Adam(trained, lr=0.001, weight_decay=1e-5)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return FastflowLoss()(*self.model(batch))


class Cflow(TrainedScorer):
    """Conditional normalising flows over features and their positions; Gudovskiy et al. 2022."""

    id = "cflow"
    frozen = ("encoder.",)
    fibres = 4096  # features per optimiser step and layer, drawn from the batch

    def build(self) -> nn.Module:
        return CflowModel(self.architecture(), ("layer2", "layer3", "layer4"), True, fiber_batch_size=self.fibres)

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.decoders.parameters(), lr=1e-4 * self.fibres / 256)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        self.model.encoder.eval()
        with torch.no_grad():
            features = self.model.encoder(batch)
        total = batch.new_zeros(())
        for decoder, layer in zip(self.model.decoders, self.model.pool_layers, strict=True):
            count, channels, height, width = features[layer].shape
            places = positional_encoding_2d(self.model.condition_vector, height, width).to(batch.device)
            places = places.flatten(1).T.repeat(count, 1)
            values = features[layer].permute(0, 2, 3, 1).reshape(-1, channels)
            keep = torch.randperm(len(values))[: self.fibres].to(batch.device)
            code, log_jacobian = decoder(values[keep], [places[keep]])
            total = total - F.logsigmoid(get_logp(channels, code, log_jacobian) / channels).mean()
        return total


class Dinomaly(TrainedScorer):
    """A decoder reconstructs DINOv2 features behind a noisy bottleneck; Guo et al. 2025."""

    id = "dinomaly"
    frozen = ("encoder.",)
    default_steps: Mapping[str, int] = {"cpu": 60, "cuda": 2000}

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.size = max(14, round(self.size / 14) * 14)

    def build(self) -> nn.Module:
        model = DinomalyModel(self.architecture())
        model.encoder.requires_grad_(False)
        for module in [*model.bottleneck.modules(), *model.decoder.modules()]:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return model

    def optimiser(self) -> torch.optim.Optimizer:
        trained = [*self.model.bottleneck.parameters(), *self.model.decoder.parameters()]
        return StableAdamW(trained, lr=2e-3, betas=(0.9, 0.999), weight_decay=1e-4, amsgrad=True, eps=1e-8)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        optimiser, steps = self.optimiser(), self.training_steps(context)
        schedule = WarmCosineScheduler(optimiser, 2e-3, 2e-4, total_iters=steps, warmup_iters=min(100, steps // 4))
        self.model.train()
        self.model.encoder.eval()
        for step, batch in enumerate(self.drawn_batches(images, context)):
            optimiser.zero_grad()
            self.model(batch, global_step=step * 1000 // steps).backward()
            nn.utils.clip_grad_norm_(self.model.decoder.parameters(), 0.1)
            optimiser.step()
            schedule.step()

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return self.model(batch, global_step=1000)


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
            found = [self.model.get_maps(self.normalised(part, context)) for part in parts]
        for name, maps in zip(("st", "ae"), zip(*found, strict=True), strict=True):
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


class Ganomaly(TrainedScorer):
    """An encoder-decoder-encoder trained against a discriminator; Akcay et al. 2018.

    The score is the distance of the two codes; the map, which the paper has not, the reconstruction error.
    """

    id = "ganomaly"
    frozen = ()
    normalisation = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    default_steps: Mapping[str, int] = {"cpu": 150, "cuda": 3000}

    def build(self) -> nn.Module:
        return GanomalyModel((self.size, self.size), num_input_channels=3, n_features=64, latent_vec_size=100)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        model = self.model
        rates = {"lr": 0.0002, "betas": (0.5, 0.999)}
        for_discriminator = torch.optim.Adam(model.discriminator.parameters(), **rates)
        for_generator = torch.optim.Adam(model.generator.parameters(), **rates)
        generator_loss, discriminator_loss = GeneratorLoss(), DiscriminatorLoss()
        model.train()
        for batch in self.drawn_batches(images, context):
            padded, fake, code, code_again = model(batch)
            real = model.discriminator(padded)[0].detach()
            loss = generator_loss(code, code_again, padded, fake, real, model.discriminator(fake)[0])
            for_generator.zero_grad()
            loss.backward()
            for_generator.step()
            real, judged = model.discriminator(padded)[0], model.discriminator(fake.detach())[0]
            for_discriminator.zero_grad()
            discriminator_loss(real, judged).backward()
            for_discriminator.step()

    def optimiser(self) -> torch.optim.Optimizer:
        raise NotImplementedError("Ganomaly has two optimisers")

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("Ganomaly has two losses")

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        fake, code, code_again = self.model.generator(images)
        error = (fake - images).abs().mean(1, keepdim=True)
        return (code - code_again).pow(2).mean(1).flatten(), blur(error, 2.0)[:, 0]


class Autoencoder(TrainedScorer):
    """A plain convolutional autoencoder: what it cannot give back was not in the normals.

    The error is divided by what normals show at the same place, so that edges do not count as defects.
    """

    id = "autoencoder"
    frozen = ()
    normalisation = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    default_steps: Mapping[str, int] = {"cpu": 400, "cuda": 4000}

    def build(self) -> nn.Module:
        return _Autoencoder(self.size)

    def optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=2e-3)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(self.model(batch), batch)

    def learn(self, images: torch.Tensor, context: Context) -> None:
        super().learn(images, context)
        self.model.eval()
        with torch.no_grad():
            errors = [self._error(self.normalised(part, context)) for part in images.split(self.batch)]
        self.model.usual.copy_(blur(torch.cat(errors).mean(0)[None, None], 2.0)[0, 0])

    def _error(self, images: torch.Tensor) -> torch.Tensor:
        error = (self.model(images) - images).pow(2).mean(1, keepdim=True)
        return blur(error, 1.5)[:, 0]

    def predict(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        usual = self.model.usual
        maps = (self._error(images) / (usual + 0.5 * usual.mean() + 1e-6)).sqrt()
        return maps.flatten(1).amax(1), maps


class _Autoencoder(nn.Module):
    """Four halvings to a narrow code and back; ``usual`` is the normals' mean error at every pixel."""

    usual: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        widths = (3, 32, 48, 64, 96)
        down: list[nn.Module] = []
        for before, after in pairwise(widths):
            down += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(0.1)]
        up: list[nn.Module] = []
        for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True):
            up += [nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, 1, 1)]
            up += [nn.BatchNorm2d(after), nn.LeakyReLU(0.1)] if after != 3 else []
        code = [nn.Conv2d(widths[-1], 24, 1), nn.Conv2d(24, widths[-1], 1), nn.LeakyReLU(0.1)]
        self.layers = nn.Sequential(*down, *code, *up)
        self.register_buffer("usual", torch.zeros(size, size))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return F.interpolate(self.layers(images), images.shape[2:], mode="bilinear", align_corners=False)
