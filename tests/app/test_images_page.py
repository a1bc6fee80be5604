"""The Images page, opened from app.py: the gallery with its filters, and one image with its maps and scores."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from mad_core.palette import colour_map
from mad_core.report.one_image import NARROWEST, one_image_png
from mad_core.report.pictures import Pictures, evidence
from mad_core.runs.results import display_range
from mad_core.runs.store import RunSubset
from mad_core.runs.store.cuts import CutStore
from mad_core.scorers.contract import Scored
from mad_core.scorers.multimodal.rubrics import find_rubric
from pages.images import browsing, one_image
from pages.ui import gallery
from tests.app.conftest import PER_LEVEL, TRAIN, WIDTH, Home, scored

Open = Callable[..., AppTest]


def component(test: AppTest, key: str) -> dict[str, Any]:
    """What a component of ours was given."""
    (found,) = [e for e in test.get("bidi_component") if e.proto.id.endswith(key)]
    return json.loads(found.proto.json)


def tiles(test: AppTest) -> list[dict[str, Any]]:
    return component(test, "gallery")["tiles"]


def ids(test: AppTest) -> list[str]:
    return [tile["image_id"] for tile in tiles(test)]


def layers(test: AppTest) -> list[dict[str, Any]]:
    return component(test, "viewer_plate")["layers"]


def written(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.info, test.header, test.error)
    return "\n".join(e.value for kind in kinds for e in kind).replace("\\", "")


def press(test: AppTest, label: str) -> AppTest:
    next(b for b in test.button if b.label == label).click().run()
    assert not test.exception
    return test


# -- gallery ------------------------------------------------------------------------------------


def test_the_gallery_shows_the_test_images_with_level_and_score(home: Home, open_page: Open) -> None:
    test = open_page("images", subset="plate")
    assert [t.value for t in test.title] == ["Images"]
    assert "24 images" in written(test)
    rows = home.images("plate").sort_values(["level", "template_path"], ascending=[False, True])
    assert ids(test) == rows["image_id"].tolist()
    first = tiles(test)[0]
    assert first["level_label"] == "L3 · severe"
    assert first["caption"] == "crack · 00.png"
    score = home.store.score(home.run("Alpha").id, first["image_id"])
    assert score is not None
    assert first["score_label"] == f"{score.score:.3f}"
    assert {len(tile["score_label"].partition(".")[2]) for tile in tiles(test)} == {3}, "decimals are aligned"


def test_levels_defects_and_names_filter(home: Home, open_page: Open) -> None:
    test = open_page("images", subset="plate", level=["1", "2"], defect="dent", find="03.P")
    rows = home.images("plate")
    assert ids(test) == rows[(rows["level"] == 2) & rows["path"].str.endswith("03.png")]["image_id"].tolist()
    assert "1 of 24 images" in written(test)
    test.text_input(key="view_find").set_value("no such file").run()
    assert "No image passes these filters" in written(test)
    press(test, "Reset filters")
    assert len(tiles(test)) == 4 * PER_LEVEL
    assert set(test.query_params) == {"dataset", "subset"}


def test_states_of_a_run_filter_and_failures_are_marked(home: Home, open_page: Open) -> None:
    beta = home.run("Beta").id
    failed = home.images("plate").query("level == 1")["image_id"].iloc[0]
    test = open_page("images", subset="plate", run=beta, state="failed")
    assert ids(test) == [failed]
    assert (tiles(test)[0]["badge"], tiles(test)[0]["score_label"]) == ("failed", "")
    assert failed not in ids(open_page("images", subset="plate", run=beta, state="scored"))


def test_scores_sort_and_filter(home: Home, open_page: Open) -> None:
    beta = home.run("Beta").id
    found = home.store.scores(beta).query("subset == 'plate'").sort_values("score", ascending=False)
    test = open_page("images", subset="plate", run=beta, sort="highest score")
    assert ids(test) == found["image_id"].tolist()  # the failed image last
    test.selectbox(key="view_sort").select("lowest score").run()
    assert ids(test)[:-1] == found["image_id"].tolist()[-2::-1]
    assert test.query_params["sort"] == "lowest score"
    test.slider(key="view_percentile").set_value((90, 100)).run()
    assert ids(test) == found["image_id"].tolist()[:3][::-1]
    assert test.query_params["percentile"] == "90-100"


def test_the_rank_difference_of_two_runs_sorts_and_filters(home: Home, open_page: Open) -> None:
    alpha, beta = home.run("Alpha").id, home.run("Beta").id
    test = open_page("images", subset="plate", run=alpha, against=beta, sort="rank difference")
    labels = [tile["score_label"].split(" vs ") for tile in tiles(test)[:-1]]  # the last has no score of Beta
    apart = [abs(float(a) - float(b)) for a, b in labels]
    assert apart[0] > 50
    assert all(a >= b - 1 for a, b in pairwise(apart))  # labels are rounded
    test.select_slider(key="view_apart").set_value(50).run()
    assert 0 < len(tiles(test)) == sum(a >= 50 for a in apart)


def test_called_levels_are_marked_and_filter(home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = home.run("Alpha").id
    assert not [p for p in open_page("images", subset="leaf", run=alpha).pills if p.label == "Called level"]
    home.store.cuts.save(alpha, "leaf", (0, 0.5, 2), (0.4, 1.9))
    reads: list[str] = []
    read = CutStore.of_run
    monkeypatch.setattr(CutStore, "of_run", lambda cuts, run: reads.append(run) or read(cuts, run))
    rows = home.images("leaf").merge(home.store.scores(alpha)[["image_id", "score"]])
    called = dict(zip(rows["image_id"], np.array([0, 0.5, 2])[np.searchsorted([0.4, 1.9], rows["score"])], strict=True))
    test = open_page("images", subset="leaf", run=alpha)
    assert {tile["image_id"]: tile["badge"] for tile in tiles(test)} == {i: f"called L{v:g}" for i, v in called.items()}
    assert reads == [alpha]  # once a page, not once a tile
    test.pills(key="view_called").set_value(["0.5"]).run()
    assert set(ids(test)) == {i for i, value in called.items() if value == 0.5}
    assert test.query_params["called"] == "0.5"
    higher = set(rows.loc[rows["image_id"].map(called) > rows["level"], "image_id"])
    assert higher
    link = open_page("images", subset="leaf", run=alpha, call="higher")
    assert set(ids(link)) == higher
    assert len(tiles(press(link, "Reset filters"))) == 3 * PER_LEVEL
    assert "call" not in link.query_params


def test_pages_are_in_the_address_and_filters_go_back_to_the_first(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "SIZES", (10, 24))
    test = open_page("images", subset="plate")
    every = ids(test)
    test.pagination[0].set_value(3).run()
    assert test.query_params["page"] == "3"
    assert len(every) == 10 and len(ids(test)) == 4
    test.switch_page("pages/compare/page.py").run()
    test.switch_page("pages/images/page.py").run()
    assert len(ids(test)) == 4
    test.selectbox(key="view_sort").select("name").run()
    assert "page" not in test.query_params
    assert len(ids(test)) == 10


def test_a_step_beyond_the_page_leads_back_to_the_page_of_the_image(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "SIZES", (10, 24))
    last = ids(open_page("images", subset="plate"))[-1]
    test = press(press(open_page("images", image=last), "Next"), "Gallery")
    assert test.query_params["page"] == "2"
    assert component(test, "gallery")["selected"] == ids(test)[0]


def test_training_images_are_shown_without_scores(home: Home, open_page: Open) -> None:
    test = open_page("images", subset="leaf", split="train")
    assert set(ids(test)) == set(home.images("leaf", "train")["image_id"])
    assert len(tiles(test)) == TRAIN
    assert {tile["score_label"] for tile in tiles(test)} == {""}
    assert [box.label for box in test.selectbox] == ["Dataset", "Subset", "Sort by"]


def test_the_view_survives_other_pages(home: Home, open_page: Open) -> None:
    test = open_page("images", subset="plate", level="2", run=home.run("Beta").id)
    before = ids(test)
    test.switch_page("pages/compare/page.py").run()
    test.switch_page("pages/images/page.py").run()
    assert ids(test) == before
    assert test.query_params["level"] == "2"


def test_without_runs_images_can_still_be_browsed(home: Home, open_page: Open) -> None:
    for run in home.store.runs():
        home.store.delete_run(run.id)
    test = open_page("images", subset="plate", sort="highest score", state="failed")
    assert len(tiles(test)) == 4 * PER_LEVEL
    press_first = open_page("images", image=ids(test)[0])
    assert layers(press_first) == []


# -- one image ----------------------------------------------------------------------------------


def test_a_link_opens_an_image_with_its_level_maps_and_scores(home: Home, open_page: Open) -> None:
    row = home.images("plate").query("level == 2").iloc[3]
    test = open_page("images", image=row["image_id"])
    assert [t.value for t in test.title] == ["Images"]
    text = written(test)
    helps = " ".join(words.proto.help for words in test.markdown).replace("\\", "")
    for part in ("03.png", "Rework it.", "dent", "48 × 36 px", "6.2 % of the image", "test/level_2/03.png"):
        assert part in text
    assert any("L2 · moderate" in e.proto.body for e in test.get("html"))
    assert test.query_params["subset"] == "plate"
    assert [layer["title"] for layer in layers(test)] == ["Alpha", "Beta"]
    for layer in layers(test):
        run = home.run(layer["title"])
        assert layer["url"].startswith(f"/map/{run.id}/{row['image_id']}")
        assert layer["low"] < layer["threshold"] <= layer["high"]
        scores: Any = home.store.scores(run.id).query("subset == 'plate'").set_index("image_id")["score"]
        rank = 1 + int((scores > scores[row["image_id"]]).sum())
        assert f"Rank {rank} of {scores.notna().sum()}" in text
        below = np.mean([scores[i] < scores[row["image_id"]] for i in home.images("plate")["image_id"][:PER_LEVEL]])
        assert f"above {100 * below:.0f} % of L0 (n = 6)" in helps
    image = component(test, "viewer_plate")["image"]
    assert (image["width"], image["height"]) == (48, 36)
    assert "/mask" in image["mask"]


def test_a_copied_link_names_what_is_shown_whatever_becomes_of_the_defaults(home: Home, open_page: Open) -> None:
    query: dict[str, Any] = {"subset": "plate", "level": ["2", "3"], "run": home.run("Beta").id}
    image = ids(open_page("images", **query))[0]
    test = open_page("images", image=image, **query)
    path, _, asked = component(test, "viewer_plate")["link"].partition("?")
    shown = parse_qs(asked)
    assert path == "/images" and shown["image"] == [image] and shown["dataset"] == [home.dataset]
    assert shown["run"] == [home.run("Beta").id] and shown["sort"] == ["severe first"] and shown["level"] == ["2", "3"]
    assert shown["maps"] == [home.run("Alpha").id, home.run("Beta").id]
    home.add_run("Later", lambda row: scored(row, row.level))
    again = open_page("images", **{name: values if len(values) > 1 else values[0] for name, values in shown.items()})
    assert [layer["title"] for layer in layers(again)] == ["Alpha", "Beta"]
    assert len(layers(open_page("images", image=image, **query))) == 3  # without it the new run joins


def test_an_unknown_image_gives_a_sentence_and_the_gallery(open_page: Open) -> None:
    test = open_page("images", image="<b>nobody", subset="plate")
    assert "Image <b>nobody is not in this dataset" in written(test)
    assert len(tiles(test)) == 4 * PER_LEVEL
    assert "image" not in test.query_params


def test_next_and_previous_follow_the_gallery_and_lead_back_to_it(home: Home, open_page: Open) -> None:
    query: dict[str, Any] = {"subset": "plate", "level": ["1", "3"], "sort": "lowest score"}
    order = ids(open_page("images", **query))
    test = open_page("images", image=order[0], **query)
    assert next(b for b in test.button if b.label == "Previous").disabled
    assert order[1] in " ".join(component(test, "viewer_plate")["prefetch"])
    press(test, "Next")
    assert test.query_params["image"] == order[1]
    assert "2 of 12" in written(test)
    press(press(test, "Next"), "Previous")
    assert test.query_params["image"] == order[1]
    press(test, "Gallery")
    assert ids(test) == order
    assert component(test, "gallery")["selected"] == order[1]
    assert test.query_params["level"] == ["1", "3"]


def test_a_run_that_has_scored_nothing_is_no_scorer_of_the_gallery_and_it_says_so(home: Home, open_page: Open) -> None:
    fresh = home.add_run("Fresh", lambda row: None, status="queued")
    test = open_page("images", subset="plate", run=fresh.id, sort="highest score")
    assert "Fresh has scored nothing yet; the scores of Alpha are shown." in written(test)
    assert tiles(test)[0]["score_label"]
    (scorer,) = [box for box in test.selectbox if box.label == "Scorer"]
    assert scorer.options == ["Alpha", "Beta"] and scorer.value == home.run("Alpha").id
    part = home.add_run("Leaves", lambda row: scored(row, 1.0) if row.subset == "leaf" else None, status="cancelled")
    test = open_page("images", subset="plate", run=part.id, sort="highest score")
    assert "Leaves has scored none of these images yet: they stand by file name." in written(test)
    for run in home.store.runs(home.dataset):
        home.store.delete_run(run.id)
    test = open_page("images", subset="plate", sort="highest score")
    assert "Score, highest first, needs scores: they stand by severity, highest first." in written(test)


def _left_widget() -> None:
    """A choice that is shown, sent once more as it was, and then changed."""
    import streamlit as st

    from pages.ui import session

    st.session_state.setdefault("view", {"run": "b"})
    binding = session.bound("run", ["a", "b"], "b")
    binding["on_change"](*binding["args"])
    st.text(session.get("run"))
    st.session_state["view_run"] = "a"
    binding["on_change"](*binding["args"])
    st.text(session.get("run"))


def test_what_the_browser_sends_of_a_widget_that_left_is_no_choice() -> None:
    test = AppTest.from_function(_left_widget).run()
    assert [text.value for text in test.text] == ["b", "a"]


def test_a_press_stands_though_the_browser_still_has_the_address_of_the_press_before(
    home: Home, open_page: Open
) -> None:
    query: dict[str, Any] = {"subset": "plate", "run": home.run("Beta").id, "sort": "highest score"}
    order = ids(open_page("images", **query))
    test = open_page("images", image=order[0], **query)
    before = dict(test.query_params)
    press(test, "Next")
    test.query_params.update(before)  # what the browser sends along with the next press
    press(test, "Next")
    assert test.query_params["image"] == order[2]
    test.query_params.update({**before, "image": order[5]})  # back, or a link
    test.run()
    assert "6 of 24" in written(test)


def test_the_gallery_lays_maps_over_pictures_and_keeps_its_density_in_the_address(home: Home, open_page: Open) -> None:
    test = open_page("images", subset="plate")
    assert component(test, "gallery") | {"size": "medium", "maps": "off"} == component(test, "gallery")
    assert {tile["overlay"] for tile in tiles(test)} == {None}
    test = open_page("images", subset="plate", tiles="small", overlays="always", size="4000")
    assert component(test, "gallery")["size"] == "small" and component(test, "gallery")["maps"] == "always"
    alpha = home.run("Alpha")
    assert all(tile["overlay"].startswith(f"/map/{alpha.id}/{tile['image_id']}/thumbnail") for tile in tiles(test))


def test_a_click_opens_and_keys_move(home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    order = ids(open_page("images", subset="plate"))
    asked: list[str] = ["open", "next", "next", "previous"]

    def opened(tiles: Any, *, on_open: Callable[[str], None], **more: Any) -> None:
        if asked and asked.pop(0):
            on_open(tiles[4].image_id)
            st.rerun()

    def moved(*, on_move: Callable[[str], None], **more: Any) -> None:
        if asked:
            on_move(asked.pop(0))
            st.rerun()

    monkeypatch.setattr(gallery, "gallery", opened)
    monkeypatch.setattr(one_image, "map_viewer", moved)
    assert open_page("images", subset="plate").query_params["image"] == order[5]


def test_an_image_outside_the_filters_is_shown_all_the_same(home: Home, open_page: Open) -> None:
    image = home.images("plate")["image_id"].iloc[0]
    test = open_page("images", image=image, level="3")
    assert "Outside the gallery's filters" in written(test)
    assert "19 of 24" in written(test)


def test_up_to_four_runs_are_chosen(home: Home, open_page: Open) -> None:
    image = home.images("plate")["image_id"].iloc[20]
    for name in ("Gamma", "Delta", "Epsilon"):
        home.add_run(name, lambda row: scored(row, row.level))
    test = open_page("images", image=image)
    assert [layer["title"] for layer in layers(test)] == ["Alpha", "Beta", "Gamma", "Delta"]
    chosen = [home.run("Epsilon").id, home.run("Beta").id]
    test.multiselect(key="view_maps").set_value(chosen).run()
    assert [layer["title"] for layer in layers(test)] == ["Beta", "Epsilon"]
    assert test.query_params["maps"] == chosen


def test_runs_without_a_map_say_why(home: Home, open_page: Open) -> None:
    image = home.images("plate").query("level == 1")["image_id"].iloc[0]
    home.add_run("Mapless", lambda row: scored(row, row.level), maps="none")
    home.add_run("Going", lambda row: scored(row, row.level) if row.level == 0 else None, status="running")
    test = open_page("images", image=image, maps=[home.run(t).id for t in ("Beta", "Mapless", "Going")])
    assert [layer["url"] for layer in layers(test)] == [None] * 3
    assert [layer["missing"] for layer in layers(test)] == [
        "This scorer failed on the image: The file is cut off.",
        "This run keeps no anomaly maps.",
        "This run has not scored the image yet.",
    ]
    assert "Failed: The file is cut off." in written(test)


def test_a_reason_is_asked_for_on_the_images_page(home: Home, open_page: Open) -> None:
    image = home.images("plate")["image_id"].iloc[9]
    run = home.add_run("Silent", lambda row: scored(row, row.level), reasons="none")
    test = press(open_page("images", image=image, maps=run.id), "Have the model say why")
    (job,) = home.store.queue.active()
    assert (job.kind, dict(job.payload)) == ("reason", {"run": run.id, "image": image})
    assert next(b for b in test.button if b.label == "Have the model say why").disabled
    home.store.set_reason(run.id, image, "A *dark* line.")
    home.store.queue.request_cancel(job.id)
    test.run()
    assert "A *dark* line." in written(test) and "Have the model say why" not in [b.label for b in test.button]


def test_a_map_on_demand_is_asked_for_once(home: Home, open_page: Open) -> None:
    image = home.images("plate")["image_id"].iloc[9]
    run = home.add_run("Later", lambda row: scored(row, row.level), maps="on demand")
    test = press(open_page("images", image=image, maps=run.id), "Make the anomaly map")
    (job,) = home.store.queue.active()
    assert (job.kind, dict(job.payload)) == ("map", {"run": run.id, "image": image})
    assert next(b for b in test.button if b.label == "Make the anomaly map").disabled
    assert layers(test)[0]["missing"] == "The anomaly map is being made."
    home.store.set_map(run.id, image, home.store.maps.write(run.id, "plate", 9, np.ones((4, 4), np.float32), 24))
    home.store.queue.request_cancel(job.id)
    assert layers(test.run())[0]["url"]


def test_reasons_and_answers_are_shown_letter_by_letter(home: Home, open_page: Open) -> None:
    image = home.images("plate")["image_id"].iloc[9]
    detail = {
        "score_from": "expected",
        "expected": 50.0,
        "spread": 29.2,
        "mass": 0.3,
        "written": 70,
        "raw": "Anomaly Score: 70\n<b>Reason:</b> *it*",
    }
    facts = {"reason": "A **dark** <i>line</i>.", "distribution": np.full(101, 1 / 101), "detail": detail}
    run = home.add_run("Teller", lambda row: Scored(row.image_id, 50.0, **facts), maps="none")
    test = open_page("images", image=image, maps=run.id)
    assert r"A \*\*dark\*\* \<i\>line\</i\>\." in [m.value for m in test.markdown]
    assert {m.label: (m.value, m.delta) for m in test.metric} == {
        "Expected score · counts": ("50", "± 29"),
        "Written score": ("70", ""),
    }
    assert "Only 30 % of the model's probability" in written(test)
    assert [c.value for c in test.code] == [detail["raw"]]
    assert [json.loads(j.value) for j in test.json] == [{k: v for k, v in detail.items() if k != "raw"}]
    (chart,) = [c.proto for c in test.get("plotly_chart") if "written" in c.proto.spec]
    assert "written score is 70" in chart.alt and "spread of 29" in chart.alt and "By band" not in chart.alt


def test_the_bands_of_the_rubric_stand_behind_the_distribution_while_it_is_the_one_that_was_sent(
    home: Home, open_page: Open
) -> None:
    image = home.images("plate")["image_id"].iloc[9]
    facts = {"distribution": np.eye(101)[60], "detail": {"expected": 60.0, "written": None}}
    run = home.add_run("Teller", lambda row: Scored(row.image_id, 60.0, **facts), maps="none")
    card = home.store.dataset_info(home.dataset).card.subset("plate")
    for sent, known in ((find_rubric("auto", card).wording("plate"), True), ("Other words.", False)):
        home.store.save_run_subset(run.id, RunSubset("plate", None, 0.0, 0.0, {"rubric_text": sent}))
        test = open_page("images", image=image, maps=run.id)
        (alt,) = [c.proto.alt for c in test.get("plotly_chart") if "n = 101" in c.proto.alt]
        assert ("100 % in moderate" in alt) is known


def test_an_image_that_failed_says_why_and_keeps_the_raw_answer(home: Home, open_page: Open) -> None:
    image = home.images("plate")["image_id"].iloc[9]
    detail = {"raw": "I cannot *help* with that.", "expected": None, "written": None}
    run = home.add_run(
        "Refuser", lambda row: Scored.failed(row.image_id, "refused", "The model refused to answer.", **detail)
    )
    test = open_page("images", image=image, maps=run.id)
    assert "Failed: The model refused to answer." in written(test)
    assert [c.value for c in test.code] == ["I cannot *help* with that."]
    assert len(test.metric) == 0


def test_training_images_say_that_nothing_scores_them(home: Home, open_page: Open) -> None:
    test = open_page("images", image=home.images("plate", "train")["image_id"].iloc[0])
    assert "Scorers score test images only" in written(test)
    assert layers(test) == []
    assert f"1 of {TRAIN}" in written(test)


def test_an_image_and_its_maps_are_one_file_for_slides(home: Home, open_page: Open) -> None:
    row = home.images("plate").iloc[-1].to_dict() | {"dataset_id": home.dataset}
    runs = [home.run("Alpha"), home.run("Beta")]
    names = {run.id: run.title + " \u0416" * 60 for run in runs}
    made = Image.open(io.BytesIO(one_image_png(home.store, row, runs, names, "part.png  L3 · severe")))
    pixels = np.asarray(made.convert("RGB"))
    side = -(-NARROWEST // WIDTH)
    picture = np.asarray(Image.open(row["path"]).convert("RGB")).repeat(side, 0).repeat(side, 1)
    gap = (made.width - 3 * picture.shape[1]) // 4
    height, width = picture.shape[:2]
    top = gap + (made.height - height - 2 * gap) // 2
    panels = [pixels[top : top + height, gap + n * (width + gap) :][:, :width] for n in range(3)]
    assert np.abs(panels[0].astype(int) - picture).mean() < 6  # its copy in the store is compressed
    hot = np.s_[12 * side : 15 * side, 14 * side : 20 * side]  # where the map is bright
    for panel in panels[1:]:
        change = panel.astype(int) - picture
        assert change[hot][..., 1].mean() > change[..., 1].mean() + 20  # towards the bright end of the scale
    test = open_page("images", image=row["image_id"], subset="plate")
    assert "Image and maps as PNG" in {button.label for button in test.get("download_button")}


def test_the_picture_for_slides_may_be_anchored_at_the_threshold(home: Home) -> None:
    run = home.run("Alpha")
    row = {**home.images("plate").iloc[-1].to_dict(), "dataset_id": home.dataset}
    usual, anchored = (
        np.asarray(Image.open(io.BytesIO(one_image_png(home.store, row, [run], {run.id: "Alpha"}, "L3", scale))))
        for scale in ("range", "threshold")
    )
    assert anchored.shape[0] > usual.shape[0] and anchored.shape[1] == usual.shape[1]  # room for what .5 means
    (panel,) = Pictures(home.store, "threshold").overlaid(np.zeros((36, 48, 3), np.uint8), row, [run])
    limits = display_range(home.store, run.id, "plate")
    assert limits is not None and panel.anchor == limits[2] > 0 and (panel.low, panel.high) == (0, 1)
    values = np.array([panel.anchor, -1.0, 3 * panel.anchor])
    assert evidence(values, panel.anchor).tolist() == pytest.approx([0.5, 0, 0.75])
    stored = home.store.read_map(run, row["image_id"])
    assert stored is not None
    expected = colour_map("viridis")[(255 * evidence(stored[:1, :1], panel.anchor)).astype(np.uint8)][0, 0]
    assert np.abs(panel.pixels[0, 0] - 0.55 * expected).max() <= 2


def _interrupted() -> None:
    """A page that a second press ends before it is drawn, while the browser's URL is still that of an image before."""
    import streamlit as st
    from streamlit.runtime.scriptrunner import RerunData, RerunException

    from pages.ui import session

    st.query_params["image"] = "first"
    with session.drawing():
        pass
    session.put(image="third")
    try:
        with session.drawing():
            raise RerunException(RerunData())
    except RerunException:
        st.query_params["image"] = "second"
    with session.drawing():
        st.text(session.get("image"))
    st.query_params["image"] = "first"  # now the person goes back
    with session.drawing():
        st.text(session.get("image"))


def test_an_interrupted_page_keeps_what_was_pressed_and_back_still_leads_back() -> None:
    test = AppTest.from_function(_interrupted).run()
    assert not test.exception
    assert [text.value for text in test.text] == ["third", "first"]
