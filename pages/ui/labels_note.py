"""Of how many images somebody has said the severity level, and what a page shows once they have."""

import pandas as pd
import streamlit as st

from mad_core.labelled import labelled, labelled_in_words


def labels_note(rows: pd.DataFrame, shown: str) -> bool:
    """Say how many of some images are labelled where not all of them are.

    Parameters
    ----------
    rows : DataFrame
        With ``level``.
    shown : str
        What the page shows of labelled images: "metrics, and scores against levels".

    Returns
    -------
    bool
        Whether any is.
    """
    with_level = labelled(rows)
    if len(with_level) == len(rows):
        return True
    if len(with_level):
        st.caption(f"{labelled_in_words(rows)}: only these enter {shown}.")
        return True
    st.info(
        f"Of {len(rows):,} images, 0 labelled. Once some have a severity level, {shown} stand here. Grade some on "
        "Audit, or import them with their levels; scores and maps are on Images.",
        icon=":material/info:",
    )
    return False
