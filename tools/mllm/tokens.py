"""The tokenizer of the model that ships: byte-level BPE with one token a digit, and its chat template."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mad_core.scorers.prompts import ask
from mad_core.scorers.rubrics import FOLDER
from tools.mllm.faults import FAMILIES
from tools.mllm.words import answer_of, make_product, make_rubric

SIZE = 3072
PAD, END, IMAGE, SYSTEM, USER, ASSISTANT = "<pad>", "<end>", "<image>", "<system>", "<user>", "<assistant>"
CHAT = (
    "{% for message in messages %}"
    "{{ '<' + message['role'] + '>' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}"
    "{% endfor %}"
    "{% if message['role'] == 'assistant' %}{{ '<end>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def corpus(count: int = 20_000, seed: int = 0) -> Iterator[str]:
    """Made-up rubrics and answers, and the rubrics that ship, so that their words are not spelled out."""
    rng = np.random.default_rng(seed)
    for path in sorted(FOLDER.glob("*.yaml")):
        yield from [path.read_text(encoding="utf-8")] * 40
    for _ in range(count):
        judged = make_rubric(rng)
        talk = ask(judged.rubric.wording("", make_product(rng)), expert=judged.rubric.expert, references=1, view=True)
        yield talk.system + "".join(piece.text for piece in (*talk.shared, *talk.own))
        yield answer_of(judged, str(rng.choice(FAMILIES)), float(rng.random()), "at the upper left", rng)


def train_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Train it and write it to ``folder``."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [PAD, END, IMAGE, SYSTEM, USER, ASSISTANT]
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, padding_side="left", chat_template=CHAT
    )
    fast.add_special_tokens({"additional_special_tokens": [IMAGE, SYSTEM, USER, ASSISTANT]})
    fast.save_pretrained(folder)
    return fast
