"""The dictionary of metrics, as a table to read where it is printed."""

from collections.abc import Iterator
from html import escape
from typing import Any

from mad_core.metrics.names import METRICS, Metric, headline

HEADS = ("", "value", "95 % interval", "severity at random")
Line = tuple[str, ...]


class Metrics(dict[str, Any]):
    """What :func:`mad_core.evaluate` gives: a plain dictionary, printed as a table.

    ``dict(metrics)`` prints all of it; ``json.dumps(metrics)`` is the form of ``evaluate --json``.
    """

    def __init__(self, metrics: dict[str, Any]) -> None:
        super().__init__(metrics)
        self["subsets"] = {name: Metrics(part) for name, part in metrics["subsets"].items()}

    def __repr__(self) -> str:
        lines = [HEADS, *self._lines()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
        texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([self._title(), *(text.rstrip() for text in texts), *self["notes"]])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in HEADS)
        body = "".join(
            f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
            for name, *cells in self._lines()
        )
        notes = "".join(f"<li>{escape(note)}</li>" for note in self["notes"])
        table = f"<table><caption>{escape(self._title())}</caption><thead><tr>{head}</tr></thead>"
        return f"{table}<tbody>{body}</tbody></table>" + (f"<ul>{notes}</ul>" if notes else "")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def _title(self) -> str:
        levels = ", ".join(f"L{level}: {n}" for level, n in self["levels"].items())
        return f"{self['n_scored']} of {self['n']} images scored ({levels})" if levels else "no images"

    def _lines(self) -> Iterator[Line]:
        for metric in METRICS:
            reference = next(iter(metric.references.values()), "")
            random = metric.chance if metric.part_of else None
            yield self._line(metric, metric.title, self["reference"].get(reference, random))
        for name, part in self["subsets"].items():
            for metric in headline():
                yield part._line(metric, f"{name}: {metric.title}")

    def _line(self, metric: Metric, title: str, random: float | None = None) -> Line:
        value, between = metric.value(self), metric.interval(self)
        interval = " to ".join(metric.text(end) for end in between) if between else ""
        return title, metric.text(value), interval, "" if random is None else metric.text(random)
