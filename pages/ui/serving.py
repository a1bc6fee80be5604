"""What the image routes serve: originals, thumbnails, masks and maps.

An address names ids, never paths; a file is opened only when its id belongs to a dataset in the
store, and only while it holds what was imported. Addresses carry the content's digest, so browsers
may keep what they got.
"""

import contextlib
import io
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from mad_core import remote
from mad_core.errors import InputError, MadError, NotFoundError
from mad_core.images import ImageError, ImageFile, is_made, opened_image, probe, thumbnail, thumbnail_path
from mad_core.map_files import pack, shrink
from mad_core.palette import COLOUR_MAPS, colour_map
from mad_core.pixels import Window, chosen
from mad_core.runs.results import display_range
from mad_core.runs.single_image import single_file, single_window
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
MAP_THUMBNAIL, MAP_OPACITY = 128, 0.8
"""Longest side of a map over a thumbnail, pixels, and how much of the picture its highest scores cover."""
PREVIEW = 1600
"""Longest side, pixels, of what browsers get where they cannot read the original's format."""
log = logging.getLogger("mad.web")
RENDERED = frozenset({"DICOM"})
"""Formats whose bytes hold more than a picture, and are never sent."""
_PIECE = 1 << 18
_DIGEST = re.compile(r"[0-9a-f]{1,64}")
_SHAPES = {"dataset": _DIGEST, "image": _DIGEST, "run": _DIGEST, "job": re.compile(r"[0-9]{1,15}", re.ASCII)}
_TYPES = {"PPM": "image/x-portable-anymap"}


def answer(kind: str, request: Request) -> Response:
    """Check name and login, then serve; what is not there or cannot be read is a sentence, not a traceback.

    ``kind`` is one of ``SERVED``.
    """
    if not access.known_host(request):
        return PlainTextResponse("This server has another name.", 403, headers=FRESH)
    if not access.may_see(request):
        return PlainTextResponse("Log in first.", 401, headers=FRESH)
    if not all(shape.fullmatch(str(request.path_params.get(name, "0"))) for name, shape in _SHAPES.items()):
        return PlainTextResponse("There is no such image.", 404, headers=FRESH)
    try:
        return SERVED[kind](request)
    except NotFoundError as error:
        return PlainTextResponse(str(error), 404, headers=FRESH)
    except MadError as error:
        return PlainTextResponse(str(error), 409, headers=FRESH)
    except OSError as error:  # a disk that is full, a folder of somebody else
        log.error("%s: %s", error.filename, error.strerror)
        return PlainTextResponse(f"A file of the server cannot be used: {error.strerror}.", 409, headers=FRESH)


def _row(request: Request) -> Any:
    return engine.store().image(request.path_params["dataset"], request.path_params["image"])


def _original(request: Request) -> Response:
    """The bytes that were imported: the file is opened once, checked, and the same handle is sent."""
    row = _row(request)
    window = _asked(request, row)
    with _told(Path(row["path"])), contextlib.ExitStack() as opened:
        file = opened.enter_context(opened_image(Path(row["path"]), row["content_hash"]))
        if window is not None or file.page or file.format() in RENDERED:
            return _rendered(file, window)
        media, size = _media(file.format()), file.state()[0]
        file.check()
        rest = opened.pop_all()
    headers = {**KEEP, "Content-Length": str(size)}
    return StreamingResponse(_pieces(file.handle, rest), headers=headers, media_type=media)


def _window(row: Mapping[str, Any]) -> Window | None:
    return engine.store().dataset_info(row["dataset_id"]).card.subset(row["subset"]).window


def _asked(request: Request, row: Mapping[str, Any]) -> Window | None:
    """The window that an address asks for, of pictures deeper than 8 bits; else that of the dataset."""
    window, words = _window(row), QueryParams(request.scope.get("query_string", b"")).get("window", "")
    if window is None or not words:
        return window
    with contextlib.suppress(InputError):
        return chosen(words[:100], window)
    return window


def _rendered(file: ImageFile, window: Window | None) -> Response:
    """The picture as scorers see it, 8 bits, in place of bytes that a browser would show otherwise, or not at all."""
    out = io.BytesIO()
    file.image(window).save(out, "PNG", compress_level=1)
    return Response(out.getvalue(), media_type="image/png", headers=KEEP)


def _pieces(handle: BinaryIO, opened: contextlib.ExitStack) -> Iterator[bytes]:
    with opened:
        handle.seek(0)
        while piece := handle.read(_PIECE):
            yield piece


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """What is wrong with a file, told to a browser: by its name, not by its place."""
    try:
        yield
    except ImageError as error:
        if error.kind == "missing-file":
            raise NotFoundError(f"The file {path.name} is gone from where it was imported.") from None
        raise MadError(str(error).replace(str(path), f"The file {path.name}")) from None


def _media(kind: str) -> str:
    return _TYPES.get(kind, f"image/{kind.lower()}")


def _file(path: Path) -> Response:
    if not path.is_file():
        raise NotFoundError(f"The file {path.name} is gone.")
    return FileResponse(path, headers=KEEP, media_type=_media(probe(path).format))


def _thumbnail(request: Request) -> Response:
    return _small(request, THUMBNAIL)


def _preview(request: Request) -> Response:
    return _small(request, PREVIEW)


def _small(request: Request, longest: int) -> Response:
    row = _row(request)
    folder = engine.store().settings.thumbnails / row["dataset_id"]
    key = str(row["content_hash"])
    made = thumbnail_path(folder, longest, key)
    if is_made(made):
        return _file(made)
    with _told(Path(row["path"])):
        return _file(thumbnail(Path(row["path"]), folder, longest, key, content_hash=key, window=_window(row)))


def _mask(request: Request) -> Response:
    row = _row(request)
    if not row["mask_path"]:
        raise NotFoundError("This image has no mask.")
    path, out = Path(row["mask_path"]), io.BytesIO()
    with _told(path), opened_image(path, row["mask_hash"] or "") as file:
        if not remote.is_address(path):
            _check_place(row, path, file)
        Image.fromarray(file.mask()).save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png", headers=KEEP)


def _check_place(row: Mapping[str, Any], path: Path, file: ImageFile) -> None:
    """The mask that was opened must lie where its name says, in the dataset's folder, or where pages may open."""
    store, real = engine.store(), file.place()
    source = Path(store.dataset_info(row["dataset_id"]).source).resolve()
    within = real.is_relative_to(source if source.is_dir() else source.parent)
    if real != path and not within and not store.settings.may_open(real):
        raise NotFoundError(f"The mask {path.name} is a link that leads out of its dataset.")


def _map(request: Request) -> Response:
    store = engine.store()
    anomaly_map = store.read_map(store.run(request.path_params["run"]), request.path_params["image"])
    if anomaly_map is None:
        raise NotFoundError("There is no anomaly map of this image yet.")
    return Response(pack(anomaly_map), media_type="application/octet-stream", headers=FRESH)


def _map_thumbnail(request: Request) -> Response:
    """The anomaly map as a small picture to lie over the image: low scores let it through, as in the viewer."""
    store, image_id = engine.store(), request.path_params["image"]
    run = store.run(request.path_params["run"])
    anomaly_map = store.read_map(run, image_id)
    if anomaly_map is None:
        raise NotFoundError("There is no anomaly map of this image yet.")
    subset = store.image(run.dataset_id, image_id)["subset"]
    low, high = _range_of(run.id, subset, run.done) or (float(np.nanmin(anomaly_map)), float(np.nanmax(anomaly_map)))
    part = np.nan_to_num((shrink(anomaly_map, MAP_THUMBNAIL) - low) / max(high - low, 1e-12)).clip(0, 1)
    alpha = 255 * MAP_OPACITY * np.minimum(1, 2 * part)
    pixels = np.dstack([colour_map(COLOUR_MAPS[0])[(255 * part).astype(np.uint8)], alpha.astype(np.uint8)])
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", quality=70, method=2)
    return Response(out.getvalue(), media_type="image/webp", headers=KEEP)


@lru_cache(maxsize=64)
def _range_of(run_id: str, subset: str, done: int) -> tuple[float, float] | None:
    limits = display_range(engine.store(), run_id, subset)
    return limits[:2] if limits else None


def _single(request: Request) -> Response:
    store, kind, job = engine.store(), request.path_params["kind"], int(request.path_params["job"])
    if kind == "map":
        path = single_file(store, job, kind)
        if not path.is_file():
            raise NotFoundError("There is no anomaly map of this image yet.")
        return FileResponse(path, headers=KEEP, media_type="application/octet-stream")
    original, window = single_file(store, job, "original"), single_window(store, job)
    if kind == "preview":
        key = original.name if window is None else f"{original.name} {window.key}"
        return _file(thumbnail(original, store.settings.uploads, PREVIEW, key, window=window))
    with opened_image(original) as file:
        if window is not None or file.format() in RENDERED:
            return _rendered(file, window)
    return _file(original)


SERVED: Mapping[str, Callable[[Request], Response]] = {
    "original": _original,
    "preview": _preview,
    "thumbnail": _thumbnail,
    "mask": _mask,
    "map": _map,
    "map thumbnail": _map_thumbnail,
    "single": _single,
}
