"""What an import met: by kind in words, each problem a whole sentence with links to its pictures."""

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import PROBLEM_WORDS, Dataset, Problem
from mad_core.palette import chrome
from mad_core.runs.store import DatasetInfo
from pages.ui import charts, urls
from pages.ui.text import plain

READ = 5
"""Problems of a plan that are written out, one of each kind first."""
_COPY = re.compile(r"the same (?:picture|content) as (?=(.+))", re.DOTALL)
_END = re.compile(r" \(|, but |\.")
_STYLE = """
.mad-problems {{ max-height: 22rem; overflow: auto; line-height: 1.35; }}
.mad-problems table {{ border-collapse: collapse; width: 100%; font-size: 0.9rem; margin: 0; }}
.mad-problems :is(th, td) {{ padding: 0.4rem 0.9rem 0.4rem 0; text-align: left; vertical-align: top; border: 0;
  border-bottom: 1px solid {line}; color: {ink}; overflow-wrap: anywhere; }}
.mad-problems thead th {{ color: {muted}; font-size: 0.8rem; font-weight: 400; }}
.mad-problems tbody th {{ font-weight: 600; min-width: 7rem; }}
.mad-problems td:nth-child(2) {{ min-width: 6rem; }}
.mad-problems td a {{ color: {accent}; display: block; min-width: 9rem; }}
"""


def problems(info: DatasetInfo, dataset: Dataset) -> None:
    """The problems that the import of a dataset met; that it met none is said too."""
    if not info.problems:
        st.success(
            "The import met no problems. It checked headers, digests and masks, and compared small copies of up to "
            "20,000 images; whole pixels are decoded when they are needed.",
            icon=":material/check:",
        )
        return
    with st.expander(in_short(info.problems), expanded=True, icon=":material/warning:"):
        st.html(_table(info, info.problems, _rows(dataset, info.id, info.version)))


def in_short(problems: Sequence[Problem]) -> str:
    """``3 problems: 1 unreadable file, 2 near copies``."""
    kinds = Counter(problem.kind for problem in problems)
    counts = ", ".join(f"{n:,} {PROBLEM_WORDS[kind][n > 1]}" for kind, n in kinds.most_common())
    return f"{len(problems):,} {'problem' if len(problems) == 1 else 'problems'}: {counts}"


@st.cache_resource(max_entries=8, show_spinner=False)
def _rows(_dataset: Dataset, dataset_id: str, version: str) -> dict[str, Any]:
    """The images by each way in which a problem may name their file."""
    by_name: dict[str, Any] = {}
    images: Any = _dataset.table.itertuples()
    for row in images:
        for name in (f"{row.subset}/{row.template_path}", str(row.template_path), str(row.path)):
            by_name[name] = row
    return by_name


def _table(info: DatasetInfo, problems: Sequence[Problem], rows: Mapping[str, Any]) -> str:
    tones = chrome(charts.theme())
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Problem", "Pictures", "What happened"))
    body = "".join(_row(info, problem, rows) for problem in problems)
    return (
        f'<style>{_STYLE.format(**vars(tones))}</style><div class="mad-problems" role="region" tabindex="0" '
        f'aria-label="Problems of the import"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(info: DatasetInfo, problem: Problem, rows: Mapping[str, Any]) -> str:
    files, words = [problem.path, *_other(problem.message, rows)], problem.message
    for file in files:
        if file in rows:  # the pictures stand beside the sentence, with links
            words = words.replace(str(rows[file].path), _name(rows[file]))
    pictures = "".join(_picture(info, file, rows.get(file)) for file in files if file)
    kind = html.escape(PROBLEM_WORDS[problem.kind][0].capitalize())
    return f'<tr><th scope="row">{kind}</th><td>{pictures}</td><td>{html.escape(words)}</td></tr>'


def _other(message: str, rows: Mapping[str, Any]) -> list[str]:
    """The other picture that a sentence on copies names; nothing in any other sentence."""
    named = _COPY.search(message)
    ends = [named[1][: end.start()] for end in _END.finditer(named[1])] if named else []
    return [name for name in ends if name in rows][-1:]


def _picture(info: DatasetInfo, file: str, row: Any) -> str:
    """A link to the picture's page; the name alone of what is no image of the dataset."""
    if row is None:
        return html.escape(file)
    address = urls.image_page(info.id, row.subset, row.image_id)
    return f'<a href="{html.escape(address, quote=True)}" target="_self">{html.escape(_name(row))}</a>'


def _name(row: Any) -> str:
    return f"{row.subset}/{row.template_path}"


# -- before there is a dataset ---------------------------------------------------------------------


def listed_problems(problems: Sequence[Problem]) -> None:
    """Before a dataset is stored: some problems in full, and where there are more of them all in a table."""
    for problem in _first(problems):
        place = f"  \n{plain(problem.path)}" if problem.path and problem.path not in problem.message else ""
        st.markdown(f"**{PROBLEM_WORDS[problem.kind][0].capitalize()}** {plain(problem.message)}{place}")
    if len(problems) > READ:
        rows = [(PROBLEM_WORDS[p.kind][0].capitalize(), p.path, p.message) for p in problems]
        table = pd.DataFrame(rows, columns=["Problem", "File", "What happened"])
        widths = {
            "Problem": st.column_config.TextColumn(width="small"),
            "File": st.column_config.TextColumn(width="medium"),
            "What happened": st.column_config.TextColumn(width="large"),
        }
        height = min(320, 38 + 35 * len(table))
        st.dataframe(table, hide_index=True, width="stretch", height=height, column_config=widths)


def _first(problems: Sequence[Problem]) -> list[Problem]:
    """One of each kind, then the next ones, in their order."""
    kinds = {problem.kind: place for place, problem in reversed([*enumerate(problems)])}
    order = sorted(range(len(problems)), key=lambda place: (place not in kinds.values(), place))
    return [problems[place] for place in sorted(order[:READ])]
