"""How to read each metric and plot, in plain words; the one place these texts stand."""

from __future__ import annotations

from collections.abc import Mapping

READ: Mapping[str, str] = {
    "metrics": "Each row is a scorer. AUROC: how often an abnormal image scores above a normal one; 0.5 is chance. "
    "C-index: how often the more severe of two images scores higher, ties counting half. Tau-b: agreement of the two "
    "orders, from -1 to 1. The rows at the end are made-up scorers: a C-index at the level of perfect detection with "
    "severity at random can be had without any sense of severity. Below each value stands its 95 % interval: how far "
    "it would move with other images of the same kind. Intervals that overlap do not by themselves show that two "
    "scorers are equal.",
    "raincloud": "Each point is an image, placed by its severity level and its score. A scorer that follows severity "
    "climbs from left to right. The box holds the middle half of a level and its line is the median; look at how far "
    "neighbouring levels overlap.",
    "matrix": "Each cell takes two levels and says how often the more severe image scores higher. 1 is always, 0.5 is "
    "chance, below 0.5 the order is reversed. The top row is detection, the other cells are severity alone.",
    "ranks": "Each point is an image, placed by its rank under the two scorers. On the dotted line they agree; the "
    "further off, the more they disagree. It does not say which of them is right.",
    "difference": "The first scorer minus the second on the same images. An interval that holds 0 does not tell the "
    "two apart.",
    "strips": "Best: images whose rank by score is nearest to their rank by severity level. Worst: those furthest "
    "from it. Contested: those that the scorers rank furthest apart. The right half of each picture shows the anomaly "
    "map over the image; bright places are strange to the scorer, on one colour range for the whole run.",
    "audit": "Alpha says how far reviewers agree beyond chance: 1 is full agreement, 0 is chance. Labels change by "
    "the rule that is named; a contested label is one on which reviewers differ.",
}
"""What to look at and what not to conclude, by the name of the plot or table."""
