"""Features of whole images for studies: one vector an image, kept on disk and found again by what the image holds.

``mad-formula-s`` is the backbone that ships: mean and maximum of each channel of its three layers. ``filterbank`` is
the filter bank of the scorer of that name: mean and maximum of each filter over the image.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mad_core.ignored import IgnoredRegion
from mad_core.pixels import Window
from mad_core.studies.study import Work

FORMULA, FILTERBANK = "mad-formula-s", "filterbank"
SPACES = (FORMULA, FILTERBANK)
SIDE = 256
"""Longest side of the working image for the backbone; square root of its area for the filter bank, pixels."""
_GRID = 32

Progress = Callable[[int], None]
"""Called with the number of images done."""


def features(
    work: Work, dataset_id: str, images: pd.DataFrame, space: str, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """One vector for each image that can be read; those that are kept are not computed again.

    Parameters
    ----------
    images : DataFrame
        Rows of a dataset's table.
    space : str
        One of :data:`SPACES`.

    Returns
    -------
    vectors : ndarray of shape (m, d), float64
    places : ndarray of shape (m,)
        Which rows of ``images`` they are of.
    """
    kept = _FeatureCache(work.store.settings.studies / dataset_id / "separability", _digest(work, space))
    names = images["content_hash"].tolist()
    vectors = {name: vector for name in set(names) if (vector := kept.read(name)) is not None}
    windows, ignored = work.dataset.windows, work.dataset.ignored
    facts = zip(names, images["path"].tolist(), images["subset"].tolist(), strict=True)
    missing = {
        name: (path, windows.get(subset), ignored.get(subset)) for name, path, subset in facts if name not in vectors
    }
    progress(len(names) - len(missing))
    if missing:
        _encode(work, space, missing, vectors, kept, lambda done: progress(len(names) - len(missing) + done))
    places = [number for number, name in enumerate(names) if name in vectors]
    matrix = np.array([vectors[names[number]] for number in places], dtype=np.float64)
    return matrix, np.array(places, dtype=int)


def _encode(
    work: Work,
    space: str,
    missing: Mapping[str, tuple[str, Window | None, IgnoredRegion | None]],
    vectors: dict[str, np.ndarray],
    kept: _FeatureCache,
    progress: Progress,
) -> None:
    """Compute what is missing, image by image, and keep it at once; an image that cannot be read is left out."""
    from mad_core.scorers.contract import Item
    from mad_core.scorers.image_loading import deepest_of, load
    from mad_core.scorers.image_scorer import single_threaded

    items = [Item(digest, path, digest, window, region) for digest, (path, window, region) in missing.items()]
    with single_threaded():
        for done, one in enumerate(load(items, _ENCODERS[space](work), read=deepest_of)):
            work.check_cancel()
            if one.value is not None and np.isfinite(one.value).all():
                vectors[one.item.image_id] = one.value
                kept.write(one.item.image_id, one.value)
            progress(done + 1)


# -- the two spaces -------------------------------------------------------------------------------

Encoder = Callable[[np.ndarray], np.ndarray]
"""Makes a vector, float32, of an image (H, W, 3), uint8 or in 0-1; runs in the threads that decode."""


def _backbone(work: Work) -> Encoder:
    import torch

    from mad_core.scorers.features.backbones import formula_net
    from mad_core.scorers.image_scorer import scaled

    net: Any = formula_net(_weights(work), None).to(work.device)

    @torch.inference_mode()
    def encode(image: np.ndarray) -> np.ndarray:
        small = scaled(image, SIDE / max(image.shape[:2]), SIDE, 16)
        pixels = torch.from_numpy(small.copy()).permute(2, 0, 1)[None].to(work.device)
        layers = net(pixels.float() / 127.5 - 1 if small.dtype == np.uint8 else 2 * pixels - 1)
        return torch.cat([part for x in layers for part in (x[0].mean((1, 2)), x[0].amax((1, 2)))]).cpu().numpy()

    return encode


def _filters(work: Work) -> Encoder:
    import torch

    from mad_core.scorers.features.filters import responses
    from mad_core.scorers.image_scorer import in_unit, scaled

    @torch.inference_mode()
    def encode(image: np.ndarray) -> np.ndarray:
        small = scaled(image, SIDE / (image.shape[0] * image.shape[1]) ** 0.5, SIDE)
        pixels = torch.from_numpy(in_unit(small).transpose(2, 0, 1))
        energies = torch.log1p(responses(pixels.to(work.device), 2 * _GRID))
        return torch.cat([energies.mean((1, 2)), energies.amax((1, 2))]).cpu().numpy()

    return encode


_ENCODERS: Mapping[str, Callable[[Work], Encoder]] = {FORMULA: _backbone, FILTERBANK: _filters}
_CODE: Mapping[str, Sequence[str]] = {
    FORMULA: (__name__, "mad_core.scorers.features.formula_net"),
    FILTERBANK: (__name__, "mad_core.scorers.features.filters"),
}


def _weights(work: Work) -> Path | None:
    from mad_core.scorers.features import weights

    shipped = {"weights": weights.PRETRAINED, "backbone": weights.FORMULA}
    return weights.resolve("patchcore", shipped, work.store.settings.weights)


def _digest(work: Work, space: str) -> str:
    """Changes with the weights and with the code that makes the vectors."""
    from mad_core.scorers.features import weights

    digest = hashlib.blake2b(space.encode(), digest_size=16)
    if space == FORMULA:
        digest.update(str(weights.digest(_weights(work))).encode())
    for name in _CODE[space]:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()


# -- on disk --------------------------------------------------------------------------------------


class _FeatureCache:
    """Vectors on disk, a file each, so that a study that was stopped goes on and a larger one starts from them."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder, self.digest = folder, digest

    def _path(self, content_hash: str) -> Path:
        name = hashlib.blake2b(f"{self.digest}\0{content_hash}".encode(), digest_size=12).hexdigest()
        return self.folder / f"{name}.npy"

    def read(self, content_hash: str) -> np.ndarray | None:
        """The vector of an image of this content; None where there is none that can be read."""
        try:
            vector = np.load(self._path(content_hash), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return vector if vector.ndim == 1 and np.isfinite(vector).all() else None

    def write(self, content_hash: str, vector: np.ndarray) -> None:
        """Keep a vector, all or nothing; a full disk only costs the next time."""
        target = self._path(content_hash)
        building = target.with_suffix(f".{secrets.token_hex(4)}.part")
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with building.open("wb") as file:
                np.save(file, vector.astype(np.float32), allow_pickle=False)
            building.replace(target)
