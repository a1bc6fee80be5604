"""The paper's baselines that were re-implemented here: fitted and run on small pictures, with random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mad_core.errors import CancelledError
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Scored, Scorer
from mad_core.scorers.detectors.framed import framed
from mad_core.scorers.detectors.ocr_gan import ChannelSelection, bands, cut_and_pasted
from mad_core.scorers.features import weights

RANDOM = {"weights": "random", "backbone": "resnet18.tv_in1k", "size": 64}
SMALL = {
    "skip-ganomaly": {"size": "64", "width": 4, "steps": 3},
    "ocr-gan": {"size": "64", "width": 4, "steps": 3},
    "perturbation": {"size": "64", "width": 4, "steps": 3},
    "knn": RANDOM,
    "simplenet": {**RANDOM, "steps": 3, "patches": 1000},
}
WITHOUT_MAP = {"knn"}
SHAPES = {"wide": ((48, 96), (128, 256)), "high": ((80, 64), (256, 205))}


def _surface(rng: np.random.Generator, shape: tuple[int, int], *, spot: bool = False) -> np.ndarray:
    x = np.arange(shape[1])[None, :]
    grey = 120 + 30 * np.sin(x / 4) + rng.normal(0, 3, shape)
    if spot:
        grey[16:32, 24:44] = 240
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> tuple[list[Item], list[Item]]:
    """Wide normals; one good and one spotted picture of either shape, and a broken file between them."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)

    def write(name: str, image: np.ndarray) -> Item:
        Image.fromarray(image).save(folder / name)
        return Item(name, str(folder / name))

    normals = [write(f"n{i}.png", _surface(rng, SHAPES["wide"][0])) for i in range(8)]
    tests = [write(f"good-{name}.png", _surface(rng, shape)) for name, (shape, _) in SHAPES.items()]
    (folder / "broken.png").write_bytes(b"not an image")
    tests.append(Item("broken.png", str(folder / "broken.png")))
    tests += [write(f"spot-{name}.png", _surface(rng, shape, spot=True)) for name, (shape, _) in SHAPES.items()]
    return normals, tests


def _fit(scorer_id: str, pictures: tuple[list[Item], list[Item]], **other: object) -> tuple[Scorer, list[Scored]]:
    scorer = catalog.scorer(scorer_id).create({**SMALL[scorer_id], **other})
    context = Context(subset="toy", seed=3)
    scorer.fit(pictures[0], context)
    return scorer, list(scorer.score(pictures[1], context))


def _restored(scorer: Scorer, **other: object) -> Scorer:
    """The same fit in another scorer, by way of its state."""
    tensors, facts = scorer.state()
    again = catalog.scorer(scorer.id).create({**SMALL[scorer.id], **other})
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), Context(seed=3))
    return again


@pytest.fixture(scope="module", params=SMALL)
def fitted(request: pytest.FixtureRequest, pictures) -> tuple[Scorer, list[Scored], list[tuple[int, int]]]:
    """A scorer, its results, and the progress that its fit reported."""
    reported: list[tuple[int, int]] = []
    context = Context(subset="toy", seed=3, progress=lambda done, total: reported.append((done, total)))
    scorer = catalog.scorer(request.param).create(SMALL[request.param])
    scorer.fit(pictures[0], context)
    return scorer, list(scorer.score(pictures[1], Context(subset="toy", seed=3))), reported


def test_fits_scores_and_comes_back_from_its_state(fitted, pictures):
    scorer, scored, _ = fitted
    assert [s.image_id for s in scored] == [i.image_id for i in pictures[1]]
    for one in scored:
        if one.image_id == "broken.png":
            assert one.status == "unreadable" and one.score is None
            continue
        assert one.score is not None and np.isfinite(one.score)
        if scorer.id in WITHOUT_MAP:
            assert one.map is None
        else:
            shape = SHAPES[one.image_id.removesuffix(".png").partition("-")[2]][1]
            assert one.map is not None and one.map.dtype == np.float32 and one.map.shape == shape
    json.dumps(scorer.facts())
    again = _restored(scorer)
    restored = [s.score for s in again.score(pictures[1], Context(seed=3)) if s.score is not None]
    np.testing.assert_allclose(restored, [s.score for s in scored if s.score is not None], rtol=1e-4)
    again.close()


def test_same_seed_same_scores_and_other_images_do_not_matter(fitted, pictures):
    scorer, first, _ = fitted
    assert [s.score for s in first] == [s.score for s in _fit(scorer.id, pictures)[1]]
    alone = [next(iter(scorer.score([item], Context(seed=3)))).score for item in pictures[1]]
    for one, together in zip(alone, first, strict=True):
        assert one == (None if together.score is None else pytest.approx(together.score, rel=1e-4))


@pytest.mark.parametrize("fitted", sorted(set(SMALL) - WITHOUT_MAP - {"simplenet"}), indirect=True)
def test_reductions_look_at_the_picture_alone(fitted, pictures):
    for one in _restored(fitted[0], reduction="mean").score(pictures[1], Context(seed=3)):
        assert one.map is None or one.score == pytest.approx(float(one.map.mean(dtype=np.float64)))


def test_fit_reports_progress_and_stops_when_cancelled(fitted, pictures):
    scorer, _, reported = fitted
    done = [one for one, _ in reported]
    assert done == sorted(done) and done[-1] == reported[-1][1] and len({total for _, total in reported}) == 1

    calls: list[int] = []

    def cancelled() -> bool:
        calls.append(1)
        return len(calls) > len(pictures[0])  # all is read, learning has begun

    with pytest.raises(CancelledError):
        catalog.scorer(scorer.id).create(SMALL[scorer.id]).fit(pictures[0], Context(cancelled=cancelled))


@pytest.mark.parametrize("scorer_id", SMALL)
def test_the_catalogue_says_whose_work_it_is(scorer_id):
    info = catalog.scorer(scorer_id)
    assert "our re-implementation" in info.paper and "ur re-implementation" in info.summary
    assert info.supervision == "normals"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scorer_id", "learnt"),
    [
        ("skip-ganomaly", {"width": 4, "steps": 60}),
        ("ocr-gan", {"width": 4, "steps": 60}),
        ("perturbation", {"width": 8, "steps": 60}),
        ("simplenet", {"steps": 20}),
        ("knn", {}),
    ],
)
def test_a_spot_scores_above_its_twin_without(scorer_id, learnt, pictures):
    scores = {s.image_id: s.score or 0.0 for s in _fit(scorer_id, pictures, **learnt)[1]}
    assert scores["spot-wide.png"] > scores["good-wide.png"]


def test_a_frame_keeps_the_aspect_and_mirrors_the_rest():
    image = np.zeros((20, 80, 3), np.uint8)
    image[:, 40:] = 200
    square, frame = framed(image, 40)
    assert square.shape == (40, 40, 3) and frame.shape == (64, 256)
    assert (frame.rows, frame.columns) == (slice(15, 25), slice(0, 40))
    np.testing.assert_array_equal(square[5:15], square[15:25][::-1])
    assert framed(np.zeros((1, 3000, 3), np.uint8), 64)[0].shape == (64, 64, 3)


def test_bands_add_up_and_split_coarse_from_fine():
    x = torch.arange(64.0)
    slow, fast = torch.sin(x / 10).expand(1, 1, 64, 64), ((x % 2) * 2 - 1).expand(1, 1, 64, 64)
    coarse, fine = bands(slow + fast)
    torch.testing.assert_close(coarse + fine, slow + fast)
    inner = (..., slice(8, -8), slice(8, -8))
    assert (coarse - slow)[inner].abs().max() < 0.15 and (fine - fast)[inner].abs().max() < 0.15


def test_channel_selection_shares_each_channel_out():
    torch.manual_seed(0)
    features = [torch.ones(2, 6, 4, 4), torch.ones(2, 6, 4, 4)]
    chosen = ChannelSelection(6)(features)
    torch.testing.assert_close(chosen[0] + chosen[1], torch.ones(2, 6, 4, 4))
    assert chosen[0].std() > 0


def test_cut_and_paste_moves_one_box_of_each_image():
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    copies = cut_and_pasted(images, torch.Generator().manual_seed(2))
    changed = (copies != images).any(1).flatten(1).float().mean(1)
    assert (changed > 0.01).all() and (changed < 0.17).all()
    assert torch.isin(copies, images).all()


@pytest.mark.parametrize("scorer_id", sorted(weights.PUBLISHED))
def test_feature_scorers_take_the_best_backbone_that_is_here(scorer_id, monkeypatch, tmp_path):
    at_hand: set[str] = set()
    monkeypatch.setattr(weights, "find", lambda name, folder: tmp_path if name in at_hand else None)
    info, published = catalog.scorer(scorer_id), weights.PUBLISHED[scorer_id]
    for backbone in (weights.FORMULA, weights.LITE, published):
        at_hand.add(backbone)
        assert info.check({})["backbone"] == backbone
        assert info.why_not(info.defaults()) is None
    at_hand.clear()
    sentence = info.why_not(info.check({"backbone": published}))
    assert sentence and f"{published} (" in sentence and f"warm {scorer_id}" in sentence
