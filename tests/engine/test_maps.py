"""Anomaly maps on disk and on their way to the browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mad_core.errors import WorkError
from mad_core.map_files import MapRef, MapStore, pack, shared_range, shrink, unpack

maps = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    elements=st.floats(-(2.0**99), 2.0**99, width=32),
)


@settings(max_examples=60, deadline=None)
@given(maps, st.integers(0, 5))
def test_a_map_comes_back_within_half_precision(tmp_path_factory, anomaly_map: np.ndarray, row: int) -> None:
    store = MapStore(tmp_path_factory.mktemp("maps"))
    ref = store.write("r", "subset/../x", row, anomaly_map, 64)
    back = store.read("r", "subset/../x", ref, 64)
    assert back.dtype == np.float32
    assert back.shape == anomaly_map.shape
    peak = max(float(np.abs(anomaly_map).max()), 1e-300)
    assert np.abs(back.astype(np.float64) - anomaly_map).max() <= peak * 2**-11


def test_raw_scores_beyond_float16_survive(tmp_path: Path) -> None:
    store = MapStore(tmp_path)
    anomaly_map = np.array([[0, 1e6], [5e5, 2e9]], np.float32)
    back = store.read("r", "s", store.write("r", "s", 3, anomaly_map, 256), 256)
    assert np.allclose(back, anomaly_map, rtol=1e-3)


def test_slots_do_not_touch_each_other(tmp_path: Path) -> None:
    store = MapStore(tmp_path)
    refs = [store.write("r", "s", row, np.full((64, 64), row + 1, np.float32), 64) for row in (2, 0, 1)]
    assert [float(store.read("r", "s", ref, 64).mean()) for ref in refs] == [3, 1, 2]


def test_the_name_of_a_subset_cannot_leave_the_folder(tmp_path: Path) -> None:
    assert MapStore(tmp_path).path("r", "../../etc/passwd").parent == tmp_path / "r"


def test_a_lost_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="score the image again"):
        MapStore(tmp_path).read("r", "s", MapRef(0, 4, 4, 1.0), 256)


def test_large_maps_shrink_on_their_own_aspect_and_keep_their_mean() -> None:
    anomaly_map = np.random.default_rng(0).random((400, 1000), dtype=np.float32)
    small = shrink(anomaly_map, 250)
    assert small.shape == (100, 250)
    assert abs(float(small.mean()) - float(anomaly_map.mean())) < 1e-3
    assert shrink(small, 250) is small


@given(maps)
def test_packing_is_exact(anomaly_map: np.ndarray) -> None:
    assert np.array_equal(unpack(pack(anomaly_map)), anomaly_map)


def test_one_range_for_a_run() -> None:
    normal = [np.linspace(0, 1, 1000, dtype=np.float32)]
    low, high, threshold = shared_range(normal, [*normal, np.full(1000, 5, np.float32)])
    assert (round(low, 3), round(threshold, 3), high) == (0.01, 0.995, 5.0)
    assert shared_range([], []) is None
    assert shared_range([], [np.ones(5, np.float32)]) is None
