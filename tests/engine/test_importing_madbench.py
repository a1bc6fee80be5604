"""The benchmark's own layouts and template tables."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mad_core.datasets.importing import import_dataset
from mad_core.datasets.madbench import built_in, identify
from mad_core.datasets.naming import meaning
from mad_core.settings import Settings

from .pictures import counts, draw, industrial, kinds, tree

SHARED = Path(os.environ.get("MAD_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not on this machine")


def template(path: Path, rows: Iterable[tuple[str, object]], header: str = "Path,Severity") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        file.write(f"{header}\n")
        csv.writer(file).writerows(rows)
    return path


def benchmark(data: Path) -> Path:
    """A small copy of the benchmark's tree: all six datasets, templates for some subsets."""
    medical = ("level_0_train", "level_0_test", "level_1", "level_2")
    names = [f"Medical/diabetic-retinopathy/{f}/{i}.png" for f in medical for i in range(2)]
    covid = ("level_0_train", "level_0_test", "level_0.5", "level_1.0")
    names += [f"Medical/covid19/{f}/COVID-19 ({i}).png" for f in covid for i in range(2)]
    names += [
        f"Medical/skin-lesion/{f}/{i}.jpg" for f in ("level_0_train", "level_0_test", "NV", "MEL") for i in (0, 1)
    ]
    dogs = ("level_0_train/teddy", "level_0_test/teddy", "level_0_train/labrador_retriever")
    dogs += ("level_0_test/labrador_retriever", "level_1/other_dogs", "level_2/cats")
    names += [f"OneClassNovelty/multidog/{f}/n{i}.jpeg" for f in dogs for i in (0, 1)]
    for subset, defects in (
        ("mvtec/bottle", ("good_level_0", "contamination_level_1", "broken_large_level_3")),
        ("visa/pcb1", ("good_level_0", "melt,scratch_level_2")),
    ):
        names += [f"Industry/{subset}/train/good/{i}.png" for i in (0, 1)]
        names += [f"Industry/{subset}/test/{d}/{i:03d}.png" for d in defects for i in (0, 1)]
    tree(data, names)
    template(
        data / "template/visa_pcb1_template.csv",
        [("good_level_0/000.png", "0.0"), ("melt,scratch_level_2/001.png", "2.0")],
    )
    template(
        data / "template/covid19_template.csv",
        [("level_0_test/COVID-19 (0).png", "0"), ("level_0.5/COVID-19 (1).png", "0.5")],
        "Path,Severity,Anomaly Score",
    )
    rows = [("level_0_test/teddy/n0.jpeg", 0), ("level_1/other_dogs/n0.jpeg", 1)]
    template(data / "template/multidog_teddy_template.csv", rows)
    return data


def test_the_whole_benchmark(tmp_path: Path, settings: Settings) -> None:
    imported = import_dataset(benchmark(tmp_path / "data"), settings)
    found = {e["subset"]: (e["domain"], e["train"], e["test"]) for e in imported.dataset.counts()}
    assert found == {
        "covid19": ("medical", {"0": 2}, {"0": 1, "0.5": 1}),
        "diabetic-retinopathy": ("medical", {"0": 2}, {"0": 2, "1": 2, "2": 2}),
        "multidog_teddy": ("novelty", {"0": 2}, {"0": 1, "1": 1}),
        "mvtec_bottle": ("industrial", {"0": 2}, {"0": 2, "1": 2, "3": 2}),
        "skin-lesion": ("medical", {"0": 2}, {"0": 2, "1": 2, "3": 2}),
        "visa_pcb1": ("industrial", {"0": 2}, {"0": 1, "2": 1}),
    }
    assert set(kinds(imported)) == {"unmatched"}
    levels = {name: {k: m.name for k, m in card.levels.items()} for name, card in imported.dataset.card.subsets.items()}
    assert levels["mvtec_bottle"]["2"] == "repairable"
    assert levels["skin-lesion"]["3"] == "malignant"
    assert levels["multidog_teddy"]["4"] == "flowers"
    assert imported.dataset.card.subset("visa_pcb1").product == "pcb1"


def test_breeds_are_subsets_that_share_the_other_animals(tmp_path: Path, settings: Settings) -> None:
    benchmark(tmp_path / "data")
    imported = import_dataset(tmp_path / "data/OneClassNovelty/multidog", settings)
    assert [(e["subset"], e["train"], e["test"]) for e in imported.dataset.counts()] == [
        ("multidog_labrador_retriever", {"0": 2}, {"0": 2, "1": 2, "2": 2}),
        ("multidog_teddy", {"0": 2}, {"0": 2, "1": 2, "2": 2}),
    ]
    assert imported.problems == ()


@pytest.mark.parametrize(("place", "name"), [("mvtec", "mvtec_bottle"), ("mvtec/bottle", "bottle")])
def test_part_of_the_benchmark(tmp_path: Path, settings: Settings, place: str, name: str) -> None:
    benchmark(tmp_path / "data")
    imported = import_dataset(tmp_path / "data/Industry" / place, settings)
    assert imported.dataset.subsets == [name]
    assert imported.dataset.card.subset(name).domain == "industrial"
    assert imported.problems == ()


def test_a_template_beside_the_images_names_the_subset(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "anything")
    template(root / "mvtec_bottle_template.csv", [("good_level_0/000.png", 0), ("stain_level_1/000.png", 1)])
    imported = import_dataset(root, settings)
    assert imported.dataset.subsets == ["mvtec_bottle"]
    assert counts(imported) == {"0": 1, "1": 1}
    assert counts(imported, "train") == {"0": 4}
    unmatched = sorted(p.path.removeprefix(f"{root}/test/") for p in imported.problems)
    assert unmatched == [
        "good_level_0/001.png",
        "scratch,dent_level_2/000.png",
        "scratch,dent_level_2/001.png",
        "stain_level_1/001.png",
    ]
    assert set(imported.dataset.table["mask_path"].dropna()) == {str(root / "ground_truth/stain_level_1/000_mask.png")}


@pytest.mark.parametrize("place", ["data/template", "data/Industry/visa/pcb1"])
def test_a_template_is_a_source_of_its_own(tmp_path: Path, settings: Settings, place: str) -> None:
    benchmark(tmp_path / "data")
    file = (tmp_path / "data/template/visa_pcb1_template.csv").rename(tmp_path / place / "visa_pcb1_template.csv")
    imported = import_dataset(file, settings)
    assert imported.dataset.subsets == ["visa_pcb1"]
    assert (counts(imported, "train"), counts(imported)) == ({"0": 2}, {"0": 1, "2": 1})
    assert imported.dataset.card.subset("visa_pcb1").domain == "industrial"


HEADERS = [
    "Path,Severity",
    "image_path_raw,severity,anomaly_score",
    "Path,Area",
    "Image Path,Level,Score",
    "relative_path,severity_level",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("prefix", ["", "test/", "plate/test/", "data/Industry/plate/test/", "./", ".\\"])
def test_template_columns_and_paths_in_all_their_spellings(
    tmp_path: Path, settings: Settings, header: str, prefix: str
) -> None:
    root = industrial(tmp_path / "plate")
    rows = [(f"{prefix}good_level_0/00{i}.png", "0.0") for i in (0, 1)]
    rows += [
        (f"{prefix}{d}_level_{k}/00{i}.png", f"{k}.0") for d, k in (("stain", 1), ("scratch,dent", 2)) for i in (0, 1)
    ]
    full = [(*row, "")[: header.count(",") + 1] for row in rows]
    template(root / "plate_template.csv", full, header)  # pyright: ignore[reportArgumentType]
    imported = import_dataset(root, settings)
    assert counts(imported) == {"0": 2, "1": 2, "2": 2}
    assert imported.problems == ()
    table = imported.dataset.table
    assert set(table.loc[table["level"] == 2, "defect"].tolist()) == {"scratch,dent"}


def test_a_path_of_another_subset_is_missing_here(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "plate")
    template(root / "plate_template.csv", [("good_level_0/000.png", 0), ("data/bolt/test/stain_level_1/000.png", 1)])
    imported = import_dataset(root, settings)
    assert [p.path for p in imported.problems if p.kind == "missing-file"] == ["data/bolt/test/stain_level_1/000.png"]


def test_many_missing_images_are_reported_in_short(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "plate")
    rows = [("good_level_0/000.png", 0), *((f"stain_level_1/{i}x.png", 1) for i in range(40))]
    template(root / "plate_template.csv", rows)
    imported = import_dataset(root, settings)
    missing = [p for p in imported.problems if p.kind == "missing-file"]
    assert [p.path for p in missing[:5]] == [f"stain_level_1/{i}x.png" for i in range(5)]
    assert len(missing) == 6 and "40 of 41 rows name no file here" in missing[5].message
    assert "empty-level" in kinds(imported)
    assert counts(imported) == {"0": 1}


def test_an_empty_training_folder_is_told_beside_a_template(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "plate", ["test/good_level_0/0.png", "test/dent_level_1/0.png"])
    (root / "train/good").mkdir(parents=True)
    template(root / "plate_template.csv", [("good_level_0/0.png", 0), ("dent_level_1/0.png", 1)])
    imported = import_dataset(root, settings)
    assert [(p.kind, p.path) for p in imported.problems] == [("empty-level", str(root / "train/good"))]
    assert (counts(imported, "train"), counts(imported)) == ({}, {"0": 1, "1": 1})


def test_a_template_without_its_folder_is_one_problem(tmp_path: Path, settings: Settings) -> None:
    industrial(tmp_path / "data/Industry/mvtec/bottle")
    template(tmp_path / "data/template/mvtec_cable_template.csv", [("good_level_0/0.png", 0)])
    imported = import_dataset(tmp_path / "data", settings)
    assert kinds(imported) == ["missing-file"]
    assert imported.dataset.subsets == ["mvtec_bottle"]


@pytest.mark.parametrize("text", ["Where,Severity\ngood_level_0/000.png,0\n", "", "Path,Severity\nno/such.png,1\n"])
def test_a_useless_template_is_told_and_folders_count(tmp_path: Path, settings: Settings, text: str) -> None:
    root = industrial(tmp_path / "plate")
    (root / "plate_template.csv").write_text(text)
    imported = import_dataset(root, settings)
    assert counts(imported) == {"0": 2, "1": 2, "2": 2}
    assert any("plate_template.csv" in p.message for p in imported.problems)
    assert set(kinds(imported)) <= {"unmatched", "missing-file", "empty-level"}


def test_published_levels_are_used_for_unlabelled_trees(tmp_path: Path, settings: Settings) -> None:
    names = ["train/good/0.png", "test/good/0.png", "test/broken_large/0.png", "test/contamination/0.png"]
    tree(tmp_path / "mvtec_anomaly_detection/bottle", names)
    tree(
        tmp_path / "mvtec_anomaly_detection/toothbrush", ["train/good/0.png", "test/good/0.png", "test/defective/0.png"]
    )
    imported = import_dataset(tmp_path / "mvtec_anomaly_detection", settings)
    assert [(e["subset"], e["test"]) for e in imported.dataset.counts()] == [
        ("mvtec_bottle", {"0": 1, "1": 1, "3": 1}),
        ("mvtec_toothbrush", {"0": 1}),
    ]
    assert kinds(imported) == ["unknown-level"]
    alone = import_dataset(tmp_path / "mvtec_anomaly_detection/bottle", settings)
    assert counts(alone) == {"0": 1, "1": 1, "3": 1}
    assert alone.dataset.card.subset("bottle").levels["3"].name == "lost"


def test_combined_defects_are_found_in_any_order() -> None:
    policy = built_in("visa")
    assert policy is not None
    assert policy.level("scratch,Melt", "pcb1") == policy.level("melt,scratch", "visa_pcb1", "pcb1") == 2.0


@pytest.mark.parametrize(
    ("trail", "key", "part"),
    [
        (("data", "Industry", "mvtec", "bottle"), "mvtec", "bottle"),
        (("mvtec_metal_nut",), "mvtec", "metal_nut"),
        (("MVTec-AD", "cable"), "mvtec", "cable"),
        (("Covid19",), "covid19", ""),
        (("Diabetic_Retinopathy",), "diabetic-retinopathy", ""),
        (("multidog_teddy",), "multidog", "teddy"),
    ],
)
def test_names_of_the_benchmark(trail: tuple[str, ...], key: str, part: str) -> None:
    known = identify(trail)
    assert known is not None
    assert (known.benchmark.key, known.part) == (key, part)


@pytest.mark.parametrize("trail", [("parts",), ("data", "bottle"), ("covid19", "ward")])
def test_other_names_are_not_the_benchmark(trail: tuple[str, ...]) -> None:
    assert identify(trail) is None


@given(
    st.from_regex(r"[a-z]{1,5}([_,][a-z]{1,5}){0,3}", fullmatch=True).filter(lambda d: "level" not in d),
    st.integers(1, 99),
    st.sampled_from(["", ".0", ".5"]),
)
def test_folder_names_say_defect_and_level(defect: str, level: int, half: str) -> None:
    said = meaning(f"{defect}_level_{level}{half}")
    assert said is not None
    assert said.level == float(f"{level}{half}")
    assert said.defect == defect or said.split is not None or meaning(defect) is not None


@shared
def test_published_policies_are_carried_faithfully() -> None:
    with (SHARED / "madbench_policy.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            policy, defect = built_in(row["dataset"]), row["defect_or_folder"]
            if policy and meaning(defect) is None:
                assert policy.level(defect, row["subset"]) == float(row["level"]), row


@shared
@pytest.mark.parametrize("path", sorted(SHARED.glob("madbench_templates/*.csv")), ids=lambda p: p.stem)
def test_published_templates_find_their_images(tmp_path: Path, settings: Settings, path: Path) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    root = tmp_path / path.stem.removesuffix("_template")
    test = root / "test" if "/level_" not in f"/{rows[0]['Path']}" else root
    picture = draw(tmp_path / "one.png").read_bytes()
    for row in rows:
        target = test / row["Path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(picture + row["Path"].encode())
    (root / path.name).write_bytes(path.read_bytes())
    imported = import_dataset(root, settings)
    assert imported.problems == ()
    assert len(imported.dataset.table) == len(rows)
    assert imported.dataset.subsets == [root.name]
    found = imported.dataset.table.set_index("template_path")["level"]
    assert found.to_dict() == {row["Path"]: float(row["Severity"]) for row in rows}


@shared
def test_magnetic_tile(settings: Settings) -> None:
    imported = import_dataset(SHARED / "magnetic_tile", settings)
    assert imported.dataset.counts() == [
        {
            "subset": "magnetic_tile",
            "domain": "industrial",
            "train": {"0": 60},
            "test": {"0": 24, "1": 24, "2": 12, "3": 24},
            "masks": 60,
        }
    ]
    assert {problem.kind for problem in imported.problems} <= {"near-duplicate"}  # one tile, exposed twice
