"""Decisions, live: handles for the cuts on the scores themselves, and all that moves with them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from mad_core.datasets.dataset import SubsetCard
from mad_core.errors import MadError
from mad_core.metrics.decisions import distance_cost, miss_rates, ordinal_confusion, overkill_by_group, wilson, worth
from mad_core.runs.store import DatasetInfo, Run
from mad_core.runs.store.cuts import COST, HAND, ISOTONIC, SavedCuts
from mad_core.studies.decisions.calibration import stored_calibration
from mad_core.studies.decisions.figures import confusion, describe_confusion, level_band
from mad_core.studies.decisions.run import (
    CALIBRATION,
    Parts,
    conformal_of,
    covered,
    group_cut_in_words,
    misses_at,
    parts_of,
    place,
)
from mad_core.studies.finding import Finding
from pages.studies.cut_component import CutRow, cut_plot
from pages.studies.runs_in_view import run_and_subset, runs_of
from pages.ui import charts, engine, session
from pages.ui.called_cells import called_cells
from pages.ui.text import level_text, plain, score_text, with_interval

WAYS = {COST: "Lowest cost", ISOTONIC: "Isotonic fit", HAND: "By hand"}
DRAWS = 300


def section(info: DatasetInfo, runs: Sequence[Run]) -> None:
    """Cuts of one run on one subset; nothing where no run has scores.

    Parameters
    ----------
    runs : sequence of Run
        On this dataset.
    """
    chosen = run_and_subset(runs, "cuts")
    if chosen is not None:
        _live(info, *chosen)


def of_finding(info: DatasetInfo, finding: Finding) -> None:
    """The section for the runs that a finding was made of."""
    section(info, runs_of(info, finding))


@st.fragment
def _live(info: DatasetInfo, run_id: str, subset: str) -> None:
    run, key = engine.store().run(run_id), f"{run_id}_{subset}"
    try:
        calibration = len(stored_calibration(engine.store(), run, subset))
        parts = _parts(run_id, subset, (run.done, run.status, run.finished, calibration))
    except MadError as error:
        st.info(plain(str(error)), icon=":material/info:")
        return
    kept = engine.store().cuts.of_run(run_id).get(subset)
    if kept is not None and kept.levels != tuple(parts.scale):
        kept = None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.session_state.setdefault(f"cuts_way_{key}", HAND if kept else COST)
        way = st.segmented_control(
            "Cuts", list(WAYS), format_func=WAYS.__getitem__, required=True, key=f"cuts_way_{key}"
        )
        under = st.number_input("Cost of a level too low", 0.0, value=5.0, key="cuts_under", width=170)
        over = st.number_input("Cost of a level too high", 0.0, value=1.0, key="cuts_over", width=170)
        overkill = st.number_input("Overkill allowed, %", 0.0, 100.0, 5.0, 1.0, key="cuts_overkill", width=150)
    cost = distance_cost(parts.scale, under, over)
    cuts = _cuts(parts, str(way), cost, kept, key)
    cut_plot(
        _rows(parts, info.card.subset(subset)), cuts, key=f"cuts_plot_{key}", on_move=lambda moved: _by_hand(key, moved)
    )
    st.caption(plain(_placed_on(parts)) + " Drag a handle, or move it by the arrow keys.")
    counts = ordinal_confusion(*parts.held, cuts, parts.scale)
    charts.show(
        confusion(counts.astype(float), parts.scale.tolist(), theme=charts.theme()),
        describe_confusion(counts, parts.scale.tolist()),
        f"cuts_{key}",
    )
    _worth(parts, counts, cuts, cost)
    _missed(parts, overkill / 100)
    _by_group(run_id, subset, overkill / 100, key)
    _keep(run_id, subset, parts, cuts, str(way), kept)
    if kept is not None and list(kept.cuts) == cuts:
        with st.expander("All images by these cuts; a number opens its images", icon=":material/grid_on:"):
            called_cells(info, run, subset, kept)
    with st.expander("How far the level may lie from the fitted one", icon=":material/straighten:"):
        _intervals(parts, key)


@st.cache_data(max_entries=16, show_spinner=False)
def _parts(run_id: str, subset: str, state: tuple[Any, ...]) -> Parts:
    run = engine.store().run(run_id)
    rows: Any = engine.table(run)
    return parts_of(rows[rows["subset"] == subset], stored_calibration(engine.store(), run, subset))


def _cuts(parts: Parts, way: str, cost: np.ndarray, kept: SavedCuts | None, key: str) -> list[float]:
    """The cuts in view: placed anew, or by hand those that were moved here, else those kept with the run."""
    if way != HAND:
        return place(parts, way, cost).tolist()
    moved = st.session_state.get(f"cuts_moved_{key}")
    if moved is not None and len(moved) == len(parts.scale) - 1:
        return moved
    return list(kept.cuts) if kept else place(parts, ISOTONIC, cost).tolist()


def _by_hand(key: str, moved: list[float]) -> None:
    st.session_state[f"cuts_moved_{key}"] = moved
    st.session_state[f"cuts_way_{key}"] = HAND


def _rows(parts: Parts, card: SubsetCard) -> list[CutRow]:
    rows = []
    for level in parts.scale.tolist():
        colour, ink, edge = charts.level_tones(level, parts.scale.tolist())
        scores, placed = (tuple(values[at == level].tolist()) for at, values in (parts.held, parts.fit))
        label, short = level_text(level, card), f"L{level:g}"
        rows.append(CutRow(label, short, colour, edge, ink, scores, placed))
    return rows


def _placed_on(parts: Parts) -> str:
    placed, measured = len(parts.fit[0]), len(parts.held[0])
    on = f"{placed:,} calibration images" if parts.placed_on == CALIBRATION else f"half of the images ({placed:,})"
    return f"Empty points: {on}, on which cuts are placed. Full points: {measured:,} others, on which all is measured."


def _worth(parts: Parts, counts: np.ndarray, cuts: Sequence[float], cost: np.ndarray) -> None:
    estimates = worth(counts, parts.scale, cost, draws=DRAWS)
    missed = miss_rates(*parts.held, cuts[0])
    lines = {
        "Quadratic-weighted kappa": with_interval(*estimates["kappa"]),
        "Expected cost an image": with_interval(*estimates["cost"]),
        "Called their own level": with_interval(*estimates["exact"]),
        **{f"L{level:g} called normal": with_interval(c / n, wilson(c, n)) for level, (c, n) in missed.items()},
    }
    if parts.scale[0] == 0:
        n = int(counts[0].sum())
        lines["L0 called abnormal"] = with_interval(1 - counts[0, 0] / n, wilson(n - int(counts[0, 0]), n))
    st.dataframe(
        {"At these cuts": list(lines), "Value and 95 % interval": list(lines.values())},
        hide_index=True,
        alt="What decisions at these cuts are worth",
    )


def _missed(parts: Parts, overkill: float) -> None:
    rows = misses_at(parts, overkill)
    if not rows:
        return
    if not np.isfinite(rows[0]["cut"]):
        needed = rows[0]["normals_needed"]
        st.markdown(
            f"No cut promises an overkill of {100 * overkill:g} %: "
            + (f"that needs {needed:,} normal images, and " if needed else "no number of normal images does; ")
            + f"{rows[0]['normals']:,} are set aside, which can promise {100 / (rows[0]['normals'] + 1):.1f} %."
        )
        return
    shares = [f"L{row['level']:g} {with_interval(row['miss_rate'], [row['low'], row['high']])}" for row in rows]
    st.markdown(
        plain(
            f"With one cut at {score_text(rows[0]['cut'])}, which at most {100 * overkill:g} % of new normals reach on "
            f"average ({100 * rows[0]['overkill']:.0f} % of the others here do; placed on {rows[0]['normals']:,}), "
            f"these are missed: {', '.join(shares)}."
        )
    )


def _by_group(run_id: str, subset: str, overkill: float, key: str) -> None:
    """The cut placed on the normals of chosen groups, and how many good parts of each group it would catch."""
    table: Any = engine.table(engine.store().run(run_id))
    if "group" not in table:
        return
    rows = table[(table["subset"] == subset) & (table["level"] == 0) & np.isfinite(table["score"])]
    rows = rows[rows["group"].notna() & (rows["group"] != "")]
    groups = sorted(rows["group"].astype(str).unique())
    if len(groups) < 2:
        return
    chosen = st.multiselect("Place the cut on normals of", groups, groups[:1], key=f"cuts_groups_{key}")
    if not chosen:
        return
    cut = overkill_by_group(rows["score"], overkill, rows["group"].astype(str), placed_on=chosen)
    st.markdown(plain(group_cut_in_words(cut)))
    caught = [f"{count:,} of {n:,}" for count, n in cut.caught.values()]
    ends = [with_interval(count / n, wilson(count, n)) for count, n in cut.caught.values()]
    st.dataframe(
        {"Group": list(cut.caught), "Good parts caught": caught, "Share and 95 % interval": ends},
        hide_index=True,
        alt="Good parts of each group that the cut would catch",
    )


def _keep(run_id: str, subset: str, parts: Parts, cuts: list[float], way: str, kept: SavedCuts | None) -> None:
    same = kept is not None and list(kept.cuts) == cuts
    label = "These cuts are kept with the run" if same else "Keep these cuts with the run"
    chosen = (run_id, subset, parts.scale.tolist(), cuts, way)
    st.button(label, key=f"keep_{run_id}_{subset}", disabled=same, on_click=_save, args=chosen)


def _save(run_id: str, subset: str, scale: list[float], cuts: list[float], way: str) -> None:
    if session.attempt(lambda: engine.store().cuts.save(run_id, subset, scale, cuts, way)):
        st.toast("The cuts are kept; the gallery shows the called level.")


def _intervals(parts: Parts, key: str) -> None:
    percent = st.slider("Share of images whose level the interval should hold, %", 50, 99, 90, key="cuts_confidence")
    fit, reach = conformal_of(parts, percent / 100)
    coverage = covered(parts, percent / 100)
    least = int(np.ceil(percent / (100 - percent) - 1e-9))
    wide = (
        f"some level may always be: too few images were set aside for it (fewer than {least})"
        if coverage["radius"] is None
        else f"± {reach.radius:.2g} levels at most"
    )
    share = with_interval(coverage["covered"], [coverage["covered_low"], coverage["covered_high"]])
    words = (
        f"Isotonic fit with conformal interval, level by level, {wide}. What it promises holds for each level by "
        f"itself, so under any mix of levels. Here it holds the level of {share} of {coverage['images']:,} images "
        f"and leaves {coverage['levels_within']:.1f} of {len(parts.scale)} levels open on average."
    )
    st.markdown(plain(words))
    figure = level_band(parts.held, (fit.scores, fit.fitted), reach, parts.scale.tolist(), theme=charts.theme())
    charts.show(figure, words, f"cuts_band_{key}")
