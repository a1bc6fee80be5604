"""Ask a loaded multimodal model: the common part of the prompt is computed once, then each image's own part.

What a model computes for the beginning of a prompt (keys and values of every layer) does not depend on what
follows. So the part that all images of a subset share is computed once and taken up again for every image,
and from the end of an image's prompt several continuations are read: the tree of all scores, the answer that
the model would write, and the reason behind the chosen score.

Families differ in how positions are counted. Those with one position a token need nothing; those with
rotary positions in three dimensions (M-RoPE, the Qwen family) get them explicitly. In some the tokens of an image
see each other in both directions, so the kinds of all tokens so far are handed over. Before the first question two
different pictures are asked about, each by its whole prompt alone and then the way that will be used: whatever does
not agree is not used, and why is kept.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from PIL import Image

from mad_core.errors import InputError
from mad_core.scorers.multimodal import caches
from mad_core.scorers.multimodal.loading import LoadedModel
from mad_core.scorers.multimodal.prompts import REASON_CUE, SCORE_CUE, Conversation
from mad_core.scorers.multimodal.readout import SCORES, ScoreTrie, expected_score
from mad_core.scorers.multimodal.showing import Question
from mad_core.scorers.multimodal.templating import Template
from mad_core.scorers.out_of_memory import is_out_of_memory

_ROWS_AT_ONCE = 64
"""Rows of a pass in which every beginning of a score is a row of its own."""
_TYPES = ("mm_token_type_ids", "token_type_ids")
"""What families call the kinds of tokens: text, image, video."""
LINE_TOKENS = 12
"""Tokens of a written score at most; a model that has not ended its line by then writes something else."""


@dataclass(frozen=True)
class State:
    """Where a batch of prompts stands.

    Parameters
    ----------
    cache : Cache
        Keys and values so far, ``rows`` rows.
    next : Tensor of shape (rows,), int64
        Position of the token that comes next.
    logits : Tensor of shape (rows, vocabulary)
        Of the token that comes next.
    mask : Tensor of shape (rows, length), int64, or None
        1 for tokens, 0 for what only fills shorter prompts up; None where nothing does.
    """

    cache: Any
    next: torch.Tensor
    logits: torch.Tensor
    mask: torch.Tensor | None = None

    @property
    def length(self) -> int:
        """Tokens so far."""
        return int(self.cache.get_seq_length())

    @property
    def rows(self) -> int:
        return len(self.next)


@dataclass(frozen=True)
class Prefix:
    """The part of a prompt that is computed once: its text, tokens, media and cache."""

    text: str
    images: int
    inputs: Mapping[str, torch.Tensor]
    cache: Any

    @property
    def tokens(self) -> int:
        return self.inputs["input_ids"].shape[1]


@dataclass(frozen=True)
class Cues:
    """Token ids around a forced score.

    Parameters
    ----------
    score : tuple of int
        What stands before every score.
    completions : tuple of 101 tuples of int
        Each score with its terminator, the last token.
    reason : tuple of int
        What stands between the terminator and the reason.
    """

    score: tuple[int, ...]
    completions: tuple[tuple[int, ...], ...]
    reason: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any) -> Cues:
        """Tokenise the answers with each score and part what they share from what differs."""
        texts = [f"{SCORE_CUE}{score}\n{REASON_CUE.rstrip()}" for score in range(SCORES)]
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        head = common_tokens(ids)
        rest = [row[head:] for row in ids]
        tail = common_tokens([row[::-1] for row in rest])
        if not tail:
            raise InputError("This model's tokeniser does not end a score at the line's end, so it cannot be read.")
        ends = [row[: len(row) - tail + 1] for row in rest]
        return cls(tuple(ids[0][:head]), tuple(map(tuple, ends)), tuple(rest[0][len(rest[0]) - tail + 1 :]))


def common_tokens(rows: Sequence[Sequence[int]]) -> int:
    """How many first elements all rows share."""
    shortest = min(map(len, rows))
    return next((k for k in range(shortest) if len({row[k] for row in rows}) > 1), shortest)


@dataclass(frozen=True)
class Strategy:
    """How prompts are computed.

    Parameters
    ----------
    reuse : bool
        Whether the common part is computed once.
    together : bool
        Whether questions are rows of one batch.
    tree : bool
        Whether all beginnings of scores are read in one pass.
    """

    reuse: bool
    together: bool
    tree: bool

    def __str__(self) -> str:
        parts = ("shared part once" if self.reuse else "whole prompts", "in batches" if self.together else "one by one")
        return ", ".join((*parts, "scores in one pass" if self.tree else "scores pass by pass"))


SUREST = Strategy(False, False, False)
_WAYS = tuple(Strategy(*flags) for flags in product((True, False), repeat=3))
"""From the fastest to the surest."""
MOST_POINTS, MOST_DIVERGENCE = 0.5, 0.01
"""How far two ways may be apart: their expected scores, and the Kullback-Leibler divergence of all scores."""
_SEEN = 1e-3
"""Mean distance of log-probabilities from which on two pictures differ for a model."""
MODEL_ERRORS = (
    RuntimeError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    AssertionError,
)
"""What a model or its processor raises at what it cannot take."""


@dataclass(frozen=True)
class Prompt:
    """A question's common part, None where there is none, and the text and images that follow it."""

    prefix: Prefix | None
    text: str
    images: tuple[np.ndarray, ...]

    @property
    def looks(self) -> Any:
        """Prompts that look the same have as many tokens."""
        return self.prefix and self.prefix.text, self.text, *(image.shape for image in self.images)


@dataclass(frozen=True)
class Batch:
    """Questions that are computed in one pass: their rows, common part, and what the processor made of them."""

    rows: tuple[int, ...]
    prefix: Prefix | None
    inputs: Mapping[str, torch.Tensor]


@dataclass
class Effort:
    """What a model was given to compute: passes, tokens in all rows, and bytes of caches that were copied."""

    passes: int = 0
    tokens: int = 0
    copies: caches.Copies = field(default_factory=caches.Copies)

    def to_json(self) -> dict[str, int]:
        return {"passes": self.passes, "tokens": self.tokens, "copied_bytes": self.copies.bytes}


@dataclass(frozen=True)
class Text:
    """What was written by the model itself: the text, how many tokens, and whether it ended by itself."""

    text: str
    tokens: int
    finish: str


class Asker:
    """Asks one model the questions of one subset.

    Parameters
    ----------
    loaded : Loaded
    check : callable()
        Called in every long loop; raises where a person asked to stop.

    Attributes
    ----------
    way : Strategy or None
        How prompts are computed; decided by the first question.
    refused : list of str
        Faster ways that were tried and why they are not used.
    mixed : bool or None
        Whether prompts of several lengths are rows of one batch; decided by the first ones.
    effort : Effort
        What was computed so far.
    row_bytes, row_tokens : int
        What the keys and values of one question took at most, and how long it was.
    """

    def __init__(self, loaded: LoadedModel, check: Callable[[], None] = lambda: None) -> None:
        self.loaded, self.check = loaded, check
        self.model, self.processor = loaded.model, loaded.processor
        self.tokenizer = getattr(loaded.processor, "tokenizer", loaded.processor)
        self.cues = Cues.of(self.tokenizer)
        self.trie = ScoreTrie([completion[:-1] for completion in self.cues.completions])
        self.digits = digit_tokens(self.tokenizer)
        self.way: Strategy | None = None
        self.refused: list[str] = []
        self.mixed: bool | None = None
        self.effort = Effort()
        self.row_bytes = self.row_tokens = 0
        self.template = Template(self.processor, self.tokenizer)
        self.prefixes: dict[str, Prefix | None] = {}
        self._splits: dict[Conversation, tuple[str, int]] = {}
        self.ends = _end_tokens(self.model, self.tokenizer)
        self._takes = inspect.signature(self.model.forward).parameters
        core: Any = getattr(self.model, "model", None)
        self._rope = core if hasattr(core, "get_rope_index") else None
        taken = inspect.signature(core.get_rope_index).parameters if self._rope is not None else ()
        self._rope_takes = {*taken} - {"input_ids", "attention_mask", "mm_token_type_ids"}

    # -- prompts --------------------------------------------------------------------------------

    def render(self, conversation: Conversation) -> str:
        """The prompt as text, with one placeholder an image; see :meth:`Template.render`."""
        return self.template.render(conversation)

    def _inputs(self, text: str, rows: Sequence[Sequence[np.ndarray]], *, first: bool) -> dict[str, torch.Tensor]:
        """What the processor makes of a text with each row's images, in one call, for indices hold within one call.

        ``first``: the text begins the prompt. ``attention_mask`` is there only where shorter rows were filled up.
        """
        bos = self.tokenizer.bos_token
        special = first and not (bos and text.startswith(bos))
        pictures = [[Image.fromarray(np.ascontiguousarray(image)) for image in images] for images in rows]
        made = self.processor(
            text=[text] * len(rows),
            images=pictures if any(pictures) else None,
            return_tensors="pt",
            add_special_tokens=special,
            **({"padding": True, "padding_side": "left"} if self.mixed and len(rows) > 1 else {}),
        )
        made = {k: v for k, v in made.items() if isinstance(v, torch.Tensor)}
        if bool(made.get("attention_mask", torch.ones(1)).all()):
            made.pop("attention_mask", None)
        return {k: v.to(self.loaded.device) for k, v in made.items()}

    def _split(self, talk: Conversation) -> tuple[str, int]:
        """The prompt's text and how much of it is the same for every image, cut where tokens surely part."""
        if talk not in self._splits:
            self._splits[talk] = self._cut(talk)
        return self._splits[talk]

    def _cut(self, talk: Conversation) -> tuple[str, int]:
        text = self.render(talk)
        alone = self.template.again(replace(talk, own=()))
        longest = next(
            (k for k, (a, b) in enumerate(zip(text, alone, strict=False)) if a != b), min(len(text), len(alone))
        )
        marks = sorted(self.tokenizer.get_added_vocab(), key=len)
        ends = [text.rfind(mark, 0, longest) + len(mark) for mark in marks if mark and mark in text[:longest]]
        return text, max([text.rfind("\n", 0, longest) + 1, *ends])

    def _image_count(self, text: str) -> int:
        """Placeholders of images in a rendered text."""
        return text.count(self.template.mark) if self.template.mark else 0

    # -- the model ------------------------------------------------------------------------------

    @torch.inference_mode()
    def _forward(
        self, inputs: Mapping[str, torch.Tensor], cache: Any, positions: torch.Tensor | None, keep: int, **more: Any
    ) -> tuple[Any, torch.Tensor]:
        """One pass; the cache afterwards and the logits of the last ``keep`` tokens, (rows, keep, vocabulary)."""
        options: dict[str, Any] = {**inputs, "past_key_values": cache, "use_cache": True, **more}
        if positions is not None:
            options["position_ids"] = positions
        if "logits_to_keep" in self._takes:
            options["logits_to_keep"] = keep
        self.effort.passes += 1
        self.effort.tokens += inputs["input_ids"].numel()
        out = self.model(**options)
        return out.past_key_values, out.logits[:, -keep:]

    def step(self, state: State, ids: torch.Tensor) -> State:
        """Append tokens, (rows, n), to every row."""
        offsets = torch.arange(ids.shape[1], device=ids.device)
        positions = self._positions(state, state.next[:, None] + offsets, state.length + offsets)
        mask = _longer(state.mask, ids.shape[1])
        cache, logits = self._forward(self._texts(ids), state.cache, positions, 1, **_masked(mask))
        return State(cache, state.next + ids.shape[1], logits[:, -1], mask)

    def _positions(self, state: State, places: torch.Tensor, order: torch.Tensor) -> torch.Tensor | None:
        """Positions of text tokens in the form this family takes: (rows, n), or (4, rows, n) with M-RoPE."""
        if self._rope is None:
            return places
        return torch.cat([order.expand(places.shape)[None], places[None].expand(3, -1, -1)])

    def _texts(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"input_ids": ids}

    @contextmanager
    def branch(self, state: State) -> Iterator[State]:
        """A state to go on from; afterwards the one that was given stands where it stood."""
        if caches.croppable(state.cache):
            before = state.length
            try:
                yield state
            finally:
                added = state.length - before
                if added:
                    state.cache.crop(-added)
        else:
            yield replace(state, cache=caches.shared(state.cache, self.effort.copies))

    # -- beginning ------------------------------------------------------------------------------

    def begin(self, questions: Sequence[Question], forced: Sequence[int] = ()) -> list[tuple[list[int], State]]:
        """Bring questions to the place where the answer begins, ``forced`` tokens already written.

        Returns
        -------
        list of (indices, State)
            Questions that were computed together stand in one state, a row each.

        Raises
        ------
        InputError
            If the model cannot be asked at all.
        """
        return self.start(self.prepare(questions), forced)

    def ready(self, questions: Sequence[Question]) -> bool:
        """Whether preparing these questions computes nothing: how to, and their common part, are known."""
        if self.way is None:
            return False
        texts = [self._split(question.conversation) for question in questions]
        prepared = not self.way.reuse or all(text[:cut] in self.prefixes for text, cut in texts)
        return prepared and (
            self.mixed is not None or len({tuple(image.shape for image in q.own) for q in questions}) == 1
        )

    def prepare(self, questions: Sequence[Question]) -> list[Batch]:
        """What the processor makes of questions; see :meth:`ready` before it is done in another thread.

        Raises
        ------
        InputError
            If the model cannot be asked at all.
        """
        if self.way is None:
            self.way = self._decide(questions[0])
        batches = self._prepared(self.way, questions)
        if self.mixed is None and len(batches) > 1 and self.way.together and self.way.tree:
            self._decide_mixed(self.way, [questions[batch.rows[0]] for batch in batches[:2]])
            batches = self._prepared(self.way, questions) if self.mixed else batches
        return batches

    def start(self, batches: Sequence[Batch], forced: Sequence[int] = ()) -> list[tuple[list[int], State]]:
        """Compute prepared questions, as :meth:`begin` does."""
        return [(list(batch.rows), self._prefill(batch.prefix, batch.inputs, forced)) for batch in batches]

    def _begin(
        self, way: Strategy, questions: Sequence[Question], forced: Sequence[int]
    ) -> list[tuple[list[int], State]]:
        return self.start(self._prepared(way, questions), forced)

    def _prepared(self, way: Strategy, questions: Sequence[Question]) -> list[Batch]:
        prompts = [self._prompt(way, question) for question in questions]
        batches = self._batches(prompts) if way.together else self._each(prompts, range(len(prompts)))
        return [Batch(tuple(rows), prompts[rows[0]].prefix, inputs) for rows, inputs in batches]

    def _prompt(self, way: Strategy, question: Question) -> Prompt:
        text, cut = self._split(question.conversation)
        images = (*question.shared, *question.own)
        prefix = self._prefix(text[:cut], images) if way.reuse else None
        if prefix is None:
            return Prompt(None, text, images)
        return Prompt(prefix, text[cut:], images[prefix.images :])

    def _each(
        self, prompts: Sequence[Prompt], rows: Iterable[int]
    ) -> Iterator[tuple[list[int], dict[str, torch.Tensor]]]:
        """Every prompt as a batch of its own."""
        for row in rows:
            prompt = prompts[row]
            yield [row], self._inputs(prompt.text, [prompt.images], first=prompt.prefix is None)

    def _batches(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[int], dict[str, torch.Tensor]]]:
        """Prompts of as many tokens, or of any number where they are filled up, by one call of the processor each."""
        alike: dict[Any, list[int]] = {}
        for row, prompt in enumerate(prompts):
            alike.setdefault(prompt.looks, []).append(row)
        groups: dict[Any, list[int]] = {}
        for looks, rows in alike.items():
            key = looks if len(alike) == 1 else self._shape(prompts[rows[0]])
            groups.setdefault(key, []).extend(rows)
        for rows in groups.values():
            rows.sort()
            first = prompts[rows[0]]
            try:
                yield rows, self._inputs(first.text, [prompts[row].images for row in rows], first=first.prefix is None)
            except ValueError:  # some processors take no rows of different images
                yield from self._each(prompts, rows)

    def _shape(self, prompt: Prompt) -> Any:
        """What prompts of one batch have in common: common part, own text, and the shapes of what they become."""
        if self.mixed:
            return prompt.prefix and prompt.prefix.text, prompt.text
        inputs = self._inputs(prompt.text, [prompt.images], first=prompt.prefix is None)
        shapes = sorted((name, value.shape) for name, value in inputs.items())
        return prompt.prefix and prompt.prefix.text, prompt.text, *shapes

    def _prefix(self, text: str, images: Sequence[np.ndarray]) -> Prefix | None:
        if text not in self.prefixes:
            count = self._image_count(text)
            self.prefixes[text] = self._encode(text, images[:count]) if text else None
        return self.prefixes[text]

    def _encode(self, text: str, images: Sequence[np.ndarray]) -> Prefix:
        inputs = self._inputs(text, [images], first=True)
        cache, _ = self._forward(inputs, None, self._media_positions(inputs, 0)[0], 1)
        return Prefix(text, len(images), inputs, cache)

    def _prefill(self, prefix: Prefix | None, parts: Mapping[str, torch.Tensor], forced: Sequence[int]) -> State:
        """Run the own parts of prompts behind their common part; shorter ones are filled up before they begin."""
        inputs = _with_text(parts, forced)
        filled = inputs.pop("attention_mask", None)
        whole = _joined(prefix.inputs, inputs) if prefix else inputs
        start = prefix.tokens if prefix else 0
        mask = None if filled is None else torch.cat([filled.new_ones(len(filled), start), filled], dim=1)
        positions, following = self._media_positions(whole, start, mask)
        rows = inputs["input_ids"].new_zeros(len(following))
        cache = caches.taken(prefix.cache, rows, self.effort.copies) if prefix else None
        if self._rope is None:  # tokens of an image may see each other, by their place in the whole
            inputs |= {name: whole[name] for name in _TYPES if name in inputs}
        cache, logits = self._forward(inputs, cache, positions, 1, **_masked(mask))
        cache = cache if prefix else caches.shared(cache, self.effort.copies)
        self.row_bytes = max(self.row_bytes, caches.row_bytes(cache))
        self.row_tokens = max(self.row_tokens, int(cache.get_seq_length()))
        return State(cache, following, logits[:, -1], mask)

    def _media_positions(
        self, whole: Mapping[str, torch.Tensor], start: int, mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Positions from token ``start`` on, or None where the model counts them itself; and each row's next one."""
        ids = whole["input_ids"]
        if self._rope is None:
            if mask is None:
                return None, torch.full((len(ids),), ids.shape[1], device=ids.device)
            places = (mask.cumsum(1) - 1).clamp(min=0)
            return places[:, start:], places[:, -1] + 1
        grids = {k: v for k, v in whole.items() if k.endswith("grid_thw") or k in self._rope_takes}
        types = whole.get("mm_token_type_ids", torch.zeros_like(ids))
        places, _ = self._rope.get_rope_index(ids, mm_token_type_ids=types, attention_mask=mask, **grids)
        places = places.to(ids.device)
        order = torch.arange(ids.shape[1], device=ids.device).expand(1, len(ids), -1)
        return torch.cat([order, places])[..., start:], places.amax((0, 2)) + 1

    # -- the way --------------------------------------------------------------------------------

    def _decide(self, question: Question) -> Strategy:
        """The fastest way that gives two different pictures the scores that each has alone by its whole prompt."""
        pair = (question, _another(question))
        try:
            right = [self._read(SUREST, [one])[0] for one in pair]
        except MODEL_ERRORS as error:
            if is_out_of_memory(error):
                raise
            raise InputError(f"The model cannot be asked about images: {_first_line(error)}.") from error
        for way in _WAYS:
            why = None if way == SUREST else self._why_not(way, pair, right)
            if why is None:
                self.prefixes = self.prefixes if way.reuse else {}
                return way
            self.refused.append(f"{way}: {why}")
        return SUREST

    def _decide_mixed(self, way: Strategy, pair: Sequence[Question]) -> None:
        """Whether two questions of different lengths get in one batch the scores that each has alone."""
        right = [self._read(way, [one])[0] for one in pair]
        self.mixed = True
        why = self._why_not(way, pair, right)
        if why is not None:
            self.mixed = False
            self.refused.append(f"pictures of several sizes in one batch: {why}")

    def _why_not(self, way: Strategy, questions: Sequence[Question], right: Sequence[np.ndarray]) -> str | None:
        """Why a way cannot be used for these questions, whose scores are known; None if it can."""
        try:
            self._check_tokens(way, questions[0])
            answers = self._read(way, questions)
        except MODEL_ERRORS as error:
            if is_out_of_memory(error):
                raise
            return _first_line(error)
        differences = map(_difference, answers, right, reversed(right))
        return next((difference for difference in differences if difference), None)

    def _check_tokens(self, way: Strategy, question: Question) -> None:
        prompt = self._prompt(way, question)
        if not way.reuse:
            return
        if prompt.prefix is None:
            raise ValueError("images share no part of their prompts")
        whole = self._prompt(SUREST, question)
        ids = self._inputs(whole.text, [whole.images], first=True)["input_ids"]
        own = self._inputs(prompt.text, [prompt.images], first=False)["input_ids"]
        if not torch.equal(torch.cat([prompt.prefix.inputs["input_ids"], own], dim=1), ids):
            raise ValueError("the tokens of the two parts are not those of the whole prompt")

    def _read(self, way: Strategy, questions: Sequence[Question]) -> list[np.ndarray]:
        """Log-probabilities of the scores of each question, (101,)."""
        by_row: dict[int, np.ndarray] = {}
        for rows, state in self._begin(way, questions, self.cues.score):
            by_row |= dict(zip(rows, self._score(way, state), strict=True))
        return [by_row[row] for row in range(len(questions))]

    # -- reading --------------------------------------------------------------------------------

    def score_log_probabilities(self, state: State) -> np.ndarray:
        """Log-probability of each score behind the cue: (rows, 101), float64. The state is left as it was."""
        return self._score(self.way or SUREST, state)

    def score_behind_cue(self, state: State) -> np.ndarray:
        """As :meth:`score_log_probabilities`, the cue written first; the state is left as it was."""
        cue = torch.tensor([self.cues.score] * state.rows, device=state.logits.device)
        with self.branch(state) as apart:
            return self.score_log_probabilities(self.step(apart, cue))

    def _score(self, way: Strategy, state: State) -> np.ndarray:
        if not way.tree:
            return self._by_rows(state)
        if not caches.croppable(state.cache):
            raise ValueError("what the model has seen cannot be shortened, so scores cannot branch in one pass")
        with self.branch(state) as apart:
            return self._by_tree(apart)

    def _by_tree(self, state: State) -> np.ndarray:
        """All beginnings of all scores in one pass, each seeing the prompt and what leads to it alone."""
        device, trie = state.logits.device, self.trie
        depths = torch.as_tensor(trie.depths, device=device)
        places = state.next[:, None] + depths - 1
        positions = self._positions(state, places, state.length + depths - 1)
        dtype = self.model.get_input_embeddings().weight.dtype
        count = len(trie.tokens)
        if not count:
            return np.stack([self._scores(root, root[:0]) for root in state.logits[:, None]])
        mask = torch.zeros(state.rows, 1, count, state.length + count, dtype=dtype, device=device)
        blind = ~torch.as_tensor(trie.ancestry(), device=device)
        mask[..., state.length :].masked_fill_(blind, torch.finfo(dtype).min)
        if state.mask is not None:
            mask[..., : state.length].masked_fill_(state.mask[:, None, None] == 0, torch.finfo(dtype).min)
        ids = torch.as_tensor(trie.tokens, device=device).expand(state.rows, -1)
        first = state.logits
        _, logits = self._forward(self._texts(ids), state.cache, positions, count, attention_mask=mask)
        return np.stack([self._scores(first[row], logits[row]) for row in range(state.rows)])

    def _by_rows(self, state: State) -> np.ndarray:
        """The same, every way to write a number as a row: for models whose state cannot branch within a pass."""
        paths = self.trie.paths
        leaves = [path for path in paths if not any(path == longer[: len(path)] != longer for longer in paths)]
        if not leaves:
            return np.stack([self._scores(root, root[:0]) for root in state.logits[:, None]])
        width, device = max(map(len, leaves)), state.logits.device
        ids = torch.tensor([[*leaf, *leaf[-1:] * (width - len(leaf))] for leaf in leaves], device=device)
        owners = [next(k for k, leaf in enumerate(leaves) if leaf[: len(path)] == path) for path in paths]
        depths = [len(path) - 1 for path in paths]
        scores, some = [], max(1, _ROWS_AT_ONCE // len(leaves))
        for begin in range(0, state.rows, some):
            self.check()
            rows = torch.arange(begin, min(begin + some, state.rows), device=device)
            logits = self._logits_of(self._taken(state, rows.repeat_interleave(len(leaves))), ids.repeat(len(rows), 1))
            logits = logits.reshape(len(rows), len(leaves), width, -1)[:, owners, depths]
            scores += [self._scores(state.logits[row], own) for row, own in zip(rows.tolist(), logits, strict=True)]
        return np.stack(scores)

    def _logits_of(self, state: State, ids: torch.Tensor) -> torch.Tensor:
        """Logits behind each of the tokens that are appended: (rows, n, vocabulary). The state is used up."""
        offsets = torch.arange(ids.shape[1], device=ids.device)
        positions = self._positions(state, state.next[:, None] + offsets, state.length + offsets)
        mask = _longer(state.mask, ids.shape[1])
        return self._forward(self._texts(ids), state.cache, positions, ids.shape[1], **_masked(mask))[1]

    def _taken(self, state: State, rows: torch.Tensor) -> State:
        """Rows of a state, in a cache of their own."""
        mask = None if state.mask is None else state.mask[rows]
        return State(caches.taken(state.cache, rows, self.effort.copies), state.next[rows], state.logits[rows], mask)

    def some(self, state: State, rows: Sequence[int]) -> State:
        """Some rows of a state, in a cache of their own."""
        return self._taken(state, torch.tensor(rows, device=state.logits.device))

    def _scores(self, root: torch.Tensor, nodes: torch.Tensor) -> np.ndarray:
        """Log-probabilities of the scores from the logits at the root, (v,), and at every node, (N, v)."""
        every = torch.cat([root.reshape(1, -1).float(), nodes.float()]).log_softmax(-1)
        further = every[1:, torch.as_tensor(self.digits, device=every.device)].exp().sum(-1)
        ends = torch.log1p(-further.double().clamp(0, 1 - 1e-12))
        wanted = every[self.trie.edge_nodes + 1, self.trie.edge_tokens].double()
        return self.trie.log_probabilities(wanted.cpu().numpy(), ends.cpu().numpy())

    # -- writing --------------------------------------------------------------------------------

    def written_lines(self, state: State) -> list[Text]:
        """What the model itself writes behind the cue, up to the line's end; the state is left as it was."""
        with self.branch(state) as apart:
            return self.write(apart, LINE_TOKENS, line=True)

    def reasons(self, state: State, scores: Sequence[int], most: int) -> list[Text]:
        """The reason behind each row's chosen score; the state is left as it was."""
        forced = [(*self.cues.completions[score], *self.cues.reason) for score in scores]
        alike = min(map(len, forced))
        ids = torch.tensor([row[:alike] for row in forced], device=state.logits.device)
        with self.branch(state) as apart:
            return self.write(self.step(apart, ids), most, line=True, forced=[row[alike:] for row in forced])

    def choose(self, questions: Sequence[Question], cue: str, words: Sequence[str]) -> np.ndarray:
        """Log-probability of each word behind a cue: (questions, words), float64."""
        head, rows = self._word_tokens(cue, words)
        probabilities = np.empty((len(questions), len(words)))
        for indices, state in self.begin(questions, head):
            for column, word in enumerate(rows):
                probabilities[indices, column] = self._probable(state, word)
        return probabilities

    def _word_tokens(self, cue: str, words: Sequence[str]) -> tuple[list[int], list[list[int]]]:
        """The tokens that all words begin with behind the cue, and those that each goes on with."""
        ids = [self.tokenizer(f"{cue}{word}", add_special_tokens=False)["input_ids"] for word in words]
        head = min(common_tokens(ids), min(map(len, ids)) - 1)
        return list(ids[0][:head]), [list(row[head:]) for row in ids]

    def _probable(self, state: State, word: Sequence[int]) -> np.ndarray:
        """Log-probability of a word behind a state: (rows,). The state is left as it was."""
        total = state.logits.double().log_softmax(-1)[:, word[0]]
        if len(word) > 1:
            ids = torch.tensor([word[:-1]] * state.rows, device=state.logits.device)
            with self.branch(state) as apart:
                logits = self._logits_of(apart, ids).double().log_softmax(-1)
            for place, token in enumerate(word[1:]):
                total = total + logits[:, place, token]
        return total.cpu().numpy()

    def say(self, questions: Sequence[Question], most: int, sample: int) -> list[str]:
        """What the model says to questions, a line each: the most probable words, or drawn ones from sample 1 on."""
        by_row: dict[int, str] = {}
        for rows, state in self.begin(questions):
            drawn = torch.Generator(device=state.logits.device).manual_seed(sample) if sample else None
            texts = self.write(state, most, line=True, drawn=drawn)
            by_row |= {row: text.text.strip() for row, text in zip(rows, texts, strict=True)}
        return [by_row[row] for row in range(len(questions))]

    def write(
        self,
        state: State,
        most: int,
        *,
        line: bool = False,
        forced: Sequence[Sequence[int]] = (),
        drawn: torch.Generator | None = None,
    ) -> list[Text]:
        """Greedy decoding, at most ``most`` tokens; with ``line`` up to the first line break behind a word.

        ``forced`` are tokens that each row begins with, which are none of its own. With ``drawn`` each token is drawn
        by its probability instead.
        """
        rows: list[list[int]] = [[] for _ in range(state.rows)]
        finish: list[str | None] = [None] * state.rows
        waiting = [deque(row) for row in forced] or [deque() for _ in rows]
        while True:
            self.check()
            chosen = _next_tokens(state.logits, drawn)
            for row, token in enumerate(chosen):
                if waiting[row]:
                    chosen[row] = waiting[row].popleft()
                elif finish[row] is None:
                    finish[row] = self._written(rows[row], token, most, line)
            if all(finish):
                break
            state = self.step(state, torch.tensor(chosen, device=state.logits.device)[:, None])
        texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        return [Text(t, len(r), str(f)) for t, r, f in zip(texts, rows, finish, strict=True)]

    def _written(self, row: list[int], token: int, most: int, line: bool) -> str | None:
        """Append a token to what a row has written; why it ended, None where it goes on."""
        if token in self.ends:
            return "stop"
        row.append(token)
        if line and self._line_ended(row):
            return "stop"
        return "length" if len(row) >= most else None

    def _line_ended(self, row: Sequence[int]) -> bool:
        return "\n" in self.tokenizer.decode(row[-1:]) and bool(self.tokenizer.decode(row).strip())


def _another(question: Question) -> Question:
    """The same question about other pictures of the same sizes: turned, and bright where they were dark."""
    return replace(question, own=tuple(255 - image[::-1, ::-1] for image in question.own))


def _difference(distribution: np.ndarray, right: np.ndarray, others: np.ndarray) -> str | None:
    """How a reading differs from the right one by more than rounding, or is another picture's; None if it is right."""
    a, b = expected_score(distribution), expected_score(right)
    apart = abs(a.mean - b.mean)
    if not apart < MOST_POINTS:
        return f"its expected score differs by {apart:.2g} points"
    p, q = b.distribution, a.distribution
    divergence = float((p[p > 0] * np.log(p[p > 0] / np.maximum(q[p > 0], 1e-300))).sum())
    if not divergence < MOST_DIVERGENCE:
        return f"its scores differ by a divergence of {divergence:.2g}"
    if 2 * _distance(distribution, right) > _distance(others, right) > _SEEN:
        return "its scores are hardly those of its own picture"
    return None


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance of log-probabilities, of what is not as good as impossible."""
    return float(np.abs(np.maximum(a, -50) - np.maximum(b, -50)).mean())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]


def digit_tokens(tokenizer: Any) -> list[int]:
    """Tokens that go on with a number: those that begin with a digit."""
    return sorted(index for token, index in tokenizer.get_vocab().items() if token[:1] in set("0123456789"))


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end an answer."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {int(i) for i in (*ids, tokenizer.eos_token_id) if i is not None}


def _with_text(parts: Mapping[str, torch.Tensor], ids: Sequence[int]) -> dict[str, torch.Tensor]:
    """Prompts with text tokens appended to every row."""
    tokens = parts["input_ids"]
    more = tokens.new_tensor(ids, dtype=torch.long).expand(len(tokens), -1)
    grown = {"input_ids": torch.cat([tokens, more], dim=1)}
    if "attention_mask" in parts:
        grown["attention_mask"] = torch.cat([parts["attention_mask"], torch.ones_like(more)], dim=1)
    for name in _TYPES:
        if name in parts:
            grown[name] = torch.cat([parts[name], torch.zeros_like(more, dtype=parts[name].dtype)], dim=1)
    return {**parts, **grown}


def _joined(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tokens, their kinds and grids of a common part and of every row behind it; pixels are left out."""
    rows = len(second["input_ids"])
    joined = {}
    for name in ("input_ids", *_TYPES):
        if name in second:
            before = first.get(name, torch.zeros_like(first["input_ids"]))
            joined[name] = torch.cat([before.expand(rows, -1), second[name]], dim=1)
    for name in {*first, *second}:
        if name.endswith("grid_thw"):
            parts = [
                part[name].reshape(n, -1, 3).expand(rows, -1, -1)
                for part, n in ((first, 1), (second, rows))
                if name in part
            ]
            joined[name] = torch.cat(parts, dim=1).reshape(-1, 3)
    return joined


def _next_tokens(logits: torch.Tensor, drawn: torch.Generator | None) -> list[int]:
    if drawn is None:
        return logits.argmax(-1).tolist()
    return torch.multinomial(logits.float().softmax(-1), 1, generator=drawn)[:, 0].tolist()


def _longer(mask: torch.Tensor | None, tokens: int) -> torch.Tensor | None:
    """A mask with further tokens behind it, which all rows see."""
    return None if mask is None else torch.cat([mask, mask.new_ones(len(mask), tokens)], dim=1)


def _masked(mask: torch.Tensor | None) -> dict[str, torch.Tensor]:
    return {} if mask is None else {"attention_mask": mask}
