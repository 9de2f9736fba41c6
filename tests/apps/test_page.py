"""The page in a real headless Chromium, served by the real program."""

import io
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor
from playwright.sync_api import Page, Request, expect

from analysis.regions.face_template import REGIONS
from fer.emotions import COLOURS, EMOTIONS
from fer.predict import Predictor
from fer.released import default_name
from fer.samples import sample_path
from tests.apps.visitor import ANSWERS, choose, shown_picture, upload, verdict

pytestmark = pytest.mark.browser


def share_of_the_outline(picture: np.ndarray, box: list[int], colour: str) -> float:
    """How much of the box's left, right and lower edge has the colour (the label covers the upper one)."""
    x1, y1, x2, y2 = box
    edges = np.concatenate([picture[y1:y2, x1], picture[y1:y2, x2 - 1], picture[y2 - 1, x1:x2]])
    return float((np.abs(edges - ImageColor.getrgb(colour)).max(axis=1) < 60).mean())  # the page's pictures are lossy


def assert_face_is_boxed(page: Page, checkpoint: Path) -> None:
    """The box in the page stands where the detector finds the face, in the colour of the label in the page."""
    original, boxed = shown_picture(page, "#picture"), shown_picture(page, "#boxed")
    (face,) = Predictor(checkpoint).faces(original.astype(np.uint8))
    label, _ = verdict(page)
    box = face.box.as_list()
    assert boxed.shape == original.shape
    assert share_of_the_outline(boxed, box, COLOURS[label]) > 0.8
    assert share_of_the_outline(original, box, COLOURS[label]) < 0.2


def assert_heatmap_is_beside_the_face(page: Page) -> None:
    """Slider of two square pictures that differ, shown square and uncut."""
    slider = page.locator(".heatmap").first
    expect(slider.locator("img")).to_have_count(2)
    face, overlay = shown_picture(page, ".heatmap", 0), shown_picture(page, ".heatmap", 1)
    assert face.shape == overlay.shape and face.shape[0] == face.shape[1]
    assert (np.abs(face - overlay).max(axis=2) > 20).mean() > 0.05
    frame = slider.bounding_box()
    for picture in slider.locator("img").all():
        place = picture.bounding_box()
        assert abs(place["width"] - place["height"]) <= 2
        assert place["x"] >= frame["x"] - 1 and place["x"] + place["width"] <= frame["x"] + frame["width"] + 1
        assert place["y"] >= frame["y"] - 1 and place["y"] + place["height"] <= frame["y"] + frame["height"] + 1


def test_what_it_is_and_is_not_stands_there_before_any_picture(page):
    expect(page.get_by_text("not what a person feels")).to_be_visible()
    expect(page.get_by_text("work and in education")).to_be_visible()
    expect(page.locator(".face-title")).to_have_count(0)
    expect(page.locator("#note")).to_contain_text("Upload a picture")


def test_an_uploaded_picture_gets_label_box_bars_and_heatmap(page, checkpoint):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    (prediction,) = Predictor(checkpoint).predict(sample_path())
    assert verdict(page) == (prediction.label, round(100 * prediction.confidence))
    bars = page.locator(".top3").first.inner_text()
    assert [name for name in EMOTIONS if name in bars] == sorted(name for name, _ in prediction.top(3))
    assert_face_is_boxed(page, checkpoint)
    assert_heatmap_is_beside_the_face(page)


def test_a_webcam_snapshot_gets_label_box_and_heatmap(page, checkpoint):
    page.get_by_label("Capture from camera").click()
    page.locator("#picture").get_by_text("Click to Access Webcam").click()
    page.wait_for_function("() => (document.querySelector('#picture video')?.videoWidth || 0) > 0")
    page.get_by_label("capture photo").click()
    expect(page.locator("#note")).to_contain_text("1 face found")
    assert verdict(page)[0] in EMOTIONS
    assert_face_is_boxed(page, checkpoint)
    assert_heatmap_is_beside_the_face(page)


def test_a_picture_from_the_clipboard_is_judged(page):
    with Image.open(sample_path()) as sample:
        data = io.BytesIO()
        sample.save(data, "PNG")
    page.evaluate(
        """async bytes => navigator.clipboard.write([
            new ClipboardItem({"image/png": new Blob([new Uint8Array(bytes)], {type: "image/png"})})])""",
        list(data.getvalue()),
    )
    page.get_by_label("Paste from clipboard").click()
    expect(page.locator("#note")).to_contain_text("1 face found")
    assert verdict(page)[0] in EMOTIONS


def test_the_example_is_judged_at_a_click(page):
    page.locator(".gallery-item").first.click()
    expect(page.locator("#note")).to_contain_text("1 face found")


def test_every_face_of_a_picture_has_its_verdict_and_heatmap(page, tmp_path):
    with Image.open(sample_path()) as sample:
        pair = Image.new("RGB", (1024, 512))
        pair.paste(sample, (0, 0))
        pair.paste(sample, (512, 0))
    pair.save(tmp_path / "pair.jpg", quality=95)
    upload(page, tmp_path / "pair.jpg")
    expect(page.locator("#note")).to_contain_text("2 faces found")
    expect(page.locator(".heatmap img")).to_have_count(4)
    expect(page.get_by_text("2. ")).to_be_visible()


def test_another_checkpoint_changes_the_verdict_on_the_same_picture(page):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    before = page.locator(".face-title").first.inner_text()
    page.locator("#checkpoint input").click()
    page.get_by_role("option", name=default_name(), exact=True).click()
    expect(page.locator(".face-title").first).not_to_have_text(before)
    (prediction,) = Predictor().predict(sample_path())
    expect(page.locator(".face-title").first).to_contain_text(f"{prediction.label}, {prediction.confidence:.0%}")


def test_a_picture_without_a_face_is_judged_whole_and_said_so(page, tmp_path):
    slope = np.tile(np.linspace(40, 200, 300).astype(np.uint8), (150, 1))
    Image.fromarray(slope).save(tmp_path / "slope.png")
    upload(page, tmp_path / "slope.png")
    expect(page.locator("#note")).to_contain_text("No face found: the whole image is used")
    assert_heatmap_is_beside_the_face(page)


def broken(folder: Path, name: str) -> Path:
    whole = sample_path().read_bytes()
    (folder / name).write_bytes({"text.jpg": b"no picture", "cut.jpg": whole[: len(whole) // 3]}[name])
    return folder / name


@pytest.mark.parametrize("name", ["text.jpg", "cut.jpg"])
def test_a_broken_file_gets_one_line_and_the_page_goes_on(page, tmp_path, name):
    upload(page, broken(tmp_path, name))
    message = page.get_by_text(f"{name}: ")
    expect(message).to_be_visible()
    text = message.inner_text().strip()
    assert len(text.splitlines()) == 1
    assert "Traceback" not in text and "/" not in text
    page.get_by_label("Remove Image").click()
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")


def test_after_a_broken_file_no_verdict_on_the_picture_before_it_stays(page, tmp_path):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    page.get_by_label("Remove Image").click()
    upload(page, broken(tmp_path, "text.jpg"))
    expect(page.get_by_text("text.jpg: ")).to_be_visible()
    expect(page.locator(".face-title")).to_have_count(0)
    expect(page.locator("#note")).not_to_contain_text("face found")


def test_removing_the_picture_removes_its_verdict(page):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    page.get_by_label("Remove Image").click()
    expect(page.locator(".face-title")).to_have_count(0)
    expect(page.locator("#boxed img")).to_have_count(0)
    expect(page.locator("#note")).to_contain_text("Upload a picture")


# more questions


def test_it_answers_why_not_another_class_and_by_another_method(page):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    own = shown_picture(page, ".heatmap", 1)
    page.locator("#questions").get_by_text("Ask more").click()
    choose(page, "#target", "sad")
    choose(page, "#against", "surprise")
    expect(page.get_by_text("gradcam: sad, not surprise")).to_be_visible()
    assert np.abs(shown_picture(page, ".heatmap", 1) - own).mean() > 1
    choose(page, "#method", "layercam")
    expect(page.get_by_text("layercam: sad, not surprise")).to_be_visible()


def test_a_question_that_makes_no_sense_gets_one_line(page):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    page.locator("#questions").get_by_text("Ask more").click()
    choose(page, "#target", "sad")
    choose(page, "#against", "sad")
    expect(page.get_by_text("name two different classes")).to_be_visible()


def test_an_exported_model_offers_only_its_own_method(page):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    page.locator("#questions").get_by_text("Ask more").click()
    choose(page, "#method", "layercam")
    expect(page.get_by_text("(layercam: ")).to_be_visible()
    choose(page, "#checkpoint", "fast_cnn-int8")
    expect(page.get_by_text("(gradcam: happy)")).to_be_visible()
    expect(page.locator("#method input")).to_have_value("gradcam")


def test_regions_and_figures_are_there_for_every_face(page, tmp_path):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    assert sum(name in page.locator(".regions").inner_text() for name in REGIONS) == 3
    with page.expect_download() as waiting:
        page.get_by_text("Download all figures and maps as JSON").click()
    waiting.value.save_as(tmp_path / "faces.json")
    (face,) = json.loads((tmp_path / "faces.json").read_text(encoding="utf-8"))["faces"]
    label, percent = verdict(page)
    assert (face["label"], round(100 * face["confidence"])) == (label, percent)


def test_unsure_is_said_below_the_threshold(page):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    page.locator("#questions").get_by_text("Ask more").click()
    slider = page.locator("#threshold input[type=range]")
    expect(slider).to_be_visible()  # a hidden one takes no focus, and the key would be lost
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator(".face-title").first).not_to_contain_text("unsure")  # of a random net
    page.keyboard.press("End")
    expect(page.locator(".face-title").first).to_contain_text("unsure, perhaps ")
    page.locator("#threshold input[type=number]").fill("0")
    page.keyboard.press("Enter")
    expect(page.locator(".face-title").first).not_to_contain_text("unsure")


def test_a_question_after_the_picture_was_deleted_is_told_so(page, uploads):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    for path in uploads.glob(f"fer-page-*/*/{sample_path().name}"):
        path.unlink()
    page.locator("#questions").get_by_text("Ask more").click()
    choose(page, "#method", "layercam")
    expect(page.get_by_text("pictures are deleted after a minute")).to_be_visible()
    page.get_by_label("Remove Image").click()
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")


def test_the_last_wish_is_the_one_that_is_answered(page, tmp_path):
    """A slow question, then another one about another checkpoint while it is answered."""
    with Image.open(sample_path()) as sample:
        group = Image.new("RGB", (1536, 512))
        for place in range(3):
            group.paste(sample, (512 * place, 0))
    group.save(tmp_path / "group.jpg", quality=95)
    upload(page, tmp_path / "group.jpg")
    expect(page.locator("#note")).to_contain_text("3 faces found")
    page.locator("#questions").get_by_text("Ask more").click()
    asked: list[Request] = []  # streams of answers, which the page ends after the last of them
    ended: list[Request] = []
    page.on("request", lambda request: asked.append(request) if "queue/data" in request.url else None)
    for end in ("requestfinished", "requestfailed"):
        page.on(end, lambda request: ended.append(request) if request in asked else None)
    choose(page, "#method", "occlusion")
    choose(page, "#checkpoint", "fast_cnn-int8")
    expect(page.get_by_text("(gradcam: happy)").first).to_be_visible()
    deadline = time.monotonic() + ANSWERS / 1000
    while len(ended) < len(asked) and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert len(ended) == len(asked) > 0
    expect(page.get_by_text("(gradcam: happy)")).to_have_count(3)
    expect(page.locator("#method input")).to_have_value("gradcam")


def test_the_border_between_face_and_heatmap_moves_by_mouse_and_keyboard(page):
    upload(page, sample_path())
    slider = page.locator(".heatmap input")
    slider.wait_for()

    def shown_from():
        clip = page.locator(".heatmap img").nth(1).evaluate("image => getComputedStyle(image).clipPath")
        return float(re.search(r"([\d.]+)%\)", clip).group(1))

    assert shown_from() == 50
    slider.focus()
    page.keyboard.press("Home")
    assert shown_from() == 0
    page.keyboard.press("ArrowRight")
    assert shown_from() == 1
    place = slider.bounding_box()
    page.mouse.click(place["x"] + 0.75 * place["width"], place["y"] + place["height"] / 2)
    assert shown_from() == pytest.approx(75, abs=3)


def test_heatmap_and_boxed_picture_can_be_saved(page, tmp_path):
    upload(page, sample_path())
    expect(page.locator("#note")).to_contain_text("1 face found")
    with page.expect_download() as waiting:
        page.locator(".face button.save").click()
    assert waiting.value.suggested_filename == "heatmap-1.jpg"
    waiting.value.save_as(tmp_path / "heatmap.jpg")
    with Image.open(tmp_path / "heatmap.jpg") as picture:
        saved = np.asarray(picture.convert("RGB")).astype(int)
    np.testing.assert_array_equal(saved, shown_picture(page, ".heatmap", 1))
    with page.expect_download() as waiting:
        page.locator("#boxed").get_by_label("Download").click()
    waiting.value.save_as(tmp_path / "boxed.jpg")
    with Image.open(tmp_path / "boxed.jpg") as picture:
        assert picture.size == (512, 512)
