"""The local multimodal scorer: a model on this machine that is asked how severe each image is.

The score is the model's expected score: the mean over all scores 0-100 by the probability it gives each,
read before it reasons. What it writes by itself is kept beside it.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from mad_core.errors import InputError, WorkError
from mad_core.scorers.contract import Context, Item, Resources, Scored, Scorer
from mad_core.scorers.image_loading import LoadedImage, batches, work_ahead
from mad_core.scorers.image_scorer import single_threaded
from mad_core.scorers.multimodal import models
from mad_core.scorers.multimodal.asking import MODEL_ERRORS, Asker, Batch, State, Text
from mad_core.scorers.multimodal.engine import VLLM, EngineAsker, load_engine
from mad_core.scorers.multimodal.loading import LoadedModel, free_memory, load
from mad_core.scorers.multimodal.looks import (
    FIRST,
    LEVEL_CUE,
    SECOND,
    WORSE_CUE,
    Looks,
    against,
    averaged,
    closed_with,
    for_level,
    habit_of,
    looking,
    of_pairs,
    of_words,
    places_of_words,
    without_habit,
    worded,
)
from mad_core.scorers.multimodal.prompts import REASON_CUE, SCORE_CUE, doubted, looked
from mad_core.scorers.multimodal.readout import (
    UNPARSED,
    ExpectedScore,
    Written,
    expected_score,
    or_normal,
    read_answer,
)
from mad_core.scorers.multimodal.showing import Question, Recommended, Showing, settle
from mad_core.scorers.multimodal.worst import Worst
from mad_core.scorers.out_of_memory import is_out_of_memory

SMALL = 30_000_000
"""Parameters up to which a model on the CPU computes in one thread: more of them wait for each other longer than
they compute, and the other cores decode images meanwhile."""
LEAST_MASS = 0.5
"""Probability of all scores together below which they say little of what the model would answer: the written score
stands then."""
MODEL_ERROR = "model-error"
_LOOK_TOKENS = 60
BATCH, MOST_BATCH = 8, 64
"""Images at once: where nothing is known of memory, and the most on a GPU, which computes no faster with more."""
_SHARE = 0.5
"""Of the free memory that a batch's keys and values may take; what is computed from them takes about as much."""
_SENTENCES = {
    "unparsed": "The model's answer holds no score that can be read.",
    "refused": "The model refused to judge this image.",
    "out-of-range": "The model's score is not between 0 and 100.",
    "cut-off": "The model's answer ended before its score.",
}


@dataclass(frozen=True)
class Answer:
    """What a model says of one image.

    Parameters
    ----------
    expected : Expected or None
        None where the model gives no score any probability that can be counted.
    written : Written or None
        What it writes by itself; None where only scores are read.
    reason : str or None
    raw : str
        The answer as text.
    tokens : int
        Tokens that the model wrote.
    finish : {"stop", "length"} or None
        Why it ended.
    failure : str or None
        Why the model could not be asked about this image.
    """

    expected: ExpectedScore | None
    written: Written | None = None
    reason: str | None = None
    raw: str = ""
    tokens: int = 0
    finish: str | None = None
    failure: str | None = None

    @property
    def likely(self) -> bool:
        """Whether the expected score stands: the scores have at least half of the probability."""
        return _likely(self.expected)

    @property
    def score(self) -> float | None:
        """The expected score, or the written one where it stands."""
        if self.likely or self.written is None:
            return self.expected.mean if self.expected else None
        return self.written.score


class Mllm(Scorer):
    """Scores by a local image-text-to-text model."""

    _loaded: LoadedModel | None = None
    _asker: Any = None
    _owned = True

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        """Load the model, unless the run has it already, and choose what is shown.

        Raises
        ------
        UnavailableError, InputError
            If the model, the rubric or a reference cannot be used; the sentence says what to do.
        WorkError
            If the model does not fit into memory.
        """
        started = time.perf_counter()
        model, quantisation = self.parameters["model"], self.parameters["quantisation"]
        resources, self._owned = context.resources or Resources(), context.resources is None
        on_engine = self.parameters["engine"] == VLLM
        key = (VLLM if on_engine else "mllm", model, quantisation, context.device)
        opened = load_engine if on_engine else load
        self._loaded = resources.hold(key, lambda: opened(model, quantisation, context.device))
        self.wishes = settle(self.parameters, Recommended.of(self._loaded.folder))
        self.showing = Showing(self.wishes, context)
        self._asker = (EngineAsker if on_engine else Asker)(self._loaded, context.check_cancel)
        self.batch, self._batch_chosen = self.parameters["batch"] or BATCH, self.parameters["batch"] is not None
        self._worst = Worst(self.wishes.worst)
        self.looks = Looks.of(self.parameters)
        self._words = places_of_words(self.showing.rubric) if self.looks.words else {}
        self._anchors = self.showing.levels_shown() if self.looks.pairs else []
        self._habit = habit_of([])
        if on_engine and not self._batch_chosen:
            self.batch, self._batch_chosen = MOST_BATCH, True  # the engine makes batches of its own
        in_torch = context.device == "cpu" and not on_engine
        self._small = in_torch and self._loaded.model.num_parameters() <= SMALL
        self._identity = models.identity(self._loaded.folder)
        self._counts = {"images": 0, "written_tokens": 0, "batch_halved": 0, "written_scores": 0}
        self._seconds_load = time.perf_counter() - started
        if self.looks.habits:
            self._learn_habit(context)

    def _learn_habit(self, context: Context) -> None:
        """Score normals that are not shown, to see which numbers the model likes whatever it sees."""
        shown = {item.path for item in self.showing.references}
        unseen = [item for item in sorted(context.normals, key=lambda item: item.path) if item.path not in shown]
        seen: list[np.ndarray] = []
        for batch in batches(work_ahead(unseen[-self.looks.habits :], self.showing.question), self.batch):
            context.check_cancel()
            questions = [one.value for one in batch if one.value is not None]
            seen += [one.distribution for one in self._read(questions) if one is not None]
        self._habit = habit_of(seen)

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        images = list(images)
        first = images[:1] if not self._batch_chosen else []  # tells what one image takes
        yield from self._score(first, context)
        if first:
            self._choose_batch()
        yield from self._score(images[len(first) :], context)

    def _score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        ahead = work_ahead(images, self.showing.question, ahead=2 * self.batch)
        with ThreadPoolExecutor(1, thread_name_prefix="processor") as pool:
            waiting: deque[tuple[list[LoadedImage[Question]], Future[list[Batch] | None]]] = deque()
            for batch in batches(ahead, self.batch):
                waiting.append((batch, pool.submit(self._prepared, batch)))
                if len(waiting) > 1:
                    yield from self._answered(*waiting.popleft(), context)
            while waiting:
                yield from self._answered(*waiting.popleft(), context)

    def _prepared(self, batch: Sequence[LoadedImage[Question]]) -> list[Batch] | None:
        """What the processor makes of a batch, while the model computes the one before; None where it cannot yet."""
        questions = [one.value for one in batch if one.value is not None]
        if not questions or self._asker is None or not self._asker.ready(questions):
            return None
        try:
            return self._asker.prepare(questions)
        except Exception:  # whatever it is, it comes again where it is caught
            return None

    def _answered(
        self, batch: Sequence[LoadedImage[Question]], prepared: Future[list[Batch] | None], context: Context
    ) -> Iterator[Scored]:
        context.check_cancel()
        made = prepared.result()
        started = time.perf_counter()
        answers = iter(self.answers([one.value for one in batch if one.value is not None], made))
        seconds = (time.perf_counter() - started) / len(batch)
        for one in batch:
            yield one.failed() if one.value is None else self._scored(one, next(answers), seconds)

    def _choose_batch(self) -> None:
        """As many images at once as free memory lasts for, by what one image took."""
        if self._asker is None or self._loaded is None or not self._asker.row_bytes:
            return
        on_card = self._loaded.device.startswith("cuda")
        rows = int(_SHARE * 1e9 * models.memory(self._loaded.device).gigabytes / (2 * self._asker.row_bytes))
        self.batch = max(1, min(MOST_BATCH if on_card else BATCH, rows))

    # -- asking ---------------------------------------------------------------------------------

    def answers(self, questions: Sequence[Question], prepared: Sequence[Batch] | None = None) -> list[Answer]:
        """Ask; where memory runs out, in batches half as big.

        Parameters
        ----------
        prepared : sequence of Batch or None
            What the processor made of all these questions, where it has done so already.

        Raises
        ------
        WorkError
            If memory does not even last for one image.
        """
        collected: list[Answer] = []
        while len(collected) < len(questions):
            chunk = questions[len(collected) : len(collected) + self.batch]
            answers = self._within_memory(chunk, prepared if len(chunk) == len(questions) else None)
            prepared = None
            if answers is None:
                free_memory()
                self._halve()
            else:
                collected += answers
        return collected

    def _within_memory(
        self, questions: Sequence[Question], prepared: Sequence[Batch] | None = None
    ) -> list[Answer] | None:
        """The answers, or None where memory ran out; the error is left behind, for it holds on to memory."""
        try:
            with single_threaded() if self._small else nullcontext():
                return self._ask(questions, prepared)
        except (*MODEL_ERRORS, MemoryError) as error:
            if is_out_of_memory(error):
                return None
            failure = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
        return [Answer(None, failure=failure)] if len(questions) == 1 else self._each_alone(questions)

    def _each_alone(self, questions: Sequence[Question]) -> list[Answer] | None:
        """Answers of questions of which one made a batch fail, or None where memory ran out."""
        collected: list[Answer] = []
        for question in questions:
            answers = self._within_memory([question])
            if answers is None:
                return None
            collected += answers
        return collected

    def _halve(self) -> None:
        if self.batch == 1:
            raise WorkError(
                "Memory ran out on a single image. Show fewer references, set a lower height, choose a smaller model "
                "or quantisation=4bit, then resume the run; what was scored is kept."
            )
        self.batch = max(1, self.batch // 2)
        self._counts["batch_halved"] += 1

    def _ask(self, questions: Sequence[Question], prepared: Sequence[Batch] | None) -> list[Answer]:
        asker = self._asker
        if asker is None:
            raise InputError("The model is not loaded.")
        by_row: dict[int, Answer] = {}
        others = self._other_looks(asker, questions) if self.looks.more else [[] for _ in questions]
        forced = () if self.wishes.plain else asker.cues.score
        begun = asker.begin(questions, forced) if prepared is None else asker.start(prepared, forced)
        for rows, state in begun:
            looks, shares = [others[row] for row in rows], [questions[row].share for row in rows]
            answers = self._plain(asker, state) if self.wishes.plain else self._cued(asker, state, looks, shares)
            by_row |= dict(zip(rows, answers, strict=True))
        return [by_row[row] for row in range(len(questions))]

    def _other_looks(self, asker: Asker, questions: Sequence[Question]) -> list[list[ExpectedScore | None]]:
        """What each question's further looks say; see :class:`Looks`."""
        looks = self.looks
        by_question: list[list[ExpectedScore | None]] = [[] for _ in questions]

        def add(scores: Sequence[ExpectedScore | None]) -> None:
            for own, score in zip(by_question, scores, strict=True):
                own.append(score)

        for number in range(looks.wordings - 1):
            add(self._read([worded(question, looks.wordings)[number] for question in questions]))
        for sample in range(looks.first):
            seen = asker.say([looking(question) for question in questions], _LOOK_TOKENS, sample)
            add(self._read([closed_with(q, looked(text)) for q, text in zip(questions, seen, strict=True)]))
        if looks.second:
            add(self._read([_second(*pair) for pair in zip(questions, self._read(questions), strict=True)]))
        if looks.words:
            words = list(self._words)
            read = asker.choose([for_level(question, words) for question in questions], LEVEL_CUE, words)
            add([of_words(self._words, np.exp(row)) for row in read])
        if looks.pairs:
            add(self._compared(asker, questions))
        return by_question

    def _compared(self, asker: Asker, questions: Sequence[Question]) -> list[ExpectedScore | None]:
        """What comparing each image with one of each level says, in both orders."""
        worse = np.zeros((len(self._anchors), 2, len(questions)))
        for level, (_, anchor) in enumerate(self._anchors):
            for order in (0, 1):
                asked = [against(question, anchor, anchor_first=bool(order)) for question in questions]
                read = np.exp(asker.choose(asked, WORSE_CUE, (FIRST, SECOND)))
                worse[level, order] = read[:, order] / read.sum(1)
        places = [place for place, _ in self._anchors]
        return [of_pairs(places, column) for column in worse.mean(1).T]

    def _read(self, questions: Sequence[Question]) -> list[ExpectedScore | None]:
        """What each question's scores are expected to be, before any reason."""
        asker = self._asker
        if asker is None:
            raise InputError("The model is not loaded.")
        by_row: dict[int, ExpectedScore | None] = {}
        for rows, state in asker.begin(questions, asker.cues.score):
            by_row |= dict(zip(rows, map(_expected, asker.score_log_probabilities(state)), strict=True))
        return [without_habit(by_row[row], self._habit) for row in range(len(questions))]

    def _cued(
        self, asker: Asker, state: State, looks: Sequence[Sequence[ExpectedScore | None]], shares: Sequence[float]
    ) -> list[Answer]:
        """The cue is written for the model; it goes on with the score, then with a reason for the chosen one.

        ``shares`` are those of the questions.
        """
        direct = [without_habit(_expected(row), self._habit) for row in asker.score_log_probabilities(state)]
        expected = [
            averaged([one, *others], LEAST_MASS) if others else one for one, others in zip(direct, looks, strict=True)
        ]
        expected = [or_normal(one, share) for one, share in zip(expected, shares, strict=True)]
        wanted = [self._wants_reason(one) for one in expected]
        told = [row for row, one in enumerate(expected) if wanted[row] or not _likely(one)]
        if not told:
            return [Answer(one) for one in expected]
        state = state if len(told) == state.rows else asker.some(state, told)
        lines = dict(zip(told, asker.written_lines(state), strict=True))
        answers = [
            _written_answer(one, lines[row]) if row in lines and not wanted[row] else Answer(one)
            for row, one in enumerate(expected)
        ]
        asked = [row for row in told if wanted[row]]
        if asked:
            state = state if len(asked) == state.rows else asker.some(state, [told.index(row) for row in asked])
            chosen = [_chosen(expected[row], lines[row]) for row in asked]
            for row, reason in zip(asked, asker.reasons(state, chosen, self.wishes.tokens), strict=True):
                answers[row] = _cued_answer(expected[row], lines[row], reason)
        return answers

    def _wants_reason(self, expected: ExpectedScore | None) -> bool:
        """Whether the model is asked why; of the worst ones only where the scores say which these are."""
        if self.wishes.reasons == "worst":
            return expected is not None and _likely(expected) and self._worst.takes(expected.mean)
        return self.wishes.reasons == "all"

    def _plain(self, asker: Asker, state: State) -> list[Answer]:
        """The model writes its whole answer, as the benchmark has it; the expectation is read before."""
        expected = [_expected(row) for row in asker.score_behind_cue(state)]
        texts = asker.write(state, self.wishes.tokens)
        return [_plain_answer(one, text) for one, text in zip(expected, texts, strict=True)]

    # -- results --------------------------------------------------------------------------------

    def _scored(self, one: LoadedImage[Question], answer: Answer, seconds: float) -> Scored:
        question = one.value
        assert question is not None
        self._counts["images"] += 1
        self._counts["written_tokens"] += answer.tokens
        if answer.failure:
            sentence = f"The model could not be asked about this image: {answer.failure}."
            return Scored.failed(one.item.image_id, MODEL_ERROR, sentence, seconds, **question.notes)
        problem = self._problem(answer)
        detail = _detail(answer) | dict(question.notes)
        if problem or answer.score is None:
            sentence = _SENTENCES.get(problem or UNPARSED, _SENTENCES[UNPARSED])
            return Scored.failed(one.item.image_id, problem or UNPARSED, sentence, seconds, **detail)
        self._counts["written_scores"] += not answer.likely
        return Scored(
            one.item.image_id,
            answer.score,
            map=question.map,
            reason=answer.reason,
            distribution=answer.expected.distribution if answer.expected and answer.likely else None,
            seconds=seconds,
            detail=detail,
        )

    def _problem(self, answer: Answer) -> str | None:
        """The benchmark's protocol stands by what is written; ours by the expectation where it is likely."""
        written = answer.written.problem if answer.written else None
        if answer.likely and not self.wishes.plain:
            return None
        return written or (UNPARSED if answer.score is None else None)

    def facts(self) -> dict[str, Any]:
        if self._loaded is None or self._asker is None:
            return {}
        prefixes = [p for p in self._asker.prefixes.values() if p is not None]
        facts = {
            "model": self.parameters["model"],
            **self._identity,
            "supervision": models.supervision(self.parameters["model"]),
            "quantisation": self._loaded.quantisation,
            "protocol": self.parameters["protocol"],
            **self.showing.facts(),
            "looks": asdict(self.looks),
            "preprocessing": _preprocessing(self._loaded.processor),
            "shared_tokens": sum(prefix.tokens for prefix in prefixes),
            "computed": _computed(self._asker),
            "computed_why": list(self._asker.refused),
            "prompt_changes": list(self._asker.template.changes),
            "batch": self.batch,
            "effort": self._asker.effort.to_json(),
            "seconds_load": round(self._seconds_load, 3),
            **self._counts,
        }
        if self._counts["written_scores"]:
            facts["score_note"] = (
                f"For {self._counts['written_scores']} of {self._counts['images']} images the scores 0 to 100 had less "
                "than half of the model's probability, so the written score stands."
            )
        if self._loaded.device.startswith("cuda"):
            facts["peak_memory"] = torch.cuda.max_memory_allocated(self._loaded.device)
        return facts

    def close(self) -> None:
        loaded, self._loaded, self._asker = self._loaded, None, None
        if loaded is not None and self._owned:
            loaded.close()


def _expected(log_probabilities: np.ndarray) -> ExpectedScore | None:
    try:
        return expected_score(log_probabilities)
    except ValueError:
        return None


def _likely(expected: ExpectedScore | None) -> bool:
    return expected is not None and expected.mass >= LEAST_MASS


def _chosen(expected: ExpectedScore | None, line: Text) -> int:
    """The whole number that a reason is asked for."""
    written = read_answer(SCORE_CUE + line.text.rstrip()).score
    if expected is None or (not _likely(expected) and written is not None):
        return round(written or 0)
    return round(expected.mean)


def _second(question: Question, first: ExpectedScore | None) -> Question:
    """The question that doubts a first score."""
    return closed_with(question, doubted(round(first.mean) if first else 50))


def _written_answer(expected: ExpectedScore | None, line: Text) -> Answer:
    first = SCORE_CUE + line.text.rstrip()
    return Answer(expected, read_answer(first), None, first, line.tokens, line.finish)


def _computed(asker: Any) -> str:
    """How prompts were computed, in words."""
    if isinstance(asker, EngineAsker):
        return asker.way
    return "shared part once" if asker.way is None or asker.way.reuse else "whole prompt for every image"


def _cued_answer(expected: ExpectedScore | None, line: Text, reason: Text) -> Answer:
    first = SCORE_CUE + line.text.rstrip()
    raw = f"{first}\n{REASON_CUE}{reason.text.strip()}"
    written = read_answer(first)  # a line that goes on and on is no number that was cut off
    return Answer(expected, written, reason.text.strip(), raw, line.tokens + reason.tokens, reason.finish)


def _plain_answer(expected: ExpectedScore | None, text: Text) -> Answer:
    written = read_answer(text.text, text.finish)
    return Answer(expected, written, written.reason, text.text, text.tokens, text.finish)


def _detail(answer: Answer) -> dict[str, Any]:
    expected, written = answer.expected, answer.written
    detail: dict[str, Any] = {
        "score_from": "expected" if answer.likely else "written",
        "expected": expected.mean if expected else None,
        "spread": expected.spread if expected else None,
        "mass": expected.mass if expected else None,
        "written": written.score if written else None,
        "raw": answer.raw,
        "tokens": answer.tokens,
        "finish": answer.finish,
    }
    if written and written.problem:
        detail["written_problem"] = written.problem
    return detail


def _preprocessing(processor: Any) -> Mapping[str, Any]:
    """How the model's own processor brings images into shape."""
    image_processor = getattr(processor, "image_processor", None)
    names = ("size", "crop_size", "do_resize", "do_center_crop", "image_mean", "image_std", "patch_size", "resample")
    values = {name: getattr(image_processor, name, None) for name in names}
    return {k: _plain_value(v) for k, v in values.items() if v is not None}


def _plain_value(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain_value(v) for v in value]
    try:
        return {str(k): _plain_value(v) for k, v in dict(value).items() if v is not None}
    except (TypeError, ValueError):
        return str(value)
