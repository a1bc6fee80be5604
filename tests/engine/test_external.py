"""Scores made elsewhere: result files out and in, matched by path, everything that does not fit listed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mad_core.datasets.dataset import Card, Dataset, Imported, SubsetCard
from mad_core.errors import InputError
from mad_core.metrics.summary import evaluate
from mad_core.runs.comparing import distinct_names, supervision_note
from mad_core.runs.imported_scores import ImportedRun, import_results, mismatch_lines, normal_path
from mad_core.runs.queue import ACTIVE
from mad_core.runs.result_files import export_run, file_name, find_result_files
from mad_core.runs.results import run_table
from mad_core.runs.store import EXTERNAL, Run, RunRequest, Store
from mad_core.scorers.contract import Scored
from mad_core.tables import read_table

from .conftest import make_dataset

PATHS = [f"test/level_{level}/{i}.png" for level in range(3) for i in range(3)]
LEVELS = [0, 0, 0, 1, 1, 1, 2, 2, 2]


def result_file(folder: Path, name: str = "gpt_parts_a.csv", rows: list[tuple] | None = None) -> Path:
    """A result file of subset a: by default complete, with whole scores."""
    rows = [(p, v, 10 * v + i) for i, (p, v) in enumerate(zip(PATHS, LEVELS, strict=True))] if rows is None else rows
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("Path,Severity,Anomaly Score\n" + "".join(f'"{p}",{v},{s}\n' for p, v, s in rows))
    return path


def complete(**changes: object) -> list[tuple]:
    """All rows of subset a, some scores (by path) replaced."""
    return [(p, v, changes.get(p, v)) for p, v in zip(PATHS, LEVELS, strict=True)]


def keep(store: Store, dataset_id: str, *places: Path, **facts: str) -> ImportedRun:
    (one,) = import_results(store, dataset_id, places, **facts)
    return one


def kinds(one: ImportedRun) -> list[str]:
    return sorted(m.kind for m in one.mismatches)


def scored_run(store: Store, dataset_id: str) -> Run:
    """A finished run in which one image failed."""
    run = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    rng = np.random.default_rng(1)
    for subset in ("a", "b"):
        rows = store.test_images(store.dataset(dataset_id), [subset])
        results = [
            (Scored(i, float(rng.normal(v))), None) for i, v in zip(rows["image_id"], rows["level"], strict=True)
        ]
        results[4] = (Scored.failed(rows["image_id"].iloc[4], "unreadable", "Cut off."), None)
        store.add_scores(run.id, subset, results)
    store.update_run(run.id, status="done")
    return store.run(run.id)


# -- out and in -----------------------------------------------------------------------------------


def test_what_goes_out_comes_back_with_the_same_metrics(store: Store, dataset_id: str, tmp_path: Path) -> None:
    run = scored_run(store, dataset_id)
    files = export_run(store, run.id, tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in files] == [
        "filterbank/filterbank_parts_a.csv",
        "filterbank/filterbank_parts_b.csv",
    ]
    assert read_table(files[0]).columns.tolist() == ["Path", "Severity", "Anomaly Score"]
    assert (read_table(files[0])["Anomaly Score"] == "").sum() == 1
    one = keep(store, dataset_id, tmp_path / "filterbank")
    mine, theirs = run_table(store, run.id), run_table(store, one.run.id)
    assert mine[["image_id", "level", "score"]].equals(theirs[["image_id", "level", "score"]])
    assert evaluate(*(mine[c] for c in ("level", "score", "subset"))) == evaluate(
        *(theirs[c] for c in ("level", "score", "subset"))
    )
    assert kinds(one) == ["no-score", "no-score"]


@pytest.mark.parametrize("place", [".", "filterbank", "filterbank/filterbank_parts_a.csv"])
def test_files_folders_and_folders_of_folders_are_found(
    store: Store, dataset_id: str, tmp_path: Path, place: str
) -> None:
    export_run(store, scored_run(store, dataset_id).id, tmp_path / "out")
    (tmp_path / "out/bench-table.csv").write_text("scorer,c_index\nA,1\n")
    one = keep(store, dataset_id, tmp_path / "out" / place)
    assert one.run.subsets == (("a",) if place.endswith("csv") else ("a", "b"))
    assert one.run.title == "filterbank"


def test_published_subsets_are_called_as_published() -> None:
    card = Card(subsets={"bottle": SubsetCard("industrial", rubric="mvtec", product="bottle")})
    dataset = replace(make_dataset(), card=card, name="Line 3/x")
    assert file_name("m", dataset, "bottle") == "m_mvtec_bottle.csv"
    assert file_name("m", dataset, "covid19") == "m_covid19.csv"
    assert file_name("m", dataset, "visa_pcb1") == "m_visa_pcb1.csv"
    assert file_name("m", dataset, "lid") in ("m_x_lid.csv", "m_Line-3-x_lid.csv")


@pytest.mark.parametrize(
    ("name", "model", "subset"),
    [
        ("gpt-4o_mvtec_metal_nut.csv", "gpt-4o", "mvtec_metal_nut"),
        ("gpt_4o_mini_mvtec_metal_nut.csv", "gpt_4o_mini", "mvtec_metal_nut"),
        ("PatchCore_DRD.csv", "PatchCore", "diabetic-retinopathy"),
        ("PatchCore_diabetic-retinopathy.csv", "PatchCore", "diabetic-retinopathy"),
        ("x_parts_a.csv", "x", "a"),
        ("x_a.csv", "x", "a"),
        ("x_visa_pcb1.csv", "x_visa_pcb1", None),
    ],
)
def test_names_of_files_say_model_and_subset(tmp_path: Path, name: str, model: str, subset: str | None) -> None:
    dataset = make_dataset(subsets=("a", "mvtec_metal_nut", "mvtec_nut", "diabetic-retinopathy"))
    (tmp_path / name).write_text("")
    (found,) = find_result_files([tmp_path / name], dataset)
    assert (found.subset, found.model if subset else None) == (subset, model if subset else None)


# -- matched by path ------------------------------------------------------------------------------


def test_rows_are_matched_by_path_never_by_row(store: Store, dataset_id: str, tmp_path: Path) -> None:
    rows = [(p, v, 10 * v + i) for i, (p, v) in enumerate(zip(PATHS, LEVELS, strict=True))]
    forward = keep(store, dataset_id, result_file(tmp_path / "x", rows=rows))
    backward = keep(store, dataset_id, result_file(tmp_path / "y", rows=rows[::-1]))
    assert forward.run.id != backward.run.id
    assert run_table(store, forward.run.id)["score"].tolist() == [row[2] for row in rows]
    assert run_table(store, backward.run.id)["score"].tolist() == [row[2] for row in rows]
    assert forward.mismatches == ()


@pytest.mark.parametrize(
    "written",
    ["./{}", " {} ", "/data/parts/a/{}", "C:\\parts\\{}", "a//{}"],
)
def test_paths_are_normalised(store: Store, dataset_id: str, tmp_path: Path, written: str) -> None:
    rows = [(written.format(p.replace("/", "\\") if "\\" in written else p), v, s) for p, v, s in complete()]
    one = keep(store, dataset_id, result_file(tmp_path, rows=rows))
    assert one.mismatches == ()


def test_a_path_that_leads_to_another_subset_is_not_taken(store: Store, dataset_id: str, tmp_path: Path) -> None:
    rows = [(f"/data/b/{p}", v, s) for p, v, s in complete()]
    with pytest.raises(InputError, match=r"No row of .* names a test image of subset 'a'"):
        import_results(store, dataset_id, [result_file(tmp_path, rows=rows)])


def test_rows_with_other_folders_in_front_are_not_guessed(store: Store, dataset_id: str, tmp_path: Path) -> None:
    rows = complete()
    rows[8] = (f"elsewhere/{PATHS[8]}", 2, 99)
    one = keep(store, dataset_id, result_file(tmp_path, rows=rows))
    assert kinds(one) == ["no-image", "no-row"]
    assert math.isnan(run_table(store, one.run.id)["score"].iloc[8])


def test_everything_that_does_not_fit_is_listed_and_unscored(store: Store, dataset_id: str, tmp_path: Path) -> None:
    rows = complete(**{PATHS[1]: "", PATHS[2]: "NaN", PATHS[3]: "refused", PATHS[4]: "inf"})
    del rows[8]
    rows += [("test/level_2/77.png", 2, 5), (PATHS[5], 1, 7), (PATHS[6], 2, 2)]
    rows[7] = (PATHS[7], 1, 2)
    one = keep(store, dataset_id, result_file(tmp_path, rows=rows))
    assert kinds(one) == sorted(
        ["no-score"] * 2 + ["not-a-number"] * 2 + ["no-row", "no-image", "other-severity"] + ["repeated"] * 2
    )
    table = run_table(store, one.run.id)
    scored = dict(zip(table["path"], table["score"], strict=True))
    assert scored[PATHS[0]] == 0 and scored[PATHS[6]] == 2 and scored[PATHS[7]] == 2
    assert all(math.isnan(scored[PATHS[i]]) for i in (1, 2, 3, 4, 5, 8))
    assert table["level"].tolist() == LEVELS
    assert set(table["status"]) == {"ok", "no-score", "not-a-number", "no-row", "repeated"}
    assert sum(one.run.record["imported"]["counts"].values()) == len(one.mismatches)
    assert "1 image without a row" in " ".join(mismatch_lines(one.run.record["imported"]["counts"]))
    assert one.run.status == "done" and one.run.done == one.run.total == 9


def test_a_severity_that_is_rounded_up_agrees(store: Store, tmp_path: Path) -> None:
    made = make_dataset(subsets=("a",))
    half = made.table.assign(level=made.table["level"].where(made.table["level"] != 1, 0.5))
    dataset_id = store.add_dataset(Imported(Dataset("halves", half, made.card, "/h")))
    one = keep(store, dataset_id, result_file(tmp_path))
    assert one.mismatches == ()


@pytest.mark.parametrize(("zeros", "warned"), [(0, False), (1, True)])
def test_zeros_of_the_published_code_are_named(
    store: Store, dataset_id: str, tmp_path: Path, zeros: int, warned: bool
) -> None:
    one = keep(store, dataset_id, result_file(tmp_path, rows=complete(**dict.fromkeys(PATHS[3 : 3 + zeros], 0))))
    assert bool(one.notes) is warned
    halves = complete(**dict.fromkeys(PATHS[3 : 3 + zeros], 0), **{PATHS[8]: 1.5})
    assert keep(store, dataset_id, result_file(tmp_path / "h", rows=halves)).notes == ()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("gpt_a.csv", "Path,Severity,Anomaly Score\n", "has no rows"),
        ("gpt_a.csv", "Path,Severity\nx,1\n", "no column 'Anomaly Score'"),
        ("gpt_lid.csv", f"Path,Severity,Score\n{PATHS[0]},0,1\n", "does not say which subset"),
        ("gpt_a.csv", "Path,Severity,Score\nnone.png,0,1\n", "first path is 'none.png'.*like 'test/level_0/0.png'"),
        ("gpt.csv", f"Path,Severity,Score,Subset\n{PATHS[0]},0,1,lid\n", "is of a subset of 'parts'"),
    ],
)
def test_what_cannot_be_used_is_a_sentence_and_leaves_no_run(
    store: Store, dataset_id: str, tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=sentence):
        import_results(store, dataset_id, [tmp_path / name])
    assert store.runs() == []


def test_places_that_hold_nothing_are_a_sentence(store: Store, dataset_id: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no result file"):
        import_results(store, dataset_id, [tmp_path])
    with pytest.raises(InputError, match="is not there"):
        import_results(store, dataset_id, [tmp_path / "none.csv"])


def test_a_column_of_subsets_tells_them_apart(store: Store, dataset_id: str, tmp_path: Path) -> None:
    text = "Path,Severity,Anomaly Score,Subset\n"
    text += "".join(f"{p},{v},{v},{s}\n" for s in ("A", "b", "lid") for p, v in zip(PATHS, LEVELS, strict=True))
    (tmp_path / "scores.csv").write_text(text)
    one = keep(store, dataset_id, tmp_path / "scores.csv")
    assert one.run.subsets == ("a", "b")
    assert kinds(one) == ["no-subset"] * 9
    assert run_table(store, one.run.id)["score"].notna().all()


def test_models_become_runs_of_their_own(store: Store, dataset_id: str, tmp_path: Path) -> None:
    files = [result_file(tmp_path, f"{model}_parts_{subset}.csv") for model in ("x", "y") for subset in "ab"]
    found = import_results(store, dataset_id, files)
    assert [(one.run.title, one.run.subsets) for one in found] == [("x", ("a", "b")), ("y", ("a", "b"))]
    with pytest.raises(InputError, match="2 models"):
        import_results(store, dataset_id, files, title="Both")
    with pytest.raises(InputError, match="second file of subset 'a'"):
        import_results(
            store, dataset_id, [result_file(tmp_path / "z", "x_a.csv"), result_file(tmp_path, "x_parts_a.csv")]
        )


# -- an imported run in the store -----------------------------------------------------------------


def test_an_imported_run_is_marked_and_told_apart(store: Store, dataset_id: str, tmp_path: Path) -> None:
    one = keep(store, dataset_id, result_file(tmp_path), title="GPT-4o", note="run in May")
    assert (one.run.scorer, one.run.title, one.run.imported) == (EXTERNAL, "GPT-4o", True)
    said = supervision_note(one.run)
    assert "gpt_parts_a.csv (SHA-256 " in said and "run in May" in said and "not computed here" in said
    assert distinct_names([one.run]) == {one.run.id: "GPT-4o · imported"}
    other = keep(store, dataset_id, result_file(tmp_path / "o", rows=complete()), title="GPT-4o")
    names = distinct_names([one.run, other.run])
    assert len(set(names.values())) == 2 and all("imported" in name for name in names.values())


def test_the_same_files_again_give_the_same_run(store: Store, dataset_id: str, tmp_path: Path) -> None:
    first = keep(store, dataset_id, result_file(tmp_path), title="GPT")
    again = keep(store, dataset_id, result_file(tmp_path), title="GPT-4o", note="corrected")
    assert (again.run.id, again.run.title, len(store.runs())) == (first.run.id, "GPT-4o", 1)
    assert again.run.record["imported"]["note"] == "corrected"
    changed = keep(store, dataset_id, result_file(tmp_path, rows=complete()))
    assert changed.run.id != first.run.id


def test_an_imported_run_is_never_queued(store: Store, dataset_id: str, tmp_path: Path) -> None:
    one = keep(store, dataset_id, result_file(tmp_path, rows=complete()[:5]))
    assert store.queue.active() == []
    for retry in (False, True):
        with pytest.raises(InputError, match="were made elsewhere"):
            store.resume_run(one.run.id, retry_failed=retry)
    assert store.run(one.run.id).status not in ACTIVE
    store.delete_run(one.run.id)
    assert store.runs() == []


def test_paths_in_another_form_of_unicode_are_the_same() -> None:
    assert normal_path("caf\u00e9/./x.png") == normal_path("cafe\u0301\\x.png ") == "caf\u00e9/x.png"
