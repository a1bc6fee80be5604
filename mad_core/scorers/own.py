"""A scorer of one's own: a function or a class under :func:`scorer`, in a notebook, a script or an installed package.

What is declared in a notebook or script is known to that process alone; a package makes its scorers known to every
process by the entry point that :mod:`mad_core.scorers.plugins` reads. No torch here.
"""

import contextlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from mad_core.errors import InputError
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Parameter, Scorer
from mad_core.scorers.exported import ExportedModel
from mad_core.scorers.object_digest import OMITTED, object_digest

CODE = "code"
"""Parameter of a scorer that only this process knows: which version of it made a run."""
DECLARATION = OMITTED
"""Attribute under which what was declared carries its declaration."""

T = TypeVar("T", bound=Callable[..., Any])


def scorer(
    id: str, *, title: str = "", family: str = "other", parameters: Sequence[Parameter] = (), **facts: Any
) -> Callable[[T], T]:
    """Declare a scorer: above a function ``normals -> (image -> score)``, or above a :class:`Scorer`.

    The function gets the training normals of one subset as a list of uint8 arrays (H, W, 3), RGB, and the declared
    parameters as keyword arguments; with ``pixels="float"`` as float32 in 0-1, with the full depth of the files. It
    returns a function that takes one such image and returns its score (any unit, higher = more severe), or score and
    anomaly map (H', W'), higher = more anomalous.

    Parameters
    ----------
    id : str
        Small letters, digits and hyphens, for instance ``"mine"``. Declaring it again replaces it, as a notebook does.
    title : str
        What people read; the id where it is left out.
    family : str
        Free text.
    parameters : sequence of Parameter
        They check what is given, draw the form on the Score page and the options of the command line.
    **facts
        Any other field of :class:`~mad_core.scorers.catalog.ScorerInfo`: ``paper``, ``summary``, ``needs``, ``cost``,
        ``why_not``, ``pixels``, …

    Raises
    ------
    InputError
        If the declaration is not complete, or the id is that of a scorer that ships or is installed.
    """

    def declare(made: T) -> T:
        info = declaration(made, id, title=title or id, family=family, parameters=tuple(parameters), **facts)
        with contextlib.suppress(AttributeError):  # a bound method, say, is known by its id alone
            setattr(made, DECLARATION, info)
        catalog.register_here(in_this_process(info))
        return made

    return declare


def declaration(made: Any, id: str, **facts: Any) -> ScorerInfo:
    """The checked declaration of a function, a class, or a model that needs no fit.

    Raises
    ------
    InputError
        If it cannot be used; the sentence says why.
    """
    module, name = getattr(made, "__module__", ""), getattr(made, "__qualname__", "")
    learns = isinstance(made, type) or getattr(made, "learns", True)
    try:
        info = ScorerInfo(id, entry=f"{module}:{name}" if name else "", made=made, **{"needs_fit": learns, **facts})
    except TypeError as error:
        raise InputError(f"Scorer '{id}' cannot be declared: {str(error).partition('__init__() ')[2]}.") from None
    check(info)
    return info


def check(info: ScorerInfo) -> None:
    """Refuse a declaration that a form, the command line or the record of a run could not use.

    Raises
    ------
    InputError
    """
    if not (isinstance(info.id, str) and re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,39}", info.id)):
        raise InputError(
            f"'{str(info.id)[:80]}' is no id of a scorer: small letters, digits, '-', '_' and '.', at most 40."
        )
    texts = (info.title, info.family, info.paper, info.summary, info.needs, info.cost)
    if not all(isinstance(text, str) for text in texts) or not (info.title.strip() and info.family.strip()):
        raise InputError(f"Scorer '{info.id}' needs a title and a family, and all that is said about it as text.")
    if not all(isinstance(parameter, Parameter) for parameter in info.parameters):
        raise InputError(f"Scorer '{info.id}': every one of its parameters has to be a mad_core.Parameter.")
    if info.pixels not in ("uint8", "float"):
        raise InputError(f"Scorer '{info.id}': pixels is 'uint8' or 'float', not '{str(info.pixels)[:80]}'.")
    names = [parameter.name for parameter in info.parameters]
    if len({*names, CODE}) <= len(names) or not all(str(name).isidentifier() for name in names):
        raise InputError(
            f"Scorer '{info.id}': names of parameters are different words of Python, none of them '{CODE}'."
        )
    try:
        defaults = info.check({})
        json.dumps(info.to_json(), allow_nan=False)
    except Exception as error:
        raise InputError(f"Scorer '{info.id}': its declaration cannot be used: {error}") from None
    _check_call(info, defaults)


def _check_call(info: ScorerInfo, defaults: Mapping[str, Any]) -> None:
    """Whether what was made takes the parameters that are declared."""
    if info.made is None:
        return
    if not callable(info.made):
        raise InputError(f"Scorer '{info.id}' has to be a function or a Scorer, and is a {type(info.made).__name__}.")
    is_scorer = isinstance(info.made, type) and issubclass(info.made, Scorer)
    if isinstance(info.made, type) and not is_scorer:
        raise InputError(f"Scorer '{info.id}' is a class that does not inherit from mad_core.Scorer.")
    if is_scorer and (missing := sorted(info.made.__abstractmethods__)):
        raise InputError(f"Scorer '{info.id}' lacks {' and '.join(missing)}.")
    first = () if is_scorer else ([],)
    try:
        inspect.signature(info.made).bind(*first, **defaults)
    except TypeError as error:
        what = "parameters" if is_scorer else "a list of normals and its parameters"
        raise InputError(f"Scorer '{info.id}' does not take {what} as declared: {error}.") from None
    except ValueError:  # built in, without a signature
        return


def in_this_process(info: ScorerInfo) -> ScorerInfo:
    """The entry of a scorer that no other process knows: its runs stay here, and each version of it makes its own."""
    entry = replace(info, local=object_digest(info.made), scatters=False)

    def settle(parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {**info.settle(parameters), CODE: parameters[CODE] or entry.code}

    def why_not(parameters: Mapping[str, Any]) -> str | None:
        if parameters.get(CODE) not in (None, "", entry.code):
            return f"This run was made by another version of scorer '{info.id}'; score again with the present one."
        return info.why_not(parameters)

    version = Parameter(CODE, "text", "", "Version of the scorer; found by itself.", advanced=True)
    return replace(entry, parameters=(*info.parameters, version), settle=settle, why_not=why_not)


def resolved(wanted: Any) -> str:
    """The id of a scorer: of one that is named, of what stands under :func:`scorer`, or of a model by itself.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if isinstance(wanted, str):
        return wanted
    info: ScorerInfo | None = wanted if isinstance(wanted, ScorerInfo) else getattr(wanted, DECLARATION, None)
    if info is None and isinstance(wanted, ExportedModel):
        id = f"model-{object_digest(wanted)[:8]}"
        scorer(id, title=str(wanted))(wanted)
        return id
    if info is None:
        raise InputError(f"'{wanted!r:.80}' is no scorer: name one of the catalogue, or declare it with @mad.scorer.")
    if info.made is None:
        catalog.register_unless_known(info)
    return info.id
