"""Who agreed that images leave this machine: kept in a small file, per set of images and host."""

import hashlib
import json
import time

from filelock import FileLock

from mad_core.datasets.dataset import Dataset
from mad_core.errors import WorkError
from mad_core.settings import Settings


def images_digest(dataset: Dataset) -> str:
    """Digest of a dataset's images, whatever their splits, levels and names.

    So a consent outlives a change of labels, and new images are asked about anew.
    """
    digest = hashlib.blake2b(digest_size=12)
    for content in sorted(set(dataset.table["content_hash"])):
        digest.update(content.encode() + b"\n")
    return digest.hexdigest()


def agreed_hosts(settings: Settings, dataset: Dataset) -> frozenset[str]:
    """Hosts that a person agreed to send these images to; none where the file cannot be read."""
    consents = _read(settings)
    return frozenset(consents.get(images_digest(dataset), {})) if consents else frozenset()


def agree(settings: Settings, dataset: Dataset, host: str) -> None:
    """Keep that a person agreed to send these images to ``host``.

    Raises
    ------
    WorkError
        If it cannot be written.
    """
    _change(settings, images_digest(dataset), host, agreed=time.time())


def withdraw(settings: Settings, dataset: Dataset, host: str) -> None:
    """Forget that a person agreed.

    Raises
    ------
    WorkError
        If it cannot be written.
    """
    _change(settings, images_digest(dataset), host, agreed=None)


def _change(settings: Settings, digest: str, host: str, *, agreed: float | None) -> None:
    path = settings.home / "consents.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            consents = _read(settings)
            hosts = {name: when for name, when in consents.get(digest, {}).items() if name != host}
            consents[digest] = hosts if agreed is None else {**hosts, host: agreed}
            building = path.with_suffix(".part")
            building.write_text(json.dumps(consents, indent=1), encoding="utf-8")
            building.replace(path)
    except OSError as error:
        raise WorkError(f"The consent cannot be kept in {path}: {error.strerror}.") from None


def _read(settings: Settings) -> dict[str, dict[str, float]]:
    try:
        consents = json.loads((settings.home / "consents.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return consents if isinstance(consents, dict) else {}
