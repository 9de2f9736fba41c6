"""The tab that opens finished results: a confusion matrix to click on, confidence, and the faces behind every cell."""

from dataclasses import replace
from typing import Any

import gradio as gr

from apps.asking import LATEST, refused
from apps.explore import PAGE, Cell, Overview, Shelf, faces, matrix, overview
from apps.inline import data_url
from fer.errors import FerError

_NOTHING = """Nothing to open. Results of these commands can be explored; name their folders with `--explore`:

    fer train custom_cnn --data fer2013.zip        # runs/…
    fer report --data fer2013.zip                  # report/
    python apps/gradio_app.py --explore runs report --data fer2013.zip
"""
# One listener for the whole table, which is drawn anew for every result.
_CLICKS = """
element.addEventListener('click', event => {
  const cell = event.target.closest('button.cell');
  if (!cell) return;
  element.querySelectorAll('button.cell').forEach(other => other.setAttribute('aria-pressed', other === cell));
  trigger('select', {label: cell.dataset.label, answer: cell.dataset.answer});
});
"""
_Page = tuple[str, str, Any, Any, Cell]


def build(shelf: Shelf) -> None:
    """Lay out the tab inside the present block, with the results that are on a shelf."""
    if not shelf.folders:
        gr.Markdown(_NOTHING, elem_id="explore-nothing")
        return
    tab = _Tab(shelf)
    cell: gr.State = gr.State(None)
    with gr.Row():
        chosen = gr.Dropdown(shelf.names(), value=None, label="A finished run or report", elem_id="explore-result", scale=4)
        again = gr.Button("Look for new ones", size="sm", elem_id="explore-again", scale=0, min_width=180)
    words = gr.Markdown(elem_id="explore-words")
    with gr.Row():
        with gr.Column(scale=0, elem_id="explore-matrix-column"):
            table = gr.HTML(elem_id="explore-matrix", js_on_load=_CLICKS)
        with gr.Column(min_width=320):
            which = gr.Markdown(elem_id="explore-which")
            maps = gr.Checkbox(visible=False, elem_id="explore-maps")
            shown = gr.HTML(elem_id="explore-faces")
            with gr.Row():
                before = gr.Button("← surer", visible=False, size="sm", elem_id="explore-before")
                after = gr.Button("less sure →", visible=False, size="sm", elem_id="explore-after")
    confidence = gr.HTML(elem_id="explore-confidence")
    page = [which, shown, before, after, cell]
    opened = chosen.select(tab.open, chosen, [words, table, confidence, maps, cell], api_visibility="private", **LATEST)
    opened.success(tab.show, [chosen, cell, maps], page, api_visibility="private", **LATEST)
    table.select(tab.pick, [chosen, maps], page, api_visibility="private", **LATEST)
    maps.change(tab.show, [chosen, cell, maps], page, api_visibility="private", **LATEST)
    before.click(tab.back, [chosen, cell, maps], page, api_visibility="private", **LATEST)
    after.click(tab.on, [chosen, cell, maps], page, api_visibility="private", **LATEST)
    again.click(lambda: gr.Dropdown(shelf.names()), None, chosen, api_visibility="private", **LATEST)


class _Tab:
    """What the tab's parts are given."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def open(self, name: str) -> tuple[str, str, str, Any, Cell]:
        """Words, matrix, histograms, whether there are maps, and the cell that is shown first."""
        found = overview(self._result(name))
        box = gr.Checkbox(visible=bool(found.question), value=False, label=f"Show where the network looks ({found.question})")
        return found.words, matrix(found), _picture(found), box, found.cell

    def pick(self, name: str, maps: bool, event: gr.EventData) -> _Page:
        """The faces of the cell that was clicked."""
        return self.show(name, Cell(str(event.label), str(event.answer)), maps)

    def back(self, name: str, cell: Cell | None, maps: bool) -> _Page:
        """The faces before those that are shown."""
        return self.show(name, cell and replace(cell, first=cell.first - PAGE), maps)

    def on(self, name: str, cell: Cell | None, maps: bool) -> _Page:
        """The faces after those that are shown."""
        return self.show(name, cell and replace(cell, first=cell.first + PAGE), maps)

    def show(self, name: str, cell: Cell | None, maps: bool) -> _Page:
        """The faces of a cell, and which buttons there are to leaf through them."""
        if cell is None:  # a visitor who was away for long
            raise gr.Error("choose the result once more", print_exception=False)
        try:
            found = faces(self._result(name), cell, maps=maps)
        except FerError as error:
            raise refused(error) from error
        more = bool(found.faces) and found.first + PAGE < found.n
        there = replace(cell, first=found.first)  # who leafs too fast stays on the last page
        return found.words, found.faces, gr.Button(visible=found.first > 0), gr.Button(visible=more), there

    def _result(self, name: str) -> Any:
        try:
            return self._shelf.open(name)
        except FerError as error:
            raise refused(error) from error


def _picture(found: Overview) -> str:
    words = "Histograms of confidence, a panel a class: right answers coloured, wrong ones hatched upon them"
    address = data_url(found.histograms, "image/png")
    return f'<img class="paper" src="{address}" alt="{words}">'
