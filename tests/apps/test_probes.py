"""What strangers try on a page that is shared: refused or harmless, and nothing of the machine is told."""

import http.client
import http.server
import io
import itertools
import json
import re
import struct
import threading
import urllib.error
import urllib.parse
import urllib.request
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fer.samples import sample_path
from tests.apps.program import Answer, ask, look, upload
from tests.apps.started import running
from tests.conftest import ROOT

pytestmark = pytest.mark.browser  # the page is started as for the browser's tests


NUMBERS = itertools.count()


def tells_nothing(text):
    """No trace of code, no folder of this machine."""
    return "Traceback" not in text and str(ROOT) not in text and not re.search(r"File \".*\.py\"", text)


FILES = {
    "password file": "/etc/passwd",
    "its own code": str(ROOT / "apps" / "gradio_app.py"),
    "a checkpoint": str(ROOT / "checkpoints" / "fast_cnn.pth"),
    "relative": "../../../../etc/passwd",
    "encoded dots": "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "twice encoded dots": "%252e%252e%252fetc%252fpasswd",
    "null byte": "/etc/passwd%00.png",
    "environment": "/proc/self/environ",
    "home": "~/.ssh/id_rsa",
}


@pytest.mark.parametrize("path", FILES.values(), ids=FILES.keys())
def test_files_of_the_machine_are_not_read(url, path):
    answer = ask(f"{url}gradio_api/file={path}")
    assert answer.status in (400, 403, 404)
    # what was asked for may be said again
    assert "root:" not in answer.text and tells_nothing(answer.text.replace(path, ""))


def test_the_folder_of_uploads_cannot_be_listed(url, uploads):
    upload(url, sample_path().read_bytes())
    (own,) = uploads.glob("fer-page-*/")
    for path in (uploads, f"{uploads}/", own, f"{own}/"):
        answer = ask(f"{url}gradio_api/file={path}")
        assert answer.status in (400, 403, 404)
        text = answer.text.replace(str(path), "")
        assert not any(child.name in text for folder in (uploads, own) for child in folder.iterdir())


MARKS = {
    "marked as uploaded": {"meta": {"_type": "gradio.FileData"}},
    "not marked": {},
    "empty mark": {"meta": {}},
    "other mark": {"meta": {"_type": "gradio.Other"}},
    "with an address": {"url": "data:image/png;base64,"},
    "as a stream": {"is_stream": True},
}
WAYS = {
    "look": ("call", "look", ["gradcam", "", ""]),
    "compare": ("call", "compare", [["gradcam"]]),
    "the page's own look": ("queue", "picture", ["gradcam", "", "", 0.5]),
    "the page's own comparison": ("queue", "compare-picture", [["gradcam"]]),
}


def told_of(url, way, picture, checkpoint):
    """All that the page says to a question about a file, however it is asked."""
    how, name, more = WAYS[way]
    data = [picture, [checkpoint] if "compar" in way else checkpoint, *more]
    kind = {"Content-Type": "application/json"}
    if how == "call":
        answer = ask(f"{url}gradio_api/call/{name}", json.dumps({"data": data}).encode(), kind)
        if answer.status != 200:
            return answer.text
        return ask(f"{url}gradio_api/call/{name}/{json.loads(answer.text)['event_id']}").text
    page, session = json.loads(ask(f"{url}config").text), f"probe{next(NUMBERS)}"
    (component,) = (one["id"] for one in page["components"] if one["props"].get("elem_id") == name)
    question = next(one for one in page["dependencies"] if one["inputs"][:1] == [component] and len(one["inputs"]) == len(data))
    asked = {"data": data, "fn_index": question["id"], "session_hash": session, "trigger_id": component, "event_data": None}
    answer = ask(f"{url}gradio_api/queue/join", json.dumps(asked).encode(), kind)
    return answer.text if answer.status != 200 else ask(f"{url}gradio_api/queue/data?session_hash={session}").text


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS.keys())
@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_was_not_uploaded_is_not_judged_however_it_is_named(url, uploads, checkpoint, tmp_path, way, mark):
    """Gradio looks where a file lies only where the question marks it as one (6.31)."""
    (tmp_path / "secret.jpg").write_bytes(sample_path().read_bytes())
    before = set(uploads.rglob("*"))
    there = told_of(url, way, {"path": str(tmp_path / "secret.jpg")} | mark, checkpoint.stem)
    nowhere = told_of(url, way, {"path": str(tmp_path / "nowhere.jpg")} | mark, checkpoint.stem)
    assert tells_nothing(there)
    for answer in ("angry", "base64,/9j/", "probabilities"):
        assert answer not in there
    hidden = re.compile(r"secret|nowhere|[0-9a-f]{8,}|\d+\.\d+")
    assert hidden.sub("", there) == hidden.sub("", nowhere)  # nor whether it is there
    assert set(uploads.rglob("*")) == before


@pytest.mark.parametrize("way", ["look", "compare", "the page's own look", "the page's own comparison"])
def test_the_same_questions_about_an_upload_are_answered(url, checkpoint, way):
    path = upload(url, sample_path().read_bytes())
    assert "1 face found" in told_of(url, way, {"path": path, "meta": {"_type": "gradio.FileData"}}, checkpoint.stem)


def test_a_picture_that_was_deleted_is_said_to_be(url, checkpoint):
    path = upload(url, sample_path().read_bytes())
    Path(path).unlink()
    assert "pictures are deleted after a minute, this one, too: give it again" in look(url, path, checkpoint.stem).text


def test_an_address_instead_of_a_file_is_not_fetched(url, checkpoint):
    """Not even one of this machine: a server that is asked would count it."""
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for address in ("http://169.254.169.254/latest/meta-data/", f"http://127.0.0.1:{server.server_port}/face.jpg"):
        answer = look(url, address, checkpoint.stem)
        assert "upload the picture itself, not an address or a path" in answer.text
    server.shutdown()
    server.server_close()
    assert asked == []


def test_too_large_an_upload_is_refused(url):
    answer = upload(url, bytes(50_000_000))
    assert isinstance(answer, Answer)
    assert answer.status in (413, 400)


def bomb(side=16_000):
    """A PNG of 256 megapixels in a few hundred kilobytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, rows = zlib.compressobj(9), io.BytesIO()
    for _ in range(side):
        rows.write(packer.compress(bytes(side + 1)))
    rows.write(packer.flush())
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows.getvalue()) + chunk(b"IEND", b"")


BAD = {
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "a.svg", "image/svg+xml"),
    "html": (b"<html><script>alert(1)</script></html>", "a.html", "text/html"),
    "html as jpeg": (b"<html><script>alert(1)</script></html>", "a.jpg", "image/jpeg"),
    "empty": (b"", "a.jpg", "image/jpeg"),
    "random": (bytes(range(256)) * 40, "a.png", "image/png"),
    "cut": (sample_path().read_bytes()[:4000], "a.jpg", "image/jpeg"),
    "256 megapixels": (bomb(), "a.png", "image/png"),
    "zip": (b"PK\x03\x04" + bytes(1000), "a.zip", "application/zip"),
    "name with a path": (sample_path().read_bytes()[:100], "../../a.jpg", "image/jpeg"),
    "name with html": (b"no picture", "<img src=x onerror=alert(1)>.jpg", "image/jpeg"),
}


@pytest.mark.parametrize(("data", "name", "kind"), BAD.values(), ids=BAD.keys())
def test_what_is_no_picture_is_an_error_of_one_line(url, uploads, checkpoint, data, name, kind):
    path = upload(url, data, name, kind)
    if isinstance(path, Answer):
        assert path.status in (400, 413, 422) and tells_nothing(path.text)
        return
    assert path.startswith(str(uploads))
    answer = look(url, path, checkpoint.stem)
    assert "event: error" in answer.text
    assert tells_nothing(answer.text) and "<img" not in answer.text


@pytest.mark.parametrize("name", ["a.svg", "a.html"])
def test_an_upload_is_not_served_as_a_page(url, name):
    """Else a link to it would run a stranger's script under this page's address."""
    path = upload(url, BAD[name.split(".")[1]][0], name, "text/html")
    answer = ask(f"{url}gradio_api/file={urllib.parse.quote(path)}")
    disposition = {key.lower(): value for key, value in answer.headers.items()}.get("content-disposition", "")
    assert answer.status != 200 or "attachment" in disposition


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
def test_other_pages_may_not_ask_in_a_visitors_name(url, origin):
    answer = ask(f"{url}gradio_api/info", headers={"Origin": origin})
    assert answer.headers.get("access-control-allow-origin", "") not in ("*", origin)


QUESTIONS = {
    "checkpoint of the machine": ("/etc/passwd", "gradcam", "", ""),
    "unknown method": (None, "rm -rf", "", ""),
    "unknown class": (None, "gradcam", "<script>", ""),
    "class that is a number": (None, "gradcam", 7, ""),
    "class that is a list": (None, "gradcam", ["happy"], {"path": "/etc/passwd"}),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_questions_that_are_not_offered_are_refused(url, checkpoint, question):
    path = upload(url, sample_path().read_bytes())
    chosen, *more = question
    answer = look(url, path, chosen or checkpoint.stem, *more)
    assert "event: complete" not in answer.text
    assert tells_nothing(answer.text) and "root:" not in answer.text


CLOSED = ("monitoring", "gradio_api/monitoring", "docs", "redoc")


@pytest.mark.parametrize(
    ("path", "status"), [*((path, 404) for path in CLOSED), ("gradio_api/startup-events", 200), ("openapi.json", 200)]
)
def test_nothing_is_told_of_visitors_or_of_the_machine(url, path, status):
    answer = ask(f"{url}{path}")
    assert answer.status == status
    assert tells_nothing(answer.text)


@pytest.mark.parametrize(
    "path", ["nothing", "gradio_api/call/nothing", "gradio_api/call/look/nothing", "gradio_api/queue/join"]
)
def test_what_is_not_there_tells_nothing(url, path):
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert tells_nothing(ask(f"{url}{path}", b"{}" if method in ("POST", "PUT") else None, method=method).text)


def test_more_questions_than_may_wait_are_turned_away_and_the_others_answered(tmp_path, checkpoint):
    with running(tmp_path, "--checkpoint", str(checkpoint), "--limit", "0") as (url, _):
        picture = {"path": upload(url, sample_path().read_bytes()), "meta": {"_type": "gradio.FileData"}}
        asked = json.dumps({"data": [picture, checkpoint.stem, "occlusion", "", ""]}).encode()
        with ThreadPoolExecutor(50) as visitors:
            kind = {"Content-Type": "application/json"}
            answers = list(visitors.map(lambda _: ask(f"{url}gradio_api/call/look", asked, kind), range(50)))
        assert {answer.status for answer in answers} == {200, 503}
        assert all("Queue is full" in answer.text for answer in answers if answer.status == 503)
        taken = [json.loads(answer.text)["event_id"] for answer in answers if answer.status == 200]
        assert 32 <= len(taken) < 50
        assert "event: complete" in ask(f"{url}gradio_api/call/look/{taken[0]}").text


def test_the_page_goes_on_after_all_of_this(url, checkpoint):
    path = upload(url, sample_path().read_bytes())
    assert "event: complete" in look(url, path, checkpoint.stem).text


def test_the_page_names_no_folder_of_this_machine(url, checkpoint):
    for path in ("config", "gradio_api/info", ""):
        text = ask(f"{url}{path}").text
        assert str(checkpoint.parent) not in text and str(ROOT) not in text


def test_what_the_page_asks_itself_is_not_offered_to_programs(url, checkpoint):
    """Not even with all that it needs; the same is answered for the page (see above)."""
    names = {one["api_name"] for one in json.loads(ask(f"{url}config").text)["dependencies"]} - {"look", "compare", False}
    assert "_look" in names and "_see" in names
    picture = {"path": upload(url, sample_path().read_bytes()), "meta": {"_type": "gradio.FileData"}}
    asked = json.dumps({"data": [picture, checkpoint.stem, "gradcam", "", "", 0.5]}).encode()
    for name in names:
        for way in ("call", "call/v2", "run", "api"):
            answer = ask(f"{url}gradio_api/{way}/{name}", asked, {"Content-Type": "application/json"})
            assert answer.status == 404, (way, name)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "gradio_api/deep_link?session_hash=abc"),
        ("POST", "gradio_api/process_recording"),
        ("POST", "gradio_api/vibe-edit"),
    ],
)
def test_nothing_is_written_by_ways_that_the_page_does_not_use(url, uploads, method, path):
    before = set(uploads.rglob("*"))
    answer = ask(f"{url}{path}", b"x" * 1000 if method == "POST" else None, method=method)
    assert answer.status == 404
    assert set(uploads.rglob("*")) == before


@pytest.mark.parametrize(
    "path", ["gradio_api/upload", "gradio_api/queue/join", "gradio_api/stream/abc", "gradio_api/cancel", "login"]
)
def test_no_request_may_be_larger_than_an_upload(url, path):
    """Refused from its head, before anything is kept."""
    host, port = urllib.parse.urlsplit(url).netloc.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.putrequest("POST", f"/{path}")
    connection.putheader("Content-Length", "100000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_an_upload_just_over_the_bound_is_refused_and_one_below_it_is_not(url):
    refused, taken = upload(url, bytes(5_300_000)), upload(url, bytes(4_900_000))
    assert isinstance(refused, Answer) and refused.status == 413
    assert isinstance(taken, str)
