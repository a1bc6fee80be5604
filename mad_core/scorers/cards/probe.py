"""Severity probe."""

from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.parameters import filter_bank, tiles

CARD = ScorerInfo(
    id="probe",
    title="Severity probe",
    family="filter bank",
    entry="mad_core.scorers.detectors.probe:SeverityProbe",
    paper="After Alain and Bengio 2017, Understanding Intermediate Layers Using Linear Classifier Probes, "
    "https://arxiv.org/abs/1610.01644",
    summary="Weighs how the filter bank's responses depart from normal by what was learned on generated pictures "
    "with severity labels. It shows how far such labels go without a rubric and without a language model.",
    needs="Nothing: its weights ship with this software.",
    cost="About 0.03 s an image on two cores; 1 GB.",
    parameters=(*filter_bank(), tiles()),
    grows=True,
)
