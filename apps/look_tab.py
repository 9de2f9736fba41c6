"""The tab for one picture: upload, snapshot, clipboard or example; verdict, heatmap and reasons for every face."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from analysis.question import DEFAULT_METHOD
from apps.look import SIDE, FaceCard, Wish, look, methods
from fer.emotions import EMOTIONS
from fer.errors import FerError
from fer.samples import sample_path

_ASK = "Upload a picture, take a snapshot, or paste one."


def build(choices: Sequence[tuple[str, str]], first: str) -> None:
    """Lay out the tab inside the present block.

    Args:
        choices: names and values of the checkpoints.
        first: the value that is chosen.
    """
    cards: gr.State = gr.State(())
    with gr.Row():
        with gr.Column():
            picture = gr.Image(
                sources=["upload", "webcam", "clipboard"], type="filepath", label="Picture", height=360,
                elem_id="picture", alt_text="the picture to judge",
            )  # fmt: skip
            picture.preprocess = uploaded_path  # type: ignore[method-assign]
            chosen = gr.Dropdown(list(choices), value=first, label="Checkpoint", elem_id="checkpoint")
            gr.Examples([[str(sample_path())]], [picture], label="Example: Eileen Collins (NASA, public domain)")
        with gr.Column():
            boxed = gr.Image(
                label="Faces", interactive=False, height=360, buttons=["download", "fullscreen"],
                elem_id="boxed", alt_text="the picture with its faces boxed",
            )  # fmt: skip
            note = gr.Markdown(_ASK, elem_id="note")
            download = gr.HTML(elem_id="download", padding=False)
            with gr.Accordion("Ask more: why not sad? By another method?", open=False, elem_id="questions"):
                method, target, against = _questions(first)
                threshold = gr.Slider(0, 1, 0, step=0.05, label="Say “unsure” below this confidence", elem_id="threshold")
    gr.render(inputs=[cards])(_show_cards)
    inputs, outputs = [picture, chosen, method, target, against, threshold], [boxed, note, cards, download]
    # the input event of a list comes twice for a choice
    asked = [picture.change, method.select, target.select, against.select, threshold.release]
    gr.on(asked, _look, inputs, outputs, api_name="look", api_description=_look.__doc__)
    changed = chosen.select(_method_of, [chosen, method], method, api_visibility="private")
    changed.then(_look, inputs, outputs, api_visibility="private")


def _questions(first: str) -> tuple[gr.Dropdown, ...]:
    """Pickers of method, class, and the class that it is set against."""
    method = gr.Dropdown(list(methods(first)), value=DEFAULT_METHOD, label="Method of the heatmap", elem_id="method")
    with gr.Row():
        target = gr.Dropdown([("what it sees", ""), *EMOTIONS], value="", label="Why", elem_id="target")
        against = gr.Dropdown([("anything else", ""), *EMOTIONS], value="", label="and not", elem_id="against")
    return method, target, against


def uploaded_path(payload: ImageData | None) -> str | None:
    """Where an upload lies: Gradio itself would open it, and die on a bad one without a message."""
    return payload.path if payload else None


def _method_of(checkpoint: str, method: str) -> Any:
    """The methods that a checkpoint knows; the one that was chosen stays where it can."""
    try:
        known = methods(checkpoint)
    except FerError as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error
    return gr.Dropdown(list(known), value=method if method in known else DEFAULT_METHOD)


def _look(
    path: str | None,
    checkpoint: str,
    method: str = DEFAULT_METHOD,
    target: str = "",
    against: str = "",
    threshold: float = 0.0,
) -> tuple[Any, str, tuple[FaceCard, ...], str]:
    """Judge and explain every face of a picture: the picture with boxes, a note, and a link that holds all figures as JSON.

    Args:
        path: the picture.
        checkpoint: one of those offered.
        method: of the heatmaps.
        target: class that is explained; empty for what each face is taken for.
        against: class that it is set against; empty for none.
        threshold: confidence below which a face is said to be unsure.
    """
    if not path:
        return None, _ASK, (), ""
    try:
        result = look(path, Wish(checkpoint, method, target, against, threshold))
    except FerError as error:
        # visitors learn nothing of this machine's folders, and a file's name must not act as HTML
        message = html.escape(str(error).replace(path, Path(path).name))
        raise gr.Error(message, print_exception=False) from error
    return result.boxed, result.note, result.cards, _link(result.json)


def _link(text: str) -> str:
    """The figures inside the link itself: nothing is stored for them."""
    data = base64.b64encode(text.encode()).decode()
    return f'<a download="faces.json" href="data:application/json;base64,{data}">Download all figures and maps as JSON</a>'


def _show_cards(cards: Sequence[FaceCard]) -> None:
    for card in cards:
        with gr.Row(elem_classes="face"):
            with gr.Column(scale=0, min_width=SIDE, elem_classes="heatmap-column"):
                gr.ImageSlider(
                    (card.face, card.overlay), show_label=False, height=SIDE, width=SIDE, interactive=False,
                    buttons=["download", "fullscreen"], elem_classes="heatmap",
                )  # fmt: skip
                gr.Markdown(f"face ↔ where the network looks ({card.caption})", elem_classes="caption")
            with gr.Column():
                gr.Markdown(f"**{card.title}**", elem_classes="face-title")
                with gr.Row():
                    gr.Label(card.probabilities, num_top_classes=3, label="Top 3", show_heading=False, elem_classes="top3")
                    if card.regions:
                        gr.Label(
                            card.regions, num_top_classes=3, label="Where it looks", show_heading=False, elem_classes="regions"
                        )
                if not card.regions:
                    gr.Markdown("The heatmap is empty: nothing in this face speaks for the class.", elem_classes="caption")
