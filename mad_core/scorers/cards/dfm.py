"""DFM."""

from functools import partial

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, open_backbone, reduction, square, tiles, weights_file

CARD = ScorerInfo(
    id="dfm",
    title="DFM",
    family="feature density",
    entry="mad_core.scorers.detectors.dfm:Dfm",
    paper="Ahuja et al. 2019, Probabilistic Modeling of Deep Features, https://arxiv.org/abs/1909.11786",
    summary="Reconstruction error of deep features after a principal component analysis of the normals.",
    needs="Backbone weights (47 MB, once).",
    cost="Under a minute on two cores; 2 GB.",
    needs_weights=True,
    parameters=(
        open_backbone(),
        weights_file(),
        square(256),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("dfm"),
    settle=partial(weights.settled, "dfm"),
)
