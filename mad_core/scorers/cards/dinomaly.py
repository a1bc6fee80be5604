"""Dinomaly."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import DINOV2, backbone, missing, reduction, square, steps, tiles, weights_file

CARD = ScorerInfo(
    id="dinomaly",
    title="Dinomaly",
    family="vision foundation",
    entry="mad_core.scorers.detectors.dinomaly:Dinomaly",
    paper="Guo et al. 2025, Dinomaly: The Less Is More Philosophy, https://arxiv.org/abs/2405.14325",
    summary="A decoder reconstructs DINOv2 features behind a noisy bottleneck. "
    "Among the strongest unsupervised detectors published.",
    needs="DINOv2 weights (88 or 346 MB, once); a GPU for a full fit.",
    cost="Minutes on a GPU; 6 GB.",
    needs_weights=True,
    parameters=(
        backbone(DINOV2[0], DINOV2),
        weights_file(),
        square(392),
        steps(),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("dinomaly"),
)
