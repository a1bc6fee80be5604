"""Every scorer's declaration: its facts, its parameters and what it needs. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mad_core.scorers import endpoint_address, endpoint_model, models, weights
from mad_core.scorers.catalog import ScorerInfo, register
from mad_core.scorers.reductions import REDUCTIONS
from mad_core.scorers.scorer import Parameter

_BACKBONE_CHOICES = ("resnet18.tv_in1k", "wide_resnet50_2.tv_in1k")
_SHARED = (
    "mad_core.scorers.image_scorer",
    "mad_core.scorers.loading",
    "mad_core.scorers.reductions",
    "mad_core.images",
)
_MODELS = (*_SHARED, "mad_core.scorers.conventional", "mad_core.scorers.backbones", "mad_core.scorers.filters")


def _reduction(default: str, *others: str) -> Parameter:
    text = "How the anomaly map becomes a score: its maximum, or the mean of its highest share, in which extent enters."
    if "model" in (default, *others):
        text += " model: the score of the paper."
    return Parameter("reduction", "choice", default, text, choices=(*others, *REDUCTIONS))


def _size(default: int, low: int = 64) -> Parameter:
    return Parameter("size", "int", default, "Side of the square the image is squeezed to, pixels.", low, 1024)


def _steps() -> Parameter:
    return Parameter("steps", "int", None, "Optimiser steps; empty: what this device finishes in minutes.", 1, 200_000)


def _weights() -> Parameter:
    return Parameter(
        "weights",
        "text",
        weights.PRETRAINED,
        "pretrained, random (to try the code, not the parts), or the path of a .safetensors file.",
    )


def _backbone(default: str, choices: tuple[str, ...] = _BACKBONE_CHOICES) -> Parameter:
    return Parameter("backbone", "choice", default, "Network whose features are used.", choices=choices)


def _open_backbone() -> Parameter:
    """A backbone that may be left open, see :func:`weights.settled`."""
    return Parameter(
        "backbone",
        "choice",
        None,
        f"Network whose features are used. Empty: that of the paper where its weights are on this machine, "
        f"else {weights.FORMULA}, which ships.",
        choices=(weights.FORMULA, *_BACKBONE_CHOICES),
    )


def asking() -> tuple[Parameter, ...]:
    """The parameters of every scorer that asks a multimodal model: what it is shown and how it answers."""
    return (
        Parameter(
            "rubric",
            "text",
            "auto",
            "What the scores mean: auto (the dataset's own, else the general one), the name of a rubric, "
            "the path of a YAML file, or the YAML itself.",
        ),
        Parameter(
            "protocol",
            "choice",
            "inspector",
            "inspector: as set below. madbench: as the benchmark asks, which fixes everything below "
            "(first three normals by name, height 512, plain greedy answer of 300 tokens); zero-shot: without normals.",
            choices=("inspector", "madbench", "madbench-zero-shot"),
        ),
        Parameter("references", "int", None, "Normal images shown; empty: what the model recommends, else 3.", 0, 8),
        Parameter(
            "choose",
            "choice",
            "first",
            "Which normals: the first by name, those nearest to each image, or the named ones.",
            choices=("first", "nearest", "named"),
        ),
        Parameter("named", "text", "", "File names of the normals to show, separated by commas (choose=named)."),
        Parameter("anchors", "bool", False, "Show one calibration image of each level, with the level's name."),
        Parameter(
            "view",
            "choice",
            "auto",
            "Show the difference view too: a picture of what an image shows and the normals do not. "
            "auto: as the model recommends, else no.",
            choices=("auto", "yes", "no"),
        ),
        Parameter(
            "crop_run",
            "text",
            "",
            "Id of a run on this dataset: each image comes with an enlarged crop of where its map peaks. Empty: none.",
            advanced=True,
        ),
        Parameter(
            "height",
            "int",
            None,
            "Taller images are scaled down to this height, pixels; empty: what the model recommends, else 512.",
            64,
            4096,
            advanced=True,
        ),
        Parameter("reasons", "bool", True, "Have the model write its answer; off: only score, several times faster."),
        Parameter("tokens", "int", 300, "Most tokens of an answer.", 8, 4000, advanced=True),
    )


ASKING_MODULES = (
    "mad_core.scorers.showing",
    "mad_core.scorers.prompts",
    "mad_core.scorers.rubrics",
    "mad_core.scorers.readout",
    "mad_core.scorers.difference",
    "mad_core.scorers.loading",
    "mad_core.images",
)
"""Source of every scorer that asks a multimodal model."""


def shows_anchors(parameters: Mapping[str, Any]) -> bool:
    """Whether a model is shown labelled calibration images."""
    return bool(parameters.get("anchors")) and parameters.get("protocol") == "inspector"


def crop_base(parameters: Mapping[str, Any]) -> str | None:
    """The run whose maps say where to crop."""
    return (parameters.get("crop_run") or None) if parameters.get("protocol") == "inspector" else None


def _filter_bank() -> tuple[Parameter, ...]:
    """Parameters of the filter bank, whatever is made of its map."""
    return (
        Parameter("size", "int", 256, "Working side of a typical image, pixels; the aspect is kept.", 64, 1024),
        Parameter(
            "positions",
            "choice",
            "nearby",
            "Compare with normals at nearby positions, or anywhere (for parts that lie in any pose).",
            choices=("nearby", "all"),
        ),
        Parameter("reach", "int", 1, "Grid cells to each side that count as nearby.", 0, 4, advanced=True),
        Parameter("bank", "int", 128, "Normals kept for comparison at most.", 4, 512, advanced=True),
    )


def _missing(scorer_id: str) -> Callable[[Mapping[str, Any]], str | None]:
    return partial(weights.why_not, scorer_id)


register(
    ScorerInfo(
        id="filterbank",
        title="Filter bank",
        family="filter bank",
        entry="mad_core.scorers.filterbank:FilterBank",
        paper="After Portilla and Simoncelli 2000, https://doi.org/10.1023/A:1026553619983",
        summary="Compares the strongest filter responses in each part of the image with those of normals nearby. "
        "It sees structure, not meaning: its scores follow how much is wrong rather than how bad it is.",
        needs="Nothing: no weights, no network, no GPU.",
        cost="About 0.1 s an image on two cores; 1 GB.",
        parameters=(*_filter_bank(), _reduction("top5")),
        modules=(*_SHARED, "mad_core.scorers.filters", "mad_core.scorers.neighbours"),
    )
)
register(
    ScorerInfo(
        id="probe",
        title="Severity probe",
        family="filter bank",
        entry="mad_core.scorers.probe:SeverityProbe",
        paper="After Alain and Bengio 2017, Understanding Intermediate Layers Using Linear Classifier Probes, "
        "https://arxiv.org/abs/1610.01644",
        summary="Weighs how the filter bank's responses depart from normal by what was learned on generated pictures "
        "with severity labels. It shows how far such labels go without a rubric and without a language model.",
        needs="Nothing: its weights ship with this software.",
        cost="About 0.1 s an image on two cores; 1 GB.",
        parameters=_filter_bank(),
        modules=(*_SHARED, "mad_core.scorers.filterbank", "mad_core.scorers.filters", "mad_core.scorers.neighbours"),
    )
)
register(
    ScorerInfo(
        id="patchcore",
        title="PatchCore",
        family="memory bank",
        entry="mad_core.scorers.conventional:PatchCore",
        paper="Roth et al. 2022, Towards Total Recall in Industrial Anomaly Detection, https://arxiv.org/abs/2106.08265",
        summary="Keeps a thinned bank of patch features of normals; the distance to it is the score. "
        "The strongest conventional detector of the benchmark's paper.",
        needs="Backbone weights (276 MB, once).",
        cost="Seconds on a GPU, minutes on two cores; 4 GB.",
        needs_weights=True,
        parameters=(
            _open_backbone(),
            _weights(),
            _size(256),
            Parameter("coreset", "float", 0.01, "Share of the normals' patches that is kept.", 1e-4, 1.0),
            Parameter("most", "int", 20_000, "Patches kept at most.", 10, 200_000, advanced=True),
            Parameter("neighbours", "int", 9, "Bank entries that re-weight the score.", 1, 50, advanced=True),
            _reduction("model", "model"),
        ),
        why_not=_missing("patchcore"),
        settle=partial(weights.settled, "patchcore"),
        modules=(*_MODELS, "mad_core.scorers.coreset"),
    )
)
register(
    ScorerInfo(
        id="padim",
        title="PaDiM",
        family="memory bank",
        entry="mad_core.scorers.conventional:Padim",
        paper="Defard et al. 2021, PaDiM, https://arxiv.org/abs/2011.08785",
        summary="A Gaussian of backbone features at every position. Fast; wants parts that lie the same way.",
        needs="Backbone weights (47 MB, once).",
        cost="Under a minute on two cores; 2 GB.",
        needs_weights=True,
        parameters=(
            _open_backbone(),
            _weights(),
            _size(256),
            Parameter("features", "int", 100, "Feature channels kept, drawn at random.", 1, 448),
            _reduction("model", "model"),
        ),
        why_not=_missing("padim"),
        settle=partial(weights.settled, "padim"),
        modules=_MODELS,
    )
)
register(
    ScorerInfo(
        id="reverse-distillation",
        title="Reverse Distillation",
        family="distillation",
        entry="mad_core.scorers.trained:ReverseDistillation",
        paper="Deng and Li 2022, Anomaly Detection via Reverse Distillation (RD4AD), https://arxiv.org/abs/2201.10703",
        summary="A decoder learns to give back the features of normals from a narrow code. "
        "Where it fails, something unseen is in the image.",
        needs="Backbone weights (276 MB, once); better on a GPU.",
        cost="Minutes on a GPU, tens of minutes on two cores; 6 GB.",
        needs_weights=True,
        parameters=(
            _open_backbone(),
            _weights(),
            _size(256),
            _steps(),
            _reduction("model", "model"),
        ),
        why_not=_missing("reverse-distillation"),
        settle=partial(weights.settled, "reverse-distillation"),
        modules=(*_MODELS, "mad_core.scorers.trained"),
    )
)
register(
    ScorerInfo(
        id="stfpm",
        title="STFPM",
        family="distillation",
        entry="mad_core.scorers.trained:Stfpm",
        paper="Wang et al. 2021, Student-Teacher Feature Pyramid Matching, https://arxiv.org/abs/2103.04257",
        summary="A student network learns the teacher's features on normals; elsewhere the two disagree.",
        needs="Backbone weights (47 MB, once).",
        cost="A minute on a GPU, several on two cores; 2 GB.",
        needs_weights=True,
        parameters=(
            _backbone("resnet18.tv_in1k"),
            _weights(),
            _size(256),
            _steps(),
            _reduction("model", "model"),
        ),
        why_not=_missing("stfpm"),
        modules=(*_MODELS, "mad_core.scorers.trained"),
    )
)
register(
    ScorerInfo(
        id="efficientad",
        title="EfficientAd-S",
        family="distillation",
        entry="mad_core.scorers.trained:EfficientAd",
        paper="Batzner et al. 2024, EfficientAD, https://arxiv.org/abs/2303.14535",
        summary="A small teacher, a student and an autoencoder; fast at scoring. "
        "Spectral noise stands for the ImageNet pictures of the paper's penalty.",
        needs="The published teacher's weights (11 MB, once); better on a GPU.",
        cost="Minutes on a GPU; 4 GB.",
        needs_weights=True,
        parameters=(_weights(), _size(256, 256), _steps(), _reduction("model", "model")),
        why_not=_missing("efficientad"),
        modules=(*_MODELS, "mad_core.scorers.trained"),
    )
)
register(
    ScorerInfo(
        id="cflow",
        title="CFLOW-AD",
        family="flow",
        entry="mad_core.scorers.trained:Cflow",
        paper="Gudovskiy et al. 2022, CFLOW-AD, https://arxiv.org/abs/2107.12571",
        summary="Normalising flows give the likelihood of each feature at its position.",
        needs="Backbone weights (276 MB, once); better on a GPU.",
        cost="Minutes on a GPU, tens of minutes on two cores; 6 GB.",
        needs_weights=True,
        parameters=(
            _backbone("wide_resnet50_2.tv_in1k"),
            _weights(),
            _size(256),
            _steps(),
            _reduction("model", "model"),
        ),
        why_not=_missing("cflow"),
        modules=(*_MODELS, "mad_core.scorers.trained"),
    )
)
register(
    ScorerInfo(
        id="fastflow",
        title="FastFlow",
        family="flow",
        entry="mad_core.scorers.trained:Fastflow",
        paper="Yu et al. 2021, FastFlow, https://arxiv.org/abs/2111.07677",
        summary="A two-dimensional normalising flow over backbone features.",
        needs="Backbone weights (47 MB, once).",
        cost="Minutes on a GPU or on two cores; 4 GB.",
        needs_weights=True,
        parameters=(
            _backbone("resnet18.tv_in1k"),
            _weights(),
            _size(256),
            _steps(),
            _reduction("model", "model"),
        ),
        why_not=_missing("fastflow"),
        modules=(*_MODELS, "mad_core.scorers.trained"),
    )
)
register(
    ScorerInfo(
        id="autoencoder",
        title="Autoencoder",
        family="reconstruction",
        entry="mad_core.scorers.trained:Autoencoder",
        paper="After Bergmann et al. 2019, https://arxiv.org/abs/1807.02011",
        summary="A small network learns to redraw normals; what it cannot redraw stands out. "
        "The plainest baseline that learns, and needs nothing from the network.",
        needs="Nothing: it trains on the normals alone.",
        cost="About half a minute on two cores; 1 GB.",
        parameters=(_size(128), _steps(), _reduction("top5", "model")),
        modules=(*_MODELS, "mad_core.scorers.trained"),
    )
)
register(
    ScorerInfo(
        id="ganomaly",
        title="GANomaly",
        family="reconstruction",
        entry="mad_core.scorers.trained:Ganomaly",
        paper="Akcay et al. 2018, GANomaly (not Skip-GANomaly), https://arxiv.org/abs/1805.06725",
        summary="An encoder-decoder-encoder against a discriminator; the two codes drift apart on the unseen.",
        needs="Nothing: it trains on the normals alone; better on a GPU.",
        cost="Minutes on a GPU or on two cores; 2 GB.",
        parameters=(
            Parameter("size", "choice", "128", "Side of the square image, pixels.", choices=("64", "128", "256")),
            _steps(),
            _reduction("model", "model"),
        ),
        modules=(*_MODELS, "mad_core.scorers.trained"),
    )
)
register(
    ScorerInfo(
        id="dfm",
        title="DFM",
        family="feature density",
        entry="mad_core.scorers.conventional:Dfm",
        paper="Ahuja et al. 2019, Probabilistic Modeling of Deep Features, https://arxiv.org/abs/1909.11786",
        summary="Reconstruction error of deep features after a principal component analysis of the normals.",
        needs="Backbone weights (47 MB, once).",
        cost="Under a minute on two cores; 2 GB.",
        needs_weights=True,
        parameters=(
            _open_backbone(),
            _weights(),
            _size(256),
            _reduction("model", "model"),
        ),
        why_not=_missing("dfm"),
        settle=partial(weights.settled, "dfm"),
        modules=_MODELS,
    )
)
register(
    ScorerInfo(
        id="dinomaly",
        title="Dinomaly",
        family="vision foundation",
        entry="mad_core.scorers.trained:Dinomaly",
        paper="Guo et al. 2025, Dinomaly: The Less Is More Philosophy, https://arxiv.org/abs/2405.14325",
        summary="A decoder reconstructs DINOv2 features behind a noisy bottleneck. "
        "Among the strongest unsupervised detectors published.",
        needs="DINOv2 weights (88 or 346 MB, once); a GPU for a full fit.",
        cost="Minutes on a GPU; 6 GB.",
        needs_weights=True,
        parameters=(
            _backbone(
                "vit_small_patch14_reg4_dinov2.lvd142m",
                ("vit_small_patch14_reg4_dinov2.lvd142m", "vit_base_patch14_reg4_dinov2.lvd142m"),
            ),
            _weights(),
            _size(392),
            _steps(),
            _reduction("model", "model"),
        ),
        why_not=_missing("dinomaly"),
        modules=(*_MODELS, "mad_core.scorers.trained"),
    )
)
register(
    ScorerInfo(
        id="mllm",
        title="Multimodal LLM",
        family="multimodal LLM",
        entry="mad_core.scorers.mllm:Mllm",
        paper="After Huang et al. 2024, Are Anomaly Scores Telling the Whole Story?, https://arxiv.org/abs/2411.14515",
        summary="A vision-language model on this machine is shown normals and a rubric and says how severe an image "
        "is, and why. The default is the small model that ships, trained with severity labels on generated images; "
        "any other is used as it is.",
        needs="The model that ships needs nothing else; others are fetched once (4 to 70 GB) and want a GPU.",
        cost="Seconds an image for a large model on a GPU; a fraction of one for the small model on two cores.",
        needs_fit=False,
        supervision="none",
        parameters=(
            Parameter(
                "model",
                "text",
                models.SHIPPED,
                "shipped, a model of the catalogue ("
                + ", ".join(models.KNOWN)
                + "), owner/name on the Hub, or a folder.",
            ),
            *asking(),
            Parameter(
                "quantisation",
                "choice",
                "auto",
                "Precision of the language model's weights; auto is 4bit (NF4, double quantisation).",
                choices=models.QUANTISATIONS,
                advanced=True,
            ),
            Parameter("batch", "int", None, "Images at once; empty: what suits the device.", 1, 256, advanced=True),
        ),
        why_not=models.why_not,
        modules=(
            "mad_core.scorers.mllm",
            "mad_core.scorers.mllm_asking",
            "mad_core.scorers.mllm_loading",
            "mad_core.scorers.image_scorer",
            *ASKING_MODULES,
        ),
        shows_labels=shows_anchors,
        builds_on=crop_base,
    )
)
register(
    ScorerInfo(
        id="endpoint",
        title="Multimodal LLM on a server",
        family="multimodal LLM",
        entry="mad_core.scorers.endpoint:Endpoint",
        paper="After Huang et al. 2024, Are Anomaly Scores Telling the Whole Story?, https://arxiv.org/abs/2411.14515",
        summary="The same questions as the local multimodal scorer, put to an OpenAI-compatible server (vLLM, SGLang, "
        "llama.cpp, a hosted API). Images leave this machine unless the server runs on it.",
        needs="A server: its address in MAD_ENDPOINT_URL, its key in MAD_ENDPOINT_KEY. Images are sent there.",
        cost="What the server takes; tokens, and money where prices are given, are counted.",
        needs_fit=False,
        supervision="none",
        parameters=(
            Parameter(
                "model",
                "text",
                "",
                "Name of the model on the server; empty: that of MAD_ENDPOINT_MODEL, else the first one it lists.",
            ),
            Parameter(
                "server",
                "text",
                "",
                "The server that was asked, found from MAD_ENDPOINT_URL: a run goes on with that one alone.",
                advanced=True,
            ),
            Parameter(
                "consent", "bool", False, "Images leave this machine for the server: yes agrees to that for this run."
            ),
            *asking(),
            Parameter("concurrency", "int", 8, "Requests under way at once.", 1, 512),
            Parameter("timeout", "float", 120.0, "Seconds an attempt may take.", 0.1, 3600, advanced=True),
            Parameter(
                "retries",
                "int",
                4,
                "Further attempts, with growing pauses, after 408, 409, 429, 5xx, time-outs and lost connections.",
                0,
                20,
                advanced=True,
            ),
            Parameter(
                "encoding",
                "choice",
                "png",
                "How images travel: png keeps every pixel, jpeg (quality 95) is smaller.",
                choices=("png", "jpeg"),
                advanced=True,
            ),
            Parameter("price_in", "float", None, "Price of a million tokens sent; empty: unknown.", 0, 1e6),
            Parameter("price_out", "float", None, "Price of a million tokens written; empty: unknown.", 0, 1e6),
            Parameter(
                "plain_http",
                "bool",
                False,
                "Allow an http:// address of another machine: images and key travel unencrypted.",
                advanced=True,
            ),
        ),
        why_not=endpoint_address.why_not,
        settle=endpoint_address.settled,
        look_up=endpoint_model.name_model,
        modules=(
            "mad_core.scorers.endpoint",
            "mad_core.scorers.endpoint_address",
            "mad_core.scorers.endpoint_client",
            *ASKING_MODULES,
        ),
        shows_labels=shows_anchors,
        builds_on=crop_base,
    )
)
register(
    ScorerInfo(
        id="hybrid",
        title="Hybrid",
        family="hybrid",
        entry="mad_core.scorers.hybrid:Hybrid",
        paper="After Huang et al. 2024, Are Anomaly Scores Telling the Whole Story?, https://arxiv.org/abs/2411.14515",
        summary="Two runs made into one. stages: the detector decides whether and where, the multimodal model how bad. "
        "blend: a weighted sum whose weight is learned on labelled calibration images.",
        needs="A finished run of a conventional detector and one of a multimodal model on the same dataset.",
        cost="Nothing beyond its parts, but for normals and calibration images that they have not scored yet.",
        supervision="labels",
        parameters=(
            Parameter(
                "mode",
                "choice",
                "stages",
                "stages: up to the detector's threshold its own order, below every image that the model judges. "
                "blend: weighted sum of both, standardised against normals.",
                choices=("stages", "blend"),
            ),
            Parameter("detector", "text", "", "Id of the detector's run; empty: the newest finished one."),
            Parameter("mllm", "text", "", "Id of the multimodal model's run; empty: the newest finished one."),
            Parameter(
                "quantile",
                "float",
                0.9,
                "Share of normals that the detector's threshold lets pass as normal (stages).",
                0.5,
                0.999,
            ),
        ),
        modules=("mad_core.scorers.hybrid", "mad_core.metrics.ranking"),
        parts={"detector": "detector", "mllm": "mllm"},
    )
)
