"""MH-PatchCore: a whitened memory of fixed size; Ferrari et al. 2026, https://arxiv.org/abs/2605.27748."""

from typing import Any

import torch
from anomalib.models.image.mh_patchcore.torch_model import MHPatchcoreModel
from torch import nn

from mad_core.scorers.contract import Context
from mad_core.scorers.detectors.model_scorer import ModelScorer


class MhPatchCore(ModelScorer):
    """Distance of whitened patches to a memory whose size does not grow with the normals."""

    id = "mh-patchcore"
    batch = 4

    def build(self) -> nn.Module:
        return MHPatchcoreModel(self.architecture(), memory_bank_size=self.parameters["most"])

    def steps(self, normals: int, context: Context) -> int:
        return 4 * normals

    def learn(self, images: torch.Tensor, context: Context) -> None:
        model, done, total = self.model, len(images), self.steps(len(images), context)
        passes: list[tuple[Any, list[Any]]] = [
            (model.pca, []),
            (model.covariance, [model.pca]),
            (model.memory_bank, [model.pca, model.covariance]),
        ]
        model.train()
        model.feature_extractor.eval()
        with torch.no_grad():
            for part, before in passes:
                for batch in self.batches(images):
                    patches = model(self.normalised(batch, context))
                    for step in before:
                        patches = step(patches)
                    part.update(patches)
                    done += len(batch)
                    context.step(done, total)
                part.finalize()

    def facts(self) -> dict[str, Any]:
        return super().facts() | {
            "components": int(self.model.pca.num_components),
            "bank": len(self.model.memory_bank.bank),
        }
