"""The queue that a reviewer works through: drawn up once, then unchanged under the reviewer's hands."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd
import streamlit as st

from mad_core.audit.events import RATINGS
from mad_core.audit.label_queue import stored_suspicions
from mad_core.audit.queue import QueueOrder, ordered
from mad_core.audit.suspicion import PARTS
from mad_core.audit.useful import images_ahead
from mad_core.runs.comparing import distinct_names, ranks_within_subsets
from pages.audit.context import Audit, records
from pages.audit.review_component import Mine, ReviewPosition
from pages.ui import engine, session

QUEUE = "audit_queue"
PART_WORDS = {
    "prediction": "Another level, by the scores",
    "agreement": "Scorers agree on it",
    "distance": "Distance in levels",
    "lookalikes": "Look-alikes labelled otherwise",
    "raters": "Reviewers say otherwise",
}


@dataclass(frozen=True)
class Why:
    """Why an image is in question: in a sentence, and as the parts of its suspicion."""

    reason: str = ""
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ReviewQueue:
    """A queue as it stood when it was drawn up; it does not change under the reviewer's hands."""

    key: str
    order: str
    ids: tuple[str, ...]
    suspicions: pd.DataFrame | None = None
    """Suspicions by image id, as they were then; shared by all sessions that drew up a queue of them."""

    @cached_property
    def places(self) -> Mapping[str, int]:
        return {image_id: place for place, image_id in enumerate(self.ids)}

    def place_of(self, image_id: str) -> int | None:
        return self.places.get(image_id)

    def why(self, image_id: str) -> Why:
        """Why an image is in question; nothing where that is not known."""
        if self.suspicions is None or image_id not in self.suspicions.index:
            return Why()
        return _why(self.suspicions.loc[image_id].to_dict())


def forget_queue() -> None:
    st.session_state.pop(QUEUE, None)


def queue_in_view(audit: Audit, order: QueueOrder, subset: str | None) -> ReviewQueue:
    """The queue in view; drawn up once per choice, so that it stays while it is worked through."""
    wanted = hashlib.blake2b(
        "\0".join((audit.info.id, audit.reviewer.name, order, subset or "")).encode(), digest_size=6
    ).hexdigest()
    kept = st.session_state.get(QUEUE)
    if kept and kept["wanted"] == wanted:
        return kept["queue"]
    with st.spinner("Drawing up the queue"):
        ids, suspicions = _draw_up(audit, order, subset)
    serial = st.session_state.get("audit_serial", 0) + 1
    st.session_state["audit_serial"] = serial
    drawn = hashlib.blake2b("\0".join(ids).encode(), digest_size=6).hexdigest()  # a new session counts anew
    queue = ReviewQueue(f"{wanted}-{serial}-{drawn}", order, tuple(ids), suspicions)
    mine = standing_ratings(audit)
    first = next((i for i, image_id in enumerate(ids) if image_id not in mine), max(len(ids) - 1, 0))
    st.session_state[QUEUE] = {"wanted": wanted, "queue": queue, "at": ReviewPosition(serial, first)}
    return queue


def _draw_up(audit: Audit, order: QueueOrder, subset: str | None) -> tuple[list[str], pd.DataFrame]:
    """The images of a queue in order, and the suspicions by which they are in question, by image id."""
    suspicions = suspicions_of(audit)
    ahead = images_ahead(engine.store(), audit.info.id, order, suspicions)
    ids = ordered(suspicions, order, reviewed=records().ratings(audit.info.id)["image_id"].tolist(), ahead=ahead)
    tests = audit.dataset.select(split="test", subset=subset)
    wanted = set(tests["image_id"])
    return [i for i in ids if i in wanted], suspicions


def suspicions_of(audit: Audit) -> pd.DataFrame:
    """Suspicion of every label, from the scores and ratings there are by now; its index holds the images' ids."""
    runs = tuple((run.id, *engine.state(run)) for run in scored_runs(audit))
    return _suspicions(audit, f"{audit.info.id} {audit.info.version}", runs, len(records().events(audit.info.id)))


@st.cache_resource(max_entries=4, show_spinner=False)
def _suspicions(_audit: Audit, dataset: str, runs: tuple[Any, ...], events: int) -> pd.DataFrame:
    audit = _audit
    suspicions = stored_suspicions(engine.store(), audit.info.id, audit.dataset, _scores(audit))
    return suspicions.set_index(pd.Index(suspicions["image_id"].tolist(), dtype=object))


def _scores(audit: Audit) -> dict[str, pd.Series]:
    tables: dict[str, Any] = {run.id: engine.table(run).set_index("image_id") for run in scored_runs(audit)}
    return {run_id: table["score"] for run_id, table in tables.items()}


def _why(row: Mapping[Any, Any]) -> Why:
    parts = [(PART_WORDS[name], f"{row[name]:.2f}") for name in PARTS if pd.notna(row[name])]
    return Why(str(row["reason"]), (("Suspicion", f"{row['suspicion']:.2f}"), *parts))


def standing_ratings(audit: Audit) -> dict[str, Mine]:
    """The reviewer's own standing ratings by image."""
    rows: Any = records().ratings(audit.info.id)
    rows = rows[rows["reviewer"] == audit.reviewer.name]
    return {
        row.image_id: Mine(row.state, _level_said(row), row.reason or "", row.region or None)
        for row in rows.itertuples()
        if row.state in RATINGS
    }


def _level_said(row: Any) -> float | None:
    """The level of a rating, or the one that somebody unsure holds for probable."""
    level = row.probably if pd.isna(row.level) else row.level
    return None if pd.isna(level) else float(level)


def committed_images(audit: Audit) -> set[str]:
    """Images that the reviewer has rated at some time, taken back or not: what was hidden has been seen."""
    events = records().events(audit.info.id)
    return {e.image_id for e in events if e.reviewer == audit.reviewer.name and e.kind in RATINGS}


def ranks(audit: Audit, image_id: str) -> tuple[tuple[str, str], ...]:
    """Where each scorer places the image among those of its subset."""
    runs = scored_runs(audit)
    names = distinct_names(runs)
    percentiles = []
    for run in runs:
        rank = _rank_of(run.id, (run.done, run.status, run.finished)).get(image_id)
        if rank is not None:
            percentiles.append((names[run.id], f"percentile {rank:.0f}"))
    return tuple(percentiles)


@st.cache_resource(max_entries=8, show_spinner=False)
def _rank_of(run_id: str, state: tuple[Any, ...]) -> dict[str, float]:
    """Percentile rank of each scored image within its subset."""
    rows = engine.table(engine.store().run(run_id))
    ranks = ranks_within_subsets(rows, "score")
    return {i: float(r) for i, r in zip(rows["image_id"], ranks, strict=True) if pd.notna(r)}


def scored_runs(audit: Audit) -> list[Any]:
    """Runs on the dataset that have scores."""
    return [run for run in session.runs_in_view(audit.info) if run.done]


def look(queue: ReviewQueue, image_id: str, key: str = QUEUE) -> None:
    """Remember which image is in view; the browser is there already."""
    place, kept = queue.place_of(image_id), st.session_state.get(key)
    if place is not None and kept and kept["queue"].key == queue.key:
        kept["at"] = replace(kept["at"], place=place)
