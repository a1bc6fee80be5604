"""Tiny multimodal models of many families, with random weights, written to a folder as published ones are.

Each has two to four layers, a processor of its own family and a chat template of the published shape: the order of
pictures and texts, what becomes of a system line, what stands where the answer begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tr
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from mad_core.scorers.multimodal.prompts import answer, ask
from mad_core.scorers.multimodal.showing import Question

from .tiny_models import qwen_tower

TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 8192,
}
SIGLIP: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


# -- tokenisers ---------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _core(digits: int) -> str:
    """A byte-level tokeniser of prompts and answers with at most so many digits a token, as JSON."""
    core = Tokenizer(models.BPE())
    split = rf"[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,{digits}}}|\s+(?!\S)|\s+"
    parts = [pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    core.pre_tokenizer = pre_tokenizers.Sequence(parts)
    core.decoder = decoders.ByteLevel()
    talk = ask("Judge what it costs.\n0: normal.\n1-100: a fault.", references=3, view=True)
    corpus = [answer(n, "It has a deep crack.") for n in range(101)] * (10 if digits > 1 else 1)
    corpus += [piece.text for piece in (*talk.shared, *talk.own)] * 20 + [talk.system] * 20
    size = 540 if digits > 1 else 420
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(corpus, trainer)
    return core.to_str()


def tokenizer(
    specials: Sequence[str],
    *,
    eos: str,
    pad: str,
    bos: str | None = None,
    digits: int = 1,
    merged: Sequence[str] = (),
    named: dict[str, str] | None = None,
) -> tr.PreTrainedTokenizerFast:
    """A tokeniser with the special tokens of a family.

    Parameters
    ----------
    specials : sequence of str
        Tokens that are never split.
    digits : int
        Digits a token holds at most.
    merged : sequence of str
        Plain texts that are one token each, as runs of line breaks are in Gemma.
    named : mapping of str to str
        Tokens that processors look up by name (``image_token``).
    """
    fast = tr.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_core(digits)),
        pad_token=pad,
        eos_token=eos,
        bos_token=bos,
        extra_special_tokens=named or {},
    )
    rest = [s for s in dict.fromkeys(specials) if s not in {pad, eos, bos, *(named or {}).values()}]
    fast.add_special_tokens({"additional_special_tokens": rest}, replace_extra_special_tokens=False)
    if merged:
        fast.add_tokens(list(merged))
    return fast


def _room(tok: tr.PreTrainedTokenizerFast) -> dict[str, Any]:
    """What a text configuration says of the vocabulary."""
    size = -(-len(tok) // 64) * 64
    return {"vocab_size": size, "pad_token_id": tok.pad_token_id, "eos_token_id": tok.eos_token_id} | (
        {"bos_token_id": tok.bos_token_id} if tok.bos_token_id is not None else {}
    )


def _text(tok: tr.PreTrainedTokenizerFast, **more: Any) -> dict[str, Any]:
    return TEXT | _room(tok) | more


# -- templates ----------------------------------------------------------------------------------

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ 'MARK' }}{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
IMAGES_FIRST = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + ' ' }}"
    "{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ '\n' + c['text'] }}{% endfor %}"
    "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
VICUNA = (
    "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'].upper() + ': ' }}{% endif %}"
    "{% for c in m['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% for c in m['content'] | selectattr('type', 'equalto', 'text') %}{{ c['text'] + ' ' }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
GEMMA3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% set first = messages[0]['content'][0]['text'] + '\n\n' %}{% set rest = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{{ '<start_of_turn>' + m['role'] + '\n' + (first if loop.first else '') }}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<start_of_image>' }}"
    "{% elif c['type'] == 'text' %}{{ c['text'] | trim }}{% endif %}{% endfor %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
GEMMA4 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ '<|turn>system\n' }}{% if enable_thinking is defined and enable_thinking %}{{ '<|think|>\n' }}{% endif %}"
    "{% for c in messages[0]['content'] %}{{ c['text'] | trim + ' ' }}{% endfor %}{{ '<turn|>\n' }}{% set rest = messages[1:] %}"  # noqa: E501
    "{% else %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}{{ '<|turn>' + m['role'] + '\n' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}{{ '\n\n<|image|>\n\n' }}{% elif c['type'] == 'text' %}{{ c['text'] | trim }}{% endif %}"  # noqa: E501
    "{% endfor %}{{ '<turn|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|turn>model\n' }}"
    "{% if not enable_thinking | default(false) %}{{ '<|channel>thought\n<channel|>' }}{% endif %}{% endif %}"
)
QWEN3_5 = CHATML.replace(
    "{{ '<|im_start|>assistant\n' }}",
    "{{ '<|im_start|>assistant\n' }}{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% else %}{{ '<think>\n' }}{% endif %}",
)
GLM4V = (
    "[gMASK]<sop>{% for m in messages %}{% if m.role == 'system' %}{{ '<|system|>\n' }}"
    "{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}"
    "{% elif m.role == 'user' %}{{ '<|user|>\n' }}{% for c in m.content %}"
    "{% if c.type == 'image' %}{{ '<|begin_of_image|><|image|><|end_of_image|>' }}"
    "{% elif c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
GLM46V = GLM4V.replace(
    "{% endif %}{% endfor %}{% if add",
    "{% if enable_thinking is defined and not enable_thinking %}{{ '/nothink' }}{% endif %}{% endif %}{% endfor %}{% if add",  # noqa: E501
).replace(
    "{{ '<|assistant|>\n' }}",
    "{{ '<|assistant|>\n' }}{% if enable_thinking is defined and not enable_thinking %}{{ '<think></think>\n' }}{% endif %}",  # noqa: E501
)
MISTRAL = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ '[SYSTEM_PROMPT]' + messages[0]['content'][0]['text'] + '[/SYSTEM_PROMPT]' }}{% set rest = messages[1:] %}"
    "{% else %}{% set rest = messages %}{% endif %}{% for m in rest %}{{ '[INST]' }}{% for c in m['content'] %}"
    "{% if c['type'] == 'text' %}{{ c['text'] }}{% elif c['type'] == 'image' %}{{ '[IMG]' }}{% endif %}{% endfor %}"
    "{{ '[/INST]' }}{% endfor %}"
)
IDEFICS = (
    "BEGIN{% for m in messages %}{{ m['role'] | capitalize }}"
    "{% if m['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% elif c['type'] == 'image' %}{{ '<image>' }}"  # noqa: E501
    "{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
MLLAMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('Prompting with images is incompatible with system messages.') }}{% endif %}"
    "{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}{{ '<|image|>' }}"
    "{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
COHERE = (
    "{{ bos_token }}{% for m in messages %}<|START_OF_TURN_TOKEN|>"
    "{{ {'user': '<|USER_TOKEN|>', 'system': '<|SYSTEM_TOKEN|>', 'assistant': '<|CHATBOT_TOKEN|>'}[m.role] }}"
    "{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}{% else %}{{ '<image>' }}{% endif %}{% endfor %}"
    "<|END_OF_TURN_TOKEN|>{% endfor %}"
    "{% if add_generation_prompt %}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|><|START_RESPONSE|>{% endif %}"
)


# -- families -----------------------------------------------------------------------------------


def _chatml(*marks: str, digits: int = 1, named: dict[str, str] | None = None, **kw: Any) -> tr.PreTrainedTokenizerFast:
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", *marks]
    return tokenizer(specials, eos="<|im_end|>", pad="<|endoftext|>", digits=digits, named=named, **kw)


QWEN_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


def _ids(tok: Any, **names: str) -> dict[str, int]:
    return {name: tok.convert_tokens_to_ids(token) for name, token in names.items()}


def _qwen_ids(tok: Any) -> dict[str, int]:
    return _ids(
        tok,
        image_token_id="<|image_pad|>",
        video_token_id="<|video_pad|>",
        vision_start_token_id="<|vision_start|>",
        vision_end_token_id="<|vision_end|>",
    )


def _qwen_media(tok: Any, processor: type, video: type, template: str, patch: int = 8) -> Any:
    shape = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": 2}
    size = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    return processor(
        image_processor=tr.Qwen2VLImageProcessor(**shape, size=size),
        video_processor=video(**shape, size=size),
        tokenizer=tok,
        chat_template=template.replace("MARK", QWEN_IMAGE),
    )


def _mrope(sections: list[int], **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 1e4, "mrope_section": sections} | more


def qwen2_vl(folder: Path) -> Path:
    tok = _chatml(*QWEN_MARKS)
    config = tr.Qwen2VLConfig(
        text_config=_text(tok, rope_parameters=_mrope([2, 3, 3])),
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "patch_size": 8, "mlp_ratio": 2},
        **_qwen_ids(tok),
    )
    return save(
        folder,
        tr.Qwen2VLForConditionalGeneration(config),
        _qwen_media(tok, tr.Qwen2VLProcessor, tr.Qwen2VLVideoProcessor, CHATML),
    )


def qwen2_5_vl(folder: Path) -> Path:
    tok = _chatml(*QWEN_MARKS)
    tower = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 8}
    tower |= {"out_hidden_size": 64, "window_size": 32, "fullatt_block_indexes": [1]}
    config = tr.Qwen2_5_VLConfig(
        text_config=_text(tok, rope_parameters=_mrope([2, 3, 3])), vision_config=tower, **_qwen_ids(tok)
    )
    return save(
        folder,
        tr.Qwen2_5_VLForConditionalGeneration(config),
        _qwen_media(tok, tr.Qwen2_5_VLProcessor, tr.Qwen2VLVideoProcessor, CHATML),
    )


def qwen3_vl(folder: Path) -> Path:
    tok = _chatml(*QWEN_MARKS)
    config = tr.Qwen3VLConfig(
        text_config=_text(tok, rope_parameters=_mrope([2, 3, 3], mrope_interleaved=True)),
        vision_config=qwen_tower() | {"deepstack_visual_indexes": [0, 1]},
        **_qwen_ids(tok),
    )
    return save(
        folder,
        tr.Qwen3VLForConditionalGeneration(config),
        _qwen_media(tok, tr.Qwen3VLProcessor, tr.Qwen3VLVideoProcessor, CHATML),
    )


def qwen3_vl_moe(folder: Path) -> Path:
    tok = _chatml(*QWEN_MARKS)
    more = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64, "decoder_sparse_step": 1}
    config = tr.Qwen3VLMoeConfig(
        text_config=_text(tok, rope_parameters=_mrope([2, 3, 3], mrope_interleaved=True), **more),
        vision_config=qwen_tower() | {"deepstack_visual_indexes": [0, 1]},
        **_qwen_ids(tok),
    )
    return save(
        folder,
        tr.Qwen3VLMoeForConditionalGeneration(config),
        _qwen_media(tok, tr.Qwen3VLProcessor, tr.Qwen3VLVideoProcessor, CHATML),
    )


LINEAR: dict[str, Any] = {
    "num_hidden_layers": 4,
    "layer_types": ["linear_attention"] * 3 + ["full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "rope_parameters": _mrope([1, 1, 0], mrope_interleaved=True, partial_rotary_factor=0.25),
}


def qwen3_5(folder: Path) -> Path:
    tok = _chatml(*QWEN_MARKS)
    config = tr.Qwen3_5Config(text_config=_text(tok, **LINEAR), vision_config=qwen_tower(), **_qwen_ids(tok))
    return save(
        folder,
        tr.Qwen3_5ForConditionalGeneration(config),
        _qwen_media(tok, tr.Qwen3VLProcessor, tr.Qwen3VLVideoProcessor, QWEN3_5),
    )


def internvl(folder: Path) -> Path:
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tok = _chatml(*named.values(), named=named)
    config = tr.InternVLConfig(
        vision_config={**SIGLIP, "image_size": [32, 32], "patch_size": [8, 8]},
        text_config=tr.Qwen3Config(**_text(tok)).to_dict(),
        image_token_id=tok.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    image = tr.GotOcr2ImageProcessor(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4)
    processor = tr.InternVLProcessor(
        image_processor=image,
        tokenizer=tok,
        video_processor=tr.InternVLVideoProcessor(size={"height": 32, "width": 32}),
        image_seq_length=4,
        chat_template=CHATML.replace("MARK", "<IMG_CONTEXT>\n"),
    )
    return save(folder, tr.InternVLForConditionalGeneration(config), processor)


GEMMA_NAMED = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}


def gemma3(folder: Path) -> Path:
    specials = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", *GEMMA_NAMED.values()]
    tok = tokenizer(
        specials,
        eos="<end_of_turn>",
        pad="<pad>",
        bos="<bos>",
        merged=("\n\n", "\n\n\n", "\n\n\n\n"),
        named=GEMMA_NAMED,
    )
    text = _text(tok, sliding_window=16, layer_types=["sliding_attention", "full_attention"], query_pre_attn_scalar=16)
    config = tr.Gemma3Config(
        text_config=text,
        vision_config={**SIGLIP, "image_size": 32, "patch_size": 8, "vision_use_head": False},
        mm_tokens_per_image=4,
        boi_token_index=tok.boi_token_id,
        eoi_token_index=tok.eoi_token_id,
        image_token_index=tok.image_token_id,
    )
    image = tr.Gemma3ImageProcessor(size={"height": 32, "width": 32})
    processor = tr.Gemma3Processor(image_processor=image, tokenizer=tok, chat_template=GEMMA3, image_seq_length=4)
    return save(folder, tr.Gemma3ForConditionalGeneration(config), processor)


GEMMA4_NAMED = {
    "image_token": "<|image|>",
    "boi_token": "<|image>",
    "eoi_token": "<image|>",
    "audio_token": "<|audio|>",
    "boa_token": "<|audio>",
    "eoa_token": "<audio|>",
}
GEMMA4_SPECIALS = [
    "<pad>",
    "<eos>",
    "<bos>",
    "<|turn>",
    "<turn|>",
    "<|channel>",
    "<channel|>",
    "<|think|>",
    "<|video|>",
]


def _gemma4_ids(tok: Any) -> dict[str, int]:
    seen = {"image_token_id": "<|image|>", "boi_token_id": "<|image>", "eoi_token_id": "<image|>"}
    heard = {"audio_token_id": "<|audio|>", "boa_token_id": "<|audio>", "eoa_token_index": "<audio|>"}
    return _ids(tok, **seen, video_token_id="<|video|>", **heard)


def gemma4(folder: Path, bidirectional: str | None = None) -> Path:
    tok = tokenizer(
        [*GEMMA4_SPECIALS, *GEMMA4_NAMED.values()],
        eos="<turn|>",
        pad="<pad>",
        bos="<bos>",
        merged=("\n\n", "\n\n\n", "\n\n\n\n"),
        named=GEMMA4_NAMED,
    )
    text = _text(
        tok,
        num_hidden_layers=4,
        sliding_window=16,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
        hidden_size_per_layer_input=16,
        vocab_size_per_layer_input=_room(tok)["vocab_size"],
        num_kv_shared_layers=2,
        global_head_dim=16,
        use_bidirectional_attention=bidirectional,
    )
    config = tr.Gemma4Config(
        text_config=text,
        vision_config={**SIGLIP, "num_key_value_heads": 2, "head_dim": 16, "patch_size": 4, "pooling_kernel_size": 2},
        audio_config=None,
        **_gemma4_ids(tok),
    )
    processor = tr.Gemma4Processor(
        feature_extractor=tr.Gemma4AudioFeatureExtractor(),
        image_processor=tr.Gemma4ImageProcessor(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70),
        tokenizer=tok,
        video_processor=tr.Gemma4VideoProcessor(patch_size=4, pooling_kernel_size=2),
        chat_template=GEMMA4,
    )
    return save(folder, tr.Gemma4ForConditionalGeneration(config), processor)


def gemma4_bidirectional(folder: Path) -> Path:
    """As the large ones: the tokens of an image see each other."""
    return gemma4(folder, bidirectional="vision")


def gemma4_unified(folder: Path) -> Path:
    """Gemma 4 12B's kind: no vision tower, patches go straight into the language model."""
    tok = tokenizer(
        [*GEMMA4_SPECIALS, *GEMMA4_NAMED.values()],
        eos="<turn|>",
        pad="<pad>",
        bos="<bos>",
        merged=("\n\n", "\n\n\n"),
        named=GEMMA4_NAMED,
    )
    text = _text(tok, sliding_window=16, layer_types=["sliding_attention", "full_attention"], global_head_dim=16)
    config = tr.Gemma4UnifiedConfig(
        text_config=text,
        vision_config={
            "patch_size": 4,
            "pooling_kernel_size": 2,
            "mm_embed_dim": 64,
            "mm_posemb_size": 64,
            "output_proj_dims": 64,
        },
        audio_config=None,
        **_gemma4_ids(tok),
    )
    processor = tr.Gemma4UnifiedProcessor(
        feature_extractor=tr.Gemma4UnifiedAudioFeatureExtractor(),
        image_processor=tr.Gemma4UnifiedImageProcessor(patch_size=4, pooling_kernel_size=2, max_soft_tokens=70),
        tokenizer=tok,
        video_processor=tr.Gemma4UnifiedVideoProcessor(patch_size=4, pooling_kernel_size=2),
        chat_template=GEMMA4,
    )
    return save(folder, tr.Gemma4UnifiedForConditionalGeneration(config), processor)


def fast_vlm(folder: Path) -> Path:
    """A convolutional tower of timm; the shipped model's kind."""
    tok = _chatml("<image>")
    arguments = {"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 32], "stem_width": 8, "global_pool": ""}
    tower = tr.TimmWrapperConfig(
        architecture="resnet10t",
        do_pooling=False,
        model_args=arguments,
        hidden_size=32,
        num_labels=0,
    )
    config = tr.FastVlmConfig(
        vision_config=tower,
        text_config=tr.Qwen2Config(**_text(tok)),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        image_seq_length=4,
    )
    processor = tr.LlavaProcessor(
        image_processor=tr.SiglipImageProcessor(size={"height": 64, "width": 64}),
        tokenizer=tok,
        patch_size=32,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=CHATML.replace("MARK", "<image>"),
    )
    model = tr.FastVlmForConditionalGeneration(config)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):  # drawn small, they would see nothing
            torch.nn.init.kaiming_normal_(module.weight)
    return save(folder, model, processor)


def idefics2(folder: Path) -> Path:
    tok = tokenizer(
        ["<unk>", "<s>", "</s>", "<end_of_utterance>", "<fake_token_around_image>", "<image>"],
        eos="<end_of_utterance>",
        pad="<unk>",
        bos="<s>",
    )
    config = tr.Idefics2Config(
        text_config=tr.MistralConfig(**_text(tok, sliding_window=None)).to_dict(),
        vision_config={**SIGLIP, "image_size": 64, "patch_size": 8},
        perceiver_config={
            "hidden_size": 64,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 2,
            "resampler_head_dim": 16,
            "num_key_value_heads": 1,
        },
        image_token_id=tok.convert_tokens_to_ids("<image>"),
    )
    processor = tr.Idefics2Processor(
        image_processor=tr.Idefics2ImageProcessor(
            size={"shortest_edge": 32, "longest_edge": 64}, do_image_splitting=False
        ),
        tokenizer=tok,
        image_seq_len=4,
        chat_template=IDEFICS.replace("BEGIN", ""),
    )
    return save(folder, tr.Idefics2ForConditionalGeneration(config), processor)


def _idefics_like(folder: Path, kind: str) -> Path:
    rows = [f"<row_{r}_col_{c}>" for r in range(1, 7) for c in range(1, 7)]
    specials = ["<|endoftext|>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<image>"]
    specials += ["<global-img>", "<video>", *rows]
    tok = tokenizer(specials, eos="<end_of_utterance>", pad="<|endoftext|>", bos="<|im_start|>")
    config_class = tr.SmolVLMConfig if kind == "smolvlm" else tr.Idefics3Config
    config = config_class(
        text_config=tr.LlamaConfig(**_text(tok)).to_dict(),
        vision_config={**SIGLIP, "image_size": 32, "patch_size": 8},
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tok.pad_token_id,
    )
    sizes = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}
    if kind == "smolvlm":
        processor = tr.SmolVLMProcessor(
            image_processor=tr.SmolVLMImageProcessor(**sizes),
            tokenizer=tok,
            video_processor=tr.SmolVLMVideoProcessor(
                **sizes, video_sampling={"fps": 1, "max_frames": 4, "video_size": sizes["max_image_size"]}
            ),
            image_seq_len=4,
            chat_template=IDEFICS.replace("BEGIN", "<|im_start|>"),
        )
        model = tr.SmolVLMForConditionalGeneration(config)
    else:
        processor = tr.Idefics3Processor(
            image_processor=tr.Idefics3ImageProcessor(**sizes),
            tokenizer=tok,
            image_seq_len=4,
            chat_template=IDEFICS.replace("BEGIN", "<|im_start|>"),
        )
        model = tr.Idefics3ForConditionalGeneration(config)
    return save(folder, model, processor)


def idefics3(folder: Path) -> Path:
    return _idefics_like(folder, "idefics3")


def smolvlm(folder: Path) -> Path:
    return _idefics_like(folder, "smolvlm")


def llava_onevision(folder: Path) -> Path:
    tok = _chatml("<image>", "<video>")
    pins = [[32, 32], [32, 64], [64, 32], [64, 64]]
    config = tr.LlavaOnevisionConfig(
        vision_config=tr.SiglipVisionConfig(**SIGLIP, image_size=32, patch_size=8, vision_use_head=False).to_dict(),
        text_config=tr.Qwen2Config(**_text(tok)).to_dict(),
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        video_token_index=tok.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pins,
    )
    image = tr.LlavaOnevisionImageProcessor(size={"height": 32, "width": 32}, image_grid_pinpoints=pins)
    processor = tr.LlavaOnevisionProcessor(
        image_processor=image,
        tokenizer=tok,
        video_processor=tr.LlavaOnevisionVideoProcessor(size={"height": 32, "width": 32}),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=IMAGES_FIRST,
    )
    return save(folder, tr.LlavaOnevisionForConditionalGeneration(config), processor)


def _llava_parts(tok: Any) -> dict[str, Any]:
    return {
        "vision_config": tr.CLIPVisionConfig(**SIGLIP, image_size=32, patch_size=8).to_dict(),
        "text_config": tr.LlamaConfig(**_text(tok)).to_dict(),
        "image_token_index": tok.convert_tokens_to_ids("<image>"),
        "vision_feature_layer": -1,
    }


def _vicuna() -> tr.PreTrainedTokenizerFast:
    return tokenizer(["<pad>", "<s>", "</s>", "<image>"], eos="</s>", pad="<pad>", bos="<s>")


def llava(folder: Path) -> Path:
    tok = _vicuna()
    processor = tr.LlavaProcessor(
        image_processor=tr.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer=tok,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    config = tr.LlavaConfig(**_llava_parts(tok), image_seq_length=16)
    return save(folder, tr.LlavaForConditionalGeneration(config), processor)


def vipllava(folder: Path) -> Path:
    tok = _vicuna()
    parts = _llava_parts(tok)
    parts.pop("vision_feature_layer")
    processor = tr.LlavaProcessor(
        image_processor=tr.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer=tok,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    config = tr.VipLlavaConfig(**parts, vision_feature_layers=[-2, -1], image_seq_length=16)
    return save(folder, tr.VipLlavaForConditionalGeneration(config), processor)


def llava_next(folder: Path) -> Path:
    tok = _vicuna()
    pins = [[32, 64], [64, 32], [64, 64]]
    processor = tr.LlavaNextProcessor(
        image_processor=tr.LlavaNextImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=pins
        ),
        tokenizer=tok,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    config = tr.LlavaNextConfig(**_llava_parts(tok), image_grid_pinpoints=pins)
    return save(folder, tr.LlavaNextForConditionalGeneration(config), processor)


def lfm2_vl(folder: Path) -> Path:
    marks = ["<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"]
    marks += [f"<|img_row_{r}_col_{c}|>" for r in range(1, 11) for c in range(1, 11)]
    tok = tokenizer(
        ["<|pad|>", "<|startoftext|>", "<|im_start|>", "<|im_end|>", *marks],
        eos="<|im_end|>",
        pad="<|pad|>",
        bos="<|startoftext|>",
        digits=3,
    )
    text = _text(
        tok, num_hidden_layers=4, layer_types=["conv", "full_attention", "conv", "full_attention"], block_ff_dim=128
    )
    config = tr.Lfm2VlConfig(
        text_config=tr.Lfm2Config(**text).to_dict(),
        vision_config=tr.Siglip2VisionConfig(**SIGLIP, patch_size=8, num_patches=16, vision_use_head=False).to_dict(),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        projector_hidden_size=64,
    )
    image = tr.Lfm2VlImageProcessor(
        encoder_patch_size=8,
        tile_size=32,
        min_image_tokens=4,
        max_image_tokens=16,
        max_tiles=4,
        size={"height": 32, "width": 32},
    )
    processor = tr.Lfm2VlProcessor(
        image_processor=image, tokenizer=tok, chat_template="{{ bos_token }}" + CHATML.replace("MARK", "<image>")
    )
    return save(folder, tr.Lfm2VlForConditionalGeneration(config), processor)


GLM_MARKS = ["<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<think>", "</think>"]
GLM_MARKS += [
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|image|>",
    "<|begin_of_video|>",
    "<|end_of_video|>",
    "<|video|>",
]


def _glm(folder: Path, kind: str, template: str) -> Path:
    tok = tokenizer(GLM_MARKS, eos="<|user|>", pad="<|endoftext|>", digits=3)
    ids = _ids(
        tok,
        image_token_id="<|image|>",
        video_token_id="<|video|>",
        image_start_token_id="<|begin_of_image|>",
        image_end_token_id="<|end_of_image|>",
        video_start_token_id="<|begin_of_video|>",
        video_end_token_id="<|end_of_video|>",
    )
    text = _text(tok, rope_parameters=_mrope([2, 3, 3], partial_rotary_factor=1.0))
    tower = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 8, "image_size": 32}
    tower |= {"out_hidden_size": 64}
    shape = {"patch_size": 8, "temporal_patch_size": 2, "merge_size": 2}
    size = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64 * 2}
    if kind == "glm4v":
        config: Any = tr.Glm4vConfig(text_config=text, vision_config=tower, **ids)
        model: Any = tr.Glm4vForConditionalGeneration(config)
        processor: Any = tr.Glm4vProcessor(
            image_processor=tr.Glm4vImageProcessor(**shape, size=size),
            tokenizer=tok,
            video_processor=tr.Glm4vVideoProcessor(**shape, size=size),
            chat_template=template,
        )
    else:
        config = tr.Glm46VConfig(
            text_config=tr.Glm4vConfig(text_config=text).text_config.to_dict(),
            vision_config=tr.Glm4vConfig(vision_config=tower).vision_config.to_dict(),
            **ids,
        )
        model = tr.Glm46VForConditionalGeneration(config)
        processor = tr.Glm46VProcessor(
            image_processor=tr.Glm46VImageProcessor(**shape, size=size),
            tokenizer=tok,
            video_processor=tr.Glm46VVideoProcessor(**shape, size=size),
            chat_template=template,
        )
    return save(folder, model, processor)


def glm4v(folder: Path) -> Path:
    return _glm(folder, "glm4v", GLM4V)


def glm46v(folder: Path) -> Path:
    return _glm(folder, "glm46v", GLM46V)


def mistral3(folder: Path) -> Path:
    specials = ["<unk>", "<s>", "</s>", "<pad>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"]
    specials += ["[IMG]", "[IMG_BREAK]", "[IMG_END]"]
    tok = tokenizer(specials, eos="</s>", pad="<pad>", bos="<s>")
    config = tr.Mistral3Config(
        text_config=tr.MistralConfig(**_text(tok, sliding_window=None)).to_dict(),
        vision_config=tr.PixtralVisionConfig(**SIGLIP, image_size=64, patch_size=8, head_dim=16).to_dict(),
        image_token_index=tok.convert_tokens_to_ids("[IMG]"),
    )
    processor = tr.PixtralProcessor(
        image_processor=tr.PixtralImageProcessor(size={"longest_edge": 64}, patch_size={"height": 8, "width": 8}),
        tokenizer=tok,
        patch_size=8,
        spatial_merge_size=2,
        chat_template=MISTRAL,
    )
    return save(folder, tr.Mistral3ForConditionalGeneration(config), processor)


LLAMA3 = ["<|begin_of_text|>", "<|finetune_right_pad_id|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
LLAMA3 += ["<|python_tag|>", "<|image|>"]


COHERE_MARKS = ["<PAD>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>"]
COHERE_MARKS += ["<|SYSTEM_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|START_RESPONSE|>", "<image>", "<|START_OF_IMG|>"]
COHERE_MARKS += [
    "<|END_OF_IMG|>",
    "<|IMG_PATCH|>",
    "<|IMG_LINE_BREAK|>",
    "TILE_GLOBAL",
    *(f"TILE_{n}" for n in range(1, 13)),
]


def aya_vision(folder: Path) -> Path:
    tok = tokenizer(COHERE_MARKS, eos="<|END_OF_TURN_TOKEN|>", pad="<PAD>", bos="<BOS_TOKEN>")
    text = tr.Cohere2Config(
        **_text(tok, sliding_window=16, layer_types=["sliding_attention", "full_attention"])
    ).to_dict()
    config = tr.AyaVisionConfig(
        text_config=text,
        vision_config=tr.SiglipVisionConfig(**SIGLIP, image_size=32, patch_size=8, vision_use_head=False).to_dict(),
        image_token_index=tok.convert_tokens_to_ids("<|IMG_PATCH|>"),
        downsample_factor=2,
    )
    processor = tr.AyaVisionProcessor(
        image_processor=tr.GotOcr2ImageProcessor(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4),
        tokenizer=tok,
        patch_size=8,
        img_size=32,
        downsample_factor=2,
        chat_template=COHERE,
    )
    return save(folder, tr.AyaVisionForConditionalGeneration(config), processor)


def cohere2_vision(folder: Path) -> Path:
    named = {
        "image_token": "<|IMG_PATCH|>",
        "boi_token": "<|START_OF_IMG|>",
        "eoi_token": "<|END_OF_IMG|>",
        "img_line_break_token": "<|IMG_LINE_BREAK|>",
    }
    tok = tokenizer(COHERE_MARKS, eos="<|END_OF_TURN_TOKEN|>", pad="<PAD>", bos="<BOS_TOKEN>", named=named)
    text = tr.Cohere2Config(
        **_text(tok, sliding_window=16, layer_types=["sliding_attention", "full_attention"])
    ).to_dict()
    config = tr.Cohere2VisionConfig(
        text_config=text,
        vision_config=tr.SiglipVisionConfig(**SIGLIP, image_size=32, patch_size=8, vision_use_head=False).to_dict(),
        image_token_id=tok.image_token_id,
        downsample_factor=2,
        alignment_intermediate_size=64,
    )
    image = tr.Cohere2VisionImageProcessor(
        size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4, patch_size=2
    )
    processor = tr.Cohere2VisionProcessor(
        image_processor=image, tokenizer=tok, chat_template=COHERE.replace("<image>", "<|IMG_PATCH|>")
    )
    return save(folder, tr.Cohere2VisionForConditionalGeneration(config), processor)


def molmo2(folder: Path) -> Path:
    marks = ["<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<low_res_im_start>", "<|image|>", "<im_low>"]
    marks += ["<frame_start>", "<frame_end>", "<|video|>"]
    tok = _chatml(*marks)
    config = tr.Molmo2Config(
        text_config=_text(tok, additional_vocab_size=64),
        vision_config={
            **SIGLIP,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "image_size": [28, 28],
            "patch_size": 7,
            "num_position_embeddings": 16,
        },
        adapter_config={
            "vision_feature_layer": [-1, -2],
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "intermediate_size": 64,
            "text_hidden_size": 64,
        },
        **_ids(
            tok,
            image_start_token_id="<im_start>",
            low_res_image_start_token_id="<low_res_im_start>",
            image_end_token_id="<im_end>",
            image_patch_id="<im_patch>",
            frame_start_token_id="<frame_start>",
            frame_end_token_id="<frame_end>",
        ),
    )
    image = tr.Molmo2ImageProcessor(
        size={"height": 28, "width": 28}, patch_size=7, max_crops=2, overlap_margins=[1, 1], pooling_size=[2, 2]
    )
    processor = tr.Molmo2Processor(
        image_processor=image,
        video_processor=tr.Molmo2VideoProcessor(),
        tokenizer=tok,
        chat_template=CHATML.replace("MARK", "<|image|>"),
    )
    return save(folder, tr.Molmo2ForConditionalGeneration(config), processor)


def ovis2(folder: Path) -> Path:
    tok = _chatml("<image>", "<IMG_ATOM>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    tower = {
        **SIGLIP,
        "image_size": 32,
        "patch_size": 8,
        "hidden_stride": 2,
        "vocab_size": 32,
        "num_visual_indicator_tokens": 5,
    }
    config = tr.Ovis2Config(
        text_config=tr.Qwen2Config(**_text(tok)).to_dict(),
        vision_config=tower,
        image_token_id=tok.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=tok.convert_tokens_to_ids(
            ["<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"]
        ),
        vocab_size=_room(tok)["vocab_size"],
        hidden_size=64,
    )
    processor = tr.Ovis2Processor(
        image_processor=tr.Ovis2ImageProcessor(size={"height": 32, "width": 32}, crop_to_patches=True, max_patches=4),
        tokenizer=tok,
        image_token="<image>",
        image_seq_length=4,
        chat_template=CHATML.replace("MARK", "<image>"),
    )
    return save(folder, tr.Ovis2ForConditionalGeneration(config), processor)


def perception_lm(folder: Path) -> Path:
    tok = tokenizer(
        [*LLAMA3, "<|video|>"],
        eos="<|eot_id|>",
        pad="<|finetune_right_pad_id|>",
        bos="<|begin_of_text|>",
        digits=3,
        named={"image_token": "<|image|>", "video_token": "<|video|>"},
    )
    tower = tr.TimmWrapperConfig(
        architecture="vit_pe_core_tiny_patch16_384",
        model_args={
            "embed_dim": 32,
            "depth": 2,
            "num_heads": 2,
            "img_size": [32, 32],
            "patch_size": 8,
            "ref_feat_shape": [4, 4],
            "use_post_transformer_norm": False,
        },
        do_pooling=False,
        hidden_size=32,
    )
    config = tr.PerceptionLMConfig(
        vision_config=tower.to_dict(),
        text_config=tr.LlamaConfig(**_text(tok)).to_dict(),
        image_token_id=tok.image_token_id,
        video_token_id=tok.video_token_id,
        vision_use_cls_token=True,
        projector_pooling_ratio=2,
    )
    processor = tr.PerceptionLMProcessor(
        image_processor=tr.PerceptionLMImageProcessor(tile_size=32, max_num_tiles=4, vision_input_type="thumb+tile"),
        tokenizer=tok,
        video_processor=tr.PerceptionLMVideoProcessor(size={"height": 32, "width": 32}),
        patch_size=8,
        pooling_ratio=2,
        chat_template=MLLAMA.replace(
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('Prompting with images is incompatible with system messages.') }}{% endif %}",  # noqa: E501
            "",
        ),
    )
    return save(folder, tr.PerceptionLMForConditionalGeneration(config), processor)


def qwen3_5_moe(folder: Path) -> Path:
    tok = _chatml(*QWEN_MARKS)
    more = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
    text = _text(tok, **LINEAR, **more, shared_expert_intermediate_size=64)
    config = tr.Qwen3_5MoeConfig(text_config=text, vision_config=qwen_tower(), **_qwen_ids(tok))
    return save(
        folder,
        tr.Qwen3_5MoeForConditionalGeneration(config),
        _qwen_media(tok, tr.Qwen3VLProcessor, tr.Qwen3VLVideoProcessor, QWEN3_5),
    )


MINICPM_NAMED = {
    "image_token": "<|image_pad|>",
    "video_token": "<|video_pad|>",
    "image_start_token": "<image>",
    "image_end_token": "</image>",
    "slice_start_token": "<slice>",
    "slice_end_token": "</slice>",
    "image_id_start_token": "<image_id>",
    "image_id_end_token": "</image_id>",
}


def _minicpm(folder: Path, kind: str) -> Path:
    """A picture is one token or a few; pictures are numbered in words by the processor."""
    tok = _chatml(*MINICPM_NAMED.values(), named=MINICPM_NAMED)
    shape = {"scale_resolution": 64, "patch_size": 8, "max_slice_nums": 1, "slice_mode": False}
    ids = _ids(tok, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>")
    if kind == "7":
        ids |= _ids(tok, image_start_id="<image>", image_end_id="</image>", slice_start_id="<slice>")
        ids |= _ids(tok, slice_end_id="</slice>") | {"newline_id": tok("\n")["input_ids"][0]}
    config = getattr(tr, f"MiniCPMV4_{kind}Config")(
        text_config={"model_type": "qwen3_5_text", **_text(tok, **LINEAR)},
        vision_config={**SIGLIP, "image_size": 64, "patch_size": 8},
        insert_layer_id=0,
        image_size=64,
        **ids,
    )
    processor = getattr(tr, f"MiniCPMV4_{kind}Processor")(
        image_processor=tr.MiniCPMV4_6ImageProcessor(**shape),
        video_processor=tr.MiniCPMV4_6VideoProcessor(**shape),
        tokenizer=tok,
        chat_template=QWEN3_5.replace("MARK", "<|image_pad|>"),
    )
    return save(folder, getattr(tr, f"MiniCPMV4_{kind}ForConditionalGeneration")(config), processor)


def minicpmv4_6(folder: Path) -> Path:
    return _minicpm(folder, "6")


def minicpmv4_7(folder: Path) -> Path:
    return _minicpm(folder, "7")


def video_llama_3(folder: Path) -> Path:
    tok = _chatml("<|image_pad|>", "<|video_pad|>")
    config = tr.VideoLlama3Config(
        text_config=tr.Qwen2Config(**_text(tok)).to_dict(),
        vision_config={**SIGLIP, "patch_size": 8},
        **_ids(tok, image_token_id="<|image_pad|>", video_token_id="<|video_pad|>"),
    )
    shape = {"patch_size": 8, "merge_size": 2, "size": {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}}
    processor = tr.VideoLlama3Processor(
        image_processor=tr.VideoLlama3ImageProcessor(**shape),
        tokenizer=tok,
        video_processor=tr.VideoLlama3VideoProcessor(**shape),
        chat_template=CHATML.replace("MARK", "<|image_pad|>"),
    )
    return save(folder, tr.VideoLlama3ForConditionalGeneration(config), processor)


# -- writing ------------------------------------------------------------------------------------


def save(folder: Path, model: Any, processor: Any) -> Path:
    """Sharpen the random model, so that its choices are its own and not ties, and write it."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2:
                continue
            if any(part in name for part in ("projector", "adapter", "connector", "merger")):
                weight.normal_(0, 0.3)  # some begin as zeros; a model that sees nothing would hide faults
            elif not any(part in name for part in ("vision", "visual", "tower")):
                weight.mul_(3)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


FAMILIES: dict[str, Callable[[Path], Path]] = {
    maker.__name__: maker
    for maker in (
        qwen3_vl,
        internvl,
        qwen3_5,
        gemma3,
        gemma4,
        gemma4_bidirectional,
        gemma4_unified,
        fast_vlm,
        idefics2,
        smolvlm,
        qwen2_vl,
        qwen2_5_vl,
        qwen3_vl_moe,
        llava_onevision,
        lfm2_vl,
        glm4v,
        glm46v,
        mistral3,
        idefics3,
        aya_vision,
        cohere2_vision,
        molmo2,
        llava,
        vipllava,
        llava_next,
        ovis2,
        perception_lm,
        qwen3_5_moe,
        minicpmv4_6,
        minicpmv4_7,
        video_llama_3,
    )
}


def make(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a tiny model of one family; the same weights for the same seed."""
    torch.manual_seed(seed)
    return FAMILIES[family](folder)


def questions() -> list[Question]:
    """Two questions with a reference that they share and a picture each."""
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (40, 48, 3), dtype=np.uint8) for _ in range(3)]
    talk = ask("Judge what it costs.\n0: normal.\n1-100: a fault.", references=1)
    return [Question(talk, (noise[0],), (own,), None, {}) for own in noise[1:]]
