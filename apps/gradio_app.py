"""The demo: a picture goes in, prediction and attention heatmap stand side by side.

Run ``python apps/gradio_app.py``; ``--help`` lists the options.
"""

import argparse
import contextlib
import io
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import gradio as gr

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone runs without being installed

from apps import compare_tab, live_tab, look_tab
from apps.about import NOTICE, describe
from apps.cleaning import AGE, EVERY, keep_clean
from apps.look import predictor
from fer.errors import FerError
from fer.released import default_name, exported_names, live_names, released_names

TITLE = "ferscope: expressions, explained"
#: Larger uploads are refused.
MAX_FILE_SIZE = "5mb"
# How often Gradio looks for old uploads, and how old they may get, in seconds.
_DELETE_CACHE = (round(EVERY), AGE)
# Visitors whose last answer is remembered, to be drawn; Gradio's own limit of 10,000 is gigabytes of pictures.
_VISITORS = 64
_CSS = """
.gradio-container {max-width: 1180px !important; margin: auto}
#notice, .caption {font-size: 0.9em; opacity: 0.85}
.face-title {font-size: 1.3em}
.screen {min-height: 360px; background: #8883; border-radius: 8px; overflow: hidden}
.screen img {width: 100%; display: block}
#live-note .wrap, #live .wrap {display: none}
"""


def build_demo(checkpoint: str | None = None) -> gr.Blocks:
    """The page, not yet served.

    Args:
        checkpoint: file or released name that is chosen first; None means the shipped default.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    first = checkpoint or default_name()
    predictor(first)  # a bad checkpoint is said at start, and the first visitor does not wait
    choices = _named([first, *released_names(), *exported_names()])
    # without a wish the fastest answers the camera
    live = [checkpoint, *live_names()] if checkpoint else live_names()
    demo = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=_DELETE_CACHE)
    with demo:
        gr.Markdown(f"# {TITLE}")
        gr.Markdown(NOTICE, elem_id="notice")
        with gr.Tab("Look", id="look"):
            look_tab.build(choices, first)
        with gr.Tab("Live", id="live"):
            live_tab.build(_named(live), live[0])
        with gr.Tab("Compare", id="compare"):
            compare_tab.build(choices, first)
        with gr.Tab("About", id="about"):
            gr.Markdown(describe(predictor(first).model), elem_id="about")
    return demo


def _named(models: Sequence[str]) -> list[tuple[str, str]]:
    """What visitors see and what it stands for: names, not this machine's folders."""
    return [(Path(name).stem, name) for name in dict.fromkeys(models)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until it is stopped; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        demo = build_demo(options.checkpoint)
    except FerError as error:
        print(f"fer: {error}", file=sys.stderr)
        return 2
    try:
        serve(demo, options)
    except OSError as error:  # Gradio's word for a taken port
        print(f"fer: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    cleaning = keep_clean(demo)
    with contextlib.suppress(KeyboardInterrupt):
        demo.block_thread()
    cleaning.set()
    return 0


def serve(demo: gr.Blocks, options: argparse.Namespace) -> None:
    """Launch, with a guarded link where one is wanted and can be made, else locally."""
    if options.share:
        auth = None if options.public else _credentials(options.auth)
        if _launch(demo, options, share=True, auth=auth):
            print(f"share link: {demo.share_url}", flush=True)
            if auth and not options.auth:
                print(f"user {auth[0]}, password {auth[1]}", flush=True)
            return
        demo.close(verbose=False)
        print("no share link could be made (no network?): the demo runs on this machine only", flush=True)
    _launch(demo, options, share=False, auth=_credentials(options.auth) if options.auth else None)
    print(f"open {demo.local_url}", flush=True)


def _launch(demo: gr.Blocks, options: argparse.Namespace, *, share: bool, auth: tuple[str, str] | None) -> bool:
    """True where the wanted link was made."""
    with contextlib.redirect_stdout(io.StringIO()):  # Gradio's paragraphs; ours are one line each
        demo.queue(max_size=32, default_concurrency_limit=2).launch(
            share=share, auth=auth, server_name=options.host, server_port=options.port,
            inbrowser=options.browser and _has_screen(),
            prevent_thread_lock=True, quiet=True, max_file_size=MAX_FILE_SIZE, footer_links=["api"],
            state_session_capacity=_VISITORS, strict_cors=True, enable_monitoring=False, run_history=False,
            theme=gr.themes.Soft(), css=_CSS, ssr_mode=False,
        )  # fmt: skip
    return not share or demo.share_url is not None


def _has_screen() -> bool:
    """Without one, a text browser would take over the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _credentials(given: str | None) -> tuple[str, str]:
    user, _, password = (given or f"guest:{secrets.token_urlsafe(9)}").partition(":")
    return user, password


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"fer: {message}; see --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="gradio_app.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", help="file or released name (default: the shipped one)")
    parser.add_argument("--no-share", dest="share", action="store_false", help="make no public link")
    guard = parser.add_mutually_exclusive_group()
    guard.add_argument("--auth", type=_user_and_password, metavar="USER:PASSWORD", help="guard the page with these")
    guard.add_argument("--public", action="store_true", help="leave the public link unguarded")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    parser.add_argument("--browser", action="store_true", help="open a browser window")
    return parser


def _user_and_password(text: str) -> str:
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as USER:PASSWORD")
    return text


if __name__ == "__main__":
    sys.exit(main())
