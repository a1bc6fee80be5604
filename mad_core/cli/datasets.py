"""Commands of datasets: make the demo, look at a dataset before it is scored, download the benchmark."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.cli.terminal import (
    AsJson,
    Device,
    GroupFromName,
    Ignore,
    NormalsFrom,
    Pages,
    PlanFile,
    Policy,
    Source,
    Unlabelled,
    Windows,
    counted,
    finish_run,
    open_store,
    print_answer,
    read_dataset,
    sight,
    storing,
    usable_dataset,
)
from mad_core.datasets import solar_cells
from mad_core.datasets.naming import level_key, level_label
from mad_core.errors import InputError, MadError
from mad_core.settings import Settings


def demo(
    real: Annotated[
        bool, typer.Option("--real", help="Photographs of solar cells instead; needs requirements-real.txt.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the demo dataset (once) and say where it lies."""
    source = solar_cells.SOURCE if real else "demo"
    imported = read_dataset(source)
    data = {
        "path": str(Settings.from_environment().home / source),
        "dataset": open_store().add_dataset(imported),
        "version": imported.dataset.card.version,
        "images": len(imported.dataset.table),
    }
    print_answer(data, as_json, lambda: [data["path"]])


def check(
    source: Source,
    policy: Policy = None,
    plan: PlanFile = None,
    window: Windows = None,
    ignore: Ignore = None,
    pages: Pages = "",
    group_from_name: GroupFromName = "",
    accept: Annotated[bool, typer.Option("--accept", help="Take the levels that are proposed for words.")] = False,
    unlabelled: Unlabelled = False,
    normals_from: NormalsFrom = "",
    write_plan: Annotated[
        Path | None, typer.Option(help="Write the plan that repeats the import: a YAML file to correct.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a dataset and report the plan, counts, every problem, and what of the published benchmark is missing."""
    from mad_core.datasets.importing import check_report
    from mad_core.datasets.plan import LevelsUnknownError

    try:
        seen = sight(window, ignore, pages, unlabelled, normals_from)
        imported = read_dataset(source, policy, plan, accept, group_from_name, **seen)
    except LevelsUnknownError as error:
        _write_plan(write_plan, error.plan)
        for line in () if as_json else _plan_lines(error.plan):
            typer.echo(line)
        raise
    _write_plan(write_plan, imported.plan)
    report = check_report(imported) | {"plan": imported.plan.to_json()}
    print_answer(report, as_json, lambda: [*_check_lines(report, imported.plan), *_published_lines(imported)])
    if imported.dataset.table.empty:
        raise MadError(f"Nothing usable is in {source}.")


def _write_plan(path: Path | None, plan: Any) -> None:
    from mad_core.scorefiles import write_text

    if path is not None:
        write_text(path, plan.to_yaml())


MOST_ROWS = 40
"""Rows of a plan that ``check`` prints."""


def _plan_lines(plan: Any) -> Iterable[str]:
    """What became what, a line a row."""
    if not plan.rows:
        return
    yield "  plan"
    for row in plan.rows[:MOST_ROWS]:
        facts = [row.split, row.subset, "" if row.level is None else level_label(row.level)]
        count = f"{row.images} ({row.example})" if row.example else f"{row.images or ''}"
        became = " ".join(filter(None, facts)) if row.role == "images" else row.role
        proposed = "" if row.proposed is None else f"; proposed: level {level_key(row.proposed)}"
        note = f"; {row.note}" if row.note else ""
        yield f"    {row.kind} {row.name} -> {became}: {count}{note}{proposed}".rstrip(": ")
    if len(plan.rows) > MOST_ROWS:
        yield f"    and {len(plan.rows) - MOST_ROWS} more rows: --json or --write-plan has all of them"


def _check_lines(report: Mapping[str, Any], plan: Any) -> Iterable[str]:
    yield report["name"]
    for entry in report["subsets"]:
        yield f"  {entry['subset']} ({entry['domain']}), {entry['masks']} masks{_groups(entry)}"
        for split in ("train", "calibration", "test"):
            if entry.get(split):
                levels = "  ".join(f"L{level}: {n}" for level, n in entry[split].items())
                yield f"    {split:<12}{levels}"
        if "unlabelled" in entry:
            yield f"    {'':<12}test images without a level: {entry['unlabelled']}"
        if "own_normals" in entry:
            yield f"    {'':<12}detectors learn from its own images: {entry['own_normals']}"
        yield from (f"    {line}" for line in _window_lines(entry))
    yield from _plan_lines(plan)
    kinds = Counter(problem["kind"] for problem in report["problems"])
    by_kind = f" ({', '.join(f'{n} {kind}' for kind, n in kinds.most_common())})" if len(kinds) > 1 else ""
    yield (
        f"{counted(kinds.total(), 'problem')}{by_kind}; headers, digests and masks were checked, small copies of up to "
        "20,000 images compared; whole pixels are decoded when they are needed"
    )
    for problem in report["problems"]:
        yield f"  {problem['kind']}: {problem['path']}: {problem['message']}"


def _groups(entry: Mapping[str, Any]) -> str:
    return f", {counted(entry['groups'], 'group')}" if "groups" in entry else ""


def _window_lines(entry: Mapping[str, Any]) -> Iterable[str]:
    """The window of a subset, and what its pixels use of it."""
    from mad_core.pixels import PixelRange, Window, bars

    window, spread = Window.from_json(entry.get("window")), PixelRange.from_json(entry.get("pixels"))
    if window is None:
        return
    yield f"window      {window} ({window.origin})"
    if spread is not None:
        depths = ", ".join(f"{n} of {depth}" for depth, n in spread.depths.items())
        low, high = (f"{value:g}" for value in spread.used)
        yield f"depth       {depths}; 99.8 % of the sampled pixels lie between {low} and {high}"
        yield f"histogram   {spread.edges[0]:g} {bars(spread)} {spread.edges[1]:g}"


def _published_lines(imported: Any) -> Iterable[str]:
    from mad_core.datasets.completeness import against_published, in_short, table_lines

    entries = against_published(imported.dataset)
    if entries:
        yield "the published benchmark"
        yield from (f"  {line}" for line in (*table_lines(entries), in_short(entries)))


def fetch(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="What to download: madbench.")],
    only: Annotated[
        list[str] | None,
        typer.Option(help="Datasets and subsets alone, such as mvtec,visa/pcb1,covid19; may be given again."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="The folder to write into; by default in MAD_HOME.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download the published benchmark; needs the network, and goes on where an earlier fetch stopped."""
    from mad_core.datasets.fetching import parse_selection
    from mad_core.runs.fetch_job import queue_fetch
    from mad_core.runs.in_process import do_here

    if benchmark != "madbench":
        raise typer.BadParameter(f"'{benchmark}' is not known; say madbench.", param_hint="BENCHMARK")
    wanted = ",".join(only or ())
    try:
        parse_selection([wanted])
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="--only") from None
    store = open_store()
    folder = (to or Settings.from_environment().home / "madbench").expanduser().absolute()
    job = queue_fetch(store, wanted, folder)
    with storing() as progress:
        data = dict(do_here(store, job, "cpu", progress.job).result or {})
    data.pop("job", None)
    for refused in data["refused"]:
        typer.echo(f"not written: {refused}", err=True)

    def lines() -> Iterable[str]:
        megabytes = f"{data['bytes'] / 1e6:.0f} MB downloaded"
        written = counted(data["images"], "image")
        yield f"{written} written, {data['kept']} there already, {megabytes}: {data['folder']}"
        yield f"python -m mad_core check {shlex.quote(data['folder'])} says what is complete."

    print_answer(data, as_json, lines)


def list_datasets(as_json: AsJson = False) -> None:
    """List the datasets in the store."""
    from mad_core.runs.listing import datasets

    entries = datasets(open_store())

    def lines() -> Iterable[str]:
        for entry in entries:
            held = f"{counted(entry['images'], 'image'):<15}{counted(entry['runs'], 'run'):<10}"
            yield f"{entry['dataset']}  {held}{entry['name']}"
            yield f"    {', '.join(entry['subsets'])}; {entry['source']}"

    print_answer(entries, as_json, lines)


def add(
    source: Source,
    to: Annotated[str, typer.Option(metavar="DATASET", help="Id or name of the dataset, as `datasets` lists it.")],
    subset: Annotated[str, typer.Option(help="To which the images belong, where their names do not say it.")] = "",
    run: Annotated[
        list[str] | None, typer.Option(help="A run that goes on with them, by default all finished ones.")
    ] = None,
    policy: Policy = None,
    plan: PlanFile = None,
    pages: Pages = "first",
    no_score: Annotated[bool, typer.Option("--no-score", help="Let no run score them now.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take more images into a dataset, as its next version; its runs score those that are new."""
    from mad_core.runs.additions import add_images, dataset_named

    store = open_store()
    dataset_id = dataset_named(store, to)
    imported = usable_dataset(source, policy, plan, pages=pages, unlabelled=True)
    added = add_images(store, dataset_id, imported, subset=subset, runs=[] if no_score else run)
    for run_id in added.runs:
        finish_run(store, store.run(run_id))

    def lines() -> Iterable[str]:
        there = f"{counted(added.there, 'image')} there already"
        yield f"{counted(added.added, 'new image')}, {there}: {added.images} in all"
        yield from added.notes
        for run_id in added.runs:
            scored = store.run(run_id)
            yield f"run {run_id} ({scored.title}) has scored {scored.done} of {scored.total}"

    print_answer(added.to_json(), as_json, lines)


def similar(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="Its file, its path within the dataset, or its id.")],
    dataset: Annotated[
        str, typer.Option("--in", metavar="DATASET", help="Id or name of the dataset, as `datasets` lists it.")
    ],
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many pictures.")] = 12,
    all_subsets: Annotated[bool, typer.Option("--all-subsets", help="Look among all subsets.")] = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """The pictures most like an image, the nearest first; the dataset's pictures are looked at once before."""
    from mad_core.runs.additions import dataset_named
    from mad_core.runs.similar import similar as nearest

    store = open_store()
    dataset_id = dataset_named(store, dataset)
    where = device or store.settings.device
    with storing() as progress:
        facts = {"everywhere": all_subsets, "device": where, "progress": progress.job}
        rows = nearest(store, dataset_id, image, count, **facts).to_dict("records")
    entries = [{**row, "level": None if row["level"] != row["level"] else row["level"]} for row in rows]

    def lines() -> Iterable[str]:
        for one in entries:
            level = "no level" if one["level"] is None else f"L{one['level']:g}"
            yield f"{one['words']:16}  {level:8}  {one['subset']}  {one['path']}"

    print_answer(entries, as_json, lines)


def watch(
    folder: Annotated[Path, typer.Argument(metavar="PATH", help="The folder in which images arrive.")],
    to: Annotated[str, typer.Option(metavar="DATASET", help="Id or name of the dataset, as `datasets` lists it.")],
    subset: Annotated[str, typer.Option(help="To which arrivals belong, where their folders do not say it.")] = "",
    run: Annotated[
        list[str] | None, typer.Option(help="A run that scores arrivals; all finished ones if none.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds; else at Ctrl-C.")] = None,
    leave: Annotated[bool, typer.Option("--leave", help="Leave it to the app's worker, and return at once.")] = False,
    end: Annotated[bool, typer.Option("--end", help="The app's worker watches the folder no longer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch a folder: what arrives comes into a dataset and is scored by its runs."""
    from mad_core.runs.additions import dataset_named

    store, place = open_store(), folder.expanduser().resolve()
    dataset_id = dataset_named(store, to)
    if not place.is_dir() and not end:
        raise InputError(f"{place} is no folder that can be watched.")
    if end:
        for one in store.watches.all(dataset_id):
            if one.path == str(place):
                store.watches.end(one.id)
    if leave:
        store.watches.add(dataset_id, str(place), tuple(run or ()), subset)
    added = 0 if leave or end else _watched(store, dataset_id, place, tuple(run or ()), subset, seconds)
    data = {"dataset": dataset_id, "path": str(place), "added": added, "images": store.dataset_info(dataset_id).images}
    data["watched"] = [one.path for one in store.watches.all(dataset_id)]
    print_answer(data, as_json, lambda: [f"{counted(added, 'new image')}; {data['images']} in all"])


def _watched(
    store: Any, dataset_id: str, place: Path, runs: tuple[str, ...], subset: str, seconds: float | None
) -> int:
    """Watch in this process, and score what arrives; returns how many images came."""
    import time

    from mad_core.runs.watching import LOOK_SECONDS, Watcher

    watcher, ends = Watcher(store, dataset_id, place, runs, subset), time.monotonic() + (seconds or 0)
    added, told = 0, ""
    try:
        while seconds is None or time.monotonic() < ends:
            came = watcher.look()
            if watcher.error != told:
                told = watcher.error
                typer.echo(told or f"{place} can be read again.", err=True)
            if came is not None:
                added += came.added
                typer.echo(f"{counted(came.added, 'new image')}", err=True)
                for run_id in came.runs:
                    finish_run(store, store.run(run_id))
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        typer.echo("Stopped watching.", err=True)
    return added


COMMANDS: Mapping[str, Callable[..., None]] = {
    "demo": demo,
    "datasets": list_datasets,
    "check": check,
    "add": add,
    "watch": watch,
    "similar": similar,
    "fetch": fetch,
}
"""What the command line calls these."""
