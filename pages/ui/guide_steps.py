"""The guided tour of the demo, step by step: words, the page, and what is in view there."""

import numpy as np

from mad_core.runs.browsing import with_scores
from mad_core.runs.first_start import FIRST_SCORERS
from mad_core.runs.misordered import most_overrated, most_underrated
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

SUBSET, MILD, SEVERE = "plate", "stain", "crack"
"""The subset of the demo that the tour looks at, and its defects whose size misleads."""
APART = 50
"""Rank difference, percentile points, from which two scorers contradict each other."""


# -- what is in view ------------------------------------------------------------------------------


def _size_misleads(tour: Tour) -> View:
    return {"subset": SUBSET, "defect": [MILD, SEVERE], "sort": "normal first", **first(tour)}


def _one_stain(tour: Tour) -> View:
    stains = tour.images(defect=MILD)["image_id"].tolist()
    return _image(tour, MILD, stains, most_overrated(stains, [tour.table(run) for run in tour.runs]))


def _one_crack(tour: Tour) -> View:
    cracks = tour.images(defect=SEVERE)["image_id"].tolist()
    return _image(tour, SEVERE, cracks, most_underrated(cracks, [tour.table(run) for run in tour.runs]))


def _image(tour: Tour, defect: str, ids: list[str], chosen: str | None) -> View:
    """One image of a defect under the maps of both runs: the chosen one, else the first."""
    image = chosen or next(iter(ids), "")
    return {"subset": SUBSET, "image": image, "defect": defect, "maps": tour.run_ids, **first(tour)}


def _contested(tour: Tour) -> View:
    against = {"against": tour.model.id} if tour.detector and tour.model else {}
    return {"subset": SUBSET, "sort": "rank difference", **first(tour), **against}


# -- what the scores say --------------------------------------------------------------------------


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
        scoring,
        runs=1,
    ),
    Step(
        "A large stain, little risk",
        "At the right stands the level, and below it the place of each score among those of all levels.",
        "Images",
        _one_stain,
        above_more_severe,
        runs=2,
    ),
    Step(
        "A short crack, great risk",
        "A crack of a few pixels may score low even where the map marks it: how strange is not how bad.",
        "Images",
        _one_crack,
        below_milder,
        runs=2,
    ),
    Step(
        "Do scores follow severity?",
        "The C-index says how often the worse of two images scores higher. Telling normal from abnormal earns much of "
        "it already: compare with the grey rows, and look how the clouds below climb.",
        "Compare",
        compared,
        c_index,
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
        lambda tour: {"study": "area", "studied": tour.run_ids},
        runs=1,
    ),
    Step(
        "Take it along",
        "Report as HTML, below the table, makes one file of metrics, plots, images, studies and audit. It opens "
        "without a network and says how to repeat every number.",
        "Compare",
        compared,
        runs=1,
    ),
)

DEMO = Route("", "demo", SUBSET, STEPS, tuple(FIRST_SCORERS), "Make the demo dataset")
