"""Frozen convolutional networks through OpenVINO on CPUs: the same features to rounding, in a fraction of the time.

The graph is written down layer by layer with batch norms folded into the convolutions: nothing is traced, and the
converter, which reports its use to its maker, is never called. Where OpenVINO is not installed, or a network is of
another kind, torch computes as before.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from mad_core.scorers.features.backbones import channels_last
from mad_core.scorers.features.formula_net import Block, FormulaNet
from mad_core.scorers.features.lite_net import LiteNet

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def compiled(net: nn.Module) -> nn.Module:
    """The network in OpenVINO where that is installed and its graph is known; else the network itself."""
    walk = next((walk for kind, walk in _WALKS if kind(net)), None)
    if walk is None or importlib.util.find_spec("openvino") is None:
        return net
    return CompiledNet(net, walk)


def speed_up(owner: Any) -> None:
    """Have the frozen ``feature_extractor`` of a model on the CPU compute as fast as this machine can.

    What goes in and comes out stays as it is; where nothing is compiled, torch computes with channels last.
    """
    holder = owner.feature_extractor if hasattr(owner.feature_extractor, "feature_extractor") else owner
    net: Any = holder.feature_extractor
    holder.feature_extractor = compiled(net)
    if holder.feature_extractor is net:
        channels_last(net)


def slow_down(owner: Any) -> None:
    """The inverse of :func:`speed_up`: the network itself computes, in torch, where it can be traced."""
    for module in owner.modules():
        net = getattr(module, "feature_extractor", None)
        if isinstance(net, CompiledNet):
            module.feature_extractor = net.net


class CompiledNet(nn.Module):
    """Gives the features of a frozen network on the CPU, (N, C, H, W) a layer, as the network itself does.

    It is compiled at the first images, for as many threads as torch has then.
    """

    def __init__(self, net: nn.Module, walk: Callable[[Any, Any], list[Any]]) -> None:
        super().__init__()
        self.net, self.walk = net, walk
        self.run: Any = None
        self.feature_info = getattr(net, "feature_info", None)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        given = self.net.standardised(images) if isinstance(self.net, FormulaNet) else images
        if self.run is None:
            self.run = self._compile(given.shape[1])
        outputs = self.run(np.ascontiguousarray(given.detach().numpy()))
        return [torch.from_numpy(np.array(outputs[k])) for k in range(len(outputs))]

    def _compile(self, channels: int) -> Any:
        import openvino as ov
        from openvino import opset13 as ops

        images = ops.parameter(ov.PartialShape([-1, channels, -1, -1]), ov.Type.f32)
        results: Any = [ops.result(layer) for layer in self.walk(self.net, images)]
        build: Any = ov.Model
        model = build(results, [images])
        threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
        return ov.Core().compile_model(model, "CPU", EXACT | threads)


def _convolved(x: Any, conv: Any, norm: Any, activation: nn.Module | None = None) -> Any:
    """A convolution with its batch norm folded in, then ReLU, ReLU6 or nothing."""
    from openvino import opset13 as ops

    scale = norm.weight / (norm.running_var + norm.eps).sqrt() if norm else torch.ones(conv.out_channels)
    shift = norm.bias - norm.running_mean * scale if norm else torch.zeros(conv.out_channels)
    kernel = (conv.weight * scale[:, None, None, None]).detach().numpy()
    same = type(conv).__name__ == "Conv2dSame"
    border = [0, 0] if same else list(conv.padding)
    steps = (list(conv.stride), border, border, [1, 1], "same_upper" if same else "explicit")
    if conv.groups == 1:
        x = ops.convolution(x, kernel, *steps)
    else:
        x = ops.group_convolution(x, kernel.reshape(conv.groups, -1, *kernel.shape[1:]), *steps)
    x = ops.add(x, shift.detach().numpy().reshape(1, -1, 1, 1))
    return _activated(x, activation)


def _activated(x: Any, activation: nn.Module | None) -> Any:
    from openvino import opset13 as ops

    if isinstance(activation, nn.ReLU6):
        return ops.clamp(x, 0.0, 6.0)
    return ops.relu(x) if isinstance(activation, nn.ReLU) else x


def _added(x: Any, y: Any) -> Any:
    from openvino import opset13 as ops

    return ops.add(x, y)


# -- EfficientNet-Lite ----------------------------------------------------------------------------


def _walk_lite(net: LiteNet, x: Any) -> list[Any]:
    trunk: Any = net.trunk
    x = _convolved(x, trunk.conv_stem, trunk.bn1, trunk.bn1.act)
    by_stage = {}
    for number, stage in enumerate(trunk.blocks):
        for block in stage:
            x = _lite_block(block, x)
        by_stage[number] = x
    return [by_stage[number] for number in net.stages]


def _lite_block(block: Any, x: Any) -> Any:
    names = (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3"))
    if not hasattr(block, "conv_pwl"):
        names = (("conv_dw", "bn1"), ("conv_pw", "bn2"))
    inner = x
    for conv, norm in names:
        norm = getattr(block, norm)
        inner = _convolved(inner, getattr(block, conv), norm, norm.act)
    return _added(inner, x) if block.has_skip else inner


# -- the backbone that ships ----------------------------------------------------------------------


def _walk_formula(net: FormulaNet, x: Any) -> list[Any]:
    stem: Any = net.stem
    x = _convolved(_convolved(x, stem[0], stem[1], stem[2]), stem[3], stem[4], stem[5])
    layers = []
    for number in range(max(net.wanted) + 1):
        layer: Any = net.get_submodule(f"layer{number + 1}")
        for block in layer:
            x = _formula_block(block, x)
        layers.append(x)
    return [layers[number] for number in net.wanted]


def _formula_block(block: Block, x: Any) -> Any:
    from openvino import opset13 as ops

    relu, short = nn.ReLU(), x
    if isinstance(block.short, nn.Sequential):
        pool: Any = block.short[0]
        side = [int(pool.kernel_size)] * 2
        short = ops.avg_pool(x, side, [0, 0], [0, 0], side, True, "ceil")
        short = _convolved(short, block.short[1], None)
    inner = _convolved(_convolved(x, block.conv1, block.norm1, relu), block.conv2, block.norm2)
    return _activated(_added(inner, short), relu)


# -- timm's ResNets -------------------------------------------------------------------------------


def _is_resnet(net: nn.Module) -> bool:
    """A plain ResNet under timm's ``features_only``, whose layers are named and without attention or blur."""
    names = dict(net.named_children())
    if not {"conv1", "bn1", "act1", "maxpool", "layer1"} <= set(names):
        return False
    blocks = [block for name, layer in names.items() if name.startswith("layer") for block in layer.children()]
    plain = all(getattr(block, "se", None) is None and hasattr(block, "conv2") for block in blocks)
    return plain and all(isinstance(getattr(block, "aa", nn.Identity()), nn.Identity) for block in blocks)


def _walk_resnet(net: Any, x: Any) -> list[Any]:
    from openvino import opset13 as ops

    wanted = net.feature_info.module_name()
    x = _convolved(x, net.conv1, net.bn1, net.act1)
    outputs = {"act1": x}
    x = ops.max_pool(x, [2, 2], [1, 1], [1, 1], [1, 1], [3, 3]).output(0)
    for name, layer in net.named_children():
        if name.startswith("layer"):
            for block in layer:
                x = _resnet_block(block, x)
            outputs[name] = x
    return [outputs[name] for name in wanted]


def _resnet_block(block: Any, x: Any) -> Any:
    inner, short, deep = x, x, hasattr(block, "conv3")
    inner = _convolved(inner, block.conv1, block.bn1, block.act1)
    inner = _convolved(inner, block.conv2, block.bn2, block.act2 if deep else None)
    if deep:
        inner = _convolved(inner, block.conv3, block.bn3)
    if block.downsample is not None:
        short = _convolved(x, block.downsample[0], block.downsample[1])
    return _activated(_added(inner, short), block.act3 if deep else block.act2)


_WALKS: Sequence[tuple[Callable[[nn.Module], bool], Callable[[Any, Any], list[Any]]]] = (
    (lambda net: isinstance(net, LiteNet), _walk_lite),
    (lambda net: isinstance(net, FormulaNet), _walk_formula),
    (_is_resnet, _walk_resnet),
)
