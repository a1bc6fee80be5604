"""Groups by names of files: presets and patterns, and only such patterns as end soon."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from mad_core.datasets import name_groups
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.name_groups import PRESETS, group_pattern, suggested_groups, with_name_groups
from mad_core.datasets.plan import ImportPlan, parse_plan
from mad_core.errors import InputError
from mad_core.settings import Settings

from .pictures import kinds, tree


@pytest.mark.parametrize(
    ("pattern", "name", "group"),
    [
        ("before-underscore", "P01_left_2", "P01"),
        ("before-last-underscore", "P01_left_2", "P01_left"),
        ("before-dash", "lot7-003", "lot7"),
        ("before-last-dash", "lot-7-003", "lot-7"),
        ("first-number", "cam12_003", "12"),
        ("before-last-number", "wafer 5b_003", "wafer 5b"),
        (r"patient(\d+)", "scan_patient044_b", "044"),
        (r"^(?:[A-Z]{2})(?P<part>[0-9]{1,4})_\d+$", "AB12_3", "12"),
        (r"_([^_.]+)\.raw", "a_b.raw", "b"),
        ("before-underscore", "alone", None),
    ],
)
def test_patterns(pattern: str, name: str, group: str | None) -> None:
    found = group_pattern(pattern).search(name)
    assert (found[1] if found else None) == group


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a+)+b", "(a|b)", r"(a)\1", "(?=a)(b)", "(?<=a)(b)", "(a", "[", "a", "(a)(b)", "(.*).*.*.*x"),
        *("a?" * 20 + "(a)", "(a{1000})", "(a)" + "b" * 300, r"(\x61)", "(?i:a)", "([z-a])"),
    ],
)
def test_what_is_no_such_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match=r"pattern|group|expression|ways"):
        group_pattern(pattern)


PIECES = ["a", "_", ".", r"\d", r"\w", "[^_]", "[a-f]", "(", ")", "(?:", "^", "$", "*", "+", "?", "{2,}"]
pieces = st.sampled_from(PIECES)


@given(st.lists(pieces, max_size=14).map("".join), st.sampled_from(["a", "_", "ab", "a_", "1", "é"]))
@limits(max_examples=150, deadline=None)
def test_a_pattern_that_is_taken_ends_soon(pattern: str, part: str) -> None:
    try:
        compiled = group_pattern(pattern)
    except InputError:
        return
    assert compiled.groups == 1 and re.compile(pattern) == compiled
    start = time.process_time()
    compiled.search((part * 120)[:120] + "!")
    assert time.process_time() - start < 1


def test_names_that_take_too_long_are_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings) -> None:
    monkeypatch.setattr(name_groups, "MOST_SECONDS", -1.0)
    root = tree(tmp_path / "set", ["level_0/a_0.png"])
    with pytest.raises(InputError, match="too long"):
        import_dataset(root, settings, plan=ImportPlan(group_from_name="before-underscore"))


def test_groups_of_an_import(tmp_path: Path, settings: Settings) -> None:
    names = [f"level_{level}/p{i}_{level}.png" for level in range(2) for i in range(4)]
    root = tree(tmp_path / "set", [*names, "level_1/none.png"])
    imported = import_dataset(root, settings, plan=ImportPlan(group_from_name="before-underscore"))
    table = imported.dataset.table
    assert [g if isinstance(g, str) else Path(p).stem for g, p in zip(table["group"], table["path"], strict=True)] == [
        Path(p).stem.partition("_")[0] for p in table["path"]
    ]
    assert set(table[table["level"] == 0]["split"]) == {"test"}  # each group has an abnormal image
    assert kinds(imported) == ["unmatched"]
    again = parse_plan(imported.plan.to_yaml())
    assert again.group_from_name == "before-underscore" and not ImportPlan(group_from_name="x").empty
    assert import_dataset(root, settings, plan=again).dataset.card.version == imported.dataset.card.version


def test_a_column_counts_before_the_name(tmp_path: Path, settings: Settings) -> None:
    root = tree(tmp_path / "set", ["a_0.png", "b_0.png", "c_0.png"])
    (root / "labels.csv").write_text("path,level,patient\na_0.png,0,X\nb_0.png,0,\nc_0.png,1,Y\n")
    imported = import_dataset(root, settings, plan=ImportPlan(group_from_name="before-underscore"))
    assert sorted(imported.dataset.table["group"]) == ["X", "Y", "b"]


def test_a_plan_names_one_pattern() -> None:
    assert parse_plan("group-from-name: ^([^_]+)_\n").group_from_name == "^([^_]+)_"
    assert parse_plan(ImportPlan(group_from_name=r'^(\d+) "x": #').to_yaml()).group_from_name == r'^(\d+) "x": #'
    with pytest.raises(InputError, match="group-from-name"):
        parse_plan("group-from-name: {a: b}\n")
    assert ImportPlan(group_from_name="first-number").to_json()["group-from-name"] == "first-number"


def test_presets_are_patterns() -> None:
    assert all(group_pattern(name).groups == 1 for name in PRESETS)
    assert with_name_groups([], "first-number") == ([], [])


@pytest.mark.parametrize(
    ("names", "preset"),
    [
        ([f"test/P{p:03d}_{side}.png" for p in range(6) for side in ("left", "right")], "before-underscore"),
        ([f"lot_{p}_{n}.png" for p in range(6) for n in range(3)], "before-last-underscore"),
        ([f"{p}-a-{n}.jpg" for p in range(9) for n in range(2)], "before-dash"),
        ([f"plate_{n:03d}.png" for n in range(50)], ""),
        ([f"{n:03d}.png" for n in range(50)], ""),
        ([f"P{p:03d}_{side}.png" for p in range(4) for side in ("left", "right")], ""),
        ([f"P{p:03d}_left.png" for p in range(40)], ""),
    ],
)
def test_names_suggest_groups_where_parts_with_a_number_are_shared(names: list[str], preset: str) -> None:
    sentence = suggested_groups(names)
    assert bool(sentence) == bool(preset)
    assert not preset or f"--group-from-name {preset}:" in sentence
