"""What the backbone is worth: AUROC of PatchCore on it, on random weights and, where they are here, on ImageNet's,
and of the filter bank, on the demo and on a folder of photographs.

``python -m tools.backbone.figures [--tiles FOLDER]``. Of the photographs every other test image was looked at while
the backbone was made; the rest is given by itself.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import mad_core as mad
from mad_core.scorers import catalog
from mad_core.scorers.features import weights
from tools.mllm.training import say

KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "filter bank": ("filterbank", {}),
    "random weights": ("patchcore", {"backbone": weights.FORMULA, "weights": weights.RANDOM}),
    weights.FORMULA: ("patchcore", {"backbone": weights.FORMULA}),
    "ImageNet": ("patchcore", {"backbone": weights.PUBLISHED["patchcore"]}),
}


def auroc(table: pd.DataFrame) -> float:
    """Whole AUROC of a run's table."""
    return float(mad.evaluate(table["level"], table["score"])["auroc"]["whole"])


def halves(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every other image by path: those looked at while the backbone was made, and those held out."""
    ordered = table.sort_values("path", key=lambda paths: paths.map(Path))
    return ordered.iloc[::2], ordered.iloc[1::2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tiles", type=Path)
    chosen = parser.parse_args()
    for kind, (scorer_id, parameters) in KINDS.items():
        info = catalog.scorer(scorer_id)
        if reason := info.why_not(info.check(parameters)):
            say(f"{kind}: left out. {reason}")
            continue
        table = mad.score(mad.load("demo"), scorer_id, **parameters).table
        found = {str(name): auroc(part) for name, part in table.groupby("subset")}
        if chosen.tiles:
            table = mad.score(mad.load(chosen.tiles), scorer_id, **parameters).table
            seen, held_out = halves(table)
            found |= {"tiles": auroc(table), "seen tiles": auroc(seen), "tiles held out": auroc(held_out)}
        say(f"{kind}: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))


if __name__ == "__main__":
    main()
