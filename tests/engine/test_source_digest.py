"""What a kept fit is stale by: every line of source that its scorer imports, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mad_core.scorers import catalog
from mad_core.source_digest import closure, source_digest

FILES = {
    "__init__.py": "import torch_is_not_loaded_by_a_walk\n",
    "model.py": "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nimport numpy\n"
    "from . import helper\nfrom grey.parts.deep import LEVEL\n"
    "if TYPE_CHECKING:\n    from grey import unused\n"
    "def fit():\n    import grey.late as late\n    from mad_core.scorers.reductions import reduce_map\n",
    "helper.py": "from .parts import inner\n",
    "late.py": "",
    "unused.py": "",
    "parts/__init__.py": "inner = 1\n",
    "parts/deep.py": "LEVEL = 2\n",
}
SCORE = """
import sys
from mad_core.scorers.catalog import ScorerInfo
from mad_core.runs.fitted import fit_digest
import pandas as pd
info = ScorerInfo("grey", "Grey", entry="grey.model:Grey")
print(fit_digest(info, {}, pd.DataFrame({"content_hash": ["a"]}), 0, "cpu"))
assert "grey" not in sys.modules
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on the search path whose import would fail."""
    for name, text in FILES.items():
        file = tmp_path / "grey" / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "grey"


def test_the_closure_follows_imports_wherever_they_stand_but_types_and_libraries(package: Path) -> None:
    found = closure("grey.model")
    ours = {name for name in found if name.startswith("mad_core")}
    assert set(found) - ours == {"grey.model", "grey.helper", "grey.parts", "grey.parts.deep", "grey.late"}
    assert ours == {"mad_core.scorers.reductions"}
    assert "grey" not in sys.modules
    with pytest.raises(ModuleNotFoundError, match=r"grey\.absent"):
        closure("grey.absent")


def _fit_digest(package: Path) -> str:
    paths = os.pathsep.join([str(package.parent), str(Path(__file__).resolve().parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", SCORE], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_changed_helper_makes_a_kept_fit_stale_and_an_unused_file_does_not(package: Path) -> None:
    before = _fit_digest(package)
    (package / "unused.py").write_text("other = 1\n")
    (package / "__init__.py").write_text("import nothing_either\n")
    assert _fit_digest(package) == before
    (package / "parts" / "deep.py").write_text("LEVEL = 3\n")
    assert _fit_digest(package) != before


@pytest.mark.parametrize(
    ("scorer", "reached"),
    [
        ("filterbank", "mad_core.scorers.features.filters"),
        ("patchcore", "mad_core.scorers.features.coreset"),
        ("ocr-gan", "mad_core.scorers.detectors.skip_ganomaly"),
        ("mllm", "mad_core.scorers.multimodal.prompts"),
        ("hybrid", "mad_core.metrics.ranking"),
    ],
)
def test_shipped_scorers_reach_what_they_compute_with(scorer: str, reached: str) -> None:
    found = closure(catalog.scorer(scorer).entry.partition(":")[0])
    assert reached in found
    assert not [name for name in found if name.startswith(("mad_core.runs", "mad_core.datasets", "mad_core.settings"))]


def test_every_scorer_has_a_digest_of_its_own_or_shares_its_file() -> None:
    codes = {info.entry.partition(":")[0]: info.code for info in catalog.scorers()}
    assert len(set(codes.values())) == len(codes)
    assert source_digest("mad_core.scorers.reductions") not in codes.values()
