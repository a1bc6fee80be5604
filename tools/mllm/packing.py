"""Many questions about one rubric in one sequence: the shared part is encoded once, questions do not see each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import DynamicCache, FastVlmForConditionalGeneration, PreTrainedTokenizerFast

from mad_core.scorers.prompts import SCORE_CUE, Conversation, Piece
from tools.mllm.faults import FAMILIES
from tools.mllm.tokens import ASSISTANT, END, IMAGE, SYSTEM, USER, token_id
from tools.mllm.words import Judged

MIDDLE = 2
"""Layers after which hints are given."""


@dataclass(frozen=True)
class Question:
    """What one image adds to the shared part, and the answer to learn.

    Parameters
    ----------
    own : list of int
        Token ids; the image token stands where a cell of the tower goes.
    answer : list of int
    cells : ndarray of shape (number of image tokens, C), float32
    family : int
        What the picture shows, for the hints.
    """

    own: list[int]
    answer: list[int]
    cells: np.ndarray
    family: int


@dataclass(frozen=True)
class Sheet:
    """A shared part with its cells, and the questions about it.

    Parameters
    ----------
    shared : list of int
    cells : ndarray of shape (number of image tokens, C), float32
    questions : sequence of Question
    line, named : list of int
        Of each shared token: the tenth of the scale of the line it stands in, and the family it names;
        -1 where there is none. Hints while reading is learned.
    """

    shared: list[int]
    cells: np.ndarray
    questions: Sequence[Question]
    line: Sequence[int] = ()
    named: Sequence[int] = ()


@dataclass(frozen=True)
class Answers:
    """The answer tokens of all questions of a batch, and the middle states that hints are given to.

    Parameters
    ----------
    losses : Tensor of shape (n,)
    logits : Tensor of shape (n, vocabulary)
    place : Tensor of shape (n,)
        Number of the token within its answer.
    read : Tensor of shape (tokens, width)
        States of all shared tokens, sheet by sheet.
    asked : Tensor of shape (questions, width)
        State of the last token of each question.
    """

    losses: torch.Tensor
    logits: torch.Tensor
    place: torch.Tensor
    read: torch.Tensor
    asked: torch.Tensor


class Wording:
    """Conversations as token ids."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        marks = (SYSTEM, USER, ASSISTANT, IMAGE, END)
        self.system, self.user, self.assistant, self.image, self.end = (token_id(tokenizer, mark) for mark in marks)

    @property
    def cue(self) -> int:
        """Number of the answer token that begins the score."""
        return len(self.text(f"{SCORE_CUE}5")) - 1

    def text(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def shared(self, talk: Conversation, cells: int) -> list[int]:
        """System line and what is the same for all images, ``cells`` image tokens a picture."""
        ids = [self.system, *self.text(talk.system), self.user]
        return ids + self._pieces(talk.shared, itertools.repeat(cells))

    def hints(self, talk: Conversation, judged: Judged, length: int) -> tuple[list[int], list[int]]:
        """Line and named family of each token of :meth:`shared`, see :class:`Sheet`."""
        first = talk.shared[0].text + talk.shared[1].text
        lines, named = marks_of(first, judged)
        offsets = self.tokenizer(first, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        before = len(self.text(talk.system)) + 2
        found = []
        for marks in (lines, named):
            own = [int(marks[min(end, len(marks)) - 1]) for _, end in offsets]
            found.append(([-1] * before + own + [-1] * length)[:length])
        return found[0], found[1]

    def own(self, talk: Conversation, *cells: int) -> list[int]:
        """What an image adds; ``cells`` of each of its pictures."""
        return [*self._pieces(talk.own, iter(cells)), self.assistant]

    def answer(self, text: str) -> list[int]:
        return [*self.text(text), self.end]

    def _pieces(self, pieces: Sequence[Piece], cells: Iterator[int]) -> list[int]:
        """The text between two pictures is tokenised in one piece, as it is in the whole prompt."""
        ids: list[int] = []
        run = ""
        for piece in pieces:
            if piece.kind == "text":
                run += piece.text
            else:
                ids += [*self.text(run), *[self.image] * next(cells)]
                run = ""
        return ids + self.text(run)


class Packed(nn.Module):
    """The loss of a batch of sheets: the shared parts first, then all questions on top of their keys and values."""

    def __init__(self, model: FastVlmForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        self.image = int(model.config.image_token_id)

    def forward(self, sheets: Sequence[Sheet]) -> Answers:
        """The answer tokens of all questions. Every sheet has equally many."""
        each = len(sheets[0].questions)
        questions = [question for sheet in sheets for question in sheet.questions]
        shared, known = _padded([sheet.shared for sheet in sheets], left=True)
        own, seen = _padded([q.own + q.answer for q in questions], left=False)
        labels, place = np.full(own.shape, -1), np.full(own.shape, -1)
        for row, q in enumerate(questions):
            first = len(q.own) - 1
            labels[row, first : first + len(q.answer)] = q.answer
            place[row, first : first + len(q.answer)] = np.arange(len(q.answer))
        lengths = np.repeat(known.sum(1), each)[:, None]
        chosen = torch.from_numpy(labels >= 0)
        with torch.autocast("cpu", torch.bfloat16):
            cache = DynamicCache()
            read, _ = self._run(shared, [s.cells for s in sheets], known, np.maximum(known.cumsum(1) - 1, 0), cache)
            cache.batch_repeat_interleave(each)
            mask = np.concatenate([np.repeat(known, each, 0), seen], 1)
            asked, hidden = self._run(own, [q.cells for q in questions], mask, lengths + np.arange(own.shape[1]), cache)
            logits = self.model.lm_head(hidden[chosen]).float()
        losses = F.cross_entropy(logits, torch.from_numpy(labels)[chosen], reduction="none")
        last = torch.tensor([len(q.own) - 1 for q in questions])
        return Answers(
            losses,
            logits,
            torch.from_numpy(place)[chosen],
            read[torch.from_numpy(known)].float(),
            asked[torch.arange(len(questions)), last].float(),
        )

    def _run(
        self, ids: np.ndarray, cells: Sequence[np.ndarray], mask: np.ndarray, positions: np.ndarray, cache: DynamicCache
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Middle and last states of all tokens; their keys and values go into ``cache``."""
        tokens = torch.from_numpy(ids)
        features = torch.from_numpy(np.concatenate(cells).astype(np.float32))
        projected = self.model.model.multi_modal_projector(features)
        embedded = self.model.get_input_embeddings()(tokens).to(projected.dtype)
        embedded = embedded.masked_scatter((tokens == self.image)[..., None], projected)
        found = self.model.model.language_model(
            inputs_embeds=embedded,
            attention_mask=torch.from_numpy(mask.astype(np.int64)),
            position_ids=torch.from_numpy(positions),
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
        )
        return found.hidden_states[MIDDLE], found.last_hidden_state


def marks_of(text: str, judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    """Of each character: the tenth of the scale of its line (0 for normal), and the family it names; else -1."""
    lines, named = np.full(len(text), -1), np.full(len(text), -1)
    abnormal = judged.rubric.bands[1:]
    for match in re.finditer(r"^(\d+)(?:-(\d+))?: .*$", text, re.MULTILINE):
        low, high = int(match[1]), int(match[2] or match[1])
        lines[match.start() : match.end()] = (low + high) // 20 + (high > 0)
        k = next((k for k, band in enumerate(abnormal) if band.low == low), None)
        if judged.bands is None or k is None:
            continue
        for family, places in judged.bands.items():
            at = text.lower().find(judged.called[family], match.start(), match.end()) if k in places else -1
            if at >= 0:
                named[at : at + len(judged.called[family])] = FAMILIES.index(family)
    return lines, named


def _padded(rows: Sequence[list[int]], *, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """Token ids side by side, and where they are (True)."""
    longest = max(map(len, rows))
    ids, there = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), bool)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), None) if left else slice(0, len(row))
        ids[number, place], there[number, place] = row, True
    return ids, there
