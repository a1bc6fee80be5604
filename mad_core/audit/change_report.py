"""The change report: what an audit found, for the dataset's owner, as one HTML file that needs nothing else.

Every text is escaped, pictures stand in the file as data, nothing is asked from the network (the file says so to the
browser as well), and it is laid out for paper too.
"""

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.audit.agreement import Agreement, agreement_of
from mad_core.audit.consensus import NOT_GRADABLE, RULE_IN_WORDS, consensus_of, corrections
from mad_core.audit.consequence import Consequence, consequences
from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import Card
from mad_core.datasets.naming import level_key, level_label
from mad_core.errors import MadError
from mad_core.images import thumbnail
from mad_core.metrics.agreement import AgreementEstimate
from mad_core.metrics.names import headline, judged

PICTURE = 224
"""Longest side of a picture, pixels."""


@dataclass(frozen=True)
class _Facts:
    """Everything that the report says."""

    name: str
    version: str
    source: str
    card: Card
    rule: str
    images: Mapping[str, Mapping[str, Any]]
    audited: pd.DataFrame
    ratings: Mapping[str, list[Any]]
    decisions: Mapping[str, Any]
    agreement: Agreement
    runs: Sequence[Consequence]
    thumbnails: Path


def change_report(
    audit: AuditStore,
    dataset_id: str,
    rule: str = "majority",
    run_ids: Sequence[str] = (),
    *,
    draws: int = 1000,
    seed: int = 0,
) -> str:
    """The report as HTML text.

    Parameters
    ----------
    rule : {"majority", "median", "adjudicator"}
    run_ids : sequence of str
        Runs whose metrics are shown before and after.
    draws, seed : int
        Bootstrap draws for the 95 % intervals and their seed.

    Raises
    ------
    NotFoundError
        If the dataset or a run is not in the store.
    InputError
        If there is no such rule.
    """
    store = audit.store
    info, dataset = store.dataset_info(dataset_id), store.dataset(dataset_id)
    audited = consensus_of(audit, dataset_id, rule)
    ratings: dict[str, list[Any]] = {}
    for row in audit.ratings(dataset_id).to_dict("records"):
        ratings.setdefault(row["image_id"], []).append(row)
    facts = _Facts(
        name=info.name,
        version=info.version,
        source=info.card.source or info.source,
        card=info.card,
        rule=rule,
        images={row["image_id"]: row for row in dataset.table.to_dict("records")},
        audited=audited,
        ratings=ratings,
        decisions={row["image_id"]: row for row in audit.adjudications(dataset_id).to_dict("records")},
        agreement=agreement_of(audit, dataset_id, draws=draws, seed=seed),
        runs=consequences(store, run_ids, audited, draws=draws, seed=seed),
        thumbnails=store.settings.thumbnails / dataset_id,
    )
    return "\n".join(_document(facts))


def _document(facts: _Facts) -> Iterator[str]:
    title = f"Label audit of {facts.name}"
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield (
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
    )
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
    yield f"<h1>{escape(title)}</h1>"
    yield from _summary(facts)
    yield from _metrics(facts)
    yield from _changes(facts)
    yield from _left(facts)
    yield from _agreement(facts)
    yield "</main></body></html>"


def _summary(facts: _Facts) -> Iterator[str]:
    changed = corrections(facts.audited)
    moves = (changed["audited"] - changed["label"]).to_numpy()
    names = ", ".join(one.name for one in facts.agreement.reviewers) or "nobody yet"
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows = {
        "Images with a rating": f"{len(facts.ratings):,} of {len(facts.images):,}",
        "Labels that change": f"{len(changed):,} ({int((moves > 0).sum())} up, {int((moves < 0).sum())} down)",
        "Reviewers": names,
        "Rule": f"{facts.rule}: {RULE_IN_WORDS[facts.rule]}; a decision of an adjudicator stands above votes",
        "Dataset version": facts.version,
        "Source": facts.source,
        "Made": made,
    }
    yield '<dl class="facts">'
    yield from (f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in rows.items())
    yield "</dl>"


def _metrics(facts: _Facts) -> Iterator[str]:
    if not facts.runs:
        return
    yield "<h2>What the corrections do to the metrics</h2>"
    yield "<table><thead><tr><th>Run</th><th>Metric</th><th>Original labels</th><th>Audited labels</th>"
    yield "<th>Difference</th></tr></thead><tbody>"
    for run in facts.runs:
        head = f'<th scope="rowgroup" rowspan="{len(judged())}">{escape(run.title)}</th>'
        for metric in judged():
            values = (
                _estimate(run.original.values[metric.id], run.original.intervals[metric.id]),
                _estimate(run.audited.values[metric.id], run.audited.intervals[metric.id]),
                _signed(run.difference(metric.id)),
            )
            cells = "".join(f"<td class=number>{value}</td>" for value in values)
            yield f"<tr>{head}<td>{escape(metric.title)}</td>{cells}</tr>"
            head = ""
    yield "</tbody></table>"
    yield "<p class=note>Fractions with 95 % intervals; means over subsets where there are several.</p>"


def _changes(facts: _Facts) -> Iterator[str]:
    changed = corrections(facts.audited)
    yield "<h2>Labels that change</h2>"
    if changed.empty:
        yield "<p>None.</p>"
        return
    if facts.runs:
        yield (
            "<p class=note>With each change stands what it moves by itself: the metric with all changes less the "
            "metric with this one undone.</p>"
        )
    moved = [(run.title, {row["image_id"]: row for row in run.corrections.to_dict("records")}) for run in facts.runs]
    rows = [(facts.images[row["image_id"]], row) for row in changed.to_dict("records")]
    for image, row in sorted(rows, key=lambda pair: (pair[0]["subset"], pair[0]["template_path"])):
        yield from _change(facts, image, row, moved)


def _change(
    facts: _Facts, image: Mapping[str, Any], row: Mapping[str, Any], moved: Sequence[tuple[str, Mapping[str, Any]]]
) -> Iterator[str]:
    before, after = (_level(facts.card, image["subset"], row[key]) for key in ("label", "audited"))
    yield f"<article>{_picture(facts, image)}<div>"
    yield f"<h3>{escape(image['subset'])} / {escape(image['template_path'])}</h3>"
    yield f'<p class="move"><span>{escape(before)}</span> &rarr; <strong>{escape(after)}</strong></p>'
    if image["split"] == "train":
        yield "<p class=note>This is a training image; templates do not list it.</p>"
    yield "<ul>"
    decision = facts.decisions.get(row["image_id"])
    if decision is not None:
        level = _level(facts.card, image["subset"], decision["level"])
        yield f"<li><b>{escape(decision['reviewer'])}</b> decided {escape(level)}{_reason(decision['reason'])}</li>"
    yield from (_rating(facts, image["subset"], rating) for rating in facts.ratings.get(row["image_id"], ()))
    yield f"</ul><p class=note>By {escape(row['by'])}{'; reviewers differ' if row['contested'] else ''}.</p>"
    for title, rows in moved:
        own = rows.get(row["image_id"])
        if own is not None:
            yield f"<p class=note>{escape(title)}: {_moves(own)}</p>"
    yield "</div></article>"


def _moves(row: Mapping[str, Any]) -> str:
    if not math.isfinite(row["score"]):
        return "the image has no score, so nothing moves."
    return escape(", ".join(f"{metric.title} {_signed(row[metric.id], 5)}" for metric in headline())) + "."


def _rating(facts: _Facts, subset: str, rating: Mapping[str, Any]) -> str:
    words = {"unsure": "unsure", "ungradable": NOT_GRADABLE}
    level = words.get(rating["state"]) or _level(facts.card, subset, rating["level"])
    seen = ", with scores or label in view" if rating["scores_visible"] else ""
    return f"<li><b>{escape(rating['reviewer'])}</b>: {escape(level)}{seen}{_reason(rating['reason'])}</li>"


def _reason(text: str) -> str:
    return f" &ndash; <q>{escape(text)}</q>" if text.strip() else ""


def _left(facts: _Facts) -> Iterator[str]:
    """What the audit leaves open."""
    table = facts.audited
    open_: Any = table[table["contested"] & (table["audited"] == table["label"])]
    blind: Any = table[table["by"] == NOT_GRADABLE]
    for title, rows in (("Contested, the label stays", open_), ("Not gradable, the label stays", blind)):
        if rows.empty:
            continue
        yield f"<h2>{title}</h2><ul>"
        for row in rows.to_dict("records"):
            image = facts.images[row["image_id"]]
            ratings = "; ".join(_plain(facts, image["subset"], one) for one in facts.ratings.get(row["image_id"], ()))
            place = f"{image['subset']} / {image['template_path']}"
            label = _level(facts.card, image["subset"], row["label"])
            yield f"<li>{escape(place)}, labelled {escape(label)}: {escape(ratings)}</li>"
        yield "</ul>"


def _plain(facts: _Facts, subset: str, rating: Mapping[str, Any]) -> str:
    words = {"unsure": "unsure", "ungradable": NOT_GRADABLE}
    return f"{rating['reviewer']} {words.get(rating['state']) or _level(facts.card, subset, rating['level'])}"


def _agreement(facts: _Facts) -> Iterator[str]:
    stats = facts.agreement
    yield "<h2>Agreement of the reviewers</h2>"
    yield f"<p>Krippendorff's alpha (ordinal): {_of(stats.alpha)}, from {stats.alpha.n:,} images with two ratings.</p>"
    if stats.kappas:
        yield "<table><thead><tr><th>Reviewers</th><th>Images</th><th>Quadratic-weighted kappa</th></tr></thead><tbody>"
        for (a, b), one in stats.kappas.items():
            cells = f"<td class=number>{one.n:,}</td><td class=number>{_of(one)}</td>"
            yield f"<tr><td>{escape(a)}, {escape(b)}</td>{cells}</tr>"
        yield "</tbody></table>"
    heads = ("Reviewer", "Rated", "Unsure", "Not gradable", "Kappa with labels", "Bias to others", "Drift to others")
    yield f"<table><thead><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr></thead><tbody>"
    for one in stats.reviewers:
        values = (one.rated, one.unsure, one.ungradable, _of(one.kappa), _of(one.bias), _of(one.drift))
        cells = "".join(f"<td class=number>{value}</td>" for value in values)
        yield f"<tr><td>{escape(one.name)}</td>{cells}</tr>"
    yield "</tbody></table><p class=note>Bias in levels, drift in levels per 100 ratings; 95 % intervals over images."
    yield f" {escape(' '.join(stats.notes))}</p>"


def _picture(facts: _Facts, image: Mapping[str, Any]) -> str:
    """The picture as data; a sentence where the file cannot be shown."""
    name = escape(f"{image['subset']} / {image['template_path']}", quote=True)
    try:
        digest = image["content_hash"]
        window = facts.card.subset(image["subset"]).window
        path = thumbnail(Path(image["path"]), facts.thumbnails, PICTURE, digest, content_hash=digest, window=window)
        data = base64.b64encode(path.read_bytes()).decode("ascii")
    except (MadError, OSError):
        return '<div class="none">The image file cannot be shown.</div>'
    return f'<img alt="{name}" src="data:image/webp;base64,{data}">'


def _level(card: Card, subset: str, level: float) -> str:
    meaning = card.subset(subset).levels.get(level_key(level))
    return f"{level_label(level)} · {meaning.name}" if meaning and meaning.name else level_label(level)


def _of(one: AgreementEstimate) -> str:
    return _estimate(one.value, one.interval, 3)


def _estimate(value: float | None, interval: Sequence[float] | None, digits: int = 4) -> str:
    if value is None:
        return "&ndash;"
    between = f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]" if interval else ""
    return f"{value:.{digits}f}{between}"


def _signed(value: float | None, digits: int = 4) -> str:
    return "&ndash;" if value is None or not math.isfinite(value) else f"{value:+.{digits}f}"


_STYLE = """
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1c1e21; background: #fff; }
main { max-width: 62rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 1rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; break-after: avoid; }
h3 { font-size: .95rem; margin: 0; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
.facts dt { color: #5b6168; } .facts dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid #dcdfe3; vertical-align: top; }
.number { font-variant-numeric: tabular-nums; }
article { display: grid; grid-template-columns: 14rem 1fr; gap: 1.2rem; padding: 1rem 0; border-top: 1px solid #dcdfe3;
  break-inside: avoid; }
article img { max-width: 100%; max-height: 14rem; background: #eceef0; }
.none { background: #eceef0; color: #5b6168; padding: 3rem 1rem; text-align: center; }
.move { margin: .2rem 0; font-size: 1.05rem; } .note { color: #5b6168; font-size: .87rem; margin: .2rem 0; }
article ul { margin: .3rem 0; padding-left: 1.1rem; } li, q { overflow-wrap: anywhere; }
@media (max-width: 40rem) { article { grid-template-columns: 1fr; } }
@media print { :root { font-size: 10pt; } main { max-width: none; margin: 0; padding: 0; }
  article { grid-template-columns: 4.5cm 1fr; } thead { display: table-header-group; } tr { break-inside: avoid; } }
@page { margin: 1.6cm; }
"""
