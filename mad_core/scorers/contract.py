"""The scorer contract: what a scorer gets, what it gives, and how its fitted state is kept.

This module imports no torch: the web process and the command line read the catalogue through it.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from mad_core.datasets.dataset import SubsetCard
from mad_core.errors import CancelledError, InputError
from mad_core.ignored import IgnoredRegion
from mad_core.pixels import Window

if TYPE_CHECKING:
    import torch

    from mad_core.scorers.graph import Graph

OK = "ok"


class Results(Protocol):
    """Read access to the stored results of another run, for scorers that build on one."""

    def score(self, image_id: str) -> float | None:
        """The image's raw score, or None where it has none."""
        ...

    def map(self, image_id: str) -> np.ndarray | None:
        """The image's anomaly map, float32 of shape (H, W), or None."""
        ...


class Part(Protocol):
    """A finished run that a scorer builds on; it can score more images than it has scored."""

    @property
    def run_id(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def digest(self) -> str:
        """Changes whenever its scores may have changed."""
        ...

    def learned(self, subset: str) -> frozenset[str]:
        """Ids of the images of which it has learned normal, where none is known to be; empty where some are."""
        ...

    def scored(self, items: Sequence[Item]) -> Sequence[Scored]:
        """Results of these images, in order: stored ones, else new ones by the run's own fit."""
        ...

    def graph(self, height: int, width: int) -> Graph:
        """The run's fitted scorer as :meth:`Scorer.graph` gives it."""
        ...

    def unseen(self, normals: Sequence[Item]) -> Sequence[Scored]:
        """Results of training normals, each by a fit on the other half of them where the scorer learns."""
        ...


class Closable(Protocol):
    """Something that holds memory and gives it back."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Resources:
    """What is expensive to make and serves all subsets of a run, such as a loaded model; closed when the run ends."""

    def __init__(self) -> None:
        self._held: dict[Hashable, Any] = {}

    def hold(self, key: Hashable, make: Callable[[], C]) -> C:
        """What is held under ``key``; made at the first call."""
        if key not in self._held:
            self._held[key] = make()
        return self._held[key]

    def close(self) -> None:
        """Give everything back."""
        while self._held:
            self._held.popitem()[1].close()


@dataclass(frozen=True, slots=True)
class Item:
    """One image as a scorer may see it: no level, no defect, no mask.

    ``content_hash`` is the digest of the bytes that were imported; empty where none were. ``window`` is the one of its
    subset, through which pictures deeper than 8 bits are seen; ``ignored`` what of its pictures counts for nothing,
    which is replaced before a scorer sees them. ``crop`` is the part of the picture that it stands for; all of it where
    there is none.
    """

    image_id: str
    path: str
    content_hash: str = ""
    window: Window | None = None
    ignored: IgnoredRegion | None = None
    crop: Crop | None = field(default=None, compare=False)


class Crop(Protocol):
    """A part of a picture, which many such parts share."""

    def of(self, item: Item, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The part's pixels (h, w, 3); ``decode`` gives those of the whole picture."""
        ...


@dataclass(frozen=True, slots=True)
class LabelledItem:
    """A calibration image: the only kind whose severity level a scorer may see.

    ``group`` is what it belongs to (patient, part, lot); empty where none is known.
    """

    image_id: str
    path: str
    level: float
    content_hash: str = ""
    window: Window | None = None
    group: str = ""
    ignored: IgnoredRegion | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The result of one image.

    Parameters
    ----------
    image_id : str
    score : float or None
        Raw units of the scorer, higher = more severe, never clamped; present if and only if
        ``status`` is ``"ok"``. A failed image has no score; it never has score 0.
    map : ndarray of shape (H, W), float32, or None
        Anomaly map on the image's own aspect, raw units, higher = more anomalous.
    reason : str or None
        Text that explains the score, or why there is none.
    distribution : ndarray of shape (101,), float64, or None
        Probability of each whole score 0-100.
    seconds : float
        Time this image took, its share of its batch.
    status : str
        ``"ok"`` or a named failure (``"unreadable"``, ``"changed-file"``, ``"unparsed"``, ``"refused"``, …).
    detail : mapping
        Further JSON-able facts (written score, raw answer, …).
    """

    image_id: str
    score: float | None
    map: np.ndarray | None = None
    reason: str | None = None
    distribution: np.ndarray | None = None
    seconds: float = 0.0
    status: str = OK
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.status == OK) != (self.score is not None):
            raise ValueError("a score is present if and only if the status is 'ok'")
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError("a score is finite or absent")
        if self.map is not None and self.map.ndim != 2:
            raise ValueError("an anomaly map has two axes")

    @classmethod
    def failed(cls, image_id: str, status: str, reason: str, seconds: float = 0.0, **detail: Any) -> Scored:
        """A failed image: kept, named, without a score."""
        return cls(image_id, None, reason=reason, seconds=seconds, status=status, detail=detail)

    @classmethod
    def of(cls, image_id: str, score: float, anomaly_map: np.ndarray | None, seconds: float) -> Scored:
        """A scored image, or a failed one named ``"not-finite"`` where the model gave NaN or infinity."""
        if not math.isfinite(score):
            return cls.failed(image_id, "not-finite", "The model gave no finite score.", seconds)
        return cls(image_id, float(score), map=anomaly_map, seconds=seconds)


def _no_progress(done: int, total: int) -> None:
    """Report nothing."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Context:
    """What a scorer may use, and nothing else.

    Parameters
    ----------
    subset : str
        Name of the subset being fitted or scored.
    card : SubsetCard
        Its domain, level meanings and rubric.
    device : str
        A torch device string: ``"cpu"`` or ``"cuda:0"``.
    seed : int
    weights : Path
        Folder of fetched backbone weights.
    calibration : sequence of LabelledItem
        Labelled images outside every metric; empty unless the scorer declares ``supervision``.
    comparisons : sequence of (str, str)
        Ids of a worse and of a milder image among these; empty likewise.
    normals : sequence of Item
        The training normals (references for multimodal scorers).
    progress : callable(done, total)
        Call it in every long loop, ``fit`` and ``score`` alike.
    cancelled : callable() -> bool
        Whether a person asked to stop; see :meth:`check_cancel`.
    results : Results or None
        Read access to another run's scores and maps, for scorers that build on one.
    parts : mapping of str to Part
        The runs that a scorer is made of, by the parameter that names each; empty unless it declares them.
    agreed_hosts : set of str
        Other machines that a person agreed to send this dataset's images to.
    looks : Path or None
        Folder in which descriptions of images are kept that can be made again; None where nothing is kept.
    resources : Resources or None
        What outlives this subset and ends with the run; None where there is one subset only.
    """

    subset: str = ""
    card: SubsetCard = field(default_factory=SubsetCard)
    device: str = "cpu"
    seed: int = 0
    weights: Path = Path()
    calibration: Sequence[LabelledItem] = ()
    comparisons: Sequence[tuple[str, str]] = ()
    normals: Sequence[Item] = ()
    progress: Callable[[int, int], None] = _no_progress
    cancelled: Callable[[], bool] = _never
    results: Results | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    agreed_hosts: frozenset[str] = frozenset()
    looks: Path | None = None
    resources: Resources | None = None

    def check_cancel(self) -> None:
        """Leave the work when a person asked to stop.

        Raises
        ------
        CancelledError
        """
        if self.cancelled():
            raise CancelledError("The work was cancelled; what was finished is kept.")

    def step(self, done: int, total: int) -> None:
        """One turn of a long loop: report progress, leave if cancelled."""
        self.progress(done, total)
        self.check_cancel()

    def rng(self) -> np.random.Generator:
        """A fresh numpy generator, the same one at every call."""
        return np.random.default_rng(self.seed)

    def torch_generator(self) -> torch.Generator:
        """A fresh CPU torch generator, the same one at every call."""
        import torch

        return torch.Generator().manual_seed(self.seed)

    def seed_libraries(self) -> None:
        """Seed the global generators that libraries draw from (torch, numpy and random)."""
        import torch

        torch.manual_seed(self.seed)
        np.random.seed(self.seed % 2**32)
        random.seed(self.seed)


class Scorer(ABC):
    """A scorer with its parameters, already checked against the catalogue.

    Subclasses take their parameters as keyword arguments, by the names declared in the catalogue.
    One instance is fitted and used on one subset.
    """

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters

    @abstractmethod
    def fit(self, normals: Sequence[Item], context: Context) -> None:
        """Learn what normal looks like.

        Raises
        ------
        InputError
            If there are too few usable normals; the sentence says how many are needed.
        CancelledError
        """

    @abstractmethod
    def score(self, images: Sequence[Item], context: Context) -> Iterator[Scored]:
        """Yield one :class:`Scored` per image, in order, as soon as each is known.

        An image that cannot be read yields a failed ``Scored`` and never stops the run.
        The score of an image depends on that image and the fitted state alone.
        """

    def add_normals(self, normals: Sequence[Item], context: Context) -> None:
        """Let further normals join what was fitted, without the ones that it was fitted on.

        Raises
        ------
        InputError
            If it keeps no memory that normals can join (:attr:`mad_core.scorers.catalog.ScorerInfo.grows`), or none
            of them can be read.
        CancelledError
        """
        raise InputError("This scorer keeps no memory that normals can join; run it anew on all of them.")

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Fitted state: named tensors (kept as safetensors) and a JSON-able dictionary.

        Scorers without a fit keep the default, which is empty.
        """
        return {}, {}

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any], context: Context) -> None:  # noqa: B027 - optional
        """Take back what :meth:`state` gave; afterwards :meth:`score` works without :meth:`fit`."""

    def graph(self, height: int, width: int, context: Context) -> Graph:
        """The fitted scorer as a module from the pixels of one picture to score and map, for export; on the CPU.

        Afterwards the scorer need not score as fast as before.

        Parameters
        ----------
        height, width : int
            Of every picture.

        Raises
        ------
        InputError
            If it cannot be written down, or not as it was fitted
            (:attr:`mad_core.scorers.catalog.ScorerInfo.exports`).
        """
        raise InputError("This scorer cannot be exported.")

    def facts(self) -> dict[str, Any]:
        """Facts for the run's record, JSON-able: weights digest, preprocessing, bank size, memory, …"""
        return {}

    def close(self) -> None:  # noqa: B027 - optional
        """Give memory back; the scorer is not used afterwards."""


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: it validates input, draws the form and the command-line options.

    ``kind`` is ``"int"``, ``"float"``, ``"bool"``, ``"choice"`` or ``"text"``; ``low`` and ``high``
    are inclusive. ``default`` may be ``None``, which means "the best for this machine" and is
    resolved by the scorer. ``synonyms`` are other words for choices, in small letters.
    """

    name: str
    kind: str
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    advanced: bool = False
    synonyms: Mapping[str, str] = field(default_factory=dict)
    check_text: Callable[[str], str] | None = None
    """Of a text: gives it in its one form, or raises :class:`~mad_core.errors.InputError`."""

    def check(self, value: Any) -> Any:
        """The value in its declared type.

        Raises
        ------
        InputError
            If it cannot be read as that type, is out of the interval or not among the choices.
        """
        if value is None or (value == "" and self.default is None):
            if self.default is None:
                return None
            raise InputError(f"Parameter '{self.name}' needs a value.")
        readers = {"int": _read_int, "float": float, "bool": _read_bool, "choice": str, "text": str}
        try:
            typed = readers[self.kind](value)
        except (TypeError, ValueError, OverflowError):
            shown = str(value)[:80].encode(errors="replace").decode()
            raise InputError(f"Parameter '{self.name}' is '{shown}', but a {self.kind} is needed.") from None
        if self.kind == "choice":
            return self._chosen(typed)
        if self.kind in ("int", "float"):
            low = -math.inf if self.low is None else self.low
            high = math.inf if self.high is None else self.high
            if not (math.isfinite(typed) and low <= typed <= high):
                raise InputError(f"Parameter '{self.name}' is {value}, but must lie in [{low:g}, {high:g}].")
        return typed if self.check_text is None else self.check_text(typed)

    def _chosen(self, word: str) -> str:
        chosen = self.synonyms.get(word.lower(), word)
        if chosen not in self.choices:
            options = ", ".join(self.choices)
            raise InputError(f"Parameter '{self.name}' is '{word[:80]}', but must be one of {options}.")
        return chosen

    def to_json(self) -> dict[str, Any]:
        facts = {"name": self.name, "type": self.kind, "default": self.default, "help": self.help}
        if self.kind in ("int", "float"):
            facts |= {"low": self.low, "high": self.high}
        if self.choices:
            facts["choices"] = list(self.choices)
        return facts


def checked_values(parameters: Sequence[Parameter], given: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """All parameters, the given ones checked and the others at their defaults; ``owner`` is named in errors.

    Raises
    ------
    InputError
        If a name is unknown or a value does not fit its declaration.
    """
    declared = {p.name: p for p in parameters}
    unknown = sorted(set(given) - set(declared))
    if unknown:
        names = ", ".join(declared) or "none"
        raise InputError(f"{owner} has no parameter '{unknown[0][:80]}'; it has {names}.")
    return {name: p.check(given.get(name, p.default)) for name, p in declared.items()}


def _read_int(value: Any) -> int:
    number = float(value)
    if number != int(number):
        raise ValueError(value)
    return int(number)


def _read_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}
    try:
        return words[str(value).strip().lower()]
    except KeyError:
        raise ValueError(value) from None
