"""XML of annotation tools: CVAT's list of images, as COCO has it, and the file that Pascal VOC has for each picture."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mad_core.errors import InputError
from mad_core.filekinds import kind_of
from mad_core.tables import decoded

_MOST_BYTES = 100_000_000
_MOST_VOC_BYTES = 1_000_000


def coco_of_cvat(path: Path) -> dict[str, Any]:
    """CVAT's export as COCO writes the same; of its shapes polygons alone are outlines.

    Raises
    ------
    InputError
        If it cannot be read, or is something else.
    """
    images, annotations = [], []
    root = _root(path, _MOST_BYTES)
    if root is None:
        what = kind_of(path)
        raise InputError(f"{path} is {what}." if what else f"{path} is no XML that can be read.")
    if root.tag != "annotations" or root.find("image") is None:
        raise InputError(f"{path} is no list of images as CVAT exports it (CVAT for images 1.1).")
    for number, image in enumerate(root.iter("image")):
        size = {side: _whole(image.get(side)) for side in ("width", "height")}
        images.append({"id": number, "file_name": image.get("name", ""), **size})
        annotations += [
            {
                "image_id": number,
                "category_id": shape.get("label"),
                "attributes": {a.get("name", ""): (a.text or "").strip() for a in shape.iter("attribute")},
                "segmentation": _points(shape) if shape.tag == "polygon" else None,
                "bbox": [] if shape.tag == "tag" else [0, 0, 0, 0],  # of shapes that are no outlines none is read
            }
            for shape in image
            if shape.get("label")
        ]
    words = dict.fromkeys(a["category_id"] for a in annotations)
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": word, "name": word} for word in words],
    }


def objects_of_voc(path: Path) -> list[str] | None:
    """The names of the objects that a file of Pascal VOC gives its picture; None where it is no such file."""
    root = _root(path, _MOST_VOC_BYTES)
    if root is None or root.tag != "annotation":
        return None
    return sorted({name for one in root.iter("object") if (name := (one.findtext("name") or "").strip())})


def _root(path: Path, most: int) -> ElementTree.Element | None:
    """The root of an XML file; None where it cannot be read, is larger, or defines entities of its own."""
    try:
        if path.stat().st_size > most:
            return None
        text = decoded(path.read_bytes())
        if "<!doctype" in text.lower() or "<!entity" in text.lower():
            return None
        return ElementTree.fromstring(text.lstrip("\ufeff"))  # noqa: S314 - no entity is defined in it
    except (OSError, ElementTree.ParseError, ValueError):
        return None


def _whole(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _points(shape: ElementTree.Element) -> list[list[float]] | None:
    """The points of a polygon, x and y in turn; None where they are no numbers."""
    try:
        return [[float(v) for v in shape.get("points", "").replace(";", ",").split(",")]]
    except ValueError:
        return None
