"""A metric is its computation and one record: with these two it stands wherever metrics stand."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from mad_core.bench.latex import bench_latex
from mad_core.bench.matrix import table_of_runs
from mad_core.bench.table import BenchTable, bench_csv, bench_text, measured_subsets
from mad_core.cli.main import app as command_line
from mad_core.metrics import comparing, names, summary
from mad_core.metrics.macro import Macro, macro
from mad_core.metrics.names import AUROC, C_INDEX, METRICS, Metric
from mad_core.runs.comparing import metrics_csv
from mad_core.runs.results import run_table
from tests.app.conftest import Home
from tests.report_text import report_html

SOMERS = Metric(
    "somers_d",
    "Somers' D",
    "D",
    "Pairs in order less pairs in reverse, as a share of the pairs of different levels.",
    place=("somers_d",),
    best=1.0,
)


@pytest.fixture
def somers(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """Somers' D of score and level, computed and on record."""
    compute = summary.severity

    def with_somers(whole: Any, abnormal: Any) -> dict[str, Any]:
        values = compute(whole, abnormal)
        c = values["c_index"]
        return {**values, "somers_d": None if c is None else 2 * c - 1}

    monkeypatch.setattr(summary, "severity", with_somers)
    monkeypatch.setattr(names, "METRICS", (*names.METRICS, SOMERS))
    return SOMERS


def metrics_of(home: Home, title: str) -> dict[str, Any]:
    rows = run_table(home.store, home.run(title).id)
    return comparing.summarize(rows["level"], rows["score"], rows["subset"], draws=20)


def bench_of(home: Home) -> BenchTable:
    def measured(run: Any) -> Any:
        rows = run_table(home.store, run.id)
        return rows, measured_subsets(rows, draws=20)

    return table_of_runs(home.store, home.dataset, home.store.runs(home.dataset), measured)


def test_it_is_averaged_over_subsets_and_stands_in_the_flat_form(home: Home, somers: Metric) -> None:
    result = metrics_of(home, "Alpha")
    parts = [2 * part["c_index"] - 1 for part in result["subsets"].values()]
    assert len(parts) == 2 and somers.value(result) == pytest.approx(sum(parts) / 2)
    assert names.flat(result)["somers_d"] == somers.value(result)
    winner, clear = comparing.best({"Alpha": result, "Beta": metrics_of(home, "Beta")})["somers_d"]
    assert (winner, clear) == ("Alpha", False)  # nobody computes its interval


def test_compare_shows_it_beside_the_others(home: Home, open_page: Callable[..., AppTest], somers: Metric) -> None:
    test = open_page("compare")
    (table,) = [e.proto.body for e in test.get("html") if "mad-metrics" in e.proto.body]
    assert '<th rowspan="2" scope="col">D</th>' in table
    value = somers.text(somers.value(metrics_of(home, "Alpha")))
    (alpha,) = [row for row in re.findall(r"<tr>(.*?)</tr>", table) if ">Alpha" in row]
    assert re.sub("<.*?>", " ", alpha).split()[-1] == value
    assert f"- **{somers.title}**: {somers.read}" in "\n".join(e.value for e in test.markdown).replace("\\", "")


def test_the_score_page_shows_it(home: Home, open_page: Callable[..., AppTest], somers: Metric) -> None:
    shown = {metric.label: metric.value for metric in open_page("score", run=home.run("Alpha").id).metric}
    assert shown[somers.title] == somers.text(somers.value(metrics_of(home, "Alpha")))


def test_it_stands_in_csv_latex_and_the_printed_table(home: Home, somers: Metric) -> None:
    result = metrics_of(home, "Alpha")
    (row,) = csv.DictReader(io.StringIO(metrics_csv([("id", "Alpha", "all", result)])))
    assert float(row["somers_d"]) == somers.value(result)
    table = bench_of(home)
    overall = next(csv.DictReader(io.StringIO(bench_csv(table))))
    assert float(overall["somers_d"]) == pytest.approx(somers.value(result)) and overall["somers_d_low"] == ""
    latex = bench_latex(table)
    (head, *_) = [line for line in latex.splitlines() if line.startswith("Scorer & AUROC")]
    assert head.split(" & ")[-3] == somers.title and r"\begin{tabular}{lccccccl}" in latex
    hundredfold = f"{100 * float(overall['somers_d']):.2f}"
    assert hundredfold in latex and somers.title in bench_text(table) and hundredfold in bench_text(table)


def test_it_stands_in_the_report(home: Home, somers: Metric) -> None:
    html = report_html(home.store, [run.id for run in home.store.runs(home.dataset)], draws=20)
    (head, *_) = re.findall(r"<thead><tr>(<th[^>]*>Run</th>.*?)</tr></thead>", html)
    assert [unescape(text) for text in re.findall(r">([^<]+)</th>", head)][-1] == somers.short
    assert f"<td class=n>{somers.text(somers.value(metrics_of(home, 'Beta')))}</td></tr>" in html


def test_the_command_line_prints_it(home: Home, somers: Metric) -> None:
    answer = CliRunner().invoke(command_line, ["evaluate", f"run:{home.run('Alpha').id}", "--draws", "20"])
    assert answer.exit_code == 0, answer.output
    value = somers.value(metrics_of(home, "Alpha"))
    assert re.search(rf"^  Somers' D +{value:.4f}$", answer.output, re.MULTILINE)
    assert len(re.findall(r", D \d\.\d{4}, AUROC", answer.output)) == 2  # and for each subset


def test_where_less_is_better_the_least_wins(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    results = {title: metrics_of(home, title) for title in ("Alpha", "Beta")}
    less = replace(C_INDEX, higher_is_better=False)
    monkeypatch.setattr(names, "METRICS", (AUROC, less))
    best = comparing.best(results)
    assert (best["c_index"][0], best["auroc_whole"][0]) == ("Beta", "Alpha")
    assert less.is_beyond([0.1, 0.2], [0.3, 0.4]) and not less.is_beyond([0.1, 0.35], [0.3, 0.4])


def test_records_place_every_value_once() -> None:
    assert len({metric.id for metric in METRICS}) == len({metric.title for metric in METRICS}) == len(METRICS)
    levels, scores = [0, 0, 1, 1, 2, 2], [0.1, 0.3, 0.2, 0.5, 0.4, 0.9]
    result = summary.evaluate(levels, scores, draws=0)
    assert (
        names.nested({metric: metric.value(result) for metric in METRICS})["abnormal_only"] == result["abnormal_only"]
    )
    assert list(names.flat(result)) == [
        *("auroc_whole", "auroc_1", "auroc_2", "c_index", "kendall_tau_b"),
        *("abnormal_c_index", "abnormal_kendall_tau_b", "tied_pairs"),
    ]
    assert isinstance(macro([]), Macro) and set(macro([]).values) == {metric.id for metric in METRICS}
