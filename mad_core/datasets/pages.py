"""Files of several pages or frames: one of them is the picture, or each is an image of its own."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mad_core.datasets.dataset import COLUMNS, Dataset, Imported, Problem, image_id
from mad_core.errors import InputError
from mad_core.images import ImageError, content_hash, probe

FIRST, EACH = "first", "each"
MOST = 20_000
"""Images that pages may add to a dataset."""


def with_pages(imported: Imported, choice: str) -> Imported:
    """What was imported, with a row for each page, or for the page that is asked for; what was done is a problem.

    Parameters
    ----------
    choice : str
        ``"first"``, ``"each"``, or the number of a page, counted from 1.

    Raises
    ------
    InputError
        If the choice is none of these, or there would be too many images.
    """
    if choice not in (FIRST, EACH) and not (choice.isdecimal() and 0 < int(choice) < 10**6):
        raise InputError(f"'{choice[:80]}' says no page: write first, each, or a page's number, counted from 1.")
    several = {path: n for path, n in imported.pages.items() if n > 1}
    if not several:
        return imported
    dataset, problems = imported.dataset, list(imported.problems)
    notes = list(_notes(dataset, several, choice))
    if choice == FIRST or choice == "1":
        return replace(imported, problems=(*problems, *notes))
    if choice == EACH and sum(several.values()) > MOST:
        raise InputError(f"The files hold {sum(several.values()):,} pages, more than {MOST:,}; choose one, --pages 1.")
    rows: list[Mapping[str, Any]] = []
    depths = dict(imported.depths)
    for row in dataset.table.to_dict("records"):
        pages = several.get(str(row["path"]), 1)
        if pages == 1:
            rows.append(row)  # type: ignore[arg-type]
            continue
        for page in range(1, pages + 1) if choice == EACH else (int(choice),):
            made = _page(row, page)
            if isinstance(made, Problem):
                problems.append(made)
            else:
                depths[made["path"]] = made.pop("depth")
                rows.append(made)
    table = (
        Dataset.from_rows(dataset.name, rows, dataset.card, dataset.source).table if rows else dataset.table.iloc[:0]
    )
    return replace(imported, dataset=replace(dataset, table=table), problems=(*problems, *notes), depths=depths)


def _page(row: Mapping[Any, Any], page: int) -> dict[str, Any] | Problem:
    named = Path(f"{row['path']}#page={page}")
    try:
        info = probe(named)
        digest = content_hash(named)
    except (ImageError, OSError) as error:
        return Problem("unreadable", str(named), str(error))
    place = f"{row['template_path']}#page={page}"
    own = {"path": str(named), "template_path": place, "content_hash": digest, "width": info.width}
    number = hashlib.blake2b(f"{row['image_id']}#{page}".encode(), digest_size=8).hexdigest()
    kept = {name: row[name] for name in COLUMNS}
    return {**kept, **own, "height": info.height, "image_id": image_id(row["subset"], number), "depth": info.depth}


def _notes(dataset: Dataset, several: Mapping[str, int], choice: str) -> Iterator[Problem]:
    """What became of the pages, a sentence a subset."""
    for subset, paths in _by_subset(dataset, several):
        most = max(paths, key=lambda path: several[path])
        files = f"{len(paths)} files have" if len(paths) > 1 else "One file has"
        what = {
            FIRST: "the first one is the picture; --pages each makes every page an image, --pages 2 takes the second",
            EACH: "each is an image",
        }.get(choice, f"page {choice} is the picture")
        sentence = f"{files} several pages or frames ({Path(most).name} has {several[most]}): {what}."
        yield Problem("pages", subset, sentence)


def _by_subset(dataset: Dataset, several: Mapping[str, int]) -> Iterable[tuple[str, list[str]]]:
    table: Any = dataset.table
    for subset, rows in table[table["path"].isin(list(several))].groupby("subset"):
        yield str(subset), list(rows["path"])
