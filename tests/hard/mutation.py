"""Ways to spoil what is fine: bytes and texts, cut, flipped, spliced, filled with what has broken programs before."""

from __future__ import annotations

import random
from collections.abc import Sequence

NASTY = (
    "=1+1", "+1", "-1", "@SUM(A1)", "'quoted", "\t=x", "\r=x", "", " ", "\ufeff", "\0", "NaN", "nan", "inf", "-inf",
    "1e999", "-0.0", "0x10", "1_000", "9" * 400, "0.1" + "0" * 5000, "true", "None", "null", "~", "../../etc/passwd",
    "/etc/passwd", "C:\\x.png", "file:///etc/passwd", "a/./b//c", "..", "a" * 5000, "x\ny", "x\r\ny", '"', '""', "'",
    ";", ",", "\t", "|", "<img src=x onerror=alert(1)>", "**b**", "[x](javascript:alert(1))", "$x$", ":material/x:",
    "\u202egnp.exe", "e\u0301", "\U0001f4a5", "\u0661\u0662", "\u1369", "２", "½", "²", "\u2028", "\x1b[31m",
    "%s%n", "{0}", "${jndi:x}", "\\", "\\u0000", "level_1", "good", "train", "calibration", "L2", "0,5", "1,5,2",
    "2026-13-45", "2001-99-99", "0b1", "0o17", "1:30:00", "!!python/object/apply:os.system ['true']", "&a", "*a",
)  # fmt: skip
"""Texts that programs trip over."""


def spoiled_bytes(rng: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """The bytes with one to four faults."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = _BYTE_FAULTS[rng.randrange(len(_BYTE_FAULTS))](rng, data, others)
    return data


def spoiled_text(rng: random.Random, text: str, others: Sequence[str] = ()) -> str:
    """The text with one to four faults."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = _TEXT_FAULTS[rng.randrange(len(_TEXT_FAULTS))](rng, text, others)
    return text


def nasty_bytes(rng: random.Random, text: str) -> bytes:
    """A text in one of the encodings that files come in, some of which do not fit it."""
    encoding = rng.choice(("utf-8",) * 6 + ("utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252", "cp437"))
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def nasty_name(rng: random.Random) -> str:
    """A name that a file system takes and nobody expects."""
    name = rng.choice(NASTY).replace("/", "_").replace("\0", "_")[: rng.choice((8, 40, 120))]
    return name if name.strip(". ") else f"n{rng.randrange(99)}"


def json_value(rng: random.Random, depth: int = 0) -> object:
    """Any value that JSON can hold, and some that only Python's reader takes."""
    kind = rng.randrange(9 if depth < 4 else 7)
    if kind == 7:
        return [json_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 8:
        return {rng.choice(NASTY)[:40]: json_value(rng, depth + 1) for _ in range(rng.randrange(4))}
    plain = (
        None,
        True,
        rng.choice((*NASTY, "half \ud800")),
        rng.randrange(-9, 9),
        rng.random(),
        float("inf"),
        10 ** rng.choice((3, 30, 400)),
    )
    return plain[kind]


def spoiled_json(rng: random.Random, value: object) -> object:
    """A JSON value in which something, somewhere, is something else."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        if rng.random() < 0.15:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: spoiled_json(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], spoiled_json(rng, value[at]), *value[at + 1 :]]
    return json_value(rng)


# -- single faults --------------------------------------------------------------------------------


def _flip(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(min(len(changed), rng.choice((64, 1 << 20))))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.choice((1, 2, 4, 16, 200)) :]


def _extreme(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    value = rng.choice(
        (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\x80", b"\xff\xff")
    )
    at = rng.randrange(min(len(data), rng.choice((80, 1 << 20))) + 1)
    return data[:at] + value + data[at + len(value) :]


def _again(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    a, b = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return data[:b] + data[a:b][:4096] * rng.choice((1, 2, 30)) + data[b:]


def _splice(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else data
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _noise(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 8, 300))) + data[at:]


_BYTE_FAULTS = (_flip, _flip, _cut, _drop, _extreme, _again, _splice, _noise)


def _insert(rng: random.Random, text: str, others: Sequence[str]) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(NASTY) + text[at:]


def _replace_word(rng: random.Random, text: str, others: Sequence[str]) -> str:
    words = text.replace(",", " ").replace(":", " ").split()
    return text.replace(rng.choice(words), rng.choice(NASTY), rng.choice((1, -1))) if words else rng.choice(NASTY)


def _replace_mark(rng: random.Random, text: str, others: Sequence[str]) -> str:
    return text.replace(
        rng.choice(",:\n\"'-{}[] "),
        rng.choice((";", "\t", "", "\r\n", "\r", "::", "{", "[", '"')),
        rng.choice((1, 3, -1)),
    )


def _cut_text(rng: random.Random, text: str, others: Sequence[str]) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _repeat_line(rng: random.Random, text: str, others: Sequence[str]) -> str:
    lines = text.split("\n")
    at = rng.randrange(len(lines))
    return "\n".join([*lines[:at], *[lines[at]] * rng.choice((2, 40)), *lines[at:]])


def _shuffle_lines(rng: random.Random, text: str, others: Sequence[str]) -> str:
    lines = text.split("\n")
    rng.shuffle(lines)
    return "\n".join(lines)


def _splice_text(rng: random.Random, text: str, others: Sequence[str]) -> str:
    other = rng.choice(others) if others else text
    return text[: rng.randrange(len(text) + 1)] + other[rng.randrange(len(other) + 1) :]


def _deep(rng: random.Random, text: str, others: Sequence[str]) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice("[{(- ") * rng.choice((3, 300, 3000)) + text[at:]


_TEXT_FAULTS = (
    _insert, _insert, _insert, _replace_word, _replace_word, _replace_mark, _cut_text, _repeat_line, _shuffle_lines,
    _splice_text, _deep,
)  # fmt: skip
