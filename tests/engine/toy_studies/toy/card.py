"""What the toy study asks and needs."""

from __future__ import annotations

from mad_core.scorers.contract import Parameter
from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="toy",
    title="Toy study",
    question="What is the mean score?",
    about="A mean.",
    needs="A run.",
    parameters=(
        Parameter("steps", "int", 3, "How many steps.", 1, 1000),
        Parameter("wait", "float", 0.0, "Seconds a step.", 0, 1),
        Parameter("fails", "bool", False, "Whether it fails."),
    ),
)
