"""The blend wins, loses or does neither, by what the scores are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mad_core.errors import InputError
from mad_core.metrics.intervals import counted_c_index, stratified_counts
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.runs.store import Store
from mad_core.scorers.hybrid import WEIGHTS
from mad_core.studies.finding import finding_from_json
from mad_core.studies.hybrid.figures import draw
from mad_core.studies.hybrid.run import _chosen, blended, hybrid, judge, standardised
from mad_core.studies.study import Work, study

from .toy_study import add_run


def table(detector: float, mllm: float, per_level: int = 40, seed: int = 3) -> pd.DataFrame:
    """Independent noise of these sizes on the level."""
    rng, levels = np.random.default_rng(seed), np.repeat([0.0, 1.0, 2.0], per_level)
    scores = {"detector": levels + rng.normal(0, detector, len(levels))}
    scores["mllm"] = 20 * (levels + rng.normal(0, mllm, len(levels)))
    ids = [f"i{k}" for k in range(len(levels))]
    return pd.DataFrame({"image_id": ids, "subset": "a", "level": levels, **scores})


@pytest.mark.parametrize(
    ("sizes", "said"), [((1.0, 1.0), "orders better than its better part"), ((0.2, 60), "No clear")]
)
def test_the_sentence_follows_the_scores(sizes: tuple[float, float], said: str) -> None:
    found = hybrid({("d", "m"): table(*sizes)}, draws=60)
    assert said in found.sentence and len(found.tables["curves"]) == len(WEIGHTS)
    assert len(draw(found.tables, found.facts, "light")) == 3


def test_a_blend_may_lose() -> None:
    """Many small subsets: no weight can be learned from seven images, and half of the blend is noise."""
    parts = [table(0.2, 60, per_level=3, seed=k).assign(subset=f"s{k}") for k in range(8)]
    found = hybrid({("d", "m"): pd.concat(parts)}, draws=40)
    assert "loses: it orders worse than d alone" in found.sentence
    low, high = found.facts["differences"]["d + m"]["interval"]
    assert low < high < 0
    larger = [table(0.2, 60, per_level=12, seed=k).assign(subset=f"s{k}") for k in range(8)]
    judged = judge(standardised(pd.concat(larger)), draws=60, seed=0)  # here a weight can be learned
    assert (judged["blend"] - judged["detector"]).sign() == 0


def test_the_ends_of_the_curve_are_the_parts_alone() -> None:
    made = table(1.0, 0.7)
    found = hybrid({("d", "m"): made}, draws=20).tables
    curves = dict(zip(found["curves"]["weight"], found["curves"]["c_index"], strict=True))
    judged = judge(standardised(made), draws=20, seed=0)
    for weight, column in ((1.0, "detector"), (0.0, "mllm")):
        alone = c_index(count_pairs(made["level"].to_numpy(), made[column].to_numpy()))
        assert curves[weight] == judged[column].value == pytest.approx(alone)
        assert len(judged[column].draws) == 20
    sides = found["sides"].set_index("way")["c_index"]
    assert sides["weight from other images"] == judged["blend"].value


def test_counted_c_index_is_that_of_images_written_so_often() -> None:
    rng = np.random.default_rng(1)
    levels, scores = rng.integers(0, 4, 30).astype(float), rng.integers(0, 9, 30).astype(float)
    counts = rng.integers(0, 4, (20, 30))
    found = counted_c_index(levels, scores, counts)
    brute = [c_index(count_pairs(np.repeat(levels, c), np.repeat(scores, c))) for c in counts]
    assert found == pytest.approx(np.array(brute))
    assert np.isnan(counted_c_index(levels, scores, (levels == 2)[None].astype(int))).all()


def test_every_draw_chooses_its_own_weight() -> None:
    scaled = standardised(table(1.0, 1.0))
    levels, blends = scaled["level"].to_numpy(), np.stack([blended(scaled, weight) for weight in WEIGHTS])
    counts = next(iter(stratified_counts(levels, 30, 0)))
    chosen = _chosen(levels, blends, counts)
    brute = [max(range(len(WEIGHTS)), key=lambda k: counted_c_index(levels, blends[k], c[None])[0]) for c in counts]
    worth = [counted_c_index(levels, blends[k], c[None])[0] for k, c in zip(chosen, counts, strict=True)]
    best = [counted_c_index(levels, blends[k], c[None])[0] for k, c in zip(brute, counts, strict=True)]
    assert worth == pytest.approx(best) and len(set(chosen.tolist())) > 1


def test_the_whole_study_from_the_store(store: Store, dataset_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = add_run(store, dataset_id, "detects"), add_run(store, dataset_id, "judges")
    store.update_run(second.id, scorer="mllm")
    runs = [store.run(first.id), store.run(second.id)]
    info = study("hybrid")
    found = info.do(Work(store, dataset_id, store.dataset(dataset_id), runs, info.check({})))
    assert found.sentence.startswith("On a sample of 18 of 18 test images: No clear difference between the blend ")
    assert found.facts["differences"]["detects + judges"]["interval"] == [0.0, 0.0]
    assert finding_from_json(found.to_json()).tables["sides"]["way"].tolist()[-1] == "weight from other images"
    with pytest.raises(InputError, match="needs a run of a multimodal model"):
        info.do(Work(store, dataset_id, store.dataset(dataset_id), [runs[0], runs[0]], info.check({})))
