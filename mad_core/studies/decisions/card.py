"""What the study asks and needs. No torch here."""

from mad_core.scorers.contract import Parameter
from mad_core.studies.study import StudyInfo

COSTS = (
    Parameter("under", "float", 5.0, "What calling an image one level too low costs.", 0, 1e6),
    Parameter("over", "float", 1.0, "What calling an image one level too high costs.", 0, 1e6),
)

CARD = StudyInfo(
    id="decisions",
    order=50,
    title="Decisions",
    question="Where should the score be cut into levels, and what do the decisions cost?",
    about="A score is cut into levels at points placed for the lowest cost, by isotonic fit, or by hand. The "
    "matrix shows what images of each level are called; kappa counts errors by the square of their distance. The "
    "miss rate says how many images of a level pass as normal when so large a share of the normals may be stopped.",
    needs="A run.",
    parameters=(
        *COSTS,
        Parameter("overkill", "float", 0.05, "Share of normal images that may be called abnormal.", 0, 1),
        Parameter("confidence", "float", 0.9, "Share of images whose level the intervals should hold.", 0.5, 0.99),
    ),
)
