"""PaDiM."""

from functools import partial

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, open_backbone, reduction, square, tiles, weights_file

CARD = ScorerInfo(
    id="padim",
    title="PaDiM",
    family="memory bank",
    entry="mad_core.scorers.detectors.padim:Padim",
    paper="Defard et al. 2021, PaDiM, https://arxiv.org/abs/2011.08785",
    summary="A Gaussian of backbone features at every position. Fast; wants parts that lie the same way.",
    needs="Backbone weights (47 MB, once).",
    cost="Under a minute on two cores; 2 GB.",
    needs_weights=True,
    parameters=(
        open_backbone(),
        weights_file(),
        square(256),
        Parameter("features", "int", 100, "Feature channels kept, drawn at random.", 1, 448),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("padim"),
    settle=partial(weights.settled, "padim"),
    exports=True,
)
