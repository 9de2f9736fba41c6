"""Visitors' files are gone within a minute, under load as well."""

import contextlib
import threading

import gradio as gr
from gradio.route_utils import delete_files_created_by_app

#: How often old files are looked for, and how old they may get, in seconds.
EVERY, AGE = 10.0, 45


def keep_clean(demo: gr.Blocks, every: float = EVERY, age: int = AGE) -> threading.Event:
    """Delete old files of a page for as long as it runs; set the event to end that.

    Gradio's own task (``delete_cache``) goes through sets to which visitors add meanwhile: the first time that happens it
    ends for good (Gradio 6.31). Here the next round comes.
    """
    ended = threading.Event()

    def clean() -> None:
        while not ended.wait(every):
            with contextlib.suppress(RuntimeError):  # a set changed while it was gone through
                delete_files_created_by_app(demo, age)

    threading.Thread(target=clean, name="cleaning", daemon=True).start()
    return ended
