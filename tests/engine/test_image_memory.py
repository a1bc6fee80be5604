"""How much memory pictures take: a process of its own is measured at its highest."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mad_core import images
from mad_core.images import thumbnail

SIDE = 4_000
PIXELS = SIDE * SIDE

MEASURE = """
import json, sys, threading
from pathlib import Path
from mad_core import images

def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024

what, in_flight, *paths = sys.argv[1:]
images.PIXELS_IN_FLIGHT = int(in_flight)
failed = []
def work(path):
    try:
        path = Path(path)
        images.read_image(path) if what == "read" else images.thumbnail(path, path.parent, 256, path.stem)
    except Exception as error:
        failed.append(str(error))
small = Path(paths[0]).with_name("small.png")
images.thumbnail(small, small.parent, 256, "small")
before = peak()
threads = [threading.Thread(target=work, args=(path,)) for path in paths]
[t.start() for t in threads]
[t.join() for t in threads]
print(json.dumps([peak() - before, failed]))
"""


def measured(what: str, in_flight: int, paths: list[Path]) -> int:
    """Bytes that a process takes at its highest, beyond what it had before the first picture."""
    command = [sys.executable, "-c", MEASURE, what, str(in_flight), *map(str, paths)]
    taken, failed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout)
    assert failed == []
    return int(taken)


def drawn(folder: Path, name: str, make: Callable[[np.ndarray], Image.Image], **options: object) -> Path:
    grey = np.broadcast_to((np.arange(SIDE) * 16).astype(np.uint16), (SIDE, SIDE))
    Image.new("RGB", (9, 9)).save(folder / "small.png")
    make(grey).save(folder / name, **options)
    return folder / name


KINDS: dict[str, tuple[str, Callable[[np.ndarray], Image.Image], dict[str, object]]] = {
    "16-bit TIFF": ("a.tif", Image.fromarray, {}),
    "16-bit PNG": ("a.png", Image.fromarray, {"compress_level": 1}),
    "float TIFF": ("f.tif", lambda grey: Image.fromarray(grey.astype(np.float32) / 65535), {}),
    "RGBA PNG": ("c.png", lambda grey: Image.new("RGBA", grey.shape, (9, 200, 30, 128)), {"compress_level": 1}),
    "turned JPEG": (
        "t.jpg",
        lambda grey: Image.new("RGB", grey.shape, (9, 200, 30)),
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_takes_few_bytes_a_pixel(tmp_path: Path, kind: str) -> None:
    name, make, options = KINDS[kind]
    path = drawn(tmp_path, name, make, **options)
    assert measured("read", PIXELS, [path]) < 12 * PIXELS
    assert measured("thumbnail", PIXELS, [path]) < 12 * PIXELS


def test_of_a_jpeg_only_a_part_is_decoded_for_its_thumbnail(tmp_path: Path) -> None:
    name, make, options = KINDS["turned JPEG"]
    assert measured("thumbnail", PIXELS, [drawn(tmp_path, name, make, **options)]) < PIXELS


def test_many_pictures_at_once_take_no_more_than_those_in_flight(tmp_path: Path) -> None:
    first = drawn(tmp_path, "a.tif", Image.fromarray)
    paths = [first, *(tmp_path / f"{i}.tif" for i in range(15))]
    for path in paths[1:]:
        path.hardlink_to(first)
    assert measured("thumbnail", PIXELS * 3 // 2, paths) < 15 * PIXELS


def test_a_thumbnail_is_made_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.png")
    decoded, made = images._decoded, []

    def slow(*given: object) -> Image.Image:
        made.append(given)
        time.sleep(0.05)
        return decoded(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "_decoded", slow)
    ask = [threading.Thread(target=thumbnail, args=(tmp_path / "a.png", tmp_path, 32, "key")) for _ in range(20)]
    for thread in ask:
        thread.start()
    for thread in ask:
        thread.join()
    assert len(made) == 1


def test_a_thumbnail_of_0_bytes_is_made_anew(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), "red").save(tmp_path / "a.png")
    target = thumbnail(tmp_path / "a.png", tmp_path, 32, "key")
    target.write_bytes(b"")
    assert thumbnail(tmp_path / "a.png", tmp_path, 32, "key") == target and target.stat().st_size > 0


def test_a_large_picture_is_not_starved_by_small_ones_and_a_nested_one_does_not_wait_for_itself() -> None:
    budget = images._Budget()
    order: list[str] = []

    def take(name: str, pixels: int) -> None:
        with budget.taken(pixels):
            order.append(name)

    with budget.taken(images.PIXELS_IN_FLIGHT // 2):
        with budget.taken(images.PIXELS_IN_FLIGHT):
            order.append("nested")
        large = threading.Thread(target=take, args=("large", images.PIXELS_IN_FLIGHT * 9))
        large.start()
        while not budget._turn.locked():
            time.sleep(0.001)
        small = threading.Thread(target=take, args=("small", 1))
        small.start()
        assert order == ["nested"]
    large.join(10)
    small.join(10)
    assert order == ["nested", "large", "small"]


def test_strips_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pictures = {
        "i.png": Image.fromarray(rng.integers(0, 65535, (61, 47), dtype=np.uint16)),
        "f.tif": Image.fromarray(rng.random((61, 47), dtype=np.float32) * 3000),
        "c.png": Image.fromarray(rng.integers(0, 255, (61, 47, 4), dtype=np.uint8), "RGBA"),
        "p.png": Image.fromarray(rng.integers(0, 255, (61, 47, 3), dtype=np.uint8)).quantize(17),
        "b.png": Image.fromarray(rng.random((61, 47)) > 0.5),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
        whole = images.read_image(tmp_path / name), images._decoded(tmp_path / name, tmp_path / name, 10**6, 12)
        with monkeypatch.context() as patch:
            patch.setattr(images, "STRIP_PIXELS", 300)
            strips = images.read_image(tmp_path / name), images._decoded(tmp_path / name, tmp_path / name, 10**6, 12)
        assert all(np.array_equal(a, b) for a, b in zip(whole, strips, strict=True)), name
        assert strips[1].size == (10, 13)
