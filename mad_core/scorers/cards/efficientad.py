"""EfficientAd-S."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import missing, reduction, square, steps, tiles, weights_file

CARD = ScorerInfo(
    id="efficientad",
    title="EfficientAd-S",
    family="distillation",
    entry="mad_core.scorers.detectors.efficientad:EfficientAd",
    paper="Batzner et al. 2024, EfficientAD, https://arxiv.org/abs/2303.14535",
    summary="A small teacher, a student and an autoencoder; fast at scoring. "
    "Spectral noise stands for the ImageNet pictures of the paper's penalty.",
    needs="The published teacher's weights (11 MB, once); better on a GPU.",
    cost="Minutes on a GPU; 4 GB.",
    needs_weights=True,
    parameters=(weights_file(), square(256, 256), steps(), reduction("model", "model"), tiles()),
    why_not=missing("efficientad"),
)
