"""FoundAD."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import DINOV2, DINOV3, backbone, missing, reduction, square, steps, tiles, weights_file

CARD = ScorerInfo(
    id="foundad",
    title="FoundAD",
    family="vision foundation",
    entry="mad_core.scorers.detectors.foundad:FoundAd",
    paper="Zhai et al. 2026, Foundation Visual Encoders Are Secretly Few-Shot Anomaly Detectors, "
    "https://arxiv.org/abs/2510.01934",
    summary="A small projector learns to bring tokens back to where normal ones lie; what it moves is anomalous. "
    "Made for few normals.",
    needs="DINOv2 or DINOv3 weights (88 to 346 MB, once); a GPU for a full fit.",
    cost="Minutes on a GPU; 6 GB.",
    needs_weights=True,
    parameters=(
        backbone(DINOV2[0], (*DINOV2, *DINOV3)),
        weights_file(),
        square(518),
        steps(),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("foundad"),
)
