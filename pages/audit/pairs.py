"""The Pairs section of the Audit page: which of two images is worse, and the order of severity that follows."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.audit.events import Event
from mad_core.audit.pairs import MOST, SeverityOrder, fit, next_pair
from mad_core.figures.severity_order import READ_SEVERITY_ORDER, describe_severity_order, severity_order
from mad_core.palette import chrome
from pages.audit.acts import NOTE, take_back, taking, write
from pages.audit.context import Audit, records
from pages.audit.review import item_of
from pages.audit.review_component import Act, Pair, pairs
from pages.audit.review_queue import committed_images
from pages.ui import charts
from pages.ui.gallery import Tile, gallery
from pages.ui.reading import how_to_read
from pages.ui.widgets import pick, pick_subset

POOLS = (12, 24, 48)
OFFERED = 4
"""Pairs that the browser holds, so that the next one is there at once."""
ENDS = 5
"""Images shown of each end of the order."""


def pairs_section(audit: Audit) -> None:
    """Choose which images are compared, compare them, see the order."""
    tests: Any = audit.dataset.select(split="test")
    subsets = sorted(tests["subset"].unique().tolist())
    if not subsets:
        st.info("This dataset has no test images to compare.", icon=":material/info:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        subset = pick_subset("pairs", subsets, width=200)
        size = pick("Images", "pool", POOLS, width=120, help=HELP)
    pool = _pool(tests[tests["subset"] == subset], size)
    if len(pool) < 2:
        st.info("A comparison needs two images; this subset has one.", icon=":material/info:")
        return
    st.fragment(_pairs)(audit, pool)


HELP = "Drawn at random from the subset, the same ones for every reviewer; a larger choice holds the smaller ones."


def _pool(rows: pd.DataFrame, size: int) -> tuple[str, ...]:
    """Images in an order that depends on their ids alone."""
    ids = sorted(rows["image_id"], key=lambda image_id: hashlib.blake2b(image_id.encode()).hexdigest())
    return tuple(ids[:size])


def _pairs(audit: Audit, pool: tuple[str, ...]) -> None:
    comparisons = [e for e in _comparisons(audit) if e.image_id in pool and e.other in pool]
    order = fit(_outcomes(comparisons), pool)
    skipped: set[frozenset[str]] = st.session_state.setdefault("audit_skipped", set())
    own = [e for e in comparisons if e.reviewer == audit.reviewer.name]
    done = {frozenset((e.image_id, str(e.other))) for e in own}
    offered = _offered(audit, order, done | skipped)
    if not offered:
        st.success("Every pair of these images has been compared.", icon=":material/check:")
    pairs(
        offered,
        at=st.session_state.get("audit_pairs_at", 0),
        count=f"{len(own)} comparisons of yours, {len(comparisons)} of all reviewers, {len(pool)} images",
        note=st.session_state.get(NOTE),
        whose=audit.whose,
        key="audit_pairs",
        on_act=taking(lambda act: _do(audit, act)),
    )
    _show_order(audit, order, len(comparisons))


def _comparisons(audit: Audit) -> list[Event]:
    return [e for e in records().standing(audit.info.id) if e.kind == "compare" and e.other and e.after is not None]


def _pair_key(first: str, second: str) -> str:
    return f"{first}-{second}"


def _offer(audit: Audit, first: str, second: str) -> Pair:
    """A pair whose sides depend on the ids alone, so that neither side is the one that is thought worse."""
    if hashlib.blake2b(_pair_key(*sorted((first, second))).encode()).digest()[0] % 2:
        first, second = second, first
    return Pair(_pair_key(first, second), (item_of(audit, first), item_of(audit, second)))


def _do(audit: Audit, act: Act) -> None:
    if act.act == "skip":
        st.session_state.setdefault("audit_skipped", set()).add(frozenset((act.image, act.other)))
    elif act.act == "compare":
        write(audit, act, other=act.other, scores_visible=_in_view(audit, act))
    elif act.act in ("undo", "redo"):
        take_back(audit, act)
        st.session_state["audit_pairs_at"] = st.session_state.get("audit_pairs_at", 0) + 1


def _in_view(audit: Audit, act: Act) -> bool:
    """Whether the reviewer could know a label of the two."""
    return not audit.blind or bool({act.image, act.other} & committed_images(audit))


# -- the order ------------------------------------------------------------------------------------


def _offered(audit: Audit, order: SeverityOrder, done: set[frozenset[str]]) -> list[Pair]:
    """The pairs that teach most about the order, without those that are done."""
    judged = order.judged.copy()
    place = {image: i for i, image in enumerate(order.images)}
    for pair in done:
        first, second = (place.get(image) for image in pair)
        if first is not None and second is not None:
            judged[first, second] = judged[second, first] = MOST
    offered = []
    for _ in range(OFFERED):
        chosen = next_pair(replace(order, judged=judged))
        if chosen is None:
            break
        first, second = place[chosen[0]], place[chosen[1]]
        judged[first, second] = judged[second, first] = MOST
        offered.append(_offer(audit, *chosen))
    return offered


def _outcomes(comparisons: Sequence[Event]) -> pd.DataFrame:
    rows = [(e.image_id, e.other, e.after) for e in comparisons]
    return pd.DataFrame(rows, columns=["image_id", "other", "after"])


def _show_order(audit: Audit, order: SeverityOrder, count: int) -> None:
    """The order of severity with its intervals, and both of its ends."""
    if not count:
        st.caption("The order of severity shows here after the first comparisons.")
        return
    table = order.table()
    st.header("Order of severity", anchor=False)
    columns = [table[name].tolist() for name in ("strength", "low", "high")]
    charts.show(
        severity_order(table["image_id"].tolist(), *columns, theme=charts.theme()),
        describe_severity_order(*columns),
        "audit_order",
    )
    joined = "" if order.connected else " Some images are not joined to the others by comparisons yet."
    st.caption(
        "Bradley and Terry's model of all reviewers' comparisons: two images one logit apart are told apart rightly "
        f"in 73 of 100 comparisons. Whiskers: 95 % intervals.{joined}"
    )
    how_to_read(READ_SEVERITY_ORDER, "the order")
    ends = table.iloc[::-1]
    tiles = [_tile(audit, row, place) for place, row in enumerate(ends.itertuples(), start=1)]
    if len(tiles) > 2 * ENDS:
        tiles = tiles[:ENDS] + tiles[-ENDS:]
    gallery(tiles, columns=2 * ENDS, key="audit_ends")


def _tile(audit: Audit, row: Any, place: int) -> Tile:
    tones = chrome(charts.theme())
    return Tile(
        row.image_id,
        audit.picture(row.image_id, "thumbnail"),
        f"Image at place {place} of the order",
        f"{place}.",
        tones.panel,
        tones.ink,
        score_label=f"{row.strength:+.2f}",
    )
