"""The default detector's look before a multimodal model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mad_core.errors import InputError, UnavailableError
from mad_core.scorers.contract import Context, Item, Scored
from mad_core.scorers.multimodal import detector_first
from mad_core.scorers.multimodal.detector_first import DetectorFirst, FirstLook, first_look


@dataclass
class ByName:
    """A detector that scores an image by the number in its name, and remembers what it has learned."""

    learned: list[str] = field(default_factory=list)

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        if not normals:
            raise InputError("Normals are needed.")
        self.learned = [item.path for item in normals]

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        for item in images:
            assert item.path not in self.learned
            if item.path == "unreadable":
                yield Scored.failed(item.image_id, "unreadable", "It cannot be read.")
            else:
                ramp = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
                yield Scored.of(item.image_id, float(Path(item.path).stem), ramp, 0.0)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[ByName]:
    made: list[ByName] = []

    def create(parameters: Any) -> ByName:
        made.append(ByName())
        return made[-1]

    info = SimpleNamespace(check=lambda given: given, check_available=lambda given: None, create=create)
    monkeypatch.setattr(detector_first.catalog, "scorer", lambda name: info)
    return made


def normals(count: int) -> list[Item]:
    return [Item(f"{k}", f"{k / 100}") for k in range(count)]


def test_an_image_departs_by_how_far_it_scores_above_unseen_normals(fitted: list[ByName]) -> None:
    detector = DetectorFirst(normals(12), Context())
    assert len(fitted) == 1 and len(fitted[0].learned) == 8
    shares = [detector.look(Item("x", path)).share for path in ("-5", "0", "1.5", "3", "9")]
    assert shares == sorted(shares)
    assert shares[1] < 0.12 and 0.3 < shares[2] < 0.6 and shares[4] > 0.999
    assert detector.facts()["learned"] == 8 and detector.facts()["judged"] == 4


def test_a_normal_is_judged_by_a_fit_that_has_not_seen_it(fitted: list[ByName]) -> None:
    given = normals(12)
    detector = DetectorFirst(given, Context())
    assert all(detector.look(item).share < 0.2 for item in given)  # the detector itself asserts it
    assert len(fitted) == 2
    assert DetectorFirst(normals(500), Context()) and len(fitted[-1].learned) == 2 * detector_first.MOST // 3


def test_what_is_not_found_is_greyed_out_of_the_view(fitted: list[ByName]) -> None:
    detector = DetectorFirst(normals(6), Context())
    view = np.full((40, 40, 3), 228, np.uint8)
    strong, weak = (detector.look(Item("x", path)).greyed(view) for path in ("9", "0"))
    assert np.abs(strong[:12].astype(int) - 128).max() <= 1  # the map's lower part
    assert strong[-1, -1].min() > 220
    assert np.abs(weak.astype(int) - 128).max() < 15
    assert FirstLook().greyed(view) is view
    assert detector.look(Item("x", "unreadable")) == FirstLook()


def test_without_normals_or_detector_nothing_looks_first_unless_asked_for(
    fitted: list[ByName], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert first_look(normals(15), Context(), required=False) is None
    assert first_look(normals(16), Context(), required=False) is not None
    with pytest.raises(InputError):
        first_look([], Context(), required=True)

    def refuse(name: str) -> None:
        raise UnavailableError("It is not installed.")

    monkeypatch.setattr(detector_first.catalog, "scorer", refuse)
    assert first_look(normals(20), Context(), required=False) is None
    with pytest.raises(UnavailableError):
        first_look(normals(9), Context(), required=True)
