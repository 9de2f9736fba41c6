"""``fer evaluate``: every figure of a checkpoint on a split."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, emotion, groups, options
from fer.cli.cost import say_cost
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from fer.data import FaceSet
    from fer.predict import Model
    from fer.types import PredictionTable

app = typer.Typer(add_completion=False)

_SHOWN = (
    *("top3_accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc", "roc_auc"),
    *("log_loss", "brier", "ece", "adaptive_ece"),
)


@app.command()
def evaluate(
    checkpoint: options.Checkpoint = None,
    data: options.Data = None,
    split: options.Split = "validation",
    classes: Annotated[Optional[str], typer.Option(help="Only these classes, as faces and as answers: angry,happy,…")] = None,
    labels: Annotated[str, typer.Option(help="fer, ferplus-majority or ferplus-soft (judged by the most votes).")] = "fer",
    votes: options.Votes = None,
    tta: options.Tta = "none",
    group_file: Annotated[
        Optional[Path], typer.Option("--groups", help="CSV with a name column and columns of groups to judge apart.")
    ] = None,
    column: Annotated[Optional[str], typer.Option(help="The only column of --groups to take. [default: all]")] = None,
    clean: Annotated[
        Optional[Path],
        typer.Option(help="Also the figures of the faces that this index leaves in: clean.json of fer data check."),
    ] = None,
    one_class: Annotated[Optional[str], typer.Option("--emotion", help="Look at the faces of this class alone.")] = None,
    num_samples: Annotated[Optional[int], typer.Option(help="So many of them, drawn. [default: all]")] = None,
    out: Annotated[Optional[Path], typer.Option(help="Folder for the class's histogram, gallery and numbers.")] = None,
    json: options.Json = False,
    table: Annotated[
        Optional[Path], typer.Option(help="Also save the prediction table as this .npz, and the same name with .json.")
    ] = None,
) -> None:
    """Run a checkpoint once over a split and print its figures.

    With --emotion only the faces of that class are judged: how many are recognised, and what the others are taken for.
    """
    from fer.data import load
    from fer.data.labels import clean_index
    from fer.errors import ConfigError
    from fer.metrics import evaluate_table
    from fer.predict import open_model

    if not one_class and (num_samples is not None or out):
        raise ConfigError("--num-samples and --out belong to --emotion; name a class with it")
    if one_class and (group_file or column or clean):
        raise ConfigError("--emotion looks at one class alone; leave out --groups, --column and --clean")
    _check_places(table, out)
    model = open_model(checkpoint)
    chosen = None if classes is None else options.class_names(classes)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    index = clean_index(corpus, clean or "")
    faces = _labelled(corpus, labels, votes).split(split)
    say_other_labels(model, labels=labels)
    title = f"{model.name} on {split}" + (f", {tta}" if tta != "none" else "")
    if one_class:
        faces, available = emotion.sampled(faces, one_class, chosen or model.card.classes, num_samples)
        predictions = _judged(model, faces, chosen, tta, table)
        look = emotion.look(predictions, faces, available, out)
        console.put_json(look.to_dict()) if json else emotion.show(look, title)
        return
    grouped = groups.read(group_file, column, faces.names)
    predictions = _judged(model, faces, chosen, tta, table)
    metrics = evaluate_table(predictions) | groups.judged(predictions, grouped)
    if absent := [name for name, row in metrics["per_class"].items() if not row["n"]]:
        console.say(f"no face of {', '.join(absent)} is among these: counted as 0 in macro precision, recall and F1")
    cleaned = evaluate_table(predictions.rows(index.kept(split, predictions.names))) if index else None
    if json:
        console.put_json(metrics | ({"clean": {**cleaned, "index_sha256": index.sha256}} if index and cleaned else {}))
    else:
        show(metrics, title, cleaned)


def _check_places(table: Path | None, out: Path | None) -> None:
    """Say what cannot be written before anything is judged for it."""
    from fer.files import check_folder
    from fer.types import PredictionTable

    if table:
        PredictionTable.check_place(table)
    if out:
        check_folder(out)


def _labelled(corpus: Any, labels: str, votes: Path | None) -> Any:
    from fer.config import RunConfig
    from fer.data.labels import relabel
    from fer.overrides import with_values

    settings = with_values(RunConfig(), {"labels": labels, "votes": str(votes) if votes else ""}, "command line")
    corpus, note = relabel(corpus, settings)
    if note:
        console.say(note)
    return corpus


def _judged(model: Model, faces: FaceSet, classes: list[str] | None, tta: str, table: Path | None) -> PredictionTable:
    """One pass over the faces; the table is saved where a path is given."""
    from fer.evaluation import evaluate_checkpoint

    with console.progress("judging faces") as report:
        started = time.perf_counter()
        predictions = evaluate_checkpoint(model, faces, report, classes, tta=tta)
    say_cost(tta, time.perf_counter() - started, len(predictions))
    if table:
        predictions.save(table)
    return predictions


def show(metrics: dict[str, Any], title: str, cleaned: dict[str, Any] | None = None) -> None:
    """Print the figures as two tables, those of clean faces beside the others where there are any."""
    shown = [metrics] if cleaned is None else [metrics, cleaned]
    summary = console.make_table("figure", *(["value"] if cleaned is None else ["all faces", "clean faces"]), title=title)
    summary.add_row("accuracy", *(console.with_interval(each["accuracy"], each["ci95"]) for each in shown))
    summary.add_row("n", *(f"{each['n']:,}" for each in shown))
    for key in _SHOWN:
        summary.add_row(key, *(console.number(each[key]) for each in shown))
    classes = console.make_table("class", "precision", "recall", "f1", "roc_auc", "n")
    for name, row in metrics["per_class"].items():
        figures = (console.number(row[key]) for key in ("precision", "recall", "f1", "roc_auc"))
        classes.add_row(name, *figures, f"{row['n']:,}")
    console.put_table(summary)
    console.put_table(classes)
    groups.show(metrics.get("groups", []))
