"""Severity levels as cells of tables write them, by one set of rules for dataset tables and score files."""

import math
import re
from collections.abc import Iterable

from mad_core.datasets.naming import meanings
from mad_core.tables import is_blank, numbers, plain_name

_CODED = re.compile(r"(?P<level>[0-9]{1,6}(?:[.,][0-9]{1,6})?)\s*(?:[-–—:=.()_]|\s)\s*(?P<word>[^\W\d_].*)", re.DOTALL)
"""``2 - moderate``, ``2: moderate``, ``2 (moderate)``, ``2 moderate``."""

_MONTHS = frozenset(
    {
        "jan",
        "feb",
        "mar",
        "mrz",
        "apr",
        "may",
        "mai",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "okt",
        "nov",
        "dec",
        "dez",
    }
)
"""What spreadsheets make of ``1-2``: a date, such as ``2-Jan`` or ``02. Feb``."""

LONGEST = 200
"""Characters of a cell that may say a level."""


def levels_of(texts: Iterable[str], separator: str = "") -> dict[str, float | None]:
    """Levels by the text that stands for them: ``2``, ``2.0``, ``0,5``, ``+1``, ``L2``, ``level_2``, ``2 - moderate``.

    A number before a word counts where each number has one word and each word one number throughout. None where a text
    is no level from 0 up: a word that a severity policy may know, a negative or endless number, a fraction such as 1/4.
    """
    every = list(dict.fromkeys(texts))
    unique = [text for text in every if len(text) <= LONGEST]
    plain = numbers(unique, separator).values
    coded = _coded([t for t, value in zip(unique, plain, strict=True) if math.isnan(value)])
    words = meanings([t for t, value in zip(unique, plain, strict=True) if math.isnan(value) and not is_blank(t)])
    result: dict[str, float | None] = dict.fromkeys(every)
    for text, number in zip(unique, plain, strict=True):
        level = float(number)
        if math.isnan(level) and not is_blank(text):
            word = words[text] or meanings([text])[text]
            level = coded.get(text, word.level if word else math.nan)
        result[text] = level if math.isfinite(level) and level >= 0 and not text.endswith("%") else None
    return result


def _coded(texts: Iterable[str]) -> dict[str, float]:
    """Levels of texts that are a number and a word, where number and word always go together."""
    matches = {text: match for text in texts if (match := _CODED.fullmatch(text.strip()))}
    if any(plain_name(match["word"]) in _MONTHS for match in matches.values()):
        return {}
    pairs = {(float(m["level"].replace(",", ".")), plain_name(m["word"].rstrip(" )"))) for m in matches.values()}
    if len({level for level, _ in pairs}) != len(pairs) or len({word for _, word in pairs}) != len(pairs):
        return {}
    return {text: float(match["level"].replace(",", ".")) for text, match in matches.items()}
