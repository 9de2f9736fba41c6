"""The demo: a picture goes in, prediction and attention heatmap stand side by side.

Run ``python apps/gradio_app.py``; ``--help`` lists the options.
"""

import argparse
import contextlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

try:
    import gradio as gr
except ModuleNotFoundError as missing:
    sys.stderr.write(f"gradio_app.py: {missing.name} is not installed here; activate .venv, or pip install .\n")
    sys.exit(2)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone runs without being installed

from apps import compare_tab, explore_tab, live_tab, look_tab
from apps.about import NOTICE, describe
from apps.explore import Shelf
from apps.limits import A_MINUTE
from apps.memory import share_arenas
from apps.offered import offer, predictor
from apps.serving import FIRST_PORT, serve, stopped_like_ctrl_c
from apps.uploads import keep_clean, own_folder
from fer.errors import FerError
from fer.released import default_name, exported_names, live_names, released_names

TITLE = "ferscope: expressions, explained"


def build_demo(checkpoint: str | None = None, shelf: Shelf | None = None) -> gr.Blocks:
    """The page, not yet served.

    Args:
        checkpoint: file or released name that is chosen first; None means the shipped default.
        shelf: the results that can be explored.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    choices = offer([checkpoint or default_name(), *released_names(), *exported_names()])
    about = predictor(choices[0]).model  # a bad checkpoint is said at start, and the first visitor does not wait
    # without a wish the fastest answers the camera
    live = offer(live_names(checkpoint))
    demo = gr.Blocks(title=TITLE, analytics_enabled=False)
    with demo:
        gr.Markdown(f"# {TITLE}")
        gr.Markdown(NOTICE, elem_id="notice")
        with gr.Tab("Look", id="look"):
            look_tab.build(choices)
        with gr.Tab("Live", id="live"):
            live_tab.build(live)
        with gr.Tab("Compare", id="compare"):
            compare_tab.build(choices)
        with gr.Tab("Explore", id="explore"):
            explore_tab.build(shelf or Shelf(()))
        with gr.Tab("About", id="about"):
            gr.Markdown(describe(about), elem_id="about")
    return demo


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until it is stopped; returns the exit code."""
    options = _parser().parse_args(arguments)
    share_arenas()
    try:
        with contextlib.suppress(KeyboardInterrupt), stopped_like_ctrl_c(), own_folder() as uploads:
            if options.data:
                from fer.data.source import locate  # brings torch, which not every page has

                locate(options.data)
            shelf = Shelf(options.explore, options.data)
            shelf.check()
            demo = build_demo(options.checkpoint, shelf)
            serve(demo, options)
            cleaning = keep_clean(demo, uploads)
            try:
                with contextlib.redirect_stdout(io.StringIO()):  # Gradio says goodbye
                    demo.block_thread()
            finally:
                cleaning.set()
    except FerError as error:
        print(f"fer: {error}", file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"fer: {message}; see --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="gradio_app.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", help="file or released name (default: the default release)")
    parser.add_argument("--no-share", dest="share", action="store_false", help="make no public link")
    guard = parser.add_mutually_exclusive_group()
    guard.add_argument("--auth", type=_user_and_password, metavar="USER:PASSWORD", help="guard the page with these")
    guard.add_argument("--public", action="store_true", help="leave the page unguarded, whoever can reach it")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=_port, default=FIRST_PORT, help="port, or the next free one (default: %(default)s)")
    parser.add_argument(
        "--limit", type=_count, default=A_MINUTE, metavar="N",
        help="questions a minute that one address may ask (default: %(default)s; 0: any number)",
    )  # fmt: skip
    parser.add_argument(
        "--explore", type=Path, nargs="+", default=[], metavar="FOLDER",
        help="finished runs, reports, or folders of them, for the tab Explore; whoever sees the page sees their faces, so that "
        "no public link is made",
    )  # fmt: skip
    parser.add_argument("--data", type=Path, help="FER-2013, for the faces of runs (default: $FER_DATA, then data/)")
    parser.add_argument("--browser", action="store_true", help="open a browser window")
    return parser


def _user_and_password(text: str) -> str:
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as USER:PASSWORD")
    return text


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r}: a port is a number from 1 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not (text.isdecimal() and len(text) < 8):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number, 0 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
