"""How often one address may ask: the page stays free for others."""

import ipaddress
import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

#: Questions of a minute that one address may go on asking, unless told otherwise; a picture in the page takes two.
A_MINUTE = 120
# So many of a minute's may come at once.
_AT_ONCE = 0.5
# Addresses that are remembered; those that have waited long enough are forgotten first.
_MOST = 10_000
_ASKING = ("/upload", "/queue/join", "/call/", "/run/", "/login")


@dataclass
class _Account:
    left: float
    since: float


class Budget:
    """A token bucket an address: it fills steadily, every question takes one.

    Args:
        a_minute: questions a minute in the long run; half of them may come at once.
        clock: seconds that only grow.
    """

    def __init__(self, a_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._full, self._clock = a_minute / 60, max(1.0, _AT_ONCE * a_minute), clock
        self._accounts: dict[str, _Account] = {}
        self._lock = threading.Lock()

    def wait(self, address: str) -> float:
        """Seconds that an address has to wait before it may ask; 0 where it may now, which is then taken from its budget."""
        with self._lock:
            now = self._clock()
            if address not in self._accounts and len(self._accounts) >= _MOST:
                self._forget(now)
            account = self._accounts.setdefault(address, _Account(self._full, now))
            account.left, account.since = min(self._full, account.left + self._rate * (now - account.since)), now
            if account.left < 1:
                return (1 - account.left) / self._rate
            account.left -= 1
            return 0.0

    def _forget(self, now: float) -> None:
        """Those whose budget is full again; failing that, all."""
        waiting = {a: one for a, one in self._accounts.items() if one.left + self._rate * (now - one.since) < self._full}
        self._accounts = waiting if len(waiting) < _MOST else {}


class RateLimit:
    """Refuses (HTTP 429) the questions and uploads of an address whose budget is used up; pages and answers are free.

    Behind a proxy on this machine, as a shared link is, the address is that which the proxy names.
    """

    def __init__(self, app: ASGIApp, budget: Budget) -> None:
        self._app, self._budget = app, budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say how long to wait."""
        seconds = self._budget.wait(_address(scope)) if _asks(scope) else 0.0
        if not seconds:
            await self._app(scope, receive, send)
            return
        wait = math.ceil(seconds)
        body = json.dumps({"detail": f"too many questions at once; wait {wait} s and ask again"}).encode()
        headers = [(b"content-type", b"application/json"), (b"retry-after", str(wait).encode())]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _asks(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and any(part in scope["path"] for part in _ASKING)


def _address(scope: Scope) -> str:
    """The asker's address; of the sixth version its first half, since a visitor has all of the other."""
    client = scope.get("client")
    address = str(client[0]) if client else ""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{found}/64", strict=False)) if found.version == 6 else address
