"""What of a published benchmark is complete, and its cards."""

import pandas as pd
import streamlit as st

from mad_core.datasets.completeness import ABSENT, COMPLETE, Completeness, in_short
from mad_core.datasets.madbench import BENCHMARKS, Benchmark
from pages.ui.text import plain


def published(entries: list[Completeness]) -> None:
    """What of the published benchmark is complete and what is missing; nothing for other data."""
    if not entries:
        return
    if all(e.state == COMPLETE for e in entries):
        st.success(plain(in_short(entries)), icon=":material/check:")
    else:
        st.info(plain(in_short(entries)), icon=":material/rule:")
    with st.expander("The published benchmark: images found / published, and its cards"):
        levels = sorted({level for e in entries for level in e.levels}, key=float)
        rows = [
            {
                "Subset": e.subset,
                "State": e.state,
                "Training": e.train,
                **{f"L{k}": f"{e.test.get(k, 0)} / {e.published[k]}" if k in e.published else "" for k in levels},
            }
            for e in entries
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch")
        there = {e.identity.benchmark.key for e in entries if e.state != ABSENT}
        for benchmark in BENCHMARKS:
            if benchmark.key in there:
                _benchmark_card(benchmark)


def _benchmark_card(benchmark: Benchmark) -> None:
    """Source, licence, levels, rubric and expected folders of one published dataset."""
    levels = ", ".join(f"L{k} {m.name}".strip() for k, m in benchmark.levels.items())
    below = f"{benchmark.folder}/{{subset}}" if benchmark.parts and benchmark.domain != "novelty" else benchmark.folder
    facts = (
        f"Levels: {levels}",
        f"Rubric: {benchmark.rubric}",
        f"Training normals in {below}/{benchmark.train}, test images in {below}/{benchmark.test}",
    )
    st.markdown(f"**{plain(benchmark.title)}**  \n{plain(benchmark.source)} {plain(benchmark.licence)}")
    st.caption("  \n".join(map(plain, facts)))
