"""Filter bank."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import filter_bank, reduction, tiles

CARD = ScorerInfo(
    id="filterbank",
    title="Filter bank",
    family="filter bank",
    entry="mad_core.scorers.detectors.filterbank:FilterBank",
    paper="After Portilla and Simoncelli 2000, https://doi.org/10.1023/A:1026553619983",
    summary="Compares the strongest filter responses in each part of the image with those of normals nearby. "
    "It sees structure, not meaning: its scores follow how much is wrong rather than how bad it is.",
    needs="Nothing: no weights, no network, no GPU.",
    cost="About 0.03 s an image on two cores; 1 GB.",
    parameters=(*filter_bank(), reduction("top5"), tiles()),
    grows=True,
    exports=True,
)
