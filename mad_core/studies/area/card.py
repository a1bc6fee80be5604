"""What the study asks and needs. No torch here."""

from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="area",
    order=30,
    title="Severity and area",
    question="Does a scorer follow how bad a defect is, or only how large it is?",
    about="Levels by area have as many images each as the levels by risk, but follow the area of the defect alone. "
    "A scorer whose C-index against them is the higher one measures size. At fixed area means: "
    "between images of nearly equal area; 0 there means that area explains all of the order of severity.",
    needs="A run, and masks or stored anomaly maps.",
)
