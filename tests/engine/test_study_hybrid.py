"""The blend wins, loses or does neither, by what the scores are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mad_core.figures.studies_hybrid import draw
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.scorers.hybrid import WEIGHTS
from mad_core.studies.hybrid import held_out, hybrid, standardised


def table(detector: float, mllm: float, per_level: int = 40) -> pd.DataFrame:
    """Independent noise of these sizes on the level."""
    rng, levels = np.random.default_rng(3), np.repeat([0.0, 1.0, 2.0], per_level)
    scores = {"detector": levels + rng.normal(0, detector, len(levels))}
    scores["mllm"] = 20 * (levels + rng.normal(0, mllm, len(levels)))
    ids = [f"i{k}" for k in range(len(levels))]
    return pd.DataFrame({"image_id": ids, "subset": "a", "level": levels, **scores})


@pytest.mark.parametrize(
    ("sizes", "said"), [((1.0, 1.0), "orders better than its better part"), ((0.2, 60), "No clear")]
)
def test_the_sentence_follows_the_scores(sizes: tuple[float, float], said: str) -> None:
    found = hybrid({("d", "m"): table(*sizes)}, draws=200)
    assert said in found.sentence and len(found.tables["curves"]) == len(WEIGHTS)
    assert len(draw(found.tables, found.facts, "light")) == 3


def test_a_blend_may_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mad_core.studies.hybrid.held_out", lambda table, seed: -table["mllm"].to_numpy())
    assert "loses" in hybrid({("d", "m"): table(0.5, 0.5)}, draws=100).sentence


def test_the_ends_of_the_curve_are_the_parts_alone() -> None:
    made = table(1.0, 0.7)
    table_of = hybrid({("d", "m"): made}, draws=20).tables["curves"]
    curves = dict(zip(table_of["weight"], table_of["c_index"], strict=True))
    for weight, column in ((1.0, "detector"), (0.0, "mllm")):
        assert curves[weight] == pytest.approx(c_index(count_pairs(made["level"].to_numpy(), made[column].to_numpy())))
    assert np.isfinite(held_out(standardised(made), 0)).all()
