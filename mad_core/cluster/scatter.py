"""A run's images scored on a Ray cluster instead of on this machine (``MAD_EXECUTOR=ray``).

The worker stays the only one that talks to the store: it fits (or takes the kept fit), hands the fitted state and
shards of images to actors, and writes results as they stream back. Progress, cancel and resume are therefore what they
are on one machine. A shard whose actor or node is lost is given to another one, but for the images that came back.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mad_core.cluster import connection
from mad_core.cluster.actor import Actor, Plan
from mad_core.errors import UnavailableError, WorkError
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Context, Item, Resources, Scored, Scorer

if TYPE_CHECKING:
    import torch

SHARD = 32
"""Images an actor is given at once; what a lost node costs at most, twice (one shard waits behind the other)."""
AHEAD = 2
LOOK_SECONDS = 0.2
START_SECONDS = 120.0
ALONE, GIVEN_UP = 2, 4
"""Lost actors after which a shard's images are tried one by one, and after which an image counts as failed."""


def scatters(info: ScorerInfo, parameters: Mapping[str, Any]) -> bool:
    """Whether the work is worth a cluster: not where it lies with a server or in stored runs."""
    return info.scatters and not info.parts and info.builds_on(parameters) is None


class ScatteredScorer(Scorer):
    """A scorer that learns here and scores on the cluster.

    Parameters
    ----------
    info : ScorerInfo
    parameters : mapping
        Checked.
    map_side : int
        Longest side of the maps that come back, pixels; 0 for none.
    """

    def __init__(self, info: ScorerInfo, parameters: Mapping[str, Any], map_side: int) -> None:
        super().__init__(**parameters)
        self._info, self._map_side = info, map_side
        self._state: tuple[dict[str, torch.Tensor], dict[str, Any]] | None = None
        self._facts: dict[str, Any] = {}

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        """Learn on this machine; a scorer without a fit gets its model on each actor instead."""
        if not self._info.needs_fit:
            return
        scorer = self._info.create(self.parameters)
        try:
            scorer.fit(normals, context)
            self._state, self._facts = scorer.state(), scorer.facts()
        finally:
            scorer.close()

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        assert self._state is not None
        return self._state

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self._state = dict(tensors), dict(facts)

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        """Results as they come, in no order.

        Raises
        ------
        UnavailableError
            If there is no cluster or it gives no room.
        WorkError
            If a scorer fails on all images.
        """
        resources = context.resources or Resources()
        pool = resources.hold("cluster", lambda: Pool(context.device))
        alone = Context(  # what belongs to this process stays here
            context.subset,
            context.card,
            seed=context.seed,
            weights=context.weights,
            calibration=context.calibration,
            normals=context.normals,
        )
        plan = Plan(self._info.entry, dict(self.parameters), alone, self._state is not None, self._map_side)
        try:
            yield from pool.score(plan, self._state, images, context)
        finally:
            self._facts |= pool.facts
            if context.resources is None:
                resources.close()

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)


@dataclass(eq=False)
class _Shard:
    """Images that still wait for a result, by id, and how many actors were lost over them."""

    items: dict[str, Item]
    lost: int = 0


@dataclass(eq=False)
class _Member:
    """An actor, what it is doing, the oldest first, and since when it is asked to start."""

    handle: Any
    hello: Any
    asked: float
    ready: bool = False
    shards: dict[Any, _Shard] = field(default_factory=dict)


class Pool:
    """The actors of one run: one a GPU of the cluster, or one a processor where none is wanted or there.

    Parameters
    ----------
    device : str
        Of the worker: ``"cpu"`` keeps the cluster's GPUs out of it.

    Raises
    ------
    UnavailableError
        If Ray is not installed or the cluster does not answer.
    """

    def __init__(self, device: str) -> None:
        self.ray = connection.connected()
        self.gpu = device != "cpu" and connection.gpus(self.ray) > 0
        self.size = connection.actors(self.ray, gpu=self.gpu)
        self.members: list[_Member] = []
        self.nodes: set[str] = set()
        self.lost = 0
        self.facts: dict[str, Any] = {}

    def score(self, plan: Plan, state: Any, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        """Results of the images as they come; actors of an earlier subset are used again."""
        kept = self.ray.put((plan, connection.as_arrays(state)))
        todo = deque(
            _Shard({item.image_id: item for item in images[at : at + SHARD]}) for at in range(0, len(images), SHARD)
        )
        for member in self.members:
            member.handle.prepare.remote([kept])
        while len(self.members) < min(self.size, len(todo)):
            self._hire(kept)
        try:
            while todo or any(member.shards for member in self.members):
                context.check_cancel()
                self._give(todo)
                yield from self._collect(todo, kept)
        finally:
            self._leave()
            self.facts |= {"cluster": {"actors": len(self.members), "nodes": len(self.nodes), "lost": self.lost}}

    def close(self) -> None:
        """Let the actors go, and what they hold with them."""
        while self.members:
            self._dismiss(self.members.pop())

    # -- actors ---------------------------------------------------------------------------------

    def _hire(self, kept: Any) -> None:
        amount = {"num_gpus": 1} if self.gpu else {"num_cpus": 1}
        handle = self.ray.remote(Actor).options(max_restarts=0, **amount).remote("cuda:0" if self.gpu else "cpu")
        self.members.append(_Member(handle, handle.hello.remote(), time.monotonic()))
        handle.prepare.remote([kept])

    def _dismiss(self, member: _Member) -> None:
        self.ray.kill(member.handle)

    def _leave(self) -> None:
        """Take the work away from actors that are still at it; these are not asked to stop, they are let go."""
        for member in [m for m in self.members if m.shards]:
            self.members.remove(member)
            self._dismiss(member)

    def _lose(self, member: _Member, error: Exception, todo: deque[_Shard], kept: Any) -> Iterator[Scored]:
        """What a lost actor had not given back is done again, first of all; another actor takes its place.

        Raises
        ------
        WorkError
            If actors die before any of them gave a result, or over and over.
        """
        self.lost += 1
        if self.lost > 3 * self.size + 20 or (self.lost > 2 * self.size and not self.facts):
            reason = str(error).strip().splitlines()[0]
            raise WorkError(f"The cluster lost {self.lost} processes of this run; the last one: {reason}")
        self.members.remove(member)
        self._hire(kept)
        for place, shard in enumerate(reversed(member.shards.values())):
            if place == len(member.shards) - 1:  # the oldest was being worked on
                shard.lost += 1
                yield from _given_up(shard)
            todo.extendleft(reversed(_smaller(shard)))

    # -- work -----------------------------------------------------------------------------------

    def _give(self, todo: deque[_Shard]) -> None:
        """Keep each actor busy: a shard at work and the next one waiting."""
        for member in sorted(self.members, key=lambda m: len(m.shards)):
            while member.ready and todo and len(member.shards) < AHEAD:
                shard = todo.popleft()
                call = member.handle.score.options(num_returns="streaming")
                member.shards[call.remote(list(shard.items.values()))] = shard

    def _collect(self, todo: deque[_Shard], kept: Any) -> Iterator[Scored]:
        """What came back within a moment."""
        waiting = {stream: member for member in self.members for stream in member.shards}
        starting = {member.hello: member for member in self.members if not member.ready}
        ready, _ = self.ray.wait([*waiting, *starting], num_returns=1, timeout=LOOK_SECONDS)
        if not ready and starting and not any(m.ready for m in self.members):
            self._look_at_start(starting)
        for one in ready:
            if one in starting:
                yield from self._welcome(starting[one], todo, kept)
            else:
                yield from self._take(waiting[one], one, todo, kept)

    def _welcome(self, member: _Member, todo: deque[_Shard], kept: Any) -> Iterator[Scored]:
        from ray.exceptions import RayActorError

        try:
            self.nodes.add(self.ray.get(member.hello))
            member.ready = True
        except RayActorError as error:
            yield from self._lose(member, error, todo, kept)

    def _take(self, member: _Member, stream: Any, todo: deque[_Shard], kept: Any) -> Iterator[Scored]:
        from ray.exceptions import RayActorError, RayTaskError

        shard = member.shards[stream]
        try:
            results, facts = self.ray.get(next(stream))
        except StopIteration:
            del member.shards[stream]
            return
        except RayActorError as error:
            yield from self._lose(member, error, todo, kept)
            return
        except RayTaskError as error:
            raise _as_here(error) from None
        self.facts |= facts
        for scored in results:
            if shard.items.pop(scored.image_id, None) is not None:
                yield scored

    def _look_at_start(self, starting: Mapping[Any, _Member]) -> None:
        if time.monotonic() - max(m.asked for m in starting.values()) > START_SECONDS:
            kind = "GPU" if self.gpu else "processor"
            raise UnavailableError(
                f"The Ray cluster gave no actor a free {kind} in {START_SECONDS:.0f} s; free one and resume the run."
            )


def _smaller(shard: _Shard) -> list[_Shard]:
    """What is left of a shard; image by image where it was lost so often that one of them may be the reason."""
    if not shard.items:
        return []
    if shard.lost < ALONE:
        return [shard]
    return [_Shard({image_id: item}, shard.lost) for image_id, item in shard.items.items()]


def _given_up(shard: _Shard) -> Iterator[Scored]:
    """The one image over which actor after actor was lost, as a failed one."""
    if len(shard.items) == 1 and shard.lost >= GIVEN_UP:
        image_id, _ = shard.items.popitem()
        yield Scored.failed(image_id, "worker-lost", f"{GIVEN_UP} processes of the cluster ended over this image.")


def _as_here(error: Any) -> Exception:
    """What a scorer raised on the cluster, as it would have been raised here."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, Exception) else WorkError(str(error).strip().splitlines()[-1])
