"""How to read each metric, in plain words."""

from __future__ import annotations

from collections.abc import Mapping

METRICS: Mapping[str, str] = {
    "auroc": "How often an abnormal image scores above a normal one, ties counting half. 0.5 is chance, 1 is perfect "
    "detection.",
    "c_index": "How often the more severe of two images of different levels scores higher, ties counting half. Compare "
    "it with the value that perfect detection with random severity would reach.",
    "kendall_tau_b": "Agreement of the order of scores with the order of levels, -1 to 1. Coarse scores are favoured: "
    "scores without ties cannot reach 1.",
    "abnormal_only": "The same on abnormal images alone: what is left when telling normal from abnormal is taken out.",
    "ties": "Share of the pairs of different levels whose scores are equal. They count half in the C-index and flatter "
    "tau-b.",
    "coverage": "Images that got a score. Failed images have none and never count as normal.",
}
"""One plain sentence or two for each metric, for people who meet it for the first time."""
