"""The Audit page, opened from app.py: who reviews, each part of it, and what is hidden until a commit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from mad_core.audit.events import Event
from mad_core.audit.exchange import events_json
from mad_core.audit.labels import AuditStore
from pages.audit import review_component as components
from tests.app.conftest import Home

Open = Callable[..., AppTest]
PARTS = ("Review", "Pairs", "Agreement", "Adjudicate", "Consequence", "Export and import")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the page gives to the review components, in order; they draw nothing here."""
    found: list[dict[str, Any]] = []

    def draw(**given: Any) -> dict[str, Any]:
        found.append(given)
        return {}

    for name in ("_REVIEW", "_PAIRS", "_NAME"):
        monkeypatch.setattr(components, name, draw)
    return found


def begun(open_page: Open, name: str = "Ada", **query: str) -> AppTest:
    test = open_page("audit", **query)
    test.text_input[0].set_value(name)
    next(one for one in test.button if one.label == "Begin").click().run()
    assert not test.exception, test.exception
    return test


def written(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.info, test.header, test.error, test.success)
    return "\n".join(e.value for kind in kinds for e in kind)


def last(drawn: list[dict[str, Any]], key: str) -> dict[str, Any]:
    return next(given for given in reversed(drawn) if given["key"] == key)["data"]


def test_nobody_reviews_before_giving_a_name_which_is_said_to_be_no_protection(
    open_page: Open, drawn: list[dict[str, Any]]
) -> None:
    test = open_page("audit")
    assert [t.value for t in test.title] == ["Audit"]
    assert "no protection" in written(test)
    assert all(given["key"] == "audit_name" for given in drawn)
    test = begun(open_page, "<b>Ada</b>")
    assert r"\<b\>Ada" in written(test)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_on_an_empty_record(open_page: Open, drawn: list[dict[str, Any]], part: str) -> None:
    test = begun(open_page, part=part)
    assert not test.error
    assert [t.value for t in test.title] == ["Audit"]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_opens_with_two_reviewers(
    home: Home, open_page: Open, drawn: list[dict[str, Any]], part: str
) -> None:
    audit = AuditStore(home.store)
    rows = home.images("plate")
    for name, shift in (("Ada", 0), ("Bo", 1)):
        audit.reviewer(name)
        for number, row in enumerate(rows.itertuples()):
            level = min(row.level + shift * (number % 3 == 0), 3.0)
            audit.record(Event(home.dataset, row.image_id, name, "level", after=level))
    ids = rows["image_id"].tolist()
    for first, second in pairwise(ids[:7]):
        audit.record(Event(home.dataset, second, "Ada", "compare", after=1.0, other=first))
    test = begun(open_page, part=part)
    assert not test.error, [e.value for e in test.error]


def test_nothing_hidden_is_sent_before_a_commit(home: Home, open_page: Open, drawn: list[dict[str, Any]]) -> None:
    begun(open_page)
    data = last(drawn, "audit_review")
    assert data["items"] and all(item["reveal"] is None for item in data["items"])
    sent = json.dumps(data["items"])
    assert ".png" not in sent and "level" not in sent.replace('"level": null', "")
    first = data["items"][0]["id"]
    AuditStore(home.store).record(Event(home.dataset, first, "Ada", "level", after=2.0))
    begun(open_page)
    shown = {item["id"]: item["reveal"] for item in last(drawn, "audit_review")["items"]}
    assert shown[first]["path"].endswith(".png")
    assert all(reveal is None for image, reveal in shown.items() if image != first)


def test_a_setting_of_the_dataset_shows_labels_at_once(
    home: Home, open_page: Open, drawn: list[dict[str, Any]]
) -> None:
    card = home.store.dataset_info(home.dataset).card
    home.store.update_card(home.dataset, replace(card, audit_open=True))
    begun(open_page)
    assert all(item["reveal"]["label"] for item in last(drawn, "audit_review")["items"])


def test_the_first_image_without_a_rating_of_ones_own_is_in_view(
    home: Home, open_page: Open, drawn: list[dict[str, Any]]
) -> None:
    begun(open_page, queue="random", within="plate")
    before = last(drawn, "audit_review")
    audit = AuditStore(home.store)
    for item in before["items"][:3]:
        audit.record(Event(home.dataset, item["id"], "Ada", "level", after=1.0))
    begun(open_page, queue="random", within="plate")
    after = last(drawn, "audit_review")
    assert after["at"]["place"] == 3
    assert [item["id"] for item in after["items"][:6]] == [item["id"] for item in before["items"][:6]]


def test_a_viewer_is_told_so_by_the_record(home: Home, open_page: Open, drawn: list[dict[str, Any]]) -> None:
    audit = AuditStore(home.store)
    audit.reviewer("Boss")
    audit.reviewer("Guest")
    audit.set_role("Guest", "viewer", "Boss")
    test = begun(open_page, "Guest", part="Adjudicate")
    assert "your role is viewer" in written(test)


def test_compare_shows_metrics_on_original_and_on_audited_labels(home: Home, open_page: Open) -> None:
    assert not any(c.label == "Labels" for c in open_page("compare").segmented_control)
    audit = AuditStore(home.store)
    audit.reviewer("Ada")
    worst = home.images("plate").iloc[-1]
    audit.record(Event(home.dataset, worst["image_id"], "Ada", "level", after=0.0))
    original, audited = (tables(open_page("compare", labels=labels)) for labels in ("original", "audited"))
    assert original != audited
    assert "The audit moves 1 of" in written(open_page("compare", labels="audited"))


def tables(test: AppTest) -> list[str]:
    return [e.proto.body for e in test.get("html") if "<table" in e.proto.body]


def test_events_of_another_database_come_in_through_the_page_once(
    home: Home, open_page: Open, drawn: list[dict[str, Any]]
) -> None:
    audit = AuditStore(home.store)
    image = home.images("plate").iloc[0]
    elsewhere = Event(home.dataset, image["image_id"], "Zoe", "level", after=2.0, content_hash=image["content_hash"])
    test = begun(open_page, part="Export and import")
    for said in ("1 events are new here, 0 were here before", "0 events are new here, 1 were here before"):
        test.get("file_uploader")[0].upload("events.json", events_json([elsewhere]).encode(), "application/json").run()
        assert said in written(test), written(test)
    assert audit.ratings(home.dataset)["reviewer"].tolist() == ["Zoe"]


def test_a_reviewer_cannot_import_events_for_others(home: Home, open_page: Open, drawn: list[dict[str, Any]]) -> None:
    AuditStore(home.store).reviewer("Boss")
    test = begun(open_page, "Guest", part="Export and import")
    assert "An adjudicator can import events" in written(test) and not test.get("file_uploader")
