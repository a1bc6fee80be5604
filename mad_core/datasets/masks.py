"""The masks of a subset."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mad_core.datasets.gathering import stem
from mad_core.datasets.naming import MASKS
from mad_core.datasets.walking import Walker

ENDING = "_mask"


@dataclass(frozen=True)
class Masks:
    """Masks below ``ground_truth`` or ``masks`` of a folder, as ``<stem>_mask.png`` or ``<stem>.png``."""

    folder: Path
    walker: Walker

    def of(self, *relatives: str) -> str | None:
        """The mask of an image, looked for under each of its possible relative paths."""
        for relative in relatives if self._index else ():
            for name in (stem(relative) + ENDING, stem(relative)):
                if name in self._index:
                    return self._index[name]
        return None

    def paths(self) -> list[str]:
        """Every mask there."""
        return sorted(self._index.values())

    @cached_property
    def _index(self) -> dict[str, str]:
        """Masks by path relative to the masks' folder, without suffix."""
        index: dict[str, str] = {}
        here = {f.name.lower(): f for f in self.walker.folders(self.folder)}
        for name in reversed(MASKS):
            if name in here:
                index |= {stem(relative): path for relative, path in self.walker.images(here[name])}
        return index


def beside(relatives: Iterable[str]) -> dict[str, str]:
    """Masks that lie beside their images as ``<stem>_mask.png``: image to mask."""
    stems = {stem(relative): relative for relative in relatives}
    return {stems[s]: stems[s + ENDING] for s in stems if s + ENDING in stems}
