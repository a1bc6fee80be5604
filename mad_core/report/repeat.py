"""What is needed to repeat a report: commands, seeds, digests, versions."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from mad_core.pixels import Window
from mad_core.report.contents import ReportPart, ReportRequest
from mad_core.report.html import facts, kept_off_paper
from mad_core.runs.commands import repeat_run
from mad_core.runs.results import reading_notes
from mad_core.runs.store import Run, Store
from mad_core.studies.record import StudyRecord

SKIPPED = ("peak_memory", "energy")
"""Facts of a fit that differ from one time to the next."""


def repeat_html(store: Store, part: ReportPart) -> Iterator[str]:
    """Each run with its commands and its record, then those of the studies."""
    for run in part.runs:
        repeat = repeat_run(store, run)
        yield f"<h3>{escape(part.names[run.id])}</h3>"
        yield _commands(repeat.commands)
        yield from (f"<p class=note>{escape(note)}</p>" for note in repeat.notes)
        yield facts(_facts(store, run))
        yield kept_off_paper("Record of the run", facts(_record(store, run)))
    if part.studies:
        yield f"<h3>Studies</h3>{_commands([study_command(one) for one in part.studies])}"


def report_command(request: ReportRequest, out: str = "report.html") -> str:
    """The command that makes the same report."""
    words = ["python", "-m", "mad_core", "report", *request.runs]
    words += ["--subset", request.subset] if request.subset is not None else []
    words += ["--labels", request.rule] if request.rule is not None else []
    return shlex.join([*words, "--draws", str(request.draws), "--seed", str(request.seed), "--out", out])


def study_command(record: StudyRecord) -> str:
    """The command that finds a stored study again, or makes it anew."""
    words = ["python", "-m", "mad_core", "study", record.study, record.dataset_id]
    for run_id in record.runs:
        words += ["--run", run_id]
    for name, value in record.parameters.items():
        words += ["--param", f"{name}={'' if value is None else value}"]
    return shlex.join([*words, "--quick" if record.quick else "--full", "--seed", str(record.seed)])


def _commands(commands: Sequence[str]) -> str:
    return f"<pre>{escape(chr(10).join(commands))}</pre>" if commands else ""


def _facts(store: Store, run: Run) -> dict[str, str]:
    versions: Mapping[str, str] = run.record.get("versions", {})
    device: Mapping[str, Any] = run.record.get("device", {})
    windows: Mapping[str, Any] = run.record.get("windows", {})
    seen = [f"{name}: {Window.from_json(one)} ({one['origin']})" for name, one in windows.items()]
    return {
        "Run": f"{run.id}, {run.status}, {run.done:,} of {run.total:,} images",
        "Seed": str(run.seed),
        "Dataset version": run.dataset_version,
        "Request digest": run.request,
        "Code digest": str(run.record.get("code", "")),
        "Device": f"{device.get('id', run.device)}, {device['name']}" if device.get("name") else run.device,
        "Versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    } | {
        name: text
        for name, text in (
            ("Seen through", "; ".join(seen)),
            ("Read so", " ".join(reading_notes(store, run.id))),
            ("Normals joined the fit of", run.parent),
        )
        if text
    }


def _record(store: Store, run: Run) -> dict[str, str]:
    rest = {key: value for key, value in run.record.items() if key not in ("versions", "device", "code")}
    entries = {"Parameters": json.dumps(dict(run.parameters), sort_keys=True, ensure_ascii=False)}
    for entry in store.run_subsets(run.id):
        kept_facts = {key: value for key, value in entry.facts.items() if key not in SKIPPED}
        text = json.dumps(kept_facts, default=str, ensure_ascii=False)
        entries[f"Fit of {entry.subset}"] = f"{entry.fit or 'none'}; {text}"
    return entries | ({"Further": json.dumps(rest, sort_keys=True, default=str, ensure_ascii=False)} if rest else {})
