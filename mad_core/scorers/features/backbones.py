"""Backbones for anomalib's models, from a local file or with random weights; the network is never asked.

anomalib builds its backbones through ``timm.create_model(…, pretrained=True)``. Inside
:func:`local_weights` such a call takes the given safetensors file instead of the Hub's, or, for
random weights, none.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from mad_core.errors import InputError
from mad_core.scorers.features import weights
from mad_core.scorers.features.formula_net import CHANNELS, LAYERS, STRIDES, FormulaNet
from mad_core.scorers.features.lite_net import LiteNet
from mad_core.scorers.features.packaged import PACKAGED


@contextlib.contextmanager
def local_weights(path: Path | None) -> Iterator[None]:
    """Within the block, pretrained backbones come from ``path``; with None they stay random.

    Raises
    ------
    InputError
        If the file cannot be read or does not fit the backbone.
    """
    original = timm.create_model

    def create(name: str, *args: Any, pretrained: bool = False, **kwargs: Any) -> nn.Module:
        if name == weights.FORMULA:
            return formula_net(path if pretrained else None, kwargs.get("out_indices"))
        if name in PACKAGED:
            return packaged_net(name, path if pretrained else None, kwargs.get("out_indices"))
        if not pretrained or path is None:
            return original(name, *args, pretrained=False, **kwargs)
        model = original(name, *args, pretrained=True, **kwargs, pretrained_cfg_overlay={"file": str(path)})
        _check_names(model, path)
        return model

    with mock.patch.object(timm, "create_model", create):
        try:
            yield
        except (RuntimeError, KeyError, ValueError, OSError, SafetensorError) as error:
            if path is None:
                raise
            first = str(error.args[0] if error.args else error).partition("\n")[0].strip(" .:")[:300]
            raise InputError(f"The weights {path.name} cannot be used for this backbone: {first}.") from error


def formula_net(path: Path | None, layers: Sequence[int] | None) -> nn.Module:
    """The backbone that ships, in the form of ``timm.create_model(…, features_only=True)``.

    Parameters
    ----------
    path : Path or None
        Its weights; random ones where there is none.
    layers : sequence of int, optional
        Numbers of the layers whose features it gives; all of them where absent.
    """
    chosen = tuple(range(len(LAYERS)) if layers is None else layers)
    net = FormulaNet([LAYERS[k] for k in chosen])
    if path is not None:
        net.load_state_dict(load_file(path))
    facts = [
        {"module": name, "num_chs": channels, "reduction": stride}
        for name, channels, stride in zip(LAYERS, CHANNELS, STRIDES, strict=True)
    ]
    net.feature_info = timm.models.FeatureInfo(facts, chosen)  # type: ignore[assignment]
    return net.eval()


def packaged_net(name: str, path: Path | None, layers: Sequence[int] | None) -> nn.Module:
    """The backbone that a package brings, its layers called as a ResNet's, at strides 4, 8, 16 and 32.

    Parameters
    ----------
    name : str
        One of :data:`mad_core.scorers.features.packaged.PACKAGED`.
    path : Path or None
        Its weights, under timm's names; random ones where there is none.
    layers : sequence of int, optional
        Numbers of the layers whose features it gives, from 0 for stride 4; all of them where absent.
    """
    net = LiteNet(PACKAGED[name].architecture, tuple(range(4) if layers is None else layers))
    if path is not None:
        _load_trunk(net.trunk, path)
    return net.eval()


def _load_trunk(net: nn.Module, path: Path) -> None:
    """Load what a network without a head takes of a whole one's weights, all of it."""
    tensors = load_file(path)
    wanted = {name for name in net.state_dict() if not name.endswith("num_batches_tracked")}
    missing = sorted(wanted - set(tensors))
    if missing:
        raise KeyError(f"{len(missing)} of {len(wanted)} parameters are missing, {missing[0]} among them.")
    net.load_state_dict({name: tensors[name] for name in wanted}, strict=False)


@contextlib.contextmanager
def standing_in(backbone: str, published: str) -> Iterator[None]:
    """Within the block, whoever builds the ``published`` network gets ``backbone``: for models that know few names."""
    original = timm.create_model

    def create(name: str, *args: Any, **kwargs: Any) -> nn.Module:
        return original(backbone if name == published else name, *args, **kwargs)

    with mock.patch.object(timm, "create_model", create):
        yield


class WidenedFeatures(nn.Module):
    """An extractor's features with channels of zeros behind, so that they are as wide as those of another network."""

    def __init__(self, extractor: nn.Module, widths: Sequence[int]) -> None:
        super().__init__()
        self.extractor, self.widths = extractor, tuple(widths)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            name: F.pad(layer, (0, 0, 0, 0, 0, width - layer.shape[1]))
            for (name, layer), width in zip(self.extractor(images).items(), self.widths, strict=True)
        }


def _check_names(model: nn.Module, path: Path) -> None:
    """Refuse a file that lacks the model's parameters: timm would leave those random without a word."""
    with safe_open(path, "pt") as file:
        there = set(file.keys())
    wanted = {name.removeprefix("model.") for name, _ in model.named_parameters()}
    missing = sorted(wanted - there)
    if missing:
        raise KeyError(f"{len(missing)} of {len(wanted)} parameters are missing, {missing[0]} among them.")


def channels_last(extractor: nn.Module) -> None:
    """Have a frozen extractor compute with channels last: the same features, on the CPU a fifth to a quarter faster.

    What goes in and comes out stays as it is laid out.
    """
    last = torch.channels_last
    extractor.to(memory_format=last)
    extractor.register_forward_pre_hook(lambda _, given: tuple(x.contiguous(memory_format=last) for x in given))
    extractor.register_forward_hook(lambda _, __, output: _contiguous(output))


def _contiguous(output: Any) -> Any:
    """Tensors, or lists or mappings of them, with their rows one after the other in memory."""
    if isinstance(output, torch.Tensor):
        return output.contiguous()
    if isinstance(output, Mapping):
        return {name: _contiguous(one) for name, one in output.items()}
    return [_contiguous(one) for one in output]


def changed_tensors(model: nn.Module, frozen: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Parameters and buffers of a model, without those below the ``frozen`` submodules."""
    return {k: v for k, v in model.state_dict().items() if not k.startswith(frozen)}


def put_tensors(model: nn.Module, tensors: dict[str, torch.Tensor], device: str) -> None:
    """Give a model its tensors back; buffers may have another shape than at construction."""
    for name, tensor in tensors.items():
        parent, _, leaf = name.rpartition(".")
        module = model.get_submodule(parent)
        if leaf in module._buffers:
            module._buffers[leaf] = tensor.to(device)
        elif isinstance(module, nn.ParameterDict):
            module[leaf] = tensor.to(device)
        else:
            parameter = module._parameters[leaf]
            assert parameter is not None
            parameter.data = tensor.to(device)
