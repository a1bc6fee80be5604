"""Models in vLLM's offline engine, with a stand-in that answers as the engine does: what is ours gives the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from mad_core.errors import InputError, UnavailableError
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context
from mad_core.scorers.multimodal import engine, models
from mad_core.scorers.multimodal.asking import Asker
from mad_core.scorers.multimodal.loading import load
from mad_core.scorers.multimodal.prompts import ask
from mad_core.scorers.multimodal.readout import expected_score
from mad_core.scorers.multimodal.showing import Question

from .tiny_models import BRIGHT, DARK, picture


@dataclass
class Sampling:
    """As ``vllm.SamplingParams``, as far as it is used."""

    max_tokens: int
    temperature: float
    logprobs: int = 0
    seed: int = 0
    stop: Sequence[str] = ()


class Engine:
    """As ``vllm.LLM``: prompts with pictures in, texts and named tokens out."""

    def __init__(self, model: str, **options: Any) -> None:
        self.options, self.requests = options, 0
        self.model = LlavaForConditionalGeneration.from_pretrained(model).eval()
        self.processor = LlavaProcessor.from_pretrained(model)

    def generate(self, prompts: Sequence[dict[str, Any]], sampling: Sampling, use_tqdm: bool) -> list[Any]:
        assert not use_tqdm
        self.requests += len(prompts)
        return [self._answer(one, sampling) for one in prompts]

    @torch.inference_mode()
    def _answer(self, prompt: dict[str, Any], sampling: Sampling) -> Any:
        inputs = dict(
            self.processor(text=[prompt["prompt"]], images=[prompt["multi_modal_data"]["image"]], return_tensors="pt")
        )
        inputs.pop("attention_mask")
        written: list[int] = []
        named: list[dict[int, Any]] = []
        text, finish = "", "length"
        for _ in range(sampling.max_tokens):
            ids = torch.cat([inputs["input_ids"], torch.tensor([written], dtype=torch.long)], dim=1)
            logs = self.model(**{**inputs, "input_ids": ids}, use_cache=False).logits[0, -1].log_softmax(-1)
            top = logs.topk(max(1, sampling.logprobs))
            named.append({int(t): SimpleNamespace(logprob=float(v)) for v, t in zip(*top, strict=True)})
            token = int(logs.argmax())
            if token == self.processor.tokenizer.eos_token_id:
                finish = "stop"
                break
            written.append(token)
            text = self.processor.tokenizer.decode(written)
            if any(stop in text for stop in sampling.stop):
                text, finish = text.split("\n")[0], "stop"
                break
        return SimpleNamespace(
            outputs=[SimpleNamespace(text=text, token_ids=written, logprobs=named, finish_reason=finish)]
        )


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=Engine, SamplingParams=Sampling))
    monkeypatch.setattr(models, "installed", lambda name: True)


def asked() -> list[Question]:
    rng = np.random.default_rng(0)
    return [Question(ask("0: normal."), (), (picture(rng, bright),), None, {}) for bright in (False, True)]


def test_scores_and_reasons_are_those_of_the_model_itself(taught, vllm):
    ours, theirs = (
        Asker(load(str(taught), "fp32", "cpu")),
        engine.EngineAsker(engine.load_engine(str(taught), "fp32", "cpu")),
    )
    ((_, state),) = ours.begin(asked(), ours.cues.score)
    ((_, prompted),) = theirs.begin(asked(), theirs.cues.score)
    right, found = ours.score_log_probabilities(state), theirs.score_log_probabilities(prompted)
    assert theirs.loaded.model.requests == 2 * (1 + 11)  # the root and eleven nodes, each one token
    for a, b in zip(right, found, strict=True):
        assert expected_score(b).mean == pytest.approx(expected_score(a).mean, abs=0.2)
        assert expected_score(b).mass == pytest.approx(expected_score(a).mass, abs=0.02)
    assert [one.text.strip() for one in theirs.reasons(prompted, [12, 80], 20)] == [DARK, BRIGHT]
    assert [one.text for one in theirs.written_lines(prompted)] == ["12", "80"]
    words = ours.choose(asked(), "Severity: ", ["dark", "bright"])
    np.testing.assert_allclose(
        np.exp(theirs.choose(asked(), "Severity: ", ["dark", "bright"])), np.exp(words), atol=0.01
    )


def test_the_scorer_asks_the_engine_the_same_questions(taught, vllm, tmp_path):
    from PIL import Image

    from mad_core.scorers.contract import Item

    rng, items = np.random.default_rng(3), []
    for number, bright in enumerate((False, True)):
        Image.fromarray(picture(rng, bright)).save(tmp_path / f"{number}.png")
        items.append(Item(str(number), str(tmp_path / f"{number}.png")))
    given = {"model": str(taught), "quantisation": "fp32", "references": 0, "rubric": "title: t\ntext: '0: normal.'\n"}
    results = {}
    for name in ("vllm", "transformers"):
        scorer = catalog.scorer("mllm").create({**given, "engine": name})
        scorer.fit([], Context(subset="toy"))
        results[name] = list(scorer.score(items, Context()))
        facts = scorer.facts()
        assert (facts["computed"] == "vLLM's offline engine") == (name == "vllm")
        scorer.close()
    for a, b in zip(results["vllm"], results["transformers"], strict=True):
        assert a.status == b.status == "ok" and a.reason == b.reason
        assert a.score == pytest.approx(b.score, abs=0.2)


def test_without_vllm_and_with_what_it_cannot_load_there_is_a_sentence(taught, vllm, monkeypatch):
    with pytest.raises(InputError, match="does not load models in 8bit"):
        engine.load_engine(str(taught), "8bit", "cpu")
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=None))
    with pytest.raises(InputError, match="engine=transformers"):
        engine.load_engine(str(taught), "fp32", "cpu")
    monkeypatch.setattr(models, "installed", lambda name: name != "vllm")
    with pytest.raises(UnavailableError, match=r"requirements-vllm\.txt"):
        engine.load_engine(str(taught), "fp32", "cpu")
