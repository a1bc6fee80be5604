"""What every page tells of runs that have ended, until that was seen."""

from __future__ import annotations

import time
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from tests.app.conftest import Home, scored
from tests.app.test_images_page import component, written

Open = Callable[..., AppTest]


def end(home: Home, title: str, status: str = "done", error: str | None = None) -> str:
    run = home.add_run(title, lambda row: scored(row, row.level))
    home.store.update_run(run.id, status=status, error=error, finished=time.time())
    return run.id


def toasts(test: AppTest) -> list[str]:
    return [toast.value.replace("\\", "") for toast in test.toast]


def test_an_end_is_told_of_on_every_page_until_it_is_seen(home: Home, open_page: Open) -> None:
    assert "is done" not in written(open_page("data"))  # what ended before somebody came
    run = end(home, "Night")
    for page in ("data", "compare"):
        test = open_page(page)
        assert "Night on parts is done: 42 images." in written(test)
        assert toasts(test) == ["Night on parts is done: 42 images."]
    assert component(test, "notices")["ended"][0]["key"].startswith(f"{run} ")
    test.run()
    assert not test.toast  # once in a session
    test.button(key="notices_seen").click().run()
    assert "is done" not in written(test)
    assert "is done" not in written(open_page("images"))  # another session of the same person


def test_several_fold_into_one_and_failed_ones_say_why(home: Home, open_page: Open) -> None:
    open_page("data")
    first, second = end(home, "Night"), end(home, "Dawn", "failed", "The disk is full.")
    test = open_page("audit")
    assert "Dawn on parts failed: The disk is full." in written(test)
    assert toasts(test) == ["2 runs have ended, 1 failed"]
    test.button(key=f"notice_{second}").click().run()
    assert not test.exception and test.query_params["watched"] == second
    assert "failed: The disk" not in written(test) and "Night on parts is done" in written(test)
    test.run()
    assert first in {run.id for run in home.store.notices.of("")}
    test = open_page("score", watched=first)
    assert "Night on parts is done" in written(test)
    test.run()  # told of, and in view
    assert home.store.notices.of("") == []
