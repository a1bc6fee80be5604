"""Commands of this machine: a worker, what it can do, weights fetched ahead of time."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

import typer

from mad_core.assets import app_script
from mad_core.cli.terminal import (
    AsJson,
    Device,
    Parameters,
    checked_parameters,
    named_device,
    named_scorer,
    open_store,
    print_answer,
    read_dataset,
    storing,
)
from mad_core.errors import MadError, UnavailableError
from mad_core.extras import install, installed
from mad_core.machine.python_process import let_threads_sleep
from mad_core.settings import Settings

LOOPBACK = "127.0.0.1"


def app(
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[-- OPTION…]", help="Further options of `streamlit run`, after --.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens.")] = 8501,
    address: Annotated[str, typer.Option(help="The network it listens on; by default this machine alone.")] = LOOPBACK,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Make the demo dataset where it is missing.")] = True,
) -> None:
    """Open the app in the browser: its pages, and the workers that they need."""
    if not installed("streamlit"):
        raise UnavailableError(f"The app needs Streamlit, which is not installed: {install('app')}.")
    if demo:
        open_store().add_dataset(read_dataset("demo"))
    variables = dict(os.environ)
    let_threads_sleep(variables)
    chosen = ["--server.address", address, "--server.port", str(port), *(options or [])]
    command = [sys.executable, "-m", "streamlit", "run", str(app_script()), *chosen]
    # In the place of this process, so that Ctrl-C and the end of a service reach the app itself.
    os.execve(sys.executable, command, variables)  # noqa: S606


def worker(
    device: Device = None,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Leave when idle and this process is gone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a worker: it takes jobs from the queue until it is stopped."""
    import logging

    from mad_core.runs.worker import ALREADY_SERVED, run_worker

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    settings = Settings.from_environment()
    device = named_device(device or settings.device)
    with contextlib.redirect_stdout(sys.stderr):
        if not run_worker(settings, device, parent):
            if parent is not None:
                raise typer.Exit(ALREADY_SERVED)
            raise MadError(f"Device {device} already has a worker.")
    print_answer({"device": device}, as_json, lambda: ["The worker has stopped."])


def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can do and what is missing."""
    from mad_core.runs.doctor import examine

    report = examine(Settings.from_environment())

    def lines() -> Iterable[str]:
        yield f"Python {report['python']}, {report['device']['name']} ({report['device']['id']})"
        yield report["device"]["sentence"]
        yield f"store: {report['store']['home']}, {report['store']['free_bytes'] / 1e9:.0f} GB free"
        who = "whoever shows the token" if report["http"]["token"] else "this machine alone, unless there is a login"
        yield f"HTTP interface of the app: answers {who}"
        for entry in report["scorers"]:
            yield f"  {entry['id']:<22}{'ready' if entry['available'] else 'not ready'}"
        for plugin in report["plugins"]:
            yield f"  from {plugin['package']}: {', '.join(plugin['scorers']) or 'no scorer, see below'}"
        for one in report["weights"]:
            location = "on disk" if one["on_disk"] else "not on disk"
            yield f"  weights {one['name']:<40}{one['megabytes']:>4} MB  {location:<15}{one['licence']}"
        for model in report["models"]:
            fits = f"fits in {model['fits']}" if model["fits"] else f"needs {model['need_gb']['4bit']:g} GB in 4bit"
            location = "on disk" if model["on_disk"] else "to be fetched"
            card = f"card of {model['card_gb']} GB" if model["card_gb"] else "no single card"
            facts = f"{fits:<26}{card:<16}{location:<15}{model['licence']}"
            yield f"  model {model['id']:<18}{facts}; for {model['use']}"
        yield from (f"missing: {sentence}" for sentence in report["missing"])

    print_answer(report, as_json, lines)


def warm(
    scorers: Annotated[list[str] | None, typer.Argument(help="Scorers whose weights to fetch; all if none.")] = None,
    param: Parameters = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the weights and models that scorers need ahead of time; needs the network."""
    from mad_core.scorers import catalog
    from mad_core.scorers.features import weights
    from mad_core.scorers.multimodal import models

    ours = [info for info in catalog.scorers() if info.needs_weights and not info.package]  # packages fetch their own
    infos = [named_scorer(s, "SCORERS") for s in scorers] if scorers else ours
    given = [text.partition("=")[0] for text in param or []]
    wanted = [
        (info.id, name)
        for info in infos
        for name in weights.worth_fetching(info.id, checked_parameters(info, param or []), given)
    ]
    chosen = [
        (info.id, model) for info in infos for model in models.needed(info.id, checked_parameters(info, param or []))
    ]
    folder, fetched = Settings.from_environment().weights, []
    with storing() as progress:
        for scorer_id, model in chosen:
            path = models.fetch(model, progress.counted(f"fetching {model}"))
            fetched.append({"scorer": scorer_id, "weights": model, "path": str(path)})
        for scorer_id, name in wanted:
            path = weights.fetch(name, folder, progress.counted(f"fetching {name}"))
            fetched.append({"scorer": scorer_id, "weights": name, "path": str(path)})

    def lines() -> Iterable[str]:
        yield from (f"{f['scorer']}: {f['weights']} in {f['path']}" for f in fetched)
        if not fetched:
            yield "Nothing to fetch: no weights from the network are needed."

    print_answer(fetched, as_json, lines)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "app": app,
    "worker": worker,
    "doctor": doctor,
    "warm": warm,
}
"""What the command line calls these."""
