"""Reverse Distillation."""

from functools import partial

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, open_backbone, reduction, square, steps, tiles, weights_file

CARD = ScorerInfo(
    id="reverse-distillation",
    title="Reverse Distillation",
    family="distillation",
    entry="mad_core.scorers.detectors.reverse_distillation:ReverseDistillation",
    paper="Deng and Li 2022, Anomaly Detection via Reverse Distillation (RD4AD), https://arxiv.org/abs/2201.10703",
    summary="A decoder learns to give back the features of normals from a narrow code. "
    "Where it fails, something unseen is in the image.",
    needs="Backbone weights (276 MB, once); better on a GPU.",
    cost="Minutes on a GPU, tens of minutes on two cores; 6 GB.",
    needs_weights=True,
    parameters=(
        open_backbone(),
        weights_file(),
        square(256),
        steps(),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("reverse-distillation"),
    settle=partial(weights.settled, "reverse-distillation"),
)
