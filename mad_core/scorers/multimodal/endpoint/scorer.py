"""The remote multimodal scorer: an OpenAI-compatible server is asked how severe each image is.

Prompts and readout are those of the local scorer. What differs is the expectation: a server names the most
probable tokens of what it wrote, so it is approximate (see
:func:`~mad_core.scorers.multimodal.readout.expected_from_top_logprobs`); where a server names none, the written
score stands.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mad_core.errors import MadError, WorkError
from mad_core.images import ImageError
from mad_core.scorers.contract import Context, Item, Scored, Scorer
from mad_core.scorers.image_loading import failure_of
from mad_core.scorers.multimodal.endpoint.address import check_consent, notice, servers_of
from mad_core.scorers.multimodal.endpoint.client import (
    GOES_ON,
    RAW_CHARACTERS,
    SERVER_ERROR,
    TIMEOUT,
    Client,
    NoAnswerError,
    Reply,
    data_url,
    messages,
)
from mad_core.scorers.multimodal.endpoint.fleet import Fleet
from mad_core.scorers.multimodal.prompts import SCORE_CUE
from mad_core.scorers.multimodal.readout import (
    CUT_OFF,
    NODES,
    OUT_OF_RANGE,
    REFUSED,
    UNPARSED,
    ExpectedScore,
    Written,
    expected_from_nodes,
    expected_from_top_logprobs,
    read_answer,
)
from mad_core.scorers.multimodal.showing import Question, Showing, settle
from mad_core.scorers.multimodal.worst import Worst
from mad_core.settings import Settings

LEAST_MASS = 0.5
"""Probability that the named tokens must cover for an expectation to be made of them."""
SHORT_TOKENS = 16
"""Of an answer of which only the score is wanted."""
LOOK_SECONDS = 0.2
HOPELESS = 8
"""Images in a row, or one a slot, that get no score before the run stops."""
MORE_TOKENS = 8
"""How many times as long an answer may be that is asked for once more because it was cut off."""
_CURES = {
    UNPARSED: "Look at the raw answers, then choose another model or set other parameters, and queue a new run.",
    REFUSED: "Word the rubric otherwise or choose another model, and queue a new run.",
    OUT_OF_RANGE: "Look at the raw answers: if the model answers on a scale of its own, word the rubric otherwise.",
    CUT_OFF: "Allow longer answers (--param tokens=4000) or choose a model that thinks less, and queue a new run.",
}
_SENTENCES = {
    "unparsed": "The model's answer holds no score that can be read.",
    "refused": "The model refused to judge this image.",
    "out-of-range": "The model's score is not between 0 and 100.",
    "cut-off": "The model's answer ended before its score.",
}
T = TypeVar("T")


@dataclass
class _Counts:
    """How the answers of a session turned out; what they used stands with each of them."""

    expected: int = 0
    failed_in_a_row: int = 0
    scored: int = 0
    unlikely: int = 0
    highest: float = 0.0


class _Loop:
    """An event loop in a thread of its own, so that requests go on while results are stored."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=2)
        if not self._thread.is_alive():
            self._loop.close()


class Endpoint(Scorer):
    """Scores by OpenAI-compatible servers."""

    _loop: _Loop | None = None
    _fleet: Fleet | None = None
    _longer = False
    _goes_on = True

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        """See that images may be sent, choose what is shown, and find the model.

        Raises
        ------
        UnavailableError, InputError
            If no server is set, its address cannot be used, or nobody agreed that images leave this machine.
        WorkError
            If the server does not say which model it has.
        """
        settings = Settings.from_environment()
        self.servers = servers_of(settings, self.parameters)
        check_consent(self.servers, context.agreed_hosts, self.parameters, settings)
        self.wishes = settle(self.parameters)
        self.showing = Showing(self.wishes, context)
        self._shared = [self._packed(image) for image in self.showing.shared]
        self._counts, self._served = _Counts(), ""
        self._worst = Worst(self.wishes.worst)
        self._loop = _Loop()
        timeout, retries = self.parameters["timeout"], self.parameters["retries"]
        self._fleet = Fleet([Client(one, settings.endpoint_key, timeout, retries) for one in self.servers.each])
        self.model = self.parameters["model"] or self._wait(self._loop.start(self._fleet.first_model()), context)

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        loop, fleet = self._loop, self._fleet
        if loop is None or fleet is None:
            raise WorkError("The server was not set up.")
        slots = asyncio.Semaphore(self.parameters["concurrency"])
        waiting: deque[Future[Scored]] = deque()
        try:
            for item in images:
                waiting.append(loop.start(self._score_one(fleet, slots, item)))
                if len(waiting) > 2 * self.parameters["concurrency"]:
                    yield self._counted(self._wait(waiting.popleft(), context))
            while waiting:
                yield self._counted(self._wait(waiting.popleft(), context))
        finally:
            for future in waiting:
                future.cancel()

    def facts(self) -> dict[str, Any]:
        fleet = self._fleet
        if fleet is None:
            return {}
        counts = self._counts
        return {
            "host": self.servers.host,
            "notice": notice(self.servers),
            "model": self.model,
            "served_model": self._served,
            "protocol": self.parameters["protocol"],
            **self.showing.facts(),
            "encoding": "PNG" if self.parameters["encoding"] == "png" else "JPEG, quality 95",
            "concurrency": self.parameters["concurrency"],
            "request": fleet.clients[0].form.options(self._tokens()),
            "expectation": "of one token at each place where a score goes on"
            if self.parameters["exact"] and self._goes_on
            else "approximate, of the most probable tokens that the server names"
            if counts.expected
            else "none: the server named no tokens, so the written score stands",
            "written_scores": counts.scored - counts.expected,
            **self._note(),
        }

    def _note(self) -> dict[str, str]:
        """What a person should know of all scores together."""
        counts, notes = self._counts, []
        if counts.scored and counts.highest <= 1 and self.parameters["scale"] == "100":
            notes.append(
                f"Every score of the {counts.scored} images is at most 1 of 100. If the model answers on a scale from "
                "0 to 1, run it again with --param scale=1."
            )
        if counts.unlikely:
            notes.append(
                f"For {counts.unlikely} of {counts.scored} images the named tokens cover less than half of the "
                "probability, so the written score stands."
            )
        return {"score_note": " ".join(notes)} if notes else {}

    def close(self) -> None:
        loop, fleet, self._loop = self._loop, self._fleet, None
        if loop is None:
            return
        if fleet is not None:
            try:
                loop.start(fleet.close()).result(timeout=1)
            except (NotYet, OSError, RuntimeError):
                pass  # the connections end with the process
        loop.close()

    # -- one image ------------------------------------------------------------------------------

    async def _score_one(self, fleet: Fleet, slots: asyncio.Semaphore, item: Item) -> Scored:
        async with slots:
            started = time.perf_counter()
            try:
                question, urls = await asyncio.to_thread(self._question, item)
            except (MadError, OSError, ValueError, MemoryError) as error:
                status = failure_of(error) if isinstance(error, ImageError) else "not-shown"
                return Scored.failed(item.image_id, status, str(error) or type(error).__name__)
            asked = messages(question.conversation, urls)
            try:
                reply = await self._answer(fleet, asked)
            except NoAnswerError as error:
                seconds = time.perf_counter() - started
                return Scored.failed(item.image_id, error.status, str(error), seconds, raw=error.raw)
            exact = await self._exact(fleet, asked) if self.parameters["exact"] else None
            scored = self._scored(fleet.clients[0], item, question, reply, exact, time.perf_counter() - started)
            if self.wishes.reasons == "worst" and scored.score is not None and self._worst.takes(scored.score):
                return await self._explained(fleet, asked, scored)
            return scored

    async def _exact(self, fleet: Fleet, asked: Sequence[Mapping[str, Any]]) -> ExpectedScore | None:
        """The distribution by one token at every place where a score goes on; None where the server cannot say it."""
        if not self._goes_on:
            return None
        cues = (SCORE_CUE.rstrip(), SCORE_CUE, *(SCORE_CUE + digits for digits in NODES[1:]))
        begun = [[*asked, {"role": "assistant", "content": cue}] for cue in cues]
        try:
            replies = await asyncio.gather(*(fleet.ask(self.model, one, 1, GOES_ON) for one in begun))
        except NoAnswerError:
            self._goes_on = False
            return None
        bare, spaced, *others = [reply.content for reply in replies]
        scores = [
            expected_from_nodes(dict(zip(NODES, (first, *others), strict=True))) for first in (bare, spaced)
        ]  # some tokenisers write the blank with the number, some before it
        return max((one for one in scores if one is not None), key=lambda one: one.mass, default=None)

    async def _explained(self, fleet: Fleet, asked: Sequence[Mapping[str, Any]], scored: Scored) -> Scored:
        """A scored image with the reason that a longer answer gives; its score stays."""
        try:
            reply = await fleet.ask(self.model, asked, self.wishes.tokens)
        except NoAnswerError:
            return scored
        reason = fleet.clients[0].hidden(read_answer(reply.text, reply.finish or "stop").reason)
        tokens = {"tokens_in": reply.tokens_in, "tokens": reply.tokens_out}
        detail = {**scored.detail, **{name: scored.detail.get(name, 0) + value for name, value in tokens.items()}}
        return replace(scored, reason=reason or None, detail=detail)

    async def _answer(self, fleet: Fleet, asked: Sequence[Mapping[str, Any]]) -> Reply:
        """The answer; one that was cut off before its score is asked for once more, and may be longer then."""
        most, long = self._tokens(), self._longer
        reply = await fleet.ask(self.model, asked, most)
        if long or reply.finish != "length" or read_answer(reply.text, "length").problem is None:
            return reply
        try:
            longer = await fleet.ask(self.model, asked, most * MORE_TOKENS)
        except NoAnswerError:  # the server allows no answer as long as that
            return reply
        if read_answer(longer.text, longer.finish or "stop").problem is None:
            self._longer = True  # so the next ones are not cut off
        return replace(
            longer,
            tokens_in=reply.tokens_in + longer.tokens_in,
            tokens_out=reply.tokens_out + longer.tokens_out,
            retries=reply.retries + longer.retries + 1,
        )

    def _question(self, item: Item) -> tuple[Question, list[str]]:
        question = self.showing.question(item)
        return question, [*self._shared, *(self._packed(image) for image in question.own)]

    def _packed(self, image: Any) -> str:
        return data_url(image, self.parameters["encoding"])

    def _scored(
        self,
        client: Client,
        item: Item,
        question: Question,
        reply: Reply,
        exact: ExpectedScore | None,
        seconds: float,
    ) -> Scored:
        self._served = reply.model or self._served
        written = Written(None, "", REFUSED) if reply.refused else read_answer(reply.text, reply.finish or "stop")
        written = self._on_scale(written)
        named = exact or self._named(reply, written)
        expected = named if named is not None and named.mass >= LEAST_MASS else None
        detail = _detail(
            reply, written, expected, "one token at each place" if exact else "top tokens, approximate"
        ) | {
            "raw": client.hidden(reply.text)[:RAW_CHARACTERS],
            "cost": self._cost(reply.tokens_in, reply.tokens_out),
            **question.notes,
        }
        if named is not None and expected is None:
            detail["mass"] = named.mass
        if written.score is None:
            problem = written.problem or "unparsed"
            return Scored.failed(item.image_id, problem, _SENTENCES[problem], seconds, **detail)
        return Scored(
            item.image_id,
            expected.mean if expected else written.score,
            map=question.map,
            reason=client.hidden(written.reason) or None,
            distribution=expected.distribution if expected else None,
            seconds=seconds,
            detail=detail,
        )

    def _tokens(self) -> int:
        return (self.wishes.tokens if self.wishes.reasons == "all" else SHORT_TOKENS) * (
            MORE_TOKENS if self._longer else 1
        )

    def _on_scale(self, written: Written) -> Written:
        """The written score on the scale of 0 to 100."""
        if self.parameters["scale"] == "100" or written.score is None:
            return written
        return replace(written, score=100 * written.score) if written.score <= 1 else Written(None, "", OUT_OF_RANGE)

    def _named(self, reply: Reply, written: Written) -> ExpectedScore | None:
        """What the named tokens expect; nothing where the score is no whole number, of which tokens name a part."""
        whole = written.score is not None and written.score.is_integer() and self.parameters["scale"] == "100"
        return expected_from_top_logprobs(reply.content) if whole else None

    def _cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """In the currency of the prices; None where none was given."""
        price_in, price_out = self.parameters["price_in"], self.parameters["price_out"]
        if price_in is None and price_out is None:
            return None
        return ((price_in or 0.0) * tokens_in + (price_out or 0.0) * tokens_out) / 1e6

    # -- all images -----------------------------------------------------------------------------

    def _wait(self, future: Future[T], context: Context) -> T:
        """The result, or the end of the work within a fraction of a second after a cancel."""
        while True:
            try:
                context.check_cancel()
                return future.result(timeout=LOOK_SECONDS)
            except NotYet:
                if future.done():
                    raise
            except BaseException:
                future.cancel()
                raise

    def _counted(self, scored: Scored) -> Scored:
        """Leave a server that fails image after image alone, in whatever way."""
        counts = self._counts
        if scored.score is not None:
            expected = scored.detail.get("score_from") == "expected"
            counts.scored += 1
            counts.expected += expected
            counts.unlikely += not expected and scored.detail.get("mass") is not None
            counts.highest = max(counts.highest, float(scored.detail.get("written") or 0.0))
            counts.failed_in_a_row = 0
        elif "written" in scored.detail or scored.status in (TIMEOUT, SERVER_ERROR):  # not an image that was never sent
            counts.failed_in_a_row += 1
        if counts.failed_in_a_row >= max(HOPELESS, self.parameters["concurrency"]):
            cure = "When it answers again, resume the run with --retry-failed; what was scored is kept."
            raise WorkError(
                f"The server failed {counts.failed_in_a_row} images in a row; the last time: {scored.reason} "
                f"{_CURES.get(scored.status, cure)}"
            )
        return scored


def _detail(reply: Reply, written: Written, expected: ExpectedScore | None, how: str) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "score_from": "expected" if expected else "written",
        "expected": expected.mean if expected else None,
        "expected_from": how if expected else None,
        "spread": expected.spread if expected else None,
        "mass": expected.mass if expected else None,
        "written": written.score,
        "tokens_in": reply.tokens_in,
        "tokens": reply.tokens_out,
        "finish": reply.finish,
        "model": reply.model,
        "host": reply.host,
        "retries": reply.retries,
    }
    if written.problem:
        detail["written_problem"] = written.problem
    return detail
