"""What thresholds do, against counting; the curves that are drawn of it."""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from mad_core import figures
from mad_core.figures.operating import MOST_POINTS, NO_CURVE
from mad_core.metrics.operating import COLUMNS, operating_points
from mad_core.metrics.ranking import aurocs, count_pairs

SCORED = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 1.0, 2.5, np.nan]), st.sampled_from([-1.0, 0.0, 0.5, 0.5, 3.0, np.inf, np.nan])
    ),
    max_size=30,
)


@given(SCORED)
def test_every_threshold_does_what_counting_says(scored: list[tuple[float, float]]) -> None:
    levels, scores = np.array([s[0] for s in scored]), np.array([s[1] for s in scored])
    table = operating_points(levels, scores)
    known = [(level > 0, score) for level, score in scored if np.isfinite(level) and np.isfinite(score)]
    bad, good = [s for is_bad, s in known if is_bad], [s for is_bad, s in known if not is_bad]
    assert tuple(table) == COLUMNS
    if not bad or not good:
        assert table.empty
        return
    assert table["threshold"].tolist() == [np.inf, *sorted({s for _, s in known}, reverse=True)]
    for row in table.itertuples():
        found, alarms = sum(s >= row.threshold for s in bad), sum(s >= row.threshold for s in good)
        assert (row.flagged, row.recall, row.false_alarms) == (found + alarms, found / len(bad), alarms / len(good))
        assert row.precision == found / row.flagged if row.flagged else np.isnan(row.precision)
    area = trapezoid(table["recall"], table["false_alarms"])
    whole = aurocs(count_pairs(np.array([float(b) for b, _ in known]), np.array([s for _, s in known])))["whole"]
    assert area == pytest.approx(whole)


def test_curves_are_drawn_with_the_threshold_in_use() -> None:
    rng = np.random.default_rng(0)
    levels = np.repeat([0.0, 1.0, 2.0], 900)
    points = {"<b>A": operating_points(levels, levels + rng.normal(size=2700)), "B": operating_points([0], [1])}
    thresholds = {"<b>A": 1.5, "B": 0.0}
    for name in ("roc", "precision_recall"):
        figure = getattr(figures, name)(points, thresholds, theme="dark")
        chance, curve, mark = figure.data
        assert "<b>" not in curve.name and len(curve.x) <= MOST_POINTS and len(chance.x) == 2
        (row,) = points["<b>A"][points["<b>A"]["threshold"] >= 1.5].tail(1).itertuples()
        at = {"roc": (row.false_alarms, row.recall), "precision_recall": (row.recall, row.precision)}[name]
        assert (mark.x[0], mark.y[0]) == at
        words = getattr(figures, f"describe_{name}")(points, thresholds)
        assert words.startswith("<b>A: At its threshold 1.5") and f"{row.recall:.1%} of the abnormal" in words
        nothing = getattr(figures, name)({"B": points["B"]}, thresholds, theme="light")
        assert nothing.layout.annotations[0].text == NO_CURVE
