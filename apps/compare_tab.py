"""The tab that sets checkpoints and methods side by side."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from analysis.question import DEFAULT_METHOD
from apps.asking import LATEST, SHARED, refused
from apps.cards import SCRIPT, comparison
from apps.compare import MOST, Comparison, compare
from apps.inline import uploaded
from apps.look import methods
from fer.errors import FerError
from fer.samples import sample_path

_ASK = "Give a picture: its largest face is judged by every checkpoint that is chosen."
# Methods that are chosen at first: the default, and one that looks at finer layers.
_FIRST = (DEFAULT_METHOD, "layercam")


def build(choices: Sequence[str]) -> None:
    """Lay out the tab inside the present block, with the names of checkpoints to choose from; the first two are chosen."""
    known = methods(*choices)
    with gr.Row():
        with gr.Column(scale=0, min_width=320):
            picture = uploaded(gr.Image(
                sources=["upload", "webcam", "clipboard"], type="filepath", label="Picture", height=280,
                elem_id="compare-picture", alt_text="the picture to compare on",
            ))  # fmt: skip
            gr.Examples([[str(sample_path())]], [picture], label="Example: Eileen Collins (NASA, public domain)")
        with gr.Column():
            names = gr.Dropdown(
                list(choices), value=list(choices[:2]), multiselect=True, max_choices=MOST,
                label="Checkpoints", elem_id="compare-checkpoints",
            )  # fmt: skip
            asked = gr.Dropdown(
                list(known), value=[name for name in _FIRST if name in known], multiselect=True, max_choices=MOST,
                label="Methods of the heatmaps", elem_id="compare-methods",
            )  # fmt: skip
            button = gr.Button("Compare", variant="primary", elem_id="compare-button")
            note = gr.Markdown(_ASK, elem_id="compare-note")
    found = gr.HTML(js_on_load=SCRIPT, elem_id="opinions")
    gr.on(
        [picture.change, button.click], _compare, [picture, names, asked], [note, found], api_visibility="private", **LATEST,
    )  # fmt: skip
    answer = gr.JSON(visible=False, label="answer")
    gr.Button(visible=False).click(
        _tell, [picture, names, asked], answer, api_name="compare", api_description=_tell.__doc__, **SHARED
    )


def _compare(path: str | None, checkpoints: list[str], methods: list[str]) -> tuple[str, str]:
    """A note, and the opinions."""
    result = _asked(path, checkpoints, methods)
    return (result.note, comparison(result)) if result else (_ASK, "")


def _tell(picture: str | None, checkpoints: list[str], methods: list[str]) -> dict[str, Any]:
    """Judge the largest face of a picture by several checkpoints.

    Returns note, box, and of every checkpoint its label, confidence, probabilities and maps, or why it has none.

    Args:
        picture: the picture.
        checkpoints: up to six of those offered.
        methods: up to six methods of heatmaps.
    """
    result = _asked(picture, checkpoints, methods)
    if result is None:
        raise gr.Error("no picture; give one", print_exception=False)
    return result.to_dict()


def _asked(path: str | None, checkpoints: list[str], methods: list[str]) -> Comparison | None:
    if not path:
        return None
    try:
        return compare(path, checkpoints, methods)
    except FerError as error:
        raise refused(error, path) from error
