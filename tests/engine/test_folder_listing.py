"""Choosing a folder by looking: what is listed, what is counted, and what is never told."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mad_core.datasets import folders
from mad_core.errors import InputError
from mad_core.settings import Settings


@pytest.fixture
def opened(settings: Settings, tmp_path: Path) -> tuple[Path, Settings]:
    """A folder that may be opened, beside one that may not."""
    for name in ("open/parts/level_0", "open/parts/.cache", "open/Bolts", "open/.hidden", "secret/inside"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("open/parts/level_0/a.png", "open/parts/level_0/B.JPG", "open/parts/level_0/notes.txt"):
        (tmp_path / name).touch()
    for name in ("open/parts/.cache/c.png", "open/labels.csv", "open/parts.tar.gz", "open/readme.txt", "open/.x.csv"):
        (tmp_path / name).touch()
    return tmp_path / "open", replace(settings, allowed_roots=(tmp_path / "open", tmp_path / "gone"))


def test_folders_tables_and_archives_are_listed_and_what_is_hidden_is_not(opened: tuple[Path, Settings]) -> None:
    place, settings = opened
    listing = folders.list_folder(place, settings)
    assert (listing.folders, listing.files) == (("Bolts", "parts"), ("labels.csv", "parts.tar.gz"))
    assert listing.above is None and not listing.cut
    assert folders.list_folder(place / "parts", settings).above == place
    assert folders.roots(settings) == [place]
    assert folders.count_pictures(place) == (2, True)


def test_nothing_is_told_of_what_lies_outside(opened: tuple[Path, Settings], tmp_path: Path) -> None:
    place, settings = opened
    (place / "out").symlink_to(tmp_path / "secret")
    (place / "gone").symlink_to(tmp_path / "nowhere")
    (place / "round").symlink_to(place / "round")
    (place / "in").symlink_to(place / "parts")
    assert folders.list_folder(place, settings).folders == ("Bolts", "in", "parts")
    assert folders.list_folder(place / "in", settings).folder == place / "parts"
    said = set()
    for name in (
        place / "out",
        tmp_path / "secret",
        tmp_path / "nobody",
        place / "nobody",
        place / "parts" / ".." / "..",
    ):
        with pytest.raises(InputError) as refused:
            folders.list_folder(name, settings)
        said.add(str(refused.value).replace(str(name), ""))
    assert len(said) == 1  # what is there reads as what is not
    assert folders.count_pictures(place) == (2, True)  # links are not followed


def test_many_entries_are_bounded(opened: tuple[Path, Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    place, settings = opened
    monkeypatch.setattr(folders, "MOST", 3)
    monkeypatch.setattr(folders, "COUNTED", 2)
    assert folders.list_folder(place, settings).cut
    assert folders.count_pictures(place)[1] is False


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_a_folder_that_cannot_be_read_is_a_sentence(opened: tuple[Path, Settings]) -> None:
    place, settings = opened
    (place / "Bolts").chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        folders.list_folder(place / "Bolts", settings)
    assert folders.count_pictures(place) == (2, True)
    (place / "Bolts").chmod(0o700)
