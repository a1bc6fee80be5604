"""Declarations of the studies. No torch here."""

from __future__ import annotations

from mad_core.scorers.contract import Parameter
from mad_core.studies.study import StudyInfo, register

register(
    StudyInfo(
        id="robustness",
        title="Robustness against corruption",
        question="Do scores survive worse pictures, and which severity levels does a scorer lose first?",
        about="Test images are spoilt in five strengths and scored by scorers that learned from clean normals. A line "
        "that stays level does not care; one that falls towards 0.5 ends in guessing. Lines that part show which level "
        "is lost first. The slider shows one image and what each scorer sees in it.",
        needs="A run that was made here; its fit is used again.",
        entry="mad_core.studies.robustness.run:run",
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
)

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
        entry="mad_core.studies.correspondence.run:run",
        least_runs=2,
    )
)

register(
    StudyInfo(
        id="area",
        title="Severity and area",
        question="Does a scorer follow how bad a defect is, or only how large it is?",
        about="Levels by area have as many images each as the levels by risk, but follow the area of the defect alone. "
        "A scorer whose C-index against them is the higher one measures size. Partial tau is the order of "
        "severity that is left when area is held fixed: 0 means that area explains all of it.",
        needs="A run, and masks or stored anomaly maps.",
        entry="mad_core.studies.area.run:run",
    )
)

_COSTS = (
    Parameter("under", "float", 5.0, "What calling an image one level too low costs.", 0, 1e6),
    Parameter("over", "float", 1.0, "What calling an image one level too high costs.", 0, 1e6),
)

register(
    StudyInfo(
        id="level-mix",
        title="Levels as in the field",
        question="What would the metrics and the cost be where severe defects are as rare as in the field?",
        about="A test set holds as many images of each level as could be had. Here each level gets another share. The "
        "AUROC of a level does not move, since it compares that level with normal images alone; what moves is how "
        "often each pair of levels counts.",
        needs="A run.",
        entry="mad_core.studies.level_mix.run:run",
        parameters=(
            Parameter("normal", "float", 0.9, "Share of normal images in the field.", 0.01, 0.999),
            *_COSTS,
        ),
    )
)

register(
    StudyInfo(
        id="decisions",
        title="Decisions",
        question="Where should the score be cut into levels, and what do the decisions cost?",
        about="A score is cut into levels at points placed for the lowest cost, by isotonic fit, or by hand. The "
        "matrix shows what images of each level are called; kappa counts errors by the square of their distance. The "
        "miss rate says how many images of a level pass as normal when so large a share of the normals may be stopped.",
        needs="A run.",
        entry="mad_core.studies.decisions.run:run",
        parameters=(
            *_COSTS,
            Parameter("overkill", "float", 0.05, "Share of normal images that may be called abnormal.", 0, 1),
            Parameter("confidence", "float", 0.9, "Share of images whose level the intervals should hold.", 0.5, 0.99),
        ),
    )
)

register(
    StudyInfo(
        id="hybrid",
        title="Detector, multimodal model and their blend",
        question="Do a detector and a multimodal model together order severity better than the better one alone?",
        about="At the right end the detector decides alone, at the left end the multimodal model. A hump between them "
        "means that each knows what the other does not; a slope means that the worse one only adds noise. The sentence "
        "judges a weight that was found on other images, since the best point of a curve flatters itself.",
        needs="A run of a conventional detector and one of a multimodal model.",
        entry="mad_core.studies.hybrid.run:run",
        kinds=("detector", "mllm"),
        least_runs=2,
    )
)

register(
    StudyInfo(
        id="ablation",
        title="Ablation of the question",
        question="What do references, rubric, difference view and image each bring to a multimodal model's score?",
        about="The same images are judged again with one part of the question left out. What is lost is what the part "
        "brings; a part whose interval holds 0 brings nothing clear. With the rubric reversed the mildest scores stand "
        "for the worst meaning: a model that reads it orders abnormal images worse, below 0.5 if it follows. A grey "
        "field in place of the image shows what the model expects before it looks.",
        needs="A run of a multimodal model that was made here. Its images are judged about five times more.",
        entry="mad_core.studies.ablation.run:run",
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
)

register(
    StudyInfo(
        id="separability",
        title="Separability of levels in feature space",
        question="Are severity levels hard to tell apart in the features themselves, and on which subset most?",
        about="No scorer is asked. A linear probe with a C-index near 0.5 finds no order of levels in the features; "
        "near 1 the order lies open. A silhouette near 0 means that levels overlap. Where features do not "
        "separate levels, scorers that build on them cannot order severity well.",
        needs="Test images of two levels or more; no run. At most 1,000 test images a subset are looked at.",
        entry="mad_core.studies.separability.run:run",
        parameters=(
            Parameter(
                "features",
                "choice",
                "mad-formula-s",
                "What describes an image: mad-formula-s, the backbone that ships, or filterbank, plain filters.",
                choices=("mad-formula-s", "filterbank"),
            ),
            Parameter(
                "against",
                "text",
                "",
                "Another imported dataset, by name or id, whose subsets are compared too. Empty: this one only.",
            ),
        ),
        least_runs=0,
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
        entry="mad_core.studies.cost.run:run",
        kinds=("made here",),
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
