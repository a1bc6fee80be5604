"""A report as text, in one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mad_core.report.contents import ReportRequest, Steps, gather, steps_of
from mad_core.report.document import document
from mad_core.runs.store import Store


def report_html(store: Store, run_ids: Sequence[str], **asked: Any) -> str:
    """The report of these runs, of one dataset or several; what else is asked as :class:`ReportRequest` has it."""
    request = ReportRequest(tuple(run_ids), **asked)
    steps = Steps(lambda done, total: None, steps_of(request))
    return "\n".join(document(store, gather(store, request, steps), steps))
