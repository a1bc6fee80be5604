"""Audits in and out: templates that `check` and `evaluate` take, records that merge, the owner's report."""

from __future__ import annotations

import csv
import html.parser
import io
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz
from hypothesis import strategies as st
from PIL import Image

from mad_core.audit import labels
from mad_core.audit.agreement import agreement, agreement_of
from mad_core.audit.change_report import change_report
from mad_core.audit.consensus import consensus_of
from mad_core.audit.events import Event
from mad_core.audit.exchange import (
    events_csv,
    events_from_text,
    events_json,
    read_events,
    template_csv,
    template_files,
    template_name,
    zipped,
)
from mad_core.audit.labels import AuditStore
from mad_core.cli.main import main
from mad_core.datasets.dataset import Card, Dataset, Imported, LevelMeaning, SubsetCard, image_id
from mad_core.datasets.importing import import_dataset
from mad_core.errors import AccessError, InputError
from mad_core.metrics.agreement import krippendorff_alpha
from mad_core.runs.database.schema import audit_events, audit_places
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings

from .conftest import make_dataset


def renamed(dataset: Dataset) -> Dataset:
    """The same images in other folders, with other ids."""
    table = dataset.table.copy()
    table["template_path"] = "new/" + table["template_path"]
    table["image_id"] = [image_id(s, p) for s, p in zip(table["subset"], table["template_path"], strict=True)]
    return Dataset(dataset.name, table, dataset.card, source="/elsewhere")


# -- events as text -----------------------------------------------------------------------------

words = st.one_of(
    st.sampled_from(
        ["=1+1", "+1", "-1", "@SUM(A1)", "'quoted", "\tx", "a;b,c", 'say "no"', "two\r\nlines", "ß 漢", "'="]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
)
names = words.filter(lambda text: bool(text.strip()))
numbers = st.floats(0, 1e9)
kinds: Any = st.one_of(
    st.fixed_dictionaries({"kind": st.sampled_from(["level", "adjudicate"]), "after": st.sampled_from([0.0, 3.5])}),
    st.fixed_dictionaries({"kind": st.sampled_from(["unsure", "ungradable"])}),
    st.fixed_dictionaries({"kind": st.just("anchor"), "after": st.one_of(st.none(), st.just(1.0))}),
    st.fixed_dictionaries({"kind": st.just("compare"), "after": st.just(0.5), "other": st.just("other"),
                           "other_hash": words, "other_path": words}),
    st.fixed_dictionaries({"kind": st.just("undo"), "undoes": st.uuids().map(lambda u: u.hex)}),
    st.fixed_dictionaries({"kind": st.just("region"), "region": st.sampled_from([
        None, {"shape": "box", "points": [[0.1, 0.2], [1, 0.4]]}])}),
)  # fmt: skip
some_events = st.builds(
    lambda kind, facts: Event(**facts, **kind),
    kinds,
    st.fixed_dictionaries(
        {
            "dataset_id": names, "image_id": names, "reviewer": names, "reason": words, "content_hash": words,
            "subset": words, "path": words, "dataset_version": words, "scores_visible": st.booleans(),
            "seconds": numbers, "time": numbers, "before": st.one_of(st.none(), numbers),
            "id": st.uuids().map(lambda u: u.hex),
        }
    ),
)  # fmt: skip


@fuzz(max_examples=80, deadline=None)
@given(st.lists(some_events, max_size=4))
def test_events_come_back_unchanged_and_no_cell_is_a_formula(events: list[Event]) -> None:
    text = events_csv(events)
    assert events_from_text(text) == events
    assert events_from_text(events_json(events)) == events
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r\n")]


def test_a_spreadsheet_may_have_saved_it_with_semicolons(tmp_path: Path) -> None:
    event = Event("d", "i", "Ada", "level", after=1.0, reason="a, b", path="x.png")
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";").writerows(csv.reader(io.StringIO(events_csv([event]), newline="")))
    path = tmp_path / "events.csv"
    path.write_bytes(b"\xef\xbb\xbf" + out.getvalue().replace("false", "FALSE").encode())
    assert read_events(path) == [event]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no record of an audit"),
        ("Path,Severity\na.png,1\n", "no record of an audit"),
        ('{"format": "other"}', "no record of an audit"),
        ('{"format": "mad-inspector-audit", "version": 9, "events": []}', "newer version"),
        ("[1]", "list of events"),
        ("{", "not readable as JSON"),
        ('[{"id": "x"}]', "event 1: An event lacks time"),
        ("id,kind,image_id,time\nx,level,i,soon\n", "event 1: 'soon' is no time"),
        ("id,kind,image_id,region\nx,region,i,{\n", "is no region"),
        ("id,kind,image_id\nx,level\n", "2 cells instead of 3"),
    ],
)
def test_damaged_records_are_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        events_from_text(text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_events(tmp_path / "none.csv")
    (tmp_path / "raw.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_events(tmp_path / "raw.csv")


# -- merging ------------------------------------------------------------------------------------


def rated(home: Path, dataset: Dataset, name: str, levels: list[float]) -> tuple[AuditStore, str]:
    """A database of its own in which somebody rated images of subset a, undid the last, and redid nothing."""
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    dataset_id = store.add_dataset(Imported(dataset))
    audit = AuditStore(store)
    audit.reviewer(name)
    images = dataset.select(split="test", subset="a")["image_id"].tolist()
    for image, level in zip(images, levels, strict=False):
        audit.record(Event(dataset_id, image, name, "level", after=level))
    audit.undo(dataset_id, name)
    return audit, dataset_id


def test_databases_that_grew_apart_are_joined_by_content(tmp_path: Path) -> None:
    here, ours = rated(tmp_path / "here", make_dataset(), "Ada", [1.0, 2.0, 0.0])
    there, theirs = rated(tmp_path / "there", renamed(make_dataset()), "Ben", [2.0, 2.0, 1.0, 1.0])
    merged = here.merge(events_from_text(events_csv(there.originals(theirs))), by="Ada")
    assert (merged.added, merged.known, merged.unmatched, merged.problems) == (5, 0, (), ())
    assert here.ratings(ours)["reviewer"].tolist() == ["Ada"] * 2 + ["Ben"] * 3
    assert set(here.ratings(ours)["image_id"]) <= set(make_dataset().table["image_id"])
    again = here.merge(there.originals(theirs))
    assert (again.added, again.known) == (0, 5)
    back = there.merge(here.originals(ours))
    assert (back.added, back.known) == (4, 5)
    assert there.originals(theirs) == here.originals(ours)
    with pytest.raises(AccessError, match="no reviewer here"):
        here.merge([], by="Cy")


def test_events_without_an_image_here_are_kept_and_come_up_later(tmp_path: Path) -> None:
    there, theirs = rated(tmp_path / "there", make_dataset("more", ("a", "c")), "Ben", [2.0, 2.0])
    store = Store(Settings.from_environment({"MAD_HOME": str(tmp_path / "here")}))
    here = AuditStore(store)
    ours = store.add_dataset(Imported(make_dataset("unlike", ("b",))))
    merged = here.merge(there.originals(theirs))
    assert (merged.added, len(merged.unmatched)) == (3, 3)
    assert here.events(ours) == []
    assert here.unmatched() == there.originals(theirs)
    later = store.add_dataset(Imported(make_dataset("more", ("a", "c"))))
    assert len(here.ratings(later)) == 1
    assert here.unmatched() == []


def test_content_that_is_there_twice_is_told_apart_by_path_or_not_at_all(tmp_path: Path) -> None:
    dataset = make_dataset()
    dataset.table.loc[dataset.table["split"] == "test", "content_hash"] = "same"
    here, ours = rated(tmp_path / "a", dataset, "Ada", [1.0, 2.0])
    assert len(here.ratings(ours)) == 1
    merged = here.merge([Event("d", "i", "Ben", "level", after=1.0, content_hash="same", subset="a", path="gone.png")])
    assert len(merged.unmatched) == 1
    by_path = Event("d", "i", "Ben", "level", after=1.0, subset="a", path="test/level_2/1.png")
    assert here.merge([by_path]).unmatched == ()


def test_facts_that_differ_are_said_and_what_is_here_stays(tmp_path: Path) -> None:
    here, ours = rated(tmp_path / "a", make_dataset(), "Ada", [1.0, 2.0])
    known = here.originals(ours)[0].to_json()
    merged = here.merge(events_from_text(json.dumps([known | {"after": 2.0}])))
    assert merged.added == 0
    assert "other facts" in merged.problems[0]
    assert here.originals(ours)[0].after == 1.0


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, str, list[Event]]]:
    """A database with two layouts of the same images, and events of three others, some about unknown images."""
    home = tmp_path_factory.mktemp("grown")
    settings = Settings.from_environment({"MAD_HOME": str(home / "store")})
    store = Store(settings)
    dataset_id = store.add_dataset(Imported(make_dataset()))
    store.add_dataset(Imported(renamed(make_dataset())))
    events: list[Event] = []
    others = (make_dataset(), renamed(make_dataset()), make_dataset("more", ("a", "c")))
    for number, dataset in enumerate(others):
        audit, theirs = rated(home / str(number), dataset, f"R{number}", [1.0, 2.0, 0.0])
        audit.redo(theirs, f"R{number}")
        events += audit.originals(theirs)
    events.append(Event("d", "none", "Cy", "level", after=1.0, content_hash="unknown", subset="a", path="p"))
    yield store, dataset_id, events
    store.close()


def outcome(store: Store, dataset_id: str, parts: list[list[Event]]) -> Any:
    """What the record says after merging the parts, one after the other, into an empty one."""
    with store.database.write() as connection:
        connection.execute(audit_places.delete())
        connection.execute(audit_events.delete())
    labels._MEMORY.pop(store.database, None)  # what this process has read of the record that was emptied
    audit = AuditStore(store)
    added = sum(audit.merge(part).added for part in parts)
    with store.database.read() as connection:
        places = sorted(tuple(row) for row in connection.execute(sa.select(audit_places)))
    return audit.originals(dataset_id), audit.unmatched(), places, audit.ratings(dataset_id).to_csv(), added


picks = st.lists(st.integers(0, 15), max_size=16)


@pytest.mark.slow
@fuzz(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(picks, picks, picks)
def test_merging_is_commutative_associative_and_idempotent(grown, one, two, three) -> None:
    store, dataset_id, events = grown
    a, b, c = ([events[i % len(events)] for i in sorted(set(part))] for part in (one, two, three))
    expected = outcome(store, dataset_id, [a + b + c])
    for order in itertools.permutations([a, b, c]):
        assert outcome(store, dataset_id, list(order)) == expected
    joined, _, _, _, _ = outcome(store, dataset_id, [b, c])
    lost = outcome(store, dataset_id, [b, c])[1]
    assert outcome(store, dataset_id, [a, events_from_text(events_csv([*joined, *lost]))]) == expected
    assert outcome(store, dataset_id, [a, b, c, a, b + c]) == expected
    assert expected[4] == len({event.id for event in a + b + c})


# -- templates, report and command line ---------------------------------------------------------


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """Two subsets of image files in the benchmark's layout."""
    root = tmp_path / "parts"
    rng = np.random.default_rng(0)
    for subset in ("bolt", "nut"):
        places = ["train/good", *(f"test/{kind}_level_{n}" for n, kind in enumerate(("good", "dent", "cut")))]
        for place, number in itertools.product(places, range(4)):
            path = root / subset / place / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(path)
    return root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def audited(home: Path, parts: Path) -> tuple[AuditStore, str, pd.DataFrame, str]:
    """A store in which two reviewers rated two images of ``bolt``, with a run of scores."""
    settings = Settings.from_environment({"MAD_HOME": str(home)})
    store = Store(settings)
    dataset_id = store.add_dataset(import_dataset(parts, settings))
    card = store.dataset_info(dataset_id).card.with_level("bolt", 1, LevelMeaning("<i>minor</i>"))
    store.update_card(dataset_id, card)
    run = store.request_run(RunRequest(dataset_id, "filterbank", {"bank": 5}, title="Bank & Co"))
    tests = store.dataset(dataset_id).select(split="test")
    for subset, rows in tests.groupby("subset"):
        scored = [Scored(row["image_id"], row["level"] + at / 100) for at, row in enumerate(rows.to_dict("records"))]
        store.add_scores(run.id, str(subset), [(one, None) for one in scored])
    audit = AuditStore(store)
    worst: Any = tests[tests["level"] == 2]
    for name in ("Ada", "Ben <script>alert(1)</script>"):
        audit.reviewer(name)
        for row, level in zip(worst.to_dict("records"), (1.0, 0.0), strict=False):
            facts = {"after": level, "reason": '=HYPERLINK("http://x") <b>'}
            audit.record(Event(dataset_id, row["image_id"], name, "level", **facts))
    return audit, dataset_id, tests, run.id


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def mad(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """``mad(home, …)`` calls a command in this process."""
    for name in [n for n in os.environ if n.startswith("MAD_")]:
        monkeypatch.delenv(name)

    def call(home: Path, *command: object) -> Answer:
        monkeypatch.setenv("MAD_HOME", str(home))
        monkeypatch.setattr(sys, "argv", ["mad", *map(str, command)])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return Answer(int(str(code or 0)), *capsys.readouterr())

    return call


@pytest.mark.slow
def test_check_and_evaluate_take_the_corrected_templates(mad, home: Path, parts: Path, tmp_path: Path) -> None:
    audit, dataset_id, _, run_id = audited(home, parts)
    folder = parts / "template"
    export = mad(home, "labels", "export", parts, "--what", "template", "--run", run_id, "--out", folder, "--json")
    assert export.returncode == 0, export.stderr
    data = json.loads(export.stdout)
    assert (data["corrections"], data["contested"]) == (2, 0)
    assert [Path(f).name for f in data["files"]] == ["bolt_template.csv", "nut_template.csv"]
    checked = json.loads(mad(home, "check", parts, "--json").stdout)
    assert checked["problems"] == []
    counts = {entry["subset"]: entry["test"] for entry in checked["subsets"]}
    assert counts == {"bolt": {"0": 5, "1": 5, "2": 2}, "nut": {"0": 4, "1": 4, "2": 4}}
    assert all(entry["train"] == {"0": 4} for entry in checked["subsets"])
    alone = json.loads(mad(home, "check", folder / "bolt_template.csv", "--json").stdout)
    assert alone["subsets"][0]["test"] == counts["bolt"]
    found = json.loads(mad(home, "evaluate", folder / "bolt_template.csv", "--draws", "0", "--json").stdout)
    assert found["levels"] == {"0": 5, "1": 5, "2": 2}
    assert found["n_scored"] == 12
    assert found["c_index"] < 1
    plain = mad(home, "labels", "export", dataset_id, "--what", "template", "--out", tmp_path / "empty")
    assert plain.returncode == 0, plain.stderr
    unscored = mad(home, "evaluate", tmp_path / "empty" / "bolt_template.csv", "--json")
    assert (unscored.returncode, json.loads(unscored.stdout)["n_scored"]) == (0, 0)
    assert (tmp_path / "empty" / "bolt_template.csv").read_text().startswith("Path,Severity,Anomaly Score\n")
    audit.store.close()


@pytest.mark.slow
def test_the_record_travels_by_command_line(mad, home: Path, parts: Path, tmp_path: Path) -> None:
    audit, _, _, run_id = audited(home, parts)
    other = tmp_path / "other"
    for name, options in (("events.csv", ()), ("events.json", ("--format", "json"))):
        done = mad(home, "labels", "export", parts, "--what", "events", *options, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    first = json.loads(mad(other, "labels", "import", tmp_path / "events.csv", "--json").stdout)
    assert (first["added"], first["known"], len(first["unmatched"])) == (4, 0, 4)
    agreed = json.loads(mad(other, "labels", "agreement", parts, "--draws", "50", "--json").stdout)
    assert (agreed["images"], agreed["several"], agreed["alpha"]["value"], agreed["disagreements"]) == (2, 2, 1.0, 0)
    second = mad(other, "labels", "import", tmp_path / "events.json")
    assert second.returncode == 0
    assert second.stdout == "no events added, 4 known already\n"
    text = mad(home, "labels", "agreement", parts)
    assert "Krippendorff's alpha (ordinal): 1.000" in text.stdout
    role = mad(home, "labels", "role", "Ada", "viewer")
    assert (role.returncode, role.stderr.strip().endswith("make somebody else one first.")) == (1, True)
    wrong = mad(home, "labels", "export", parts, "--what", "all")
    assert wrong.returncode == 2
    report = tmp_path / "report.html"
    done = mad(home, "labels", "export", parts, "--what", "report", "--run", run_id, "--out", report, "--draws", "20")
    assert done.returncode == 0, done.stderr
    assert "Label audit of parts" in report.read_text()
    audit.store.close()


class Tags(html.parser.HTMLParser):
    """Every tag with its attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_report_is_self_contained_escaped_and_says_everything(home: Path, parts: Path) -> None:
    audit, dataset_id, tests, run_id = audited(home, parts)
    gone = tests[tests["level"] == 2].iloc[1]
    third = tests[tests["level"] == 1].iloc[0]
    audit.record(Event(dataset_id, third["image_id"], "Ada", "level", after=0.0))
    audit.record(Event(dataset_id, third["image_id"], audit.reviewers()[1].name, "level", after=2.0))
    Path(gone["path"]).unlink()
    page = Tags()
    text = change_report(audit, dataset_id, run_ids=[run_id], draws=20)
    page.feed(text)
    kinds = {tag for tag, _ in page.tags}
    assert kinds.isdisjoint({"script", "link", "iframe", "object", "b><i", "i"})
    sources = [attributes["src"] or "" for _, attributes in page.tags if "src" in attributes]
    assert len(sources) == 1
    assert all(source.startswith("data:image/webp;base64,") for source in sources)
    assert not [attributes for _, attributes in page.tags if "href" in attributes]
    assert "http" not in text.replace("http-equiv", "").replace("http://x", "")
    assert "default-src 'none'" in text
    for said in (
        "Ben <script>alert(1)</script>", '=HYPERLINK("http://x") <b>', "L1 · <i>minor</i>", "Bank & Co", "C-index",
        "bolt / cut_level_2/0.png", "majority of 2", "Krippendorff", "The image file cannot be shown.",
        "Contested, the label stays",
    ):  # fmt: skip
        assert said in page.words, said
    assert "@media print" in text
    assert "None." in change_report(AuditStore(audit.store), dataset_id, "adjudicator", draws=0)
    audit.store.close()


def test_templates_keep_the_format_of_the_benchmark(store: Store, dataset_id: str) -> None:
    audit = AuditStore(store)
    audit.reviewer("Ada")
    dataset = store.dataset(dataset_id)
    tests = dataset.select(split="test", subset="a")
    audit.record(Event(dataset_id, tests["image_id"].iloc[0], "Ada", "level", after=2.0))
    table = consensus_of(audit, dataset_id)
    lines = template_csv(dataset, table, "a", {tests["image_id"].iloc[1]: 0.25}).splitlines()
    assert lines[:3] == ["Path,Severity,Anomaly Score", "test/level_0/0.png,2.0,", "test/level_0/1.png,0.0,0.25"]
    assert len(lines) == 10
    files = template_files(dataset, table)
    assert list(files) == ["a_template.csv", "b_template.csv"]
    assert zipped(files) == zipped(files)
    card = Card(subsets={"mvtec_bottle": SubsetCard("industrial")})
    assert template_name(Dataset("m", dataset.table, card), "mvtec_bottle") == "mvtec_bottle_template.csv"
    calibrated = dataset.table.assign(split=dataset.table["split"].replace("test", "calibration"))
    assert len(template_csv(Dataset("c", calibrated), table, "a").splitlines()) == 10


# -- agreement of a dataset ---------------------------------------------------------------------


def test_agreement_is_made_for_each_subset_and_averaged() -> None:
    table = make_dataset(per_level=8).table
    tests = table[table["split"] == "test"].reset_index(drop=True)
    rng = np.random.default_rng(0)
    rows = [
        (image, name, float(np.clip(level + rng.integers(-1, 2), 0, 2)), "level", 100.0 * at + place, place == 0)
        for at, (image, level) in enumerate(zip(tests["image_id"], tests["level"], strict=True))
        for place, name in enumerate(("Ada", "Ben", "Cy"))
    ]
    rows.append((table["image_id"].iloc[0], "Cy", np.nan, "unsure", 1e6, False))
    ratings = pd.DataFrame(rows, columns=["image_id", "reviewer", "level", "state", "time", "scores_visible"])
    found = agreement(ratings, table, draws=100)
    wide = ratings.dropna().pivot_table(index="reviewer", columns="image_id", values="level")
    subset = dict(zip(table["image_id"], table["subset"], strict=True))
    alone = [krippendorff_alpha(wide.loc[:, [subset[i] == name for i in wide.columns]]) for name in ("a", "b")]
    assert found.alpha.value == pytest.approx(np.mean([value or 0 for value in alone]))
    assert [found.subsets[name].value for name in ("a", "b")] == pytest.approx(alone)
    assert (found.images, found.several, found.alpha.n) == (48, 48, 48)
    assert found.among.sum() == 3 * 48 * 2
    assert np.array_equal(found.among, found.among.T)
    assert found.against_labels.sum() == 3 * 48
    assert [(one.name, one.rated, one.unsure) for one in found.reviewers] == [
        ("Ada", 48, 0),
        ("Ben", 48, 0),
        ("Cy", 48, 1),
    ]
    assert "48 ratings were given with" in found.notes[-1]
    low, high = found.alpha.interval or [1, 0]
    assert low < (found.alpha.value or 0) < high
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["kappa"][0]["reviewers"] == ["Ada", "Ben"]


def test_agreement_of_an_empty_record_says_so(store: Store, dataset_id: str) -> None:
    found = agreement_of(AuditStore(store), dataset_id)
    assert (found.images, found.alpha.value, found.notes) == (0, None, ("Agreement needs two reviewers or more.",))
    json.dumps(found.to_json(), allow_nan=False)
