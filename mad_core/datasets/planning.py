"""What an import made of its source, as a plan: every image file is accounted for."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found, Gathered, split_of
from mad_core.datasets.image_headers import id_of
from mad_core.datasets.name_groups import with_name_groups
from mad_core.datasets.naming import NO_LEVEL, UNLABELLED, level_key
from mad_core.datasets.plan import IMAGES, MASKS, FolderPlan, ImportPlan, PlanRow
from mad_core.datasets.policies import LEFT_OUT
from mad_core.datasets.walking import Walker, is_image
from mad_core.paths import walked


def plan_of(gathered: Gathered, rows: Iterable[Mapping[str, Any]], walker: Walker) -> ImportPlan:
    """The plan that repeats an import.

    Parameters
    ----------
    gathered : Gathered
        Paths as they lie below the walker's root.
    rows : iterable of mapping
        Those of the dataset's table.
    walker : Walker
    """
    used = {row["image_id"]: row for row in rows}
    first = {id_of(f): f for f in reversed(gathered.found)}  # of an image that is named again the first one counts
    pairs = [(f, used[name]) for f in gathered.found if first[name := id_of(f)] is f and name in used]
    tables = set(gathered.tables)
    words = [row.name for row in gathered.rows if row.kind == "level" and row.role == LEFT_OUT]
    masks = [mask for f, row in pairs if row["mask_path"] for mask in f.masks]
    left = _left_over({f.path for f, _ in pairs} | set(masks), walker)
    drawn = _outline_rows([f for f, row in pairs if f.outlines and row["mask_path"]], walker)
    marked = (*_mask_rows(masks, walker), *drawn, *_question_rows(gathered.problems, set(masks), walker))
    return replace(
        walker.plan,
        folders={**_folders(gathered.found, tables), **_as_told(walker)},
        tables=gathered.tables,
        levels=_levels(pairs, words, walker),
        rows=(*_image_rows(pairs, tables), *marked, *left, *_passed_over(walker), *gathered.rows),
        unlabelled=False,
    )


def as_planned(gathered: Gathered, plan: ImportPlan) -> Gathered:
    """What was gathered, with what a plan says: the split, the subset and the level of a folder, groups by names."""
    images, problems = list(gathered.found), list(gathered.problems)
    if plan.folders:
        images = [_decided(f, plan.folders.get(f.origin)) for f in images]
    if plan.group_from_name:
        images, silent = with_name_groups(images, plan.group_from_name)
        problems += silent
    return replace(gathered, found=tuple(images), problems=tuple(problems))


def _decided(image: Found, told: FolderPlan | None) -> Found:
    if told is None or told.role != IMAGES:
        return image
    level = image.level if told.level is None else told.level
    split = split_of(told.split or image.split, level)
    return replace(image, split=split, subset=told.subset or image.subset, level=level)


def _image_rows(pairs: Iterable[tuple[Found, Mapping[str, Any]]], tables: set[str]) -> Iterator[PlanRow]:
    """Folders by split and level; of tables the words or levels that stand there."""
    groups: dict[tuple[Any, ...], list[Found]] = defaultdict(list)
    for f, row in pairs:
        name = (f.word or level_key(f.level)) if f.origin in tables else f.origin
        groups[f.origin in tables, name, row["split"], f.subset, f.level].append(f)
    for (tabled, name, split, subset, level), images in sorted(groups.items()):
        note = f"by {images[0].origin}" if tabled else ""
        if not tabled and images[0].word:
            note = f"the level of '{images[0].word}'"
        if images[0].split is None:
            note = f"{note}; the split is drawn".lstrip("; ")
        kind = "level" if tabled else "folder"
        yield PlanRow(kind, name, IMAGES, split, subset, level, len(images), images[0].template_path, note)


def _mask_rows(masks: Iterable[str], walker: Walker) -> Iterator[PlanRow]:
    folders = defaultdict(list)
    for mask in masks:
        folders[walker.relative(Path(mask).parent)].append(Path(mask).name)
    for folder, names in sorted(folders.items()):
        yield PlanRow("folder", folder, MASKS, images=len(names), example=names[0])


def _outline_rows(images: Iterable[Found], walker: Walker) -> Iterator[PlanRow]:
    """Files that draw outlines on several images, and folders of files that do so on one each."""
    sources = Counter(f.outlines.source for f in images if f.outlines)
    places: dict[str, list[str]] = defaultdict(list)
    for source, count in sources.items():
        places[source if count > 1 else str(Path(source).parent)] += [Path(source).name] * count
    for place, names in sorted(places.items()):
        note = "outlines are drawn as masks"
        yield PlanRow("outlines", walker.relative(place), MASKS, images=len(names), example=names[0], note=note)


def _question_rows(problems: Iterable[Problem], masks: set[str], walker: Walker) -> Iterator[PlanRow]:
    """What was made of files that may be one thing or another."""
    for problem in problems:
        if problem.kind == "question":
            role = MASKS if problem.path in masks else LEFT_OUT
            yield PlanRow("question", walker.relative(problem.path), role, images=1, note=problem.message)


def _left_over(used: set[str], walker: Walker) -> Iterator[PlanRow]:
    """Image files that became neither an image of the dataset nor a mask, by folder."""
    folders = defaultdict(list)
    for _, path in walker.images(walker.root):
        if path not in used:
            folders[walker.relative(Path(path).parent)].append(Path(path).name)
    for folder, names in sorted(folders.items()):
        yield PlanRow("folder", folder, LEFT_OUT, images=len(names), example=names[0])


def _passed_over(walker: Walker) -> Iterator[PlanRow]:
    """Folders that the plan given leaves out."""
    for name, told in walker.plan.folders.items():
        folder = walker.root / name
        if told.role == LEFT_OUT and folder.is_dir():
            images = sum(is_image(file) for _, _, files in walked(folder) for file in files)
            yield PlanRow("folder", name, LEFT_OUT, images=images, note="by the plan")


def _folders(listed: Iterable[Found], tables: set[str]) -> dict[str, FolderPlan]:
    """What the folders of images are: a split, subset or level where all their images have it."""
    facts: dict[str, list[Found]] = defaultdict(list)
    for f in listed:
        if f.origin and f.origin not in tables:
            facts[f.origin].append(f)
    return {folder: _folder(images) for folder, images in sorted(facts.items())}


def _folder(images: list[Found]) -> FolderPlan:
    splits, subsets = {f.split or "" for f in images}, {f.subset for f in images}
    levels = {None if f.word else f.level for f in images}
    return FolderPlan(
        IMAGES,
        splits.pop() if len(splits) == 1 else "",
        subsets.pop() if len(subsets) == 1 else "",
        levels.pop() if len(levels) == 1 else None,
    )


def _as_told(walker: Walker) -> dict[str, FolderPlan]:
    """Folders of the plan given that hold no images of the dataset."""
    return {name: told for name, told in walker.plan.folders.items() if told.role != IMAGES}


def _levels(
    pairs: Iterable[tuple[Found, Mapping[str, Any]]], left_out: Iterable[str], walker: Walker
) -> dict[str, Any]:
    """Words and their levels; those of a subset under its name where another subset says otherwise."""
    by_word: dict[str, dict[str, float | str]] = defaultdict(dict)
    for f, _ in pairs:
        if f.word:
            by_word[f.word][f.subset] = NO_LEVEL if f.level == UNLABELLED else f.level
    levels: dict[str, Any] = {**dict.fromkeys(left_out, LEFT_OUT), **walker.plan.levels}
    for word, by_subset in by_word.items():
        if len(set(by_subset.values())) == 1:
            levels[word] = next(iter(by_subset.values()))
        else:
            for subset, level in by_subset.items():
                levels[subset] = {**levels.get(subset, {}), word: level}
    return levels
