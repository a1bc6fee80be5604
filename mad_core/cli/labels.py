"""Commands of the label audit: the record out and in, agreement of the reviewers, roles."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mad_core.cli.terminal import (
    AsJson,
    Draws,
    PlanFile,
    Policy,
    Seed,
    counted,
    one_of,
    open_store,
    print_answer,
    stored_dataset,
    working,
)

labels = typer.Typer(no_args_is_help=True, help="The audit trail of labels: export, import, agreement, roles.")

WHAT = ("template", "events", "report")
FORMATS = ("csv", "json")
OUT = {"template": "template", "events": "events", "report": "label-audit.html"}
"""Where each export goes if nothing is said: a folder, a file to be ended by its format, a file."""

DatasetPlace = Annotated[
    str, typer.Argument(metavar="DATASET", help="The dataset: its path, demo, or a stored one's id.")
]
Rule = Annotated[str, typer.Option(help="One label out of several ratings: majority, median or adjudicator.")]


@labels.command("export")
def export_labels(
    dataset: DatasetPlace,
    what: Annotated[str, typer.Option(help="template (corrected labels), events (the record) or report (HTML).")],
    format_: Annotated[str, typer.Option("--format", help="Of events: csv or json.")] = "csv",
    out: Annotated[Path | None, typer.Option(help="The file to write; of templates the folder.")] = None,
    rule: Rule = "majority",
    run: Annotated[
        list[str] | None,
        typer.Option(help="A stored run: its scores in the template, its metrics in the report (may be given again)."),
    ] = None,
    draws: Draws = 1000,
    seed: Seed = 0,
    policy: Policy = None,
    plan: PlanFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the corrected templates, the record of events, or the change report for the dataset's owner."""
    from mad_core.audit.consensus import RULES
    from mad_core.audit.labels import AuditStore

    one_of(what, WHAT, "--what")
    one_of(format_, FORMATS, "--format")
    one_of(rule, RULES, "--rule")
    store, dataset_id = stored_dataset(dataset, policy, plan)
    audit, runs = AuditStore(store), [_run_on(store, name, dataset_id) for name in run or []]
    target = out or Path(OUT[what] if what != "events" else f"{OUT[what]}.{format_}")
    with working():
        if what == "template":
            data = _export_templates(audit, dataset_id, target, rule, runs)
        elif what == "events":
            data = _export_events(audit, dataset_id, target, format_)
        else:
            data = _export_report(audit, dataset_id, target, rule, runs, draws, seed)

    def lines() -> Iterable[str]:
        yield from data["files"]
        yield data["said"]

    print_answer(data, as_json, lines)


def _export_templates(audit: Any, dataset_id: str, folder: Path, rule: str, runs: list[str]) -> dict[str, Any]:
    from mad_core.audit.consensus import consensus_of, corrections
    from mad_core.audit.exchange import write_templates

    if len(runs) > 1:
        raise typer.BadParameter("a template holds the scores of one run.", param_hint="--run")
    audited = consensus_of(audit, dataset_id, rule)
    scores = {}
    for run_id in runs:
        table = audit.store.scores(run_id)
        scores = dict(zip(table["image_id"], table["score"], strict=True))
    files = write_templates(audit.store.dataset(dataset_id), audited, folder, scores)
    changed = corrections(audited)
    return {
        "files": [str(path) for path in files],
        "rule": rule,
        "corrections": len(changed),
        "contested": sum(audited["contested"].tolist()),
        "said": f"{counted(len(changed), 'label')} corrected by the rule '{rule}'.",
    }


def _export_events(audit: Any, dataset_id: str, path: Path, format_: str) -> dict[str, Any]:
    from mad_core.audit.exchange import events_csv, events_json
    from mad_core.scorefiles import write_text

    events = audit.originals(dataset_id)
    write_text(path, events_csv(events) if format_ == "csv" else events_json(events))
    return {"files": [str(path)], "events": len(events), "said": f"{counted(len(events), 'event')} written."}


def _export_report(
    audit: Any, dataset_id: str, path: Path, rule: str, runs: list[str], draws: int, seed: int
) -> dict[str, Any]:
    from mad_core.audit.change_report import change_report
    from mad_core.audit.consensus import consensus_of, corrections
    from mad_core.scorefiles import write_text

    write_text(path, change_report(audit, dataset_id, rule, runs, draws=draws, seed=seed))
    changed = len(corrections(consensus_of(audit, dataset_id, rule)))
    return {
        "files": [str(path)],
        "rule": rule,
        "corrections": changed,
        "said": f"{counted(changed, 'label')} corrected by the rule '{rule}'.",
    }


@labels.command("import")
def import_labels(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Records of events, CSV or JSON.")],
    as_json: AsJson = False,
) -> None:
    """Join records of events with this store's; nothing is lost or doubled, what fits no image here is kept."""
    from mad_core.audit.exchange import read_events
    from mad_core.audit.labels import AuditStore

    events = [event for path in files for event in read_events(path)]
    merged = AuditStore(open_store()).merge(events)
    data = {
        "added": merged.added,
        "known": merged.known,
        "unmatched": [_place(event) for event in merged.unmatched],
        "problems": list(merged.problems),
    }

    def lines() -> Iterable[str]:
        yield f"{counted(merged.added, 'event')} added, {merged.known} known already"
        if merged.unmatched:
            yield f"{counted(len(merged.unmatched), 'event')} about images that are in no dataset here; they are kept:"
            yield from (f"  {e['subset']}/{e['path']}: {e['kind']} by {e['reviewer']}" for e in data["unmatched"])
        yield from merged.problems

    print_answer(data, as_json, lines)


def _place(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in ("id", "subset", "path", "content_hash", "reviewer", "kind")}


@labels.command("agreement")
def agreement_of_labels(
    dataset: DatasetPlace,
    draws: Draws = 1000,
    seed: Seed = 0,
    policy: Policy = None,
    plan: PlanFile = None,
    as_json: AsJson = False,
) -> None:
    """How far reviewers agree: weighted kappa, Krippendorff's alpha, confusion, bias and drift, with intervals."""
    from mad_core.audit.agreement import agreement_of
    from mad_core.audit.consensus import disagreements
    from mad_core.audit.labels import AuditStore

    store, dataset_id = stored_dataset(dataset, policy, plan)
    audit = AuditStore(store)
    with working():
        data = agreement_of(audit, dataset_id, draws=draws, seed=seed).to_json()
        data["disagreements"] = len(disagreements(audit.ratings(dataset_id)))
    print_answer(data, as_json, lambda: _agreement_lines(data))


def _agreement_lines(data: Mapping[str, Any]) -> Iterable[str]:
    yield f"{counted(data['images'], 'image')} rated, {data['several']} by two reviewers or more"
    yield f"Krippendorff's alpha (ordinal): {_estimate(data['alpha'])}"
    for name, one in data["subsets"].items():
        yield f"  {name}: {_estimate(one['alpha'])}"
    for pair in data["kappa"]:
        yield f"weighted kappa, {' and '.join(pair['reviewers'])}: {_estimate(pair)} (n {pair['n']})"
    for one in data["reviewers"]:
        yield f"{one['name']}: {one['rated']} levels, {one['unsure']} unsure, {one['ungradable']} not gradable"
        yield f"  weighted kappa with the labels {_estimate(one['kappa'])}"
        yield f"  bias to the others {_estimate(one['bias'])}, to the labels {_estimate(one['label_bias'])}"
        yield f"  drift per 100 to the others {_estimate(one['drift'])}, to the labels {_estimate(one['label_drift'])}"
    for title, key in (("labels (rows) and ratings", "against_labels"), ("pairs of ratings", "among_reviewers")):
        if any(map(any, data["confusion"][key])):
            yield f"{title}: levels {' '.join(data['levels'])}"
            yield from (
                f"  L{level:<6}" + "".join(f"{n:>7}" for n in row)
                for level, row in zip(data["levels"], data["confusion"][key], strict=True)
            )
    yield f"{counted(data['disagreements'], 'image')} to decide on"
    yield from (f"note: {note}" for note in data["notes"])


def _estimate(one: Mapping[str, Any]) -> str:
    if one["value"] is None:
        return "-"
    interval = one["interval"]
    return f"{one['value']:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


@labels.command("role")
def set_role(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The reviewer, as the Audit page shows the name.")],
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, reviewer or adjudicator.")],
    as_json: AsJson = False,
) -> None:
    """Give a reviewer a role; who can run this owns the store and needs none."""
    from mad_core.audit.labels import ROLES, AuditStore

    one_of(role, ROLES, "ROLE")
    audit = AuditStore(open_store())
    given = audit.set_role(name, role, by=None)
    data = {"name": given.name, "role": given.role}
    print_answer(data, as_json, lambda: [f"{given.name} is {given.role}."])


# -- what was asked for ---------------------------------------------------------------------------


def _run_on(store: Any, name: str, dataset_id: str) -> str:
    """The id of a stored run, which must be on this dataset."""
    run = store.run(name.removeprefix("run:"))
    if run.dataset_id != dataset_id:
        raise typer.BadParameter(f"run {run.id} is on another dataset.", param_hint="--run")
    return run.id
