"""A small app around the review components, for the browser tests: images are formulas, acts stay in the session.

``?show=review`` (30 images of two levels and a half; ``rated=8-22`` has those rated already; ``faults=1`` offers to
take the component away and to refuse what it sends) or ``?show=pairs``.
"""

from __future__ import annotations

import io
from dataclasses import replace

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from streamlit import runtime

from mad_core.errors import WorkError
from tests.browser.component_app import HEIGHT, WIDTH, plate

IMAGES = 30
LEVELS = ((0.0, "L0 · intact"), (1.0, "L1 · light"), (1.5, "L1.5"), (2.0, "L2 · <b>severe</b>"))


def _image(request: Request) -> Response:
    out = io.BytesIO()
    plate(request.path_params["image"]).save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png", headers={"Cache-Control": "max-age=3600"})


def draw() -> None:
    st.set_page_config(layout="wide")
    if st.query_params.get("faults"):
        st.checkbox("Full", key="full")
    st.session_state.setdefault("acts", [])
    st.session_state.setdefault("mine", {})
    st.session_state.setdefault("at", (0, 0))
    st.subheader("Components")
    if st.query_params.get("faults") and st.checkbox("Away"):
        return
    _pairs() if st.query_params.get("show") == "pairs" else st.fragment(_review)()


def _review() -> None:
    from pages.audit.review_component import (
        Act,
        Ladder,
        Mine,
        Reference,
        Reveal,
        ReviewImage,
        ReviewPosition,
        ReviewWindow,
        Rung,
        review,
    )

    mine, acts = st.session_state["mine"], st.session_state["acts"]
    first, _, last = st.query_params.get("rated", "").partition("-")
    if last and not mine:
        mine |= {str(i): Mine("level", 1.0) for i in range(int(first), int(last) + 1)}

    def take(act: Act) -> None:
        if st.session_state.get("full"):
            raise WorkError("The disk is full.")
        acts.append(act)
        if act.act in ("level", "unsure", "ungradable"):
            mine[act.image] = Mine(act.act, act.after, act.reason, act.region)
        if act.act == "undo" and mine:
            last = list(mine)[-1]
            del mine[last]
            st.session_state["at"] = (st.session_state["at"][0] + 1, int(last))
        elif act.image:
            st.session_state["at"] = (st.session_state["at"][0], int(act.image))

    reveal = Reveal(
        "L1 · light", "#e6cf5c", "#000000", "#888888", "<i>Why</i>", (("Filter bank", "9"),), "bad/1.png", "/"
    )
    reference = Reference("r", "/image/77", "/image/77", "Reference of L0 · intact")
    rungs = tuple(
        Rung(level, f"{level:g}", label, "What it means.", "#e6cf5c", "#000000", "#888888", (reference,) * (level == 0))
        for level, label in LEVELS
    )
    number, place = st.session_state["at"]
    start = max(place - 3, 0)
    items = tuple(
        replace(
            ReviewImage(str(i), f"/image/{i}", f"/image/{i}", WIDTH, HEIGHT, "plate"),
            mine=mine.get(str(i)),
            reveal=reveal if str(i) in mine else None,
        )
        for i in range(start, min(place + 12, IMAGES))
    )
    review(
        ReviewWindow(
            "all",
            IMAGES,
            start,
            items,
            ReviewPosition(number, place),
            {"plate": Ladder("plate", "Judge the scratch.", rungs)},
        ),
        done=len(mine),
        total=IMAGES,
        pace="",
        show_after=st.query_params.get("after") != "on",
        note=None,
        whose="Ada",
        key="review",
        on_act=take,
    )
    st.text(f"acts: {' '.join(_said(act) for act in acts if act.act != 'at') or 'none'}")


def _pairs() -> None:
    from pages.audit.review_component import Pair, ReviewImage, pairs

    acts = st.session_state["acts"]

    def item(i: int) -> ReviewImage:
        return ReviewImage(str(i), f"/image/{i}", f"/image/{i}")

    first = len(acts)
    offered = [Pair(f"{i}-{i + 1}", (item(i), item(i + 1))) for i in range(first, first + 4)]
    pairs(offered, at=0, count=f"{first} comparisons", note=None, whose="Ada", key="pairs", on_act=acts.append)
    st.text(f"acts: {' '.join(_said(act) for act in acts) or 'none'}")


def _said(act: object) -> str:
    return f"{act.act}:{act.image}:{act.after}"  # pyright: ignore[reportAttributeAccessIssue]


if runtime.exists():
    draw()
else:
    from pages.ui import streamlit_patched

    streamlit_patched.install()
    app = st.App(__file__, routes=[Route("/image/{image:int}", _image)])
