"""Exports of annotation tools made to tables: COCO, CVAT, Label Studio, Real-IAD; files beside each picture, as
webdataset, labelme and Pascal VOC have them.

What they say of an image becomes columns ``path``, ``level``, ``defect``, ``split``, ``subset``, ``mask``. An image of
which an export says nothing has the defect type ``no annotation``: whether that is normal, a severity policy says
(``no annotation: 0``), for nothing found and nobody looked are written in the same way.
"""

import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.datasets.polygons import Outlines, together
from mad_core.datasets.readers.outlines import MOST_BYTES, files_of_tool, of_coco, of_label_studio
from mad_core.datasets.readers.xml_notes import coco_of_cvat, objects_of_voc
from mad_core.datasets.walking import Walker, is_image
from mad_core.errors import InputError
from mad_core.tables import SPELLINGS, cell_text, plain_name, read_json, read_table, table_of_records

NOTHING_SAID = "no annotation"
SIDECARS = "sidecars"
"""What stands for the files beside pictures where a table would be named."""
_LEVELS = frozenset(SPELLINGS["level"]) - {"label", "labels", "class", "classlabel", "area"}
_OUTLINES = "outlines"
_JSON = (".json", ".jsonl", ".ndjson")
_CHOICES = re.compile(r'\s*\{\s*"choices"\s*:')


def read_label_table(path: Path) -> tuple[pd.DataFrame, dict[str, Outlines]]:
    """A table of images as :func:`mad_core.tables.read_table` gives it; of an annotation tool's export one made of it.

    Also the outlines that an export draws, by the image's path as it is written there.

    Raises
    ------
    InputError
        If it cannot be read, or is an export that names no image.
    """
    xml = path.suffix.lower() == ".xml"
    if not xml and path.suffix.lower() not in _JSON:
        return _with_plain_choices(read_table(path)), {}
    data, source = coco_of_cvat(path) if xml else read_json(path), str(path)
    records = _of_coco(data, source) or _of_real_iad(data) or _of_label_studio(data, source)
    if records is None:
        return _with_plain_choices(table_of_records(path, data)), {}
    if not records:
        raise InputError(f"{path} is an export of annotations, but names no image.")
    drawn: dict[str, list[Outlines]] = defaultdict(list)
    for record in records:
        if outlines := record.pop(_OUTLINES, None):
            drawn[record["path"]].append(outlines)
    return table_of_records(path, records), {name: together(parts) for name, parts in drawn.items()}


def _with_plain_choices(table: pd.DataFrame) -> pd.DataFrame:
    """Cells that Label Studio writes for several choices, ``{"choices": ["a"]}``, as these choices."""
    for name in table.columns:
        column: Any = table[name]
        if column.str.contains('"choices"', regex=False).any():
            table[name] = column.map(lambda cell: _chosen(cell)).astype("str")
    return table


def _chosen(cell: str) -> str:
    if not _CHOICES.match(cell):
        return cell
    try:
        return _joined([cell_text(c) for c in json.loads(cell)["choices"]])
    except (ValueError, KeyError, TypeError, RecursionError):
        return cell


def _of_coco(data: Any, source: str) -> list[dict[str, Any]] | None:
    """A COCO file: of each image the highest severity that it or its annotations carry, else their categories."""
    if not isinstance(data, dict) or not isinstance(data.get("images"), list) or "annotations" not in data:
        return None
    names = {c.get("id"): cell_text(c.get("name")) for c in _objects(data.get("categories"))}
    by_image: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in _objects(data["annotations"]):
        by_image[_key(annotation.get("image_id"))].append(annotation)
    records = []
    for image in _objects(data["images"]):
        own = by_image.get(_key(image.get("id")), [])
        levels = [v for one in (image, *own) if (v := _level_in(one)) != ""]
        defects = sorted({names.get(a.get("category_id"), "") for a in own} - {""})
        records.append(
            {
                "path": cell_text(image.get("file_name")),
                "level": _highest(levels),
                "defect": ",".join(defects) or (NOTHING_SAID if not own else ""),
                _OUTLINES: of_coco(source, image, own),
            }
        )
    return records


def _key(value: Any) -> str:
    """An id as it is compared: some exports write numbers in one place and texts in another."""
    return cell_text(value)


def _level_in(entry: Mapping[str, Any]) -> str:
    """The severity that an entry or its attributes carry; empty where they carry none."""
    attributes = entry.get("attributes")
    for facts in (entry, attributes if isinstance(attributes, dict) else {}):
        for name, value in facts.items():
            if plain_name(name) in _LEVELS and isinstance(value, str | int | float) and not isinstance(value, bool):
                return cell_text(value)
    return ""


def _highest(levels: Sequence[str]) -> str:
    """The highest of several numbers; of words the one on which all agree."""
    try:
        return cell_text(max(float(level) for level in levels)) if levels else ""
    except ValueError:
        return levels[0] if len(set(levels)) == 1 else " | ".join(sorted(set(levels)))


def _of_real_iad(data: Any) -> list[dict[str, Any]] | None:
    """Real-IAD's list of one category: ``meta`` with prefix and normal class, ``train`` and ``test``."""
    if not isinstance(data, dict) or not isinstance(data.get("meta"), dict):
        return None
    lists = {split: data[split] for split in ("train", "test") if isinstance(data.get(split), list)}
    if not lists or not all("image_path" in one for entries in lists.values() for one in _objects(entries)):
        return None
    prefix, normal = cell_text(data["meta"].get("prefix")), cell_text(data["meta"].get("normal_class")) or "OK"

    def path(value: Any) -> str:
        return posixpath.join(prefix, cell_text(value)) if value else ""

    return [
        {
            "path": path(one["image_path"]),
            "defect": "good" if one.get("anomaly_class") == normal else cell_text(one.get("anomaly_class")),
            "split": split,
            "subset": cell_text(one.get("category")),
            "mask": path(one.get("mask_path")),
        }
        for split, entries in lists.items()
        for one in _objects(entries)
    ]


def _of_label_studio(data: Any, source: str) -> list[dict[str, Any]] | None:
    """Label Studio's full export: a list of tasks with ``data`` and ``annotations``, each with a ``result``.

    In the short one (JSON-MIN) shapes stand in a column of their own.
    """
    tasks = _objects(data) if isinstance(data, list) else []
    if tasks and all(isinstance(t.get("data"), dict) and _answers(t) is not None for t in tasks):
        return [_task(task, source) for task in tasks]
    if any(_shapes_of(value) for task in tasks for value in task.values()):
        return [_short_task(task, source) for task in tasks]
    return None


def _short_task(task: Mapping[str, Any], source: str) -> dict[str, Any]:
    """One task of the short export: its plain values, and its shapes as labels and outlines."""
    shapes = [shape for value in task.values() for shape in _shapes_of(value)]
    words = {cell_text(w) for s in shapes for kind in _SHAPES for w in s.get(kind) or () if kind in s}
    facts = {name: value for name, value in task.items() if not _shapes_of(value)}
    path = next((cell_text(v) for name, v in facts.items() if plain_name(name) in SPELLINGS["path"]), "")
    outlines = of_label_studio(source, ({"value": shape, **shape} for shape in shapes))
    return {**facts, "path": path, "defect": ",".join(sorted(words)) or NOTHING_SAID, _OUTLINES: outlines}


def _shapes_of(value: Any) -> list[dict[str, Any]]:
    """The shapes that a value holds; none where it holds anything else."""
    shapes = _objects(value)
    own = _SHAPES[:-1]  # "labels" alone says nothing of who wrote it
    return shapes if shapes and all(any(kind in shape for kind in own) for shape in shapes) else []


def _answers(task: Mapping[str, Any]) -> list[Any] | None:
    answers = task.get("annotations", task.get("completions"))
    return answers if isinstance(answers, list) else None


def _task(task: Mapping[str, Any], source: str) -> dict[str, Any]:
    """One task: its image, and what its annotations say; several that differ stand side by side, read as neither."""
    facts = {plain_name(k): v for k, v in task["data"].items() if isinstance(v, str | int | float)}
    path = next((facts[name] for name in SPELLINGS["path"] if name in facts), None)
    if path is None:
        path = next((v for v in facts.values() if isinstance(v, str) and is_image(v)), "")
    answers = [a for a in _objects(_answers(task)) if not a.get("was_cancelled")]
    chosen = list(dict.fromkeys(filter(None, (_result(a, ("choices", "rating", "number")) for a in answers))))
    marked = sorted({w for a in answers for w in _result(a, _SHAPES).split(",") if w})
    return {
        "path": cell_text(path),
        "level": " | ".join(chosen),
        "defect": ",".join(marked) or ("" if chosen else NOTHING_SAID),
        **{ours: cell_text(facts[ours]) for ours in ("split", "subset", "group") if ours in facts},
        _OUTLINES: of_label_studio(source, (part for a in answers for part in _objects(a.get("result")))),
    }


_SHAPES = ("rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels", "keypointlabels", "labels")


def _result(annotation: Mapping[str, Any], kinds: Iterable[str]) -> str:
    """What the parts of an annotation of some kinds say, joined by commas."""
    words: list[str] = []
    for part in _objects(annotation.get("result")):
        value: Any = part.get("value")
        for kind in kinds if isinstance(value, dict) else ():
            choice = value.get(kind)
            words += [cell_text(w) for w in (choice if isinstance(choice, list) else [choice]) if w not in (None, "")]
    return _joined(list(dict.fromkeys(words)))


def _joined(words: Sequence[str]) -> str:
    """Several choices as one text: words as combined defect types, numbers so that they make no other number."""
    return (" + " if any(c.isdigit() for word in words for c in word) else ",").join(words)


def _objects(values: Any) -> list[dict[str, Any]]:
    return [v for v in values if isinstance(v, dict)] if isinstance(values, list) else []


# -- sidecars -------------------------------------------------------------------------------------


def sidecar_table(folder: Path, walker: Walker) -> pd.DataFrame | None:
    """A table of the images below a folder that have files of their own beside them; None where none has.

    ``000.png`` with ``000.cls`` or ``000.json`` is a sample of webdataset; ``000.json`` with ``shapes`` is labelme's,
    ``000.xml`` with objects that of Pascal VOC. The latter two may lie in a folder of their own, where the pictures lie
    in ``images``. ``000.mask.png`` and ``000.seg.png`` are masks.
    """
    files = dict(_everything(folder, walker))
    by_key: dict[str, dict[str, str]] = defaultdict(dict)
    for relative in files:
        above, name = posixpath.split(relative)
        key, _, ending = name.partition(".")
        by_key[posixpath.join(above, key)]["." + ending.lower()] = relative
    records = [r for parts in by_key.values() if (r := _sample(parts, files, walker)) is not None]
    answered = [r for r in records if len(r) > 1]
    if not answered:
        return None
    return table_of_records(folder, records)


def _everything(folder: Path, walker: Walker, ahead: str = "") -> Iterable[tuple[str, str]]:
    for name in walker.files(folder):
        yield ahead + name, str(folder / name)
    for inner in walker.folders(folder):
        yield from _everything(inner, walker, f"{ahead}{inner.name}/")


def _sample(parts: Mapping[str, str], files: Mapping[str, str], walker: Walker) -> dict[str, Any] | None:
    """What the files of one key say of its image; None where there is no image."""
    images = [r for ending, r in parts.items() if is_image(r) and ending.count(".") == 1]
    if len(images) != 1:
        return None
    record: dict[str, Any] = {"path": images[0]}
    masks = [r for ending, r in parts.items() if is_image(r) and ending.startswith((".mask.", ".seg.", ".gt."))]
    if ".json" in parts:
        record |= _facts(Path(files[parts[".json"]]))
    elif ".cls" not in parts:
        elsewhere = (_drawn(path) for path in files_of_tool(Path(files[images[0]]), walker))
        record |= next((facts for facts in elsewhere if facts), {})
    if ".cls" in parts and not any(plain_name(name) in _LEVELS for name in record):
        record["level"] = _text(Path(files[parts[".cls"]]))
    if masks and "mask" not in record:
        record["mask"] = masks[0]
    record["path"] = images[0]
    return record


def _drawn(path: Path) -> dict[str, Any]:
    """What a file of labelme or Pascal VOC says that its picture shows; nothing where it is neither."""
    if path.suffix.lower() == ".xml":
        names = objects_of_voc(path)
        return {} if names is None else {"defect": ",".join(names) or NOTHING_SAID}
    facts = _facts(path)
    return facts if set(facts) == {"defect"} else {}


def _facts(path: Path) -> dict[str, Any]:
    """What a sidecar says in plain values; of shapes that were drawn their labels."""
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {"level": data} if isinstance(data, str | int | float) else {}
    shapes = sorted({cell_text(s.get("label")) for s in _objects(data.get("shapes"))} - {""})
    flags = [name for name, on in (data.get("flags") or {}).items() if on is True] if "shapes" in data else []
    plain = {str(k): v for k, v in data.items() if isinstance(v, str | int | float) and len(str(v)) <= 500}
    if "shapes" in data:
        plain = {"defect": ",".join([*shapes, *flags]) or NOTHING_SAID}
    return plain


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode("utf-8-sig", "replace").strip()
    except OSError:
        return ""
