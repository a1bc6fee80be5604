"""What this machine can do, and what is missing."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mad_core import remote
from mad_core.cluster import connection
from mad_core.errors import MadError
from mad_core.extras import install, installed
from mad_core.machine import devices
from mad_core.runs.database import engine
from mad_core.scorers import catalog
from mad_core.scorers.features import weights
from mad_core.scorers.multimodal import models
from mad_core.settings import Settings

LITTLE_DISK = 5_000_000_000
"""Bytes below which the store's disk is called nearly full: weights and one run's maps can take as much."""


def examine(settings: Settings) -> dict[str, Any]:
    """Look at the device, the store's folder and every scorer; nothing is made or fetched.

    Returns
    -------
    dict
        ``python`` (version), ``device`` (``id``, ``name``, ``sentence``, ``memory`` and ``free`` in
        bytes), ``store`` (``home``, ``free_bytes``), ``http`` (of the HTTP interface: ``token``, whether
        there is one, and ``requests_a_minute``), ``scorers`` (entries as ``scorers --json``),
        ``plugins`` (what installed packages declare: ``name``, ``entry``, ``package``, ``scorers``, ``why_not``),
        ``weights`` (backbones and teachers: ``name``, ``source``, ``megabytes``, ``licence``, ``on_disk``),
        ``models`` (multimodal models: what each needs, whether it fits and is on disk), ``missing``
        (sentences: what cannot be done here, and how to get it). JSON-able.
    """
    missing: list[str] = []
    device = _device(settings.device, missing)
    store = _store(settings.home, missing)
    missing += _elsewhere(settings)
    scorers = [info.to_json() for info in catalog.scorers()]
    missing += [f"{entry['title']}: {entry['why_not']}" for entry in scorers if entry["why_not"]]
    plugins = [plugin.to_json() for plugin in catalog.plugins()]
    missing += [plugin["why_not"] for plugin in plugins if plugin["why_not"]]
    return {
        "python": platform.python_version(),
        "device": device,
        "store": store,
        "http": {"token": settings.api_token is not None, "requests_a_minute": settings.api_rate},
        "scorers": scorers,
        "plugins": plugins,
        "weights": weights.overview(settings.weights),
        "models": models.overview(),
        "missing": missing,
    }


def _device(asked: str, missing: list[str]) -> dict[str, Any]:
    """The device that work runs on; the CPU where the one asked for is not there."""
    try:
        device = devices.resolve(asked)
    except MadError as error:
        device = "cpu"
        missing.append(f"MAD_DEVICE: {error}")
    facts = devices.facts(device)
    sentence = f"{facts['memory'] / 2**30:.0f} GiB of memory, {facts['free'] / 2**30:.0f} GiB free."
    if len(facts["devices"]) == 1:
        missing.append(_no_gpu())
    elif device == "cpu":
        sentence += f" Work runs on the CPU although there is {', '.join(facts['devices'][1:])}."
    return {"id": device, "name": facts["name"], "sentence": sentence, "memory": facts["memory"], "free": facts["free"]}


def _no_gpu() -> str:
    if not installed("torch"):
        return f"torch is not installed, so no scorer that ships can run: {install('detectors')}."
    import torch

    cure = "install its driver." if torch.version.cuda else "install torch with CUDA, see https://pytorch.org."
    return (
        "No CUDA device: everything runs on the CPU, and scorers that train take minutes to hours. "
        f"If this machine has an NVIDIA GPU, {cure}"
    )


def _elsewhere(settings: Settings) -> Iterator[str]:
    """What the settings ask for beyond this machine and its disk, and is not installed."""
    try:
        engine.open_engine(settings.database_url)
    except MadError as error:
        yield str(error)
    if settings.executor == "ray" and importlib.util.find_spec("ray") is None:
        yield f"{connection.NEEDS}."
    for address in settings.allowed_addresses:
        try:
            remote.ready(address)
        except MadError as error:
            yield str(error)


def _store(home: Path, missing: list[str]) -> dict[str, Any]:
    """The store's folder, or where it will be made, and how much its disk still takes."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if not (there.is_dir() and os.access(there, os.W_OK)):
        missing.append(f"The store cannot be written at {home}: set MAD_HOME to a folder that is yours.")
    if free < LITTLE_DISK:
        missing.append(
            f"Only {free / 1e9:.1f} GB are free for the store at {home}: set MAD_HOME to a folder on a larger disk, "
            "or delete runs (their maps take most)."
        )
    return {"home": str(home), "free_bytes": free}
