"""The window of pictures deeper than 8 bits: shown and changed on the Data page, and what browsers get of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from mad_core.datasets.importing import import_dataset
from mad_core.pixels import Window
from tests.app.conftest import Home
from tests.app.test_data_page import button, written

Open = Callable[..., AppTest]


@pytest.fixture
def deep(home: Home, tmp_path: Path) -> str:
    """A dataset of 12-bit pictures kept in 16."""
    for level in range(2):
        for number in range(3):
            folder = tmp_path / "xray" / f"level_{level}"
            folder.mkdir(parents=True, exist_ok=True)
            values = np.full((8, 9), 1024 * (level + 1) + number, np.uint16)
            Image.fromarray(values).save(folder / f"{number}.png")
    return home.store.add_dataset(import_dataset(tmp_path / "xray", home.store.settings))


def test_the_window_is_shown_and_another_one_makes_another_dataset(home: Home, open_page: Open, deep: str) -> None:
    test = open_page("data", dataset=deep)
    assert any(e.label == "Window: 0 to 4095" for e in test.expander)
    assert "6 of 16 bit" in written(test) and "which 12 bits hold" in written(test)
    (words,) = [s for s in test.selectbox if s.label == "Window"]
    number = {n.label: n for n in test.number_input}
    assert (number["Low"].value, number["High"].value, number["Gamma"].value) == (0, 4095, 1)
    number["High"].set_value(2100.0)
    number["Gamma"].set_value(0.5)
    button(test, "See through this window").click()
    test.run()
    assert not test.exception
    (made,) = [info for info in home.store.datasets() if info.card.subset("xray").window == Window(0, 2100, 0.5, 12)]
    assert made.id != deep and home.store.dataset_info(deep).card.subset("xray").window == Window(0, 4095, 1, 12)
    assert "CT lung, -1350 to 150 HU" in words.options


def test_a_window_without_a_range_is_a_sentence(home: Home, open_page: Open, deep: str) -> None:
    test = open_page("data", dataset=deep)
    number = {n.label: n for n in test.number_input}
    number["High"].set_value(-5.0)
    button(test, "See through this window").click()
    test.run()
    assert "goes from a low number" in "".join(e.value for e in test.error)
    assert len(home.store.datasets()) == 2


def test_8_bit_pictures_have_no_window_until_one_is_chosen(home: Home, open_page: Open) -> None:
    test = open_page("data")
    assert any(e.label == "Window: 8-bit pictures, 0 to 255" for e in test.expander)


def test_browsers_get_the_picture_as_scorers_see_it(home: Home, deep: str) -> None:
    from starlette.requests import Request

    from pages.ui import serving

    row = home.store.dataset(deep).table.iloc[0]

    def answer(kind: str, image_id: str = row["image_id"]) -> Image.Image:
        path = {"dataset": deep, "image": image_id}
        request = Request({"type": "http", "path_params": path, "headers": [], "method": "GET"})
        response = serving.SERVED[kind](request)
        data = response.body if hasattr(response, "body") else Path(response.path).read_bytes()  # type: ignore[attr-defined]
        return Image.open(io.BytesIO(data))

    expected = 255 * 1024 / 4095
    original = answer("original")
    assert (original.format, original.size) == ("PNG", (9, 8))
    assert abs(np.asarray(original).mean() - expected) <= 1
    assert abs(np.asarray(answer("thumbnail").convert("L")).mean() - expected) <= 2


def test_one_image_is_seen_through_another_window_for_the_eye_alone(
    home: Home, open_page: Open, deep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = home.store.dataset(deep).table["image_id"].iloc[0]
    test = open_page("images", dataset=deep, image=image)
    (slider,) = [one for one in test.slider if one.label == "Window"]
    assert slider.value == (0, 4095) and "window=" not in original(test)
    slider.set_value((0.0, 2047.5)).run()
    assert not test.exception and "window=0%3A2047.5" in original(test)
    assert test.query_params["window"] == "0:2047.5"
    seen, usual = picture_of(original(test)), picture_of(original(test).replace("window", "other"))
    assert abs(int(seen.max()) - 2 * int(usual.max())) <= 1 < usual.max()
    assert (picture_of(original(test).replace("0%3A2047.5", "nonsense")) == usual).all()
    button(test, "The dataset's window").click()
    test.run()
    assert "window" not in test.query_params and "window=" not in original(test)
    assert not [one for one in open_page("images").slider if one.label == "Window"]


def original(test: AppTest) -> str:
    (viewer,) = [e for e in test.get("bidi_component") if "viewer_" in e.proto.id]
    return json.loads(viewer.proto.json)["image"]["url"]


def picture_of(address: str) -> np.ndarray:
    from starlette.requests import Request

    from pages.ui import serving

    parts = urlsplit(address)
    _, _, dataset, image, kind = parts.path.split("/")
    facts = {"path_params": {"dataset": dataset, "image": image}, "query_string": parts.query.encode()}
    response = serving.SERVED[kind](Request({"type": "http", "headers": [], "method": "GET", **facts}))
    return np.asarray(Image.open(io.BytesIO(bytes(response.body))))
