"""The doors of data: tables, archives, folders, policies and cards, score files."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import math
import random
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import check_report, import_dataset
from mad_core.datasets.policies import read_policy
from mad_core.datasets.readers import archives
from mad_core.datasets.readers.tables import read_rows
from mad_core.errors import MadError
from mad_core.runs.store import Store
from mad_core.scorefiles import read_scores, scores_csv
from mad_core.settings import Settings
from tests.hard.attack import Door, expect, refusal
from tests.hard.mutation import NASTY, json_value, nasty_bytes, nasty_name, spoiled_bytes, spoiled_json, spoiled_text

STORED = 0.1
"""Share of the imported datasets that are also kept in a store."""


@cache
def pixels(number: int) -> bytes:
    """A small PNG with content of its own."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def imported(source: Path, folder: Path, *names: str, policy: Path | None = None) -> bool:
    """Import, and see that what came is whole: it can be reported, printed and kept."""
    settings = Settings.from_environment({"MAD_HOME": str(folder / "home")})
    try:
        found = import_dataset(source, settings, policy=policy)
    except MadError as error:
        return refusal(error, *names)
    _sound(found)
    if random.Random(str(names)).random() < STORED:
        store = Store(settings)
        try:
            if len(found.dataset.table):
                dataset = store.add_dataset(found)
                expect(len(store.dataset(dataset).table) == len(found.dataset.table), "the store lost rows")
        except MadError as error:
            return refusal(error)
        finally:
            store.close()
    return bool(len(found.dataset.table))


def _sound(found: Imported) -> None:
    """A dataset and its problems as every page and command needs them."""
    json.dumps(check_report(found), allow_nan=False, ensure_ascii=False).encode()
    for problem in found.problems:
        expect(
            bool(problem.message.strip()) and problem.message.rstrip()[-1] in ".)", f"no sentence: {problem.message!r}"
        )
        expect(len(problem.message) < 3000, f"a long problem: {problem.message[:200]!r}")
    table: Any = found.dataset.table
    expect(all(Path(p).is_file() for p in table["path"]), "a row without a file")
    expect(bool(found.dataset.version), "no version")


# -- tables ---------------------------------------------------------------------------------------

_TABLES = (
    ("csv", "Path,Severity,Anomaly Score\n0.png,0,0.1\n1.png,1,0.2\nsub/2.png,2,\n"),
    (
        "csv",
        "path,level,split,subset,defect,mask\n0.png,0,train,a,,\n1.png,0.5,test,a,scratch,2.png\n2.png,L2,test,b,dent,\n",
    ),
    ("csv", "image;severity\n0.png;0\n1.png;0,5\n2.png;3\n"),
    ("tsv", "path\tlevel\n0.png\t0\n1.png\t1\n"),
    ("json", '[{"path": "0.png", "level": 0}, {"path": "1.png", "level": 1.5, "subset": "a", "defect": "x"}]'),
    ("json", '{"images": [{"path": "0.png", "level": 0}, {"path": "1.png", "level": 1}]}'),
    ("jsonl", '{"path": "0.png", "level": 0}\n{"path": "1.png", "level": 2, "split": "test"}\n'),
    (
        "json",
        '{"images": [{"id": 0, "file_name": "0.png"}, {"id": 1, "file_name": "1.png"}], "categories": '
        '[{"id": 1, "name": "x"}], "annotations": [{"image_id": 1, "category_id": 1, "attributes": {"severity": 2}}]}',
    ),
    (
        "json",
        '[{"data": {"image": "/data/upload/1/abcdef01-0.png"}, "annotations": [{"result": [{"value": {"choices": '
        '["0"]}}]}]}, {"data": {"image": "1.png"}, "annotations": [{"result": [{"value": {"rating": 2}}]}]}]',
    ),
    (
        "json",
        '{"meta": {"prefix": "sub/", "normal_class": "OK"}, "train": [{"image_path": "2.png", "anomaly_class": "OK", '
        '"category": "a"}], "test": [{"image_path": "2.png", "anomaly_class": "AK", "category": "a"}]}',
    ),
    ("csv", "sep=;\nBild;Schweregrad\n0.png;0 - gut\n1.png;1 - mild\n"),
    ("csv", "0.png   0.0   mono\n1.png   0.333   poly\n"),
    ("csv", "image,good,mild,severe\n0.png,1,0,0\n1.png,0,1,0\n2.png,0,0,1\n"),
    ("txt", "0.png 0\n1.png 1\nsub/2.png 2\n"),
    (
        "xml",
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><image id="0" name="0.png" width="8" '
        'height="6"><polygon label="good" points="1,1;5,1;5,4"/><tag label="x"><attribute name="severity">2</attribute>'
        '</tag></image><image id="1" name="1.png" width="8" height="6"/></annotations>',
    ),
    ("voc", "<annotation><filename>0.png</filename><object><name>level_1</name></object></annotation>"),
)


@cache
def _parquets() -> tuple[bytes, ...]:
    found = []
    for extra in ({}, {"subset": ["a", "b"], "defect": [None, "x"]}, {"other": [[1, 2], [3]]}):
        out = io.BytesIO()
        pd.DataFrame({"path": ["0.png", "1.png"], "level": [0.0, 1.0], **extra}).to_parquet(out)
        found.append(out.getvalue())
    return tuple(found)


@cache
def _shards() -> tuple[bytes, ...]:
    """Parquet files that hold images: of the hub, of the benchmark, with paths that lead away."""
    found = []
    for columns in (
        {"label": [0, 1]},
        {"label": [0, 1], "split": ["train", "test"], "mask": [{"bytes": pixels(8), "path": None}] * 2},
        {"relative_path": ["a/mvtec/bottle/test/good_level_0/0.png", "a/mvtec/bottle/test/broken_large_level_3/1.png"]},
        {"relative_path": ["../0.png", "/1.png"]},
    ):
        out = io.BytesIO()
        images = [{"bytes": pixels(k), "path": f"{k}.png"} for k in range(2)]
        pd.DataFrame({"image": images, **columns}).to_parquet(out)
        found.append(out.getvalue())
    return tuple(found)


@cache
def _workbooks() -> tuple[bytes, ...]:
    """Workbooks: a plain one, one with a formula, one whose sheet stands for more than it holds."""
    import openpyxl

    found = []
    for rows in ([["0.png", 0], ["1.png", 1.5]], [["0.png", "=1+1"], ["=HYPERLINK(0)", 2]], [["x" * 9000, 1]] * 900):
        book, out = openpyxl.Workbook(), io.BytesIO()
        for row in (["path", "level"], *rows):
            book.active.append(row)  # type: ignore[union-attr]
        book.save(out)
        found.append(out.getvalue())
    return (*found, _far_cell(found[0]), _zip({"xl/worksheets/sheet1.xml": b"0" * 60_000_000, "xl/workbook.xml": b""}))


def _far_cell(book: bytes) -> bytes:
    """A workbook whose second row says that it is the last of a billion."""
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = parts[sheet].replace(b'r="3"', b'r="999999999"').replace(b'"B2"', b'"ZZZZ2"')
    return _zip(parts)


def table_cases(rng: random.Random, count: int) -> Iterator[tuple[str, tuple[str, bytes]]]:
    texts = [text for _, text in _TABLES]
    for number in range(count):
        way = rng.randrange(12)
        kind, text = rng.choice(_TABLES)
        if way == 0:
            kind, data = "parquet", spoiled_bytes(rng, rng.choice(_parquets()), _parquets())
        elif way in (10, 11):
            kind, all_of_it = ("xlsx", _workbooks()) if way == 10 else ("parquet", _shards())
            one = rng.choice(all_of_it)
            data = one if rng.random() < 0.3 else spoiled_bytes(rng, one, all_of_it)
        elif way == 1:
            data = spoiled_bytes(rng, text.encode(), [t.encode() for t in texts])
        elif way == 2 and kind in ("json", "jsonl"):
            data = json.dumps(spoiled_json(rng, json.loads(_TABLES[4][1])), ensure_ascii=rng.random() < 0.5).encode(
                "utf-8", "surrogatepass"
            )
            kind = "json"
        elif way == 3:
            data = _grid(rng, rng.choice((",", ";", "\t"))).encode("utf-8", "surrogatepass")
        elif way == 4:
            record = [
                {
                    **{k: json_value(rng) for k in ("path", "level", "subset", "defect")},
                    "path": rng.choice(("0.png", "1.png")),
                }
                for _ in range(3)
            ]
            kind, data = "json", json.dumps(record).replace("\\\\u0000", "\\ud800").encode()
        else:
            data = nasty_bytes(rng, spoiled_text(rng, text, texts))
        yield (
            f"{number} {kind} {way}",
            (kind if rng.random() < 0.9 else rng.choice(("csv", "json", "parquet", "CSV", "ndjson")), data),
        )


def _grid(rng: random.Random, separator: str) -> str:
    """A table of nasty cells under a header that may be fine."""
    header = rng.choice(
        (
            ["path", "level"],
            ["Path", "Severity", "Anomaly Score"],
            ["path", "level", "level"],
            ["", ""],
            ["path", "defect", "subset"],
        )
    )
    rows = [
        [
            rng.choice(("0.png", "1.png", *NASTY[:40])) if k == 0 else rng.choice(("0", "1", *NASTY))
            for k in range(len(header))
        ]
        for _ in range(rng.randrange(12))
    ]
    quoted = lambda cell: '"' + cell.replace('"', '""') + '"' if rng.random() < 0.3 else cell  # noqa: E731
    return "\n".join(separator.join(map(quoted, row)) for row in (header, *rows))


def enter_table(case: tuple[str, bytes], folder: Path) -> bool:
    kind, data = case
    place = folder / "data"
    (place / "sub").mkdir(parents=True)
    for k, name in enumerate(("0.png", "1.png", "2.png", "sub/2.png")):
        (place / name).write_bytes(pixels(k))
    path = place / ("annotations.xml" if kind == "xml" else f"list.{kind}")
    path.write_bytes(data)
    if kind == "voc":  # beside a picture of training, where it is no table
        (place / "train").mkdir()
        (place / "0.png").rename(place / "train" / "0.png")
        path = path.rename(place / "train" / "0.xml")
        return imported(place, folder, path.name, place.name)
    try:
        rows = read_rows(path)
        expect(
            all(isinstance(v, str) for row in rows for v in (row.path, row.level, row.subset)), "a cell that is no text"
        )
    except MadError as error:
        refusal(error, path.name)
    return imported(path, folder, path.name, place.name)


# -- archives -------------------------------------------------------------------------------------

_MEMBERS = {
    "set/train/good/0.png": 0,
    "set/train/good/1.png": 1,
    "set/test/good/2.png": 2,
    "set/test/a_level_1/3.png": 3,
}


def _zip(
    members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED, modes: dict[str, int] | None = None
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = (modes or {}).get(name, stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)
    return out.getvalue()


def _tar(
    members: dict[str, bytes], *, kinds: dict[str, tuple[bytes, str]] | None = None, format: int = tarfile.PAX_FORMAT
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.type, info.linkname = (kinds or {}).get(name, (tarfile.REGTYPE, ""))
            if info.type != tarfile.REGTYPE:
                info.size = 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _plain() -> dict[str, bytes]:
    return {name: pixels(k) for name, k in _MEMBERS.items()}


@cache
def whole_archives() -> dict[str, bytes]:
    plain, tar = _plain(), _tar(_plain())
    return {
        "zip": _zip(plain),
        "zip stored": _zip(plain, method=zipfile.ZIP_STORED),
        "zip bzip2": _zip(plain, method=zipfile.ZIP_BZIP2),
        "zip lzma": _zip(plain, method=zipfile.ZIP_LZMA),
        "tar": tar,
        "tar gnu": _tar(plain, format=tarfile.GNU_FORMAT),
        "tar ustar": _tar(plain, format=tarfile.USTAR_FORMAT),
        "webdataset": _tar({**{f"{k}.png": pixels(k) for k in range(3)}, **{f"{k}.cls": b"%d" % k for k in range(3)}}),
        "tar.gz": gzip.compress(tar, mtime=0),
        "tar.bz2": bz2.compress(tar),
        "tar.xz": lzma.compress(tar),
    }


@cache
def evil_archives() -> dict[str, bytes]:
    plain, one = _plain(), pixels(9)
    bomb = _zip_bomb(260)
    link = stat.S_IFLNK | 0o777
    long = "/".join(["d" * 200] * 30) + "/x.png"
    found = {
        "zip bomb": bomb,
        "zip in zip": _zip({"inner.zip": bomb, **plain}),
        "tar bomb": _tar_bomb(260, tarfile.REGTYPE),
        "tar with a header of 200 MB": _tar_bomb(200, tarfile.XHDTYPE),
        "tar with a name of 200 MB": _tar_bomb(200, tarfile.GNUTYPE_LONGNAME),
        "zip link out": _zip({**plain, "set/l.png": b"../../../../etc/passwd"}, modes={"set/l.png": link}),
        "zip link absolute": _zip({**plain, "set/l.png": b"/etc/passwd"}, modes={"set/l.png": link}),
        "zip link to itself": _zip({**plain, "set/l.png": b"l.png"}, modes={"set/l.png": link}),
        "zip pipe": _zip({**plain, "set/p": b""}, modes={"set/p": stat.S_IFIFO | 0o644}),
        "tar link out": _tar({**plain, "l.png": b""}, kinds={"l.png": (tarfile.SYMTYPE, "../../../etc/passwd")}),
        "tar hard link out": _tar({**plain, "l.png": b""}, kinds={"l.png": (tarfile.LNKTYPE, "/etc/passwd")}),
        "tar link to folder, then into it": _tar(
            {"d": b"", "d/x.png": one, **plain}, kinds={"d": (tarfile.SYMTYPE, "/tmp")}
        ),
        "tar device": _tar({**plain, "dev": b""}, kinds={"dev": (tarfile.CHRTYPE, "")}),
        "tar pipe": _tar({**plain, "p": b""}, kinds={"p": (tarfile.FIFOTYPE, "")}),
        "links in a circle": _tar(
            {**plain, "a": b"", "b": b""}, kinds={"a": (tarfile.SYMTYPE, "b"), "b": (tarfile.SYMTYPE, "a")}
        ),
        "file and folder of one name": _zip({"a": b"x", "a/b.png": one}),
        "folder and file of one name": _zip({"a/b.png": one, "a": b"x"}),
        "long names": _zip({long: one}),
        "a long name": _zip({"x" * 4000 + ".png": one}),
        "the same name twice": _twice(),
        "case": _zip(
            {"Set/Train/Good/0.png": one, "set/train/good/0.PNG": pixels(1), "SET/TEST/A_LEVEL_1/1.png": pixels(2)}
        ),
        "nothing": _zip({}),
        "empty tar": _tar({}),
        "encrypted": _encrypted(_zip(plain)),
        "names that are not utf-8": _tar({"set/\udcff\udcfe.png": one, "/\udcff": one}, format=tarfile.GNU_FORMAT),
    }
    for name in (
        "/etc/x.png",
        "../x.png",
        "a/../../x.png",
        "C:\\x.png",
        "..\\..\\x.png",
        "a\\..\\..\\..\\x.png",
        "\\\\host\\x.png",
        "./x.png",
        "a//b.png",
        ".",
        "..",
        "a/.",
        "\x01.png",
        "con.png",
        "x.png ",
        "x.png.",
    ):
        found[f"zip {name!r}"] = _zip({name: one, **plain})
        found[f"tar {name!r}"] = _tar({name: one, **plain})
    return found


def _zip_bomb(megabytes: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("set/bomb.png", "w") as file:
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
    return out.getvalue()


def _tar_bomb(megabytes: int, kind: bytes) -> bytes:
    """A packed tar whose first member, or first header, is that long."""
    info = tarfile.TarInfo("bomb.png")
    info.type, info.size = kind, megabytes << 20
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        file.write(info.tobuf())
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
        file.write(_tar(_plain()))
    return out.getvalue()


def _twice() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("set/a_level_1/0.png", pixels(0))
        archive.writestr("set/a_level_1/0.png", pixels(1))
    return out.getvalue()


def _encrypted(data: bytes) -> bytes:
    """Set the flag of encryption in every header."""
    changed = bytearray(data)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            changed[at + offset] |= 1
    return bytes(changed)


def archive_cases(rng: random.Random, count: int) -> Iterator[tuple[str, tuple[str, bytes]]]:
    fine, evil = whole_archives(), evil_archives()
    given = [*fine.items(), *evil.items()]
    small = list(fine.values())
    for number in range(count):
        if number < len(given):
            name, data = given[number]
        elif rng.random() < 0.2:
            name, data = "nasty names", _nasty_archive(rng)
        else:
            name = rng.choice(list(fine))
            data, name = spoiled_bytes(rng, fine[name], small), f"{name}, spoiled"
        yield f"{number} {name}", (rng.choice((".zip", ".tar", ".tgz", ".tar.xz", "", ".ZIP")), data)


def _nasty_archive(rng: random.Random) -> bytes:
    make: Callable[..., bytes] = rng.choice((_zip, _tar))
    names = [
        rng.choice(("", "set/", "../", "/", "a/b/"))
        + rng.choice(NASTY)[:300].replace("\0", "")
        + rng.choice(("", ".png", "/"))
        for _ in range(5)
    ]
    return make(
        {name.encode("utf-8", "replace").decode(): pixels(k) for k, name in enumerate(names) if name.strip("/ ")}
    )


def enter_archive(case: tuple[str, bytes], folder: Path) -> bool:
    suffix, data = case
    path = folder / f"pack{suffix}"
    path.write_bytes(data)
    into = folder / "into"
    try:
        place = archives.extract(path, into)
        expect(not any(p.is_symlink() for p in place.rglob("*")), "a link was unpacked")
        shutil.rmtree(into)
    except MadError as error:
        refusal(error, path.name)
        expect(
            not [p for p in into.glob("*") if not p.name.endswith(".lock")], "a refused archive left something behind"
        )
    return imported(path, folder, path.name)


# -- folders --------------------------------------------------------------------------------------


def folder_cases(rng: random.Random, count: int) -> Iterator[tuple[str, dict[str, bytes | str]]]:
    """Trees of a few files, some of them links (given as text)."""
    usual = (
        "train/good",
        "test/good_level_0",
        "test/a,b_level_2",
        "level_0",
        "level_1",
        "level_0.5",
        "test/crack",
        "template",
        "ground_truth/crack",
        "Data/Images/Normal",
        "masks",
        "0",
        "1",
    )
    for number in range(count):
        tree: dict[str, bytes | str] = {}
        for k in range(rng.randrange(1, 9)):
            parts = [rng.choice(usual) if rng.random() < 0.7 else nasty_name(rng) for _ in range(rng.randrange(1, 4))]
            name = rng.choice(
                (
                    "0.png",
                    "1.PNG",
                    "x y.png",
                    f"{nasty_name(rng)[:60]}.png",
                    "severity.yaml",
                    "mad.yaml",
                    "a_template.csv",
                    "list.csv",
                    ".hidden.png",
                    "Thumbs.db",
                    "0_mask.png",
                )
            )
            kind = rng.randrange(8)
            data: bytes | str = pixels(rng.randrange(6))
            if name.endswith((".yaml", ".csv")):
                data = spoiled_text(
                    rng,
                    rng.choice(("crack: 1\nspot: 2\n", "title: x\nsubsets: {a: {domain: medical}}\n", _TABLES[0][1])),
                ).encode("utf-8", "replace")
            elif kind == 0:
                data = spoiled_bytes(rng, pixels(k))
            elif kind == 1:
                data = rng.choice(("../..", "/etc/passwd", ".", "..", "nowhere", "0.png", "/dev/zero", "/proc/self"))
            tree["/".join([*parts, name])] = data
        yield f"{number} {list(tree)}"[:300], tree


def enter_folder(case: dict[str, bytes | str], folder: Path) -> bool:
    place = folder / "parts set"
    for name, data in case.items():
        path = place / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(data, str):
                path.symlink_to(data)
            else:
                path.write_bytes(data)
        except OSError:
            continue  # no such file can be here either
    place.mkdir(exist_ok=True)
    return imported(place, folder, place.name)


# -- policies and cards ---------------------------------------------------------------------------

_YAML = (
    "scratch: 1\ndent: 2\nbroken_large: 3\n",
    "bottle:\n  scratch: 1\n  dent: 2.5\ncable: {cut: 3}\n",
    "title: Parts\ndescription: d\nlicence: CC0\nsubsets:\n  a:\n    domain: medical\n    rubric: general\n"
    "    levels:\n      1: {name: light, meaning: m}\n      0.5: {name: half}\n",
)


def yaml_bombs() -> dict[str, str]:
    """Few letters that mean very much."""
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12))
    merges = "a0: &a0 {x: 1}\n" + "".join(
        f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 12)
    )
    return {
        "billion laughs": laughs,
        "merged laughs": merges,
        "deep": "[" * 5000,
        "deep maps": "{a: " * 5000,
        "deep blocks": "".join(" " * k + "a:\n" for k in range(2000)),
        "itself": "a: &a [*a]\n",
        "itself as a map": "&a a: *a\n",
        "long number": "a: " + "9" * 5000 + "\n",
        "long hexadecimal number": "a: 0x" + "f" * 300 + "\n",
        "longer hexadecimal number": "a: 0x" + "f" * 9000 + "\n",
        "hexadecimal key": "0x" + "f" * 9000 + ": 1\n",
        "no such day": "a: 2001-99-99\n",
        "sexagesimal": "a: 190:20:30\n",
        "binary": "a: !!binary aGVsbG8=\n",
        "set": "a: !!set {x, y}\n",
        "python": "a: !!python/object/apply:os.system ['true']\n",
        "tuple key": "? [a, b]\n: 1\n",
        "map key": "? {a: b}\n: 1\n",
        "two documents": "a: 1\n---\nb: 2\n",
        "nan": "a: .nan\nb: .inf\nc: -.inf\n",
        "true": "true: 1\nnull: 2\n1: 3\n0.5: 2\n",
        "negative": "a: -1\n",
        "many lines": "".join(f"defect {k}: 1\n" for k in range(60_000)),
        "many brackets": "a: " + "[]," * 100_000,
    }


def yaml_text(rng: random.Random, seeds: tuple[str, ...], number: int) -> tuple[str, bytes]:
    bombs = yaml_bombs()
    if number < len(bombs):
        name = list(bombs)[number]
        return name, bombs[name].encode()
    if rng.random() < 0.2:
        name = rng.choice([n for n in bombs if not n.startswith("many")])
        head = rng.choice(seeds)
        return f"{name} in a file", (
            head
            + bombs[name].replace("a: ", f"{rng.choice(('title', 'bands', 'products', 'subsets', 'crack', 'a'))}: ", 1)
        ).encode()
    if rng.random() < 0.1:
        return "bytes", spoiled_bytes(rng, rng.choice(seeds).encode())
    return "spoiled", nasty_bytes(rng, spoiled_text(rng, rng.choice(seeds), seeds))


def yaml_cases(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        name, data = yaml_text(rng, _YAML, number)
        yield f"{number} {name}", data


def enter_yaml(case: bytes, folder: Path) -> bool:
    """As a policy by itself, and as policy and card of a folder."""
    place = folder / "set"
    for name, k in {"test/scratch/0.png": 0, "test/good/1.png": 1, "train/good/2.png": 2}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(pixels(k))
    policy = folder / "levels.yaml"
    policy.write_bytes(case)
    try:
        levels = read_policy(policy)
        expect(all(math.isfinite(v) and v >= 0 for v in levels.anywhere.values()), "a level that is none")
    except MadError as error:
        refusal(error, policy.name)
    taken = imported(place, folder, place.name, policy.name, policy=policy)
    for name in ("severity.yaml", "mad.yaml"):
        (place / name).write_bytes(case)
        taken = imported(place, folder, place.name, name) or taken
        (place / name).unlink()
    return taken


# -- score files ----------------------------------------------------------------------------------

_SCORES = (
    "Path,Severity,Anomaly Score\ngood_level_0/0.png,0.0,0.1\na_level_1/1.png,1.0,0.7\nb_level_2/2.png,2.0,\n",
    "Path,Severity,Anomaly Score,Subset,Status,Reason\na.png,0,1e-3,x,ok,\n"
    'b.png,0.5,nan,x,unreadable,cut off\nc.png,3,-4,y,ok,"a, b"\n',
    "image_path_raw;severity;anomaly_score\na.png;0;1\nb.png;1;2\n",
    "Path\tArea\tScore\na\t0\t1\n",
)


def score_cases(rng: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        way = rng.randrange(5)
        if way == 0:
            data = spoiled_bytes(rng, rng.choice(_SCORES).encode())
        elif way == 1:
            rows = [
                ",".join((rng.choice(NASTY), rng.choice(("0", "1", *NASTY)), rng.choice(("1", *NASTY))))
                for _ in range(6)
            ]
            data = "\n".join(["Path,Severity,Anomaly Score", *rows]).encode("utf-8", "surrogatepass")
        else:
            data = nasty_bytes(rng, spoiled_text(rng, rng.choice(_SCORES), _SCORES))
        yield f"{number} {way}", data


def enter_scores(case: bytes, folder: Path) -> bool:
    """Read; then write what was read and read it again: nothing changes."""
    path = folder / "their scores.csv"
    path.write_bytes(case)
    try:
        found = read_scores(path)
    except MadError as error:
        return refusal(error, path.name)
    table: Any = found.table
    levels, scores = table["level"].to_numpy(), table["score"].to_numpy()
    known = levels[~np.isnan(levels)]  # an image may have none
    expect(levels.dtype == np.float64 and bool(np.all(np.isfinite(known) & (known >= 0))), "a level that is none")
    expect(scores.dtype == np.float64, "scores that are no numbers")
    again = folder / "ours.csv"
    again.write_text(scores_csv(table.assign(status="ok", reason="")), encoding="utf-8", newline="")
    back: Any = read_scores(again).table
    expect(
        back["path"].str.strip().tolist() == table["path"].str.strip().tolist(), "paths changed on the way out and in"
    )
    expect(np.array_equal(back["level"].to_numpy(), levels, equal_nan=True), "levels changed on the way out and in")
    finite = np.where(np.isfinite(scores), scores, np.nan)
    expect(np.array_equal(back["score"].to_numpy(), finite, equal_nan=True), "scores changed on the way out and in")
    return True


DOORS = (
    Door("tables", table_cases, enter_table),
    Door("archives", archive_cases, enter_archive, megabytes=150),
    Door("folders", folder_cases, enter_folder),
    Door("policies and cards", yaml_cases, enter_yaml),
    Door("score files", score_cases, enter_scores),
)
