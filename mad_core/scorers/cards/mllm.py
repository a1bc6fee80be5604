"""Multimodal LLM."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.parameters import asking, crop_base, looks, shows_anchors

CARD = ScorerInfo(
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
            "shipped, a model of the catalogue (" + ", ".join(models.KNOWN) + "), owner/name on the Hub, or a folder.",
        ),
        *asking(),
        *looks(),
        Parameter(
            "quantisation",
            "choice",
            "auto",
            "Precision of the language model's weights; auto is the best of bf16, 8bit and 4bit (NF4, double "
            "quantisation) that fits the graphics card, and 4bit without one.",
            choices=models.QUANTISATIONS,
            advanced=True,
        ),
        Parameter(
            "engine",
            "choice",
            "transformers",
            "What computes the model: transformers, or vLLM's offline engine (requirements-vllm.txt).",
            choices=("transformers", "vllm"),
            advanced=True,
        ),
        Parameter("batch", "int", None, "Images at once; empty: what free memory lasts for.", 1, 256, advanced=True),
    ),
    why_not=models.why_not,
    shows_labels=shows_anchors,
    builds_on=crop_base,
)
