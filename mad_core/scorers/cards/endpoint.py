"""Multimodal LLM on a server."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter
from mad_core.scorers.multimodal.endpoint import address, served_model
from mad_core.scorers.multimodal.parameters import asking, crop_base, shows_anchors

CARD = ScorerInfo(
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
        Parameter(
            "exact",
            "bool",
            False,
            "Ask for one token at each place where a score goes on, in 13 more requests an image on its cached prompt: "
            "the distribution is then the model's own. For servers that go on with a begun answer (vLLM, SGLang).",
            advanced=True,
        ),
        Parameter("price_in", "float", None, "Price of a million tokens sent; empty: unknown.", 0, 1e6),
        Parameter(
            "scale",
            "choice",
            "100",
            "The highest score on the scale that the model answers on: 100, or 1 for a model that answers 0.72.",
            choices=("100", "1"),
            advanced=True,
        ),
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
