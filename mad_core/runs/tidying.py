"""What was uploaded goes after a while, and so do archives that became no dataset and masks of datasets that went."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from mad_core.paths import remove_tree
from mad_core.runs.database.engine import Database
from mad_core.runs.database.schema import metadata
from mad_core.settings import Settings

KEEP_DAYS = 7
"""How long single images, and uploads, unpacked archives and masks that no dataset needs, are kept."""


def tidy(database: Database) -> list[Path]:
    """Remove what nothing needs any more; returns what went.

    Kept are the imports of datasets, and whatever a job that is queued or at work names.
    """
    settings, limit = database.settings, time.time() - KEEP_DAYS * 86_400
    with database.read() as connection:
        unused = unused_files(connection, settings)
    old = [path for path in unused if _last_change(path) < limit]
    for path in old:
        _remove(path)
    return old


def unused_files(connection: Connection, settings: Settings) -> list[Path]:
    """Single uploads, uploaded and unpacked archives that no dataset comes from and no active job names; made masks
    that no image has."""
    homes = [folder.resolve() for folder in (settings.uploads, settings.imports)]
    needed = {
        home / path.relative_to(home).parts[0] for path in _named(connection) for home in homes if home in path.parents
    }
    unneeded = [path for home in homes for path in _inside(home) if path not in needed]
    return [*unneeded, *_unused_masks(connection, settings.masks.resolve())]


def _unused_masks(connection: Connection, folder: Path) -> list[Path]:
    """Masks are known by their names, which are digests: a store that moved names other folders."""
    made = [path for inside in _inside(folder) for path in _inside(inside)]
    if not made:
        return []
    images = metadata.tables["images"]
    paths = connection.execute(sa.select(images.c.mask_path).where(images.c.mask_path.is_not(None)).distinct())
    used = {Path(path).name for path in paths.scalars()}
    return [path for path in made if path.name not in used]


def _named(connection: Connection) -> Iterator[Path]:
    """Paths that datasets come from (their source and one image), and paths that active jobs name.

    A backup asks within its own snapshot, so this cannot ask the store.
    """
    datasets, images, jobs = (metadata.tables[name] for name in ("datasets", "images", "jobs"))
    payloads = connection.execute(sa.select(jobs.c.payload).where(jobs.c.status.in_(("queued", "running")))).scalars()
    texts = [text for payload in payloads for text in payload.values() if isinstance(text, str)]
    some_image = sa.select(images.c.path).where(images.c.dataset_id == datasets.c.id).limit(1).scalar_subquery()
    for places in connection.execute(sa.select(datasets.c.source, some_image)):
        texts += [place for place in places if place]
    yield from (Path(text).resolve() for text in texts if text.startswith("/") and "\0" not in text)


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _last_change(path: Path) -> float:
    """Of a folder or file by itself, not of what it holds or leads to."""
    with contextlib.suppress(OSError):
        facts = path.lstat()
        return max(facts.st_mtime, facts.st_ctime)
    return time.time()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
