"""Scores made elsewhere (another program, a published run): matched by path, kept as runs, marked as imported.

Nothing is guessed: a row counts only where its path names a test image of its subset. Everything that does not
fit is listed, and an image without a usable score has none.
"""

import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from mad_core.datasets.dataset import Dataset, level_key, rounded_level
from mad_core.datasets.madbench import recognise
from mad_core.datasets.naming import plain
from mad_core.datasets.readers.table_paths import TablePaths
from mad_core.errors import InputError
from mad_core.runs.result_files import NamedFile, find_result_files, named, subset_called
from mad_core.runs.store import EXTERNAL, Run, RunRequest, Store
from mad_core.scorefiles import ScoreFile, check_scores, read_rows
from mad_core.scorers.contract import Scored
from mad_core.tables import is_blank

KINDS: Mapping[str, tuple[str, str]] = {
    "no-image": ("row without an image", "rows without an image"),
    "no-row": ("image without a row", "images without a row"),
    "other-severity": ("severity that differs from the label", "severities that differ from the label"),
    "repeated": ("repeated path", "repeated paths"),
    "no-score": ("row without a score", "rows without a score"),
    "not-a-number": ("score that is no finite number", "scores that are no finite number"),
    "no-subset": ("row whose subset is not known", "rows whose subset is not known"),
}
"""What may not fit, and what one and several of it are called."""
KEPT = 200
"""Mismatches of each kind that are kept with a run; all are counted."""
ZEROS = 0.02
"""Share of abnormal images with a whole score of exactly 0 from which readers are warned."""


@dataclass(frozen=True)
class Mismatch:
    """Something that does not fit: one of ``KINDS``, the file, the path as written, a sentence."""

    kind: str
    file: str
    path: str
    message: str

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, "file": self.file, "path": self.path, "message": self.message}


@dataclass(frozen=True, eq=False)
class Matched:
    """One subset's images with what a file says of them, an entry for every image; and what did not fit."""

    results: list[Scored]
    mismatches: list[Mismatch]


@dataclass(frozen=True)
class ImportedRun:
    """A run that was made of result files, and everything that did not fit."""

    run: Run
    mismatches: tuple[Mismatch, ...]
    notes: tuple[str, ...]


def import_results(
    store: Store, dataset_id: str, places: Sequence[Path], *, title: str = "", note: str = ""
) -> list[ImportedRun]:
    """Keep result files as runs of scorer ``external``, one a model.

    The same files again give the same run with the newer note; its title is renewed where one is given.

    Parameters
    ----------
    places : sequence of Path
        Result files, or folders of them (see :func:`mad_core.runs.result_files.find_result_files`).
    title : str
        What the run is called; the model's name where empty. Only for one model.
    note : str
        Where the scores come from, in the words of who imports them.

    Raises
    ------
    InputError
        If a file cannot be read, its subset is not known, or no row of a file names an image.
    NotFoundError
        If there is no such dataset.
    """
    dataset = store.dataset(dataset_id)
    by_model: dict[str, list[NamedFile]] = {}
    for file in find_result_files(places, dataset):
        by_model.setdefault(file.model, []).append(file)
    if title and len(by_model) > 1:
        models = ", ".join(by_model)
        raise InputError(f"One title was given, but the files are of {len(by_model)} models ({models}); import each.")
    return [_import_model(store, dataset_id, dataset, m, files, title, note) for m, files in by_model.items()]


def joined_scores(path: Path, dataset: Dataset) -> ScoreFile:
    """A score file with the levels of a dataset, matched as :func:`import_results` does it.

    Returns
    -------
    ScoreFile
        A row for each test image of the subsets that the file is of; the notes say what did not fit.

    Raises
    ------
    InputError
        If it cannot be read, no score is a number, or no row names a test image.
    """
    rows, notes = read_rows(path)
    mismatches: list[Mismatch] = []
    parts = []
    for subset, own in _by_subset(named(path, dataset), rows, dataset, mismatches).items():
        images: Any = dataset.select(split="test", subset=subset)
        matched = match_rows(own, images, path.name, _strangers(dataset, subset))
        if not _any_row(matched):
            raise InputError(_nothing_fits(path, own, images, subset))
        mismatches += matched.mismatches
        scores = [math.nan if one.score is None else one.score for one in matched.results]
        table = images[["template_path", "level", "group"]].rename(columns={"template_path": "path"})
        parts.append(table.assign(score=scores, subset=subset))
    lines = mismatch_lines(Counter(m.kind for m in mismatches))
    levels = f"The levels are those of '{dataset.name}'{': ' + ', '.join(lines) if lines else ''}."
    return ScoreFile(path, pd.concat(parts, ignore_index=True), (*notes, levels))


def provenance(run: Run) -> str:
    """Where an imported run's scores come from, in a sentence; empty of other runs."""
    facts = run.record.get("imported")
    if not run.imported or not facts:
        return ""
    files = facts["files"]
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    note = f": {facts['note']}" if facts["note"] else ""
    digest = files[0]["sha256"][:12]
    return (
        f"imported on {facts['date'][:10]} from {files[0]['name']} (SHA-256 {digest}…){more}, not computed here{note}"
    )


def mismatch_lines(counts: Mapping[str, int]) -> list[str]:
    """Counts of what did not fit, in words: ``3 rows without an image``."""
    return [f"{n:,} {words[n != 1]}" for kind, words in KINDS.items() if (n := counts.get(kind, 0))]


# -- one model ------------------------------------------------------------------------------------


def _import_model(
    store: Store,
    dataset_id: str,
    dataset: Dataset,
    model: str,
    files: Sequence[NamedFile],
    title: str,
    note: str,
) -> ImportedRun:
    results: dict[str, list[Scored]] = {}
    mismatches: list[Mismatch] = []
    entries: list[dict[str, Any]] = []
    read_notes: list[str] = []
    for file in files:
        digest = hashlib.sha256(file.path.read_bytes()).hexdigest()
        whole, remarks = read_rows(file.path)
        read_notes += [f"{file.path.name}: {note}" for note in remarks]
        for subset, rows in _by_subset(file, whole, dataset, mismatches).items():
            if subset in results:
                raise InputError(f"{file.path} is a second file of subset '{subset}' for {model}; keep one.")
            images = store.test_images(dataset, [subset])
            matched = match_rows(rows, images, file.path.name, _strangers(dataset, subset))
            scored = sum(one.score is not None for one in matched.results)
            if not _any_row(matched):
                raise InputError(_nothing_fits(file.path, rows, images, subset))
            results[subset] = matched.results
            mismatches += matched.mismatches
            entries.append(
                {"name": file.path.name, "sha256": digest, "subset": subset, "rows": len(rows), "scored": scored}
            )
    if not any(entry["scored"] for entry in entries):
        names = ", ".join(file.path.name for file in files[:5])
        raise InputError(f"No image of '{dataset.name}' has a score in {names}; nothing is stored.")
    notes = [*read_notes, *_zeros(results, store.dataset(dataset_id).table)]
    record = {
        "imported": {
            "model": model,
            "date": datetime.now().astimezone().isoformat(timespec="minutes"),
            "note": note.strip(),
            "files": entries,
            "counts": dict(Counter(m.kind for m in mismatches)),
            "mismatches": [m.to_json() for m in _first(mismatches)],
            "notes": notes,
        },
        "device": {"id": "elsewhere"},
    }
    request = RunRequest(
        dataset_id,
        EXTERNAL,
        {"model": model, "digest": _together(entries)},
        tuple(results),
        map_policy="none",
        title=(title.strip() or model)[:190],
    )
    run = store.keep_results(request, results, record)
    if title.strip() and run.title != title.strip():
        store.rename_run(run.id, title)
    return ImportedRun(store.run(run.id), tuple(mismatches), tuple(notes))


def _by_subset(
    file: NamedFile, rows: pd.DataFrame, dataset: Dataset, mismatches: list[Mismatch]
) -> dict[str, pd.DataFrame]:
    """A file's rows by the dataset's subset: by its column of subsets, else by its name.

    Raises
    ------
    InputError
        If neither says the subset, and the dataset has several; or no score is a number.
    """
    if rows.empty:
        raise InputError(f"{file.path} has no rows below its header.")
    check_scores(file.path, rows)
    written: Any = rows["subset"].str.strip()
    if not (written != "").to_numpy().any():
        only = dataset.subsets[0] if len(dataset.subsets) == 1 else None
        subset = file.subset or only
        if subset is None:
            raise InputError(
                f"The name of {file.path} does not say which subset it is of. Call it <model>_<dataset>_<subset>.csv "
                f"or add a column Subset; '{dataset.name}' has {', '.join(dataset.subsets)}."
            )
        return {subset: rows}
    parts: dict[str, pd.DataFrame] = {}
    for name, part in rows.groupby(written):
        subset = subset_called(str(name), dataset)
        if subset is not None and subset not in parts:
            parts[subset] = part
            continue
        mismatches += [
            Mismatch("no-subset", file.path.name, str(r.path), f"Line {r.line}: '{name}' is no subset of the dataset.")
            for r in _each(part)
        ]
    if not parts:
        raise InputError(f"No row of {file.path} is of a subset of '{dataset.name}' ({', '.join(dataset.subsets)}).")
    return parts


def _any_row(matched: Matched) -> bool:
    """Whether a row named any of the images."""
    return any(one.status != "no-row" for one in matched.results)


def _nothing_fits(path: Path, rows: pd.DataFrame, images: pd.DataFrame, subset: str) -> str:
    example = images["template_path"].iloc[0] if len(images) else "none"
    return (
        f"No row of {path} names a test image of subset '{subset}': its first path is '{rows['path'].iloc[0]}', the "
        f"subset's images are called like '{example}'."
    )


def _together(entries: Iterable[Mapping[str, Any]]) -> str:
    """One digest of all files and the subsets that they were taken for."""
    facts = sorted((entry["subset"], entry["sha256"]) for entry in entries)
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()


def _first(mismatches: Sequence[Mismatch]) -> list[Mismatch]:
    """At most ``KEPT`` of each kind."""
    seen: Counter[str] = Counter()
    kept = []
    for mismatch in mismatches:
        seen[mismatch.kind] += 1
        if seen[mismatch.kind] <= KEPT:
            kept.append(mismatch)
    return kept


def _zeros(results: Mapping[str, Sequence[Scored]], table: pd.DataFrame) -> list[str]:
    """A warning where zeros may be failed requests: the published code writes 0 for these."""
    levels = dict(zip(table["image_id"], table["level"], strict=True))
    scored = [(levels[one.image_id], one.score) for part in results.values() for one in part if one.score is not None]
    abnormal = [score for level, score in scored if level > 0]
    zeros = sum(score == 0 for score in abnormal)
    if not abnormal or any(score % 1 for _, score in scored) or zeros <= ZEROS * len(abnormal):
        return []
    return [
        f"{zeros:,} of {len(abnormal):,} abnormal images have a score of exactly 0. Where the published code made "
        "these scores, failed requests and unread answers stand as 0 too and cannot be told from images judged normal."
    ]


# -- rows and images ------------------------------------------------------------------------------


def match_rows(rows: pd.DataFrame, images: pd.DataFrame, file: str, strangers: frozenset[str] = frozenset()) -> Matched:
    """Match a file's rows with one subset's images by path.

    A path may be written with more folders in front than the subset's template has; all rows of a file then
    share these folders (the most frequent ones count), and rows with other folders name no image. A path that is no
    template's, even so, is looked for by the rules of tables (:mod:`mad_core.datasets.readers.table_paths`): a bare
    name, one without suffix or in another case, where one image alone fits.

    Parameters
    ----------
    rows : DataFrame
        As :func:`mad_core.scorefiles.read_rows` gives them.
    images : DataFrame
        The subset's test images: ``image_id``, ``template_path``, ``level``.
    file : str
        Its name, for the list of what does not fit.
    strangers : frozenset of str
        Names of other subsets, as :func:`mad_core.datasets.naming.plain` writes them; a path with such a folder
        in front is theirs.
    """
    numbers = {normal_path(path): i for i, path in enumerate(images["template_path"])}
    places = [_place(normal_path(path), numbers, strangers) for path in rows["path"]]
    loose = _loose_places(rows, places, images, strangers)
    prefixes = Counter(prefix for place in places if place for prefix in [place[0]])
    usual = prefixes.most_common(1)[0][0] if prefixes else ""
    mismatches: list[Mismatch] = []
    by_image: dict[int, list[Any]] = {}
    for row, place, other in zip(_each(rows), places, loose, strict=True):
        at = other if place is None else place[1] if place[0] == usual else None
        if at is None:
            message = f"Line {row.line}: no test image of the subset is called so."
            mismatches.append(Mismatch("no-image", file, str(row.path), message))
            continue
        by_image.setdefault(at, []).append(row)
    results = []
    for i, image in enumerate(_each(images)):
        mine = by_image.get(i, [])
        mismatches += _label_mismatches(mine, float(image.level), file)
        result, problem = _result(str(image.image_id), str(image.template_path), mine, file)
        results.append(result)
        mismatches += [problem] if problem else []
    return Matched(results, mismatches)


def _loose_places(
    rows: pd.DataFrame, places: Sequence[Any], images: pd.DataFrame, strangers: frozenset[str]
) -> list[int | None]:
    """The image that each row without a place names by the rules of tables; None where none or several fit."""
    names = {normal_path(path): str(i) for i, path in enumerate(images["template_path"])}
    paths = TablePaths("the subset", lambda: names, list(rows["path"]))

    def one(path: str) -> int | None:
        if any(plain(part) in strangers for part in normal_path(path).split("/")):
            return None
        match = paths.find(normal_path(path))
        return int(match.paths[0]) if match and len(match.paths) == 1 else None

    return [one(path) if place is None else None for path, place in zip(rows["path"], places, strict=True)]


def _each(table: pd.DataFrame) -> Iterable[Any]:
    """The rows, with columns as attributes."""
    return table.itertuples()


def normal_path(path: str) -> str:
    """A path as it is compared: NFC, forward slashes, no blanks around, no empty or ``.`` parts."""
    parts = unicodedata.normalize("NFC", path.strip()).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _place(path: str, numbers: Mapping[str, int], strangers: frozenset[str]) -> tuple[str, int] | None:
    """Which image a path names and which folders stand in front of the template's path."""
    parts = path.split("/")
    for cut in range(len(parts)):
        image = numbers.get("/".join(parts[cut:]))
        if image is not None:
            ahead = parts[:cut]
            return None if any(plain(part) in strangers for part in ahead) else ("/".join(ahead), image)
    return None


def _strangers(dataset: Dataset, subset: str) -> frozenset[str]:
    """Names by which folders tell that a path belongs to another subset."""
    own = _names(dataset, subset)
    return frozenset(n for other in dataset.subsets if other != subset for n in _names(dataset, other)) - own


def _names(dataset: Dataset, subset: str) -> set[str]:
    recognised = recognise(subset, dataset.card.subset(subset))
    return {plain(subset), *([plain(recognised.part)] if recognised and recognised.part else [])}


def _label_mismatches(rows: Sequence[Any], level: float, file: str) -> list[Mismatch]:
    """Rows whose severity is neither the label nor the label rounded up, as the published evaluation does it."""
    if math.isnan(level):
        return []
    return [
        Mismatch(
            "other-severity",
            file,
            str(row.path),
            f"Line {row.line} says severity '{row.severity}', the label is {level_key(level)}; the label counts.",
        )
        for row in rows
        if getattr(row, "has_severity", True) and row.level not in (level, float(rounded_level(level)))
    ]


def _result(image_id: str, path: str, rows: Sequence[Any], file: str) -> tuple[Scored, Mismatch | None]:
    """What the rows that name an image say of it; a failed result where they say nothing usable."""
    if not rows:
        return _failed(image_id, "no-row", file, path, f"{file} has no row for this image.")
    row, written = rows[0], {r.written for r in rows}
    if len(rows) > 1 and len(written) > 1:
        lines = ", ".join(str(r.line) for r in rows)
        return _failed(
            image_id, "repeated", file, path, f"Lines {lines} give this image different scores; none counts."
        )
    if is_blank(row.written):
        return _failed(image_id, "no-score", file, path, f"Line {row.line} has no score for this image.")
    if not math.isfinite(row.score):
        shown = row.written[:80]
        return _failed(image_id, "not-a-number", file, path, f"Line {row.line}: '{shown}' is no finite number.")
    scored = Scored(image_id, float(row.score))
    if len(rows) == 1:
        return scored, None
    message = f"The image has {len(rows)} rows with the same score; it counts once."
    return scored, Mismatch("repeated", file, path, message)


def _failed(image_id: str, kind: str, file: str, path: str, message: str) -> tuple[Scored, Mismatch]:
    return Scored.failed(image_id, kind, message), Mismatch(kind, file, path, message)
