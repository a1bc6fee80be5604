"""anomalib's detectors of 2026: each is built with random weights, fitted, run, and comes back from its state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mad_core.scorers import catalog
from mad_core.scorers.cards import winclip
from mad_core.scorers.contract import Context, Item, Scored
from mad_core.scorers.features import weights

SMALL: dict[str, dict[str, Any]] = {
    "anomalydino": {"weights": "random", "size": 70, "most": 50},
    "inp-former": {"weights": "random", "size": 70, "steps": 1},
    "superadd": {"weights": "random", "size": 64, "most": 1000},
    "rad": {"weights": "random", "size": 64, "pictures": 4},
    "foundad": {"weights": "random", "size": 70, "steps": 1},
    "mh-patchcore": {"backbone": "mad-formula-s", "size": 128, "most": 20},
}
ZERO_SHOT = ("winclip", "anomalyvfm")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    """Five normals, and one that cannot be read."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(5):
        pixels = rng.integers(90, 160, (48, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no image")
    return [Item(path.name, str(path)) for path in sorted(folder.glob("*.png"))]


def check(scored: list[Scored]) -> list[float]:
    """The scores of all but the last, which is of the broken picture."""
    assert scored[-1].status == "unreadable"
    for one in scored[:-1]:
        assert one.score is not None and np.isfinite(one.score)
        assert one.map is not None and one.map.shape == (192, 256)
        assert np.isfinite(one.map).all()
    return [one.score for one in scored[:-1] if one.score is not None]


@pytest.mark.parametrize("scorer_id", sorted(SMALL))
def test_it_fits_scores_and_comes_back(scorer_id: str, pictures: list[Item]) -> None:
    context, tests = Context(seed=1), pictures[-3:]
    scorer = catalog.scorer(scorer_id).create(SMALL[scorer_id])
    scorer.fit(pictures[:4], context)
    scores = check(list(scorer.score(tests, context)))
    json.dumps(scorer.facts())
    tensors, facts = scorer.state()
    assert not any(name.startswith(("encoder.", "backbone.", "feature_")) for name in tensors)
    again = catalog.scorer(scorer_id).create(SMALL[scorer_id])
    again.restore({k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(facts)), context)
    np.testing.assert_allclose(check(list(again.score(tests, context))), scores, rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("narrow_networks")
@pytest.mark.parametrize(
    ("scorer_id", "parameters"),
    [("winclip", {}), ("winclip", {"shots": 2, "object": "tile"}), ("anomalyvfm", {"size": 64})],
)
def test_without_a_fit_it_scores(scorer_id: str, parameters: dict[str, Any], pictures: list[Item]) -> None:
    info = catalog.scorer(scorer_id)
    assert not info.needs_fit and info.supervision == "none"
    scorer = info.create({"weights": "random", **parameters})
    context = Context(seed=1, normals=pictures[:4])
    scorer.fit([], context)
    scores = check(list(scorer.score(pictures[-3:], context)))
    scorer.fit([], context)
    np.testing.assert_allclose(check(list(scorer.score(pictures[-3:], context))), scores, rtol=1e-4)


@pytest.mark.parametrize("scorer_id", [*(name for name in SMALL if name != "mh-patchcore"), *ZERO_SHOT])
def test_weights_out_of_reach_are_named_with_what_to_do(
    scorer_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAD_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "find", lambda *_: None)
    info = catalog.scorer(scorer_id)
    said = info.why_not(info.defaults())
    assert said and f"mad_core warm {scorer_id}" in said and ".safetensors" in said
    file = tmp_path / "own.safetensors"
    file.write_bytes(b"")
    assert info.why_not({**info.defaults(), "weights": str(file)}) is None


def test_without_open_clip_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winclip, "lacking", lambda module, extra: f"{module}: {extra}")
    info = catalog.scorer("winclip")
    assert info.why_not(info.defaults()) == "open_clip: clip"
