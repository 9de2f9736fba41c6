"""A real headless Chromium for pages that are opened from disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import CHROMIUM

ANSWERS = 30_000  # milliseconds
expect.set_options(timeout=ANSWERS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=quiet)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator:
    """Opens a page; afterwards it has to have asked for nothing but itself, and to have complained of nothing."""
    contexts = []

    def open_page(path: Path, **options: object) -> Page:
        context = browser.new_context(**options)
        page, asked, complaints = context.new_page(), [], []
        contexts.append((context, asked, complaints, path))
        page.set_default_timeout(ANSWERS)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context, asked, complaints, path in contexts:
        context.close()
        assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
        assert complaints == []
