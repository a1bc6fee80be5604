"""A model in vLLM's offline engine, asked as :class:`~mad_core.scorers.multimodal.asking.Asker` asks one of ours.

The engine shares what prompts have in common by itself and batches what it is given, so a state here is only a
prompt. A score is read by one request of one token at every node of the tree of scores (eleven where a token holds a
digit), all on the same cached prompt, so the distribution is that of the model and not of what it happened to write.
vLLM is optional and is imported when a model is opened: requirements-vllm.txt.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoProcessor

from mad_core.errors import InputError, UnavailableError
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.asking import LINE_TOKENS, Cues, Effort, Text, common_tokens, digit_tokens
from mad_core.scorers.multimodal.loading import LoadedModel
from mad_core.scorers.multimodal.prompts import REASON_CUE, Conversation
from mad_core.scorers.multimodal.readout import ScoreTrie
from mad_core.scorers.multimodal.showing import Question
from mad_core.scorers.multimodal.templating import Template

VLLM = "vllm"
NAMED = 64
"""Most probable tokens that the engine names at a place; what is not among them counts as impossible."""
MOST_IMAGES = 32
"""Of one prompt."""


def load_engine(model: str, quantisation: str, device: str) -> LoadedModel:
    """Open a model in vLLM's offline engine.

    Raises
    ------
    UnavailableError
        If vLLM or the model is not on this machine; the sentence says what to do.
    InputError
        If the engine cannot open it.
    """
    reason = models.why_not({"model": model, "quantisation": quantisation, "engine": VLLM})
    folder = models.locate(model)
    if reason or folder is None:
        raise UnavailableError(reason or f"The model {model} is not on this machine.")
    chosen = models.chosen_quantisation(folder, device) if quantisation == "auto" else quantisation
    if chosen not in ("bf16", "fp32", "4bit"):
        raise InputError(f"vLLM does not load models in {chosen}; set quantisation=4bit, bf16 or auto.")
    options: dict[str, Any] = {"quantization": "bitsandbytes"} if chosen == "4bit" else {}
    try:
        engine = importlib.import_module(VLLM).LLM(
            model=str(folder),
            dtype="float32" if chosen == "fp32" else "auto",
            trust_remote_code=False,
            enable_prefix_caching=True,
            limit_mm_per_prompt={"image": MOST_IMAGES},
            max_logprobs=NAMED,
            seed=0,
            **options,
        )
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # the engine runs in processes of its own and raises anything
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise InputError(f"vLLM cannot open the model in {folder}: {first}. Set engine=transformers.") from error
    return LoadedModel(engine, processor, device, chosen, folder)


@dataclass(frozen=True)
class Prompted:
    """Questions, and what is already written behind each."""

    questions: tuple[Question, ...]
    behind: tuple[str, ...]

    @property
    def rows(self) -> int:
        return len(self.questions)


class EngineAsker:
    """Asks a model in the engine; attributes and methods are those of ``Asker``."""

    def __init__(self, loaded: LoadedModel, check: Callable[[], None] = lambda: None) -> None:
        self.loaded, self.check = loaded, check
        self.tokenizer = getattr(loaded.processor, "tokenizer", loaded.processor)
        self.template = Template(loaded.processor, self.tokenizer)
        self.cues = Cues.of(self.tokenizer)
        self.trie = ScoreTrie([completion[:-1] for completion in self.cues.completions])
        self.digits = digit_tokens(self.tokenizer)
        self.effort, self.row_bytes = Effort(), 0
        self.way, self.refused = "vLLM's offline engine", list[str]()
        self.prefixes: Mapping[str, Any] = {}
        self._texts: dict[Conversation, str] = {}

    # -- states ---------------------------------------------------------------------------------

    def ready(self, questions: Sequence[Question]) -> bool:
        """There is nothing to prepare: the engine processes images itself."""
        return False

    def begin(self, questions: Sequence[Question], forced: Sequence[int] = ()) -> list[tuple[list[int], Prompted]]:
        """All questions in one state, ``forced`` tokens already written."""
        written = self.tokenizer.decode(list(forced))
        return [(list(range(len(questions))), Prompted(tuple(questions), (written,) * len(questions)))]

    def some(self, state: Prompted, rows: Sequence[int]) -> Prompted:
        """Some rows of a state."""
        return Prompted(tuple(state.questions[r] for r in rows), tuple(state.behind[r] for r in rows))

    # -- requests -------------------------------------------------------------------------------

    def _answers(self, state: Prompted, behind: Sequence[str], **sampling: Any) -> list[Any]:
        """What the engine answers each row with a text behind it: an output each."""
        self.check()
        prompts = [self._prompt(question, text) for question, text in zip(state.questions, behind, strict=True)]
        parameters = importlib.import_module(VLLM).SamplingParams(**sampling)
        self.effort.passes += len(prompts)
        return [one.outputs[0] for one in self.loaded.model.generate(prompts, parameters, use_tqdm=False)]

    def _prompt(self, question: Question, behind: str) -> dict[str, Any]:
        talk = question.conversation
        if talk not in self._texts:
            self._texts[talk] = self.template.render(talk)
        images = [Image.fromarray(np.ascontiguousarray(image)) for image in (*question.shared, *question.own)]
        return {"prompt": self._texts[talk] + behind, "multi_modal_data": {"image": images}}

    def _next(self, state: Prompted, behind: Sequence[str]) -> list[dict[int, float]]:
        """Log-probability of the most probable next tokens of each row."""
        answers = self._answers(state, behind, max_tokens=1, temperature=0.0, logprobs=NAMED)
        return [{int(token): float(entry.logprob) for token, entry in one.logprobs[0].items()} for one in answers]

    def _write(self, state: Prompted, behind: Sequence[str], most: int, stop: Sequence[str], sample: int) -> list[Text]:
        given = {"max_tokens": most, "temperature": 1.0 if sample else 0.0, "seed": sample, "stop": list(stop)}
        answers = self._answers(state, behind, **given)
        return [Text(one.text, len(one.token_ids), str(one.finish_reason or "stop")) for one in answers]

    # -- reading and writing --------------------------------------------------------------------

    def score_log_probabilities(self, state: Prompted) -> np.ndarray:
        """Log-probability of each score behind the cue: (rows, 101), float64."""
        rows, nodes = state.rows, ["", *(self.tokenizer.decode(list(path)) for path in self.trie.paths)]
        many = Prompted(state.questions * len(nodes), tuple(text + node for node in nodes for text in state.behind))
        named = self._next(many, many.behind)
        return np.stack([self._scores(named[row::rows]) for row in range(rows)])

    def _scores(self, named: Sequence[Mapping[int, float]]) -> np.ndarray:
        """Of one row, from what is named at the root and at every node."""
        trie = self.trie
        edges = [
            named[node + 1].get(int(token), -math.inf)
            for node, token in zip(trie.edge_nodes, trie.edge_tokens, strict=True)
        ]
        further = [sum(math.exp(at[token]) for token in self.digits if token in at) for at in named[1:]]
        ends = np.log1p(-np.clip(further, 0, 1 - 1e-12))
        return trie.log_probabilities(np.array(edges), ends)

    def score_behind_cue(self, state: Prompted) -> np.ndarray:
        """As :meth:`score_log_probabilities`, the cue written first."""
        cue = self.tokenizer.decode(list(self.cues.score))
        return self.score_log_probabilities(replace(state, behind=tuple(text + cue for text in state.behind)))

    def written_lines(self, state: Prompted) -> list[Text]:
        """What the model itself writes behind the cue, up to the line's end."""
        return self._write(state, state.behind, LINE_TOKENS, ["\n"], 0)

    def reasons(self, state: Prompted, scores: Sequence[int], most: int) -> list[Text]:
        """The reason behind each row's chosen score."""
        chosen = [self.tokenizer.decode(list(self.cues.completions[score][:-1])) for score in scores]
        behind = [f"{text}{number}\n{REASON_CUE.rstrip()}" for text, number in zip(state.behind, chosen, strict=True)]
        return self._write(state, behind, most, ["\n"], 0)

    def write(self, state: Prompted, most: int) -> list[Text]:
        """What the model writes by itself."""
        return self._write(state, state.behind, most, (), 0)

    def say(self, questions: Sequence[Question], most: int, sample: int) -> list[str]:
        """What the model says to questions, a line each: the most probable words, or drawn ones from sample 1 on."""
        ((_, state),) = self.begin(questions)
        return [text.text.strip() for text in self._write(state, state.behind, most, ["\n"], sample)]

    def choose(self, questions: Sequence[Question], cue: str, words: Sequence[str]) -> np.ndarray:
        """Log-probability of each word behind a cue: (questions, words), float64."""
        ids = [self.tokenizer(f"{cue}{word}", add_special_tokens=False)["input_ids"] for word in words]
        head = min(common_tokens(ids), min(map(len, ids)) - 1)
        ((_, state),) = self.begin(questions)
        totals = np.zeros((len(questions), len(words)))
        for column, row in enumerate(ids):
            for place in range(head, len(row)):
                written = self.tokenizer.decode(row[:place])
                named = self._next(state, [text + written for text in state.behind])
                totals[:, column] += [at.get(row[place], -math.inf) for at in named]
        return totals
