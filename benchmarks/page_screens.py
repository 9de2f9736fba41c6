"""Pictures of every tab, at the width of a desk and of a phone, by day and by night.

    python benchmarks/page_screens.py [--out docs/images] [--dark]

Starts the page as a person would, visits it with Chromium and a fake camera, and writes page-TAB.jpg and page-TAB-phone.jpg.
The finished result that is explored is of a net trained here on drawn faces: no face of FER-2013 is in any picture.
"""

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fer.emotions import EMOTIONS
from fer.samples import sample_path
from tests import fakes
from tests.apps.conftest import FAKE_WEBCAM, QUIET, clip_of_the_sample
from tests.apps.started import running
from tests.apps.visitor import ANSWERS, go_live, open_tab, upload
from tests.conftest import CHROMIUM

#: Name → width and height in CSS pixels, and pixels of the device for each.
SIZES = {"": (1180, 900, 1.0), "-phone": (390, 844, 1.5)}


def look(page: Page) -> None:
    """The sample, judged and explained."""
    open_tab(page, "Look")
    upload(page, sample_path())
    page.locator(".heatmap img").nth(1).wait_for()


def live(page: Page) -> None:
    """The fake camera with a heatmap."""
    go_live(page)
    page.locator("#live-maps input").check()
    page.get_by_text("1 face: ").wait_for()
    page.wait_for_timeout(1500)
    page.get_by_text("1 face: ").wait_for()  # on a busy machine it may have been lost in between


def compare(page: Page) -> None:
    """Two checkpoints, two methods."""
    open_tab(page, "Compare")
    page.locator("#compare-picture input[type=file]").set_input_files(sample_path())
    page.locator(".opinion-map img").nth(2).wait_for()


def explore(page: Page) -> None:
    """The one finished result."""
    open_tab(page, "Explore")
    page.locator("#explore-result input").click()
    page.get_by_role("option").filter(visible=True).first.click()
    page.locator("#explore-faces img").first.wait_for()
    page.locator("#explore-maps input").check()


def about(page: Page) -> None:
    """The card."""
    open_tab(page, "About")


TABS: dict[str, Callable[[Page], None]] = {"look": look, "live": live, "compare": compare, "explore": explore, "about": about}


def drawn_result(folder: Path) -> Path:
    """Mistakes of a net that tells drawn faces apart, some of which are labelled as what they are not."""
    data = fakes.write_folder(folder / "data", train=30, validation=40, test=2)
    for place, name in enumerate(EMOTIONS):
        for number, path in enumerate(sorted((data / "test" / name).iterdir())):
            if number % (3 + place) == 0:
                path.rename(
                    data / "test" / EMOTIONS[(place + 1 + number % 2) % len(EMOTIONS)] / f"{path.stem}-{name}{path.suffix}"
                )
    fer("train", "baseline", "--data", data, "--epochs", "12", "--set", "small_epochs=0", "--runs", folder / "runs")
    (best,) = (folder / "runs").glob("*/best.pth")
    fer("mistakes", "--checkpoint", best, "--data", data, "--out", folder / "drawn-faces")
    return folder / "drawn-faces"


def fer(*words: str | Path) -> None:
    """Run the command line tool."""
    subprocess.run([sys.executable, "-m", "fer", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def shoot(page: Page, path: Path) -> None:
    """The whole page as JPEG, once nothing moves any more."""
    page.wait_for_timeout(1200)
    with Image.open(io.BytesIO(page.screenshot(full_page=True))) as picture:
        picture.convert("RGB").save(path, "JPEG", quality=82, optimize=True)


def main() -> None:
    """Visit and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = drawn_result(folder)
        clip = f"--use-file-for-fake-video-capture={clip_of_the_sample(folder)}"
        with running(folder, "--explore", str(result)) as (url, _), sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=[*QUIET, *FAKE_WEBCAM, clip])
            for ending, (width, height, scale) in SIZES.items():
                for tab, visit in TABS.items():
                    context = chromium.new_context(
                        viewport={"width": width, "height": height},
                        device_scale_factor=scale,
                        color_scheme="dark" if arguments.dark else "light",
                    )
                    page = context.new_page()
                    page.set_default_timeout(ANSWERS)
                    page.goto(url, wait_until="domcontentloaded")
                    page.locator("#picture input[type=file]").wait_for(state="attached")
                    visit(page)
                    path = arguments.out / f"page-{tab}{ending}{'-dark' if arguments.dark else ''}.jpg"
                    shoot(page, path)
                    print(path)
                    context.close()
            chromium.close()


if __name__ == "__main__":
    main()
