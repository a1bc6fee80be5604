"""Which model the first server that answers lists first.

It is asked once, when a run is requested, so that the request names its model.

The standard library does: the web process asks too, and the client of the scorer is slow to import.
"""

import contextlib
import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from mad_core.errors import UnavailableError
from mad_core.scorers.multimodal.endpoint.address import Address, servers_of
from mad_core.settings import Settings

SECONDS = 10.0
MOST_BYTES = 4_000_000


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def name_model(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the model named that the server lists first; as they are where one is named already.

    Where no server is set they stay as they are too: what lacks is said before a run starts.

    Raises
    ------
    UnavailableError
        If the server cannot be reached or lists no model; the sentence says what to do.
    InputError
        If its address cannot be used.
    """
    settings = Settings.from_environment()
    if parameters["model"] or not settings.endpoint_url:
        return dict(parameters)
    servers = servers_of(settings, parameters).each
    for address in servers[:-1]:
        with contextlib.suppress(UnavailableError):
            return {**parameters, "model": first_listed(address, settings.endpoint_key)}
    return {**parameters, "model": first_listed(servers[-1], settings.endpoint_key)}


def first_listed(address: Address, key: str | None) -> str:
    """Id of the first model that the server lists.

    Raises
    ------
    UnavailableError
    """
    advice = f"Name one with --param model=…, and see that {address.host} runs."
    opener = build_opener(_NoRedirect, *([ProxyHandler({})] if address.loopback else []))
    headers = {"Authorization": f"Bearer {key}", **address.headers(key)} if key else {}
    query = f"?{urlencode(address.query)}" if address.query else ""
    request = Request(f"{address.url}/models{query}", headers=headers)  # noqa: S310 - the address is checked to be http(s)
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return str(json.loads(answer.read(MOST_BYTES))["data"][0]["id"])
    except HTTPError as error:
        if error.code in (401, 403):
            sentence = f"{address.host} does not accept the key ({error.code}). Check MAD_ENDPOINT_KEY."
            raise UnavailableError(sentence) from None
        raise UnavailableError(f"{address.host} does not list its models: it answered {error.code}. {advice}") from None
    except (URLError, OSError) as error:
        why = getattr(error, "reason", None) or error
        raise UnavailableError(f"{address.host} does not list its models: {why}. {advice}") from None
    except (ValueError, LookupError, TypeError):
        raise UnavailableError(f"{address.host} lists no model. {advice}") from None
