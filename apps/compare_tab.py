"""The tab that sets checkpoints and methods side by side."""

import html
from collections.abc import Sequence
from pathlib import Path

import gradio as gr

from analysis.question import DEFAULT_METHOD
from apps.compare import MOST, SHOWN, Comparison, compare
from apps.look import methods
from apps.look_tab import uploaded_path
from fer.errors import FerError
from fer.samples import sample_path

_ASK = "Give a picture: its largest face is judged by every checkpoint that is chosen."
# Methods that are chosen at first: the default, and one that looks at finer layers.
_FIRST = (DEFAULT_METHOD, "layercam")


def build(choices: Sequence[tuple[str, str]], first: str) -> None:
    """Lay out the tab inside the present block.

    Args:
        choices: names and values of the checkpoints.
        first: one that is chosen.
    """
    found: gr.State = gr.State(None)
    known = methods(first)
    with gr.Row():
        with gr.Column(scale=0, min_width=320):
            picture = gr.Image(
                sources=["upload", "webcam", "clipboard"], type="filepath", label="Picture", height=280,
                elem_id="compare-picture", alt_text="the picture to compare on",
            )  # fmt: skip
            picture.preprocess = uploaded_path  # type: ignore[method-assign]
            gr.Examples([[str(sample_path())]], [picture], label="Example: Eileen Collins (NASA, public domain)")
        with gr.Column():
            names = gr.Dropdown(
                list(choices), value=[value for _, value in choices[:2]], multiselect=True, max_choices=MOST,
                label="Checkpoints", elem_id="compare-checkpoints",
            )  # fmt: skip
            asked = gr.Dropdown(
                list(known), value=[name for name in _FIRST if name in known], multiselect=True, max_choices=MOST,
                label="Methods of the heatmaps", elem_id="compare-methods",
            )  # fmt: skip
            button = gr.Button("Compare", variant="primary", elem_id="compare-button")
            note = gr.Markdown(_ASK, elem_id="compare-note")
    gr.render(inputs=[found])(_show)
    gr.on(
        [picture.change, button.click], _compare, [picture, names, asked], [note, found],
        api_name="compare", api_description=_compare.__doc__,
    )  # fmt: skip


def _compare(path: str | None, checkpoints: list[str], methods: list[str]) -> tuple[str, Comparison | None]:
    """Judge the largest face of a picture by several checkpoints.

    Args:
        path: the picture.
        checkpoints: up to six of those offered.
        methods: up to six methods of heatmaps.
    """
    if not path:
        return _ASK, None
    try:
        result = compare(path, checkpoints, methods)
    except FerError as error:
        raise gr.Error(html.escape(str(error).replace(path, Path(path).name)), print_exception=False) from error
    return result.note, result


def _show(result: Comparison | None) -> None:
    for opinion in result.opinions if result else ():
        with gr.Row(elem_classes="opinion"):
            with gr.Column(scale=0, min_width=SHOWN):
                gr.Markdown(f"**{opinion.checkpoint}: {opinion.verdict}**", elem_classes="opinion-title")
                gr.Label(opinion.probabilities, num_top_classes=3, show_label=False, show_heading=False)
            for text, picture in opinion.maps:
                with gr.Column(scale=0, min_width=SHOWN):
                    if picture is not None:
                        gr.Image(
                            picture, label=text, interactive=False, height=SHOWN, width=SHOWN,
                            buttons=["download", "fullscreen"], elem_classes="opinion-map", alt_text=f"heatmap, {text}",
                        )  # fmt: skip
                    else:
                        gr.Markdown(html.escape(text), elem_classes="caption")
