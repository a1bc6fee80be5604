"""FastFlow."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import backbone, missing, reduction, square, steps, tiles, weights_file

CARD = ScorerInfo(
    id="fastflow",
    title="FastFlow",
    family="flow",
    entry="mad_core.scorers.detectors.fastflow:Fastflow",
    paper="Yu et al. 2021, FastFlow, https://arxiv.org/abs/2111.07677",
    summary="A two-dimensional normalising flow over backbone features.",
    needs="Backbone weights (47 MB, once).",
    cost="Minutes on a GPU or on two cores; 4 GB.",
    needs_weights=True,
    parameters=(
        backbone("resnet18.tv_in1k"),
        weights_file(),
        square(256),
        steps(),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("fastflow"),
)
