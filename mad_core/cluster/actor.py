"""What runs on the machines of a cluster: a process with one scorer, whose model is loaded once."""

import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mad_core.machine.python_process import let_threads_sleep
from mad_core.map_files import shrink
from mad_core.scorers.catalog import build
from mad_core.scorers.contract import Context, Item, Resources, Scored, Scorer

BATCH_SECONDS = 0.25
"""Results go back at least so often."""


@dataclass(frozen=True)
class Plan:
    """How a subset is scored.

    Parameters
    ----------
    entry : str
        ``"module:Class"`` of the scorer.
    parameters : mapping
    context : Context
        Without what only the worker's process has; the device is the actor's own.
    learned : bool
        Whether a fitted state comes with it.
    map_side : int
        Longest side of maps, pixels; 0 for none.
    """

    entry: str
    parameters: dict[str, Any]
    context: Context
    learned: bool
    map_side: int


class Actor:
    """A scorer in a process of its own.

    Parameters
    ----------
    device : str
        As this process sees it: Ray shows an actor its own GPU only.
    """

    def __init__(self, device: str) -> None:
        let_threads_sleep()
        self.device = device
        self._resources = Resources()
        self._scorer: Scorer | None = None
        self._kept: list[Any] = []

    def hello(self) -> str:
        """The machine this runs on."""
        return socket.gethostname()

    def prepare(self, kept: list[Any]) -> None:
        """Take what is needed for a subset: one reference to (plan, fitted state), in a list so that it stays one.

        The scorer itself is made with the first images, where a failure has somebody who hears of it.
        """
        self._close()
        self._kept = kept

    def score(self, images: Sequence[Item]) -> Iterator[tuple[list[Scored], dict[str, Any]]]:
        """Results in small batches, each with the facts of the scorer."""
        scorer = self._scorer or self._made()
        batch: list[Scored] = []
        sent = time.monotonic()
        for scored in scorer.score(images, self._context):
            batch.append(self._small(scored))
            if time.monotonic() - sent > BATCH_SECONDS:
                yield batch, scorer.facts()
                batch, sent = [], time.monotonic()
        yield batch, scorer.facts()

    def _made(self) -> Scorer:
        import ray

        from mad_core.cluster.connection import as_tensors

        plan, state = ray.get(self._kept[0])
        scorer = build(plan.entry, plan.parameters)
        self._context = replace(plan.context, device=self.device, resources=self._resources)
        self._side = plan.map_side
        if plan.learned:
            tensors, facts = as_tensors(state)
            scorer.restore(tensors, facts, self._context)
        else:
            scorer.fit([], self._context)
        self._scorer = scorer
        return scorer

    def _small(self, scored: Scored) -> Scored:
        """A result as it travels: its map no larger than it will be kept."""
        if scored.map is None:
            return scored
        return replace(scored, map=shrink(scored.map, self._side) if self._side else None)

    def _close(self) -> None:
        if self._scorer is not None:
            self._scorer.close()
        self._scorer = None
