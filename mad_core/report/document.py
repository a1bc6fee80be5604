"""The report as HTML: plotly.js and all pictures stand in the file; it may ask no host for anything and says so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from plotly.offline import get_plotlyjs

from mad_core.audit.agreement import agreement_of
from mad_core.audit.consensus import RULE_IN_WORDS, consensus_of, corrections
from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import level_key
from mad_core.figures import describe_level_counts, level_counts, level_label
from mad_core.metrics import comparing
from mad_core.palette import THEMES, chrome
from mad_core.report.contents import Part, command, figures_of, gather, level_names, strips
from mad_core.report.pictures import Pictures
from mad_core.runs.store import Run, Store
from mad_core.studies.drawing import figures as study_figures
from mad_core.studies.record import StudyRecord, list_studies
from mad_core.teaching import READ

COLUMNS = {
    "auroc_whole": "AUROC",
    "c_index": "C-index",
    "kendall_tau_b": "tau-b",
    "abnormal_c_index": "C-index, abnormal only",
    "abnormal_kendall_tau_b": "tau-b, abnormal only",
    "tied_pairs": "tied pairs",
}
MOST_PICTURES = 120
MOST_ROWS = 40
"""Rows of a study's table that are shown."""
_POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def report_html(store: Store, run_ids: Sequence[str], *, draws: int = 1000, seed: int = 0) -> str:
    """The report of these runs, of one dataset or several.

    Parameters
    ----------
    draws, seed : int
        Bootstrap draws for the 95 % intervals and their seed.

    Raises
    ------
    NotFoundError
        If a run is not in the store.
    """
    parts = gather(store, run_ids, draws, seed)
    return "\n".join(_Writer(store).document(parts))


class _Writer:
    """Writes one document; numbers its figures and bounds its pictures."""

    def __init__(self, store: Store) -> None:
        self.store, self.pictures = store, Pictures(store)
        self.figures, self.shown = 0, 0

    def document(self, parts: Sequence[Part]) -> Iterator[str]:
        title = "Report on " + ", ".join(part.info.name for part in parts)
        made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield f"<title>{escape(title)}</title><style>{_style()}</style><script>{get_plotlyjs()}</script></head>"
        yield f"<body><main><h1>{escape(title)}</h1><p class=note>Made {made} by MAD Inspector.</p>"
        for part in parts:
            yield from self._part(part)
        yield f"</main><script>{_SCRIPT}</script></body></html>"

    def _part(self, part: Part) -> Iterator[str]:
        yield from self._card(part)
        yield f"<h2>Metrics</h2>{_read('metrics')}"
        yield from _metrics(part)
        yield "<h2>Scores</h2>"
        lights, darks = (list(figures_of(part, theme)) for theme in THEMES)
        for (key, title, light, words), (_, _, dark, _) in zip(lights, darks, strict=True):
            yield from self._figure(title, light, dark, words, _read(key))
        yield from self._strips(part)
        yield from self._studies(part)
        yield from _audit(self.store, part)
        yield from _repeat(self.store, part)

    def _card(self, part: Part) -> Iterator[str]:
        info, card = part.info, part.info.card
        facts = {
            "Dataset": info.name,
            "Description": card.description,
            "Source": card.source or info.source,
            "Licence": card.licence,
            "Version": info.version,
            "Images": f"{info.images:,}",
            "Problems met on import": f"{len(info.problems):,}",
        }
        yield f"<section><h2>{escape(info.name)}</h2>{_facts(facts)}</section>"
        table = self.store.dataset(info.id).table
        sizes: Any = table.groupby(["subset", "split", "level"], sort=False).size()
        counts = sizes.reset_index(name="n")
        names = level_names(card, sorted(set(table["subset"])))
        light, dark = (level_counts(counts, level_names=names, theme=theme) for theme in THEMES)
        yield from self._figure("Images by level", light, dark, describe_level_counts(counts, level_names=names), "")

    def _figure(self, title: str, light: Any, dark: Any, words: str, read: str) -> Iterator[str]:
        self.figures += 1
        data = "{" + ",".join(f'"{n}":{f.to_json()}' for n, f in zip(THEMES, (light, dark), strict=True)) + "}"
        safe = data.replace("<", "\\u003c")  # no text of a figure can end the script that holds it
        yield f'<figure><figcaption>{escape(title)}</figcaption><div class="plot" id="plot{self.figures}" role="img" '
        yield f'aria-label="{escape(words, quote=True)}" style="min-height:{light.layout.height or 400}px"></div>'
        yield f'<script type="application/json">{safe}</script>{read}</figure>'

    def _strips(self, part: Part) -> Iterator[str]:
        yield f"<h2>Images</h2>{_read('strips')}"
        rows = {row["image_id"]: row for row in self.store.dataset(part.info.id).table.to_dict("records")}
        for title, run, ids in strips(part):
            yield f"<h3>{escape(title)}</h3><div class=strip>"
            yield from (self._picture(part, run, rows[image_id]) for image_id in ids if self.shown < MOST_PICTURES)
            yield "</div>"

    def _picture(self, part: Part, run: Run, row: Mapping[Any, Any]) -> str:
        self.shown += 1
        names = level_names(part.info.card, [row["subset"]])
        said = f"{level_label(row['level'], names)} · {row['subset']} / {row['template_path']}"
        data = self.pictures.pair(run, dict(row))
        shown = (
            f'<img alt="{escape(said, quote=True)}" src="{data}">' if data else "<div>The file cannot be shown.</div>"
        )
        scores = part.tables[run.id].set_index("image_id")["score"]
        return f"<figure>{shown}<figcaption>{escape(said)}<br>score {scores[row['image_id']]:.4g}</figcaption></figure>"

    def _studies(self, part: Part) -> Iterator[str]:
        found = [record for record in list_studies(self.store, part.info.id) if record.finding is not None]
        if found:
            yield "<h2>Studies</h2>"
        for record in found:
            yield from self._study(record)

    def _study(self, record: StudyRecord) -> Iterator[str]:
        finding = record.finding
        if finding is None:
            return
        mode = "quick: a stratified sample" if record.quick else "full"
        yield f"<h3>{escape(finding.title)}</h3><p><strong>{escape(finding.sentence)}</strong></p>"
        yield f"<p class=note>{escape(finding.caveat)} ({mode}, seed {record.seed})</p>"
        lights, darks = (study_figures(finding, theme) for theme in THEMES)
        for title, (light, words) in lights.items():
            yield from self._figure(title, light, darks[title][0], words, "")
        for name, table in finding.tables.items():
            body = [[_cell(value) for value in row] for row in table.head(MOST_ROWS).to_numpy(object).tolist()]
            inner = _table([str(c) for c in table.columns], body)
            cut = f", the first {MOST_ROWS} of {len(table):,} rows" if len(table) > MOST_ROWS else ""
            yield f"<details><summary>Table: {escape(name)}{cut}</summary>{inner}</details>"


def _metrics(part: Part) -> Iterator[str]:
    rows = [_metric_row(part.names[run.id], part.founds[run.id]) for run in part.runs]
    fullest = max(part.founds.values(), key=lambda found: found["n_scored"])
    for name, values in comparing.reference_rows(fullest).items():
        rows.append([name, "", *(_number(values.get(column)) for column in COLUMNS)])
    heads = ["Run", "Images", *COLUMNS.values()]
    yield _table(heads, rows)
    yield f"<p>{escape(comparing.reference_in_words(fullest))}</p><ul>"
    for run in part.runs:
        said = " ".join(comparing.in_words(part.founds[run.id]))
        yield f"<li><b>{escape(part.names[run.id])}</b>: {escape(said)}</li>" if said else ""
    yield "</ul>"
    subsets = [
        _metric_row(f"{part.names[run.id]}, {subset}", found)
        for run in part.runs
        for subset, found in part.founds[run.id]["subsets"].items()
    ]
    if subsets:
        yield f"<details><summary>Each subset</summary>{_table(heads, subsets)}</details>"


def _metric_row(name: str, found: Mapping[str, Any]) -> list[str]:
    values = comparing.flat(found)
    cells = [_estimate(values.get(column), found["intervals"].get(column)) for column in COLUMNS]
    return [name, f"{found['n_scored']:,} of {found['n']:,}", *cells]


def _audit(store: Store, part: Part) -> Iterator[str]:
    audit = AuditStore(store)
    if not audit.standing(part.info.id):
        return
    found = agreement_of(audit, part.info.id, draws=part.draws, seed=part.seed)
    audited = consensus_of(audit, part.info.id, "majority")
    contested = int(audited["contested"].to_numpy().sum())
    changed: Any = corrections(audited)
    facts = {
        "Reviewers": ", ".join(one.name for one in found.reviewers),
        "Krippendorff's alpha": _estimate(found.alpha.value, found.alpha.interval),
        "Rule": f"majority: {RULE_IN_WORDS['majority']}",
        "Labels that change": f"{len(changed):,}, contested {contested:,}",
    }
    yield f"<h2>Audit of the labels</h2>{_read('audit')}{_facts(facts)}"
    rows = [
        [row["image_id"], f"L{level_key(row['label'])}", f"L{level_key(row['audited'])}", str(row["by"])]
        for row in changed.head(MOST_ROWS).to_dict("records")
    ]
    if rows:
        yield f"<details><summary>Changes</summary>{_table(['Image', 'Label', 'Audited', 'By'], rows)}</details>"


def _repeat(store: Store, part: Part) -> Iterator[str]:
    yield "<h2>To repeat it</h2>"
    yield f"<p class=note>Intervals: {part.draws:,} bootstrap draws, seed {part.seed}.</p>"
    for run in part.runs:
        yield f"<h3>{escape(part.names[run.id])}</h3><pre>{escape(command(part, run))}</pre>"
        fits = {entry.subset: entry.fit for entry in store.run_subsets(run.id)}
        facts = {
            "Run": f"{run.id}, {run.status}, {run.done:,} of {run.total:,} images",
            "Seed": str(run.seed),
            "Dataset version": run.dataset_version,
            "Request digest": run.request,
            "Parameters": json.dumps(dict(run.parameters), sort_keys=True),
            "Fits": json.dumps(fits, sort_keys=True),
            "Facts of the fits": json.dumps({e.subset: dict(e.facts) for e in store.run_subsets(run.id)}, default=str),
            "Record": json.dumps(dict(run.record), sort_keys=True, default=str),
        }
        yield _facts(facts)
    words = ["python -m mad_core report", *(run.id for run in part.runs)]
    yield f"<h3>This report</h3><pre>{escape(' '.join([*words, '--out report.html']))}</pre>"


def _read(key: str) -> str:
    return f"<details class=read><summary>How to read this</summary><p>{escape(READ[key])}</p></details>"


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items() if value)
    return f"<dl>{rows}</dl>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(c)}</td>" for c in row[1:]) + "</tr>"
        for row in rows
    )
    return f"<div class=wide tabindex=0><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _estimate(value: float | None, interval: Sequence[float] | None) -> str:
    between = f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval and value is not None else ""
    return _number(value) + between


def _cell(value: Any) -> str:
    return "–" if value is None or value != value else f"{value:.4g}" if isinstance(value, float) else str(value)


def _style() -> str:
    light, dark = (chrome(theme) for theme in THEMES)
    tones = [
        f"--page:{t.page};--panel:{t.panel};--ink:{t.ink};--muted:{t.muted};--line:{t.line};--accent:{t.accent}"
        for t in (light, dark)
    ]
    night = f"@media screen and (prefers-color-scheme:dark){{:root{{{tones[1]}}}}}"
    return f":root{{color-scheme:light dark;{tones[0]}}}{night}{_STYLE}"


_STYLE = """
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.8rem; } h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; break-after: avoid; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; break-after: avoid; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; }
dt, .note, summary { color: var(--muted); } dd { margin: 0; overflow-wrap: anywhere; } .note { font-size: .9rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  font-variant-numeric: tabular-nums; }
pre { background: var(--panel); padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .82rem; }
figure { margin: 1.2rem 0; break-inside: avoid; } figure > figcaption { font-weight: 600; }
.read p { max-width: 46rem; margin: .3rem 0 .8rem; } summary { cursor: pointer; font-size: .9rem; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: .8rem; }
.strip figure { margin: 0; } .strip img { max-width: 100%; background: var(--panel); }
.strip figcaption { font-weight: 400; font-size: .8rem; color: var(--muted); overflow-wrap: anywhere; }
@media print { body { font-size: 10pt; } main { max-width: none; margin: 0; padding: 0; } tr { break-inside: avoid; }
  .strip { grid-template-columns: repeat(3, 1fr); } }
@page { margin: 1.5cm; }
"""

_SCRIPT = """
const dark = window.matchMedia('(prefers-color-scheme: dark)');
function drawAll(theme) {
  for (const plot of document.querySelectorAll('.plot')) {
    plot.kept = plot.kept || JSON.parse(plot.nextElementSibling.textContent);
    const figure = plot.kept[theme];
    Plotly.react(plot, figure.data, figure.layout, { displaylogo: false, responsive: true });
  }
}
const inView = () => drawAll(dark.matches ? 'dark' : 'light');
inView();
dark.addEventListener('change', inView);
window.addEventListener('beforeprint', () => drawAll('light'));
window.addEventListener('afterprint', inView);
"""
