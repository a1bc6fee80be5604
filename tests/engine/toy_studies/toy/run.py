"""The mean score of each run, or what the test wants of it."""

from __future__ import annotations

import time

import pandas as pd

from mad_core.errors import InputError
from mad_core.runs.results import run_table
from mad_core.studies.finding import Finding
from mad_core.studies.study import Work
from tests.engine.toy_study import done


def run(work: Work) -> Finding:
    done.append(work.device)
    for step in range(work.parameters["steps"]):
        work.check_cancel()
        time.sleep(work.parameters["wait"])
        work.progress(step + 1, work.parameters["steps"])
    if work.parameters["fails"]:
        raise InputError("The toy broke.")
    means = [float(run_table(work.store, run.id)["score"].mean()) for run in work.runs]
    table = pd.DataFrame({"run": [run.id for run in work.runs], "mean": means})
    images = work.dataset.select(split="test")["image_id"].tolist()
    sentence = f"The mean is {means[0]:.3f}."
    return Finding("toy", "Toy study", sentence, "A toy.", {"means": table}, {}, {"Some": images[:4]})
