"""What the study asks and needs. No torch here."""

from mad_core.scorers.contract import Parameter
from mad_core.studies.decisions.card import COSTS
from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="level-mix",
    order=40,
    title="Levels as in the field",
    question="What would the metrics and the cost be where severe defects are as rare as in the field?",
    about="A test set holds as many images of each level as could be had. Here each level gets another share. The "
    "AUROC of a level does not move, since it compares that level with normal images alone; what moves is how "
    "often each pair of levels counts.",
    needs="A run.",
    parameters=(
        Parameter("normal", "float", 0.9, "Share of normal images in the field.", 0.01, 0.999),
        *COSTS,
    ),
)
