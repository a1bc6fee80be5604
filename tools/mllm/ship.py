"""Put the trained model together and write it as transformers keeps any other: weights, configuration, processor.

``python -m tools.mllm.ship --tower tower.pt --joint joint.pt --tokenizer FOLDER --out assets/mllm``.
"""

import argparse
import json
from pathlib import Path

import torch
from transformers import LlavaProcessor, PreTrainedTokenizerFast, SiglipImageProcessor

from tools.mllm.model import PATCH
from tools.mllm.products import SIDE
from tools.mllm.reader import Reading, start
from tools.mllm.tokens import IMAGE
from tools.mllm.tower import Tower

RECOMMENDED = {"references": 1, "view": True, "height": 1024}
"""What the model was trained to be shown."""


def make_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Pictures squeezed to a square, -1 to 1; one image token a cell of the tower."""
    images = SiglipImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=2
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        image_token=IMAGE,
        chat_template=tokenizer.chat_template,
    )


def ship(tower: Path, joint: Path, tokenizer_folder: Path, out: Path) -> None:
    """Write the model to ``out``; weights in bfloat16."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tokenizer_folder)
    reading = Reading(start(tokenizer))
    reading.load_state_dict(_weights(joint))
    seeing = Tower()
    seeing.load_state_dict(_weights(tower))
    model = reading.packed.model
    model.model.vision_tower.load_state_dict(seeing.tower.state_dict())
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.bfloat16().save_pretrained(out)
    make_processor(tokenizer).save_pretrained(out)
    (out / "inspector.json").write_text(json.dumps(RECOMMENDED, indent=1) + "\n", encoding="utf-8")


def _weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, map_location="cpu", weights_only=True)["model"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name in ("tower", "joint", "tokenizer", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    chosen = parser.parse_args()
    ship(chosen.tower, chosen.joint, chosen.tokenizer, chosen.out)


if __name__ == "__main__":
    main()
