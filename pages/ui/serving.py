"""What the image routes serve: originals, thumbnails, masks and maps.

An address names ids, never paths; a file is opened only when its id belongs to a dataset in the
store. Addresses carry the content's digest, so browsers may keep what they got.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from mad_core.errors import MadError, NotFoundError
from mad_core.images import read_mask, thumbnail
from mad_core.runs.maps import pack
from mad_core.runs.singles import single_file
from pages.ui import access, engine

KEEP = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
FRESH = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
THUMBNAIL = 256
PREVIEW = 1600
"""Longest side, pixels, of what browsers get where they cannot read the original's format."""


def answer(kind: str, request: Request) -> Response:
    """Check the login, then serve; what is not there or cannot be read is a sentence, not a traceback.

    ``kind`` is one of ``SERVED``.
    """
    if not access.may_see(request):
        return PlainTextResponse("Log in first.", 401, headers=FRESH)
    try:
        return SERVED[kind](request)
    except NotFoundError as error:
        return PlainTextResponse(str(error), 404, headers=FRESH)
    except MadError as error:
        return PlainTextResponse(str(error), 409, headers=FRESH)


def _row(request: Request) -> Any:
    return engine.store().image(request.path_params["dataset"], request.path_params["image"])


def _original(request: Request) -> Response:
    return _file(Path(_row(request)["path"]))


def _file(path: Path) -> Response:
    if not path.is_file():
        raise NotFoundError(f"The file {path.name} is gone from where it was imported.")
    return FileResponse(path, headers=KEEP)


def _thumbnail(request: Request) -> Response:
    return _small(request, THUMBNAIL)


def _preview(request: Request) -> Response:
    return _small(request, PREVIEW)


def _small(request: Request, longest: int) -> Response:
    row = _row(request)
    folder = engine.store().settings.thumbnails / row["dataset_id"]
    return _file(thumbnail(Path(row["path"]), folder, longest, row["content_hash"]))


def _mask(request: Request) -> Response:
    row = _row(request)
    if not row["mask_path"]:
        raise NotFoundError("This image has no mask.")
    out = io.BytesIO()
    Image.fromarray(read_mask(Path(row["mask_path"]))).save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png", headers=KEEP)


def _map(request: Request) -> Response:
    store = engine.store()
    anomaly_map = store.read_map(store.run(request.path_params["run"]), request.path_params["image"])
    if anomaly_map is None:
        raise NotFoundError("There is no anomaly map of this image yet.")
    return Response(pack(anomaly_map), media_type="application/octet-stream", headers=FRESH)


def _single(request: Request) -> Response:
    store, kind = engine.store(), request.path_params["kind"]
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
