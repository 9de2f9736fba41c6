"""The page in a real headless Chromium, served by the real program."""

import io
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor
from playwright.sync_api import Browser, Page, expect, sync_playwright

from analysis.regions.face_template import REGIONS
from fer.emotions import COLOURS, EMOTIONS
from fer.predict import Predictor
from fer.released import default_name
from fer.samples import sample_path
from tests.conftest import CHROMIUM, save_random

pytestmark = pytest.mark.browser

ANSWERS = 30_000  # milliseconds
expect.set_options(timeout=ANSWERS)

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FAKE_WEBCAM = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="module")
def webcam_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample moving to the right in front of a webcam, as Motion JPEG of 640×480."""
    path, frames = tmp_path_factory.mktemp("webcam") / "clip.mjpeg", []
    with Image.open(sample_path()) as sample:
        portrait = sample.resize((480, 480))
    for step in range(12):
        frame, data = Image.new("RGB", (640, 480), "gray"), io.BytesIO()
        frame.paste(portrait, (60 + 4 * step, 0))
        frame.save(data, "JPEG", quality=90)
        frames.append(data.getvalue())
    path.write_bytes(b"".join(frames))
    return path


@pytest.fixture(scope="module")
def browser(webcam_clip: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        clip = f"--use-file-for-fake-video-capture={webcam_clip}"
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*QUIET, *FAKE_WEBCAM, clip])
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """A visitor's own window on the page."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(ANSWERS)
    page.goto(url, wait_until="domcontentloaded")
    page.locator("#picture input[type=file]").wait_for(state="attached")
    yield page
    context.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    with opened(browser, url) as page:
        yield page


def upload(page: Page, path: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(path)


def verdict(page: Page) -> tuple[str, int]:
    """Label and confidence in percent of the first face, as the page says them."""
    text = page.locator(".face-title").first.inner_text()
    label, percent = text.split(". ", 1)[1].split(", ")
    return label, int(percent.rstrip("%"))


def shown_picture(page: Page, selector: str, number: int = 0) -> np.ndarray:
    """Pixels of a picture in the page, as the browser itself gets them: int (H, W, 3)."""
    source = page.locator(f"{selector} img").nth(number).get_attribute("src")
    read = "async source => Array.from(new Uint8Array(await (await fetch(source)).arrayBuffer()))"
    with Image.open(io.BytesIO(bytes(page.evaluate(read, source)))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


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


# what a program without a browser may ask for


def call(url: str, *inputs: object) -> str:
    """Event stream that the page's programming interface answers with."""
    body = json.dumps({"data": inputs}).encode()
    request = urllib.request.Request(f"{url}gradio_api/call/look", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/look/{event}", timeout=60) as answer:
        return answer.read().decode()


def file(path: Path) -> dict[str, object]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def test_a_file_of_the_machine_that_was_not_uploaded_is_not_read(url, checkpoint, tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(sample_path().read_bytes())
    assert "event: error" in call(url, file(secret), str(checkpoint))


def test_a_checkpoint_that_is_not_offered_is_not_read(url, tmp_path):
    other = save_random(tmp_path / "other.pth", seed=3)
    assert "event: error" in call(url, None, str(other))


# the camera


def go_live(page: Page) -> None:
    page.get_by_role("tab", name="Live").click()
    page.locator("#camera").get_by_text("Click to Access Webcam").click()
    page.wait_for_function("() => (document.querySelector('#camera video')?.videoWidth || 0) > 0")
    page.locator("#camera").get_by_text("Record").click()


def live_face(page: Page) -> np.ndarray:
    source = page.locator("#live img").get_attribute("src")
    read = "async source => Array.from(new Uint8Array(await (await fetch(source)).arrayBuffer()))"
    with Image.open(io.BytesIO(bytes(page.evaluate(read, source)))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_a_camera_streams_and_its_face_is_followed(page, url):
    go_live(page)
    expect(page.locator("#live-note")).to_contain_text("1 face: ")
    expect(page.locator("#live-note")).to_contain_text("updates a second")
    plain = live_face(page)
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


def test_the_stream_is_not_offered_to_programs(url):
    with urllib.request.urlopen(f"{url}gradio_api/info", timeout=30) as answer:
        assert set(json.load(answer)["named_endpoints"]) == {"/look", "/compare"}


# more questions


def choose(page: Page, picker: str, option: str) -> None:
    page.locator(f"{picker} input").click()
    page.get_by_role("option", name=option, exact=True).filter(visible=True).last.click()


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
    slider.evaluate("slider => {slider.value = 0.95}")
    for event in ("input", "change", "pointerup"):
        slider.dispatch_event(event)
    expect(page.locator(".face-title").first).to_contain_text("unsure, perhaps ")


# the other tabs


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
