"""The page of mistakes in a real headless Chromium, opened from disk."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from fer.data.ferplus import CANDIDATES
from fer.emotions import EMOTIONS
from tests.analysis.test_mistakes_page import EVIL, report_of

pytestmark = pytest.mark.browser

PER_PAGE = 60


def written(folder: Path, **options: object) -> Path:
    report_of(**options).write(folder)
    return folder / "mistakes.html"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("page"), count=400, layers=2)


@pytest.fixture(scope="module")
def report():
    return report_of(count=400, layers=2)


@pytest.fixture
def page(opened, path: Path) -> Page:
    return opened(path)


def names(page: Page) -> list[str]:
    return page.locator("#faces > li").evaluate_all("faces => faces.map(face => face.dataset.name)")


def expected(report, *, wrong=True, order=None, keep=lambda row: True) -> list[str]:
    """Names of the faces that pass, in order of ``order(row)``, the least first."""
    table = report.table
    rows = [row for row in range(len(table)) if wrong is None or (table.labels[row] != table.predicted[row]) == wrong]
    probs = table.probs.astype(float).round(5)
    rows = sorted(filter(keep, rows), key=order or (lambda row: -probs[row].max()))
    return [table.names[row] for row in rows]


def status(page: Page) -> str:
    return page.locator("#status").inner_text()


def test_the_wrong_faces_come_first_the_most_confident_ahead(page, report):
    assert names(page) == expected(report)[:PER_PAGE]
    total = report.mistakes.wrong
    assert status(page) == f"faces 1–60 of {total}, page 1 of {-(-total // PER_PAGE)}"
    assert page.title() == "Mistakes of random on validation"
    assert f"{total} of 400 faces are judged wrong: {100 * total / 400:.2f} %" in page.locator("#summary").inner_text()


def test_the_confusions_are_those_of_the_table(page, report):
    shown = page.locator("#pairs button").all_inner_texts()
    assert len(shown) == len(report.mistakes.pairs)
    for text, pair in zip(shown, report.mistakes.pairs, strict=True):
        assert f"{pair.label} → {pair.predicted}" in text and str(pair.count) in text.split()
        assert f"{100 * pair.share_of_label:.1f} % of {pair.label}" in text


def test_a_pair_shows_its_faces_and_a_second_click_all_again(page, report):
    pair = report.mistakes.pairs[2]
    button = page.locator("#pairs button").nth(2)
    button.click()
    assert names(page) == [report.table.names[row] for row in pair.rows][:PER_PAGE]
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.locator("#label").input_value() == pair.label and page.locator("#predicted").input_value() == pair.predicted
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    assert names(page) == expected(report)[:PER_PAGE]


def test_filters_and_orders(page, report):
    table, probs = report.table, report.table.probs.astype(float).round(5)
    page.locator("#verdict").select_option("right")
    assert names(page) == expected(report, wrong=False)[:PER_PAGE]
    page.locator("#label").select_option("sad")
    sad = EMOTIONS.index("sad")
    assert names(page) == expected(report, wrong=False, keep=lambda row: table.labels[row] == sad)
    page.locator("#verdict").select_option("all")
    page.locator("#label").select_option("")
    page.locator("#predicted").select_option("sad")
    page.locator("#sort").select_option("probability of the label, least first")
    expectation = expected(
        report, wrong=None, keep=lambda row: table.predicted[row] == sad, order=lambda row: probs[row, table.labels[row]]
    )
    assert names(page) == expectation[:PER_PAGE]
    page.locator("#predicted").select_option("")
    page.locator("#sort").select_option("name")
    assert names(page) == sorted(table.names)[:PER_PAGE]
    page.locator("#sort").select_option("confidence, least first")
    assert names(page) == expected(report, wrong=None, order=lambda row: probs[row].max())[:PER_PAGE]
    page.locator("#sort").select_option("taggers for the label, fewest first")
    support = [2 if report.votes[row, 0] < 0 else report.votes[row, table.labels[row]] / 10 for row in range(400)]
    assert names(page) == expected(report, wrong=None, order=lambda row: support[row])[:PER_PAGE]


def test_a_part_of_a_name_finds_its_faces_and_nothing_is_said_of_nothing(page, report):
    page.locator("#verdict").select_option("all")
    page.locator("#name").fill("HAPPY/0002")
    assert names(page) == expected(report, wrong=None, keep=lambda row: "happy/0002" in report.table.names[row])
    page.locator("#name").fill("nobody")
    assert names(page) == [] and status(page) == "0 faces, page 1 of 1"
    expect(page.locator("#nothing")).to_contain_text("change the filters")


def test_pages_are_turned_by_buttons_and_keys(page, report):
    page.locator("#verdict").select_option("all")
    page.locator("body").click(position={"x": 2, "y": 2})
    every = expected(report, wrong=None)
    steps = [
        (lambda: page.get_by_label("Next page").click(), 2),
        (lambda: page.keyboard.press("ArrowRight"), 3),
        (lambda: page.keyboard.press("ArrowLeft"), 2),
        (lambda: page.get_by_label("Last page").click(), 7),
        (lambda: page.keyboard.press("ArrowRight"), 7),
        (lambda: page.get_by_label("Previous page").click(), 6),
        (lambda: page.get_by_label("First page").click(), 1),
    ]
    for step, number in steps:
        step()
        assert names(page) == every[PER_PAGE * (number - 1) : PER_PAGE * number]
        assert status(page).endswith(f"page {number} of 7")
    expect(page.get_by_label("Previous page")).to_be_disabled()
    page.locator("#name").press("ArrowRight")  # there it moves the cursor
    assert status(page).endswith("page 1 of 7")


def test_every_control_has_a_name(page):
    controls = page.locator("select, input, button")
    for number in range(controls.count()):
        control = controls.nth(number)
        label = control.get_attribute("aria-label") or control.evaluate("c => (c.labels?.[0] ?? c).innerText.trim()")
        assert label.strip()
    assert [page.get_by_role("combobox", name=name).count() for name in ("show", "prediction", "sort by", "map")] == [1] * 4
    expect(page.get_by_role("navigation", name="Confusions")).to_be_visible()


def test_everything_can_be_reached_by_the_tab_key(page):
    page.locator("#verdict").focus()
    reached = []
    for _ in range(8):
        reached.append(page.evaluate("document.activeElement.id"))
        page.keyboard.press("Tab")
    assert reached == ["verdict", "label", "predicted", "sort", "layer", "name", "next", "last"]
    page.locator("#pairs button").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#pairs button").first).to_have_attribute("aria-pressed", "true")


def pixels(page: Page, number: int, which: int) -> np.ndarray:
    """A canvas of a face: int (96, 96, 3)."""
    canvas = page.locator("#faces > li").nth(number).locator("canvas").nth(which)
    expect(canvas).to_have_attribute("data-drawn", "yes")
    picture = canvas.evaluate("canvas => canvas.toDataURL().split(',')[1]")
    with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_a_card_shows_face_map_probabilities_name_and_votes(page, report):
    """The face of the card is that of the name; its map burns where the diagonal of the fake map lies."""
    page.locator("#verdict").select_option("all")
    page.locator("#sort").select_option("name")
    for number, name in enumerate(names(page)[:3]):
        row = report.table.names.index(name)
        card = page.locator("#faces > li").nth(number)
        text = card.inner_text()
        label, predicted = EMOTIONS[report.table.labels[row]], EMOTIONS[report.table.predicted[row]]
        assert f"{label} → {predicted}" in text and name in text and f"{100 * report.table.probs[row].max():.1f} %" in text
        values = card.locator(".bars .value").all_inner_texts()
        assert values == [f"{100 * p:.1f} %" for p in report.table.probs[row].astype(float).round(5)]
        given = {f"{count} {name}" for count, name in zip(report.votes[row], CANDIDATES, strict=True) if count > 0}
        line = next(line for line in text.splitlines() if line.startswith("taggers: "))
        assert set(line.removeprefix("taggers: ").split(", ")) == (given or {"no votes known"})
        face = pixels(page, number, 0)[..., 0]
        small = face.reshape(48, 2, 48, 2).mean(axis=(1, 3))
        assert np.abs(small - report.images[row, 0].numpy()).mean() < 16  # smoothed noise
        assert np.corrcoef(small.ravel(), report.images[row, 0].numpy().ravel())[0, 1] > 0.9
        red = pixels(page, number, 1)[..., 0] - pixels(page, number, 1)[..., 2]
        heat = red.reshape(12, 8, 12, 8).mean(axis=(1, 3))
        assert (heat.argmax(axis=1) == (np.arange(12) + row) % 12).mean() > 0.8
        assert f"predicted {predicted}" in card.locator("canvas").first.get_attribute("aria-label")
        assert card.locator("canvas").first.get_attribute("role") == "img"


def test_a_face_without_votes_says_so(page, report):
    page.locator("#verdict").select_option("all")
    page.locator("#name").fill(report.table.names[1])
    expect(page.locator("#faces > li")).to_contain_text("no votes known")


def test_maps_can_be_chosen_and_hidden(page):
    assert page.locator("#layer option").all_inner_texts() == ["question 0", "question 1", "none"]
    expect(page.locator("#faces canvas")).to_have_count(2 * PER_PAGE)
    page.locator("#layer").select_option(label="question 1")
    expect(page.locator("#faces canvas").nth(1)).to_have_attribute("aria-label", re.compile("question 1"))
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press("m")
    expect(page.locator("#faces canvas")).to_have_count(PER_PAGE)
    page.keyboard.press("m")
    expect(page.locator("#faces canvas")).to_have_count(2 * PER_PAGE)


def test_a_strange_file_name_is_only_text(page):
    page.locator("#verdict").select_option("all")
    page.locator("#name").fill("onerror")
    assert names(page) == [EVIL] and page.locator("img").count() == 0


@pytest.mark.parametrize("options", [{"wrong": 0}, {"count": 1, "wrong": 1}, {"votes": False, "layers": 0}], ids=str)
def test_unusual_splits_open(opened, tmp_path, options):
    page = opened(written(tmp_path, **options))
    count = min(PER_PAGE, report_of(**options).mistakes.wrong)
    expect(page.locator("#faces > li")).to_have_count(count)
    if not count:
        expect(page.locator("#nothing")).to_contain_text("No face is judged wrong")
        page.locator("#verdict").select_option("all")
        expect(page.locator("#faces > li")).to_have_count(30)
    if "layers" in options:
        assert (
            page.locator("#layer option").all_inner_texts() == ["none"] and "taggers" not in page.locator("main").inner_text()
        )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(opened, path, scheme):
    """Contrast of running text by WCAG 2: 4.5 or more."""
    page = opened(path, color_scheme=scheme)
    measure = """selector => {
        const style = getComputedStyle(document.querySelector(selector));
        let back = document.querySelector(selector);
        while (getComputedStyle(back).backgroundColor === 'rgba(0, 0, 0, 0)') back = back.parentElement;
        return [style.color, getComputedStyle(back).backgroundColor].map(text => text.match(/\\d+/g).slice(0, 3).map(Number));
    }"""
    backs = []
    for selector in ("#summary", ".face .words", ".face h3 .wrong", ".face .bars .value", "#pairs small", "#status"):
        light = []
        for colour in page.evaluate(measure, selector):
            channels = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
            light.append(0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2])
        backs.append(light[1])
        assert (max(light) + 0.05) / (min(light) + 0.05) >= 4.5, selector
    assert max(backs) < 0.2 if scheme == "dark" else min(backs) > 0.8


def test_on_a_phone_nothing_is_cut_off(opened, path):
    page = opened(path, viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = page.locator("#faces > li").first.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360


def test_of_3589_faces_no_more_are_in_the_page_than_are_looked_at(opened, tmp_path):
    path = written(tmp_path, count=3589)
    assert path.stat().st_size < 20_000_000
    page = opened(path)
    expect(page.locator("#faces canvas").first).to_have_attribute("data-drawn", "yes")
    page.locator("#verdict").select_option("all")
    assert status(page) == "faces 1–60 of 3,589, page 1 of 60"
    assert page.locator("#faces > li").count() == PER_PAGE
    first = names(page)[0]
    for turned in range(2, 22):
        page.locator("#next").click()
        assert status(page).endswith(f"page {turned} of 60")
        assert page.locator("#faces > li").count() == PER_PAGE and names(page)[0] != first
    page.locator("#sort").select_option("name")
    assert status(page) == "faces 1–60 of 3,589, page 1 of 60"
    assert names(page) == sorted(names(page)) and page.locator("#faces > li").count() == PER_PAGE
