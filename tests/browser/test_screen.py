"""What the window shows, and where a press leads: at 1440 x 900, narrower, and while the machine is busy."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from mad_core.runs.browsing import Wanted, select, with_scores
from mad_core.runs.picture_features import space_of
from mad_core.runs.picture_space import PCA, write_space
from mad_core.runs.results import run_table
from mad_core.runs.store import Run, RunRequest, Store
from tests.browser.accessible import faults
from tests.browser.conftest import ROOT, Server, Watch
from tests.browser.scored_demo import scored_demo

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
expect.set_options(timeout=60_000)

STEPS = 10
Settled = Callable[[Page], None]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, with_demo: Callable[..., Path]) -> Iterator[tuple[Store, str]]:
    """A small demo with two runs that scored it, and one that keeps maps and has begun."""
    store, dataset_id, _ = scored_demo(with_demo(tmp_path_factory.mktemp("screen") / "store", normals=4, a_level=6))
    third = store.request_run(RunRequest(dataset_id, "filterbank", {"title": "Third scorer"}, title="Third scorer"))
    store.queue.request_cancel(store.queue.active_for(third.job_key).id)  # type: ignore[union-attr]
    store.update_run(third.id, status="cancelled", done=1)
    yield store, dataset_id
    store.close()


@pytest.fixture(scope="module")
def server(serve: Callable[..., Server], demo: tuple[Store, str]) -> Server:
    return serve(ROOT / "app.py", {"MAD_HOME": str(demo[0].settings.home)})


@pytest.fixture(autouse=True)
def looked_for(page: Page, watch: Watch) -> Iterator[None]:
    """Streamlit looks for itself below the page that is opened first, then above it."""
    yield
    watch.errors[:] = [error for error in watch.errors if "/_stcore/" not in error]


@pytest.fixture
def busy() -> Iterator[None]:
    """A process that wants all of a core."""
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    loop.kill()
    loop.wait()


def by_score(store: Store, run: Run) -> list[str]:
    """The ids of the plates, highest score first."""
    plates = with_scores(store.dataset(run.dataset_id).select(subset="plate", split="test"), run_table(store, run.id))
    return select(plates.assign(tags=[()] * len(plates)), Wanted(order="highest score"))["image_id"].tolist()


def is_seen(page: Page, part: Locator) -> None:
    """A part stands within the window, all of it."""
    expect(part).to_be_visible()
    page.wait_for_function(
        "part => { const b = part.getBoundingClientRect(); return b.top >= 0 && b.bottom <= innerHeight; }",
        arg=part.element_handle(),
    )


def test_ten_steps_by_keys_and_by_buttons_keep_run_and_order_on_a_busy_machine(
    server: Server, demo: tuple[Store, str], page: Page, settled: Settled, busy: None
) -> None:
    store, dataset_id = demo
    for run in store.runs(dataset_id)[:2]:
        order = by_score(store, run)
        page.goto(f"{server.url}/images?dataset={dataset_id}&subset=plate&run={run.id}&sort=highest+score")
        page.locator(".tile").first.click()
        expect(page.get_by_text(f"1 of {len(order)}", exact=True)).to_be_visible()
        expect(page.locator(".viewer")).to_have_attribute("data-state", "ready")
        for _ in range(STEPS):
            page.keyboard.press("ArrowRight")
        expect(page.get_by_text(f"{STEPS + 1} of {len(order)}", exact=True)).to_be_visible()
        expect(page).to_have_url(re.compile(f"image={order[STEPS]}"))
        expect(page).to_have_url(re.compile(f"run={run.id}"))
        for _ in range(STEPS):
            page.get_by_role("button", name="Next").click()
        expect(page.get_by_text(f"{2 * STEPS + 1} of {len(order)}", exact=True)).to_be_visible()
        expect(page).to_have_url(re.compile(f"image={order[2 * STEPS]}"))
        settled(page)


def test_what_is_enclosed_on_the_map_is_the_gallery(
    server: Server, demo: tuple[Store, str], page: Page, settled: Settled
) -> None:
    store, dataset_id = demo
    rows = store.dataset(dataset_id).select(subset="plate")
    tests = (rows["split"] == "test").to_numpy()
    places = np.stack([np.arange(len(rows)) % 7, np.arange(len(rows)) // 7], axis=1).astype(np.float32)
    ids, hashes = (rows[name].to_numpy().astype(str) for name in ("image_id", "content_hash"))
    space = space_of(ids, hashes, places)
    write_space(store.settings, dataset_id, "plate", space)
    page.goto(f"{server.url}/images?dataset={dataset_id}&subset=plate&map=shown")
    expect(page.locator(".map")).to_have_attribute("data-state", "ready")
    settled(page)
    assert faults(page) == []
    canvas = page.locator(".map .stage canvas")
    box = canvas.bounding_box()
    assert box
    corners = ((0.002, 0.002), (0.002, 0.998), (0.5, 0.998), (0.5, 0.002))
    page.mouse.move(box["x"] + box["width"] * corners[0][0], box["y"] + box["height"] * corners[0][1])
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=4)
    page.mouse.up()
    inside = int((space.places[PCA][tests, 0] < 0.5).sum())
    expect(page.locator(".tile")).to_have_count(inside)
    expect(page).to_have_url(re.compile("region=pca-s-"))
    assert 0 < inside < tests.sum()
    canvas.focus()
    page.keyboard.press("Escape")
    expect(page.locator(".tile")).to_have_count(min(24, int(tests.sum())))
    page.keyboard.press("ArrowRight")
    expect(page.locator(".map .card")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Similar pictures")).to_be_visible()
    expect(page.locator(".tile")).to_have_count(12)
    settled(page)
    assert faults(page) == []


def test_an_image_of_compare_stands_under_what_was_compared_and_one_press_leads_back(
    server: Server, demo: tuple[Store, str], page: Page, settled: Settled
) -> None:
    store, dataset_id = demo
    page.goto(f"{server.url}/images?dataset={dataset_id}&subset=plate")
    settled(page)
    runs = "&".join(f"runs={run.id}" for run in store.runs(dataset_id)[:2])
    page.goto(f"{server.url}/compare?dataset={dataset_id}&subset=plate&{runs}")
    expect(page).to_have_title("Compare · MAD Inspector")
    expect(page.get_by_role("combobox", name="Subset")).to_have_value("plate")  # as the other pages
    expect(page.locator(".js-plotly-plot")).to_have_count(8)  # those out of sight, too, once it has nothing else to do
    settled(page)
    assert faults(page) == []
    tile = page.locator(".tile").first
    tile.scroll_into_view_if_needed()
    settled(page)
    tile.click()
    expect(page.get_by_role("heading", name="Images", exact=True)).to_be_visible()
    expect(page.locator(".pane .title").first).to_be_visible()
    assert "Third scorer" not in page.locator(".pane .title").all_inner_texts()
    settled(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    page.goto(f"{server.url}/data?dataset={dataset_id}")
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
    expect(page.get_by_text("Page not found")).to_have_count(0)


def test_in_the_reference_window_the_audit_shows_what_was_hidden_and_its_keys(
    server: Server, demo: tuple[Store, str], page: Page, settled: Settled
) -> None:
    page.goto(f"{server.url}/audit?dataset={demo[1]}&subset=plate")
    page.get_by_role("textbox", name="Your name").fill("Ada")
    page.keyboard.press("Enter")
    expect(page.locator(".review")).to_have_attribute("data-state", "ready")
    settled(page)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator(".revealed")).to_contain_text("Label: ")
    is_seen(page, page.locator(".revealed"))
    is_seen(page, page.locator(".commit"))
    page.keyboard.press("?")
    is_seen(page, page.get_by_role("region", name="Keys"))
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Keys")).to_be_hidden()
    page.get_by_role("button", name="What the words mean").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".js-plotly-plot")).to_be_visible()
    settled(page)
    page.keyboard.press("Enter")  # would go on to the next image
    expect(page.locator(".revealed")).to_contain_text("Label: ")
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_the_stage_is_led_on_by_keys_shows_the_tour_and_is_left(
    server: Server, demo: tuple[Store, str], page: Page, settled: Settled
) -> None:
    store, dataset_id = demo
    order = by_score(store, store.runs(dataset_id)[0])
    page.goto(f"{server.url}/images?dataset={dataset_id}&subset=plate&sort=highest+score&image={order[0]}")
    expect(page.locator(".viewer")).to_have_attribute("data-state", "ready")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("l")
    expect(page.locator(".copied")).to_have_text("Link copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert f"image={order[0]}" in link and "sort=highest+score" in link and "maps=" in link
    page.keyboard.press("w")
    page.wait_for_function("document.fullscreenElement !== null")
    page.keyboard.press("w")
    page.wait_for_function("document.fullscreenElement === null")
    page.get_by_role("button", name="Stage").click()
    stage = page.get_by_role("dialog")
    expect(stage).to_have_attribute("data-state", "ready")
    page.keyboard.press("ArrowRight")
    expect(stage.locator(".name")).to_have_text(re.compile(f"2 of {len(order)}$"))
    is_seen(page, stage.locator(".level"))
    is_seen(page, stage.locator(".strip").last)
    settled(page)
    assert faults(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_text(f"2 of {len(order)}", exact=True)).to_be_visible()
    page.goto(f"{server.url}/?guide=5&stage=yes")
    expect(stage.get_by_role("heading", name="5 of")).to_be_visible()
    settled(page)
    assert faults(page) == []
    page.keyboard.press("PageDown")
    expect(stage.get_by_role("heading", name="6 of")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    settled(page)


def test_in_the_reference_window_the_tour_shows_what_it_speaks_of_and_stays_in_sight(
    server: Server, page: Page, settled: Settled
) -> None:
    for number in (4, 5):
        page.goto(f"{server.url}/?guide={number}")
        expect(page.get_by_role("heading", name="Images", exact=True)).to_be_visible()
        strip = page.locator(".st-key-beside [data-testid='stPlotlyChart']").first
        settled(page)
        is_seen(page, strip)
        page.mouse.move(300, 600)
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(300)
        is_seen(page, page.locator(".st-key-guide"))


def test_in_a_narrow_window_the_picture_keeps_its_room(
    server: Server, demo: tuple[Store, str], page: Page, settled: Settled
) -> None:
    store, dataset_id = demo
    image = by_score(store, store.runs(dataset_id)[0])[0]
    page.set_viewport_size({"width": 900, "height": 900})
    page.goto(f"{server.url}/images?dataset={dataset_id}&image={image}")
    expect(page.locator(".viewer")).to_have_attribute("data-state", "ready")
    settled(page)
    box = page.locator(".stage").first.bounding_box()
    assert box and min(box["width"], box["height"]) >= 300
    page.set_viewport_size({"width": 390, "height": 800})
    for path in (f"/images?dataset={dataset_id}&image={image}", f"/compare?dataset={dataset_id}&subset=plate"):
        page.goto(f"{server.url}{path}")
        settled(page)
        main = page.locator("[data-testid='stMain']")
        assert main.evaluate("main => main.scrollWidth <= main.clientWidth"), path


RECORD = """window.told = [];
window.Notification = class extends Notification {
  constructor(title, options) {
    super(title, options);
    window.told.push(`${title}: ${options.body}`);
  }
};"""
"""The browser's own notifications, and beside them what they say."""


def test_the_browser_tells_once_of_an_end_where_a_person_allowed_it_and_wants_it(
    server: Server, demo: tuple[Store, str], page: Page, settled: Settled
) -> None:
    store, dataset_id = demo
    run = next(run for run in store.runs(dataset_id) if run.title == "Third scorer")
    page.add_init_script(RECORD)
    gallery = f"{server.url}/images?dataset={dataset_id}&subset=plate"

    def told() -> list[str]:
        settled(page)
        expect(page.get_by_role("button", name="Third scorer: ")).to_be_visible()
        expect(page.get_by_role("button", name="Notify me")).to_be_visible()  # made by what tells, as it tells
        return page.evaluate("window.told")

    page.goto(gallery)
    settled(page)
    store.update_run(run.id, status="done", finished=time.time())
    page.goto(gallery)
    assert told() == []  # not allowed
    page.context.grant_permissions(["notifications"], origin=server.url)
    page.goto(gallery)
    assert told() == []  # allowed, not wanted
    page.get_by_role("button", name="Notify me").click()
    expect(page.get_by_role("button", name="Notify me")).to_have_attribute("aria-pressed", "true")
    page.goto(gallery)
    assert told() == [f"A run has ended: Third scorer on {store.dataset_info(dataset_id).name} is done: 1 images."]
    page.goto(gallery)
    assert told() == []  # not twice
    store.update_run(run.id, status="failed", error="The disk is full.", finished=time.time())
    page.goto(gallery)
    assert [words.endswith("failed: The disk is full.") for words in told()] == [True]
    assert faults(page) == []
    page.get_by_role("button", name="Third scorer: ").click()
    expect(page.get_by_role("button", name="Seen")).to_be_visible()
    page.get_by_role("button", name="Seen").click()
    expect(page.get_by_role("button", name="Third scorer: ")).to_have_count(0)
    page.context.clear_permissions()


def test_axe_finds_nothing_on_the_other_pages_in_both_themes(
    server: Server, demo: tuple[Store, str], page: Page, settled: Settled
) -> None:
    def look(path: str) -> None:
        page.goto(f"{server.url}/{path}{'&' if '?' in path else '?'}dataset={demo[1]}")
        expect(page.get_by_role("button", name="What the words mean")).to_be_visible()
        settled(page)
        assert faults(page) == [], path

    look("score?view=Runs")
    look("score?view=One+image")
    look("studies")
    look("images?subset=plate&group=level&tiles=compact")
    look("score?view=New+run")
    page.get_by_role("button", name="Set up").first.click()
    expect(page.get_by_role("button", name="Queue run")).to_be_visible()
    settled(page)
    assert faults(page) == []
    look("data?guide=1")
    page.get_by_role("button", name="Add a dataset").click()
    page.get_by_text("Browse the folders").click()
    settled(page)
    assert faults(page) == []
