"""Small texts: levels, durations, numbers, and text of users made safe to show."""

import math
import re
from collections.abc import Mapping

from mad_core.datasets.dataset import LevelMeaning, SubsetCard
from mad_core.datasets.naming import level_key, level_label

_MARKS = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&])")
_FOUND_LATER = re.compile(
    r"(?<=:)(?=/?/|material/|streamlit:|[\w+-]+:)|(?<=\bwww)(?=\.)|(?<=@)(?=[\w-])|(?<=[<~>-])(?=[=>-]|->)",
    re.IGNORECASE,
)
"""Where Streamlit looks for links, icons, emoji and arrows in a text whose Markdown was read already."""
_ADDRESS = re.compile(r"((?:\b[a-z][\w+.-]*://|\bwww\.)[^\s`]*[^\s`.,;:!?'\")\]}])", re.IGNORECASE)
_JOINER = "\u2060"  # no width, no break


def plain(text: str) -> str:
    """Text of a file, a label or a model, so that Markdown shows it letter by letter.

    Marks are escaped; a joiner that nobody sees parts what becomes an icon (``:material/x:``), an emoji or an arrow
    (``->``) even then. Addresses stand as code, which becomes no link, so that they are copied as they are.
    """
    flat = re.sub(r"\n[ \t]+", "\n", text)  # indented lines would be code
    parts = _ADDRESS.split(flat)
    return "".join(f"`{part}`" if place % 2 else _escaped(part) for place, part in enumerate(parts))


def unmarked(text: str) -> str:
    """The text that :func:`plain` made safe for Markdown, where it is shown letter by letter anyway."""
    return re.sub(r"\\(.)", r"\1", text.replace(_JOINER, ""))


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", _FOUND_LATER.sub(_JOINER, text))


def shortened(text: str, longest: int) -> str:
    """A text of at most so many characters: what stands in the middle gives way, since names differ at their ends."""
    if len(text) <= longest:
        return text
    end = longest // 2
    return f"{text[: longest - end - 1]}…{text[-end:]}"


def duration(seconds: float) -> str:
    """``42 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def level_text(level: float, card: SubsetCard) -> str:
    """A level in words: ``L2 · moderate``; the bare ``L2`` where it has no name, ``no level`` where there is none."""
    name = card.levels.get(level_key(level), LevelMeaning()).name
    return f"{level_label(level)} · {name}" if name else level_label(level)


def level_names(card: SubsetCard) -> Mapping[float, str]:
    """Names of levels, for figures."""
    return {float(key): meaning.name for key, meaning in card.levels.items() if meaning.name}


def number(value: float | None, digits: int = 3) -> str:
    """A fraction to so many digits; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_interval(value: float | None, interval: list[float] | None) -> str:
    """``0.812 [0.780, 0.841]``."""
    if value is None or not interval:
        return number(value)
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def score_text(value: float | None) -> str:
    """A raw score in four significant digits."""
    return "no score" if value is None or not math.isfinite(value) else f"{value:.4g}"


def size(count: float) -> str:
    """Bytes in a readable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
