"""anomalib without what a scorer does not use: each name of its packages is loaded when it is asked for.

``anomalib.models`` loads every model it has, Lightning, the clients of language models and matplotlib: four seconds
of a processor and 230 MB beside what one network of its needs. Here an ``__init__`` of anomalib is read for where
its names come from, and runs as a whole only for what it defines itself. What anomalib offers stays the same.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

LIBRARY = "anomalib"


class _Package(Loader):
    """A package whose names are imported from where its ``__init__`` says when they are asked for."""

    def __init__(self, whole: InspectLoader) -> None:
        self.whole = whole

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        origins = _origins(self.whole.get_source(module.__name__) or "", module.__name__)

        def look_up(name: str) -> Any:
            if name in origins:
                value = _imported(*origins[name], module.__name__)
            elif name == "__all__" or not name.startswith("__"):
                vars(module).pop("__getattr__", None)
                self.whole.exec_module(module)
                return getattr(module, name)
            else:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            setattr(module, name, value)
            return value

        vars(module)["__getattr__"] = look_up


def _origins(source: str, package: str) -> dict[str, tuple[str, str]]:
    """The module, and the name there, of each name that the text of a package's ``__init__`` imports from elsewhere."""
    return {
        alias.asname or alias.name: (_absolute(statement, package), alias.name)
        for statement in ast.parse(source).body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
        if alias.name != "*"
    }


def _absolute(statement: ast.ImportFrom, package: str) -> str:
    return importlib.util.resolve_name("." * statement.level + (statement.module or ""), package)


def _imported(module: str, name: str, package: str) -> Any:
    """What ``from module import name`` gives in that package's ``__init__``."""
    if module == package:
        return importlib.import_module(f"{package}.{name}")
    return getattr(__import__(module, fromlist=(name,)), name)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{LIBRARY}."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.submodule_search_locations and isinstance(spec.loader, InspectLoader):
            spec.loader = _Package(spec.loader)
        return spec


def install() -> None:
    """Have anomalib's packages loaded so from now on in this process; what is loaded already stays as it is."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
