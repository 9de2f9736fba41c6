"""How the page looks, by day and by night, and what it says to those who do not see it."""

import gradio as gr

#: Rules beside those of the theme.
CSS = """
.gradio-container {max-width: min(1180px, 100vw) !important; margin: auto; overflow-x: clip}
#notice, .caption {font-size: 0.9em; opacity: 0.85}
.face-title {font-size: 1.3em}
.screen {aspect-ratio: 4 / 3; background: #8883; border-radius: 8px; overflow: hidden}
.screen img {width: 100%; display: block}
#live-note .wrap, #live .wrap {display: none}
.matrix-scroll {overflow-x: auto}
.matrix {border-collapse: collapse; border: none !important; width: auto !important; font-size: 12px; margin: 0 !important}
.matrix caption {caption-side: top; text-align: left; padding-bottom: 6px; opacity: 0.85}
.matrix tr {border: none !important}
.matrix th, .matrix td {border: none !important; padding: 1px !important; font-weight: normal !important; text-align: center}
.matrix tbody th {text-align: right; padding-right: 6px !important}
.matrix .cell {width: 52px; height: 44px; padding: 0; text-align: center; border-radius: 4px;
  border: 2px solid transparent; cursor: pointer; line-height: 1.25; font-size: 13px; color: inherit;
  background: color-mix(in srgb, #2171b5 calc(var(--share) * 100%), #8881)}
.matrix .cell.strong, .matrix .cell.strong small {color: white}
.matrix .cell small {display: block; font-size: 11px; opacity: 0.8}
.matrix .cell:hover, .matrix .cell:focus-visible, .matrix .cell[aria-pressed=true] {border-color: #f97316; outline: none}
#explore-confidence {overflow-x: auto}
.paper {background: white; border-radius: 8px; width: 100%}
.faces {display: flex; flex-wrap: wrap; gap: 8px; list-style: none !important; padding: 0 !important; margin: 0}
@media (max-width: 600px) {
  .matrix {font-size: 9px}
  .matrix .cell {width: 33px; font-size: 11px}
  .matrix tbody th {padding-right: 3px !important}
  #explore-confidence img {min-width: 760px}
}
#explore-matrix-column {min-width: min(470px, 100%) !important}
#about th, #about td {overflow-wrap: normal; word-break: normal; padding: 4px 8px}
.faces figure {margin: 0; width: 80px}
.faces img {border-radius: 4px; display: block; margin: 0 !important}
.faces figcaption {font-size: 0.75em; display: flex; gap: 6px; justify-content: space-between}
.faces figcaption span {overflow: hidden; text-overflow: ellipsis; white-space: nowrap; opacity: 0.7}
"""

#: Gives words to the pictures that Gradio leaves without, whenever they appear.
WORDS = """
() => {
  const words = ['the face', 'the same face with the heatmap over it'];
  const give = () => {
    document.querySelectorAll('.heatmap').forEach(slider =>
      slider.querySelectorAll('img').forEach((image, place) => { if (!image.alt) image.alt = words[place % 2]; }));
    document.querySelectorAll('.gallery-item img[alt=""]').forEach(image => image.alt = 'the example: Eileen Collins');
  };
  new MutationObserver(give).observe(document.body, {childList: true, subtree: true});
  give();
}
"""


def theme() -> gr.Theme:
    """Gradio's soft one."""
    return gr.themes.Soft()
