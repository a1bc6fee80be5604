"""Digests of what exists in this process alone: a function of a notebook and all that it holds on to."""

import functools
import hashlib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

DEPTH = 8
"""How far attributes of attributes are followed."""
PLAIN = (str, int, float, complex, bool, type(None), type(Ellipsis))
CODE = (types.FunctionType, types.MethodType, types.CodeType, type, staticmethod, classmethod)
OMITTED = "scorer_info"
"""Attribute that says under which name a thing is known; it is no part of the thing."""


def object_digest(thing: Any) -> str:
    """Digest of a function's code, defaults, closure and the globals it names; of a class by its functions; of a
    model by its tensors; of other objects by their attributes. What libraries hold counts by its name."""
    return _digest(thing, lambda part: True)


def code_digest(thing: Any) -> str:
    """The same of functions and classes alone: what is computed, without the data that it is computed with."""
    return _digest(thing, lambda part: isinstance(part, CODE))


def _digest(thing: Any, counts: Callable[[Any], bool]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    home = getattr(thing, "__module__", None)
    for part in _parts(thing, str(home or "__main__").partition(".")[0], counts, 0, {}):
        digest.update(part)
        digest.update(b"\n")
    return digest.hexdigest()


def _parts(thing: Any, home: str, counts: Callable[[Any], bool], depth: int, seen: dict[int, Any]) -> Iterator[bytes]:
    """What a thing is made of, as bytes; ``seen`` keeps what was met, so that circles end."""
    if isinstance(thing, bytes):
        yield thing
    elif isinstance(thing, PLAIN):
        yield repr(thing).encode("utf-8", "surrogatepass")
    else:
        yield f"{type(thing).__module__}.{type(thing).__qualname__}".encode()
        if id(thing) in seen or depth > DEPTH:
            return
        seen[id(thing)] = thing
        for part in _inner(thing, home, counts):
            yield from _parts(part, home, counts, depth + 1, seen)


def _inner(thing: Any, home: str, counts: Callable[[Any], bool]) -> Iterable[Any]:
    if isinstance(thing, types.CodeType):
        return thing.co_code, thing.co_names, thing.co_varnames, thing.co_consts
    if isinstance(thing, types.FunctionType | type) and str(thing.__module__).partition(".")[0] != home:
        return thing.__module__, thing.__qualname__
    if isinstance(thing, types.FunctionType):
        held = [thing.__defaults__, thing.__kwdefaults__, *map(_content, thing.__closure__ or ())]
        held += [thing.__globals__.get(name) for name in sorted(_names(thing.__code__))]
        return thing.__code__, *filter(counts, held)
    if isinstance(thing, type):
        functions = {name: value for name, value in vars(thing).items() if isinstance(value, CODE)}
        data = {name: value for name, value in vars(thing).items() if not name.startswith("__")}
        return thing.__qualname__, *(value for _, value in sorted({**data, **functions}.items()) if counts(value))
    if isinstance(thing, types.MethodType | staticmethod | classmethod):
        return (thing.__func__,)
    if isinstance(thing, types.ModuleType | types.BuiltinFunctionType):
        return (thing.__name__,)
    if isinstance(thing, list | tuple):
        return thing
    return _data(thing) if counts(thing) else ()


def _data(thing: Any) -> Iterable[Any]:
    """What an object holds."""
    if isinstance(thing, Mapping):
        return [part for pair in thing.items() for part in pair]
    if isinstance(thing, set | frozenset):
        return sorted(thing, key=repr)
    if isinstance(thing, functools.partial):
        return thing.func, thing.args, thing.keywords
    if hasattr(thing, "state_dict"):  # a torch module, also a scripted one
        return str(thing), dict(thing.state_dict()), str(getattr(thing, "code", ""))
    if hasattr(thing, "detach"):  # a tensor
        import torch

        return (
            str(thing.dtype),
            tuple(thing.shape),
            thing.detach().cpu().contiguous().flatten().view(torch.uint8).numpy(),
        )
    if hasattr(thing, "tobytes"):  # an array
        return str(getattr(thing, "dtype", "")), tuple(getattr(thing, "shape", ())), thing.tobytes()
    held = getattr(thing, "__dict__", {})
    return [part for name in sorted(held) if name != OMITTED for part in (name, held[name])]


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return None


def _names(code: types.CodeType) -> set[str]:
    """Names that a function and those within it look up."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return {*code.co_names}.union(*(_names(one) for one in inner))
