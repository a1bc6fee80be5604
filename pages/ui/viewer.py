"""Map viewer: an image under the anomaly maps of up to four scorers, in panes that share zoom and pan.

The component takes addresses and draws in the browser; nothing is encoded while the page runs. What
the addresses must answer with:

- original, fallback, mask: an image file. Mask pixels above half of the mask's maximum are defect.
- map: ``application/octet-stream``; uint32 height, uint32 width, then height * width float32 values
  row by row, all little-endian (:func:`mad_core.map_files.pack` writes it). Values that are not finite
  are drawn as missing. Any other status than 200 may carry one sentence as ``text/plain``, which is shown.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mad_core.palette import COLOUR_MAPS, colour_map_base64
from pages.ui.component import load
from pages.ui.presses import Move, moves_in, report, taken

MAX_MAPS = 4
_JS = Path(__file__).with_name("js")
_COMPONENT = load("mad_map_viewer", _JS / "viewer.js", _JS / "viewer.css", _JS / "help.css")

READ_MAPS = (
    "Bright places look strange to the scorer: bright says how unusual a place looks, not how bad it is. The colour "
    "bar says what a colour is worth; it is the same for all images of a run in a subset, so two images compare, but "
    "not two scorers. Unless you move it, the contour stands where one in 200 pixels of normal test images lies above "
    "it; a click measures the region above it. The dashed outline is the defect as the dataset marks it. Stretch this "
    "image makes colours hold for this image only. Anchor at threshold makes a colour evidence, value / (value + "
    "threshold): half of the scale is the run's threshold, so scorers compare, too."
)


@dataclass(frozen=True)
class MapLayer:
    """One scorer's anomaly map of the image.

    Parameters
    ----------
    title, subtitle : str
        Names of the scorer and of its run, as plain text.
    url : str or None
        Address of the map; None where there is none, then ``missing`` is shown instead.
    low, high : float or None
        Colour range in raw units, the same for all images of the run. Without it the map is
        stretched over its own range and says so.
    threshold : float or None
        Where the contour stands at first, in raw units; three quarters of the range if None.
    unit : str
        What the numbers are, for the colour bar.
    missing : str
        A sentence that says why there is no map.
    """

    title: str
    subtitle: str = ""
    url: str | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    unit: str = "anomaly score"
    missing: str = "There is no anomaly map of this image."


@dataclass(frozen=True)
class ViewerResult:
    """What the person asked for in the viewer: the image before or after this one."""

    move: Move


def map_viewer(
    *,
    original_url: str,
    alt: str,
    maps: Sequence[MapLayer],
    width: int,
    height: int,
    key: str,
    mask_url: str | None = None,
    fallback_url: str | None = None,
    colormap: str = COLOUR_MAPS[0],
    opacity: float = 0.55,
    link: str = "",
    prefetch: Sequence[str] = (),
    on_move: Callable[[Move], None] | None = None,
) -> ViewerResult | None:
    """Draw the viewer; zoom, opacity and the other view settings stay while ``key`` stays.

    Parameters
    ----------
    original_url : str
        Address of the untouched image file.
    alt : str
        Text alternative of the image.
    maps : sequence of MapLayer
        At most ``MAX_MAPS``; without any, the image stands alone.
    width, height : int
        Size of the image in pixels, so that the room for it is there before it is loaded.
    key : str
        Key of the component; use one key for all images of a page.
    mask_url : str or None
        Address of the ground-truth mask.
    fallback_url : str or None
        Shown, and named as a preview, if the browser cannot read the original's format.
    colormap : str
        One of ``mad_core.palette.COLOUR_MAPS``; what the person chose before wins.
    opacity : float
        Of the maps over the image, 0-1; what the person chose before wins.
    link : str
        Address of what is in view, which a button copies; without one there is no button.
    prefetch : sequence of str
        Addresses to load quietly once everything in view is there (the next image and its maps).
    on_move : callable or None
        Called with ``"previous"`` or ``"next"`` before the page runs again.

    Returns
    -------
    ViewerResult or None
        What was asked for since the last run, else None.

    Raises
    ------
    ValueError
        If there are too many maps, the colour map is unknown, or a size or range makes no sense.
    """
    if len(maps) > MAX_MAPS:
        raise ValueError(f"at most {MAX_MAPS} maps stand side by side, not {len(maps)}")
    if colormap not in COLOUR_MAPS:
        raise ValueError(f"no colour map is called '{colormap}'; known are {', '.join(COLOUR_MAPS)}")
    if width < 1 or height < 1:
        raise ValueError(f"an image cannot be {width} x {height} pixels")
    result = _COMPONENT(
        key=key,
        data={
            "image": {
                "url": original_url,
                "fallback": fallback_url,
                "mask": mask_url,
                "alt": alt,
                "width": width,
                "height": height,
            },
            "layers": [asdict(_finite(layer)) for layer in maps],
            "tables": {name: colour_map_base64(name) for name in COLOUR_MAPS},
            "defaults": {"colormap": colormap, "opacity": min(max(opacity, 0.0), 1.0)},
            "link": link,
            "prefetch": list(prefetch),
            "key": key,
            "taken": taken(key),
        },
        on_move_change=lambda: report(key, on_move),
    )
    moves = moves_in(result.get("move"))
    return ViewerResult(moves[-1]) if moves else None


def _finite(layer: MapLayer) -> MapLayer:
    """Drop what is not finite: JSON cannot carry it. A range needs both ends, in order."""
    low, high, threshold = (
        x if x is not None and math.isfinite(x) else None for x in (layer.low, layer.high, layer.threshold)
    )
    if low is None or high is None:
        low = high = None
    elif low > high:
        raise ValueError(f"the colour range of {layer.title} ends ({high}) below its start ({low})")
    return replace(layer, low=low, high=high, threshold=threshold)
