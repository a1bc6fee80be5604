"""The Score page, opened from app.py: cards, forms, queue, live numbers, one image."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import event
from streamlit.testing.v1 import AppTest

from mad_core.metrics.summary import evaluate
from mad_core.runs import same_fit
from mad_core.runs.estimating import finished, pace_of
from mad_core.runs.results import run_table
from mad_core.runs.single_image import submit_single
from mad_core.scorers import catalog
from mad_core.scorers.features import weights
from pages.ui.text import plain
from tests.app.conftest import Home, scored
from tests.app.test_images_page import component

Open = Callable[..., AppTest]


def written(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.info, test.error, test.warning, test.header)
    return "\n".join(e.value for kind in kinds for e in kind).replace("\\", "")


def button(test: AppTest, label: str):
    (found,) = [b for b in test.button if b.label == label]
    return found


def test_the_run_in_view_shows_its_numbers(home: Home, open_page: Open) -> None:
    run = home.run("Alpha")
    test = open_page("score", run=run.id)
    assert [t.value for t in test.title] == ["Score"]
    values = {m.label: m.value for m in test.metric}
    assert set(values) == {"AUROC", "C-index", "Kendall's tau-b", "C-index, abnormal only"}
    rows = run_table(home.store, run.id)
    found = evaluate(rows["level"], rows["score"], rows["subset"])
    assert values["AUROC"] == f"{found['auroc']['whole']:.3f}"
    assert values["Kendall's tau-b"] == f"{found['kendall_tau_b']:.3f}"
    assert "42 images" in written(test)


def texts_of(test: AppTest) -> set[str]:
    """What the page says, captions of choices and names of popovers included."""
    radios = [caption for radio in test.radio for caption in radio.proto.captions]
    popovers = [block.proto.popover.label for block in test.main.children.values() if block.type == "popover"]
    return {e.value for kind in (test.markdown, test.caption) for e in kind} | set(radios) | set(popovers)


def test_every_scorer_has_a_card_that_says_what_it_needs(home: Home, open_page: Open) -> None:
    test = open_page("score", view="New run")
    text = written(test)
    for info in catalog.scorers():
        assert info.title in text
        assert test.button(key=f"set_up_{info.id}").label == f"Set up {plain(info.title)}"


def test_what_is_ready_asks_for_no_download_and_says_how_long_these_images_take(home: Home, open_page: Open) -> None:
    test = open_page("score", view="New run")  # both runs took 1 s to fit and 2 s to score, on each of two subsets
    (pace,) = {c.value.replace("\\", "") for c in test.caption if "Your images" in c.value}
    assert "Your images: about 6 s, as fast as Beta was on 42 images." in pace
    said = written(test)
    ready = [info for info in catalog.scorers() if "MB, once" in info.needs and not info.why_not(info.defaults())]
    assert {"patchcore", "knn"} <= {info.id for info in ready}
    for info in ready:
        assert weights.at_hand(info.id, info.defaults()) in said and weights.at_hand(info.id, info.defaults()), info.id


def test_a_pace_is_of_the_same_parameters_where_a_run_has_them_and_follows_the_images(home: Home) -> None:
    beta, alpha = finished(home.store)["filterbank"]
    found = pace_of(home.store, [beta, alpha], alpha.parameters)
    assert found is not None and found.run.id == alpha.id
    dataset = home.store.dataset(home.dataset)
    assert found.seconds(dataset) == pytest.approx(6)
    assert found.seconds(dataset, ["plate"], 12) == pytest.approx(1 + 12 * 4 / 42)
    assert pace_of(home.store, [beta, alpha], {}, device="cuda:7") is None
    for taken, left in ((21, [beta, alpha]), (beta.done, [alpha])):  # scores of the same fit took no time
        entry = home.store.run_subsets(beta.id)[0]
        home.store.save_run_subset(beta.id, replace(entry, facts={**entry.facts, same_fit.FACT: {"before": taken}}))
        assert finished(home.store)["filterbank"] == left
        if beta in left:
            pace = pace_of(home.store, [beta], {})
            assert pace is not None and pace.an_image * (beta.done - taken) == pytest.approx(found.an_image * beta.done)


def test_what_was_taken_over_is_asked_of_all_runs_at_once(home: Home) -> None:
    asked: list[str] = []
    event.listen(home.store.database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    counts = []
    for title in ("One", "Two", "Three"):
        home.add_run(title, lambda row: scored(row, row.level))
        asked.clear()
        runs = finished(home.store)["filterbank"]
        counts.append(len([text for text in asked if text.startswith("SELECT")]))
        assert runs[0].title == title
    assert counts == [2, 2, 2]


def _form(dataset: str, scorer: str) -> None:
    """What the card's dialog holds; AppTest cannot go on within a dialog."""
    from mad_core.scorers import catalog
    from pages.score import new_run
    from pages.ui import engine, session

    session.begin()
    new_run.set_up(engine.store().dataset_info(dataset), catalog.scorer(scorer))


def form(home: Home, scorer: str) -> AppTest:
    test = AppTest.from_function(_form, default_timeout=30, args=(home.dataset, scorer)).run()
    assert not test.exception
    return test


def test_a_run_is_set_up_and_queued_with_its_parameters(home: Home) -> None:
    test = form(home, "filterbank")
    test.number_input(key="parameter_filterbank_size").set_value(128).run()
    (limit,) = [n for n in test.number_input if n.label == "Test images a subset"]
    limit.set_value(8).run()
    assert any("--param size=128" in c.value and "--limit 8" in c.value for c in test.code)
    button(test, "Queue run").click().run()
    assert not test.exception
    (job,) = [j for j in home.store.queue.active() if j.kind == "run"]
    run = home.store.run(job.payload["run"])
    assert (run.scorer, run.parameters["size"], run.image_limit) == ("filterbank", 128, 8)


def test_where_nothing_says_how_long_it_takes_two_images_are_tried(home: Home) -> None:
    assert "Try two images" not in [b.label for b in form(home, "filterbank").button]  # it was done before
    test = form(home, "subspace")
    button(test, "Try two images").click().run()
    assert not test.exception
    (job,) = [j for j in home.store.queue.active() if j.kind == "probe"]
    assert job.payload["scorer"] == "subspace" and "Two images tried" in written(test.run())
    home.store.queue.claim("worker", ["auto"], job_id=job.id)
    home.store.queue.finish(job.id, "worker", "done", result={"fit": 4.0, "image": 0.5})
    assert "By two of your images it takes about 29 s to 33 s" in written(form(home, "subspace"))


def test_new_run_finds_scorers_by_what_their_cards_say(open_page: Open) -> None:
    test = open_page("score", view="New run")
    test.text_input(key="scorers_wanted").set_value("memory PATCH").run()
    found = {b.key for b in test.button if (b.key or "").startswith("set_up_")}
    assert "set_up_patchcore" in found and "set_up_endpoint" not in found
    test.text_input(key="scorers_wanted").set_value("no such words").run()
    assert "No scorer fits these words." in written(test)


def test_a_scorer_without_its_weights_cannot_be_queued(home: Home) -> None:
    test = form(home, "stfpm")
    assert "python -m mad_core warm stfpm" in written(test)
    assert button(test, "Queue run").disabled
    test.text_input(key="parameter_stfpm_weights").set_value("random").run()
    assert not button(test, "Queue run").disabled


def test_two_sessions_that_ask_for_the_same_run_get_one(home: Home) -> None:
    for _ in range(2):
        button(form(home, "filterbank"), "Queue run").click().run()
    assert len([j for j in home.store.queue.active() if j.kind == "run"]) == 1
    assert len(home.store.runs(home.dataset)) == 3


def test_a_run_at_work_is_watched_cancelled_and_resumed(home: Home, open_page: Open) -> None:
    run = home.add_run("Half", lambda row: scored(row, 1.0) if row.subset == "leaf" else None, status="queued")
    home.store.resume_run(run.id)
    test = open_page("score", run=run.id)
    (at_work,) = {e.proto.text for e in test.get("progress") if e.proto.text.startswith("Half")}
    numbers = [text for text in texts_of(test) if "18 of 42" in text or "18/42" in text]
    assert numbers in ([], [at_work]), "how far a run is stands in one place"
    [b for b in test.button if b.label == "Cancel"][-1].click().run()
    assert home.store.run(run.id).status == "cancelled"
    assert "Stopped at 18 of 42 images" in written(test)
    button(test, "Resume").click().run()
    assert home.store.run(run.id).status == "queued"


def test_a_run_is_renamed_and_deleted_only_after_asking(home: Home, open_page: Open) -> None:
    run = home.run("Beta")
    test = open_page("score", run=run.id)
    (title,) = [t for t in test.text_input if t.label == "Title"]
    title.set_value("Gamma")
    button(test, "Rename").click()
    test.run()
    assert home.store.run(run.id).title == "Gamma"
    assert "Retry 1 failed" in [b.label for b in test.button]
    test.text_area[0].set_value(
        "The lamp at **40 %**, before the belt was changed; see the log of that day, and ask Ada."
    )
    button(test, "Keep note").click()
    test.run()
    note = str(home.store.run(run.id).note)
    assert note.endswith("ask Ada.") and note in written(test).replace("\\", "")
    (beta,) = [c for c in test.radio[0].proto.captions if "The lamp at" in c]
    assert beta.replace("\\", "").endswith("ask Ada.") and "belt" not in beta  # cut in the middle
    compared = open_page("compare").get("html")
    assert any("before the belt was changed" in e.proto.body for e in compared)
    button(test, "Delete run").click().run()
    assert "its 42 scores and its maps will be deleted" in written(test)
    assert [r.title for r in home.store.runs()] == ["Alpha", "Gamma"]


@pytest.mark.parametrize("score", [0.2, None])
def test_one_image_finds_its_place_among_the_levels(home: Home, open_page: Open, score: float | None) -> None:
    run, out = home.run("Alpha"), io.BytesIO()
    Image.fromarray(np.full((36, 48, 3), 90, np.uint8)).save(out, "PNG")
    job = submit_single(home.store, run.id, "plate", out.getvalue(), "mine.png")
    test = open_page("score", view="One image", by=run.id, subset="plate", single=str(job))
    assert any("waiting for the worker" in e.proto.text for e in test.get("progress"))
    claimed = home.store.queue.claim("w", ["cpu", "auto"], job_id=job)
    assert claimed is not None
    result = {"score": score, "status": "ok", "reason": None if score else "It is cut off.", "map": False}
    home.store.queue.finish(job, "w", "done", result=result)
    test = open_page("score", view="One image", by=run.id, subset="plate", single=str(job))
    if score is None:
        assert "Alpha: It is cut off." in written(test)
    else:
        assert "The nearest median is" in written(test) and "of L0 · intact" in written(test)
        assert "called" in written(test) and "Nearest median of the labelled scores." in written(test)
        assert any("L0 · intact" in e.proto.body for e in test.get("html"))


def test_one_image_is_called_as_the_triage_calls(home: Home, open_page: Open) -> None:
    run, out = home.run("Alpha"), io.BytesIO()
    home.store.cuts.save(run.id, "plate", [0.0, 1.0, 2.0, 3.0], [0.1, 1.1, 2.2])
    Image.fromarray(np.full((36, 48, 3), 90, np.uint8)).save(out, "PNG")
    job = submit_single(home.store, run.id, "plate", out.getvalue(), "mine.png")
    assert home.store.queue.claim("w", ["cpu", "auto"], job_id=job) is not None
    home.store.queue.finish(job, "w", "done", result={"score": 0.2, "status": "ok", "reason": None, "map": False})
    test = open_page("score", view="One image", by=run.id, subset="plate", single=str(job))
    assert "By the cut-points kept with the run." in written(test)
    assert any("L1 · light" in e.proto.body for e in test.get("html"))


def png(grey: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((36, 48, 3), grey, np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_images_dropped_together_stand_by_score_and_one_that_cannot_be_read_stops_none(
    home: Home, open_page: Open
) -> None:
    run = home.run("Alpha")
    test = open_page("score", view="One image", by=run.id, subset="plate")
    files = [("low.png", png(90)), ("text.png", b"no picture"), ("high.png", png(200))]
    test.file_uploader[0].set_value([(name, data, "image/png") for name, data in files]).run()
    assert [e.value.replace("\\", "") for e in test.error] == [
        "text.png cannot be read as an image (no known image format)."
    ]
    jobs = [int(job) for job in test.query_params["single"]]
    names = {home.store.queue.job(job).payload["name"]: job for job in jobs}
    assert set(names) == {"low.png", "high.png"}
    for name, score in (("low.png", 0.2), ("high.png", 3.2)):
        assert home.store.queue.claim("w", ["cpu", "auto"], job_id=names[name]) is not None
        result = {"score": score, "status": "ok", "reason": None, "map": False}
        home.store.queue.finish(names[name], "w", "done", result=result)
    test.run()
    assert [int(job) for job in test.query_params["single"]] == jobs  # nothing is asked for again
    shown = component(test, "single_gallery")
    assert [tile["caption"] for tile in shown["tiles"]] == ["high.png", "low.png"]
    assert [tile["level_label"] for tile in shown["tiles"]] == ["called L3 · severe", "called L0 · intact"]
    assert component(test, "single_viewer")["image"]["alt"] == "The uploaded image high.png"
    single = [str(job) for job in jobs]
    test = open_page("score", view="One image", by=run.id, subset="plate", single=single, picture=str(jobs[0]))
    assert component(test, "single_viewer")["image"]["alt"] == "The uploaded image low.png"
    test = open_page("score", view="One image", by=run.id, subset="plate", single=single, stage="yes")
    assert component(test, "stage")["picture"]["count"] == "1 of 2" and component(test, "stage")["picture"]["after"]


def test_without_a_fitted_run_one_image_says_what_to_do(home: Home, open_page: Open) -> None:
    for run in home.store.runs():
        home.store.delete_run(run.id)
    assert "once a run has been fitted" in written(open_page("score", view="One image"))
    assert "No scorer has been run" in written(open_page("score"))
