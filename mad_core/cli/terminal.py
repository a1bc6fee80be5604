"""What the commands share: their options, printing, progress on standard error, names checked before any work."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.errors import InputError, NotFoundError
from mad_core.paths import private_files
from mad_core.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Source = Annotated[
    str,
    typer.Argument(metavar="PATH", help="A folder, a table, an archive, s3://bucket/folder, or the word demo."),
]
Unlabelled = Annotated[
    bool, typer.Option("--unlabelled", help="Test images of which nothing says the level without one.")
]
NormalsFrom = Annotated[
    str,
    typer.Option(
        metavar="typical|all|N",
        help="Where no image is known to be normal, learn from the images themselves: the half of some hundred that "
        "departs least, all, or N drawn ones. None is scored by a fit that has seen it.",
    ),
]
Policy = Annotated[Path | None, typer.Option(help="A severity policy: YAML, defect type to level.")]
PlanFile = Annotated[
    Path | None,
    typer.Option("--plan", help="A plan of the import, as `check --write-plan` writes one."),
]
Windows = Annotated[
    list[str] | None,
    typer.Option(
        "--window",
        help="Through which pictures are seen: low:high, low:high:gamma, a preset of CT such as lung, used, full; of "
        "one subset NAME=low:high. May be given again.",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        help="A mask of what counts for nothing (a clamp, a date stamp), left out of fits, scores, maps and areas; of "
        "one subset NAME=mask.png. May be given again.",
    ),
]
Pages = Annotated[
    str,
    typer.Option("--pages", help="Of files with several pages or frames: first, each, or a page's number; else first."),
]
GroupFromName = Annotated[
    str,
    typer.Option(
        "--group-from-name",
        help="Which part of a file's name is its group (patient, part): before-underscore, before-last-underscore, "
        "before-dash, before-last-dash, first-number, before-last-number, or a pattern such as ^([^_]+)_.",
    ),
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id, as `runs` lists it.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda:n.")]
Parameters = Annotated[list[str] | None, typer.Option(help="A parameter, name=value; may be given again.")]
Calibrate = Annotated[
    int | None,
    typer.Option(min=1, help="Set so many test images a level and subset aside for calibration, outside metrics."),
]
Draws = Annotated[
    int, typer.Option(min=0, max=100_000, help="0 leaves the intervals out; where one needs draws, how many.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of everything that is drawn.")]


_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, but for tab and line feed."""


def print_answer(data: Any, as_json: bool, lines: Callable[[], Iterable[str]]) -> None:
    if as_json:
        typer.echo(json.dumps(data, indent=1, allow_nan=False))
    else:
        for line in lines():
            typer.echo(harmless(line))


def harmless(text: str) -> str:
    """A text from somebody's file, without what a terminal would obey."""
    return _OBEYED.sub("\ufffd", text)


def open_store() -> Any:
    from mad_core.runs.store import Store

    return Store(Settings.from_environment())


@contextlib.contextmanager
def working() -> Iterator[Progress]:
    """Long work: its progress on standard error, and there too whatever libraries print."""
    progress = Progress()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield progress
        finally:
            progress.end()


@contextlib.contextmanager
def storing() -> Iterator[Progress]:
    """As :func:`working`, of what goes into the store's folder, where files are for their owner alone."""
    with private_files(), working() as progress:
        yield progress


class Progress:
    """One line on standard error: rewritten in place on a terminal, now and then elsewhere."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.last, self.text = time.monotonic(), ""  # what is done at once reports nothing

    def __call__(self, text: str) -> None:
        wait = 0.1 if self.terminal else 5.0
        if text == self.text or time.monotonic() - self.last < wait:
            return
        self.last, self.text = time.monotonic(), text
        typer.echo(f"\r\033[K{text}" if self.terminal else text, err=True, nl=not self.terminal)

    def counted(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self(f"{what} {done}/{total}" if total else what)

    def job(self, facts: Mapping[str, Any]) -> None:
        if "phase" not in facts:
            return
        place = f"{facts['phase']} {facts.get('subset', '')}".strip()
        if facts["phase"] == "fitting":
            self(f"{place}: {facts.get('phase_done', 0)}/{facts.get('phase_total', 0)}")
            return
        rate = f", {facts['rate']:.1f} images/s" if facts.get("rate") else ""
        left = f", {facts['seconds_left']:.0f} s left" if facts.get("seconds_left") is not None else ""
        unit = facts.get("unit", "images")
        self(f"{place}: {facts.get('done', 0)}/{facts.get('total', 0)} {unit}{rate}{left}")

    def end(self) -> None:
        if self.terminal and self.text:
            typer.echo("\r\033[K", err=True, nl=False)


def sight(
    window: list[str] | None, ignore: list[str] | None, pages: str, unlabelled: bool, normals_from: str
) -> dict[str, Any]:
    """The options of how pictures are seen, as :func:`read_dataset` takes them."""
    seen: dict[str, Any] = {"windows": window or (), "ignore": ignore or (), "pages": pages}
    return seen | {"unlabelled": unlabelled, "normals_from": normals_from}


def read_dataset(
    source: str,
    policy: Path | None = None,
    plan: Path | None = None,
    accept: bool = False,
    group_from_name: str = "",
    **seen: Any,
) -> Any:
    """A dataset as it is imported; with ``accept`` the levels that it proposes for words are taken.

    ``group_from_name`` takes the place of the plan's.
    ``seen`` are the ``windows``, ``ignore``, ``pages``, ``unlabelled`` and ``normals_from`` of
    :func:`~mad_core.datasets.importing.import_dataset`.
    """
    from mad_core.datasets.importing import import_dataset
    from mad_core.datasets.plan import ImportPlan, LevelsUnknownError, read_plan

    what = "making the demo and reading it" if source == "demo" else "reading"
    with storing() as progress:

        def imported(plan: Any) -> Any:
            return import_dataset(
                source, Settings.from_environment(), policy=policy, plan=plan, progress=progress.counted(what), **seen
            )

        told = read_plan(plan) if plan else ImportPlan()
        told = replace(told, group_from_name=group_from_name or told.group_from_name)
        if not accept:
            return imported(told)
        try:
            first = imported(told)
            if not any(row.proposed is not None for row in first.plan.asked):
                return first
            rows = first.plan.rows
        except LevelsUnknownError as error:
            rows = error.plan.rows
        return imported(replace(told, rows=rows).accepted())


def stored_dataset(source: str, policy: Path | None, plan: Path | None = None, **seen: Any) -> tuple[Any, str]:
    """The store, and the id of a dataset: a stored one's, or of what :func:`usable_dataset` gives."""
    store = open_store()
    if any(info.id == source for info in store.datasets()):
        return store, source
    return store, store.add_dataset(usable_dataset(source, policy, plan, **seen))


def usable_dataset(source: str, policy: Path | None, plan: Path | None = None, **seen: Any) -> Any:
    """As :func:`read_dataset`; says how many problems it met.

    Raises
    ------
    InputError
        If nothing usable is there.
    """
    imported = read_dataset(source, policy, plan, **seen)
    if imported.dataset.table.empty:
        raise InputError(f"Nothing usable is in {source}; `check {source}` says why.")
    if imported.problems:
        problems = counted(len(imported.problems), "problem")
        typer.echo(f"{problems} met while reading; `check {source}` lists them.", err=True)
    return imported


def one_of(value: str, allowed: Iterable[str], hint: str) -> None:
    if value not in (options := tuple(allowed)):
        raise typer.BadParameter(f"'{value}' is none of {', '.join(options)}.", param_hint=hint)


def counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def named_scorer(scorer_id: str, hint: str = "--scorer") -> Any:
    from mad_core.scorers import catalog

    try:
        return catalog.scorer(scorer_id)
    except NotFoundError as error:
        raise typer.BadParameter(str(error), param_hint=hint) from None


def is_default(context: typer.Context, name: str) -> bool:
    """Whether nobody named an option."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "DEFAULT"


def default_scorer(given: list[str]) -> Any:
    """The scorer where none is named: one that takes the parameters given; which is said if it is not the usual one."""
    from mad_core.scorers import catalog

    info = catalog.default_with(text.partition("=")[0] for text in given)
    if info.id != catalog.DEFAULT:
        typer.echo(f"Scorer: {info.id}, the first that takes these parameters; --scorer names another.", err=True)
    return info


def checked_parameters(info: Any, given: list[str]) -> dict[str, Any]:
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"'{name}' is not of the form name=value.", param_hint="--param")
    try:
        return info.check({name: value for name, _, value in pairs})
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="--param") from None


def named_device(asked: str) -> str:
    """A device's name; a GPU that is asked for by name must be there before anything is queued for it."""
    from mad_core.machine import devices

    try:
        device = devices.check_device(asked)
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from None
    return devices.resolve(device) if device.startswith("cuda") else device


def finish_run(store: Any, run: Any) -> None:
    """Do the run's waiting job here, or follow it where it is being done."""
    job = store.queue.active_for(run.job_key)
    if job is not None:
        from mad_core.runs.in_process import do_here

        with storing() as progress:
            do_here(store, job.id, run.device, progress.job)
