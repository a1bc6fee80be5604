"""A page has a folder of its own; what lies in ``pages/ui`` is shared."""

from __future__ import annotations

import pytest

from tests.engine.test_architecture import ROOT, imported, module_of

PAGES = sorted(folder.name for folder in (ROOT / "pages").iterdir() if (folder / "page.py").is_file())
FILES = {module_of(ROOT, file): file for file in (ROOT / "app.py", *ROOT.glob("pages/*/*.py"))}


def targets(module: str) -> set[str]:
    """The modules of app and pages that one imports."""
    names = list(imported(ROOT, FILES[module]))
    return {name for name in FILES for wanted in names if wanted == name or wanted.startswith(f"{name}.")} - {module}


USES = {module: targets(module) for module in FILES}


def users(module: str) -> set[str]:
    """The app and the pages that need a module, through others of ``pages.ui`` too."""
    reached, found = [module], set()
    while reached:
        target = reached.pop()
        for user in {user for user, uses in USES.items() if target in uses} - found:
            found.add(user)
            if user.startswith("pages.ui."):
                reached.append(user)
    return {"app" if user == "app" else user.split(".")[1] for user in found} - {"ui"}


def test_there_are_six_pages() -> None:
    assert PAGES == ["audit", "compare", "data", "images", "score", "studies"]


@pytest.mark.parametrize("module", sorted(name for name in FILES if name.startswith("pages.ui.") and "__" not in name))
def test_what_is_shared_is_used_by_two_pages_or_by_the_app(module: str) -> None:
    found = users(module)
    assert "app" in found or len(found) > 1, (
        f"{module} belongs to the folder of the page {found or 'that nobody names'}"
    )


def test_no_page_reaches_into_another() -> None:
    across = [
        (module, target)
        for module, uses in USES.items()
        for target in uses
        if module.startswith("pages.") and target.split(".")[1] not in ("ui", module.split(".")[1])
    ]
    assert across == []
