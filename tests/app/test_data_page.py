"""The Data page, opened from app.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
from streamlit.testing.v1 import AppTest

from mad_core.datasets.dataset import Problem
from tests.app.conftest import Home

Open = Callable[..., AppTest]


def written(test: AppTest) -> str:
    return "\n".join(e.value for kind in (test.markdown, test.caption, test.info, test.error) for e in kind)


def button(test: AppTest, label: str):
    (found,) = [b for b in test.button if b.label == label]
    return found


def test_counts_and_meanings_of_the_subset_in_view(home: Home, open_page: Open) -> None:
    test = open_page("data", subset="plate")
    assert [t.value for t in test.title] == ["Data"]
    (counts,) = [e.label for e in test.expander if "all counts" in e.label]
    assert counts == "3 training normals · 24 test images · 18 masks · all counts"
    assert "Ship it at a discount" in written(test)
    (table,) = [d.value for d in test.dataframe if "Split" in d.value]
    assert table.query("Subset == 'leaf' and Split == 'test'")["L0.5"].tolist() == [6]


def test_problems_are_listed(home: Home, open_page: Open) -> None:
    store = home.store
    with store.database.write() as connection:
        from mad_core.runs.schema import datasets

        problem = Problem("unreadable", "plate/x.png", "x.png is cut off.")
        connection.execute(datasets.update().values(problems=[problem.to_json()]))
    test = open_page("data")
    assert any(e.label == "1 problem: 1 × unreadable" for e in test.expander)
    (table,) = [d.value for d in test.dataframe if "Problem" in d.value]
    assert table["File"].tolist() == ["plate/x.png"]


def test_a_dataset_is_renamed_and_a_taken_name_is_a_sentence(home: Home, open_page: Open) -> None:
    test = open_page("data")
    (name,) = [t for t in test.text_input if t.label == "Name"]
    name.set_value("  line 3 ")
    button(test, "Rename").click()
    test.run()
    assert home.store.dataset_info(home.dataset).name == "line 3"
    (name,) = [t for t in test.text_input if t.label == "Name"]
    name.set_value("   ")
    button(test, "Rename").click()
    test.run()
    assert "1 to 190 characters" in "".join(e.value for e in test.error).replace("\\", "")
    assert home.store.dataset_info(home.dataset).name == "line 3"


def test_a_dataset_is_deleted_only_after_asking(home: Home, open_page: Open) -> None:
    test = open_page("data")
    button(test, "Delete dataset").click().run()
    assert "with 2 runs, their scores and maps will be deleted" in written(test).replace("\\", "")
    assert home.store.datasets()


def test_a_folder_is_queued_for_import_and_one_outside_is_refused(
    home: Home, open_page: Open, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("MAD_ALLOWED_ROOTS", str(tmp_path / "allowed"))
    (tmp_path / "allowed").mkdir()
    from pages.ui import engine

    engine.store().close()
    engine.store.cache_clear()
    home.store.delete_dataset(home.dataset)  # then the form stands on the page itself
    test = open_page("data")

    def ask(path: str) -> None:
        (source,) = [t for t in test.text_input if t.label == "Folder, table or archive"]
        source.set_value(path)
        button(test, "Import").click()
        test.run()
        assert not test.exception

    ask("/etc")
    assert "is outside the folders that may be opened here" in written(test).replace("\\", "")
    assert not [j for j in home.store.queue.active() if j.kind == "import"]
    ask(str(tmp_path / "allowed"))
    (job,) = [j for j in home.store.queue.active() if j.kind == "import"]
    assert job.payload["source"] == str(tmp_path / "allowed")


def test_without_a_dataset_the_page_offers_to_add_one(home: Home, open_page: Open) -> None:
    home.store.delete_dataset(home.dataset)
    test = open_page("data")
    assert "There is no dataset yet" in written(test).replace("\\", "")
    assert any(t.label == "Folder, table or archive" for t in test.text_input)


def test_counts_table_is_made_of_numbers(home: Home, open_page: Open) -> None:
    test = open_page("data")
    (table,) = [d.value for d in test.dataframe if "Split" in d.value]
    assert all(pd.api.types.is_numeric_dtype(table[c]) for c in table.columns if c.startswith("L"))
