"""Regions of pictures that count for nothing, from mask files, by subset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mad_core.datasets.dataset import Dataset, Imported, Problem
from mad_core.errors import InputError
from mad_core.ignored import IgnoredRegion
from mad_core.images import read_mask

_SAME_ASPECT = 0.02


def with_ignored(imported: Imported, given: Iterable[str]) -> Imported:
    """What was imported, with regions that are left out of every picture of a subset.

    Parameters
    ----------
    given : sequence of str
        ``"mask.png"`` for all subsets, or ``"subset=mask.png"``: what the mask marks is left out.

    Returns
    -------
    Imported
        With a problem where pictures have another shape than the mask, which is stretched over them.

    Raises
    ------
    InputError
        If a mask cannot be read, marks nothing or everything, has the shape of none of the pictures, or a subset is not
        there.
    """
    dataset, problems = imported.dataset, []
    if dataset.table.empty:
        return imported
    regions: dict[str, IgnoredRegion] = {}
    for text in given:
        name, file = _named(text)
        if name and name not in dataset.subsets:
            raise InputError(
                f"There is no subset '{name[:80]}' to leave a region out of; {', '.join(dataset.subsets)}."
            )
        mask = read_mask(Path(file).expanduser())
        region = IgnoredRegion.of_mask(mask)
        for subset in [name] if name else dataset.subsets:
            problems += _of_other_shape(dataset, subset, mask.shape, file)
            regions[subset] = region
    if not regions:
        return imported
    return replace(imported, dataset=dataset.with_ignored(regions), problems=(*imported.problems, *problems))


def lying_at(text: str) -> str:
    """The same region to ignore, its mask named from the root on: a plan that is kept may be used from elsewhere."""
    name, file = _named(text)
    place = str(Path(file).expanduser().absolute())
    return f"{name}={place}" if name else place


def _named(text: str) -> tuple[str, str]:
    """The subset, empty for all of them, and the file."""
    name, equals, file = text.partition("=")
    return (name, file) if equals and not Path(text).expanduser().exists() else ("", text)


def _of_other_shape(dataset: Dataset, subset: str, shape: tuple[int, ...], file: str) -> list[Problem]:
    rows: Any = dataset.select(subset=subset)
    sized = rows[(rows["width"] > 0) & (rows["height"] > 0)]
    stretch = (sized["width"] / sized["height"] / (shape[1] / shape[0]) - 1).abs()
    other = int((stretch > _SAME_ASPECT).sum())
    if other and other == len(sized):
        row = sized.iloc[0]
        raise InputError(
            f"The mask {Path(file).name} is {shape[1]} x {shape[0]} pixels, and no picture of subset '{subset}' has "
            f"that shape; the first is {row['width']} x {row['height']}."
        )
    if not other:
        return []
    sentence = (
        f"{other} of {len(sized)} pictures of subset '{subset}' have another shape than the mask {Path(file).name} of "
        "what is left out; it is stretched over them."
    )
    return [Problem("mask-size", subset, sentence)]
