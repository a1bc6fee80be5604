"""The Data page, opened from app.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from mad_core.datasets.dataset import Card, Dataset, Imported, Problem, image_id
from mad_core.datasets.importing import import_dataset
from mad_core.datasets.madbench import BENCHMARKS
from mad_core.datasets.plan import ImportPlan, PlanRow, TablePlan, parse_plan
from mad_core.errors import InputError
from mad_core.runs.in_process import do_here
from mad_core.runs.jobs import ImportJob, submit
from pages.data import problems
from pages.data.plan import corrected, plan_of, table_of
from tests.app.conftest import Home
from tests.engine.pictures import draw

Open = Callable[..., AppTest]


def written(test: AppTest) -> str:
    return "\n".join(
        e.value for kind in (test.markdown, test.caption, test.info, test.error, test.success) for e in kind
    )


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
        from mad_core.runs.database.schema import datasets

        problem = Problem("unreadable", "plate/x.png", "x.png is cut off.")
        connection.execute(datasets.update().values(problems=[problem.to_json()]))
    test = open_page("data")
    assert any(e.label == "1 problem: 1 unreadable file" for e in test.expander)
    (table,) = [block for block in html_of(test) if "mad-problems" in block]
    assert "plate/x.png" in table and "x.png is cut off." in table


def test_a_copy_is_a_sentence_with_links_to_both_pictures(home: Home) -> None:
    first, second = (row for row in home.images("plate").head(2).itertuples())
    words = (
        f"This is the same picture as {first.path} (resized (9 x 9 and 8 x 8 pixels)), but level 1, the other level 0."
    )
    info = home.store.dataset_info(home.dataset)
    found = [
        Problem("conflicting-level", second.path, words),
        Problem("question", "plate", "12 images <b>lack</b> it."),
    ]
    shown = AppTest.from_function(_drawn, default_timeout=30, args=(home.dataset, found)).run()
    assert not shown.exception, shown.exception
    (table,) = html_of(shown)
    assert all(f"image={row.image_id}" in table for row in (first, second)) and str(first.path) not in table
    assert "but level 1, the other level 0." in table and "&lt;b&gt;lack" in table
    assert problems.in_short(found * 2) == "4 problems: 2 pictures under two levels, 2 questions"
    assert info.problems == ()


def _drawn(dataset, found):
    from dataclasses import replace

    from pages.data.problems import problems
    from pages.ui import engine

    store = engine.store()
    problems(replace(store.dataset_info(dataset), problems=tuple(found)), store.dataset(dataset))


def html_of(test: AppTest) -> list[str]:
    return [block.proto.body for block in test.get("html")]


def test_what_was_imported_is_scored_by_one_button_that_leads_on(home: Home, open_page: Open) -> None:
    assert not [b for b in open_page("data").button if b.label == "Score it now"]  # it has runs
    for run in home.store.runs(home.dataset):
        home.store.delete_run(run.id)
    test = open_page("data")
    button(test, "Score it now").click().run()
    assert not test.exception, test.exception
    assert [t.value for t in test.title] == ["Score"]
    (run,) = home.store.runs(home.dataset)
    assert run.scorer == "subspace" and test.query_params["watched"] == run.id


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
    ask("s3://bucket/parts")
    assert "is none of the places that may be opened here" in written(test).replace("\\", "")
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


# -- the published benchmark ----------------------------------------------------------------------


def bottle(missing: int = 0) -> Imported:
    """A dataset without files: every published test image of one subset but some of the most severe."""
    mvtec = BENCHMARKS[0]
    places = [("train", "0", 0)]
    places += [("test", k, i) for k, n in mvtec.counts("bottle").items() for i in range(n - missing * (k == "3"))]
    rows = [
        {
            "image_id": image_id("mvtec_bottle", f"{split}/{level}/{i}"),
            "content_hash": f"{split}{level}{i}",
            "path": f"/data/{split}/{level}/{i}.png",
            "template_path": f"{split}/{level}/{i}.png",
            "split": split,
            "subset": "mvtec_bottle",
            "level": float(level),
            "defect": None,
            "mask_path": None,
            "width": 9,
            "height": 9,
        }
        for split, level, i in places
    ]
    card = Card(subsets={"mvtec_bottle": mvtec.card("bottle")})
    return Imported(Dataset.from_rows("mvtec", rows, card, "/data/mvtec"))


def test_data_of_the_benchmark_says_what_is_missing(home: Home, open_page: Open) -> None:
    test = open_page("data", dataset=home.store.add_dataset(bottle(missing=3)))
    words = written(test).replace("\\", "")
    assert "0 of 14 published subsets complete. Incomplete: mvtec_bottle (3 test images missing)" in words
    assert "Absent: mvtec_cable, " in words
    (table,) = [d.value for d in test.dataframe if "State" in d.value]
    rows = table.set_index("Subset")
    assert (rows.loc["mvtec_bottle", "State"], rows.loc["mvtec_bottle", "L3"]) == ("incomplete", "17 / 20")
    assert (rows.loc["mvtec_zipper", "State"], rows.loc["mvtec_zipper", "L0"]) == ("absent", "0 / 32")
    assert "CC BY-NC-SA 4.0" in words and "data/Industry/mvtec/{subset}/train/good" in words


def test_other_data_says_nothing_of_the_benchmark(home: Home, open_page: Open) -> None:
    test = open_page("data")
    assert "published" not in written(test)
    assert not [d for d in test.dataframe if "State" in d.value]


def test_the_benchmark_is_queued_for_download(
    home: Home, open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAD_ALLOWED_ROOTS", str(tmp_path / "allowed"))
    from pages.ui import engine

    engine.store().close()
    engine.store.cache_clear()
    home.store.delete_dataset(home.dataset)  # then the form stands on the page itself
    test = open_page("data")

    def ask(to: str, subsets: str = "", datasets: tuple[str, ...] = ()) -> str:
        test.multiselect(key="fetch_datasets").set_value(list(datasets))
        test.text_input(key="fetch_subsets").set_value(subsets)
        test.text_input(key="fetch_to").set_value(to)
        button(test, "Download and import").click()
        test.run()
        assert not test.exception
        return written(test).replace("\\", "")

    assert "outside the folders" in ask("/etc/madbench")
    assert "from the root on" in ask("madbench")
    assert "none of the benchmark's datasets" in ask(str(tmp_path / "allowed/x"), "imagenet")
    assert not [j for j in home.store.queue.active() if j.kind == "fetch"]
    assert "A dataset is being prepared" in ask(str(tmp_path / "allowed/x"), "visa/pcb1", ("covid19", "mvtec"))
    (job,) = [j for j in home.store.queue.active() if j.kind == "fetch"]
    assert dict(job.payload) == {
        "benchmark": "madbench",
        "only": "covid19,mvtec,visa/pcb1",
        "to": str(tmp_path / "allowed/x"),
        "then": "import",
        "guarded": True,
    }


def test_images_that_were_not_written_are_told(home: Home, open_page: Open) -> None:
    queue = home.store.queue
    job = queue.submit("fetch", {"benchmark": "madbench", "only": "", "to": "/data/x", "then": ""})
    queue.register("w", "cpu", {})
    queue.claim("w", ["auto"], job_id=job)
    queue.finish(job, "w", "done", result={"refused": ["'../x.png': this path is unsafe or no image's."]})
    test = open_page("data")
    assert "this path is unsafe" in "".join(w.value for w in test.warning).replace("\\", "")


# -- the plan of an import ------------------------------------------------------------------------


def look_at(home: Home, folder: Path) -> None:
    do_here(home.store, submit(home.store.queue, ImportJob(str(folder), look=True)), "cpu", lambda facts: None)


def test_the_plan_is_shown_before_anything_is_stored_and_then_taken(
    home: Home, open_page: Open, tmp_path: Path
) -> None:
    for name in ("none/0.png", "mild/0.png", "mild/1.png", "severe/0.png"):
        draw(tmp_path / "parts" / name)
    look_at(home, tmp_path / "parts")
    assert len(home.store.datasets()) == 1
    test = open_page("data")
    assert "What will be imported" in written(test) + "".join(s.value for s in test.header)
    assert "Proposed: none: 0, mild: 1, severe: 2" in "".join(w.value for w in test.warning).replace("\\", "")
    button(test, "Store these images").click().run()
    assert not test.exception
    (job,) = [j for j in home.store.queue.active() if j.kind == "import"]
    assert parse_plan(job.payload["plan"]).levels == {"none": "0", "mild": "1", "severe": "2"}
    do_here(home.store, job.id, "cpu", lambda facts: None)
    stored = home.store.datasets()[-1]
    assert home.store.dataset(stored.id).counts()[0]["test"] == {"0": 1, "1": 2, "2": 1}
    assert parse_plan(stored.card.plan).levels == {"none": "0", "mild": "1", "severe": "2"}


def test_images_without_levels_come_in_by_one_button(home: Home, open_page: Open, tmp_path: Path) -> None:
    for number in range(3):
        draw(tmp_path / f"parts/field/{number}.png")
    look_at(home, tmp_path / "parts")
    test = open_page("data")
    (asked,) = [w.value for w in test.warning if "severity" in w.value]
    assert "--" not in asked and asked.replace("\\", "").endswith("nothing says their severity levels.")
    button(test, "Test them without levels").click().run()
    for _ in range(2):  # a second look, which asks what is normal, and the import
        assert not test.exception
        (job,) = [j for j in home.store.queue.active() if j.kind == "import"]
        do_here(home.store, job.id, "cpu", lambda facts: None)
        if job.payload["look"]:
            test = open_page("data")
            assert any("is known to be normal" in w.value for w in test.warning)
            button(test, "Store these images").click().run()
    (stored,) = [d for d in home.store.datasets() if d.source == str(tmp_path / "parts")]
    assert home.store.dataset(stored.id).unlabelled() == 3


def test_a_source_of_which_nothing_can_be_used_says_why(home: Home, open_page: Open, tmp_path: Path) -> None:
    draw(tmp_path / "parts/a.png")
    (tmp_path / "parts/labels.csv").write_text("path,level\n" + "".join(f"no{n}.png,1\n" for n in range(9)))
    look_at(home, tmp_path / "parts/labels.csv")
    test = open_page("data")
    assert any("no image can be used" in error.value for error in test.error)
    assert any(m.value.startswith("**Missing file**") for m in test.markdown)


def test_the_window_is_shown_before_anything_is_stored(home: Home, open_page: Open, tmp_path: Path) -> None:
    for level in range(3):
        path = tmp_path / f"deep/level_{level}/0.tif"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8) * 80 + level).save(path)
    look_at(home, tmp_path / "deep")
    test = open_page("data")
    assert [e.label for e in test.expander if e.label.startswith("Window of")] == ["Window of deep: 0 to 4095"]
    assert "3 of 16 bit" in written(test) and len(home.store.datasets()) == 1


def test_columns_that_are_not_known_are_chosen_in_the_plan(home: Home, tmp_path: Path) -> None:
    for number in range(3):
        draw(tmp_path / f"parts/{number}.png")
    (tmp_path / "parts/t.csv").write_text("file,how bad\n0.png,0\n1.png,0\n2.png,3\n")
    look_at(home, tmp_path / "parts")
    (job,) = [j for j in home.store.queue.recent(60) if j.payload.get("source") == str(tmp_path / "parts")]
    assert job.result and "Say in the plan which of them it is" in job.result["sentence"]
    plan = plan_of(job.result)
    table = table_of(plan)
    table.loc[table["Name"] == "how bad", "Role"] = "level"
    imported = import_dataset(tmp_path / "parts", home.store.settings, plan=corrected(plan, table))
    assert sorted(imported.dataset.table["level"]) == [0, 0, 3]


def test_options_of_the_plan_outlive_a_correction() -> None:
    text = ImportPlan(group_from_name="first-number", window=("used",), pages="each").to_yaml()
    told = corrected(plan_of({"plan": text, "rows": []}), table_of(ImportPlan()))
    assert (told.group_from_name, told.window, told.pages) == ("first-number", ("used",), "each")


def test_corrections_in_the_plans_table_become_decisions() -> None:
    rows = (
        PlanRow("folder", "odd", "images", "test", "parts", 1.0, 3),
        PlanRow("level", "mild", "asked", images=3, proposed=1.0),
        PlanRow("level", "blurred", "asked", images=3),
        PlanRow("column", "grade", "level", note="of t.csv"),
    )
    plan = ImportPlan(tables={"t.csv": TablePlan(columns={"path": "file", "level": "grade"})}, rows=rows)
    table = table_of(plan)
    assert corrected(plan, table).levels == {"mild": 1.0}
    table.loc[0, "Role"], table.loc[2, "Role"], table.loc[3, "Role"] = "masks", "left out", "group"
    told = corrected(plan, table)
    assert told.folders["odd"].role == "masks"
    assert told.levels == {"mild": 1.0, "blurred": "left out"}
    assert told.tables["t.csv"].columns == {"path": "file", "group": "grade"}
    table.loc[0, "Level"] = "high"
    with pytest.raises(InputError, match="The level 'high' of 'odd' is not a number"):
        corrected(plan, table)
