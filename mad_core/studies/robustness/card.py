"""What the study asks and needs. No torch here."""

from mad_core.scorers.contract import Parameter
from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="robustness",
    order=10,
    title="Robustness against corruption",
    question="Do scores survive worse pictures, and which severity levels does a scorer lose first?",
    about="Test images are spoilt in five strengths and scored by scorers that learned from clean normals. A line "
    "that stays level does not care; one that falls towards 0.5 ends in guessing. Lines that part show which level "
    "is lost first. The slider shows one image and what each scorer sees in it.",
    needs="A run that was made here; its fit is used again.",
    kinds=("made here",),
    parameters=(
        Parameter(
            "corruptions",
            "text",
            "",
            "Which, separated by commas: brightness, contrast, noise, blur, jpeg, cast, moved, occlusion. "
            "Empty: noise, blur and brightness when quick, else all.",
        ),
    ),
)
