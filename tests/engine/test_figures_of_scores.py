"""Figures of the studies that are made from stored scores: something is drawn, and the words say the numbers."""

from __future__ import annotations

import pytest

from mad_core.palette import THEMES, Theme
from mad_core.studies.area.run import area_and_severity
from mad_core.studies.decisions.run import decisions
from mad_core.studies.finding import Finding, finding_from_json
from mad_core.studies.level_mix.run import level_mix
from mad_core.studies.study import figures

from . import test_study_area, test_study_decisions, test_study_level_mix


def findings() -> list[Finding]:
    scores, levels = test_study_level_mix.data(2, 1)
    return [
        area_and_severity(*test_study_area.made({"Risk": test_study_area.by_level})),
        level_mix(test_study_level_mix.sample(scores, levels), test_study_level_mix.PARAMETERS),
        decisions(test_study_decisions.sample(A=0.5), test_study_decisions.PARAMETERS),
    ]


@pytest.mark.parametrize("theme", THEMES)
def test_every_figure_is_drawn_also_from_what_the_store_gives_back(theme: Theme) -> None:
    for finding in findings():
        for made in (finding, finding_from_json(finding.to_json())):
            plots = figures(made, theme)
            assert plots, finding.study
            for plot in plots:
                assert plot.figure.data and any(sign.isdigit() for sign in plot.alt), plot.title


def test_the_matrix_shows_the_counts_of_the_table() -> None:
    finding = decisions(test_study_decisions.sample(A=0.5), test_study_decisions.PARAMETERS)
    (plot,) = [plot for plot in figures(finding, "light") if plot.title == "Called levels: A, a, cuts by cost"]
    cells = finding.tables["confusion"].query("way == 'cost'")["images"].tolist()
    assert [int(note.text) for note in plot.figure.layout.annotations] == cells
    assert f"{cells[0]} of 30" in plot.alt
