"""YAML from strangers: names, texts and numbers, and nothing that a few letters can make large."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

ERRORS = (yaml.YAMLError, ValueError, RecursionError)
"""What :func:`parse` raises."""
_LARGEST = 1 << 63


class _Loader(yaml.SafeLoader):
    """Safe, and without aliases: a few lines of them stand for more text than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ComposerError(None, None, "aliases are not read", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def whole_number(self, node: Any) -> int:
        value = self.construct_yaml_int(node)
        if abs(value) >= _LARGEST:
            raise ConstructorError(None, None, "a number of too many digits", node.start_mark)
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)


def parse(text: str) -> Any:
    """The only document of a text.

    Raises
    ------
    yaml.YAMLError, ValueError, RecursionError
        If it is no YAML, holds an alias (``*name``), or a number of too many digits; see :func:`why`.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - the loader above is a safe one


def why(error: BaseException) -> str:
    """Where a text is wrong and what about it, as the rest of a sentence: ``, line 3, is not YAML text; …``."""
    place = getattr(error, "problem_mark", None)
    where = f", line {place.line + 1}," if place is not None else ""
    if isinstance(error, ComposerError) and "alias" in str(error.problem):
        return f"{where} uses an alias ('*name'), which is not read; write the text out."
    return f"{where} is not YAML text; check its indents and colons."
