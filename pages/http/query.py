"""What is asked of the HTTP interface: the query, checked by the record of its address."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from mad_core.runs.store import Store
from pages.http.door import Refused
from pages.http.endpoints import CSV, JSON, ROOT, ApiEndpoint, QueryParameter
from pages.ui.urls import base

_NUMBER = re.compile(
    r"[+-]?([0-9]{1,300}([.][0-9]{0,300})?|[.][0-9]{1,300})(e[+-]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE
)
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class ApiRequest:
    """What is asked for.

    Parameters
    ----------
    request : Request
    store : Store
    ids : mapping of str to str
        What the path names.
    query : mapping of str to value
        Every parameter of the address that was given or has a default, as its schema says.
    client : str
        Who asks.
    """

    request: Request
    store: Store
    ids: Mapping[str, str]
    query: Mapping[str, Any]
    client: str

    @property
    def root(self) -> str:
        """The path that this interface is served at."""
        return base() + ROOT

    @property
    def wants_csv(self) -> bool:
        """Whether a list is wanted as CSV, by the query, else by the header ``Accept``."""
        accepted = self.request.headers.get("accept", "")
        return self.query.get("format", "csv" if CSV in accepted and JSON not in accepted else "json") == "csv"


def checked_query(endpoint: ApiEndpoint, given: QueryParams) -> dict[str, Any]:
    """The query as the schemas of its parameters say, with their defaults.

    Raises
    ------
    Refused
        If there is one that the address does not know, or a value that it cannot have.
    """
    known = {parameter.name: parameter for parameter in endpoint.query}
    for name in given:
        if name not in known:
            there = f"it knows {', '.join(known)}" if known else "it knows none"
            raise Refused(400, f"This address knows no parameter '{name[:80]}'; {there}.")
    values = {name: one.schema["default"] for name, one in known.items() if "default" in one.schema}
    return values | {name: _value(known[name], given.getlist(name)) for name in given}


def _value(parameter: QueryParameter, texts: list[str]) -> Any:
    schema, name = parameter.schema, parameter.name
    if schema["type"] == "array":
        if len(texts) > schema["maxItems"]:
            raise Refused(400, f"'{name}' may be given at most {schema['maxItems']} times.")
        return [_one(schema["items"], name, text) for text in texts]
    if len(texts) > 1:
        raise Refused(400, f"'{name}' may be given once.")
    return _one(schema, name, texts[0])


def _one(schema: Mapping[str, Any], name: str, text: str) -> Any:
    kind = schema["type"]
    if kind == "string":
        if "enum" in schema and text not in schema["enum"]:
            raise Refused(400, f"'{name}' is '{text[:80]}', but may be: {', '.join(schema['enum'])}.")
        if len(text) > schema["maxLength"]:
            raise Refused(400, f"'{name}' has more than {schema['maxLength']} characters.")
        return text
    if kind == "boolean":
        if text.lower() not in _TRUTHS:
            raise Refused(400, f"'{name}' is '{text[:80]}', but may be 1 or 0.")
        return _TRUTHS[text.lower()]
    if not _NUMBER.fullmatch(text) or (kind == "integer" and not text.isdecimal()):
        raise Refused(400, f"'{name}' is '{text[:80]}', but must be a {'whole ' if kind == 'integer' else ''}number.")
    value = int(text) if kind == "integer" else float(text)
    low, high = schema.get("minimum", -1e300), schema.get("maximum", 1e300)
    if not low <= value <= high:
        raise Refused(400, f"'{name}' must lie between {low:g} and {high:g}.")
    return value
