"""AnomalyDINO: a memory of DINO tokens; Damm et al. 2025, https://arxiv.org/abs/2405.14529."""

import torch
from anomalib.models.image.anomaly_dino.torch_model import AnomalyDINOModel
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.dino import WholePatches
from mad_core.scorers.detectors.model_scorer import ModelScorer
from mad_core.scorers.features.coreset import greedy_coreset


class AnomalyDino(WholePatches, ModelScorer):
    """Cosine distance of each token to the nearest of the normals, thinned by a coreset that can be stopped."""

    id = "anomalydino"
    frozen = ("feature_encoder.",)

    def build(self) -> nn.Module:
        return AnomalyDINOModel(
            self.parameters["neighbours"], self.architecture(), masking=self.parameters["foreground"]
        )

    def steps(self, normals: int, context: Context) -> int:
        return 2 * normals + self.parameters["most"]

    def learn(self, images: torch.Tensor, context: Context) -> None:
        total = self.steps(len(images), context)
        self.gather(images, context, total)
        self.model.fit()
        bank = self.model.memory_bank
        keep = greedy_coreset(bank, self.parameters["most"], context, 2 * len(images), total)
        self.model.memory_bank = bank[keep.to(bank.device)]
