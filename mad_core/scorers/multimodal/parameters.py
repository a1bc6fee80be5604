"""What every scorer that asks a multimodal model takes. No torch here."""

from collections.abc import Mapping
from typing import Any

from mad_core.scorers.contract import Parameter


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
