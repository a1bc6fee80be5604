"""The problems that an import met: the first ones as sentences to be read, all of them in a table."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import Problem
from pages.ui.text import plain

READ = 5
"""Problems that are written out, one of each kind first."""


def in_short(problems: Sequence[Problem]) -> str:
    """``3 problems: 2 × duplicate, 1 × unmatched``."""
    kinds = Counter(problem.kind for problem in problems)
    summary = ", ".join(f"{n} × {kind}" for kind, n in kinds.most_common())
    return f"{len(problems)} problem{'s' if len(problems) > 1 else ''}: {summary}"


def listed_problems(problems: Sequence[Problem]) -> None:
    """Some problems in full, and where there are more of them all in a table."""
    for problem in _first(problems):
        place = f"  \n{plain(problem.path)}" if problem.path and problem.path not in problem.message else ""
        st.markdown(f"**{plain(problem.kind)}** {plain(problem.message)}{place}")
    if len(problems) > READ:
        table = pd.DataFrame([p.to_json() for p in problems]).rename(
            columns={"kind": "Problem", "path": "File", "message": "What happened"}
        )
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
