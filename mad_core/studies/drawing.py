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
    "robustness": "mad_core.studies.robustness.figures:draw",
    "correspondence": "mad_core.studies.correspondence.figures:draw",
    "area": "mad_core.studies.area.figures:draw",
    "level-mix": "mad_core.studies.level_mix.figures:draw",
    "decisions": "mad_core.studies.decisions.figures:draw",
    "hybrid": "mad_core.studies.hybrid.figures:draw",
    "ablation": "mad_core.studies.ablation.figures:draw",
    "separability": "mad_core.studies.separability.figures:draw",
    "cost": "mad_core.studies.cost.figures:draw",
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
