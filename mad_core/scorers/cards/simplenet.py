"""SimpleNet."""

from functools import partial

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import missing, open_backbone, reduction, steps, tiles, weights_file, working_side

CARD = ScorerInfo(
    id="simplenet",
    title="SimpleNet",
    family="feature discrimination",
    entry="mad_core.scorers.detectors.simplenet:SimpleNet",
    paper="Liu et al. 2023, SimpleNet (our re-implementation; not SuperSimpleNet), https://arxiv.org/abs/2303.15140",
    summary="A small network learns to tell adapted features of normals from the same with Gaussian noise. "
    "Our re-implementation: it learns from a sample of patches and keeps the last step.",
    needs="Backbone weights (276 MB, once), or a backbone that needs no download.",
    cost="Two minutes to fit on two cores; 4 GB.",
    needs_weights=True,
    parameters=(
        open_backbone(),
        weights_file(),
        working_side(),
        steps(),
        Parameter("patches", "int", 100_000, "Patches of normals kept at most.", 1000, 2_000_000, advanced=True),
        Parameter(
            "noise",
            "float",
            None,
            f"Standard deviation of the noise. Empty: 0.015 as in the paper; with {' or '.join(weights.ANY_SHAPE)}, "
            "whose features' standard deviation is the unit, what suits them.",
            1e-4,
            10.0,
            advanced=True,
        ),
        reduction("model", "model"),
        tiles(),
    ),
    why_not=missing("simplenet"),
    settle=partial(weights.settled, "simplenet"),
)
