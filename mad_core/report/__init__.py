"""The report: any set of runs as one HTML file that needs nothing else."""

from mad_core.report.document import report_html

__all__ = ["report_html"]
