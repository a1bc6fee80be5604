"""Whose label it is: tables beside loose pictures, words and numbers of folders, policies, YOLO, and the plan."""

from pathlib import Path

import pytest

from mad_core.datasets.dataset import Imported
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.plan import ImportPlan, LevelsUnknownError, parse_plan
from mad_core.errors import InputError
from mad_core.settings import Settings

from .pictures import counts, kinds, tree

MIXED = ["0", "0", "1", "1", "2", "2"]


def table(path: Path, names: list[str], levels: list[str], head: str = "file_name,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([head, *(f"{n},{v}" for n, v in zip(names, levels, strict=True))]) + "\n")
    return path


def levels_of(imported: Imported) -> dict[str, int]:
    return {format(k, "g"): int(n) for k, n in imported.dataset.table["level"].value_counts().sort_index().items()}


@pytest.mark.parametrize("place", ["train/metadata.csv", "metadata.csv"])
def test_a_table_inside_or_above_a_flat_folder_of_training_says_the_levels(
    tmp_path: Path, settings: Settings, place: str
) -> None:
    names = [f"{i}.png" for i in range(6)]
    root = tree(tmp_path / "d", [f"train/{n}" for n in names])
    table(root / place, names if place.startswith("train") else [f"train/{n}" for n in names], MIXED)
    imported = import_dataset(root, settings)
    assert levels_of(imported) == {"0": 2, "1": 2, "2": 2}
    assert counts(imported, "train") == {"0": 1}  # nothing is for test, so the split is drawn
    assert [r.name for r in imported.plan.rows if r.kind == "table"] == [place]


def test_tables_called_as_the_splits_give_levels_to_both(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "k", [f"{s}/{s}{i}.png" for s in ("train", "test") for i in range(6)])
    for split in ("train", "test"):
        table(root / f"{split}.csv", [f"{split}{i}.png" for i in range(6)], MIXED, "image,level")
    imported = import_dataset(root, settings)
    assert counts(imported, "train") == {"0": 2}
    assert counts(imported, "calibration") == {"1": 2, "2": 2}
    assert counts(imported) == {"0": 2, "1": 2, "2": 2}
    assert imported.problems == ()
    alone = import_dataset(root / "train.csv", settings)
    assert levels_of(alone) == {"0": 2, "1": 2, "2": 2}
    assert {Path(p.path).parent.name for p in alone.problems} == {"test"}


def test_two_tables_beside_a_folder_of_images_are_both_used(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "two", [f"images/{s}{i}.png" for s in ("train", "test") for i in range(6)])
    table(root / "train.csv", [f"images/train{i}.png" for i in range(6)], ["0"] * 6, "path,level")
    table(root / "test.csv", [f"images/test{i}.png" for i in range(6)], MIXED, "path,level")
    imported = import_dataset(root, settings)
    assert (counts(imported, "train"), counts(imported)) == ({"0": 6}, {"0": 2, "1": 2, "2": 2})


def test_a_picture_without_a_label_is_never_a_normal(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", [f"train/{i}.png" for i in range(5)])
    table(root / "train.csv", [f"{i}.png" for i in range(4)], ["0", "1", "", "0"], "image,level")
    imported = import_dataset(root, settings)
    assert levels_of(imported) == {"0": 2, "1": 1}
    assert sorted(kinds(imported)) == ["question", "unmatched"]
    assert imported.dataset.unlabelled() == 2
    absent = [r.to_json() for r in imported.plan.rows if r.level is not None and r.level < 0]
    assert [(r["name"], r["split"], r["level"], r["images"]) for r in absent] == [
        ("train", "test", "none", 1),
        ("(nothing)", "test", "none", 1),
    ]


def test_files_of_predictions_give_no_labels(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", ["train/0.png", "test/good/1.png", "test/level_1/2.png"])
    table(root / "sample_submission.csv", ["0.png"], ["1"], "image,level")
    imported = import_dataset(root, settings)
    assert counts(imported, "train") == {"0": 1}
    assert any(r.kind == "table" and r.role == "left out" for r in imported.plan.rows)


def test_a_table_that_contradicts_folders_is_named_with_the_command_that_uses_it(
    tmp_path: Path, settings: Settings
) -> None:
    root = tree(tmp_path / "d", ["level_0/0.png", "level_0/1.png", "level_1/2.png"])
    written = table(root / "labels.csv", ["level_1/2.png"], ["3"], "path,level")
    (problem,) = import_dataset(root, settings).problems
    assert problem.kind == "conflicting-level"
    assert f"python -m mad_core check {written}" in problem.message


@pytest.mark.parametrize(
    ("names", "levels"),
    [
        (("0_normal", "1_mild", "2_severe"), {"0": 2, "1": 2, "2": 2}),
        (("Grade I", "Grade II", "Grade III"), {"1": 2, "2": 2, "3": 2}),
        (("KL0", "KL1", "KL2"), {"0": 2, "1": 2, "2": 2}),
        (("stage_1", "stage_2"), {"1": 2, "2": 2}),
        (("level=0", "level=1"), {"0": 2, "1": 2}),
        (("class 0", "class 1"), {"0": 2, "1": 2}),
        (("0 - No DR", "1 - Mild"), {"0": 2, "1": 2}),
        (("0", "1", "2", "ungradable"), {"0": 2, "1": 2, "2": 2}),
        (("0", "1", "2", "mask"), {"0": 2, "1": 2, "2": 2}),
        (("level_0_good", "level_1 minor", "Level-2 (major)"), {"0": 2, "1": 2, "2": 2}),
        (("level_0", "level_0,5", "level_1"), {"0": 2, "0.5": 2, "1": 2}),
    ],
)
def test_numbers_in_folder_names_are_levels(tmp_path: Path, settings: Settings, names, levels) -> None:
    imported = import_dataset(tree(tmp_path / "d", [f"{n}/{i}.png" for n in names for i in range(2)]), settings)
    assert levels_of(imported) == levels
    sentences = "".join(p.message for p in imported.problems)
    assert ("no picture is at level 0" in sentences) == ("0" not in levels)
    assert ("'ungradable'" in sentences) == ("ungradable" in names)


def test_numbered_lots_and_lines_are_no_levels(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", [f"{n}/{i}.png" for n in ("line_1", "line_2") for i in range(2)])
    with pytest.raises(LevelsUnknownError, match="nothing says their severity levels"):
        import_dataset(root, settings)


def test_an_order_of_words_is_proposed_and_taken_only_once_accepted(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", [f"{n}/{i}.png" for n in ("none", "mild", "severe", "odd") for i in range(2)])
    with pytest.raises(LevelsUnknownError, match="Proposed: none: 0, mild: 1, severe: 2") as caught:
        import_dataset(root, settings)
    imported = import_dataset(root, settings, plan=caught.value.plan.accepted())
    assert levels_of(imported) == {"0": 2, "1": 2, "2": 2}
    assert [r.name for r in imported.plan.asked] == ["odd"]


@pytest.mark.parametrize("way", ["beside", "given"])
def test_words_of_a_table_take_their_levels_from_a_policy(tmp_path: Path, settings: Settings, way: str) -> None:
    root = tree(tmp_path / "d", [f"{i}.png" for i in range(6)])
    table(root / "labels.csv", [f"{i}.png" for i in range(6)], ["none", "none", "mild", "mild", "severe", "blurred"])
    policy = (root if way == "beside" else tmp_path) / "severity.yaml"
    policy.write_text("none: 0\nmild: 1\nsevere: 2\nblurred: left out\n")
    for source in (root, root / "labels.csv"):
        imported = import_dataset(source, settings, policy=None if way == "beside" else policy)
        assert levels_of(imported) == {"0": 2, "1": 2, "2": 1}
        assert imported.problems == ()


def test_a_policy_counts_before_a_number_in_a_name(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", [f"{n}/{i}.png" for n in ("0_normal", "1_mild") for i in range(2)])
    (root / "severity.yaml").write_text("0_normal: 0\n1_mild: 3\n")
    assert levels_of(import_dataset(root, settings)) == {"0": 2, "3": 2}


@pytest.mark.parametrize("text", ["no: 0\nyes: 1\n", '"no": "0"\n"yes": "1"\n', "no: 0\nyes: 1e0\n"])
def test_no_is_a_word(tmp_path: Path, settings: Settings, text: str) -> None:
    root = tree(tmp_path / "d", ["train/no/0.png", "test/no/1.png", "test/yes/2.png"])
    (root / "severity.yaml").write_text(text)
    imported = import_dataset(root, settings)
    assert (counts(imported, "train"), counts(imported)) == ({"0": 1}, {"0": 1, "1": 1})


def test_yolo_texts_say_what_an_image_shows(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "y", [f"images/{s}/{s}{i}.png" for s in ("train", "test") for i in range(4)])
    for split in ("train", "test"):
        for i, text in enumerate(("", "0 0.5 0.5 0.1 0.1\n", "0 0 0 1 1\n1 0 0 1 1\n")):
            place = root / f"labels/{split}/{split}{i}.txt"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
    (root / "data.yaml").write_text("names: [dent, crack]\n")
    with pytest.raises(InputError, match="severity level of dent"):
        import_dataset(root, settings)
    (root / "severity.yaml").write_text("dent: 1\ncrack: 3\n")
    imported = import_dataset(root, settings)
    assert (counts(imported, "train"), counts(imported)) == ({"0": 1}, {"0": 1, "1": 1, "3": 1})
    assert counts(imported, "calibration") == {"1": 1, "3": 1}
    assert imported.dataset.unlabelled() == 2  # images without a text


# -- the plan -------------------------------------------------------------------------------------


def test_the_plan_of_an_import_repeats_it(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", ["train/good/0.png", "test/good/1.png", "test/dent/2.png", "test/odd/3.png"])
    (root / "severity.yaml").write_text("dent: 2\nodd: left out\n")
    first = import_dataset(root, settings)
    (root / "severity.yaml").unlink()
    again = import_dataset(root, settings, plan=parse_plan(first.plan.to_yaml()))
    assert (again.dataset.version, again.problems) == (first.dataset.version, ())
    assert again.plan.to_yaml() == first.plan.to_yaml()


def test_every_image_is_accounted_for_in_the_plan(tmp_path: Path, settings: Settings) -> None:
    names = ["level_0/0.png", "level_0/1.png", "level_1/2.png", "level_1/masks/2.png", "loose.png", "level_1/bad.png"]
    root = tree(tmp_path / "d", names)
    (root / "level_1/bad.png").write_bytes(b"no image")
    rows = import_dataset(root, settings).plan.rows
    assert sum(r.images for r in rows if r.kind == "folder") == len(names)
    assert {(r.name, r.role) for r in rows} >= {("level_1/masks", "masks"), (".", "images"), ("level_1", "left out")}


def test_a_folder_is_what_the_plan_says(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", ["level_0/0.png", "level_0/1.png", "level_1/2.png", "odd/3.png", "old/4.png"])
    plan = (
        ImportPlan()
        .with_folder("odd", level=1.5)
        .with_folder("old", role="left out")
        .with_folder("level_1", subset="other", split="test")
    )
    imported = import_dataset(root, settings, plan=plan)
    assert levels_of(imported) == {"0": 2, "1": 1, "1.5": 1}
    assert imported.dataset.subsets == ["d", "other"]
    assert [(r.images, r.note) for r in imported.plan.rows if r.name == "old"] == [(1, "by the plan")]


def test_the_plan_says_which_column_is_which(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", [f"{i}.png" for i in range(4)])
    written = table(root / "t.csv", [f"{i}.png,p{i % 2}" for i in range(4)], list("0012"), "file,who,how bad")
    plan = ImportPlan().with_table("t.csv", columns={"level": "how bad", "group": "who"})
    imported = import_dataset(written, settings, plan=plan)
    assert levels_of(imported) == {"0": 2, "1": 1, "2": 1}
    assert {(r.name, r.role) for r in imported.plan.rows if r.kind == "column"} == {
        ("file", "path"),
        ("how bad", "level"),
        ("who", "group"),
    }
    assert sorted(set(imported.dataset.table["group"])) == ["p0", "p1"]
    with pytest.raises(InputError, match="has no column 'grade'; its columns are file, who, how bad"):
        import_dataset(written, settings, plan=ImportPlan().with_table("t.csv", columns={"level": "grade"}))


def test_what_the_plan_names_and_is_not_there_is_a_problem(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "d", ["level_0/0.png", "level_0/1.png", "level_1/2.png"])
    imported = import_dataset(root, settings, plan=ImportPlan().with_folder("gone", role="masks"))
    assert [(p.kind, p.path) for p in imported.problems] == [("missing-file", "gone")]
