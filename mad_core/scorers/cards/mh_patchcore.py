"""MH-PatchCore."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import backbone, missing, reduction, square, tiles, weights_file

CARD = ScorerInfo(
    id="mh-patchcore",
    title="MH-PatchCore",
    family="memory bank",
    entry="mad_core.scorers.detectors.mh_patchcore:MhPatchCore",
    paper="Ferrari et al. 2026, Mahalanobis PatchCore, https://arxiv.org/abs/2605.27748",
    summary="PatchCore with whitened features and a memory of fixed size, built by merging and reducing. "
    "Memory does not grow with the number of normals.",
    needs="Nothing from the network with a backbone that ships; else backbone weights (47 or 276 MB, once).",
    cost="Three passes over the normals; about 1 s an image on two cores; 2 GB.",
    needs_weights=True,
    parameters=(
        backbone(weights.LITE),
        weights_file(),
        square(256),
        Parameter("most", "int", 1000, "Patches kept at most.", 10, 20_000),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("mh-patchcore"),
)
