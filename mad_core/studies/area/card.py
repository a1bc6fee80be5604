"""What the study asks and needs. No torch here."""

from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="area",
    order=30,
    title="Severity and area",
    question="Does a scorer follow how bad a defect is, or only how large it is?",
    about="Levels by area have as many images each as the levels by risk, but follow the area of the defect alone. "
    "A scorer whose C-index against them is the higher one measures size. Partial tau is the order of "
    "severity that is left when area is held fixed: 0 means that area explains all of it.",
    needs="A run, and masks or stored anomaly maps.",
)
