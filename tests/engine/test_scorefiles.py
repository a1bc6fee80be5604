"""Score files: every spelling of the benchmark in, the published format out."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mad_core.errors import InputError
from mad_core.scorefiles import read_scores, write_scores
from mad_core.tables import read_table, resolve_columns

TEMPLATES = Path(__file__).resolve().parents[2] / "../shared/data/madbench_templates"


@pytest.mark.parametrize(
    "header",
    [
        "Path,Severity,Anomaly Score",
        "image_path_raw,severity,anomaly_score",
        "Path,Area,Score",
        "\ufeffPATH, severity ,Anomaly_Score",
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_every_spelling_is_read(tmp_path: Path, header: str, separator: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(header.replace(",", separator) + f"\nmelt scratch_level_2/080.JPG{separator}2.0{separator}0.25\n")
    table = read_scores(path).table
    assert table.to_dict("records") == [
        {"path": "melt scratch_level_2/080.JPG", "level": 2.0, "score": 0.25, "subset": ""}
    ]


def test_unreadable_scores_are_unscored_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text('Path,Severity,Anomaly Score\n"a,b.png",0,\nc.png,0.5,error\nd.png,1,nan\ne.png,1,7e300\n')
    file = read_scores(path)
    assert [math.isnan(v) for v in file.table["score"]] == [True, True, True, False]
    assert file.table["path"].iloc[0] == "a,b.png"
    assert file.notes == ("1 scores are not numbers and count as unscored.",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Path,Severity\nx,1\n", "no column 'Anomaly Score'"),
        ("Path,Severity,Score\nx,-1,2\n", "line 2: the severity '-1'"),
        ("Path,Severity,Score\nx,inf,2\n", "line 2"),
        ("Path,Severity,Score\nx,1,2\nx,1,3\n", "more than once"),
        ("Path,Path,Score\nx,1,2\n", "stands twice"),
        ("", "empty"),
        ("\0\0\0", "not a table"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_scores(path)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_scores(tmp_path / "none.csv")


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(names, st.sampled_from([0.0, 0.5, 3.0]), st.floats(allow_infinity=False)),
        min_size=1,
        unique_by=lambda r: r[0].strip(),
    ),
    st.sampled_from(["=1+1", "@SUM(A1)", "plain", "-5"]),
)
def test_what_is_written_comes_back(tmp_path: Path, rows, reason) -> None:
    table = pd.DataFrame(rows, columns=["path", "level", "score"]).assign(subset="s", status="ok", reason=reason)
    path = tmp_path / "out.csv"
    write_scores(path, table)
    back = read_scores(path).table
    assert back["level"].tolist() == table["level"].tolist()
    assert back["score"].equals(table["score"])
    assert read_table(path)["Reason"].tolist() == [reason] * len(table)
    assert [p.strip() for p in back["path"]] == [p.strip() for p in table["path"]]
    with path.open(encoding="utf-8", newline="") as file:
        assert not any(row[column].startswith(("=", "@", "-")) for row in csv.reader(file) for column in (0, 3, 5))


def test_columns_are_found_whatever_their_order() -> None:
    assert resolve_columns(["Anomaly Score", "Severity", "Path"]) == {
        "score": "Anomaly Score",
        "level": "Severity",
        "path": "Path",
    }


@pytest.mark.skipif(not TEMPLATES.is_dir(), reason="the published templates are not beside this checkout")
def test_published_templates_are_read() -> None:
    sizes = {p.name: len(read_table(p)) for p in TEMPLATES.glob("*.csv")}
    assert sizes["covid19_template.csv"] == 661
    assert sizes["multidog_teddy_template.csv"] == 2500
