"""Data sets in the forms of other tools and authors: shards, exports of annotation tools, public layouts, odd paths."""

import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.plan import LevelsUnknownError
from mad_core.errors import InputError
from mad_core.settings import Settings

from .pictures import counts, draw, kinds, tree


def levels(imported: Imported) -> dict[str, float]:
    """Levels by the name of the file."""
    t = imported.dataset.table
    return {Path(p).name: level for p, level in zip(t["path"], t["level"], strict=True)}


def splits(imported: Imported) -> dict[str, str]:
    t = imported.dataset.table
    return dict(zip(t["template_path"], t["split"], strict=True))


def image_bytes(folder: Path, name: str) -> bytes:
    return draw(folder / "drawn" / f"{name}.png", name).read_bytes()


def grey(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8), value, dtype=np.uint8)).save(path)
    return path


# -- shards ---------------------------------------------------------------------------------------


def hub_shard(path: Path, rows: list[tuple[bytes, str | None, int]], names: list[str] | None = None) -> Path:
    """A file as the hub's library writes one: image = {bytes, path}, label, and the labels' words as metadata."""
    images = [{"bytes": data, "path": name} for data, name, _ in rows]
    table = pa.table({"image": images, "label": [label for *_, label in rows]})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def test_parquet_with_image_bytes_is_read(tmp_path: Path, settings: Settings) -> None:
    rows = [(image_bytes(tmp_path, f"i{i}"), f"{i}.png", i % 3) for i in range(6)]
    path = hub_shard(tmp_path / "set/train-00000-of-00001.parquet", rows)
    imported = import_dataset(path, settings)
    assert kinds(imported) == []
    assert levels(imported) == {f"{i}.png": i % 3 for i in range(6)}
    assert set(imported.dataset.table["split"]) == {"train", "test"}  # no file is of tests, so they are drawn
    assert import_dataset(path, settings).dataset.version == imported.dataset.version


def test_shards_that_are_all_for_training_are_parted(tmp_path: Path, settings: Settings) -> None:
    rows = [(image_bytes(tmp_path, f"i{i}"), f"{i}.png", i % 2) for i in range(8)]
    hub_shard(tmp_path / "hub/train-00000-of-00001.parquet", rows)
    table = import_dataset(tmp_path / "hub", settings).dataset.table
    assert table["split"].value_counts().to_dict() == {"test": 6, "train": 2}


def test_a_folder_of_shards_is_one_dataset(tmp_path: Path, settings: Settings) -> None:
    for split in ("train", "test"):
        rows = [(image_bytes(tmp_path, f"{split}{i}"), None, 0 if split == "train" else i) for i in range(3)]
        hub_shard(tmp_path / f"set/data/{split}-00000-of-00001.parquet", rows)
    imported = import_dataset(tmp_path / "set", settings)
    assert (imported.dataset.name, counts(imported, "train"), counts(imported)) == (
        "set",
        {"0": 3},
        {"0": 1, "1": 1, "2": 1},
    )


def test_classes_of_the_hub_are_words_that_a_policy_gives_levels(tmp_path: Path, settings: Settings) -> None:
    rows = [(image_bytes(tmp_path, f"i{i}"), f"{i}.png", i % 2) for i in range(4)]
    path = hub_shard(tmp_path / "set/test.parquet", rows, ["crack", "good"])
    (path.parent / "severity.yaml").write_text("crack: 2\n")
    assert levels(import_dataset(path, settings)) == {"0.png": 2, "1.png": 0, "2.png": 2, "3.png": 0}


def test_columns_of_a_shard_that_are_not_known_may_be_chosen(tmp_path: Path, settings: Settings) -> None:
    images = [{"bytes": image_bytes(tmp_path, f"i{i}"), "path": f"{i}.png"} for i in range(3)]
    table = pa.table({"image": images, "wear": [0, 1, 2], "camera_gain": [0.5, 0.5, 0.5]})
    pq.write_table(table, tmp_path / "set.parquet")
    with pytest.raises(LevelsUnknownError, match="its columns are path, wear, camera_gain") as asked:
        import_dataset(tmp_path / "set.parquet", settings)
    wear = next(row for row in asked.value.plan.rows if row.name == "wear")
    plan = asked.value.plan.corrected(wear, role="level", split="", subset="", level=None)
    assert levels(import_dataset(tmp_path / "set.parquet", settings, plan=plan)) == {"0.png": 0, "1.png": 1, "2.png": 2}


def test_the_benchmarks_own_parquet_becomes_its_tree(tmp_path: Path, settings: Settings) -> None:
    names = ["train/good/0.png", "test/good_level_0/1.png", "test/broken_large_level_3/2.png"]
    table = pa.table(
        {
            "image": [{"bytes": image_bytes(tmp_path, n.replace("/", "")), "path": None} for n in names],
            "relative_path": [f"MultilevelADSet/mvtec/bottle/{n}" for n in names],
        }
    )
    pq.write_table(table, tmp_path / "bench.parquet")
    imported = import_dataset(tmp_path / "bench.parquet", settings)
    assert imported.dataset.subsets == ["mvtec_bottle"]
    assert levels(imported) == {"0.png": 0, "1.png": 0, "2.png": 3}


@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "C:/out.png", ".hidden/x.png"])
def test_a_parquet_writes_nothing_outside(tmp_path: Path, settings: Settings, name: str) -> None:
    data = image_bytes(tmp_path, "x")
    table = pa.table({"image": [{"bytes": data, "path": None}], "relative_path": [name]})
    pq.write_table(table, tmp_path / "evil.parquet")
    with pytest.raises(InputError, match="not unpacked"):
        import_dataset(tmp_path / "evil.parquet", settings)
    assert not list(settings.imports.glob("shards-*[!k]"))


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    import io

    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def shard(path: Path, folder: Path, keys: range, split: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for i in keys:
            add(archive, f"{i:04d}.png", image_bytes(folder, f"w{i}"))
            add(archive, f"{i:04d}.cls", str(i % 3).encode())
            add(archive, f"{i:04d}.json", json.dumps({"id": i, **({"split": split} if split else {})}).encode())
    return path


def test_a_webdataset_shard_is_read(tmp_path: Path, settings: Settings) -> None:
    imported = import_dataset(shard(tmp_path / "shard-000.tar", tmp_path, range(6)), settings)
    assert kinds(imported) == []
    assert levels(imported) == {f"{i:04d}.png": i % 3 for i in range(6)}


def test_several_webdataset_shards_are_one_dataset(tmp_path: Path, settings: Settings) -> None:
    shard(tmp_path / "set/shard-000.tar", tmp_path, range(3), "train")
    shard(tmp_path / "set/shard-001.tar", tmp_path, range(3, 6), "test")
    imported = import_dataset(tmp_path / "set", settings)
    assert counts(imported) == {"0": 1, "1": 1, "2": 1} and counts(imported, "train") == {"0": 1}


# -- annotation tools -----------------------------------------------------------------------------


def coco(with_severity: bool = True) -> dict[str, object]:
    return {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in range(4)],
        "categories": [{"id": 1, "name": "crack"}],
        "annotations": [
            {"image_id": i, "category_id": 1, **({"attributes": {"severity": i}} if with_severity else {})}
            for i in (2, 2, 3)
        ],
    }


@pytest.mark.parametrize("source", ["annotations/instances.json", "."])
def test_coco_is_read_and_silence_is_no_normal(tmp_path: Path, settings: Settings, source: str) -> None:
    root = tree(tmp_path / "set", [f"images/{i}.png" for i in range(4)])
    (root / "annotations").mkdir()
    (root / "annotations/instances.json").write_text(json.dumps(coco()))
    imported = import_dataset(root / source, settings)
    assert {n: v for n, v in levels(imported).items() if v >= 0} == {"2.png": 2, "3.png": 3}
    assert imported.dataset.unlabelled() == 2
    policy = tmp_path / "p.yaml"
    policy.write_text("no annotation: 0\n")
    found = import_dataset(root / source, settings, policy=policy)
    assert levels(found) == {"0.png": 0, "1.png": 0, "2.png": 2, "3.png": 3}
    assert set(found.dataset.table["defect"].dropna()) == {"crack", "no annotation"}


def test_coco_without_severities_asks_for_those_of_its_categories(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "set", [f"{i}.png" for i in range(4)])
    (root / "coco.json").write_text(json.dumps(coco(with_severity=False)))
    policy = tmp_path / "p.yaml"
    policy.write_text("crack: 2\nno annotation: 0\n")
    assert levels(import_dataset(root, settings, policy=policy)) == {"0.png": 0, "1.png": 0, "2.png": 2, "3.png": 2}


WORDS = ("none", "mild", "severe")


def label_studio(root: Path, form: str) -> Path:
    names = [f"/data/upload/1/ab12cd3{i}-{i:03d}.png" for i in range(3)]
    match form:
        case "full":
            answers = [[{"result": [{"type": "choices", "value": {"choices": [w]}}]}] for w in WORDS]
            tasks = [{"data": {"image": n}, "annotations": a} for n, a in zip(names, answers, strict=True)]
            text, path = json.dumps(tasks), root / "export.json"
        case "min":
            rows = [{"id": i, "image": n, "choice": w} for i, (n, w) in enumerate(zip(names, WORDS, strict=True))]
            text, path = json.dumps(rows), root / "export-min.json"
        case _:
            lines = [f"{i},{n},{w},1" for i, (n, w) in enumerate(zip(names, WORDS, strict=True))]
            text, path = "\n".join(["id,image,choice,annotator", *lines]), root / "export.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("form", ["full", "min", "csv"])
@pytest.mark.parametrize("prefix", [True, False])
def test_label_studio_is_matched_by_file_name(tmp_path: Path, settings: Settings, form: str, prefix: bool) -> None:
    root = tree(tmp_path / "set", [f"in/{f'ab12cd3{i}-' if prefix else ''}{i:03d}.png" for i in range(3)])
    path = label_studio(root, form)
    policy = tmp_path / "p.yaml"
    policy.write_text("none: 0\nmild: 1\nsevere: 2\n")
    imported = import_dataset(path, settings, policy=policy)
    assert kinds(imported) == []
    assert [level for _, level in sorted(levels(imported).items())] == [0, 1, 2]


def test_two_annotators_who_differ_are_not_guessed(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "set", ["0.png", "1.png"])
    both = [{"result": [{"type": "choices", "value": {"choices": [w]}}]} for w in ("0", "2")]
    tasks = [{"data": {"image": f"/data/local-files/?d=set%2F{i}.png"}, "annotations": both[: i + 1]} for i in (0, 1)]
    (root / "export.json").write_text(json.dumps(tasks))
    imported = import_dataset(root, settings)
    assert levels(imported) == {"0.png": 0}
    assert any("'0 | 2'" in p.message for p in imported.problems)


def test_the_label_file_of_elpv_is_read(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "elpv", [f"images/cell{i:04d}.png" for i in range(8)])
    certainty = ["0.0", "0.3333333333333333", "0.6666666666666666", "1.0"]
    lines = [f"images/cell{i:04d}.png   {certainty[i // 2]}   {'mono' if i % 2 else 'poly'}" for i in range(8)]
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    imported = import_dataset(root, settings)
    assert imported.dataset.subsets == ["mono", "poly"]
    assert imported.dataset.levels("mono") == [float(c) for c in certainty]


# -- paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written",
    [
        "img/{i}_left.png",
        "{i}_left",
        "{i}_LEFT.PNG",
        "img\\{i}_left.png",
        "/home/me/data/img/{i}_left.png",
        "C:\\data\\img\\{i}_left.png",
        "file:///mnt/img/{i}_left.png",
        "https://host/set/img/{i}_left.png?token=1",
        "s3://bucket/img/{i}_left.png",
        "../elsewhere/{i}_left.png",
    ],
)
def test_paths_as_other_machines_write_them(tmp_path: Path, settings: Settings, written: str) -> None:
    root = tree(tmp_path / "set", [f"img/{i}_left.png" for i in range(3)])
    lines = [f"{written.format(i=i)},{i}" for i in range(3)]
    (root / "labels.csv").write_text("\n".join(["image,level", *lines]))
    imported = import_dataset(root / "labels.csv", settings)
    if written.startswith(".."):
        assert kinds(imported).count("missing-file") == 4 and imported.dataset.table.empty
        return
    assert kinds(imported) == []
    assert levels(imported) == {f"{i}_left.png": i for i in range(3)}


def test_absolute_paths_through_a_link_are_taken(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "set", ["a/0.png", "b/0.png"])
    os.symlink(root, tmp_path / "link")
    (root / "t.csv").write_text(f"path,level\n{tmp_path}/link/a/0.png,0\n{tmp_path}/link/b/0.png,1\n")
    assert sorted(import_dataset(root / "t.csv", settings).dataset.table["level"]) == [0, 1]


def test_a_path_that_fits_twice_is_not_guessed(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "set", ["img/a/0.png", "img/b/0.png", "img/a/1.png"])
    (root / "t.csv").write_text("path,level\n0.png,0\n1.png,1\n")
    imported = import_dataset(root / "t.csv", settings)
    assert levels(imported) == {"1.png": 1}
    assert "may be img/a/0.png and img/b/0.png" in next(p.message for p in imported.problems)


def test_another_folder_is_never_taken_for_the_one_that_is_written(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "set", ["bad/0.png", "good/1.png"])
    (root / "t.csv").write_text("path,level\ngood/0.png,0\ngood/1.png,0\nbad/0.png,1\n")
    imported = import_dataset(root / "t.csv", settings)
    assert levels(imported) == {"1.png": 0, "0.png": 1}
    assert kinds(imported) == ["missing-file"]


def test_3000_missing_rows_are_a_few_lines_and_a_cure(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "set", ["0.png", "1.png"])
    pd.DataFrame({"image": [f"{i}.tif" for i in range(3000)], "level": 1}).to_csv(root / "labels.csv", index=False)
    problems = [p for p in import_dataset(root / "labels.csv", settings).problems if p.kind == "missing-file"]
    assert len(problems) == 6
    assert "3,000 of 3,000 rows name no file here" in problems[5].message and "'0.png'" in problems[5].message
    (root / "labels.csv").write_text("image,level\n0.tif,0\n1.tif,1\n")
    assert any("end in '.png' here" in p.message for p in import_dataset(root / "labels.csv", settings).problems)


def test_two_tables_of_two_splits_are_one_dataset(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "set", [f"images/{s}{i}.png" for s in ("train", "test") for i in range(3)])
    for split in ("train", "test"):
        rows = [f"images/{split}{i}.png,{0 if split == 'train' else i}" for i in range(3)]
        (root / f"{split}.csv").write_text("\n".join(["path,level", *rows]))
    imported = import_dataset(root, settings)
    assert (counts(imported, "train"), counts(imported)) == ({"0": 3}, {"0": 1, "1": 1, "2": 1})


# -- public data sets -----------------------------------------------------------------------------


def policy(folder: Path, text: str) -> Path:
    path = folder / "p.yaml"
    path.write_text(text)
    return path


def test_mvtec_ad_2(tmp_path: Path, settings: Settings) -> None:
    root = tree(
        tmp_path / "vial",
        [
            "train/good/000_regular.png",
            "validation/good/000_regular.png",
            "test_public/good/000_regular.png",
            "test_public/bad/000_regular.png",
            "test_public/ground_truth/bad/000_regular_mask.png",
            "test_private/000_regular.png",
        ],
    )
    with pytest.raises(InputError, match="severity level of bad"):
        import_dataset(root, settings)
    imported = import_dataset(root, settings, policy=policy(tmp_path, "bad: 1\n"))
    assert counts(imported) == {"0": 1, "1": 1} and imported.dataset.counts()[0]["masks"] == 1
    assert [p.path for p in imported.problems] == [str(root / "test_private")]


def test_mvtec_3d(tmp_path: Path, settings: Settings) -> None:
    names = ["train/good/rgb/000.png", "train/good/xyz/000.tiff", "validation/good/rgb/000.png"]
    for kind in ("good", "crack"):
        names += [f"test/{kind}/{part}" for part in ("rgb/000.png", "gt/000.png")]
    root = tmp_path / "bagel"
    for name in names:
        draw(root / name.replace(".tiff", ".tif"), name)
    imported = import_dataset(root, settings, policy=policy(tmp_path, "crack: 2\n"))
    assert counts(imported) == {"0": 1, "2": 1} and counts(imported, "train") == {"0": 1}
    assert str(root / "test/crack/gt/000.png") in imported.dataset.table["mask_path"].tolist()


@pytest.mark.parametrize(
    "names",
    [
        [
            "train/good/rgb/0.png",
            *(f"test/{k}/{p}/0.png" for k in ("good", "dent_level_1", "level_2") for p in ("rgb", "xyz")),
        ],
        ["train/good/0.png", *(f"test_public/{k}/0.png" for k in ("good", "dent_level_1", "bad_level_2"))],
        ["OK/S0001/0.jpg", "OK/S0002/1.jpg", "NG/dent_level_1/S0003/2.jpg", "NG/cut_level_2/S0004/3.jpg"],
    ],
    ids=["mvtec-3d", "mvtec-ad-2", "real-iad"],
)
def test_a_level_in_the_name_of_a_published_folder_counts(tmp_path: Path, settings: Settings, names: list[str]) -> None:
    imported = import_dataset(tree(tmp_path / "set", names), settings)
    assert sorted(imported.dataset.table["level"])[-2:] == [1, 2]
    assert set(imported.dataset.table["defect"].dropna()) <= {"dent", "bad", "cut"} and not imported.problems


def test_what_a_plan_says_of_a_published_folder_counts(tmp_path: Path, settings: Settings) -> None:
    names = [f"{k}/rgb/0.png" for k in ("train/good", "test/good", "test/dent", "test/old")] + ["test/dent/xyz/0.png"]
    root = tree(tmp_path / "bagel", names)
    plan = tmp_path / "plan.yaml"
    plan.write_text("folders:\n  test/dent: {role: images, level: 3}\nlevels:\n  old: left out\n")
    imported = import_dataset(root, settings, plan=plan)
    assert counts(imported) == {"0": 1, "3": 1} and kinds(imported) == []
    again = import_dataset(root, settings, plan=imported.plan)
    assert again.dataset.card.version == imported.dataset.card.version


def test_real_iad(tmp_path: Path, settings: Settings) -> None:
    ok = [f"OK/S000{i}/audiojack_000{i}_OK_C1_1.jpg" for i in (1, 2)]
    ng = "NG/BX/S0009/audiojack_0009_NG_BX_C1_1.jpg"
    root = tmp_path / "Real-IAD"
    tree(root / "realiad_1024/audiojack", [*ok, ng, ng.replace(".jpg", ".png")])
    listing = {
        "meta": {"prefix": "audiojack/", "normal_class": "OK"},
        "train": [{"category": "audiojack", "anomaly_class": "OK", "image_path": ok[0], "mask_path": None}],
        "test": [
            {"category": "audiojack", "anomaly_class": "OK", "image_path": ok[1], "mask_path": None},
            {"category": "audiojack", "anomaly_class": "BX", "image_path": ng, "mask_path": ng.replace("jpg", "png")},
        ],
    }
    (root / "realiad_jsons").mkdir()
    (root / "realiad_jsons/audiojack.json").write_text(json.dumps(listing))
    imported = import_dataset(root, settings, policy=policy(tmp_path, "BX: 3\n"))
    assert (counts(imported, "train"), counts(imported)) == ({"0": 1}, {"0": 1, "3": 1})
    assert imported.dataset.table["mask_path"].notna().sum() == 1


def test_dagm(tmp_path: Path, settings: Settings) -> None:
    names = [f"Class1/{split}/000{i}.png" for split in ("Train", "Test") for i in range(3)]
    names += ["Class1/Train/Label/0002_label.png", "Class1/Test/Label/0001_label.png"]
    root = tree(tmp_path / "DAGM", names)
    with pytest.raises(InputError, match="severity level of defect"):
        import_dataset(root, settings)
    imported = import_dataset(root, settings, policy=policy(tmp_path, "defect: 2\n"))
    assert (counts(imported, "train"), counts(imported, "calibration")) == ({"0": 2}, {"2": 1})
    assert counts(imported) == {"0": 2, "2": 1} and imported.dataset.counts()[0]["masks"] == 2


@pytest.mark.parametrize("version", [1, 2])
def test_kolektor(tmp_path: Path, settings: Settings, version: int) -> None:
    root = tmp_path / f"ksdd{version}"
    for i in range(4):
        image, mask = (
            (f"kos{i:02d}/Part0.jpg", f"kos{i:02d}/Part0_label.bmp")
            if version == 1
            else (f"{'train' if i < 2 else 'test'}/1000{i}.png", f"{'train' if i < 2 else 'test'}/1000{i}_GT.png")
        )
        draw(root / image, f"k{i}")
        grey(root / mask, 255 if i == 3 else 0)
    with pytest.raises(InputError, match="severity level of defect"):
        import_dataset(root, settings)
    imported = import_dataset(root, settings, policy=policy(tmp_path, "defect: 1\n"))
    table = imported.dataset.table.sort_values("level")
    assert table["level"].tolist() == [0, 0, 0, 1]
    assert isinstance(table["mask_path"].iloc[-1], str)


def test_btad(tmp_path: Path, settings: Settings) -> None:
    root = tree(
        tmp_path / "btad/01",
        ["train/ok/0.bmp", "test/ok/0.bmp", "test/ko/0000.bmp", "ground_truth/ko/0000.png"],
    )
    imported = import_dataset(root, settings, policy=policy(tmp_path, "ko: 1\n"))
    assert counts(imported) == {"0": 1, "1": 1} and imported.dataset.counts()[0]["masks"] == 1


def test_mvtec_loco(tmp_path: Path, settings: Settings) -> None:
    names = ["train/good/000.png", "validation/good/000.png", "test/good/000.png"]
    for kind in ("logical_anomalies", "structural_anomalies"):
        names += [f"test/{kind}/000.png", f"ground_truth/{kind}/000/000.png", f"ground_truth/{kind}/000/001.png"]
    root = tree(tmp_path / "breakfast_box", names)
    imported = import_dataset(
        root, settings, policy=policy(tmp_path, "logical_anomalies: 2\nstructural_anomalies: 1\n")
    )
    assert counts(imported) == {"0": 1, "1": 1, "2": 1} and counts(imported, "calibration") == {"0": 1}
