"""The Compare page, opened from app.py on finished and half-done runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from mad_core.audit.events import Event
from mad_core.audit.labels import AuditStore
from mad_core.metrics.summary import evaluate
from mad_core.runs.comparing import how_made
from mad_core.runs.results import run_table
from pages.compare import deferred_intervals
from pages.ui import charts, session
from tests.app.conftest import Home, scored

Open = Callable[..., AppTest]


def table(test: AppTest) -> str:
    """The metric table's HTML; there is one."""
    (found,) = [e.proto.body for e in test.get("html") if "mad-metrics" in e.proto.body]
    return found


def row(test: AppTest, name: str) -> list[str]:
    """The texts of one row's cells, intervals left out, the name first."""
    rows = re.findall(r"<tr>(.*?)</tr>", table(test))
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", text) for text in rows]
    (found,) = [c for c in cells if c and c[0].startswith(name)]
    return [re.sub(r"<small>.*?</small>|<.*?>", "", cell) for cell in found]


def written(test: AppTest) -> str:
    return "\n".join(e.value for kind in (test.markdown, test.caption, test.info, test.header) for e in kind)


def test_runs_stand_beside_each_other_with_intervals_and_references(home: Home, open_page: Open) -> None:
    test = open_page("compare", within="plate")
    assert [t.value for t in test.title] == ["Compare"]
    rows = run_table(home.store, home.run("Alpha").id)
    rows = rows[rows["subset"] == "plate"]
    found = evaluate(rows["level"], rows["score"])
    assert row(test, "Alpha")[:3] == ["Alpha", "24", f"{found['auroc']['whole']:.3f}"]
    assert row(test, "Alpha")[6:8] == [f"{found['c_index']:.3f}", f"{found['kendall_tau_b']:.3f}"]
    assert "{:.3f} to {:.3f}".format(*found["intervals"]["c_index"]) in table(test)
    assert row(test, "Perfect 0/1 score")[7] == f"{found['reference']['kendall_tau_b_perfect_binary']:.3f}"
    assert row(test, "Beta")[1] == "23 of 24"
    assert "1 of 24 images have no score" in written(test)
    assert "not told from chance" in written(test)
    buttons: Any = test.get("download_button")
    labels = {button.label for button in buttons}
    assert labels == {"Metrics as CSV", "Scores side by side as CSV"}
    assert "Each point is an image, placed by its severity level" in written(test)
    charts = [chart.proto for chart in test.get("plotly_chart")]
    assert any("Alpha: At its threshold" in str(chart) for chart in charts)


def test_no_part_of_the_page_waits_for_intervals_of_many_scores(
    home: Home, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fragments compute them afterwards, which ``tests/hard/test_scale.py`` waits for in a browser."""
    monkeypatch.setattr(deferred_intervals, "MANY", 40)
    test = open_page("compare", within="plate")
    assert row(test, "Alpha")[1] == "24"
    assert re.search(r"0\.\d+ to 0\.\d+", table(test)) is None
    assert written(test).count("intervals are being computed") == 2
    assert "Where they disagree most" in written(test)
    monkeypatch.setattr(deferred_intervals, "MANY", 1000)
    test = open_page("compare", within="plate")
    assert re.search(r"0\.\d+ to 0\.\d+", table(test))
    assert "being computed" not in written(test)


def test_the_table_is_accessible_and_takes_no_html_from_users(home: Home, open_page: Open) -> None:
    home.store.rename_run(home.run("Beta").id, "<img src=x>")
    html = table(open_page("compare"))
    assert "&lt;img src=x&gt;" in html and "<img" not in html
    assert html.count('scope="colgroup"') == 3
    assert html.count('scope="row"') == 5
    assert 'tabindex="0"' in html


def test_all_subsets_are_averaged(home: Home, open_page: Open) -> None:
    test = open_page("compare")
    rows = run_table(home.store, home.run("Alpha").id)
    found = evaluate(rows["level"], rows["score"], rows["subset"], draws=0)
    assert row(test, "Alpha")[7] == f"{found['c_index']:.3f}"
    assert "never pooled" in written(test)


def test_the_view_is_in_the_address(open_page: Open, home: Home) -> None:
    test = open_page("compare")
    test.selectbox(key="view_within").select("leaf").run()
    test.multiselect(key="view_runs").set_value([home.run("Beta").id]).run()
    assert not test.exception
    assert test.query_params["within"] == "leaf"
    assert test.query_params["runs"] == home.run("Beta").id
    assert "Alpha" not in table(test)
    test.switch_page("pages/images/page.py").run()
    test.switch_page("pages/compare/page.py").run()
    assert test.selectbox(key="view_within").value == "leaf"
    assert "Alpha" not in table(test)


def test_the_subset_in_view_is_one_on_all_pages(open_page: Open, home: Home) -> None:
    test = open_page("compare", subset="leaf")
    assert test.selectbox(key="view_within").value == "leaf"
    test.selectbox(key="view_within").select("plate").run()
    assert test.query_params["subset"] == "plate"
    test.selectbox(key="view_within").select(session.ALL_SUBSETS).run()
    test = test.switch_page("pages/images/page.py").run()
    assert test.selectbox(key="view_subset").value == "plate"
    test.selectbox(key="view_subset").select("leaf").run()
    test = test.switch_page("pages/compare/page.py").run()
    assert test.selectbox(key="view_within").value == "leaf", "what is chosen later holds"
    assert open_page("images", within="plate").selectbox(key="view_subset").value == "plate"  # a link of before


def test_under_kept_cuts_a_number_opens_its_images(open_page: Open, home: Home) -> None:
    alpha = home.run("Alpha")
    home.store.cuts.save(alpha.id, "plate", [0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    (cells,) = [e.proto.body for e in open_page("compare", subset="plate").get("html") if "called L3" in e.proto.body]
    links = [unescape(link) for link in re.findall(r'href="([^"]+)"', cells)]
    assert len(links) == 4, "scores follow levels, so each level is called itself"
    view = dict(parse_qsl(urlsplit(links[3]).query))
    assert (view["level"], view["called"], view["run"]) == ("3", "3", alpha.id)
    shown = open_page("images", **view)
    assert "6 of 24 images" in " ".join(m.value for m in shown.markdown)


def test_how_runs_were_made_stands_side_by_side_what_differs_first(open_page: Open, home: Home) -> None:
    runs = [home.run("Alpha"), home.run("Beta")]
    table, differing = how_made(runs, {run.id: run.title for run in runs})
    assert table["What"].iloc[:differing].tolist() == ["title"] and table["Alpha"].iloc[0] == "Alpha"
    assert (table["Alpha"].iloc[differing:] == table["Beta"].iloc[differing:]).all() and len(table) > 5
    assert "How these runs were made: 1 thing differs" in [e.label for e in open_page("compare").expander]


def test_one_run_alone_says_how_to_get_a_second(open_page: Open, home: Home) -> None:
    test = open_page("compare", runs=home.run("Alpha").id)
    assert "With a second run" in written(test)
    assert "Two runs side by side" not in written(test)
    assert [link.proto.page for link in test.get("page_link")] == ["score"]


def test_without_scores_it_sends_to_the_score_page(open_page: Open, home: Home) -> None:
    for run in home.store.runs():
        home.store.delete_run(run.id)
    test = open_page("compare")
    assert [t.value for t in test.title] == ["Compare"]
    assert "No run on this dataset has a score yet" in written(test)
    assert [link.proto.page for link in test.get("page_link")] == ["score"]


@pytest.mark.parametrize(("status", "word"), [("running", "at work"), ("cancelled", "stopped")])
def test_a_half_done_run_is_marked_partial_and_never_best(open_page: Open, home: Home, status: str, word: str) -> None:
    run = home.add_run("Gamma", lambda r: scored(r, 9 * r.level) if r.level != 2 else None, status=status)
    test = open_page("compare", within="plate", runs=[run.id, home.run("Alpha").id, home.run("Beta").id])
    assert f"partial: {word}, 18 of 24 images" in table(test)
    assert row(test, "Gamma")[1] == "18 of 24"
    gamma = next(text for text in re.findall(r"<tr>.*?</tr>", table(test)) if "Gamma" in text)
    assert "<b>" not in gamma and "<u>" not in gamma
    assert ("<small>0." in gamma or "<small>1." in gamma) is (status == "cancelled")  # intervals wait for the end


def test_two_runs_differ_by_so_much(open_page: Open, home: Home) -> None:
    alpha, beta = home.run("Alpha").id, home.run("Beta").id
    test = open_page("compare", within="plate", run=beta)
    assert test.selectbox(key="view_run").value == beta
    assert test.selectbox(key="view_against").value == alpha
    assert "**Beta minus Alpha**, on the 23 images that both scored" in written(test)
    test.selectbox(key="view_run").select(alpha).run()
    assert "**Alpha minus Beta**, on the 23 images that both scored" in written(test)


def test_the_gallery_by_rank_difference_is_one_click_away(open_page: Open, home: Home) -> None:
    test = open_page("compare", within="plate")
    next(b for b in test.button if b.label == "All images by rank difference").click().run()
    assert not test.exception
    assert [t.value for t in test.title] == ["Images"]
    assert test.query_params["sort"] == "rank difference"
    assert test.query_params["against"] == home.run("Beta").id


def test_a_click_on_a_point_opens_its_image(open_page: Open, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    image = home.images("plate")["image_id"].iloc[-1]
    beta = home.run("Beta").id
    drawn: list[Any] = []

    def click(figure: Any, alt: str, key: str) -> str | None:
        drawn.append(alt)
        return image if key.startswith(f"cloud_{beta}") else None

    monkeypatch.setattr(charts, "show_clickable", click)
    test = open_page("compare")
    assert [t.value for t in test.title] == ["Images"]
    assert test.query_params["image"] == image
    assert test.query_params["subset"] == "plate"
    assert test.query_params["run"] == beta and test.query_params["maps"] == [beta, home.run("Alpha").id]
    assert drawn[0].startswith("Alpha: Percentile rank within its subset by severity level for n = 42 images")


def test_runs_that_scored_other_subsets_are_left_out(open_page: Open, home: Home) -> None:
    run = home.add_run("Gamma", lambda r: scored(r, r.level), subsets=("leaf",))
    assert "Gamma" not in table(open_page("compare", within="plate"))
    test = open_page("compare", within="plate", runs=run.id)
    assert "None of the chosen runs scored this subset." in written(test)


def test_nothing_is_best_among_runs_on_different_images(open_page: Open, home: Home) -> None:
    assert "<u>" in table(open_page("compare")) or "<b>" in table(open_page("compare"))
    home.add_run("Gamma", lambda r: scored(r, 9 * r.level), subsets=("leaf",))
    test = open_page("compare")
    assert "none is marked as best" in written(test)
    assert "<u>" not in table(test) and "<b>" not in table(test)


def test_the_report_is_a_job_on_the_view_and_then_a_download(open_page: Open, home: Home) -> None:
    audit, image = AuditStore(home.store), home.images("plate")["image_id"].iloc[0]
    audit.reviewer("Anna")
    audit.record(Event(home.dataset, image, "Anna", "level", after=2.0))
    test = open_page("compare", within="plate", labels="audited", rule="median", runs=[home.run("Alpha").id])
    next(b for b in test.button if b.label == "Report as HTML").click().run()
    (job,) = home.store.queue.active()
    assert job.kind == "report"
    asked = {"runs": [home.run("Alpha").id], "subset": "plate", "rule": "median", "draws": 1000, "seed": 0}
    assert dict(job.payload) == asked
    assert any(b.key == "cancel_report" for b in test.button)
    assert home.store.queue.claim("w", ["auto"]) is not None
    home.store.settings.reports.mkdir()
    (home.store.settings.reports / "parts.html").write_text("x" * 2000)
    home.store.queue.finish(job.id, "w", "done", result={"file": "parts.html", "bytes": 2000})
    test.run()
    assert any("Download the report (2 kB)" in str(e.proto) for e in test.get("download_button"))
