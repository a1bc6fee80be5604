"""INP-Former."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.parameters import DINOV2, backbone, missing, reduction, square, steps, tiles, weights_file

CARD = ScorerInfo(
    id="inp-former",
    title="INP-Former",
    family="vision foundation",
    entry="mad_core.scorers.detectors.inp_former:InpFormer",
    paper="Luo et al. 2025, INP-Former, https://arxiv.org/abs/2503.02424",
    summary="Finds prototypes of the normal in each picture and gives the picture back from these alone. "
    "What they cannot give back is anomalous.",
    needs="DINOv2 weights (88 or 346 MB, once); a GPU for a full fit.",
    cost="Minutes on a GPU; 6 GB.",
    needs_weights=True,
    parameters=(
        backbone(DINOV2[0], DINOV2),
        weights_file(),
        square(392),
        steps(),
        Parameter("prototypes", "int", 6, "Normal prototypes of a picture.", 1, 64, advanced=True),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("inp-former"),
)
