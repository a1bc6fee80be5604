"""Hybrid."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter

CARD = ScorerInfo(
    id="hybrid",
    title="Hybrid",
    family="hybrid",
    entry="mad_core.scorers.hybrid:Hybrid",
    paper="After Huang et al. 2024, Are Anomaly Scores Telling the Whole Story?, https://arxiv.org/abs/2411.14515",
    summary="Two runs made into one. stages: the detector decides whether and where, the multimodal model how bad. "
    "blend: a weighted sum whose weight is learned on labelled calibration images.",
    needs="A finished run of a conventional detector and one of a multimodal model on the same dataset.",
    cost="Nothing beyond its parts, but for normals and calibration images that they have not scored yet.",
    supervision="labels",
    parameters=(
        Parameter(
            "mode",
            "choice",
            "stages",
            "stages: up to the detector's threshold its own order, below every image that the model judges. "
            "blend: weighted sum of both, standardised against normals.",
            choices=("stages", "blend"),
        ),
        Parameter("detector", "text", "", "Id of the detector's run; empty: the newest finished one."),
        Parameter("mllm", "text", "", "Id of the multimodal model's run; empty: the newest finished one."),
        Parameter(
            "quantile",
            "float",
            0.9,
            "Share of normals that the detector's threshold lets pass as normal (stages).",
            0.5,
            0.999,
        ),
    ),
    parts={"detector": "detector", "mllm": "mllm"},
)
