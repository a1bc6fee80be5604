"""Declarations of the scorers that ask a multimodal model. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mad_core.scorers.catalog import ScorerInfo, register
from mad_core.scorers.contract import Parameter
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.endpoint import address, served_model


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


def shows_anchors(parameters: Mapping[str, Any]) -> bool:
    """Whether a model is shown labelled calibration images."""
    return bool(parameters.get("anchors")) and parameters.get("protocol") == "inspector"


def crop_base(parameters: Mapping[str, Any]) -> str | None:
    """The run whose maps say where to crop."""
    return (parameters.get("crop_run") or None) if parameters.get("protocol") == "inspector" else None


register(
    ScorerInfo(
        id="mllm",
        title="Multimodal LLM",
        family="multimodal LLM",
        entry="mad_core.scorers.multimodal.local:Mllm",
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
        shows_labels=shows_anchors,
        builds_on=crop_base,
    )
)
register(
    ScorerInfo(
        id="endpoint",
        title="Multimodal LLM on a server",
        family="multimodal LLM",
        entry="mad_core.scorers.multimodal.endpoint.scorer:Endpoint",
        scatters=False,
        paper="After Huang et al. 2024, Are Anomaly Scores Telling the Whole Story?, https://arxiv.org/abs/2411.14515",
        summary="The same questions as the local multimodal scorer, put to an OpenAI-compatible server (vLLM, SGLang, "
        "llama.cpp, a hosted API). Images leave this machine unless the server runs on it.",
        needs="A server: its address in MAD_ENDPOINT_URL (several with commas between), its key in MAD_ENDPOINT_KEY. "
        "Images are sent there.",
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
                "What was asked, found from MAD_ENDPOINT_URL: a run goes on with the same servers alone.",
                advanced=True,
            ),
            Parameter(
                "consent", "bool", False, "Images leave this machine for the server: yes agrees to that for this run."
            ),
            *asking(),
            Parameter("concurrency", "int", 8, "Requests under way at once, on all servers together.", 1, 512),
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
        why_not=address.why_not,
        settle=address.settled,
        look_up=served_model.name_model,
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
        parts={"detector": "detector", "mllm": "mllm"},
    )
)
