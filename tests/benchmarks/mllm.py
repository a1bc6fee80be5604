"""How fast multimodal models score: plain generation, the shared part computed once, and scores alone.

    python -m tests.benchmarks.mllm [--images N] [--scale S] [--device cpu] [--quantisation fp32] [--rounds 3]

Runs the model that ships, where it is there, and a configuration with random weights that keeps the
proportions of a published one: Qwen3-VL-4B-Instruct with every width and the number of layers divided by
one factor, 336 px an image, four images a prompt (three references and the one to judge), the full rubric.
``--scale 1`` is the published size, for a graphics card.

plain   transformers' generate, the whole prompt for every image; 40 tokens of answer
reuse   system line, rubric and references computed once; expected score, written score and reason, 40 tokens too
score   the same without text

Plain generation writes freely, so its text is not ours. What is checked before any speed is printed is what the
reuse must not change: the expected score of every image, against the same score from the whole prompt computed anew.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from mad_core.datasets.dataset import SubsetCard
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Resources
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.loading import LoadedModel, load
from mad_core.scorers.multimodal.local import Mllm
from mad_core.scorers.multimodal.showing import Question
from tests.benchmarks.pairs import Row, arguments, hand_over, paired
from tests.engine.tiny_models import make_tokenizer, qwen_processor, qwen_tokens

SIDE, TOKENS, REFERENCES = 336, 40, 3
TOLERANCE = (1.0, 0.01)
"""Points of 100 by which expected scores may differ: quantised or of half width, and in full width."""
LINE = 12
"""Tokens that a random model writes behind the cue; with its reason it writes ``TOKENS``, as the plain way does."""
PUBLISHED_TEXT = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 151936,
}
PUBLISHED_TOWER = {"hidden_size": 1024, "intermediate_size": 4096, "depth": 24, "num_heads": 16}


def proportional(factor: int, folder: Path) -> Path:
    """Qwen3-VL-4B-Instruct divided by ``factor`` in width, depth, heads and vocabulary, random weights, on disk."""
    tokenizer = make_tokenizer("<|vision_start|><|image_pad|><|vision_end|>")
    text = {name: max(1, value // factor) for name, value in PUBLISHED_TEXT.items()}
    text |= {
        "head_dim": 128 if factor == 1 else 64,
        "num_key_value_heads": max(1, 8 // factor),
        "num_attention_heads": max(1, 8 // factor) * 4,
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    sections = [24, 20, 20] if factor == 1 else [12, 10, 10]
    text["rope_parameters"] = {
        "rope_type": "default",
        "rope_theta": 5e6,
        "mrope_section": sections,
        "mrope_interleaved": True,
    }
    depth = max(3, PUBLISHED_TOWER["depth"] // factor)
    tower = {
        "depth": depth,
        "hidden_size": PUBLISHED_TOWER["hidden_size"] // factor,
        "intermediate_size": PUBLISHED_TOWER["intermediate_size"] // factor,
        "num_heads": max(1, PUBLISHED_TOWER["num_heads"] // factor),
        "out_hidden_size": text["hidden_size"],
        "deepstack_visual_indexes": [depth // 4, depth // 2, depth - 1],
    }
    config = Qwen3VLConfig(text_config=text, vision_config=tower, **qwen_tokens(tokenizer))
    torch.manual_seed(0)
    with torch.device("cuda" if factor == 1 and torch.cuda.is_available() else "cpu"):
        model = Qwen3VLForConditionalGeneration(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    qwen_processor(tokenizer, patch=16, pixels=(SIDE * SIDE, SIDE * SIDE)).save_pretrained(folder)
    return folder


def pictures(folder: Path, count: int) -> list[Item]:
    """Pictures of grain, 336 px a side."""
    rng = np.random.default_rng(0)
    items = []
    for number in range(count):
        path = folder / f"{number:03d}.png"
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
        items.append(Item(path.stem, str(path)))
    return items


def plain(loaded: LoadedModel, asked: Sequence[Question]) -> None:
    """The plain way: one prompt after the other through ``generate``."""
    for question in asked:
        text = loaded.processor.apply_chat_template(
            question.conversation.messages(), add_generation_prompt=True, tokenize=False
        )
        images = [[Image.fromarray(image) for image in (*question.shared, *question.own)]]
        inputs = loaded.processor(text=[text], images=images, return_tensors="pt", add_special_tokens=False)
        with torch.inference_mode():
            loaded.model.generate(
                **inputs.to(loaded.device), do_sample=False, max_new_tokens=TOKENS, min_new_tokens=TOKENS
            )


def fitted(loaded: LoadedModel, context: Context, **parameters: Any) -> Mllm:
    """A scorer that asks the model which is loaded already."""
    given = {"model": str(loaded.folder), "quantisation": loaded.quantisation, "tokens": TOKENS - LINE, **parameters}
    scorer = catalog.scorer("mllm").create({"rubric": "mvtec", **given})
    assert isinstance(scorer, Mllm)
    scorer.fit([], context)
    return scorer


def synchronised(work: Callable[[], Any], device: str) -> Callable[[], Any]:
    """The work, and on a graphics card also the wait for its end."""

    def done() -> None:
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return done


def apart(scorer: Mllm, asked: Sequence[Question]) -> float:
    """The largest difference of an expected score (0-100) to the whole prompt computed for every image.

    Raises
    ------
    SystemExit
        If the shared part is not reused, so that there is nothing to compare.
    """
    asker = scorer._asker
    if asker is None or asker.way != "reuse":
        raise SystemExit("The shared part of the prompt is not reused: there is nothing to compare.")
    reused = scorer.answers(asked)
    asker.way = "plain"
    whole = scorer.answers(asked)
    asker.way = "reuse"
    means = [[answer.expected.mean for answer in answers if answer.expected] for answers in (reused, whole)]
    return float(np.abs(np.subtract(*means)).max())


def measure(
    name: str, loaded: LoadedModel, context: Context, items: Sequence[Item], rounds: int, **parameters: Any
) -> list[Row]:
    """Rows of one model: with its reason, and the score alone, each against plain generation in turns."""
    resources = Resources()
    for quantisation in (loaded.quantisation, "auto"):
        resources.hold(("mllm", str(loaded.folder), quantisation, context.device), lambda: loaded)
    shared = Context(**{**context.__dict__, "resources": resources})
    asking = fitted(loaded, shared, **parameters)
    scoring = fitted(loaded, shared, reasons=False, **parameters)
    asked = [asking.showing.question(item) for item in items]
    for scorer in (asking, scoring):  # the first question also decides how the shared part is reused
        scorer.answers(asked[:1])
    plain(loaded, asked[:1])
    gap = apart(scoring, asked[: scoring.batch])
    if gap > TOLERANCE[loaded.quantisation == "fp32"]:
        raise SystemExit(f"{name}: expected scores differ by {gap:.2g} points; no speed is compared.")
    same = f"expected scores to {gap:.1g} of 100 points"
    theirs = synchronised(lambda: plain(loaded, asked), context.device)
    what = f"{len(asked)} images, MLLM, {name}, {loaded.quantisation} on {context.device}"
    against = "transformers generate"
    return [
        paired(
            f"{what}: shared part once, with reason",
            against,
            same,
            theirs,
            synchronised(lambda: asking.answers(asked), context.device),
            rounds,
        ),
        paired(
            f"{what}: score only",
            against,
            same,
            theirs,
            synchronised(lambda: scoring.answers(asked), context.device),
            rounds,
        ),
    ]


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--scale", type=int, default=4, help="the published configuration divided by this")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quantisation", default="fp32", choices=models.QUANTISATIONS[1:])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        items = pictures(folder, given.images + REFERENCES)
        context = Context(
            subset="bottle", card=SubsetCard(domain="industrial"), device=given.device, normals=items[:REFERENCES]
        )
        tests, rows = items[REFERENCES:], []
        if models.why_not({"model": models.SHIPPED, "quantisation": "auto"}) is None:
            shipped = load(models.SHIPPED, "auto", given.device)
            rows += measure("the model that ships", shipped, context, tests, given.rounds)
        else:
            print("The model that ships is not here; it is left out.", file=sys.stderr)
        folder = proportional(given.scale, folder / "model")
        size = f"Qwen3-VL-4B / {given.scale}, random weights, {SIDE} px, {REFERENCES + 1} images a prompt"
        loaded = load(str(folder), given.quantisation, given.device)
        rows += measure(size, loaded, context, tests, given.rounds, references=REFERENCES, view="no")
    hand_over(rows, given.rows)


if __name__ == "__main__":
    main()
