"""How the page looks, by day and by night, and what it says to those who do not see it."""

from pathlib import Path

import gradio as gr

#: Rules beside those of the theme.
CSS = Path(__file__).with_name("page.css")
#: Gives words to the pictures that Gradio leaves without, whenever they appear.
WORDS = """
() => {
  const give = () => {
    document.querySelectorAll('.gallery-item img[alt=""]').forEach(image => image.alt = 'the example: Eileen Collins');
  };
  new MutationObserver(give).observe(document.body, {childList: true, subtree: true});
  give();
}
"""


def theme() -> gr.Theme:
    """Gradio's soft one with the reader's own fonts: a font that comes later makes the page jump."""
    fonts, mono = ("ui-sans-serif", "system-ui", "sans-serif"), ("ui-monospace", "Consolas", "monospace")
    return gr.themes.Soft(font=fonts, font_mono=mono)
