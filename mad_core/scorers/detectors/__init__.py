"""The conventional detectors that ship. What they use of anomalib is loaded, and no more."""

from mad_core.scorers import lazy_anomalib

lazy_anomalib.install()
