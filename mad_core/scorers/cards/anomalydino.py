"""AnomalyDINO."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.parameters import DINOV2, DINOV3, backbone, missing, reduction, square, tiles, weights_file

CARD = ScorerInfo(
    id="anomalydino",
    title="AnomalyDINO",
    family="memory bank",
    entry="mad_core.scorers.detectors.anomalydino:AnomalyDino",
    paper="Damm et al. 2025, AnomalyDINO, https://arxiv.org/abs/2405.14529",
    summary="Cosine distance of a picture's DINO tokens to the nearest tokens of normals. "
    "Made for few normals; needs no training.",
    needs="DINOv2 or DINOv3 weights (88 to 346 MB, once).",
    cost="About 0.3 s an image on two cores; 3 GB.",
    needs_weights=True,
    parameters=(
        backbone(DINOV2[0], (*DINOV2, *DINOV3)),
        weights_file(),
        square(252),
        Parameter("neighbours", "int", 1, "Nearest tokens whose distance is averaged.", 1, 50, advanced=True),
        Parameter("foreground", "bool", False, "Leave out what a component analysis takes for background."),
        Parameter("most", "int", 20_000, "Tokens of normals kept at most, by a coreset.", 10, 200_000, advanced=True),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("anomalydino"),
)
