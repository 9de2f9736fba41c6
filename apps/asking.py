"""What the page's tabs have in common: how their questions wait for one another, and how what cannot be done is said."""

import html
from pathlib import Path
from typing import Any

import gradio as gr

from fer.errors import FerError

#: Everything that computes shares two places, the camera apart.
SHARED: dict[str, Any] = {"concurrency_id": "asking", "concurrency_limit": 2}
#: For an event whose last wish counts: one that comes while another is answered is asked afterwards, none is dropped.
LATEST: dict[str, Any] = SHARED | {"trigger_mode": "always_last"}


def in_words(error: FerError, path: str = "") -> str:
    """What cannot be done, for a visitor: it names no folder of this machine, and a file's name must not act as HTML."""
    return html.escape(str(error).replace(path, Path(path).name) if path else str(error), quote=False)


def refused(error: FerError, path: str = "") -> gr.Error:
    """The same as a message over the page."""
    return gr.Error(in_words(error, path), print_exception=False)
