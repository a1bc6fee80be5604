"""Ask a loaded multimodal model: the common part of the prompt is computed once, then each image's own part.

What a model computes for the beginning of a prompt (keys and values of every layer) does not depend on what
follows. So the part that all images of a subset share is computed once and taken up again for every image,
and from the end of an image's prompt several continuations are read: the tree of all scores, the answer that
the model would write, and the reason behind the chosen score.

Families differ in how positions are counted. Those with one position a token need nothing; those with
rotary positions in three dimensions (M-RoPE, the Qwen family) get them explicitly. Every other family, and
whatever turns out not to agree with the plain way when it is first asked, is computed the plain way.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from mad_core.errors import InputError
from mad_core.scorers.multimodal.loading import LoadedModel
from mad_core.scorers.multimodal.prompts import REASON_CUE, SCORE_CUE, Conversation
from mad_core.scorers.multimodal.readout import SCORES, ScoreTrie
from mad_core.scorers.multimodal.showing import Question
from mad_core.scorers.out_of_memory import is_out_of_memory

_PATHS_AT_ONCE = 16
_LINE_TOKENS = 12
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
    """

    cache: Any
    next: torch.Tensor
    logits: torch.Tensor

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
        Each score with its terminator.
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
        head = _common(ids)
        rest = [row[head:] for row in ids]
        tail = _common([row[::-1] for row in rest])
        if not tail:
            raise InputError("This model's tokeniser does not end a score at the line's end, so it cannot be read.")
        ends = [row[: len(row) - tail + 1] for row in rest]
        return cls(tuple(ids[0][:head]), tuple(map(tuple, ends)), tuple(rest[0][len(rest[0]) - tail + 1 :]))


def _common(rows: Sequence[Sequence[int]]) -> int:
    """How many first elements all rows share."""
    shortest = min(map(len, rows))
    return next((k for k in range(shortest) if len({row[k] for row in rows}) > 1), shortest)


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
    way : {"reuse", "plain"}
        Whether the common part is computed once; decided by the first question.
    """

    def __init__(self, loaded: LoadedModel, check: Callable[[], None] = lambda: None) -> None:
        self.loaded, self.check = loaded, check
        self.model, self.processor = loaded.model, loaded.processor
        self.tokenizer = getattr(loaded.processor, "tokenizer", loaded.processor)
        self.cues = Cues.of(self.tokenizer)
        self.trie = ScoreTrie(self.cues.completions)
        self.way, self.tree = "reuse", True
        self.prefixes: dict[str, Prefix | None] = {}
        self._splits: dict[Conversation, tuple[str, int]] = {}
        self.ends = _end_tokens(self.model, self.tokenizer)
        self._takes = inspect.signature(self.model.forward).parameters
        core = getattr(self.model, "model", None)
        self._rope = core if hasattr(core, "get_rope_index") else None

    # -- prompts --------------------------------------------------------------------------------

    def render(self, conversation: Conversation) -> str:
        """The prompt as text, with one placeholder an image.

        Raises
        ------
        InputError
            If a text holds the model's own mark for an image.
        """
        mark = getattr(self.processor, "image_token", None)
        texts = [conversation.system, *(p.text for p in (*conversation.shared, *conversation.own))]
        if mark and any(str(mark) in text for text in texts):
            raise InputError(f"The rubric holds '{mark}', which this model takes for an image; word it otherwise.")
        try:
            return self._templated(conversation.messages())
        except Exception as error:
            if "system" not in str(error).lower():
                raise
            return self._templated(_without_system(conversation))  # some templates know no system line

    def _templated(self, messages: list[dict[str, Any]]) -> str:
        template = str(getattr(self.processor, "chat_template", "") or "")
        options = {"enable_thinking": False} if "enable_thinking" in template else {}
        return self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **options)

    def _inputs(self, text: str, images: Sequence[np.ndarray], *, first: bool) -> dict[str, torch.Tensor]:
        """What the processor makes of a text with its images; ``first``: it begins the prompt."""
        bos = self.tokenizer.bos_token
        special = first and not (bos and text.startswith(bos))
        pictures = [[Image.fromarray(np.ascontiguousarray(image)) for image in images]] if len(images) else None
        made = self.processor(text=[text], images=pictures, return_tensors="pt", add_special_tokens=special)
        made = {k: v for k, v in made.items() if isinstance(v, torch.Tensor) and k != "attention_mask"}
        return {k: v.to(self.loaded.device) for k, v in made.items()}

    def _split(self, talk: Conversation) -> tuple[str, int]:
        """The prompt's text and how much of it is the same for every image, cut where tokens surely part."""
        if talk not in self._splits:
            self._splits[talk] = self._cut(talk)
        return self._splits[talk]

    def _cut(self, talk: Conversation) -> tuple[str, int]:
        text = self.render(talk)
        alone = self.render(replace(talk, own=()))
        longest = next(
            (k for k, (a, b) in enumerate(zip(text, alone, strict=False)) if a != b), min(len(text), len(alone))
        )
        marks = sorted(self.tokenizer.get_added_vocab(), key=len)
        ends = [text.rfind(mark, 0, longest) + len(mark) for mark in marks if mark and mark in text[:longest]]
        return text, max([text.rfind("\n", 0, longest) + 1, *ends])

    def _image_count(self, text: str) -> int:
        """Placeholders of images in a rendered text."""
        mark = self._placeholder()
        return text.count(mark) if mark else 0

    def _placeholder(self) -> str | None:
        mark = getattr(self.processor, "image_token", None) or getattr(self.tokenizer, "image_token", None)
        return str(mark) if mark else None

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
        out = self.model(**options)
        return out.past_key_values, out.logits[:, -keep:]

    def step(self, state: State, ids: torch.Tensor) -> State:
        """Append tokens, (rows, n), to every row."""
        offsets = torch.arange(ids.shape[1], device=ids.device)
        positions = self._positions(state, state.next[:, None] + offsets, state.length + offsets)
        cache, logits = self._forward(self._texts(ids), state.cache, positions, 1)
        return State(cache, state.next + ids.shape[1], logits[:, -1])

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
        if _croppable(state.cache):
            before = state.length
            try:
                yield state
            finally:
                added = state.length - before
                if added:
                    state.cache.crop(-added)
        else:
            yield replace(state, cache=copy.deepcopy(state.cache))

    # -- beginning ------------------------------------------------------------------------------

    def begin(self, questions: Sequence[Question], forced: Sequence[int] = ()) -> list[tuple[list[int], State]]:
        """Bring questions to the place where the answer begins, ``forced`` tokens already written.

        Returns
        -------
        list of (indices, State)
            Questions whose prompts are equally long stand in one state, a row each.
        """
        if self.way == "reuse" and not self.prefixes:
            self._decide(questions[0])
        prompts = [self._prompt(question) for question in questions]
        groups: dict[Any, list[int]] = {}
        for index, (prefix, own) in enumerate(prompts):
            key = prefix and prefix.text, *sorted((name, value.shape[1:]) for name, value in own.items())
            counts = [len(value) for name, value in sorted(own.items()) if name.endswith("grid_thw")]
            groups.setdefault((key, *counts), []).append(index)
        return [
            (rows, self._prefill(prompts[rows[0]][0], [prompts[row][1] for row in rows], forced))
            for rows in groups.values()
        ]

    def _prompt(self, question: Question) -> tuple[Prefix | None, dict[str, torch.Tensor]]:
        """A question's common part and the inputs of its own part (of the whole, where there is no common one)."""
        text, cut = self._split(question.conversation)
        images = (*question.shared, *question.own)
        prefix = self._prefix(text[:cut], images) if self.way == "reuse" else None
        if prefix is None:
            return None, self._inputs(text, images, first=True)
        return prefix, self._inputs(text[cut:], images[prefix.images :], first=False)

    def _prefix(self, text: str, images: Sequence[np.ndarray]) -> Prefix | None:
        if text not in self.prefixes:
            count = self._image_count(text)
            self.prefixes[text] = self._encode(text, images[:count]) if text else None
        return self.prefixes[text]

    def _encode(self, text: str, images: Sequence[np.ndarray]) -> Prefix:
        inputs = self._inputs(text, images, first=True)
        cache, _ = self._forward(inputs, None, self._media_positions([inputs], 0)[0], 1)
        return Prefix(text, len(images), inputs, cache)

    def _prefill(
        self, prefix: Prefix | None, parts: Sequence[Mapping[str, torch.Tensor]], forced: Sequence[int]
    ) -> State:
        """Run the own parts of equally long prompts behind their common part."""
        rows = [_with_text(part, forced) for part in parts]
        wholes = [_joined(prefix.inputs, row) if prefix else row for row in rows]
        start = prefix.tokens if prefix else 0
        positions, following = self._media_positions(wholes, start)
        inputs = {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
        cache = _selected(prefix.cache, inputs["input_ids"].new_zeros(len(rows))) if prefix else None
        cache, logits = self._forward(inputs, cache, positions, 1)
        return State(cache, following, logits[:, -1])

    def _media_positions(
        self, wholes: Sequence[Mapping[str, torch.Tensor]], start: int
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Positions from token ``start`` on, or None where the model counts them itself; and the next position."""
        lengths = [whole["input_ids"].shape[1] for whole in wholes]
        device = wholes[0]["input_ids"].device
        if self._rope is None:
            return None, torch.tensor(lengths, device=device)
        every, following = [], []
        for whole, length in zip(wholes, lengths, strict=True):
            grids = {k: v for k, v in whole.items() if k.endswith("grid_thw")}
            types = whole.get("mm_token_type_ids", torch.zeros_like(whole["input_ids"]))
            places, _ = self._rope.get_rope_index(whole["input_ids"], mm_token_type_ids=types, **grids)
            order = torch.arange(length, device=device)[None, None]
            every.append(torch.cat([order, places.to(device)])[..., start:])
            following.append(int(places.max()) + 1)
        return torch.cat(every, dim=1), torch.tensor(following, device=device)

    def _decide(self, question: Question) -> None:
        """Ask one question both ways, and reuse the common part only if the two agree."""
        try:
            agree = self._agrees(question)
        except (
            RuntimeError,
            ValueError,
            TypeError,
            IndexError,
            KeyError,
            AttributeError,
            NotImplementedError,
        ) as error:
            if is_out_of_memory(error):
                raise
            agree = False
        if not agree:
            self.way, self.tree = "plain", False
            self.prefixes.clear()

    def _agrees(self, question: Question) -> bool:
        text, cut = self._split(question.conversation)
        images = (*question.shared, *question.own)
        whole = self._inputs(text, images, first=True)
        prefix = self._prefix(text[:cut], images)
        if prefix is None:
            return False
        own = self._inputs(text[cut:], images[prefix.images :], first=False)
        ids = torch.cat([prefix.inputs["input_ids"], own["input_ids"]], dim=1)
        if not torch.equal(ids, whole["input_ids"]):
            return False
        reused = self._prefill(prefix, [own], self.cues.score)
        plain = self._prefill(None, [whole], self.cues.score)
        if not self._close(reused.logits, plain.logits):
            return False
        self.tree = _croppable(reused.cache) and self._tree_agrees(reused)
        return True

    def _tree_agrees(self, state: State) -> bool:
        try:
            with self.branch(state) as apart:
                quick = self._by_tree(apart)
        except (RuntimeError, ValueError, TypeError, IndexError):
            return False
        return bool(np.abs(quick - self._by_paths(state)).max() < self._tolerance())

    def _close(self, a: torch.Tensor, b: torch.Tensor) -> bool:
        """Whether two readings of one place give likely tokens the same probability."""
        likely = b[0].topk(min(50, b.shape[-1])).indices
        gap = (a[0].float().log_softmax(-1) - b[0].float().log_softmax(-1))[likely].abs().max()
        return float(gap) < self._tolerance()

    def _tolerance(self) -> float:
        """How far log-probabilities may be apart and count as the same: rounding, not another position."""
        return 1e-3 if self.loaded.quantisation == "fp32" else 0.5 if self.loaded.device != "cpu" else 0.05

    # -- reading --------------------------------------------------------------------------------

    def score_log_probabilities(self, state: State) -> np.ndarray:
        """Log-probability of each score behind the cue: (rows, 101), float64. The state is left as it was."""
        if not self.tree:
            return self._by_paths(state)
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
        mask = torch.zeros(count, state.length + count, dtype=dtype, device=device)
        blind = ~torch.as_tensor(trie.ancestry(), device=device)
        mask[:, state.length :].masked_fill_(blind, torch.finfo(dtype).min)
        ids = torch.as_tensor(trie.tokens, device=device).expand(state.rows, -1)
        first = state.logits
        _, logits = self._forward(
            self._texts(ids), state.cache, positions, count, attention_mask=mask.expand(state.rows, 1, -1, -1)
        )
        return np.stack([self._edges(first[row], logits[row]) for row in range(state.rows)])

    def _by_paths(self, state: State) -> np.ndarray:
        """The same, every beginning as a row of its own: for models whose state cannot branch within a pass."""
        return np.stack([self._paths_of(state, row) for row in range(state.rows)])

    def _paths_of(self, state: State, row: int) -> np.ndarray:
        trie, device = self.trie, state.logits.device
        paths: list[list[int]] = []
        for token, parent in zip(trie.tokens.tolist(), trie.parents.tolist(), strict=True):
            paths.append([*(paths[parent] if parent >= 0 else []), token])
        logits = torch.empty(len(paths), state.logits.shape[-1], device=device)
        one = torch.tensor([row], device=device)
        for depth in sorted(set(map(len, paths))):
            nodes = [n for n, path in enumerate(paths) if len(path) == depth]
            for begin in range(0, len(nodes), _PATHS_AT_ONCE):
                self.check()
                chunk = nodes[begin : begin + _PATHS_AT_ONCE]
                ids = torch.tensor([paths[n] for n in chunk], device=device)
                logits[chunk] = self.step(_taken(state, one.expand(len(chunk))), ids).logits.float()
        return self._edges(state.logits[row], logits)

    def _edges(self, root: torch.Tensor, nodes: torch.Tensor) -> np.ndarray:
        """Log-probabilities of the scores from the logits at the root, (v,), and at every node, (N, v)."""
        every = torch.cat([root[None].float(), nodes.float()])
        wanted = every[self.trie.edge_nodes + 1, self.trie.edge_tokens] - every.logsumexp(-1)[self.trie.edge_nodes + 1]
        return self.trie.log_probabilities(wanted.double().cpu().numpy())

    # -- writing --------------------------------------------------------------------------------

    def written_lines(self, state: State) -> list[Text]:
        """What the model itself writes behind the cue, up to the line's end; the state is left as it was."""
        with self.branch(state) as apart:
            return self.write(apart, _LINE_TOKENS, line=True)

    def reasons(self, state: State, scores: Sequence[int], most: int) -> list[Text]:
        """The reason behind each row's chosen score; the state is left as it was."""
        forced = [(*self.cues.completions[score], *self.cues.reason) for score in scores]
        found: list[Text | None] = [None] * state.rows
        for length in sorted(set(map(len, forced))):
            rows = [row for row in range(state.rows) if len(forced[row]) == length]
            ids = torch.tensor([forced[row] for row in rows], device=state.logits.device)
            if len(rows) == state.rows:
                with self.branch(state) as apart:
                    texts = self.write(self.step(apart, ids), most, line=True)
            else:
                taken = _taken(state, torch.tensor(rows, device=state.logits.device))
                texts = self.write(self.step(taken, ids), most, line=True)
            for row, text in zip(rows, texts, strict=True):
                found[row] = text
        return [text for text in found if text is not None]

    def write(self, state: State, most: int, *, line: bool = False) -> list[Text]:
        """Greedy decoding, at most ``most`` tokens; with ``line`` up to the first line break behind a word."""
        rows: list[list[int]] = [[] for _ in range(state.rows)]
        finish: list[str | None] = [None] * state.rows
        for number in range(most):
            self.check()
            chosen = state.logits.argmax(-1)
            for row, token in enumerate(chosen.tolist()):
                if finish[row] is not None:
                    continue
                if token in self.ends:
                    finish[row] = "stop"
                else:
                    rows[row].append(token)
                    if line and self._line_ended(rows[row]):
                        finish[row] = "stop"
            if all(finish) or number == most - 1:
                break
            state = self.step(state, chosen[:, None])
        texts = self.tokenizer.batch_decode(rows, skip_special_tokens=True)
        return [Text(t, len(r), f or "length") for t, r, f in zip(texts, rows, finish, strict=True)]

    def _line_ended(self, row: Sequence[int]) -> bool:
        return "\n" in self.tokenizer.decode(row[-1:]) and bool(self.tokenizer.decode(row).strip())


def _without_system(conversation: Conversation) -> list[dict[str, Any]]:
    """The conversation as one user turn, the system line at its beginning."""
    messages = conversation.messages()
    content = [{"type": "text", "text": conversation.system + "\n"}, *messages[1]["content"]]
    return [{"role": "user", "content": content}]


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end an answer."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {int(i) for i in (*ids, tokenizer.eos_token_id) if i is not None}


def _with_text(part: Mapping[str, torch.Tensor], ids: Sequence[int]) -> dict[str, torch.Tensor]:
    """A prompt with text tokens appended."""
    more = part["input_ids"].new_tensor(ids, dtype=torch.long)[None]
    grown = {"input_ids": torch.cat([part["input_ids"], more], dim=1)}
    for name in ("mm_token_type_ids", "token_type_ids"):
        if name in part:
            grown[name] = torch.cat([part[name], torch.zeros_like(more, dtype=part[name].dtype)], dim=1)
    return {**part, **grown}


def _joined(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tokens, token types and grids of two parts of a prompt one after the other; pixels are left out."""
    joined = {}
    for name in ("input_ids", "mm_token_type_ids"):
        if name in second:
            before = first.get(name, torch.zeros_like(first["input_ids"]))
            joined[name] = torch.cat([before, second[name]], dim=1)
    for name in {*first, *second}:
        if name.endswith("grid_thw"):
            joined[name] = torch.cat([part[name] for part in (first, second) if name in part])
    return joined


def _croppable(cache: Any) -> bool:
    """Whether tokens can be taken off the end of a cache without loss."""
    layers = getattr(cache, "layers", ())
    return bool(layers) and all(type(layer).__name__ == "DynamicLayer" for layer in layers)


def _selected(cache: Any, rows: torch.Tensor) -> Any:
    """Rows of a cache, in a cache of their own; a row may be taken more than once."""
    made = copy.deepcopy(cache)
    made.reorder_cache(rows)
    return made


def _taken(state: State, rows: torch.Tensor) -> State:
    """Rows of a state, in a cache of their own."""
    return State(_selected(state.cache, rows), state.next[rows], state.logits[rows])
