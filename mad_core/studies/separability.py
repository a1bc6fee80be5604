"""How far apart severity levels lie in feature space, subset against subset: no scorer is asked.

Features are channel means and maxima of the backbone that ships, each set to mean 0 and spread 1 within a subset.
Three views: silhouettes of levels (Rousseeuw 1987), distance between levels against distance within them, and a linear
probe, ridge regression of the level, which predicts images that it has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.studies.estimates import Estimate, of_subset, order_of
from mad_core.studies.finding import Finding
from mad_core.studies.study import Work

QUICK_IMAGES, QUICK_DRAWS, DRAWS = 60, 300, 1000
FOLDS, PENALTY, BATCH = 5, 1.0, 16


def run(work: Work) -> Finding:
    """Take features of the test images and compare the subsets."""
    test = work.store.test_images(work.dataset, (), QUICK_IMAGES if work.quick else None, work.seed)
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    done = 0
    for subset, rows in test.groupby("subset"):
        paths, levels = rows["path"].tolist(), rows["level"].to_numpy(dtype=np.float64)
        vectors, kept = _features(work, paths, done, len(test))
        found[str(subset)] = vectors, levels[kept]
        done += len(paths)
    used = sum(len(levels) for _, levels in found.values())
    finding = separability(found, draws=QUICK_DRAWS if work.quick else DRAWS, seed=work.seed)
    of = len(work.dataset.select(split="test"))
    start = f"On a sample of {used:,} of {of:,} test images: " if work.quick else ""
    domains = {name: work.dataset.card.subset(name).domain for name in found}
    facts = {**finding.facts, "images": used, "test_images": of, "domains": domains, "features": "mad-formula-s"}
    said = start + finding.sentence
    return Finding(finding.study, finding.title, said, finding.caveat, finding.tables, facts)


def separability(subsets: Mapping[str, tuple[np.ndarray, np.ndarray]], *, draws: int, seed: int = 0) -> Finding:
    """The finding, from features.

    Parameters
    ----------
    subsets : mapping of subset to (features of shape (n, d), levels of shape (n,))
    """
    rows, pairs, probes = [], [], {}
    for subset, (vectors, raw) in subsets.items():
        levels = np.ceil(raw)
        apart = distances(_even(vectors))
        outline = silhouettes(apart, levels)
        predicted = probe(_even(vectors), levels, seed)
        order = of_subset(levels, predicted, subset, draws=draws, seed=seed).get("c_index")
        if order is None:
            continue
        probes[subset] = order
        shape = _resampled_mean(outline, levels, draws, seed)
        ratio = between_against_within(apart, levels, draws, seed)
        rows.append(
            {"subset": subset, "images": len(levels)}
            | order.columns("probe_c_index")
            | shape.columns("silhouette")
            | ratio.columns("between_within")
        )
        for level in np.unique(levels):
            own = levels == level
            one = _resampled_mean(outline[own], levels[own], draws, seed)
            pairs.append({"subset": subset, "level": int(level), "images": int(own.sum())} | one.columns("silhouette"))
    if not rows:
        raise InputError("No subset has two levels with test images, so there is nothing to separate.")
    return Finding(
        "separability",
        "Separability of levels in feature space",
        _in_words(probes),
        "It holds for these features and a linear probe: another backbone may separate what this one does not.",
        {"subsets": pd.DataFrame(rows), "levels": pd.DataFrame(pairs)},
        {"folds": FOLDS, "penalty": PENALTY, "bootstrap_draws": draws, "seed": seed},
    )


def _in_words(probes: Mapping[str, Estimate]) -> str:
    numbers = ", ".join(f"{name} {found.in_words()}" for name, found in probes.items())
    measure = f"C-index of a linear probe, 0.5 is chance: {numbers}"
    order = order_of(probes)
    if order is None:
        above = Estimate(0.5, np.full_like(next(iter(probes.values())).draws, 0.5))
        clear = (next(iter(probes.values())) - above).sign() > 0
        start = "Features order levels better than chance" if clear else "No clear difference from chance"
        return f"{start} ({measure})."
    if order.widest is None:
        return f"No clear difference between the subsets in how well features separate levels ({measure})."
    easy, hard, gap = order.widest
    return f"Levels of {hard} are harder to separate than those of {easy}, by {gap.in_words()} ({measure})."


def _even(vectors: np.ndarray) -> np.ndarray:
    return (vectors - vectors.mean(0)) / (vectors.std(0) + 1e-9)


def distances(vectors: np.ndarray) -> np.ndarray:
    """Euclidean distances, (n, n)."""
    squares = (vectors**2).sum(1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0) * (1 - np.eye(len(vectors))))


def silhouettes(apart: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The silhouette of each image, -1 to 1; 0 where it is alone in its level, or there is one level only."""
    known = np.unique(levels)
    member = (levels[:, None] == known).astype(np.float64)
    sums, sizes = apart @ member, member.sum(0)
    own = member.astype(bool)
    within = sums[own] / np.maximum(member @ sizes - 1, 1)
    other = np.where(own, np.inf, sums / sizes).min(1)
    found = (other - within) / np.maximum(np.maximum(other, within), 1e-12)
    return np.where((member @ sizes > 1) & np.isfinite(other), found, 0.0)


def probe(vectors: np.ndarray, levels: np.ndarray, seed: int) -> np.ndarray:
    """The level of each image as ridge regression predicts it from the other folds."""
    rng, fold = np.random.default_rng(seed), np.zeros(len(levels), dtype=int)
    for level in np.unique(levels):
        rows = np.flatnonzero(levels == level)
        fold[rng.permutation(rows)] = np.arange(len(rows)) % FOLDS
    found = np.full(len(levels), levels.mean())
    for held in np.unique(fold):
        there, gone = fold != held, fold == held
        if not there.any():
            continue
        centre, middle = vectors[there].mean(0), levels[there].mean()
        x = vectors[there] - centre
        kernel = x @ x.T
        scale = PENALTY * np.trace(kernel) / len(x) + 1e-12
        weights = np.linalg.solve(kernel + scale * np.eye(len(x)), levels[there] - middle)
        found[gone] = middle + (vectors[gone] - centre) @ (x.T @ weights)
    return found


def _draws(levels: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How often each image is taken, (draws, n), each level keeping its size."""
    rng, found = np.random.default_rng(seed), np.zeros((draws, len(levels)))
    for level in np.unique(levels):
        rows = np.flatnonzero(levels == level)
        found[:, rows] = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), draws)
    return found


def _resampled_mean(values: np.ndarray, levels: np.ndarray, draws: int, seed: int) -> Estimate:
    return Estimate(float(values.mean()), _draws(levels, draws, seed) @ values / len(values))


def between_against_within(apart: np.ndarray, levels: np.ndarray, draws: int, seed: int) -> Estimate:
    """Mean distance of images of different levels over that of images of one level; 1 where levels mean nothing."""
    same = (levels[:, None] == levels) & ~np.eye(len(levels), dtype=bool)
    other = levels[:, None] != levels

    def ratio(w: np.ndarray) -> np.ndarray:
        means = [((w @ (apart * m)) * w).sum(1) / ((w @ m) * w).sum(1) for m in (other, same)]
        return means[0] / means[1]

    return Estimate(float(ratio(np.ones((1, len(levels))))[0]), ratio(_draws(levels, draws, seed)))


def _features(work: Work, paths: list[str], done: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) of the images that can be read, and which these are."""
    import torch

    from mad_core.scorers import weights
    from mad_core.scorers.backbones import formula_net
    from mad_core.scorers.image_scorer import scaled
    from mad_core.scorers.loading import load
    from mad_core.scorers.scorer import Item

    shipped = {"weights": weights.PRETRAINED, "backbone": weights.FORMULA}
    path = weights.resolve("patchcore", shipped, work.store.settings.weights)
    net: Any = formula_net(path, None).to(work.device)
    found, kept = [], []
    items = [Item(str(n), path) for n, path in enumerate(paths)]
    with torch.inference_mode():
        for number, one in enumerate(load(items, lambda image: scaled(image, 256 / max(image.shape[:2]), 256, 16))):
            work.check_cancel()
            if one.value is not None:
                pixels = torch.from_numpy(one.value.copy()).permute(2, 0, 1)[None].to(work.device)
                layers = net(pixels.float() / 127.5 - 1)
                found.append(torch.cat([f(x) for x in layers for f in (_mean_of, _most_of)]).cpu().numpy())
                kept.append(number)
            work.progress(done + number + 1, total)
    return np.asarray(found, dtype=np.float64), np.asarray(kept, dtype=int)


def _mean_of(x: Any) -> Any:
    return x[0].mean((1, 2))


def _most_of(x: Any) -> Any:
    return x[0].amax((1, 2))
