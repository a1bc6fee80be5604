"""The figure of reductions: panels that share their rows."""

from __future__ import annotations

import pytest

from mad_core.figures.reductions import Panel, describe_reduction_panels, reduction_panels
from mad_core.palette import Theme

PANELS = (
    Panel("C-index", [0.7, 0.6, None], [(0.6, 0.8), None, None], ("chance", 0.5)),
    Panel("Rank correlation", [-0.2, 0.9, 0.1], [(-0.4, 0.1), (0.8, 1.0), (0.0, 0.2)], strong=False),
)
NAMES = ("maximum", "area <b>", "regions")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_value_stands_in_its_panel_and_row(theme: Theme) -> None:
    figure = reduction_panels(NAMES, PANELS, theme=theme)
    dots = [t for t in figure.data if t.mode == "markers"]
    assert [(t.xaxis, t.x[0], t.y[0]) for t in dots] == [
        ("x", 0.7, 0),
        ("x", 0.6, 1),
        ("x2", -0.2, 0),
        ("x2", 0.9, 1),
        ("x2", 0.1, 2),
    ]
    whiskers = [(t.xaxis, tuple(t.x)) for t in figure.data if t.mode == "lines"]
    assert whiskers == [("x", (0.6, 0.8)), ("x2", (-0.4, 0.1)), ("x2", (0.8, 1.0)), ("x2", (0.0, 0.2))]
    first, second = figure.layout.xaxis, figure.layout.xaxis2
    assert first.domain[1] < second.domain[0] and second.domain[1] == pytest.approx(1)
    assert first.range[0] < 0.5 and first.range[1] > 0.8  # the reference is in view
    assert list(figure.layout.yaxis.ticktext) == ["maximum", "area &lt;b&gt;", "regions"]
    assert (
        len({t.marker.color for t in dots if t.xaxis == "x"} | {t.marker.color for t in dots if t.xaxis == "x2"}) == 2
    )


def test_it_is_said_in_words() -> None:
    assert describe_reduction_panels(NAMES, PANELS) == (
        "C-index: maximum 0.700 [0.600, 0.800] and area <b> 0.600. For reference: chance 0.50. "
        "Rank correlation: maximum -0.200 [-0.400, 0.100], area <b> 0.900 [0.800, 1.000] "
        "and regions 0.100 [0.000, 0.200]."
    )


def test_nothing_to_show_is_a_sentence() -> None:
    figure = reduction_panels(("maximum",), [Panel("C-index", [None], [None])], theme="light")
    assert figure.layout.annotations[0].text == "There is no reduction to show."
