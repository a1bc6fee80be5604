"""GANomaly."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.parameters import reduction, steps, tiles

CARD = ScorerInfo(
    id="ganomaly",
    title="GANomaly",
    family="reconstruction",
    entry="mad_core.scorers.detectors.ganomaly:Ganomaly",
    paper="Akcay et al. 2018, GANomaly (not Skip-GANomaly), https://arxiv.org/abs/1805.06725",
    summary="An encoder-decoder-encoder against a discriminator; the two codes drift apart on the unseen.",
    needs="Nothing: it trains on the normals alone; better on a GPU.",
    cost="Minutes on a GPU or on two cores; 2 GB.",
    parameters=(
        Parameter("size", "choice", "128", "Side of the square image, pixels.", choices=("64", "128", "256")),
        steps(),
        reduction("model", "model"),
        tiles(),
    ),
)
