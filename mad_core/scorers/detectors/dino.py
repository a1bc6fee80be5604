"""What detectors on a frozen vision transformer share: pictures whose sides are whole patches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mad_core.scorers.detectors.model_scorer import BuiltScorer as _Base
else:
    _Base = object


def patch_of(architecture: str) -> int:
    """Side of a patch in pixels, which the name of a vision transformer says.

    >>> patch_of("vit_small_patch14_reg4_dinov2")
    14
    """
    return int(architecture.partition("_patch")[2].partition("_")[0])


class WholePatches(_Base):
    """Of a :class:`BuiltScorer`: its square has a side of whole patches, and few pictures go at once."""

    batch = 4

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        patch = patch_of(self.architecture())
        self.size = max(1, round(self.size / patch)) * patch
