"""The published cards and counts, and what an imported dataset has of them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from mad_core.datasets.completeness import against_published, in_short, table_lines
from mad_core.datasets.dataset import Card, Dataset, SubsetCard, image_id
from mad_core.datasets.importing import check_report, import_dataset
from mad_core.datasets.madbench import BENCHMARKS, recognise
from mad_core.settings import Settings

from .pictures import industrial, tree
from .test_importing_madbench import benchmark

SHARED = Path(os.environ.get("MAD_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not on this machine")
ROUNDED = {
    "mvtec": [455, 381, 344, 324],
    "visa": [711, 210, 292, 256],
    "multidog": [2500] * 5,
    "diabetic-retinopathy": [700] * 5,
    "covid19": [80, 96, 60, 62, 90, 135, 138],
    "skin-lesion": [500, 642, 327, 500],
}
"""Test images by rounded level, as the benchmark's paper sums them up."""


@pytest.mark.parametrize("card", BENCHMARKS, ids=lambda b: b.key)
def test_a_card_is_whole(card) -> None:
    assert card.title and card.source and len(card.licence) > 20
    assert card.folder.startswith("data/") and card.train and "{name}" in card.test
    assert (Path(__file__).parents[2] / "assets/rubrics" / f"{card.rubric}.yaml").is_file()
    for subset in card.subsets:
        assert set(card.counts(subset)) <= set(card.levels)
    assert all(m.meaning for m in card.levels.values())
    sums = np.zeros(len(ROUNDED[card.key]), int)
    for subset in card.subsets:
        for c in card.classes(subset):
            sums[int(np.ceil(c.level))] += c.images
    assert sums.tolist() == ROUNDED[card.key]
    assert recognise("x", card.card(next(iter(card.subsets)))) is not None


@shared
def test_published_counts_are_carried_faithfully() -> None:
    with (SHARED / "madbench_policy.csv").open(newline="") as file:
        rows = {
            (r["dataset"], r["subset"], r["defect_or_folder"], float(r["level"]), int(r["images"]))
            for r in csv.DictReader(file)
        }
    assert len(rows) == 205
    assert rows == {
        (b.key, subset, c.name, c.level, c.images) for b in BENCHMARKS for subset, cs in b.subsets.items() for c in cs
    }


def published_dataset(key: str, part: str, name: str = "", **changes: int) -> Dataset:
    """A dataset without files: one training normal and every published test image, some counts changed."""
    known = next(b for b in BENCHMARKS if b.key == key)
    subset = known.subset_name(part)
    counts = known.counts(part) | {k.removeprefix("L").replace("_", "."): n for k, n in changes.items()}
    places = [("train", 0.0, 0), *(("test", float(k), i) for k, n in counts.items() for i in range(n))]
    rows = [
        {
            "image_id": image_id(subset, f"{split}/{level}/{i}"),
            "content_hash": f"{split}{level}{i}",
            "path": f"/x/{i}",
            "template_path": f"{i}",
            "split": split,
            "subset": subset,
            "level": level,
            "defect": None,
            "mask_path": None,
            "width": 1,
            "height": 1,
        }
        for split, level, i in places
    ]
    return Dataset.from_rows(name or subset, rows, Card(subsets={subset: known.card(part)}), f"/data/{name or subset}")


@pytest.mark.parametrize(("key", "part"), [("mvtec", "bottle"), ("covid19", ""), ("multidog", "teddy")])
def test_a_whole_subset_is_complete(key: str, part: str) -> None:
    (entry,) = against_published(published_dataset(key, part))
    assert entry.state == "complete"
    assert in_short([entry]) == "1 of 1 published subset complete."
    assert all(v["found"] == v["published"] for v in entry.to_json()["test"].values())


@pytest.mark.parametrize(
    ("changes", "state", "words"),
    [
        ({"L3": 17}, "incomplete", "3 test images missing"),
        ({"L2": 21}, "incomplete", "1 test image missing"),
        ({"L0": 0, "L1": 25}, "incomplete", "20 test images missing, 4 test images more than published"),
        ({"L1": 22}, "more", "1 test image more than published"),
        ({"L4": 2}, "more", "2 test images more than published"),
    ],
)
def test_what_differs_is_said(changes: dict[str, int], state: str, words: str) -> None:
    (entry,) = against_published(published_dataset("mvtec", "bottle", **changes))
    assert (entry.state, entry.differs()) == (state, words)
    assert words in in_short([entry])


def test_without_training_normals_a_subset_is_incomplete() -> None:
    whole = published_dataset("mvtec", "bottle")
    table = whole.table[whole.table["split"] == "test"].reset_index(drop=True)
    (entry,) = against_published(Dataset(whole.name, table, whole.card, whole.source))
    assert (entry.state, entry.differs()) == ("incomplete", "no training normals")


def states(root: Path, settings: Settings) -> dict[str, str]:
    return {e.subset: e.state for e in against_published(import_dataset(root, settings).dataset)}


def test_a_root_lists_all_31_subsets(tmp_path: Path, settings: Settings) -> None:
    root = benchmark(tmp_path / "data")
    found = states(root, settings)
    assert len(found) == 31
    there = [name for name, state in found.items() if state != "absent"]
    assert there == ["mvtec_bottle", "visa_pcb1", "covid19", "diabetic-retinopathy", "skin-lesion", "multidog_teddy"]
    assert list(found)[:2] == ["mvtec_bottle", "mvtec_cable"]


@pytest.mark.parametrize(
    ("place", "total", "there"),
    [
        ("Industry", 23, 2),
        ("Medical", 3, 3),
        ("OneClassNovelty", 5, 2),
        ("Industry/mvtec", 14, 1),
        ("Industry/visa", 9, 1),
        ("Industry/mvtec/bottle", 1, 1),
        ("Medical/covid19", 1, 1),
        ("OneClassNovelty/multidog", 5, 2),
        ("template/visa_pcb1_template.csv", 1, 1),
    ],
)
def test_a_part_of_the_root_lists_what_belongs_there(
    tmp_path: Path, settings: Settings, place: str, total: int, there: int
) -> None:
    benchmark(tmp_path / "data")
    found = states(tmp_path / "data" / place, settings)
    assert (len(found), sum(state != "absent" for state in found.values())) == (total, there)


def test_wholly_absent_datasets_are_named_by_title(tmp_path: Path, settings: Settings) -> None:
    tree(tmp_path / "my data/Medical/covid19", ["level_0_train/0.png", "level_0_test/1.png", "level_1.0/2.png"])
    entries = against_published(import_dataset(tmp_path / "my data", settings).dataset)
    words = in_short(entries)
    assert words.startswith("0 of 31 published subsets complete. Incomplete: covid19 (659 test images missing")
    assert "all of MVTec-MAD (14 subsets), all of VisA-MAD (9 subsets), all of DRD-MAD" in words
    assert len(table_lines(entries)) == 2


def test_check_says_it_in_one_more_key_and_leaves_other_data_as_it_was(tmp_path: Path, settings: Settings) -> None:
    own = check_report(import_dataset(industrial(tmp_path / "castings"), settings))
    assert list(own) == ["name", "subsets", "problems"]
    report = check_report(import_dataset(industrial(tmp_path / "mvtec_bottle"), settings))
    assert list(report) == ["name", "subsets", "problems", "published"]
    assert report["published"] == [
        {
            "dataset": "mvtec",
            "title": "MVTec-MAD",
            "subset": "mvtec_bottle",
            "state": "incomplete",
            "train": 4,
            "test": {
                "0": {"found": 2, "published": 20},
                "1": {"found": 2, "published": 21},
                "2": {"found": 2, "published": 22},
                "3": {"found": 0, "published": 20},
            },
        }
    ]


@pytest.mark.parametrize("name", ["parts", "mvtec_toothbrush", "mvtec", "visa"])
def test_other_subsets_are_not_recognised(name: str) -> None:
    assert recognise(name, SubsetCard("industrial")) is None
