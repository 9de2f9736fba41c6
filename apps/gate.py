"""Which requests come through to Gradio, and how large they may be: it offers more than this page needs."""

import re
from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes of a request; the largest is an upload with its form.
LARGEST = 6_000_000
# Of the endpoints only those for programs. Not open: recording, deep links and edits, which write files of their own, and what
# only other pages need.
_OPEN = re.compile(
    r"(/gradio_api)?/(|config|info|openapi\.json|theme\.css|favicon\.ico|manifest\.json|robots\.txt|app_id|startup-events"
    r"|login|logout|login_check|token|user|upload|upload_progress|queue/(join|data|status)|reset|cancel"
    r"|run/predict|(assets|static|svelte)/.+|heartbeat/[^/]+|file=.+|call/(v2/)?(look|compare)(/[^/]+)?|stream/[^/]+(/close)?)/?"
)


class Gate:
    """Answers 404 to what the page does not need, 413 to what is too large, 400 to a foreign name, before any is read.

    Args:
        app: what is behind it.
        names: that the page answers to, empty for any. Else another site could, by a name of its own that comes to stand for
            this machine (DNS rebinding), ask an unguarded page from within its visitors' browsers.
    """

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "http":
            if self._names and _name(scope) not in self._names:
                await _answer(send, 400, b"this page answers on its own machine only, unless it is started with --public")
                return
            if not _OPEN.fullmatch(scope["path"]):
                await _answer(send, 404, b"not found")
                return
            if _announced(scope) > LARGEST:
                await _answer(send, 413, b"too large")
                return
        await self._app(scope, _counted(receive), send)


def _name(scope: Scope) -> str:
    """What a request calls this machine, without the port."""
    host = next((value for name, value in scope["headers"] if name.lower() == b"host"), b"").decode("latin-1").lower()
    return re.sub(r":\d*$", "", host).strip("[]")


def _announced(scope: Scope) -> int:
    """The length that a request names, 0 where it names none."""
    length = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"0")
    return int(length) if length.isdigit() and len(length) < 19 else LARGEST + 1


def _counted(receive: Receive) -> Receive:
    """The same messages, until there are too many bytes in them: a request need not name its length."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > LARGEST:
            raise HTTPException(413, "too large")
        return message

    return counted


async def _answer(send: Send, status: int, text: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text})
