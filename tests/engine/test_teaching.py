"""Every plot and table has a text that says how to read it, and no text stands there without use."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from mad_core.studies.ablation.run import ablation
from mad_core.studies.area.run import area_and_severity
from mad_core.studies.correspondence.run import correspondence
from mad_core.studies.decisions.run import decisions
from mad_core.studies.drawing import DRAWERS, figures
from mad_core.studies.finding import Finding
from mad_core.studies.hybrid.run import hybrid
from mad_core.studies.level_mix.run import level_mix
from mad_core.studies.robustness.run import robustness
from mad_core.teaching import METRICS, READ, STUDY_FIGURES, of_figure

from . import test_study_ablation as parts
from . import test_study_area as area
from . import test_study_correspondence as correspondences
from . import test_study_cost as costs
from . import test_study_decisions as cuts
from . import test_study_hybrid as blends
from . import test_study_level_mix as mixes
from . import test_study_robustness as spoilt

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r'(?:how_to_read\(|READ\[)"([a-z]+)"')
"""A text that a page or the report asks for by its name."""
WORDS = 120


def sources(*rooms: str) -> str:
    return "\n".join(p.read_text(encoding="utf-8") for room in rooms for p in sorted((ROOT / room).rglob("*.py")))


def test_texts_and_their_uses_are_the_same() -> None:
    named = set(NAMED.findall(sources("pages", "mad_core/report")))
    assert named == set(READ)


def test_every_chart_of_a_page_has_a_text_in_its_file() -> None:
    """Files that draw a figure also say how to read one; the live controls of a study stand below its text."""
    for path in sorted((ROOT / "pages").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        draws = "charts.show" in text or "st.plotly_chart" in text
        placed = path.name in ("charts.py", "placing.py") or path.name.startswith("studying_")
        assert placed or not draws or "how_to_read" in text, path


def test_every_column_of_the_metric_table_is_explained() -> None:
    text = sources("pages")
    assert all(f'"{name}":' in text for name in METRICS)


@pytest.mark.parametrize("text", [*READ.values(), *(t for texts in STUDY_FIGURES.values() for t in texts.values())])
def test_texts_are_short_whole_sentences(text: str) -> None:
    assert text.endswith(".") and "  " not in text and len(text.split()) <= WORDS
    assert not re.search(r"\b(monoton|heteroscedas|stochastic|posterior|a priori|i\.e\.|e\.g\.)", text)


def _robustness() -> Finding:
    found = robustness(spoilt.cells({1: 1.0}, 20), {"r": "one"}, draws=10)
    steps: list[dict[str, Any]] = [
        {"corruption": "blur" if strength else "", "strength": strength, "image": "data:,", "maps": {}}
        for strength in (0, 1)
    ]
    return Finding("robustness", "", "", "", found.tables, {**found.facts, "example": {"steps": steps}})


FINDINGS: dict[str, Callable[[], Finding]] = {
    "robustness": _robustness,
    "correspondence": lambda: correspondence(*correspondences.made(correspondences.ALIKE, draws=10), quick=False),
    "area": lambda: area_and_severity(*area.made({"A": area.by_level})),
    "level-mix": lambda: level_mix(mixes.sample(*mixes.data(2, 1)), mixes.PARAMETERS),
    "decisions": lambda: decisions(cuts.sample(A=0.5), cuts.PARAMETERS),
    "hybrid": lambda: hybrid({("d", "m"): blends.table(1.0, 1.0, 20)}, draws=5),
    "ablation": lambda: ablation(parts.cells({"chosen": 1.0, "rubric": 2.0}), draws=10),
    "cost": lambda: costs.found_for({"slow": (2.0, 2.0), "fast": (0.2, 50.0)}, per_level=20),
}


@pytest.mark.parametrize("study", FINDINGS)
def test_every_figure_of_a_study_has_a_text_and_every_text_a_figure(study: str) -> None:
    titles = list(figures(FINDINGS[study](), "light"))
    assert titles
    assert [title for title in titles if not of_figure(study, title)] == []
    unused = [p for p in STUDY_FIGURES[study] if not any(fnmatchcase(title, p) for title in titles)]
    assert unused == []


def test_every_study_that_draws_has_texts() -> None:
    assert set(STUDY_FIGURES) == set(DRAWERS)
    assert of_figure("area", "Something else") == of_figure("nothing", "Area of each level") == ""
