"""What the study asks and needs. No torch here."""

from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="hybrid",
    order=60,
    title="Detector, multimodal model and their blend",
    question="Do a detector and a multimodal model together order severity better than the better one alone?",
    about="At the right end the detector decides alone, at the left end the multimodal model. A hump between them "
    "means that each knows what the other does not; a slope means that the worse one only adds noise. The sentence "
    "judges a weight that was found on other images, since the best point of a curve flatters itself.",
    needs="A run of a conventional detector and one of a multimodal model.",
    kinds=("detector", "mllm"),
    least_runs=2,
)
