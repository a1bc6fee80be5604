"""Every scorer on real pictures and on the demo, in one table.

``python -m tools.eyes.figures --data FOLDER --kept FOLDER [--scorers a,b] [--sets x,y] [--minutes 60] [--write]``: all
scorers that run without the network unless some are named. Of each set the half that was looked at while the default
detector was chosen, and the half that was not (:mod:`tools.eyes.halves`); of the demo all. ``FOLDER`` holds
``coffee_leaves`` and ``magnetic_tile``; the solar cells are those of the package. Each scorer runs on each set in a
process and a store of its own, so seconds are from cold, reading of the data set left out: those of the processor,
which other work on the machine does not lengthen.

What was measured is kept in ``--kept``, a file for each scorer and set, until the scorer's code changes: a command that
was stopped, or that ``--minutes`` ended, goes on where it was, and prints what there is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import mad_core as mad
from mad_core.datasets import solar_cells
from mad_core.scorers import catalog
from tools.eyes.halves import HELD_OUT, TUNING, half_of
from tools.marked import put_between

DEMO = "demo"
SETS: Mapping[str, tuple[str, str]] = {
    "leaves": ("coffee_leaves", ""),
    "tiles": ("magnetic_tile", ""),
    "cells mono": (solar_cells.SOURCE, "mono"),
    "cells poly": (solar_cells.SOURCE, "poly"),
    "plate": (DEMO, "plate"),
    "fundus": (DEMO, "fundus"),
    "novelty": (DEMO, "novelty"),
}
"""Of each set the folder or word it is read from, and its subset."""
NOT_ALONE = frozenset({"endpoint", "probe"})
"""Scorers that are no detectors of these pictures: a server's, and one taught on the demo's kind."""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "scorers.md"
OPEN, CLOSE = "<!-- eyes -->", "<!-- /eyes -->"


def offline() -> list[str]:
    """Every scorer that runs on this machine as it is, by itself."""
    alone = (info for info in catalog.scorers() if not info.parts and info.id not in NOT_ALONE and not info.package)
    return [info.id for info in alone if info.why_not(info.defaults()) is None]


def measured(scorer: str, name: str, data: Path) -> dict[str, Any]:
    """Figures of one scorer on one set, from this process, which is to do nothing else."""
    source, subset = SETS[name]
    scorer_id, *further = scorer.split(":")
    parameters: dict[str, Any] = dict(text.split("=", 1) for text in further)
    loaded = mad.load(source if source in (DEMO, solar_cells.SOURCE) else data / source)
    started = time.process_time()
    run = mad.score(loaded, scorer_id, subsets=[subset] if subset else (), **parameters)
    seconds, table = time.process_time() - started, run.table
    files: dict[Any, Any] = loaded.dataset.table.set_index("image_id")["path"].to_dict()
    halves = table["image_id"].map(lambda image_id: DEMO if source == DEMO else half_of(Path(files[image_id])))
    return {
        "scorer": scorer,
        "set": name,
        "parts": {str(half): _figures(part) for half, part in table.groupby(halves)},
        "seconds": seconds,
        "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _figures(part: pd.DataFrame) -> dict[str, Any]:
    whole = mad.evaluate(part["level"], part["score"])
    abnormal = part[part["level"] > 0]
    order = mad.evaluate(abnormal["level"], abnormal["score"])
    return {
        "n": len(part),
        "auroc": (whole["auroc"]["whole"], whole["intervals"]["auroc_whole"]),
        "order": (order["c_index"], order["intervals"]["c_index"]),
    }


def kept_file(kept: Path, scorer: str, name: str) -> Path:
    """Where the figures of a scorer and set are kept; another one when the scorer's code or parameters change."""
    code = catalog.scorer(scorer.partition(":")[0]).code
    digest = hashlib.blake2b(f"{scorer}\0{name}\0{code}".encode(), digest_size=6).hexdigest()
    return kept / f"{scorer.partition(':')[0]} {name} {digest}.json"


def cell(scorer: str, name: str, data: Path, kept: Path, *, may_measure: bool = True) -> dict[str, Any] | None:
    """The figures of a scorer and set, those that are kept if there are any; None where there are none."""
    file = kept_file(kept, scorer, name)
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    measured = in_own_process(scorer, name, data) if may_measure else None
    if measured is not None:
        building = file.with_suffix(".part")
        building.write_text(json.dumps(measured), encoding="utf-8")
        building.replace(file)
    return measured


def in_own_process(scorer: str, name: str, data: Path) -> dict[str, Any] | None:
    """What :func:`measured` gives, from a process with an empty store; None where it failed."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", __spec__.name, "--data", str(data), "--one", scorer, name]
        done = subprocess.run(command, env={**os.environ, "MAD_HOME": home}, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        sys.stderr.write(f"{scorer} on {name}: {last}\n")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def lines(measured: list[dict[str, Any]]) -> list[str]:
    """The table in Markdown."""
    head = "| set | pictures | scorer | AUROC | C-index, abnormal only | CPU s | MB |"
    rows = [head, "|---|---|---|---|---|---|---|"]
    for name in SETS:
        for half in (TUNING, HELD_OUT, DEMO):
            for one in (one for one in measured if one["set"] == name and half in one["parts"]):
                part = one["parts"][half]
                place = f"{name}, {half}" if half != DEMO else name
                cost = f"{one['seconds']:.0f} | {one['megabytes']}"
                figures = f"{_text(part['auroc'])} | {_text(part['order'])}"
                rows.append(f"| {place} | {part['n']} | `{one['scorer']}` | {figures} | {cost} |")
    return rows


def _text(estimate: tuple[float | None, list[float] | None]) -> str:
    value, interval = estimate
    if value is None:
        return "–"
    return f"{value:.3f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _write(rows: list[str]) -> None:
    """Put the table into the page of scorers."""
    put_between(PAGE, OPEN, CLOSE, "\n".join(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with coffee_leaves and magnetic_tile")
    parser.add_argument("--kept", type=Path, help="folder in which what was measured is kept")
    parser.add_argument("--scorers", help="ids, with :name=value for parameters; all that run offline by default")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="nothing new is begun after so long")
    parser.add_argument("--write", action="store_true", help="into docs/scorers.md")
    parser.add_argument("--one", nargs=2, metavar=("SCORER", "SET"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        scorer, name = chosen.one
        sys.stdout.write(json.dumps(measured(scorer, name, chosen.data)) + "\n")
        return
    ends = time.monotonic() + 60 * chosen.minutes
    scorers = chosen.scorers.split(",") if chosen.scorers else offline()
    with tempfile.TemporaryDirectory() as nowhere:
        kept = chosen.kept or Path(nowhere)
        kept.mkdir(parents=True, exist_ok=True)
        pairs = [(scorer, name) for name in chosen.sets.split(",") for scorer in scorers]
        cells = [cell(*pair, chosen.data, kept, may_measure=time.monotonic() < ends) for pair in pairs]
    done = [one for one in cells if one is not None]
    rows = lines(done)
    sys.stdout.write("\n".join(rows) + f"\n{len(done)} of {len(pairs)} measured\n")
    if chosen.write:
        left = len(pairs) - len(done)
        _write(rows + ["", f"{left} of {len(pairs)} pairs of a scorer and a set are not measured yet."] * bool(left))


if __name__ == "__main__":
    main()
