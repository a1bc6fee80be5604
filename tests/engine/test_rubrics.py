"""Rubrics: those that ship, reading one, finding one, and the text that is sent."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from mad_core.datasets import madbench
from mad_core.datasets.dataset import LevelMeaning, SubsetCard
from mad_core.datasets.demo.make import demo_card
from mad_core.errors import InputError
from mad_core.scorers.multimodal.prompts import ask
from mad_core.scorers.multimodal.rubrics import Band, Rubric, find_rubric, parse_rubric, rubric_of_card, shipped_rubrics

SHARED = Path(os.environ.get("MAD_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")
PUBLISHED = {
    "mvtec": (0, 30, 70, 100),
    "visa": (0, 30, 70, 100),
    "skin": (0, 30, 70, 100),
    "drd": (0, 25, 50, 75, 100),
    "covid19": (0, 15, 30, 50, 70, 85, 100),
    "multidogs": (0, 50, 75, 100),
}
MOST_CHARACTERS = 2_500
BANDS = "bands: [{from: 0, to: 0, name: fine}, {from: 1, to: 100, name: bad}]"


def test_the_published_bands_ship():
    shipped = shipped_rubrics()
    assert {name: tuple(band.high for band in shipped[name].bands) for name in PUBLISHED} == PUBLISHED
    assert {"general", "demo-plate", "demo-fundus", "demo-novelty"} <= set(shipped)


@pytest.mark.parametrize("name", sorted(shipped_rubrics()))
def test_a_shipped_rubric_is_whole(name: str):
    rubric = shipped_rubrics()[name]
    assert rubric.title and rubric.expert and rubric.criterion and rubric.source
    assert all(band.name and band.meaning for band in rubric.bands)
    for subset in ("", *rubric.products):
        text = rubric.wording(subset, "a thing")
        assert len(text) < MOST_CHARACTERS
        assert rubric.context_of(subset) in text
    assert parse_rubric(rubric.to_yaml()) == rubric


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not on this machine")
def test_every_published_subset_has_its_context():
    with (SHARED / "madbench_policy.csv").open(newline="") as file:
        subsets = {(row["dataset"], row["subset"]) for row in csv.DictReader(file)}
    assert len(subsets) == 31
    for dataset, subset in subsets:
        benchmark = next(found for found in madbench.BENCHMARKS if found.key == dataset)
        rubric = find_rubric("auto", benchmark.card(subset))
        assert rubric == shipped_rubrics()[benchmark.rubric]
        assert rubric.context_of(subset), f"{dataset} says nothing of {subset}"


@pytest.mark.parametrize("subset", ["metal_nut", "mvtec_metal_nut", "mvtec/metal_nut", "Metal Nut"])
def test_the_context_is_found_however_a_subset_is_written(subset: str):
    assert shipped_rubrics()["mvtec"].context_of(subset).startswith("Metal nut")


def test_no_context_is_made_up():
    rubric = shipped_rubrics()["mvtec"]
    assert rubric.context_of("") == rubric.context_of("nut") == rubric.context_of("peanut") == ""
    assert rubric.context_of("kaputtile") == ""


def test_the_longest_name_wins():
    rubric = Rubric("t", products={"nut": "any nut", "metal_nut": "the metal one"}, text="x")
    assert rubric.context_of("mvtec_metal_nut") == "the metal one"


def test_the_demo_has_rubrics_of_its_own_with_the_meanings_of_its_card():
    for subset, card in demo_card().subsets.items():
        rubric, of_card = find_rubric("auto", card), rubric_of_card(card)
        assert of_card is not None
        assert rubric.title != of_card.title and rubric.context_of(subset)
        assert rubric.bands == of_card.bands


def test_a_card_without_rubric_speaks_by_its_levels_then_the_general_one_does():
    levels = {"0": LevelMeaning("good"), "1": LevelMeaning("dull"), "2": LevelMeaning("broken")}
    assert [band.line() for band in find_rubric("auto", SubsetCard(levels=levels)).bands] == [
        "0: good.",
        "1-50: dull.",
        "51-100: broken.",
    ]
    assert find_rubric("auto", SubsetCard()) == shipped_rubrics()["general"]


def test_own_wording_is_sent_as_it_is():
    rubric = find_rubric("title: Pasted\ntext: |\n  0 is fine,\n  100 is *lost*.\n", SubsetCard())
    assert rubric.wording() == "0 is fine,\n100 is *lost*."
    assert rubric.band_of(50) is None


def test_the_wording_stands_in_the_question():
    rubric = shipped_rubrics()["mvtec"]
    talk = ask(rubric.wording("bottle", "bottle"), expert=rubric.expert, references=2)
    assert "1-30: usable." in talk.shared[0].text and "Product: bottle." in talk.shared[0].text
    assert rubric.expert in talk.system


def test_a_score_between_two_bands_belongs_to_the_upper_one():
    rubric = Rubric("t", bands=(Band(0, 0, "a"), Band(1, 30, "b"), Band(31, 100, "c")))
    names = [band.name for score in (0, 0.4, 30, 30.5, 100) if (band := rubric.band_of(score))]
    assert names == ["a", "b", "b", "c", "c"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title: [", "line 1, is not YAML text"),
        ("just words", "must be a YAML mapping"),
        ("title: T", "needs 'bands'"),
        (f"titel: T\n{BANDS}", "unknown entry 'titel'"),
        ("bands: [{from: 0, to: 100, name: x}]\nproducts: [a]", "'products'"),
        ("bands: 3", "'bands'"),
        ("bands: [{from: 0, to: ten}]", "whole numbers"),
        ("bands: [{from: 0, to: 10}, {from: 12, to: 100}]", "after 10 comes 12-100"),
        ("bands: [{from: 0, to: 10}, {from: 10, to: 100}]", "after 10 comes 10-100"),
        ("bands: [{from: 1, to: 100}]", "after the start comes 1-100"),
        ("bands: [{from: 0, to: 99}]", "end at 99, not at 100"),
        ("text: " + "x" * 70_000, "longer than 64 kB"),
    ],
)
def test_a_faulty_rubric_is_refused_with_a_sentence(text: str, says: str):
    with pytest.raises(InputError, match=says):
        parse_rubric(text)


def test_a_rubric_in_a_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"title: Mine\n{BANDS}\n")
    assert find_rubric(str(path), SubsetCard()).title == "Mine"
    path.write_text("x" * 70_000)
    with pytest.raises(InputError, match="longer than"):
        find_rubric(str(path), SubsetCard())


@pytest.mark.parametrize("wanted", ["nowhere", "../rubrics/general", "/etc/passwd"])
def test_an_unknown_rubric_names_the_known_ones(wanted: str):
    with pytest.raises(InputError, match=r"auto, covid19, demo-fundus"):
        find_rubric(wanted, SubsetCard())
