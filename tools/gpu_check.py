"""What a machine with a graphics card does, in at most eight minutes and without a network.

    python -m tools.gpu_check [--device cuda:0] [--seconds 480] [--only families,shapes,memory,detectors] [--tiny]

Runs on CUDA what else runs on the CPU alone: tiny models of every family in 4 bit and bfloat16, each compared with
itself one picture at a time; models of the proportions of Qwen3-VL-4B and 8B with random weights made on the spot, for
pictures a second, memory, and what happens when memory runs out; PatchCore and the learner. What there is no time for
is left out by name. Prints one table to paste into docs/scale.md. ``--tiny`` is the same at toy size, for any machine.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image

from mad_core.errors import MadError
from mad_core.scorers.contract import Context, Item, Resources
from mad_core.scorers.multimodal import local
from mad_core.scorers.multimodal.asking import Asker
from mad_core.scorers.multimodal.loading import LoadedModel, load
from mad_core.scorers.multimodal.readout import expected_score
from tests.benchmarks.mllm import REFERENCES, TOKENS, fitted, pictures, plain, shaped
from tests.engine import tiny_families
from tests.engine.tiny_families import questions

SECONDS = 480.0
PARTS = ("families", "shapes", "memory", "detectors")
PRECISIONS = ("bf16", "4bit")
POINTS = 0.5
"""Points of 100 by which a picture in a batch may differ from itself alone."""
SHAPES = {"Qwen3-VL-4B": 1.0, "Qwen3-VL-8B": 1.6}
"""Width in terms of the smaller one's."""
TINY = 64
"""Side of a picture at toy size, pixels."""
WORST = 0.05
"""Share of the pictures that get a reason where only the worst do."""


@dataclass(frozen=True)
class Line:
    """A line of the table: what was done, with which result, and how long it took."""

    what: str
    result: str
    seconds: float

    def __str__(self) -> str:
        return f"| {self.what} | {self.result} | {self.seconds:.1f} |"


class Clock:
    """The time that is left."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return self._end - time.monotonic()


def lines_of(name: str, work: Callable[[], str]) -> Line:
    """Do a piece of work and say what came of it; an error is a line too."""
    started = time.perf_counter()
    try:
        result = work()
    except (MadError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        result = f"**failed**: {(str(error).strip().splitlines() or [type(error).__name__])[0][:160]}"
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return Line(name, result, time.perf_counter() - started)


# -- tiny families ------------------------------------------------------------------------------


def families(device: str, clock: Clock, tiny: bool) -> Iterator[Line]:
    """Every family in every precision: two pictures in a batch against each alone."""
    chosen = list(tiny_families.FAMILIES)[: 2 if tiny else None]
    with tempfile.TemporaryDirectory() as name:
        for family in chosen:
            if clock.left < 0:
                yield Line(f"family {family}", "left out: no time", 0.0)
                continue
            folder = tiny_families.make(family, Path(name) / family)
            for precision in PRECISIONS:
                yield lines_of(f"family {family}, {precision}", partial(_agreement, folder, precision, device))


def _agreement(folder: Path, precision: str, device: str) -> str:
    asker = Asker(load(str(folder), precision, device))
    asked = questions()
    together = [
        row for _, state in asker.begin(asked, asker.cues.score) for row in asker.score_log_probabilities(state)
    ]
    alone = [asker.score_log_probabilities(asker.begin([one], asker.cues.score)[0][1])[0] for one in asked]
    gaps = [abs(expected_score(a).mean - expected_score(b).mean) for a, b in zip(together, alone, strict=True)]
    moved = float(np.abs(together[0] - together[1]).max())
    fine = "ok" if max(gaps) < POINTS and moved > 1e-3 else "**differs**"
    return f"{fine}: {asker.way}; {max(gaps):.2g} points from each alone"


# -- proportions of published models ------------------------------------------------------------


def shapes(device: str, clock: Clock, tiny: bool) -> Iterator[Line]:
    """Pictures a second and memory, by what is asked for."""
    for name, width in SHAPES.items():
        if clock.left < (0 if tiny else 60):
            yield Line(name, "left out: no time", 0.0)
            continue
        with _ready(name, width, device, tiny) as (loaded, context, items):
            count, timed = len(items), partial(_throughput, loaded, context)
            ways: dict[str, Callable[[], str]] = {
                "score only": partial(timed, items, reasons="none"),
                "reasons of the worst": partial(timed, items, reasons="worst", worst=max(1, round(WORST * count))),
                "all reasons": partial(timed, items[: max(2, count // 2)], reasons="all"),
                "plain generate": partial(_plainly, loaded, context, items[: max(2, count // 16)]),
            }
            for title, work in ways.items():
                yield lines_of(f"{name}, random weights, bf16: {title}", work)


@contextmanager
def _ready(name: str, width: float, device: str, tiny: bool) -> Iterator[tuple[LoadedModel, Context, list[Item]]]:
    with tempfile.TemporaryDirectory() as folder, patch.object(local, "LEAST_MASS", 0.0):  # random ones name no number
        loaded = shaped(width / 16, Path(folder), device, TINY) if tiny else shaped(width, Path(folder), device)
        items = pictures(Path(folder), (2 if tiny else 128) + REFERENCES)
        context = Context(subset=name, device=device, normals=items[:REFERENCES])
        try:
            yield loaded, context, items[REFERENCES:]
        finally:
            loaded.close()


def _held(loaded: LoadedModel, context: Context) -> Context:
    resources = Resources()
    resources.hold(("mllm", str(loaded.folder), loaded.quantisation, context.device), lambda: loaded)
    return Context(**{**context.__dict__, "resources": resources})


def _throughput(loaded: LoadedModel, context: Context, items: Sequence[Item], **parameters: Any) -> str:
    scorer = fitted(loaded, _held(loaded, context), references=REFERENCES, view="no", **parameters)
    first = list(scorer.score(items[:2], context))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    asker = scorer._asker
    assert asker is not None
    before, started = asker.effort.to_json(), time.perf_counter()
    scored = list(scorer.score(items, context))
    seconds = time.perf_counter() - started
    failed = sum(one.score is None for one in [*first, *scored])
    effort = {name: (value - before[name]) / len(items) for name, value in asker.effort.to_json().items()}
    return (
        f"{len(items) / seconds:.2f} pictures/s, batch {scorer.batch}, peak {_peak():.1f} GB, a picture "
        f"{effort['passes']:.2f} passes, {effort['tokens']:.0f} tokens, {effort['copied_bytes'] / 1e6:.1f} MB copied"
        + (f", **{failed} failed**" if failed else "")
    )


def _plainly(loaded: LoadedModel, context: Context, items: Sequence[Item]) -> str:
    scorer = fitted(loaded, _held(loaded, context), references=REFERENCES, view="no", reasons="none")
    asked = [scorer.showing.question(item) for item in items]
    plain(loaded, asked[:1])
    started = time.perf_counter()
    plain(loaded, asked)
    return f"{len(items) / (time.perf_counter() - started):.2f} pictures/s, {TOKENS} tokens of answer"


def _peak() -> float:
    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0


# -- memory that runs out -----------------------------------------------------------------------


def memory(device: str, clock: Clock, tiny: bool) -> Iterator[Line]:
    """A batch that is too large for what the card has left: it is halved, and no picture is lost."""
    if clock.left < (0 if tiny else 40):
        yield Line("memory runs out", "left out: no time", 0.0)
        return
    name, width = next(iter(SHAPES.items()))
    with _ready(name, width, device, tiny) as (loaded, context, items):
        yield lines_of(f"{name}: memory runs out", partial(_short_of_memory, loaded, context, items))


def _short_of_memory(loaded: LoadedModel, context: Context, items: Sequence[Item]) -> str:
    scorer = fitted(loaded, _held(loaded, context), references=REFERENCES, view="no", reasons="none", batch=len(items))
    list(scorer.score(items[:1], context))
    asker = scorer._asker
    assert asker is not None
    with _little_memory(asker, context.device):
        scored = list(scorer.score(items, context))
    done = sum(one.score is not None for one in scored)
    return f"{done} of {len(items)} scored, batch {len(items)} became {scorer.batch}"


@contextmanager
def _little_memory(asker: Asker, device: str) -> Iterator[None]:
    """On a card as little as a few rows take beyond what is held; elsewhere an error at more than one row."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(device).total_memory
        allowed = torch.cuda.memory_reserved(device) + 40 * asker.row_bytes
        torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total), device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, device)
        return
    start = asker.start

    def of_one(batches: Any, forced: Sequence[int] = ()) -> Any:
        if sum(len(one.rows) for one in batches) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return start(batches, forced)

    with patch.object(asker, "start", of_one):
        yield


# -- detectors and the learner ------------------------------------------------------------------


def detectors(device: str, clock: Clock, tiny: bool) -> Iterator[Line]:
    """PatchCore and the learner on drawn pictures of three levels."""
    if clock.left < 0:
        yield Line("detectors", "left out: no time", 0.0)
        return
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, {"MAD_HOME": f"{name}/home"}):
        folder = _drawn(Path(name) / "parts", normals=4 if tiny else 200, each=6 if tiny else 40)
        for scorer, more in (("patchcore", {"size": 64} if tiny else {}), ("graded", {"calibrate": 2 if tiny else 8})):
            yield lines_of(f"{scorer} on drawn pictures", partial(_scored, folder, scorer, device, more))


def _scored(folder: Path, scorer: str, device: str, more: dict[str, Any]) -> str:
    import mad_core as mad

    started = time.perf_counter()
    run = mad.score(folder, scorer, device=device, **more)
    seconds = time.perf_counter() - started
    failed = int(np.isnan(run.table["score"].to_numpy(float)).sum())
    tau = run.metrics(draws=10)["kendall_tau_b"]
    return f"{len(run.table)} pictures in {seconds:.1f} s, {failed} failed, tau {tau:.2f}"


def _drawn(folder: Path, normals: int, each: int) -> Path:
    """Pictures of grain with a bright spot, the larger the more severe."""
    rng = np.random.default_rng(0)
    for split, level, count in (
        ("train/good", 0, normals),
        ("test/good", 0, each),
        ("test/level_1", 1, each),
        ("test/level_2", 2, each),
    ):
        place = folder / "part" / split
        place.mkdir(parents=True)
        for number in range(count):
            picture = rng.normal(120, 12, (128, 128, 3))
            row, column = rng.integers(20, 90, 2)
            picture[row : row + 10 * level, column : column + 10 * level] += 60
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(place / f"{number:03d}.png")
    return folder


# -- the table ----------------------------------------------------------------------------------


def machine(device: str) -> str:
    """The card, or that there is none, and the versions."""
    versions = f"torch {torch.__version__}"
    if not device.startswith("cuda"):
        return f"no graphics card, {os.cpu_count()} cores; {versions}"
    card = torch.cuda.get_device_properties(device)
    return f"{card.name}, {card.total_memory / 2**30:.0f} GiB; {versions}, CUDA {torch.version.cuda}"


def table(device: str, lines: Sequence[Line]) -> str:
    return "\n".join([f"{machine(device)}:", "", "| What | Result | Seconds |", "|---|---|---|", *map(str, lines)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time after which nothing new is begun")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    parser.add_argument("--tiny", action="store_true", help="at toy size")
    given = parser.parse_args(arguments)
    chosen = [part for part in given.only.split(",") if part]
    if unknown := [part for part in chosen if part not in PARTS]:
        parser.error(f"there is no part '{unknown[0]}'; there are {', '.join(PARTS)}")
    warnings.filterwarnings("ignore")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    clock, lines = Clock(given.seconds), []
    works = {"families": families, "shapes": shapes, "memory": memory, "detectors": detectors}
    for part in sorted(chosen, key=("shapes", "memory", "detectors", "families").index):
        for line in works[part](given.device, clock, given.tiny):
            print(line, file=sys.stderr, flush=True)
            lines.append(line)
    print(table(given.device, lines))


if __name__ == "__main__":
    main()
