"""How the page looks, by day and by night."""

import gradio as gr

#: Rules beside those of the theme.
CSS = """
.gradio-container {max-width: 1180px !important; margin: auto}
#notice, .caption {font-size: 0.9em; opacity: 0.85}
.face-title {font-size: 1.3em}
.screen {min-height: 360px; background: #8883; border-radius: 8px; overflow: hidden}
.screen img {width: 100%; display: block}
#live-note .wrap, #live .wrap {display: none}
"""


def theme() -> gr.Theme:
    """Gradio's soft one."""
    return gr.themes.Soft()
