"""Every plot and table has a text that says how to read it, and no text stands there without use."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mad_core import figures as drawing
from mad_core.metrics.names import COVERAGE, METRICS
from mad_core.studies.ablation.run import ablation
from mad_core.studies.area.run import area_and_severity
from mad_core.studies.correspondence.run import correspondence
from mad_core.studies.decisions.run import decisions
from mad_core.studies.finding import Finding
from mad_core.studies.grades.run import grades
from mad_core.studies.hybrid.run import hybrid
from mad_core.studies.level_mix.run import level_mix
from mad_core.studies.robustness.run import robustness
from mad_core.studies.study import figures, studies
from mad_core.studies.study import study as catalogued

from . import test_study_ablation as parts
from . import test_study_area as area
from . import test_study_correspondence as correspondences
from . import test_study_cost as costs
from . import test_study_decisions as cuts
from . import test_study_grades as graded
from . import test_study_hybrid as blends
from . import test_study_level_mix as mixes
from . import test_study_robustness as spoilt
from . import test_study_separability as features

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for room in ("pages", "mad_core") for path in (ROOT / room).rglob("*.py"))
LIVE_SECTIONS = {f"pages/studies/{info.name}.py" for info in studies()}
WORDS = 120


def constants(path: Path) -> Iterator[tuple[str, str]]:
    """The texts of a file that say how to read something, by name."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.lstrip("_").startswith("READ_") or name == "_READ":
                yield name, ast.literal_eval(node.value)


TEXTS = {(str(path.relative_to(ROOT)), name): text for path in FILES for name, text in constants(path)}


def is_readable(text: str) -> bool:
    """Short, whole sentences in plain words."""
    learned = re.search(r"\b(monoton|heteroscedas|stochastic|posterior|a priori|i\.e\.|e\.g\.)", text)
    return text.endswith(".") and "  " not in text and len(text.split()) <= WORDS and not learned


def test_every_text_is_used() -> None:
    nodes = [node for path in FILES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    used = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    used |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert len(TEXTS) >= 40
    assert {name for _, name in TEXTS} <= used


def test_every_shared_figure_has_its_words_and_its_text() -> None:
    described = {name.removeprefix("describe_") for name in drawing.__all__ if name.startswith("describe_")}
    shared = described & set(drawing.__all__)
    assert len(shared) >= 7
    assert {f"READ_{name.upper()}" for name in shared} <= set(drawing.__all__)


def test_every_chart_of_a_page_has_a_text_in_its_file() -> None:
    """Files that draw a figure also say how to read one; the live controls of a study stand below its text."""
    for path in (ROOT / "pages").rglob("*.py"):
        text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        draws = re.search(r"charts\.show(_clickable)?\(|st\.plotly_chart", text)  # a table is no figure
        placed = path.name in ("charts.py", "placing.py") or name in LIVE_SECTIONS
        assert placed or not draws or "how_to_read" in text or "st.caption(READ_" in text, path


def test_every_metric_says_how_it_is_read() -> None:
    assert all(is_readable(record.read) for record in (*METRICS, COVERAGE))


@pytest.mark.parametrize("text", TEXTS.values(), ids=(name for _, name in TEXTS))
def test_texts_are_short_whole_sentences(text: str) -> None:
    assert is_readable(text)


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
    "grades": lambda: grades({"r": {"s": graded.pool(0, told=1.0, detected=1.0, per_level=6)}}, draws=2),
    "ablation": lambda: ablation(parts.cells({"chosen": 1.0, "rubric": 2.0}), draws=10),
    "separability": lambda: features.found(a=features.place(1, 1), b=features.place(3, 2)),
    "cost": lambda: costs.found_for({"slow": (2.0, 2.0), "fast": (0.2, 50.0)}, per_level=20),
}


@pytest.mark.parametrize("study", FINDINGS)
def test_every_figure_of_a_study_has_a_text_and_every_text_a_figure(study: str) -> None:
    plots = figures(FINDINGS[study](), "light")
    assert plots and all(plot.title and plot.alt and is_readable(plot.how_to_read) for plot in plots)
    folder = ROOT / catalogued(study).package.replace(".", "/")
    assert {text for _, text in constants(folder / "figures.py")} <= {plot.how_to_read for plot in plots}


def test_every_study_is_among_them_and_a_study_that_is_gone_draws_nothing() -> None:
    assert set(FINDINGS) == {info.id for info in studies()}
    assert figures(Finding("gone", "", "", ""), "light") == []
