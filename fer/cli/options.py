"""Options that several commands share, with one help text each."""

from pathlib import Path
from typing import Annotated, Optional

import typer

Checkpoint = Annotated[
    Optional[str],
    typer.Option(
        "--checkpoint", "-c", help="Checkpoint or exported model: file, run or released name. [default: the default release]"
    ),
]
#: For what looks inside a network.
CheckpointOnly = Annotated[
    Optional[str],
    typer.Option(
        "--checkpoint", "-c", help="Checkpoint: file, run or released name; no exported model. [default: the default release]"
    ),
]
Data = Annotated[
    Optional[Path],
    typer.Option("--data", "-d", help="FER-2013 zip, fer2013.csv or folder. [default: $FER_DATA, then data/]"),
]
Detector = Annotated[
    str, typer.Option("--detector", help="Face detector: auto, haar, yunet, mediapipe, or none for faces already cut out.")
]
#: Of commands that follow faces.
Finder = Annotated[str, typer.Option("--detector", help="Face detector: auto, haar, yunet or mediapipe.")]
DetectorModel = Annotated[
    Optional[Path], typer.Option("--detector-model", help="The detector's model file. [default: fetched once by its name]")
]
Votes = Annotated[
    Optional[Path],
    typer.Option(help="FER+ votes: fer2013new.csv, or a csv of its ten columns of votes and file, the image's name."),
]
#: The default of --detector; written out, since the detectors take longer to import than a help page may.
AUTO = "auto"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Methods = Annotated[
    Optional[list[str]], typer.Option("--method", "-m", help="Explanation method, see fer explain --list; repeatable.")
]
Layers = Annotated[
    Optional[list[str]],
    typer.Option("--layer", help="Module to read maps from, or each for one of every depth; repeatable."),
]
Method = Annotated[str, typer.Option("--method", "-m", help="Explanation method, see fer explain --list.")]
Split = Annotated[str, typer.Option("--split", help="validation (PublicTest), test (PrivateTest) or train.")]
Tta = Annotated[
    str, typer.Option("--tta", help="Average over views of a face: none, flip (2 passes), tencrop (10), multicrop (20).")
]


def class_names(text: str) -> list[str]:
    """Classes typed with commas between them; UnknownNameError where one is none."""
    from fer.emotions import canonical

    return [canonical(name) for name in text.split(",") if name.strip()]
