"""The architecture that ships: a FastVLM with a convolutional tower and a few Llama layers, as transformers knows it.

Convolutions see hairlines and single dark pixels in the full picture, and learn them from far fewer
pictures than attention does.
"""

import torch
from torch import nn
from transformers import (
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    LlamaConfig,
    TimmWrapperConfig,
    TimmWrapperModel,
)

from tools.mllm.pictures import CELLS
from tools.mllm.products import SIDE

WIDTH = 128
TOWER_WIDTH = 256
TOWER = {
    "architecture": "resnet10t",
    "do_pooling": False,
    "initializer_range": 0.02,
    "model_args": {
        "layers": [2, 2, 2, 2],
        "channels": [32, 64, 128, TOWER_WIDTH],
        "stem_width": 16,
        "global_pool": "",
    },
}
PATCH = SIDE // CELLS
"""Pixels of the picture under one token of the tower: a cell of the grid in which faults are located."""


def tower_config() -> TimmWrapperConfig:
    config = TimmWrapperConfig(**TOWER)
    config.hidden_size = TOWER_WIDTH
    return config


def make_tower() -> TimmWrapperModel:
    return TimmWrapperModel(tower_config())


def cells_of(tower: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """What the projector takes from the tower: (N, cells, TOWER_WIDTH)."""
    return tower(pixels).last_hidden_state.flatten(2).transpose(1, 2)


def make_model(vocabulary: int, image_token: int, padding: int, end: int) -> FastVlmForConditionalGeneration:
    """The whole model with random weights."""
    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        pad_token_id=padding,
        eos_token_id=end,
        bos_token_id=None,
        attention_bias=False,
    )
    config = FastVlmConfig(vision_config=tower_config(), text_config=text, tie_word_embeddings=True)
    config.image_token_id = image_token
    config.image_seq_length = CELLS * CELLS
    return FastVlmForConditionalGeneration(config)
