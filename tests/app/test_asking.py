"""Scorers that ask a multimodal model: their form, their answers as they come, one image at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from mad_core.runs import consent
from mad_core.runs.single_image import submit_single
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, Scored
from mad_core.scorers.multimodal.rubrics import find_rubric, shipped_rubrics
from mad_core.scorers.multimodal.showing import Showing, settle
from pages.score import prompt, references, rubric
from pages.ui import engine
from tests.app.conftest import Home, scored
from tests.app.test_score_page import button, form, written

Open = Callable[..., AppTest]


def texts(test: AppTest) -> str:
    return "\n".join(t.value for t in test.text)


def request_of(home: Home, test: AppTest) -> dict[str, Any]:
    """Queue what the form holds and give the run's parameters."""
    button(test, "Queue run").click().run()
    assert not test.exception
    (job,) = [j for j in home.store.queue.active() if j.kind == "run"]
    return dict(home.store.run(job.payload["run"]).parameters)


@pytest.fixture(autouse=True)
def runnable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scorers here are only queued, so that their models need not be on this machine."""
    monkeypatch.delenv("MAD_ENDPOINT_URL", raising=False)
    for scorer_id in ("mllm", "endpoint"):
        info = replace(catalog.scorer(scorer_id), why_not=lambda parameters: None)
        monkeypatch.setitem(catalog._CATALOG, scorer_id, info)


def test_the_rubric_that_will_be_sent_is_shown_for_the_subset(home: Home) -> None:
    test = form(home, "mllm")
    card = home.store.dataset_info(home.dataset).card.subset("leaf")
    assert find_rubric("auto", card).wording("leaf") in texts(test)  # the general one: this subset says nothing
    test.selectbox(key=f"preview_{home.dataset}").select("plate").run()
    assert "34-67: moderate. Rework it." in texts(test)
    test.selectbox(key="parameter_mllm_rubric").select("mvtec").run()
    assert shipped_rubrics()["mvtec"].wording("plate") in texts(test)
    assert request_of(home, test)["rubric"] == "mvtec"


def test_a_rubric_is_edited_in_place_and_checked(home: Home) -> None:
    test = form(home, "mllm")
    test.selectbox(key="parameter_mllm_rubric").select("skin").run()
    test.toggle(key="edit_mllm_skin").set_value(True).run()
    (area,) = test.text_area
    area.set_value(str(area.value).replace("to: 30", "to: 29")).run()
    assert "after 29 comes 31-70" in written(test)
    assert button(test, "Queue run").disabled
    (area,) = test.text_area
    area.set_value(str(area.value).replace("from: 31", "from: 30")).run()
    assert "1-29: benign." in texts(test)
    assert "used for every subset" in written(test)
    sent = find_rubric(request_of(home, test)["rubric"], home.store.dataset_info(home.dataset).card.subset("plate"))
    assert [band.high for band in sent.bands] == [0, 29, 70, 100]


def test_own_wording_is_pasted(home: Home) -> None:
    test = form(home, "mllm")
    test.selectbox(key="parameter_mllm_rubric").select(rubric.OWN).run()
    assert button(test, "Queue run").disabled
    test.text_area(key="own_mllm").set_value("0 is sound,\n100 is *lost*.").run()
    assert "0 is sound,\n100 is *lost*." in texts(test)
    sent = find_rubric(request_of(home, test)["rubric"], home.store.dataset_info(home.dataset).card.subset("plate"))
    assert sent.wording("plate") == "0 is sound,\n100 is *lost*."


def test_the_protocol_of_the_benchmark_leaves_nothing_to_set(home: Home) -> None:
    test = form(home, "mllm")
    test.selectbox(key="parameter_mllm_protocol").select("madbench").run()
    assert "first three normals by name" in written(test)
    assert not [s for s in test.selectbox if s.key == "parameter_mllm_choose"]
    parameters = request_of(home, test)
    assert parameters["protocol"] == "madbench" and parameters["references"] is None


def test_references_are_picked_by_their_pictures(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    order = home.images("plate", "train").sort_values("path")["image_id"].tolist()
    clicks, seen = [order[2], order[0], order[2], order[1]], []

    def gallery(tiles: Any, *, on_open: Callable[[str], None], **more: Any) -> None:
        seen.append([(t.image_id, t.badge) for t in tiles])
        if clicks:
            on_open(clicks.pop(0))

    monkeypatch.setattr(references, "gallery", gallery)
    test = form(home, "mllm")
    test.selectbox(key=f"preview_{home.dataset}").select("plate").run()
    test.selectbox(key="parameter_mllm_choose").select("named").run()
    assert "Pick at least one reference" in written(test)
    assert button(test, "Queue run").disabled
    while clicks:
        test.run()
    test.run()
    assert seen[-1] == [(order[0], "reference 1"), (order[1], "reference 2"), (order[2], None)]
    parameters = request_of(home, test)
    assert (parameters["choose"], parameters["named"]) == ("named", "00.png, 01.png")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"references": 2, "view": "yes"},
        {"references": 0},
        {"references": 2, "choose": "nearest"},
        {"choose": "named", "named": "02.png, 00.png"},
        {"references": 8, "reasons": False},
        {"references": 1, "repeat": True, "policy": "scratch: 1\ncrack: 2"},
        {"protocol": "madbench"},
        {"protocol": "madbench-zero-shot"},
    ],
)
def test_the_prompt_on_the_page_is_the_one_that_is_asked(home: Home, given: dict[str, Any]) -> None:
    info, parameters = home.store.dataset_info(home.dataset), catalog.scorer("mllm").check(given)
    rows = home.images("plate", "train")
    normals = [Item(*pair) for pair in zip(rows["image_id"], rows["path"], strict=True)]
    showing = Showing(settle(parameters), Context(subset="plate", card=info.card.subset("plate"), normals=normals))
    row = home.images("plate").iloc[0]
    asked = showing.question(Item(str(row["image_id"]), str(row["path"])))
    found = prompt.outline(info, "plate", showing.rubric, parameters)
    assert found.conversation == asked.conversation
    assert [row.path for row in found.references] == [item.path for item in showing.references]


def test_images_leave_this_machine_only_after_asking_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAD_ENDPOINT_URL", "https://models.example.org/v1")
    monkeypatch.setenv("MAD_ENDPOINT_MODEL", "seer-8b")  # named, so the server is not asked for it
    engine.store.cache_clear()
    test = form(home, "endpoint")
    assert "leave this machine: they are sent to models.example.org" in written(test)
    assert button(test, "Queue run").disabled
    test.checkbox(key=f"consent_{home.dataset}").check().run()
    parameters = request_of(home, test)
    assert parameters["consent"] is False  # kept for the dataset, not in the run
    assert parameters["model"] == "seer-8b" and parameters["server"].startswith("models.example.org ")
    dataset = home.store.dataset(home.dataset)
    assert consent.agreed_hosts(home.store.settings, dataset) == {"models.example.org"}
    test = form(home, "endpoint")
    assert "Agreed for parts and models.example.org" in written(test)
    assert not test.checkbox and not button(test, "Queue run").disabled
    button(test, "Withdraw").click().run()
    assert consent.agreed_hosts(home.store.settings, dataset) == frozenset()


# -- answers --------------------------------------------------------------------------------------


def answers(test: AppTest) -> str:
    return "".join(e.proto.body for e in test.get("html") if "mad-answers" in e.proto.body)


def told(row: Any) -> Scored:
    if row.level == 3:
        return Scored.failed(row.image_id, "refused", "It <u>refused</u>.")
    return Scored(row.image_id, 10.0 * row.level, reason=f"Seen on <b>level</b> {row.level:g}.")


def test_the_last_answers_are_shown_with_their_reasons(home: Home, open_page: Open) -> None:
    run = home.add_run("Teller", told, maps="none", subsets=("plate",))
    shown = answers(open_page("score", run=run.id))
    assert 0 < shown.count("<article>") <= 8
    assert "Seen on &lt;b&gt;level&lt;/b&gt;" in shown or "It &lt;u&gt;refused&lt;/u&gt;." in shown
    assert "<b>" not in shown and "<u>" not in shown
    assert "/thumbnail" in shown and "L" in shown


def test_runs_without_reasons_show_no_answers(home: Home, open_page: Open) -> None:
    test = open_page("score", run=home.run("Beta").id)  # its one failure has a reason, its scores have none
    assert not answers(test) and "Latest answers" not in written(test)


def test_one_image_gets_its_reason_and_distribution(home: Home, open_page: Open) -> None:
    run, out = home.run("Alpha"), io.BytesIO()
    Image.fromarray(np.full((36, 48, 3), 90, np.uint8)).save(out, "PNG")
    job = submit_single(home.store, run.id, "plate", out.getvalue(), "mine.png")
    assert home.store.queue.claim("w", ["cpu", "auto"], job_id=job) is not None
    detail = {
        "expected": 1.5,
        "written": 2.0,
        "spread": 0.5,
        "mass": 1.0,
        "raw": "Anomaly Score: 2",
        "score_from": "expected",
    }
    result = {
        "score": 1.5,
        "status": "ok",
        "reason": "A *dark* spot.",
        "map": False,
        "distribution": np.eye(101)[2].tolist(),
        "detail": detail,
    }
    home.store.queue.finish(job, "w", "done", result=result)
    test = open_page("score", view="One image", by=run.id, subset="plate", single=str(job))
    assert "A *dark* spot." in written(test)
    assert {m.label for m in test.metric} == {"Expected score · counts", "Written score"}
    assert any("most probable is 2 with 100 %" in c.proto.alt for c in test.get("plotly_chart"))
    assert [c.value for c in test.code] == ["Anomaly Score: 2"]


def test_compare_says_what_labels_a_run_owes_its_scores_to(home: Home, open_page: Open) -> None:
    run = home.add_run("Taught", lambda row: scored(row, row.level))
    facts = {"supervision": "trained with severity labels on <generated> images"}
    for entry in home.store.run_subsets(run.id):
        home.store.save_run_subset(run.id, replace(entry, facts=facts))
    test = open_page("compare", within="plate")
    (html,) = [e.proto.body for e in test.get("html") if "mad-metrics" in e.proto.body]
    assert html.count("trained with severity labels on &lt;generated&gt; images") == 1
    assert "the others learned from training normals alone" in written(test)
