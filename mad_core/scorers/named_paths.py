"""Files and folders that a scorer's parameters name: pages open them below the allowed roots alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mad_core.errors import InputError
from mad_core.paths import file_named, folder_named
from mad_core.settings import Settings

_SUFFIXES = (".safetensors", ".yaml", ".yml", ".json", ".csv", ".txt")


def closed(parameters: Mapping[str, Any], settings: Settings) -> str | None:
    """Why the parameters of a run may not be asked for on a page, in a sentence that does not tell what exists."""
    texts = (value for value in parameters.values() if isinstance(value, str))
    outside = next((text for text in texts if leads_outside(text, settings)), None)
    return None if outside is None else outside_roots(outside, settings)


def leads_outside(text: str, settings: Settings) -> bool:
    """Whether a text is a path that pages may not open."""
    return _names_path(text) and not settings.may_open(Path(text))


def check_open(parameters: Mapping[str, Any], settings: Settings) -> None:
    """See that everything that the parameters name may be opened.

    Raises
    ------
    InputError
        As :func:`closed` says.
    """
    reason = closed(parameters, settings)
    if reason:
        raise InputError(reason)


def outside_roots(named: str, settings: Settings) -> str:
    roots = ", ".join(map(str, (*settings.allowed_roots, *settings.allowed_addresses))) or "none"
    return f"{named[:300]} is outside the folders that may be opened here ({roots}); see MAD_ALLOWED_ROOTS."


def _names_path(text: str) -> bool:
    """By its looks, so that nothing is told of what exists; ``owner/name`` may be a model of the Hub."""
    if "\n" in text:
        return False
    if text.startswith(("/", "~", ".")) or text.endswith(_SUFFIXES):
        return True
    return "/" in text and (folder_named(text) or file_named(text)) is not None
