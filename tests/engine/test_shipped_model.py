"""What the model card of the shipped multimodal model says, on the demo's industrial subset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mad_core as mad
from mad_core.scorers import catalog
from mad_core.scorers.multimodal.models import SHIPPED

FOLDER = Path(mad.__file__).resolve().parents[1] / "assets" / "mllm"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, with_demo):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAD_HOME", str(with_demo(tmp_path_factory.mktemp("home"))))
        data = mad.load("demo")
        yield {name: mad.score(data, name, subsets=["plate"]) for name in ("mllm", "filterbank")}


def test_it_is_small_safe_and_ready() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 16 * 2**20
    assert not [path for path in FOLDER.iterdir() if path.suffix in (".bin", ".pt", ".pkl", ".py")]
    info = catalog.scorer("mllm")
    assert info.defaults()["model"] == SHIPPED and info.why_not(info.defaults()) is None


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_orders_the_demo_where_area_misleads(runs) -> None:
    multimodal, conventional = runs["mllm"].metrics(), runs["filterbank"].metrics()
    assert multimodal["coverage"] == 1.0
    assert multimodal["abnormal_only"]["c_index"] > conventional["abnormal_only"]["c_index"]
    assert multimodal["intervals"]["kendall_tau_b"][0] > multimodal["reference"]["kendall_tau_b_random_severity"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.xfail(reason="0.57 was reached: it takes the brushed metal of a sound plate for something too often")
def test_it_reaches_its_target_over_all_levels(runs) -> None:
    assert runs["mllm"].metrics()["kendall_tau_b"] >= 0.60


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_its_text_agrees_with_its_number(runs) -> None:
    """The reason ends in the name of the band that the chosen score lies in."""
    from mad_core.scorers.multimodal.rubrics import find_rubric

    run = runs["mllm"]
    dataset = run.store.dataset(run.store.run(run.id).dataset_id)
    rubric = find_rubric("auto", dataset.card.subset("plate"))
    names = [rubric.band_of(round(score)).name for score in run.table["score"]]  # type: ignore[union-attr]
    agrees = [name in reason for name, reason in zip(names, run.table["reason"], strict=True)]
    assert np.mean(agrees) >= 0.95
