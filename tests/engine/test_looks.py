"""Several looks at an image, and what is made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mad_core.errors import InputError
from mad_core.scorers.multimodal.looks import (
    Looks,
    against,
    averaged,
    closed_with,
    habit_of,
    of_pairs,
    of_words,
    places_of_words,
    without_habit,
    worded,
)
from mad_core.scorers.multimodal.prompts import WORDINGS, ask
from mad_core.scorers.multimodal.readout import of_distribution
from mad_core.scorers.multimodal.rubrics import parse_rubric
from mad_core.scorers.multimodal.showing import Question, levels_of_policy, place_of, policy_in_words

PICTURE = np.zeros((4, 4, 3), np.uint8)


def question() -> Question:
    return Question(ask("0: normal.", references=1), (PICTURE,), (PICTURE + 1,), None, {})


def peak(*places: int) -> np.ndarray:
    distribution = np.zeros(101)
    distribution[list(places)] = 1 / len(places)
    return distribution


def test_further_wordings_share_everything_up_to_the_image_and_stand_behind_it():
    asked = worded(question(), len(WORDINGS))
    assert len({one.conversation.own[-1].text for one in asked}) == len(WORDINGS) - 1
    for one in asked:
        assert one.conversation.shared == question().conversation.shared
        assert one.conversation.own[:-1] == question().conversation.own
        assert len(one.own) == 1 and np.array_equal(one.own[0], PICTURE + 1)
    twice = closed_with(closed_with(question(), "First."), "Second.")
    assert [piece.text.strip() for piece in twice.conversation.own] == ["Image to judge:", "", "Second."]


def test_two_images_are_compared_in_either_order():
    anchor = PICTURE + 9
    first, second = (against(question(), anchor, anchor_first=order) for order in (True, False))
    assert [int(image.max()) for image in first.own] == [9, 1] and [int(i.max()) for i in second.own] == [1, 9]
    assert first.conversation == second.conversation


def test_looks_are_averaged_and_one_that_saw_nothing_is_left_out():
    both = averaged([of_distribution(peak(20), 0.8), None, of_distribution(peak(60), 0.4)])
    assert both is not None and both.mean == pytest.approx(40) and both.mass == pytest.approx(0.6)
    assert averaged([None]) is None
    unlikely = averaged([of_distribution(peak(20), 0.8), of_distribution(peak(60), 0.4)], least=0.5)
    assert unlikely is not None and (unlikely.mean, unlikely.mass) == (20, 0.8)
    alone = averaged([of_distribution(peak(20), 0.3), of_distribution(peak(60), 0.4)], least=0.5)
    assert alone is not None and alone.mean == 20  # then the written score stands


def test_words_of_levels_lie_in_the_middles_of_their_bands():
    bands = "".join(
        f"  - {{from: {a}, to: {b}, name: {n}, meaning: x}}\n"
        for a, b, n in ((0, 0, "sound"), (1, 49, "mild"), (50, 100, "bad"))
    )
    places = places_of_words(parse_rubric(f"title: t\nbands:\n{bands}"))
    assert places == {"sound": 0, "mild": 25, "bad": 75}
    look = of_words(places, np.array([0.1, 0.1, 0.3]))
    assert look is not None and look.mean == pytest.approx((0.1 * 25 + 0.3 * 75) / 0.5)
    assert look.mass == pytest.approx(0.5) and of_words(places, np.zeros(3)) is None
    with pytest.raises(InputError, match="level_words=no"):
        places_of_words(parse_rubric("title: t\ntext: '0: normal.'"))


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_what_is_worse_than_a_worse_image_is_no_better_for_it(worse):
    look = of_pairs([0, 30, 80], worse)
    assert look is not None and look.distribution.sum() == pytest.approx(1) and (look.distribution >= 0).all()
    more = of_pairs([0, 30, 80], [min(1, p + 0.2) for p in worse])
    assert more is not None and more.mean >= look.mean - 1e-9


def test_comparisons_place_an_image_between_its_neighbours():
    places = {(0, 0, 0): 0, (1, 0, 0): 15, (1, 1, 0): 55, (1, 1, 1): 90}
    for worse, place in places.items():
        look = of_pairs([0, 30, 80], worse)
        assert look is not None and look.mean == pytest.approx(place)
    assert of_pairs([], []) is None


def test_a_liking_for_round_numbers_is_taken_out_and_what_is_seen_stays():
    rng = np.random.default_rng(0)
    steps = np.arange(101)
    liking = np.where(steps % 10 == 0, 4.0, 1.0)

    def seen(centre: float) -> np.ndarray:
        shape = np.exp(-0.5 * ((steps - centre) / 8) ** 2) * liking
        return shape / shape.sum()

    habit = habit_of([seen(rng.uniform(5, 95)) for _ in range(200)])
    assert habit[50] > 1.8 * habit[53]
    look = without_habit(of_distribution(seen(47), 0.9), habit)
    assert look is not None and look.mass == 0.9 and look.mean == pytest.approx(47, abs=1)
    assert look.distribution[50] < 2 * look.distribution[49] < seen(47)[50]
    assert without_habit(None, habit) is None and np.array_equal(habit_of([]), np.ones(101))


def test_the_benchmarks_protocols_take_one_look():
    chosen = {"wordings": 3, "second_look": True, "looks_first": 2, "level_words": True, "pairs": True, "habits": 4}
    assert Looks.of({**chosen, "protocol": "inspector"}) == Looks(3, True, 2, True, True, 4)
    assert Looks.of({**chosen, "protocol": "madbench"}) == Looks() and not Looks().more and Looks(second=True).more


def test_levels_lie_in_the_middles_of_bands_of_equal_width():
    assert [place_of(level, [0, 1, 2, 4]) for level in (0, 1, 2, 4)] == [0, 17, 50, 83]


def test_a_policy_is_a_table_in_words(tmp_path):
    text = "deep crack: 2\nscratch: 1\nplate:\n  dent: 1\nother:\n  hole: 2\n"
    levels = levels_of_policy(text, "plate")
    assert levels == {"dent": 1, "scratch": 1, "deep crack": 2}
    assert "scratch: level 1, about 25 of 100; deep crack: level 2, about 75 of 100." in policy_in_words(levels)
    (tmp_path / "policy.yaml").write_text(text)
    assert levels_of_policy(str(tmp_path / "policy.yaml"), "plate") == levels
    for bad, sentence in (("nothing", "no severity policy"), ("a: left out", "says nothing"), ("a: b", "level")):
        with pytest.raises(InputError, match=sentence):
            levels_of_policy(bad, "plate")
    assert policy_in_words({}) == ""
