"""Many questions about one rubric in one sequence: the shared part is encoded once, questions do not see each other."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import DynamicCache, FastVlmForConditionalGeneration, PreTrainedTokenizerFast

from mad_core.scorers.multimodal.prompts import SCORE_CUE, Conversation, Piece
from tools.mllm.faults import FAMILIES
from tools.mllm.tokens import ASSISTANT, END, IMAGE, SYSTEM, USER, token_id
from tools.mllm.words import Judged, answer_of, where

MIDDLE = 2
"""Layers after which hints are given."""
JUDGING, COPYING = 2, 3
"""Layers whose first head is told where to look: for the line that a picture belongs to, and for the name to copy."""


@dataclass(frozen=True)
class Pointer:
    """Where the first head of a layer ought to look while it writes one answer token.

    Parameters
    ----------
    layer : int
    place : int
        Number of the answer token that is written.
    targets : list of int
        Numbers of the shared tokens, any of which is right.
    """

    layer: int
    place: int
    targets: list[int]


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
    pointers : sequence of Pointer
    """

    own: list[int]
    answer: list[int]
    cells: np.ndarray
    family: int
    pointers: Sequence[Pointer] = ()


@dataclass(frozen=True)
class Marks:
    """What stands where in the shared part, for the hints; -1 where there is none.

    Parameters
    ----------
    line : list of int
        Of each shared token: the tenth of the scale of the line it stands in, see :func:`tenth`.
    family : list of int
        The family it names.
    name : list of int
        The line whose band it names.
    """

    line: list[int]
    family: list[int]
    name: list[int]


@dataclass(frozen=True)
class Sheet:
    """A shared part with its cells, and the questions about it.

    Parameters
    ----------
    shared : list of int
    cells : ndarray of shape (number of image tokens, C), float32
    questions : sequence of Question
    marks : Marks
    """

    shared: list[int]
    cells: np.ndarray
    questions: Sequence[Question]
    marks: Marks


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
    looked : Tensor of shape (pointers,)
        Share of the attention that goes where each pointer points.
    """

    losses: torch.Tensor
    logits: torch.Tensor
    place: torch.Tensor
    read: torch.Tensor
    asked: torch.Tensor
    looked: torch.Tensor


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

    def marks(self, talk: Conversation, judged: Judged, length: int) -> Marks:
        """What each token of :meth:`shared` stands for."""
        first = talk.shared[0].text + talk.shared[1].text
        offsets = self.tokenizer(first, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        before = len(self.text(talk.system)) + 2
        rows = []
        for marks in marks_of(first, judged):
            own = [int(marks[min(end, len(marks)) - 1]) for _, end in offsets]
            rows.append(([-1] * before + own + [-1] * length)[:length])
        return Marks(*rows)

    def pointers(self, shared: list[int], marks: Marks, answer: list[int], score: int, judged: Judged) -> list[Pointer]:
        """Where to look while ``answer`` is written: the line of its score, then the name of that line's band."""
        band = judged.rubric.band_of(score)
        if band is None:
            return []
        mark = tenth(band.low, band.high)
        line = [k for k, marked in enumerate(marks.line) if marked == mark]
        marked = [Pointer(JUDGING, self.cue, line)] if line else []
        name = [k for k, marked in enumerate(marks.name) if marked == mark]
        ids = [shared[k] for k in name]
        for at in range(len(answer) - len(ids), self.cue, -1):
            if ids and answer[at : at + len(ids)] == ids:
                return marked + [Pointer(COPYING, at + k, [source]) for k, source in enumerate(name)]
        return marked

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


@dataclass(frozen=True)
class Shown:
    """A picture to ask about: the family it shows (the number of families for none), how much of it, and where.

    Parameters
    ----------
    family : int
    extent : float
    share : ndarray of shape (cells a side, cells a side)
    cells : ndarray of shape (image tokens of view and image, C), float32
    """

    family: int
    extent: float
    share: np.ndarray
    cells: np.ndarray


def write_sheet(
    wording: Wording,
    judged: Judged,
    talk: Conversation,
    cells: tuple[int, int, int],
    reference: np.ndarray,
    shown: Sequence[Shown],
    rng: np.random.Generator,
) -> Sheet:
    """A rubric with a reference, and the answers to some pictures; ``cells`` of the reference, a view and an image."""
    shared = wording.shared(talk, cells[0])
    marks = wording.marks(talk, judged, len(shared))
    own = wording.own(talk, *cells[1:])
    questions = []
    for picture in shown:
        family = FAMILIES[picture.family] if picture.family < len(FAMILIES) else None
        place = where(picture.share) if family else ""
        answer = wording.answer(answer_of(judged, family, picture.extent, place, rng))
        score = judged.score(family, picture.extent)
        pointers = wording.pointers(shared, marks, answer, score, judged)
        questions.append(Question(own, answer, picture.cells, picture.family, pointers))
    return Sheet(shared, reference, questions, marks)


class Packed(nn.Module):
    """The loss of a batch of sheets: the shared parts first, then all questions on top of their keys and values."""

    def __init__(self, model: FastVlmForConditionalGeneration) -> None:
        super().__init__()
        self.model = model
        model.model.language_model.config._attn_implementation = "eager"  # the only one that tells where it looked
        self.image = int(model.config.image_token_id)

    def forward(self, sheets: Sequence[Sheet]) -> Answers:
        """The answer tokens of all questions. Every sheet has equally many."""
        each = len(sheets[0].questions)
        questions = [question for sheet in sheets for question in sheet.questions]
        shared, filled = _padded([sheet.shared for sheet in sheets], left=True)
        own, seen = _padded([q.own + q.answer for q in questions], left=False)
        labels, place = np.full(own.shape, -1), np.full(own.shape, -1)
        for row, q in enumerate(questions):
            first = len(q.own) - 1
            labels[row, first : first + len(q.answer)] = q.answer
            place[row, first : first + len(q.answer)] = np.arange(len(q.answer))
        lengths = np.repeat(filled.sum(1), each)[:, None]
        chosen = torch.from_numpy(labels >= 0)
        with torch.autocast("cpu", torch.bfloat16):
            cache = DynamicCache()
            read, _, _ = self._run(
                shared, [s.cells for s in sheets], filled, np.maximum(filled.cumsum(1) - 1, 0), cache
            )
            cache.batch_repeat_interleave(each)
            mask = np.concatenate([np.repeat(filled, each, 0), seen], 1)
            positions = lengths + np.arange(own.shape[1])
            asked, hidden, attention = self._run(own, [q.cells for q in questions], mask, positions, cache)
            logits = self.model.lm_head(hidden[chosen]).float()
        losses = F.cross_entropy(logits, torch.from_numpy(labels)[chosen], reduction="none")
        last = torch.tensor([len(q.own) - 1 for q in questions])
        return Answers(
            losses,
            logits,
            torch.from_numpy(place)[chosen],
            read[torch.from_numpy(filled)].float(),
            asked[torch.arange(len(questions)), last].float(),
            _looked(attention, questions, [shared.shape[1] - len(s.shared) for s in sheets for _ in range(each)]),
        )

    def _run(
        self, ids: np.ndarray, cells: Sequence[np.ndarray], mask: np.ndarray, positions: np.ndarray, cache: DynamicCache
    ) -> tuple[torch.Tensor, torch.Tensor, Sequence[torch.Tensor]]:
        """Middle and last states of all tokens, and what each layer looked at; keys and values go into ``cache``."""
        tokens = torch.from_numpy(ids)
        features = torch.from_numpy(np.concatenate(cells).astype(np.float32))
        projected = self.model.model.multi_modal_projector(features)
        embedded = self.model.get_input_embeddings()(tokens).to(projected.dtype)
        embedded = embedded.masked_scatter((tokens == self.image)[..., None], projected)
        output = self.model.model.language_model(
            inputs_embeds=embedded,
            attention_mask=torch.from_numpy(mask.astype(np.int64)),
            position_ids=torch.from_numpy(positions),
            past_key_values=cache,
            use_cache=True,
            output_hidden_states=True,
            output_attentions=True,
        )
        return output.hidden_states[MIDDLE], output.last_hidden_state, output.attentions


def _looked(attention: Sequence[torch.Tensor], questions: Sequence[Question], padding: Sequence[int]) -> torch.Tensor:
    """What each layer's first head gives to where the pointers point; ``padding`` stands before each prompt."""
    parts = []
    for layer in (JUDGING, COPYING):
        rows, columns, right = [], [], []
        for row, (question, before) in enumerate(zip(questions, padding, strict=True)):
            for pointer in question.pointers:
                if pointer.layer == layer:
                    rows.append(row)
                    columns.append(len(question.own) - 1 + pointer.place)
                    mask = torch.zeros(attention[layer].shape[-1])
                    mask[[before + k for k in pointer.targets]] = 1
                    right.append(mask)
        if rows:
            parts.append((attention[layer][rows, 0, columns].float() * torch.stack(right)).sum(1))
    return torch.cat(parts) if parts else torch.zeros(0)


def tenth(low: int, high: int) -> int:
    """How a band's line is told from the others: the tenth of the scale of its middle; 0 for normal."""
    return (low + high) // 20 + (high > 0)


def marks_of(text: str, judged: Judged) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each character: its line, the family it names and the line whose band it names, as in :class:`Marks`."""
    lines, families, names = (np.full(len(text), -1) for _ in range(3))
    abnormal = judged.rubric.bands[1:]
    for match in re.finditer(r"^(\d+)(?:-(\d+))?:( [^.\n]*).*$", text, re.MULTILINE):
        low, high = int(match[1]), int(match[2] or match[1])
        lines[match.start() : match.end()] = names[match.start(3) : match.end(3)] = tenth(low, high)
        k = next((k for k, band in enumerate(abnormal) if band.low == low), None)
        if judged.bands is None or k is None:
            continue
        for family, places in judged.bands.items():
            at = text.lower().find(judged.called[family], match.start(), match.end()) if k in places else -1
            if at >= 0:
                families[at : at + len(judged.called[family])] = FAMILIES.index(family)
    return lines, families, names


def _padded(rows: Sequence[list[int]], *, left: bool) -> tuple[np.ndarray, np.ndarray]:
    """Token ids side by side, and where they are (True)."""
    longest = max(map(len, rows))
    ids, there = np.zeros((len(rows), longest), np.int64), np.zeros((len(rows), longest), bool)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), None) if left else slice(0, len(row))
        ids[number, place], there[number, place] = row, True
    return ids, there
