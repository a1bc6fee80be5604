"""The plan of an import as a data structure: what it decides, and its YAML file."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mad_core.datasets.plan import FolderPlan, ImportPlan, PlanRow, TablePlan, parse_plan
from mad_core.datasets.policies import policy_of
from mad_core.errors import InputError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(lambda t: t.strip("/") == t)
LEVELS = st.sampled_from([0.0, 0.5, 1 / 4, 1.0, 2.0, 10.0])
FOLDERS = st.builds(
    FolderPlan, st.sampled_from(["images", "masks", "left out"]), st.sampled_from(["", "train", "test"]), NAMES, LEVELS
)
TABLES = st.builds(TablePlan, columns=st.dictionaries(st.sampled_from(["path", "level", "group"]), NAMES))


@settings(deadline=None)
@given(st.dictionaries(NAMES, FOLDERS), st.dictionaries(NAMES, TABLES), NAMES)
def test_a_plan_is_read_back_as_it_was_written(folders, tables, word: str) -> None:
    rows = tuple(PlanRow("folder", name, "images", images=3, example=word) for name in folders)
    told = {"group_from_name": word, "window": (word, f"{word}=1:2"), "ignore": (word,), "pages": "each"}
    plan = ImportPlan(folders, tables, {word: "2"}, rows, **told, normals_from="typical")
    assert parse_plan(plan.to_yaml()) == ImportPlan(folders, tables, {word: "2"}, **told, normals_from="typical")
    assert not ImportPlan(window=(word,)).empty and plan.to_json()["window"] == [word, f"{word}=1:2"]


def test_another_window_of_a_subset_takes_the_place_of_the_one_before() -> None:
    plan = parse_plan("window: [lung, a=used, a=b=1:2]").with_window("a", "1:5")
    assert plan.window == ("lung", "a=b=1:2", "a=1:5")
    assert parse_plan("window: lung").window == ("lung",) and parse_plan("window:").window == ()


@pytest.mark.parametrize(
    "word", ["no", "yes", "on", "off", "~", "null", "1e2", "010", "0x10", "1:30", ".5", "=", "a" * 1500]
)
def test_words_that_yaml_takes_for_values_stay_words(word: str) -> None:
    plan = parse_plan(ImportPlan({word: FolderPlan("masks")}).with_level(word, 1).to_yaml())
    assert plan.folder(word) == FolderPlan("masks")
    policy = plan.policy(None)
    assert policy is not None
    assert policy.level(word) == 1


def test_levels_of_a_plan_stand_before_those_of_a_policy() -> None:
    plan = ImportPlan(levels={"mild": "1", "odd": "left out", "line3": {"mild": "2"}})
    policy = plan.policy(policy_of({"mild": 5, "severe": "7,5", "line3": {"severe": 8}}, "p"))
    assert policy is not None
    assert [policy.level("Mild"), policy.level("mild", "line 3"), policy.level("severe")] == [1, 2, 7.5]
    assert policy.level("severe", "line3") == 8
    odd = policy.level("odd")
    assert odd is not None
    assert math.isnan(odd)


def test_what_is_proposed_counts_only_once_it_is_accepted() -> None:
    rows = (PlanRow("level", "mild", "asked", proposed=1.0), PlanRow("level", "odd", "asked"))
    plan = ImportPlan(rows=rows)
    assert plan.empty
    assert plan.accepted().levels == {"mild": 1.0}
    assert "level" not in plan.rows[0].to_json()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("window: {a: lung}", "window is a text or a list of texts"),
        ("ignore: [[a]]", "ignore is a text or a list of texts"),
        ("pages: [1]", "pages is one word"),
        ("- 1", "must hold lines"),
        ("folders: 3", "is not a plan"),
        ("colours: {a: b}", "is not a plan"),
        ("folders: {a: {role: photos}}", "the role 'photos' of 'a' is none of images, masks, left out"),
        ("folders: {a: {level: high}}", "the level of the folder 'a' is not a number from 0 up"),
        ("folders: {a: {split: tests}}", "the split 'tests' of 'a' is none of train"),
        ("folders: {a: {size: 3}}", "'a' takes role, split, subset, level and nothing else"),
        ("folders: {a: [1]}", "'a' takes"),
        ("tables: {t.csv: {columns: {colour: x}}}", "'colour' is none of path"),
        ("tables: {t.csv: {columns: 3}}", "the columns of 't.csv' are lines"),
        ("levels: {mild: high}", "the level of 'mild' is not a number"),
        ("levels: {mild: 1, Mild: 2}", "gives 'Mild' two levels"),
        ("levels: {mild: 1, mild: 2}", "'mild' stands twice"),
        ("folders: &a {b: *a}", "alias"),
        ("folders: {[a]: masks}", "not YAML"),
        ("\x00", "not YAML"),
    ],
)
def test_what_is_no_plan_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        parse_plan(text)


def test_a_role_alone_is_enough() -> None:
    plan = parse_plan("folders:\n  mask/: masks\ntables:\n  old.csv: left out\n")
    assert plan == ImportPlan({"mask": FolderPlan("masks")}, {"old.csv": TablePlan("left out")})
