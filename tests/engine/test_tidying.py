"""Uploads, and archives that became no dataset, go after a week; what is needed stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mad_core.datasets.importing import import_dataset
from mad_core.runs.store import Store
from mad_core.runs.tidying import KEEP_DAYS, tidy
from mad_core.runs.uploads import keep_upload

from .pictures import tree
from .test_importing_archives import pack_zip


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    tree(tmp_path / "parts", [f"level_{level}/{i}.png" for level in (0, 1) for i in (0, 1)])
    return pack_zip(tmp_path / "parts", tmp_path / "parts.zip", "").read_bytes()


def later(monkeypatch: pytest.MonkeyPatch, days: float) -> None:
    now = time.time()
    monkeypatch.setattr("mad_core.runs.tidying.time.time", lambda: now + days * 86_400)


def test_what_nothing_needs_goes_after_a_while(store: Store, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = store.settings
    store.add_dataset(import_dataset(keep_upload(settings, "used.zip", archive), settings))
    used = {path for path in settings.imports.iterdir() if path.is_dir()}
    failed, waiting = keep_upload(settings, "failed.zip", b"no zip"), keep_upload(settings, "waiting.zip", b"waits")
    store.queue.submit("import", {"source": str(waiting)})
    settings.uploads.mkdir()
    single, served = settings.uploads / "single", settings.uploads / "served"
    for file in (single, served, settings.imports / "killed.part"):
        file.write_bytes(b"x")
    (settings.imports / "unpacked").mkdir()
    (settings.imports / "unpacked" / "link").symlink_to(served)
    store.queue.submit("single", {"path": str(served), "map": f"{served}.map"})
    later(monkeypatch, KEEP_DAYS - 0.1)
    assert tidy(store.database) == []
    later(monkeypatch, KEEP_DAYS + 0.1)
    gone = tidy(store.database)
    assert {p.name for p in gone if not p.name.endswith(".lock")} == {
        failed.parent.name,
        "single",
        "killed.part",
        "unpacked",
    }
    assert not any(path.exists() for path in gone)
    assert waiting.is_file() and served.is_file() and all(path.is_dir() for path in used)
    assert len(store.dataset(store.datasets()[0].id).table) == 4


def test_made_masks_go_with_their_dataset(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path / "set", [f"level_{level}/{at}.png" for level in (0, 1) for at in "ab"])
    tree(tmp_path / "set", [f"level_1/masks/a_{part}.png" for part in (1, 2)])
    kept = store.add_dataset(import_dataset(tmp_path / "set", store.settings))
    (mask,) = (Path(p) for p in store.dataset(kept).table["mask_path"].dropna())
    assert mask.is_relative_to(store.settings.masks)
    later(monkeypatch, KEEP_DAYS + 0.1)
    assert tidy(store.database) == [] and mask.is_file()
    store.delete_dataset(kept)
    assert tidy(store.database) == [mask] and not mask.exists()


def test_names_of_uploads_cannot_be_guessed_from_what_they_hold(store: Store, tmp_path: Path) -> None:
    first = keep_upload(store.settings, "a.zip", b"the same")
    assert keep_upload(store.settings, "a.zip", b"the same") == first
    elsewhere = keep_upload(
        Store(type(store.settings).from_environment({"MAD_HOME": str(tmp_path / "o")})).settings, "a.zip", b"the same"
    )
    assert elsewhere.parent.name != first.parent.name and len(first.parent.name) == len("upload-") + 32
    assert os.stat(store.settings.home / "secret.key").st_mode & 0o777 == 0o600
