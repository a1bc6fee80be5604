"""Pictures deeper than 8 bits: one window for a subset, found from what files state or from their pixels."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mad_core.datasets.dataset import Card
from mad_core.datasets.importing import check_report, import_dataset
from mad_core.errors import InputError
from mad_core.images import probe, read_image, read_pixels, thumbnail
from mad_core.pixels import EIGHT, Depth, PixelSample, Window, chosen, find_window, pixel_range, to_bytes
from mad_core.scorers.image_loading import load
from mad_core.settings import Settings


def saved(path: Path, values: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)
    return path


def tiff(path: Path, values: np.ndarray, photometric: int = 1) -> Path:
    """An uncompressed little-endian TIFF of any kind of number, grey or RGB; Pillow writes few of them."""
    channels = values.shape[2] if values.ndim == 3 else 1
    sort = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    bits, extra = (8 * values.dtype.itemsize,) * channels, 8 + 2 + 12 * 10 + 4
    place = extra if channels == 3 else bits[0]
    tags = [
        (256, 4, 1, values.shape[1]), (257, 4, 1, values.shape[0]), (258, 3, channels, place), (259, 3, 1, 1),
        (262, 3, 1, 2 if channels == 3 else photometric), (273, 4, 1, extra + 6), (277, 3, 1, channels),
        (278, 4, 1, values.shape[0]), (279, 4, 1, len(data)), (339, 3, 1, sort),
    ]  # fmt: skip
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + entries + struct.pack("<I", 0) + struct.pack("<3H", *(bits * 3)[:3]) + data)
    return path


def imported(folder: Path, *windows: str) -> Any:
    return import_dataset(folder, Settings.from_environment({"MAD_HOME": str(folder.parent / "home")}), windows=windows)


def scratched(number: int, level: int) -> np.ndarray:
    """A dim 8-bit picture, the brighter scratched the more severe."""
    rng = np.random.default_rng(number)
    picture = 60 + 20 * np.sin(np.arange(48) / 3)[None, :] + rng.normal(0, 2, (48, 48))
    picture[20 : 20 + 4 * level, 10:40] += 40 * level
    return np.clip(picture, 0, 255).astype(np.uint8)


def levels(folder: Path, write: Any) -> Path:
    for level in range(3):
        for number in range(8 if level == 0 else 4):
            write(folder / f"level_{level}" / f"{number}", scratched(10 * level + number, level))
    return folder


# -- the same pictures, written otherwise -----------------------------------------------------------


def means(folder: Path, *windows: str) -> dict[str, np.ndarray]:
    dataset = imported(folder, *windows).dataset
    items = [(row.path, dataset.windows.get(row.subset)) for row in dataset.table.itertuples()]
    return {"/".join(Path(p).with_suffix("").parts[-2:]): read_image(Path(p), window=w) for p, w in items}


@pytest.mark.parametrize("white", [4095, 65535], ids=["12 bits in 16", "16 bits"])
def test_deeper_pictures_are_the_same_as_their_8_bit_twins(tmp_path: Path, white: int) -> None:
    def deepened(path: Path, picture: np.ndarray) -> None:
        saved(path.with_suffix(".tif"), np.ceil(picture.astype(float) * white / 255).astype(np.uint16))

    eight = means(levels(tmp_path / "eight", lambda path, p: saved(path.with_suffix(".png"), p)))
    deep = means(levels(tmp_path / "deep", deepened))
    assert deep.keys() == eight.keys() and all(np.array_equal(deep[name], eight[name]) for name in eight)


def test_a_darker_picture_of_a_set_stays_darker(tmp_path: Path) -> None:
    bright = np.full((8, 8), 4000, np.uint16)
    for number, share in enumerate((1.0, 0.5, 0.1, 0.01)):
        saved(tmp_path / "set" / "level_0" / f"{number}.png", (bright * share).astype(np.uint16))
    found = means(tmp_path / "set")
    assert [int(found[f"level_0/{n}"].mean()) for n in range(4)] == [249, 124, 24, 2]


def test_signed_numbers_and_fractions_just_over_1_do_not_turn_black(tmp_path: Path) -> None:
    air = np.linspace(-1000, 2000, 64).reshape(8, 8)
    tiff(tmp_path / "ct" / "level_0" / "a.tif", air.astype(np.int16))
    assert np.ptp(means(tmp_path / "ct")["level_0/a"]) == 255
    tiff(tmp_path / "float" / "level_0" / "a.tif", np.linspace(0, 1.004, 64).reshape(8, 8).astype(np.float32))
    tiff(tmp_path / "float" / "level_0" / "b.tif", np.linspace(0, 0.5, 64).reshape(8, 8).astype(np.float64))
    found = means(tmp_path / "float")
    assert found["level_0/a"].max() == 255 and 126 <= found["level_0/b"].max() <= 127


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
def test_min_is_white_comes_the_right_way_round(tmp_path: Path, kind: Any) -> None:
    film = np.array([[0, 1000], [30000, 32767]]).astype(kind)
    path = tiff(tmp_path / "level_0" / "film.tif", film, photometric=0)
    assert probe(path).depth.negative
    seen = read_image(path, window=Window(0, 32767))[..., 0]
    assert seen[0, 0] == 255 and seen[1, 1] == 0 and seen[0, 0] > seen[0, 1] > seen[1, 0]


def test_sixteen_bits_of_colour_keep_all_their_bits(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (9, 7, 3)).astype(np.uint16)
    path = tiff(tmp_path / "a.tif", values)
    assert probe(path).depth == Depth(16)
    assert np.allclose(read_pixels(path, window=Window(0, 4095)), values / 4095, atol=1e-6)
    assert np.array_equal(read_image(path, window=Window(0, 4095)), (values / 4095 * 255 + 1e-3).astype(np.uint8))


@pytest.mark.parametrize("values", [np.array([[0, 2**31, 2**32 - 1]], np.uint32), np.array([[-128, 0, 127]], np.int8)])
def test_numbers_beyond_what_pillow_knows(tmp_path: Path, values: np.ndarray) -> None:
    path = tiff(tmp_path / "a.tif", values)
    low, high = float(values.min()), float(values.max())
    assert np.allclose(read_pixels(path, window=Window(low, high))[0, :, 0], [0, 0.5, 1], atol=0.01)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_full_depth_is_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = np.arange(30, dtype=np.uint16).reshape(5, 6) * 2000
    path = saved(tmp_path / "a.png", grey, exif=exif)
    assert np.array_equal(to_bytes(read_pixels(path)), read_image(path))


def test_what_a_scorer_gets_is_finer_than_8_bits(tmp_path: Path) -> None:
    from mad_core.scorers.contract import Item
    from mad_core.scorers.image_loading import deepest_of, pixels_of

    fine = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    item = Item("a", str(saved(tmp_path / "a.png", fine)), window=Window(0, 4095))
    (deep,) = load([item], lambda image: image, read=deepest_of)
    assert deep.value is not None and len(np.unique(deep.value)) == 4096 and deep.value.dtype == np.float32
    (plain,) = load([item], lambda image: image)
    assert plain.value is not None and plain.value.dtype == np.uint8 and len(np.unique(plain.value)) == 256
    eight = Item("b", str(saved(tmp_path / "b.png", scratched(0, 1))))
    (read,) = load([eight], lambda image: image, read=deepest_of)
    assert read.value is not None and read.value.dtype == np.uint8
    (asked,) = load([eight], lambda image: image, read=pixels_of)
    assert asked.value is not None and np.allclose(asked.value[..., 0] * 255, scratched(0, 1), atol=1e-3)


# -- the window ---------------------------------------------------------------------------------------


def sample(values: Any, depth: Depth = Depth(16)) -> PixelSample:  # noqa: B008 - frozen
    array = np.asarray(values, np.float32)
    whole = bool((array == np.round(array)).all())
    return PixelSample(depth, float(array.min()), float(array.max()), whole, array)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([sample([0, 255], EIGHT)], None),
        ([sample([0, 900]), sample([5, 3000])], (0, 4095)),
        ([sample([0, 40])], (0, 255)),
        ([sample([0, 60000]), sample([0, 255], EIGHT)], (0, 65535)),
        ([sample([-1000, 500], Depth(16, "signed")), sample([-900, 2000], Depth(16, "signed"))], (-1000, 2000)),
        ([sample([0.1, 0.7], Depth(32, "float"))], (0, 1)),
        ([sample([20.5, 36.6], Depth(32, "float"))], (20.5, 36.6)),
        ([sample([0, 1023], Depth(12, stated=(0, 4095)))], (0, 4095)),
        ([sample([0], Depth(16, stated=(-160, 240))), sample([0], Depth(16, stated=(-160, 240)))], (-160, 240)),
        ([sample([7, 7], Depth(32, "float", negative=True))], (0, 255)),
    ],
)
def test_the_window_that_is_found(samples: list[PixelSample], expected: tuple[float, float] | None) -> None:
    found = find_window(samples)
    assert (found and (found.low, found.high)) == (expected and pytest.approx(expected, rel=1e-6))


@given(
    values=st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=20),
    low=st.floats(-1e3, 1e3),
    width=st.floats(1, 1e4),
    gamma=st.floats(0.2, 5),
)
def test_a_window_keeps_the_order_and_a_negative_turns_it(
    values: list[float], low: float, width: float, gamma: float
) -> None:
    window, ordered = Window(low, low + width, gamma), np.sort(np.array(values, np.float32))
    seen, turned = window.unit(ordered), window.unit(ordered, negative=True)
    assert seen.min() >= 0 and seen.max() <= 1
    assert (np.diff(seen) >= 0).all() and (np.diff(turned) <= 0).all()
    twin = np.clip((ordered.astype(float) - low) / width, 0, 1) ** gamma
    assert np.allclose(seen, twin, atol=1e-5)


@pytest.mark.parametrize(("low", "high", "gamma"), [(1, 1, 1), (2, 1, 1), (0, float("nan"), 1), (0, 1, 0), (0, 1, 99)])
def test_a_window_without_a_range_is_refused(low: float, high: float, gamma: float) -> None:
    with pytest.raises(InputError):
        Window(low, high, gamma)


def test_windows_as_people_write_them() -> None:
    found = find_window([sample([100, 3000])])
    spread = pixel_range([sample(np.linspace(100, 3000, 500))], found)
    assert chosen("auto", found) is found
    assert chosen("10:20:0.5", found) == Window(10, 20, 0.5, 12)
    assert chosen("Lung", found) == Window(-1350, 150, 1, 12)
    assert chosen("full", found, spread) == Window(0, 65535, 1, 12)
    used = chosen("used", found, spread)
    assert used is not None and 100 < used.low < 110 and 2990 < used.high < 3000
    for words in ("x", "1", "1:2:3:4", "5:1", "nan:1"):
        with pytest.raises(InputError):
            chosen(words, found)


def test_the_window_is_part_of_the_version_and_8_bits_have_none(tmp_path: Path) -> None:
    folder = levels(tmp_path / "deep", lambda path, p: saved(path.with_suffix(".png"), p.astype(np.uint16) * 16))
    plain, other = imported(folder).dataset, imported(folder, "0:2000:0.8").dataset
    assert plain.windows["deep"] == Window(0, 4095, 1, 12) and other.windows["deep"] == Window(0, 2000, 0.8, 12)
    assert plain.version == imported(folder, "auto").dataset.version != other.version
    assert plain.with_windows({"deep": other.windows["deep"]}).version == other.version
    assert Card.from_json(json.loads(json.dumps(other.card.to_json()))) == other.card
    eight = imported(levels(tmp_path / "eight", lambda path, p: saved(path.with_suffix(".png"), p)))
    assert eight.dataset.windows == {} and "window" not in json.dumps(check_report(eight))
    assert eight.problems == ()


def test_check_shows_the_window_a_histogram_and_what_is_odd(tmp_path: Path) -> None:
    folder = levels(tmp_path / "set", lambda path, p: saved(path.with_suffix(".png"), 40000 + p.astype(np.uint16)))
    saved(folder / "level_0" / "eight.png", scratched(99, 0))
    (subset,) = check_report(imported(folder))["subsets"]
    assert (subset["window"]["low"], subset["window"]["high"]) == (0, 65535)
    assert sum(subset["pixels"]["counts"]) > 1000 and subset["pixels"]["depths"] == {"16 bit": 16, "8 bit": 1}
    kinds = [p["kind"] for p in check_report(imported(folder))["problems"]]
    assert sorted(kinds) == ["mixed-depth", "narrow-range"]
    assert "narrow-range" not in [p.kind for p in imported(folder, "used").problems]
    with pytest.raises(InputError, match="no subset"):
        imported(folder, "other=0:1")


def test_a_subset_has_a_window_of_its_own(tmp_path: Path) -> None:
    levels(tmp_path / "set" / "a" / "test", lambda path, p: saved(path.with_suffix(".png"), p.astype(np.uint16) * 16))
    levels(tmp_path / "set" / "b" / "test", lambda path, p: saved(path.with_suffix(".png"), p))
    assert {n: str(w) for n, w in imported(tmp_path / "set").dataset.windows.items()} == {"a": "0 to 4095"}


def test_pictures_of_8_bits_among_deeper_ones_stay_as_they_are(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", scratched(0, 2))
    assert np.array_equal(read_image(path, window=Window(0, 4095, 0.5, 12))[..., 0], scratched(0, 2))
    assert read_image(path, window=Window(50, 90, bits=8)).max() == 255


def test_a_thumbnail_is_seen_through_the_window(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.full((20, 30), 1024, np.uint16))
    small = thumbnail(path, tmp_path / "small", 16, "a", window=Window(0, 4095))
    assert abs(int(read_image(small).mean()) - 64) <= 1


def test_floats_among_whole_numbers_do_not_turn_black(tmp_path: Path) -> None:
    ramp = np.arange(64).reshape(8, 8)
    for number in range(3):
        saved(tmp_path / "set" / "level_0" / f"{number}.png", (ramp * 1000 + number).astype(np.uint16))
    tiff(tmp_path / "set" / "level_0" / "f.tif", (ramp / 63).astype(np.float32))
    found = imported(tmp_path / "set")
    assert str(found.dataset.windows["set"]) == "0 to 65535" and found.dataset.windows["set"].floats is False
    assert read_image(tmp_path / "set" / "level_0" / "f.tif", window=found.dataset.windows["set"]).max() == 255
    assert [p.kind for p in found.problems if "no window in common" in p.message] == ["mixed-depth"]


# -- scoring ------------------------------------------------------------------------------------------


def test_the_same_pictures_score_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mad_core as mad

    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    eight = levels(tmp_path / "eight", lambda path, p: saved(path.with_suffix(".png"), p))
    deep = levels(tmp_path / "deep", lambda path, p: saved(path.with_suffix(".tif"), p.astype(np.uint16) * 16))
    tables = []
    for folder in (eight, deep):
        run = mad.score(folder, "filterbank", size=64, bank=32)
        tables.append(
            run.table.assign(name=[Path(p).stem + str(v) for p, v in zip(run.table.path, run.table.level, strict=True)])
        )
        record = run.store.run(run.id).record.get("windows", {})
        assert {name: (w["low"], w["high"]) for name, w in record.items()} == (
            {} if folder is eight else {"deep": (0, 4095)}
        )
    eight_scores, deep_scores = (table.set_index("name")["score"].sort_index() for table in tables)
    assert eight_scores.notna().all() and eight_scores.rank().corr(deep_scores.rank()) > 0.95


@pytest.mark.parametrize(("pixels", "dtype"), [("uint8", np.uint8), ("float", np.float32)])
def test_a_scorer_of_ones_own_says_how_it_takes_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: str, dtype: type
) -> None:
    import mad_core as mad

    monkeypatch.setenv("MAD_HOME", str(tmp_path / "home"))
    folder = levels(tmp_path / "deep", lambda path, p: saved(path.with_suffix(".png"), p.astype(np.uint16) * 16))
    seen: list[np.ndarray] = []

    @mad.scorer(f"deep-{pixels}", pixels=pixels)
    def mine(normals: list[np.ndarray]) -> Any:
        seen.extend(normals)
        return lambda image: float(image.max())

    assert mad.score(folder, mine).table["score"].notna().all()
    assert {image.dtype.type for image in seen} == {dtype}
    assert all(image.max() <= (1 if pixels == "float" else 255) for image in seen)
    with pytest.raises(InputError, match="uint8"):
        mad.scorer("odd", pixels="half")(mine)
