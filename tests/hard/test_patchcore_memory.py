"""PatchCore's memory does not grow with the normals: 5,000 of 1024 x 1024 pixels are fitted within 8 GB.

``MAD_MEMORY_NORMALS`` names fewer; from 1,800 on features are thinned as they come.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.hard, pytest.mark.timeout(3600)]
NORMALS = int(os.environ.get("MAD_MEMORY_NORMALS", "5000"))
FILES, GIGABYTES = 40, 8.0
FIT = """
import resource, sys
from pathlib import Path
from mad_core.scorers import catalog
from mad_core.scorers.contract import Context, Item

files = sorted(Path(sys.argv[1]).glob("*.jpg"))
normals = [Item(str(n), str(files[n % len(files)])) for n in range(int(sys.argv[2]))]
scorer = catalog.scorer("patchcore").create({"backbone": sys.argv[3], "weights": sys.argv[4], "positions": "anywhere"})
scorer.fit(normals, Context(subset="plates", weights=Path(sys.argv[1])))
(scored,) = scorer.score(normals[:1], Context(subset="plates"))
assert scored.status == "ok", scored.reason
print(len(scorer.model.memory_bank), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.parametrize(
    ("backbone", "weights", "normals"),
    [("efficientnet-lite0", "pretrained", NORMALS), ("wide_resnet50_2.tv_in1k", "random", 400)],
)
def test_many_large_normals_fit(backbone: str, weights: str, normals: int, tmp_path: Path) -> None:
    """The wide network's features are ten times as many numbers: 400 normals of it are 2.5 GB, 5,000 of the other 3."""
    rng = np.random.default_rng(0)
    for number in range(FILES):
        grey = 120 + 30 * np.sin(np.arange(1024) / (7 + number))[None, :] + rng.normal(0, 9, (1024, 1024))
        Image.fromarray(np.repeat(grey[..., None], 3, 2).clip(0, 255).astype(np.uint8)).save(
            tmp_path / f"{number:02d}.jpg", quality=90
        )
    command = [sys.executable, "-c", FIT, str(tmp_path), str(normals), backbone, weights]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows, gigabytes = (float(word) for word in done.stdout.split()[-2:])
    print(f"{normals:,} normals of 1024 x 1024, {backbone}: {rows:,.0f} patches kept, {gigabytes:.2f} GB at most")
    assert gigabytes < GIGABYTES and rows > 1000
