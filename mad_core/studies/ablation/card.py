"""What the study asks and needs. No torch here."""

from mad_core.scorers.contract import Parameter
from mad_core.studies.study import StudyInfo

CARD = StudyInfo(
    id="ablation",
    order=70,
    title="Ablation of the question",
    question="What do references, rubric, difference view and image each bring to a multimodal model's score?",
    about="The same images are judged again with one part of the question left out. What is lost is what the part "
    "brings; a part whose interval holds 0 brings nothing clear. With the rubric reversed the mildest scores stand "
    "for the worst meaning: a model that reads it orders abnormal images worse, below 0.5 if it follows. A grey "
    "field in place of the image shows what the model expects before it looks.",
    needs="A run of a multimodal model that was made here. Its images are judged about five times more.",
    kinds=("mllm",),
    parameters=(
        Parameter(
            "consent",
            "bool",
            False,
            "Only for a model on a server: images leave this machine for it once more; yes agrees to that for "
            "this study.",
        ),
    ),
)
