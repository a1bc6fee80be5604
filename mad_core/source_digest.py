"""The digest of the source that makes a result: a module and all that it imports, read without importing anything.

A kept fit or a stored finding is stale when a line changed that could have changed it. Which lines these are says the
source itself: the imports of a module, wherever in the file they stand, and of what they lead to, as far as they stay
in the module's own package or in this software.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

OURS = "mad_core"
STOPS = (
    "mad_core.api",
    "mad_core.assets",
    "mad_core.audit",
    "mad_core.cluster",
    "mad_core.datasets",
    "mad_core.errors",
    "mad_core.machine",
    "mad_core.palette",
    "mad_core.remote",
    "mad_core.runs",
    "mad_core.scorers.cards",
    "mad_core.scorers.catalog",
    "mad_core.scorers.contract",
    "mad_core.settings",
    "mad_core.source_digest",
    "mad_core.studies.study",
)
"""Where the walk ends: rooms and files that carry, name and keep things. What passes through them and could change a
number (parameters, pixels, labels, scores) is in the digest of a request already; a new column of the store or another
word in a sentence must not throw away every fit that anybody kept."""


@cache
def source_digest(*modules: str) -> str:
    """Digest of the modules' source and of all that they import, see :func:`closure`.

    It is read once in a process, whose code does not change either.

    Raises
    ------
    ModuleNotFoundError
        If there is no such module.
    """
    digest = hashlib.blake2b(digest_size=8)
    for name, path in closure(*modules).items():
        digest.update(name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def closure(*modules: str) -> dict[str, Path]:
    """The modules and those that they import, directly or through others, in the order of their names.

    Only the modules' own top-level packages and this software are followed, the latter not beyond ``STOPS``; an
    import for type checkers alone, and the ``__init__`` of a package that is merely passed through, do not count.

    Returns
    -------
    dict of str to Path
        Name and source file of each.

    Raises
    ------
    ModuleNotFoundError
        If one of ``modules`` cannot be found.
    """
    followed = {OURS, *(name.partition(".")[0] for name in modules)}
    files: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in files:
            continue
        path = source_of(name)
        if path is None:
            if name in modules:
                raise ModuleNotFoundError(f"The module {name} cannot be found.")
            continue
        files[name] = path
        waiting += [
            imported
            for imported in _imports(name, path)
            if imported.partition(".")[0] in followed and _followed(imported)
        ]
    return dict(sorted(files.items()))


def _followed(name: str) -> bool:
    return name != OURS and not any(name == stop or name.startswith(f"{stop}.") for stop in STOPS)


def source_of(module: str) -> Path | None:
    """The source file of a module, found without importing its package; None where there is none."""
    top, *parts = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    if not parts:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for place in spec.submodule_search_locations or ():
        base = Path(place, *parts)
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if path.is_file():
                return path
    return None


def _imports(module: str, path: Path) -> Iterator[str]:
    """Names of the modules that a file imports; a name that is imported from a package may be a module too."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for level, base, names in _import_statements(path.read_bytes()):
        above = ".".join([*package[: len(package) - level + 1], *([base] if base else [])]) if level else base
        inner = [f"{above}.{name}" for name in names]
        modules = [name for name in inner if source_of(name)] if names else []
        yield from modules
        if len(modules) < len(names) or not names:
            yield above


@lru_cache(maxsize=1024)
def _import_statements(content: bytes) -> list[tuple[int, str, tuple[str, ...]]]:
    """Level, module and names of every import in a file's text."""
    statements: list[tuple[int, str, tuple[str, ...]]] = []
    waiting: list[ast.AST] = [ast.parse(content)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            statements += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            statements.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return statements
