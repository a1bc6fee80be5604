"""What the HTTP interface answers: a record an address, from which routes, checks of queries and the OpenAPI document
are made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mad_core.runs.browsing import CALLS, ORDERS, STATES
from mad_core.settings import VERSION

ROOT = "/api/v1"
MOST_ROWS = 10_000
MOST_WAIT, USUAL_WAIT = 60, 20
JSON, CSV, PNG = "application/json", "text/csv", "image/png"
Schema = dict[str, Any]


@dataclass(frozen=True)
class QueryParameter:
    """One parameter of a query; ``schema`` is what it may be, in JSON Schema, with its default."""

    name: str
    schema: Schema
    says: str


@dataclass(frozen=True)
class ApiEndpoint:
    """One address.

    Parameters
    ----------
    name : str
        Of the function in :mod:`pages.http.answers` that answers.
    path : str
        Below ``ROOT``; what stands in braces is an id.
    says : str
        What it answers, in a sentence.
    query : tuple of QueryParameter
    gives : mapping of media type to schema
        What it answers with.
    method : {"GET", "POST"}
    waits : bool
        Whether it may answer 202, with a place to ask again.
    """

    name: str
    path: str
    says: str
    query: tuple[QueryParameter, ...] = ()
    gives: Mapping[str, Schema] = field(default_factory=lambda: {JSON: {}})
    method: str = "GET"
    waits: bool = False


def _text(name: str, says: str, **schema: Any) -> QueryParameter:
    return QueryParameter(name, {"type": "string", "maxLength": 300, **schema}, says)


def _texts(name: str, says: str) -> QueryParameter:
    items = {"type": "string", "maxLength": 300}
    return QueryParameter(name, {"type": "array", "items": items, "maxItems": 100}, f"{says} May be given again.")


def _number(name: str, says: str, **schema: Any) -> QueryParameter:
    return QueryParameter(name, {"type": "number", **schema}, says)


def _count(name: str, says: str, **schema: Any) -> QueryParameter:
    return QueryParameter(name, {"type": "integer", **schema}, says)


def _flag(name: str, says: str) -> QueryParameter:
    return QueryParameter(name, {"type": "boolean", "default": False}, says)


_FORMAT = _text("format", "Else what the header Accept asks for, else JSON.", enum=["json", "csv"])
_MAP = _flag("map", "Put the map, a PNG in base64, into the answer.")
_SUBSET = _text("subset", "May be left out of a run of one subset.")
_LIST = (
    _SUBSET,
    _texts("level", "Labelled as one of these levels; none: images without a level."),
    _texts("defect", "With one of these defects."),
    _texts("called", "Called one of these levels by the cuts kept with the run."),
    _text("call", "How that stands to the label.", enum=list(CALLS)),
    _text("state", "Which images.", enum=list(STATES)),
    _text("find", "Part of the path."),
    _text("tag", "With this tag; by default all that are not set aside."),
    _number("least", "Smallest score."),
    _flag("flagged", "Only images at or above the threshold."),
    _number("threshold", "From which score on images are flagged; by default as on Images."),
    _text("sort", "Order of the list.", enum=[one for one in ORDERS if one != "rank difference"]),
    _count("limit", "Most images; CSV gives all by default.", minimum=1, maximum=MOST_ROWS),
    _count("offset", "Images to pass over first.", minimum=0, maximum=100_000_000, default=0),
    _FORMAT,
)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


ENDPOINTS = (
    ApiEndpoint(
        "document", "/openapi.json", "This interface, as an OpenAPI document.", gives={JSON: {"type": "object"}}
    ),
    ApiEndpoint(
        "datasets", "/datasets", "The datasets, as `datasets --json`.", (_FORMAT,), {JSON: _list_of("Dataset"), CSV: {}}
    ),
    ApiEndpoint(
        "runs",
        "/runs",
        "The runs, as `runs --json`.",
        (_text("dataset", "Only those on the dataset of this name."), _FORMAT),
        {JSON: _list_of("Run"), CSV: {}},
    ),
    ApiEndpoint("run", "/runs/{run}", "One run in full, as `show --json`.", gives={JSON: _ref("Run")}),
    ApiEndpoint(
        "metrics",
        "/runs/{run}/metrics",
        "The metrics of a run, as `evaluate run:ID --json`.",
        (_text("levels", "How levels with fractions count.", enum=["as-is", "rounded-up"]), _FORMAT),
        {JSON: _ref("Metrics"), CSV: {}},
    ),
    ApiEndpoint(
        "images",
        "/runs/{run}/images",
        "The test images of a subset with scores, called levels and sets: the list of Images.",
        _LIST,
        {JSON: _ref("Images"), CSV: {}},
    ),
    ApiEndpoint(
        "image_map",
        "/runs/{run}/images/{image}/map.png",
        "The anomaly map of an image, 16-bit grey; its text chunks `low` and `high` are the scores of 0 and 65535.",
        gives={PNG: {}},
    ),
    ApiEndpoint(
        "score",
        "/runs/{run}/score",
        "Score a picture with what a run has fitted. The body is the picture's bytes, or a form with one file.",
        (
            _SUBSET,
            _MAP,
            _count("wait", "Seconds to wait for the score.", minimum=0, maximum=MOST_WAIT, default=USUAL_WAIT),
            _text("name", "What the picture is called; only shown."),
        ),
        {JSON: _ref("Score")},
        "POST",
        waits=True,
    ),
    ApiEndpoint(
        "posted",
        "/scores/{job}",
        "The score of a picture that was sent before.",
        (_MAP,),
        {JSON: _ref("Score")},
        waits=True,
    ),
    ApiEndpoint("posted_map", "/scores/{job}/map.png", "Its anomaly map, as of an image.", gives={PNG: {}}),
)

_NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}


def _object(required: Mapping[str, Schema], **further: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **further}}


SCHEMAS: Mapping[str, Schema] = {
    "Error": _object({"error": {"type": "string", "description": "What happened and what to do, in a sentence."}}),
    "Dataset": _object(
        {
            "dataset": {"type": "string", "description": "Its id."},
            "name": {"type": "string"},
            "version": {"type": "string"},
            "images": {"type": "integer"},
            "subsets": {"type": "array", "items": {"type": "string"}},
            "runs": {"type": "integer"},
        }
    ),
    "Run": _object(
        {
            "run": {"type": "string", "description": "Its id."},
            "title": {"type": "string"},
            "dataset": {"type": "string", "description": "Name of its dataset."},
            "scorer": {"type": "string"},
            "parameters": {"type": "object"},
            "subsets": {"type": "array", "items": {"type": "string"}},
            "status": {"enum": ["queued", "running", "done", "failed", "cancelled"]},
            "done": {"type": "integer", "description": "Images that have a score or a named failure."},
            "total": {"type": "integer"},
            "error": _TEXT_OR_NULL,
        }
    ),
    "Metrics": _object(
        {
            "n": {"type": "integer"},
            "n_scored": {"type": "integer"},
            "levels": {"type": "object"},
            "auroc": {"type": "object"},
            "c_index": _NUMBER_OR_NULL,
            "kendall_tau_b": _NUMBER_OR_NULL,
            "intervals": {"type": "object"},
            "subsets": {"type": "object"},
            "notes": {"type": "array", "items": {"type": "string"}},
        }
    ),
    "Images": _object(
        {
            "run": {"type": "string"},
            "subset": {"type": "string"},
            "total": {"type": "integer", "description": "Images that pass the filters."},
            "threshold": {"type": "number"},
            "guarantee": {"type": "string", "description": "What the sets promise; empty where there are none."},
            "images": _list_of("Image"),
        }
    ),
    "Image": _object(
        {
            "image": {"type": "string", "description": "Its id."},
            "path": {"type": "string"},
            "level": _NUMBER_OR_NULL,
            "score": {**_NUMBER_OR_NULL, "description": "Raw, higher = more severe; null where there is none."},
            "state": {"enum": list(STATES)},
            "flagged": {"type": ["boolean", "null"]},
            "called": {**_NUMBER_OR_NULL, "description": "The level it is called."},
            "set": {"type": "array", "items": {"type": "number"}, "description": "Levels that cannot be ruled out."},
            "unlike": {"type": "boolean", "description": "Unlike anything fitted: called no level."},
            "why": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        file={"type": "string", "description": "Where it lies on the server."},
        defect=_TEXT_OR_NULL,
    ),
    "Map": _object(
        {
            "address": {"type": "string", "description": "Where it is served as a PNG."},
            "low": {"type": "number", "description": "The score of the grey 0."},
            "high": {"type": "number", "description": "The score of the grey 65535."},
            "width": {"type": "integer"},
            "height": {"type": "integer"},
        },
        png={"type": "string", "contentEncoding": "base64", "contentMediaType": PNG},
    ),
    "Score": _object(
        {
            "job": {"type": "integer"},
            "run": {"type": "string"},
            "scorer": {"type": "string"},
            "subset": {"type": "string"},
            "name": {"type": "string"},
            "status": {"type": "string", "description": "ok, or a named failure: then there is no score."},
            "score": _NUMBER_OR_NULL,
            "reason": _TEXT_OR_NULL,
            "seconds": _NUMBER_OR_NULL,
            "distribution": {"type": ["array", "null"], "items": {"type": "number"}},
            "threshold": {**_NUMBER_OR_NULL, "description": "From which score on the run's images are flagged."},
            "flagged": {"type": ["boolean", "null"]},
            "called": _NUMBER_OR_NULL,
            "set": {"type": "array", "items": {"type": "number"}},
            "guarantee": {"type": "string"},
            "unlike": {"type": "boolean", "description": "Unlike anything fitted: the score says nothing of severity."},
            "why": {"type": "string"},
            "map": {"anyOf": [_ref("Map"), {"type": "null"}]},
        }
    ),
    "Waiting": _object(
        {
            "job": {"type": "integer"},
            "status": {"enum": ["queued", "running"]},
            "again": {"type": "string", "description": "Where to ask again."},
        }
    ),
}
_REFUSALS = {
    "400": "The request cannot be understood; the sentence says what is wrong.",
    "401": "Who asks is not known here.",
    "403": "Who asks is not answered.",
    "404": "There is no such thing.",
    "409": "What is there does not allow it; the sentence says why.",
    "429": "Too many requests; the header Retry-After says when to ask again.",
    "503": "Not now: no worker runs, too much is on its way in, or the store cannot be opened.",
    "500": "The work failed; the sentence says why.",
}
_OF_PICTURES = {
    "408": "The picture did not arrive in time.",
    "413": "The picture is too large.",
}


def openapi(root: str) -> dict[str, Any]:
    """The OpenAPI document; ``root`` is where the interface is served."""
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MAD Inspector",
            "version": VERSION,
            "description": "Scores, runs, metrics and lists for other programs.",
        },
        "servers": [{"url": root}],
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(endpoint: ApiEndpoint) -> dict[str, Any]:
    ids = [part.strip("{}") for part in endpoint.path.split("/") if part.startswith("{")]
    at = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in ids]
    at += [{"name": one.name, "in": "query", "description": one.says, "schema": one.schema} for one in endpoint.query]
    content = {media: {"schema": schema} for media, schema in endpoint.gives.items()}
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.says,
        "responses": {"200": {"description": endpoint.says, "content": content}},
    }
    if at:
        operation["parameters"] = at
    if endpoint.waits:
        waiting = {"description": "Not scored yet.", "content": {JSON: {"schema": _ref("Waiting")}}}
        operation["responses"]["202"] = waiting
    if endpoint.method == "POST":
        file = {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
        bodies = {"application/octet-stream": {}, "multipart/form-data": {"schema": file}}
        operation["requestBody"] = {"required": True, "content": bodies}
    for status, words in (_REFUSALS | (_OF_PICTURES if endpoint.method == "POST" else {})).items():
        operation["responses"][status] = {"description": words, "content": {JSON: {"schema": _ref("Error")}}}
    return operation
