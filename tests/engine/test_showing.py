"""What is shown to a model: which pictures, in which order, with which words."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mad_core.datasets.dataset import LevelMeaning, SubsetCard
from mad_core.errors import InputError
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, LabelledItem
from mad_core.scorers.multimodal import showing as showing_module
from mad_core.scorers.multimodal.detector_first import FirstLook
from mad_core.scorers.multimodal.showing import Question, Recommended, Showing, peak_box, settle

GREYS = (20, 60, 100, 140, 180)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Five normals whose stripes move from left to right, anchors of two levels, and a card."""

    def write(name: str, image: np.ndarray) -> str:
        path = tmp_path / name
        Image.fromarray(image).save(path)
        return str(path)

    normals = [Item(f"n{k}", write(f"n{k}.png", striped(k))) for k in (3, 1, 4, 0, 2)]
    anchors = [LabelledItem(f"a{k}", write(f"a{k}.png", flat(200 + k)), float(k)) for k in (2, 1, 0)]
    anchors.append(LabelledItem("z", write("z.png", flat(9)), 1.0))
    card = SubsetCard(product="a striped tile", levels={"1": LevelMeaning("slight", ""), "2": LevelMeaning("deep", "")})
    return Context(subset="tile", card=card, normals=normals, calibration=anchors)


def striped(place: int, size: tuple[int, int] = (60, 100)) -> np.ndarray:
    image = np.full((*size, 3), 200, np.uint8)
    image[:, 15 * place + 5 : 15 * place + 20] = 30
    return image


def flat(grey: int, size: tuple[int, int] = (60, 100)) -> np.ndarray:
    return np.full((*size, 3), grey, np.uint8)


def show(context: Context, recommended: Recommended | None = None, **parameters: Any) -> Showing:
    checked = catalog.scorer("mllm").check({"rubric": "general"} | parameters)
    return Showing(settle(checked, recommended), context)


def ask(showing: Showing, tmp_path: Path, image: np.ndarray, image_id: str = "x") -> Question:
    path = tmp_path / "asked.png"
    Image.fromarray(image).save(path)
    return showing.question(Item(image_id, str(path)))


def pieces(question: Question) -> list[str]:
    """The words before each image, in order."""
    every = (*question.conversation.shared, *question.conversation.own)
    return [a.text.strip() for a, b in itertools.pairwise(every) if b.kind == "image"]


def test_the_first_normals_by_name_come_first_and_the_image_last(context, tmp_path):
    question = ask(show(context, references=2), tmp_path, flat(77))
    assert [np.array_equal(a, striped(k)) for k, a in enumerate(question.shared)] == [True, True]
    assert len(question.own) == 1 and np.array_equal(question.own[0], flat(77))
    words = pieces(question)
    assert words[0].endswith("Normal reference 1:") and words[1:] == ["Normal reference 2:", "Image to judge:"]
    assert question.conversation.own[-1].kind == "image" and question.map is None


def test_nearest_references_belong_to_the_image_and_the_words_say_so(context, tmp_path):
    showing = show(context, references=2, choose="nearest")
    question = ask(showing, tmp_path, striped(3))
    assert question.shared == () and len(question.own) == 3
    assert np.array_equal(question.own[1], striped(3))
    assert question.notes["references"][-1] == "n3.png"
    assert "most like the image to judge" in pieces(question)[0]
    assert showing.facts()["references_nearest"] == 2


def test_named_references_come_in_the_order_given(context, tmp_path):
    question = ask(show(context, choose="named", named="n4.png, n1.png"), tmp_path, flat(0))
    assert [np.array_equal(a, striped(k)) for k, a in zip((4, 1), question.shared, strict=True)] == [True, True]
    with pytest.raises(InputError, match=r"no training normal called 'n9.png'"):
        show(context, choose="named", named="n9.png")


def test_anchors_are_one_image_a_level_under_its_name(context, tmp_path):
    showing = show(context, references=1, anchors=True)
    question = ask(showing, tmp_path, flat(0))
    assert [int(image[0, 0, 0]) for image in question.shared[1:]] == [201, 202]
    assert pieces(question)[1:3] == ["Example of level 1, slight:", "Example of level 2, deep:"]
    assert next(iter(show(context, references=0, anchors=True).anchors)) == "level 0"
    with pytest.raises(InputError, match="has none"):
        show(Context(subset="tile", normals=context.normals), anchors=True)


def test_the_view_stands_before_the_image_and_becomes_the_map(context, tmp_path):
    damaged = striped(0)
    damaged[20:40, 60:80] = 0
    question = ask(show(context, references=1, view="yes"), tmp_path, damaged)
    assert len(question.own) == 2 and question.map is not None
    assert question.map.shape == question.own[0].shape[:2] and question.map.dtype == np.float32
    row, column = np.unravel_index(int(question.map.argmax()), question.map.shape)
    assert 0.3 < row / question.map.shape[0] < 0.7 and 0.55 < column / question.map.shape[1] < 0.85
    assert pieces(question)[-2].startswith("Differences")


def test_a_view_without_normals_is_refused_only_where_it_was_asked_for():
    empty = Context(subset="tile")
    with pytest.raises(InputError, match="view=no"):
        show(empty, view="yes")
    assert show(empty, Recommended(view=True)).facts()["view"] is False


class Peaks:
    def score(self, image_id: str) -> float | None:
        return 1.0

    def map(self, image_id: str) -> np.ndarray | None:
        if image_id == "none":
            return None
        found = np.zeros((6, 10), np.float32)
        found[1, 8] = 3
        return found


def test_the_crop_lies_around_the_detectors_peak(context, tmp_path):
    from dataclasses import replace

    showing = show(replace(context, results=Peaks()), references=0, crop_run="abc")
    question = ask(showing, tmp_path, striped(4))
    assert question.notes["crop"] == [0, 70, 30, 100]
    assert np.array_equal(question.own[0], striped(4)[0:30, 70:100])
    assert len(ask(showing, tmp_path, striped(4), "none").own) == 1
    with pytest.raises(InputError, match="run of a detector"):
        show(context, crop_run="abc")


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (40, 40)])
def test_crops_stay_inside_every_image(size):
    for place in np.ndindex(3, 4):
        found = np.zeros((3, 4))
        found[place] = 1
        top, left, bottom, right = peak_box(found, size)
        assert 0 <= top < bottom <= size[0] and 0 <= left < right <= size[1] and bottom - top == right - left


def test_tall_images_are_scaled_down_and_low_ones_kept(context, tmp_path):
    showing = show(context, references=1, height=64)
    assert ask(showing, tmp_path, flat(5, (128, 50))).own[-1].shape == (64, 25, 3)
    assert ask(showing, tmp_path, flat(5, (30, 500))).own[-1].shape == (30, 500, 3)
    assert showing.facts()["height"] == 64


def test_the_detector_that_looks_first_greys_the_view_and_says_how_surely_an_image_departs(
    context, tmp_path, monkeypatch
):
    class Blank:
        def look(self, item):
            return FirstLook(0.25, np.zeros((6, 10), np.float32))

        def facts(self):
            return {"scorer": "subspace"}

    asked = []
    monkeypatch.setattr(
        showing_module, "first_look", lambda normals, context, required: asked.append(required) or Blank()
    )
    plain, first = (show(context, Recommended(view=True), detector_first=choice) for choice in ("no", "yes"))
    without, question = (ask(showing, tmp_path, flat(90)) for showing in (plain, first))
    assert (without.share, question.share, question.notes["not_normal"]) == (1.0, 0.25, 0.25)
    assert (question.own[0] == 128).all() and not (without.own[0] == 128).all()
    assert plain.facts()["detector_first"] is None and first.facts()["detector_first"] == {"scorer": "subspace"}
    show(context, Recommended(detector=True))
    assert asked == [True, False]
    show(context, Recommended(detector=True), detector_first="no")
    show(context)
    show(context, Recommended(detector=True), protocol="madbench")
    assert asked == [True, False]


def test_the_benchmarks_protocols_leave_nothing_open(context):
    free = {"references": 8, "choose": "nearest", "anchors": True, "view": "yes", "height": 100, "tokens": 9}
    checked = catalog.scorer("mllm").check({**free, "protocol": "madbench", "reasons": False, "crop_run": "x"})
    wishes = settle(checked, Recommended(1, True, 99))
    assert (wishes.references, wishes.choose, wishes.height, wishes.tokens) == (3, "first", 512, 300)
    assert wishes.plain and wishes.reasons and not (wishes.view or wishes.anchors or wishes.crop)
    assert settle({**checked, "protocol": "madbench-zero-shot"}).references == 0


def test_open_parameters_take_what_the_model_recommends(tmp_path):
    (tmp_path / "inspector.json").write_text(json.dumps({"references": 1, "view": True, "height": 256, "more": 1}))
    recommended, checked = Recommended.of(tmp_path), catalog.scorer("mllm").check({})
    wishes = settle(checked, recommended)
    assert (wishes.references, wishes.view, wishes.height) == (1, True, 256)
    own = settle({**checked, "references": 2, "view": "no", "height": 400}, recommended)
    assert (own.references, own.view, own.height) == (2, False, 400)
    assert (settle(checked).references, settle(checked).view, settle(checked).height) == (3, False, 512)
    for text in ("[1]", "{", '{"references": "many", "height": -1, "view": 1}'):
        (tmp_path / "inspector.json").write_text(text)
        assert Recommended.of(tmp_path) == Recommended()


def test_unreadable_references_are_passed_over_and_recorded(context, tmp_path):
    Path(context.normals[3].path).write_bytes(b"no image")  # n0.png
    showing = show(context, references=2)
    assert showing.facts()["references"] == ["n1.png", "n2.png"] and "n0.png" in showing.facts()["unreadable"][0]


def test_the_prompts_digest_follows_rubric_and_pictures(context):
    digests = {
        show(context, **parameters).facts()["prompt_digest"]
        for parameters in ({}, {"references": 1}, {"view": "yes"}, {"rubric": "title: T\ntext: my own words"})
    }
    assert len(digests) == 4
