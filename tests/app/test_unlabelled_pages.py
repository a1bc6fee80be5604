"""Every page with a dataset in which nobody has graded an image, and with one of which some are graded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mad_core.audit.consensus import consensus_of, corrections
from mad_core.audit.events import Event
from mad_core.audit.grades import learned_runs
from mad_core.audit.labels import AuditStore
from mad_core.datasets.dataset import Imported
from mad_core.runs.store import RunRequest
from mad_core.scorers import catalog
from pages.ui.placing import NO_LEVELS
from tests.app.conftest import Home, scored
from tests.app.test_audit_page import begun

PAGES = ("Data", "Score", "Images", "Compare", "Audit", "Studies")


def without_levels(home: Home, every: int) -> Home:
    """The drawn dataset with two runs, every so many of its test images without a level."""
    dataset = home.store.dataset(home.dataset)
    tests = np.flatnonzero((dataset.table["split"] == "test").to_numpy())[::every]
    level = dataset.table["level"].mask(dataset.table.index.isin(tests))
    bare = replace(dataset, table=dataset.table.assign(level=level))
    own = Home(home.store, home.store.add_dataset(Imported(bare)))
    rng = np.random.default_rng(3)
    for title in ("Alpha", "Beta"):
        own.add_run(title, lambda row: scored(row, rng.uniform(0, 3)))
    return own


@pytest.mark.parametrize("every", [1, 2], ids=["none", "half"])
def test_every_page_works_where_images_have_no_level(home: Home, open_page: Any, every: int) -> None:
    own = without_levels(home, every)
    said = {}
    for title in PAGES:
        page = open_page(title.lower(), dataset=own.dataset, subset="plate")
        assert [one.value for one in page.title] == [title]
        assert not page.error, (title, [one.value for one in page.error])
        said[title] = " ".join(one.value for part in (page.info, page.caption, page.markdown) for one in part)
    known = len(own.images("plate").query("level >= 0"))
    assert f"24 images, {known} labelled" in said["Images"]
    assert "labelled" in said["Data"]
    for title in ("Score", "Compare", "Studies"):
        assert ("0 labelled. Once some have a severity level" if every == 1 else "only these enter") in said[title]
    image = own.images("plate")["image_id"].iloc[0]
    page = open_page("images", dataset=own.dataset, subset="plate", image=image)
    assert not page.error
    assert (NO_LEVELS in [one.value for one in page.caption]) == (every == 1)
    absent = len(own.images("plate").query("level.isna()"))
    page = open_page("images", dataset=own.dataset, subset="plate", level="none")
    assert any(f"{absent:,}" in one.value and "0 labelled" in one.value for one in page.markdown)


@pytest.mark.parametrize("every", [1, 2], ids=["none", "half"])
def test_the_audit_grades_what_nobody_has(home: Home, open_page: Any, every: int) -> None:
    own = without_levels(home, every)
    audit = AuditStore(own.store)
    image = own.images("plate").query("level.isna()")["image_id"].tolist()[0]
    for name, level in (("Ada", 1.0), ("Ben", 2.0), ("Cy", 1.0)):
        audit.reviewer(name)
        written = audit.record(Event(own.dataset, image, name, "level", after=level))
        assert written.before is None
    for part in ("Review", "Learn", "Pairs", "Agreement", "Adjudicate", "Consequence", "Export and import"):
        page = begun(open_page, dataset=own.dataset, part=part)
        assert not page.error, (part, [one.value for one in page.error])
    changed = corrections(consensus_of(audit, own.dataset))
    assert changed["image_id"].tolist() == [image]


def test_the_audit_learns_from_enough_grades_and_says_what_is_missing(home: Home, open_page: Any) -> None:
    own = without_levels(home, 1)
    audit, filters = AuditStore(own.store), catalog.scorer("filterbank").check({})
    audit.reviewer("Ada")
    done = own.store.request_run(RunRequest(own.dataset, "filterbank", filters))
    own.store.update_run(done.id, status="done", finished=2.0)
    page = begun(open_page, dataset=own.dataset, part="Learn")
    assert "0 of" in texts(page)
    assert "are graded." in texts(page)
    assert button(page, "Learn from 0 grades").disabled
    for image_id, level in zip(own.images("plate")["image_id"], (0.0, 0.0, 1.0, 2.0, 2.0), strict=False):
        audit.record(Event(own.dataset, image_id, "Ada", "level", after=level))
    page = begun(open_page, dataset=own.dataset, part="Learn")
    assert "2 L0, 1 L1, 2 L2." in texts(page)
    button(page, "Learn from 5 grades").click().run()
    assert not page.error, [one.value for one in page.error]
    run = learned_runs(own.store, own.dataset)[0]
    assert run.active
    assert run.subsets == ("plate",)
    assert "Learning: 0 of" in texts(page)
    page.button(key="grade_next").click().run()
    assert page.selectbox(key="view_queue").value == "learning"


def texts(page: Any) -> str:
    return " ".join(one.value for one in page.markdown).replace("\\", "")


def button(page: Any, label: str) -> Any:
    return next(one for one in page.button if one.label == label)
