"""Autoencoder."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import reduction, square, steps, tiles

CARD = ScorerInfo(
    id="autoencoder",
    title="Autoencoder",
    family="reconstruction",
    entry="mad_core.scorers.detectors.autoencoder:Autoencoder",
    paper="After Bergmann et al. 2019, https://arxiv.org/abs/1807.02011",
    summary="A small network learns to redraw normals; what it cannot redraw stands out. "
    "The plainest baseline that learns, and needs nothing from the network.",
    needs="Nothing: it trains on the normals alone.",
    cost="About half a minute on two cores; 1 GB.",
    parameters=(square(128), steps(), reduction("top5", "model"), tiles()),
    exports=True,
)
