"""The tabs beside the first one, in a real headless Chromium."""

import numpy as np
import pytest
from PIL import ImageColor
from playwright.sync_api import expect

from fer.emotions import COLOURS
from fer.predict import Predictor
from fer.released import default_name
from fer.samples import sample_path
from tests.apps.visitor import go_live, shown_picture

pytestmark = pytest.mark.browser


def test_a_camera_streams_and_its_face_is_followed(page, url):
    go_live(page)
    expect(page.locator("#live-note")).to_contain_text("1 face: ")
    expect(page.locator("#live-note")).to_contain_text("updates a second")
    plain = shown_picture(page, "#live")
    assert plain.shape == (480, 640, 3)
    assert any((np.abs(plain - ImageColor.getrgb(colour)).max(axis=2) < 40).sum() > 200 for colour in COLOURS.values())
    page.locator("#live-maps input").check()
    page.wait_for_timeout(1500)
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
