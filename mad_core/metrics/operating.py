"""What every threshold on a score would do: flagged, found, false alarms."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

COLUMNS = ("threshold", "flagged", "recall", "false_alarms", "precision")


def operating_points(levels: ArrayLike, scores: ArrayLike) -> pd.DataFrame:
    """The points of a ROC and of a precision-recall curve; images at or above the threshold are flagged.

    Parameters
    ----------
    levels : array of shape (n,)
        0 is normal, more is abnormal; images without a level (NaN) are left out.
    scores : array of shape (n,)
        NaN and infinite scores are left out.

    Returns
    -------
    DataFrame
        A row a distinct score, the highest first, below one with an infinite threshold that flags nothing:
        ``threshold``, ``flagged`` (images), ``recall`` (share of the abnormal images that is flagged),
        ``false_alarms`` (share of the normal ones), ``precision`` (share of the flagged that is abnormal, NaN where
        nothing is flagged). Empty where either kind of image is absent.

    References
    ----------
    Fawcett (2006), An introduction to ROC analysis. Davis and Goadrich (2006), The relationship between
    precision-recall and ROC curves.
    """
    at, values = np.asarray(levels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    there = np.isfinite(at) & np.isfinite(values)
    abnormal, values = at[there] > 0, values[there]
    if not abnormal.any() or abnormal.all():
        return pd.DataFrame(columns=list(COLUMNS), dtype=np.float64)
    thresholds, place = np.unique(-values, return_inverse=True)
    found = np.bincount(place, abnormal).cumsum()
    flagged = np.bincount(place).cumsum()
    flagged, found = np.append(0, flagged), np.append(0, found)
    table = {
        "threshold": np.append(np.inf, -thresholds),
        "flagged": flagged,
        "recall": found / abnormal.sum(),
        "false_alarms": (flagged - found) / (~abnormal).sum(),
        "precision": np.divide(found, flagged, out=np.full(len(found), np.nan), where=flagged > 0),
    }
    return pd.DataFrame(table, columns=list(COLUMNS))
