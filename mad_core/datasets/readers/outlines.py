"""Where outlines stand: in COCO's and Label Studio's exports, in labelme's files beside pictures, in YOLO's texts.

Boxes, points and lines are no outlines: they are counted, so that nobody takes a mask for the whole.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mad_core.datasets.polygons import Outlines
from mad_core.datasets.readers.yolo import files_beside, text_beside
from mad_core.datasets.walking import Walker

MOST_BYTES = 50_000_000
"""Of one file beside a picture; labelme writes the picture into it."""
_BESIDE = ("annotations", "annotation", "labels", "json", "jsons", "labelme", "xml", "xmls")
"""Folders that the files of labelme and Pascal VOC lie in where the pictures lie in ``images``."""
_DRAWN = ("bbox", "segmentation", "keypoints")
"""What an annotation of COCO draws; one without them says a word of the whole picture."""
_FEWEST_NUMBERS = 7
"""Of a line of YOLO that draws an outline: the class and three points; a box has five."""


def of_coco(source: str, image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]) -> Outlines | None:
    """What COCO's annotations of an image draw, no shape where they are boxes alone; None where there are none."""
    shapes = [s for a in annotations if (s := _segmentation(a.get("segmentation"))) is not None]
    size = _size(image.get("width"), image.get("height"))
    drawn = sum(any(a.get(kind) for kind in _DRAWN) for a in annotations)
    return _of(source, shapes, None, size, drawn - len(shapes))


def _segmentation(value: Any) -> Any:
    """Polygons, or run lengths; None where neither is written."""
    if isinstance(value, dict):
        return value if value.get("counts") else None
    if not isinstance(value, list) or not value:
        return None
    polygons = value if isinstance(value[0], list) else [value]
    return polygons if any(polygons) else None


def of_label_studio(source: str, parts: Iterable[Mapping[str, Any]]) -> Outlines | None:
    """What the results of Label Studio's annotations of a task draw; None where nothing is drawn."""
    shapes: list[Any] = []
    size, others = None, 0
    for part in parts:
        value = part.get("value")
        if not isinstance(value, dict):
            continue
        own = _size(part.get("original_width"), part.get("original_height"))
        if isinstance(value.get("points"), list):
            shapes.append([value["points"]])
            size = size or own
        elif isinstance(value.get("rle"), list) and own:
            shapes.append({"rle": value["rle"], "size": own[::-1]})
            size = size or own
        elif {"x", "y"} <= value.keys():
            others += 1
    return _of(source, shapes, (100.0, 100.0), size, others)


def of_labelme(source: str, data: Any) -> Outlines | None:
    """What labelme's file draws; None where nothing is drawn."""
    shapes = data.get("shapes") if isinstance(data, dict) else None
    shapes = [s for s in shapes if isinstance(s, dict)] if isinstance(shapes, list) else []
    polygons = [[s.get("points")] for s in shapes if s.get("shape_type", "polygon") == "polygon"]
    size = _size(data.get("imageWidth"), data.get("imageHeight")) if polygons else None
    return _of(source, polygons, None, size, len(shapes) - len(polygons))


def of_yolo(source: str, lines: Iterable[Sequence[float]]) -> Outlines | None:
    """What the lines of a text of YOLO draw, each a class and points in shares of the picture's sides."""
    lines = list(lines)
    polygons = [[list(line[1:])] for line in lines if len(line) >= _FEWEST_NUMBERS and len(line) % 2]
    return _of(source, polygons, (1.0, 1.0), None, len(lines) - len(polygons))


def _of(
    source: str, shapes: Sequence[Any], extent: tuple[float, float] | None, size: tuple[int, int] | None, others: int
) -> Outlines | None:
    return Outlines(source, tuple(shapes), extent, size, others) if shapes or others else None


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and 0 < n < 10**7 for n in (width, height)):
        return None
    return max(int(width), 1), max(int(height), 1)


# -- files beside pictures ------------------------------------------------------------------------


def outlines_beside(paths: Iterable[str], walker: Walker) -> dict[str, Outlines]:
    """What labelme's and YOLO's files beside pictures draw, by the picture's path."""
    return {path: outlines for path in paths if (outlines := _beside(Path(path), walker)) is not None}


def _beside(image: Path, walker: Walker) -> Outlines | None:
    files = files_beside(image, ".json", _BESIDE, walker)
    outlines = [drawn for file in files if (drawn := of_labelme(str(file), _document(file))) is not None]
    text = text_beside(image, walker)
    if text and not any(drawn.shapes for drawn in outlines) and (drawn := of_yolo(str(text), _numbers(text))):
        outlines.append(drawn)
    return next((drawn for drawn in outlines if drawn.shapes), outlines[0] if outlines else None)


def files_of_tool(image: Path, walker: Walker) -> Iterator[Path]:
    """The files of labelme and Pascal VOC that belong to a picture, by their names."""
    return (file for suffix in (".json", ".xml") for file in files_beside(image, suffix, _BESIDE, walker))


def _document(file: Path) -> Any:
    try:
        if file.stat().st_size <= MOST_BYTES:
            return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        pass
    return None


def _numbers(text: Path) -> list[list[float]]:
    """The numbers of each line; none where the file is no such text."""
    try:
        if text.stat().st_size <= MOST_BYTES:
            lines = text.read_text(encoding="utf-8-sig").splitlines()
            return [[float(cell) for cell in line.split()] for line in lines if line.strip()]
    except (OSError, ValueError):
        pass
    return []
