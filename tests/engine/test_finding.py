"""Findings survive the way through the store, whatever their numbers are."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mad_core.errors import InputError
from mad_core.studies.finding import Finding, finding_from_json, plain


def test_a_finding_comes_back_as_it_was() -> None:
    table = pd.DataFrame({"run": ["a", "b"], "value": [0.5, np.nan], "n": np.array([3, 4])})
    made = Finding(
        "area", "Area", "It follows.", "Not always.", {"t": table}, {"interval": np.array([0.1, 0.2])}, {"s": ["x"]}
    )
    found = finding_from_json(json.loads(json.dumps(made.to_json(), allow_nan=False)))
    assert (found.study, found.sentence, found.caveat, found.images) == (
        "area",
        "It follows.",
        "Not always.",
        {"s": ["x"]},
    )
    assert found.facts == {"interval": [0.1, 0.2]}
    assert found.tables["t"]["run"].tolist() == ["a", "b"] and found.tables["t"]["n"].tolist() == [3, 4]
    assert found.tables["t"]["value"].isna().tolist() == [False, True]


@pytest.mark.parametrize("broken", [{}, {"study": "x"}, {"tables": 3}, []])
def test_what_is_no_finding_is_a_sentence(broken: object) -> None:
    with pytest.raises(InputError, match="no finding"):
        finding_from_json(broken)  # type: ignore[arg-type]


def test_numbers_become_plain_and_other_things_are_refused() -> None:
    assert plain({1: np.float32(0.5), "b": [np.int64(2), np.inf, None, True]}) == {"1": 0.5, "b": [2, None, None, True]}
    with pytest.raises(TypeError, match="set"):
        plain({1, 2})
