"""The browser's side without a browser: modules become one, the lint sees what it should, and pure parts compute."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pages.ui.component import bundled
from tests.browser.conftest import ROOT
from tools.lint_js import faults, scripts

NODE = shutil.which("node") or ""
needs_node = pytest.mark.skipif(not NODE, reason="Node is not installed (Debian: apt-get install nodejs)")
ENTRIES = (
    "ui/js/viewer.js",
    "ui/js/gallery.js",
    "ui/js/stage.js",
    "audit/review.js",
    "audit/pairs.js",
    "studies/cutting.js",
    "images/picture_map.js",
)


def node(*arguments: str, script: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([NODE, *arguments], input=script, capture_output=True, text=True, cwd=ROOT, check=False)


@needs_node
def test_pure_parts_compute_what_they_should() -> None:
    done = node("--test", "tests/js/")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "# fail 0" in done.stdout and "# tests 0" not in done.stdout


@needs_node
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_component_is_one_module(entry: str) -> None:
    text = bundled(ROOT / "pages" / entry)
    assert node("--check", "--input-type=module", "-", script=text).stderr == ""
    assert text.count("export default ") == 1


@needs_node
def test_modules_keep_their_own_scope_and_are_there_once(tmp_path: Path) -> None:
    write(
        tmp_path / "deep" / "count.js",
        "const own = 1;\nlet made = 0;\nexport function next() {\n  return (made += own);\n}\n",
    )
    for name in "ab":
        text = (
            f'import {{ next }} from "./deep/count.js";\n\nconst own = 10;\nexport const {name} = () => own * next();\n'
        )
        write(tmp_path / f"{name}.js", text)
    write(
        tmp_path / "entry.js",
        'import { a } from "./a.js";\nimport { b } from "./b.js";\n\nexport default [a(), b()];\n',
    )
    text = bundled(tmp_path / "entry.js")
    assert node("--input-type=module", "-", script=f"{text}\nconsole.log(a(), b())").stdout == "30 40\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('import * as all from "./other.js";', "not understood"),
        ('import { a as b } from "./other.js";', "not understood"),
        ('export { a } from "./other.js";', "not understood"),
        ('import { me } from "./entry.js";', "imports itself"),
    ],
)
def test_what_the_loader_does_not_understand_is_a_sentence(tmp_path: Path, line: str, sentence: str) -> None:
    write(tmp_path / "other.js", "export const a = 1;\n")
    write(tmp_path / "entry.js", f"{line}\nexport const me = 1;\n")
    with pytest.raises(ValueError, match=sentence):
        bundled(tmp_path / "entry.js")


def test_the_lint_has_nothing_to_say() -> None:
    assert list(faults(scripts(ROOT))) == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("node.innerHTML = text;", "never as markup"),
        ("eval(text);", "never run"),
        ("if (a == b) a();", "compare with ==="),
        ("var a = 1;", "const or let"),
        ("console.log(a);", "left from looking"),
        ('fetch("https://example.org/a.js");', "nothing is loaded"),
        ("a(); ", "blank"),
        (f"a('{160 * 'a'}');", "longer than"),
        ('import { gone } from "./other.js";\ngone();', "exports no gone"),
        ('import { there } from "./other.js";', "there is imported and not used"),
        ("function alone() {}", "alone is not used"),
        ("export const lonely = 1;", "nobody imports lonely"),
    ],
)
def test_the_lint_sees(tmp_path: Path, line: str, sentence: str) -> None:
    write(tmp_path / "pages" / "other.js", "export const there = 1;\n")
    write(tmp_path / "pages" / "entry.js", f'import {{ there }} from "./other.js";\n\nthere();\n{line}\n')
    if "import { there }" in line:
        write(tmp_path / "pages" / "entry.js", f"{line}\n")
    found = list(faults(scripts(tmp_path)))
    assert len(found) == 1 and sentence in found[0]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
