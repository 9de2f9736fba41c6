"""How the page bears visitors: many at once, for minutes, on this machine.

    python benchmarks/page_load.py [--clients 50] [--seconds 300] [--checkpoint NAME]

Starts the page as a person would, without a link, and sends it visitors that do what the browser does: upload a picture, ask
for its faces, wait for the answer, fetch the picture with boxes, think for a moment, begin again. An answer counts as busy
where the page says that its queue is full; anything else that is no answer is a failure. Prints a Markdown table: answers,
busy, failures, seconds (median, 95 %), growth of the page's memory after the first quarter, and files in its temporary folder
two minutes after the last visitor.
"""

import argparse
import io
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import numpy as np
from PIL import Image

from fer.samples import sample_path

ROOT = Path(__file__).resolve().parent.parent
#: Seconds that a visitor looks at an answer, at most.
THINK = 3.0
#: Seconds after which the page has deleted everything.
CLEAN = 120


@dataclass
class Tally:
    """What the visitors met."""

    seconds: list[float] = field(default_factory=list)
    busy: int = 0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def visit(url: str, data: bytes, checkpoint: str) -> str:
    """One visitor's question; what went wrong, ``busy``, or an empty string."""
    mark = "fer-load"
    head = f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="face.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}gradio_api/upload", body, headers), timeout=60) as answer:
        (path,) = json.load(answer)
    asked = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, checkpoint, "gradcam", "", "", 0]}
    question = urllib.request.Request(
        f"{url}gradio_api/call/look", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(question, timeout=60) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{url}gradio_api/call/look/{event}", timeout=120) as answer:
        text = answer.read().decode()
    if "event: complete" not in text:
        return "busy" if "queue" in text.lower() or "busy" in text.lower() else text[:200]
    boxed = json.loads(text.split("data: ", 1)[1])[0]
    with urllib.request.urlopen(boxed["url"], timeout=60) as answer:
        return "" if len(answer.read()) > 1000 else "the picture with boxes is empty"


def picture(number: random.Random) -> bytes:
    """The sample in a light of its own: no two visitors send the same file."""
    with Image.open(sample_path()) as sample:
        pixels = np.asarray(sample).astype(int) + number.randrange(-20, 20)
    pixels[:8, :8] = number.randrange(256)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=number.randrange(70, 95))
    return file.getvalue()


def visitor(url: str, number: random.Random, checkpoint: str, end: float, tally: Tally) -> None:
    """Ask until the end."""
    while time.monotonic() < end:
        data, start = picture(number), time.monotonic()
        try:
            wrong = visit(url, data, checkpoint)
        except urllib.error.HTTPError as error:
            wrong = "busy" if error.code == 503 else f"HTTP {error.code}"
            error.close()
        except (OSError, ValueError, HTTPException) as error:
            wrong = f"{type(error).__name__}: {error}"
        with tally.lock:
            if not wrong:
                tally.seconds.append(time.monotonic() - start)
            elif wrong == "busy":
                tally.busy += 1
            else:
                tally.failures.append(wrong)
        time.sleep(number.uniform(0, THINK))


def resident(pid: int) -> float:
    """Resident memory of a process in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(port: int, checkpoint: str, folder: str) -> subprocess.Popen[bytes]:
    """The page, answering."""
    words = ["apps/gradio_app.py", "--no-share", "--port", str(port), "--checkpoint", checkpoint]
    page = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=os.environ | {"GRADIO_TEMP_DIR": folder})
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=5).close()
            return page
        except OSError:
            time.sleep(0.2)
    page.kill()
    raise SystemExit("the page did not start")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--checkpoint", default="fast_cnn-int8")
    arguments = parser.parse_args()
    tally, port = Tally(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        page = started(port, arguments.checkpoint, folder)
        end = time.monotonic() + arguments.seconds
        threads = [
            threading.Thread(
                target=visitor, args=(f"http://127.0.0.1:{port}/", random.Random(n), arguments.checkpoint, end, tally)
            )
            for n in range(arguments.clients)
        ]
        for thread in threads:
            thread.start()
        time.sleep(arguments.seconds / 4)
        before = resident(page.pid)
        for thread in threads:
            thread.join()
        after = resident(page.pid)
        time.sleep(CLEAN)
        left = sum(path.is_file() for path in Path(folder).rglob("*"))
        page.terminate()
        page.wait()
    seconds = sorted(tally.seconds)
    print(f"| {arguments.clients} visitors, {arguments.seconds:.0f} s | |\n|---|---|")
    print(f"| answers | {len(seconds):,} |\n| busy | {tally.busy:,} |\n| failures | {len(tally.failures):,} |")
    if seconds:
        slow = seconds[int(0.95 * len(seconds))]
        print(f"| seconds, median | {statistics.median(seconds):.2f} |\n| seconds, 95 % | {slow:.2f} |")
    print(f"| memory, MB | {before:.0f} to {after:.0f} |\n| files left after {CLEAN} s | {left} |")
    for text in sorted(set(tally.failures))[:5]:
        print(f"failure: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
