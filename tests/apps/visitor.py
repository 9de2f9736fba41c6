"""What a visitor does in the page, and sees there."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect

ANSWERS = 30_000  # milliseconds
expect.set_options(timeout=ANSWERS)


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


def upload(page: Page, path: Path) -> None:
    page.locator("#picture input[type=file]").set_input_files(path)


def verdict(page: Page) -> tuple[str, int]:
    """Label and confidence in percent of the first face, as the page says them."""
    text = page.locator(".face-title").first.inner_text()
    label, percent = text.split(". ", 1)[1].removeprefix("unsure, perhaps ").split(", ")
    return label, int(percent.rstrip("%"))


def shown_picture(page: Page, selector: str, number: int = 0) -> np.ndarray:
    """Pixels of a picture in the page, as the browser itself gets them: int (H, W, 3)."""
    source = page.locator(f"{selector} img").nth(number).get_attribute("src")
    read = "async source => Array.from(new Uint8Array(await (await fetch(source)).arrayBuffer()))"
    with Image.open(io.BytesIO(bytes(page.evaluate(read, source)))) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def choose(page: Page, picker: str, option: str) -> None:
    page.locator(f"{picker} input").click()
    page.get_by_role("option", name=option, exact=True).filter(visible=True).last.click()


def open_tab(page: Page, name: str) -> None:
    """The tabs that a narrow window has no room for are behind a button."""
    tab = page.get_by_role("tab", name=name)
    if not tab.count():
        page.locator(".overflow-menu > button").click()
        tab = page.locator(".overflow-dropdown").get_by_role("button", name=name)
    tab.click()


def go_live(page: Page) -> None:
    open_tab(page, "Live")
    page.locator("#camera").get_by_text("Click to Access Webcam").click()
    page.wait_for_function("() => (document.querySelector('#camera video')?.videoWidth || 0) > 0")
    page.locator("#camera").get_by_text("Record").click()
