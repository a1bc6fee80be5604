"""PaDiM's own ways of keeping channels and estimating, against anomalib's; frozen extractors with channels last."""

from __future__ import annotations

import copy

import pytest
import torch
from anomalib.models.components import TimmFeatureExtractor
from anomalib.models.image.padim.torch_model import PadimModel

from mad_core.scorers.detectors import padim
from mad_core.scorers.detectors.padim import LAYERS, SelectingPadim
from mad_core.scorers.features.backbones import channels_last


def pictures(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 3, 64, 96, generator=torch.Generator().manual_seed(seed))


def fitted(model: PadimModel, images: torch.Tensor) -> PadimModel:
    model.train()
    model.feature_extractor.eval()
    for batch in images.split(4):
        model(batch)
    model.fit()
    return model.eval()


@pytest.mark.parametrize(("normals", "features"), [(5, 30), (40, 30), (7, 120)])
def test_the_same_numbers_as_anomalib(normals: int, features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer and more normals than features; estimated in several steps."""
    monkeypatch.setattr(padim, "AT_ONCE", 50 * features**2)
    torch.manual_seed(3)
    ours = SelectingPadim("resnet18", list(LAYERS), False, features)
    theirs = PadimModel("resnet18", list(LAYERS), False, features)
    theirs.load_state_dict(ours.state_dict())
    found = ours.feature_extractor(pictures(2, 0))
    torch.testing.assert_close(ours.generate_embedding(found), theirs.generate_embedding(found), rtol=0, atol=0)
    for model in (ours, theirs):
        fitted(model, pictures(normals, 1))
    assert ours.gaussian.inv_covariance.shape == theirs.gaussian.inv_covariance.shape == (16 * 24, features, features)
    torch.testing.assert_close(ours.gaussian.mean, theirs.gaussian.mean)
    tests = pictures(3, 2)
    with torch.inference_mode():
        mine, published = ours(tests), theirs(tests)
    torch.testing.assert_close(mine.pred_score, published.pred_score, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mine.anomaly_map, published.anomaly_map, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "wide_resnet50_2", "efficientnet_b0"])
def test_channels_last_changes_no_feature(name: str) -> None:
    torch.manual_seed(0)
    plain = TimmFeatureExtractor(name, list(LAYERS) if "resnet" in name else ["blocks.2", "blocks.4"], False).eval()
    last = copy.deepcopy(plain)
    channels_last(last)
    with torch.inference_mode():
        expected, found = plain(pictures(2, 5)), last(pictures(2, 5))
    assert list(found) == list(expected)
    for name_of_layer, features in found.items():
        assert features.is_contiguous()
        torch.testing.assert_close(features, expected[name_of_layer], rtol=1e-4, atol=1e-4)
