"""Skip-GANomaly."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import framed_side, framed_width, reduction, steps, tiles

CARD = ScorerInfo(
    id="skip-ganomaly",
    title="Skip-GANomaly",
    family="reconstruction",
    entry="mad_core.scorers.detectors.skip_ganomaly:SkipGanomaly",
    paper="Akcay et al. 2019, Skip-GANomaly (our re-implementation), https://arxiv.org/abs/1901.08954",
    summary="A U-Net redraws the image against a discriminator; what it draws otherwise stands out. "
    "Our re-implementation: pictures keep their aspect, scores are not scaled over the test set, and the "
    "reconstruction error is the map.",
    needs="Nothing: it trains on the normals alone; better on a GPU.",
    cost="Two minutes to fit on two cores; minutes on a GPU; 2 GB.",
    parameters=(framed_side("64", "128", "256", "512"), framed_width(), steps(), reduction("model", "model"), tiles()),
)
