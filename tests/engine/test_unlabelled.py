"""Images that nobody has graded: they come in by every door, are scored, and enter no metric."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mad_core as mad
from mad_core.audit.label_queue import label_queue
from mad_core.datasets.dataset import Dataset, Imported
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.plan import LevelsUnknownError, parse_plan
from mad_core.errors import InputError
from mad_core.labelled import labelled, labelled_in_words, unlabelled_notes
from mad_core.runs.plots import PLOTS
from mad_core.runs.results import run_scores_csv
from mad_core.runs.store import Store
from mad_core.scorefiles import read_scores
from mad_core.settings import Settings
from tests.engine.conftest import make_dataset
from tests.engine.pictures import draw, tree

NORMALS = [f"train/good/{i}.png" for i in range(4)]


def with_gaps(dataset: Dataset, every: int = 2) -> Dataset:
    """The same dataset, some of whose test images have no level."""
    table = dataset.table
    tests = np.flatnonzero((table["split"] == "test").to_numpy())[::every]
    return replace(dataset, table=table.assign(level=table["level"].mask(table.index.isin(tests))))


# -- the dataset and the store --------------------------------------------------------------------


def test_a_test_image_may_have_no_level_and_nothing_else_may() -> None:
    whole = make_dataset()
    dataset = with_gaps(whole)
    assert dataset.unlabelled() == sum(map(dataset.unlabelled, dataset.subsets)) > 0
    assert dataset.version == with_gaps(whole).version != whole.version
    assert all(level >= 0 for name in dataset.subsets for level in dataset.levels(name))
    for entry in dataset.counts():
        known = sum(n for split in ("train", "calibration", "test") for n in entry.get(split, {}).values())
        assert known + entry["unlabelled"] == len(dataset.select(subset=entry["subset"]))
    assert "unlabelled" not in whole.counts()[0]
    for split in ("train", "calibration"):
        table = whole.table.assign(split=split, level=math.nan)
        with pytest.raises(InputError, match="without a level that is not for test"):
            Dataset("d", table)


def test_calibration_takes_labelled_images_alone() -> None:
    dataset = with_gaps(make_dataset(per_level=8), every=3)
    aside = dataset.with_calibration(1)
    assert bool(aside.select(split="calibration")["level"].notna().all())
    assert aside.unlabelled() == dataset.unlabelled()
    grouped = dataset.table.assign(group=[f"p{i // 4}" for i in range(len(dataset.table))])
    aside = replace(dataset, table=grouped).with_calibration(1)
    assert bool(aside.select(split="calibration")["level"].notna().all())
    bare = replace(
        dataset, table=dataset.table.assign(level=dataset.table["level"].where(dataset.table["split"] != "test"))
    )
    with pytest.raises(InputError, match="No test image"):
        bare.with_calibration(1)


def test_the_store_gives_a_missing_level_back(store: Store) -> None:
    dataset = with_gaps(make_dataset())
    dataset_id = store.add_dataset(Imported(dataset))
    columns = ["image_id", "split", "level"]
    kept, given = (one.table.filter(columns) for one in (store.dataset(dataset_id), dataset))
    pd.testing.assert_frame_equal(kept, given)
    assert store.dataset(dataset_id).version == store.dataset_info(dataset_id).version == dataset.version
    absent = dataset.table.loc[dataset.table["level"].isna(), "image_id"].iloc[0]
    assert math.isnan(store.image(dataset_id, absent)["level"])


def test_counts_say_how_many_are_labelled() -> None:
    rows = pd.DataFrame({"level": [0.0, math.nan, 2.0]})
    assert labelled_in_words(rows) == "3 images, 2 labelled"
    assert labelled_in_words(labelled(rows)) == "2 images"
    assert unlabelled_notes(rows) == ["1 of 3 images have no level and enter no metric."]
    assert unlabelled_notes(labelled(rows)) == []


# -- the doors ------------------------------------------------------------------------------------


def plain_folder(root: Path) -> Path:
    return tree(root, [f"{i}.png" for i in range(3)])


def beside_normals(root: Path) -> Path:
    return tree(root, [*NORMALS, "new/a.png", "b.png", "test/c.png"])


def table_with_gaps(root: Path) -> Path:
    tree(root, [f"{i}.png" for i in range(6)])
    (root / "labels.csv").write_text("path,level\n0.png,0\n1.png,0\n2.png,1\n3.png,\n4.png,\n")
    return root


def archive(root: Path) -> Path:
    plain_folder(root)
    with zipfile.ZipFile(root.with_suffix(".zip"), "w") as packed:
        for file in sorted(root.iterdir()):
            packed.write(file, file.name)
    return root.with_suffix(".zip")


def yolo(root: Path) -> Path:
    tree(root, [f"images/{i}.png" for i in range(5)])
    (root / "labels").mkdir()
    (root / "labels/0.txt").write_text("")
    (root / "labels/1.txt").write_text("0 .5 .5 .1 .1\n")
    (root / "data.yaml").write_text("names: [scratch]\n")
    (root / "severity.yaml").write_text("scratch: 1\n")
    return root


def coco(root: Path) -> Path:
    tree(root, [f"{i}.png" for i in range(4)])
    images = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 6} for i in range(4)]
    marks = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "severity": 2}]
    facts = {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "scratch"}]}
    (root / "coco.json").write_text(json.dumps(facts))
    return root


@pytest.mark.parametrize("door", [plain_folder, beside_normals, table_with_gaps, archive, yolo, coco])
def test_every_door_lets_images_without_a_level_in(
    door: Callable[[Path], Path], tmp_path: Path, settings: Settings
) -> None:
    source = door(tmp_path / "parts")
    imported = import_dataset(source, settings)
    dataset = imported.dataset
    absent = dataset.table[dataset.table["level"].isna()]
    assert len(absent) == 3 and set(absent["split"]) == {"test"}
    (said,) = [p for p in imported.problems if p.kind == "question"]
    assert said.message.startswith("3 of the images") and "no severity level" in said.message
    rows = [row.to_json() for row in imported.plan.rows if row.role == "images" and row.to_json()["level"] == "none"]
    assert sum(row["images"] for row in rows) == 3 and {row["split"] for row in rows} == {"test"}
    again = import_dataset(source, settings, plan=parse_plan(imported.plan.to_yaml()))
    assert again.dataset.version == dataset.version
    for row in imported.plan.rows:  # what has no level is corrected as all else
        if row.role == "images" and row.level is not None and row.level < 0:
            plan = imported.plan.corrected(row, role="images", split="test", subset=row.subset, level=3.0)
            assert import_dataset(source, settings, plan=plan).dataset.unlabelled() == 3 - row.images


def test_words_stay_asked_about_and_one_option_takes_them_without_a_level(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "parts", [*NORMALS, "monday/a.png", "monday/b.png"])
    with pytest.raises(LevelsUnknownError, match=r"monday.*--unlabelled"):
        import_dataset(root, settings)
    imported = import_dataset(root, settings, unlabelled=True)
    assert imported.dataset.unlabelled() == 2
    assert import_dataset(root, settings, plan=parse_plan(imported.plan.to_yaml())).dataset.unlabelled() == 2
    (root / "severity.yaml").write_text("monday: none\n")
    assert import_dataset(root, settings).dataset.version == imported.dataset.version
    alone = tree(tmp_path / "alone", ["monday/a.png", "tuesday/b.png"])
    with pytest.raises(LevelsUnknownError, match="--unlabelled"):
        import_dataset(alone, settings)
    assert import_dataset(alone, settings, unlabelled=True).dataset.unlabelled() == 2


def test_a_label_somewhere_counts_more_than_none(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", ["0.png", "1.png"])
    (root / "labels.csv").write_text("path,level\n0.png,\n0.png,1\n1.png,0\n")
    imported = import_dataset(root, settings)
    assert imported.dataset.unlabelled() == 0
    draw(root / "2.png", "1.png")  # the same picture, about which nobody says anything
    copied = import_dataset(root, settings)
    assert copied.dataset.unlabelled() == 1
    assert "conflicting-level" not in {p.kind for p in copied.problems}


# -- what is made of them -------------------------------------------------------------------------


def test_a_run_scores_them_and_measures_the_others(tmp_path: Path, settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv("MAD_HOME", str(settings.home))
    root = tree(
        tmp_path / "parts", [*NORMALS, "test/good/0.png", "test/level_1/1.png", "test/level_2/2.png", "new/3.png"]
    )
    run = mad.score(root, "filterbank")
    table = run.table
    assert bool(table["score"].notna().all()) and len(table) - len(labelled(table)) == 1
    known = labelled(table)
    metrics, twin = run.metrics(), mad.evaluate(known["level"], known["score"], known["subset"])
    assert metrics["n"] == 3 and metrics["c_index"] == twin["c_index"] and metrics["intervals"] == twin["intervals"]
    assert "1 of 4 images have no level and enter no metric." in metrics["notes"]
    rows = run_scores_csv(run.store, run.id).splitlines()
    assert sum(line.split(",")[1] == "" for line in rows) == 1
    file = tmp_path / "scores.csv"
    file.write_text("\n".join(rows))
    assert read_scores(file).table["level"].isna().tolist().count(True) == 1
    for name in PLOTS:
        assert run.plot(name) is not None
    report = mad.report(run, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "8 images, 7 labelled" in report
    assert "highest scores without a level" in report
    queue = label_queue(run.store, run.store.run(run.id).dataset_id)
    assert queue["reason"].tolist().count("nobody has graded it yet") == 1
