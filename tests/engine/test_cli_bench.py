"""The commands of the benchmark: the table on all six datasets, resumed runs, result files out and in."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pandas as pd
import pytest

from mad_core.runs.store import Store
from mad_core.scorers import catalog

from .bench_tree import FOLDERS, make_benchmark
from .test_cli import Mad, Mean, home, mad, opened  # noqa: F401 - fixtures

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_benchmark(tmp_path)


def figures(answer: dict, place: str, scorer: str = "Mean") -> dict:
    (row,) = [r for r in answer["rows"] if (r["name"], r["scorer"]) == (place, scorer)]
    return row


def test_all_six_datasets_in_one_table(mad: Mad, root: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "out"
    answer = mad("bench-table", root, "--scorers", "mean,dinomaly", "--out", out, "--draws", 50, "--json").json
    kinds = {(r["place"], r["name"]) for r in answer["rows"]}
    assert {name for kind, name in kinds if kind == "subset"} == set(FOLDERS)
    datasets = {"mvtec", "visa", "covid19", "diabetic-retinopathy", "skin-lesion", "multidog"}
    assert {name for kind, name in kinds if kind == "dataset"} == datasets
    assert {name for kind, name in kinds if kind == "domain"} == {"industrial", "medical", "novelty"}
    subsets = [figures(answer, name) for name in ("mvtec_bottle", "mvtec_metal_nut")]
    overall = figures(answer, "overall")
    (mvtec,) = [r for r in answer["rows"] if r["name"] == "mvtec" and r["scorer"] == "Mean"]
    assert mvtec["c_index"] == pytest.approx(sum(r["c_index"] for r in subsets) / 2)
    assert mvtec["c_index_low"] is None and mvtec["c_index_high"] is None  # fewer than five images a level
    assert (overall["subsets"], overall["subsets_wanted"], overall["coverage"]) == (7, 7, 1.0)
    assert overall["seconds_score"] > 0 and overall["images_per_second"] > 0 and overall["peak_rss_bytes"] > 1e7
    assert figures(answer, "visa_pcb1")["abnormal_c_index"] is None
    (dinomaly,) = [s for s in answer["scorers"] if s["kind"] == "not run"]
    assert "weights" in dinomaly["notes"][0]
    assert "MVTec-MAD has 14 subsets as published, 2 of them are here." in answer["notes"]
    written = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert written == sorted(
        ["bench-table.csv", "bench-table.tex", "bench-table.txt", *(f"mean/mean_{name}.csv" for name in FOLDERS)]
    )
    assert sorted(answer["files"]) == sorted(str(out / name) for name in written)
    assert r"\begin{longtable}" in (out / "bench-table.tex").read_text()
    assert len(pd.read_csv(out / "bench-table.csv")) == len(answer["rows"])


def test_the_same_table_again_scores_nothing_and_a_stopped_one_goes_on(
    mad: Mad,  # noqa: F811
    opened: Store,  # noqa: F811
    root: Path,
) -> None:
    def stop() -> None:
        (job,) = opened.queue.active()
        opened.queue.request_cancel(job.id)
        time.sleep(1.5)  # until the heartbeat has seen it

    command = ("bench-table", root, "--scorers", "mean", "--limit", 6, "--draws", 20, "--maps", "none")
    Mean.after[10] = stop
    stopped = mad(*command, status=1)
    assert "the same command goes on from there" in stopped.err
    first = len(Mean.scored)
    assert 0 < first < 42
    done = mad(*command, "--json").json
    assert len(Mean.scored) == 42
    assert len(set(Mean.scored)) == 42
    again = mad(*command, "--json").json
    assert len(Mean.scored) == 42
    assert again["rows"] == done["rows"]
    (run,) = opened.runs()
    assert run.subsets == tuple(sorted(FOLDERS))


def test_a_subset_that_fails_is_named_and_the_others_are_scored(mad: Mad, root: Path) -> None:  # noqa: F811
    for file in (root / "Industry/mvtec/metal_nut/train/good").iterdir():
        file.unlink()
    found = mad("bench-table", root, "--scorers", "mean", "--draws", 0)
    assert re.search(r"MVTec-MAD, macro average of 2 subsets\n  Mean .* over 1 of 2 subsets\n", found.out)
    assert "failed on mvtec_metal_nut: Subset 'mvtec_metal_nut' has no training normals" in found.out
    assert "Subset 'mvtec_metal_nut' has no training normals" in found.err


def test_what_was_not_foreseen_on_one_subset_does_not_stop_the_others(mad: Mad, opened: Store, root: Path) -> None:  # noqa: F811
    def crash() -> None:
        raise RuntimeError("no kernel image")

    Mean.after[20] = crash
    answer = mad("bench-table", root, "--scorers", "mean", "--draws", 0, "--json").json
    (failed,) = answer["scorers"][0]["failed"].items()
    assert failed == ("diabetic-retinopathy", "RuntimeError: no kernel image (details in the worker's log)")
    assert figures(answer, "overall")["subsets"] == 7  # what it scored before it failed is kept
    assert figures(answer, "overall")["n_scored"] < 84
    (run,) = opened.runs()
    assert run.status == "failed" and run.error and run.error.startswith("diabetic-retinopathy: RuntimeError")
    healed = mad("bench-table", root, "--scorers", "mean", "--draws", 0, "--json").json
    assert (healed["scorers"][0]["failed"], figures(healed, "overall")["coverage"]) == ({}, 1.0)


def test_result_files_go_out_and_come_back(mad: Mad, opened: Store, root: Path, tmp_path: Path) -> None:  # noqa: F811
    table = mad("bench-table", root, "--scorers", "mean", "--draws", 0, "--json").json
    run = table["scorers"][0]["run"]
    out = mad("export-results", run, "--out", tmp_path / "files", "--name", "GPT 4o", "--json").json
    assert len(out[0]["files"]) == len(FOLDERS) and (tmp_path / "files/GPT-4o/GPT-4o_covid19.csv").is_file()
    title, note = "GPT-4o", "from May"
    back = mad("import-results", tmp_path / "files", "--dataset", root, "--title", title, "--note", note, "--json").json
    assert (back["mismatches"], back["n_scored"], back["n"]) == ([], 84, 84)
    beside = mad("bench-table", root, "--scorers", "mean", "--with", f"run:{back['run']}", "--draws", 0, "--json").json
    metrics = ("auroc_whole", "c_index", "kendall_tau_b", "abnormal_c_index", "n_scored")
    ours, theirs = (
        {(r["place"], r["name"]): [r[m] for m in metrics] for r in beside["rows"] if r["kind"] == kind}
        for kind in ("scored", "imported")
    )
    assert ours == theirs and len(ours) == 1 + 3 + 6 + len(FOLDERS)
    (entry,) = [s for s in beside["scorers"] if s["kind"] == "imported"]
    assert "not computed here: from May" in entry["notes"][0]
    assert mad("evaluate", f"run:{back['run']}", "--draws", 0, "--json").json["n_scored"] == 84
    assert "were made elsewhere" in mad("resume", back["run"], "--retry-failed", status=1).err
    assert mad("show", back["run"], "--json").json["record"]["imported"]["note"] == "from May"
    assert mad("runs", "--json").json[1]["scorer"] == "external"


def test_what_does_not_fit_is_listed(mad: Mad, root: Path, tmp_path: Path) -> None:  # noqa: F811
    path = tmp_path / "x_mvtec_bottle.csv"
    path.write_text("Path,Severity,Anomaly Score\ngood_level_0/000.png,0,1\ngood_level_0/nine.png,0,2\n")
    found = mad("import-results", path, "--dataset", root).out
    assert "1 row without an image\n    x_mvtec_bottle.csv: good_level_0/nine.png: Line 3" in found
    assert "11 images without a row" in found


def test_figures_of_a_paper_stand_beside(mad: Mad, root: Path, tmp_path: Path) -> None:  # noqa: F811
    paper = tmp_path / "paper.csv"
    paper.write_text("scorer,dataset/subset,auroc,c_index,kendall_tau_b,source\nRD4AD,covid19,80.1,70.2,,Cao 2024\n")
    command = ("bench-table", root, "--scorers", "mean", "--published", paper, "--draws", 20)
    found = mad(*command, "--format", "latex").out
    assert "RD4AD (as published: Cao 2024) & 80.10 & 70.20 & -- & -- &  & as published" in found
    lines = mad(*command, "--format", "csv").out.splitlines()
    assert sum(line.startswith("RD4AD (as published: Cao 2024),published,dataset,covid19") for line in lines) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        ((), 2, "at least one scorer"),
        (("--scorers", "nonsense"), 2, "No scorer is called"),
        (("--scorers", "mean", "--param", "factor=2"), 2, "scorer.name=value"),
        (("--scorers", "mean", "--param", "padim.size=2"), 2, "not among the scorers"),
        (("--scorers", "mean", "--param", "mean.factor=99"), 2, "factor"),
        (("--scorers", "mean", "--format", "html"), 2, "none of text, csv, latex"),
        (("--scorers", "mean", "--with", "abc"), 2, "say run:ID"),
        (("--scorers", "mean", "--with", "run:abc"), 1, "There is no run 'abc'"),
        (("--scorers", "mean", "--subset", "lid"), 1, "no subset 'lid'"),
        (("--scorers", "mean", "--published", "none.csv"), 1, "none.csv cannot be read"),
        (("--scorers", "dinomaly"), 1, "None of the scorers gave a score"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    mad: Mad,  # noqa: F811
    root: Path,
    arguments: tuple[str, ...],
    status: int,
    sentence: str,
) -> None:
    assert sentence in " ".join(mad("bench-table", root, *arguments, status=status).err.replace("│", "").split())
    assert Mean.scored == []


def test_json_is_one_document(mad: Mad, root: Path) -> None:  # noqa: F811
    answer = mad("bench-table", root, "--scorers", "mean", "--subset", "visa_pcb1", "--draws", 0, "--json")
    assert json.loads(answer.out)["dataset"] == "data"
    assert "mean" in catalog._CATALOG
