"""From a model's answer to a number: what it wrote, and what it expected before it wrote. No torch here.

Two readings of one question are kept apart. *Written* is the score that stands in the answer, read strictly
but whatever its dress. *Expected* is the mean over all scores 0-100, weighted by the probability that the
model gives each one, read before any reasoning: the mean orders severity better than the mode, and a reason
written first collapses the spread.
"""

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

UNPARSED, REFUSED, OUT_OF_RANGE, CUT_OFF = "unparsed", "refused", "out-of-range", "cut-off"
SCORES = 101
"""How many scores there are: the whole numbers 0 to 100."""


@dataclass(frozen=True)
class Written:
    """The score that stands in an answer.

    Parameters
    ----------
    score : float or None
        0 to 100; present if and only if ``problem`` is None.
    reason : str
        Empty where the answer gives none.
    problem : {"unparsed", "refused", "out-of-range", "cut-off"} or None
    """

    score: float | None
    reason: str
    problem: str | None = None


@dataclass(frozen=True)
class ExpectedScore:
    """The score a model expects.

    Parameters
    ----------
    mean : float
        0 to 100.
    spread : float
        Standard deviation of the distribution.
    mass : float
        Total probability of the 101 scores before they were made to sum to 1: what the model wanted
        to write something else is missing from it.
    distribution : ndarray of shape (101,), float64
        Sums to 1.
    """

    mean: float
    spread: float
    mass: float
    distribution: np.ndarray


def expected_score(log_probabilities: np.ndarray) -> ExpectedScore:
    """The expectation over all scores.

    Parameters
    ----------
    log_probabilities : ndarray of shape (101,)
        Natural logarithm of the probability of writing exactly 0, 1, ..., 100; ``-inf`` is allowed.

    Raises
    ------
    ValueError
        If the shape is another, a value is not a number, or no score has any probability.
    """
    logs = np.asarray(log_probabilities, dtype=np.float64)
    if logs.shape != (SCORES,):
        raise ValueError(f"expected {SCORES} log-probabilities, got shape {logs.shape}")
    peak = float(logs.max())
    if not math.isfinite(peak):
        raise ValueError("no score has a finite probability")
    shares = np.exp(logs - peak)
    distribution = shares / shares.sum()
    mass = math.exp(min(peak, 0.0)) * float(shares.sum())
    return of_distribution(distribution, min(1.0, mass))


def of_distribution(distribution: np.ndarray, mass: float) -> ExpectedScore:
    """The expectation of a distribution over the 101 scores that sums to 1; ``mass`` as in :class:`ExpectedScore`."""
    values = np.arange(SCORES)
    mean = float(distribution @ values)
    return ExpectedScore(mean, math.sqrt(float(distribution @ (values - mean) ** 2)), mass, distribution)


def or_normal(expected: ExpectedScore | None, share: float) -> ExpectedScore | None:
    """The expectation of an image that departs from normal with a probability of ``share`` alone; normal scores 0."""
    if expected is None or share >= 1:
        return expected
    distribution = share * expected.distribution
    distribution[0] += 1 - share
    return of_distribution(distribution, expected.mass)


class ScoreTrie:
    """The tokenised numbers 0 to 100 as a tree, so that shared beginnings are computed once.

    The probability of a number is that of its digits times that of no further digit: ``7`` does not count where
    ``70`` to ``79`` are meant, and what a model likes to write behind a number (a line's end, a full stop) does not
    weigh. With a token a digit this takes eleven nodes: 0 to 9, and 10, which ``100`` goes on from; of the other
    numbers of two digits none goes on to a score. Where one token holds any of the numbers it takes none.

    Parameters
    ----------
    completions : sequence of 101 sequences of int
        Token ids of each number, without anything behind it.

    Attributes
    ----------
    tokens, parents, depths : ndarray of shape (N,), int64
        The nodes that must be evaluated, parents before children: the token that leads there, the
        index of the node before (-1: the root, just behind the cue), and how many tokens deep it lies.
    edge_nodes, edge_tokens : ndarray of shape (E,), int64
        Every probability that is needed: of this token, read at this node (-1: at the root).

    Raises
    ------
    ValueError
        If there are not 101 completions, one is empty, or two are the same.
    """

    def __init__(self, completions: Sequence[Sequence[int]]) -> None:
        numbers = [tuple(map(int, completion)) for completion in completions]
        if len(numbers) != SCORES or not all(numbers):
            raise ValueError(f"a trie needs {SCORES} completions of at least one token")
        if len(set(numbers)) != SCORES:
            raise ValueError("two scores have the same tokens")
        inner = {number[:k] for number in numbers for k in range(1, len(number))}
        going_on = {number for number in numbers if number in inner}
        inner |= {numbers[0]} if going_on else set()  # 05 and the like are no scores
        keys = sorted(inner, key=lambda key: (len(key), key))
        nodes = {(): -1} | {key: index for index, key in enumerate(keys)}
        edges: dict[tuple[int, int], int] = {}
        paths = [[(nodes[number[:k]], token) for k, token in enumerate(number)] for number in numbers]
        self._paths = [[edges.setdefault(edge, len(edges)) for edge in path] for path in paths]
        self._ends = [nodes.get(number, -1) for number in numbers]
        self.tokens = np.array([key[-1] for key in keys], np.int64)
        self.parents = np.array([nodes[key[:-1]] for key in keys], np.int64)
        self.depths = np.array([len(key) for key in keys], np.int64)
        self.edge_nodes, self.edge_tokens = np.array(list(edges), np.int64).T

    @property
    def paths(self) -> list[tuple[int, ...]]:
        """The tokens that lead to each node."""
        paths: list[tuple[int, ...]] = []
        for token, parent in zip(self.tokens.tolist(), self.parents.tolist(), strict=True):
            paths.append((*(paths[parent] if parent >= 0 else ()), token))
        return paths

    def ancestry(self) -> np.ndarray:
        """Which node may look at which: bool of shape (N, N), True on itself and on what leads to it."""
        sees = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                sees[node] |= sees[parent]
        return sees

    def log_probabilities(self, edges: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Log-probability of each score.

        Parameters
        ----------
        edges : ndarray of shape (..., E)
            Log-probability of each edge.
        ends : ndarray of shape (..., N)
            Log-probability that no further digit follows, at each node.

        Returns
        -------
        ndarray of shape (..., 101), float64
        """
        edges, ends = np.asarray(edges, np.float64), np.asarray(ends, np.float64)
        sure = np.concatenate([ends, np.zeros_like(edges[..., :1])], axis=-1)  # what has no node ends surely
        digits = np.stack([edges[..., path].sum(-1) for path in self._paths], axis=-1)
        return digits + sure[..., self._ends]


# -- what is written ----------------------------------------------------------------------------

_LONGEST = 200_000
"""Characters of an answer that are read: its beginning and its end, where it has more."""
_THOUGHT = re.compile(
    r"<(?:think|thinking|thought|reasoning|analysis|seed:think)>|\[THINK\]|<\|channel>|<\|START_THINKING\|>|◁think▷"
    r"|(?P<ends></(?:think|thinking|thought|reasoning|analysis|seed:think)>|\[/THINK\]|<channel\|>|<\|END_THINKING\|>"
    r"|◁/think▷)",
    re.I,
)
"""How families open and close a thought."""

# A server may send anything, so no pattern may take more than one look at a character: what repeats is possessive
# (``*+``) or ends at the line.
_DRESS = r"[\s*_`\"'|#>]*+"
_JOINT = rf"{_DRESS}(?::|=|-(?=\s)|\bis\b|\bof\b|\bwould be\b)?{_DRESS}(?:about|approximately|around|~)?"
_OPENING = r"[\s*_`\"'|\[({<$]*+"
_VALUE = r"(?P<number>[-+]?\d+(?:\.\d+|,\d+)*)(?![\w])(?=(?P<rest>[^\n]{0,24}))"
_NAME = r"(?:anomaly|severity)[\s_-]*(?:score|rating)"
_START = r"^(?:[^\S\n]|[*_`\"'#>\-\d.)|])*?(?P<final>final\s+|overall\s+)?(?:the\s+)?"
_LABELS = tuple(
    re.compile(head + _JOINT + _OPENING + _VALUE, re.I | re.M)
    for head in (rf"(?P<final>final\s+|overall\s+)?\b{_NAME}", rf"{_START}(?:score|rating)\b")
)
"""From the surest label to the weakest; the first one found decides."""
_AT_START = (re.compile(rf"{_START}{_NAME}{_JOINT}{_OPENING}{_VALUE}", re.I | re.M), _LABELS[1])
_BARE = re.compile(rf"\A{_OPENING}{_VALUE}", re.M)
_ONLY = re.compile(r"[\s*_`\"'|\])}>$.]*(?:%|/\s*100|out of 100)?[\s*_`\"'|\])}>$.]*\Z", re.I)
_REST = re.compile(r"[*_`\"'|\])}>$]*")
_RANGE = re.compile(r"\s*(?:(?:-|~|\bto\b|\bor\b|\band\b|\.\.)\s*[\[(]?\d|,\s*\d+\s*[\])])", re.I)
_SCALE = re.compile(r"\s*[(]?\s*(?:/|out of|of|on a scale of(?: \d+ ?(?:-|to))?)\s*(?P<scale>\d+)", re.I)
_REASON = re.compile(
    rf"(?:^|(?<=\s))[*_`\"'|#>]*+(?:reason(?:ing)?|explanation|rationale|justification){_DRESS}:{_DRESS}", re.I | re.M
)
_REASON_KEY = re.compile(r"reason|explan|rational|justif", re.I)
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|sorry,|i (?:can(?:'|no)t|cannot|won't|will not|must decline)|"
    r"(?:can(?:no|')t|cannot|unable to|not able to|not possible to|won't) "
    r"(?:assist|help|provide|assess|evaluate|judge|determine|score|rate|analy[sz]e|comply|give)|as an ai\b)",
    re.I,
)
_UNFINISHED = re.compile(rf"(?:{_NAME}|\bscore){_JOINT}{_OPENING}[-+]?\Z", re.I)
_TRANSLATED = {"٫": ".", "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "’": "'", "［": "[", "］": "]"}


def read_answer(text: str, finish: str = "stop") -> Written:
    """Read the score and the reason out of an answer.

    Markdown, brackets, ``/100``, percent signs, decimals, other scripts' digits, JSON, a reason that
    comes first and thinking blocks are all read. Never guessed at: a range (``70-80``), another scale
    (``7/10``), and labelled scores that contradict each other (unless one is called final) are
    ``"unparsed"``.

    Parameters
    ----------
    text : str
        The raw answer, thinking included.
    finish : {"stop", "length", "content_filter"}
        Why it ended, as servers say it. After ``"length"`` a number at the very end may lack digits.

    Returns
    -------
    Written
    """
    if finish == "content_filter":
        return Written(None, "", REFUSED)
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST // 2]}\n{text[-_LONGEST // 2 :]}"
    shown = without_thinking(text)
    plain = _plain(shown)
    candidates = _from_json(shown) or [_value(place) for place in _places(plain)]
    reason = _reason(shown, plain)
    values = {value for value in candidates if value is not None}
    if len(values) != 1 or None in candidates:
        return Written(None, reason, UNPARSED if candidates else _why_none(text, shown, plain, finish))
    if finish == "length" and plain.rstrip()[-1:].isdigit() and not reason:
        return Written(None, reason, CUT_OFF)
    (value,) = values
    return Written(value, reason) if 0 <= value <= 100 else Written(None, reason, OUT_OF_RANGE)


def without_thinking(text: str) -> str:
    """The answer with its thinking blanked out, as long as before; blocks that never close go to the end."""
    kept, begin, opened = [], 0, False
    for tag in _THOUGHT.finditer(text):
        if not tag["ends"] and not opened:
            kept.append(text[begin : tag.start()])
            begin, opened = tag.start(), True
        elif tag["ends"]:
            kept = kept if opened else [" " * begin]  # ended without a beginning: everything before was thinking
            kept.append(" " * (tag.end() - begin))
            begin, opened = tag.end(), False
    return "".join([*kept, " " * (len(text) - begin) if opened else text[begin:]])


def _why_none(text: str, shown: str, plain: str, finish: str) -> str:
    """The problem of an answer without any score."""
    if _REFUSAL.search(plain):
        return REFUSED
    unclosed = bool(text.strip()) and not shown.strip()
    return CUT_OFF if finish == "length" or unclosed or _UNFINISHED.search(plain.rstrip()) else UNPARSED


def _plain(text: str) -> str:
    """The text with digits and signs of other scripts as ASCII, character for character."""
    return "".join(_plain_character(c) for c in text)


def _plain_character(character: str) -> str:
    if character.isascii():
        return character
    if character in _TRANSLATED:
        return _TRANSLATED[character]
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    compatible = unicodedata.normalize("NFKC", character)
    return compatible if len(compatible) == 1 and compatible.isascii() else character


def _places(plain: str) -> list[re.Match[str]]:
    """Where a score stands, by the surest kind of label there is; final ones alone where there are any."""
    begin, end = _reason_span(plain)
    for label in _LABELS:
        places = [p for p in label.finditer(plain) if not _is_echo(p) and not begin <= p.start() < end]
        if places:
            return [place for place in places if place["final"]] or places
    first = _BARE.match(plain.lstrip().partition("\n")[0])
    if first and _ONLY.match(first["rest"]):
        return [_BARE.match(plain[: len(plain) - len(plain.lstrip())].replace("\n", " ") + plain.lstrip()) or first]
    return []


def _reason_span(plain: str) -> tuple[int, int]:
    """From behind ``Reason:`` to the labelled score that follows it, or to the end; what is said there is no answer."""
    label = _REASON.search(plain)
    if label is None:
        return len(plain), len(plain)
    after = (place for kind in _AT_START for place in kind.finditer(plain, label.end()))
    return label.end(), min((place.start() for place in after), default=len(plain))


def _is_echo(place: re.Match[str]) -> bool:
    """Whether this is the form that was asked for, said back: ``[0-100]``."""
    return place["number"] == "0" and bool(re.match(r"\s*(?:-|to)\s*100\b", place["rest"]))


def _value(place: re.Match[str]) -> float | None:
    """The number, or None where it is a range or on another scale."""
    number, rest = place["number"], _REST.sub("", place["rest"], count=1)
    if _RANGE.match(rest) or number.count(".") > 1:
        return None
    scale = _SCALE.match(rest)
    if scale and scale["scale"] != "100":
        return None
    return _number(number)


def _number(text: str) -> float | None:
    """``72``, ``72.5``, ``72,5`` and ``1,000`` (a comma before three digits parts thousands)."""
    if "," in text:
        grouped = re.fullmatch(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", text)
        decimal = re.fullmatch(r"[-+]?\d+,\d{1,2}", text)
        if not (grouped or decimal):
            return None
        text = text.replace(",", "" if grouped else ".")
    return float(text)


def _reason(shown: str, plain: str) -> str:
    """What stands behind ``Reason:``, up to the score if that comes after; else what follows the score."""
    places = _places(plain)
    data = _json_object(shown)
    if data is not None:
        texts = [(key, value) for key, value in _entries(data) if isinstance(value, str)]
        return _tidy(next((value for key, value in texts if _REASON_KEY.search(key)), ""))
    begin, end = _reason_span(plain)
    if begin < len(plain):
        return _tidy(shown[begin:end])
    if not places:
        return ""
    rest = shown[places[-1].end("number") :]
    return _tidy(rest.partition("\n")[2])


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(' *_`#-|>"').strip()


def _from_json(text: str) -> list[float | None]:
    """Scores of an answer in JSON, by their key; empty where there is none."""
    data = _json_object(text)
    if data is None:
        return []
    entries = [(key, value) for key, value in _entries(data) if re.search(r"score|severity|rating", key, re.I)]
    named = [value for key, value in entries if re.fullmatch(r"\W*(?:final[\s_-]*)?anomaly[\s_-]*score\W*", key, re.I)]
    return [_json_value(value) for value in (named or [value for _, value in entries])]


def _json_value(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    place = _BARE.match(_plain(str(value)))
    return _value(place) if place and (_ONLY.match(place["rest"]) or _SCALE.match(place["rest"])) else None


def _json_object(text: str) -> dict[str, Any] | None:
    """The answer as a JSON object, bare or fenced; None where it is none."""
    body = re.sub(r"\A\s*```(?:json)?|```\s*\Z", "", text.strip(), flags=re.I).strip()
    if not body.startswith("{"):
        return None
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _entries(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys and plain values of an object and of the objects in it."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _entries(value)
        elif not isinstance(value, list):
            yield str(key), value


# -- what a server's top tokens say -------------------------------------------------------------


def expected_from_top_logprobs(content: Sequence[Mapping[str, Any]]) -> ExpectedScore | None:
    """An approximate expectation from the most probable tokens at the place of the written score.

    Servers name a few alternatives a token, along the answer that was written. Alternatives that hold a
    whole number count as it. Where the tokeniser writes a digit a token, only the second digit behind the
    *written* first one is known: another first digit is spread evenly over its ten numbers, and ends after
    one digit as often as the written one does. So the result is exact where one token holds a score, and
    near it elsewhere; ``mass`` says how much probability it covers.

    Parameters
    ----------
    content : sequence of mapping
        ``choices[0].logprobs.content`` of a chat completion: ``token``, ``logprob``, ``top_logprobs``.

    Returns
    -------
    Expected or None
        None where the answer has no score that can be read, or no alternatives were given.
    """
    tokens = [str(entry.get("token") or "") for entry in content]
    text = "".join(tokens)
    places = _places(_plain(without_thinking(text)))
    if not places or any(_value(place) is None for place in places):
        return None
    position = _token_at(tokens, places[-1].start("number"))
    if position is None or not content[position].get("top_logprobs"):
        return None
    distribution = np.zeros(SCORES)
    _follow(content, position, "", 1.0, distribution)
    mass = float(distribution.sum())
    return of_distribution(distribution / mass, min(1.0, mass)) if mass > 0 else None


NODES = ("", *"0123456789", "10")
"""What is written of a score where the next token is asked for: nothing, a digit, and the beginning of 100."""


def expected_from_nodes(named: Mapping[str, Sequence[Mapping[str, Any]]]) -> ExpectedScore | None:
    """The expectation from the most probable next tokens at every place where a score can go on.

    As :class:`ScoreTrie` reads it, so it is the model's own as far as the named tokens reach.

    Parameters
    ----------
    named : mapping of str to sequence of mapping
        By what is written already (``NODES``): ``choices[0].logprobs.content`` of one token.

    Returns
    -------
    Expected or None
        None where no number is named at the beginning.
    """
    places = {written: _alternatives(content[0]) if content else {} for written, content in named.items()}
    first = {token: p for token, p in places[""].items() if _is_number(token)}
    distribution = np.zeros(SCORES)
    for token, p in first.items():
        if any(len(other) > 1 for other in first):  # one token holds a number
            _add(distribution, token, p)
        else:
            _add_digits(distribution, token, p, places)
    mass = float(distribution.sum())
    return of_distribution(distribution / mass, min(1.0, mass)) if mass > 0 else None


def _add_digits(distribution: np.ndarray, digit: str, reach: float, places: Mapping[str, Mapping[str, float]]) -> None:
    """Add the numbers that begin with a digit, where each token holds one."""
    further = {token: p for token, p in places.get(digit, {}).items() if _is_number(token)}
    _add(distribution, digit, reach * max(0.0, 1 - sum(further.values())))
    for second, p in further.items():
        if digit + second != "10":
            _add(distribution, digit + second, reach * p)
            continue
        third = {token: q for token, q in places.get("10", {}).items() if _is_number(token)}
        _add(distribution, "10", reach * p * max(0.0, 1 - sum(third.values())))
        _add(distribution, "100", reach * p * third.get("0", 0.0))


def _token_at(tokens: Sequence[str], offset: int) -> int | None:
    """Index of the token that holds the character at ``offset``; the number must begin in it."""
    end = 0
    for index, token in enumerate(tokens):
        begin, end = end, end + len(token)
        if begin <= offset < end:
            return index if not token[: offset - begin].strip() else None
    return None


def _follow(
    content: Sequence[Mapping[str, Any]], position: int, prefix: str, reach: float, distribution: np.ndarray
) -> None:
    """Add the numbers that begin with ``prefix``, reached with probability ``reach``, and go on at ``position``."""
    alternatives = _alternatives(content[position]) if position < len(content) else {}
    digits = {token: p for token, p in alternatives.items() if _is_number(token)}
    if not alternatives:
        _add(distribution, prefix, reach)
        return
    _add(distribution, prefix, reach * sum(p for token, p in alternatives.items() if not _is_number(token)))
    written = _plain(str(content[position].get("token") or "")).strip()
    digitwise = all(len(digit) == 1 for digit in digits)
    for digit, p in digits.items():
        if digit == written and len(prefix + digit) < 3:
            _follow(content, position + 1, prefix + digit, reach * p, distribution)
        elif digitwise and not prefix and digit != "0":
            _spread(content, position, digit, reach * p, distribution)
        else:
            _add(distribution, prefix + digit, reach * p)


def _spread(
    content: Sequence[Mapping[str, Any]], position: int, digit: str, reach: float, distribution: np.ndarray
) -> None:
    """Add a first digit whose second one was not asked for."""
    beyond = _alternatives(content[position + 1]) if position + 1 < len(content) else {}
    total = sum(beyond.values())
    ends = sum(p for token, p in beyond.items() if not _is_number(token)) / total if total else 1.0
    _add(distribution, digit, reach * ends)
    for second in "0123456789":
        _add(distribution, digit + second, reach * (1 - ends) / 10)


def _add(distribution: np.ndarray, number: str, probability: float) -> None:
    """Count a number that is a score; another one is not covered."""
    if _is_number(number) and len(number) <= 3 and int(number) < SCORES and (number == "0" or number[0] != "0"):
        distribution[int(number)] += probability


def _is_number(text: str) -> bool:
    """Whether a text is digits and nothing else; other scripts' signs for numbers are none."""
    return text.isascii() and text.isdigit()


def _alternatives(entry: Mapping[str, Any]) -> dict[str, float]:
    """Probabilities of the tokens named at a place, blanks around digits taken off; equal ones add up."""
    probabilities: dict[str, float] = {}
    named = entry.get("top_logprobs")
    for top in named if isinstance(named, list | tuple) else ():
        if not isinstance(top, Mapping):
            continue
        token, value = _plain(str(top.get("token") or "")), top.get("logprob")
        if isinstance(value, int | float) and not math.isnan(value):
            key = token.strip() if _is_number(token.strip()) else token
            probabilities[key] = probabilities.get(key, 0.0) + math.exp(min(0.0, float(value)))
    return probabilities
