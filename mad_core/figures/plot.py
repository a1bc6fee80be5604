"""A figure and all that is said of it, as pages, the report and saved files show it."""

from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Plot:
    """A figure with its texts.

    Parameters
    ----------
    title : str
    figure : Figure
    alt : str
        The same in words, for those who do not see it.
    how_to_read : str
        What to look at and what not to conclude, for those who meet it for the first time.
    """

    title: str
    figure: go.Figure
    alt: str
    how_to_read: str
