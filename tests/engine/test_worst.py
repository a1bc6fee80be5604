"""The worst images so far."""

from hypothesis import given
from hypothesis import strategies as st

from mad_core.scorers.multimodal.worst import Worst


@given(st.lists(st.floats(0, 100), max_size=40), st.integers(0, 8))
def test_all_of_the_worst_are_taken_and_few_others(scores, count):
    worst = Worst(count)
    taken = [worst.takes(score) for score in scores]
    highest = sorted(scores, reverse=True)[:count]
    kept = sorted((score for score, took in zip(scores, taken, strict=True) if took), reverse=True)
    assert kept[: len(highest)] == highest and sum(taken[:count]) == min(count, len(scores))
    if scores == sorted(scores, reverse=True):
        assert sum(taken) == len(highest)
