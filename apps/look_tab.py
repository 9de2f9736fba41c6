"""The tab for one picture: upload, snapshot, clipboard or example; verdict and heatmap of every face."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from apps.look import SIDE, FaceCard, look
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
            # Gradio would open the file before our decoder does, and die on a bad one without a message
            picture.preprocess = _uploaded_path  # type: ignore[method-assign]
            chosen = gr.Dropdown(list(choices), value=first, label="Checkpoint", elem_id="checkpoint")
            gr.Examples([[str(sample_path())]], [picture], label="Example: Eileen Collins (NASA, public domain)")
        with gr.Column():
            boxed = gr.Image(
                label="Faces", interactive=False, height=360, buttons=["download", "fullscreen"],
                elem_id="boxed", alt_text="the picture with its faces boxed",
            )  # fmt: skip
            note = gr.Markdown(_ASK, elem_id="note")
    gr.render(inputs=[cards])(_show_cards)
    gr.on([picture.change, chosen.change], _look, [picture, chosen], [boxed, note, cards], api_name="look")


def _uploaded_path(payload: ImageData | None) -> str | None:
    return payload.path if payload else None


def _look(path: str | None, checkpoint: str) -> tuple[Any, str, tuple[FaceCard, ...]]:
    if not path:
        return None, _ASK, ()
    try:
        result = look(path, checkpoint)
    except FerError as error:
        # visitors learn nothing of this machine's folders, and a file's name must not act as HTML
        message = html.escape(str(error).replace(path, Path(path).name))
        raise gr.Error(message, print_exception=False) from error
    return result.boxed, result.note, result.cards


def _show_cards(cards: Sequence[FaceCard]) -> None:
    for card in cards:
        with gr.Row(elem_classes="face"):
            with gr.Column(scale=0, min_width=SIDE, elem_classes="heatmap-column"):
                gr.ImageSlider(
                    (card.face, card.overlay), show_label=False, height=SIDE, width=SIDE, interactive=False,
                    buttons=["download", "fullscreen"], elem_classes="heatmap",
                )  # fmt: skip
                gr.Markdown("face ↔ where the network looks", elem_classes="caption")
            with gr.Column():
                gr.Markdown(f"**{card.title}**", elem_classes="face-title")
                gr.Label(card.probabilities, num_top_classes=3, label="Top 3", show_heading=False, elem_classes="top3")
