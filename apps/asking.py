"""How the page's events wait for one another."""

from typing import Any

#: Everything that computes shares two places, the camera apart.
SHARED: dict[str, Any] = {"concurrency_id": "asking", "concurrency_limit": 2}
#: For an event whose last wish counts: one that comes while another is answered is asked afterwards, none is dropped.
LATEST: dict[str, Any] = SHARED | {"trigger_mode": "always_last"}
