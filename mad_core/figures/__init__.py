"""Plotly figures of scores and levels, and a sentence for each that says the same in words.

Pages and the HTML report draw the same figures. Arrays and tables go in; colours and fonts come from
:mod:`mad_core.palette` alone and backgrounds are transparent, so pass ``theme=None`` to Streamlit.
Texts of users are escaped. Points carry the id of their image as ``customdata[0]``. For every figure
``f`` there is ``describe_f``, its text alternative, and ``READ_F``, how to read it.
"""

from mad_core.figures.c_index_example import READ_C_INDEX_EXAMPLE, c_index_example, describe_c_index_example
from mad_core.figures.data import READ_LEVEL_COUNTS, describe_level_counts, level_counts
from mad_core.figures.distribution import READ_DISTRIBUTION_101, describe_distribution_101, distribution_101
from mad_core.figures.intervals import (
    READ_METRIC_DIFFERENCES,
    READ_METRIC_INTERVALS,
    describe_metric_intervals,
    interval_row,
    metric_intervals,
)
from mad_core.figures.learning import READ_LEARNING_CURVE, describe_learning_curve, learning_curve_figure
from mad_core.figures.matrix import READ_INVERSION_MATRIX, describe_inversion_matrix, inversion_matrix
from mad_core.figures.operating import (
    READ_PRECISION_RECALL,
    READ_ROC,
    describe_precision_recall,
    describe_roc,
    precision_recall,
    roc,
)
from mad_core.figures.raincloud import READ_RAINCLOUD, describe_raincloud, raincloud
from mad_core.figures.ranks import READ_RANK_SCATTER, describe_rank_scatter, percentile_ranks, rank_scatter
from mad_core.figures.score_threshold import READ_SCORE_THRESHOLD, describe_score_threshold, score_threshold
from mad_core.figures.strip import (
    READ_SCORE_STRIP,
    boxes_of_levels,
    describe_place,
    describe_score_strip,
    place_among_levels,
    score_strip,
)
from mad_core.figures.words import level_label

__all__ = [
    "READ_C_INDEX_EXAMPLE",
    "READ_DISTRIBUTION_101",
    "READ_INVERSION_MATRIX",
    "READ_LEARNING_CURVE",
    "READ_LEVEL_COUNTS",
    "READ_METRIC_DIFFERENCES",
    "READ_METRIC_INTERVALS",
    "READ_PRECISION_RECALL",
    "READ_RAINCLOUD",
    "READ_RANK_SCATTER",
    "READ_ROC",
    "READ_SCORE_STRIP",
    "READ_SCORE_THRESHOLD",
    "boxes_of_levels",
    "c_index_example",
    "describe_c_index_example",
    "describe_distribution_101",
    "describe_inversion_matrix",
    "describe_learning_curve",
    "describe_level_counts",
    "describe_metric_intervals",
    "describe_place",
    "describe_precision_recall",
    "describe_raincloud",
    "describe_rank_scatter",
    "describe_roc",
    "describe_score_strip",
    "describe_score_threshold",
    "distribution_101",
    "interval_row",
    "inversion_matrix",
    "learning_curve_figure",
    "level_counts",
    "level_label",
    "metric_intervals",
    "percentile_ranks",
    "place_among_levels",
    "precision_recall",
    "raincloud",
    "rank_scatter",
    "roc",
    "score_strip",
    "score_threshold",
]
