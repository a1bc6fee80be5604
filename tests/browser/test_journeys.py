"""The main journeys, in a real browser, with real workers: from the first start to an image's maps."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from mad_core.audit.grades import learned_runs
from mad_core.runs.request import request_run
from mad_core.runs.store import Run, RunRequest, Store
from mad_core.settings import Settings
from pages.ui.guide_steps import STEPS
from tests.browser.auditing import begin, rate, saved
from tests.browser.conftest import ROOT, Server

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1200)]
WORK_MS = 600_000
NORMALS, A_LEVEL = 12, 4
"""Images of a smaller demo: training normals of each subset, and test images of each of its five levels."""
TESTS = 3 * 5 * A_LEVEL
expect.set_options(timeout=60_000)

Serve = Callable[..., Server]
Settled = Callable[[Page], None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, with_demo: Callable[..., Path]) -> Path:
    """The folder of the store that all journeys here share; the first one starts it, and finds a smaller demo there."""
    home = tmp_path_factory.mktemp("journeys")
    with_demo(home / "store", normals=NORMALS, a_level=A_LEVEL)
    return home


@pytest.fixture(scope="module")
def server(serve: Serve, home: Path) -> Server:
    return serve(ROOT / "app.py", {"MAD_HOME": str(home / "store"), "MAD_ALLOWED_ROOTS": str(home)})


@pytest.fixture(scope="module")
def store(server: Server, home: Path) -> Store:
    return Store(Settings.from_environment({"MAD_HOME": str(home / "store")}))


def until(found: Callable[[], object], seconds: float = WORK_MS / 1000) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.2)


def run_of(store: Store, scorer: str) -> Run:
    return next(run for run in store.runs() if run.scorer == scorer)


def test_first_start_leads_to_a_scored_demo_and_from_a_point_to_its_image(
    server: Server, store: Store, page: Page, settled: Settled
) -> None:
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Data", exact=True)).to_be_visible()
    expect(page.get_by_text(f"{TESTS + 3 * NORMALS} images")).to_be_visible(timeout=WORK_MS)
    expect(page.locator(".tile .frame[data-state=shown]").first).to_be_visible()

    page.get_by_role("link", name="Score").click()
    settled(page)
    expect(page.get_by_role("radio", name="Runs")).to_have_css("color", "rgb(23, 28, 32)")  # chosen, as dark as text
    page.locator("label").filter(has_text="Subspace").click()
    expect(page.get_by_role("heading", name="Subspace")).to_be_visible()
    expect(page.get_by_text("C-index, abnormal only")).to_be_visible(timeout=WORK_MS)  # numbers while it is at work
    until(lambda: run_of(store, "subspace").status == "done")
    assert run_of(store, "subspace").done == TESTS
    settled(page)

    _click_through(page, page.locator("[data-testid='stPlotlyChart'] .scatterlayer .point").first)
    expect(page.get_by_role("heading", name="Images", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(rf"^\d+ of {5 * A_LEVEL}$"))).to_be_visible()
    expect(page).to_have_url(re.compile("image=[0-9a-f]{16}"))
    first = page.url
    last = page.get_by_text(f"{5 * A_LEVEL} of {5 * A_LEVEL}", exact=True).is_visible()
    page.get_by_role("button", name="Previous" if last else "Next").click()
    expect(page).not_to_have_url(first)
    expect(page).to_have_url(re.compile("image=[0-9a-f]{16}"))

    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    expect(page.get_by_role("rowheader", name="Subspace")).to_be_visible()
    expect(page.get_by_text("Perfect detection, severity at random")).to_be_visible()


def test_a_program_scores_a_picture_by_the_worker_of_the_app(server: Server, store: Store) -> None:
    run = run_of(store, "subspace")
    row: Any = store.dataset(run.dataset_id).select(split="test", subset=run.subsets[0]).iloc[-1]
    address = f"{server.url}/api/v1/runs/{run.id}/score?subset={run.subsets[0]}&wait=60"
    with urllib.request.urlopen(urllib.request.Request(address, Path(row["path"]).read_bytes())) as answer:
        said = json.load(answer)
    stored = store.score(run.id, row["image_id"])
    assert stored is not None and stored.score == said["score"] and said["called"] is not None and said["map"]
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(address, headers={"X-Forwarded-For": "127.0.0.1"}, data=b"x"))
    assert refused.value.code == 403


def test_the_guided_tour_leads_through_all_pages_by_mouse_and_by_keys(
    server: Server, page: Page, settled: Settled
) -> None:
    page.goto(f"{server.url}/?guide=1")
    for number, step in enumerate(STEPS, start=1):
        expect(page.get_by_text(f"{number} of {len(STEPS)} · {step.title}")).to_be_visible(timeout=WORK_MS)
        expect(page.get_by_role("heading", name=step.page, exact=True)).to_be_visible(timeout=WORK_MS)
        expect(page).to_have_url(re.compile(rf"guide={number}&dataset="), timeout=WORK_MS)
        settled(page)
        following = page.locator(".st-key-guide_next a")
        if number == len(STEPS):
            expect(following).to_have_count(0)
        elif number % 2:
            following.click()
        else:
            following.focus()
            page.keyboard.press("Enter")
    page.locator(".st-key-guide_back a").click()
    expect(page.get_by_text(f"{len(STEPS) - 1} of {len(STEPS)} · ")).to_be_visible()
    expect(page.get_by_role("heading", name=STEPS[-2].page, exact=True)).to_be_visible()
    settled(page)
    page.get_by_role("link", name="Start again").click()
    expect(page).to_have_url(re.compile(r"/\?guide=1&dataset=[0-9a-f]+&subset=plate$"))
    settled(page)
    page.reload()
    expect(page.get_by_text(f"1 of {len(STEPS)} · ")).to_be_visible()
    page.get_by_role("button", name="End", exact=True).click()
    expect(page.get_by_role("button", name="Guided tour of the demo")).to_be_visible()


def test_a_folder_is_imported_scored_and_one_image_placed(
    server: Server, store: Store, home: Path, page: Page, settled: Settled
) -> None:
    store.cancel_run(run_of(store, "mllm").id)  # queued by the first start, and long: here it has shown enough
    folder = home / "tiles"
    _draw(folder)
    page.goto(server.url)
    page.get_by_role("button", name="Add a dataset").click()
    page.get_by_role("textbox", name="Folder, table or archive").fill(str(folder))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", name="What will be imported")).to_be_visible(timeout=WORK_MS)
    page.get_by_role("button", name="Store these images").click()
    until(lambda: store.datasets()[-1].name == "tiles")
    expect(page.get_by_text("1 problem: 1 unreadable file")).to_be_visible(timeout=WORK_MS)

    page.get_by_role("link", name="Score").click()
    page.get_by_role("radio", name="New run").or_(page.get_by_role("button", name="New run")).first.click()
    settled(page)
    page.get_by_role("button", name="Set up").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Title").fill("Mine")
    dialog.get_by_role("button", name="Queue run").click()
    expect(page.get_by_role("heading", name="Mine")).to_be_visible()
    until(lambda: any(r.title == "Mine" and r.status == "done" for r in store.runs()))

    page.get_by_role("radio", name="One image").or_(page.get_by_role("button", name="One image")).first.click()
    settled(page)
    page.locator("input[type=file]").set_input_files(folder / "level_2" / "01.png")
    expect(page.get_by_text("The nearest median is")).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text("anomaly score · one range for the run")).to_be_visible()


def test_a_folder_without_labels_becomes_a_list_and_grows(
    server: Server, store: Store, home: Path, page: Page, settled: Settled
) -> None:
    folder, camera = home / "monday", home / "camera"
    spots = {f"{number:02d}.png": 0 if number < 30 else 10 if number < 33 else 20 for number in range(36)}
    for number, (name, spot) in enumerate(spots.items()):
        _tile(folder / name, number, spot=spot)
    camera.mkdir()
    page.goto(server.url)
    page.get_by_role("button", name="Add a dataset").click()
    page.get_by_role("textbox", name="Folder, table or archive").fill(str(folder))
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("None of the images of 'monday' is known to be normal.")).to_be_visible(timeout=WORK_MS)
    page.get_by_role("button", name="Store these images").click()
    expect(page.get_by_text("detectors learn from the half of 36").first).to_be_visible(timeout=WORK_MS)
    info = store.datasets()[-1]
    run = request_run(store, RunRequest(info.id, "filterbank", {"size": 64}))
    until(lambda: store.run(run.id).status == "done")

    page.get_by_role("link", name="Images").click()
    settled(page)
    expect(page.get_by_text("of 36 images flagged")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("button", name="List as CSV").click()
    rows = pd.read_csv(taken.value.path())
    assert set(rows["Path"][:6]) == {f"{number}.png" for number in range(30, 36)} and len(rows) == 36

    store.watches.add(info.id, str(camera))
    _tile(camera / "new.png", 90, spot=14)
    until(lambda: len(store.scores(run.id)) == 37)
    for title in ("Data", "Images"):
        page.get_by_role("link", name=title).click()
        settled(page)
    expect(page.get_by_text("of 37 images flagged")).to_be_visible()
    for watch in store.watches.all():
        store.watches.end(watch.id)

    table = store.dataset(info.id).table
    levels = {0: 0.0, 10: 1.0, 14: 1.0, 20: 2.0}
    truth = {
        image_id: levels[spots.get(path, 14)]
        for image_id, path in zip(table["image_id"], table["template_path"], strict=True)
    }
    begin(page, server.url, "Ada", settled, f"queue=learning&dataset={info.id}")
    rate(page, truth, 14)
    saved(page)
    page.get_by_role("radio", name="Learn").click()
    page.get_by_role("button", name="Learn from 14 grades").click()
    expect(page.get_by_text("has learned from 14 grades")).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_text("it would likely be").first).to_be_visible()
    learned = learned_runs(store, info.id)[0]
    assert len(store.scores(learned.id)) == 37 - 14
    page.get_by_role("button", name="Grade the next 5").click()
    rate(page, truth, 5)
    saved(page)
    page.get_by_role("radio", name="Learn").click()
    expect(page.get_by_text("5 came since")).to_be_visible()
    page.get_by_role("button", name="Images in the learned order").click()
    settled(page)
    expect(page.get_by_text(f"of {37 - 14} images flagged")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("button", name="List as CSV").click()
    graded = pd.read_csv(taken.value.path())
    assert graded["Called Level"].notna().to_numpy().all()


def test_a_killed_web_server_loses_nothing(serve: Serve, server: Server, store: Store, home: Path) -> None:
    run = run_of(store, "subspace")
    before = store.scores(run.id).set_index("image_id")["score"]
    store.drop_scores(run.id)
    store.resume_run(run.id)
    until(lambda: store.run(run.id).done > 20)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(60)
    serve(ROOT / "app.py", {"MAD_HOME": str(home / "store"), "MAD_ALLOWED_ROOTS": str(home)})
    until(lambda: store.run(run.id).status == "done")
    after = store.scores(run.id)
    assert len(after) == len(set(after["image_id"])) == TESTS
    np.testing.assert_allclose(after.set_index("image_id")["score"][before.index], before, rtol=1e-5, atol=1e-4)


def _click_through(page: Page, point: Locator) -> None:
    """Click a point of a chart: Plotly lays a sheet over the points that takes the press for them."""
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y, steps=3)
    page.wait_for_timeout(300)
    page.mouse.click(x, y)


def _tile(path: Path, seed: int, spot: int) -> None:
    """A grainy grey tile with a dark spot of so many pixels a side, somewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    grey = rng.normal(120, 6, (96, 96))
    row, column = rng.integers(8, 64, 2)
    grey[row : row + spot, column : column + spot] = rng.uniform(10, 70)
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(path)


def _draw(folder: Path) -> None:
    """Grey tiles with spots that grow with the level, and one file that is no image."""
    rng = np.random.default_rng(5)
    for name, level, count in (("train", 0, 8), ("level_0", 0, 4), ("level_1", 1, 4), ("level_2", 2, 4)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            grey = rng.normal(120, 6, (96, 96))
            grey[30 : 30 + 12 * level, 40 : 40 + 12 * level] = 20
            Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(folder / name / f"{i:02d}.png")
    (folder / "level_1" / "broken.png").write_bytes(b"this is no image")
