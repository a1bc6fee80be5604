"""Tiny multimodal models with random weights, of several families, written to a folder as published ones are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3ImageProcessor,
    Gemma3Processor,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Molmo2Config,
    Molmo2ForConditionalGeneration,
    Molmo2ImageProcessor,
    Molmo2Processor,
    Molmo2VideoProcessor,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3_5Config,
    Qwen3_5ForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    SiglipImageProcessor,
    SiglipVisionConfig,
    TimmWrapperConfig,
)

from mad_core.scorers.multimodal.prompts import answer, ask

SPECIAL = ["<pad>", "<end>", "<system>", "<user>", "<assistant>", "<image>"]
SPECIAL += ["<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"]
LLAVA_IMAGE, QWEN_IMAGE = "<image>", "<|vision_start|><|image_pad|><|vision_end|>"
CHAT = (
    "{% for message in messages %}{{ '<' + message['role'] + '>' }}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}{{ 'MARK' }}{% endif %}{% endfor %}"
    "{% if message['role'] == 'assistant' %}{{ '<end>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)
SIDE = 32
"""Pixels of the square that LLaVA- and FastVLM-type models look at."""


def make_tokenizer(mark: str = LLAVA_IMAGE, named: Mapping[str, str] | None = None) -> PreTrainedTokenizerFast:
    """Byte-level pairs with one token a digit, and a chat template that marks images by ``mark``.

    ``named`` are further tokens, under the names by which a processor looks them up.
    """
    special = [*SPECIAL, *(named or {}).values()]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    talk = ask("Judge what it costs.\n0: normal.\n1-100: a fault.", references=3, view=True)
    corpus = [answer(n, "It has a deep crack.") for n in range(101)]
    corpus += [piece.text for piece in (*talk.shared, *talk.own)] * 20 + [talk.system] * 20
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        corpus,
        trainers.BpeTrainer(vocab_size=416, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token="<end>",
        chat_template=CHAT.replace("MARK", mark),
        extra_special_tokens=named or {},
    )
    fast.add_special_tokens({"additional_special_tokens": SPECIAL[2:]}, replace_extra_special_tokens=False)
    return fast


def _text(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 4096,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "tie_word_embeddings": False,
    }


def llava(folder: Path) -> Path:
    """LLaVA-type: SigLIP tower and Llama; four tokens an image."""
    tokenizer = make_tokenizer()
    tower = SiglipVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
        vision_use_head=False,
    )
    config = LlavaConfig(
        vision_config=tower,
        text_config=LlamaConfig(**_text(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )
    return _save(folder, LlavaForConditionalGeneration(config), _llava_processor(tokenizer, 16))


def fast_vlm(folder: Path) -> Path:
    """FastVLM-type: a convolutional tower of timm and Llama."""
    tokenizer = make_tokenizer()
    arguments = {"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 32], "stem_width": 8, "global_pool": ""}
    tower = TimmWrapperConfig(
        architecture="resnet10t",
        do_pooling=False,
        initializer_range=0.02,
        model_args=arguments,
        hidden_size=32,
        num_labels=0,
    )
    config = FastVlmConfig(
        vision_config=tower,
        text_config=LlamaConfig(**_text(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    return _save(folder, FastVlmForConditionalGeneration(config), _llava_processor(tokenizer, 32, 2 * SIDE))


def _llava_processor(tokenizer: PreTrainedTokenizerFast, patch: int, side: int = SIDE) -> LlavaProcessor:
    images = SiglipImageProcessor(size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=patch,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        image_token="<image>",
        chat_template=tokenizer.chat_template,
    )


def qwen3_vl(folder: Path) -> Path:
    """Qwen3-VL-type: positions in three dimensions, as many tokens an image as it has patches."""
    tokenizer = make_tokenizer(QWEN_IMAGE)
    text = _text(tokenizer) | {
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}
        | {"mrope_interleaved": True}
    }
    config = Qwen3VLConfig(
        text_config=text, vision_config=qwen_tower() | {"deepstack_visual_indexes": [0, 1]}, **qwen_tokens(tokenizer)
    )
    return _save(folder, Qwen3VLForConditionalGeneration(config), qwen_processor(tokenizer))


def qwen3_5(folder: Path) -> Path:
    """Qwen3.5-type: most layers keep a running state, which cannot be shortened."""
    tokenizer = make_tokenizer(QWEN_IMAGE)
    text = _text(tokenizer) | {
        "num_hidden_layers": 4,
        "layer_types": ["linear_attention"] * 3 + ["full_attention"],
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e4,
            "mrope_section": [1, 1, 0],
            "mrope_interleaved": True,
            "partial_rotary_factor": 0.25,
        },
    }
    config = Qwen3_5Config(text_config=text, vision_config=qwen_tower(), **qwen_tokens(tokenizer))
    return _save(folder, Qwen3_5ForConditionalGeneration(config), qwen_processor(tokenizer))


def qwen_tower() -> dict[str, Any]:
    """The vision part of Qwen3-VL and its heirs, which take no deeper layers beside it."""
    return {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 64,
        "num_position_embeddings": 16,
    }


def qwen_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """The configuration's ids of the tokens that stand for media."""
    names = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    return {f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>") for name, token in names.items()}


def qwen_processor(
    tokenizer: PreTrainedTokenizerFast, patch: int = 8, pixels: tuple[int, int] = (16 * 16, 64 * 64)
) -> Qwen3VLProcessor:
    """The family's processor; images keep their aspect between ``pixels`` in all."""
    size = {"shortest_edge": pixels[0], "longest_edge": pixels[1]}
    shape = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2, "size": size}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**shape),
        video_processor=Qwen3VLVideoProcessor(**shape),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
    )


GEMMA_NAMED = {"image_token": "<soft>", "boi_token": "<image-begins>", "eoi_token": "<image-ends>"}


def gemma3(folder: Path) -> Path:
    """Gemma-3-type: tokens of an image see each other in both directions, and every second layer only what is near."""
    tokenizer = make_tokenizer(GEMMA_NAMED["boi_token"], GEMMA_NAMED)
    tokenizer.add_tokens(["\n\n", "\n\n\n", "\n\n\n\n"])
    layers = ["sliding_attention", "full_attention", "full_attention"]
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config=_text(tokenizer) | {"sliding_window": 16, "layer_types": layers, "query_pre_attn_scalar": 16},
        vision_config=tower | {"image_size": SIDE, "patch_size": 8, "vision_use_head": False},
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.convert_tokens_to_ids(GEMMA_NAMED["boi_token"]),
        eoi_token_index=tokenizer.convert_tokens_to_ids(GEMMA_NAMED["eoi_token"]),
        image_token_index=tokenizer.convert_tokens_to_ids(GEMMA_NAMED["image_token"]),
    )
    processor = Gemma3Processor(
        image_processor=Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE}),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template.replace("part['text'] }}", "part['text'] | trim }}"),
        image_seq_length=4,
    )
    return _save(folder, _seeing(Gemma3ForConditionalGeneration(config)), processor)


MOLMO_TOKENS = {
    "image_start": "<im_start>",
    "low_res_image_start": "<low_res_im_start>",
    "image_end": "<im_end>",
    "image_patch": "<im_patch>",
    "frame_start": "<frame_start>",
    "frame_end": "<frame_end>",
}


def molmo2(folder: Path) -> Path:
    """Molmo2-type: what the processor says of patches counts through all images of one call."""
    others = {"mark": "<|image|>", "column": "<im_col>", "low": "<im_low>", "video": "<|video|>"}
    tokenizer = make_tokenizer("<|image|>", MOLMO_TOKENS | others)
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in MOLMO_TOKENS.items()}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 64}
    tower = {"hidden_size": 32, "num_hidden_layers": 2, "image_size": [28, 28], "patch_size": 7}
    config = Molmo2Config(
        text_config=_text(tokenizer) | {"additional_vocab_size": 64},
        vision_config=heads | tower | {"num_position_embeddings": 16},
        adapter_config=heads | {"vision_feature_layer": [-1, -2], "hidden_size": 32, "text_hidden_size": 64},
        image_patch_id=ids.pop("image_patch"),
        **{f"{name}_token_id": number for name, number in ids.items()},
    )
    images = Molmo2ImageProcessor(
        size={"height": 28, "width": 28}, patch_size=7, max_crops=2, overlap_margins=[1, 1], pooling_size=[2, 2]
    )
    processor = Molmo2Processor(
        image_processor=images,
        video_processor=Molmo2VideoProcessor(),
        tokenizer=tokenizer,
        chat_template=tokenizer.chat_template,
    )
    return _save(folder, _seeing(Molmo2ForConditionalGeneration(config)), processor)


def _seeing(model: Any) -> Any:
    """The model with its projector drawn anew: some begin as zeros, and a model that sees nothing hides faults."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2 and "projector" in name:
                weight.normal_(0, 0.3)
    return model


def _save(folder: Path, model: Any, processor: Any) -> Path:
    """Sharpen the random model, so that its choices are its own and not ties, and write it."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2 and "tower" not in name and "visual" not in name:
                weight.mul_(3)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "llava": llava,
    "fast_vlm": fast_vlm,
    "qwen3_vl": qwen3_vl,
    "qwen3_5": qwen3_5,
    "gemma3": gemma3,
    "molmo2": molmo2,
}


def make(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a tiny model of one family; the same weights for the same seed."""
    torch.manual_seed(seed)
    return FAMILIES[family](folder)


DARK, BRIGHT = "It is dark.", "It is bright."


def teach(folder: Path, steps: int = 120, seed: int = 0) -> Path:
    """Teach a tiny LLaVA in ``folder`` to call dark pictures 12 and bright ones 80, in the form that is asked for."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = LlavaForConditionalGeneration.from_pretrained(folder).train()
    processor = LlavaProcessor.from_pretrained(folder)
    text = processor.apply_chat_template(ask("0: normal.").messages(), add_generation_prompt=True, tokenize=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(steps):
        bright = rng.random(8) < 0.5
        pictures = [picture(rng, b) for b in bright]
        texts = [text + (answer(80, BRIGHT) if b else answer(12, DARK)) + "<end>" for b in bright]
        rows = [[Image.fromarray(p)] for p in pictures]
        inputs = processor(text=texts, images=rows, return_tensors="pt", padding=True, padding_side="right")
        start = int((inputs["input_ids"][0] == processor.tokenizer.convert_tokens_to_ids("<assistant>")).nonzero()[0])
        labels = inputs["input_ids"].clone()
        labels[:, : start + 1] = -100
        labels[inputs["attention_mask"] == 0] = -100
        loss = model(**inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.save_pretrained(folder)
    return folder


def picture(rng: np.random.Generator, bright: bool, size: tuple[int, int] = (40, 48)) -> np.ndarray:
    """A grainy picture, dark or bright: uint8 of shape (h, w, 3)."""
    return np.clip((200 if bright else 50) + rng.normal(0, 10, (*size, 3)), 0, 255).astype(np.uint8)
