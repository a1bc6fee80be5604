"""Declarations of the filter bank, of what is built on it, and of anomalib's models. No torch here."""

from __future__ import annotations

from functools import partial

from mad_core.scorers.catalog import ScorerInfo, register
from mad_core.scorers.contract import Parameter
from mad_core.scorers.features import weights
from mad_core.scorers.parameters import (
    backbone,
    filter_bank,
    missing,
    open_backbone,
    reduction,
    square,
    steps,
    weights_file,
)

register(
    ScorerInfo(
        id="filterbank",
        title="Filter bank",
        family="filter bank",
        entry="mad_core.scorers.detectors.filterbank:FilterBank",
        paper="After Portilla and Simoncelli 2000, https://doi.org/10.1023/A:1026553619983",
        summary="Compares the strongest filter responses in each part of the image with those of normals nearby. "
        "It sees structure, not meaning: its scores follow how much is wrong rather than how bad it is.",
        needs="Nothing: no weights, no network, no GPU.",
        cost="About 0.03 s an image on two cores; 1 GB.",
        parameters=(*filter_bank(), reduction("top5")),
    )
)
register(
    ScorerInfo(
        id="probe",
        title="Severity probe",
        family="filter bank",
        entry="mad_core.scorers.detectors.probe:SeverityProbe",
        paper="After Alain and Bengio 2017, Understanding Intermediate Layers Using Linear Classifier Probes, "
        "https://arxiv.org/abs/1610.01644",
        summary="Weighs how the filter bank's responses depart from normal by what was learned on generated pictures "
        "with severity labels. It shows how far such labels go without a rubric and without a language model.",
        needs="Nothing: its weights ship with this software.",
        cost="About 0.03 s an image on two cores; 1 GB.",
        parameters=filter_bank(),
    )
)
register(
    ScorerInfo(
        id="patchcore",
        title="PatchCore",
        family="memory bank",
        entry="mad_core.scorers.detectors.patchcore:PatchCore",
        paper="Roth et al. 2022, Towards Total Recall in Industrial Anomaly Detection, https://arxiv.org/abs/2106.08265",
        summary="Keeps a thinned bank of patch features of normals; the distance to it is the score. "
        "The strongest conventional detector of the benchmark's paper.",
        needs="Backbone weights (276 MB, once).",
        cost="Seconds on a GPU, minutes on two cores; 4 GB.",
        needs_weights=True,
        parameters=(
            open_backbone(),
            weights_file(),
            square(256),
            Parameter(
                "positions",
                "choice",
                None,
                "Compare with normals' patches anywhere, as in the paper, or nearby (for parts that lie alike). Empty: "
                f"anywhere, but with {weights.FORMULA} nearby where the normals lie alike.",
                choices=("anywhere", "nearby"),
            ),
            Parameter("coreset", "float", 0.01, "Share of the normals' patches that is kept.", 1e-4, 1.0),
            Parameter("most", "int", 20_000, "Patches kept at most.", 10, 200_000, advanced=True),
            Parameter("pictures", "int", 64, "Normals kept whole with positions nearby.", 4, 512, advanced=True),
            Parameter("neighbours", "int", 9, "Bank entries that re-weight the score.", 1, 50, advanced=True),
            reduction("model", "model"),
        ),
        why_not=missing("patchcore"),
        settle=weights.settled_positions,
    )
)
register(
    ScorerInfo(
        id="padim",
        title="PaDiM",
        family="memory bank",
        entry="mad_core.scorers.detectors.padim:Padim",
        paper="Defard et al. 2021, PaDiM, https://arxiv.org/abs/2011.08785",
        summary="A Gaussian of backbone features at every position. Fast; wants parts that lie the same way.",
        needs="Backbone weights (47 MB, once).",
        cost="Under a minute on two cores; 2 GB.",
        needs_weights=True,
        parameters=(
            open_backbone(),
            weights_file(),
            square(256),
            Parameter("features", "int", 100, "Feature channels kept, drawn at random.", 1, 448),
            reduction("model", "model"),
        ),
        why_not=missing("padim"),
        settle=partial(weights.settled, "padim"),
    )
)
register(
    ScorerInfo(
        id="reverse-distillation",
        title="Reverse Distillation",
        family="distillation",
        entry="mad_core.scorers.detectors.reverse_distillation:ReverseDistillation",
        paper="Deng and Li 2022, Anomaly Detection via Reverse Distillation (RD4AD), https://arxiv.org/abs/2201.10703",
        summary="A decoder learns to give back the features of normals from a narrow code. "
        "Where it fails, something unseen is in the image.",
        needs="Backbone weights (276 MB, once); better on a GPU.",
        cost="Minutes on a GPU, tens of minutes on two cores; 6 GB.",
        needs_weights=True,
        parameters=(
            open_backbone(),
            weights_file(),
            square(256),
            steps(),
            reduction("model", "model"),
        ),
        why_not=missing("reverse-distillation"),
        settle=partial(weights.settled, "reverse-distillation"),
    )
)
register(
    ScorerInfo(
        id="stfpm",
        title="STFPM",
        family="distillation",
        entry="mad_core.scorers.detectors.stfpm:Stfpm",
        paper="Wang et al. 2021, Student-Teacher Feature Pyramid Matching, https://arxiv.org/abs/2103.04257",
        summary="A student network learns the teacher's features on normals; elsewhere the two disagree.",
        needs="Backbone weights (47 MB, once).",
        cost="A minute on a GPU, several on two cores; 2 GB.",
        needs_weights=True,
        parameters=(
            backbone("resnet18.tv_in1k"),
            weights_file(),
            square(256),
            steps(),
            reduction("model", "model"),
        ),
        why_not=missing("stfpm"),
    )
)
register(
    ScorerInfo(
        id="efficientad",
        title="EfficientAd-S",
        family="distillation",
        entry="mad_core.scorers.detectors.efficientad:EfficientAd",
        paper="Batzner et al. 2024, EfficientAD, https://arxiv.org/abs/2303.14535",
        summary="A small teacher, a student and an autoencoder; fast at scoring. "
        "Spectral noise stands for the ImageNet pictures of the paper's penalty.",
        needs="The published teacher's weights (11 MB, once); better on a GPU.",
        cost="Minutes on a GPU; 4 GB.",
        needs_weights=True,
        parameters=(weights_file(), square(256, 256), steps(), reduction("model", "model")),
        why_not=missing("efficientad"),
    )
)
register(
    ScorerInfo(
        id="cflow",
        title="CFLOW-AD",
        family="flow",
        entry="mad_core.scorers.detectors.cflow:Cflow",
        paper="Gudovskiy et al. 2022, CFLOW-AD, https://arxiv.org/abs/2107.12571",
        summary="Normalising flows give the likelihood of each feature at its position.",
        needs="Backbone weights (276 MB, once); better on a GPU.",
        cost="Minutes on a GPU, tens of minutes on two cores; 6 GB.",
        needs_weights=True,
        parameters=(
            backbone("wide_resnet50_2.tv_in1k"),
            weights_file(),
            square(256),
            steps(),
            reduction("model", "model"),
        ),
        why_not=missing("cflow"),
    )
)
register(
    ScorerInfo(
        id="fastflow",
        title="FastFlow",
        family="flow",
        entry="mad_core.scorers.detectors.fastflow:Fastflow",
        paper="Yu et al. 2021, FastFlow, https://arxiv.org/abs/2111.07677",
        summary="A two-dimensional normalising flow over backbone features.",
        needs="Backbone weights (47 MB, once).",
        cost="Minutes on a GPU or on two cores; 4 GB.",
        needs_weights=True,
        parameters=(
            backbone("resnet18.tv_in1k"),
            weights_file(),
            square(256),
            steps(),
            reduction("model", "model"),
        ),
        why_not=missing("fastflow"),
    )
)
register(
    ScorerInfo(
        id="autoencoder",
        title="Autoencoder",
        family="reconstruction",
        entry="mad_core.scorers.detectors.autoencoder:Autoencoder",
        paper="After Bergmann et al. 2019, https://arxiv.org/abs/1807.02011",
        summary="A small network learns to redraw normals; what it cannot redraw stands out. "
        "The plainest baseline that learns, and needs nothing from the network.",
        needs="Nothing: it trains on the normals alone.",
        cost="About half a minute on two cores; 1 GB.",
        parameters=(square(128), steps(), reduction("top5", "model")),
    )
)
register(
    ScorerInfo(
        id="ganomaly",
        title="GANomaly",
        family="reconstruction",
        entry="mad_core.scorers.detectors.ganomaly:Ganomaly",
        paper="Akcay et al. 2018, GANomaly (not Skip-GANomaly), https://arxiv.org/abs/1805.06725",
        summary="An encoder-decoder-encoder against a discriminator; the two codes drift apart on the unseen.",
        needs="Nothing: it trains on the normals alone; better on a GPU.",
        cost="Minutes on a GPU or on two cores; 2 GB.",
        parameters=(
            Parameter("size", "choice", "128", "Side of the square image, pixels.", choices=("64", "128", "256")),
            steps(),
            reduction("model", "model"),
        ),
    )
)
register(
    ScorerInfo(
        id="dfm",
        title="DFM",
        family="feature density",
        entry="mad_core.scorers.detectors.dfm:Dfm",
        paper="Ahuja et al. 2019, Probabilistic Modeling of Deep Features, https://arxiv.org/abs/1909.11786",
        summary="Reconstruction error of deep features after a principal component analysis of the normals.",
        needs="Backbone weights (47 MB, once).",
        cost="Under a minute on two cores; 2 GB.",
        needs_weights=True,
        parameters=(
            open_backbone(),
            weights_file(),
            square(256),
            reduction("model", "model"),
        ),
        why_not=missing("dfm"),
        settle=partial(weights.settled, "dfm"),
    )
)
register(
    ScorerInfo(
        id="dinomaly",
        title="Dinomaly",
        family="vision foundation",
        entry="mad_core.scorers.detectors.dinomaly:Dinomaly",
        paper="Guo et al. 2025, Dinomaly: The Less Is More Philosophy, https://arxiv.org/abs/2405.14325",
        summary="A decoder reconstructs DINOv2 features behind a noisy bottleneck. "
        "Among the strongest unsupervised detectors published.",
        needs="DINOv2 weights (88 or 346 MB, once); a GPU for a full fit.",
        cost="Minutes on a GPU; 6 GB.",
        needs_weights=True,
        parameters=(
            backbone(
                "vit_small_patch14_reg4_dinov2.lvd142m",
                ("vit_small_patch14_reg4_dinov2.lvd142m", "vit_base_patch14_reg4_dinov2.lvd142m"),
            ),
            weights_file(),
            square(392),
            steps(),
            reduction("model", "model"),
        ),
        why_not=missing("dinomaly"),
    )
)
