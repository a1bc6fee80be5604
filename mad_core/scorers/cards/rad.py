"""RAD."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.parameters import DINOV2, DINOV3, backbone, missing, reduction, square, tiles, weights_file

CARD = ScorerInfo(
    id="rad",
    title="RAD",
    family="memory bank",
    entry="mad_core.scorers.detectors.rad:Rad",
    paper="RAD 2026, Retrieval-based Anomaly Detection, https://arxiv.org/abs/2601.22763",
    summary="Looks up the normals that resemble a picture most and compares its tokens with theirs at the same place. "
    "Needs no training.",
    needs="DINOv3 or DINOv2 weights (87 to 346 MB, once).",
    cost="About 1 s an image on two cores; 4 GB.",
    needs_weights=True,
    parameters=(
        backbone(DINOV3[0], (*DINOV3, *DINOV2)),
        weights_file(),
        square(448),
        Parameter(
            "positions",
            "choice",
            "nearby",
            "Compare with tokens at nearby positions, or anywhere (for parts that lie in any pose).",
            choices=("nearby", "anywhere"),
        ),
        Parameter("pictures", "int", 64, "Normals kept, with all their tokens.", 4, 1000, advanced=True),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("rad"),
)
