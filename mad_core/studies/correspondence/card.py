"""What the study asks and needs. No torch here."""

from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="correspondence",
    order=20,
    title="Detection and severity order",
    question="Does a scorer that tells defects from good parts well also tell bad defects from small ones?",
    about="Each point is one scorer on one subset. To the right: it tells normal from abnormal images better. "
    "Higher: it orders the abnormal images better by severity. On the dotted line severity is ordered at random, "
    "and the cross is perfect detection with random severity. Points near that line detect without ordering. "
    "Scorers are compared within a subset, since an easy subset lifts all of them.",
    needs="Two runs or more; six scorers before anything can be said of all of them.",
    least_runs=2,
)
