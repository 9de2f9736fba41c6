"""How often the tab Live shows a new picture, seen from the browser.

    python benchmarks/page_live.py [--seconds 10] [--checkpoint NAME]

Starts the page as a person would, opens it in Chromium with a fake camera (a face that moves, 640×480), and counts the pictures
that arrive, without and with heatmaps. Camera, browser and page share this machine. Prints a Markdown table.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.apps.conftest import FAKE_WEBCAM, QUIET, clip_of_the_sample
from tests.apps.started import running
from tests.apps.visitor import go_live, opened
from tests.conftest import CHROMIUM

_COUNT = """seconds => new Promise(done => {
  let count = 0;
  const screen = document.querySelector('#live');
  let last = screen.querySelector('img').src;
  const watch = new MutationObserver(() => {
    const now = screen.querySelector('img')?.src;
    if (now && now !== last) { count += 1; last = now; }
  });
  watch.observe(screen, {subtree: true, childList: true, attributes: true});
  setTimeout(() => { watch.disconnect(); done(count); }, 1000 * seconds);
})"""


def updates(page: Page, seconds: float) -> float:
    """New pictures a second."""
    return float(page.evaluate(_COUNT, seconds)) / seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--checkpoint", help="what judges (default: what the page chooses)")
    arguments = parser.parse_args()
    words = ["--checkpoint", arguments.checkpoint] if arguments.checkpoint else []
    with tempfile.TemporaryDirectory() as name, running(Path(name), *words) as (url, _), sync_playwright() as playwright:
        clip = f"--use-file-for-fake-video-capture={clip_of_the_sample(Path(name))}"
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*QUIET, *FAKE_WEBCAM, clip])
        with opened(chromium, url) as page:
            go_live(page)
            page.get_by_text("1 face: ").wait_for()
            page.wait_for_timeout(2000)
            plain = updates(page, arguments.seconds)
            page.locator("#live-maps input").check()
            page.wait_for_timeout(2000)
            mapped = updates(page, arguments.seconds)
        chromium.close()
    print(f"| tab Live, {arguments.seconds:.0f} s each | updates a second |\n|---|---|")
    print(f"| without heatmaps | {plain:.1f} |\n| with heatmaps | {mapped:.1f} |")


if __name__ == "__main__":
    main()
