"""Small texts of figures: levels, lists, numbers, and line breaks."""

import html
import math
import textwrap
from collections.abc import Mapping, Sequence

_LETTER = 0.56  # mean width of a letter, in font sizes; rather too much, so that labels stay apart


def level_label(level: float, level_names: Mapping[float, str]) -> str:
    """A level in words: ``L2 · moderate``; the bare ``L2`` where it has no name. Plain text, not escaped."""
    name = level_names.get(level, "")
    return f"L{level:g} · {name}" if name else f"L{level:g}"


def escaped(text: str) -> str:
    """Text of users as Plotly shows it letter by letter (it takes tags such as ``<b>`` and ``<a>``)."""
    return html.escape(text, quote=False)


def short(text: str, letters: int) -> str:
    """The text, cut with ``…`` where it is longer than so many letters."""
    return text if len(text) <= letters else text[: max(letters, 2) - 1].rstrip() + "…"


def broken(label: str, letters: int) -> str:
    """A level's label in escaped lines of so many letters: in one, else the level and two for its name."""
    if len(label) <= letters:
        return escaped(label)
    level, _, name = label.partition(" · ")
    lines = textwrap.wrap(name, max(letters, 4), max_lines=2, placeholder="…", break_long_words=False)
    return "<br>".join(escaped(short(line, letters)) for line in (level, *lines))


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def with_interval(value: float, low: float | None, high: float | None) -> str:
    """``0.812 [0.780, 0.841]``; the bare value where it has no interval."""
    bounded = low is not None and high is not None and math.isfinite(low) and math.isfinite(high)
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if bounded else "")


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def pixels(text: str, size: int) -> float:
    """Width of a text, roughly."""
    return len(text) * size * _LETTER


def letters_in(width: float, size: int) -> int:
    """Letters that fit into a width, roughly."""
    return int(width / (size * _LETTER))
