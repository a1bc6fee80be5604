"""Tables: formats, spellings, splits, subsets, masks, and paths that lead away."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mad_core.datasets.importing import import_dataset
from mad_core.datasets.readers.tables import _inside
from mad_core.errors import InputError
from mad_core.runs.store import Store
from mad_core.settings import Settings

from .pictures import counts, draw, kinds, tree

ROWS = [
    {"path": "images/a 1.png", "level": 0, "split": "train"},
    {"path": "images/b.png", "level": 0, "split": "test"},
    {"path": "images/c.png", "level": 1.5, "split": "test", "defect": "dent", "mask": "masks/c.png"},
]


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    return tree(tmp_path / "parts", [*(str(row["path"]) for row in ROWS), "masks/c.png"])


def write(path: Path) -> Path:
    frame = pd.DataFrame(ROWS)
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".tsv":
            frame.to_csv(path, index=False, sep="\t")
        case ".json":
            path.write_text(json.dumps({"version": 1, "images": ROWS}))
        case ".jsonl":
            path.write_text("\n\n".join(map(json.dumps, ROWS)) + "\n")
        case ".parquet":
            frame.to_parquet(path)
    return path


def test_images_of_records_may_be_objects(parts: Path, settings: Settings) -> None:
    path = parts / "labels.jsonl"
    path.write_text("".join(json.dumps({"image": {"path": r["path"]}, "level": r["level"]}) + "\n" for r in ROWS))
    assert len(import_dataset(path, settings).dataset.table) == 3


def test_two_columns_that_may_be_the_level_are_said_where_they_differ(parts: Path, settings: Settings) -> None:
    path = parts / "labels.csv"
    lines = [f"{row['path']},{row['level']},{int(row['level'])}" for row in ROWS]
    path.write_text("\n".join(["path,severity,grade", *lines]))
    (row,) = (r for r in import_dataset(path, settings).plan.rows if r.kind == "table")
    assert "'severity' is taken for the level; 'grade' may be meant, too, and says something else" in row.note
    path.write_text("\n".join(["path,severity,grade", *(line.replace("1.5", "1") for line in lines)]))
    assert all("may be meant" not in r.note for r in import_dataset(path, settings).plan.rows)


def test_the_plan_shows_an_image_that_is_named_again_once(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path / "d", ["0.png", "1.png"])
    (tmp_path / "d/t.csv").write_text("path,level\n0.png,0\n1.png,1\n1.png,2\n")
    rows = import_dataset(tmp_path / "d", settings).plan.rows
    assert [(row.name, row.images) for row in rows if row.kind == "level"] == [("0", 1), ("1", 1)]


def test_a_table_without_tests_says_so(parts: Path, settings: Settings) -> None:
    path = parts / "labels.csv"
    path.write_text("path,level,split\n" + "".join(f"{row['path']},0,train\n" for row in ROWS))
    (problem,) = (p for p in import_dataset(path, settings).problems if p.kind == "empty-level")
    assert "is for test, so nothing of it is scored" in problem.message


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
def test_every_format_says_the_same(parts: Path, settings: Settings, suffix: str) -> None:
    imported = import_dataset(write(parts / f"labels.{suffix}"), settings)
    assert imported.problems == ()
    assert imported.dataset.name == "labels"
    table = imported.dataset.table.set_index("template_path")
    assert table["split"].to_dict() == {row["path"]: row["split"] for row in ROWS}
    assert table.loc["images/c.png", ["level", "defect", "subset"]].tolist() == [1.5, "dent", "labels"]
    assert table["mask_path"].dropna().to_dict() == {"images/c.png": str(parts / "masks/c.png")}


def test_the_only_table_of_a_folder_counts(parts: Path, settings: Settings) -> None:
    write(parts / "labels.csv")
    imported = import_dataset(parts, settings)
    assert imported.dataset.subsets == ["parts"]
    assert counts(imported) == {"0": 1, "1.5": 1}
    write(parts / "more.csv")
    with pytest.raises(InputError, match=r"several tables \(labels\.csv, more\.csv\)"):
        import_dataset(parts, settings)


ENCODINGS = {
    "windows": "\ufeffImage_Path;Severity\r\n\r\nimages\\a 1.png;0\r\n.\\images\\b.png;0,0\r\nimages\\c.png;1,5\r\n",
    "words": "file,level,extra\nimages/a 1.png,good,x\nimages/b.png,level_0,\nimages/c.png,L1.5,\n",
    "quotes": '"path","severity"\n"images/a 1.png","0"\n\n\n"images/b.png","0"\n,\n" images/c.png ","1.5"\n',
    "blank lines": "\n\r\npath,level\n\nimages/a 1.png,0\nimages/b.png,0\nimages/c.png,1.5\n\n",
    "tabs": "path\tlevel\nimages/a 1.png\t0\nimages/b.png\t0\nimages/c.png\t1.50\n",
}


@pytest.mark.parametrize("text", ENCODINGS.values(), ids=ENCODINGS)
def test_ways_of_writing_a_table(parts: Path, settings: Settings, text: str) -> None:
    (parts / "t.csv").write_bytes(text.encode())
    imported = import_dataset(parts / "t.csv", settings)
    assert imported.problems == ()
    assert sorted(imported.dataset.table["level"]) == [0, 0, 1.5]
    assert counts(imported, "train") == {"0": 1}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-8-sig", "cp1252"])
def test_encodings_are_told_apart(tmp_path: Path, settings: Settings, encoding: str) -> None:
    draw(tmp_path / "naïve Größe.png")
    table = tmp_path / "t.csv"
    dash = "" if encoding == "latin-1" else "–"
    table.write_bytes(f"path,level,note\nnaïve Größe.png,0,{dash}\n".encode(encoding))
    assert len(import_dataset(table, settings).dataset.table) == 1


def test_names_that_differ_in_case_or_unicode_form_are_found(tmp_path: Path, settings: Settings) -> None:
    draw(tmp_path / unicodedata.normalize("NFD", "größe é/ü.png"))
    draw(tmp_path / "b.png").rename(tmp_path / "B.PNG")
    (tmp_path / "t.csv").write_text(unicodedata.normalize("NFC", "path,level\ngröße é/ü.png,0\nb.png,1\n"))
    imported = import_dataset(tmp_path / "t.csv", settings)
    assert kinds(imported) == []
    assert len(imported.dataset.table) == 2


def test_the_unicode_form_on_disk_does_not_change_ids(tmp_path: Path, settings: Settings) -> None:
    versions = set()
    for form in ("NFC", "NFD"):
        root = tmp_path / form / "d"
        for level in (0, 1):
            draw(root / f"level_{level}" / unicodedata.normalize(form, "é.png"), f"content {level}")
        versions.add(import_dataset(root, settings).dataset.version)
    assert len(versions) == 1


def test_an_exact_name_wins_over_one_in_another_case(tmp_path: Path, settings: Settings) -> None:
    for name in ("a.png", "A.png"):
        draw(tmp_path / name)
    (tmp_path / "t.csv").write_text("path,level\na.png,0\nA.png,1\n")
    table = import_dataset(tmp_path / "t.csv", settings).dataset.table
    assert {Path(p).name: level for p, level in zip(table["path"], table["level"], strict=True)} == {
        "a.png": 0.0,
        "A.png": 1.0,
    }


@pytest.mark.parametrize(
    "written", ["../secret.png", "images/../../secret.png", "{root}/secret.png", "C:\\secret.png", "\\\\host\\x.png"]
)
@pytest.mark.parametrize("column", ["path", "mask"])
def test_paths_that_lead_away_are_refused(
    parts: Path, tmp_path: Path, settings: Settings, written: str, column: str
) -> None:
    draw(tmp_path / "secret.png")
    written = written.format(root=tmp_path)
    rows = [{"path": "images/b.png", "level": 0, "mask": ""}, {"path": "images/c.png", "level": 1, "mask": ""}]
    rows[1][column] = written
    pd.DataFrame(rows).to_csv(parts / "t.csv", index=False)
    imported = import_dataset(parts / "t.csv", settings)
    refused = [p for p in imported.problems if p.kind == "missing-file"]
    assert [p.path for p in refused] == [written.replace("\\", "/")]
    assert "leads out of" in refused[0].message
    places = {*imported.dataset.table["path"], *imported.dataset.table["mask_path"].dropna()}
    assert all(p.startswith(f"{parts}/") for p in places)


def test_links_out_of_the_folder_are_refused(parts: Path, tmp_path: Path, settings: Settings) -> None:
    draw(tmp_path / "elsewhere/secret.png")
    (parts / "link.png").symlink_to(tmp_path / "elsewhere/secret.png")
    (parts / "linked").symlink_to(tmp_path / "elsewhere")
    (parts / "t.csv").write_text("path,level\nlink.png,0\nlinked/secret.png,1\nimages/b.png,0\n")
    imported = import_dataset(parts / "t.csv", settings)
    assert len(imported.dataset.table) == 1
    assert sum("leads out of the dataset's folder" in p.message for p in imported.problems) == 2


def test_an_absolute_path_inside_the_folder_is_taken(parts: Path, settings: Settings) -> None:
    (parts / "t.csv").write_text(f"path,level\n{parts}/images/b.png,0\n{parts}/images/c.png,1\n")
    imported = import_dataset(parts / "t.csv", settings)
    assert imported.problems == ()
    (parts / "t.csv").write_text("path,level\nimages/b.png,0\nimages/c.png,1\n")
    assert import_dataset(parts / "t.csv", settings).dataset.version == imported.dataset.version


SEGMENTS = st.lists(st.sampled_from(["..", ".", "a", "b c", "", "...", "..a"]), min_size=1, max_size=7)


@given(SEGMENTS, st.sampled_from(["", "/", "/data/", "//host/"]))
def test_a_path_taken_never_leads_out(segments: list[str], prefix: str) -> None:
    folder = Path("/data/d")
    relative = _inside(prefix + "/".join(segments), folder)
    if relative is not None:
        assert relative == str(Path(relative)) and ".." not in Path(relative).parts
        assert not relative.startswith("/")


def test_subsets_of_a_table(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path, [f"{s}/{i}.png" for s in "ab" for i in range(4)])
    rows = [f"{s}/{i}.png,{i % 2},{s}" for s in "ab" for i in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["path,level,category", *rows]))
    imported = import_dataset(tmp_path / "t.csv", settings)
    assert [(e["subset"], e["train"], e["test"]) for e in imported.dataset.counts()] == [
        (s, {"0": 1}, {"0": 1, "1": 2}) for s in "ab"
    ]


def test_levels_from_defect_types_by_policy(parts: Path, tmp_path: Path, settings: Settings) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("dent: 2\n")
    (parts / "t.csv").write_text("path,defect\nimages/a 1.png,good\nimages/b.png,dent\nimages/c.png,odd\n")
    imported = import_dataset(parts / "t.csv", settings, policy=policy)
    assert dict(zip(imported.dataset.table["defect"], imported.dataset.table["level"], strict=True))["dent"] == 2
    assert [(p.kind, p.path) for p in imported.problems] == [("unknown-level", "images/c.png")]


@pytest.mark.parametrize("level", ["severe", "-1", "nan", "inf", "1,2,3"])
def test_a_level_that_is_no_number_is_a_problem(parts: Path, settings: Settings, level: str) -> None:
    (parts / "t.csv").write_text(f'path,level\nimages/b.png,0\nimages/c.png,"{level}"\n')
    imported = import_dataset(parts / "t.csv", settings)
    assert [(p.kind, p.path) for p in imported.problems] == [("unknown-level", "images/c.png")]
    assert len(imported.dataset.table) == 1


def test_an_unknown_split_is_a_problem(parts: Path, settings: Settings) -> None:
    (parts / "t.csv").write_text("path,level,split\nimages/b.png,0,Validation\nimages/c.png,1,someday\n")
    imported = import_dataset(parts / "t.csv", settings)
    assert kinds(imported) == ["empty-level", "empty-level", "unmatched"]  # of the level, and of tests
    assert counts(imported, "calibration") == {"0": 1}


def test_abnormal_training_images_serve_calibration(parts: Path, settings: Settings) -> None:
    (parts / "t.csv").write_text("path,level,split\nimages/b.png,0,train\nimages/c.png,1,train\n")
    imported = import_dataset(parts / "t.csv", settings)
    assert (counts(imported, "train"), counts(imported, "calibration")) == ({"0": 1}, {"1": 1})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b""),
        ("a.csv", b"path,path,level\n"),
        ("a.csv", b"where,level\nx,1\n"),
        ("a.csv", b"path,colour\nx,1\n"),
        ("a.json", b"{"),
        ("a.json", b"[1, 2]"),
        ("a.json", b'{"a": [], "b": []}'),
        ("a.json", b"[" * 100_000),
        ("a.jsonl", b'{"path": "x"}\nnot json\n'),
        ("a.json", b"\xff\xfe\x00"),
        ("a.parquet", b"PAR1 but not really"),
        ("a.parquet", b""),
    ],
)
def test_a_broken_table_is_a_sentence(tmp_path: Path, settings: Settings, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        import_dataset(tmp_path / name, settings)


@pytest.mark.parametrize("column", ["patient", "Lot No", "group", "camera_id"])
def test_a_group_is_kept_with_the_image(parts: Path, store: Store, column: str) -> None:
    pd.DataFrame(ROWS).assign(**{column: ["p1", "p1", None]}).to_csv(parts / "labels.csv", index=False)
    imported = import_dataset(parts / "labels.csv", store.settings)
    groups = dict(zip(imported.dataset.table["template_path"], imported.dataset.table["group"], strict=True))
    assert groups == {"images/a 1.png": "p1", "images/b.png": "p1", "images/c.png": None}
    dataset_id = store.add_dataset(imported)
    assert sorted(store.dataset(dataset_id).table["group"].dropna()) == ["p1", "p1"]
    pd.DataFrame(ROWS).to_csv(parts / "labels.csv", index=False)
    assert store.add_dataset(import_dataset(parts / "labels.csv", store.settings)) == dataset_id
    assert store.dataset(dataset_id).table["group"].isna().all()
