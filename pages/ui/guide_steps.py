"""What the guided tour of the demo says, step by step: words, the page, and what is in view there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mad_core.runs.browsing import with_scores
from mad_core.runs.first_start import FIRST_SCORERS
from mad_core.runs.misordered import most_overrated, most_underrated, shares_around
from mad_core.runs.parts import kind_of
from mad_core.runs.store import DatasetInfo, Run
from pages.ui import engine, session
from pages.ui.text import number, plain

SUBSET, MILD, SEVERE = "plate", "stain", "crack"
"""The subset of the demo that the tour looks at, and its defects whose size misleads."""
APART = 50
"""Rank difference, percentile points, from which two scorers contradict each other."""

View = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Tour:
    """What the tour shows: the demo dataset, and the runs of a detector and of a multimodal model on it."""

    info: DatasetInfo
    detector: Run | None = None
    model: Run | None = None

    @property
    def runs(self) -> list[Run]:
        return [run for run in (self.detector, self.model) if run is not None]

    def table(self, run: Run) -> Any:
        """The images of the subset with the run's scores so far."""
        rows: Any = engine.table(run)
        return rows[rows["subset"] == SUBSET]

    def images(self, defect: str) -> Any:
        """Test images of the subset with this defect."""
        rows: Any = engine.store().dataset(self.info.id).select(split="test", subset=SUBSET)
        return rows[rows["defect"] == defect]


def tour() -> Tour | None:
    """The tour as things stand; None without the demo dataset."""
    info = next((one for one in engine.store().datasets() if one.source == "demo"), None)
    if info is None:
        return None
    runs = [run for run in engine.store().runs(info.id) if SUBSET in run.subsets and (run.active or run.done)]
    runs.sort(key=lambda run: (run.scorer in FIRST_SCORERS, run.status == "done", run.done))
    of_kind = {kind_of(run.scorer): run for run in runs}  # the last of each kind stays
    return Tour(info, of_kind.get("detector"), of_kind.get("mllm"))


@dataclass(frozen=True)
class Step:
    """One step of the tour.

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


# -- what is in view ------------------------------------------------------------------------------


def _size_misleads(tour: Tour) -> View:
    return {"subset": SUBSET, "defect": [MILD, SEVERE], "sort": "normal first", **_first(tour)}


def _one_stain(tour: Tour) -> View:
    chosen = most_overrated(tour.images(MILD)["image_id"].tolist(), [tour.table(run) for run in tour.runs])
    return _image(tour, MILD, chosen)


def _one_crack(tour: Tour) -> View:
    chosen = most_underrated(tour.images(SEVERE)["image_id"].tolist(), [tour.table(run) for run in tour.runs])
    return _image(tour, SEVERE, chosen)


def _image(tour: Tour, defect: str, chosen: str | None) -> View:
    """One image of a defect under the maps of both runs: the chosen one, else the first."""
    ids = tour.images(defect)["image_id"].tolist()
    image = chosen or next(iter(ids), "")
    return {"subset": SUBSET, "image": image, "defect": defect, "maps": _ids(tour), **_first(tour)}


def _scoring(tour: Tour) -> View:
    """The run that is at work, else the detector's."""
    active = [run.id for run in tour.runs if run.active]
    return {"subset": SUBSET, **({"run": active[0]} if active else _first(tour))}


def _compared(tour: Tour) -> View:
    return {"within": SUBSET, "runs": _ids(tour)}


def _contested(tour: Tour) -> View:
    against = {"against": tour.model.id} if tour.detector and tour.model else {}
    return {"subset": SUBSET, "sort": "rank difference", **_first(tour), **against}


def _ids(tour: Tour) -> list[str]:
    return [run.id for run in tour.runs]


def _first(tour: Tour) -> View:
    return {"run": tour.runs[0].id} if tour.runs else {}


# -- what the scores say --------------------------------------------------------------------------


def _stain_result(tour: Tour) -> str:
    return _placed(tour, MILD, lambda levels, own: [level for level in levels if level > own], "above", "more severe")


def _crack_result(tour: Tour) -> str:
    return _placed(tour, SEVERE, lambda levels, own: [level for level in levels if 0 < level < own], "below", "milder")


def _placed(
    tour: Tour, defect: str, others: Callable[[Sequence[float], float], list[float]], where: str, which: str
) -> str:
    """Where each run puts the image in view among the images of other levels."""
    image = session.get("image")
    rows = tour.images(defect)
    rows = rows[rows["image_id"] == image]
    if rows.empty:
        return ""
    clauses = []
    for run in tour.runs:
        table = tour.table(run)
        levels = others(sorted(table["level"].unique()), float(rows["level"].iloc[0]))
        shares = shares_around(table, image, levels)
        if shares is not None:
            share = shares[0] if where == "above" else shares[1]
            verb, of = (" scores it", f" of the {which} defects") if not clauses else ("", "")
            clauses.append(f"{plain(run.title)}{verb} {where} {100 * share:.0f}\u00a0%{of}")
    return f"{', '.join(clauses)}." if clauses else ""


def _c_index_result(tour: Tour) -> str:
    clauses, random = [], None
    for run in tour.runs:
        metrics = engine.metrics(run, SUBSET, 0 if run.active else 1000)
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


def _contested_result(tour: Tour) -> str:
    if tour.detector is None or tour.model is None:
        return ""
    tables = tour.table(tour.detector), tour.table(tour.model)
    apart = with_scores(tables[0].drop(columns="score"), *tables)["apart"].to_numpy(dtype=float)
    both = int(np.isfinite(apart).sum())
    if not both:
        return ""
    many = int((apart >= APART).sum())
    return f"On {many:,} of {both:,} images their percentile ranks lie {APART} points or more apart."


STEPS: tuple[Step, ...] = (
    Step(
        "Whether, or how bad?",
        "A detector says whether a part is abnormal. Who has to act on it needs to know how bad it is. These images "
        "carry a severity level, L0 normal to L4 critical; the tour asks whether scores follow it.",
        "Data",
        lambda tour: {"subset": SUBSET},
    ),
    Step(
        "Severity is risk, not size",
        "A large faint stain is L1: it does no harm. A short crack at a bolt is L3: it grows under load. "
        "Who measures how much is abnormal gets this order wrong.",
        "Images",
        _size_misleads,
    ),
    Step(
        "Scorers at work",
        "A scorer gives each image a number. The detector learned from normal images alone; the multimodal model "
        "reads a description of the levels. Numbers and points come live, and a closed browser loses nothing.",
        "Score",
        _scoring,
        runs=1,
    ),
    Step(
        "A large stain, little risk",
        "At the right stands the level, and below it the place of each score among those of all levels.",
        "Images",
        _one_stain,
        _stain_result,
        runs=2,
    ),
    Step(
        "A short crack, great risk",
        "A crack of a few pixels may score low even where the map marks it: how strange is not how bad.",
        "Images",
        _one_crack,
        _crack_result,
        runs=2,
    ),
    Step(
        "Do scores follow severity?",
        "The C-index says how often the worse of two images scores higher. Telling normal from abnormal earns much of "
        "it already: compare with the grey rows, and look how the clouds below climb.",
        "Compare",
        _compared,
        _c_index_result,
        runs=2,
    ),
    Step(
        "Where two scorers disagree",
        "The images that detector and multimodal model rank furthest apart stand first; under each the two ranks, "
        "0 lowest, 100 highest. Open one to see why.",
        "Images",
        _contested,
        _contested_result,
        runs=2,
    ),
    Step(
        "A label in doubt",
        "Labels err too, and the one that scores contradict most stands first. Write a name, rate it blind with a "
        "number key and Enter, then see the label. The demo is labelled as drawn, so here it is the scores that err.",
        "Audit",
        lambda tour: {"within": SUBSET},
        runs=1,
    ),
    Step(
        "A handful of grades",
        "What counts as bad, a person says: grade a few images in Review, five a level serve well. Learn puts all "
        "others in that order, beside the detector's, says how sure it is, and which images to grade next.",
        "Audit",
        lambda tour: {"within": SUBSET, "part": "Learn"},
        runs=1,
    ),
    Step(
        "Risk or area?",
        "A study puts a question to the stored scores: do they follow how bad a defect is, or only how large? "
        "Press Run the study; the answer is a sentence made from its interval, with what it does not tell.",
        "Studies",
        lambda tour: {"study": "area", "studied": _ids(tour)},
        runs=1,
    ),
    Step(
        "Take it along",
        "Report as HTML, below the table, makes one file of metrics, plots, images, studies and audit. It opens "
        "without a network and says how to repeat every number.",
        "Compare",
        _compared,
        runs=1,
    ),
)
