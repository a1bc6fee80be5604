"""CFLOW-AD."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import BACKBONES, backbone, missing, reduction, square, steps, tiles, weights_file

CARD = ScorerInfo(
    id="cflow",
    title="CFLOW-AD",
    family="flow",
    entry="mad_core.scorers.detectors.cflow:Cflow",
    paper="Gudovskiy et al. 2022, CFLOW-AD, https://arxiv.org/abs/2107.12571",
    summary="Normalising flows give the likelihood of each feature at its position.",
    needs="Backbone weights (276 MB, once); better on a GPU.",
    cost="Minutes on a GPU, tens of minutes on two cores; 6 GB.",
    needs_weights=True,
    parameters=(
        backbone("wide_resnet50_2.tv_in1k", (weights.LITE, *BACKBONES)),
        weights_file(),
        square(256),
        steps(),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("cflow"),
)
