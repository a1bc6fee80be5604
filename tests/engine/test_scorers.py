"""Every conventional scorer is built, fitted and run on small pictures, with random weights where needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mad_core.errors import CancelledError, InputError, UnavailableError
from mad_core.images import content_hash
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Scored, Scorer

SIZE = 64


def _surface(rng: np.random.Generator, *, spot: bool = False, shape: tuple[int, int] = (64, 80)) -> np.ndarray:
    x = np.arange(shape[1])[None, :]
    grey = 120 + 20 * np.sin(x / 4) + rng.normal(0, 4, shape)
    if spot:
        grey[20:34, 30:46] = 20
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> tuple[list[Item], list[Item]]:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)

    def write(name: str, image: np.ndarray) -> Item:
        Image.fromarray(image).save(folder / name)
        return Item(name, str(folder / name))

    normals = [write(f"n{i}.png", _surface(rng)) for i in range(10)]
    tests = [write(f"g{i}.png", _surface(rng)) for i in range(3)]
    tests += [write(f"b{i}.png", _surface(rng, spot=True)) for i in range(3)]
    (folder / "broken.png").write_bytes(b"not an image")
    tests.append(Item("broken.png", str(folder / "broken.png")))
    return normals, tests


SMALL = {
    "patchcore": {"weights": "random", "backbone": "resnet18.tv_in1k", "size": SIZE, "coreset": 0.1},
    "padim": {"weights": "random", "size": SIZE, "features": 20},
    "reverse-distillation": {"weights": "random", "backbone": "resnet18.tv_in1k", "size": SIZE, "steps": 2},
    "stfpm": {"weights": "random", "size": SIZE, "steps": 2},
    "efficientad": {"weights": "random", "size": 256, "steps": 1},
    "cflow": {"weights": "random", "backbone": "resnet18.tv_in1k", "size": SIZE, "steps": 1},
    "fastflow": {"weights": "random", "size": SIZE, "steps": 2},
    "autoencoder": {"size": SIZE, "steps": 5},
    "ganomaly": {"size": "64", "steps": 2},
    "dfm": {"weights": "random", "size": 128},
    "dinomaly": {"weights": "random", "size": 70, "steps": 1},
    "filterbank": {"size": SIZE},
    "probe": {"size": SIZE},
}


def _fit(scorer_id: str, pictures: tuple[list[Item], list[Item]]) -> tuple[Scorer, list[Scored]]:
    normals, tests = pictures
    scorer = catalog.scorer(scorer_id).create(SMALL[scorer_id])
    context = Context(subset="toy", seed=3)
    scorer.fit(normals[:4] if scorer_id == "efficientad" else normals, context)
    return scorer, list(scorer.score(tests, context))


def test_every_scorer_of_this_file_is_in_the_catalogue():
    conventional = {i.id for i in catalog.scorers() if i.entry.rpartition(".")[2].partition(":")[0] != "mllm"}
    assert set(SMALL) <= conventional


@pytest.fixture(scope="module")
def fitted(pictures) -> Callable[[str], tuple[Scorer, list[Scored]]]:
    """``fitted(scorer_id)``: a scorer and its results, the same ones for every test."""
    return cache(lambda scorer_id: _fit(scorer_id, pictures))


@pytest.mark.usefixtures("narrow_efficientad")
@pytest.mark.parametrize("scorer_id", sorted(SMALL))
def test_scorer_fits_scores_and_comes_back_from_its_state(scorer_id, fitted, pictures):
    scorer, scored = fitted(scorer_id)
    assert [s.image_id for s in scored] == [i.image_id for i in pictures[1]]
    assert scored[-1].status == "unreadable" and scored[-1].score is None
    for one in scored[:-1]:
        assert one.score is not None and np.isfinite(one.score)
        assert one.map is not None and one.map.dtype == np.float32
        assert one.map.shape == (205, 256)  # the picture's aspect
    tensors, facts = scorer.state()
    json.dumps(facts), json.dumps(scorer.facts())

    again = catalog.scorer(scorer_id).create(SMALL[scorer_id])
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), Context(seed=3))
    restored = [s.score for s in again.score(pictures[1][:-1], Context(seed=3))]
    np.testing.assert_allclose(restored, [s.score for s in scored[:-1]], rtol=1e-4)
    again.close()


@pytest.mark.parametrize("scorer_id", ["patchcore", "padim", "dfm", "reverse-distillation"])
def test_the_backbone_that_ships_fits_scores_and_comes_back(scorer_id, pictures):
    normals, tests = pictures
    parameters = {**SMALL[scorer_id], "backbone": "mad-formula-s", "size": SIZE}
    scorer = catalog.scorer(scorer_id).create(parameters)
    scorer.fit(normals, Context(seed=3))
    scored = list(scorer.score(tests[:-1], Context(seed=3)))
    assert all(np.isfinite(s.score) and s.map.shape == (205, 256) for s in scored)
    tensors, facts = scorer.state()
    again = catalog.scorer(scorer_id).create(parameters)
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), Context(seed=3))
    np.testing.assert_allclose([s.score for s in again.score(tests[:-1], Context(seed=3))], [s.score for s in scored])


def test_with_the_backbone_that_ships_patchcore_keeps_the_aspect_and_one_scale(tmp_path):
    rng = np.random.default_rng(1)
    items = []
    for number, (height, width) in enumerate([(120, 160), (160, 120), (100, 300), (120, 160)]):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(path)
        items.append(Item(path.name, str(path)))
    scorer = catalog.scorer("patchcore").create({"weights": "random", "backbone": "mad-formula-s", "size": SIZE})
    scorer.fit(items, Context(seed=0))
    shapes = [scorer.prepare(np.asarray(Image.open(item.path)))[0].shape[1:] for item in items]
    assert shapes == [(48, 80), (80, 48), (48, 144), (48, 80)]
    assert [s.image_id for s in scorer.score(items, Context(seed=0))] == [item.image_id for item in items]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"backbone": "wide_resnet50_2.tv_in1k", "weights": "random"}, "anywhere"),
        ({"backbone": "wide_resnet50_2.tv_in1k", "weights": "random", "positions": "nearby"}, "nearby"),
        ({"backbone": "mad-formula-s"}, None),
        ({"backbone": "mad-formula-s", "positions": "anywhere"}, "anywhere"),
    ],
)
def test_patchcore_compares_anywhere_as_published_unless_told_otherwise(parameters, expected):
    assert catalog.scorer("patchcore").check(parameters)["positions"] == expected


@pytest.mark.parametrize("positions", ["nearby", "anywhere"])
def test_patchcore_with_the_backbone_that_ships_finds_the_spot(positions, pictures):
    normals, tests = pictures
    parameters = {"backbone": "mad-formula-s", "positions": positions, "size": SIZE, "coreset": 0.1}
    scorer = catalog.scorer("patchcore").create(parameters)
    scorer.fit(normals, Context(seed=3))
    assert scorer.facts()["positions"] == positions
    scored = list(scorer.score(tests[:-1], Context(seed=3)))
    assert max(s.score for s in scored[:3]) < min(s.score for s in scored[3:])
    row, column = np.unravel_index(int(np.argmax(scored[4].map)), scored[4].map.shape)
    assert 12 <= row * 64 / 205 <= 42 and 22 <= column * 80 / 256 <= 54
    tensors, facts = scorer.state()
    again = catalog.scorer("patchcore").create(parameters)
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), Context(seed=3))
    np.testing.assert_allclose([s.score for s in again.score(tests[:-1], Context(seed=3))], [s.score for s in scored])


@pytest.mark.parametrize("scorer_id", ["filterbank", "autoencoder", "patchcore", "stfpm"])
def test_same_seed_same_scores(scorer_id, fitted, pictures):
    first, second = fitted(scorer_id)[1], _fit(scorer_id, pictures)[1]
    assert [s.score for s in first] == [s.score for s in second]


@pytest.mark.parametrize("positions", ["nearby", "all"])
def test_filter_bank_finds_the_spot(positions, pictures):
    normals, tests = pictures
    scorer = catalog.scorer("filterbank").create({"size": SIZE, "positions": positions})
    scorer.fit(normals, Context())
    scored = list(scorer.score(tests[:-1], Context()))
    scores = [s.score for s in scored]
    assert max(scores[:3]) < min(scores[3:])
    row, column = np.unravel_index(int(np.argmax(scored[4].map)), scored[4].map.shape)
    assert 15 <= row * 64 / 205 <= 39 and 25 <= column * 80 / 256 <= 51


def test_score_does_not_depend_on_the_other_images(pictures):
    normals, tests = pictures
    scorer = catalog.scorer("filterbank").create({"size": SIZE})
    scorer.fit(normals, Context())
    together = [s.score for s in scorer.score(tests[:-1], Context())]
    alone = [next(iter(scorer.score([item], Context()))).score for item in tests[:-1]]
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_an_image_that_changed_since_its_import_fails_by_name(pictures):
    normals, tests = pictures
    scorer = catalog.scorer("filterbank").create({"size": SIZE})
    scorer.fit(normals, Context())
    same, other = (replace(tests[0], content_hash=content_hash(Path(item.path))) for item in tests[:2])
    kept, changed = scorer.score([same, other], Context())
    assert kept.status == "ok" and (changed.status, changed.score) == ("changed-file", None)
    assert changed.reason and "not the one that was imported" in changed.reason


def test_too_few_normals_is_a_sentence(pictures):
    scorer = catalog.scorer("filterbank").create({})
    with pytest.raises(InputError, match="At least 4 readable training normals are needed; subset 'cap' has 2"):
        scorer.fit(pictures[0][:2], Context(subset="cap"))


@pytest.mark.parametrize("scorer_id", ["filterbank", "patchcore", "autoencoder"])
def test_fit_stops_when_cancelled(scorer_id, pictures):
    calls = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) > 8

    with pytest.raises(CancelledError):
        catalog.scorer(scorer_id).create(SMALL[scorer_id]).fit(pictures[0], Context(cancelled=cancelled))
    assert len(calls) == 9


def test_missing_weights_are_named_before_work_starts(monkeypatch, tmp_path, pictures):
    monkeypatch.setenv("MAD_HOME", str(tmp_path))
    info = catalog.scorer("patchcore")
    published = {"backbone": "wide_resnet50_2.tv_in1k"}
    sentence = info.why_not(info.check(published))
    assert sentence and "wide_resnet50_2.tv_in1k (276 MB)" in sentence and "warm patchcore" in sentence
    with pytest.raises(UnavailableError, match="warm patchcore"):
        info.create(published).fit(pictures[0], Context(weights=tmp_path))
    assert "does not exist" in str(info.why_not(info.check({"weights": "/nowhere/x.safetensors"})))
    assert "only" in str(info.why_not(info.check({"weights": "/nowhere/x.pth"})))


def test_local_weights_file_is_used_and_recorded(tmp_path, pictures):
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    path = tmp_path / "mine.safetensors"
    save_file(timm.create_model("resnet18", pretrained=False).state_dict(), path)
    parameters = {**SMALL["padim"], "weights": str(path)}
    scorer = catalog.scorer("padim").create(parameters)
    scorer.fit(pictures[0], Context())
    assert len(scorer.facts()["weights_digest"]) == 64
    wrong = Path(tmp_path / "wrong.safetensors")
    save_file({"a": torch.zeros(3)}, wrong)
    with pytest.raises(InputError, match="cannot be used for this backbone"):
        catalog.scorer("padim").create({**parameters, "weights": str(wrong)}).fit(pictures[0], Context())


def test_cflow_is_anomalibs_relative_to_the_normals(pictures):
    import torch

    scorer = catalog.scorer("cflow").create(SMALL["cflow"])
    scorer.fit(pictures[0], Context(seed=3))
    batch = torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    scorer.model.highest = torch.stack([likelihood.max() for likelihood in scorer._likelihoods(batch)])
    with torch.inference_mode():
        ours, theirs = scorer.predict(batch)[1], scorer.model(batch).anomaly_map.squeeze(1)
    difference = ours - theirs  # a constant: anomalib subtracts from the largest sum of the batch
    torch.testing.assert_close(difference, difference.mean().expand_as(difference), rtol=0, atol=1e-4)
