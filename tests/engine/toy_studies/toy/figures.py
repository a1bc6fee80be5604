"""The means as dots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mad_core.figures import describe_metric_intervals, metric_intervals
from mad_core.figures.plot import Plot
from mad_core.palette import Theme

READ_MEANS = "Each row is a run; to the right its mean score is higher."


def draw(tables: Mapping[str, pd.DataFrame], facts: Mapping[str, Any], theme: Theme) -> list[Plot]:
    means = tables["means"].to_dict("records")
    rows = [{"name": row["run"], "estimate": row["mean"], "low": None, "high": None} for row in means]
    words = describe_metric_intervals(rows, x_title="mean")
    return [Plot("Mean of each run", metric_intervals(rows, x_title="mean", theme=theme), words, READ_MEANS)]
