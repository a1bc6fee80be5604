"""Folders: a level a folder, the benchmark's trees, defect types with a severity policy, cards."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mad_core.datasets.dataset import Card, LevelMeaning, SubsetCard
from mad_core.datasets.importing import check_report, import_dataset
from mad_core.errors import CancelledError, InputError
from mad_core.paths import MOST_PARTS, remove_tree, walked
from mad_core.settings import Settings

from .pictures import counts, draw, industrial, kinds, tree


@pytest.mark.parametrize(
    "names",
    [
        ("level_0", "level_1", "level_2.5"),
        ("L0", "L1", "L2.5"),
        ("0", "1", "2.5"),
        ("good", "Level 1", "scratch_level_2.5"),
        ("severity-0", "severity-1", "severity-2.5"),
    ],
)
def test_a_folder_a_level(tmp_path: Path, settings: Settings, names: tuple[str, ...]) -> None:
    root = tree(tmp_path / "parts", [f"{name}/{i} (a).png" for name in names for i in range(5)])
    imported = import_dataset(root, settings)
    assert check_report(imported) == {
        "name": "parts",
        "subsets": [
            {
                "subset": "parts",
                "domain": "other",
                "train": {"0": 2},
                "test": {"0": 3, "1": 5, "2.5": 5},
                "masks": 0,
            }
        ],
        "problems": [],
    }


def test_a_train_folder_says_which_normals_are_for_training(tmp_path: Path, settings: Settings) -> None:
    names = [f"{level}/{i}.png" for level in ("level_0_train", "level_0_test", "level_1") for i in range(3)]
    imported = import_dataset(tree(tmp_path / "scans", names), settings)
    assert counts(imported, "train") == {"0": 3}
    assert counts(imported) == {"0": 3, "1": 3}
    assert set(imported.dataset.table["template_path"]) == set(names)


def test_splits_inside_a_level_and_levels_beside_a_split(tmp_path: Path, settings: Settings) -> None:
    names = ["level_0/train/0.png", "level_0/test/1.png", "level_1/2.png", "train/3.png", "val/level_1/4.png"]
    imported = import_dataset(tree(tmp_path / "x", names), settings)
    table = imported.dataset.table.set_index("template_path")
    assert table["split"].to_dict() == {
        "level_0/train/0.png": "train",
        "level_0/test/1.png": "test",
        "level_1/2.png": "test",
        "train/3.png": "train",
        "val/level_1/4.png": "calibration",
    }


def test_the_drawn_training_part_follows_content_alone(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "a", [f"level_{level}/{i}.png" for level in (0, 1) for i in range(9)])
    first = import_dataset(root, settings).dataset
    trained = set(first.select(split="train")["content_hash"])
    assert len(trained) == 4
    for path in (root / "level_0").iterdir():
        path.rename(path.with_name(f"renamed {path.name}"))
    assert set(import_dataset(root, settings).dataset.select(split="train")["content_hash"]) == trained


def test_copies_are_never_drawn_apart(tmp_path: Path, settings: Settings) -> None:
    for i in range(12):
        draw(tmp_path / f"d/level_0/{i}.png", f"content {i // 3}")
    draw(tmp_path / "d/level_1/0.png")
    imported = import_dataset(tmp_path / "d", settings)
    assert counts(imported, "train") == {"0": 6}
    assert set(kinds(imported)) == {"duplicate"}


def test_industrial_subset_with_masks(tmp_path: Path, settings: Settings) -> None:
    imported = import_dataset(industrial(tmp_path / "plate"), settings)
    (entry,) = imported.dataset.counts()
    assert entry == {
        "subset": "plate",
        "domain": "industrial",
        "train": {"0": 4},
        "test": {"0": 2, "1": 2, "2": 2},
        "masks": 2,
    }
    assert imported.problems == ()
    test = imported.dataset.select(split="test").set_index("template_path")
    row = test.loc["scratch,dent_level_2/001.png"]
    assert (row["defect"], row["level"], row["width"], row["height"]) == ("scratch,dent", 2.0, 8, 6)
    assert row["mask_path"].endswith("ground_truth/scratch,dent_level_2/001.png")


def test_masks_that_kept_the_folder_names_without_levels(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "plate")
    (root / "ground_truth/stain_level_1").rename(root / "ground_truth/stain")
    imported = import_dataset(root, settings)
    assert imported.dataset.counts()[0]["masks"] == 2
    assert imported.problems == ()


def test_masks_beside_their_images_are_no_images(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "m", ["level_0/a.png", "level_0/b.png", "level_1/c.png", "level_1/c_mask.png"])
    imported = import_dataset(root, settings)
    assert imported.dataset.counts()[0]["masks"] == 1
    assert len(imported.dataset.table) == 3


def test_ids_and_version_stay_when_the_folder_moves(tmp_path: Path, settings: Settings) -> None:
    first = import_dataset(industrial(tmp_path / "here" / "plate"), settings).dataset
    moved = shutil.copytree(tmp_path / "here" / "plate", tmp_path / "there" / "plate")
    second = import_dataset(moved, settings).dataset
    assert first.version == second.version
    assert set(first.table["image_id"]) == set(second.table["image_id"])
    assert set(first.table["path"]).isdisjoint(second.table["path"])


def test_several_subsets_and_equal_names(tmp_path: Path, settings: Settings) -> None:
    for place in ("line1/plate", "line2/plate", "bolt"):
        industrial(tmp_path / "root" / place)
    assert import_dataset(tmp_path / "root", settings).dataset.subsets == ["bolt", "line1_plate", "line2_plate"]


def test_numbered_subsets_are_not_levels(tmp_path: Path, settings: Settings) -> None:
    for place in ("1", "2"):
        industrial(tmp_path / "root" / place)
    assert import_dataset(tmp_path / "root", settings).dataset.subsets == ["1", "2"]


DEFECTS = ["train/good/0.png", "train/good/1.png", "test/good/0.png", "test/dent/0.png", "test/dent/1.png"]


def test_defect_types_without_levels_need_a_policy(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "part", DEFECTS)
    with pytest.raises(InputError, match=r"severity level of dent: write a severity policy.*'defect type: level'"):
        import_dataset(root, settings)


@pytest.mark.parametrize("text", ["dent: 2\n", "part:\n  Dent: 2.0\n"])
@pytest.mark.parametrize("place", ["given", "severity.yaml"])
def test_a_policy_gives_levels_to_defect_types(tmp_path: Path, settings: Settings, text: str, place: str) -> None:
    root = tree(tmp_path / "part", [*DEFECTS, "test/odd/0.png", "ground_truth/dent/000_mask.png"])
    file = tmp_path / "given.yaml" if place == "given" else root / place
    file.write_text(text)
    imported = import_dataset(root, settings, policy=file if place == "given" else None)
    assert counts(imported) == {"0": 1, "2": 2}
    problem = next(p for p in imported.problems if p.kind == "unknown-level")
    assert problem.path.endswith("test/odd")
    assert "gives no level for 'odd'" in problem.message


@pytest.mark.parametrize(
    "text", ["", "- 1\n", "dent: high\n", "dent: -1\n", "dent: .nan\n", "a: [", "dent: true\n", "\x00"]
)
def test_a_bad_policy_is_a_sentence(tmp_path: Path, settings: Settings, text: str) -> None:
    root = tree(tmp_path / "part", DEFECTS)
    (root / "severity.yaml").write_text(text)
    with pytest.raises(InputError, match=r"severity\.yaml"):
        import_dataset(root, settings)


def test_card_in_the_folder(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "plate")
    text = "title: Plates\nsubsets:\n  plate:\n    domain: novelty\n    levels:\n      1: {name: cosmetic}\n"
    (root / "mad.yaml").write_text(f"{text}      2.0: {{name: lost, meaning: scrap}}\n")
    card = import_dataset(root, settings).dataset.card
    assert card == Card(
        title="Plates",
        subsets={"plate": SubsetCard("novelty", {"1": LevelMeaning("cosmetic"), "2": LevelMeaning("lost", "scrap")})},
    )


@pytest.mark.parametrize(
    "text",
    [
        "just text",
        "title: [a]",
        "subsets: 3",
        "subsets: {a: 1}",
        "subsets: {a: {levels: 1}}",
        "subsets: {a: {levels: {1: bad}}}",
        "subsets: {a: {levels: {1: {name: {x: y}}}}}",
        "a: &a [x]\nb: &b [*a, *a]\ntitle: [*b, *b]",
        "!!python/object/apply:os.system ['true']",
        "title: 'cut",
    ],
)
def test_a_bad_card_is_a_sentence(tmp_path: Path, settings: Settings, text: str) -> None:
    root = industrial(tmp_path / "plate")
    (root / "mad.yaml").write_text(text)
    with pytest.raises(InputError, match=r"mad\.yaml"):
        import_dataset(root, settings)


def test_the_demo(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from mad_core.datasets.demo import make

    monkeypatch.setattr(make, "TRAIN_IMAGES", 2)
    monkeypatch.setattr(make, "LEVEL_IMAGES", 4)
    imported = import_dataset("demo", settings)
    assert (imported.dataset.name, imported.dataset.source, imported.problems) == ("Demo", "demo", ())
    assert imported.dataset.card == make.demo_card()
    assert [(e["train"], e["masks"]) for e in imported.dataset.counts()] == [({"0": 2}, 16)] * 3


def test_sources_that_are_no_datasets_are_sentences(tmp_path: Path, settings: Settings) -> None:
    draw(tmp_path / "flat/monday/a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.md").write_text("words")
    for name, sentence in {
        "absent": "is not there",
        "long" * 100: "is not there",
        "a\0b": "is not there",
        "flat": "nothing says their severity levels",
        "flat/monday/a.png": "is one image",
        "empty": "holds no image",
        "text.md": "neither a table nor a zip or tar",
    }.items():
        with pytest.raises(InputError, match=sentence):
            import_dataset(tmp_path / name, settings)


def test_progress_is_told_and_may_end_the_import(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "plate")
    told: list[tuple[int, int]] = []
    import_dataset(root, settings, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12)

    def cancel(done: int, total: int) -> None:
        if done:
            raise CancelledError("Stopped.")

    with pytest.raises(CancelledError):
        import_dataset(root, settings, progress=cancel)


def test_hidden_files_are_passed_over(tmp_path: Path, settings: Settings) -> None:
    root = industrial(tmp_path / "plate")
    (root / "test/stain_level_1/._000.png").write_bytes(b"resource fork")
    (root / "test/stain_level_1/Thumbs.db").write_bytes(b"x")
    (root / "test/.cache_level_3").mkdir()
    assert import_dataset(root, settings).problems == ()


def test_folders_deeper_than_anybody_makes_them_are_named_and_passed_over(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(tmp_path / "parts", [f"level_{level}/{i}.png" for level in range(2) for i in range(5)])
    monkeypatch.chdir(root / "level_1")
    for _ in range(1100):  # Python's own walk calls itself for each
        os.mkdir("d")
        os.chdir("d")
    monkeypatch.chdir(tmp_path)
    imported = import_dataset(root, settings)
    assert len(imported.dataset.table) == 10
    (problem,) = [one for one in imported.problems if one.kind == "unreadable"]
    assert problem.path.count("/d") == MOST_PARTS - 1 and "not looked into" in problem.message
    assert len(list(walked(root))) == MOST_PARTS + 2  # the root, two levels, and what is below one
    remove_tree(root)
