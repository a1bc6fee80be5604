"""Write the backbone that ships: ``python -m tools.backbone.ship --checkpoint backbone.pt --out assets/backbone``.

Weights in float16, as safetensors.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from mad_core.scorers.features.weights import FORMULA


def ship(checkpoint: Path, out: Path) -> Path:
    """The weights of a checkpoint as ``out/mad-formula-s.safetensors``."""
    kept = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    tensors = {name: t.half().contiguous() if t.is_floating_point() else t for name, t in kept.items()}
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{FORMULA}.safetensors"
    save_file(tensors, path)
    path.chmod(0o644)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    ship(chosen.checkpoint, chosen.out)


if __name__ == "__main__":
    main()
