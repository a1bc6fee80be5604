"""The figures of a finding, whatever study it is of; each study's own functions draw them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from mad_core.palette import Theme
from mad_core.studies.finding import Finding

Drawn = tuple[str, go.Figure, str]
"""Title of a figure, the figure, and the same in words for those who do not see it."""

DRAWERS: dict[str, str] = {
    "robustness": "mad_core.figures.studies_robustness:draw",
    "correspondence": "mad_core.figures.studies_correspondence:draw",
    "area": "mad_core.figures.studies_area:draw",
    "level-mix": "mad_core.figures.studies_level_mix:draw",
    "decisions": "mad_core.figures.studies_decisions:draw",
    "hybrid": "mad_core.figures.studies_hybrid:draw",
    "ablation": "mad_core.figures.studies_ablation:draw",
    "separability": "mad_core.figures.studies_separability:draw",
    "cost": "mad_core.figures.studies_cost:draw",
}
"""Study id to ``"module:function"``: ``(tables, facts, theme) -> sequence of Drawn``."""


def figures(finding: Finding, theme: Theme) -> dict[str, tuple[go.Figure, str]]:
    """The figures of a finding by title, each with its text alternative.

    Empty for a study that draws none.
    """
    entry = DRAWERS.get(finding.study)
    if entry is None:
        return {}
    module, _, name = entry.partition(":")
    draw: Callable[..., Sequence[Drawn]] = getattr(importlib.import_module(module), name)
    return {title: (figure, words) for title, figure, words in draw(finding.tables, finding.facts, theme)}
