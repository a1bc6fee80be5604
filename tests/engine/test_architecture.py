"""Who may import whom; and the web process never loads torch."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mad_core.datasets.dataset import Imported
from mad_core.runs.database.schema import metadata
from mad_core.runs.store import RunRequest, Store
from mad_core.scorers.contract import Scored
from mad_core.settings import Settings

from .conftest import make_dataset

ROOT = Path(__file__).resolve().parents[2]

FLOORS = (
    {"errors"},
    {"extras", "labelled", "palette", "assets", "source_digest", "paths", "secret_key", "filekinds"},
    {"settings", "metrics", "tables", "machine"},
    {"figures", "remote", "mask_pixels", "pixels", "ignored"},
    {"dicom", "wide_tiff"},
    {"image_formats"},
    {"images", "map_files", "learning"},
    {"datasets"},
    {"scorers", "scorefiles"},
    {"cluster"},
    {"runs"},
    {"audit", "bench", "backup", "export", "studies"},
    {"report"},
    {"cli", "api", "testing"},
    {"pages", "__main__", "mad_core"},
    {"app"},
)
"""Ground up. A file may import from its own room and from rooms on lower floors."""

LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
PURE = {"metrics", "figures"}
"""Rooms of pure functions of arrays; the two sets below are all they may reach."""
PURE_LIBRARIES = {"numpy", "pandas", "plotly", *sys.stdlib_module_names}
PURE_ROOMS = {"errors", "labelled", "palette", "metrics", "figures"}


def files(root: Path) -> list[Path]:
    return [p for p in (root / "app.py", *root.glob("mad_core/**/*.py"), *root.glob("pages/**/*.py")) if p.is_file()]


def module_of(root: Path, file: Path) -> str:
    return ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str | None:
    """The room of one of our modules; None for libraries."""
    parts = module.split(".")
    if parts[0] in ("pages", "app"):
        return parts[0]
    return (parts[1] if len(parts) > 1 else "mad_core") if parts[0] == "mad_core" else None


def imported(root: Path, file: Path) -> Iterator[str]:
    """Every module a file imports: at its top or in a function, absolute or relative, for types too."""
    package = module_of(root, file).split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def faults(root: Path) -> list[str]:
    """One sentence for every import that the plan of the house forbids."""
    found = []
    for file in files(root):
        module = module_of(root, file)
        here = room(module)
        for target in imported(root, file):
            there, library = room(target), target.split(".")[0]
            ours = library in ("mad_core", "pages", "app")
            if module.startswith("mad_core") and library == "streamlit":
                found.append(f"{module} imports streamlit")
            elif ours and here != there and here and not (there and LEVEL[there] < LEVEL[here]):
                found.append(f"{module} imports upwards: {target}")
            elif here in PURE and (there not in PURE_ROOMS if ours else library not in PURE_LIBRARIES):
                found.append(f"{module} is not pure: {target}")
    return found


def test_every_file_has_its_floor() -> None:
    rooms = {room(module_of(ROOT, file)) for file in files(ROOT)} - {None}
    assert rooms >= {"errors", "settings", "metrics", "figures", "images", "datasets", "scorers", "runs", "pages"}
    assert rooms <= set(LEVEL), "give the new room a floor in FLOORS"


def test_imports_only_point_down() -> None:
    assert faults(ROOT) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("mad_core/images.py", "import streamlit as st", "mad_core.images imports streamlit"),
        ("mad_core/runs/x.py", "def f():\n    from streamlit.runtime import y", "mad_core.runs.x imports streamlit"),
        ("mad_core/datasets/x.py", "from mad_core.runs.store import S", "mad_core.datasets.x imports upwards"),
        ("mad_core/datasets/x.py", "from ..runs.store import S", "mad_core.datasets.x imports upwards"),
        ("mad_core/datasets/x.py", "from .. import runs", "mad_core.datasets.x imports upwards"),
        ("mad_core/datasets/x.py", "from mad_core import runs", "mad_core.datasets.x imports upwards"),
        ("mad_core/images.py", "def f():\n    import mad_core.cli.main", "mad_core.images imports upwards"),
        ("mad_core/cli/main.py", "from pages.ui import engine", "mad_core.cli.main imports upwards"),
        ("mad_core/figures/x.py", "from mad_core.settings import S", "mad_core.figures.x is not pure"),
        ("mad_core/metrics/x.py", "import torch", "mad_core.metrics.x is not pure"),
        ("mad_core/metrics/x.py", "from mad_core.figures import y", "mad_core.metrics.x imports upwards"),
        ("mad_core/metrics/x.py", "import math, numpy\nfrom statistics import NormalDist\nfrom . import y", None),
        ("mad_core/runs/x.py", "import torch\nfrom mad_core.scorers import catalog\nfrom .store import S", None),
        ("pages/x.py", "import streamlit\nfrom mad_core.runs import store\nfrom pages.ui import engine", None),
    ],
)
def test_the_walk_sees_what_it_should(tmp_path: Path, file: str, text: str, fault: str | None) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = faults(tmp_path)
    assert [f.startswith(fault) for f in found] == [True] if fault else found == []


def test_names_of_work_to_be_imported_later_exist() -> None:
    """``"module:Name"`` texts are arrows that the walk does not see."""
    texts = re.findall(r'"(mad_core[\w.]+):(\w+)"', "\n".join(p.read_text(encoding="utf-8") for p in files(ROOT)))
    assert len(texts) >= 10
    for module, name in texts:
        source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
        assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE), f"{module}:{name}"


def test_no_two_public_classes_share_a_name() -> None:
    """A name in a message, a test or a search leads to one thing."""
    modules: dict[str, list[str]] = {}
    for file in files(ROOT):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                modules.setdefault(node.name, []).append(module_of(ROOT, file))
    assert len(modules) > 100
    assert {name: homes for name, homes in modules.items() if len(homes) > 1} == {}


def test_a_table_is_read_and_written_in_one_room_alone() -> None:
    """Others ask that room: its rows can change their form without a search through the house."""
    schema = "mad_core.runs.database.schema."
    rooms: dict[str, set[str]] = {}
    for file in files(ROOT):
        for target in imported(ROOT, file):
            if target.startswith(schema) and target != f"{schema}metadata":
                rooms.setdefault(target.removeprefix(schema), set()).add(table_room(module_of(ROOT, file)))
    assert {table: len(owners) for table, owners in rooms.items()} == dict.fromkeys(metadata.tables, 1), rooms


def table_room(module: str) -> str:
    """``mad_core.runs.store`` and ``mad_core.runs.queue`` are two rooms as far as tables go."""
    return ".".join(module.split(".")[: 3 if module.startswith("mad_core.runs") else 2])


OPEN_EVERYTHING = """
import importlib, json, pathlib, sys
from streamlit.testing.v1 import AppTest

for file in sorted(set(pathlib.Path("pages").rglob("*.py")) - set(pathlib.Path("pages").glob("*/page.py"))):
    importlib.import_module(".".join(file.with_suffix("").parts).removesuffix(".__init__"))
app = AppTest.from_file("app.py", default_timeout=60).run()
seen = {}
for page in json.loads(sys.argv[1]):
    app.switch_page(page).run()
    seen[page] = {"title": [t.value for t in app.title], "errors": [str(e.value) for e in app.exception]}
importlib.import_module("mad_core.runs.execute")  # a worker whose scorer needs no network loads none
print(json.dumps({"pages": seen, "loaded": sorted({"torch", "anomalib", "timm", "transformers"} & set(sys.modules))}))
"""


def test_the_web_process_never_loads_torch(tmp_path: Path) -> None:
    """Every module of the pages is imported and every page is opened, with a run in the store to draw."""
    pages = re.findall(r'st\.Page\("(pages/\w+/page\.py)", title="(\w+)"', (ROOT / "app.py").read_text())
    assert len(pages) >= 4
    store = Store(Settings.from_environment({"MAD_HOME": str(tmp_path)}))
    dataset_id = store.add_dataset(Imported(make_dataset()))
    run = store.request_run(RunRequest(dataset_id, "filterbank", {}))
    for subset in ("a", "b"):
        rows = store.test_images(store.dataset(dataset_id), [subset])
        store.add_scores(run.id, subset, [(Scored(i, v), None) for v, i in enumerate(rows["image_id"])])
    store.update_run(run.id, status="done")
    store.close()
    done = subprocess.run(
        [sys.executable, "-c", OPEN_EVERYTHING, json.dumps([path for path, _ in pages])],
        cwd=ROOT,
        env={**os.environ, "MAD_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["loaded"] == []
    for path, title in pages:
        assert report["pages"][path] == {"title": [title], "errors": []}, done.stderr
