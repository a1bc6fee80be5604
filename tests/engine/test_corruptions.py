"""Corruptions: repeatable, growing with their strength, and the image itself stays."""

from __future__ import annotations

import numpy as np
import pytest

from mad_core.errors import InputError
from mad_core.metrics.intervals import bootstrap
from mad_core.metrics.levelwise import bootstrap_level_aurocs
from mad_core.studies.estimates import Estimate, order_of
from mad_core.studies.robustness.corruptions import CORRUPTIONS, STRENGTHS, corrupted


def _image() -> np.ndarray:
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(60, 190, (8, 10, 3)), np.ones((8, 8, 1)))
    return (smooth + rng.normal(0, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_grows_and_is_repeatable(name: str) -> None:
    image = _image()
    before = image.copy()
    found = [corrupted(image, name, s, image_id="a", seed=3) for s in STRENGTHS]
    far = [float(np.abs(f.astype(float) - image).mean()) for f in found]
    assert far[0] > 0 and far == sorted(far) and len(set(far)) == 5
    assert all(f.shape == image.shape and f.dtype == np.uint8 for f in found)
    assert np.array_equal(image, before)
    assert np.array_equal(found[2], corrupted(image, name, 3, image_id="a", seed=3))
    assert corrupted(image, name, 0, image_id="a") is image


@pytest.mark.parametrize("name", ["noise", "cast", "moved", "occlusion"])
def test_images_and_seeds_differ(name: str) -> None:
    image = _image()
    some = [corrupted(image, name, 4, image_id=i, seed=s) for i in "abcd" for s in (0, 1)]
    assert len({f.tobytes() for f in some}) > 2


def test_what_is_unknown_is_a_sentence() -> None:
    with pytest.raises(InputError, match="No corruption is called 'rain'"):
        corrupted(_image(), "rain", 1, image_id="a")
    with pytest.raises(InputError, match="1 to 5, not 6"):
        corrupted(_image(), "blur", 6, image_id="a")


def test_level_draws_are_paired_with_the_rank_metrics() -> None:
    rng = np.random.default_rng(1)
    levels = np.repeat([0, 1, 2], [7, 5, 9]).astype(float)
    scores = np.round(levels + rng.normal(0, 1, len(levels)), 1)
    whole = bootstrap(levels, scores, draws=40, seed=5)["auroc_whole"]
    parts = bootstrap_level_aurocs(levels, scores, draws=40, seed=5)
    assert np.allclose(whole, (5 * parts[1] + 9 * parts[2]) / 14)  # the same images in every draw
    rng = np.random.default_rng(5)  # and each draw is the AUROC of those images
    drawn = [scores[levels == level][rng.integers(0, n, n)] for level, n in ((0, 7), (1, 5), (2, 9))]
    brute = np.mean([(b > a) + 0.5 * (b == a) for a in drawn[0] for b in drawn[2]])
    assert parts[2][0] == pytest.approx(brute)


def test_an_order_is_claimed_only_where_it_is_clear() -> None:
    rng = np.random.default_rng(0)
    noise = {name: rng.normal(0, 0.01, 500) for name in "abc"}
    apart = {n: Estimate(v, v + noise[n]) for n, v in {"a": 0.1, "b": 0.3, "c": 0.2}.items()}
    order = order_of(apart)
    assert order is not None and order.leader == "b" and order.alone and order.widest is not None
    assert order.widest[:2] == ("b", "a")
    same = order_of({n: Estimate(0.1, 0.1 + noise[n]) for n in "abc"})
    assert same is not None and not same.alone and same.widest is None
    assert order_of({"a": apart["a"]}) is None
