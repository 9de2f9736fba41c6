"""The report in a real headless Chromium, opened from disk: it asks for nothing (see ``opened``), and can be used."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from analysis.report import Report
from analysis.report.section import SECTIONS
from tests.analysis.reports import material_of
from tests.analysis.tables import all_right, drawn
from tests.conftest import save_random

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report")
    Report.of(material_of(drawn(200), save_random(out / "random.pth"), votes=True)).write(out)
    return out


@pytest.fixture
def path(folder) -> Path:
    return folder / "report.html"


@pytest.fixture
def page(opened, path) -> Page:
    return opened(path)


@pytest.fixture
def numbers(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_page_holds_the_numbers_of_its_json(page, numbers):
    assert json.loads(page.locator("script#numbers").text_content()) == numbers
    assert page.title() == f"Report: {numbers['title']}"
    summary = page.locator("#s-summary").inner_text().replace("\u00a0", " ")
    assert f"{numbers['sections']['summary']['right']} of 200 faces" in summary
    assert f"accuracy {100 * numbers['sections']['summary']['accuracy']:.2f} %" in summary


def test_contents_lead_to_every_section(page, numbers):
    links = page.get_by_role("navigation", name="Contents").get_by_role("link")
    shown = [name for name in SECTIONS if name in numbers["sections"]]
    assert links.all_inner_texts() == [SECTIONS[name].title for name in shown] + ["How to read this, and limits"]
    for name in ("calibration", "mistakes", "model"):
        links.get_by_text(SECTIONS[name].title, exact=True).click()
        expect(page.get_by_role("heading", name=SECTIONS[name].title, exact=True)).to_be_in_viewport()
        assert page.url.endswith(f"#s-{name}")


def test_sections_are_regions_with_a_name_and_pictures_have_words(page, numbers):
    for name in numbers["sections"]:
        expect(page.get_by_role("region", name=SECTIONS[name].title, exact=True)).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)
    pictures = page.locator("main figure img")
    assert pictures.count() >= 8
    loaded = "pictures => pictures.map(picture => [picture.complete, picture.naturalWidth > 100, picture.alt.length > 20])"
    assert all(all(one) for one in pictures.evaluate_all(loaded))


def test_the_keyboard_alone_reaches_content_tables_and_browser(page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    wide = page.locator("main .wide").first
    expect(wide).to_be_focused()  # what scrolls can be scrolled by keys
    assert wide.get_attribute("aria-label").startswith("all figures")
    page.locator("#verdict").focus()
    reached = []
    for _ in range(9):
        reached.append(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Tab")
    assert reached == ["verdict", "label", "predicted", "sort", "layer", "name", "next", "last", "faces"]


def test_the_browser_shows_the_mistakes_and_keeps_its_keys_to_itself(page, numbers):
    found = numbers["sections"]["mistakes"]
    status = page.locator("#status")
    expect(status).to_contain_text(f"of {found['wrong']}")
    expect(page.locator("#faces canvas").first).to_have_attribute("data-drawn", "yes")
    before = status.inner_text()
    page.locator("main").focus()
    page.keyboard.press("ArrowRight")
    assert status.inner_text() == before
    page.locator("#faces").focus()
    page.keyboard.press("ArrowRight")
    expect(status).to_contain_text("page 2 of")
    page.locator("#faces").focus()
    page.keyboard.press("m")
    assert page.locator("#layer").input_value() == "-1"
    button = page.locator("#pairs button").first
    button.focus()
    page.keyboard.press("Enter")
    pair = found["pairs"][0]
    expect(page.locator("#faces > li")).to_have_count(min(60, pair["count"]))
    assert all(text.startswith(pair["label"]) for text in page.locator("#faces .title").all_inner_texts())


def test_every_control_has_a_name(page):
    controls = page.locator("select, input, button")
    for number in range(controls.count()):
        control = controls.nth(number)
        assert (control.get_attribute("aria-label") or control.evaluate("c => (c.labels?.[0] ?? c).innerText.trim()")).strip()


MEASURE = """selector => {
    const node = document.querySelector(selector), style = getComputedStyle(node);
    let back = node;
    while (getComputedStyle(back).backgroundColor === 'rgba(0, 0, 0, 0)') back = back.parentElement;
    return [style.color, getComputedStyle(back).backgroundColor].map(text => text.match(/\\d+/g).slice(0, 3).map(Number));
}"""


def luminance(colour) -> float:
    channels = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(opened, path, scheme):
    """Contrast by WCAG 2: 4.5 or more."""
    page = opened(path, color_scheme=scheme)
    backs = []
    for selector in ("main p", "figcaption", "caption", "tbody td", "thead th", ".contents a", "header p", ".face .words"):
        front, back = map(luminance, page.evaluate(MEASURE, selector))
        backs.append(back)
        assert (max(front, back) + 0.05) / (min(front, back) + 0.05) >= 4.5, selector
    assert max(backs) < 0.2 if scheme == "dark" else min(backs) > 0.8
    assert page.evaluate("getComputedStyle(document.querySelector('figure img')).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width", [360, 800, 1360])
def test_nothing_widens_the_page(opened, path, width):
    page = opened(path, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in (page.locator("h1").bounding_box(), page.locator("#s-summary > p").first.bounding_box()):
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_print_is_light_without_controls_and_on_pages(opened, path):
    page = opened(path, color_scheme="dark")
    page.emulate_media(media="print")
    back, text = page.evaluate("[document.body].flatMap(b => [getComputedStyle(b).backgroundColor, getComputedStyle(b).color])")
    assert (back, text) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    expect(page.locator("#browser")).to_be_hidden()
    expect(page.locator(".skip")).to_be_hidden()
    expect(page.locator("#s-mistakes table")).to_be_visible()
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF") and 8 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 40
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less margins, in CSS pixels
    assert page.evaluate("document.documentElement.scrollWidth") <= 718


def test_without_scripts_all_but_the_browser_is_there(opened, path):
    page = opened(path, java_script_enabled=False)
    assert "report.json" in page.evaluate("document.querySelector('#s-mistakes noscript').textContent")
    expect(page.locator("#browser")).to_be_hidden()
    expect(page.locator("#s-mistakes table").first).to_be_visible()


def test_a_split_without_mistakes_opens(opened, tmp_path, folder):
    Report.of(material_of(all_right(), folder / "random.pth")).write(tmp_path)
    page = opened(tmp_path / "report.html")
    expect(page.locator("#nothing")).to_contain_text("No face is judged wrong")
    expect(page.locator("#s-mistakes")).to_contain_text("No face of 14 is judged wrong")
