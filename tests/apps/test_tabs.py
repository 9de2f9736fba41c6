"""The tabs beside the first one, in a real headless Chromium."""

import re
import time

import numpy as np
import pytest
from PIL import ImageColor
from playwright.sync_api import expect

from analysis.finished import open_finished
from apps.explore import PAGE, overview
from fer.emotions import COLOURS, EMOTIONS
from fer.predict import Predictor
from fer.released import default_name
from fer.samples import sample_path
from tests.analysis.test_mistakes_page import report_of
from tests.apps.started import running
from tests.apps.visitor import ANSWERS, choose, go_live, open_tab, opened, shown_picture, upload

pytestmark = pytest.mark.browser


def grey_pixels(picture):
    """Without colour to speak of, as a face is under a heatmap where the network does not look."""
    return ((picture.max(axis=2) - picture.min(axis=2)) < 12).sum()


def test_a_camera_streams_and_its_face_is_followed(page, url):
    go_live(page)
    expect(page.locator("#live-note")).to_contain_text("1 face: ")
    expect(page.locator("#live-note")).to_contain_text("updates a second")
    plain = shown_picture(page, "#live")
    assert plain.shape == (480, 640, 3)
    assert any((np.abs(plain - ImageColor.getrgb(colour)).max(axis=2) < 40).sum() > 200 for colour in COLOURS.values())
    page.locator("#live-maps input").check()
    deadline = time.monotonic() + ANSWERS / 1000
    while grey_pixels(shown_picture(page, "#live")) <= grey_pixels(plain) + 3000:  # of 9,000: it looks at the others
        assert time.monotonic() < deadline, "no map lies over the face"
        page.wait_for_timeout(100)
    expect(page.locator("#live-note")).to_contain_text("1 face: ")
    page.locator("#camera").get_by_text("Stop").click()


def test_no_frame_of_a_camera_touches_the_disk(page, url, uploads):
    before = set(uploads.rglob("*"))
    go_live(page)
    expect(page.locator("#live-note")).to_contain_text("1 face: ")
    page.wait_for_timeout(1500)
    assert set(uploads.rglob("*")) == before
    page.locator("#camera").get_by_text("Stop").click()


def test_checkpoints_and_methods_stand_side_by_side(page, checkpoint):
    page.get_by_role("tab", name="Compare").click()
    page.locator("#compare-picture input[type=file]").set_input_files(sample_path())
    expect(page.locator("#compare-note")).to_contain_text("1 face found")
    expect(page.locator(".opinion")).to_have_count(2)
    expect(page.locator(".opinion-map img")).to_have_count(4)
    (own,), (shipped,) = Predictor(checkpoint).predict(sample_path()), Predictor().predict(sample_path())
    for place, (name, found) in enumerate(((checkpoint.stem, own), (default_name(), shipped))):
        expect(page.locator(".opinion").nth(place)).to_contain_text(f"{name}: {found.label}, {found.confidence:.0%}")


def test_the_page_says_what_it_is_what_it_keeps_and_what_it_cannot_do(page):
    page.get_by_role("tab", name="About").click()
    about = page.locator("#about")
    expect(about).to_contain_text("Known limits")
    expect(about).to_contain_text("never reach the disk")
    expect(about).to_contain_text("custom_cnn")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A page of mistakes with maps."""
    folder = tmp_path_factory.mktemp("results") / "results"
    report_of(400, first_name="a.png").write(folder / "mistakes")
    return folder


@pytest.fixture(scope="module")
def shelf(results, uploads):
    with running(uploads, "--explore", str(results), "--limit", "0") as (url, _):
        yield url


@pytest.fixture
def explored(shelf, browser):
    with opened(browser, shelf) as page:
        open_tab(page, "Explore")
        choose(page, "#explore-result", "results/mistakes")
        expect(page.locator("#explore-faces img").first).to_be_visible()
        yield page


def test_a_result_opens_with_its_figures_matrix_and_most_frequent_confusion(explored, results):
    found = overview(open_finished(results / "mistakes"))
    expect(explored.locator("#explore-words")).to_contain_text("n = 400")
    expect(explored.locator("#explore-matrix button")).to_have_count(49)
    pressed = explored.locator("#explore-matrix button[aria-pressed=true]")
    assert (pressed.get_attribute("data-label"), pressed.get_attribute("data-answer")) == (found.cell.label, found.cell.answer)
    expect(explored.locator("#explore-which")).to_contain_text(f"{found.cell.label}, taken for {found.cell.answer}")
    assert explored.locator("#explore-confidence img").evaluate("image => image.naturalWidth") > 800


def test_a_click_on_a_cell_shows_its_faces_and_maps_can_be_laid_over_them(explored, results):
    told = overview(open_finished(results / "mistakes"))
    explored.locator("#explore-matrix button[data-label=happy][data-answer=happy]").click()
    expect(explored.locator("#explore-which")).to_contain_text("happy, recognised")
    count = told.counts[EMOTIONS.index("happy")][EMOTIONS.index("happy")]
    expect(explored.locator("#explore-faces img")).to_have_count(min(PAGE, count))
    plain = shown_picture(explored, "#explore-faces")
    before = explored.locator("#explore-faces img").first.get_attribute("src")
    explored.locator("#explore-maps input").check()
    expect(explored.locator("#explore-faces img").first).not_to_have_attribute("src", before)
    assert np.abs(shown_picture(explored, "#explore-faces") - plain).mean() > 3
    explored.locator("#explore-maps input").uncheck()


def test_pages_of_faces_are_leafed_through(explored):
    explored.locator("#explore-matrix button[data-label=happy][data-answer=happy]").click()
    expect(explored.locator("#explore-which")).to_contain_text("shown are 1 to 25")
    expect(explored.locator("#explore-before")).not_to_be_visible()
    explored.locator("#explore-after").click()
    expect(explored.locator("#explore-which")).to_contain_text("shown are 26 to")
    explored.locator("#explore-before").click()
    expect(explored.locator("#explore-which")).to_contain_text("shown are 1 to 25")


def test_the_matrix_is_walked_by_the_keyboard(explored):
    cell = explored.locator("#explore-matrix button[data-label=fear][data-answer=surprise]")
    explored.locator("#explore-matrix button[data-label=fear][data-answer=sad]").focus()
    explored.keyboard.press("Tab")
    expect(cell).to_be_focused()
    explored.keyboard.press("Enter")
    expect(explored.locator("#explore-which")).to_contain_text("fear, taken for surprise")
    expect(cell).to_have_attribute("aria-pressed", "true")
    expect(cell).to_be_focused()


def test_results_that_came_meanwhile_are_found(explored, results):
    report_of(60, first_name="a.png").write(results / "later")
    explored.locator("#explore-again").click()
    explored.wait_for_timeout(1000)
    choose(explored, "#explore-result", "results/later")
    expect(explored.locator("#explore-words")).to_contain_text("n = 60")


def test_without_results_it_says_how_to_make_some(page):
    open_tab(page, "Explore")
    expect(page.locator("#explore-nothing")).to_contain_text("--explore")


@pytest.mark.parametrize("width", [1180, 390])
def test_no_tab_is_wider_than_the_window_every_picture_has_words_and_nothing_is_fetched_elsewhere(browser, url, width):
    asked = []
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    page.set_default_timeout(ANSWERS)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url, wait_until="domcontentloaded")
    page.locator("#picture input[type=file]").wait_for(state="attached")
    upload(page, sample_path())
    expect(page.locator(".heatmap img")).to_have_count(2)
    for tab in ("Look", "Live", "Compare", "Explore", "About"):
        open_tab(page, tab)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
        silent = page.evaluate("[...document.images].filter(i => i.checkVisibility() && !i.alt).map(i => i.outerHTML)")
        assert silent == [], tab
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []
    context.close()


def test_who_asks_too_often_is_told_to_wait(browser, uploads, checkpoint):
    with running(uploads, "--checkpoint", str(checkpoint), "--limit", "8") as (url, _), opened(browser, url) as page:
        for _ in range(3):
            upload(page, sample_path())
            page.wait_for_timeout(2500)
            if page.get_by_text("too many questions at once").count():
                break
            page.get_by_label("Remove Image").click()
        expect(page.get_by_text("too many questions at once; wait ").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_by_day_and_by_night(browser, url, scheme):
    """Contrast of at least 4.5 (WCAG 2.2, 1.4.3) between text and what lies behind it."""
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(ANSWERS)
    page.goto(url, wait_until="domcontentloaded")
    page.locator("#picture input[type=file]").wait_for(state="attached")
    upload(page, sample_path())
    expect(page.locator(".heatmap img")).to_have_count(2)
    behind = page.evaluate(_BEHIND, "body")
    assert (luminance(behind) > 0.5) == (scheme == "light")
    for selector in ("#notice p", "#note p", ".face-title", ".top3 li span", "figcaption"):
        words = page.locator(selector).first
        light, dark = sorted(map(luminance, (words.evaluate(_COLOUR), words.evaluate(_BEHIND_IT))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, selector
    context.close()


_COLOUR = "one => getComputedStyle(one).color"
_BEHIND_IT = """one => {
  for (let at = one; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (colour !== 'rgba(0, 0, 0, 0)' && colour !== 'transparent') return colour;
  }
  return 'rgb(255, 255, 255)';
}"""
_BEHIND = f"selector => ({_BEHIND_IT})(document.querySelector(selector))"


def luminance(colour):
    """Relative luminance (WCAG 2.2) of a colour as the browser names it."""
    shades = [int(value) / 255 for value in re.findall(r"\d+", colour)[:3]]
    linear = [shade / 12.92 if shade <= 0.04045 else ((shade + 0.055) / 1.055) ** 2.4 for shade in shades]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


_SHIFTS = """() => new Promise(done => {
  let sum = 0;
  new PerformanceObserver(list => list.getEntries().forEach(entry => { if (!entry.hadRecentInput) sum += entry.value; }))
    .observe({type: 'layout-shift', buffered: true});
  setTimeout(() => done(sum), 500);
})"""


@pytest.mark.parametrize("width", [1180, 390])
def test_the_page_does_not_jump_while_it_appears(browser, url, width):
    """Cumulative layout shift: up to 0.1 is called good (web.dev/cls)."""
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    page.goto(url, wait_until="domcontentloaded")
    page.locator("#picture input[type=file]").wait_for(state="attached", timeout=ANSWERS)
    page.wait_for_timeout(2000)
    assert page.evaluate(_SHIFTS) < 0.1
    context.close()
