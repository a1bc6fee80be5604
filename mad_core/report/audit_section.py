"""The audit in a report: who rated, how far they agree, which labels change, and what that does to the metrics."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from mad_core.audit.agreement import Agreement, agreement_of
from mad_core.audit.consensus import RULE_IN_WORDS, consensus_of, corrections
from mad_core.audit.consequence import with_audited
from mad_core.audit.labels import AuditStore
from mad_core.datasets.naming import level_label
from mad_core.metrics.agreement import AgreementEstimate
from mad_core.metrics.names import headline
from mad_core.report.contents import ReportPart, summarized
from mad_core.report.html import estimate, facts, folded, how_to_read, in_line, table
from mad_core.report.image_strips import STRIP, ImageStrip, StripImage
from mad_core.report.metric_section import metric_cell
from mad_core.runs.store import Store

MOST_ROWS = 40
READ_AUDIT = (
    "Alpha says how far reviewers agree beyond chance: 1 is full agreement, 0 is chance. Kappa says the same of one "
    "reviewer and the labels, an error of two levels counting four times as much as one of one. Bias is how many "
    "levels a reviewer stands above the others on the same images; negative is below. Labels change by the rule that "
    "is named; a contested label is one on which reviewers differ. Agreement does not show that the reviewers are "
    "right."
)


class AuditSection:
    """The audit of one part."""

    def __init__(self, store: Store, part: ReportPart) -> None:
        self.part, self.audit = part, AuditStore(store)
        self.rule = part.request.rule or "majority"
        self.labels = consensus_of(self.audit, part.info.id, self.rule)
        self.changed: Any = corrections(self.labels)
        self.rows = store.dataset(part.info.id).table.set_index("image_id")

    def summary(self) -> Iterator[str]:
        """Reviewers and agreement, then what the changes do to the metrics."""
        request = self.part.request
        agreement = agreement_of(self.audit, self.part.info.id, draws=request.draws, seed=request.seed)
        used = "the audited ones" if request.rule else "the original ones"
        contested = int(self.labels["contested"].to_numpy().sum())
        entries = {
            "Images with a level": f"{agreement.images:,}, {agreement.several:,} of them by several reviewers",
            "Rule": f"{self.rule}: {RULE_IN_WORDS[self.rule]}",
            "Labels that change": f"{len(self.changed):,}, contested {contested:,}",
            "Labels in this report": used,
            "Krippendorff's alpha": in_line(agreement.alpha.value, agreement.alpha.interval),
        }
        yield how_to_read(READ_AUDIT)
        yield facts(entries)
        yield _reviewers(agreement)
        yield f"<p class=note>{escape(' '.join(agreement.notes))}</p>" if agreement.notes else ""
        if len(self.changed):
            yield "<h3>What the changes do to the metrics</h3>"
            heads = ["Run", "Labels", *(metric.short for metric in headline())]
            yield table(heads, list(self._metrics()), numbers_from=2, made=True)

    def strip(self) -> ImageStrip:
        """The first of the labels that change, the furthest moves first."""
        moves = (self.changed["audited"] - self.changed["label"]).abs()
        chosen = self.changed.loc[moves.sort_values(ascending=False, kind="stable").index[:STRIP]]
        shown = [
            StripImage(row["image_id"], self.part.runs[:1], f"{_moved(row)}, {row['by']}.") for row in _records(chosen)
        ]
        return ImageStrip("Labels that change most", "The furthest moves first.", shown, "No label changes.")

    def changes(self) -> str:
        """Every change as a table, folded."""
        places = [self.rows.loc[row["image_id"]] for row in _records(self.changed.head(MOST_ROWS))]
        rows = [
            [f"{at['subset']} / {at['template_path']}", _moved(row), str(row["by"])]
            for at, row in zip(places, _records(self.changed.head(MOST_ROWS)), strict=True)
        ]
        cut = f", the first {MOST_ROWS} of {len(self.changed):,}" if len(self.changed) > MOST_ROWS else ""
        inner = table(("Image", "Label", "By"), rows, numbers_from=3)
        return folded(f"Table: labels that change{cut}", inner, rows=len(rows)) if rows else ""

    def _metrics(self) -> Iterator[Any]:
        for run in self.part.runs:
            original = self.part.originals[run.id]
            for labels, rows in (("original", original), ("audited", with_audited(original, self.labels))):
                result = summarized(rows, self.part.request)
                cells = [metric_cell(metric, result) for metric in headline()]
                yield [escape(self.part.names[run.id]), labels, *cells]


def _reviewers(agreement: Agreement) -> str:
    rows = [
        [escape(one.name), f"{one.rated:,}", f"{one.unsure:,}", f"{one.ungradable:,}", _of(one.kappa), _of(one.bias)]
        for one in agreement.reviewers
    ]
    heads = ("Reviewer", "Rated", "Unsure", "Not gradable", "Kappa with labels", "Bias to others, levels")
    return table(heads, rows, made=True)


def _of(one: AgreementEstimate) -> str:
    return estimate(one.value, one.interval)


def _moved(row: Mapping[str, Any]) -> str:
    return f"{level_label(row['label'])} to {level_label(row['audited'])}"


def _records(rows: pd.DataFrame) -> Sequence[Mapping[str, Any]]:
    return rows.to_dict("records")
