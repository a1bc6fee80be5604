"""What a study found: a sentence, a caveat, the tables its figures are drawn from, and what is needed to repeat it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from mad_core.errors import InputError


@dataclass(frozen=True)
class Finding:
    """The outcome of one study.

    Parameters
    ----------
    study : str
        Its id.
    title : str
    sentence : str
        States what was found; made from an interval, so it says that there is no clear difference where there is none.
    caveat : str
        States what the finding does not tell.
    tables : mapping of str to DataFrame
        What figures are drawn from and what can be taken away as CSV.
    facts : mapping
        JSON-able: intervals, sizes, seed, runs, whatever repeats it.
    images : mapping of str to sequence of str
        Strips to show: what they are, and image ids in order.
    """

    study: str
    title: str
    sentence: str
    caveat: str
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    images: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All of it in plain values; what is not a number is None."""
        return {
            "study": self.study,
            "title": self.title,
            "sentence": self.sentence,
            "caveat": self.caveat,
            "tables": {name: _table_to_json(table) for name, table in self.tables.items()},
            "facts": plain(self.facts),
            "images": {name: list(ids) for name, ids in self.images.items()},
        }


def finding_from_json(data: Mapping[str, Any]) -> Finding:
    """The inverse of :meth:`Finding.to_json`.

    Raises
    ------
    InputError
        If it is not a finding.
    """
    try:
        tables = {str(name): _table_from_json(table) for name, table in data["tables"].items()}
        images = {str(name): [str(i) for i in ids] for name, ids in data["images"].items()}
        study, title, sentence, caveat = (str(data[name]) for name in ("study", "title", "sentence", "caveat"))
        return Finding(study, title, sentence, caveat, tables, dict(data["facts"]), images)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"This is no finding of a study: {type(error).__name__}: {error}.") from None


def _table_to_json(table: pd.DataFrame) -> dict[str, Any]:
    return {"columns": [str(c) for c in table.columns], "rows": [plain(row) for row in table.to_numpy(object).tolist()]}


def _table_from_json(data: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(data["rows"], columns=data["columns"]).infer_objects()


def plain(value: Any) -> Any:
    """A value that JSON can hold: numpy numbers as Python's, numbers that are not finite as None.

    Raises
    ------
    TypeError
        If it has no such form.
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be kept")
