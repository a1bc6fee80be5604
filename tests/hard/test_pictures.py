"""A gallery of 48 pictures of 100 megapixels: the web process never takes more than 2 GB, however many ask at once."""

from __future__ import annotations

import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from mad_core.datasets.importing import import_dataset
from mad_core.runs.store import Store
from mad_core.settings import Settings

from .workshop import App

pytestmark = [pytest.mark.hard, pytest.mark.timeout(2400)]
PICTURES, AT_ONCE, SIDE = 48, 40, 10_000
MOST_BYTES = 2_000_000_000


def _pictures(folder: Path) -> Path:
    """Of four kinds, those that take most memory among them; a few bytes at the end make each its own content."""
    lines = (np.arange(SIDE) % 256 * 257).astype(np.uint16)
    grey = np.ascontiguousarray(np.broadcast_to(lines[:, None], (SIDE, SIDE)))
    kinds = {
        "a.tif": Image.fromarray(grey),
        "b.png": Image.new("RGBA", (SIDE, SIDE), (20, 90, 160, 200)),
        "c.png": Image.new("RGB", (SIDE, SIDE), (20, 90, 160)),
        "d.jpg": Image.new("RGB", (SIDE, SIDE), (20, 90, 160)),
    }
    options = {"a.tif": {"compression": "packbits"}, "b.png": {"compress_level": 1}, "c.png": {"compress_level": 1}}
    for name, picture in kinds.items():
        picture.save(folder.parent / name, **options.get(name, {}))
    for number in range(PICTURES):
        kind = list(kinds)[number % 4]
        place = folder / f"level_{number // 4 % 2}" / f"{number}{kind[1:]}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((folder.parent / kind).read_bytes() + number.to_bytes(4, "big"))
    return folder


def _highest(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def test_a_gallery_of_large_pictures_takes_two_gigabytes_at_most(tmp_path: Path) -> None:
    store = Store(Settings.from_environment({"MAD_HOME": str(tmp_path / "home")}))
    dataset = store.add_dataset(import_dataset(_pictures(tmp_path / "parts"), store.settings))
    table = store.dataset(dataset).table
    assert len(table) == PICTURES
    app = App(store.settings, tmp_path / "app.log")

    def get(image_id: str) -> bytes:
        address = f"http://127.0.0.1:{app.port}/image/{dataset}/{image_id}/thumbnail"
        with urllib.request.urlopen(address, timeout=1200) as answer:
            return answer.read()

    try:
        app.start()
        assert app.process is not None
        pid, began = app.process.pid, time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            thumbnails = list(pool.map(get, [*table["image_id"], *table["image_id"]]))
        assert all(thumbnail.startswith(b"RIFF") for thumbnail in thumbnails)
        highest = _highest(pid)
        print(f"{PICTURES} pictures of 100 MP: {highest / 1e9:.2f} GB, {time.monotonic() - began:.0f} s")
        assert highest < MOST_BYTES
    finally:
        workers = [w.pid for w in store.queue.workers()]
        app.end()
        for worker in workers:
            if psutil.pid_exists(worker):
                psutil.Process(worker).kill()
        store.close()
