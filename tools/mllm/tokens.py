"""The tokenizer of the model that ships: byte-level BPE with one token a digit, and its chat template."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from mad_core.datasets.demo.make import demo_card
from mad_core.scorers.multimodal.prompts import ask
from mad_core.scorers.multimodal.rubrics import rubric_of_card
from tools.mllm.faults import FAMILIES
from tools.mllm.words import answer_of, make_context, make_product, make_rubric

SIZE = 2048
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


PROSE = "\n".join(
    (
        "",
        "usable as it is, repairable, lost, scrap; benign, precancerous, malignant; healthy, mild, "
        "moderate, severe, proliferative",
        "economic impact: what the defect costs; cosmetic damage that a customer accepts; must be "
        "reworked before it is sold;",
        "the product cannot be used. industrial inspection, a quality inspector, an "
        "ophthalmologist, a radiologist, a dermatologist",
        "extent of lung damage, opacity, consolidation, infection, retinopathy, haemorrhages, "
        "exudates, microaneurysms, vessels,",
        "lesion, skin, tissue, scan, image, photograph, chest, eye, disease, patient, danger, "
        "danger to sight, treatment",
        "distance in meaning: same breed, another breed, another animal, bird, flower, artefact, "
        "plant, thing, cousin, stranger",
        "metal, steel, brass, aluminium, plastic, rubber, glass, wood, leather, textile, carpet, "
        "grid, tile, cable, capsule, pill,",
        "bottle, hazelnut, screw, nut, bolt, washer, transistor, zipper, circuit board, solder, "
        "pin, chip, thread, seal, edge, corner",
        "colour, contamination, cut, bent, broken, squeezed, poke, fold, print, glue, oil, dirt, "
        "scratch, crack, blowhole, fray, uneven",
        "leaks, short circuit, breaks under load, loses strength, does not fit, still seals, "
        "weakens, grows, spreads, critical, minor",
        "the fault, the surface, the function, the customer, the line, the part, piece, product, "
        "product line, machine, batch",
        "",
    )
)


def corpus(count: int = 20_000, seed: int = 0) -> Iterator[str]:
    """Made-up rubrics and answers, the demo's level meanings, and words of rubrics, so that none is spelled out."""
    rng = np.random.default_rng(seed)
    cards = demo_card().subsets.values()
    of_cards = [rubric.wording(product=card.product) for card in cards if (rubric := rubric_of_card(card))]
    yield from [PROSE, *of_cards] * 40
    for _ in range(count):
        judged = make_rubric(rng)
        talk = ask(judged.rubric.wording("", make_product(rng)), expert=judged.rubric.expert, references=1, view=True)
        yield talk.system + "".join(piece.text for piece in (*talk.shared, *talk.own)) + make_context(rng)
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


def token_id(tokenizer: PreTrainedTokenizerFast, token: str) -> int:
    """The id of one special token."""
    number = tokenizer.convert_tokens_to_ids(token)
    assert isinstance(number, int)
    return number
