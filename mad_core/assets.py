"""Where the files that ship lie: the app, rubrics, weights, pictures; in a checkout and in an installed package."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE / "_assets", _HERE.parent / "assets")
_APPS = (_HERE / "_app" / "app.py", _HERE.parent / "app.py")
"""``setup.py`` puts the folder ``assets`` of the checkout, and the app, inside the package of a wheel."""


def asset(*parts: str) -> Path:
    """The path of a file or folder that ships, whether it is there or not.

    >>> asset("rubrics", "general.yaml").is_file()
    True
    """
    return _shipped(_FOLDERS).joinpath(*parts)


def app_script() -> Path:
    """What ``streamlit run`` starts: ``app.py``, with its pages and its settings beside it.

    >>> app_script().with_name("pages").is_dir()
    True
    """
    return _shipped(_APPS)


def _shipped(places: tuple[Path, ...]) -> Path:
    return next((place for place in places if place.exists()), places[-1])
