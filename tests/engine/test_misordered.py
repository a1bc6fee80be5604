"""Images that a scorer puts too high or too low, and how far."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mad_core.runs.misordered import most_overrated, most_underrated, shares_around

LEVELS = [0.0, 1.0, 1.0, 3.0, 3.0]


def table(*scores: float) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list("nabcd"), "level": LEVELS, "score": scores})


FIRST = table(0, 9, 8, 1, 2)
SECOND = table(0, 8, 1, 2, 9)


def test_the_first_scorer_alone_decides_by_its_score() -> None:
    assert most_overrated("ab", [FIRST]) == "a"
    assert most_underrated("cd", [FIRST]) == "c"


def test_what_others_put_elsewhere_tells_more() -> None:
    assert most_overrated("ab", [FIRST, SECOND]) == "b"
    assert most_underrated("cd", [FIRST, SECOND]) == "d"


def test_scorers_that_have_not_come_to_the_candidates_are_passed_over() -> None:
    waiting = table(1, np.nan, np.nan, np.nan, np.nan)
    assert most_overrated("ab", [FIRST, waiting]) == "a"
    assert most_overrated("ab", [waiting]) is None
    assert most_underrated("", [FIRST]) is None


def test_an_image_that_one_of_them_failed_on_is_not_chosen() -> None:
    assert most_overrated("ab", [FIRST, table(0, 8, np.nan, 2, 9)]) == "a"


def test_shares_count_the_scored_images_of_the_levels_and_no_ties() -> None:
    assert shares_around(table(0, 2, 5, 2, 1), "a", [3.0]) == (0.5, 0.0)
    assert shares_around(table(0, 2, 5, np.nan, 1), "a", {3.0}) == (1.0, 0.0)
    assert shares_around(table(0, np.nan, 5, 2, 1), "a", [3.0]) is None
    assert shares_around(FIRST, "a", [7.0]) is None
    assert shares_around(FIRST, "unknown", [3.0]) is None
