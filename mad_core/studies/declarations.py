"""Declarations of the studies. No torch here."""

from __future__ import annotations

from mad_core.scorers.scorer import Parameter
from mad_core.studies.study import StudyInfo, register

register(
    StudyInfo(
        id="correspondence",
        title="Detection and severity order",
        question="Does a scorer that tells defects from good parts well also tell bad defects from small ones?",
        about="Each point is one scorer on one subset. To the right: it tells normal from abnormal images better. "
        "Higher: it orders the abnormal images better by severity. On the dotted line severity is ordered at random, "
        "and the cross is perfect detection with random severity. Points near that line detect without ordering. "
        "Scorers are compared within a subset, since an easy subset lifts all of them.",
        needs="Two runs or more; three subsets or scorers before anything can be said.",
        entry="mad_core.studies.correspondence:run",
        least_runs=2,
    )
)

register(
    StudyInfo(
        id="cost",
        title="Cost and quality",
        question="Which scorer is worth its time, memory and energy on this device?",
        about="Each point is one scorer. To the right: faster. Higher: better. Full points are on the front: no "
        "other scorer on the same device is both faster and better. An empty point is beaten by one that costs less "
        "and gives more. Whiskers are 95 % intervals: where they overlap widely, take the faster one.",
        needs="A run that was made here; imported scores recorded no time.",
        entry="mad_core.studies.cost:run",
        parameters=(
            Parameter(
                "metric",
                "choice",
                "c_index",
                "What quality is: c_index, abnormal_c_index (abnormal images only), kendall_tau_b or auroc_whole.",
                choices=("c_index", "abnormal_c_index", "kendall_tau_b", "auroc_whole"),
            ),
        ),
    )
)
