"""Raw MVTec AD and VisA, as their authors publish them: they become their MAD form, and nothing is copied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mad_core.datasets.importing import check_report, import_dataset
from mad_core.datasets.madbench import BENCHMARKS
from mad_core.settings import Settings

from .pictures import kinds, tree
from .test_importing_madbench import template

MVTEC, VISA = BENCHMARKS[:2]
LABELS = {0: '"melt, scratch"', 1: "Missing", 2: '"scratch,melt,missing"', 3: "bent", 4: "burnt"}


def raw_mvtec(root: Path, subset: str = "metal_nut", per_defect: int = 2) -> Path:
    """A subset of MVTec AD: a folder a defect type, masks, one defect type that the benchmark leaves out."""
    defects = ("good", *(c.name for c in MVTEC.classes(subset) if c.level > 0), "flip")
    names = [f"train/good/{i:03d}.png" for i in range(3)]
    names += [f"test/{d}/{i:03d}.png" for d in defects for i in range(per_defect)]
    names += [f"ground_truth/{d}/{i:03d}_mask.png" for d in defects[1:] for i in range(per_defect)]
    return tree(root / subset, names)


def raw_visa(root: Path, subset: str = "pcb1") -> Path:
    """An object of VisA, 4 normal and 5 anomalous images, and the tables beside."""
    data = f"{subset}/Data"
    normals = [f"{data}/Images/Normal/{i:04d}.JPG" for i in range(4)]
    anomalies = {i: f"{data}/Images/Anomaly/{i:03d}.JPG" for i in LABELS}
    masks = {i: f"{data}/Masks/Anomaly/{i:03d}.png" for i in LABELS}
    tree(root, [*normals, *anomalies.values(), *masks.values()])
    rows = [f"{n},normal," for n in normals] + [f"{anomalies[i]},{label},{masks[i]}" for i, label in LABELS.items()]
    (root / subset / "image_anno.csv").write_bytes("\r\n".join(["image,label,mask", *rows]).encode())
    split = [f"{subset},{'train' if i < 3 else 'test'},normal,{n}," for i, n in enumerate(normals)]
    split += [f"{subset},test,anomaly,{anomalies[i]},{masks[i]}" for i in LABELS]
    table = root / "split_csv/1cls.csv"
    table.parent.mkdir(exist_ok=True)
    before = table.read_text() if table.is_file() else "object,split,label,image,mask\n"
    table.write_text(before + "\n".join(split) + "\n")
    return root


def written(imported) -> dict[str, tuple[str, float]]:
    """Split and level by the path that templates write."""
    t = imported.dataset.table
    return {p: (s, level) for p, s, level in zip(t["template_path"], t["split"], t["level"], strict=True)}


@pytest.mark.parametrize("top", ["mvtec_anomaly_detection", "MVTec", "mvtec-ad"])
def test_raw_mvtec_takes_the_published_names(tmp_path: Path, settings: Settings, top: str) -> None:
    before = sorted(raw_mvtec(tmp_path / top).rglob("*"))
    imported = import_dataset(tmp_path / top, settings)
    (entry,) = imported.dataset.counts()
    assert entry == {
        "subset": "mvtec_metal_nut",
        "domain": "industrial",
        "train": {"0": 3},
        "test": {"0": 2, "1": 2, "2": 2, "3": 2},
        "masks": 6,
    }
    names = written(imported)
    assert names["bent_level_3/000.png"] == ("test", 3.0)
    assert names["good_level_0/001.png"] == ("test", 0.0)
    assert names["train/good/002.png"] == ("train", 0.0)
    assert kinds(imported) == ["unknown-level"]
    assert "MVTec-MAD as published gives no level for 'flip'" in imported.problems[0].message
    table = imported.dataset.table
    assert all(Path(p).is_file() and "level" not in p for p in table["path"])
    assert sorted((tmp_path / top / "metal_nut").rglob("*")) == before  # nothing is written or copied
    assert "CC BY-NC-SA" in imported.dataset.card.licence


def test_every_published_defect_type_has_its_level_in_a_raw_tree(tmp_path: Path, settings: Settings) -> None:
    for subset in MVTEC.subsets:
        raw_mvtec(tmp_path / "mvtec", subset, per_defect=1)
    imported = import_dataset(tmp_path / "mvtec", settings)
    names = written(imported)
    for subset in MVTEC.subsets:
        for c in MVTEC.classes(subset):
            assert names[f"{c.name}_level_{c.level:g}/000.png"][0] == "test"
    assert len(imported.dataset.select(split="test")) == sum(len(MVTEC.classes(s)) for s in MVTEC.subsets)


def test_published_templates_find_the_images_of_a_raw_tree(tmp_path: Path, settings: Settings) -> None:
    raw_mvtec(tmp_path / "data/mvtec")
    rows = [("good_level_0/001.png", 0.0), ("bent_level_3/000.png", 3.0), ("color_level_1/001.png", 1.0)]
    template(tmp_path / "data/template/mvtec_metal_nut_template.csv", rows)
    imported = import_dataset(tmp_path / "data", settings)
    tests = {p: level for p, (split, level) in written(imported).items() if split == "test"}
    assert tests == dict(rows)
    assert "missing-file" not in kinds(imported)
    assert imported.dataset.select(split="test")["mask_path"].notna().sum() == 2


def test_a_policy_of_ones_own_goes_first(tmp_path: Path, settings: Settings) -> None:
    raw_mvtec(tmp_path / "mvtec")
    (tmp_path / "mvtec/severity.yaml").write_text("bent: 1\nscratch: 2\ncolor: 3\nflip: 4\n")
    names = written(import_dataset(tmp_path / "mvtec", settings))
    assert names["bent/000.png"] == ("test", 1.0)  # not the published level, so not the published name
    assert names["scratch_level_2/000.png"] == ("test", 2.0)
    assert names["flip/000.png"] == ("test", 4.0)


def test_raw_visa_is_read_by_its_tables(tmp_path: Path, settings: Settings) -> None:
    root = raw_visa(tmp_path / "VisA_20220922")
    before = sorted(root.rglob("*"))
    imported = import_dataset(root, settings)
    assert imported.dataset.counts() == [
        {
            "subset": "visa_pcb1",
            "domain": "industrial",
            "train": {"0": 3},
            "test": {"0": 1, "2": 2, "3": 2},
            "masks": 4,
        }
    ]
    assert written(imported) == {
        "train/good/0000.JPG": ("train", 0.0),
        "train/good/0001.JPG": ("train", 0.0),
        "train/good/0002.JPG": ("train", 0.0),
        "good_level_0/0003.JPG": ("test", 0.0),
        "melt,scratch_level_2/000.JPG": ("test", 2.0),
        "missing_level_3/001.JPG": ("test", 3.0),
        "melt,scratch,missing_level_3/002.JPG": ("test", 3.0),  # spelled as published, not as in the table
        "bent_level_2/003.JPG": ("test", 2.0),
    }
    defects = imported.dataset.table.set_index("template_path")["defect"]
    assert defects["melt,scratch_level_2/000.JPG"] == "melt,scratch"
    assert kinds(imported) == ["unknown-level"]
    assert "VisA-MAD as published gives no level for 'burnt'" in imported.problems[0].message
    assert sorted(root.rglob("*")) == before
    mask = imported.dataset.table.set_index("template_path")["mask_path"]["missing_level_3/001.JPG"]
    assert mask == str(root / "pcb1/Data/Masks/Anomaly/001.png")
    assert imported.dataset.card.subset("visa_pcb1").product == "pcb1"
    assert "CC BY 4.0" in imported.dataset.card.licence


def test_every_published_combination_of_visa_has_its_level(tmp_path: Path, settings: Settings) -> None:
    """Labels as VisA writes them: blanks for underscores, and in any order."""
    for subset in VISA.subsets:
        classes = VISA.classes(subset)[1:]
        names = [f"{subset}/Data/Images/Anomaly/{i:03d}.JPG" for i in range(len(classes))]
        tree(tmp_path / "visa", [*names, f"{subset}/Data/Images/Normal/0000.JPG"])
        rows = ["image,label,mask", f"{subset}/Data/Images/Normal/0000.JPG,normal,"]
        for name, c in zip(names, classes, strict=True):
            label = ",".join(reversed(c.name.replace("_", " ").split(",")))
            rows.append(f'{name},"{label}",')
        (tmp_path / "visa" / subset / "image_anno.csv").write_text("\n".join(rows) + "\n")
    imported = import_dataset(tmp_path / "visa", settings)
    for subset in VISA.subsets:
        rows = imported.dataset.select(subset=f"visa_{subset}")
        found = set(rows.loc[rows["level"] > 0, "template_path"].str.rpartition("/")[0])
        assert found == {f"{c.name}_level_{c.level:g}" for c in VISA.classes(subset)[1:]}


def test_published_templates_find_the_images_of_raw_visa(tmp_path: Path, settings: Settings) -> None:
    raw_visa(tmp_path / "data/visa")
    rows = [("good_level_0/0003.JPG", 0.0), ("melt,scratch_level_2/000.JPG", 2.0), ("missing_level_3/001.JPG", 3.0)]
    template(tmp_path / "data/template/visa_pcb1_template.csv", rows)
    imported = import_dataset(tmp_path / "data", settings)
    tests = {p: level for p, (split, level) in written(imported).items() if split == "test"}
    assert tests == dict(rows)
    assert imported.dataset.counts()[0]["train"] == {"0": 3}
    assert "missing-file" not in kinds(imported)


def test_one_object_of_visa_alone_draws_its_training_and_says_so(tmp_path: Path, settings: Settings) -> None:
    raw_visa(tmp_path / "visa")
    imported = import_dataset(tmp_path / "visa/pcb1", settings)
    (entry,) = imported.dataset.counts()
    assert (entry["subset"], entry["train"], entry["test"]["0"]) == ("pcb1", {"0": 2}, 2)
    (problem,) = [p for p in imported.problems if p.kind == "missing-file"]
    assert problem.path.endswith("split_csv/1cls.csv") and "drawn" in problem.message


def test_visa_without_its_labels_keeps_the_normals_and_says_so(tmp_path: Path, settings: Settings) -> None:
    root = raw_visa(tmp_path / "visa")
    (root / "pcb1/image_anno.csv").unlink()
    imported = import_dataset(root, settings)
    (entry,) = imported.dataset.counts()
    assert (entry["train"], entry["test"]) == ({"0": 3}, {"0": 1})
    messages = " ".join(p.message for p in imported.problems)
    assert "image_anno.csv is not in this folder" in messages and "no level for 'Anomaly'; its 5 images" in messages


@pytest.mark.parametrize(
    ("name", "text"), [("pcb1/image_anno.csv", "a,b\n1,2\n"), ("split_csv/1cls.csv", ""), ("split_csv/1cls.csv", "x\0")]
)
def test_a_broken_table_of_visa_is_a_problem(tmp_path: Path, settings: Settings, name: str, text: str) -> None:
    root = raw_visa(tmp_path / "visa")
    (root / name).write_text(text)
    imported = import_dataset(root, settings)
    assert any(name in p.message for p in imported.problems if p.kind == "unmatched")
    assert not imported.dataset.table.empty


def test_images_that_the_table_names_and_that_are_not_there(tmp_path: Path, settings: Settings) -> None:
    root = raw_visa(tmp_path / "visa")
    (root / "pcb1/Data/Images/Anomaly/001.JPG").unlink()
    imported = import_dataset(root, settings)
    assert [p.path for p in imported.problems if p.kind == "missing-file"] == ["pcb1/Data/Images/Anomaly/001.JPG"]
    assert [p.path for p in imported.problems if p.kind == "unmatched"] == [
        str(root / "pcb1/Data/Masks/Anomaly/001.png")
    ]


def test_objects_that_are_not_published_stay_out_of_the_comparison(tmp_path: Path, settings: Settings) -> None:
    raw_visa(tmp_path / "visa", "candle")
    raw_visa(tmp_path / "visa")
    report = check_report(import_dataset(tmp_path / "visa", settings))
    assert [e["subset"] for e in report["published"] if e["state"] != "absent"] == ["visa_pcb1"]
    candle = next(e for e in report["subsets"] if e["subset"] == "visa_candle")
    assert candle["test"] == {"0": 1}


def test_folders_called_normal_and_anomaly_elsewhere_are_not_visa(tmp_path: Path, settings: Settings) -> None:
    names = [f"parts/Data/Images/Normal/{i}.png" for i in range(4)] + ["parts/Data/Images/level_1/0.png"]
    imported = import_dataset(tree(tmp_path, names) / "parts", settings)
    assert imported.dataset.subsets != ["visa_parts"]
    assert imported.dataset.card.subset(imported.dataset.subsets[0]).rubric == ""


def test_files_of_visa_need_not_be_readable_twice(tmp_path: Path, settings: Settings) -> None:
    """Importing leaves times and contents of every file as they were."""
    root = raw_visa(tmp_path / "visa")
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.rglob("*") if p.is_file()}
    os.utime(root)
    import_dataset(root, settings)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.rglob("*") if p.is_file()} == before
