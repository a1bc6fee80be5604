"""Of how many images somebody has said the severity level, and what a page shows once they have."""

import streamlit as st

from mad_core.labelled import of_which_labelled


def labels_note(images: int, with_level: int, shown: str) -> bool:
    """Say how many of some images are labelled where not all of them are.

    Parameters
    ----------
    shown : str
        What the page shows of labelled images: "metrics, and scores against levels".

    Returns
    -------
    bool
        Whether any is.
    """
    if with_level == images:
        return True
    if with_level:
        st.caption(f"{of_which_labelled(images, with_level)}: only these enter {shown}.")
        return True
    st.info(
        f"Of {images:,} images, 0 labelled. Once some have a severity level, {shown} stand here. Grade some on "
        "Audit, or import them with their levels; scores and maps are on Images.",
        icon=":material/info:",
    )
    return False
