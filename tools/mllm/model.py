"""The architecture that ships: a LLaVA with a Swin tower and a few Llama layers, as transformers knows them."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, SwinConfig, SwinModel

from tools.mllm.pictures import CELLS
from tools.mllm.products import SIDE

WIDTH = 192
TOWER = {
    "image_size": SIDE,
    "patch_size": 4,
    "embed_dim": 32,
    "depths": [1, 2, 3, 2],
    "num_heads": [1, 2, 4, 8],
    "window_size": 8,
    "mlp_ratio": 3.0,
    "drop_path_rate": 0.0,
}
PATCH = SIDE // CELLS
"""Pixels of the picture under one token of the tower: a cell of the grid in which faults are located."""


def tower_config() -> SwinConfig:
    return SwinConfig(**TOWER)


def make_tower() -> SwinModel:
    return SwinModel(tower_config(), add_pooling_layer=False)


def cells_of(tower: SwinModel, pixels: torch.Tensor) -> torch.Tensor:
    """What LLaVA takes from the tower: (N, CELLS * CELLS, C)."""
    return tower(pixels, output_hidden_states=True).hidden_states[-1]


def make_model(vocabulary: int, image_token: int, padding: int, end: int) -> LlavaForConditionalGeneration:
    """The whole model with random weights."""
    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=512,
        num_hidden_layers=5,
        num_attention_heads=6,
        num_key_value_heads=6,
        head_dim=32,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        pad_token_id=padding,
        eos_token_id=end,
        bos_token_id=None,
        attention_bias=False,
    )
    config = LlavaConfig(
        vision_config=tower_config(),
        text_config=text,
        image_token_index=image_token,
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        image_seq_length=CELLS * CELLS,
        tie_word_embeddings=True,
    )
    return LlavaForConditionalGeneration(config)
