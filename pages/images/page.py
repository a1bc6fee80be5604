"""Images: a gallery to filter and sort, and one image at a time under its anomaly maps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from mad_core.datasets.dataset import level_key
from mad_core.errors import NotFoundError
from mad_core.labelled import labelled
from mad_core.runs.browsing import ALL_RANKS, CALLS, GROUPS, STATES, page_count, page_rows
from mad_core.runs.store import DatasetInfo, Run
from mad_core.runs.triage import UNLIKE
from mad_core.scorers.catalog import GRADED
from mad_core.studies.export import decimals
from pages.images.browsing import (
    APART,
    MAPS,
    PERCENTILES,
    SIZES,
    TILE_SIZES,
    Browsing,
    browse,
    level_written,
    orders,
    range_text,
)
from pages.images.choosing import choose, chosen, chosen_bar
from pages.images.one_image import LAST_INSPECTED, inspect
from pages.images.picture_map import picture_map, selection_note
from pages.images.triage import triage
from pages.ui import engine, session, tiles, urls
from pages.ui.gallery import Tile, gallery
from pages.ui.header import header
from pages.ui.text import level_text, plain

NEWS_SECONDS = 3
RANK_HELP = "Between the percentile ranks by the two scorers, among the images that both have scored."
FOLDED = ("split", "level", "defect", "state", "percentile", "apart", "called", "call", "tag", "flagged", "region")
"""Names in the view of the filters that are folded away."""
ORDER_WORDS = {
    "severe first": "Severity, highest first",
    "normal first": "Severity, lowest first",
    "highest score": "Score, highest first",
    "lowest score": "Score, lowest first",
    "rank difference": "Rank difference",
    "name": "File name",
}
NEEDS = {"severe first": "levels", "normal first": "levels", "rank difference": "two runs that have scores"}
"""What orders need, where it is not scores."""


def page() -> None:
    info = header("Images")
    if info is None:
        st.info("There is no dataset yet; add one on the Data page.", icon=":material/info:")
        return
    row = _image_in_view(info)
    view = browse(info)
    if row is None and session.get("stage") and len(view.shown):  # the stage begins with the first of the gallery
        row = engine.store().image(info.id, str(view.shown["image_id"].iloc[0]))
    if row is None:
        _gallery(view)
    else:
        inspect(view, row)


def _image_in_view(info: DatasetInfo) -> Mapping[str, Any] | None:
    """The image that the view names, if it is in the dataset; its subset and split come into view with it."""
    asked = session.get("image")
    if not asked:
        return None
    try:
        row = engine.store().image(info.id, asked)
    except NotFoundError:
        st.info(f"Image {plain(asked)} is not in this dataset; here is its gallery.", icon=":material/info:")
        session.put(image=None)
        return None
    session.put(subset=row["subset"], split=None if row["split"] == "test" else row["split"])
    return row


# -- the gallery --------------------------------------------------------------------------------


def _gallery(view: Browsing) -> None:
    _choices(view)
    triage(view)
    shown = view.shown
    pages = page_count(len(shown), view.size)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(_count(shown, view.images), width="content")
        if active := _at_work(view):
            _news(active.id, active.done)
        st.space("stretch")
        st.toggle("Map", **_map_shown(view))
        with st.popover("View", icon=":material/grid_view:"):
            _view(view)
        number = st.pagination(pages, **session.bound("page", range(1, pages + 1), 1))
        st.caption(f"of {pages:,}", width="content")
    if view.with_map:
        picture_map(view)
    selection_note(view)
    if why := _unsorted(view):
        st.caption(plain(why))
    if shown.empty:
        _nothing(view)
        return
    rows = page_rows(shown, number, view.size)
    digits = decimals(rows["score"].tolist())
    groups = _groups(view, shown, rows)
    chosen_bar(view)
    records: list[Any] = list(rows.itertuples())
    gallery(
        [replace(_tile(view, row, digits), group=groups.get(row.image_id, "")) for row in records],
        key="gallery",
        selected=st.session_state.get(LAST_INSPECTED),
        size=view.tile_size,
        maps=view.overlays,
        on_open=lambda image_id: session.put(image=image_id),
        chosen=chosen(view),
        on_choose=lambda ids: choose(view, rows["image_id"].tolist(), ids),
    )


def _groups(view: Browsing, shown: pd.DataFrame, rows: pd.DataFrame) -> Mapping[str, str]:
    """The heading that each image of a page (``rows``) stands under, where images stand in groups."""
    group = view.wanted.group
    if not group:
        return {}

    def words(value: Any) -> str:
        if group == "level":
            return level_text(value, view.card)
        return value if isinstance(value, str) and value else "no defect"

    counts: Counter[str] = Counter()
    for value, count in shown[group].value_counts(dropna=False).items():
        counts[words(value)] += count
    headings = [words(value) for value in rows[group].tolist()]
    return {i: f"{word} ({counts[word]:,})" for i, word in zip(rows["image_id"].tolist(), headings, strict=True)}


def _view(view: Browsing) -> None:
    """How the gallery looks: how many images stand on a page, how large, and under which maps."""
    st.segmented_control("Images a page", SIZES, required=True, **_first_page("size", SIZES))
    st.segmented_control(
        "Tiles", TILE_SIZES, format_func=str.capitalize, required=True, **session.bound("tiles", TILE_SIZES, "medium")
    )
    st.segmented_control(
        "Groups",
        ["", *GROUPS],
        format_func=lambda group: f"By {group}" if group else "None",
        required=True,
        **_first_page("group", ["", *GROUPS]),
    )
    if view.run is not None and view.run.map_policy == "all":
        words = {"off": "Off", "hover": "Under the pointer", "always": "Always"}
        st.segmented_control(
            f"Anomaly maps of {plain(view.names[view.run.id])}",
            MAPS,
            format_func=words.__getitem__,
            required=True,
            **session.bound("overlays", MAPS, "off"),
        )


def _map_shown(view: Browsing) -> dict[str, Any]:
    session.show("view_map", view.with_map)
    return {
        "key": "view_map",
        "on_change": _show_map,
        "help": "Where all pictures lie, those that look alike together.",
    }


def _show_map() -> None:
    if session.chosen("view_map"):
        session.put(map="shown" if st.session_state["view_map"] else None)


def _at_work(view: Browsing) -> Run | None:
    """The run whose scores are shown, if it is at work; the first that is where nothing has scores yet."""
    if view.run is not None:
        return view.run if view.run.active else None
    return next((run for run in view.runs.values() if run.active), None)


def _unsorted(view: Browsing) -> str:
    """Why images do not stand in the order, or under the scores, that were asked for; empty where they do."""
    asked, order = view.runs.get(session.get("run")), view.wanted.order
    reason = ""
    if asked is not None and not asked.done:
        shown = f"; the scores of {view.names[view.run.id]} are shown" if view.run else ""
        reason = f"{view.names[asked.id]} has scored nothing yet{shown}. "
    if "score" in order and view.run and not np.isfinite(view.images["score"].to_numpy(dtype=float)).any():
        reason += f"{view.names[view.run.id]} has scored none of these images yet: they stand by file name."
    elif session.get("sort") in ORDER_WORDS and session.get("sort") != order:
        needs = NEEDS.get(session.get("sort"), "scores")
        reason += f"{ORDER_WORDS[session.get('sort')]}, needs {needs}: they stand by {ORDER_WORDS[order].lower()}."
    return reason


def _choices(view: Browsing) -> None:
    """Subset, scorer, order and name in one row; further filters fold away."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(view.subsets) > 1:
            st.selectbox("Subset", view.subsets, width=160, **_first_page("subset", view.subsets))
        if view.run:
            _run_choice("Scorer", "run", view, [run.id for run in view.scored], view.run)
        options = orders(view.level_keys, view.run, view.against)
        st.selectbox("Sort by", options, format_func=ORDER_WORDS.__getitem__, width=210, **_first_page("sort", options))
        if view.against and (view.wanted.order == "rank difference" or view.wanted.apart):
            others = [run.id for run in view.scored if run is not view.run]
            _run_choice("Rank difference to", "against", view, others, view.against, RANK_HELP)
        st.text_input("File name", placeholder="any part", width=160, **_first_page("find", ["", view.wanted.name]))
        active = _active(view)
        with st.popover(f"Filters · {active}" if active else "Filters", icon=":material/filter_list:", key="filters"):
            _filters(view)


def _active(view: Browsing) -> int:
    """How many of the folded filters leave something out."""
    wanted = view.wanted
    filters = [wanted.levels, wanted.defects, wanted.state, wanted.apart, wanted.called, wanted.call]
    filters += [wanted.ranks != ALL_RANKS, wanted.least is not None, wanted.tag, wanted.region]
    return sum(map(bool, filters)) + (view.split != view.splits[0])


def _run_choice(
    label: str, name: str, view: Browsing, ids: Sequence[str], current: Run, help: str | None = None
) -> None:
    binding = _first_page(name, ids, current.id)
    st.selectbox(label, ids, format_func=view.names.__getitem__, help=help, width=220, **binding)


def _filters(view: Browsing) -> None:
    if len(view.splits) > 1:
        st.segmented_control("Split", view.splits, required=True, **_first_page("split", view.splits))
    keys, kinds = view.level_keys, view.defects
    st.pills(
        "Severity level",
        keys,
        selection_mode="multi",
        format_func=lambda key: level_text(level_written(key), view.card),
        **_to_first_page(session.bound_list("level", keys)),
    )
    if kinds:
        st.multiselect("Defect", kinds, placeholder="all", **_to_first_page(session.bound_list("defect", kinds)))
    if view.run:
        st.segmented_control(
            "State",
            ["", *STATES],
            format_func=lambda state: state or "all",
            required=True,
            **_first_page("state", ["", *STATES]),
        )
        st.slider(
            "Score percentile",
            *ALL_RANKS,
            step=5,
            help="Among all scored images of the subset: 0 is the lowest score, 100 the highest.",
            **_to_first_page(session.bound("percentile", PERCENTILES, ALL_RANKS, range_text)),
        )
    if view.against:
        st.select_slider(
            f"Rank difference to {plain(view.names[view.against.id])}, at least",
            APART,
            help=RANK_HELP,
            **_first_page("apart", APART),
        )
    if view.tags:
        options = ["", *view.tags]
        st.selectbox(
            "Tag",
            options,
            format_func=lambda tag: tag or "all but those set aside",
            **_first_page("tag", options),
        )
    if view.cuts:
        st.pills(
            "Called level",
            [level_key(level) for level in view.cuts.levels],
            selection_mode="multi",
            format_func=lambda key: f"L{key}",
            help="The level that the cut-points kept with this run give the score (Studies, Decisions).",
            **_to_first_page(session.bound_list("called", [level_key(level) for level in view.cuts.levels])),
        )
        st.segmented_control(
            "Called, against the label",
            ["", *CALLS],
            format_func=lambda call: call or "all",
            required=True,
            **_first_page("call", ["", *CALLS]),
        )
    st.button("Reset filters", on_click=_reset, key="reset_in_filters")


def _first_page(name: str, options: Sequence[Any], default: Any = None) -> dict[str, Any]:
    """As :func:`session.bound`, by default to the first option; a change goes back to the first page."""
    return _to_first_page(session.bound(name, options, options[0] if default is None else default))


def _to_first_page(binding: dict[str, Any]) -> dict[str, Any]:
    remember = binding["on_change"]

    def change(*given: Any) -> None:
        if remember(*given):
            session.put(page=None, **({"threshold": None} if given and given[0] in ("run", "subset") else {}))

    return binding | {"on_change": change}


def _reset() -> None:
    session.put(page=None, find=None, **dict.fromkeys(FOLDED))


def _count(shown: pd.DataFrame, everything: pd.DataFrame) -> str:
    """``12 of 40 images``, and of how many of those shown the level is known where it is not of all."""
    with_level, number = len(labelled(shown)), f"{len(shown):,}"
    words = f"{number} images" if len(shown) == len(everything) else f"{number} of {len(everything):,} images"
    return words if with_level == len(shown) else f"{words}, {with_level:,} labelled"


@st.fragment(run_every=NEWS_SECONDS)
def _news(run_id: str, seen: int) -> None:
    """Offer what a run has scored meanwhile; tiles do not move under somebody's pointer by themselves."""
    fresh = engine.store().run(run_id).done - seen
    if fresh > 0 and st.button(f"Show {fresh:,} new scores", icon=":material/refresh:"):
        st.rerun()


def _nothing(view: Browsing) -> None:
    with st.container(border=True):
        st.markdown("No image passes these filters.")
        st.button("Reset filters", on_click=_reset)


def _tile(view: Browsing, row: Any, digits: int | None) -> Tile:
    """A tile; the scores of a page have as many decimals."""
    tile = tiles.tile(view.info, row, view.levels, row.score if row.state == "scored" else None)
    if row.state == "scored" and digits is not None:
        tile = replace(tile, score_label=f"{row.score:.{digits}f}")
    if view.run is not None and view.overlays != "off" and row.state == "scored":
        tile = replace(
            tile, overlay=urls.map_thumbnail(view.run.id, row.image_id, f"{view.run.finished or view.run.done}")
        )
    if view.wanted.order == "rank difference" and row.apart >= 0:
        tile = replace(tile, score_label=f"{row.rank_first:.0f} vs {row.rank_second:.0f}")
    if row.state == "failed":
        return replace(tile, badge="failed")
    return replace(tile, badge=badge) if (badge := _called(view, row)) else tile


def _called(view: Browsing, row: Any) -> str:
    """The level an image is called, where cut-points or grades say it or its label does not."""
    if row.unlike:
        return UNLIKE
    learned = view.run is not None and view.run.scorer == GRADED
    if np.isnan(row.called) or (view.cuts is None and not np.isnan(row.level) and not learned):
        return ""
    among = f" ({row.set})" if " or " in row.set and np.isnan(row.level) else ""
    return f"called L{level_key(row.called)}{among}"


page()
