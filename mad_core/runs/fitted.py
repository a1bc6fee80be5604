"""Fitted scorers on disk: safetensors and a JSON manifest, reused when nothing that matters changed."""

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import SafetensorError

from mad_core.errors import WorkError
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Context, Scorer

STATE = "state.safetensors"
MANIFEST = "manifest.json"


def fit_digest(
    info: ScorerInfo,
    parameters: Mapping[str, Any],
    normals: pd.DataFrame,
    seed: int,
    device: str,
    further: Sequence[str] = (),
) -> str:
    """What a fit depends on: scorer, parameters, its code, the normals' content in order, seed, device type.

    ``further``: runs it builds on and labelled images it learns from, in a fixed order.
    """
    facts = [info.id, dict(parameters), info.code, seed, device.partition(":")[0]]
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=12)
    for content in (*normals["content_hash"], *further):
        digest.update(content.encode())
    return digest.hexdigest()


def save_fit(folder: Path, scorer: Scorer, manifest: Mapping[str, Any]) -> None:
    """Keep a scorer's fitted state in ``folder``, all of it or nothing."""
    from safetensors.torch import save_file  # loads torch, which not every scorer needs

    tensors, facts = scorer.state()
    building = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        building.mkdir(parents=True)
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, building / STATE)
        (building / MANIFEST).write_text(json.dumps({**manifest, "facts": facts}, indent=1))
        if folder.exists():
            shutil.rmtree(folder)
        building.rename(folder)
    except OSError as error:
        raise WorkError(f"The fitted scorer cannot be kept in {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def load_fit(folder: Path, scorer: Scorer, context: Context) -> bool:
    """Give a scorer its fitted state back; False where there is none that can be read."""
    if not (folder / MANIFEST).is_file():
        return False
    from safetensors.torch import load_file

    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        tensors = load_file(folder / STATE)
    except (OSError, ValueError, SafetensorError):
        return False
    scorer.restore(tensors, manifest["facts"], context)
    return True
