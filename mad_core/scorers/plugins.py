"""Scorers of installed packages: what stands under the entry point ``mad_inspector.scorers``.

Only installed packages are read, never a folder of data. One that fails, whatever it raises, is named with its
sentence by ``doctor`` and on the Score page, and takes nothing else with it.
"""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from mad_core.errors import InputError
from mad_core.scorers.catalog import ScorerInfo

GROUP = "mad_inspector.scorers"


@dataclass(frozen=True)
class Plugin:
    """One entry point: its name, what it names, the package it is from, and the scorers it gave or why it gave none."""

    name: str
    entry: str
    package: str
    scorers: tuple[ScorerInfo, ...] = ()
    why_not: str | None = None

    def to_json(self) -> dict[str, Any]:
        ids = [info.id for info in self.scorers]
        return {
            "name": self.name,
            "entry": self.entry,
            "package": self.package,
            "scorers": ids,
            "why_not": self.why_not,
        }


def installed() -> list[EntryPoint]:
    """Every entry point of the group, in the order of packages and names.

    The folder that a command is started in is on Python's search path too, and may hold data of strangers: what lies
    there as if it were installed does not count.
    """
    working_folder = Path.cwd().resolve()
    places = [place for place in sys.path if place and Path(place).resolve() != working_folder]
    first: dict[str, Distribution] = {}
    for package in distributions(path=places):
        first.setdefault(str(package.name).lower(), package)
    points = [point for package in first.values() for point in _points(package)]
    return sorted(points, key=lambda point: (_package(point), point.name))


def _points(package: Distribution) -> list[EntryPoint]:
    try:
        return [point for point in package.entry_points if point.group == GROUP]
    except Exception:  # metadata that cannot be read, of a package that may be anything
        return []


def read(point: EntryPoint) -> Plugin:
    """What an entry point brings; without scorers and with the reason where it fails."""
    package = _package(point)
    plugin = Plugin(point.name, point.value, package)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where --json prints its one document nobody else prints
            return replace(plugin, scorers=tuple(_declared(point.load(), point.value, package)))
    except (Exception, SystemExit) as error:  # whatever a stranger's module does when it is imported
        return broken(plugin, error if isinstance(error, InputError) else f"{type(error).__name__}: {error}")


def broken(plugin: Plugin, error: object) -> Plugin:
    """The same without scorers, and why."""
    why = f"The scorers '{plugin.name}' of {plugin.package} cannot be used: {error}"
    return replace(plugin, scorers=(), why_not=why if why.endswith(".") else f"{why}.")


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "a package"


def _declared(loaded: Any, entry: str, package: str) -> Iterator[ScorerInfo]:
    """The declarations that an entry point gives: one, or those of a module.

    Raises
    ------
    InputError
        If there is none, or one cannot be used.
    """
    from mad_core.scorers.own import DECLARATION, check

    things = vars(loaded).values() if isinstance(loaded, ModuleType) else [loaded]
    infos = [thing if isinstance(thing, ScorerInfo) else getattr(thing, DECLARATION, None) for thing in things]
    unique = {id(info): info for info in infos if isinstance(info, ScorerInfo)}
    if not unique:
        raise InputError(f"{entry} is neither a declaration (@mad.scorer, ScorerInfo) nor a module that holds one.")
    for info in unique.values():
        check(info)
        named = info.entry if info.entry.partition(":")[2] else entry
        if not named.partition(":")[2]:
            raise InputError(f"Scorer '{info.id}' has no entry \"module:name\" by which a worker could import it.")
        yield replace(info, entry=named, package=package, why_not=_guarded(info))


def _guarded(info: ScorerInfo) -> Any:
    """Its ``why_not``, with what that raises as a sentence."""

    def why_not(parameters: Any) -> str | None:
        try:
            return info.why_not(parameters)
        except Exception as error:
            return f"It cannot say what it needs: {type(error).__name__}: {error}"

    return why_not
