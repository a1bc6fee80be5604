"""Where the files that ship lie: rubrics, weights, pictures; in a checkout and in an installed package alike."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "_assets", _HERE.parent / "assets")
"""In a wheel the folder ``assets`` of the checkout lies inside the package."""


def asset(*parts: str) -> Path:
    """The path of a file or folder that ships, whether it is there or not.

    >>> asset("rubrics", "general.yaml").is_file()
    True
    """
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), _FOLDERS[-1])
    return folder.joinpath(*parts)
