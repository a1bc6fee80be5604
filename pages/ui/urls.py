"""Addresses of images and maps, as the image routes serve them."""

from urllib.parse import quote, urlencode

import streamlit as st

from pages.ui import access


def base() -> str:
    """What stands before every path where a reverse proxy serves the app below one: ``/mad``, or nothing."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def picture(dataset_id: str, image_id: str, kind: str, digest: str, window: str = "") -> str:
    """Address of an image's ``original``, ``preview``, ``thumbnail`` or ``mask``; ``digest`` lets browsers keep it.

    ``window``, ``low:high``, is another one than the dataset's for the original of a picture deeper than 8 bits.
    """
    seen = {"window": window} if window else {}
    return _address(f"/image/{quote(dataset_id)}/{quote(image_id)}/{kind}", v=digest[:12], **seen)


def image_page(dataset_id: str, subset: str, image_id: str) -> str:
    """Address of the page of one image."""
    return f"{base()}/images?" + urlencode({"dataset": dataset_id, "subset": subset, "image": image_id})


def images(**view: str) -> str:
    """Address of the gallery with this in view."""
    return f"{base()}/images?{urlencode(view)}"


def anomaly_map(run_id: str, image_id: str, created: float) -> str:
    """Address of a stored anomaly map."""
    return _address(f"/map/{quote(run_id)}/{quote(image_id)}", v=f"{created:.0f}")


def map_thumbnail(run_id: str, image_id: str, state: str) -> str:
    """Address of a stored anomaly map as a small picture; ``state`` lets browsers keep it until the run goes on."""
    return _address(f"/map/{quote(run_id)}/{quote(image_id)}/thumbnail", v=state)


def single(job_id: int, kind: str) -> str:
    """Address of an uploaded image (``original``, ``preview``) or its anomaly map (``map``)."""
    return _address(f"/single/{job_id}/{kind}")


def _address(path: str, **query: str) -> str:
    path = base() + path
    given = access.image_pass(path)
    if given:
        query["pass"] = given
    return f"{path}?{urlencode(query)}" if query else path
