"""A contact sheet: a list of images with their maps laid over, in one HTML file that asks no host for anything."""

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from mad_core.datasets.dataset import level_key
from mad_core.report.pictures import Pictures
from mad_core.runs.store import Run, Store

MOST = 400
"""Images on a sheet; the list in the page's CSV has all of them."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root{color-scheme:light dark;font:14px/1.4 system-ui,sans-serif}body{margin:1.5rem;max-width:96rem}
h1{font-size:1.3rem;margin:0 0 .3rem}p{margin:.2rem 0;overflow-wrap:anywhere}
main{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));margin-top:1rem}
figure{margin:0;border:1px solid color-mix(in srgb,currentColor 25%,transparent);border-radius:.4rem;padding:.5rem;
break-inside:avoid}
figure img{width:100%;height:auto;display:block}figcaption{margin-top:.4rem}
.flag{font-weight:600}.quiet{opacity:.75;font-size:.9em}
@media print{body{margin:0}main{grid-template-columns:repeat(3,1fr)}}
"""


def contact_sheet(store: Store, run: Run, view: pd.DataFrame, threshold: float, title: str, notes: list[str]) -> str:
    """The sheet as HTML.

    Parameters
    ----------
    view : DataFrame
        Rows of a dataset with ``score`` and the columns of :func:`mad_core.runs.triage.calls`, in the order shown.
    threshold : float
        Images at or above it are marked as flagged.
    notes : list of str
        Sentences under the title.
    """
    return "".join(_pieces(store, run, view, threshold, title, notes))


def _pieces(
    store: Store, run: Run, view: pd.DataFrame, threshold: float, title: str, notes: list[str]
) -> Iterator[str]:
    pictures, rows = Pictures(store), view.head(MOST)
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
    shown = f"The first {len(rows):,} of {len(view):,} images." if len(rows) < len(view) else f"{len(rows):,} images."
    yield from (f"<p>{escape(note)}</p>" for note in (*notes, shown))
    yield "<main>"
    yield from (_figure(pictures, run, row, threshold) for row in rows.to_dict("records"))
    yield "</main></body></html>"


def _figure(pictures: Pictures, run: Run, row: dict[Any, Any], threshold: float) -> str:
    made = pictures.row(run.dataset_id, row, [run])
    name = escape(str(row["template_path"]))
    if made is None:
        picture = "<p class=quiet>The file cannot be read any more.</p>"
    else:
        address, _, (width, height) = made
        picture = f'<img src="{address}" width="{width}" height="{height}" alt="{name} and its anomaly map">'
    facts = " · ".join(escape(fact) for fact in _facts(row, threshold))
    why = f"<p class=quiet>{escape(row['why'])}</p>" if row.get("why") else ""
    flag = ' class="flag"' if row["score"] >= threshold else ""
    return f"<figure>{picture}<figcaption><p{flag}>{facts}</p><p class=quiet>{name}</p>{why}</figcaption></figure>"


def _facts(row: dict[Any, Any], threshold: float) -> Iterator[str]:
    """What is said of an image: its score, whether it is flagged, the called level with its set, and its label."""
    yield f"score {row['score']:.4g}" if np.isfinite(row["score"]) else "no score"
    if row["score"] >= threshold:
        yield "flagged"
    if row.get("called") is not None and np.isfinite(row["called"]):
        yield f"called L{level_key(row['called'])}" + (f" ({row['set']})" if row["set"] else "")
    if np.isfinite(row["level"]):
        yield f"labelled L{level_key(row['level'])}"
