"""Labels of YOLO: a text file an image, a line an object that begins with the number of its class.

The text lies beside the image, or in ``labels`` where the image lies in ``images``; ``data.yaml`` names the classes. An
empty text says that the image shows no object, so that it is normal; an image without a text has no label.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mad_core.datasets import plain_yaml
from mad_core.datasets.policies import read_yaml
from mad_core.datasets.walking import Walker
from mad_core.errors import InputError

_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_IMAGES = ("images", "jpegimages")
MAX_BYTES = 1_000_000


def yolo_words(paths: Iterable[str], walker: Walker) -> dict[str, str | None]:
    """The classes of each image, joined by commas; empty where it shows none, None where nothing says it.

    Returns
    -------
    dict
        Empty where none of the images has such a text.
    """
    paths = list(paths)
    texts = {path: text_beside(Path(path), walker) for path in paths}
    if not any(texts.values()):
        return {}
    names = _class_names(Path(paths[0]).parent, walker)
    return {path: None if text is None else _words(text, names) for path, text in texts.items()}


def text_beside(image: Path, walker: Walker) -> Path | None:
    """The text that belongs to an image; only files that the walker lists are taken."""
    return next(files_beside(image, ".txt", ("labels",), walker), None)


def files_beside(image: Path, suffix: str, folders: Iterable[str], walker: Walker) -> Iterator[Path]:
    """Files called as an image, beside it or in one of these folders beside ``images``, in folders as there or not."""
    *above, _ = image.relative_to(walker.root).parts
    places = [above]
    for at in [i for i, part in enumerate(above) if part.lower() in _IMAGES][::-1]:
        places += [[*above[:at], folder, *above[at + 1 :]] for folder in folders]
        places += [[*above[:at], folder] for folder in folders if above[at + 1 :]]
    paths = (walker.find(walker.root, "/".join([*place, image.stem + suffix])) for place in places)
    return (Path(path) for path in paths if path)


def _class_names(folder: Path, walker: Walker) -> dict[str, str]:
    for place in (folder, *folder.parents):
        if not place.is_relative_to(walker.root):
            break
        for name in (n for n in walker.files(place) if n.lower() in _NAMES):
            return _names_in(read_yaml(place / name, plain_yaml.parse_words).get("names"))
    return {}


def _names_in(names: Any) -> dict[str, str]:
    if isinstance(names, dict):
        return {str(number): str(name) for number, name in names.items()}
    return {str(number): str(name) for number, name in enumerate(names if isinstance(names, list) else [])}


def _words(text: Path, names: dict[str, str]) -> str | None:
    """None where the file is no such text."""
    try:
        if text.stat().st_size > MAX_BYTES:
            raise InputError(f"{text} is too large for a label of YOLO.")
        lines = [line.split() for line in text.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        for line in lines:
            [float(cell) for cell in line]
    except (OSError, ValueError, InputError):
        return None
    classes = {names.get(line[0], f"class {line[0]}") for line in lines}
    return ",".join(sorted(classes))
