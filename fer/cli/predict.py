"""``fer predict``: every face of some pictures, with its expression."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options
from fer.cli.cost import say_cost
from fer.emotions import EMOTIONS

if TYPE_CHECKING:
    from fer.bulk import Bulk
    from fer.types import Prediction

app = typer.Typer(add_completion=False)


@app.command()
def predict(
    images: Annotated[list[Path], typer.Argument(help="Pictures: JPEG, PNG, WebP, BMP, GIF or TIFF; folders with --out.")],
    checkpoint: options.Checkpoint = None,
    format: Annotated[str, typer.Option(help="table, json or csv.")] = "table",
    detector: options.Detector = options.AUTO,
    detector_model: options.DetectorModel = None,
    tta: options.Tta = "none",
    out: Annotated[
        Optional[Path], typer.Option("--out", "-o", help="Table to write, a row a face: .parquet or .csv; for many pictures.")
    ] = None,
    processes: Annotated[Optional[int], typer.Option(min=1, help="Processes of --out. [default: one a core]")] = None,
) -> None:
    """Find the faces of pictures and estimate their expressions.

    With --out any number of pictures, folders searched to any depth: stopped, the same command goes on where it was. Files
    that cannot be read are listed beside the table in TABLE.errors.csv.
    """
    from fer.errors import ConfigError
    from fer.faces import Search
    from fer.predict import Predictor, exported_default

    search = Search(detector, detector_model)
    if out:
        from fer.bulk import Bulk

        if format != "table":
            raise ConfigError("--format is for what is printed; the ending of --out says what is written, .parquet or .csv")
        _bulk(images, out, Bulk(checkpoint or _exported_file(tta), search, tta, processes or 0))
        return
    if processes:
        raise ConfigError("--processes belongs to --out; name a table with it")
    folders = [path for path in images if path.is_dir()]
    if folders:
        raise ConfigError(f"{folders[0]} is a folder; name a table for its faces with --out FILE.parquet")
    if format not in _WRITERS:
        raise ConfigError(f"unknown format {format!r}; known: {', '.join(_WRITERS)}")
    predictor = Predictor(checkpoint or exported_default(tta), search, tta)
    as_row, put = _WRITERS[format]
    rows = []  # of every face what is printed, without its pixels: any number of pictures fits into memory
    for path in images:
        predictions = predictor.predict(path)
        if note := predictor.note(path, predictions):
            console.say(note)
        rows.append((path, [as_row(prediction) for prediction in predictions]))
    say_cost(tta)
    put(rows)


def _exported_file(tta: str) -> str | None:
    """The file that every process opens where no model is named; None for the default's checkpoint."""
    from fer.predict import exported_default
    from fer.released import default_name, exported_file

    return str(exported_file(default_name())) if exported_default(tta) else None


def _bulk(images: list[Path], out: Path, bulk: Bulk) -> None:
    from fer.bulk import predict_files

    with console.cleaned_up(), console.progress("judging pictures") as report:
        summary = predict_files(images, out, bulk, report)
    if summary.pictures > summary.kept:
        say_cost(bulk.tta)
    kept = f", {summary.kept:,} of them before this run" if summary.kept else ""
    whole = f", {summary.whole:,} without one judged whole" if summary.whole else ""
    found = f"{summary.faces:,} faces{whole}, {summary.unreadable:,} unreadable files"
    console.say(f"{summary.pictures:,} pictures{kept}: {found}")
    if summary.other_files:
        console.say(f"{summary.other_files:,} others, files of other kinds and linked folders, were passed over")
    console.put(str(summary.table))
    if summary.unreadable:
        console.put(str(summary.errors))


def as_dict(prediction: Prediction) -> dict[str, Any]:
    """One face in the form of the JSON output."""
    return {
        "box": prediction.face.box.as_list(),
        "score": round(prediction.face.score, 6),
        "detector": prediction.face.detector,
        "label": prediction.label,
        "confidence": prediction.confidence,
        "probabilities": prediction.probabilities,
    }


def _put_json(rows: Rows) -> None:
    console.put_json([{"path": str(path), "faces": faces} for path, faces in rows])


def _csv_row(prediction: Prediction) -> list[Any]:
    face, known = prediction.face, prediction.probabilities  # of other classes the model says nothing, not 0
    probabilities = [f"{known[name]:.6f}" if name in known else "" for name in EMOTIONS]
    said = [f"{face.score:.6f}", face.detector, prediction.label, f"{prediction.confidence:.6f}"]
    return [*face.box.as_list(), *said, *probabilities]


def _put_csv(rows: Rows) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["path", "face", "x1", "y1", "x2", "y2", "score", "detector", "label", "confidence", *EMOTIONS])
    for path, faces in rows:
        writer.writerows([path, number, *face] for number, face in enumerate(faces, 1))


def _table_row(prediction: Prediction) -> list[str]:
    others = ", ".join(f"{name} {value:.0%}" for name, value in prediction.top(3)[1:])
    face = prediction.face
    box = face.detector if face.is_whole_image else " ".join(map(str, face.box.as_list()))
    return [box, prediction.label, f"{prediction.confidence:.1%}", others]


def _put_table(rows: Rows) -> None:
    table = console.make_table("path", "face", "box", "label", "confidence", "next")
    for path, faces in rows:
        for number, face in enumerate(faces, 1):
            table.add_row(str(path), str(number), *face)
    console.put_table(table)


#: Pictures with a row of each of their faces.
Rows = list[tuple[Path, list[Any]]]

#: What is kept of a face, and how all is printed, by format.
_WRITERS: dict[str, tuple[Callable[[Prediction], Any], Callable[[Rows], None]]] = {
    "table": (_table_row, _put_table),
    "json": (as_dict, _put_json),
    "csv": (_csv_row, _put_csv),
}
