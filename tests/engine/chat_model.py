"""A local multimodal model behind the chat-completions protocol, for the server of the tests."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import numpy as np

from mad_core.scorers import catalog
from mad_core.scorers.contract import Context
from mad_core.scorers.multimodal.local import Mllm
from mad_core.scorers.multimodal.prompts import SCORE_CUE, Conversation, Piece
from mad_core.scorers.multimodal.readout import ExpectedScore
from mad_core.scorers.multimodal.showing import Question

from .chat_server import Answer, _entry, images_of


class ModelBehind:
    """Answers requests by a model: its own words, and the most probable of its scores as tokens."""

    def __init__(self, folder: Path, quantisation: str) -> None:
        given = {"model": str(folder), "quantisation": quantisation, "references": 0, "view": "no"}
        scorer = catalog.scorer("mllm").create(given)
        assert isinstance(scorer, Mllm)
        scorer.fit([], Context())
        self.scorer, self.one_at_a_time = scorer, threading.Lock()

    def __call__(self, request: dict[str, Any], number: int) -> Answer:
        question = Question(conversation(request), (), tuple(images_of(request)), None, {})
        if request.get("continue_final_message"):
            with self.one_at_a_time:
                return self._next(question, str(request["messages"][-1]["content"]), request["top_logprobs"])
        with self.one_at_a_time:
            (found,) = self.scorer.answers([question])
        logprobs = None
        if request.get("logprobs") and found.expected and found.written and found.written.score is not None:
            logprobs = tokens(found.raw, found.expected, request["top_logprobs"])
        return Answer(found.raw, finish=found.finish or "stop", logprobs=logprobs)

    def _next(self, question: Question, begun: str, most: int) -> Answer:
        """The most probable token behind an answer that is begun."""
        asker = self.scorer._asker
        ((_, state),) = asker.begin([question], asker.tokenizer(begun, add_special_tokens=False)["input_ids"])
        shares, ids = state.logits[0].float().softmax(-1).topk(most)
        named = [(asker.tokenizer.decode([i]), p) for i, p in zip(ids.tolist(), shares.tolist(), strict=True)]
        return Answer(named[0][0], finish="length", logprobs=[_entry(named[0][0], named)])


def conversation(request: dict[str, Any]) -> Conversation:
    """The question that a request puts."""
    system, user, *_ = request["messages"]
    parts = [Piece("text", p["text"]) if p["type"] == "text" else Piece("image") for p in user["content"]]
    return Conversation(system["content"], (), tuple(parts))


def tokens(raw: str, expected: ExpectedScore, most: int) -> list[dict[str, Any]]:
    """``logprobs.content`` of an answer, as of a tokeniser that writes a score as one token."""
    line, _, rest = raw.removeprefix(SCORE_CUE).partition("\n")
    best = np.argsort(expected.distribution)[::-1][:most]
    tops = [(str(n), float(expected.distribution[n] * expected.mass)) for n in best if expected.distribution[n] > 0]
    entries = [_entry(SCORE_CUE, [(SCORE_CUE, 1.0)]), _entry(line, tops), _entry(f"\n{rest}", [(rest, 1.0)])]
    entries[1]["logprob"] = math.log(max(1e-9, dict(tops).get(line, 0.0)))
    return entries
