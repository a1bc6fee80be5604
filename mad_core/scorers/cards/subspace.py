"""Subspace of normal patches."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, own_backbone, reduction, tiles, weights_file, working_side

VARIANCE = Parameter(
    "variance", "float", 0.99, "Share of the normals' variance that the subspace holds.", 0.5, 0.9999, advanced=True
)
FINE = Parameter(
    "fine",
    "float",
    0.5,
    "Weight of fine structure that normals do not show there, beside the residual; 0: the residual alone.",
    0.0,
    4.0,
    advanced=True,
)
CARD = ScorerInfo(
    id="subspace",
    title="Subspace",
    family="feature density",
    entry="mad_core.scorers.detectors.subspace:Subspace",
    paper="After SubspaceAD 2026 (ours: convolutional features, aspect kept), https://arxiv.org/abs/2602.23013",
    summary="What patch features have beside the directions in which normals vary, and fine structure that normals "
    "nearby do not show. Needs no training: one pass over the normals.",
    needs="Nothing from the network: the backbone is installed with this software.",
    cost="About 0.05 s an image on two cores; 1 GB.",
    needs_weights=True,
    parameters=(own_backbone(), weights_file(), working_side(), VARIANCE, FINE, reduction("model", "model"), tiles()),
    why_not=missing("subspace"),
    settle=weights.settled_own,
    grows=True,
    exports=True,
)
