"""Perturbation resilience."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.parameters import framed_side, framed_width, reduction, steps, tiles

CARD = ScorerInfo(
    id="perturbation",
    title="Perturbation resilience",
    family="perturbation",
    entry="mad_core.scorers.detectors.perturbation:Perturbation",
    paper="Shin et al. 2023, Anomaly Detection using Score-based Perturbation Resilience (our re-implementation), "
    "ICCV 2023",
    summary="A score model learns to take noise off normals; where a slightly perturbed image does not return, "
    "something is unseen. Our re-implementation: trained at small noise only, with the same noise for all images.",
    needs="Nothing: it trains on the normals alone; better on a GPU.",
    cost="Three minutes to fit on two cores; minutes on a GPU; 2 GB.",
    parameters=(
        framed_side("64", "128", "192", "256"),
        framed_width(),
        steps(),
        Parameter(
            "noise",
            "float",
            0.032,
            "Standard deviation of the perturbation, for pixels in -1 to 1; that of the paper is 0.032.",
            0.005,
            1.0,
            advanced=True,
        ),
        reduction("max"),
        tiles(),
    ),
)
