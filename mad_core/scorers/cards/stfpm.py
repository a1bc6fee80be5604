"""STFPM."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import backbone, missing, reduction, square, steps, tiles, weights_file

CARD = ScorerInfo(
    id="stfpm",
    title="STFPM",
    family="distillation",
    entry="mad_core.scorers.detectors.stfpm:Stfpm",
    paper="Wang et al. 2021, Student-Teacher Feature Pyramid Matching, https://arxiv.org/abs/2103.04257",
    summary="A student network learns the teacher's features on normals; elsewhere the two disagree.",
    needs="Backbone weights (47 MB, once).",
    cost="A minute on a GPU, several on two cores; 2 GB.",
    needs_weights=True,
    parameters=(
        backbone("resnet18.tv_in1k"),
        weights_file(),
        square(256),
        steps(),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("stfpm"),
)
