"""Commands of the runs in the store."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from mad_core.cli.terminal import AsJson, RunId, finish_run, named_device, open_store, print_answer, working


def runs(as_json: AsJson = False) -> None:
    """List the runs in the store."""
    from mad_core.runs import listing

    store = open_store()
    entries = listing.runs(store)

    def lines() -> Iterable[str]:
        for e in entries:
            yield f"{e['run']}  {e['status']:<10}{e['done']}/{e['total']}  {e['dataset']}  {e['title']}"

    print_answer(entries, as_json, lines)


def show(run: RunId, as_json: AsJson = False) -> None:
    """Show one run: its request, its progress and what is needed to repeat it."""
    from mad_core.runs import listing

    store = open_store()
    data = listing.run_details(store, store.run(run))
    print_answer(data, as_json, lambda: [f"{k}: {v}" for k, v in data.items()])


def cancel(run: RunId, as_json: AsJson = False) -> None:
    """Stop a run after its current batch; what it scored is kept."""
    from mad_core.runs import listing

    store = open_store()
    store.cancel_run(run)
    data = listing.run_entry(store, store.run(run))
    stops = data["status"] == "running"
    print_answer(
        data, as_json, lambda: [f"{run} stops after its current batch." if stops else f"{run} is {data['status']}."]
    )


def resume(
    run: RunId,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Score failed images again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go on with a run at the first image without a score; find the threshold of its maps where it has none."""
    from mad_core.runs import listing
    from mad_core.runs.map_reductions import can_find_threshold

    store = open_store()
    stored = store.run(run)
    if retry_failed or stored.done < stored.total or stored.status != "done" or can_find_threshold(store, stored):
        named_device(stored.device)
        store.resume_run(run, retry_failed=retry_failed)
    finish_run(store, stored)
    data = listing.run_entry(store, store.run(run))
    print_answer(data, as_json, lambda: [f"{run}: {data['done']}/{data['total']} images, {data['status']}"])


def note(
    run: RunId,
    text: Annotated[str, typer.Argument(help="What to note; empty takes the note away.")],
    as_json: AsJson = False,
) -> None:
    """Note something on a run; it stands on the pages and in reports, too."""
    from mad_core.runs import listing

    store = open_store()
    store.run(run)
    store.note_run(run, text)
    data = listing.run_entry(store, store.run(run))
    print_answer(data, as_json, lambda: [f"{run}: {data.get('note', 'no note')}"])


def delete(run: RunId, as_json: AsJson = False) -> None:
    """Delete a run with its scores and maps."""
    open_store().delete_run(run)
    print_answer({"deleted": run}, as_json, lambda: [f"{run} is deleted."])


def add_normals(
    run: RunId,
    folder: Annotated[Path, typer.Argument(help="A folder of images, all of them normal.")],
    subset: Annotated[str, typer.Option(help="Which subset they belong to; needed for a run of several.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let normals join what a run has fitted, as a run of its own, and show what that changes."""
    from mad_core.runs import growing

    store = open_store()
    joined = growing.add_normals(store, run.removeprefix("run:"), folder, subset)
    finish_run(store, joined.run)
    changes = growing.changes(store, store.run(joined.run.id))
    data = {"added": joined.added, "left_out": list(joined.left_out)} | changes

    def lines() -> Iterable[str]:
        yield f"{joined.added} normals joined the fit of {data['parent']}: run {data['run']}"
        yield from (f"  left out: {sentence}" for sentence in joined.left_out)
        if data["median_change"] is not None:
            largest = f"largest {data['largest_change']:+.4g}"
            yield f"  scores of {data['n']} labelled images: median change {data['median_change']:+.4g}, {largest}"
        for name, gap in data["differences"].items():
            if gap["value"] is not None:
                between = f" [{gap['interval'][0]:+.3f}, {gap['interval'][1]:+.3f}]" if gap["interval"] else ""
                yield f"  {name}: {gap['value']:+.3f}{between}"

    print_answer(data, as_json, lines)


def export(
    run: RunId,
    out: Annotated[Path, typer.Option(help="The folder to make, or an empty one.")],
    to: Annotated[str, typer.Option(help="onnx or openvino.")] = "onnx",
    subset: Annotated[str, typer.Option(help="One subset alone; of several there is a folder each.")] = "",
    size: Annotated[
        str, typer.Option(metavar="WIDTHxHEIGHT", help="Of the pictures; by default the one that most have.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Take a run's detector away: a file from pixels to score and map, with the proof that it answers as here."""
    from mad_core.export.model import export_run

    run = run.removeprefix("run:")
    with working() as progress:
        made = export_run(open_store(), run, to, out, subset=subset, size=size, progress=progress.job)
    data = {"run": run, "to": to, "out": str(out), "models": [one.to_json() for one in made]}

    def lines() -> Iterable[str]:
        for one in made:
            yield f"{one.folder}: subset {one.facts['subset']}, pictures of {one.size_in_words}"
            yield f"  {one.parity.in_words()}"

    print_answer(data, as_json, lines)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "runs": runs,
    "show": show,
    "cancel": cancel,
    "resume": resume,
    "note": note,
    "delete": delete,
    "add-normals": add_normals,
    "export": export,
}
"""What the command line calls these."""
