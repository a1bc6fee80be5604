"""The command line: ``python -m mad_core …``, also ``mad …``.

With ``--json`` a command prints one JSON document on standard output and nothing else there;
progress goes to standard error. Exit status: 0 done, 1 the work failed (a sentence on standard
error), 2 wrong usage; 130 when Ctrl-C came before there was work to stop.
"""

import io
import sys
from typing import Annotated

import typer

from mad_core.cli import backup, bench, datasets, evaluate, labels, learning, machine, report, runs, scoring, studies
from mad_core.cli.terminal import harmless
from mad_core.errors import MadError
from mad_core.extras import explained
from mad_core.machine.python_process import let_threads_sleep
from mad_core.settings import VERSION

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="MAD Inspector: how severe an anomaly is, not only whether there is one.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"MAD Inspector {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What stands before a command."""


def main() -> None:
    """Run a command; errors meant for the user end in their sentence and exit status 1."""
    let_threads_sleep()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    try:
        with explained():
            app()
    except MadError as error:
        sentence = str(error)
    except OSError as error:  # a disk that is full, a folder of somebody else
        sentence = f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."
    else:
        return
    typer.echo(harmless(sentence), err=True)
    sys.exit(1)


for _room in (datasets, scoring, learning, evaluate, runs, machine, bench, studies, report, backup):
    for _name, _command in _room.COMMANDS.items():
        app.command(_name)(_command)

app.add_typer(labels.labels, name="labels")
