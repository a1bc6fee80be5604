"""What the image routes serve: originals, thumbnails, masks and maps.

An address names ids, never paths; a file is opened only when its id belongs to a dataset in the
store, and only while it holds what was imported. Addresses carry the content's digest, so browsers
may keep what they got.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from mad_core import remote
from mad_core.errors import MadError, NotFoundError
from mad_core.images import content_hash, probe, read_mask, thumbnail
from mad_core.map_files import pack
from mad_core.runs.single_image import single_file
from pages.ui import access, engine

GUARDED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""What is served is shown as a picture by our own pages and as nothing else by nobody else."""
KEEP = {**GUARDED, "Cache-Control": "private, max-age=31536000, immutable"}
FRESH = {**GUARDED, "Cache-Control": "no-store"}
THUMBNAIL = 256
PREVIEW = 1600
"""Longest side, pixels, of what browsers get where they cannot read the original's format."""
_DIGEST = re.compile(r"[0-9a-f]{1,64}")
_TYPES = {"PPM": "image/x-portable-anymap"}


def answer(kind: str, request: Request) -> Response:
    """Check name and login, then serve; what is not there or cannot be read is a sentence, not a traceback.

    ``kind`` is one of ``SERVED``.
    """
    if not access.known_host(request):
        return PlainTextResponse("This server has another name.", 403, headers=FRESH)
    if not access.may_see(request):
        return PlainTextResponse("Log in first.", 401, headers=FRESH)
    if not all(_DIGEST.fullmatch(str(request.path_params.get(name, "0"))) for name in ("dataset", "image", "run")):
        return PlainTextResponse("There is no such image.", 404, headers=FRESH)
    try:
        return SERVED[kind](request)
    except NotFoundError as error:
        return PlainTextResponse(str(error), 404, headers=FRESH)
    except MadError as error:
        return PlainTextResponse(str(error), 409, headers=FRESH)


def _row(request: Request) -> Any:
    return engine.store().image(request.path_params["dataset"], request.path_params["image"])


def _original(request: Request) -> Response:
    return _file(_imported(_row(request)))


def _imported(row: Mapping[str, Any]) -> Path:
    """The file of an image; a file that changed, or a link that leads elsewhere by now, is not what was imported."""
    path = remote.local(row["path"])
    if not path.is_file():
        raise NotFoundError(f"The file {path.name} is gone from where it was imported.")
    facts = path.stat()
    if _digest(path, facts.st_ino, facts.st_size, facts.st_mtime_ns) != row["content_hash"]:
        raise MadError(f"The file {path.name} is not the one that was imported; import the dataset again.")
    return path


@lru_cache(maxsize=100_000)
def _digest(path: Path, *state: int) -> str:
    return content_hash(path)


def _file(path: Path) -> Response:
    if not path.is_file():
        raise NotFoundError(f"The file {path.name} is gone.")
    kind = probe(path).format
    return FileResponse(path, headers=KEEP, media_type=_TYPES.get(kind, f"image/{kind.lower()}"))


def _thumbnail(request: Request) -> Response:
    return _small(request, THUMBNAIL)


def _preview(request: Request) -> Response:
    return _small(request, PREVIEW)


def _small(request: Request, longest: int) -> Response:
    row = _row(request)
    folder = engine.store().settings.thumbnails / row["dataset_id"]
    key = str(row["content_hash"])
    made = folder / f"{key}-{longest}.webp"
    if _DIGEST.fullmatch(key) and made.is_file():
        return _file(made)
    return _file(thumbnail(_imported(row), folder, longest, key))


def _mask(request: Request) -> Response:
    row = _row(request)
    if not row["mask_path"]:
        raise NotFoundError("This image has no mask.")
    out = io.BytesIO()
    Image.fromarray(read_mask(_beside(row))).save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png", headers=KEEP)


def _beside(row: Mapping[str, Any]) -> Path:
    """The file of an image's mask; links must stay in the dataset's folder or in one that pages may open."""
    store, path = engine.store(), Path(row["mask_path"])
    if remote.is_address(path):
        return path
    real, source = path.resolve(), Path(store.dataset_info(row["dataset_id"]).source).resolve()
    within = real.is_relative_to(source if source.is_dir() else source.parent)
    if real != path and not within and not store.settings.may_open(real):
        raise NotFoundError(f"The mask {path.name} is a link that leads out of its dataset.")
    return path


def _map(request: Request) -> Response:
    store = engine.store()
    anomaly_map = store.read_map(store.run(request.path_params["run"]), request.path_params["image"])
    if anomaly_map is None:
        raise NotFoundError("There is no anomaly map of this image yet.")
    return Response(pack(anomaly_map), media_type="application/octet-stream", headers=FRESH)


def _single(request: Request) -> Response:
    store, kind = engine.store(), request.path_params["kind"]
    if kind == "map":
        path = single_file(store, request.path_params["job"], kind)
        if not path.is_file():
            raise NotFoundError("There is no anomaly map of this image yet.")
        return FileResponse(path, headers=KEEP, media_type="application/octet-stream")
    if kind != "preview":
        return _file(single_file(store, request.path_params["job"], kind))
    original = single_file(store, request.path_params["job"], "original")
    return _file(thumbnail(original, store.settings.uploads, PREVIEW, original.name))


SERVED: Mapping[str, Callable[[Request], Response]] = {
    "original": _original,
    "preview": _preview,
    "thumbnail": _thumbnail,
    "mask": _mask,
    "map": _map,
    "single": _single,
}
