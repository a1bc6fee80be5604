"""What the backbone is worth: AUROC of PatchCore on it, on random weights and, where they are here, on ImageNet's,
and of the filter bank, on the demo and on a folder of photographs, with 95 % intervals; and what PatchCore on it is
above the others, paired on the same images.

``python -m tools.backbone.figures [--tiles FOLDER]``. Of the photographs every other test image was looked at while
the backbone was made; the rest is given by itself.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import mad_core as mad
from mad_core.metrics.differences import differences
from mad_core.scorers import catalog
from mad_core.scorers.features import weights
from tools.mllm.training import say

KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "filter bank": ("filterbank", {}),
    "random weights": ("patchcore", {"backbone": weights.FORMULA, "weights": weights.RANDOM}),
    weights.FORMULA: ("patchcore", {"backbone": weights.FORMULA}),
    "ImageNet": ("patchcore", {"backbone": weights.PUBLISHED["patchcore"]}),
}


def auroc(table: pd.DataFrame) -> str:
    """Whole AUROC of a run's table, with its interval."""
    metrics = mad.evaluate(table["level"], table["score"])
    low, high = metrics["intervals"]["auroc_whole"]
    return f"{metrics['auroc']['whole']:.3f} [{low:.3f}, {high:.3f}]"


def above(table: pd.DataFrame, other: pd.DataFrame) -> str:
    """How much the AUROC of one table is above that of another on the same images, with its paired interval."""
    both = table.merge(other[["image_id", "score"]], on="image_id", suffixes=("", "_other"))
    gaps = differences(both["level"], both["score"], both["score_other"], ["all"] * len(both))[1]
    value, interval = gaps["auroc_whole"]
    return f"{value:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else f"{value:+.3f}"


def halves(table: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every other image by path: those looked at while the backbone was made, and those held out."""
    ordered = table.sort_values("path", key=lambda paths: paths.map(Path))
    return ordered.iloc[::2], ordered.iloc[1::2]


def parts(scorer_id: str, parameters: Mapping[str, Any], tiles: Path | None) -> dict[str, pd.DataFrame]:
    """Scored images of each subset of the demo and, where given, of the photographs and their halves."""
    table = mad.score(mad.load("demo"), scorer_id, **parameters).table
    tables = {str(name): part for name, part in table.groupby("subset")}
    if tiles:
        table = mad.score(mad.load(tiles), scorer_id, **parameters).table
        seen, held_out = halves(table)
        tables |= {"tiles": table, "seen tiles": seen, "tiles held out": held_out}
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tiles", type=Path)
    chosen = parser.parse_args()
    by_kind = {}
    for kind, (scorer_id, parameters) in KINDS.items():
        info = catalog.scorer(scorer_id)
        if reason := info.why_not(info.check(parameters)):
            say(f"{kind}: left out. {reason}")
            continue
        by_kind[kind] = parts(scorer_id, parameters, chosen.tiles)
        say(f"{kind}: " + ", ".join(f"{name} {auroc(part)}" for name, part in by_kind[kind].items()))
    own = by_kind.pop(weights.FORMULA)
    for kind, others in by_kind.items():
        say(
            f"{weights.FORMULA} less {kind}: " + ", ".join(f"{n} {above(own[n], other)}" for n, other in others.items())
        )


if __name__ == "__main__":
    main()
