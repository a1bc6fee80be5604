"""Descriptions of images for the learner of severity: computed once, kept by the image's digest, read without torch.

A look depends on the normals that it is measured against, the network and the size, and on nothing that is graded, so
another grade costs no look. Everything here can be computed again.
"""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mad_core.learning.evidence import Evidence, NormalScale
from mad_core.scorers.features.answers import ANSWER, LEAST

WHOLE, PLACE, DEPARTURE, EXTENT = "whole picture", "anomalous place", "departure from normal", "extent"
GROUPS = (WHOLE, PLACE, DEPARTURE, EXTENT)
_NORMALS = "normals.npz"


class LookFolder:
    """Looks of one subset's images, on disk.

    Parameters
    ----------
    folder : Path or None
        Named after all that a look depends on; with None nothing is kept.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def read(self, content_hash: str) -> dict[str, np.ndarray] | None:
        """The look of the image with these bytes, float64 vectors by group; None where it was not computed."""
        return _read(self.folder / f"{content_hash}.npz") if self.folder and content_hash else None

    def write(self, content_hash: str, look: Mapping[str, np.ndarray]) -> None:
        """Keep a look; an image without a digest is not kept."""
        if self.folder and content_hash:
            _write(self.folder / f"{content_hash}.npz", look)

    def scale(self, scores: Sequence[float | None] = (), answers: np.ndarray | None = None) -> NormalScale | None:
        """How the normals look; None where that was not computed.

        Parameters
        ----------
        scores : sequence of float or None
            What the detector says of them, in order; empty where that is not known.
        answers : ndarray of shape (m, 3) or None
            What a multimodal model says of them, where one is asked.
        """
        normals = _read(self.folder / _NORMALS) if self.folder else None
        return scale_of(normals, scores, answers) if normals else None

    def write_normals(self, looks: Mapping[str, np.ndarray]) -> None:
        """Keep the looks of the training normals, (m, d) by group."""
        if self.folder:
            _write(self.folder / _NORMALS, looks)

    def evidence(
        self, content_hashes: Sequence[str], scores: np.ndarray, answers: np.ndarray | None = None
    ) -> tuple[np.ndarray, Evidence] | None:
        """Which of these images have a look and a finite detector score, and what is known of them; None if none.

        ``answers``, (n, 3), are a multimodal model's, where one is asked; an image without one is left out.
        """
        looks = [self.read(content_hash) for content_hash in content_hashes]
        answered = np.isfinite(scores) if answers is None else np.isfinite(scores) & np.isfinite(answers).all(axis=1)
        there = np.array([row for row, look in enumerate(looks) if look and answered[row]], dtype=np.int64)
        if not len(there):
            return None
        rows = [look for row in there if (look := looks[row])]
        groups = {name: np.stack([look[name] for look in rows]) for name in GROUPS}
        return there, Evidence(scores[there], groups if answers is None else {**groups, ANSWER: answers[there]})


def scale_of(
    normals: Mapping[str, np.ndarray], scores: Sequence[float | None], answers: np.ndarray | None
) -> NormalScale:
    """How normals look, and what a multimodal model answers to them, where one is asked: (m, 3)."""
    groups = normals if answers is None else {**normals, ANSWER: answers}
    return NormalScale.of(groups, scores, {ANSWER: LEAST})


def as_kept(look: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A look with the numbers that come back from disk, so that a kept one scores as a new one does."""
    return {name: values.astype(np.float32).astype(np.float64) for name, values in look.items()}


def _read(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name].astype(np.float64) for name in GROUPS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):  # not there, or cut off: it is computed again
        return None


def _write(path: Path, values: Mapping[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with building.open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: values[name].astype(np.float32) for name in GROUPS})
    building.replace(path)
