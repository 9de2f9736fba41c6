"""``fer webcam``: faces of a camera, film or stream, followed and judged as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from fer.cli import console, options

app = typer.Typer(add_completion=False)


@app.command()
def webcam(
    source: Annotated[str, typer.Option(help="Number of a camera, path of a film, or address of a stream (rtsp://…).")] = "0",
    output: Annotated[
        Optional[Path], typer.Option("--output", "-o", help="Film to write: .mp4, .avi or .mkv; with sound where ffmpeg is.")
    ] = None,
    csv: Annotated[Optional[Path], typer.Option(help="Table to write, a row a face and frame; and a timeline a face.")] = None,
    show: Annotated[
        Optional[bool], typer.Option("--show/--no-show", help="Open a window. [default: where there is a screen]")
    ] = None,
    heatmap: Annotated[bool, typer.Option(help="Lay Grad-CAM maps over the faces.")] = False,
    record_events: Annotated[
        bool, typer.Option(help="Keep a list of faces that appear and leave and expressions that change, with pictures.")
    ] = False,
    checkpoint: Annotated[
        Optional[list[str]],
        typer.Option("--checkpoint", "-c", help="Model, file or name; repeatable, for the keys 1-9. [default: all shipped]"),
    ] = None,
    detector: options.Finder = options.AUTO,
    detector_model: options.DetectorModel = None,
    every: Annotated[int, typer.Option(min=1, help="Frames from one search of the whole picture to the next.")] = 10,
    smoothing: Annotated[float, typer.Option(min=0, help="Seconds after which a new expression has 63 % of the weight.")] = 0.5,
    seconds: Annotated[Optional[float], typer.Option(min=0, help="Leave after so many seconds of the source.")] = None,
) -> None:
    """Follow the faces of a camera or film: number, expression and confidence of each, frame by frame.

    A face keeps its number while it is followed, and when it comes back within ten seconds looking the same. Between the
    searches of the whole picture (--every) only the places of known faces are searched. Probabilities are averaged over time
    (--smoothing).

    In the window: q leaves, space freezes, h shows where the network looks, 1-9 change the model. Ctrl-C ends, too; what was
    written is complete up to there. See docs/live.md.
    """
    from fer.cli.player import Player, play
    from fer.cli.recording import Wishes
    from fer.errors import ConfigError
    from fer.faces import Search
    from fer.predict import lacks_maps
    from fer.released import live_names

    wishes = Wishes(output, csv, record_events, show, seconds)
    player = Player(checkpoint or live_names(), Search(detector, detector_model), every, smoothing)
    if heatmap and (reason := lacks_maps(player.recogniser.model)):
        raise ConfigError(f"{reason}, or leave out --heatmap")
    player.heatmap = heatmap
    with console.cleaned_up():
        play(source, wishes, player)
