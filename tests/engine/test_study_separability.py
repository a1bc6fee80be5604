"""Separability: against brute force and scikit-learn, and either sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from mad_core.datasets.dataset import Imported
from mad_core.runs.store import Store
from mad_core.studies.separability import between_against_within, distances, run, separability, silhouettes
from mad_core.studies.study import Work

from .test_study_robustness import pictures


def made(gap: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    levels = np.repeat([0.0, 1.0, 2.0], 20)
    vectors = np.random.default_rng(seed).normal(0, 1, (60, 8))
    vectors[:, 0] += gap * levels
    return vectors, levels


def test_silhouettes_and_distances_are_those_of_others() -> None:
    vectors, levels = made(1.0, 0)
    apart = distances(vectors)
    assert np.allclose(apart, np.linalg.norm(vectors[:, None] - vectors, axis=2))
    assert np.allclose(silhouettes(apart, levels), silhouette_samples(vectors, levels))
    pairs = [(levels[i] == levels[j], apart[i, j]) for i in range(60) for j in range(60) if i != j]
    means = [np.mean([d for same, d in pairs if same is np.bool_(kind)]) for kind in (False, True)]
    assert between_against_within(apart, levels, 5, 0).value == pytest.approx(means[0] / means[1])


@pytest.mark.parametrize(("a", "b", "said"), [(4, 0, "Levels of b are harder"), (0, 4, "Levels of a are harder")])
def test_the_harder_subset_is_named(a: float, b: float, said: str) -> None:
    assert separability({"a": made(a, 1), "b": made(b, 2)}, draws=200).sentence.startswith(said)


def test_no_clear_difference_is_said() -> None:
    assert "No clear difference between" in separability({"a": made(0, 1), "b": made(0, 1)}, draws=200).sentence
    assert "better than chance" in separability({"a": made(4, 1)}, draws=200).sentence


def test_end_to_end(store: Store, tmp_path: Path) -> None:
    dataset_id = store.add_dataset(Imported(pictures(tmp_path / "images")))
    found = run(Work(store, dataset_id, store.dataset(dataset_id), [], {}))
    assert found.sentence.startswith("On a sample of 12 of 12 test images: ") and len(found.tables["levels"]) == 3
