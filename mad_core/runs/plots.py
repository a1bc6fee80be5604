"""The figures of one run, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from mad_core import figures
from mad_core.datasets.dataset import Card
from mad_core.errors import InputError
from mad_core.labelled import labelled
from mad_core.metrics.comparing import mean_inversion_matrix, summarize
from mad_core.metrics.operating import operating_points
from mad_core.metrics.summary import ordered
from mad_core.metrics.units import groups_of
from mad_core.palette import Theme, chrome
from mad_core.runs.comparing import ranks_within_subsets
from mad_core.runs.results import run_table
from mad_core.runs.store import Store
from mad_core.runs.triage import usual_threshold

RANK = "percentile rank within its subset"


@dataclass(frozen=True, eq=False)
class PlotView:
    """What is drawn: the images of a run, in a theme, and the one image that is marked, if any.

    Raw scores of different subsets are never pooled: of several subsets the ranks within each are drawn.
    """

    rows: pd.DataFrame
    card: Card
    theme: Theme
    image: str | None = None

    @property
    def names(self) -> dict[float, str]:
        return self.card.level_names(self.rows["subset"].unique().tolist())

    @property
    def scores(self) -> tuple[pd.Series, str]:
        """What is drawn as score, and what it is called."""
        rows: Any = self.rows
        if len(rows["subset"].unique()) > 1:
            return ranks_within_subsets(rows, "score"), RANK
        return rows["score"], "anomaly score"


def raincloud(view: PlotView) -> go.Figure:
    scores, label = view.scores
    ids, paths = view.rows["image_id"].tolist(), view.rows["path"].tolist()
    common: dict[str, Any] = {"level_names": view.names, "theme": view.theme, "score_label": label}
    return figures.raincloud(ordered(view.rows)[0], scores, ids, hover=paths, highlight=view.image, **common)


def matrix(view: PlotView) -> go.Figure:
    rows = view.rows
    shares, levels, counts = mean_inversion_matrix(ordered(rows)[0], rows["score"], rows["subset"])
    return figures.inversion_matrix(shares, levels, counts=counts, level_names=view.names, theme=view.theme)


def strip(view: PlotView) -> go.Figure:
    scores, label = view.scores
    marked = scores[view.rows["image_id"] == view.image].tolist()
    return figures.score_strip(
        view.rows["level"],
        scores,
        mark=marked[0] if marked else float("nan"),
        mark_label="This image",
        level_names=view.names,
        theme=view.theme,
        score_label=label,
    )


def intervals(view: PlotView) -> go.Figure:
    rows = view.rows
    metrics = summarize(ordered(rows)[0], rows["score"], rows["subset"], groups=groups_of(rows))
    parts = {"all subsets" if metrics["subsets"] else "all images": metrics, **metrics["subsets"]}
    random = metrics["reference"]["c_index_random_severity"]
    rows = [figures.interval_row(name, one["c_index"], one["intervals"].get("c_index")) for name, one in parts.items()]
    reference = [] if random is None else [("severity at random", random)]
    return figures.metric_intervals(rows, reference=reference, x_title="C-index", theme=view.theme)


def levels(view: PlotView) -> go.Figure:
    counts: Any = view.rows.groupby(["subset", "level"]).size()
    counts = counts.rename("n").reset_index().assign(split="test")
    return figures.level_counts(counts, level_names=view.names, theme=view.theme)


def roc(view: PlotView) -> go.Figure:
    return _operating(view, figures.roc)


def precision_recall(view: PlotView) -> go.Figure:
    return _operating(view, figures.precision_recall)


def _operating(view: PlotView, drawn: Callable[..., go.Figure]) -> go.Figure:
    """A curve for each subset: their scores share no threshold."""
    return drawn(*operating({str(subset): rows for subset, rows in view.rows.groupby("subset")}), theme=view.theme)


def operating(rows: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], dict[str, float]]:
    """What thresholds would do to the images of each name, and the threshold that is proposed for each."""
    points = {name: operating_points(of["level"], of["score"]) for name, of in rows.items()}
    return points, {name: usual_threshold(of["level"].to_numpy(), of["score"].to_numpy()) for name, of in rows.items()}


PLOTS: Mapping[str, Callable[[PlotView], go.Figure]] = {
    "raincloud": raincloud,
    "matrix": matrix,
    "strip": strip,
    "intervals": intervals,
    "levels": levels,
    "roc": roc,
    "precision_recall": precision_recall,
}


def plot(
    store: Store,
    run_id: str,
    name: str = "raincloud",
    *,
    subset: str | None = None,
    image: str | None = None,
    theme: Theme = "light",
) -> go.Figure:
    """One of :data:`PLOTS` of a run.

    Raises
    ------
    InputError
        If there is no figure, subset, image or theme of that name.
    NotFoundError
        If there is no such run.
    """
    _one_of(name, PLOTS, "figure")
    _one_of(theme, ("light", "dark"), "theme")
    rows: Any = run_table(store, run_id)
    if subset is not None:
        _one_of(subset, rows["subset"].unique().tolist(), "subset of this run")
        rows = rows[rows["subset"] == subset]
    if image is not None and image not in set(rows["image_id"]):
        raise InputError(f"No test image of this run has the id '{image}'; its table lists them as image_id.")
    figure = PLOTS[name](PlotView(labelled(rows), store.dataset_info(store.run(run_id).dataset_id).card, theme, image))
    return figure.update_layout(paper_bgcolor=chrome(theme).page, plot_bgcolor=chrome(theme).page)


def _one_of(value: str, choices: Any, what: str) -> None:
    if value not in choices:
        raise InputError(f"'{value}' is no {what}; there are {', '.join(choices)}.")
