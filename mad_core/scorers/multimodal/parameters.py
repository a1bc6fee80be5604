"""What every scorer that asks a multimodal model takes. No torch here."""

from collections.abc import Mapping
from typing import Any

from mad_core.scorers.contract import Parameter
from mad_core.scorers.multimodal.prompts import WORDINGS


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
            "places",
            "bool",
            False,
            "Say of each calibration image of a level where on the scale that level lies (with anchors).",
            advanced=True,
        ),
        Parameter(
            "policy",
            "text",
            "",
            "Which level which kind of fault has, for the model to look up: lines 'kind: level', or the path of such a "
            "YAML file (a severity policy). Empty: nothing is said.",
            advanced=True,
        ),
        Parameter(
            "repeat", "bool", False, "Put the whole question once more behind the image to judge.", advanced=True
        ),
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
        Parameter(
            "reasons",
            "choice",
            "all",
            "Whether the model says why, too: of all images, of the worst ones alone, or of none, which is several "
            "times faster. The reason of any other image is written when it is asked for on its page.",
            choices=("all", "worst", "none"),
            synonyms={
                **dict.fromkeys(["true", "yes", "on", "1"], "all"),
                **dict.fromkeys(["false", "no", "off", "0"], "none"),
            },
        ),
        Parameter("worst", "int", 20, "Of how many of the worst images of a subset (reasons=worst).", 1, 100_000),
        Parameter("tokens", "int", 300, "Most tokens of an answer.", 8, 4000, advanced=True),
    )


def looks() -> tuple[Parameter, ...]:
    """How often, and in which ways, a model on this machine looks at each image, and what looks before it."""
    return (
        Parameter(
            "detector_first",
            "choice",
            "auto",
            "Let the default detector look first, on the same normals: what it does not find is grey in the difference "
            "view, and an image counts as normal by as much as it scores like one. auto: as the model recommends, "
            "else no.",
            choices=("auto", "yes", "no"),
        ),
        Parameter(
            "wordings",
            "int",
            1,
            "Ways to word the question, whose scores are averaged.",
            1,
            len(WORDINGS),
            advanced=True,
        ),
        Parameter(
            "second_look",
            "bool",
            False,
            "Ask once more what speaks against the first score, and average both.",
            advanced=True,
        ),
        Parameter(
            "looks_first",
            "int",
            0,
            "Have the model say what it sees before the score, so many times, and average (0: not at all).",
            0,
            8,
            advanced=True,
        ),
        Parameter(
            "level_words", "bool", False, "Ask for the word of a level beside the number, and average.", advanced=True
        ),
        Parameter(
            "pairs",
            "bool",
            False,
            "Compare each image with a calibration image of each level (which one is worse?), and average.",
            advanced=True,
        ),
        Parameter(
            "habits",
            "int",
            0,
            "Training normals that are scored first, to take out which numbers a model likes whatever it sees "
            "(0: none).",
            0,
            200,
            advanced=True,
        ),
    )


def shows_anchors(parameters: Mapping[str, Any]) -> bool:
    """Whether a model is shown labelled calibration images."""
    shown = parameters.get("anchors") or parameters.get("pairs")
    return bool(shown) and parameters.get("protocol") == "inspector"


def crop_base(parameters: Mapping[str, Any]) -> str | None:
    """The run whose maps say where to crop."""
    return (parameters.get("crop_run") or None) if parameters.get("protocol") == "inspector" else None
