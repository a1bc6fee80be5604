"""Send bad input to a door, case by case, and see that each ends as it should.

    python -m tests.hard.attack images=1000 tables=200 --seed 7

runs in a process of its own whose memory is bounded, and prints a JSON line for each door. A case ends well with a
valid result, or with an error of ours whose sentence says which file and why; within ``SECONDS`` of CPU time; and
without writing outside its folder, talking to a network or starting a program.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mad_core.errors import MadError

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 10.0
"""CPU time that one case may take."""
LONGEST = 1500
"""Characters of a sentence, at most."""
MODULES = ("doors_images", "doors_data", "doors_texts", "doors_weights")
FAULTS_KEPT = 25


@dataclass(frozen=True)
class Door:
    """One way by which something foreign comes in.

    Parameters
    ----------
    name : str
    cases : callable
        Gives so many cases, each with a label that tells them apart, from a random generator.
    enter : callable
        Takes a case in an empty folder; True if it was taken, False if it was refused with a sentence.
    megabytes : int
        By how much the process may grow.
    """

    name: str
    cases: Callable[[random.Random, int], Iterator[tuple[str, Any]]]
    enter: Callable[[Any, Path], bool]
    megabytes: int = 600


@dataclass
class Tally:
    """What became of the cases of one door."""

    door: str
    cases: int = 0
    taken: int = 0
    refused: int = 0
    slowest: float = 0.0
    slowest_case: str = ""
    grown_megabytes: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class FaultError(AssertionError):
    """A case ended as it must not."""


class OvertimeError(BaseException):
    """A case took too long; no handler of errors may swallow this."""


def refusal(error: MadError, *names: str) -> bool:
    """False, where a sentence of ours says enough: ends like one, is printable, bounded, and names what it is about."""
    said = str(error)
    if not said.strip() or said.rstrip()[-1] not in ".!?)":
        raise FaultError(f"no sentence: {said[:200]!r}")
    if len(said) > LONGEST:
        raise FaultError(f"a sentence of {len(said)} characters: {said[:200]!r}")
    if "Traceback" in said or "object at 0x" in said:
        raise FaultError(f"a sentence for programmers: {said[:200]!r}")
    try:
        said.encode()
    except UnicodeEncodeError:
        raise FaultError(f"a sentence that cannot be written down: {said[:200]!r}") from None
    if names and not any(name in said for name in names):
        raise FaultError(f"a sentence that names none of {names}: {said[:200]!r}")
    return False


def expect(holds: bool, what: str) -> None:
    """A property of what was taken."""
    if not holds:
        raise FaultError(what)


def attack(door: Door, count: int, seed: int, folder: Path) -> Tally:
    """Send ``count`` cases to a door."""
    tally, rng = Tally(door.name), random.Random(f"{seed} {door.name}")
    before, started = _peak(), time.monotonic()
    for label, case in door.cases(rng, count):
        own = Path(tempfile.mkdtemp(dir=folder))
        begun = time.process_time()
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            _writable[:] = [str(own)]
            taken = door.enter(case, own)
            tally.taken, tally.refused = tally.taken + taken, tally.refused + (not taken)
            if _trespasses:
                raise FaultError(f"reached outside: {_trespasses}")
        except OvertimeError:
            tally.faults.append(f"{label}: more than {SECONDS:.0f} s of CPU time")
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-3:]
            where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(last))
            tally.faults.append(f"{label}: {type(error).__name__}: {str(error)[:300]} ({where})")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            _writable[:] = [str(folder)]
            _trespasses.clear()
        spent = time.process_time() - begun
        if spent > tally.slowest:
            tally.slowest, tally.slowest_case = spent, label
        tally.cases += 1
        _remove(own)
    tally.grown_megabytes = int(_peak() - before)
    tally.seconds = time.monotonic() - started
    if tally.grown_megabytes > door.megabytes:
        tally.faults.append(f"the process grew by {tally.grown_megabytes} MB")
    return tally


def run(counts: Mapping[str, int], seed: int, timeout: float = 840) -> list[Tally]:
    """Attack doors, so many cases each, in a process of its own; a crash of it is a fault of the door it was at."""
    names = [f"{name}={count}" for name, count in counts.items()]
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.hard.attack", *names, "--seed", str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout)
    tallies = [Tally(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0:
        missing = [name for name in counts if name not in {tally.door for tally in tallies}]
        said = done.stderr.strip()[-2000:]
        tallies.append(
            Tally(
                missing[0] if missing else next(iter(counts)),
                faults=[f"the process ended with {done.returncode}: {said}"],
            )
        )
    return tallies


def report(tallies: Sequence[Tally]) -> str:
    """A line a door: how many cases, what became of them, the slowest one, and every fault."""
    lines = []
    for t in tallies:
        facts = f"{t.cases} cases, {t.taken} taken, {t.refused} refused, {len(t.faults)} faults"
        lines.append(f"{t.door}: {facts}; slowest {t.slowest:.2f} s; grew by {t.grown_megabytes} MB")
        lines += [f"  {fault}" for fault in t.faults]
    return "\n".join(lines)


def doors(with_torch: bool = True) -> dict[str, Door]:
    """Every door by its name; torch is only imported for the doors that need it."""
    found: dict[str, Door] = {}
    for module in MODULES if with_torch else MODULES[:-1]:
        found |= {door.name: door for door in importlib.import_module(f"tests.hard.{module}").DOORS}
    return found


# -- the process ----------------------------------------------------------------------------------

_writable: list[str] = []
_trespasses: list[str] = []
_CHANGES = {
    "os.mkdir": 0,
    "os.rename": 1,
    "os.link": 1,
    "os.symlink": 1,
    "os.remove": 0,
    "os.rmdir": 0,
    "os.truncate": 0,
}
_NEVER = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "pickle.find_class")


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: what is written must lie in the case's folder; networks and programs stay away."""
    if not _writable:
        return
    if event == "socket.connect" and str(arguments[1]).startswith("('127.0.0.1'"):
        return
    if event in _NEVER and not (
        event == "subprocess.Popen" and arguments[0] == "uname"
    ):  # Python's own platform module
        _trespasses.append(f"{event} {str(arguments)[:200]}")
    elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        mode, flags = arguments[1], arguments[2]
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (
            isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        ):
            _see(event, arguments[0])
    elif event in ("os.remove", "os.rmdir") and arguments[1] != -1:
        return  # below an open folder, as shutil.rmtree does it
    elif event in _CHANGES and isinstance(arguments[_CHANGES[event]], str | bytes | os.PathLike):
        _see(event, arguments[_CHANGES[event]])


def _see(event: str, path: Any) -> None:
    place = os.path.abspath(os.fsdecode(path))
    if place != os.devnull and not any(place == top or place.startswith(top + os.sep) for top in _writable):
        _trespasses.append(f"{event} {place[:200]}")


def _peak() -> float:
    """Megabytes the process has held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _remove(folder: Path) -> None:
    """Remove a case's folder, whatever names and rights it holds."""
    for place, folders, files in os.walk(os.fsencode(folder), topdown=False):
        for name in files:
            os.unlink(os.path.join(place, name))
        for name in folders:
            path = os.path.join(place, name)
            os.unlink(path) if os.path.islink(path) else os.rmdir(path)
    os.rmdir(folder)


def _overtime(signum: int, frame: Any) -> None:
    raise OvertimeError


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("doors", nargs="*")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    every = doors(with_torch=not wanted.doors or any("weights" in d or "models" in d for d in wanted.doors))
    signal.signal(signal.SIGPROF, _overtime)
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    sys.dont_write_bytecode = True  # a module that is imported first within a case would leave its own
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        tempfile.tempdir = folder
        sys.addaudithook(_watch)
        for text in wanted.doors or every:
            name, _, cases = text.partition("=")
            tally = attack(every[name], int(cases or 200), wanted.seed, Path(folder))
            tally.faults = [
                *tally.faults[:FAULTS_KEPT],
                *([f"and {len(tally.faults) - FAULTS_KEPT} more"] if len(tally.faults) > FAULTS_KEPT else []),
            ]
            print(json.dumps(asdict(tally)), flush=True)
        _writable.clear()


if __name__ == "__main__":
    main()
