"""YAML from strangers: names, texts and numbers, and nothing that a few letters can make large."""

import re
from typing import Any

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import ConstructorError

ERRORS = (yaml.YAMLError, ValueError, RecursionError)
"""What :func:`parse` raises."""
_LARGEST = 1 << 63
_LONG_NUMBER = re.compile(r"[-+]?0x[0-9a-f_]{16,}", re.IGNORECASE)


def _without_aliases(loader: Any, parent: Any, index: Any) -> Any:
    """A loader's ``compose_node`` that refuses aliases: a few lines of them stand for more than any memory holds."""
    if loader.check_event(yaml.AliasEvent):
        raise ComposerError(None, None, "aliases are not read", loader.peek_event().start_mark)
    return Composer.compose_node(loader, parent, index)


class _Loader(yaml.SafeLoader):
    """Safe: makes plain values alone."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        return _without_aliases(self, parent, index)

    def whole_number(self, node: Any) -> int:
        value = self.construct_yaml_int(node)
        if abs(value) >= _LARGEST:
            raise ConstructorError(None, None, "a number of too many digits", node.start_mark)
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)


class _Words(yaml.BaseLoader):
    """Every scalar is the text that stands there: ``no`` is the word "no", ``010`` three digits."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        return _without_aliases(self, parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise ConstructorError(None, None, f"'{key.value[:80]}' stands twice", key.start_mark)
            if isinstance(value, yaml.ScalarNode) and _LONG_NUMBER.fullmatch(value.value):
                raise ConstructorError(None, None, "a number of too many digits", value.start_mark)
            seen |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
        return super().construct_mapping(node, deep=deep)


def parse(text: str) -> Any:
    """The only document of a text.

    Raises
    ------
    yaml.YAMLError, ValueError, RecursionError
        If it is no YAML, holds an alias (``*name``), or a number of too many digits; see :func:`why`.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - the loader above is a safe one


def parse_words(text: str) -> Any:
    """The only document of a text, its names and values as the texts that they are: for words that people chose.

    Raises
    ------
    yaml.YAMLError, ValueError, RecursionError
        As of :func:`parse`, and if a name stands twice in a mapping.
    """
    return yaml.load(text, _Words)  # noqa: S506 - makes texts, lists and mappings alone


def why(error: BaseException) -> str:
    """Where a text is wrong and what about it, as the rest of a sentence: ``, line 3, is not YAML text; …``."""
    place = getattr(error, "problem_mark", None)
    where = f", line {place.line + 1}," if place is not None else ""
    if isinstance(error, ComposerError) and "alias" in str(error.problem):
        return f"{where} uses an alias ('*name'), which is not read; write the text out."
    if isinstance(error, ConstructorError) and "twice" in str(error.problem):
        return f"{where} is not clear: {error.problem}; write it once."
    return f"{where} is not YAML text; check its indents and colons."
