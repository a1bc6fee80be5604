"""The guided tour of photographs: solar cells, whose labels are other people's and say how sure those were."""

from mad_core.datasets import solar_cells
from mad_core.runs.misordered import most_overrated, most_underrated
from mad_core.scorers import catalog
from pages.ui.guide_tour import (
    Route,
    Step,
    Tour,
    View,
    above_more_severe,
    below_milder,
    c_index,
    compared,
    first,
    scoring,
)

SUBSET, SOUND, CERTAIN = "mono", 0, 3
"""The subset that the tour looks at, and its levels at both ends."""


def _worst_first(tour: Tour) -> View:
    return {"subset": SUBSET, "split": "test", "sort": "highest score", **first(tour)}


def _one_sound(tour: Tour) -> View:
    sound = tour.images(level=SOUND)["image_id"].tolist()
    return _image(tour, sound, most_overrated(sound, [tour.table(run) for run in tour.runs[:1]]))


def _one_certain(tour: Tour) -> View:
    certain = tour.images(level=CERTAIN)["image_id"].tolist()
    return _image(tour, certain, most_underrated(certain, [tour.table(run) for run in tour.runs[:1]]))


def _image(tour: Tour, ids: list[str], chosen: str | None) -> View:
    return {"subset": SUBSET, "image": chosen or next(iter(ids), ""), "maps": tour.run_ids[:1], **first(tour)}


STEPS: tuple[Step, ...] = (
    Step(
        "Photographs, and other people's labels",
        "Solar cells photographed by their own light: what is dark gives no current. The label says how sure experts "
        "were that a cell is defective, from no defect to certain. That is an order, but not how bad a defect is.",
        "Data",
        lambda tour: {"subset": SUBSET},
    ),
    Step(
        "Sound cells alone",
        "The detector describes patches by a network taught on everyday photographs, and learns what sound cells look "
        "like from those set apart for training. No label of a cell under test is told to it.",
        "Score",
        scoring,
        runs=1,
    ),
    Step(
        "The strangest first",
        "So an inspector would work through them: by score, with the map of each under the pointer. Triage, below, "
        "says for any threshold how many are flagged, missed and false alarms.",
        "Images",
        _worst_first,
        runs=1,
    ),
    Step(
        "Without a defect, and yet high",
        "Of the cells labelled as sound, the one that scores highest. Look where the map is bright: strange need not "
        "be defective, and a label may err.",
        "Images",
        _one_sound,
        above_more_severe,
        runs=1,
    ),
    Step(
        "Certainly defective, and yet low",
        "Of the cells that experts were certain of, the one that scores lowest. What an expert sees at once may be "
        "nothing unusual for a network.",
        "Images",
        _one_certain,
        below_milder,
        runs=1,
    ),
    Step(
        "Does the score follow the label?",
        "The C-index counts how often the cell that experts were surer of scores higher. Read its interval before "
        "the number, and here it speaks of certainty, not of severity.",
        "Compare",
        compared,
        c_index,
        runs=1,
    ),
    Step(
        "A label in doubt",
        "The cell whose label the score contradicts most stands first. Write a name, rate it blind with a number key "
        "and Enter, then see what the experts had said.",
        "Audit",
        lambda tour: {"within": SUBSET},
        runs=1,
    ),
    Step(
        "A handful of grades",
        "Grade a few by what counts for you, say how much of a cell is lost: Learn puts all others in that order, "
        "beside the detector's, and says how sure it is. This makes a severity out of a certainty.",
        "Audit",
        lambda tour: {"within": SUBSET, "part": "Learn"},
        runs=1,
    ),
    Step(
        "Take it along",
        "Report as HTML makes one file of metrics, plots, images and audit, with the licence of these photographs: "
        "not for commercial use.",
        "Compare",
        compared,
        runs=1,
    ),
)

CELLS = Route(
    "cells",
    solar_cells.SOURCE,
    SUBSET,
    STEPS,
    (catalog.DEFAULT,),
    "Import the solar cells",
)
