"""DFM: reconstruction error of deep features; Ahuja et al. 2019, https://arxiv.org/abs/1909.11786."""

import torch
from anomalib.models.image.dfm.torch_model import DFMModel
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.model_scorer import ModelScorer


class Dfm(ModelScorer):
    """Reconstruction error of deep features after a principal component analysis; Ahuja et al. 2019."""

    id = "dfm"

    def build(self) -> nn.Module:
        return DFMModel(self.architecture(), "layer3", True, pooling_kernel_size=2, n_comps=0.97, score_type="fre")

    def learn(self, images: torch.Tensor, context: Context) -> None:
        self.gather(images, context, 2 * len(images))
        self.model.fit()
