"""Many questions about one rubric in one sequence: the shared part is encoded once, questions do not see each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import DynamicCache, FastVlmForConditionalGeneration, PreTrainedTokenizerFast

from mad_core.scorers.prompts import Conversation, Piece
from tools.mllm.tokens import ASSISTANT, END, IMAGE, SYSTEM, USER, token_id


@dataclass(frozen=True)
class Question:
    """What one image adds to the shared part, and the answer to learn.

    Parameters
    ----------
    own : list of int
        Token ids; the image token stands where a cell of the tower goes.
    answer : list of int
    cells : ndarray of shape (number of image tokens, C), float32
    """

    own: list[int]
    answer: list[int]
    cells: np.ndarray


@dataclass(frozen=True)
class Sheet:
    """A shared part with its cells, and the questions about it."""

    shared: list[int]
    cells: np.ndarray
    questions: Sequence[Question]


class Wording:
    """Conversations as token ids."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        marks = (SYSTEM, USER, ASSISTANT, IMAGE, END)
        self.system, self.user, self.assistant, self.image, self.end = (token_id(tokenizer, mark) for mark in marks)

    def text(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def shared(self, talk: Conversation, cells: int) -> list[int]:
        """System line and what is the same for all images, ``cells`` image tokens a picture."""
        ids = [self.system, *self.text(talk.system), self.user]
        return ids + self._pieces(talk.shared, iter(lambda: cells, None))

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

    def forward(self, sheets: Sequence[Sheet]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The answer tokens of all questions. Every sheet has equally many.

        Returns
        -------
        losses : Tensor of shape (n,)
        logits : Tensor of shape (n, vocabulary)
        place : Tensor of shape (n,)
            Number of the token within its answer.
        """
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
            self._run(shared, [s.cells for s in sheets], known, np.maximum(known.cumsum(1) - 1, 0), cache)
            cache.batch_repeat_interleave(each)
            mask = np.concatenate([np.repeat(known, each, 0), seen], 1)
            hidden = self._run(own, [q.cells for q in questions], mask, lengths + np.arange(own.shape[1]), cache)
            logits = self.model.lm_head(hidden[chosen]).float()
        losses = F.cross_entropy(logits, torch.from_numpy(labels)[chosen], reduction="none")
        return losses, logits, torch.from_numpy(place)[chosen]

    def _run(
        self, ids: np.ndarray, cells: Sequence[np.ndarray], mask: np.ndarray, positions: np.ndarray, cache: DynamicCache
    ) -> torch.Tensor:
        tokens = torch.from_numpy(ids)
        features = torch.from_numpy(np.concatenate(cells).astype(np.float32))
        projected = self.model.model.multi_modal_projector(features)
        embedded = self.model.get_input_embeddings()(tokens).to(projected.dtype)
        embedded = embedded.masked_scatter((tokens == self.image)[..., None], projected)
        return self.model.model.language_model(
            inputs_embeds=embedded,
            attention_mask=torch.from_numpy(mask.astype(np.int64)),
            position_ids=torch.from_numpy(positions),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state


def _padded(rows: Sequence[list[int]], *, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """Token ids side by side, and where they are (True)."""
    longest = max(map(len, rows))
    ids, there = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), bool)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), None) if left else slice(0, len(row))
        ids[number, place], there[number, place] = row, True
    return ids, there
