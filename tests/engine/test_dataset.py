"""The dataset's table, its version and its card."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mad_core.datasets.dataset import (
    SPLITS,
    Card,
    Dataset,
    LevelMeaning,
    SubsetCard,
    image_id,
    level_key,
    rounded_level,
)
from mad_core.errors import InputError, NotFoundError

from .conftest import make_dataset


def test_levels_are_written_short_and_rounded_up() -> None:
    assert [level_key(v) for v in (0.0, 1.0, 0.5, 10.0)] == ["0", "1", "0.5", "10"]
    assert [rounded_level(v) for v in (0.0, 0.5, 1.0, 5.5)] == [0, 1, 1, 6]


def test_counts_are_by_subset_split_and_level() -> None:
    assert make_dataset().counts()[0] == {
        "subset": "a",
        "domain": "other",
        "train": {"0": 3},
        "test": {"0": 3, "1": 3, "2": 3},
        "masks": 0,
    }


def test_levels_of_a_subset_are_those_of_its_images() -> None:
    dataset = make_dataset()
    assert dataset.levels("a") == [0, 1, 2]
    assert dataset.levels("a", "train") == [0]
    assert dataset.levels("b", "calibration") == []
    with pytest.raises(NotFoundError, match="'c'"):
        dataset.levels("c")


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_a_split_and_subset_are_those_of_a_plain_look_at_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table: Any = make_dataset().table.sample(frac=1, random_state=seed)
    table["split"] = rng.choice(SPLITS, len(table))
    table.loc[(table["split"] == "test") & (rng.random(len(table)) < 0.5), "level"] = np.nan
    dataset = Dataset("mixed", table)
    for split in (None, *SPLITS):
        for subset in (None, "a", "b"):
            wanted = table[
                [split in (None, s) and subset in (None, b) for s, b in table[["split", "subset"]].to_numpy()]
            ]
            pd.testing.assert_frame_equal(dataset.select(split=split, subset=subset), wanted)
    for split in SPLITS:
        assert dataset.count(split) == (table["split"] == split).sum()
    for subset in ("a", "b"):
        own = set(table["split"][table["subset"] == subset])
        assert dataset.splits(subset) == [split for split in SPLITS if split in own]
    empty = Dataset("none", table.iloc[:0])
    assert empty.select(split="test").empty and empty.count("test") == 0
    with pytest.raises(NotFoundError, match="'c'"):
        dataset.splits("c")


def test_ids_depend_on_subset_and_path_alone() -> None:
    assert image_id("a", "x.png") == image_id("a", "x.png")
    assert len({image_id("a", "x.png"), image_id("b", "x.png"), image_id("a", "y.png"), image_id("ax", ".png")}) == 4


def _changed(column: str, value: object) -> Dataset:
    dataset = make_dataset()
    table = dataset.table.copy()
    table.loc[0, column] = value
    return Dataset(dataset.name, table, dataset.card)


@pytest.mark.parametrize(("column", "value"), [("content_hash", "other"), ("level", 3.0), ("split", "calibration")])
def test_version_changes_with_what_scorers_see(column: str, value: object) -> None:
    assert _changed(column, value).version != make_dataset().version


def test_version_does_not_depend_on_place_or_order() -> None:
    dataset = make_dataset()
    moved = dataset.table.iloc[::-1].assign(path="/elsewhere").reset_index(drop=True)
    assert Dataset("other name", moved).version == dataset.version


@pytest.mark.parametrize("level", [-1.0, float("inf")])
def test_unusable_levels_are_refused(level: float) -> None:
    with pytest.raises(InputError, match="negative or not a number"):
        _changed("level", level)


def test_an_image_twice_is_refused() -> None:
    dataset = make_dataset()
    with pytest.raises(InputError, match="twice"):
        Dataset("d", pd.concat([dataset.table, dataset.table.iloc[:1]], ignore_index=True))


def test_unknown_subset_is_a_sentence() -> None:
    with pytest.raises(NotFoundError, match="no subset 'c'; it has a, b"):
        make_dataset().select(subset="c")


def test_card_survives_json() -> None:
    card = Card(
        title="t",
        licence="CC0",
        subsets={"a": SubsetCard("industrial", {"1": LevelMeaning("usable", "scratch only")}, "economic", "plate")},
    )
    assert Card.from_json(card.to_json()) == card
    changed = card.with_level("a", 2.0, LevelMeaning("lost", "scrap"))
    assert changed.subset("a").levels["2"].name == "lost"
    assert changed.subset("a").levels["1"].name == "usable"
    assert "2" not in card.subset("a").levels


def test_card_from_rubbish_is_empty_not_wrong() -> None:
    assert Card.from_json({"subsets": {"a": {"domain": "kitchen"}}}).subset("a").domain == "other"


def test_groups_are_set_aside_for_calibration_as_a_whole() -> None:
    base = make_dataset(per_level=8)
    numbers = base.table["template_path"].str.extract(r"(\d+)\.png")[0].astype(int)
    grouped = Dataset("g", base.table.assign(group="p" + (numbers // 2).astype(str)), base.card)
    table = grouped.with_calibration(2).table
    moved = table[table["split"] != "train"].groupby(["subset", "group"])["split"].nunique()
    assert set(moved) == {1} and (table["split"] == "calibration").sum() == 2 * 3 * 2
