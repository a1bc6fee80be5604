"""Orders of severity that words are known to have: proposed to a person, and read by nobody until one takes them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mad_core.datasets.naming import plain

_RANKS = (
    "none no normal healthy good ok negative neg benign pass passed clean intact nodefect defectfree absent without "
    "false keine kein ohne gut io aucun aucune normale ninguno sano nessuno nessuna 正常 无 無 良品 合格",
    "minimal doubtful trace questionable verymild borderline sehrleicht",
    "mild slight minor low light small weak early leicht gering léger légère leve lieve 轻微 轻度 軽度 軽微",
    "moderate medium mid middle intermediate partial mittel mäßig moderat modéré modérée "
    "moderado moderada moderato 中度 中等",
    "severe major serious strong heavy high large advanced yes positive pos malignant defect defective abnormal "
    "anomaly anomalous ng nok fail failed bad broken tumor tumour true schwer stark nio schlecht sévère grave severo "
    "severa 严重 重度 不良 缺陷 不合格 異常 异常",
    "verysevere extreme critical proliferative proliferate endstage fatal total sehrschwer",
)
_RANK = {word: rank for rank, words in enumerate(_RANKS) for word in words.split()}
_ROMANS = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6}


def propose(words: Iterable[str], normals: bool = False) -> dict[str, float]:
    """Levels for the words whose order is known; those of an unknown one, or of two in one place, are not there.

    Parameters
    ----------
    words : iterable of str
        Defect types or words of a level's column that stand beside each other.
    normals : bool
        Whether something else already stands for level 0.
    """
    words = list(dict.fromkeys(words))
    numbers = _numbers(words)
    if numbers:
        return numbers
    ranks = {word: rank for word in words if (rank := _rank(word)) is not None}
    order = sorted(set(ranks.values()))
    if len(ranks) < 2 - normals or len(order) < len(ranks):
        return {}
    first = 0 if order[0] == 0 else 1
    return {word: float(first + order.index(rank)) for word, rank in ranks.items()}


def _numbers(words: list[str]) -> dict[str, float]:
    """The only number in each word, where every word has one of its own; Roman ones at the end alone."""
    numbers = {word: _number(word) for word in words}
    levels = [level for level in numbers.values() if level is not None]
    if len(levels) < max(2, len(words)) or len(set(levels)) < len(levels):
        return {}
    return {word: level for word, level in numbers.items() if level is not None}


def _number(word: str) -> float | None:
    digits = re.findall(r"\d+(?:[.,]\d+)?", word)
    if len(digits) == 1 and len(digits[0]) < 4:
        return float(digits[0].replace(",", "."))
    last = re.split(r"[\W_]+", word.strip().lower())[-1]
    return float(_ROMANS[last]) if not digits and last in _ROMANS else None


def _rank(word: str) -> int | None:
    """The place of a word, of what it is without blanks, or of the first part of it that is known."""
    parts = [plain(word), *(part for part in re.split(r"[\W_]+", word.lower()) if part)]
    return next((_RANK[part] for part in parts if part in _RANK), None)
