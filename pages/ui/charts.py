"""Figures on a page, and the chip that writes a severity level in its colour."""

import html
import math
from collections.abc import Collection
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from mad_core.datasets.dataset import SubsetCard
from mad_core.palette import Theme, chrome, level_colour, outline, text_on
from mad_core.studies.export import decimals
from pages.ui.stage import Chip
from pages.ui.text import level_text

CONFIG = {"displaylogo": False, "displayModeBar": False, "scrollZoom": False}


def theme() -> Theme:
    """The theme in view: light or dark."""
    return "dark" if st.context.theme.type == "dark" else "light"


def show(figure: go.Figure, alt: str, key: str) -> None:
    """Draw a figure with its text alternative."""
    st.plotly_chart(_copied_once(figure), theme=None, width="stretch", config=CONFIG, key=key, alt=alt)


def show_clickable(figure: go.Figure, alt: str, key: str) -> str | None:
    """Draw a figure whose points stand for images; the id of the image that was clicked just now, else None."""
    event: Any = st.plotly_chart(
        _copied_once(figure),
        theme=None,
        width="stretch",
        config=CONFIG,
        key=key,
        alt=alt,
        on_select="rerun",
        selection_mode="points",
    )
    clicked = [p.get("customdata") for p in event["selection"]["points"]] if event else []
    first = next((c for c in clicked if c), None)
    chosen = first[0] if isinstance(first, list | tuple) else first
    seen = st.session_state.get(f"{key}_seen")
    st.session_state[f"{key}_seen"] = chosen
    return str(chosen) if chosen and chosen != seen else None


def _copied_once(figure: go.Figure) -> go.Figure:
    """The figure, no longer to be changed: all its numbers are copied now, and not each time that it is drawn.

    Figures are kept and drawn for everybody; the copy was half of what that took.
    """
    kept = vars(figure)
    if "to_dict" not in kept:
        drawn = figure.to_dict()
        kept["to_dict"] = lambda: drawn
    return figure


def show_table(table: pd.DataFrame, alt: str, **facts: Any) -> None:
    """Draw a table whose numbers stand under each other: of a column with fractions all have as many decimals."""
    digits = {str(name): decimals(column.tolist()) for name, column in table.items()}
    columns: dict[str, Any] = {
        name: st.column_config.NumberColumn(format=f"%.{n}f") for name, n in digits.items() if n is not None
    }
    st.dataframe(table, hide_index=True, width="stretch", alt=alt, column_config=columns, **facts)


def level_tones(level: float, levels: Collection[float]) -> tuple[str, str, str]:
    """The colour of a level, of text on it, and of its edge, as ``#rrggbb``."""
    colour = chrome(theme()).panel if math.isnan(level) else level_colour(level, levels, theme())
    return colour, text_on(colour), outline(colour, theme())


def level_on_stage(level: float, levels: Collection[float], card: SubsetCard) -> Chip | None:
    """A level for the stage; None where there is none."""
    return None if math.isnan(level) else Chip(level_text(level, card), *level_tones(level, levels))


def level_chip(level: float, levels: Collection[float], card: SubsetCard, *, large: bool = False) -> str:
    """A level as HTML: its words on its colour."""
    colour, ink, edge = level_tones(level, levels)
    size = "padding:0.35rem 0.8rem;font-size:1.05rem" if large else "padding:0.1rem 0.55rem;font-size:0.85rem"
    return (
        f'<span style="{size};border-radius:1rem;font-weight:600;white-space:nowrap;display:inline-block;'
        f"background:{colour};color:{ink};border:1px solid {edge}"
        f'">{html.escape(level_text(level, card))}</span>'
    )
