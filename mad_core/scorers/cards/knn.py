"""Deep nearest neighbours."""

from functools import partial

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, open_backbone, weights_file, working_side

CARD = ScorerInfo(
    id="knn",
    title="Deep nearest neighbours",
    family="one-class",
    entry="mad_core.scorers.detectors.knn:Knn",
    paper="Reiss et al. 2021, PANDA, without fine-tuning (our re-implementation), https://arxiv.org/abs/2010.05903",
    summary="Distance of the whole image's deep features to those of the two nearest normals. "
    "Our re-implementation of PANDA's baseline, without its fine-tuning; it gives no anomaly map.",
    needs="Backbone weights (276 MB, once), or a backbone that needs no download.",
    cost="Under a minute on two cores; 2 GB.",
    needs_weights=True,
    parameters=(
        open_backbone(),
        weights_file(),
        working_side(),
        Parameter("neighbours", "int", 2, "Nearest normals whose distance counts.", 1, 50),
    ),
    why_not=missing("knn"),
    settle=partial(weights.settled, "knn"),
    grows=True,
    exports=True,
)
