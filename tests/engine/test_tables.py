"""One reader for every table: dialects, encodings, workbooks, names of columns, numbers, levels."""

import math
import time
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mad_core import tables
from mad_core.datasets.level_cells import levels_of
from mad_core.datasets.readers.table_paths import cleaned
from mad_core.errors import InputError
from mad_core.tables import numbers, plain_name, read_table, resolve_columns

ROWS = [("0.png", "0"), ("1.png", "1"), ("a, b.png", "2")]

DIALECTS = {
    "comma": 'Path,Severity\n0.png,0\n1.png,1\n"a, b.png",2\n',
    "sep line": "sep=;\r\nPath;Severity\r\n0.png;0\r\n1.png;1\r\na, b.png;2\r\n",
    "quoted sep line": '"sep=|"\nPath|Severity\n0.png|0\n1.png|1\na, b.png|2\n',
    "bars": "Path|Severity\n0.png|0\n1.png|1\na, b.png|2\n",
    "tabs": "Path\tSeverity\n0.png\t0\n1.png\t1\na, b.png\t2\n",
    "commas in a header": 'Path;Severity;"Note (scratch, dent, crack)"\n0.png;0;\n1.png;1;\n"a, b.png";2;x, y, z\n',
    "trailing commas": 'Path,Severity,,\n0.png,0,,\n1.png,1,,\n"a, b.png",2,,\n',
    "one comma more in each row": 'Path,Severity\n0.png,0,\n1.png,1,\n"a, b.png",2,\n',
    "comments": '# exported, 2026\n\nPath,Severity\n0.png,0\n# half way\n1.png,1\n"a, b.png",2\n',
    "a title": 'Line 3, November\n\nPath,Severity\n0.png,0\n1.png,1\n"a, b.png",2\n',
    "commented header": '#Path,Severity\n0.png,0\n1.png,1\n"a, b.png",2\n',
    "index": ',Path,Severity\n0,0.png,0\n1,1.png,1\n2,"a, b.png",2\n',
    "odd blanks": 'Path\u00a0 , Severity \n 0.png , 0 \n1.png,1\n"a, b.png", 2\n',
    "twice the same": 'Path,Severity,severity\n0.png,0,0\n1.png,1,1\n"a, b.png",2,2\n',
}


def test_a_page_of_a_login_called_as_a_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n<!DOCTYPE html><html><body>Log in</body></html>\n")
    with pytest.raises(InputError, match="a web page saved under this name"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS)
def test_dialects(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8", newline="")
    table = read_table(tmp_path / "t.csv")
    columns = resolve_columns(table.columns)
    cells = zip(table[columns["path"]].str.strip(), table[columns["level"]].str.strip(), strict=True)
    assert list(cells) == ROWS


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("图像,等级\n划痕0.png,0\n划痕1.png,1\n", "gbk"),
        ("图像,等级\n划痕0.png,0\n", "utf-16"),
        ("Bild;Schweregrad\nGröße.png;0\n", "latin-1"),
        ("Bild;Schweregrad\nGröße – neu.png;0\n", "cp1252"),
        ("Fichier;Gravité\nété à.png;0\n", "latin-1"),
    ],
)
def test_encodings(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    table = read_table(tmp_path / "t.csv")
    assert set(resolve_columns(table.columns)) == {"path", "level"}
    assert table.iloc[0, 0] == text.splitlines()[1].replace(";", ",").split(",")[0]


def test_a_title_stands_above_columns_that_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Line 3\n\nBild,how bad,who\n0.png,0,A\n1.png,2,B\n")
    assert list(read_table(tmp_path / "t.csv").columns) == ["Bild", "how bad", "who"]
    (tmp_path / "t.csv").write_text("how bad\n0\n2\n")
    assert list(read_table(tmp_path / "t.csv").columns) == ["how bad"]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('# one\nsep\n\nPath,Severity\na,1\n\n"b\nc",2\nd,3\n')
    assert list(read_table(tmp_path / "t.csv").index) == [5, 8, 9]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,level\na.png,0\nb,c.png,1\n", r"line 3: this row has 3 cells, the header 2"),
        ("path,level,level\na,0,1\n", "'level' stands twice"),
        ("path,Level,level\na,0,1\n", r"'Level' and 'level' mean the same and differ \('0' and '1' in row 1\)"),
    ],
)
def test_what_is_not_clear_is_said_with_its_row(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_table(tmp_path / "t.csv")


def test_a_workbook_is_read_and_no_formula_is_run(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["nothing here"])
    sheet = book.create_sheet("labels")
    for row in [["Bild", "Schweregrad", "rate"], ["0.png", 0, 0.5], ["1.png", 1.5, "=1+1"]]:
        sheet.append(row)
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx")
    assert table.values.tolist() == [["0.png", "0", "0.5"], ["1.png", "1.5", ""]]
    assert "'labels' is read" in table.attrs["notes"][0]


def test_a_label_file_without_header(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "images/c 1.png   0.0   mono\nimages/c2.png   0.3333   poly\n".replace("c 1", "c1")
    )
    table = read_table(tmp_path / "labels.csv")
    assert list(table.columns) == ["path", "level", "subset"] and len(table) == 2
    assert "no header" in table.attrs["notes"][0]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (["image", "grade"], {"path": "image", "level": "grade"}),
        (["filename", "class"], {"path": "filename", "level": "class"}),
        (["path", "label", "severity"], {"path": "path", "level": "severity", "defect": "label"}),
        (["Image name", "Retinopathy grade (0-4)"], {"path": "Image name", "level": "Retinopathy grade (0-4)"}),
        (["image_path", "gt_label", "pred_score"], {"path": "image_path", "level": "gt_label", "score": "pred_score"}),
        (["id", "image", "choice", "annotator"], {"path": "image", "level": "choice"}),
        (["id_code", "diagnosis"], {"path": "id_code", "level": "diagnosis"}),
        (["Fichier", "Gravité", "Patient ID"], {"path": "Fichier", "level": "Gravité", "group": "Patient ID"}),
        (["文件名", "严重程度", "缺陷类型"], {"path": "文件名", "level": "严重程度", "defect": "缺陷类型"}),
        (["ファイル名", "レベル"], {"path": "ファイル名", "level": "レベル"}),
        (["Path", "Area", "Score"], {"path": "Path", "level": "Area", "score": "Score"}),
    ],
)
def test_columns_by_meaning(header: list[str], found: dict[str, str]) -> None:
    assert resolve_columns(header) == found


@pytest.mark.parametrize(
    ("cells", "separator", "values"),
    [
        (["0,0173", "1,5", ""], ";", [0.0173, 1.5, math.nan]),
        (["1.7 %", "29.5%", "100 %"], ",", [0.017, 0.295, 1.0]),
        (["tensor(0.25)", "tensor([0.5], device='cuda:0')", "[0.75]"], ",", [0.25, 0.5, 0.75]),
        (["1.234,5", "2,0", "1.234", "3"], ";", [1234.5, 2.0, 1234.0, 3.0]),
        (["0.5", "2,5", "1.234"], ";", [0.5, 2.5, 1.234]),
        (["1,234.5", "12"], ",", [1234.5, 12.0]),
        (["1,234", "2,345"], ";", [1.234, 2.345]),
        (["1,234", "2,345"], ",", [math.nan, math.nan]),
        (["1,234,567", "2,345"], ",", [1234567.0, 2345.0]),
        (["1e-3", "+2", "−3", "4."], ",", [0.001, 2.0, -3.0, 4.0]),
        (["1,2,3", "x", "٣"], ",", [math.nan] * 3),
        (["[0.1, 0.9]", "0 1", "(5)", "0 | 2", "0 + 1"], ",", [math.nan] * 5),
        (["1 234,5", "12 345 678", "2'000"], ";", [1234.5, 12345678.0, 2000.0]),
        (["array([0.5], dtype=float32)", "tensor(0.25, grad_fn=<X>)"], ",", [0.5, 0.25]),
    ],
)
def test_numbers_by_how_the_column_writes_them(cells: list[str], separator: str, values: list[float]) -> None:
    found = numbers(cells, separator)
    assert found.values.tolist() == pytest.approx(values, nan_ok=True)
    assert any("may be 1.234 or 1234" in note for note in found.notes) == (cells[0] == "1,234" and separator == ",")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1))
def test_a_decimal_comma_changes_no_number(values: list[float]) -> None:
    cells = [f"{v:.6f}" for v in values]
    assert numbers([c.replace(".", ",") for c in cells], ";").values.tolist() == [float(c) for c in cells]


@pytest.mark.parametrize(
    ("texts", "levels"),
    [
        (["0", "1.0", "01", "2.", "+1", "2,0"], [0, 1, 1, 2, 1, 2]),
        (["L0", "L2", "level_1"], [0, 2, 1]),
        (["0 - none", "1 - mild", "2 - severe"], [0, 1, 2]),
        (["0: none", "1 (mild)"], [0, 1]),
        (["1 - mild", "1 - moderate"], [None, None]),
        (["-1", "nan", "", "1/4", "inf", "severe", "5 %", "0 | 2", "0 + 1", "[0, 2]"], [None] * 10),
    ],
)
def test_levels_in_cells(texts: list[str], levels: list[float | None]) -> None:
    assert list(levels_of(texts).values()) == levels


def test_names_are_compared_without_accents_and_signs() -> None:
    assert plain_name("Gravité_(0-4)") == "gravite"


def test_rows_that_a_workbook_leaves_out_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row, cells in {1: ("path", "level"), 2: ("a.png", 0), 500_000: ("b.png", 2)}.items():
        for column, value in enumerate(cells, start=1):
            sheet.cell(row, column, value)
    book.save(tmp_path / "t.xlsx")
    read: list[object] = []
    monkeypatch.setattr(tables, "cell_text", lambda value: (read.append(value), "" if value is None else str(value))[1])
    assert tables.read_table(tmp_path / "t.xlsx")["path"].tolist() == ["a.png", "b.png"]
    assert len(read) < 50 * tables.MOST_COLUMNS


def test_a_path_of_any_length_is_cleaned_in_one_pass() -> None:
    began = time.process_time()
    assert cleaned("x" * 200_000) == "x" * 200_000  # by its square it takes half a minute
    assert time.process_time() - began < 5
    assert cleaned("http://host/data/local-files/?d=a/b.png") == "a/b.png"
