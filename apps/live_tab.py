"""The tab for a camera: frames stream in, pictures with boxed faces stream back; no frame touches the disk."""

import base64
import binascii
from collections.abc import Sequence

import gradio as gr
from gradio.data_classes import ImageData

from apps.inline import data_url, uploaded
from apps.live import Visit
from fer.errors import FerError
from fer.video.recogniser import SMOOTHING

# Seconds between frames, for which a stream may run, and after which a visitor who has gone is forgotten.
_EVERY, _LIMIT, _FORGET = 0.08, 120, 300
_WAITING = "Start the camera: every face gets a number, and its expression a share of the last moments."


def build(choices: Sequence[str]) -> None:
    """Lay out the tab inside the present block, with the names of models to choose from; the first is chosen."""
    visit: gr.State = gr.State(None, time_to_live=_FORGET)
    with gr.Row():
        with gr.Column():
            camera = gr.Image(
                sources=["webcam"], streaming=True, label="Camera", height=360, elem_id="camera", alt_text="your camera",
                webcam_options=gr.WebcamOptions(mirror=False, constraints={"video": {"width": 640, "height": 480}}),
            )  # fmt: skip
            uploaded(camera).preprocess = _frame  # type: ignore[method-assign,assignment]
            chosen = gr.Dropdown(list(choices), value=choices[0], label="Model", elem_id="live-model")
            maps = gr.Checkbox(label="Show where the network looks", elem_id="live-maps")
        with gr.Column():
            screen = gr.HTML(_page(None), elem_id="live")
            note = gr.Markdown(_WAITING, elem_id="live-note")
            gr.Markdown(
                f"Shown are averages over time with a time constant of {SMOOTHING} seconds. A stream ends after two minutes; "
                "start it again to go on. Frames are judged in memory and never stored.",
                elem_classes="caption",
            )
    camera.stream(
        _see, [camera, chosen, maps, visit], [screen, note, visit], stream_every=_EVERY, time_limit=_LIMIT,
        concurrency_limit=2, show_progress="hidden", api_visibility="private",
    )  # fmt: skip


def _frame(payload: ImageData | None) -> bytes | None:
    """The bytes of a frame, which come in the message itself: Gradio would write each to disk."""
    if payload is None or not payload.url or not payload.url.startswith("data:image/"):
        return None
    try:
        return base64.b64decode(payload.url.partition(",")[2], validate=True)
    except binascii.Error:
        return b""


def _see(frame: bytes | None, model: str, maps: bool, visit: Visit | None) -> tuple[str, str, Visit | None]:
    if frame is None:
        return _page(None), _WAITING, visit
    visit = visit or Visit()
    try:
        update = visit.see(frame, model, maps=maps)
    except FerError as error:
        return _page(None), str(error), visit
    return _page(update.jpeg), update.note, visit


def _page(jpeg: bytes | None) -> str:
    if jpeg is None:
        return '<div class="screen"></div>'
    return f'<div class="screen"><img alt="your camera with numbered faces" src="{data_url(jpeg)}"></div>'
