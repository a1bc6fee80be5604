"""Learned from grades."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights

CARD = ScorerInfo(
    id="graded",
    title="Learned from grades",
    family="learned severity",
    entry="mad_core.scorers.graded:Graded",
    paper="This project: a Gaussian process over frozen features and a detector's score; docs/learning.md",
    summary="Orders images by severity as a person graded a handful of them. A detector's score is where it starts; "
    "what a pretrained network sees in the picture, and where it departs from normal, is added as grades say.",
    needs="A finished run of a conventional detector (the default one is done first where there is none), and graded "
    "images: calibration images with levels, set aside by --calibrate 5.",
    cost="Features of each image once, as a memory bank takes; learning from 100 grades about a second.",
    supervision="labels",
    parameters=(
        Parameter(
            "detector",
            "text",
            "",
            "Id of the detector's run; empty: the default detector's, which is done first where there is none.",
        ),
        Parameter(
            "model",
            "text",
            "",
            "Id of a multimodal model's run, whose score and distribution are learned from, too; empty: of none.",
        ),
        Parameter(
            "grades",
            "choice",
            "calibration",
            "calibration: the levels of images set aside. ratings: what reviewers agree on in the audit, by majority; "
            "the rated images are set aside.",
            choices=("calibration", "ratings"),
        ),
        Parameter(
            "backbone",
            "choice",
            weights.LITE,
            "Network whose features the learner sees.",
            choices=(weights.LITE,),
        ),
        Parameter("size", "int", 320, "Side of a typical picture as the network sees it, pixels.", 64, 1024),
        Parameter(
            "guarantee",
            "float",
            0.8,
            "Chance with which the set of levels named for an image holds its level.",
            0.5,
            0.99,
        ),
    ),
    parts={"detector": "detector"},
    may_have={"model": "mllm"},
    starts_with={"detector": "subspace"},
    needs_weights=True,
    exports=True,
    why_not=lambda parameters: weights.why_not("subspace", {**parameters, "weights": weights.PRETRAINED}),
)
