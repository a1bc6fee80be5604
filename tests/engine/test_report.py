"""The report: what it holds, that it escapes what users wrote, and that opening it asks nobody for anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from plotly.offline import get_plotlyjs
from typer.testing import CliRunner

from mad_core.audit.events import Event
from mad_core.audit.labels import AuditStore
from mad_core.cli.report import report
from mad_core.datasets.dataset import Card, Dataset, Imported, LevelMeaning, SubsetCard, image_id
from mad_core.errors import InputError, NotFoundError
from mad_core.machine.browser import find_browser
from mad_core.metrics import comparing
from mad_core.report.contents import ReportRequest, Steps, figures_of, gather
from mad_core.report.document import in_both_themes
from mad_core.report.image_strips import contested, strips_of_run
from mad_core.report.job import latest_report, request_report
from mad_core.report.repeat import study_command
from mad_core.runs.in_process import do_here
from mad_core.runs.results import run_table
from mad_core.runs.store import RunRequest, Store
from mad_core.runs.worker import Worker
from mad_core.scorers.contract import Scored
from mad_core.studies.finding import Finding
from mad_core.studies.record import StudyRecord, StudyRequest, keep_finding, request_study
from tests.app.conftest import Home, home, make_scored_home  # noqa: F401 - a fixture
from tests.engine.toy_studies.toy.figures import READ_MEANS
from tests.engine.toy_study import use_toy_study
from tests.report_text import report_html

EVIL = "<script>alert(1)</script>"
LOADING = ("src", "href", "srcset", "poster", "action", "formaction", "data", "background", "xlink:href")
SILENT = Steps(lambda done, total: None, 1)


def body(html: str) -> str:
    """Without plotly.js."""
    return html.partition("</head>")[2]


def rate(store: Store, dataset_id: str, levels: dict[str, tuple[float, ...]], names: tuple[str, ...]) -> None:
    """Ratings of images by reviewers in order."""
    audit = AuditStore(store)
    for name in names:
        audit.reviewer(name)
        audit.set_role(name, "adjudicator", None)
    for image, given in levels.items():
        for name, level in zip(names, given, strict=True):
            audit.record(Event(dataset_id, image, name, "level", after=level, reason=EVIL))


def keep_study(store: Store, dataset_id: str, runs: tuple[str, ...], text: str) -> StudyRecord:
    """A study as if it had been done, with a text where users' texts may come in."""
    record = request_study(store, StudyRequest(dataset_id, "cost", runs))
    costs = {"scorer": [text], "title": [text], "c_index": [0.5]}
    images = {text: [store.dataset(dataset_id).table["image_id"].iloc[-1]]}
    keep_finding(store, record.id, Finding("level-mix", text, text, text, {text: pd.DataFrame(costs)}, {}, images))
    store.queue.request_cancel(store.queue.active_for(record.job_key).id)  # type: ignore[union-attr]
    return record


@pytest.fixture
def scored_home(tmp_path: Path) -> Path:
    """Pictures are changed here."""
    return make_scored_home(tmp_path / "own")


@pytest.fixture
def evil(store: Store) -> Iterator[Store]:
    """A store in which every text that a user or a file can give is a script."""
    names = SubsetCard("industrial", {str(level): LevelMeaning(EVIL, EVIL) for level in range(3)})
    rows: list[dict[str, Any]] = []
    for number in range(12):
        path = f"{number}{EVIL}.png"
        rows.append({"image_id": image_id(EVIL, path), "content_hash": str(number), "path": f"/no/{path}"})
        rows[-1] |= {"template_path": path, "split": "test", "subset": EVIL, "level": float(number % 3)}
        rows[-1] |= {"defect": EVIL, "mask_path": None, "width": 8, "height": 8}
    card = Card(EVIL, EVIL, EVIL, EVIL, EVIL, {EVIL: names}, policy=EVIL)
    dataset_id = store.add_dataset(Imported(Dataset.from_rows(EVIL, rows, card, EVIL)))
    for place in range(2):
        run = store.request_run(RunRequest(dataset_id, EVIL, {EVIL: EVIL + str(place)}, title=EVIL))
        scored = [
            (Scored(row["image_id"], float((place + 1) * i % 7), reason=EVIL), None) for i, row in enumerate(rows)
        ]
        store.add_scores(run.id, EVIL, scored)
        store.update_run(run.id, status="done", finished=1.0, record={EVIL: EVIL, "versions": {EVIL: EVIL}})
    keep_study(store, dataset_id, tuple(run.id for run in store.runs()), EVIL)
    rate(store, dataset_id, {rows[0]["image_id"]: (1.0, 2.0), rows[1]["image_id"]: (2.0, 2.0)}, (EVIL, "B"))
    return store


class Tags(HTMLParser):
    """What a document would load, and what it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [str(value) for name, value in attrs if name in LOADING]
        assert not [name for name, _ in attrs if name.startswith("on")], "no code in attributes"
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script":
            self.scripts[-1] = self.scripts[-1][0], self.scripts[-1][1] + data


def test_opening_it_asks_nobody_and_runs_nothing_of_a_user(evil: Store) -> None:
    html = report_html(evil, [run.id for run in evil.runs()], draws=20)
    assert html.count(get_plotlyjs()) == 1
    ours = html.replace(get_plotlyjs(), "")
    tags = Tags()
    tags.feed(ours)
    assert [load for load in tags.loads if not load.startswith(("data:", "#"))] == []
    assert not tags.tags & {"link", "iframe", "object", "embed", "base", "form", "video", "audio"}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(", ours)
    assert "default-src 'none'" in ours
    assert EVIL not in ours
    data = [text for kind, text in tags.scripts if kind == "application/json"]
    assert len(data) > 5 and not [text for text in data if "<" in text]
    assert not [text for kind, text in tags.scripts if kind is None and "alert" in text]
    assert unescape(ours).count(EVIL) > 60  # in each of those places it stands as text
    assert ours.count("The file cannot be read any more.") >= 12


@pytest.fixture
def html(home: Home) -> str:  # noqa: F811
    rows = home.images("plate")
    middle = rows["image_id"].tolist()
    rate(home.store, home.dataset, {middle[0]: (0, 2), middle[8]: (3, 3)}, ("Anna", "Chen"))
    keep_study(home.store, home.dataset, (home.run("Alpha").id,), "It costs.")
    Path(rows["path"].iloc[-1]).unlink()
    return report_html(home.store, [run.id for run in home.store.runs()], draws=30)


def test_numbers_strips_studies_audit_and_commands_are_there(home: Home, html: str) -> None:  # noqa: F811
    run, text = home.run("Alpha"), body(html)
    rows = run_table(home.store, run.id)
    found = comparing.summarize(rows["level"], rows["score"], rows["subset"], draws=30)
    low, high = found["intervals"]["c_index"]
    assert f"{found['c_index']:.3f}<small>{low:.3f} to {high:.3f}</small>" in text
    assert "Perfect detection, severity at random" in text
    assert "Alpha: best" in text and "Alpha: worst" in text and "Most contested: scorers differ" in text
    assert "Reviewers say 0, 2; labelled L0." in text and "L1 to L3, majority of 2." in text
    assert 10 < text.count("data:image/webp;base64,") <= 120
    assert text.count("The file cannot be read any more.") >= 1
    assert "Its figures cannot be drawn from what is kept of it" in text  # of an earlier version
    assert '<p class="finding">It costs.</p>' in text and f"study cost {home.dataset} --run {run.id}" in text
    assert "python -m mad_core score" in text and f"--param title={run.title}" in text
    assert run.request in text and run.dataset_version in text
    assert text.count("How to read this") >= 5
    contents, anchors = re.findall(r'href="#([\w-]+)"', text), re.findall(r' id="([\w-]+)"', text)
    assert {"short0", "card0", "metrics0", "scores0", "images0", "studies0", "audit0", "repeat0"} <= set(contents)
    assert set(contents) <= set(anchors) and len(anchors) == len(set(anchors))


def test_a_report_holds_no_study_of_runs_that_it_does_not_hold(home: Home) -> None:  # noqa: F811
    alpha, beta = home.run("Alpha"), home.run("Beta")
    keep_study(home.store, home.dataset, (alpha.id,), "Of one.")
    keep_study(home.store, home.dataset, (alpha.id, beta.id), "Of both.")
    text = body(report_html(home.store, [alpha.id], draws=0))
    assert "Of one." in text and "Of both." not in text
    assert "Left out: 1 study that is also of runs that this report does not hold." in text
    assert "<details><summary>Record of the run</summary>" in text  # and on no paper, where it filled pages
    both = body(report_html(home.store, [alpha.id, beta.id], draws=0))
    assert "Of one." in both and "Of both." in both and "Left out" not in both


def test_a_study_of_a_new_folder_is_in_the_report_with_its_figures_and_texts(
    home: Home,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_toy_study(monkeypatch)
    run = home.run("Alpha")
    record = request_study(home.store, StudyRequest(home.dataset, "toy", (run.id,)))
    job = home.store.queue.active_for(record.job_key)
    assert job is not None
    do_here(home.store, job.id, "cpu", lambda progress: None)
    text = body(report_html(home.store, [run.id], draws=0))
    assert "<span>Mean of each run</span>" in text and f"<p>{READ_MEANS}</p>" in text
    assert "Its figures cannot be drawn" not in text


def test_subset_and_audited_labels_of_the_request_hold_everywhere(home: Home, html: str) -> None:  # noqa: F811
    run = home.run("Alpha")
    (part,) = gather(home.store, ReportRequest((run.id,), "plate", "majority", 0), SILENT)
    rows = part.tables[run.id]
    assert set(rows["subset"]) == {"plate"} and part.subsets == ["plate"]
    changed = rows[rows["level"] != part.originals[run.id]["level"]]
    assert changed["level"].tolist() == [3.0]
    assert part.metrics[run.id] == comparing.summarize(rows["level"], rows["score"], rows["subset"], draws=0)
    text = body(report_html(home.store, [run.id], subset="plate", rule="majority", draws=0))
    assert "audited, rule majority" in text and "leaf /" not in text
    assert f"report {run.id} --subset plate --labels majority --draws 0" in text
    with pytest.raises(InputError, match="None of these runs scored 'moon'"):
        report_html(home.store, [run.id], subset="moon", draws=0)
    with pytest.raises(InputError, match="is no rule"):
        report_html(home.store, [run.id], rule="loudest", draws=0)
    with pytest.raises(NotFoundError):
        report_html(home.store, ["nothing"])


def test_each_image_stands_in_its_strip_for_the_reason_that_is_given(store: Store, dataset_id: str) -> None:
    images = store.dataset(dataset_id).select(split="test", subset="a")
    order = images["image_id"].tolist()  # L0 L0 L0 L1 L1 L1 L2 L2 L2
    scores = {
        "one": [0, 1, 2, 3, 4, 5, 6, 7, 8],
        "two": [8, 1, 2, 3, 4, 5, 6, 7, 0],  # turns the first and the last round
        "three": [0, 1, 2.5, 30, 4, 5, 6, 7, 8],
    }
    runs = []
    for name, values in scores.items():
        run = store.request_run(RunRequest(dataset_id, "filterbank", {"name": name}, ("a",), title=name))
        store.add_scores(run.id, "a", [(Scored(i, float(v)), None) for i, v in zip(order, values, strict=True)])
        runs.append(run.id)
    (part,) = gather(store, ReportRequest(tuple(runs), draws=0), SILENT)
    differ, label = contested(store, part)
    assert {one.image_id for one in differ.shown[:2]} == {order[0], order[-1]}
    first = next(one for one in differ.shown if one.image_id == order[0])
    assert first.why == "Rank 0 by one, 100 by two."
    assert [run.title for run in first.runs] == ["one", "two"]
    assert label.shown == [] or all("every scorer" in one.why for one in label.shown)
    best, worst = strips_of_run(part, part.runs[1])
    assert {one.image_id for one in worst.shown[:2]} == {order[0], order[-1]}
    assert worst.shown[0].why.startswith(("Rank 100 by score, 12 by level", "Rank 0 by score, 88 by level"))
    levels = dict(zip(order, images["level"].tolist(), strict=True))
    assert sorted(levels[one.image_id] for one in best.shown) == [0, 0, 1, 1, 2, 2]


def test_all_scorers_against_a_label(store: Store, dataset_id: str) -> None:
    order = store.dataset(dataset_id).select(split="test", subset="a")["image_id"].tolist()
    runs = []
    for name, high in (("one", 8.5), ("two", 7.5)):
        run = store.request_run(RunRequest(dataset_id, "filterbank", {"name": name}, ("a",), title=name))
        values = [high, *range(1, 9)]  # the first L0 image scores as if it were severe
        store.add_scores(run.id, "a", [(Scored(i, float(v)), None) for i, v in zip(order, values, strict=True)])
        runs.append(run.id)
    (part,) = gather(store, ReportRequest(tuple(runs), draws=0), SILENT)
    differ, label = contested(store, part)
    assert differ.shown == [] and "more than 20" in differ.none
    assert label.shown[0].image_id == order[0]
    said = "Labelled L0, rank 12; every scorer ranks it above: 100 by one, 88 by two."
    assert label.shown[0].why == said


def test_twenty_thousand_images_stay_small_and_say_that_points_are_left_out(home: Home) -> None:  # noqa: F811
    (part,) = gather(home.store, ReportRequest((home.run("Alpha").id,), "plate", draws=0), SILENT)
    rng, n = np.random.default_rng(0), 20_000
    levels = rng.integers(0, 5, n).astype(float)
    rows = pd.DataFrame({"image_id": [f"id-{i}" for i in range(n)], "path": [f"test/{i:050d}.png" for i in range(n)]})
    rows = rows.assign(subset="plate", level=levels, score=levels + rng.normal(size=n))
    large = replace(part, tables={part.runs[0].id: rows})
    texts = [json.dumps(in_both_themes(one.draw)) for one in figures_of(large)]
    assert sum(map(len, texts)) < 1_000_000
    assert "at most 560 points are drawn" in texts[0] and "scattergl" not in texts[0]
    assert "id-1" not in texts[0]


def test_the_dark_figure_is_the_light_one_and_its_changes(home: Home) -> None:  # noqa: F811
    (part,) = gather(home.store, ReportRequest(tuple(run.id for run in home.store.runs()), draws=0), SILENT)

    def changed(value: Any, change: Any) -> Any:
        if isinstance(change, list):
            return change[0]
        made = dict(value) if isinstance(value, dict) else list(value)
        for key, inner in change.items():
            made[key] = changed(value[key], inner)
        return made

    for drawing in figures_of(part):
        light, change = in_both_themes(drawing.draw)
        assert changed(light, change) == json.loads(drawing.draw("dark").to_json())
        assert len(json.dumps(change)) < len(json.dumps(light))


def test_a_job_writes_it_and_the_same_question_finds_it_again(home: Home) -> None:  # noqa: F811
    store, run = home.store, home.run("Alpha")
    request = ReportRequest((run.id,), "plate", draws=10)
    assert latest_report(store, request) == (None, None)
    job_id = request_report(store, request)
    assert request_report(store, request) == job_id  # asked twice, done once
    worker = Worker(store.settings, "cpu")
    try:
        done = worker.do(store.queue.claim(worker.id, worker.devices, quick=True))  # type: ignore[arg-type]
    finally:
        worker.close()
    assert done.status == "done", done.error
    job, path = latest_report(store, request)
    assert job and path and path.parent == store.settings.reports and path.stat().st_size == job.result["bytes"]  # type: ignore[index]
    assert "Alpha: best" in path.read_text()
    assert latest_report(store, replace(request, rule="majority")) == (None, None)
    store.rename_run(run.id, "Gamma")  # the report would say something else now
    assert latest_report(store, request) == (None, None)


def test_the_command_of_a_study_says_all_of_it() -> None:
    found: Any = SimpleNamespace(study="cost", dataset_id="d", runs=("a", "b"), parameters={"x": None, "y": "1 2"})
    found.quick, found.seed = False, 4
    expected = "python -m mad_core study cost d --run a --run b --param x= --param 'y=1 2' --full --seed 4"
    assert study_command(found) == expected


def test_the_command_measures_once_and_writes_tables_and_figures(
    home: Home,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep_study(home.store, home.dataset, (home.run("Alpha").id,), "It costs.")
    measured: list[int] = []
    summarize = comparing.summarize
    monkeypatch.setattr(comparing, "summarize", lambda *a, **k: (measured.append(1), summarize(*a, **k))[1])
    app = typer.Typer()
    app.command()(report)
    out, folder = tmp_path / "r.html", tmp_path / "figures"
    arguments = [home.run("Alpha").id, "--out", str(out), "--figures", str(folder), "--draws", "20", "--json"]
    done = CliRunner().invoke(app, [*arguments, "--subset", "plate"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert out.stat().st_size == answer["bytes"] > 1_000_000 and len(measured) == 1
    names = [Path(file).name for file in answer["files"]]
    assert any("cost" in name and name.endswith(".csv") for name in names)
    assert all(Path(file).stat().st_size > 0 for file in answer["files"])
    if find_browser() is None:
        assert "need a Chromium browser" in answer["missing"]
        return
    drawn = [name for name in names if name.endswith((".svg", ".png"))]
    assert len(drawn) == 4 and not answer["missing"]
    for file in map(Path, answer["files"]):
        start = file.read_bytes()[:8]
        assert start.startswith({".svg": b"<svg", ".png": b"\x89PNG"}.get(file.suffix, b""))
    wrong = CliRunner().invoke(app, [home.run("Alpha").id, "--labels", "loudest"])
    assert wrong.exit_code == 2
