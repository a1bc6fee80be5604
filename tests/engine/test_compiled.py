"""Frozen networks in OpenVINO give what torch gives, and scores do not depend on which of them computes."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from mad_core.scorers.features import compiled as executor
from mad_core.scorers.features.compiled import CompiledNet, compiled
from mad_core.scorers.features.formula_net import LAYERS, FormulaNet
from mad_core.scorers.features.lite_net import LiteNet

pytest.importorskip("openvino")


def _lively(net: nn.Module) -> nn.Module:
    """Batch norms that do something, as after a training."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 2.0)
    return net.eval()


NETS = {
    "lite": lambda: LiteNet("tf_efficientnet_lite0", (0, 1, 2, 3)),
    "formula": lambda: FormulaNet(LAYERS),
    "resnet18": lambda: timm.create_model("resnet18", features_only=True, out_indices=(0, 1, 3)),
    "resnet26": lambda: timm.create_model("resnet26", features_only=True, out_indices=(2, 3)),
}


@pytest.mark.parametrize("name", NETS)
def test_the_same_features_for_every_shape(name: str) -> None:
    net = _lively(NETS[name]())
    fast = compiled(net)
    assert isinstance(fast, CompiledNet)
    generator = torch.Generator().manual_seed(1)
    for shape in ((2, 3, 64, 96), (1, 3, 80, 48)):
        images = torch.rand(shape, generator=generator) * 2 - 1
        with torch.inference_mode():
            for ours, theirs in zip(fast(images), net(images), strict=True):
                assert ours.shape == theirs.shape
                assert (ours - theirs).abs().max() <= 1e-5 * (theirs.max() - theirs.min())


def test_an_unknown_network_and_a_machine_without_openvino_stay_with_torch(monkeypatch) -> None:
    unknown = nn.Sequential(nn.Conv2d(3, 4, 3))
    assert compiled(unknown) is unknown
    net = LiteNet("tf_efficientnet_lite0", (1,))
    monkeypatch.setattr(executor.importlib.util, "find_spec", lambda name: None)
    assert compiled(net) is net
