"""SuperADD."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.parameters import DINOV3, backbone, missing, reduction, square, tiles, weights_file

CARD = ScorerInfo(
    id="superadd",
    title="SuperADD",
    family="memory bank",
    entry="mad_core.scorers.detectors.superadd:SuperAdd",
    paper="SuperADD 2026, https://arxiv.org/abs/2605.14808",
    summary="Distance of DINOv3 tokens of four layers to a memory of normals, one for each layer. Needs no training.",
    needs="DINOv3 weights (87 or 343 MB, once).",
    cost="About 1 s an image on two cores; 6 GB.",
    needs_weights=True,
    parameters=(
        backbone(DINOV3[0], DINOV3),
        weights_file(),
        square(448),
        Parameter("most", "int", 10_000, "Tokens of normals kept a layer.", 1000, 200_000, advanced=True),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("superadd"),
)
