"""Images by subset, split and level."""

from collections import Counter
from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from mad_core.figures.layout import SMALL, TEXT, WIDTH, add_chips, axis, empty_figure, ink, sentence_figure
from mad_core.figures.words import escaped, level_label, listed, pixels, short
from mad_core.palette import Theme, chrome, level_colour, outline, text_on

_NONE = "There are no images to count."
READ_LEVEL_COUNTS = (
    "Each bar is a subset and split, its parts the severity levels; the longer a part, the more images. Scorers are "
    "fitted to training images, and metrics count test images only. Where levels have very different numbers of "
    "images, the larger ones weigh more in the C-index and tau-b."
)


def level_counts(
    counts: pd.DataFrame, *, level_names: Mapping[float, str], theme: Theme, width: int = WIDTH
) -> go.Figure:
    """Images by level, a stacked bar for each subset and split.

    Parameters
    ----------
    counts : DataFrame
        Columns ``subset``, ``split``, ``level``, ``n``; bars stand in the order of the rows.
    width : int
        Expected width in pixels; it only places the key and leaves out numbers that do not fit.
    """
    table = _table(counts)
    bars = list(dict.fromkeys((subset, split) for subset, split, _ in table))
    levels = sorted({level for _, _, level in table})
    if not bars:
        return sentence_figure(theme, height=96, sentence=_NONE)
    several = len({subset for subset, _ in bars}) > 1
    names = [escaped(short(f"{subset} · {split}" if several else split, 34)) for subset, split in bars]
    left = 20 + int(max(pixels(name, TEXT) for name in names))
    figure = empty_figure(theme, height=60 + 32 * len(bars), margin=(left, 16, 8, 44))
    longest = max(sum(table[*bar, level] for level in levels) for bar in bars) or 1
    per_image = (width - left - 16) / longest
    key = []
    for level in levels:
        numbers = [table[*bar, level] for bar in bars]
        colour, label = level_colour(level, levels, theme), level_label(level, level_names)
        key.append((short(label, 26), colour, outline(colour, theme)))
        figure.add_trace(
            go.Bar(
                x=numbers,
                y=list(range(len(bars))),
                orientation="h",
                width=0.66,
                marker={"color": colour, "line": {"color": chrome(theme).page, "width": 1}},
                text=[f"{n:,}" if n * per_image > pixels(f"{n:,}", SMALL) + 4 else "" for n in numbers],
                textposition="inside",
                insidetextanchor="middle",
                constraintext="none",
                textangle=0,
                textfont={"size": SMALL, "color": text_on(colour)},
                name=escaped(label),
                hovertext=[f"{name}, {escaped(label)}" for name in names],
                hovertemplate="%{hovertext}: %{x:,} images<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack")
    add_chips(figure, key, theme=theme, left=left, width=width)
    figure.update_xaxes(axis(theme, "images", range=[0, longest], tickformat=",d"))
    ticks = {"tickvals": list(range(len(bars))), "ticktext": names, "tickfont": ink(theme), "ticklabelstandoff": 6}
    figure.update_yaxes(axis(theme, **ticks, range=[len(bars) - 0.5, -0.5], showgrid=False))
    return figure


def describe_level_counts(counts: pd.DataFrame, *, level_names: Mapping[float, str]) -> str:
    """Totals and counts by split and level over all subsets, in words."""
    table = _table(counts)
    if not table:
        return f"{_NONE[:-1]} (n = 0)."
    by_split: dict[str, Counter[float]] = {}
    for (_, split, level), n in table.items():
        by_split.setdefault(split, Counter())[level] += n
    texts = [
        f"{split} {listed([f'{n:,} {level_label(level, level_names)}' for level, n in sorted(sums.items())])}"
        for split, sums in by_split.items()
    ]
    subsets = len({subset for subset, _, _ in table})
    text = f"n = {sum(table.values()):,} images in {subsets} {'subset' if subsets == 1 else 'subsets'}"
    return f"{text}: {'; '.join(texts)}."


def _table(counts: pd.DataFrame) -> Counter[tuple[str, str, float]]:
    """Images by (subset, split, level), in the order of the rows."""
    table: Counter[tuple[str, str, float]] = Counter()
    for subset, split, level, n in zip(*(counts[c] for c in ("subset", "split", "level", "n")), strict=True):
        table[str(subset), str(split), float(level)] += int(n)
    return table
