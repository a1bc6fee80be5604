"""The local multimodal scorer on tiny models made here: reuse equals the plain way, every answer is accounted for."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mad_core.datasets.dataset import Dataset, Imported
from mad_core.errors import CancelledError, InputError, UnavailableError, WorkError
from mad_core.runs.in_process import do_here
from mad_core.runs.jobs import ReasonJob, submit
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item, LabelledItem, Resources, Scored
from mad_core.scorers.multimodal import loading, local
from mad_core.scorers.multimodal.asking import Asker, Batch, Strategy
from mad_core.scorers.multimodal.loading import load
from mad_core.scorers.multimodal.local import Mllm
from mad_core.scorers.multimodal.models import Memory
from mad_core.scorers.multimodal.prompts import ask
from mad_core.scorers.multimodal.readout import expected_score
from mad_core.scorers.multimodal.showing import Question

from . import tiny_models
from .conftest import digests, make_dataset
from .tiny_models import BRIGHT, DARK, picture

RUBRIC = "title: As taught\ntext: '0: normal.'\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {family: tiny_models.make(family, folder / family) for family in tiny_models.FAMILIES}


def questions(count: int, own_sizes: Sequence[tuple[int, int]] = ((40, 48),)) -> list[Question]:
    """Questions with two shared references, a view and an image each."""
    rng = np.random.default_rng(1)

    def noise(size: tuple[int, int]) -> np.ndarray:
        return rng.integers(0, 256, (*size, 3), dtype=np.uint8)

    talk = ask("Judge what it costs.\n0: normal.\n1-100: a fault.", references=2, view=True)
    shared = (noise((40, 48)), noise((32, 32)))
    sizes = [own_sizes[k % len(own_sizes)] for k in range(count)]
    return [Question(talk, shared, (noise((40, 48)), noise(size)), None, {}) for size in sizes]


def whole_inputs(asker: Asker, question: Question) -> dict[str, torch.Tensor]:
    """The whole prompt as the processor makes it, without any of the scorer's machinery."""
    text = asker.processor.apply_chat_template(
        question.conversation.messages(), add_generation_prompt=True, tokenize=False
    )
    images = [[Image.fromarray(image) for image in (*question.shared, *question.own)]]
    return dict(asker.processor(text=[text], images=images, return_tensors="pt", add_special_tokens=False))


def brute_force(asker: Asker, question: Question, *, every: bool = False) -> np.ndarray:
    """Log-probability of each score by running prompt, cue and number as one text, without any cache.

    With ``every`` each number counts only where no digit follows it, be it 7, 72 or 100: the long readout.
    """
    whole = whole_inputs(asker, question)
    whole.pop("attention_mask")
    found = np.empty(101)
    numbers = [completion[:-1] for completion in asker.cues.completions]
    beginnings = {number[:k] for number in numbers for k in range(1, len(number))}
    for length in sorted(set(map(len, numbers))):
        scores = [n for n, number in enumerate(numbers) if len(number) == length]
        inputs = {k: v.repeat(len(scores), *[1] * (v.ndim - 1)) for k, v in whole.items()}
        ends = torch.tensor([[*asker.cues.score, *numbers[n]] for n in scores])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], ends], dim=1)
        for name in ("mm_token_type_ids", "token_type_ids"):
            if name in inputs:
                types = inputs[name]
                inputs[name] = torch.cat([types, torch.zeros_like(ends, dtype=types.dtype)], dim=1)
        with torch.inference_mode():
            logits = asker.model(**inputs, use_cache=False).logits.double().log_softmax(-1)
        for row, score in enumerate(scores):
            places = range(logits.shape[1] - length - 1, logits.shape[1] - 1)
            found[score] = sum(float(logits[row, p, t]) for p, t in zip(places, ends[row, -length:], strict=True))
            if every or score == 0 or numbers[score] in beginnings:
                further = [i for text, i in asker.tokenizer.get_vocab().items() if text[0] in "0123456789"]
                found[score] += float(torch.log1p(-logits[row, -1, further].exp().sum()))
    return found


@pytest.mark.parametrize("family", ["llava", "fast_vlm", "qwen3_vl", pytest.param("qwen3_5", marks=pytest.mark.slow)])
def test_reuse_gives_the_same_scores_and_text_as_the_plain_way(family, models):
    asker = Asker(load(str(models[family]), "fp32", "cpu"))
    asked = questions(3, own_sizes=((40, 48), (40, 48), (56, 24)))
    state_of = {row: (state, at) for rows, state in asker.begin(asked) for at, row in enumerate(rows)}
    assert asker.way == Strategy(reuse=True, together=True, tree=family != "qwen3_5")
    assert asker.mixed is (True if family == "qwen3_vl" else None)  # the others' prompts have one length
    assert [prefix.images for prefix in asker.prefixes.values() if prefix] == [2]
    cued = {}
    for rows, state in asker.begin(asked, asker.cues.score):
        cued |= dict(zip(rows, asker.score_log_probabilities(state), strict=True))
    for row, question in enumerate(asked):
        plain = brute_force(asker, question)
        assert expected_score(cued[row]).mean == pytest.approx(expected_score(plain).mean, abs=1e-3)
        np.testing.assert_allclose(cued[row], plain, atol=2e-3)
        inputs = whole_inputs(asker, question)
        made = asker.model.generate(**inputs, do_sample=False, max_new_tokens=12, eos_token_id=sorted(asker.ends))
        written = made[0, inputs["input_ids"].shape[1] :]
        state, at = state_of[row]
        own = asker.write(copy.deepcopy(state), 12)[at]
        assert own.text == asker.tokenizer.decode(written, skip_special_tokens=True)


SEES_BOTH_WAYS = ["gemma3", "molmo2"]


@pytest.mark.parametrize("family", SEES_BOTH_WAYS)
def test_images_whose_tokens_see_each_other_are_read_as_by_the_whole_prompt_alone(family, models):
    asker = Asker(load(str(models[family]), "fp32", "cpu"))
    asked = questions(2)  # two different pictures in one batch
    ((_, state),) = asker.begin(asked, asker.cues.score)
    together = asker.score_log_probabilities(state)
    assert asker.way is not None and asker.way.together and asker.way.reuse == (family == "gemma3")
    alone = [brute_force(asker, question) for question in asked]
    assert np.abs(alone[0] - alone[1]).max() > 1e-3  # another picture moves the readout
    np.testing.assert_allclose(together, alone, atol=2e-3)


def test_a_batch_is_one_call_of_the_processor(models, monkeypatch):
    asker = Asker(load(str(models["molmo2"]), "fp32", "cpu"))
    asker.begin(questions(1))
    rows: list[int] = []
    inputs = asker._inputs
    monkeypatch.setattr(
        asker, "_inputs", lambda text, images, **more: rows.append(len(images)) or inputs(text, images, **more)
    )
    asker.begin(questions(3))
    assert rows == [3]


def test_a_way_in_which_a_batch_mixes_up_its_pictures_is_not_taken(models, monkeypatch):
    asker = Asker(load(str(models["llava"]), "fp32", "cpu"))
    inputs = asker._inputs

    def first_for_all(text: str, rows: Any, *, first: bool) -> dict[str, torch.Tensor]:
        return inputs(text, [rows[0]] * len(rows), first=first)

    monkeypatch.setattr(asker, "_inputs", first_for_all)
    asked = questions(2)
    found = asker.begin(asked, asker.cues.score)
    assert [rows for rows, _ in found] == [[0], [1]] and asker.way == Strategy(reuse=True, together=False, tree=True)
    assert "in batches" in asker.refused[0] and "picture" in asker.refused[0]
    for (_, state), question in zip(found, asked, strict=True):
        np.testing.assert_allclose(asker.score_log_probabilities(state)[0], brute_force(asker, question), atol=2e-3)


def test_eleven_nodes_give_what_the_long_readout_gives(taught):
    asker = Asker(load(str(taught), "fp32", "cpu"))
    rng = np.random.default_rng(0)
    asked = [Question(ask("0: normal."), (), (picture(rng, bright),), None, {}) for bright in (False, True)]
    assert len(asker.trie.tokens) == 11
    ((_, state),) = asker.begin(asked, asker.cues.score)
    for row, question in zip(asker.score_log_probabilities(state), asked, strict=True):
        short, long = expected_score(row), expected_score(brute_force(asker, question, every=True))
        assert short.mean == pytest.approx(long.mean, abs=0.5) and short.mass == pytest.approx(long.mass, abs=0.02)


def test_scores_read_from_paths_equal_those_from_the_tree(models):
    asker = Asker(load(str(models["qwen3_vl"]), "fp32", "cpu"))
    ((_, state),) = asker.begin(questions(2), asker.cues.score)
    tree = asker.score_log_probabilities(state)
    asker.way = Strategy(reuse=True, together=True, tree=False)
    np.testing.assert_allclose(asker.score_log_probabilities(state), tree, atol=1e-4)


def test_a_model_that_cannot_branch_reads_all_scores_in_one_pass(models):
    asker = Asker(load(str(models["gemma3"]), "fp32", "cpu"))
    ((_, state),) = asker.begin(questions(2), asker.cues.score)
    before = asker.effort.passes
    asker.score_log_probabilities(state)
    assert asker.way is not None and not asker.way.tree and asker.effort.passes == before + 1


def test_a_picture_among_larger_ones_has_the_score_that_it_has_alone(models):
    asker = Asker(load(str(models["qwen3_vl"]), "fp32", "cpu"))
    asked = questions(4, own_sizes=((40, 48), (56, 24), (20, 64), (64, 64)))
    ((rows, state),) = asker.begin(asked, asker.cues.score)
    assert rows == [0, 1, 2, 3] and state.mask is not None and int((state.mask == 0).sum()) > 0
    together = asker.score_log_probabilities(state)
    chosen = [7, 42, 100, 0]
    texts = [text.text for text in asker.reasons(state, chosen, 6)]
    for row, question in enumerate(asked):
        ((_, alone),) = asker.begin([question], asker.cues.score)
        np.testing.assert_allclose(together[row], asker.score_log_probabilities(alone)[0], atol=2e-3)
        assert texts[row] == asker.reasons(alone, chosen[row : row + 1], 6)[0].text
    asker.mixed = False
    assert len(asker.begin(asked)) > 1


def test_reasons_of_scores_of_any_length_are_written_together(models):
    asker = Asker(load(str(models["llava"]), "fp32", "cpu"))
    ((_, state),) = asker.begin(questions(3), asker.cues.score)
    chosen = [7, 42, 100]
    before = asker.effort.passes
    texts = asker.reasons(state, chosen, 5)
    assert asker.effort.passes - before <= 1 + 2 + 5  # what they share, two more digits, five tokens
    for row in range(3):
        alone = asker.reasons(asker.some(state, [row]), chosen[row : row + 1], 5)
        assert texts[row] == alone[0]


def test_what_was_read_is_not_copied_for_every_token(models):
    asker = Asker(load(str(models["llava"]), "fp32", "cpu"))
    ((_, state),) = asker.begin(questions(2), asker.cues.score)
    written = asker.effort.copies.bytes
    texts = asker.write(state, 20)
    assert max(text.tokens for text in texts) > 5 and asker.effort.copies.bytes == written


def test_reading_leaves_the_state_where_it_was(models):
    asker = Asker(load(str(models["llava"]), "fp32", "cpu"))
    ((_, state),) = asker.begin(questions(2), asker.cues.score)
    length, first = state.length, asker.score_log_probabilities(state)
    asker.written_lines(state)
    asker.reasons(state, [7, 42], 5)
    assert state.length == length
    np.testing.assert_allclose(asker.score_log_probabilities(state), first, atol=1e-5)


def test_a_family_whose_two_ways_disagree_is_computed_the_plain_way_and_says_why(models, monkeypatch):
    reusing = Asker(load(str(models["qwen3_vl"]), "fp32", "cpu"))
    ((_, state),) = reusing.begin(questions(2), reusing.cues.score)
    right = reusing.score_log_probabilities(state)
    plain = Asker(reusing.loaded)
    places = plain._media_positions

    def displaced(whole: Any, start: int, mask: Any = None) -> Any:
        positions, following = places(whole, start, mask)
        return (positions * (1 if start == 0 else 3), following)  # wrong behind a prefix, as in a family not known

    monkeypatch.setattr(plain, "_media_positions", displaced)
    ((_, state),) = plain.begin(questions(2), plain.cues.score)
    assert plain.way == Strategy(reuse=False, together=True, tree=True)
    assert len(plain.refused) == 4 and all("differ" in why for why in plain.refused)
    np.testing.assert_allclose(plain.score_log_probabilities(state), right, atol=1e-3)


def test_a_rubric_cannot_smuggle_images_in(models):
    asker = Asker(load(str(models["llava"]), "fp32", "cpu"))
    with pytest.raises(InputError, match="takes for an image"):
        asker.render(ask("0: normal <image>"))


# -- precision ----------------------------------------------------------------------------------


@pytest.mark.parametrize("quantisation", ["4bit", "8bit", "bf16"])
def test_quantised_models_load_keep_their_tower_and_agree(quantisation, taught):
    loaded = load(str(taught), quantisation, "cpu")
    tower = [m for m in loaded.model.model.vision_tower.modules() if isinstance(m, nn.Linear)]
    inner = loaded.model.model.language_model.layers[0].mlp.up_proj
    kinds = {"4bit": "Linear4bit", "8bit": "Linear8bitLt", "bf16": "Linear"}
    assert type(inner).__name__ == kinds[quantisation]
    assert {type(m).__name__ for m in tower} == {"Linear"} and type(loaded.model.lm_head).__name__ == "Linear"
    if quantisation == "4bit":
        assert inner.weight.quant_type == "nf4" and inner.weight.quant_state.nested
    rng = np.random.default_rng(0)
    asker = Asker(loaded)
    asked = [Question(ask("0: normal."), (), (picture(rng, bright),), None, {}) for bright in (False, True)]
    ((_, state),) = asker.begin(asked, asker.cues.score)
    dark, bright = (expected_score(row).mean for row in asker.score_log_probabilities(state))
    assert dark < 35 and bright > 60


def test_layers_that_cannot_be_quantised_everywhere_are_kept(models):
    kept = loading.kept_modules(models["fast_vlm"])
    assert "lm_head" in kept and "model.multi_modal_projector.linear_1" in kept
    inner = [name.rpartition(".")[2] for name in kept if ".layers." in name]
    assert set(inner) == {"down_proj"}  # 96 inputs, which is no multiple of a block


def test_a_model_that_does_not_fit_together_is_a_sentence(models, tmp_path):
    import shutil

    broken = shutil.copytree(models["llava"], tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"12345678")
    with pytest.raises((InputError, UnavailableError), match="cannot be loaded"):
        load(str(broken), "fp32", "cpu")


# -- the scorer ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Item], list[Item]]:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(3)

    def write(name: str, image: np.ndarray) -> Item:
        Image.fromarray(image).save(folder / name)
        return Item(name, str(folder / name))

    normals = [write(f"n{i}.png", picture(rng, False)) for i in range(5)]
    tests = [write(f"t{i}.png", picture(rng, bool(i % 2))) for i in range(4)]
    (folder / "broken.png").write_bytes(b"not an image")
    return normals, [*tests, Item("broken.png", str(folder / "broken.png"))]


def make(folder: Path, **parameters: Any) -> Mllm:
    given = {"model": str(folder), "quantisation": "fp32", "references": 0, "rubric": RUBRIC} | parameters
    scorer = catalog.scorer("mllm").create(given)
    assert isinstance(scorer, Mllm)
    return scorer


def labelled(files: tuple[list[Item], list[Item]]) -> Context:
    """A context with a calibration image of each of two levels."""
    calibration = [LabelledItem(f"c{k}", files[1][k].path, float(k)) for k in (0, 1)]
    return Context(subset="toy", normals=files[0], calibration=calibration)


def run(folder: Path, files: tuple[list[Item], list[Item]], **parameters: Any) -> tuple[Mllm, list[Scored]]:
    scorer, context = make(folder, **parameters), Context(subset="toy", normals=files[0])
    scorer.fit([], context)
    return scorer, list(scorer.score(files[1], context))


def test_scores_reasons_and_failures_come_in_order(taught, files):
    scorer, scored = run(taught, files, batch=3)
    assert [s.image_id for s in scored] == [i.image_id for i in files[1]]
    assert scored[-1].status == "unreadable" and scored[-1].score is None and "broken.png" in str(scored[-1].reason)
    for number, one in enumerate(scored[:-1]):
        assert one.status == "ok" and one.score is not None and one.distribution is not None
        assert one.distribution.sum() == pytest.approx(1)
        assert one.score == pytest.approx(float(one.distribution @ np.arange(101)))
        assert one.detail["written"] == (80 if number % 2 else 12)
        assert one.reason == (BRIGHT if number % 2 else DARK)
        assert one.detail["raw"].startswith("Anomaly Score: ") and one.detail["score_from"] == "expected"
        assert one.map is None
    facts = scorer.facts()
    assert facts["images"] == 4 and facts["computed"] == "shared part once" and len(facts["digest"]) == 64
    assert facts["rubric_text"] == "0: normal." and facts["quantisation"] == "fp32"


def test_only_scores_are_the_same_scores_without_text(taught, files):
    texts, scores = run(taught, files)[1], run(taught, files, reasons="no", batch=1)[1]
    np.testing.assert_allclose([s.score for s in scores[:-1]], [s.score for s in texts[:-1]], atol=1e-3)
    assert all(s.reason is None and s.detail["raw"] == "" for s in scores[:-1])


def test_only_the_worst_images_are_explained(taught, files):
    scored = run(taught, files, reasons="worst", worst=2, batch=2)[1][:-1]
    whole = run(taught, files)[1][:-1]
    assert [one.reason for one in scored] == [DARK, BRIGHT, None, BRIGHT]  # the dark one was among the first two
    np.testing.assert_allclose([one.score for one in scored], [one.score for one in whole], atol=1e-3)


LOOKS = {"wordings": 2, "second_look": True, "looks_first": 2, "level_words": True, "habits": 3}
LEVELS = """title: As taught
bands:
  - {from: 0, to: 39, name: dark, meaning: dark}
  - {from: 40, to: 100, name: bright, meaning: bright}
"""


def test_every_look_is_a_distribution_and_their_mean_counts(taught, files, monkeypatch):
    scorer, context = make(taught, rubric=LEVELS, batch=4, pairs=True, **LOOKS), labelled(files)
    scorer.fit([], context)
    assert scorer._habit.shape == (101,) and scorer._habit.std() > 0
    given: list[int] = []
    others = scorer._other_looks
    monkeypatch.setattr(
        scorer, "_other_looks", lambda *asked: [given.append(len(looks)) or looks for looks in others(*asked)]
    )
    scored = list(scorer.score(files[1], context))[:-1]
    assert set(given) == {1 + 1 + 2 + 1 + 1}  # a wording, a second look, two looks first, words, pairs
    assert {one.status for one in scored} == {"ok"} and all(one.distribution is not None for one in scored)
    assert scorer.facts()["looks"]["first"] == 2 and all(one.reason for one in scored)


def test_looks_that_need_levels_say_what_lacks(taught, files):
    with pytest.raises(InputError, match="calibration images"):
        run(taught, files, pairs=True)
    with pytest.raises(InputError, match="level_words=no"):
        run(taught, files, level_words=True)


@pytest.mark.parametrize("family", ["llava", "qwen3_5"])
def test_the_probability_of_a_word_is_that_of_its_tokens(family, models):
    asker = Asker(load(str(models[family]), "fp32", "cpu"))
    (question,) = questions(1)
    words = ["normal", "a crack", "cracked"]
    found = asker.choose([question], "Severity: ", words)[0]
    whole = whole_inputs(asker, question)
    whole.pop("attention_mask")
    for word, value in zip(words, found, strict=True):
        ends = torch.tensor([asker.tokenizer(f"Severity: {word}", add_special_tokens=False)["input_ids"]])
        inputs = {**whole, "input_ids": torch.cat([whole["input_ids"], ends], dim=1)}
        if "mm_token_type_ids" in inputs:
            types = inputs["mm_token_type_ids"]
            inputs["mm_token_type_ids"] = torch.cat([types, torch.zeros_like(ends, dtype=types.dtype)], dim=1)
        with torch.inference_mode():
            logits = asker.model(**inputs, use_cache=False).logits[0].double().log_softmax(-1)
        head = len(asker._word_tokens("Severity: ", words)[0])
        places = range(len(logits) - ends.shape[1] + head - 1, len(logits) - 1)
        right = sum(float(logits[place, token]) for place, token in zip(places, ends[0, head:], strict=True))
        assert value == pytest.approx(right, abs=2e-3)


def test_a_batch_is_as_large_as_memory_allows(taught, files, monkeypatch):
    scorer, context = make(taught), Context(normals=files[0])
    scorer.fit([], context)
    asker = run(taught, files)[0]._asker
    assert asker is not None
    monkeypatch.setattr(
        local.models, "memory", lambda device: Memory(4 * 3.5 * asker.row_bytes / 1e9, "a small machine")
    )
    assert [one.status for one in scorer.score(files[1], context)] == ["ok"] * 4 + ["unreadable"]
    assert scorer.facts()["batch"] == 3


def test_the_benchmarks_protocol_is_fixed_and_stands_by_what_is_written(taught, files):
    scorer, scored = run(taught, files, protocol="madbench", references=7, view="yes", tokens=8, anchors=True)
    assert scorer.facts()["references"] == ["n0.png", "n1.png", "n2.png"]
    assert scorer.facts()["height"] == 512 and scorer.facts()["view"] is False
    for one in scored[:-1]:
        assert (one.status == "ok") == (one.detail["written"] is not None)
    zero, _ = run(taught, files, protocol="madbench-zero-shot")
    assert zero.facts()["references"] == []


def test_zero_shot_in_plain_words_is_read(taught, files):
    scored = run(taught, files, protocol="madbench-zero-shot")[1]
    assert [s.detail["written"] for s in scored[:-1]] == [12, 80, 12, 80]
    assert scored[1].detail["raw"].startswith(f"Anomaly Score: 80\nReason: {BRIGHT}")


def test_with_a_view_the_map_is_what_the_model_was_shown(taught, files):
    scored = run(taught, files, view="yes", references=2)[1]
    assert scored[0].map is not None and scored[0].map.dtype == np.float32
    assert scored[1].map is not None and scored[1].map.mean() > scored[0].map.mean()
    assert scored[1].map.min() >= 0 and scored[1].map.max() <= 1.01


def test_a_model_that_gives_no_score_fails_by_name_and_keeps_its_words(models, files):
    scored = run(models["llava"], files)[1]
    assert {s.status for s in scored[:-1]} == {"unparsed"} and all(s.score is None for s in scored)
    assert scored[0].detail["raw"].startswith("Anomaly Score: ") and scored[0].detail["mass"] < 0.5


@pytest.mark.parametrize("reasons", ["all", "none"])
def test_a_score_of_less_than_half_of_the_probability_gives_way_to_the_written_one(taught, files, monkeypatch, reasons):
    scorer, context = make(taught, reasons=reasons), Context(normals=files[0])
    scorer.fit([], context)
    assert scorer._asker is not None
    read = scorer._asker.score_log_probabilities
    monkeypatch.setattr(scorer._asker, "score_log_probabilities", lambda state: read(state) - 1.0)  # 37 % of it
    scored = list(scorer.score(files[1], context))[:-1]
    assert [one.score for one in scored] == [12, 80, 12, 80] and {one.status for one in scored} == {"ok"}
    assert {one.detail["score_from"] for one in scored} == {"written"} and scored[0].distribution is None
    assert scorer.facts()["written_scores"] == 4 and "4 of 4 images" in scorer.facts()["score_note"]
    if reasons == "all":
        assert [one.reason for one in scored] == [DARK, BRIGHT, DARK, BRIGHT]


def test_memory_that_runs_out_halves_the_batch_then_stops_with_advice(taught, files, monkeypatch):
    scorer, context = make(taught, batch=4), Context(normals=files[0])
    scorer.fit([], context)
    assert scorer._asker is not None
    start, most = scorer._asker.start, 2

    def start_small(made: Sequence[Batch], forced: Sequence[int] = ()) -> Any:
        if sum(len(one.rows) for one in made) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return start(made, forced)

    monkeypatch.setattr(scorer._asker, "start", start_small)
    scored = list(scorer.score(files[1], context))
    assert [s.status for s in scored] == ["ok"] * 4 + ["unreadable"]
    assert scorer.facts()["batch"] == 2 and scorer.facts()["batch_halved"] == 1
    most = 0
    with pytest.raises(WorkError, match="resume the run"):
        list(scorer.score(files[1], context))


def test_an_image_that_the_model_cannot_take_fails_alone_with_a_sentence(taught, files, monkeypatch):
    scorer, context = make(taught, batch=4), Context(normals=files[0])
    scorer.fit([], context)
    assert scorer._asker is not None
    prepare, bad = scorer._asker.prepare, np.asarray(Image.open(files[1][2].path))

    def prepare_others(asked: Sequence[Question]) -> Any:
        if any(np.array_equal(question.own[-1], bad) for question in asked):
            raise RuntimeError("shapes (3) and (4) do not match\n  at some line of C++")
        return prepare(asked)

    monkeypatch.setattr(scorer._asker, "prepare", prepare_others)
    scored = list(scorer.score(files[1], context))
    assert [one.status for one in scored] == ["ok", "ok", "model-error", "ok", "unreadable"]
    assert str(scored[2].reason).endswith("shapes (3) and (4) do not match.") and scored[2].score is None


def test_work_stops_between_two_batches_when_cancelled(taught, files):
    asked: list[bool] = []
    scorer, context = make(taught, batch=1), Context(normals=files[0], cancelled=lambda: bool(asked))
    scorer.fit([], context)
    scored = scorer.score(files[1], context)
    assert next(scored).status == "ok"
    asked.append(True)
    with pytest.raises(CancelledError):
        next(scored)


def test_memory_is_given_back(taught, files):
    scorer = run(taught, files)[0]
    assert scorer._loaded is not None
    gone = weakref.ref(scorer._loaded.model)
    scorer.close()
    gc.collect()
    assert gone() is None


def test_subsets_of_a_run_share_the_loaded_model(taught, files, monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(local, "load", lambda *given: calls.append("load") or load(*given))
    resources = Resources()
    for subset in ("a", "b"):
        scorer, context = make(taught), Context(subset=subset, normals=files[0], resources=resources)
        scorer.fit([], context)
        assert next(iter(scorer.score(files[1], context))).status == "ok"
        scorer.close()
    assert calls == ["load"]
    resources.close()


# -- in a run -----------------------------------------------------------------------------------


@pytest.fixture
def pictured(tmp_path: Path) -> Dataset:
    """A small dataset of picture files: dark normals, bright defects, one of them broken."""
    dataset = make_dataset(subsets=("a",), per_level=2)
    table, rng, paths = dataset.table.copy(), np.random.default_rng(0), []
    for row in table.itertuples():
        path = tmp_path / f"{row.image_id}.png"
        Image.fromarray(picture(rng, row.level > 0)).save(path)
        paths.append(str(path))
    table = table.assign(path=paths, content_hash=digests(paths))
    Path(paths[-1]).rename(f"{paths[-1]}.whole")
    Path(paths[-1]).write_bytes(b"not an image")
    return Dataset(dataset.name, table, dataset.card, dataset.source)


def do(store: Store, run_id: str) -> None:
    job = store.queue.active_for(store.run(run_id).job_key)
    assert job is not None
    do_here(store, job.id, "cpu", lambda progress: None)


def test_failed_images_of_a_run_are_scored_again_on_demand(store: Store, pictured: Dataset, taught: Path) -> None:
    info = catalog.scorer("mllm")
    parameters = info.check({"model": str(taught), "quantisation": "fp32", "references": 0, "rubric": RUBRIC})
    wanted = store.request_run(RunRequest(store.add_dataset(Imported(pictured)), "mllm", parameters))
    do(store, wanted.id)
    table = store.scores(wanted.id).set_index("image_id")
    broken = pictured.table.iloc[-1]
    assert table["status"].value_counts().to_dict() == {"ok": 5, "unreadable": 1}
    kept = store.score(wanted.id, pictured.select(split="test").iloc[0]["image_id"])
    assert kept is not None and kept.distribution is not None and kept.reason == DARK
    assert kept.detail["written"] == 12
    Path(f"{broken['path']}.whole").replace(broken["path"])
    store.resume_run(wanted.id, retry_failed=True)
    do(store, wanted.id)
    after = store.scores(wanted.id).set_index("image_id")
    assert set(after["status"]) == {"ok"} and after.loc[broken["image_id"], "reason"] == BRIGHT
    unchanged = table.index[table["status"] == "ok"]
    assert after.loc[unchanged, "created"].equals(table.loc[unchanged, "created"])
    facts = store.run_subsets(wanted.id)[0].facts
    assert facts["prompt_digest"] and facts["model"] == str(taught)


def test_a_reason_is_written_when_it_is_asked_for(store: Store, pictured: Dataset, taught: Path) -> None:
    given = {"model": str(taught), "quantisation": "fp32", "references": 0, "rubric": RUBRIC, "reasons": "none"}
    parameters = catalog.scorer("mllm").check(given)
    wanted = store.request_run(RunRequest(store.add_dataset(Imported(pictured)), "mllm", parameters))
    do(store, wanted.id)
    image = pictured.select(split="test").iloc[0]["image_id"]
    before = store.score(wanted.id, image)
    assert before is not None and before.reason is None
    job = submit(store.queue, ReasonJob(wanted.id, image))
    do_here(store, job, "cpu", lambda progress: None)
    after = store.score(wanted.id, image)
    assert after is not None and after.reason == DARK and after.score == before.score


def test_a_run_can_crop_at_another_runs_peak(store: Store, pictured: Dataset, taught: Path) -> None:
    dataset_id = store.add_dataset(Imported(pictured))
    detector = store.request_run(RunRequest(dataset_id, "filterbank", catalog.scorer("filterbank").check({"size": 64})))
    rows = store.test_images(pictured, ["a"])
    found = np.zeros((40, 48), np.float32)
    found[30, 10] = 1
    first = rows.iloc[0]["image_id"]
    store.add_scores(
        detector.id, "a", [(Scored.of(first, 1.0, found, 0.1), store.maps.write(detector.id, "a", 0, found, 256))]
    )
    parameters = catalog.scorer("mllm").check(
        {"model": str(taught), "quantisation": "fp32", "references": 0, "crop_run": detector.id}
    )
    wanted = store.request_run(RunRequest(dataset_id, "mllm", parameters))
    do(store, wanted.id)
    scored = store.score(wanted.id, first)
    assert scored is not None and scored.detail["crop"] == [20, 0, 40, 20]
    other = store.score(wanted.id, rows.iloc[1]["image_id"])
    assert other is not None and "crop" not in other.detail
    bad = store.request_run(RunRequest(dataset_id, "mllm", {**parameters, "crop_run": "nothing"}))
    with pytest.raises(WorkError, match="no run 'nothing'"):
        do(store, bad.id)
