"""Subspace of normal patches."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, own_backbone, reduction, weights_file, working_side

CARD = ScorerInfo(
    id="subspace",
    title="Subspace",
    family="feature density",
    entry="mad_core.scorers.detectors.subspace:Subspace",
    paper="After SubspaceAD 2026 (ours: convolutional features, soft subspace, places), "
    "https://arxiv.org/abs/2602.23013",
    summary="How far patch features lie from what normals show, measured in the normals' own directions and spreads. "
    "Needs no training: one pass over the normals.",
    needs="Nothing from the network: the backbone is installed with this software.",
    cost="About 0.05 s an image on two cores; 1 GB.",
    needs_weights=True,
    parameters=(own_backbone(), weights_file(), working_side(), reduction("model", "model")),
    why_not=missing("subspace"),
    settle=weights.settled_own,
)
