"""PatchCore."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, open_backbone, reduction, square, tiles, weights_file

CARD = ScorerInfo(
    id="patchcore",
    title="PatchCore",
    family="memory bank",
    entry="mad_core.scorers.detectors.patchcore:PatchCore",
    paper="Roth et al. 2022, Towards Total Recall in Industrial Anomaly Detection, https://arxiv.org/abs/2106.08265",
    summary="Keeps a thinned bank of patch features of normals; the distance to it is the score. "
    "The strongest conventional detector of the benchmark's paper.",
    needs="Backbone weights (276 MB, once).",
    cost="Seconds on a GPU, minutes on two cores; 4 GB.",
    needs_weights=True,
    parameters=(
        open_backbone(),
        weights_file(),
        square(256),
        Parameter(
            "positions",
            "choice",
            None,
            "Compare with normals' patches anywhere, as in the paper, or nearby (for parts that lie alike). Empty: "
            f"anywhere, but with {weights.FORMULA} nearby where the normals lie alike.",
            choices=("anywhere", "nearby"),
        ),
        Parameter("coreset", "float", 0.01, "Share of the normals' patches that is kept.", 1e-4, 1.0),
        Parameter("most", "int", 20_000, "Patches kept at most.", 10, 200_000, advanced=True),
        Parameter("pictures", "int", 64, "Normals kept whole with positions nearby.", 4, 512, advanced=True),
        Parameter("neighbours", "int", 9, "Bank entries that re-weight the score.", 1, 50, advanced=True),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("patchcore"),
    settle=weights.settled_positions,
    grows=True,
    exports=True,
)
