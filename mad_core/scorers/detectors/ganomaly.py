"""GANomaly: encoder, decoder, encoder and a discriminator; Akcay et al. 2018, https://arxiv.org/abs/1805.06725."""

from collections.abc import Mapping

import torch
from anomalib.models.image.ganomaly.loss import DiscriminatorLoss, GeneratorLoss
from anomalib.models.image.ganomaly.torch_model import GanomalyModel
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.trained_scorer import TrainedScorer
from mad_core.scorers.features.filters import blur


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
