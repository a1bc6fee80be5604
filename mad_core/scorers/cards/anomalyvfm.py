"""AnomalyVFM."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import missing, reduction, square, tiles, weights_file

CARD = ScorerInfo(
    id="anomalyvfm",
    title="AnomalyVFM",
    family="vision foundation",
    entry="mad_core.scorers.detectors.anomalyvfm:AnomalyVfm",
    paper="Fučka et al. 2026, AnomalyVFM, https://arxiv.org/abs/2601.20524",
    summary="A foundation model that was taught on generated anomalies says whether a picture is anomalous, and where. "
    "Needs no normals.",
    needs="Its weights (1.4 GB, once).",
    cost="Tens of seconds an image on two cores, less than one on a GPU; 6 GB.",
    needs_fit=False,
    supervision="none",
    needs_weights=True,
    parameters=(
        weights_file(),
        square(768),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("anomalyvfm"),
)
