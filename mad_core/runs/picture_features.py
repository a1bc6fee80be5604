"""Look at each picture of a dataset once, as a whole, and lay out which are alike: the job behind similar pictures.

Features are of a frozen backbone (:mod:`mad_core.scorers.features.whole`), the same that the learner of severity sees:
what it has kept is taken over. They are standardised and brought to their principal components; the map is t-SNE
(van der Maaten and Hinton 2008, Visualizing Data using t-SNE) of these, with PCA as its start.
"""

from __future__ import annotations

import hashlib
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mad_core.datasets.dataset import Dataset
from mad_core.errors import InputError
from mad_core.runs.execute import items
from mad_core.runs.job_control import Control
from mad_core.runs.jobs import FeaturesJob
from mad_core.runs.picture_space import ALL, PCA, TSNE, PictureSpace, write_arrays, write_space
from mad_core.scorers.catalog import GRADED
from mad_core.scorers.contract import Item
from mad_core.scorers.features.looks import WHOLE, LookFolder
from mad_core.scorers.features.whole import SIZE, WholeEncoder
from mad_core.scorers.image_loading import load
from mad_core.source_digest import source_digest

PART = 256
"""Pictures a file of raw features: so many are computed again at most when the work is stopped."""
COMPONENTS, SAMPLE = 64, 4000
QUERIES = 2000
"""Pictures whose nearest ones are looked for, drawn evenly, to say what distances mean."""
EMBEDDED = 8000
"""Pictures that t-SNE places by itself; of more the others stand among their nearest of these."""
FEWEST_EMBEDDED = 8
MOST_GROUPS = 12
WAIT_SECONDS, QUICK_SECONDS = 0.2, 0.5


def picture_features(control: Control) -> dict[str, Any]:
    """Do a :class:`~mad_core.runs.jobs.FeaturesJob`.

    Returns
    -------
    dict
        ``images`` with features, ``unreadable``, ``computed`` (of these now) and the ``seconds`` it took.
    """
    dataset_id = FeaturesJob.from_json(control.job.payload).dataset
    dataset = control.store.dataset(dataset_id)
    started = time.perf_counter()
    ids, vectors, computed = _Features(control, dataset_id, dataset).all()
    seconds = time.perf_counter() - started
    if len(ids) < 2:
        raise InputError("Fewer than two pictures can be read, so nothing can be compared.")
    table = dataset.table.set_index("image_id").loc[ids]
    subsets = table["subset"].to_numpy()
    names = [*dataset.subsets, ALL] if len(dataset.subsets) > 1 else dataset.subsets
    spaces = {}
    for name in names:
        control.check_cancel()
        rows = np.flatnonzero(subsets == name) if name else np.arange(len(ids))
        if len(rows) < 2:
            continue
        hashes = table["content_hash"].to_numpy()[rows].astype(str)
        spaces[name] = space_of(np.array(ids)[rows], hashes, vectors[rows])
        write_space(control.settings, dataset_id, name, spaces[name])
    for done, (name, space) in enumerate(spaces.items()):
        control.report(phase="mapping", done=done, total=len(spaces), unit="maps", rate=None, seconds_left=None)
        write_space(control.settings, dataset_id, name, with_tsne(space, control))
    return {"images": len(ids), "unreadable": len(table_ids(dataset)) - len(ids), "computed": computed} | {
        "seconds": seconds
    }


def table_ids(dataset: Dataset) -> list[str]:
    """All its pictures."""
    return dataset.table["image_id"].tolist()


# -- features ---------------------------------------------------------------------------------------


class _Features:
    """The features of a dataset's pictures: kept ones, those of the learner, else computed, in parts that are kept."""

    def __init__(self, control: Control, dataset_id: str, dataset: Dataset) -> None:
        self.control, self.dataset = control, dataset
        self.encoder = WholeEncoder(control.settings.weights, control.device)
        facts = [source_digest("mad_core.scorers.features.whole"), str(self.encoder.digest), str(SIZE)]
        name = hashlib.blake2b("\0".join(facts).encode(), digest_size=6).hexdigest()
        self.folder = control.settings.features / dataset_id / name
        self.looks = _looks(control, dataset_id, self.encoder.backbone)

    def all(self) -> tuple[list[str], np.ndarray, int]:
        """Ids of the pictures that can be read, their vectors (n, d), float32, and how many were computed now."""
        wanted = items(self.dataset.table, self.dataset)
        kept = dict(self._kept())
        missing = list({_key(item): item for item in wanted if _key(item) not in kept}.values())
        computed = 0
        for start in range(0, len(missing), PART):
            part = dict(self._computed(missing[start : start + PART], start, len(missing)))
            if part:
                self._keep(part)
            kept, computed = kept | part, computed + len(part)
        there = [item for item in wanted if _key(item) in kept]
        vectors = np.array([kept[_key(item)] for item in there], dtype=np.float32)
        return [item.image_id for item in there], vectors, computed

    def _computed(self, part: Sequence[Item], before: int, total: int) -> Iterator[tuple[str, np.ndarray]]:
        looked = [self._looked_at(item) for item in part]
        yield from ((_key(item), of) for item, of in zip(part, looked, strict=True) if of is not None)
        fresh = [item for item, of in zip(part, looked, strict=True) if of is None]
        done, started, served = before + len(part) - len(fresh), time.perf_counter(), time.perf_counter()
        for number, one in enumerate(load(fresh, self.encoder.prepare), start=1):
            self.control.check_cancel()
            if one.value is not None:
                yield _key(one.item), self.encoder.vector(one.value).astype(np.float16)
            now = time.perf_counter()
            rate = number / (now - started)
            left = (total - done - number) / rate
            self.control.report(phase="describing", done=done + number, total=total, rate=rate, seconds_left=left)
            if now - served > QUICK_SECONDS:
                self.control.serve_quick()
                served = time.perf_counter()

    def _looked_at(self, item: Item) -> np.ndarray | None:
        for folder in self.looks:
            if (look := folder.read(item.content_hash)) is not None:
                return look[WHOLE].astype(np.float16)
        return None

    def _kept(self) -> Iterator[tuple[str, np.ndarray]]:
        for path in sorted(self.folder.glob("part-*.npz")):
            try:
                with np.load(path, allow_pickle=False) as file:
                    yield from zip(file["keys"].tolist(), file["vectors"], strict=True)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                path.unlink(missing_ok=True)  # cut off: computed again

    def _keep(self, part: Mapping[str, np.ndarray]) -> None:
        number = len(list(self.folder.glob("part-*.npz")))
        arrays = {"keys": np.array(list(part)), "vectors": np.stack(list(part.values()))}
        write_arrays(self.folder / f"part-{number:05}.npz", arrays)


def _key(item: Item) -> str:
    """Named after the bytes and what of them is seen."""
    facts = [item.content_hash or item.image_id, *(one.key if one else "" for one in (item.window, item.ignored))]
    return hashlib.blake2b("\0".join(facts).encode(), digest_size=12).hexdigest()


def _looks(control: Control, dataset_id: str, backbone: str) -> list[LookFolder]:
    """Where the learner of severity keeps what the same network saw of this dataset's pictures at the same size."""
    names: set[str] = set()
    for run in control.store.runs(dataset_id):
        if run.scorer == GRADED and (run.parameters["backbone"], run.parameters["size"]) == (backbone, SIZE):
            names |= {entry.facts.get("looks") or "" for entry in control.store.run_subsets(run.id)}
    return [LookFolder(control.settings.looks / name) for name in sorted(names - {""})]


# -- the space --------------------------------------------------------------------------------------


def space_of(image_ids: np.ndarray, hashes: np.ndarray, raw: np.ndarray) -> PictureSpace:
    """Pictures as points, with the map of their first two principal components.

    Parameters
    ----------
    image_ids, hashes : ndarray of shape (n,)
    raw : ndarray of shape (n, d), float32
    """
    vectors = principal(raw)
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, len(vectors), 20_000) for _ in range(2))
    apart = first != second
    pairs = np.linalg.norm(vectors[first[apart]] - vectors[second[apart]], axis=1)
    nearest = _nearest(vectors, np.unique(np.linspace(0, len(vectors) - 1, min(QUERIES, len(vectors))).astype(int)))
    return PictureSpace(
        image_ids,
        hashes,
        vectors,
        _groups(vectors),
        np.quantile(pairs, np.linspace(0, 1, 2001)),
        np.quantile(nearest, np.linspace(0, 1, 201)),
        {PCA: _in_unit(vectors[:, :2])},
    )


def principal(raw: np.ndarray) -> np.ndarray:
    """Standardised features in their principal components, float32 (n, k) with k of 2 or more, up to ``COMPONENTS``."""
    rng = np.random.default_rng(0)
    sample = raw if len(raw) <= SAMPLE else raw[np.sort(rng.choice(len(raw), SAMPLE, replace=False))]
    centre, spread = sample.mean(axis=0), sample.std(axis=0)
    scale = np.where(spread > 1e-6, spread, 1.0)
    _, _, axes = np.linalg.svd((sample - centre) / scale, full_matrices=False)
    axes = axes[:COMPONENTS] * np.sign(axes[:COMPONENTS].sum(axis=1, keepdims=True) + 1e-12)
    vectors = np.concatenate([(part - centre) / scale @ axes.T for part in np.array_split(raw, len(raw) // 4096 + 1)])
    return np.pad(vectors, ((0, 0), (0, max(0, 2 - vectors.shape[1])))).astype(np.float32)


def _nearest(vectors: np.ndarray, rows: np.ndarray, count: int = 1) -> np.ndarray:
    """Distances of these rows to their nearest other row: (len(rows),)."""
    squares = (vectors * vectors).sum(axis=1)
    least = np.empty(len(rows))
    for start in range(0, len(rows), 200):
        some = rows[start : start + 200]
        apart = squares[some, None] + squares - 2 * vectors[some] @ vectors.T
        apart[np.arange(len(some)), some] = np.inf
        least[start : start + 200] = np.sqrt(np.maximum(apart.min(axis=1), 0))
    return least


def _groups(vectors: np.ndarray) -> np.ndarray:
    """Pictures that lie together (k-means), numbered by size."""
    from sklearn.cluster import KMeans

    count = int(np.clip(round((len(vectors) / 2) ** 0.5), 1, MOST_GROUPS))
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(SAMPLE, len(vectors))).astype(int))
    if len(np.unique(vectors, axis=0)) < count:
        return np.zeros(len(vectors), dtype=np.int16)
    alike: Any = KMeans(count, n_init=3, random_state=0)  # type: ignore[arg-type]
    numbers = alike.fit(vectors[rows]).predict(vectors)
    sizes = np.bincount(numbers, minlength=count)
    return np.argsort(np.argsort(-sizes, kind="stable"))[numbers].astype(np.int16)


def with_tsne(space: PictureSpace, control: Control) -> PictureSpace:
    """The space with its t-SNE map; as it is where there are too few pictures for one."""
    if len(space.image_ids) < FEWEST_EMBEDDED:
        return space
    return replace(space, places={**space.places, TSNE: _in_unit(tsne(space.vectors, control))})


def tsne(vectors: np.ndarray, control: Control) -> np.ndarray:
    """A t-SNE map, (n, 2); beyond ``EMBEDDED`` pictures the others are laid among their nearest of those placed."""
    from sklearn.manifold import TSNE as Embedding

    rng = np.random.default_rng(0)
    count = len(vectors)
    placed = np.arange(count) if count <= EMBEDDED else np.sort(rng.choice(count, EMBEDDED, replace=False))
    few = vectors[placed]
    start: Any = few[:, :2] / (few[:, 0].std() or 1.0) * 1e-4
    embedding = Embedding(init=start, random_state=0, perplexity=min(30, (len(few) - 1) / 3), max_iter=500)
    positions = _while_waiting(lambda: embedding.fit_transform(few), control)
    if count <= EMBEDDED:
        return positions
    return np.concatenate([_among(part, few, positions) for part in np.array_split(vectors, count // 500 + 1)])


def _among(vectors: np.ndarray, placed: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Where vectors stand: the mean of their three nearest placed ones, the nearer the more; a placed one stays."""
    apart = np.maximum((vectors * vectors).sum(1)[:, None] + (placed * placed).sum(1) - 2 * vectors @ placed.T, 0)
    nearest = np.argpartition(apart, 3, axis=1)[:, :3]
    weights = 1 / (np.take_along_axis(apart, nearest, axis=1) + 1e-6)
    return (positions[nearest] * weights[:, :, None]).sum(axis=1) / weights.sum(axis=1, keepdims=True)


def _while_waiting(work: Callable[[], np.ndarray], control: Control) -> np.ndarray:
    """Work that cannot be interrupted, in a thread; meanwhile quick jobs are done, and a cancel is answered.

    Raises
    ------
    CancelledError
    """
    results: list[np.ndarray] = []
    errors: list[BaseException] = []

    def at_work() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=at_work, name="embedding", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(WAIT_SECONDS)
        control.check_cancel()
        control.serve_quick()
    if errors:
        raise errors[0]
    return results[0]


def _in_unit(positions: np.ndarray) -> np.ndarray:
    """Positions (n, 2) from 0 to 1, float32; an axis along which nothing differs lies in the middle."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    span = np.where(high > low, high - low, 1)
    return np.where(high > low, (positions - low) / span, 0.5).astype(np.float32)
