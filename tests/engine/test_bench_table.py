"""The benchmark table from arrays: places, macro averages with intervals, text, CSV, LaTeX, figures from papers."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mad_core.bench.latex import bench_latex, escape
from mad_core.bench.published import read_published
from mad_core.bench.table import (
    NOT_RUN,
    SCORED,
    BenchTable,
    Cost,
    Entry,
    Scope,
    bench_csv,
    bench_table,
    bench_text,
    best,
    long_rows,
    measured_subsets,
    places_of,
    to_best,
)
from mad_core.datasets.dataset import Card, SubsetCard
from mad_core.errors import InputError
from mad_core.metrics.macro import macro, measure
from mad_core.metrics.summary import evaluate

SUBSETS = ("mvtec_bottle", "mvtec_cable", "covid19", "multidog_teddy", "line3")
CARD = Card(subsets={"line3": SubsetCard("industrial")})


def scores(quality: float, subsets: tuple[str, ...] = SUBSETS, seed: int = 0) -> pd.DataFrame:
    """A run's table: ``quality`` times the level plus noise, 8 images a level."""
    rng = np.random.default_rng(seed)
    rows = [(s, float(level), quality * level + rng.normal()) for s in subsets for level in range(4) for _ in range(8)]
    return pd.DataFrame(rows, columns=["subset", "level", "score"])


def entry(name: str, quality: float, **facts) -> Entry:
    return Entry(name, SCORED, measured_subsets(scores(quality)), **facts)


def table(*entries: Entry) -> BenchTable:
    return bench_table("data", places_of(SUBSETS, CARD, "data"), entries)


def place(found: BenchTable, kind: str, name: str) -> Scope:
    return next(p for p in found.places if (p.kind, p.name) == (kind, name))


# -- macro averages -------------------------------------------------------------------------------


def test_macro_averages_equal_those_of_evaluate() -> None:
    rows = scores(0.6)
    found = macro(list(measured_subsets(rows, draws=0).values()))
    same = evaluate(rows["level"], rows["score"], rows["subset"], draws=0)
    assert found.values["c_index"] == pytest.approx(same["c_index"], abs=1e-12)
    assert found.values["auroc_whole"] == pytest.approx(same["auroc"]["whole"], abs=1e-12)
    assert found.values["abnormal_c_index"] == pytest.approx(same["abnormal_only"]["c_index"], abs=1e-12)
    assert (found.n, found.n_scored, found.coverage, found.complete) == (same["n"], same["n_scored"], 1.0, True)
    assert found.intervals["c_index"] is None


def test_the_interval_of_an_average_narrows_with_the_subsets() -> None:
    """Independent subsets: the width falls with the square root of their number."""
    names = tuple(f"s{i}" for i in range(16))
    parts = list(measured_subsets(scores(0.6, names)).values())
    one = np.mean([np.subtract(*reversed(i)) for p in parts if (i := macro([p]).intervals["c_index"])])
    interval = macro(parts).intervals["c_index"]
    assert interval and interval[0] < macro(parts).values["c_index"] < interval[1]
    assert (interval[1] - interval[0]) / one == pytest.approx(0.25, rel=0.35)


def test_what_is_missing_is_counted_and_never_averaged_as_zero() -> None:
    parts = [measure([0, 1, 2], [0, 1, 2]), measure([0, 1, 2], [np.nan] * 3), None]
    found = macro(parts)
    assert (found.values["c_index"], found.subsets, found.of, found.complete) == (1.0, 1, 3, False)
    assert (found.n, found.n_scored, found.coverage) == (6, 3, 0.5)
    empty = macro([None])
    assert (empty.values["c_index"], empty.coverage, empty.intervals["c_index"]) == (None, None, None)


def test_a_metric_that_a_subset_cannot_have_is_averaged_over_the_others() -> None:
    one_level = measure(np.repeat([0, 1], 6), np.arange(12))
    assert one_level.values["abnormal_c_index"] is None
    several = measure(np.repeat([0, 1, 2], 6), np.arange(18))
    assert macro([one_level, several]).values["abnormal_c_index"] == 1.0
    low, high = macro([one_level, several]).intervals["abnormal_c_index"] or (1.0, 0.0)
    assert 0.5 < low < high == 1.0
    few = measure([0, 1, 2, 2], [0, 1, 2, 3])
    assert macro([several, few]).intervals["abnormal_c_index"] is None  # a value and its interval go together


# -- places and rows ------------------------------------------------------------------------------


def test_places_are_overall_domains_datasets_subsets() -> None:
    found = [(p.kind, p.name, len(p.subsets)) for p in places_of(SUBSETS, CARD, "data")]
    assert found == [
        ("overall", "overall", 5),
        ("domain", "industrial", 3),
        ("domain", "medical", 1),
        ("domain", "novelty", 1),
        ("dataset", "covid19", 1),
        ("dataset", "data", 1),
        ("dataset", "multidog", 1),
        ("dataset", "mvtec", 2),
        *(("subset", name, 1) for name in sorted(SUBSETS)),
    ]
    assert next(p for p in places_of(SUBSETS, CARD, "data") if p.name == "mvtec").published == 14


def test_a_partial_average_says_so_and_is_never_best() -> None:
    strong = scores(3.0)
    lacking = measured_subsets(strong[strong["subset"] != "mvtec_cable"])
    partial = Entry("Strong", SCORED, lacking, failed={"mvtec_cable": "Subset 'mvtec_cable' has no normals."})
    found = table(partial, entry("Weak", 0.2), entry("Weaker", 0.0))
    mvtec = found.at(place(found, "dataset", "mvtec"))
    assert [row.remark for row in mvtec] == ["over 1 of 2 subsets", "", ""]
    assert best(mvtec, "c_index") is None
    cable = found.at(place(found, "subset", "mvtec_cable"))
    assert (cable[0].summary, cable[0].remark) == (None, "failed on mvtec_cable")
    assert (
        best(found.at(place(found, "subset", "covid19")), "c_index") is found.at(place(found, "subset", "covid19"))[0]
    )
    assert "Strong: failed on mvtec_cable: Subset 'mvtec_cable' has no normals." in bench_text(found)
    assert "MVTec-MAD has 14 subsets as published, 2 of them are here." in found.notes


def test_best_only_where_paired_differences_say_so() -> None:
    found = table(entry("A", 0.6), Entry("B", SCORED, measured_subsets(scores(0.62, seed=9))))
    overall = found.at(place(found, "overall", "overall"))
    assert best(overall, "c_index") is None
    found = table(entry("A", 3.0), entry("B", 0.1))
    rows = found.at(found.places[0])
    assert best(rows, "c_index") is rows[0]
    gap = to_best(rows, "c_index")["B"]
    assert (
        gap.value == pytest.approx((rows[1].value("c_index") or 0) - (rows[0].value("c_index") or 0)) and gap.sign < 0
    )
    long = long_rows(found)
    assert long[0]["c_index_to_best"] == 0 and long[0]["c_index_to_best_low"] is None
    assert [long[1][f"c_index_to_best{end}"] for end in ("", "_low", "_high")] == [gap.value, *(gap.interval or ())]
    assert "Difference to the best C-index" in bench_text(found) and "highest" in bench_text(found)


def test_time_adds_up_and_memory_does_not() -> None:
    costs = {name: Cost(32, 2.0, 4.0, 100 + i, None) for i, name in enumerate(SUBSETS)}
    rows = long_rows(table(entry("A", 1.0, costs=costs)))
    overall = rows[0]
    assert (overall["seconds_fit"], overall["seconds_score"], overall["images_per_second"]) == (10.0, 20.0, 8.0)
    assert (overall["peak_rss_bytes"], overall["peak_cuda_bytes"]) == (104, None)


def test_csv_is_long_and_exact() -> None:
    why = "It needs weights.\n=1+1"
    found = table(entry("=A", 0.6), Entry("B", NOT_RUN, notes=(why,)))
    read = pd.read_csv(io.StringIO(bench_csv(found)))
    assert len(read) == 2 * len(found.places)
    first = read.iloc[0]
    assert first["scorer"] == "'=A" and first["c_index"] == long_rows(found)[0]["c_index"]
    assert first["c_index_low"] < first["c_index"] < first["c_index_high"]
    assert read[read["kind"] == "not run"]["note"].str.contains("It needs weights").all()
    assert read[read["kind"] == "not run"]["c_index"].isna().all()


def test_text_columns_stand_under_each_other() -> None:
    lines = bench_text(table(entry("A", 0.6), entry("A longer name", 0.1))).splitlines()
    at = lines[1].index("C-index")
    figures = [line for line in lines[2:] if line.startswith("  A")]
    assert len(figures) == 2 * len({p.subsets for p in places_of(SUBSETS, CARD, "data")})
    assert all(re.match(r"\d+\.\d\d \[", line[at:]) for line in figures)


# -- LaTeX ----------------------------------------------------------------------------------------

COMMANDS = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textquotedbl{}": '"',
    r"\textasciigrave{}": "`",
    r"\textperiodcentered{}": "·",
    **{f"\\{c}": c for c in "{}&%$#_"},
    **{f"{{{c}}}": c for c in "[]*"},
    "{}": "",
}
TOKEN = re.compile("|".join(re.escape(c) for c in sorted(COMMANDS, key=len, reverse=True)))


def printed(latex: str) -> str:
    """What LaTeX prints of an escaped text; fails on a character that it would act upon."""
    assert not re.search(r"[\\{}&%$#_~^<>|\"`*\[\]\x00-\x1f]|--|''|,,", TOKEN.sub("\x20", latex)), latex
    assert not re.search(r"--|''|,,", latex)
    return TOKEN.sub(lambda found: COMMANDS[found.group()], latex)


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_escaped_text_is_printed_letter_by_letter(text: str) -> None:
    assert printed(escape(text)) == re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)


@given(st.text("\\{}&%$#_~^[]*-',`\"", max_size=12))
def test_text_of_special_characters_alone_is_escaped(text: str) -> None:
    assert printed(escape(text)) == text


def test_latex_is_balanced_and_bold_where_it_is_clear() -> None:
    why = "Needs 5 % of_it & more\\"
    found = table(entry("A_1", 3.0), entry("50 % [B]", 0.1), Entry("C", NOT_RUN, notes=(why,)))
    text = bench_latex(found)
    for opened, closed in ((r"\begin{table}", r"\end{table}"), (r"\begin{longtable}", r"\end{longtable}")):
        assert text.count(opened) == text.count(closed) == 1
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 1  # no costs are known here
    lines = [line for line in text.splitlines() if line.endswith(r"\\") and r"\multicolumn" not in line]
    lines = [line for line in lines if not line.startswith(r"\caption")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {6}
    bare = re.sub(r"\\[{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert re.search(r"A\\_1 & \\textbf\{\d+\.\d\d\} \{\\scriptsize \[\d+\.\d\d, \d+\.\d\d\]\}", text)
    assert r"50 \% {[}B{]} & " in text and escape(why) in text
    assert r"C & -- & -- & -- & -- &  & not run \\" in text


def test_a_negative_value_has_a_minus_sign() -> None:
    assert r"$-$" in bench_latex(table(entry("A", -3.0)))


# -- figures typed from a paper -------------------------------------------------------------------

PLACES = places_of(SUBSETS, CARD, "data")


def typed(tmp_path, text: str, name: str = "paper.csv") -> list[Entry]:
    path = tmp_path / name
    path.write_text(text)
    return read_published(path, PLACES)


def test_figures_stand_at_their_places_without_intervals(tmp_path) -> None:
    text = "scorer,dataset/subset,auroc,c_index,kendall_tau_b,source\n"
    text += (
        "RD4AD,mvtec/bottle,99.5,88.1,-3.2,Cao 2024\nRD4AD,MVTec-MAD,98,80.5,,Cao 2024\nRD4AD,visa,97,79,50,Cao 2024\n"
    )
    (found,) = typed(tmp_path, text)
    assert found.name == "RD4AD (as published: Cao 2024)"
    assert found.figures["subset", "mvtec_bottle"] == pytest.approx(
        {"auroc_whole": 0.995, "c_index": 0.881, "kendall_tau_b": -0.032}
    )
    assert found.figures["dataset", "mvtec"] == pytest.approx({"auroc_whole": 0.98, "c_index": 0.805})
    made = table(entry("A", 0.5), found)
    (row,) = [r for r in made.at(place(made, "dataset", "mvtec")) if r.entry is found]
    assert (row.value("c_index"), row.interval("c_index"), row.remark) == (pytest.approx(0.805), None, "as published")
    assert len(made.at(place(made, "dataset", "covid19"))) == 1
    assert any("visa have no place here" in note for note in made.notes)


def test_yaml_and_fractions(tmp_path) -> None:
    text = "- {scorer: GPT-4o, dataset: covid19, auroc: 0.81, c_index: 0.7, source: 'Cao 2024, table 2'}\n"
    (found,) = typed(tmp_path, text, "paper.yaml")
    assert found.figures["dataset", "covid19"] == {"auroc_whole": 0.81, "c_index": 0.7}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("scorer,place,auroc\nA,mvtec,0.5\n", "no source"),
        ("scorer,auroc,source\nA,0.5,x\n", "no dataset or subset"),
        ("scorer,place,auroc,source\nA,mvtec,high,x\n", "'high' of A on mvtec is no figure"),
        ("scorer,place,auroc,source\nA,mvtec,101,x\n", "is no figure"),
        ("scorer,place,auroc,source\nA,mvtec,nan,x\n", "is no figure"),
        ("scorer,place,auroc,source\nA,mvtec,,x\n", "holds no figure"),
        ("scorer,place,auroc,source\nA,mvtec,0.5,x\nA,MVTec-MAD,0.6,x\n", "two rows"),
        ("", "empty"),
    ],
)
def test_figures_that_cannot_be_used_are_a_sentence(tmp_path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        typed(tmp_path, text)


@pytest.mark.parametrize("text", ["a: 1\n", "- 1\n", "[", "!!python/object:os.system {}"])
def test_yaml_that_is_no_list_of_figures_is_a_sentence(tmp_path, text: str) -> None:
    with pytest.raises(InputError):
        typed(tmp_path, text, "paper.yml")
