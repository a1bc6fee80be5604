"""Every scorer of the catalogue keeps the contract; and the test of the contract sees each way of breaking it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mad_core.errors import InputError
from mad_core.images import read_image
from mad_core.scorers import catalog
from mad_core.scorers.catalog import ScorerInfo
from mad_core.scorers.contract import Context, Item, LabelledItem, Parameter, Scored, Scorer
from mad_core.testing import check_scorer

from .chat_server import judge, serving

SMALL = {
    "weights": "random",
    "backbone": "resnet18.tv_in1k",
    "size": 64,
    "steps": 1,
    "width": 4,
    "features": 20,
    "coreset": 0.02,
    "patches": 1000,
    "references": 0,
    "reasons": "none",
    "quantisation": "fp32",
}
"""What makes a scorer small, by the name of the parameter; those it does not declare are left out."""


def small(parameter: Parameter) -> Any:
    """The wanted value, brought to what the parameter allows."""
    wanted = SMALL[parameter.name]
    if parameter.choices:
        return next((c for c in parameter.choices if c == str(wanted)), parameter.choices[0])
    return wanted if isinstance(wanted, str | bool) else max(wanted, parameter.low or wanted)


@dataclass(frozen=True)
class Stand:
    """A run that a scorer builds on: a number of each picture, and no score where there is no picture."""

    title: str
    value: Callable[[np.ndarray], float]

    run_id = digest = "stand-in"

    def scored(self, items: Sequence[Item]) -> list[Scored]:
        return [self._one(item) for item in items]

    unseen = scored

    def _one(self, item: Item) -> Scored:
        try:
            picture = read_image(Path(item.path))
        except InputError as error:
            return Scored.failed(item.image_id, "unreadable", str(error))
        return Scored(item.image_id, self.value(picture), map=picture.mean(2).astype(np.float32), reason="As drawn.")


PARTS = {
    "detector": Stand("Darkness", lambda picture: float((picture < 60).mean())),
    "mllm": Stand("Roughness", lambda picture: float(picture.std())),
}


def graded(folder: Path) -> list[LabelledItem]:
    """Six pictures of three levels, the darker the more severe."""
    found = []
    for number in range(6):
        level, path = number % 3, folder / f"graded-{number}.png"
        noise = np.random.default_rng(number).normal(120 - 30 * level, 8, (64, 80, 3))
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(path)
        found.append(LabelledItem(path.stem, str(path), float(level)))
    return found


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, taught: Path) -> Iterator[Mapping[str, Any]]:
    """What multimodal scorers ask for: a model on disk and a server on this machine."""
    monkeypatch.setenv("MAD_HOME", str(tmp_path))
    with serving(judge) as server:
        monkeypatch.setenv("MAD_ENDPOINT_URL", server.url)
        yield {"mllm": {"model": str(taught), "rubric": "title: As taught\ntext: '0: normal.'\n"}}


@pytest.mark.usefixtures("narrow_efficientad", "narrow_networks")
@pytest.mark.parametrize("info", catalog.scorers(), ids=lambda info: info.id)
def test_every_scorer_that_ships_keeps_the_contract(info: ScorerInfo, here: Mapping[str, Any], tmp_path: Path) -> None:
    parameters = {p.name: small(p) for p in info.parameters if p.name in SMALL} | here.get(info.id, {})
    missing = info.why_not(info.check(parameters))
    if missing:
        pytest.skip(missing)
    parts = {name: PARTS[kind] for name, kind in info.parts.items()}
    context = Context(subset="trial", seed=3, parts=parts, weights=tmp_path, calibration=graded(tmp_path))
    check_scorer(info, context=context, **parameters)


# -- ways of breaking it ---------------------------------------------------------------------------


class Kept(Scorer):
    """Distance to the normals' mean grey; ``how`` names what it breaks."""

    calls = itertools.count()

    def fit(self, normals: Sequence[Item], context: Context) -> None:
        greys = []
        for done, item in enumerate(normals):
            greys.append(float(read_image(Path(item.path)).mean()))
            if not self.breaks("deaf fit"):
                context.step(done + 1, len(normals))
        self.mean = float(np.mean(greys)) + (next(self.calls) if self.breaks("not repeatable") else 0)

    def breaks(self, how: str) -> bool:
        return self.parameters["how"] == how

    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        if self.breaks("order"):
            images = sorted(images, key=lambda item: item.path)
        for place, item in enumerate(images):
            if not self.breaks("deaf score"):
                context.check_cancel()
            try:
                picture = read_image(Path(item.path))
            except InputError as error:
                if self.breaks("stops"):
                    raise
                zero = self.breaks("zero for a failure")
                yield Scored(item.image_id, 0.0) if zero else Scored.failed(item.image_id, "unreadable", str(error))
                continue
            score = abs(float(picture.mean()) - self.mean)
            score += 10 * ("level_2" in item.path) if self.breaks("peeks") else 0
            score += 10 * place if self.breaks("neighbours") else 0
            yield Scored(
                item.image_id, score, map=self._map(picture), detail={"array": picture} if self.breaks("json") else {}
            )

    def _map(self, picture: np.ndarray) -> np.ndarray:
        grey = np.abs(picture.mean(2) - self.mean)
        return (
            grey if self.breaks("float64") else (grey[:40, :40] if self.breaks("aspect") else grey).astype(np.float32)
        )

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        return {"mean": torch.tensor([0.0 if self.breaks("forgets") else self.mean], dtype=torch.float64)}, {}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:
        self.mean = float(tensors["mean"][0])


class Named(Kept):
    """Takes another parameter than it declares."""

    def __init__(self, *, other: str) -> None:
        super().__init__(how=other)


HOW = Parameter("how", "text", "nothing", "What it breaks.")
KEPT = ScorerInfo("kept", "Kept", entry="tests.engine.test_contract:Kept", parameters=(HOW,))


def test_a_scorer_that_keeps_it_passes() -> None:
    check_scorer(KEPT)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("deaf fit", "cancelled while fitting"),
        ("deaf score", "cancelled while scoring"),
        ("not repeatable", "fitted again by the same seed"),
        ("order", "one result an image, in order"),
        ("stops", "stops at a file that is no image"),
        ("zero for a failure", "the score 0"),
        ("peeks", "under other names"),
        ("neighbours", "in two goes"),
        ("json", "JSON cannot hold"),
        ("float64", "a map of float64"),
        ("aspect", "another aspect"),
        ("forgets", "taken up again from its state"),
    ],
)
def test_what_is_broken_is_named(how: str, sentence: str) -> None:
    with pytest.raises(AssertionError, match=f"Scorer 'kept' .*{sentence}"):
        check_scorer(KEPT, how=how)


def test_parameters_that_the_class_does_not_take_are_named() -> None:
    with pytest.raises(AssertionError, match="does not take the parameters that it declares"):
        check_scorer(replace(KEPT, entry="tests.engine.test_contract:Named"))
