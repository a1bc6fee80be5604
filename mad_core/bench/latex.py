"""The benchmark table as LaTeX: booktabs, values times 100 with two decimals, intervals small."""

import re
from collections.abc import Iterable, Sequence

from mad_core.bench.table import (
    HEADLINE,
    TO_BEST,
    BenchRow,
    BenchTable,
    Scope,
    best,
    cost_rows,
    cost_texts,
    coverage_text,
    entry_notes,
    gap_text,
    heading,
    hundredfold,
    to_best,
)
from mad_core.metrics.names import COVERAGE, headline

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "[": "{[}",  # after a line's end it would begin an optional argument
    "]": "{]}",
    "*": "{*}",
    "`": r"\textasciigrave{}",
    "·": r"\textperiodcentered{}",
}
_COSTS = ("Scorer", "Fit (s)", "Scoring (s)", "Images/s", "Peak memory", "Peak GPU memory")


def escape(text: str) -> str:
    """Text so that LaTeX prints it letter by letter; control characters and line ends become blanks.

    The result holds no active character outside a command or a brace of its own, so that it can stand
    anywhere in a table's cell. Letters beyond ASCII stay as they are: the document is UTF-8. ``"`` needs the T1
    encoding.
    """
    plain = re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)
    apart = re.sub(r"([-',])(?=\1)", "\\1\0", plain)  # two of these in a row would become a dash or a quotation mark
    return "".join("{}" if letter == "\0" else _SPECIAL.get(letter, letter) for letter in apart)


def bench_latex(table: BenchTable) -> str:
    r"""A ``table`` of the macro averages with time and memory, and a ``longtable`` of the single subsets.

    Needs ``\usepackage{booktabs,longtable}`` and, for ``"``, ``\usepackage[T1]{fontenc}``. A block of macro
    averages that is also a subset stands in the first table alone.
    """
    blocks = table.blocks()
    macros = [block for block in blocks if any(place.kind != "subset" for place in block[0])]
    singles = [block for block in blocks if all(place.kind == "subset" for place in block[0])]
    parts = [r"% \usepackage{booktabs,longtable}, \usepackage[T1]{fontenc}", *_float(table, macros)]
    if singles:
        parts += ["", *_long_table(table, singles)]
    return "\n".join(parts) + "\n"


def _float(table: BenchTable, blocks: Sequence[tuple[list[Scope], list[BenchRow]]]) -> Iterable[str]:
    yield from (r"\begin{table}[t]", r"\centering", r"\small")
    yield rf"\caption{{{escape(table.title)}: macro averages, $\times 100$.}}"
    yield r"\label{tab:mad-bench}"
    yield rf"\begin{{tabular}}{{{_columns()}}}"
    yield from (r"\toprule", _head())
    for block in blocks:
        yield from _block(*block)
    yield from (r"\bottomrule", r"\end{tabular}")
    costs = cost_rows(table)
    if costs:
        yield from (r"\par\medskip", r"\begin{tabular}{lrrrrr}", r"\toprule", _line(_COSTS), r"\midrule")
        for entry, cost in costs:
            yield _line([escape(entry.name), *map(escape, cost_texts(cost))])
        yield from (r"\bottomrule", r"\end{tabular}")
    notes = [*table.notes, *entry_notes(table)]
    if notes:
        yield rf"\par\medskip\begin{{minipage}}{{\linewidth}}\footnotesize {escape(' '.join(notes))}\end{{minipage}}"
    yield r"\end{table}"


def _long_table(table: BenchTable, blocks: Sequence[tuple[list[Scope], list[BenchRow]]]) -> Iterable[str]:
    yield from (r"{\small", rf"\begin{{longtable}}{{{_columns()}}}")
    yield rf"\caption{{{escape(table.title)}: single subsets, $\times 100$.}}\label{{tab:mad-bench-subsets}}\\"
    yield from (r"\toprule", _head(), r"\endhead", r"\bottomrule", r"\endfoot")
    for block in blocks:
        yield from _block(*block)
    yield from (r"\end{longtable}", "}")


def _columns() -> str:
    return f"l{'c' * (len(headline()) + 1)}l"


def _head() -> str:
    return _line(["Scorer", *(escape(metric.title) for metric in headline()), TO_BEST, COVERAGE.title])


def _block(places: Sequence[Scope], rows: Sequence[BenchRow]) -> Iterable[str]:
    yield from (r"\midrule", rf"\multicolumn{{{len(_columns())}}}{{l}}{{\textit{{{escape(heading(places))}}}}} \\")
    winners = [(metric.id, best(rows, metric.id)) for metric in headline()]
    gaps = to_best(rows, HEADLINE)
    for row in rows:
        cells = [_cell(row, metric, winner is row) for metric, winner in winners]
        cells.append(gap_text(gaps.get(row.entry.name), _estimate))
        yield _line([escape(row.entry.name), *cells, escape(coverage_text(row))])


def _cell(row: BenchRow, metric: str, is_best: bool) -> str:
    if row.value(metric) is None:
        return "--"
    text = _number(row.value(metric))
    return (rf"\textbf{{{text}}}" if is_best else text) + _between(row.interval(metric))


def _estimate(value: float | None, interval: list[float] | None) -> str:
    return _number(value) + _between(interval)


def _between(interval: list[float] | None) -> str:
    return rf" {{\scriptsize [{_number(interval[0])}, {_number(interval[1])}]}}" if interval else ""


def _number(value: float | None) -> str:
    return hundredfold(value).replace("-", "$-$")


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
