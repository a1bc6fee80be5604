"""What is shown to a multimodal model: references, anchors, the difference view, a crop, and the image. No torch here.

The benchmark's protocol and ours differ only in this choice, so both scorers that ask a model (local and
endpoint) take it from here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mad_core.datasets import plain_yaml
from mad_core.datasets.dataset import SubsetCard, level_key
from mad_core.datasets.naming import plain
from mad_core.datasets.policies import mapping_of, policy_of, read_policy
from mad_core.errors import InputError, MadError
from mad_core.paths import file_named
from mad_core.scorers.contract import Context, Item, LabelledItem
from mad_core.scorers.image_loading import image_of, load
from mad_core.scorers.multimodal.detector_first import FirstLook, first_look
from mad_core.scorers.multimodal.difference import GREY, DifferenceView
from mad_core.scorers.multimodal.prompts import Conversation, ask, repeated
from mad_core.scorers.multimodal.rubrics import find_rubric

REFERENCES = 3
HEIGHT = 512
VIEW_NORMALS = 8
"""Normals that a difference view compares with at most, the shown references first."""
MADBENCH, ZERO_SHOT = "madbench", "madbench-zero-shot"
_COARSE = 32


@dataclass(frozen=True)
class Recommended:
    """What the maker of a model recommends; it stands in the model's folder as ``inspector.json``."""

    references: int | None = None
    view: bool = False
    height: int | None = None
    detector: bool = False

    @classmethod
    def of(cls, folder: Path) -> Recommended:
        """Read ``inspector.json``; nothing is recommended where there is none or it cannot be read."""
        try:
            data = json.loads((folder / "inspector.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return cls()
        data = data if isinstance(data, dict) else {}
        references, height = data.get("references"), data.get("height")
        return cls(
            references if type(references) is int and 0 <= references <= 8 else None,
            data.get("view") is True,
            height if type(height) is int and height >= 32 else None,
            data.get("detector") is True,
        )


@dataclass(frozen=True)
class Wishes:
    """The parameters of a question, settled: nothing is left to a default.

    Parameters
    ----------
    plain : bool
        Whether the model answers as the benchmark has it answer, without a cue.
    reasons : {"all", "worst", "none"}
        Of which images the model says why.
    worst : int
        Of how many at ``"worst"``.
    view_required : bool
        Whether a person asked for the view, so that it cannot be left out for want of normals.
    detector, detector_required : bool
        Whether the default detector looks first, and whether a person asked for it.
    """

    rubric: str
    plain: bool
    references: int
    choose: str
    named: tuple[str, ...]
    anchors: bool
    view: bool
    view_required: bool
    crop: bool
    height: int
    reasons: str
    worst: int
    tokens: int
    places: bool = False
    policy: str = ""
    repeat: bool = False
    detector: bool = False
    detector_required: bool = False


def settle(parameters: Mapping[str, Any], recommended: Recommended | None = None) -> Wishes:
    """Settle the parameters of :func:`mad_core.scorers.multimodal.parameters.asking`.

    Parameters
    ----------
    parameters : mapping
        Checked against their declaration.
    recommended : Recommended or None
        Fills what is left open; the benchmark's protocols leave nothing open.
    """
    recommended = recommended or Recommended()
    protocol, rubric = parameters["protocol"], parameters["rubric"]
    if protocol in (MADBENCH, ZERO_SHOT):
        shots = REFERENCES if protocol == MADBENCH else 0
        return Wishes(rubric, True, shots, "first", (), False, False, False, False, HEIGHT, "all", 0, 300)
    asked = parameters["references"]
    references = next(n for n in (asked, recommended.references, REFERENCES) if n is not None)
    named = tuple(name.strip() for name in parameters["named"].split(",") if name.strip())
    if parameters["choose"] == "named" and asked is None:
        references = len(named)
    return Wishes(
        rubric=rubric,
        plain=False,
        references=references,
        choose=parameters["choose"],
        named=named,
        anchors=parameters["anchors"],
        view={"yes": True, "no": False}.get(parameters["view"], recommended.view),
        view_required=parameters["view"] == "yes",
        crop=bool(parameters["crop_run"]),
        height=parameters["height"] or recommended.height or HEIGHT,
        reasons=parameters["reasons"],
        worst=parameters["worst"],
        tokens=parameters["tokens"],
        places=parameters["places"],
        policy=parameters["policy"],
        repeat=parameters["repeat"],
        detector={"yes": True, "no": False}.get(first := parameters.get("detector_first", "no"), recommended.detector),
        detector_required=first == "yes",
    )


@dataclass(frozen=True)
class Question:
    """One image's question.

    Parameters
    ----------
    conversation : Conversation
    shared, own : tuple of ndarray of shape (H, W, 3), uint8, RGB
        The images of ``conversation.shared`` and ``conversation.own``, in order; the last one of
        ``own`` is the image to judge.
    map : ndarray of shape (h, w), float32, or None
        Strength of the difference view, 0 to 1, on the image's aspect.
    notes : mapping
        What was shown for this image alone, JSON-able.
    share : float
        How surely the image departs from normal, by the detector that looked first; 1 where none did.
    """

    conversation: Conversation
    shared: tuple[np.ndarray, ...]
    own: tuple[np.ndarray, ...]
    map: np.ndarray | None
    notes: Mapping[str, Any]
    share: float = 1.0


class Showing:
    """Chooses what is shown, once for a subset and then image by image.

    :meth:`question` may be called from several threads.

    Parameters
    ----------
    wishes : Wishes
    context : Context
        Its normals are the references to choose from, its calibration images the anchors.

    Raises
    ------
    InputError
        If there is no such rubric, a named reference is not among the normals, anchors are wanted
        without calibration images, a view without a normal, or a crop without the run it comes from.
    """

    def __init__(self, wishes: Wishes, context: Context) -> None:
        self.wishes, self._results, self._context = wishes, context.results, context
        self.rubric = find_rubric(wishes.rubric, context.card)
        if wishes.crop and context.results is None:
            raise InputError("A crop at a detector's peak needs a run of a detector on this dataset: give its id.")
        normals = sorted(context.normals, key=lambda item: item.path)
        self._unreadable: list[str] = []
        self._read = lru_cache(maxsize=16)(self._read_scaled)
        chosen = self._choose(normals, context)
        shown = self._readable(chosen, wishes.references) if wishes.choose != "nearest" else {}
        anchors = _anchors(context, not wishes.references, wishes.places) if wishes.anchors else {}
        examples = self._readable(list(anchors.values()), len(anchors))
        self.anchors = {name: item for name, item in anchors.items() if item in examples}
        self.references = list(shown)
        self.shared = (*shown.values(), *examples.values())
        self._candidates = self._describe(normals, context) if wishes.choose == "nearest" else {}
        self._view = self._make_view(list(shown), normals) if wishes.view else None
        self._first = first_look(normals, context, required=wishes.detector_required) if wishes.detector else None
        wording = self.rubric.wording(context.subset, context.card.product)
        self.policy = levels_of_policy(wishes.policy, context.subset) if wishes.policy else {}
        self._asked = {"wording": wording, "expert": self.rubric.expert, "policy": policy_in_words(self.policy)}
        self._closing = repeated(wording) if wishes.repeat else ""

    def question(self, item: Item) -> Question:
        """Put the question for one image.

        Raises
        ------
        ImageError
            If the image cannot be read.
        """
        image = image_of(item, self._scaled)
        own: list[np.ndarray] = []
        notes: dict[str, Any] = {}
        near = self._nearest(image) if self._candidates else []
        own += [self._read(reference) for reference in near]
        if near:
            notes["references"] = [_name(reference) for reference in near]
        seen = self._first.look(item) if self._first else FirstLook()
        view = seen.greyed(self._view.render(image)) if self._view else None
        own += [view] if view is not None else []
        box = self._peak(item.image_id, image.shape[:2])
        if box is not None:
            top, left, bottom, right = box
            own.append(image[top:bottom, left:right])
            notes["crop"] = list(box)
        own.append(image)
        if self._first:
            notes["not_normal"] = round(seen.share, 4)
        conversation = self.conversation(nearest=len(near), crop=box is not None)
        return Question(conversation, self.shared, tuple(own), strength(view), notes, seen.share)

    def conversation(self, *, nearest: int = 0, crop: bool = False) -> Conversation:
        """The conversation of an image that comes with so many nearest references, and with a crop or not."""
        return ask(
            **self._asked,
            closing=self._closing,
            references=len(self.references),
            anchors=list(self.anchors),
            nearest=nearest,
            view=self._view is not None,
            crop=crop,
        )

    def levels_shown(self) -> list[tuple[int, np.ndarray]]:
        """Where on 0-100 each level of the calibration images lies, rising, and the picture of one of its images.

        Raises
        ------
        InputError
            If there are no calibration images.
        """
        anchors = _anchors(self._context, True, False)
        levels = sorted({item.level for item in self._context.calibration})
        pictures = self._readable(list(anchors.values()), len(anchors))
        return sorted(((place_of(item.level, levels), pixels) for item, pixels in pictures.items()), key=lambda p: p[0])

    def facts(self) -> dict[str, Any]:
        """What a run's record needs to say of this, JSON-able."""
        talk = self.conversation(nearest=min(self.wishes.references, len(self._candidates)), crop=self.wishes.crop)
        digest = hashlib.blake2b(json.dumps(talk.messages()).encode(), digest_size=12)
        return {
            "rubric": self.rubric.title,
            "rubric_text": self._asked["wording"],
            "prompt_digest": digest.hexdigest(),
            "references": [_name(item) for item in self.references],
            "references_nearest": self.wishes.references if self._candidates else 0,
            "anchors": {name: _name(item) for name, item in self.anchors.items()},
            "policy": dict(self.policy),
            "view": self._view is not None,
            "detector_first": self._first.facts() if self._first else None,
            "height": self.wishes.height,
            "unreadable": self._unreadable,
        }

    # -- choosing -------------------------------------------------------------------------------

    def _choose(self, normals: Sequence[Item], context: Context) -> list[Item]:
        """Normals in the order in which they are to be shown."""
        if self.wishes.choose != "named":
            return list(normals)
        by_name: dict[str, Item] = {}
        for item in normals:
            by_name.setdefault(_name(item), item)
        for name in self.wishes.named:
            if name not in by_name:
                raise InputError(
                    f"Subset '{context.subset}' has no training normal called '{name}'. "
                    "Name files of its train/good folder, or choose the first or nearest ones."
                )
        return [by_name[name] for name in self.wishes.named]

    def _readable(self, items: Sequence[Any], most: int) -> dict[Any, np.ndarray]:
        """The first ``most`` of these that can be read, with their pixels."""
        pictures: dict[Any, np.ndarray] = {}
        for item in items:
            if len(pictures) == most:
                break
            try:
                pictures[item] = self._read_scaled(item)
            except MadError as error:
                self._unreadable.append(str(error))
        return pictures

    def _describe(self, normals: Sequence[Item], context: Context) -> dict[Item, np.ndarray]:
        """What normals look like from afar, to find the nearest ones by."""
        pictures: dict[Item, np.ndarray] = {}
        for done, loaded in enumerate(load(normals, _from_afar)):
            context.step(done + 1, len(normals))
            if loaded.value is None:
                self._unreadable.append(loaded.error or _name(loaded.item))
            else:
                pictures[loaded.item] = loaded.value
        return pictures if self.wishes.references else {}

    def _nearest(self, image: np.ndarray) -> list[Item]:
        """The normals most like an image, the most alike last: next to the image it is compared with."""
        looks = _from_afar(image)
        order = sorted(self._candidates, key=lambda item: float(np.abs(self._candidates[item] - looks).mean()))
        return order[: self.wishes.references][::-1]

    def _make_view(self, shown: Sequence[Item], normals: Sequence[Item]) -> DifferenceView | None:
        others = [item for item in normals if item not in set(shown)]
        pixels = self._readable([*shown, *others], VIEW_NORMALS)
        if not pixels and not self.wishes.view_required:
            return None
        if not pixels:
            raise InputError("The difference view needs at least one training normal (train/good); set view=no.")
        return DifferenceView(list(pixels.values()))

    def _peak(self, image_id: str, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
        anomaly_map = self._results.map(image_id) if self.wishes.crop and self._results is not None else None
        return None if anomaly_map is None else peak_box(anomaly_map, size)

    # -- reading --------------------------------------------------------------------------------

    def _read_scaled(self, item: Item | LabelledItem) -> np.ndarray:
        return image_of(item, self._scaled)

    def _scaled(self, image: np.ndarray) -> np.ndarray:
        """The image at the agreed height; lower ones stay as they are."""
        height, width = image.shape[:2]
        if height <= self.wishes.height:
            return image
        size = (max(1, round(width * self.wishes.height / height)), self.wishes.height)
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def strength(view: np.ndarray | None) -> np.ndarray | None:
    """How far a difference view is from grey: float32 of shape (h, w), 0 to 1."""
    if view is None:
        return None
    return (np.abs(view.astype(np.float32) - GREY).max(2) / 127).astype(np.float32)


def peak_box(anomaly_map: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The square around a map's peak, half the shorter side long, as far inside the image as it goes.

    Parameters
    ----------
    anomaly_map : ndarray of shape (h, w)
    size : (int, int)
        Height and width of the image, pixels.

    Returns
    -------
    (top, left, bottom, right), pixels
    """
    height, width = size
    row, column = np.unravel_index(int(np.argmax(anomaly_map)), anomaly_map.shape)
    centre = (row + 0.5) * height / anomaly_map.shape[0], (column + 0.5) * width / anomaly_map.shape[1]
    side = max(1, min(height, width) // 2)
    top = int(np.clip(round(centre[0] - side / 2), 0, height - side))
    left = int(np.clip(round(centre[1] - side / 2), 0, width - side))
    return top, left, top + side, left + side


def _anchors(context: Context, with_normal: bool, with_place: bool) -> dict[str, LabelledItem]:
    """One calibration image a level, the first by path, under the level's name, and where on the scale that lies."""
    by_level: dict[float, list[LabelledItem]] = defaultdict(list)
    for item in context.calibration:
        by_level[item.level].append(item)
    if not by_level:
        raise InputError(
            f"Anchors are calibration images, and subset '{context.subset}' has none. "
            "Set some images of each level aside for calibration, or switch anchors off."
        )
    wanted = [level for level in sorted(by_level) if level > 0 or with_normal]
    names = anchor_names(context.card, sorted(by_level), wanted, with_place)
    return {names[level]: min(by_level[level], key=lambda item: item.path) for level in wanted}


def anchor_names(
    card: SubsetCard, levels: Sequence[float], wanted: Sequence[float], with_place: bool
) -> dict[float, str]:
    """What the anchors of the wanted levels are called, and where on the scale they lie among all ``levels``."""
    every = sorted({*levels, *map(float, card.levels)})
    place = {level: f", about {place_of(level, every)} of 100" if with_place else "" for level in wanted}
    return {level: level_name(card, level) + place[level] for level in wanted}


def place_of(level: float, levels: Sequence[float]) -> int:
    """Where on 0-100 a level lies: normal at 0, the others in the middles of bands of equal width.

    Parameters
    ----------
    levels : sequence of float
        All levels.
    """
    abnormal = sorted({one for one in levels if one > 0})
    return round(100 * (abnormal.index(level) + 0.5) / len(abnormal)) if level > 0 else 0


def levels_of_policy(text: str, subset: str) -> dict[str, float]:
    """Level of each kind of fault on a subset, by the words of a severity policy or of the file that holds it.

    Raises
    ------
    InputError
        If there is no such file, it cannot be read, or it says nothing of the subset.
    """
    path = None if "\n" in text or ": " in text else file_named(text)
    if path is None and ":" not in text:
        raise InputError(
            f"There is no severity policy '{text[:200]}'. Give lines 'kind: level' or a YAML file of them."
        )
    policy = read_policy(path) if path else policy_of(mapping_of(text, "policy", plain_yaml.parse_words), "policy")
    levels = {**policy.anywhere, **policy.by_subset.get(plain(subset), {})}
    finite = {kind.replace("_", " "): level for kind, level in levels.items() if math.isfinite(level)}
    if not finite:
        raise InputError(f"The severity policy says nothing of subset '{subset}'.")
    return dict(sorted(finite.items(), key=lambda pair: (pair[1], pair[0])))


def policy_in_words(levels: Mapping[str, float]) -> str:
    """What a model is told of a policy; empty where there is none."""
    if not levels:
        return ""
    kinds = "; ".join(
        f"{kind}: level {level_key(level)}, about {place_of(level, list(levels.values()))} of 100"
        for kind, level in levels.items()
    )
    return f"Levels of known kinds of faults, to look up: {kinds}."


def level_name(card: SubsetCard, level: float) -> str:
    """What an anchor's level is called in the question."""
    meaning = card.levels.get(level_key(level))
    return f"level {level_key(level)}" + (f", {meaning.name}" if meaning and meaning.name else "")


def _from_afar(image: np.ndarray) -> np.ndarray:
    """An image in 32 x 32 pixels without its mean colour, float32."""
    small = cv2.resize(image, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA).astype(np.float32)
    return small - small.mean((0, 1))


def _name(item: Item | LabelledItem) -> str:
    return Path(item.path).name
