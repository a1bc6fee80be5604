"""Ablation: what a part brings, from scores made up either way; and questions taken apart on a model and a server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mad_core.datasets.dataset import Card, Dataset, Imported, LevelMeaning, SubsetCard, image_id
from mad_core.errors import CancelledError, InputError
from mad_core.images import content_hash
from mad_core.metrics.ranking import c_index, count_pairs
from mad_core.runs.in_process import do_here
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.scorers import catalog
from mad_core.scorers.contract import Scored
from mad_core.scorers.multimodal.rubrics import find_rubric, parse_rubric
from mad_core.studies.ablation.asking import BLANK, CHOSEN, NEUTRAL, OFF, REVERSED, STRANGE, WAYS, changes, turned_round
from mad_core.studies.ablation.figures import draw
from mad_core.studies.ablation.run import ablation, run
from mad_core.studies.study import Work

from .chat_server import ChatServer, images_of, judge, serving
from .toy_study import add_run

CLAIMS = ("Most comes", "Something comes", "Less comes", "Harm comes", "suffers", "worse,", "better")


def cells(noise: dict[str, float], *, turned: bool = False, per_level: int = 20, seed: int = 1) -> pd.DataFrame:
    """Scores that follow the level with so much noise each way; with ``turned`` the reversed rubric is followed."""
    rng, levels = np.random.default_rng(seed), np.repeat([0.0, 1.0, 2.0, 3.0], per_level)
    rows = []
    for way, size in noise.items():
        true = np.where(levels > 0, 4 - levels, 0) if turned and way == REVERSED else levels
        scores = true + rng.normal(0, size, len(levels)) if way != BLANK else np.full(len(levels), 40.0)
        rows += [("m", way, "s", f"i{k}", *pair) for k, pair in enumerate(zip(levels, scores, strict=True))]
    return pd.DataFrame(rows, columns=["run", "way", "subset", "image_id", "level", "score"])


@pytest.mark.parametrize(
    ("noise", "said"),
    [
        ({CHOSEN: 0.5, "references": 9, "rubric": 0.5}, "Most comes from the references"),
        ({CHOSEN: 0.5, "references": 0.5, "rubric": 9}, "Most comes from the rubric"),
        ({CHOSEN: 0.5, "references": 9, "rubric": 9}, "which of them brings most is not clear"),
        ({CHOSEN: 9, "references": 9, "view": 0.5}, "Harm comes from the difference view"),
        ({CHOSEN: 0.5, "references": 0.5, "rubric": 0.5}, "No clear difference comes from the references"),
    ],
)
def test_the_sentence_follows_the_scores(noise: dict[str, float], said: str) -> None:
    found = ablation(cells(noise), draws=300)
    assert said in found.sentence
    assert ("No clear" in said) == (not any(claim in found.sentence for claim in CLAIMS))


def test_a_reversed_rubric_and_strange_references_are_told_from_ones_that_change_nothing() -> None:
    noise = {CHOSEN: 0.5, REVERSED: 0.5, STRANGE: 9}
    read = ablation(cells(noise, turned=True), draws=300).sentence
    assert "so it reads what the rubric says" in read and "so it compares with what they show" in read
    unread = ablation(cells({CHOSEN: 0.5, REVERSED: 0.5, STRANGE: 0.5}), draws=300).sentence
    assert "nothing shows that it reads the rubric" in unread
    assert "No clear difference with references of another subset" in unread


@pytest.mark.parametrize("per_level", [2, 6])
def test_ways_that_do_not_differ_are_seldom_said_to(per_level: int) -> None:
    """Few images a level are the hard case: with two, plain percentiles of five ways spoke in a fifth of the trials."""
    noise = {CHOSEN: 2.0, "references": 2.0, "rubric": 2.0}
    said = [ablation(cells(noise, per_level=per_level, seed=k), draws=300, seed=k).sentence for k in range(12)]
    assert sum(any(claim in one for claim in CLAIMS) for one in said) <= 2


def test_one_image_a_level_says_nothing() -> None:
    found = ablation(cells({CHOSEN: 0.1, "references": 99}, per_level=1, seed=2), draws=50)
    assert not any(claim in found.sentence for claim in CLAIMS)
    assert found.tables["ways"]["c_index_loss_low"].isna().all()


def test_losses_are_those_of_counting_and_the_prior_orders_nothing() -> None:
    table = cells({CHOSEN: 1.0, "rubric": 3.0, BLANK: 0.0})
    found = ablation(table, draws=50)
    ways = found.tables["ways"].set_index("way")
    brute = {w: c_index(count_pairs(t["level"].to_numpy(), t["score"].to_numpy())) for w, t in table.groupby("way")}
    loss = (brute[CHOSEN] or 0) - (brute["rubric"] or 0)
    assert ways.loc["without rubric", "c_index_loss"] == pytest.approx(loss)
    assert ways.loc["without image", "c_index"] == 0.5 and found.facts["comparisons"] == 1
    assert "Shown a grey field instead of an image it says 40 on s" in found.sentence


def test_an_image_without_a_score_leaves_every_way_and_a_way_without_scores_is_named() -> None:
    table = cells({CHOSEN: 1.0, "references": 1.0, "rubric": 1.0})
    table.loc[(table["way"] == "rubric") & (table["image_id"] == "i3"), "score"] = np.nan
    table.loc[(table["way"] == "references") & (table["image_id"] > "i3"), "score"] = np.nan
    found = ablation(table, draws=20)
    ways = found.tables["ways"].set_index("way")
    assert ways.loc["as chosen", "images"] == 79 and ways.loc["without rubric", "failed"] == 1
    assert "too few scores to be judged without references" in found.sentence


def test_the_figures_are_drawn_in_both_themes_with_their_words() -> None:
    found = ablation(cells({CHOSEN: 1.0, "rubric": 3.0, BLANK: 0.0}), draws=50)
    for theme in ("light", "dark"):
        drawn = draw(found.tables, found.facts, theme)  # type: ignore[arg-type]
        assert [plot.title for plot in drawn] == ["C-index", "Order of severity", "What is lost"]
        assert "without rubric" in drawn[0].alt and "random 0.50" in drawn[0].alt
        assert "as chosen" not in drawn[2].alt.partition(":")[2]


# -- the question taken apart ------------------------------------------------------------------------


def test_each_way_changes_its_part_alone() -> None:
    everything = frozenset({"references", "view", "detector_first", "anchors", "crop"})
    card = SubsetCard(levels={"1": LevelMeaning("slight"), "2": LevelMeaning("deep")})

    def changed(way: str, **given: Any) -> Any:
        return changes(way, catalog.scorer("mllm").check(given), card, everything)

    assert changed("references") == {"references": 0, "choose": "first", "view": "no"}
    assert changed("references", protocol="madbench") == {"protocol": "madbench-zero-shot"}
    assert changed("view") == {"view": "no"} and changed("crop") == {"crop_run": ""}
    assert changed("detector_first") == {"detector_first": "no"}
    assert changed(STRANGE, choose="named", named="a.png, b.png") == {"choose": "first", "references": 2}
    assert changed(CHOSEN) == {}
    assert changes("view", catalog.scorer("mllm").check({}), card, frozenset()) is None
    turned = parse_rubric(changed(REVERSED)["rubric"])
    assert [(band.low, band.name) for band in turned.bands] == [(0, "normal"), (1, "deep"), (51, "slight")]
    assert parse_rubric(changed("rubric")["rubric"]).wording() == "Scale: 0 is normal, 100 is the most severe."


def test_further_parts_of_a_question_are_left_out_where_they_were_chosen() -> None:
    info, card = catalog.scorer("mllm"), SubsetCard()
    assert {name: info.defaults()[name] for name in OFF} == dict(OFF) and set(OFF) <= set(WAYS)
    chosen = {"wordings": 3, "policy": "scratch: 1", "repeat": True, "anchors": True, "places": True}
    for name in OFF:
        changed = changes(name, info.check(chosen), card, frozenset({"anchors"}))
        assert changed == ({name: OFF[name]} if name in chosen else None)
    assert changes("places", info.check(chosen), card, frozenset()) is None
    assert changes("wordings", info.check({**chosen, "protocol": "madbench"}), card, frozenset()) is None


def test_a_rubric_without_two_abnormal_bands_cannot_be_reversed() -> None:
    assert turned_round(parse_rubric(NEUTRAL)) is None
    general = find_rubric("general", SubsetCard())
    turned = turned_round(general)
    assert turned is not None and turned.criterion == "" and turned.bands[-1].name == "slight"
    again = turned_round(turned)
    assert again is not None and again.bands == general.bands


def parts(folder: Path, subsets: tuple[str, ...] = ("a", "b"), per_level: int = 2) -> Dataset:
    """Bright images with a dark square that grows with the level."""
    rng, rows = np.random.default_rng(0), []
    places = [("train", 0, i) for i in range(2)] + [("test", v, i) for v in range(3) for i in range(per_level)]
    for subset in subsets:
        for split, level, number in places:
            name = f"{subset}/{split}/level_{level}/{number}.png"
            pixels = rng.normal(200, 4, (48, 64, 3))
            pixels[4 : 4 + 14 * level, 8 : 8 + 14 * level] -= 150
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
            row = {"image_id": image_id(subset, name), "content_hash": content_hash(path), "path": str(path)}
            row |= {"template_path": name, "split": split, "subset": subset, "level": float(level), "defect": None}
            rows.append(row | {"mask_path": None, "width": 64, "height": 48})
    return Dataset.from_rows("parts", rows, Card(title="parts"), source=str(folder))


def scored(store: Store, dataset_id: str, scorer: str, **given: Any) -> Run:
    request = RunRequest(dataset_id, scorer, catalog.scorer(scorer).check(given), ("a",))
    made = store.request_run(request)
    job = store.queue.active_for(made.job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)
    return store.run(made.id)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_shipped_model_is_asked_in_every_way_and_what_is_kept_is_not_asked_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = store.add_dataset(Imported(parts(tmp_path / "images", per_level=1)))
    made = scored(store, dataset_id, "mllm", reasons=False)
    steps: list[tuple[int, int]] = []
    work = Work(store, dataset_id, store.dataset(dataset_id), [made], {}, progress=lambda d, t: steps.append((d, t)))
    found = run(work)
    assert found.sentence.startswith("On a sample of 3 of 3 test images: mllm has a C-index of ")
    assert found.tables["ways"]["way"].tolist() == [
        "as chosen",
        "without references",
        "without difference view",
        "without rubric",
        "rubric reversed",
        "references of another subset",
        "without image",
    ]
    assert steps[-1] == (21, 21) and len(store.runs(dataset_id)) == 1
    monkeypatch.setattr("mad_core.studies.scoring.scorer_with", None)  # asking again would fail
    assert run(work).to_json() == found.to_json()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """Judges by darkness, whatever it is told."""
    with serving(judge) as started:
        monkeypatch.setenv("MAD_ENDPOINT_URL", started.url)
        monkeypatch.delenv("MAD_ENDPOINT_CONSENT", raising=False)
        yield started


def test_a_server_that_looks_at_the_image_alone_shows_no_difference(
    store: Store, tmp_path: Path, server: ChatServer
) -> None:
    dataset_id = store.add_dataset(Imported(parts(tmp_path / "images")))
    made = scored(store, dataset_id, "endpoint", references=2, retries=0)
    dataset, before = store.dataset(dataset_id), len(server.requests)
    stopping = iter(range(100))

    def stop() -> None:
        if next(stopping) > 24:
            raise CancelledError("Enough.")

    with pytest.raises(CancelledError):
        run(Work(store, dataset_id, dataset, [made], {}, check_cancel=stop))
    asked = len(server.requests) - before
    found = run(Work(store, dataset_id, dataset, [made], {}))
    wanted = 4 * 6 + 1  # without references, without rubric, reversed, strange; and the grey field
    assert wanted <= len(server.requests) - before < wanted + asked
    losses = found.tables["ways"]["c_index_loss"].astype(float)[1:5]
    assert losses.tolist() == [0, 0, 0, 0] and not any(claim in found.sentence for claim in CLAIMS)
    assert re.search(r"instead of an image it says 5[01] on a", found.sentence)
    texts = ["".join(p.get("text", "") for p in r["messages"][1]["content"]) for r in server.requests[before:]]
    assert any("Scale: 0 is normal, 100 is the most severe.\nAnswer" in text for text in texts)
    strange = [r for r in server.requests[before:] if len(images_of(r)) == 3]
    assert strange and all("Reason" in text for text in texts)


def test_nothing_is_sent_by_the_consent_of_the_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAD_ENDPOINT_URL", "https://models.invalid/v1")
    monkeypatch.delenv("MAD_ENDPOINT_CONSENT", raising=False)
    dataset_id = store.add_dataset(Imported(parts(tmp_path / "images")))
    given = catalog.scorer("endpoint").check({"consent": True, "model": "m"})
    made = store.request_run(RunRequest(dataset_id, "endpoint", given, ("a",)))
    rows = store.test_images(store.dataset(dataset_id), ["a"])
    store.add_scores(made.id, "a", [(Scored(row.image_id, float(row.level)), None) for row in rows.itertuples()])
    with pytest.raises(InputError, match="Nobody has agreed"):
        run(Work(store, dataset_id, store.dataset(dataset_id), [store.run(made.id)], {}))


def test_a_run_without_a_question_is_refused(store: Store, dataset_id: str) -> None:
    made = add_run(store, dataset_id)
    with pytest.raises(InputError, match="needs a run of one that was made here"):
        run(Work(store, dataset_id, store.dataset(dataset_id), [made], {}))


def test_with_one_subset_the_references_of_another_are_said_to_be_missing(
    store: Store, tmp_path: Path, server: ChatServer
) -> None:
    dataset_id = store.add_dataset(Imported(parts(tmp_path / "images", ("a",), per_level=1)))
    made = scored(store, dataset_id, "endpoint", references=1, retries=0)
    found = run(Work(store, dataset_id, store.dataset(dataset_id), [made], {}))
    assert "references of another subset" not in found.tables["ways"]["way"].tolist()
    assert found.caveat.endswith("References of another subset could not be shown, since no other one has normals.")
