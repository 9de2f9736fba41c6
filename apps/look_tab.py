"""The tab for one picture: upload, snapshot, clipboard or example; verdict, heatmap and reasons for every face."""

import json
from collections.abc import Sequence
from typing import Any

import gradio as gr

from analysis.question import DEFAULT_METHOD
from apps.asking import LATEST, SHARED, in_words, refused
from apps.cards import SCRIPT, face_cards
from apps.inline import data_url, shown, uploaded
from apps.look import UNSURE, Look, Wish, look, methods
from fer.emotions import EMOTIONS
from fer.errors import FerError
from fer.samples import sample_path

_ASK = "Upload a picture, take a snapshot, or paste one."


def build(choices: Sequence[str]) -> None:
    """Lay out the tab inside the present block, with the names of checkpoints to choose from; the first is chosen."""
    with gr.Row():
        with gr.Column():
            picture = uploaded(gr.Image(
                sources=["upload", "webcam", "clipboard"], type="filepath", label="Picture", height=360,
                elem_id="picture", alt_text="the picture to judge",
            ))  # fmt: skip
            chosen = gr.Dropdown(list(choices), value=choices[0], label="Checkpoint", elem_id="checkpoint")
            gr.Examples([[str(sample_path())]], [picture], label="Example: Eileen Collins (NASA, public domain)")
        with gr.Column():
            boxed = shown(gr.Image(
                label="Faces", interactive=False, height=360, buttons=["download", "fullscreen"],
                elem_id="boxed", alt_text="the picture with its faces boxed",
            ))  # fmt: skip
            note = gr.Markdown(_ASK, elem_id="note")
            download = gr.HTML(elem_id="download", padding=False)
            with gr.Accordion("Ask more: why not sad? By another method?", open=False, elem_id="questions"):
                method, target, against = _questions(choices)
                threshold = gr.Slider(0, 1, UNSURE, step=0.05, label="Say “unsure” below this confidence", elem_id="threshold")
    cards = gr.HTML(js_on_load=SCRIPT, elem_id="cards")
    inputs, outputs = [picture, chosen, method, target, against, threshold], [boxed, note, cards, download, method]
    # the input event of a list comes twice for a choice; one listener for all, so that no older answer follows a newer one
    asked = [picture.change, chosen.select, method.select, target.select, against.select, threshold.change]
    gr.on(asked, _look, inputs, outputs, api_visibility="private", **LATEST)
    # what programs get: the same figures, without pictures
    answer = gr.JSON(visible=False, label="answer")
    gr.Button(visible=False).click(_tell, inputs[:-1], answer, api_name="look", api_description=_tell.__doc__, **SHARED)


def _questions(choices: Sequence[str]) -> tuple[gr.Dropdown, ...]:
    """Pickers of method, class, and the class that it is set against."""
    method = gr.Dropdown(list(methods(*choices)), value=DEFAULT_METHOD, label="Method of the heatmap", elem_id="method")
    with gr.Row():
        target = gr.Dropdown([("what it sees", ""), *EMOTIONS], value="", label="Why", elem_id="target")
        against = gr.Dropdown([("anything else", ""), *EMOTIONS], value="", label="and not", elem_id="against")
    return method, target, against


def _look(path: str | None, checkpoint: str, method: str, *wish: Any) -> tuple[bytes | None, str, str, str, Any]:
    """Picture with boxes, note, cards, a link that holds all figures, and the methods that the checkpoint knows."""
    picker: Any = gr.skip()
    try:
        known = methods(checkpoint)
        if method not in known:
            method = DEFAULT_METHOD
            picker = gr.Dropdown(list(known), value=method)
        else:  # without a value: the visitor may have chosen anew meanwhile
            picker = gr.Dropdown(list(known))
        result = _asked(path, checkpoint, method, *wish)
    except FerError as error:  # what was seen before answered another question
        return None, in_words(error, path or ""), "", "", picker
    if result is None:
        return None, _ASK, "", "", picker
    return result.boxed, result.note, face_cards(result.cards), _link(result.told), picker


def _tell(
    picture: str | None, checkpoint: str, method: str = DEFAULT_METHOD, target: str = "", against: str = ""
) -> dict[str, Any]:
    """Judge and explain every face of a picture.

    Returns checkpoint, weights_sha256, note, and of every face its box, label, confidence, probabilities and heatmap, as
    ``fer explain`` writes them.

    Args:
        picture: the picture.
        checkpoint: one of those offered.
        method: of the heatmaps.
        target: class that is explained; empty for what each face is taken for.
        against: class that it is set against; empty for none.
    """
    try:
        result = _asked(picture, checkpoint, method, target, against)
    except FerError as error:
        raise refused(error, picture or "") from error
    if result is None:
        raise gr.Error("no picture; give one", print_exception=False)
    return result.told


def _asked(path: str | None, *wish: Any) -> Look | None:
    """The answer to a wish; None without a picture."""
    return look(path, Wish(*wish)) if path else None


def _link(told: dict[str, Any]) -> str:
    """The figures inside the link itself: nothing is stored for them."""
    address = data_url(json.dumps(told, indent=1).encode(), "application/json")
    return f'<a download="faces.json" href="{address}">Download all figures and maps as JSON</a>'
