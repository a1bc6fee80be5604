"""A slice of the bad input of tests/hard, and each fault that was found there by itself."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mad_core.audit.events import event_from_json
from mad_core.audit.exchange import template_csv
from mad_core.datasets.policies import read_policy
from mad_core.datasets.readers import archives
from mad_core.datasets.readers.tables import read_rows
from mad_core.errors import InputError
from mad_core.runs.comparing import scores_side_by_side_csv
from mad_core.scorefiles import scores_csv, text_cell
from mad_core.scorers.multimodal.endpoint.address import read_address
from mad_core.scorers.multimodal.endpoint.client import read_reply
from mad_core.scorers.multimodal.readout import expected_from_top_logprobs, read_answer
from mad_core.scorers.multimodal.rubrics import parse_rubric
from mad_core.studies.export import table_csv
from mad_core.tables import read_table, text_of_cell
from tests.engine.conftest import make_dataset
from tests.hard.attack import report, run

COUNTS = {
    "images": 70,
    "tables": 15,
    "archives": 70,
    "folders": 15,
    "policies and cards": 24,
    "score files": 40,
    "rubrics": 24,
    "events": 50,
    "findings": 50,
    "answers": 60,
    "replies": 60,
    "addresses": 30,
    "parameters": 50,
}


@pytest.mark.slow
def test_bad_input_ends_in_a_sentence_at_every_door() -> None:
    tallies = run(COUNTS, seed=1)
    assert not any(tally.faults for tally in tallies), report(tallies)
    assert {tally.door: tally.cases for tally in tallies} == COUNTS


# -- what was found -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "Anomaly Score" + " " * 60_000,
        "<think>" * 9000,
        "\n" * 60_000,
        "- * \n" * 12_000,
        "Anomaly Score" + "*" * 60_000,
    ],
)
def test_an_answer_is_read_in_one_pass(answer: str) -> None:
    started = time.process_time()
    assert read_answer(answer).score is None
    assert time.process_time() - started < 3


def test_a_very_long_answer_is_read_at_both_ends() -> None:
    assert read_answer(f"<think>{'so ' * 200_000}</think>Anomaly Score: 61").score == 61


def test_numbers_of_other_scripts_are_no_scores() -> None:
    entry = {"token": "5", "top_logprobs": [{"token": "፩", "logprob": -1.0}, {"token": "5", "logprob": -0.5}, None, 7]}
    found = expected_from_top_logprobs([{"token": "Anomaly Score: "}, entry])
    assert found is not None and found.mean == 5
    assert expected_from_top_logprobs([{"token": "Anomaly Score: "}, {"token": "5", "top_logprobs": 7}]) is None


def test_what_a_server_counts_may_be_anything() -> None:
    answer = {
        "choices": [{"message": {"content": "5 \ud800"}}],
        "usage": {"prompt_tokens": float("inf")},
        "model": ["x"],
    }
    reply = read_reply(answer)
    assert (reply.tokens_in, reply.text) == (0, "5 ?")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/v1\nhttp://b/v1", "http://127.0.0.1:8000/v 1", "http://a\tb/v1"]
)
def test_an_address_holds_no_blanks(url: str) -> None:
    with pytest.raises(InputError, match="MAD_ENDPOINT_URL"):
        read_address(url, plain_http=True)


LAUGHS = "a: &a [x, x]\nb: &b [*a, *a]\n"


def test_yaml_is_read_without_aliases_and_long_numbers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2, uses an alias"):
        parse_rubric(f"{LAUGHS}title: x\n")
    policy = tmp_path / "levels.yaml"
    policy.write_text("scratch: 0x" + "f" * 300)
    with pytest.raises(InputError, match=r"levels\.yaml, line 1, is not YAML"):
        read_policy(policy)


def test_the_words_of_a_rubric_are_texts() -> None:
    with pytest.raises(InputError, match="'title' of the rubric must be a text, not a list"):
        parse_rubric("title: [[1], [2]]\ntext: x\n")


def test_a_tar_with_an_endless_header_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 20 << 20
    path = tmp_path / "long.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf() + bytes(21 << 20), 1))
    with pytest.raises(InputError, match=r"long\.tar\.gz"):
        archives.extract(path, tmp_path / "into")


def test_a_table_of_half_characters_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"path": "a.png", "level": 1, "subset": "\ud800"}]))
    assert read_rows(path)[0].subset == "?"


def test_a_small_parquet_file_of_many_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    one = pd.DataFrame({"path": pd.Categorical.from_codes(np.zeros(6_000_000, np.int8), ["a.png"])})
    one.assign(level=np.int8(1)).to_parquet(path)
    with pytest.raises(InputError, match=r"list\.parquet has 6,000,000 rows"):
        read_rows(path)


LONG_TEXT = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (8_000_000_000, 8_000_000_000))  # a mistake ends this process, not the machine
from mad_core.datasets.readers.tables import read_rows
from mad_core.errors import InputError
import pyarrow.parquet
from mad_core import tables
tables.MAX_BYTES = MEGABYTES * 1_000_000
def peak():  # of this program alone: what getrusage says begins with what the one before it took
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
before = peak()
try:
    print(len(read_rows(Path(sys.argv[1]))))
except InputError as error:
    print(error)
print(peak() - before)
"""


def long_text(path: Path, column: str, rows: int = 20_000, kind: Any = None, **how: Any) -> Path:
    """A table in which one text of a megabyte stands in every row, in a few kilobytes."""
    text = pa.array(["x" * 1_000_000] if kind is None else [b"x" * 1_000_000], kind)
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), text)
    columns = {"path": pa.array([f"{i}.png" for i in range(rows)]), "level": pa.array(np.ones(rows)), column: long}
    pq.write_table(pa.table(columns), path, compression="zstd", **how)
    return path


def asked(path: Path, limit: int = 500) -> tuple[str, int]:
    """What a process of its own says of a table, and the megabytes that it took; ``limit`` of them are too much."""
    script = LONG_TEXT.replace("MEGABYTES", str(limit))
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    answer, megabytes = done.stdout.splitlines()
    return answer, int(megabytes)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the memory that a process took")
@pytest.mark.parametrize(
    ("column", "how", "said"),
    [
        ("note", {}, "20000"),
        ("path", {}, "hold more than 500 MB"),
        ("defect", {}, "hold more than 500 MB"),
        ("path", {"store_schema": False}, "hold more than 500 MB"),
        ("path", {"store_schema": False, "kind": pa.binary()}, "hold more than 500 MB"),
    ],
)
def test_one_text_in_20000_rows_takes_little_memory(
    tmp_path: Path, column: str, how: dict[str, Any], said: str
) -> None:
    path = long_text(tmp_path / "list.parquet", column, **how)
    assert path.stat().st_size < 1_000_000
    answer, megabytes = asked(path)
    assert said in answer and megabytes < 300


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the memory that a process took")
def test_what_is_too_much_is_known_before_all_of_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    texts = [f"{i} {'x' * 20_000}" for i in range(10_000)]
    pq.write_table(pa.table({"path": texts, "level": [1] * 10_000}), path, compression="zstd", use_dictionary=False)
    answer, megabytes = asked(path, limit=20)
    assert "hold more than 20 MB" in answer and megabytes < 150


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the memory that a process took")
def test_bytes_of_one_length_are_counted_before_they_are_read(tmp_path: Path) -> None:
    path = long_text(tmp_path / "list.parquet", "defect", 300, pa.binary(1_000_000), store_schema=False)
    answer, megabytes = asked(path, limit=20)
    assert "hold more than 20 MB" in answer and megabytes < 150


def test_columns_that_are_not_known_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    notes = [f"note {i}" for i in range(500)]
    pq.write_table(pa.table({"path": [f"{i}.png" for i in range(500)], "level": [1] * 500, "note": notes}), path)
    column = pq.ParquetFile(path).metadata.row_group(0).column(2)
    with path.open("r+b") as file:
        file.seek(column.dictionary_page_offset)
        file.write(b"\xff" * column.total_compressed_size)
    with pytest.raises(OSError):
        pq.read_table(path)
    assert len(read_rows(path)) == 500


def test_a_parquet_file_of_lists_or_without_known_columns_is_a_sentence(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": [["a.png"]], "level": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"what": ["a.png"], "how": [1]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match="not plain values"):
        read_rows(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="its columns are"):
        read_rows(tmp_path / "b.parquet")


def test_a_name_of_half_a_character_is_refused() -> None:
    event = {"id": "0" * 32, "time": 1.0, "dataset_id": "d", "image_id": "i", "reviewer": "\ud800", "kind": "unsure"}
    with pytest.raises(InputError, match=r"reviewer of event 0+ holds half a character"):
        event_from_json(event)


# -- tables that people open in a spreadsheet -----------------------------------------------------

RISKY = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=x", "\r=x", "'quoted", "＝1", "plain", "a, b", 'say "no"')


@pytest.mark.parametrize("text", RISKY)
def test_a_text_cell_is_no_formula_and_comes_back(text: str) -> None:
    cell = text_cell(text)
    assert cell[:1] not in ("=", "+", "-", "@", "＝", "\t", "\r")
    assert text_of_cell(cell) == text


def test_every_table_is_safe_and_comes_back(tmp_path: Path) -> None:
    n = len(RISKY)
    table = pd.DataFrame({"path": RISKY, "subset": RISKY, "level": 1.0, "score": -0.5, "status": "ok", "reason": RISKY})
    side = pd.DataFrame({"path": RISKY, "subset": RISKY, "level": 1.0, "r": -2.5, "image_id": "i"})
    dataset = make_dataset(subsets=("a",))
    dataset.table["template_path"] = [f"={i}" for i in range(len(dataset.table))]
    texts = {
        "scores": scores_csv(table),
        "side by side": scores_side_by_side_csv(side, {"r": "=run"}),
        "study": table_csv(pd.DataFrame({"=name": RISKY, "number": -1.5})),
        "template": template_csv(dataset, pd.DataFrame({"image_id": [], "audited": []}), "a"),
    }
    for name, text in texts.items():
        cells = pd.read_csv(io.StringIO(text, newline=""), dtype=str, keep_default_na=False, header=None)
        for cell in cells.to_numpy().ravel():
            number = cell.removeprefix("-").replace(".", "").isdigit()
            assert number or cell[:1] not in ("=", "+", "-", "@", "＝", "\t", "\r"), (name, cell)
    path = tmp_path / "scores.csv"
    path.write_text(texts["scores"], encoding="utf-8", newline="")
    back = read_table(path)
    assert [back[c].tolist() for c in ("Path", "Subset", "Reason")] == [list(RISKY)] * 3
    assert back["Anomaly Score"].tolist() == ["-0.5"] * n
