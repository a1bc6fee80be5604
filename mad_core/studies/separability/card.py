"""What the study asks and needs. No torch here."""

from mad_core.scorers.contract import Parameter
from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="separability",
    order=80,
    title="Separability of levels in feature space",
    question="Are severity levels hard to tell apart in the features themselves, and on which subset most?",
    about="No scorer is asked. A linear probe with a C-index near 0.5 finds no order of levels in the features; "
    "near 1 the order lies open. A silhouette near 0 means that levels overlap. Where features do not "
    "separate levels, scorers that build on them cannot order severity well.",
    needs="Test images of two levels or more; no run. At most 1,000 test images a subset are looked at.",
    parameters=(
        Parameter(
            "features",
            "choice",
            "mad-formula-s",
            "What describes an image: mad-formula-s, the backbone that ships, or filterbank, plain filters.",
            choices=("mad-formula-s", "filterbank"),
        ),
        Parameter(
            "against",
            "text",
            "",
            "Another imported dataset, by name or id, whose subsets are compared too. Empty: this one only.",
        ),
    ),
    least_runs=0,
)
