"""What a program asks of a running page, and what it is answered."""

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass

#: Also what a page that hangs up on too much is taken to have answered.
REFUSED = 413


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]


def ask(address, data=None, headers=None, method=None):
    request = urllib.request.Request(address, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return Answer(answer.status, read(answer), dict(answer.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, read(error), dict(error.headers))
    except (ConnectionError, urllib.error.URLError) as error:
        hung_up = (BrokenPipeError, ConnectionResetError)  # as the page does on what is too large; a dead one refuses
        if not data or not isinstance(getattr(error, "reason", error), hung_up):
            raise
        return Answer(REFUSED, str(error), {})


def read(answer):
    try:
        return answer.read().decode(errors="replace")
    except http.client.IncompleteRead as error:  # an event stream that the page ended
        return error.partial.decode(errors="replace")


def upload(url, data, name="face.jpg", kind="image/jpeg"):
    """Path of an uploaded file as the page gives it, or the refusal."""
    head = f'--probe\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    body = head.encode() + data + b"\r\n--probe--\r\n"
    answer = ask(f"{url}gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=probe"})
    return json.loads(answer.text)[0] if answer.status == 200 else answer


def look(url, path, checkpoint, *more):
    """The event stream of a question about an uploaded file."""
    asked = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, checkpoint, *(more or ("gradcam", "", ""))]}
    answer = ask(f"{url}gradio_api/call/look", json.dumps(asked).encode(), {"Content-Type": "application/json"})
    if answer.status != 200:
        return answer
    return ask(f"{url}gradio_api/call/look/{json.loads(answer.text)['event_id']}")
