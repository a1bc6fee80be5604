"""The report as HTML: plotly.js and all pictures stand in the file; it may ask no host for anything and says so."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from mad_core.datasets.dataset import level_key
from mad_core.figures import READ_LEVEL_COUNTS, describe_level_counts, level_counts, level_label
from mad_core.labelled import of_which_labelled
from mad_core.palette import THEMES, chrome
from mad_core.report.audit_section import AuditSection
from mad_core.report.contents import Drawing, ReportPart, Steps, figures_of
from mad_core.report.html import cell, facts, folded, heading, how_to_read, table, take_away
from mad_core.report.image_strips import READ_STRIPS, STRIP, ImageStrip, StripImage, contested, strips_of_run
from mad_core.report.metric_section import in_short, metrics_html
from mad_core.report.pictures import Pictures
from mad_core.report.repeat import repeat_html, report_command
from mad_core.runs.comparing import distinct_names
from mad_core.runs.store import Store
from mad_core.studies.export import decimals, slug, table_csv
from mad_core.studies.record import StudyRecord
from mad_core.studies.study import figures as study_figures

MOST_PICTURES = 240
MOST_ROWS = 40
"""Rows of a study's table that are shown."""
PLATFORM = "MAD Inspector"
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


def document(store: Store, parts: Sequence[ReportPart], steps: Steps) -> Iterator[str]:
    """The document of what was gathered, piece by piece; a step a run."""
    return _Writer(store, steps).document(parts)


class _Writer:
    """Writes one document; numbers its figures and bounds its pictures."""

    def __init__(self, store: Store, steps: Steps) -> None:
        self.store, self.steps, self.pictures = store, steps, Pictures(store)
        self.figures, self.shown = 0, 0

    def document(self, parts: Sequence[ReportPart]) -> Iterator[str]:
        title = "Report on " + ", ".join(part.info.name for part in parts)
        yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield f"<title>{escape(title)}</title><style>{_style()}</style><script>{get_plotlyjs()}</script></head><body>"
        yield f"<header><p>{PLATFORM}</p><h1>{escape(title)}</h1>{facts(_asked(parts))}</header>"
        yield '<div class="page"><nav aria-label="Contents"><h2>Contents</h2>'
        yield from (_contents(place, part, len(parts) > 1) for place, part in enumerate(parts))
        yield '<ul><li><a href="#this">This report</a></li></ul></nav><main>'
        for place, part in enumerate(parts):
            yield from self._part(place, part)
        yield heading(2, "This report", "this")
        yield f"<p>The command that makes it again:</p><pre>{escape(report_command(parts[0].request))}</pre>"
        yield f"</main></div><script>{_asset('report.js')}</script></body></html>"

    def _part(self, place: int, part: ReportPart) -> Iterator[str]:
        for key, title in _sections(part).items():
            yield heading(2, f"{part.info.name}: {title.lower()}" if key == "short" else title, f"{key}{place}")
            yield from _SECTIONS[key][1](self, part)

    def short(self, part: ReportPart) -> Iterator[str]:
        yield "<ul class=short>"
        yield from in_short(part)
        for record in part.studies:
            if record.finding is not None:
                title, sentence = escape(record.finding.title), escape(record.finding.sentence)
                yield f'<li><a href="#study-{record.id}">{title}</a>: {sentence}</li>'
        yield "</ul>"

    def card(self, part: ReportPart) -> Iterator[str]:
        info, card = part.info, part.info.card
        yield facts(
            {
                "Name": info.name,
                "Description": card.description,
                "Source": card.source or info.source,
                "Licence": card.licence,
                "Version": info.version,
                "Images": of_which_labelled(info.images, info.images - self.store.dataset(info.id).unlabelled()),
                "Severity policy": card.policy,
                "Problems met on import": f"{len(info.problems):,}",
            }
        )
        rows: Any = self.store.dataset(info.id).table
        rows = rows[rows["subset"].isin(part.subsets)]
        sizes: Any = rows.groupby(["subset", "split", "level"], sort=False).size()
        counts = sizes.reset_index(name="n")
        names = card.level_names(part.subsets)
        words = describe_level_counts(counts, level_names=names)
        yield from self._figure(
            Drawing(
                READ_LEVEL_COUNTS,
                "Images by level",
                words,
                lambda theme: level_counts(counts, level_names=names, theme=theme),
            )
        )
        levels = _levels(part, rows)
        heads = ("Subset", "Level", "Name", "Meaning", "Types of defect", "Test images")
        yield folded("Table: levels and what they mean", table(heads, levels, numbers_from=5), rows=len(levels))

    def scores(self, part: ReportPart) -> Iterator[str]:
        """Figures that leave room for another stand beside it."""
        beside = False
        for drawing in figures_of(part):
            if not drawing.wide and not beside:
                yield "<div class=beside>"
            yield from self._figure(drawing)
            if not drawing.wide and beside:
                yield "</div>"
            beside = not drawing.wide and not beside
        yield "</div>" if beside else ""

    def images(self, part: ReportPart) -> Iterator[str]:
        yield how_to_read(READ_STRIPS)
        yield "<p class=note>Ranks are percentiles within a subset: 0 is the least severe image, 100 the most.</p>"
        rows = self._rows(part)
        for strip in contested(self.store, part):
            yield from self._strip(part, strip, rows)
        for run in part.runs:
            for strip in strips_of_run(part, run):
                yield from self._strip(part, strip, rows)
            self.steps.step()

    def studies(self, part: ReportPart) -> Iterator[str]:
        rows = self._rows(part)
        if others := part.studies_of_others:
            many = "1 study that is" if others == 1 else f"{others} studies that are"
            yield f"<p class=note>Left out: {many} also of runs that this report does not hold.</p>"
        for record in part.studies:
            yield from self._study(part, record, rows)

    def audit(self, part: ReportPart) -> Iterator[str]:
        audited = AuditSection(self.store, part)
        yield from audited.summary()
        yield from self._strip(part, audited.strip(), self._rows(part))
        yield audited.changes()

    def repeat(self, part: ReportPart) -> Iterator[str]:
        drawn = f"{part.request.draws:,} bootstrap draws, seed {part.request.seed}"
        yield f"<p class=note>Intervals of metrics need no draws; those of agreement have {drawn}.</p>"
        yield from repeat_html(self.store, part)

    # -- pieces -------------------------------------------------------------------------------------

    def _figure(self, drawing: Drawing) -> Iterator[str]:
        self.figures += 1
        light, change = in_both_themes(drawing.draw)
        # no text of a figure can end the script that holds it
        data = json.dumps({"light": light, "change": change}, separators=(",", ":")).replace("<", "\\u003c")
        name = escape(slug(drawing.title)[:60], quote=True)
        height = light["layout"].get("height") or 400
        kinds = "".join(f'<button type="button" data-kind="{kind}">{kind.upper()}</button>' for kind in ("svg", "png"))
        yield f'<figure class="drawn"><figcaption><span>{escape(drawing.title)}</span><span class="take">{kinds}</span>'
        yield f'</figcaption><div class="plot" id="plot{self.figures}" data-name="{name}" role="img" '
        yield f'aria-label="{escape(drawing.words, quote=True)}" style="min-height:{height}px"></div>'
        yield f'<script type="application/json">{data}</script><noscript><p>{escape(drawing.words)}</p></noscript>'
        yield f"{how_to_read(drawing.read)}</figure>"

    def _rows(self, part: ReportPart) -> Mapping[str, Mapping[Any, Any]]:
        return {row["image_id"]: row for row in self.store.dataset(part.info.id).table.to_dict("records")}

    def _strip(self, part: ReportPart, strip: ImageStrip, rows: Mapping[str, Mapping[Any, Any]]) -> Iterator[str]:
        yield f"{heading(3, strip.title)}<p class=note>{escape(strip.about if strip.shown else strip.none)}</p>"
        if self.shown + len(strip.shown) > MOST_PICTURES:
            yield f"<p class=note>Left out: a report holds {MOST_PICTURES} pictures.</p>"
            return
        small = "" if any(one.runs for one in strip.shown) else " small"
        yield f'<div class="strip{small}">'
        yield from (self._picture(part, one, rows[one.image_id]) for one in strip.shown if one.image_id in rows)
        yield "</div>"

    def _picture(self, part: ReportPart, one: StripImage, row: Mapping[Any, Any]) -> str:
        self.shown += 1
        names = part.info.card.level_names([row["subset"]])
        caption = f"{level_label(row['level'], names)} · {row['subset']} / {row['template_path']}"
        picture = self.pictures.row(part.info.id, row, one.runs)
        if picture is None:
            shown = '<div class="none">The file cannot be read any more.</div>'
        else:
            address, maps, (width, height) = picture
            what = "".join(f"; map of {part.names[run.id]}" for run in maps)
            alt = escape(f"{caption}{what}", quote=True)
            shown = f'<img alt="{alt}" src="{address}" width="{width}" height="{height}">'
        return f"<figure>{shown}<figcaption><b>{escape(caption)}</b><br>{escape(one.why)}</figcaption></figure>"

    def _study(self, part: ReportPart, record: StudyRecord, rows: Mapping[str, Mapping[Any, Any]]) -> Iterator[str]:
        finding = record.finding
        if finding is None:
            return
        mode = "a sample, levels in their shares" if record.quick else "every image"
        run_names = distinct_names([run for run in self.store.runs(part.info.id) if run.id in record.runs])
        on = ", ".join(run_names.get(run_id, f"{run_id} (deleted)") for run_id in record.runs)
        yield f'<section class="study">{heading(3, finding.title, f"study-{record.id}")}'
        yield f'<p class="finding">{escape(finding.sentence)}</p>'
        yield f"<p class=note>{escape(finding.caveat)} On {mode}, seed {record.seed}; runs: {escape(on or 'none')}.</p>"
        drawn = drawings(record)
        if not drawn:
            yield "<p class=note>Its figures cannot be drawn from what is kept of it; asking it again makes them.</p>"
        for drawing in drawn:
            yield from self._figure(drawing)
        for name, ids in finding.images.items():
            shown = [StripImage(image_id, (), "") for image_id in ids[:STRIP]]
            yield from self._strip(part, ImageStrip(name, "", shown), rows)
        for name, frame in finding.tables.items():
            shown = frame.head(MOST_ROWS).to_numpy(object).tolist()
            digits = [decimals(column) for column in zip(*shown, strict=True)]
            body = [[cell(value, n) for value, n in zip(row, digits, strict=True)] for row in shown]
            heads = [str(column).replace("_", " ") for column in frame.columns]
            inner = table(heads, body) + take_away(f"{finding.study}-{slug(name)}.csv", table_csv(frame))
            cut = f", the first {MOST_ROWS} of {len(frame):,} rows" if len(frame) > MOST_ROWS else ""
            title = f"Table: {name.replace('_', ' ')}{cut}"
            yield folded(title, inner, rows=len(body), columns=len(heads))
        yield "</section>"


_SECTIONS: Mapping[str, tuple[str, Callable[[_Writer, ReportPart], Iterator[str]]]] = {
    "short": ("In short", _Writer.short),
    "card": ("Dataset", _Writer.card),
    "metrics": ("Metrics", lambda writer, part: metrics_html(writer.store, part)),
    "scores": ("Scores", _Writer.scores),
    "images": ("Images", _Writer.images),
    "studies": ("Studies", _Writer.studies),
    "audit": ("Audit of the labels", _Writer.audit),
    "repeat": ("To repeat it", _Writer.repeat),
}


def _sections(part: ReportPart) -> dict[str, str]:
    """The sections of a part and their headings; those without content are left out."""
    has_content = {"studies": bool(part.studies or part.studies_of_others), "audit": part.audited}
    return {key: title for key, (title, _) in _SECTIONS.items() if has_content.get(key, True)}


def _contents(place: int, part: ReportPart, named: bool) -> str:
    links = "".join(f'<li><a href="#{key}{place}">{title}</a></li>' for key, title in _sections(part).items())
    return (f"<p>{escape(part.info.name)}</p>" if named else "") + f"<ul>{links}</ul>"


def _asked(parts: Sequence[ReportPart]) -> dict[str, str]:
    request = parts[0].request
    audited = any(part.audited for part in parts)
    labels = f"audited, rule {request.rule}" if request.rule and audited else "original"
    return {
        "Made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "Runs": ", ".join(part.names[run.id] for part in parts for run in part.runs),
        "Subsets": ", ".join(dict.fromkeys(name for part in parts for name in part.subsets)),
        "Labels": labels,
    }


def _levels(part: ReportPart, rows: Any) -> list[list[str]]:
    body = []
    for (subset, level), images in rows.groupby(["subset", "level"], sort=True):
        meaning = part.info.card.subset(subset).levels.get(level_key(level))
        defects = sorted({defect for defect in images["defect"] if isinstance(defect, str)})
        shown = ", ".join(defects[:MOST_ROWS]) + (f" and {len(defects) - MOST_ROWS} more" * (len(defects) > MOST_ROWS))
        tests = int((images["split"] == "test").sum())
        names = [meaning.name, meaning.meaning] if meaning else ["", ""]
        body.append([str(subset), f"L{level_key(level)}", *names, shown, f"{tests:,}"])
    for subset, images in rows[rows["level"].isna()].groupby("subset", sort=True):
        body.append([str(subset), "no level", "", "nobody has graded them yet", "", f"{len(images):,}"])
    return body


def drawings(record: StudyRecord) -> list[Drawing]:
    """The figures of a study; none where its finding was kept by an earlier version that had other tables."""
    finding = record.finding
    if finding is None:
        return []
    try:
        plots = {theme: {p.title: p for p in study_figures(finding, theme)} for theme in THEMES}
    except (LookupError, TypeError, ValueError, AttributeError):
        return []
    return [
        Drawing(plot.how_to_read, title, plot.alt, lambda theme, title=title: plots[theme][title].figure)
        for title, plot in plots["light"].items()
    ]


def in_both_themes(draw: Callable[..., go.Figure]) -> tuple[Any, Any]:
    """A figure in the light theme as JSON, and what changes in the dark one: points stand in the file once.

    A change is a list of one, the new value, or an object of changes by key or place.
    """
    light, dark = (json.loads(str(draw(theme).to_json())) for theme in THEMES)
    return light, _change(light, dark)


def _change(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        return {key: _change(old[key], new[key]) for key in old if old[key] != new[key]}
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return {place: _change(a, b) for place, (a, b) in enumerate(zip(old, new, strict=True)) if a != b}
    return [new]


@cache
def _asset(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _style() -> str:
    light, dark = (chrome(theme) for theme in THEMES)
    tones = [
        f"--page:{t.page};--panel:{t.panel};--ink:{t.ink};--muted:{t.muted};--line:{t.line};--accent:{t.accent}"
        for t in (light, dark)
    ]
    night = f"@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{tones[1]}}}}}"
    return f":root{{color-scheme:light;{tones[0]}}}{night}{_asset('report.css')}"
