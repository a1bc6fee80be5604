"""The metrics as the benchmark publishes them: lifelines, scipy and scikit-learn. Run in its own environment.

Usage: ``python published_way.py ARRAYS.npz`` with arrays ``levels`` and ``scores``; prints one JSON document.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from lifelines.utils import concordance_index
from scipy.stats import kendalltau
from sklearn.metrics import roc_auc_score


def published(levels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """AUROC of each level and whole, C-index and Kendall's tau-b, each in a call of its own."""
    values = {"whole": roc_auc_score(levels > 0, scores)}
    for level in np.unique(levels[levels > 0]):
        these = (levels == 0) | (levels == level)
        values[f"{level:g}"] = roc_auc_score(levels[these] > 0, scores[these])
    values["c_index"] = concordance_index(levels, scores)
    values["kendall_tau_b"] = kendalltau(levels, scores).statistic
    return {name: float(value) for name, value in values.items()}


if __name__ == "__main__":
    arrays = np.load(sys.argv[1])
    start, processor = time.perf_counter(), time.process_time()
    found = published(arrays["levels"], arrays["scores"])
    cost = {"seconds": time.perf_counter() - start, "processor": time.process_time() - processor}
    print(json.dumps({**cost, "values": found}))
