"""What the study asks and needs. No torch here."""

from mad_core.metrics.names import headline
from mad_core.scorers.contract import Parameter
from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="cost",
    order=90,
    title="Cost and quality",
    question="Which scorer is worth its time, memory and energy on this device?",
    about="Each point is one scorer. To the right: faster. Higher: better. Full points are on the front: no "
    "other scorer on the same device is both faster and better. An empty point is beaten by one that costs less "
    "and gives more. Whiskers are 95 % intervals: where they overlap widely, take the faster one.",
    needs="A run that was made here; imported scores recorded no time.",
    kinds=("made here",),
    parameters=(
        Parameter(
            "metric",
            "choice",
            "c_index",
            "What quality is.",
            choices=tuple(metric.id for metric in headline()),
        ),
    ),
)
