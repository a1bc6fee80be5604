"""Tables as programs and people write them, read by one set of rules: every cell is the text that stands there.

CSV with comma, semicolon, tab or bar (found by looking, or named by a first line ``sep=;``), columns between blanks,
UTF-8, UTF-16, GBK or Latin-1; Excel workbooks (no formula is evaluated: what Excel stored counts); JSON, JSON lines;
Parquet. Columns are known by what their names mean (:data:`SPELLINGS`), numbers by how a whole column writes them
(:func:`numbers`).
"""

import csv
import io
import itertools
import json
import math
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError
from mad_core.filekinds import kind_of, most_entries

SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xlsm"})
"""Files that are taken for tables where a folder holds them."""
TEXTS = frozenset({".txt", ".tab", ".dat", ".psv", ".lst"})
"""Files that are read as tables where a person names them."""
MAX_BYTES = 500_000_000
MOST_ROWS, MOST_COLUMNS = 5_000_000, 1_000

_GROUPS = ("group", "patient", "subject", "case", "person", "part", "serial", "specimen", "wafer", "panel", "board")
_GROUPS += ("lot", "batch", "camera", "device", "site", "line")

_WORDS: Mapping[str, str] = {
    "path": (
        "path, image_path_raw, image_path, image, image path, img_path, img, file, file name, file_name, "
        "filename, relative path, file path, filepath, image name, image_name, image file, image_file_name, "
        "imagefile, img_name, picture, photo, id_code, image id, image_id, img_id, uid, sop instance uid, "
        "fname, fpath, bild, bildpfad, bilddatei, bildname, datei, dateiname, dateipfad, pfad, foto, "
        "fichier, nom du fichier, chemin, archivo, nombre de archivo, imagen, ruta, arquivo, "
        "nome do arquivo, imagem, caminho, immagine, nome file, percorso, bestand, bestandsnaam, plik, "
        "obraz, ścieżka, файл, имя файла, путь, изображение, 图像, 图片, 图片名, 图像名称, 文件, 文件名, "
        "文件名称, 路径, 图片路径, 图像路径, 檔名, 影像, 画像, 画像名, 画像パス, ファイル, ファイル名, パス, "
        "이미지, 파일, 파일명, 경로"
    ),
    "level": (
        "severity, level, severity level, severity grade, severity score, grade, dr grade, "
        "retinopathy grade, kl grade, kl, isup grade, isup_grade, birads, diagnosis, stage, degree, rating, "
        "ordinal, defect level, schweregrad, grad, stufe, schwere, fehlerklasse, gravité, sévérité, niveau, "
        "degré, gravedad, severidad, nivel, grado, gravidade, grau, gravità, severità, livello, ernst, "
        "ernstgraad, stopień, poziom, степень, тяжесть, степень тяжести, уровень, 严重程度, 严重等级, "
        "严重度, 等级, 级别, 程度, 分级, 嚴重程度, 重症度, 深刻度, 重大度, レベル, 等級, グレード, 심각도, "
        "등급, 레벨, 수준, defect probability, gt label, gt_label, label, labels, true label, target, "
        "ground truth label, class, class label, y, y_true, klasse, classe, clase, 标签, 类别, ラベル, "
        "クラス, 라벨, choice, choices, sentiment, verdict, urteil, area"
    ),
    "score": (
        "anomaly score, score, pred score, pred_scores, scores, image score, image_score, raw score, "
        "anomalyscores, anomaly_score_raw, predicted score, prediction score, anomaly probability, "
        "anomaly_map_max, y_score, y_pred, prediction, predicted, pred, output, distance, probability, prob, "
        "confidence, logit, anomaliewert, anomalie score, score d'anomalie, puntuación, puntaje, "
        "puntuación de anomalía, pontuação, punteggio, punteggio di anomalia, wynik, оценка, балл, 异常分数, "
        "异常得分, 得分, 分数, 異常スコア, 異常度, スコア, 이상 점수, 점수, bewertung, punktzahl"
    ),
    "subset": (
        "subset, category, product, object, teil, produkt, kategorie, produit, catégorie, producto, "
        "categoría, prodotto, categoria, 产品, 类目, 子集, 製品, カテゴリ, 제품"
    ),
    "status": "status",
    "reason": "reason",
    "split": (
        "split, set, fold, partition, usage, phase, subset split, aufteilung, ensemble, conjunto, 划分, 数据集, 分割"
    ),
    "defect": (
        "defect, defect type, defecttype, anomaly class, anomaly_class, anomaly type, anomaly, fault, "
        "error type, defekt, fehler, fehlerart, fehlertyp, défaut, type de défaut, defecto, tipo de defecto, "
        "defeito, tipo de defeito, difetto, tipo di difetto, wada, дефект, тип дефекта, 缺陷, 缺陷类型, "
        "瑕疵, 欠陥, 欠陥種別, 결함, 결함 유형"
    ),
    "mask": (
        "mask, mask path, mask_path, ground truth, ground_truth, gt_mask, gt mask, maske, masque, máscara, "
        "maschera, 掩码"
    ),
    "group": ", ".join(f"{word}{end}" for word in _GROUPS for end in ("", " id", " no", " nr", " number", " name")),
}
"""Names of columns in plain words of several languages and as usual tools write them, by what they mean."""


def plain_name(name: object) -> str:
    """A column's name as it is compared: no accents, case, blanks, signs, or words in brackets.

    >>> plain_name("Gravité (0-4)")
    'gravite'
    """
    text = re.sub(r"\([^)]*\)|\[[^]]*\]", "", str(name))
    letters = (c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "", "".join(letters))


SPELLINGS: Mapping[str, tuple[str, ...]] = {
    ours: tuple(dict.fromkeys(plain_name(word) for word in words.split(","))) for ours, words in _WORDS.items()
}
"""Names of columns as :func:`plain_name` gives them; the first that a table has counts."""
DEFECT_WORDS = ("label", "labels", "class", "classlabel", "klasse", "classe", "clase", "category")
"""Columns that name a defect type where another one says the level."""

_SEPARATORS = (",", ";", "\t", "|")
_BETWEEN_BLANKS = "blanks"
_ELPV = "The levels of elpv-dataset are the experts' certainty of a defect, not its severity."
_STAND_INS = (b"version https://git-lfs.github.com/spec/", b"/annex/objects/", b"../.git/annex/objects/")
"""How texts begin that stand for a file which is not there."""
_SAMPLE_LINES, _SAMPLE_CHARACTERS = 60, 200_000
_CHUNK = 50_000
_BATCH_ROWS = 1_024
_MOST_SHEET_ROWS = 1_048_576
_MOST_UNPACKED, _UNPACKED_RATIO = 50_000_000, 200
_MOST_PARTS = 100_000
"""Files in a workbook: a handful, and one for each sheet and picture."""
_IMAGE_NAME = re.compile(
    r".+\.(png|jpe?g|jpe|jfif|tiff?|bmp|webp|gif|ppm|pgm|pbm|dcm|heic|avif|jxl|jp2)", re.IGNORECASE
)
RISKY = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "'")
"""What a cell must not begin with: a spreadsheet would take it for a formula, or eat the quote that prevents it."""


class OtherTableError(InputError):
    """A file that is read, but is no table of images."""


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name; of XML it is what CVAT exports."""
    return path.suffix.lower() in SUFFIXES or path.name.lower() == "annotations.xml"


def lists_images(path: Path) -> bool:
    """Whether a text begins with the name of an image and something else on the line: a list of labels."""
    try:
        with path.open("rb") as file:
            lines = decoded(file.read(4_000)).split("\n")
    except OSError:
        return False
    cells = [cell for cell in re.split(r"[\s,;|]+", next((line for line in lines if line.strip()), "")) if cell]
    return len(cells) > 1 and any(_IMAGE_NAME.fullmatch(cell) for cell in cells)


def resolve_columns(header: Iterable[Any], table: pd.DataFrame | None = None) -> dict[str, str]:
    """Which column of a file is which: our name to the file's name, for those that are there.

    Parameters
    ----------
    header : iterable of str
    table : DataFrame, optional
        The cells, so that two columns of one meaning are compared.

    Raises
    ------
    InputError
        If a name stands twice in the header, or two columns of one name but for its spelling differ in their cells.
    """
    names = [str(h) for h in header]
    repeated = {n for n in names if names.count(n) > 1}
    if repeated:
        raise InputError(f"The column '{sorted(repeated)[0]}' stands twice in the header; name each column once.")
    columns = _meanings(names)
    for name in columns.values() if table is not None else ():
        _same_cells(table, [n for n in names if plain_name(n) == plain_name(name)])
    return columns


def _meanings(names: Sequence[str]) -> dict[str, str]:
    plain = {plain_name(name): name for name in reversed(names)}
    columns: dict[str, str] = {}
    for ours, spellings in SPELLINGS.items():
        spelling = next((s for s in spellings if s in plain), None)
        if spelling is not None:
            columns[ours] = plain[spelling]
    if "defect" not in columns and "level" in columns:
        other = next((plain[w] for w in DEFECT_WORDS if w in plain and plain[w] not in columns.values()), None)
        columns |= {"defect": other} if other else {}
    return columns


def also_meant(table: pd.DataFrame, columns: Mapping[str, str]) -> list[str]:
    """Of columns that may be the level or the score as well as the one that is taken, and say something else."""
    sentences = []
    for ours in ("level", "score"):
        taken = columns.get(ours)
        if taken is None:
            continue
        for other in (n for n in table.columns if n not in columns.values() and plain_name(n) in SPELLINGS[ours]):
            if (table[taken].astype(str).str.strip() != table[other].astype(str).str.strip()).any():
                names = f"'{printable(taken)[:40]}' is taken for the {ours}; '{printable(other)[:40]}'"
                sentences.append(f"{names} may be meant, too, and says something else.")
    return sentences


def _same_cells(table: Any, names: Sequence[str]) -> None:
    """Two columns of one meaning must say the same, else one of them would be read and the other not."""
    if table is None:
        return
    for other in names[1:]:
        first: Any = table[names[0]]
        differ = np.flatnonzero((first.astype(str) != table[other].astype(str)).to_numpy())
        if len(differ):
            place = int(differ[0])
            raise InputError(
                f"The columns '{names[0]}' and '{other}' mean the same and differ ('{str(first.iloc[place])[:40]}' and "
                f"'{str(table[other].iloc[place])[:40]}' in row {place + 1}); remove or rename one."
            )


def columns_in_words(columns: Iterable[Any]) -> str:
    """The names of a table's columns for a sentence, however many and long they are."""
    names = [name if len(name) <= 40 else f"{name[:39]}…" for name in map(printable, columns)]
    return ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")


def printable(value: object) -> str:
    """A text for a sentence: no control character reaches the terminal."""
    return "".join(c if c.isprintable() else "�" for c in str(value))


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of texts.

    A quote that :func:`text_cell` put before a text is taken away; lines that begin with ``#`` are comments; columns
    and cells beyond the header count only where something stands in them.

    Returns
    -------
    DataFrame of str
        Its index holds the numbers of the lines in the file; ``attrs["notes"]`` what a reader should know of how it was
        read, ``attrs["separator"]`` what stood between its cells (empty where the format has none).

    Raises
    ------
    InputError
        If it is missing, too large, empty or no table.
    """
    suffix = path.suffix.lower()
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES / 1e6:.0f} MB; split it.")
        if suffix == ".parquet":
            return _parquet(path)
        if suffix in (".xlsx", ".xlsm"):
            return _workbook(path, size)
        if suffix in (".json", ".jsonl", ".ndjson"):
            return table_of_records(path, read_json(path))
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or 'it is damaged'}.") from None
    return _csv(path, raw)


# -- CSV ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Dialect:
    """How a text is written as a table: its separator and, where its first lines are none of it, where it begins."""

    separator: str
    header: tuple[str, ...]
    skip: int  # records up to and with the header
    notes: tuple[str, ...] = ()


def decoded(raw: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 (marked, or told by its zeros), GBK where it is likely, else Latin-1."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if raw.startswith(mark):
            return raw.decode(name, "replace")
    sample = raw[:4000]
    if len(sample) >= 8 and b"\0" in sample:
        for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            half = sample[place::2]
            if half.count(0) > 0.7 * len(half) and sample.count(0) < 0.6 * len(sample):
                return raw.decode(name, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("gb18030" if _is_gbk(raw) else "cp1252" if _is_windows(raw) else "latin-1")


def _is_gbk(raw: bytes) -> bool:
    """Whether bytes above 127 come in pairs, most of which are frequent Chinese characters."""
    runs = re.findall(rb"[\x80-\xff]+", raw[: 1 << 20])
    if any(len(run) % 2 for run in runs[:-1]):
        return False
    pairs = [run[at : at + 2] for run in runs for at in range(0, len(run) - 1, 2)]
    frequent = sum(0xB0 <= pair[0] <= 0xD7 and pair[1] >= 0xA1 for pair in pairs)
    if not pairs or frequent < 0.6 * len(pairs):
        return False
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError:
        return False
    return True


def _is_windows(raw: bytes) -> bool:
    """Whether bytes stand there that Latin-1 leaves to control characters and Windows uses for signs."""
    try:
        raw.decode("cp1252")
    except UnicodeDecodeError:
        return False
    return re.search(rb"[\x80-\x9f]", raw) is not None


def _csv(path: Path, raw: bytes) -> pd.DataFrame:
    if raw.startswith(_STAND_INS) or re.match(rb"[\xef\xbb\xbf\s]{0,99}<(!doctype\s+html|html)", raw, re.IGNORECASE):
        raise InputError(f"{path} is {kind_of(path)}.")
    text = decoded(raw)
    if not text.strip("\ufeff \t\r\n") or "\0" in text[:_SAMPLE_CHARACTERS]:
        kind = kind_of(path)
        raise InputError(f"{path} is empty or is not a table of text{f': it is {kind}' if kind and raw else ''}.")
    dialect = _dialect(text)
    if len(dialect.header) > MOST_COLUMNS:
        raise InputError(f"{path} has more than {MOST_COLUMNS:,} columns; keep those needed.")
    return _frame(path, dialect, _records_of(text, dialect.separator))


def _dialect(text: str) -> _Dialect:
    """Of the separators that are known the one that makes the best table of the first lines."""
    sample = text[:_SAMPLE_CHARACTERS].lstrip("\ufeff")
    named = re.match(r"\s{0,9}\"?sep=([,;\t|:^~])\"?[,;\t ]{0,99}\r?\n", sample, re.IGNORECASE)
    if named:
        return _tried(text, named[1])[1]
    tried = [_tried(text, separator) for separator in _SEPARATORS]
    (_, _, columns), best = max(tried, key=lambda one: one[0])  # the first of equals
    (recognised, _, _), between = _tried(text, _BETWEEN_BLANKS) if columns < 2 else ((0, 0, 0), best)
    return between if recognised else best


def _tried(text: str, separator: str) -> tuple[tuple[int, int, int], _Dialect]:
    """How good a table a separator makes (columns known, lines that agree, columns), and that table's beginning."""
    try:
        records = itertools.islice(_records_of(text[:_SAMPLE_CHARACTERS], separator), _SAMPLE_LINES)
        rows = [cells for _, cells in records]
    except InputError:  # a cell too long to be one
        rows = []
    at = _header_at(rows)
    if at is None:
        return (0, 0, 0), _Dialect(separator, ("",), 1)
    header = tuple(cell.strip() for cell in rows[at])
    header = (header[0].lstrip("# ").strip(), *header[1:])
    body = [r for r in rows[at + 1 :] if not _is_comment(r, len(header)) and any(c.strip() for c in r)]
    recognised = len(_meanings([h for h in header if h]))
    agreeing = sum(len(_trimmed(r)) <= len(header) and len(r) > 1 for r in body)
    if not recognised:
        names = _names_without_header(rows[at:], separator)
        if names:
            notes = (f"The first line is no header; its columns are taken for {', '.join(names)}.",)
            notes += (_ELPV,) if "subset" in names else ()
            return (2, agreeing, len(names)), _Dialect(separator, names, at, notes)
        if separator == _BETWEEN_BLANKS:
            return (0, 0, 0), _Dialect(separator, header, at + 1)
    elif separator == _BETWEEN_BLANKS and (recognised < 2 or agreeing < len(body)):
        return (0, 0, 0), _Dialect(separator, header, at + 1)
    return (recognised, agreeing, len(header)), _Dialect(separator, header, at + 1)


def _header_at(rows: Sequence[Sequence[str]]) -> int | None:
    """Where the header stands: the first line of known columns, else the first that is no comment and no title."""
    first, title = None, False
    for at, cells in enumerate(rows[:30]):
        filled = [c for c in cells if c.strip()]
        if not filled or (at == 0 and re.fullmatch(r"sep=.?", filled[0].strip(), re.IGNORECASE)):
            continue
        marked = filled[0].lstrip().startswith("#")
        if len(_meanings([cells[0].lstrip("# "), *cells[1:]])) >= (2 if marked or first is not None else 1):
            return at
        if not marked and (first is None or (title and len(filled) > 1)):
            first, title = at, len(filled) == 1
    return first


def _names_without_header(rows: Sequence[Sequence[str]], separator: str) -> tuple[str, ...] | None:
    """Names for the columns of a table whose first line already names an image; None where it does not.

    The column of image files is the path, the first one of numbers alone the level; a third one of two
    kinds of solar cells is how the label file of ``elpv-dataset`` is written.
    """
    rows = [r for r in rows if any(c.strip() for c in r)]
    path = next((i for i, cell in enumerate(rows[0]) if _IMAGE_NAME.fullmatch(cell.strip())), None)
    if path is None or len(rows[0]) < 2:
        return None
    columns = [[r[i].strip() if i < len(r) else "" for r in rows] for i in range(len(rows[0]))]
    level = next((i for i, c in enumerate(columns) if i != path and all(_is_number(v) for v in c)), None)
    names = [f"column {i + 1}" for i in range(len(columns))]
    for i, column in enumerate(columns):
        if set(column) <= {"mono", "poly"}:
            names[i] = "subset"
    names[path] = "path"
    if level is not None:
        names[level] = "level"
    elif len(columns) == 2:
        names[1 - path] = "level"
    return tuple(names) if "level" in names else None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?", text) is not None


def _records_of(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a text, with the line that each ends on."""
    lines = io.StringIO(text.lstrip("\ufeff"), newline="")
    if separator == _BETWEEN_BLANKS:
        for number, line in enumerate(lines, start=1):
            yield number, line.split()
        return
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != "\t")
    record: list[str] = []
    try:
        for record in reader:
            yield reader.line_num, record
        if record and any(c in record[-1] for c in "\r\n") and text.count('"') % 2:
            raise InputError("a quote is opened and never closed in its last row")
    except csv.Error as error:
        raise InputError(f"line {reader.line_num} is not readable ({error})") from None


def _trimmed(cells: Sequence[str]) -> Sequence[str]:
    """Cells without the empty ones at their end."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _is_comment(cells: Sequence[str], width: int) -> bool:
    """A line of its own that begins with a number sign: one cell alone, or more than there are columns."""
    if not cells or not cells[0].lstrip().startswith("#"):
        return False
    return len(_trimmed(cells)) == 1 or len(_trimmed(cells)) > width


def _frame(path: Path, dialect: _Dialect, records: Iterator[tuple[int, list[str]]]) -> pd.DataFrame:
    """The records below the header as a table, taken in pieces so that a large file does not stand in memory twice."""
    names = _unique_names(path, dialect.header)
    rows, parts = _rows_below(itertools.islice(records, dialect.skip, None), len(names)), []
    try:
        while piece := list(itertools.islice(rows, _CHUNK)):
            columns = zip(*(cells for _, cells in piece), strict=True)
            data = {name: pd.array(list(column), dtype="str") for name, column in zip(names, columns, strict=True)}
            parts.append(pd.DataFrame(data, index=[line for line, _ in piece]))
            if len(parts) * _CHUNK > MOST_ROWS:
                raise InputError(f"{path} has more than {MOST_ROWS:,} rows; split it.")
    except InputError as error:
        text = str(error)
        whole = text if text.startswith(str(path)) else f"{path} is not a table with one header line: {text}."
        raise InputError(whole) from None
    table = pd.concat(parts) if parts else pd.DataFrame(columns=names, dtype="str")
    return _finished(path, table, dialect.notes, dialect.separator)


def _rows_below(records: Iterable[tuple[int, list[str]]], width: int) -> Iterator[tuple[int, list[str]]]:
    """The rows as wide as the header, with their lines; comments and empty ones left out."""
    for line, cells in records:
        if len(cells) == width and cells[0][:1] > "#":  # nearly every row
            yield line, cells
        elif any(c.strip() for c in cells) and not _is_comment(cells, width):
            if len(cells) > width and len(_trimmed(cells)) > width:
                raise InputError(
                    f"line {line}: this row has {len(_trimmed(cells))} cells, the header {width}; write a text that "
                    "holds the separator in double quotes, or a number with a decimal point"
                )
            yield line, [*cells[:width], *[""] * (width - len(cells))]


def _unique_names(path: Path, header: Sequence[str]) -> list[str]:
    """The header's names; a column without one is called by its place.

    Raises
    ------
    InputError
        If two columns have the same name.
    """
    names = [name.strip() or f"column {at + 1}" for at, name in enumerate(header)]
    repeated = {n for n in names if names.count(n) > 1}
    if repeated:
        name = printable(sorted(repeated)[0])
        raise InputError(f"{path}: The column '{name}' stands twice in the header; name each column once.")
    return names


def _finished(path: Path, table: pd.DataFrame, notes: Iterable[str] = (), separator: str = "") -> pd.DataFrame:
    """A table of texts without nameless empty columns, quotes of :func:`text_cell` taken away."""
    for name in list(table.columns):
        column: Any = table[name]
        if re.fullmatch(r"column \d+", name) and not column.str.strip().astype(bool).any():
            table = table.drop(columns=name)
        elif column.str.startswith("'").any():
            table[name] = column.map(text_of_cell)
    try:
        resolve_columns(table.columns, table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    table.attrs = {"notes": tuple(notes), "separator": separator}
    return table


def text_of_cell(cell: str) -> str:
    """The inverse of :func:`mad_core.scorefiles.text_cell`; other cells, quotes included, stay as they are."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(RISKY) else cell


# -- Excel ----------------------------------------------------------------------------------------


def _workbook(path: Path, size: int) -> pd.DataFrame:
    """The first sheet of a workbook with known columns; of a formula counts what Excel stored, none is evaluated."""
    if most_entries(path) > _MOST_PARTS:
        raise InputError(f"{path} holds too many parts for a workbook; save it as CSV.")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise InputError(f"{path} is {kind_of(path) or 'no Excel workbook'}.") from None
    if unpacked > max(_MOST_UNPACKED, _UNPACKED_RATIO * size) or unpacked > MAX_BYTES:
        raise InputError(
            f"{path} would unpack to {unpacked / 1e6:.0f} MB, too much for a list of images; save it as CSV."
        )
    try:
        return _first_sheet(path)
    except InputError:
        raise
    except ImportError:
        raise
    except Exception as error:  # workbooks that are broken raise nearly anything
        raise InputError(f"{path} is not readable as an Excel workbook: {_short(error)}.") from None


def _first_sheet(path: Path) -> pd.DataFrame:
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        sheets = [s for s in book.worksheets if getattr(s, "sheet_state", "visible") == "visible"] or book.worksheets
        best: tuple[int, Any, int, list[str]] | None = None
        for sheet in sheets[:50]:
            rows = [cells for _, cells in itertools.islice(_sheet_rows(path, sheet), _SAMPLE_LINES)]
            at = _header_at(rows)
            recognised = len(_meanings([h for h in rows[at] if h])) if at is not None else -1
            if at is not None and (best is None or recognised > best[0]):
                best = recognised, sheet, at, rows[at]
        if best is None:
            raise InputError(f"{path} holds no filled sheet.")
        _, sheet, at, header = best
        notes = (f"Of {len(sheets)} sheets, '{printable(sheet.title)[:40]}' is read.",) if len(sheets) > 1 else ()
        header = list(_trimmed(header))
        return _frame(path, _Dialect("", tuple(header), at + 1, notes), _sheet_rows(path, sheet))
    finally:
        book.close()


def _sheet_rows(path: Path, sheet: Any) -> Iterator[tuple[int, list[str]]]:
    sheet.reset_dimensions()  # what it says of its own size may be wrong
    left, before, texts = MAX_BYTES, None, list[str]()
    for number, cells in enumerate(sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS + 1), start=1):
        if cells is not before:  # rows that the file leaves out are one and the same, and may be a million
            texts = [cell_text(v) for v in cells] if cells.count(None) < len(cells) else []
        before = cells
        left -= sum(map(len, texts))
        if number > _MOST_SHEET_ROWS or left < 0:
            raise InputError(f"{path} holds more rows or text than a list of images has; save it as CSV and split it.")
        yield number, texts


# -- JSON -----------------------------------------------------------------------------------------


def read_json(path: Path) -> Any:
    """The document of a JSON file; of JSON lines the list of its lines.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    suffix = path.suffix.lower()[1:]
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES / 1e6:.0f} MB; split it.")
        raw = path.read_bytes()
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        if suffix == "json":
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or 'it is damaged'}.") from None
    except (ValueError, RecursionError) as error:  # JSON and Unicode errors are ValueErrors
        kind = kind_of(path)
        raise InputError(f"{path} is not readable as {suffix}: {f'it is {kind}' if kind else _short(error)}.") from None


def table_of_records(path: Path, data: Any) -> pd.DataFrame:
    """A table of the objects of a JSON document: its list, the only list in it, or an object by image.

    Raises
    ------
    InputError
        If it holds no objects, or too many different names.
    """
    records = _records(data)
    if not records or not all(isinstance(r, dict) for r in records):
        raise OtherTableError(f"{path} must hold a list of objects, one an image.")
    names = {str(key) for record in records for key in record}
    if len(names) > MOST_COLUMNS:
        raise InputError(f"The objects of {path} have more than {MOST_COLUMNS} different names; keep those needed.")
    table = pd.DataFrame(records, dtype=object)
    table.columns = _unique_names(path, [str(c) for c in table.columns])
    for name in table.columns:
        text = _path_text if plain_name(name) in SPELLINGS["path"] else cell_text
        table[name] = table[name].map(text).astype("str")
    table.index = pd.RangeIndex(1, len(table) + 1)
    return _finished(path, table)


def _records(data: Any) -> list[Any]:
    """The objects of a JSON document: itself, the only list in it, columns side by side, or an object by image."""
    if isinstance(data, dict):
        if data and all(_IMAGE_NAME.fullmatch(str(key)) for key in data):
            return [{"path": key, **(v if isinstance(v, dict) else {"level": v})} for key, v in data.items()]
        lists = {k: v for k, v in data.items() if isinstance(v, list)}
        if len(lists) > 1 and len(lists) == len(data) and len({len(v) for v in lists.values()}) == 1:
            return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        data = next(iter(lists.values())) if len(lists) == 1 else []
    return data if isinstance(data, list) else []


def _path_text(value: Any) -> str:
    """The path of an image; of an object, as the hub's library writes images, what names a file in it."""
    if isinstance(value, dict):
        keys = ("path", "file_name", "filename", "file", "name", "url", "src")
        return next((v for key in keys if isinstance(v := value.get(key), str) and v), cell_text(value))
    return cell_text(value)


def cell_text(value: Any) -> str:
    """A value as the text of a cell; numbers as short as they go."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, dict | list):
        try:
            value = json.dumps(value, ensure_ascii=False, default=str)
        except RecursionError:
            return "…"
    return str(value).encode(errors="replace").decode()


# -- Parquet --------------------------------------------------------------------------------------


def _parquet(path: Path) -> pd.DataFrame:
    """The known columns of a Parquet file, all names where these are not there; a few bytes may stand for any amount.

    Its own counts are looked at first, then what each batch really holds.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            names, texts = file.schema_arrow.names, [f.name for f in file.schema_arrow if _is_text(f.type)]
            fixed = {f.name: f.type.byte_width for f in file.schema_arrow if pa.types.is_fixed_size_binary(f.type)}
            rows = file.metadata.num_rows
        if rows > MOST_ROWS or len(names) > MOST_COLUMNS:
            raise InputError(
                f"{path} has {rows:,} rows in {len(names):,} columns, too much for a list of images; split it."
            )
        wanted = list(dict.fromkeys(resolve_columns(names).values()))
        if not wanted:
            return pd.DataFrame(columns=names)
        if rows * sum(fixed.get(name, 0) for name in wanted) > MAX_BYTES:  # such columns are unfolded as they are read
            raise _too_much(path)
        with pq.ParquetFile(path, memory_map=True, read_dictionary=texts) as file:
            table = _counted(path, file.iter_batches(_BATCH_ROWS, columns=wanted), wanted)
    except InputError as error:
        raise InputError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    except Exception as error:  # Arrow raises nearly anything for a file that is broken
        kind = kind_of(path)
        why = f"it is {kind}" if kind and "Parquet" not in kind else _short(error)
        raise InputError(f"{path} is not readable as parquet: {why}.") from None
    table.index = pd.RangeIndex(1, len(table) + 1)
    return _finished(path, table)


def _is_text(kind: Any) -> bool:
    """Whether values of a column's type may be of any length: those are read as a dictionary, each value once."""
    import pyarrow as pa

    kinds = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view")
    return any(getattr(pa.types, f"is_{name}")(kind) for name in kinds)


def _too_much(path: Path) -> InputError:
    return InputError(
        f"The known columns of {path} hold more than {MAX_BYTES / 1e6:.0f} MB, too much for a list of images."
    )


def _counted(path: Path, batches: Iterable[Any], wanted: Sequence[str]) -> pd.DataFrame:
    """Batches of a Parquet file as one table; what they hold is counted before it is unfolded."""
    parts, left = [], MAX_BYTES
    for batch in batches:
        left -= sum(_unfolded_bytes(batch.column(name)) for name in wanted)
        if left < 0:
            raise _too_much(path)
        part = batch.select(list(wanted)).to_pandas().astype(object)
        parts.append(part.map(cell_text).astype("str"))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(wanted), dtype="str")


def _unfolded_bytes(column: Any) -> int:
    """Bytes of a column once each row has its own value; a text that many rows share is kept once until then."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_nested(column.type):
        raise InputError("A column of paths, levels or names holds lists or structures, not plain values.")
    if not pa.types.is_dictionary(column.type):
        return column.nbytes + len(column)
    lengths = pc.call_function("binary_length", [column.dictionary])
    return int(pc.call_function("sum", [lengths.take(column.indices)]).as_py() or 0) + len(column)


# -- numbers --------------------------------------------------------------------------------------

_BLANKS = frozenset({"", "nan", "none", "null", "na", "n/a", "nil", "-", "--", "?", "#n/a", "#nv"})
_WRAPPED = re.compile(
    r"(?:(?:tensor|array|np\.float\d+|float)\s*\(\s*)?(\[*)\s*([^()\[\],]*?)\s*\]*(?:,\s*(?:device|dtype|grad_fn)=.*)?\s*\)?",
    re.DOTALL,
)
_POINT = re.compile(r"[+-]?(?:[1-9][0-9]{0,2}(?:,[0-9]{3})+|[0-9]*)(?:\.[0-9]*)?(?:e[+-]?[0-9]{1,4})?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?(?:[1-9][0-9]{0,2}(?:\.[0-9]{3})+|[0-9]*)(?:,[0-9]*)?(?:e[+-]?[0-9]{1,4})?", re.IGNORECASE)
_COMMAS = "Numbers are written with decimal commas."
_LONGEST_NUMBER = 200
_GAPS = r"(?<=[0-9])[\u00a0\u202f' ](?=[0-9]{3}(?![0-9]))"
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+")


@dataclass(frozen=True, eq=False)
class Numbers:
    """A column as float64, NaN where it is no number, and what to say of how it was read."""

    values: np.ndarray
    notes: tuple[str, ...] = ()


def is_blank(text: str) -> bool:
    """Whether a cell is left out: nothing, or a word for nothing."""
    return text.strip().lower() in _BLANKS


def numbers(column: Iterable[str], separator: str = "") -> Numbers:
    """The numbers of a column, by how the whole column writes them.

    ``0,5`` is a half and ``1,234.5`` a thousand and more; ``1.7 %`` is 0.017; ``tensor(0.5)`` and ``[0.5]`` are a half.
    Where every comma could part decimals or thousands (``1,234``), the file's separator decides: one with semicolons or
    tabs writes decimal commas; else the column is not read.
    """
    raw: Any = pd.Series(column if isinstance(column, pd.Series) else list(column), dtype="str").str.strip()
    values: Any = np.array(pd.to_numeric(raw, errors="coerce"), dtype=np.float64)
    unread = np.flatnonzero(np.isnan(values) & ~raw.str.lower().isin(_BLANKS).to_numpy(dtype=bool))
    if not len(unread):
        return Numbers(values)
    bare = raw.iloc[unread]
    wrapped = bare.str.match(r"[\[tanf]").to_numpy(dtype=bool)
    bare = bare.where(~wrapped, bare.map(_unwrapped)) if wrapped.any() else bare
    percent = bare.str.endswith("%").to_numpy(dtype=bool)
    cells = bare.str.rstrip("% \u00a0\u202f").str.replace("\u2212", "-").str.replace(_GAPS, "", regex=True)
    read, note = _by_style(cells, raw, separator)
    values[unread] = np.where(percent, read / 100, read)
    if note == _COMMAS:
        _regroup(values, raw)
    notes = [note] if note else []
    if percent.any():
        notes.append(f"{int(percent.sum()):,} numbers are written in percent and were divided by 100.")
    return Numbers(values, tuple(notes))


def _regroup(values: np.ndarray, raw: Any) -> None:
    """Points in a column of decimal commas part thousands, where every one of them can."""
    pointed = np.flatnonzero(raw.str.fullmatch(r"[+-]?[0-9]*\.[0-9]+").to_numpy(dtype=bool))
    cells = raw.iloc[pointed]
    if len(pointed) and cells.str.fullmatch(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}").all():
        values[pointed] = np.asarray(pd.to_numeric(cells.str.replace(".", "", regex=False)), dtype=np.float64)


def _unwrapped(text: str) -> str:
    match = _WRAPPED.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    return match[2] if match else text


def _by_style(cells: Any, whole: Any, separator: str) -> tuple[np.ndarray, str]:
    """Numbers with decimal commas or points, told by the cells that can only be one of them."""
    plain = cells.str.fullmatch(r"[+-]?[0-9]*,[0-9]+").to_numpy(dtype=bool)
    if plain.all() and not cells.str.fullmatch(_THOUSANDS.pattern).all():  # as spreadsheets write them
        commas: Any = pd.to_numeric(cells.str.replace(",", ".", regex=False))
        return commas.to_numpy(dtype=np.float64), _COMMAS
    commas = int(cells.map(lambda t: "," in t and _is(t, _COMMA) and not _is(t, _POINT)).sum())
    unsure = cells.map(lambda t: _THOUSANDS.fullmatch(t) is not None).to_numpy(dtype=bool)
    points = bool(whole.str.contains(".", regex=False).any()) or bool(
        cells.map(lambda t: len(re.findall(",[0-9]{3}", t)) > 1).any()
    )
    decimal = commas > 0 or (unsure.any() and not points and separator in (";", "\t", "|"))
    read = np.array([_value(t, decimal) for t in cells], dtype=np.float64)
    if unsure.any() and not decimal and not points:
        read[unsure] = np.nan
        example = cells[unsure].iloc[0]
        return read, (
            f"'{example}' may be {example.replace(',', '.')} or {example.replace(',', '')}: write a decimal point; "
            "such numbers are not read."
        )
    return read, _COMMAS if decimal else ""


def _is(text: str, style: re.Pattern[str]) -> bool:
    return style.fullmatch(text) is not None and any(c.isdigit() for c in text)


def _value(text: str, decimal_comma: bool) -> float:
    """A cell's number in one style, or in the other where only that one fits; NaN where none does."""
    styles = (_COMMA, _POINT) if decimal_comma else (_POINT, _COMMA)
    style = next((s for s in styles if _is(text, s)), None)
    if style is None:
        return math.nan
    plain = text.replace(".", "").replace(",", ".") if style is _COMMA else text.replace(",", "")
    try:
        return float(plain)
    except ValueError:
        return math.nan


def _short(error: BaseException) -> str:
    """A library's reason in a few words without its line breaks."""
    return printable(re.sub(r"\s+", " ", str(error)))[:120].strip("'\". ") or type(error).__name__
