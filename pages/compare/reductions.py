"""Severity from maps: every way to make a score of a run's stored maps, measured without scoring again."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.errors import MadError
from mad_core.figures.reductions import READ_REDUCTION_PANELS, Panel, describe_reduction_panels, reduction_panels
from mad_core.metrics.names import ABNORMAL_C_INDEX, C_INDEX, TAU, Metric
from mad_core.runs.map_reductions import NAMES, Compared, can_find_threshold, compare_reductions
from mad_core.runs.store import Run
from pages.ui import charts, engine, session
from pages.ui.reading import how_to_read
from pages.ui.text import plain, with_interval
from pages.ui.widgets import pick

DRAWS = 1000
LIVE_SECONDS = 3.0


def severity_from_maps(subset: str | None, runs: Sequence[Run], names: Mapping[str, str]) -> None:
    """The section of the Compare page; nothing where no run in view keeps maps.

    Parameters
    ----------
    subset : str or None
        The subset in view, None for all.
    names : mapping of run id to str
    """
    by_id = {run.id: run for run in runs if run.map_policy == "all" and engine.store().maps.disk_use(run.id)}
    if not by_id:
        return
    st.header("Severity from maps", anchor=False)
    st.caption(
        "The maximum of a map says how strange its strangest place is; area, mass and number of regions say how much "
        "of it lies above a threshold that comes from normal images alone. Here each of them is taken as the score, "
        "from the stored maps. A reduction that follows the area of a defect is right only where the larger defect is "
        "the worse one."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = pick("Run with maps", "reduced", list(by_id), names, width=320)
        how_to_read(READ_REDUCTION_PANELS, "the panels")
    run = by_id[chosen]
    st.fragment(_section, run_every=LIVE_SECONDS if run.active else None)(run.id, subset)


def _section(run_id: str, subset: str | None) -> None:
    run = engine.store().run(run_id)
    if run.active:
        st.info("The reductions are compared when this run is done.", icon=":material/hourglass_top:")
        return
    try:
        compared = _compared(run.id, subset, (run.done, run.status, run.finished))
    except MadError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    rows = [NAMES[name] for name in compared.metrics]
    panels = _panels(compared)
    charts.show(
        reduction_panels(rows, panels, theme=charts.theme()),
        f"{run.title}: {describe_reduction_panels(rows, panels)}",
        f"reductions_{run.id}_{subset}",
    )
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in compared.sentences))
    _remarks(run, compared)
    with st.expander("The same as a table"):
        st.dataframe(
            _table(compared), hide_index=True, width="stretch", alt="Metrics of every reduction, with 95 % intervals"
        )


@st.cache_data(max_entries=32, show_spinner="Reducing the maps and computing the intervals")
def _compared(run_id: str, subset: str | None, state: tuple[Any, ...]) -> Compared:
    return compare_reductions(engine.store(), run_id, [subset] if subset else (), draws=DRAWS)


def _panels(compared: Compared) -> list[Panel]:
    results = list(compared.metrics.values())

    def panel(metric: Metric, reference: tuple[str, float] | None = None, **looks: Any) -> Panel:
        values, intervals = [metric.value(r) for r in results], [metric.interval(r) for r in results]
        return Panel(metric.title, values, intervals, reference, **looks)

    random = results[0]["reference"]["c_index_random_severity"]
    return [
        panel(ABNORMAL_C_INDEX, ("chance", ABNORMAL_C_INDEX.chance)),
        Panel(
            _area_title(compared),
            [result["area"]["rank_correlation"] for result in results],
            [result["area"]["interval"] for result in results],
            ("none", 0.0),
        ),
        panel(C_INDEX, None if random is None else ("random severity", random), strong=False),
        panel(TAU, strong=False),
    ]


def _area_title(compared: Compared) -> str:
    return f"Rank correlation with {compared.area}"


def _table(compared: Compared) -> pd.DataFrame:
    panels = _panels(compared)
    rows = []
    for place, name in enumerate(compared.metrics):
        cells = {p.title: with_interval(p.values[place], _listed(p.intervals[place])) for p in panels}
        rows.append({"Score": NAMES[name], **cells})
    return pd.DataFrame(rows)


def _listed(interval: Sequence[float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _remarks(run: Run, compared: Compared) -> None:
    """Where the thresholds come from, what is missing, and how it is found."""
    sentences = [f"Threshold, {name}: {threshold.in_words()}." for name, threshold in compared.thresholds.items()]
    images = next(iter(compared.metrics.values()))["area"]["n"]
    sentences.append(
        f"The area counts on {images:,} abnormal images. Subsets are measured one by one and averaged, never pooled. "
        "Whiskers: 95 % intervals."
    )
    st.caption("  \n".join(plain(sentence) for sentence in [*sentences, *compared.notes]))
    if can_find_threshold(engine.store(), run):
        store = engine.store()
        asked = st.button(
            "Find the threshold", key=f"threshold_{run.id}", help="From normal images; nothing is scored again."
        )
        if asked and session.attempt(lambda: store.resume_run(run.id)):
            st.rerun()
