"""``fer detectors``: what finds the faces, what is at hand, and how good each is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from fer.detection import Fit
    from fer.faces import Detector

app = typer.Typer(add_completion=False)

# Faces of FER-2013 that are searched: every so many of PublicTest.
_EVERY = 3


@app.command()
def detectors(
    fetch: Annotated[Optional[str], typer.Option(help="Fetch a detector's model file: yunet or mediapipe.")] = None,
    measure: Annotated[
        bool, typer.Option(help="Measure those at hand: faces found, false boxes, time, and how they cut.")
    ] = False,
    detector_model: Annotated[
        Optional[list[Path]], typer.Option(help="Model file of a detector to measure, too (.onnx, .tflite, .xml); repeatable.")
    ] = None,
    data: options.Data = None,
    checkpoint: Annotated[
        Optional[str],
        typer.Option(
            "--checkpoint", "-c", help="Of --measure: checkpoint or exported model. [default: the fastest shipped one]"
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """List the face detectors; fetch a model file once, its sha256 checked; or measure them.

    --measure searches scikit-image's 100 LFW faces and 100 patches without a face, every third face of PublicTest (--data),
    and a frame of 640×480 pixels.
    """
    from fer.errors import ConfigError
    from fer.faces import DETECTORS

    if fetch and (measure or json):
        raise ConfigError("--fetch only fetches a file and prints its path; leave out --measure and --json")
    if not measure and (data or checkpoint or detector_model):
        raise ConfigError("--data, --checkpoint and --detector-model belong to --measure; add it, or leave them out")
    if fetch:
        file = DETECTORS[fetch].file
        if not file:
            raise ConfigError(f"detector {fetch} needs no file; those that do: yunet, mediapipe")
        console.put(str(file.fetch()))
        return
    if measure:
        _measure(detector_model or [], data, checkpoint, json)
        return
    rows = [{"detector": name, "ready": _state(name), "what": DETECTORS[name].summary} for name in DETECTORS]
    _put(rows, json)


def _state(name: str) -> str:
    from importlib.util import find_spec

    from fer.faces import DETECTORS

    if name == "mediapipe" and not find_spec("mediapipe"):
        return "package missing"
    file = DETECTORS[name].file
    return "yes" if file is None or file.is_here else "file not fetched"


def _measure(models: list[Path], data: Path | None, checkpoint: str | None, json: bool) -> None:
    import cv2
    import numpy as np
    import torch

    from fer.data import load
    from fer.detection import fit, lfw_subset, milliseconds, trial
    from fer.errors import ConfigError
    from fer.faces import AUTO, DETECTORS, Search
    from fer.images import read
    from fer.predict import open_model
    from fer.released import live_names
    from fer.samples import sample_path

    try:
        faces, others = lfw_subset()
    except ImportError as error:
        raise ConfigError("the LFW faces come with scikit-image; pip install 'ferscope[lfw]'") from error
    searches = [Search(AUTO, path) for path in models]
    searches += [Search(name) for name in DETECTORS if name not in (AUTO, "none") and _state(name) == "yes"]
    model = open_model(checkpoint or live_names()[0])
    say_other_labels(model)
    split = load(data).split("validation", "name data with one").only(model.card.classes)
    sample = split.select(torch.arange(0, len(split), _EVERY))
    frame = np.asarray(cv2.resize(read(sample_path())[:384], (640, 480)), np.uint8)
    rows = []
    for detector in [search.open() for search in searches]:
        with console.progress(f"{detector.name}: LFW") as report:
            lfw = trial(detector, faces, others, report)
        with console.progress(f"{detector.name}: FER-2013") as report:
            fitted = fit(detector, model, sample, report)
        found = {"LFW faces found": f"{lfw.found} of {lfw.pictures}", "false boxes": str(lfw.false)}
        rows.append(
            {"detector": detector.name, **found, **_fitted(detector, fitted), "ms": f"{milliseconds(detector, frame):.1f}"}
        )
    _put(rows, json)


def _fitted(detector: Detector, fitted: Fit) -> dict[str, str]:
    m, own = fitted.margin, detector.margin
    return {
        "FER faces found": f"{console.percent(fitted.found / fitted.faces)} of {fitted.faces:,}",
        "FER square, in boxes": f"{m.side:.2f} ({fitted.narrow:.2f} to {fitted.wide:.2f}), {m.up:+.2f} up",
        "cut by": f"{own.side:.2f}, {own.up:+.2f}",
        "accuracy as given": console.percent(fitted.given),
        "as cut": console.percent(fitted.cut),
    }


def _put(rows: list[dict[str, str]], json: bool) -> None:
    if json:
        console.put_json(rows)
        return
    table = console.make_table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    console.put_table(table)
