"""How the page's events wait for one another."""

from typing import Any

#: Everything that computes shares two places, the camera apart.
ASKING = "asking"
#: For an event whose last wish counts: one that comes while another is answered is asked afterwards, none is dropped.
LATEST: dict[str, Any] = {"trigger_mode": "always_last", "concurrency_id": ASKING, "concurrency_limit": 2}
