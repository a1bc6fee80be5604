"""Tables that commands put into pages of the documentation, between two marks."""

from pathlib import Path


def put_between(page: Path, opened: str, closed: str, text: str) -> None:
    """Replace what stands between the marks of a page.

    Raises
    ------
    SystemExit
        If the marks are not there.
    """
    before, first, rest = page.read_text(encoding="utf-8").partition(opened)
    _, last, after = rest.partition(closed)
    if not first or not last:
        raise SystemExit(f"{page.name} lacks the marks {opened} and {closed}.")
    page.write_text(f"{before}{opened}\n{text}\n{closed}{after}", encoding="utf-8")
