"""How the page bears visitors: many at once, for minutes, on this machine.

    python benchmarks/page_load.py [--clients 50] [--seconds 300] [--checkpoint NAME]

Starts the page as a person would, without a link, and sends it visitors that do what the browser does, each from an address
of its own: upload a picture, ask for its faces, think for a moment, begin again. An answer counts as busy where the page says
that its queue is full or that too much was asked; anything else that is no answer is a failure. Prints a Markdown table:
answers, busy, failures, seconds (median, 95 %), memory of the page at twelve times, and what is left of visitors' files a
minute after the last one.
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
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fer.released import default_name
from fer.samples import sample_path

ROOT = Path(__file__).resolve().parent.parent
#: Seconds that a visitor looks at an answer, at most.
THINK = 3.0
#: Seconds after which the page has deleted everything.
CLEAN = 60
# Looks at the memory, evenly over the time.
_SAMPLES = 12


@dataclass
class Tally:
    """What the visitors met."""

    seconds: list[float] = field(default_factory=list)
    busy: int = 0
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Visitor:
    """One visitor's browser: an address of its own on this machine, a session, and the questions that the page's script asks.

    Args:
        url: of the page.
        number: tells visitors apart.
        checkpoint: what they ask.
    """

    def __init__(self, url: str, number: int, checkpoint: str) -> None:
        self.url, self.checkpoint, self.session = url, checkpoint, f"visitor{number}"
        self._opener = urllib.request.build_opener(_From(f"127.0.1.{number + 1}"))
        page = self._json(urllib.request.Request(f"{url}config"))
        components = {one["props"].get("elem_id"): one["id"] for one in page["components"]}
        self._picture = components["picture"]
        self._look = next(d for d in page["dependencies"] if [self._picture, "change"] in d["targets"])

    def look(self, data: bytes) -> str:
        """Upload a picture and look at all that the page shows of it; what went wrong, ``busy``, or an empty string."""
        mark = "fer-load"
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="files"; filename="face.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        )
        body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        (path,) = self._json(urllib.request.Request(f"{self.url}gradio_api/upload", body, kind))
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answer = self._ask(self._look["id"], [file, self.checkpoint, "gradcam", "", "", 0.5], self._picture)
        if isinstance(answer, str):
            return answer
        boxed, note, cards, *_ = answer["data"]
        whole = len(boxed["url"]) > 10_000 and "1 face found" in note and cards.count("data:image/jpeg") == 2
        return "" if whole else f"no whole answer: {note[:200]}"

    def _ask(self, question: int, data: list[Any], trigger: int) -> dict[str, Any] | str:
        """The page's answer, or what went wrong."""
        asked = {"data": data, "fn_index": question, "session_hash": self.session, "trigger_id": trigger, "event_data": None}
        kind = {"Content-Type": "application/json"}
        self._json(urllib.request.Request(f"{self.url}gradio_api/queue/join", json.dumps(asked).encode(), kind))
        with self._opener.open(f"{self.url}gradio_api/queue/data?session_hash={self.session}", timeout=120) as stream:
            for line in stream:
                if not line.startswith(b"data: "):
                    continue
                message = json.loads(line[6:])
                if message["msg"] == "process_completed":
                    return dict(message["output"]) if message["success"] else str(message["output"])[:200]
        return "the answer's stream ended"

    def _json(self, request: urllib.request.Request) -> Any:
        with self._opener.open(request, timeout=60) as answer:
            return json.load(answer)


class _From(urllib.request.HTTPHandler):
    """Connects from an address of its own."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(HTTPConnection, source_address=(self._address, 0)), request)


def picture(number: random.Random) -> bytes:
    """The sample in a light of its own: no two visitors send the same file."""
    with Image.open(sample_path()) as sample:
        pixels = np.asarray(sample).astype(int) + number.randrange(-20, 20)
    pixels[:8, :8] = number.randrange(256)
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=number.randrange(70, 95))
    return file.getvalue()


def visit(url: str, number: int, checkpoint: str, end: float, tally: Tally) -> None:
    """Ask until the end."""
    chance, one = random.Random(number), None
    while time.monotonic() < end:
        data, start = picture(chance), time.monotonic()
        try:
            one = one or Visitor(url, number, checkpoint)
            wrong = one.look(data)
        except urllib.error.HTTPError as error:
            wrong = "busy" if error.code in (429, 503) else f"HTTP {error.code}"
            error.close()
        except (OSError, ValueError, KeyError, HTTPException) as error:
            wrong = f"{type(error).__name__}: {error}"
        with tally.lock:
            if not wrong:
                tally.seconds.append(time.monotonic() - start)
            elif wrong == "busy":
                tally.busy += 1
            else:
                tally.failures.append(wrong)
        time.sleep(chance.uniform(0, THINK))


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
    parser.add_argument("--checkpoint", default=default_name())
    arguments = parser.parse_args()
    tally, port = Tally(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        page = started(port, arguments.checkpoint, folder)
        end = time.monotonic() + arguments.seconds
        threads = [
            threading.Thread(target=visit, args=(f"http://127.0.0.1:{port}/", n, arguments.checkpoint, end, tally))
            for n in range(arguments.clients)
        ]
        for thread in threads:
            thread.start()
        memory = []
        for _ in range(_SAMPLES):
            time.sleep(arguments.seconds / _SAMPLES)
            memory.append(resident(page.pid))
        for thread in threads:
            thread.join()
        time.sleep(CLEAN)
        left = sum(not (path / sample_path().name).exists() for path in Path(folder).glob("fer-page-*/*"))
        page.terminate()
        page.wait()
    seconds = sorted(tally.seconds)
    print(f"| {arguments.clients} visitors, {arguments.seconds:.0f} s | |\n|---|---|")
    print(f"| answers | {len(seconds):,} |\n| busy | {tally.busy:,} |\n| failures | {len(tally.failures):,} |")
    if seconds:
        slow = seconds[int(0.95 * len(seconds))]
        print(f"| seconds, median | {statistics.median(seconds):.2f} |\n| seconds, 95 % | {slow:.2f} |")
    print(f"| memory over time, MB | {' '.join(f'{m:.0f}' for m in memory)} |\n| left after {CLEAN} s | {left} |")
    for text in sorted(set(tally.failures))[:5]:
        print(f"failure: {text}", file=sys.stderr)


if __name__ == "__main__":
    main()
