"""Lint of the browser's side: ``python -m tools.lint_js``, a part of ``make lint``. It needs Node for the syntax alone.

Exit status: 0 nothing to say (or no Node, which it says); 1 something is wrong, a line each.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 160
FORBIDDEN = {
    r"\.(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write\b": "texts are set as text, never as markup",
    r"\beval\(|\bnew Function\b|\bset(?:Timeout|Interval)\(\s*[\"'`]": "texts are never run",
    r"(?<![=!])[=!]=(?!=)": "compare with === or !==",
    r"^\s*var\b": "declare with const or let",
    r"\bdebugger\b|\bconsole\.\w+\(": "left from looking for a fault",
    r"https?://(?!www\.w3\.org/)": "nothing is loaded from elsewhere",
    r"[ \t]+$|\t": "blank where none belongs",
}
"""Pattern to what is wrong with it; comments are not looked at."""
IMPORT = re.compile(r'^import \{ (\w+(?:, \w+)*) \} from "([^"]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:function|class|const) (\w+)", re.MULTILINE)
DECLARED = re.compile(r"^(?:async )?(?:function|class|const|let) (\w+)", re.MULTILINE)
COMMENT = re.compile(r"^[ \t]*(?:/\*\*|\*|//).*$|[ \t]//[ \t].*$", re.MULTILINE)


def scripts(root: Path) -> dict[Path, str]:
    """Every script of the pages and of their tests, by its path."""
    paths = sorted([*root.glob("pages/**/*.js"), *root.glob("tests/js/*.js")])
    return {path: path.read_text(encoding="utf-8") for path in paths}


def faults(texts: Mapping[Path, str]) -> Iterator[str]:
    """What is wrong with scripts, a sentence each."""
    for path, text in texts.items():
        for number, line in enumerate(COMMENT.sub("", text).splitlines(), 1):
            yield from (f"{path}:{number}: {why}" for wrong, why in FORBIDDEN.items() if re.search(wrong, line))
            if len(line) > WIDTH:
                yield f"{path}:{number}: longer than {WIDTH} characters"
        yield from _names(path, texts)
    yield from _unused(texts)


def _names(path: Path, texts: Mapping[Path, str]) -> Iterator[str]:
    """Imports of what is not there, and names that nothing uses."""
    text = COMMENT.sub("", texts[path])
    for names, source in IMPORT.findall(text):
        exported = EXPORT.findall(texts.get((path.parent / source).resolve(), "")) if source[0] == "." else None
        for name in names.split(", "):
            if exported is not None and name not in exported:
                yield f"{path}: {source} exports no {name}"
            if _uses(text, name) < 2:
                yield f"{path}: {name} is imported and not used"
    yield from (f"{path}: {name} is not used" for name in DECLARED.findall(text) if _uses(text, name) < 2)


def _unused(texts: Mapping[Path, str]) -> Iterator[str]:
    """Exports that no file imports."""
    imported = {
        ((path.parent / source).resolve(), name)
        for path, text in texts.items()
        for names, source in IMPORT.findall(text)
        for name in names.split(", ")
    }
    for path, text in texts.items():
        yield from (f"{path}: nobody imports {name}" for name in EXPORT.findall(text) if (path, name) not in imported)


def _uses(text: str, name: str) -> int:
    return len(re.findall(rf"(?:(?<![\w.])|(?<=\.\.\.)){name}\b", text))


def syntax_faults(node: str, texts: Mapping[Path, str]) -> Iterator[str]:
    """What Node says of files that are no JavaScript."""
    for path in texts:
        done = subprocess.run([node, "--check", str(path)], capture_output=True, text=True)
        if done.returncode:
            yield done.stderr.strip()


def main() -> int:
    texts, node = scripts(ROOT), shutil.which("node")
    wrong = list(faults(texts))
    if node is None:
        print("Node is not installed, so the syntax of JavaScript was not checked (Debian: apt-get install nodejs).")
    else:
        wrong += syntax_faults(node, texts)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
