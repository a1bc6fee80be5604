"""A minute of training: every stage of the model that ships, on a handful of pictures, up to a model that answers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mad_core.scorers.multimodal.prompts import ask
from tools.mllm import joint, reader, ship, tower, words
from tools.mllm.faults import FAMILIES, make_faulty, possible
from tools.mllm.packing import Packed, Wording, marks_of
from tools.mllm.pictures import draw_shard
from tools.mllm.products import Product, make_piece, photograph
from tools.mllm.tokens import IMAGE, corpus, token_id, train_tokenizer
from tools.mllm.training import Course
from tools.mllm.trials import by_references, by_rubric, wilson


def run(monkeypatch: pytest.MonkeyPatch, module: object, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["train", *map(str, arguments)])
    module.main()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_every_stage_learns_and_the_model_that_comes_out_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, tokenizer = tmp_path / "pictures", tmp_path / "tokenizer"
    pictures.mkdir()
    for number in range(4):
        draw_shard(number, products=1, photographs=8).write(pictures / f"{number:05d}.npz")
    monkeypatch.setattr("tools.mllm.tokens.corpus", lambda: corpus(300))
    fast = train_tokenizer(tokenizer)
    run(monkeypatch, tower, "--pictures", pictures, "--out", tmp_path / "tower.pt", "--steps", 3, "--batch", 8)
    few = ("--tokenizer", tokenizer, "--steps", 2, "--sheets", 2, "--questions", 2)
    run(monkeypatch, reader, *few, "--out", tmp_path / "reader.pt")
    learned = ("--pictures", pictures, "--tower", tmp_path / "tower.pt", "--reader", tmp_path / "reader.pt")
    run(monkeypatch, joint, *few, *learned, "--out", tmp_path / "joint.pt")
    ship.ship(tmp_path / "tower.pt", tmp_path / "joint.pt", tokenizer, tmp_path / "model")

    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "model", dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(tmp_path / "model")
    talk = ask("Scale:\n0: normal.\n1-100: broken.", references=1, view=True)
    text = processor.apply_chat_template(talk.messages(), add_generation_prompt=True, tokenize=False)
    rng = np.random.default_rng(1)
    shot, _ = photograph(make_piece(Product.random(rng), rng), rng)
    inputs = processor(images=[shot] * 3, text=text, return_tensors="pt")
    assert (inputs["input_ids"] == token_id(fast, IMAGE)).sum() == 3 * 64
    assert torch.isfinite(model(**inputs).logits).all()


def test_a_course_is_taken_up_where_it_was_left(tmp_path: Path) -> None:
    def course(steps: int) -> Course:
        torch.manual_seed(0)
        made = Course(torch.nn.Linear(3, 1), tmp_path / "kept.pt", 6, 0.1, 0)
        while made.step < steps:
            inputs = torch.from_numpy(made.rng().standard_normal((8, 3)).astype(np.float32))
            made.learn((made.model(inputs) - inputs.sum(1, keepdim=True)).square().mean())
        return made

    whole = course(6).model.weight.detach().clone()
    course(3).save()
    torch.testing.assert_close(course(6).model.weight, whole)


def test_pictures_are_the_same_every_time_and_faults_lie_where_they_are_marked() -> None:
    first, again = draw_shard(5, products=1, photographs=2), draw_shard(5, products=1, photographs=2)
    assert first.views == again.views and first.images == again.images
    rng = np.random.default_rng(0)
    product = Product.random(rng)
    for family in possible(product):
        piece, extent = make_faulty(product, family, rng)
        assert 0 <= extent <= 1 and piece.changed.max() > 0, family


def test_a_made_up_rubric_says_what_it_scores() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        judged = words.make_rubric(rng, held_out=seed % 2 == 0)
        bands = judged.rubric.bands
        assert bands[0].high == 0 and bands[-1].high == 100
        for family in FAMILIES:
            score = judged.score(family, 0.9)
            band = judged.rubric.band_of(score)
            assert band is not None and band.name in judged.reason(family, 0.9, "", rng)
            if judged.bands is not None:
                assert bands.index(band) - 1 == judged.bands[family][1]
        assert judged.score(None, 0.0) == 0


def test_hints_point_at_the_names_of_families_and_at_the_lines_they_stand_in() -> None:
    rng = np.random.default_rng(4)
    judged = words.make_rubric(rng, policy="any")
    text = judged.rubric.wording()
    lines, named, _ = marks_of(text, judged)
    found = {FAMILIES[k] for k in np.unique(named[named >= 0])}
    assert len(found) >= len(FAMILIES) - 1
    for family in found:
        inside = named == FAMILIES.index(family)
        assert judged.called[family] in text.lower()[np.flatnonzero(inside)[0] :]
        assert (lines[inside] > 0).all()


def test_pointers_lead_to_the_right_line_and_to_the_name_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.mllm.tokens.corpus", lambda: corpus(200))
    fast = train_tokenizer(tmp_path)
    wording = Wording(fast)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        judged = words.make_easy(rng)
        talk = ask(judged.rubric.wording(), references=1, view=True)
        shared = wording.shared(talk, 4)
        score = judged.score("crack", 0.9)
        answer = wording.answer(words.answer_of(judged, "crack", 0.9, "", rng))
        line, *names = wording.pointers(shared, wording.marks(talk, judged, len(shared)), answer, score, judged)
        band = judged.rubric.band_of(score)
        assert band is not None
        assert fast.decode([shared[k] for k in line.targets]).startswith(f"{band.low}-{band.high}: {band.name}. ")
        assert answer[line.place] == wording.text(str(score))[0] and fast.decode(answer[: line.place])[-1] == " "
        assert fast.decode([shared[k] for name in names for k in name.targets]).strip() == band.name
        assert [answer[name.place] for name in names] == [shared[name.targets[0]] for name in names]


def test_packing_gives_the_losses_of_one_question_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr("tools.mllm.tokens.corpus", lambda: corpus(200))
    fast = train_tokenizer(tmp_path)
    wording, ideal = Wording(fast), reader.Ideal()
    packed = Packed(reader.start(fast)).eval()
    sheets = [reader.draw_sheet(wording, ideal, np.random.default_rng(seed), 3) for seed in (1, 2)]
    with torch.no_grad():
        together = packed(sheets).losses
        alone = [
            packed([reader.Sheet(sheet.shared, sheet.cells, [question], sheet.marks)]).losses
            for sheet in sheets
            for question in sheet.questions
        ]
    torch.testing.assert_close(together, torch.cat(alone), atol=0.08, rtol=0.02)  # bfloat16


def test_trials_differ_in_what_they_ask_about_alone() -> None:
    question = by_references(2)
    assert question.kind == "colour" and question.rubrics[0] == question.rubrics[1]
    assert not np.array_equal(question.references[0][0], question.references[1][0])
    question = by_rubric(1)
    assert question.kind == "worded otherwise" and question.rubrics[0] != question.rubrics[1]
    assert question.references[0] is question.references[1]


def test_wilson_interval_of_a_share() -> None:
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)  # as in Brown, Cai and DasGupta 2001
    assert wilson(0, 10)[0] == pytest.approx(0, abs=1e-12)
