"""Examples run as they stand: notebooks, and those in the docstrings of the public modules."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
MODULES = (
    "mad_core.api",
    "mad_core.assets",
    "mad_core.extras",
    "mad_core.metrics.special",
    "mad_core.metrics.summary",
    "mad_core.metrics.ranking",
    "mad_core.testing",
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAD_HOME", str(tmp_path))
    outcome = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert outcome.failed == 0


@pytest.fixture(scope="module")
def demo_home(tmp_path_factory: pytest.TempPathFactory, with_demo) -> Path:
    """A store that both notebooks share, with a smaller demo."""
    return with_demo(tmp_path_factory.mktemp("home"), normals=24, a_level=8)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks(notebook: Path, demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install -r requirements-dev.txt")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install -r requirements-dev.txt")
    monkeypatch.setenv("MAD_HOME", str(demo_home))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    text = nbformat.read(notebook, as_version=4)
    assert not any(cell.get("outputs") for cell in text.cells), "outputs are not committed"
    done = nbclient.NotebookClient(text, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert len(NOTEBOOKS) == 2 and any("text/html" in output.get("data", {}) for output in outputs)
    if notebook.stem == "audit_labels":
        assert any(output.get("text", "").startswith("3 of 3 spoilt") for output in outputs)
