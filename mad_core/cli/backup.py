"""Commands of the store as a whole: a backup of it, and a backup in its place."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from mad_core.cli.terminal import AsJson, counted, open_store, print_answer, storing, working
from mad_core.errors import InputError
from mad_core.settings import Settings


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, a zip.")],
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="maps, fits or datasets (those below MAD_HOME); may be given again."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the store to one file, while work goes on: rows, maps, fitted scorers, studies, uploads, datasets."""
    from mad_core.backup.create import back_up

    if file.is_dir() or not file.absolute().parent.is_dir():
        raise InputError(f"{file} cannot be written: name a file in a folder that exists.")
    store = open_store()
    with working() as progress:
        done = back_up(store, file, leave_out=leave_out or (), progress=progress.counted("files"))
    for sentence in done.skipped:
        typer.echo(f"not in the backup: {sentence}", err=True)
    data = {
        "out": str(file),
        "bytes": file.stat().st_size,
        "schema": done.manifest.schema,
        "rows": done.manifest.tables,
        "files": len(done.manifest.members) - len(done.manifest.tables),
        "left_out": list(done.manifest.left_out),
        "skipped": list(done.skipped),
    }

    def lines() -> Iterable[str]:
        held = f"{counted(sum(data['rows'].values()), 'row')}, {counted(data['files'], 'file')}"
        yield f"{file}: {held}, {data['bytes'] / 1e6:.1f} MB"
        yield f"python -m mad_core restore {shlex.quote(str(file))} puts it back."

    print_answer(data, as_json, lines)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of the store that is there.")] = False,
    own: Annotated[
        bool,
        typer.Option("--own", help="Vouch for a backup of another store: its queued work and consents stay, too."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup into MAD_HOME (and MAD_DATABASE_URL): checked first, then all of it or nothing."""
    from mad_core.backup.restore import restore as put_back

    settings = Settings.from_environment()
    with storing() as progress:
        done = put_back(settings, file, replace=replace, own=own, progress=progress.counted("files"))
    data = {
        "home": str(settings.home),
        "schema": done.manifest.schema,
        "created": done.manifest.created,
        "rows": done.manifest.tables,
        "left_out": list(done.manifest.left_out),
        "taken_as_a_strangers": done.strange,
    }

    def lines() -> Iterable[str]:
        yield f"{counted(sum(data['rows'].values()), 'row')} restored to {settings.home}"
        if data["left_out"]:
            yield f"The backup was written without {', '.join(data['left_out'])}."
        if done.strange:
            yield (
                "Another store wrote it: its queued work is cancelled, its consents are gone, and images outside "
                "MAD_ALLOWED_ROOTS count as missing. If it is your own: restore it again with --own --replace."
            )

    print_answer(data, as_json, lines)


COMMANDS = {"backup": backup, "restore": restore}
