"""How fast multimodal models score: plain generation, the shared part computed once, and scores alone.

    python -m tests.benchmarks.mllm [--images N] [--scale S] [--device cpu] [--quantisation fp32] [--rounds 3]

Runs the model that ships, where it is there, and a configuration with random weights that keeps the
proportions of a published one: Qwen3-VL-4B-Instruct with every width and the number of layers divided by
one factor, 336 px an image, four images a prompt (three references and the one to judge), the full rubric.
``--scale 1`` is the published size, for a graphics card.

plain   transformers' generate, the whole prompt for every image; 40 tokens of answer
reuse   system line, rubric and references computed once; expected score, written score and reason, 40 tokens too
worst   the same, text for the worst image alone
score   the same without text

Beside the times stand passes, tokens and copied bytes a picture, which hold on any machine; those of models shaped as
Qwen3-VL, Gemma 3 and Qwen3.5 are printed below.

Plain generation writes freely, so its text is not ours. What is checked before any speed is printed is what the
reuse must not change: the expected score of every image, against the same score from the whole prompt computed anew.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from mad_core.datasets.dataset import SubsetCard
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Resources
from mad_core.scorers.multimodal import local, models
from mad_core.scorers.multimodal.asking import SUREST
from mad_core.scorers.multimodal.loading import LoadedModel, load
from mad_core.scorers.multimodal.local import Mllm
from mad_core.scorers.multimodal.showing import Question
from tests.benchmarks.pairs import Row, arguments, hand_over, paired
from tests.engine import tiny_models
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


def shaped(width: float, folder: Path, device: str, side: int = SIDE) -> LoadedModel:
    """Qwen3-VL-4B-Instruct times ``width`` (1/4: a quarter), random weights in 16 bits, made on the device.

    Width, heads and vocabulary are multiplied, and below 1 the depth, too; only the processor is written to ``folder``.
    """
    tokenizer = make_tokenizer("<|vision_start|><|image_pad|><|vision_end|>")
    deep, published = min(1.0, width), width >= 1
    text = {name: max(1, round(value * width)) for name, value in PUBLISHED_TEXT.items()}
    head = 128 if published else 64
    keys = max(1, round(8 * deep))
    text |= {
        "hidden_size": 64 * max(1, round(PUBLISHED_TEXT["hidden_size"] * width / 64)),
        "intermediate_size": 64 * max(1, round(PUBLISHED_TEXT["intermediate_size"] * width / 64)),
        "num_hidden_layers": max(3, round(PUBLISHED_TEXT["num_hidden_layers"] * deep)),
        "vocab_size": max(1024, round(PUBLISHED_TEXT["vocab_size"] * deep)),
        "head_dim": head,
        "num_key_value_heads": keys,
        "num_attention_heads": 4 * keys,
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [24, 20, 20] if published else [12, 10, 10],
            "mrope_interleaved": True,
        },
    }
    depth = max(3, round(PUBLISHED_TOWER["depth"] * deep))
    heads = max(1, round(PUBLISHED_TOWER["num_heads"] * deep))
    tower = {
        "depth": depth,
        "hidden_size": 64 * heads,
        "intermediate_size": 256 * heads,
        "num_heads": heads,
        "out_hidden_size": text["hidden_size"],
        "deepstack_visual_indexes": [depth // 4, depth // 2, depth - 1],
    }
    config = Qwen3VLConfig(text_config=text, vision_config=tower, **qwen_tokens(tokenizer))
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if device.startswith("cuda") else torch.float32)
    try:
        with torch.device(device):
            model = Qwen3VLForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(before)
    processor = qwen_processor(tokenizer, patch=16, pixels=(side * side, side * side))
    processor.save_pretrained(folder)
    return LoadedModel(model, processor, device, "bf16", folder)


def proportional(factor: int, folder: Path) -> Path:
    """As :func:`shaped`, the published model divided by ``factor``, on disk."""
    device = "cuda" if factor == 1 and torch.cuda.is_available() else "cpu"
    made = shaped(1 / factor, folder, device)
    made.model.to(torch.bfloat16).save_pretrained(folder)
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
    if asker is None or asker.way is None or not asker.way.reuse:
        raise SystemExit("The shared part of the prompt is not reused: there is nothing to compare.")
    way, reused = asker.way, scorer.answers(asked)
    asker.way = SUREST
    whole = scorer.answers(asked)
    asker.way = way
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
    worst = fitted(loaded, shared, reasons="worst", worst=1, **parameters)
    scoring = fitted(loaded, shared, reasons="none", **parameters)
    asked = [asking.showing.question(item) for item in items]
    for scorer in (asking, worst, scoring):  # the first question also decides how the shared part is reused
        scorer.answers(asked[:1])
    plain(loaded, asked[:1])
    gap = apart(scoring, asked[: scoring.batch])
    if gap > TOLERANCE[loaded.quantisation == "fp32"]:
        raise SystemExit(f"{name}: expected scores differ by {gap:.2g} points; no speed is compared.")
    same = f"expected scores to {gap:.1g} of 100 points"
    theirs = synchronised(lambda: plain(loaded, asked), context.device)
    what = f"{len(asked)} images, MLLM, {name}, {loaded.quantisation} on {context.device}"
    titles = {"shared part once, with reason": asking, "reason of the worst": worst, "score only": scoring}
    return [
        paired(
            f"{what}: {title}",
            "transformers generate",
            f"{same}; {effort(scorer, asked)}",
            theirs,
            synchronised(lambda one=scorer: one.answers(asked), context.device),
            rounds,
        )
        for title, scorer in titles.items()
    ]


def effort(scorer: Mllm, asked: Sequence[Question]) -> str:
    """What the model is given to compute for a picture, ours and by plain generation, in words."""
    asker = scorer._asker
    assert asker is not None
    before = asker.effort.to_json()
    scorer.answers(asked)
    ours = {key: (value - before[key]) / len(asked) for key, value in asker.effort.to_json().items()}
    whole = asker._inputs(asker.render(asked[0].conversation), [(*asked[0].shared, *asked[0].own)], first=True)
    prompt = whole["input_ids"].shape[1]
    a_token = asker.row_bytes / max(1, asker.row_tokens)
    copied = a_token * sum(prompt + step for step in range(TOKENS - 1))  # all that was read, at every token
    return (
        f"a picture {_counts(ours['passes'], ours['tokens'], ours['copied_bytes'])}, plain "
        f"{_counts(TOKENS, prompt + TOKENS - 1, copied)}"
    )


def _counts(passes: float, tokens: float, copied: float) -> str:
    return f"{passes:.3g} passes, {tokens:.0f} tokens, {copied / 1e6:.2f} MB copied"


def counted(family: str, folder: Path, context: Context, items: Sequence[Item]) -> str:
    """A line about a tiny model of a family: what is computed depends on its kind, not on its size."""
    loaded = load(str(tiny_models.make(family, folder)), "fp32", "cpu")
    resources = Resources()
    resources.hold(("mllm", str(loaded.folder), "fp32", "cpu"), lambda: loaded)
    shared = Context(**{**context.__dict__, "device": "cpu", "resources": resources})
    lines = []
    for reasons in ("all", "none"):
        scorer = fitted(loaded, shared, references=REFERENCES, view="no", reasons=reasons)
        asked = [scorer.showing.question(item) for item in items]
        with patch.object(local, "LEAST_MASS", 0.0):  # random ones name no number
            scorer.answers(asked[:1])
            lines.append(f"reasons={reasons}: {effort(scorer, asked)}")
    resources.close()
    return f"{family}-shaped, {'; '.join(lines)}"


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
        for family in ("qwen3_vl", "gemma3", "qwen3_5"):
            print(counted(family, folder.parent / family, context, tests), file=sys.stderr)
    hand_over(rows, given.rows)


if __name__ == "__main__":
    main()
