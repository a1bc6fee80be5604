"""The browser's side of the components: ES modules in files, made into the one module that Streamlit takes."""

import re
from pathlib import Path
from typing import Any

from streamlit.components.v2 import component

_IMPORT = re.compile(r'^import \{ (\w+(?:, \w+)*) \} from "(\.{1,2}/[\w./-]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
_LEFT = re.compile(r"^(?:import\b|export\b(?! default\b)).*", re.MULTILINE)


def load(name: str, script: Path, *styles: Path) -> Any:
    """A component of Streamlit from a module and style sheets, by default the one of the same name beside it."""
    css = "\n".join(style.read_text(encoding="utf-8") for style in styles or (script.with_suffix(".css"),))
    return component(name, js=bundled(script), css=css)


def bundled(script: Path) -> str:
    """One module of a script and of all that it imports, each once and in a scope of its own.

    What is understood are named imports of files, ``import { a, b } from "./c.js";``, and exports where a name is
    declared; the script itself has the default export.

    Raises
    ------
    ValueError
        If an import or export has another form, or files import each other in a circle.
    """
    modules: dict[Path, str] = {}
    entry = _resolved(script.resolve(), modules, ())
    return "\n".join([*modules.values(), entry])


def _resolved(path: Path, modules: dict[Path, str], above: tuple[Path, ...]) -> str:
    """The text of a module with its imports taken from ``modules``, to which those that lack are added."""
    if path in above:
        raise ValueError(f"{path.name} imports itself, through {', '.join(p.name for p in above)}")

    def imported(match: re.Match[str]) -> str:
        target = (path.parent / match[2]).resolve()
        if target not in modules:
            text = _resolved(target, modules, (*above, path))
            names = ", ".join(_EXPORT.findall(text))
            modules[target] = (
                f"const module{len(modules)} = (() => {{\n{_plain(text, target)}\nreturn {{ {names} }};\n}})();"
            )
        return f"const {{ {match[1]} }} = module{list(modules).index(target)};"

    text = _IMPORT.sub(imported, path.read_text(encoding="utf-8"))
    return text if above else _plain(text, path)


def _plain(text: str, path: Path) -> str:
    plain = _EXPORT.sub("", text)
    if left := _LEFT.search(plain):
        raise ValueError(f"{path.name}: this form of import or export is not understood: {left[0]}")
    return plain
