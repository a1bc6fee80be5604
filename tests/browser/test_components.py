"""The map viewer and the gallery in a real browser."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect
from scipy import ndimage
from skimage import measure

from pages.ui.component import bundled
from pages.ui.viewer import MapLayer, map_viewer
from tests.browser import component_app as demo

pytestmark = pytest.mark.browser
MODULES = Path(demo.__file__).parents[2] / "pages" / "ui" / "js"
DIGEST = """async c => {
  const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  const hash = await crypto.subtle.digest('SHA-256', data);
  return Array.from(new Uint8Array(hash)).join(' ');
}"""


@pytest.fixture(scope="module")
def address(serve) -> str:
    return serve(Path(demo.__file__)).url


@pytest.fixture
def viewer(page: Page, address: str) -> Callable[..., Page]:
    """``viewer(maps=2)`` opens the viewer and waits until it has drawn everything."""

    def open_viewer(**query: int) -> Page:
        page.goto(f"{address}/?" + "&".join(f"{k}={v}" for k, v in query.items()))
        ready(page)
        return page

    return open_viewer


@pytest.fixture
def gallery(page: Page, address: str, settled, watch) -> Iterator[Page]:
    """The gallery; its sixth thumbnail is missing on purpose, which the browser logs."""
    page.goto(f"{address}/?show=gallery")
    settled(page)
    expect(tile(page, 0).locator(".frame")).to_have_attribute("data-state", "shown")
    yield page
    watch.errors[:] = [error for error in watch.errors if "404" not in error]


def ready(page: Page) -> None:
    expect(page.locator(".viewer[data-state=ready]")).to_be_visible()


def canvases(page: Page) -> list[Locator]:
    return page.locator(".stage canvas").all()


def digests(page: Page) -> list[str]:
    return [canvas.evaluate(DIGEST) for canvas in canvases(page)]


def transforms(page: Page) -> list[list[float]]:
    """Position and size of the image in each pane, in screen pixels."""
    found = [canvas.get_attribute("data-transform") or "" for canvas in canvases(page)]
    return [[float(x) for x in text.split()] for text in found]


def pixels(canvas: Locator) -> np.ndarray:
    """What is on a canvas, uint8 of shape (H, W, 4)."""
    address = canvas.evaluate("c => c.toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"))


def box(locator: Locator) -> FloatRect:
    """Where an element is on the page."""
    found = locator.bounding_box()
    assert found, "the element is not drawn"
    return found


def next_frame(page: Page) -> None:
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def point(page: Page, u: float, v: float, stage: int = 0) -> tuple[float, float]:
    """Put the pointer on the fraction (u, v) of the image in a pane; returns where that is on the page."""
    edge = box(page.locator(".stage").nth(stage))
    x, y, width, height = transforms(page)[stage]
    at = (edge["x"] + x + u * width, edge["y"] + y + v * height)
    page.mouse.move(*at)
    next_frame(page)
    return at


def runs(page: Page) -> str:
    return page.get_by_text(re.compile(r"^runs: \d+$")).inner_text()


def tile(page: Page, index: int) -> Locator:
    return page.locator(".tile").nth(index)


# --- viewer: drawing ---


@pytest.mark.parametrize("maps", [1, 2, 4])
def test_every_map_gets_a_pane_with_a_picture_in_it(viewer, maps):
    page = viewer(maps=maps)
    names = [pane.get_attribute("aria-label") for pane in page.locator(".pane").all()]
    assert [name for name in names if name != "Original"] == [f"{s} seed 0" for s in demo.SCORERS[:maps]]
    for canvas in canvases(page):
        assert len(np.unique(pixels(canvas).reshape(-1, 4), axis=0)) > 50
    assert len(set(digests(page))) == len(names)


def test_without_maps_the_image_stands_alone(viewer):
    page = viewer(maps=0)
    assert len(canvases(page)) == 1
    expect(page.get_by_label("Opacity")).to_be_hidden()
    expect(page.locator(".bar")).to_be_hidden()


def test_original_shows_the_pixels_of_the_file(viewer):
    page = viewer(maps=0)
    page.get_by_label("Ground truth").uncheck()
    page.get_by_role("button", name="One image pixel on one screen pixel").click()
    expect(page.locator(".zoom")).to_have_text("100 %")
    next_frame(page)
    x, y, width, height = transforms(page)[0]
    assert (width, height) == (demo.WIDTH, demo.HEIGHT)
    left, top = round(x), round(y)
    seen = pixels(canvases(page)[0])[top : top + demo.HEIGHT, left : left + demo.WIDTH]
    np.testing.assert_array_equal(seen[..., 0], np.asarray(demo.plate(0)))


def test_magnified_original_stays_in_whole_pixels(viewer):
    page = viewer(maps=0)
    page.get_by_label("Ground truth").uncheck()
    point(page, 0.5, 0.5)
    for _ in range(6):
        page.mouse.wheel(0, -500)
    next_frame(page)
    seen = np.unique(pixels(canvases(page)[0])[..., 0])
    assert set(seen) <= set(np.unique(np.asarray(demo.plate(0)))), "interpolated greys appeared"


@pytest.mark.parametrize("width", [900, 1440])
@pytest.mark.parametrize("maps", [1, 2, 4])
def test_panes_fit_the_window(viewer, page, maps, width):
    page.set_viewport_size({"width": width, "height": 900})
    viewer(maps=maps)
    boxes = [box(stage) for stage in page.locator(".stage").all()]
    assert all(b["x"] >= 0 and b["x"] + b["width"] <= width for b in boxes)
    assert len({(round(b["width"]), round(b["height"])) for b in boxes}) == 1
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    drawn = transforms(page)[0]
    assert drawn[2] > 0.3 * boxes[0]["width"]


def test_dense_screens_get_dense_canvases(browser, address):
    context = browser.new_context(viewport={"width": 1000, "height": 800}, device_scale_factor=2)
    try:
        page = context.new_page()
        page.goto(f"{address}/?maps=1")
        ready(page)
        for canvas in canvases(page):
            drawn, shown = canvas.evaluate("c => [c.width, c.getBoundingClientRect().width]")
            assert drawn == pytest.approx(2 * shown, abs=1)
    finally:
        context.close()


# --- viewer: zoom, overlay, contour, readout ---


def test_zoom_and_pan_are_shared(viewer):
    page = viewer(maps=4)
    before = transforms(page)
    at = point(page, 0.65, 0.4, stage=1)
    page.mouse.wheel(0, -400)
    next_frame(page)
    zoomed = transforms(page)
    assert all(t == zoomed[0] for t in zoomed)
    assert zoomed[0][2] > 1.5 * before[0][2]
    edge = box(page.locator(".stage").nth(1))
    u = (at[0] - edge["x"] - zoomed[0][0]) / zoomed[0][2]
    v = (at[1] - edge["y"] - zoomed[0][1]) / zoomed[0][3]
    assert (u, v) == pytest.approx((0.65, 0.4), abs=0.01), "the point under the pointer moved"

    page.mouse.down()
    page.mouse.move(at[0] + 40, at[1] + 25, steps=4)
    page.mouse.up()
    next_frame(page)
    panned = transforms(page)
    assert all(t == panned[0] for t in panned)
    assert panned[0][0] - zoomed[0][0] == pytest.approx(40, abs=2)
    assert panned[0][1] - zoomed[0][1] == pytest.approx(25, abs=2)

    page.mouse.dblclick(*at)
    next_frame(page)
    assert transforms(page) == before


def test_wheel_out_of_the_fitted_image_is_left_to_the_page(viewer):
    page = viewer(maps=2)
    before = transforms(page)
    point(page, 0.5, 0.5)
    page.evaluate("""() => document.addEventListener('wheel', e => { window.kept = e.defaultPrevented; })""")
    page.mouse.wheel(0, 200)
    page.wait_for_function("() => window.kept !== undefined")
    assert page.evaluate("() => window.kept") is False
    assert transforms(page) == before


def test_keys_zoom_and_move(viewer):
    page = viewer(maps=2)
    before = transforms(page)[0]
    page.locator(".stage").first.focus()
    for _ in range(4):
        page.keyboard.press("+")
    page.keyboard.press("Shift+ArrowRight")
    next_frame(page)
    after = transforms(page)
    assert after[0][2] > before[2]
    assert after[0] == after[1]
    expect(page.locator(".readout").first).not_to_have_text("")
    page.keyboard.press("f")
    next_frame(page)
    assert transforms(page)[0] == before


def test_o_flips_all_panes_to_the_plain_original(viewer):
    page = viewer(maps=2)
    overlay = digests(page)
    page.keyboard.press("o")
    expect(page.get_by_role("button", name="The original without overlay")).to_have_attribute("aria-pressed", "true")
    next_frame(page)
    original = digests(page)
    assert len(set(original)) == 1
    grey = pixels(canvases(page)[0])[..., :3]
    assert np.all(grey == grey[..., :1])
    page.keyboard.press("o")
    next_frame(page)
    assert digests(page) == overlay


def test_opacity_and_colours_change_the_overlay_without_a_run(viewer):
    page = viewer(maps=2)
    before = digests(page)
    counted = runs(page)
    page.get_by_label("Opacity").fill("90")
    next_frame(page)
    stronger = digests(page)
    page.get_by_label("Colours").select_option("inferno")
    next_frame(page)
    assert not set(before) & set(stronger)
    assert not set(stronger) & set(digests(page))
    assert runs(page) == counted


def test_threshold_moves_its_own_contour_only(viewer):
    page = viewer(maps=2)
    before = digests(page)
    counted = runs(page)
    slider = page.get_by_role("slider", name="Threshold of the contour, Filter bank seed 0, distance")
    slider.fill("0.3")
    expect(page.locator(".level").first).to_have_text("contour at 0.300")
    next_frame(page)
    after = digests(page)
    assert after[0] != before[0]
    assert after[1] == before[1]
    page.get_by_label("Contour", exact=True).uncheck()
    next_frame(page)
    assert not set(after) & set(digests(page))
    assert runs(page) == counted


def test_ground_truth_is_told_by_dashes(viewer):
    page = viewer(maps=0)
    outlined = pixels(canvases(page)[0]).astype(int)
    pink = (outlined[..., 0] - outlined[..., 1] > 80) & (outlined[..., 2] - outlined[..., 1] > 50)
    assert pink.sum() > 100
    dashes = measure.find_contours(pink.astype(float), 0.5)
    assert len(dashes) > 8
    page.keyboard.press("g")
    next_frame(page)
    plain = pixels(canvases(page)[0])[..., :3]
    assert np.all(plain == plain[..., :1])


def test_pointer_reads_the_raw_score_in_all_panes(viewer):
    page = viewer(maps=2)
    u, v = 0.61, 0.37
    point(page, u, v)
    expect(page.locator(".readout").first).not_to_have_text("")
    for index, shown in enumerate(page.locator(".readout").all()):
        expected = interpolated(demo.anomaly_map(index, 0), u, v)
        assert float(shown.inner_text()) == pytest.approx(expected, rel=0.03)
    assert all(hair.is_visible() for hair in page.locator(".hair").all())
    page.mouse.move(5, 5)
    expect(page.locator(".readout").first).to_have_text("")


def interpolated(values: np.ndarray, u: float, v: float) -> float:
    height, width = values.shape
    at = [[v * height - 0.5], [u * width - 0.5]]
    return float(ndimage.map_coordinates(values, at, order=1, mode="nearest")[0])


def test_stretch_says_that_it_is_for_this_image(viewer):
    page = viewer(maps=1)
    expect(page.locator(".caption").last).to_have_text("distance · one range for the run")
    before = digests(page)[-1]
    page.get_by_label("Stretch this image").check()
    expect(page.locator(".caption").last).to_have_text("distance · stretched to this image")
    next_frame(page)
    assert digests(page)[-1] != before
    low = float(demo.anomaly_map(0, 0).min())
    assert float(page.locator(".tick.first").last.inner_text().replace("−", "-")) == pytest.approx(low, abs=0.01)


def test_colours_anchored_at_the_threshold_and_the_region_under_a_click(viewer):
    page = viewer(maps=1)
    before = digests(page)[-1]
    page.keyboard.press("a")
    expect(page.get_by_label("Anchor at threshold")).to_be_checked()
    expect(page.locator(".caption").last).to_contain_text("evidence · .5 is the threshold, ")
    expect(page.locator(".caption").last).to_have_attribute("title", "Evidence is distance / (distance + threshold).")
    assert page.locator(".tick").last.inner_text() == "1"
    next_frame(page)
    assert digests(page)[-1] != before
    values = demo.anomaly_map(0, 0)
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    last = len(transforms(page)) - 1
    point(page, (column + 0.5) / values.shape[1], (row + 0.5) / values.shape[0], last)
    page.mouse.down()
    page.mouse.up()
    said = page.locator(".region").last
    expect(said).to_contain_text("Region:")
    assert float(said.inner_text().rpartition(" ")[2]) == pytest.approx(float(values.max()), rel=0.02)
    page.keyboard.press("Escape")
    expect(said).to_have_text("")


def test_missing_map_is_a_sentence_over_the_image(viewer, watch):
    page = viewer(maps=2, missing=1)
    expect(page.get_by_text("The run was stopped before this image.")).to_be_visible()
    grey = pixels(canvases(page)[1])
    assert len(np.unique(grey[..., 0])) > 50
    assert watch.errors and all("404" in error for error in watch.errors)
    watch.errors.clear()


def test_original_that_cannot_be_read_is_a_sentence(viewer, watch):
    page = viewer(maps=1, original=9)
    expect(page.get_by_text("The image cannot be shown.").first).to_be_visible()
    watch.errors.clear()


def test_preview_in_place_of_the_original_is_named_so(viewer, watch):
    page = viewer(maps=0, original=9, preview=0)
    expect(page.get_by_text("A reduced preview: this browser cannot show the original's file format.")).to_be_visible()
    assert len(np.unique(pixels(canvases(page)[0])[..., 0])) > 50
    watch.errors.clear()


def test_help_is_shown_on_demand(viewer):
    page = viewer(maps=1)
    expect(page.get_by_role("region", name="Keys")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("region", name="Keys")).to_contain_text("original or overlay")
    page.keyboard.press("Escape")
    expect(page.get_by_role("region", name="Keys")).to_be_hidden()


# --- viewer: from image to image ---


@pytest.mark.parametrize(("key", "move", "image"), [("ArrowRight", "next", 1), ("j", "next", 1), ("k", "previous", 2)])
def test_keys_ask_for_the_next_image_and_the_view_stays(viewer, key, move, image):
    page = viewer(maps=2)
    point(page, 0.5, 0.5)
    page.mouse.wheel(0, -300)
    page.get_by_label("Stretch this image").check()
    next_frame(page)
    view, drawn = transforms(page), digests(page)
    page.locator("body").press(key)
    expect(page.get_by_text(f"moves: {move}")).to_be_visible()
    expect(page.get_by_role("img", name=f"plate {image} with a scratch").first).to_be_visible()
    ready(page)
    next_frame(page)
    assert transforms(page) == view
    assert not set(digests(page)) & set(drawn)
    expect(page.get_by_label("Stretch this image")).to_be_checked()


def test_quick_presses_are_counted(viewer):
    page = viewer(maps=2)
    page.keyboard.type("jjjj", delay=60)
    expect(page.get_by_text("moves: next next next next")).to_be_visible()
    expect(page.get_by_role("img", name="plate 1 with a scratch").first).to_be_visible()


@pytest.mark.parametrize("apart", [60, 1500])
def test_a_press_that_was_lost_on_the_way_is_sent_once_more(viewer, apart):
    page = viewer(maps=2, lose=1)
    page.keyboard.type("jj", delay=apart)
    expect(page.get_by_text("moves: next next", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="plate 2 with a scratch").first).to_be_visible()


def test_keys_in_a_text_field_are_text(viewer, settled):
    page = viewer(maps=1)
    before = digests(page)
    page.get_by_label("Note").press_sequentially("jok")
    page.get_by_label("Note").press("ArrowLeft")
    page.get_by_label("Note").press("Enter")
    settled(page)
    expect(page.get_by_label("Note")).to_have_value("jok")
    expect(page.get_by_text("moves: none")).to_be_visible()
    assert digests(page) == before


def test_settings_outlast_a_reload(viewer):
    page = viewer(maps=2)
    page.get_by_label("Opacity").fill("35")
    page.get_by_label("Colours").select_option("cividis")
    page.reload()
    ready(page)
    expect(page.get_by_label("Opacity")).to_have_value("35")
    expect(page.get_by_label("Colours")).to_have_value("cividis")


def test_next_image_is_fetched_ahead(page, viewer):
    with page.expect_request("**/map/1/1"), page.expect_request("**/image/1/original"):
        viewer(maps=2)


# --- viewer: its numbers, against independent twins ---


def numbers(page: Page, names: str, call: str, module: str = "maps.js") -> Any:
    """Evaluate an expression over functions of a module of the viewer."""
    source = bundled(MODULES / module) + f"\nexport {{ {names} }};\n"
    script = f"""async source => {{
      const address = URL.createObjectURL(new Blob([source], {{ type: 'text/javascript' }}));
      const {{ {names} }} = await import(address);
      return {call};
    }}"""
    return page.evaluate(script, source)


def grid_literal(values: np.ndarray) -> str:
    listed = json.dumps([float(x) for x in values.ravel()])
    return f"{{ height: {values.shape[0]}, width: {values.shape[1]}, values: Float32Array.from({listed}) }}"


@pytest.mark.parametrize("seed", range(4))
def test_contours_equal_those_of_scikit_image(page, seed):
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.normal(size=(17, 23)), 1.0 + 0.3 * seed).astype(np.float32)
    level = float(np.quantile(values, 0.7))
    lines = numbers(page, "contours", f"contours({grid_literal(values)}, {level})", "contours.js")
    ours = np.concatenate([np.array(line) * [23, 17] for line in lines])
    continued = np.pad(values, 1, mode="edge")
    theirs = np.concatenate(measure.find_contours(continued, level)) - 0.5
    theirs = np.clip(theirs, 0, [17, 23])[:, ::-1]
    assert sorted_rows(ours) == pytest.approx(sorted_rows(theirs), abs=2e-3)


def sorted_rows(points: np.ndarray) -> np.ndarray:
    return np.unique(np.round(points, 2), axis=0)


def test_contours_are_lines_not_loose_pieces(page):
    values = np.zeros((12, 12), dtype=np.float32)
    values[3:6, 3:9] = 1
    lines = numbers(page, "contours", f"contours({grid_literal(values)}, 0.5)", "contours.js")
    assert len(lines) == 1
    assert lines[0][0] == lines[0][-1]


def test_interpolation_equals_scipy(page):
    values = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    found = numbers(page, "interpolated", f"Array.from(interpolated({grid_literal(values)}, 40).values)")
    y, x = np.meshgrid((np.arange(25) + 0.5) / 5 - 0.5, (np.arange(40) + 0.5) / 5 - 0.5, indexing="ij")
    expected = ndimage.map_coordinates(values, [y, x], order=1, mode="nearest")
    np.testing.assert_allclose(np.array(found).reshape(25, 40), expected, atol=1e-5)


def test_scores_that_are_not_finite_have_no_colour(page):
    values = np.array([[0.0, 1.0], [np.nan, np.inf]], dtype=np.float32)
    grid = "{ height: 2, width: 2, values: Float32Array.from([0, 1, NaN, Infinity]) }"
    call = (
        f"[extent({grid}.values), Array.from(coloured({grid}, 0, 1, new Uint32Array(256).fill(0xff2288ff))"
        ".getContext('2d').getImageData(0, 0, 2, 2).data)]"
    )
    found, drawn = numbers(page, "coloured, extent", call)
    assert found == {"low": values[0, 0], "high": values[0, 1]}
    assert drawn[3::4] == [255, 255, 0, 0]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 17), (2e-7, 9e-7), (1e6, 4.1e6)])
def test_ticks_are_round_and_inside(page, low, high):
    found = numbers(page, "ticks", f"ticks({low}, {high})", "numbers.js")
    assert 3 <= len(found) <= 7
    assert all(low - 1e-12 <= x <= high + 1e-6 * abs(high) for x in found)
    steps = np.diff(found)
    assert steps == pytest.approx(steps[0])


def test_damaged_map_is_refused(page):
    message = numbers(
        page,
        "decodeMap",
        "(() => { try { decodeMap(Uint32Array.from([4, 4, 0]).buffer); } catch (e) { return e.message; } })()",
    )
    assert message == "The anomaly map arrived damaged. Reload the page."


# --- viewer: what the page may ask for ---


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"maps": [MapLayer("a")] * 5}, "at most 4 maps"),
        ({"colormap": "jet"}, "no colour map is called 'jet'"),
        ({"width": 0}, "cannot be 0 x 5 pixels"),
        ({"maps": [MapLayer("a", low=2.0, high=1.0)]}, "ends .1.0. below its start .2.0."),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, message):
    asked: dict[str, Any] = {"original_url": "/x", "alt": "a", "maps": [], "width": 5, "height": 5, "key": "k", **wrong}
    with pytest.raises(ValueError, match=message):
        map_viewer(**asked)


# --- gallery ---


def test_click_and_keys_open_a_tile(gallery):
    tile(gallery, 3).click()
    expect(gallery.get_by_text("opened: id-3", exact=True)).to_be_visible()
    tile(gallery, 5).focus()
    gallery.keyboard.press("Enter")
    expect(gallery.get_by_text("opened: id-3 id-5", exact=True)).to_be_visible()
    tile(gallery, 6).focus()
    gallery.keyboard.press("Space")
    expect(gallery.get_by_text("opened: id-3 id-5 id-6", exact=True)).to_be_visible()
    failed_tile_was_drawn(gallery)


def failed_tile_was_drawn(page: Page) -> None:
    expect(tile(page, 5)).to_contain_text("This image cannot be shown.")


def test_arrows_move_between_tiles(gallery):
    columns = gallery.locator(".gallery").evaluate("g => getComputedStyle(g).gridTemplateColumns.split(' ').length")
    assert columns >= 4
    tile(gallery, 1).focus()
    for key, index in [("ArrowRight", 2), ("ArrowDown", 2 + columns), ("ArrowUp", 2), ("End", 23), ("Home", 0)]:
        gallery.keyboard.press(key)
        expect(tile(gallery, index)).to_be_focused()
    assert gallery.locator(".tile[tabindex='0']").count() == 1


def test_texts_are_shown_as_text(gallery):
    expect(tile(gallery, 2).locator(".caption")).to_have_text("<script>document.title='owned'</script>")
    assert gallery.locator(".gallery script").count() == 0
    assert tile(gallery, 4).evaluate("t => t.localName") == "button", "an address that is a script was used"
    tile(gallery, 4).click()
    expect(gallery.get_by_text("opened: id-4")).to_be_visible()
    assert gallery.title() != "owned"


def test_level_is_written_and_coloured(gallery):
    level = tile(gallery, 3).locator(".level")
    expect(level).to_have_text("L3 · severe")
    expect(level).to_have_css("background-color", "rgb(132, 45, 72)")
    expect(tile(gallery, 1)).to_have_attribute("aria-current", "true")
    expect(tile(gallery, 3)).to_contain_text("failed")


def test_wide_images_are_not_cropped(gallery):
    picture = tile(gallery, 0).locator("img:not(.overlay)")
    expect(picture).to_have_css("object-fit", "contain")
    frame = box(tile(gallery, 0).locator(".frame"))
    assert frame["width"] == pytest.approx(frame["height"], abs=1)


def test_missing_thumbnail_is_a_sentence(gallery):
    failed_tile_was_drawn(gallery)
    expect(tile(gallery, 5).locator("img:not(.overlay)")).to_be_hidden()


def test_tiles_are_moved_not_made_anew(gallery):
    gallery.locator(".tile img:not(.overlay)").evaluate_all(
        "images => images.forEach((image, index) => { image.made = index; })"
    )
    gallery.get_by_text("Reverse").click()
    expect(tile(gallery, 0).locator(".caption")).to_have_text("plate_023.png")
    made = gallery.locator(".tile img:not(.overlay)").evaluate_all("images => images.map(image => image.made)")
    assert made == list(range(24))[::-1]


def test_gallery_fits_a_narrow_window(gallery):
    gallery.set_viewport_size({"width": 900, "height": 900})
    grid = box(gallery.locator(".gallery"))
    last = gallery.locator(".tile").evaluate_all("ts => Math.max(...ts.map(t => t.getBoundingClientRect().right))")
    assert last <= grid["x"] + grid["width"] + 1
