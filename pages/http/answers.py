"""What each address of the HTTP interface answers: read from the store by what the command line and the pages read.

A picture that is sent to be scored takes the way of the page "One image": a job of the kind ``single``, done by the
worker between two batches. An arrival in a watched folder becomes an image of the dataset, so it goes through the run's
own job and leaves a row; a picture that is sent belongs to no dataset and leaves none. From there on the two ways are
one: the same fit scores the file, the same window, region and rule of "unlike anything fitted" count, and the same
functions of :mod:`mad_core.runs.triage` call the level.
"""

import base64
import json
import math
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import anyio
import numpy as np
import pandas as pd
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mad_core.datasets.naming import NO_LEVEL
from mad_core.errors import InputError, MadError, NotFoundError, WorkError
from mad_core.map_files import grey_png, unpack
from mad_core.runs import listing
from mad_core.runs.browsing import ORDERS, Wanted, select, with_scores
from mad_core.runs.comparing import metrics_csv
from mad_core.runs.evaluating import evaluate_run
from mad_core.runs.jobs import SingleJob
from mad_core.runs.queue import Job
from mad_core.runs.single_image import single_file, submit_single
from mad_core.runs.store import Run, Store
from mad_core.runs.triage import COLUMNS, call_new, calls, guarantee_of, listed, usual_threshold
from mad_core.scorefiles import csv_text, safe_texts
from pages.http.bodies import sent_picture
from pages.http.door import Refused
from pages.http.endpoints import CSV, JSON, MOST_ROWS, PNG, openapi
from pages.http.query import ApiRequest
from pages.ui import engine
from pages.ui.serving import FRESH

LOOK_SECONDS = 0.1
_EVALUATING = threading.Lock()


def document(asked: ApiRequest) -> Response:
    return _json(openapi(asked.root))


def datasets(asked: ApiRequest) -> Response:
    return _entries(asked, listing.datasets(asked.store))


def runs(asked: ApiRequest) -> Response:
    wanted = asked.query.get("dataset")
    entries = [entry for entry in listing.runs(asked.store) if wanted in (None, entry["dataset"])]
    return _entries(asked, entries)


def run(asked: ApiRequest) -> Response:
    return _json(listing.run_details(asked.store, _run(asked)))


def metrics(asked: ApiRequest) -> Response:
    of = _run(asked)
    result = _metrics(of.id, asked.query.get("levels"), engine.state(of))
    if not asked.wants_csv:
        return _json(result)
    parts = result["subsets"].items() if len(of.subsets) > 1 else ()
    rows = [(of.id, of.title, subset, values) for subset, values in (("", result), *parts)]
    return _csv(metrics_csv(rows))


def _metrics(run_id: str, rounding: str | None, state: tuple[Any, ...]) -> dict[str, Any]:
    """Of one run at a time, so that whoever asks meanwhile gets the same."""
    with _EVALUATING:
        return _evaluated(run_id, rounding, state)


@lru_cache(maxsize=64)
def _evaluated(run_id: str, rounding: str | None, state: tuple[Any, ...]) -> dict[str, Any]:
    """Kept while the run stays as it is (``state``): the intervals of many images take seconds."""
    return evaluate_run(engine.store(), run_id, rounding=rounding)


# -- images -------------------------------------------------------------------------------------


def images(asked: ApiRequest) -> Response:
    of, store, query = _run(asked), asked.store, asked.query
    subset = _subset(query, of.subsets, of)
    view = _view(store, of, subset)
    threshold = query.get("threshold", _usual(view))
    shown = select(view, _wanted(query, threshold))
    if asked.wants_csv:
        first = query["offset"]
        shown = shown.iloc[first : first + query.get("limit", len(shown))]
        return _csv(csv_text(safe_texts(listed(shown, threshold, store.tags.of(of.dataset_id)))))
    rows = shown.iloc[query["offset"] :].head(query.get("limit", MOST_ROWS))
    return _json(
        {
            "run": of.id,
            "subset": subset,
            "total": len(shown),
            "threshold": threshold,
            "guarantee": guarantee_of(of, view),
            "images": [_image(row, threshold) for row in rows.to_dict("records")],
        }
    )


def _view(store: Store, of: Run, subset: str) -> pd.DataFrame:
    """The test images of a subset as Images shows them."""
    cuts = store.cuts.of_run(of.id).get(subset)
    rows = store.dataset(of.dataset_id).select(subset=subset, split="test")
    view = with_scores(rows, engine.table(of), None, cuts)
    called, tags = calls(store, of, subset, view, cuts), store.tags.of(of.dataset_id)
    view = view.assign(**{name: called[name] for name in (*COLUMNS, "levels")})
    return view.assign(tags=[tags.get(image_id, ()) for image_id in view["image_id"]])


def _usual(view: pd.DataFrame) -> float:
    return usual_threshold(*(view[name].to_numpy(dtype=np.float64) for name in ("level", "score")))


def _wanted(query: Mapping[str, Any], threshold: float) -> Wanted:
    least = (query.get("least"), threshold if query["flagged"] else None)
    return Wanted(
        levels=tuple(_level(key) for key in query.get("level", ())),
        defects=tuple(query.get("defect", ())),
        called=tuple(_level(key) for key in query.get("called", ())),
        call=query.get("call", ""),
        state=query.get("state", ""),
        name=query.get("find", ""),
        tag=query.get("tag", ""),
        least=max((value for value in least if value is not None), default=None),
        order=query.get("sort", ORDERS[0]),
    )


def _level(key: str) -> float:
    """A level as filters write it."""
    try:
        level = math.nan if key == NO_LEVEL else float(key.removeprefix("L"))
    except ValueError:
        level = math.inf
    if math.isinf(level):
        raise InputError(f"'{key[:80]}' is no level; a number is one, and '{NO_LEVEL}' stands for images without one.")
    return level


def _image(row: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    score = _number(row["score"])
    return {
        "image": row["image_id"],
        "path": row["template_path"],
        "file": row["path"],
        "level": _number(row["level"]),
        "defect": row["defect"] if isinstance(row["defect"], str) else None,
        "score": score,
        "state": row["state"],
        "flagged": None if score is None else score >= threshold,
        "called": _number(row["called"]),
        "set": list(row["levels"]),
        "unlike": bool(row["unlike"]),
        "why": row["why"],
        "tags": list(row["tags"]),
    }


def image_map(asked: ApiRequest) -> Response:
    anomaly_map = asked.store.read_map(_run(asked), asked.ids["image"])
    if anomaly_map is None:
        raise NotFoundError("There is no anomaly map of this image.")
    return Response(grey_png(anomaly_map), media_type=PNG, headers=FRESH)


# -- one picture --------------------------------------------------------------------------------


async def score(asked: ApiRequest) -> Response:
    of, subset = await run_in_threadpool(_ready, asked)
    async with sent_picture(asked.request) as (data, name):
        called = asked.query.get("name") or name
        job_id = await run_in_threadpool(_submit, asked, of, subset, data, called)
    return await _when_done(asked, job_id, asked.query["wait"])


def _ready(asked: ApiRequest) -> tuple[Run, str]:
    """The run and the subset that score, once it is sure that they can."""
    of = _run(asked)
    fitted = [entry.subset for entry in asked.store.run_subsets(of.id)]
    if of.imported or not fitted:
        why = "its scores were made elsewhere" if of.imported else f"it has fitted nothing yet ({of.status})"
        raise MadError(f"Run '{of.title}' cannot score a picture: {why}.")
    subset = _subset(asked.query, fitted, of)
    if not engine.worker_ready():
        raise Refused(503, "No worker runs on this server, so nothing can be scored now; ask later.", Retry_After="10")
    return of, subset


def _submit(asked: ApiRequest, of: Run, subset: str, data: bytes, name: str) -> int:
    with engine.asked_by(asked.client):
        return submit_single(asked.store, of.id, subset, data, name)


async def posted(asked: ApiRequest) -> Response:
    return await _when_done(asked, _job_id(asked), 0)


def posted_map(asked: ApiRequest) -> Response:
    job = _single(asked.store, _job_id(asked))
    path = single_file(asked.store, job.id, "map")
    if not path.is_file():
        raise NotFoundError("There is no anomaly map of this picture.")
    return Response(grey_png(unpack(path.read_bytes())), media_type=PNG, headers=FRESH)


async def _when_done(asked: ApiRequest, job_id: int, seconds: float) -> Response:
    """The score, once it is there; else where to ask again."""
    with anyio.move_on_after(seconds):
        while (await run_in_threadpool(_single, asked.store, job_id)).active:
            if await asked.request.is_disconnected():
                break
            await anyio.sleep(LOOK_SECONDS)
    job = await run_in_threadpool(_single, asked.store, job_id)
    if job.active:
        again = f"{asked.root}/scores/{job.id}"
        waiting = {"job": job.id, "status": job.status, "again": again}
        return _json(waiting, 202, **{"Location": again, "Retry-After": "1"})
    return await run_in_threadpool(_score_answer, asked, job)


def _score_answer(asked: ApiRequest, job: Job) -> Response:
    payload, result = SingleJob.from_json(job.payload), job.result or {}
    if job.status != "done":
        sentence = job.error or f"Scoring was {job.status}."
        raise WorkError(sentence.replace(payload.path, payload.name or "the picture"))
    of = asked.store.run(payload.run)
    view = with_scores(asked.store.dataset(of.dataset_id).select(subset=payload.subset, split="test"), engine.table(of))
    cuts = asked.store.cuts.of_run(of.id).get(payload.subset)
    verdicts = call_new(asked.store, of, payload.subset, view, [result], cuts)
    verdict, value, threshold = verdicts.iloc[-1], result.get("score"), _usual(view)
    has_scores = bool(np.isfinite(view["score"].to_numpy(dtype=np.float64)).any())
    reason = result.get("reason")
    answer = {
        "job": job.id,
        "run": of.id,
        "scorer": of.scorer,
        "subset": payload.subset,
        "name": payload.name,
        "status": result.get("status"),
        "score": value,
        "reason": reason and reason.replace(payload.path, payload.name or "the picture"),
        "seconds": result.get("seconds"),
        "distribution": result.get("distribution"),
        "threshold": threshold if has_scores else None,
        "flagged": value >= threshold if has_scores and value is not None else None,
        "called": _number(verdict["called"]),
        "set": list(verdict["levels"]),
        "guarantee": guarantee_of(of, verdicts.iloc[-1:]),
        "unlike": bool(verdict["unlike"]),
        "why": verdict["why"],
        "map": _map(asked, job) if result.get("map") else None,
    }
    return _json(answer)


def _map(asked: ApiRequest, job: Job) -> dict[str, Any] | None:
    path = single_file(asked.store, job.id, "map")
    if not path.is_file():
        return None
    anomaly_map = unpack(path.read_bytes())
    low, high = (_number(of(anomaly_map)) for of in (np.nanmin, np.nanmax))
    facts = {"address": f"{asked.root}/scores/{job.id}/map.png", "low": low, "high": high}
    facts |= {"width": anomaly_map.shape[1], "height": anomaly_map.shape[0]}
    return facts | ({"png": base64.b64encode(grey_png(anomaly_map)).decode()} if asked.query["map"] else {})


# -- what the answers share ---------------------------------------------------------------------


def _run(asked: ApiRequest) -> Run:
    return asked.store.run(asked.ids["run"])


def _subset(query: Mapping[str, Any], there: list[str] | tuple[str, ...], of: Run) -> str:
    """The subset that is asked for, else the only one."""
    wanted = query.get("subset")
    if wanted is None and len(there) == 1:
        return there[0]
    if wanted not in there:
        what = "has several subsets" if wanted is None else f"has no subset '{wanted}' here"
        raise InputError(f"Run '{of.title}' {what}; say subset=, one of {', '.join(there)}.")
    return str(wanted)


def _job_id(asked: ApiRequest) -> int:
    text = asked.ids["job"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise NotFoundError(f"There is no job {text[:40]}.")
    return int(text)


def _single(store: Store, job_id: int) -> Job:
    job = store.queue.job(job_id)
    if job.kind != SingleJob.kind:
        raise NotFoundError(f"Job {job_id} scores no picture that was sent.")
    return job


def _entries(asked: ApiRequest, entries: list[dict[str, Any]]) -> Response:
    if not asked.wants_csv:
        return _json(entries)
    rows = pd.DataFrame([{name: _cell(value) for name, value in entry.items()} for entry in entries])
    return _csv(csv_text(safe_texts(rows)))


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (list, dict)) else value


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _json(data: Any, status: int = 200, **headers: str) -> Response:
    text = json.dumps(data, allow_nan=False)
    return Response(text, status, media_type=JSON, headers={**FRESH, **headers})


def _csv(text: str) -> Response:
    return Response(text, media_type=f"{CSV}; charset=utf-8", headers=FRESH)
