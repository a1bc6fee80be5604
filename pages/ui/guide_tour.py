"""What a guided tour is: its steps, the dataset and runs that they show, and what scores say of the images in view."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mad_core.runs.first_start import FIRST_SCORERS
from mad_core.runs.misordered import shares_around
from mad_core.runs.parts import kind_of
from mad_core.runs.store import DatasetInfo, Run
from pages.ui import engine, session
from pages.ui.text import number, plain

View = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Tour:
    """What a tour shows: its dataset and subset, and the runs of a detector and of a multimodal model on them."""

    info: DatasetInfo
    subset: str
    detector: Run | None = None
    model: Run | None = None

    @property
    def runs(self) -> list[Run]:
        return [run for run in (self.detector, self.model) if run is not None]

    @property
    def run_ids(self) -> list[str]:
        return [run.id for run in self.runs]

    def table(self, run: Run) -> Any:
        """The images of the subset with the run's scores so far."""
        rows: Any = engine.table(run)
        return rows[rows["subset"] == self.subset]

    def images(self, **values: object) -> Any:
        """Test images of the subset with these values, as ``defect="stain"``."""
        rows: Any = engine.store().dataset(self.info.id).select(split="test", subset=self.subset)
        for column, value in values.items():
            rows = rows[rows[column] == value]
        return rows


@dataclass(frozen=True)
class Step:
    """One step of a tour.

    Parameters
    ----------
    title : str
    words : str
        One or two sentences, true of any scores.
    page : str
        The page's title; its file is ``pages/<title in small letters>.py``.
    view : callable
        What is to be in view there, besides the dataset.
    result : callable
        What the scores say by now, in a sentence; empty where they say nothing yet.
    runs : int
        How many runs the step talks of: 1 the detector, 2 the multimodal model as well.
    """

    title: str
    words: str
    page: str
    view: Callable[[Tour], View]
    result: Callable[[Tour], str] = lambda tour: ""
    runs: int = 0


@dataclass(frozen=True)
class Route:
    """One guided tour.

    Parameters
    ----------
    id : str
        Stands before the step's number in the address; empty for the demo's.
    source : str
        The source of its dataset.
    subset : str
    steps : tuple of Step
    scorers : tuple of str
        What its steps may talk of, in order; those that this machine cannot run are passed over.
    make : str
        What the button that makes its dataset says.
    """

    id: str
    source: str
    subset: str
    steps: tuple[Step, ...] = field(repr=False)
    scorers: tuple[str, ...]
    make: str

    def address(self, step: int) -> str:
        """How a step stands in the address, from 1."""
        return f"{self.id}-{step}" if self.id else str(step)

    def tour(self) -> Tour | None:
        """The tour as things stand; None without its dataset."""
        info = next((one for one in engine.store().datasets() if one.source == self.source), None)
        if info is None:
            return None
        runs = [run for run in engine.store().runs(info.id) if self.subset in run.subsets and (run.active or run.done)]
        runs.sort(key=lambda run: (run.scorer in FIRST_SCORERS, run.status == "done", run.done))
        of_kind = {kind_of(run.scorer): run for run in runs}  # the last of each kind stays
        return Tour(info, self.subset, of_kind.get("detector"), of_kind.get("mllm"))


# -- what is in view ------------------------------------------------------------------------------


def scoring(tour: Tour) -> View:
    """The run that is at work, else the detector's."""
    active = [run.id for run in tour.runs if run.active]
    return {"subset": tour.subset, **({"run": active[0]} if active else first(tour))}


def compared(tour: Tour) -> View:
    return {"within": tour.subset, "runs": tour.run_ids}


def first(tour: Tour) -> View:
    return {"run": tour.runs[0].id} if tour.runs else {}


# -- what the scores say --------------------------------------------------------------------------


def above_more_severe(tour: Tour) -> str:
    """Where each run puts the image in view among those of higher levels; empty where that says nothing."""
    return _placed(tour, lambda levels, own: [level for level in levels if level > own], "above", "of the more severe")


def below_milder(tour: Tour) -> str:
    """Where each run puts the image in view among the milder abnormal ones; empty where that says nothing."""
    return _placed(tour, lambda levels, own: [level for level in levels if 0 < level < own], "below", "of the milder")


def _placed(tour: Tour, others: Callable[[Sequence[float], float], list[float]], where: str, which: str) -> str:
    image = session.get("image")
    rows = tour.images(image_id=image)
    if rows.empty:
        return ""
    clauses = []
    for run in tour.runs:
        table = tour.table(run)
        levels = others(sorted(table["level"].dropna().unique()), float(rows["level"].iloc[0]))
        shares = shares_around(table, image, levels)
        if shares is not None:
            share = shares[0] if where == "above" else shares[1]
            verb, of = (" scores it", f" {which} defects") if not clauses else ("", "")
            clauses.append(f"{plain(run.title)}{verb} {where} {100 * share:.0f}\u00a0%{of}")
    return f"{', '.join(clauses)}." if clauses else ""


def c_index(tour: Tour) -> str:
    """The C-index of each run on the subset, with its interval, and what severity at random would reach."""
    clauses, random = [], None
    for run in tour.runs:
        metrics = engine.metrics(run, tour.subset, 0 if run.active else 1000)
        if metrics["c_index"] is not None:
            clauses.append(f"{plain(run.title)} {_estimate(metrics['c_index'], metrics['intervals'].get('c_index'))}")
            random = metrics["reference"]["c_index_random_severity"]
    if not clauses:
        return ""
    reference = "" if random is None else f" Perfect detection with severity at random: {number(random, 2)}."
    return f"C-index: {', '.join(clauses)}.{reference}"


def _estimate(value: float, interval: Sequence[float] | None) -> str:
    between = f" [{number(interval[0], 2)}, {number(interval[1], 2)}]" if interval else ""
    return number(value, 2) + between
