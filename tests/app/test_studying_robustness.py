"""The live section of robustness: a metric to choose, and one image with its maps at every strength."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mad_core.studies.finding import Finding
from mad_core.studies.robustness.figures import pictures, steps_of
from mad_core.studies.robustness.run import robustness
from mad_core.studies.robustness.scoring import packed, picture
from tests.engine.test_study_robustness import cells


def example() -> dict[str, Any]:
    steps = []
    for corruption, strength in (("", 0), ("blur", 1), ("blur", 5), ("jpeg", 1)):
        image, values = np.full((12, 16, 3), 20 * strength, np.uint8), np.linspace(0, 1 + strength, 48).reshape(6, 8)
        maps = {"one": packed(values, 0.0, 6.0)}
        steps.append({"corruption": corruption, "strength": strength, "image": picture(image), "maps": maps})
    return {"image_id": "i1", "subset": "plate", "level": 2.0, "steps": steps, "width": 16, "height": 12}


@pytest.fixture(scope="module")
def finding() -> Finding:
    found = robustness(cells({1: 1.0}, per_level=12), {"r": "one"}, draws=20)
    facts = {**found.facts, "example": example()}
    return Finding(found.study, found.title, found.sentence, found.caveat, found.tables, facts)


def section(text: str) -> None:
    import json as reader

    import streamlit as st

    from mad_core.studies.finding import finding_from_json
    from pages.studies import robustness as studying_robustness

    there = studying_robustness.of_finding(None, finding_from_json(reader.loads(text)))  # type: ignore[arg-type]
    st.json(sorted(there))


def test_the_slider_and_the_metric_change_what_is_drawn(finding: Finding) -> None:
    test = AppTest.from_function(section, args=(json.dumps(finding.to_json()),), default_timeout=120).run()
    assert not test.exception, test.exception
    (strength,) = test.select_slider
    assert strength.options == ["0", "1", "5"]
    before = [chart.proto.spec for chart in test.get("plotly_chart")]
    strength.set_value(5).run()
    assert not test.exception, test.exception
    after = [chart.proto.spec for chart in test.get("plotly_chart")]
    assert before[0] == after[0] and before[1] != after[1]
    metric, corruption = test.get("button_group")
    assert metric.options == ["C-index", "Kendall's tau-b", "AUROC"] and corruption.options == ["Blur", "JPEG"]
    titles = json.loads(test.json[0].value)
    assert "AUROC against strength" in titles and "One image under JPEG" in titles


def test_maps_keep_one_range_over_strengths(finding: Finding) -> None:
    steps = steps_of(finding.facts, "blur")
    heats: list[Any] = [pictures(step, ["one"], theme="dark").data[1] for step in steps]
    assert {(heat.zmin, heat.zmax) for heat in heats} == {(0.0, 6.0)}
    assert [float(np.max(heat.z)) for heat in heats] == pytest.approx([1, 2, 6], abs=6 / 255)
    assert heats[0].colorbar.title.text == "score"
