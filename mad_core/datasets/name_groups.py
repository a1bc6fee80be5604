"""What belongs together by the files' names: ``P012_left.png`` and ``P012_right.png`` are of one patient.

A person says which part of a name is the group: a preset, or a regular expression with one group. Expressions come
from strangers, too, so only such are taken whose search ends soon: single characters and classes with repeats, no
alternatives, nothing repeated within a repeat, and few repeats whose end is open to choice.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath

from mad_core.datasets.dataset import Problem
from mad_core.datasets.gathering import Found
from mad_core.errors import InputError

PRESETS: Mapping[str, str] = {
    "before-underscore": "^([^_]+)_",
    "before-last-underscore": "^(.+)_[^_]*$",
    "before-dash": "^([^-]+)-",
    "before-last-dash": "^(.+)-[^-]*$",
    "first-number": "^[^0-9]*([0-9]+)",
    "before-last-number": "^(.*[^0-9_. -])[_. -]*[0-9]+$",
}
MOST_CHARACTERS, MOST_REPEATS, MOST_OPEN = 200, 12, 2
LONGEST_NAME, LONGEST_GROUP = 255, 200
MOST_SECONDS = 20.0
FEWEST_SUGGESTED, MOSTLY = 5, 0.8
"""Groups, and the share of images in them, from which on names suggest groups."""
_SUGGESTED = ("before-underscore", "before-last-underscore", "before-dash", "before-last-dash")

_TOKEN = re.compile(
    r"(?P<open>\((?:\?:|\?P<[A-Za-z]\w{0,30}>)?)|(?P<close>\))|(?P<anchor>[\^$])"
    r"|(?P<one>\\[dDwWsS]|\\[^\w\s]|\[\^?\]?(?:\\[dDwWsS]|\\[^\w\s]|[^\]\\\[])*\]|\.|[^\\()\[\]{}|*+?^$.])"
    r"(?P<times>(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??)?"
)
_CHARACTERS = [*map(chr, range(0x250)), "٣", "三", "Ж", "é", "\u2028", "\U0001f600"]


def group_pattern(text: str) -> re.Pattern[str]:
    """The expression of a preset, or one that a person wrote.

    Raises
    ------
    InputError
        If it is none, has not just one group, or may take too long.
    """
    pattern = PRESETS.get(text, text)
    shown = text[:80]
    if len(pattern) > MOST_CHARACTERS:
        raise InputError(f"The pattern '{shown}…' has more than {MOST_CHARACTERS} characters.")
    tokens = _tokens(pattern, shown)
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise InputError(f"'{shown}' is no regular expression: {error}.") from None
    if compiled.groups != 1:
        names = ", ".join(PRESETS)
        raise InputError(f"'{shown}' needs one group, such as ^([^_]+)_, or is one of {names}.")
    repeats = [at for at, token in enumerate(tokens) if _least_most(token)[0] != _least_most(token)[1]]
    if len(repeats) > MOST_REPEATS or sum(_is_open(tokens, at) for at in repeats) > MOST_OPEN:
        raise InputError(
            f"'{shown}' can match a name in too many ways; use fewer of * + ?, or classes that end where the next "
            "character begins, such as [^_]+_."
        )
    return compiled


def with_name_groups(images: Sequence[Found], text: str) -> tuple[list[Found], list[Problem]]:
    """Images with the group that their name says, where no table says one; how many names say none is a problem.

    Raises
    ------
    InputError
        If the pattern cannot be used, or takes too long.
    """
    pattern, end = group_pattern(text), time.monotonic() + MOST_SECONDS
    grouped, silent = [], []
    for image in images:
        if time.monotonic() > end:
            raise InputError(f"The pattern '{text[:80]}' takes too long on these names; write a simpler one.")
        group = image.group or _group_of(PurePath(image.path).stem, pattern)
        silent += [] if group else [image.path]
        grouped.append(replace(image, group=group))
    words = f"The pattern '{text[:80]}' finds no group in the names of {len(silent):,} images; each stands alone."
    return grouped, [Problem("unmatched", silent[0], words)] if silent else []


def suggested_groups(paths: Sequence[str]) -> str:
    """A sentence where names look as if images belonged together; empty where they do not.

    So it looks where nearly all names have a part with a number in it that at least two images share, and there are
    five such parts or more: ``P012_left.png``, ``P012_right.png``.
    """
    stems = [PurePath(path).stem[:LONGEST_NAME] for path in paths]
    for preset in _SUGGESTED:
        groups = Counter(group for stem in stems if (group := _group_of(stem, re.compile(PRESETS[preset]))))
        shared = [group for group, count in groups.items() if count > 1 and any(c.isdigit() for c in group)]
        images = sum(groups[group] for group in shared)
        if len(shared) >= FEWEST_SUGGESTED and images >= MOSTLY * len(stems):
            return (
                f"File names look as if images belonged together ({', '.join(shared[:2])} …: {len(shared):,} groups). "
                f"If these are patients, parts or lots, import with --group-from-name {preset}: else an image may be "
                "judged by grades of another one of its group."
            )
    return ""


def _group_of(name: str, pattern: re.Pattern[str]) -> str:
    match = pattern.search(name) if len(name) <= LONGEST_NAME else None
    return (match[1] or "").strip()[:LONGEST_GROUP] if match else ""


def _tokens(pattern: str, shown: str) -> list[re.Match[str]]:
    """The single characters, classes and anchors of a pattern, in order."""
    at, tokens = 0, []
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise InputError(
                f"'{shown}' holds '{pattern[at : at + 5]}', which patterns of names do not: they are made of "
                "characters, classes such as [^_] or \\d, ^ and $, * + ? {n} after one of these, and one group ( )."
            )
        at = token.end()
        tokens += [token] if token["one"] or token["anchor"] else []
    return tokens


def _least_most(token: re.Match[str]) -> tuple[int, int]:
    times = (token["times"] or "").removesuffix("?") if (token["times"] or "") != "?" else "?"
    if not times:
        return 1, 1
    if times in ("*", "+", "?"):
        return (1 if times == "+" else 0), (1 if times == "?" else LONGEST_NAME)
    least, comma, most = times[1:-1].partition(",")
    return int(least), int(most or LONGEST_NAME) if comma else int(least)


def _is_open(tokens: Sequence[re.Match[str]], at: int) -> bool:
    """Whether a repeat may end at several places: what follows does not show where it does."""
    if at + 1 == len(tokens):
        return False
    following = tokens[at + 1]
    if following["anchor"]:
        return following["anchor"] != "$"
    return _least_most(following)[0] == 0 or bool(_matched(tokens[at]["one"]) & _matched(following["one"]))


def _matched(one: str) -> set[str]:
    pattern = re.compile(one, re.DOTALL)
    return {character for character in _characters(one) if pattern.fullmatch(character)}


def _characters(one: str) -> Iterable[str]:
    return {*_CHARACTERS, *one}
