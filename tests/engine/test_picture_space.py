"""Pictures alike and the map of all: against brute force, from drawn pictures to what is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import mad_core as mad
from mad_core.cli.main import app
from mad_core.datasets.dataset import Card, Dataset, Imported, image_id
from mad_core.errors import InputError, NotFoundError
from mad_core.runs import picture_features
from mad_core.runs.jobs import FeaturesJob, submit
from mad_core.runs.picture_features import principal, space_of, tsne
from mad_core.runs.picture_space import ALL, GROUP, PCA, TSNE, MapPart, PictureSpace, read_space, within, write_space
from mad_core.runs.queue import Job
from mad_core.runs.store import Store
from mad_core.runs.worker import Worker
from mad_core.scorers.features import whole

from .conftest import digests


def clouds(each: int = 12, kinds: int = 3, dimensions: int = 20) -> np.ndarray:
    rng = np.random.default_rng(4)
    centres = 8 * rng.normal(size=(kinds, dimensions))
    return (np.repeat(centres, each, axis=0) + rng.normal(size=(each * kinds, dimensions))).astype(np.float32)


def a_space(raw: np.ndarray) -> PictureSpace:
    names = np.array([f"picture{row}" for row in range(len(raw))])
    return space_of(names, names, raw)


def test_nearest_pictures_are_those_of_a_sorted_table() -> None:
    raw = clouds()
    space, row = a_space(raw), 5
    standard = (raw - raw.mean(0)) / raw.std(0)
    apart = np.linalg.norm(standard - standard[row], axis=1)
    expected = [f"picture{at}" for at in np.argsort(apart) if at != row][:12]
    alike = space.alike(f"picture{row}")
    assert [one.image_id for one in alike] == expected
    assert np.allclose([one.distance for one in alike], np.sort(apart)[1:13], rtol=1e-3)
    pairs = np.linalg.norm(standard[:, None] - standard, axis=2)[np.triu_indices(len(raw), 1)]
    for one in alike:
        assert one.closer == pytest.approx((pairs > one.distance).mean(), abs=0.03)
    assert [one.image_id for one in space.alike(f"picture{row}", 2)] == expected[:2]
    with pytest.raises(NotFoundError, match="picture99"):
        space.alike("picture99")


def test_words_follow_the_distances_that_are_usual() -> None:
    raw = clouds()
    raw[1] = raw[0]
    raw[2] = raw[0] + 0.01
    raw[-1] = 60.0
    space = a_space(raw)
    near = space.alike("picture0")
    assert [one.words for one in near[:2]] == ["the same", "nearly the same"]
    assert near[0].in_words() == "the same, closer than 99.9 % of pairs"
    assert not space.stands_alone(near)
    far = space.alike(f"picture{len(raw) - 1}")
    assert space.stands_alone(far) and far[0].words == "less alike"
    order = ["the same", "nearly the same", "very alike", "alike", "somewhat alike", "less alike"]
    assert [order.index(one.words) for one in near] == sorted(order.index(one.words) for one in near)


def test_groups_are_the_clouds_and_maps_lie_from_0_to_1() -> None:
    space = a_space(clouds(each=40, kinds=3))
    of_cloud = [set(space.groups[40 * k : 40 * k + 40].tolist()) for k in range(3)]
    assert not (of_cloud[0] & of_cloud[1] or of_cloud[1] & of_cloud[2] or of_cloud[0] & of_cloud[2])
    sizes = np.bincount(space.groups)
    assert (np.diff(sizes) <= 0).all() and sizes.sum() == 120
    assert space.places[PCA].min() == 0 and space.places[PCA].max() == 1


def test_pictures_that_do_not_differ_have_a_place_all_the_same() -> None:
    space = a_space(np.ones((5, 7), np.float32))
    assert np.isfinite(space.vectors).all() and (space.places[PCA] == 0.5).all()
    assert {one.words for one in space.alike("picture0")} == {"the same"}
    assert len(principal(np.array([[1.0], [2.0]], np.float32))[0]) == 2


def test_an_outline_encloses_what_a_ray_says() -> None:
    rng = np.random.default_rng(2)
    places, corners = rng.uniform(size=(400, 2)), rng.uniform(size=(9, 2))

    def encloses(x: float, y: float) -> bool:
        crossed = 0
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if (y0 > y) != (y1 > y) and x0 + (y - y0) / (y1 - y0) * (x1 - x0) > x:
                crossed += 1
        return crossed % 2 == 1

    assert within(places, corners).tolist() == [encloses(x, y) for x, y in places]
    square = np.array([[0.2, 0.2], [0.6, 0.2], [0.6, 0.6], [0.2, 0.6]])
    inside = (places > 0.2).all(axis=1) & (places < 0.6).all(axis=1)
    assert (within(places, square) == inside).all() and inside.any()


def test_a_part_of_a_map_is_written_in_an_address() -> None:
    space = a_space(clouds())
    part = MapPart(PCA, True, space.keys[PCA], ((0, 0), (500, 0), (500, 1000), (0, 1000)))
    assert MapPart.from_text(part.to_text()) == part
    left = {name for name, (x, _) in zip(space.image_ids.tolist(), space.places[PCA], strict=True) if x < 0.5}
    chosen = part.of(space)
    assert chosen is not None and 0 < len(chosen) < len(space.rows) and len(chosen ^ left) <= 1  # one on the edge
    group = MapPart(GROUP, False, space.keys[PCA], group=1)
    assert MapPart.from_text(group.to_text()) == group
    assert group.of(space) == {f"picture{row}" for row in np.flatnonzero(space.groups == 1)}
    other = a_space(clouds(each=13))
    assert part.of(other) is None and part.of(None) is None
    wrong = ("", "tsne", "x-s-1-1", "pca-s-k", "pca-s-k-1.2-3.4", "pca-q-k-1.2-3.4-5.6", "group-s-k-a", "group-s-k-1-2")
    assert {MapPart.from_text(text) for text in (*wrong, "pca-s-k-1.b-3.4-5.6", "pca-s-k" + "-1.2" * 500)} == {None}


class Quiet:
    """A job's control that is never cancelled."""

    def check_cancel(self) -> None: ...
    def serve_quick(self) -> None: ...


def test_a_map_of_more_pictures_than_are_placed_keeps_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_features, "EMBEDDED", 60)
    places = tsne(principal(clouds(each=40)), Quiet())  # type: ignore[arg-type]
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (apart.argmin(axis=1) // 40 == np.arange(120) // 40).mean() > 0.95


def test_what_is_kept_comes_back_and_what_is_cut_off_does_not(store: Store) -> None:
    space = a_space(clouds())
    write_space(store.settings, "d", "plate", space)
    again = read_space(store.settings, "d", "plate")
    assert again is not None and again.rows == space.rows and again.keys == space.keys
    assert read_space(store.settings, "d", "leaf") is None
    (path,) = store.settings.features.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:900])
    assert read_space(store.settings, "d", "plate") is None


@pytest.fixture
def drawn(tmp_path: Path, store: Store) -> str:
    """Two subsets of stripes, along and across, and one file that is no picture."""
    rows = []
    for subset in ("along", "across"):
        for number in range(7):
            path = tmp_path / subset / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            pixels = np.full((64, 64, 3), 90 + number, np.uint8)
            pixels[(slice(None, None, 8 + number % 2)) if subset == "along" else np.s_[:, :: 8 + number % 2]] = 220
            Image.fromarray(pixels).save(path)
            facts = {"path": str(path), "template_path": path.name, "split": "test", "subset": subset, "level": 0.0}
            rows.append({**facts, "image_id": image_id(subset, path.name), "content_hash": digests([str(path)])[0]})
    Path(rows[0]["path"]).write_bytes(b"no picture")
    facts = {"defect": None, "mask_path": None, "width": 64, "height": 64}
    return store.add_dataset(
        Imported(Dataset.from_rows("stripes", [{**row, **facts} for row in rows], Card(title="stripes"), str(tmp_path)))
    )


class Edges:
    """Stands for a network: how much brightness changes downwards and to the right."""

    digest = "none"

    def __init__(self, *given: Any) -> None:
        pass

    def layers(self, images: torch.Tensor) -> list[torch.Tensor]:
        grey = images.float().mean(1, keepdim=True) / 255
        return [grey.diff(dim=2).abs(), grey.diff(dim=3).abs()]


def test_the_job_looks_once_and_keeps_what_it_saw(store: Store, drawn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "FrozenBackbone", Edges)
    monkeypatch.setattr(picture_features, "PART", 5)
    worker = Worker(store.settings, "cpu")
    try:
        job = _done(store, worker, drawn)
        assert job.result is not None and (job.result["images"], job.result["unreadable"]) == (13, 1)
        assert job.result["computed"] == 13
        along, all_of_them = (read_space(store.settings, drawn, name) for name in ("along", ALL))
        assert along is not None and all_of_them is not None
        assert len(along.rows) == 6 and len(all_of_them.rows) == 13 and set(all_of_them.places) == {PCA, TSNE}
        table = store.dataset(drawn).table.set_index("image_id")["subset"]
        for one in all_of_them.image_ids.tolist():
            near = all_of_them.alike(one, 3)
            assert [table[other.image_id] for other in near] == [table[one]] * 3
        again = _done(store, worker, drawn)
        assert again.result is not None and again.result["computed"] == 0
    finally:
        worker.close()
    assert store.disk_use(drawn) > sum(f.stat().st_size for f in (store.settings.features / drawn).glob("*.npz"))
    store.delete_dataset(drawn)
    assert not (store.settings.features / drawn).exists()


def test_command_line_and_python_name_what_is_alike(store: Store, drawn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "FrozenBackbone", Edges)
    monkeypatch.setenv("MAD_HOME", str(store.settings.home))
    table = store.dataset(drawn).table.set_index("image_id")
    image = table.index[8]
    got = CliRunner().invoke(app, ["similar", table.at[image, "path"], "--in", "stripes", "--count", "3", "--json"])
    assert got.exit_code == 0, got.output
    rows = json.loads(got.stdout)
    assert [row["subset"] for row in rows] == ["across"] * 3 and image not in [row["image_id"] for row in rows]
    frame = mad.similar(image, drawn, 3)
    assert frame["image_id"].tolist() == [row["image_id"] for row in rows]
    assert len(mad.similar(image, drawn, 20, everywhere=True)) == 12
    broken, twice = table.at[table.index[0], "path"], "3.png"
    for named, sentence in ((broken, "cannot be read"), ("nothing.png", "no image called"), (twice, "2 images called")):
        with pytest.raises(InputError, match=sentence):
            mad.similar(named, drawn)


def test_a_dataset_is_not_deleted_while_it_is_looked_at(store: Store, drawn: str) -> None:
    job = submit(store.queue, FeaturesJob(drawn))
    store.queue.register("w", "cpu", {})
    assert store.queue.claim("w", ("auto", "cpu"), job_id=job) is not None
    with pytest.raises(InputError, match="being looked at"):
        store.delete_dataset(drawn)


def _done(store: Store, worker: Worker, dataset_id: str) -> Job:
    submit(store.queue, FeaturesJob(dataset_id))
    claimed = store.queue.claim(worker.id, worker.devices)
    assert claimed is not None
    job = worker.do(claimed)
    assert job.status == "done", job.error
    return job
