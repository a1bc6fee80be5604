"""Rubrics: what a severity score means, in words that a domain expert can read and edit.

A rubric is a small YAML file. Those that ship lie in ``assets/rubrics``; a dataset whose levels have
meanings carries one of its own (:func:`rubric_of_card`).

    title: Castings
    expert: an inspector of aluminium castings
    criterion: Judge by what the fault costs.
    bands:
      - {from: 0, to: 0, name: normal, meaning: Nothing departs from a sound part.}
      - {from: 1, to: 30, name: usable, meaning: Looks only.}
      - {from: 31, to: 100, name: lost, meaning: Cannot be sold.}
    products:
      bracket: Holds the pump. Cracks at the foot are the worst.

Instead of bands, ``text`` may hold a wording that is sent as it is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mad_core.assets import asset
from mad_core.datasets import plain_yaml
from mad_core.datasets.dataset import SubsetCard
from mad_core.datasets.naming import plain
from mad_core.errors import InputError
from mad_core.paths import file_named
from mad_core.settings import Settings

FOLDER = asset("rubrics")
AUTO, GENERAL = "auto", "general"
MOST_BYTES = 64_000
_FIELDS = {"title", "expert", "criterion", "bands", "products", "text", "source"}


@dataclass(frozen=True)
class Band:
    """Whole scores ``low`` to ``high``, both included, and what they mean."""

    low: int
    high: int
    name: str
    meaning: str = ""

    def line(self) -> str:
        """The band in one line, such as ``1-30: usable. Looks only.``"""
        span = f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"
        return f"{span}: {_sentence(self.name)}{' ' + _sentence(self.meaning) if self.meaning else ''}"


@dataclass(frozen=True)
class Rubric:
    """What the scores 0-100 mean.

    Parameters
    ----------
    title : str
    bands : tuple of Band
        From 0 to 100 without gap or overlap; empty if ``text`` stands in their place.
    expert : str
        Who the model is to be: "an inspector of ...".
    criterion : str
        What severity is measured by.
    products : mapping of subset to str
        What else to know of a product.
    text : str
        A wording of one's own, sent as it is.
    """

    title: str
    bands: tuple[Band, ...] = ()
    expert: str = ""
    criterion: str = ""
    products: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    source: str = ""

    def wording(self, subset: str = "", product: str = "") -> str:
        """The rubric as it stands in the prompt.

        Parameters
        ----------
        subset : str
            Adds what the rubric says of this product: ``metal_nut``, found by ``mvtec_metal_nut`` and
            ``mvtec/metal_nut`` too.
        product : str
            What the product is, from the dataset's card.
        """
        parts = [self.criterion.strip()]
        context = self.context_of(subset)
        parts += [f"Product: {_sentence(product)}"] if product else []
        parts += [context] if context else []
        parts += [self.text.strip()] if self.text else ["Scale:", *(band.line() for band in self.bands)]
        return "\n".join(part for part in parts if part)

    def context_of(self, subset: str) -> str:
        """What the rubric says of a product; empty where it says nothing."""
        called = plain(subset)
        exact = [text for name, text in self.products.items() if plain(name) == called]
        ending = [
            (len(name), text)
            for name, text in self.products.items()
            if subset.casefold().endswith((f"_{name}".casefold(), f"/{name}".casefold()))
        ]
        return (exact[0] if exact else max(ending)[1] if ending else "").strip()

    def band_of(self, score: float) -> Band | None:
        """The band a score falls into; scores between two bands belong to the upper one."""
        return next((band for band in self.bands if score <= band.high), None)

    def to_yaml(self) -> str:
        """The file that :func:`parse_rubric` reads."""
        data: dict[str, Any] = {"title": self.title, "expert": self.expert, "criterion": self.criterion}
        if self.bands:
            data["bands"] = [
                {"from": band.low, "to": band.high, "name": band.name, "meaning": band.meaning} for band in self.bands
            ]
        data |= {"text": self.text, "products": dict(self.products), "source": self.source}
        return yaml.safe_dump({k: v for k, v in data.items() if v}, sort_keys=False, allow_unicode=True, width=100)


def parse_rubric(text: str, name: str = "the rubric") -> Rubric:
    """Read a rubric.

    Parameters
    ----------
    text : str
        YAML as in the module's example.
    name : str
        How errors call it.

    Raises
    ------
    InputError
        With a sentence that says which line or band is wrong.
    """
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise InputError(f"{name} is longer than {MOST_BYTES // 1000} kB; a rubric is a page of text.")
    try:
        data = plain_yaml.parse(text)
    except plain_yaml.ERRORS as error:
        raise InputError(f"{name}{plain_yaml.why(error)}") from None
    if not isinstance(data, dict):
        raise InputError(f"{name} must be a YAML mapping with a title and bands; see assets/rubrics/general.yaml.")
    unknown = sorted(map(str, set(data) - _FIELDS))
    if unknown:
        raise InputError(f"{name} has the unknown entry '{unknown[0][:80]}'; known are {', '.join(sorted(_FIELDS))}.")
    products = data.get("products") or {}
    if not isinstance(products, dict):
        raise InputError(f"'products' of {name} must map a product's name to a text.")
    bands = tuple(_band(entry, name) for entry in _list(data.get("bands"), name))
    _check_bands(bands, name)
    rubric = Rubric(
        bands=bands,
        products={str(k): _words(v, f"products, {str(k)[:80]}", name) for k, v in products.items()},
        **{k: _words(data.get(k), k, name).strip() for k in ("title", "expert", "criterion", "text", "source")},
    )
    if not rubric.bands and not rubric.text:
        raise InputError(f"{name} needs 'bands' (what which score means) or 'text' (a wording of your own).")
    return rubric


def _list(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"'bands' of {name} must be a list of entries with from, to, name and meaning.")
    return value


def _band(entry: Any, name: str) -> Band:
    low, high = (entry.get("from"), entry.get("to")) if isinstance(entry, dict) else (None, None)
    if type(low) is not int or type(high) is not int:
        text = repr(entry)
        shown = f"{text[:120]} …" if len(text) > 120 else text
        raise InputError(f"Each band of {name} needs whole numbers 'from' and 'to'; found {shown}.")
    return Band(low, high, _words(entry.get("name"), "name", name), _words(entry.get("meaning"), "meaning", name))


def _words(value: Any, what: str, name: str) -> str:
    """One entry of a rubric as text; empty where it holds nothing."""
    if isinstance(value, list | dict | set | tuple | bytes):
        raise InputError(f"'{what}' of {name} must be a text, not a {type(value).__name__}.")
    return str(value or "")


def _check_bands(bands: tuple[Band, ...], name: str) -> None:
    expected = 0
    for band in bands:
        if band.low != expected or band.high < band.low:
            raise InputError(
                f"The bands of {name} must go from 0 to 100 without gap or overlap; "
                f"after {expected - 1 if expected else 'the start'} comes {band.low}-{band.high}."
            )
        expected = band.high + 1
    if bands and expected != 101:
        raise InputError(f"The bands of {name} end at {expected - 1}, not at 100.")


def shipped_rubrics() -> dict[str, Rubric]:
    """The rubrics in ``assets/rubrics`` by id (the file's name)."""
    return {
        path.stem: parse_rubric(path.read_text(encoding="utf-8"), path.name) for path in sorted(FOLDER.glob("*.yaml"))
    }


def _anywhere(path: Path) -> bool:
    return True


def find_rubric(wanted: str, card: SubsetCard, may_open: Callable[[Path], bool] = _anywhere) -> Rubric:
    """The rubric to use for a subset.

    Parameters
    ----------
    wanted : str
        ``auto`` (the card's own, then its levels' meanings, then the general one), the id of a rubric
        that ships, the path of a file, or the text of a rubric (YAML of several lines).
    card : SubsetCard
        A file that it names is read only where pages may open it: nobody vouches for a card.
    may_open : callable
        Which files may be read; one that may not is as one that is not there.

    Raises
    ------
    InputError
        If there is no such rubric, or it cannot be read.
    """
    if wanted == AUTO:
        if card.rubric and card.rubric != AUTO:
            return find_rubric(card.rubric, card, Settings.from_environment().may_open)
        return rubric_of_card(card) or find_rubric(GENERAL, card)
    if "\n" in wanted:
        return parse_rubric(wanted)
    if wanted in (ids := sorted(path.stem for path in FOLDER.glob("*.yaml"))):
        return parse_rubric((FOLDER / f"{wanted}.yaml").read_text(encoding="utf-8"), f"{wanted}.yaml")
    path = file_named(wanted)
    if path is None or path.suffix not in (".yaml", ".yml") or not may_open(path):
        raise InputError(f"There is no rubric '{wanted[:200]}'. Give a YAML file, or one of: auto, {', '.join(ids)}.")
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"{path} is longer than {MOST_BYTES // 1000} kB; a rubric is a page of text.")
    return parse_rubric(data.decode(errors="replace"), path.name)


def rubric_of_card(card: SubsetCard) -> Rubric | None:
    """A rubric made of the meanings of a dataset's levels, in bands of equal width; None without meanings."""
    levels = sorted(((float(key), meaning) for key, meaning in card.levels.items()), key=lambda pair: pair[0])
    abnormal = [meaning for level, meaning in levels if level > 0]
    if not abnormal or not all(meaning.name or meaning.meaning for meaning in abnormal):
        return None
    normal = next((meaning for level, meaning in levels if level == 0), None)
    edges = [round(100 * k / len(abnormal)) for k in range(len(abnormal) + 1)]
    bands = [Band(0, 0, (normal and normal.name) or "normal", normal.meaning if normal else "")]
    bands += [Band(a + 1, b, m.name, m.meaning) for a, b, m in zip(edges[:-1], edges[1:], abnormal, strict=True)]
    return Rubric(title="The dataset's own levels", bands=tuple(bands))


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text[-1] in ".!?:;" else f"{text}."
