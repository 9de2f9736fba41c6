"""``fer evaluate``: every figure of a checkpoint on a split."""

import time
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from fer.cli import console, options
from fer.cli import groups as grouped

app = typer.Typer()


@app.command()
def evaluate(
    checkpoint: options.Checkpoint = None,
    data: options.Data = None,
    split: options.Split = "validation",
    classes: Annotated[Optional[str], typer.Option(help="Only these classes, as faces and as answers: angry,happy,…")] = None,
    labels: Annotated[str, typer.Option(help="fer, ferplus-majority or ferplus-soft (judged by the most votes).")] = "fer",
    votes: Annotated[Optional[Path], typer.Option(help="FER+ votes: fer2013new.csv, or a csv keyed by file name.")] = None,
    tta: options.Tta = "none",
    groups: Annotated[Optional[Path], typer.Option(help="CSV with a name column and columns of groups to judge apart.")] = None,
    column: Annotated[Optional[str], typer.Option(help="The only column of --groups to take. [default: all]")] = None,
    clean: Annotated[
        Optional[Path],
        typer.Option(help="Also the figures of the faces that this index leaves in: clean.json of fer data check."),
    ] = None,
    json: options.Json = False,
    table: Annotated[Optional[Path], typer.Option(help="Also save the prediction table here (.npz).")] = None,
) -> None:
    """Run a checkpoint once over a split and print its figures."""
    from fer.checkpoint import load as load_checkpoint
    from fer.config import RunConfig
    from fer.data import load
    from fer.data.labels import clean_index, relabel
    from fer.data.views import TTA
    from fer.evaluation import evaluate_checkpoint
    from fer.metrics import evaluate_table
    from fer.overrides import with_values

    passes = len(TTA[tta])
    model = load_checkpoint(checkpoint)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    index = clean_index(corpus, clean or "")
    settings = with_values(RunConfig(), {"labels": labels, "votes": str(votes) if votes else ""}, "command line")
    corpus, note = relabel(corpus, settings)
    if note:
        console.say(note)
    faces = corpus.split(split)
    group_file = grouped.read(groups, column, faces.names)
    with console.progress("judging faces") as report:
        started = time.perf_counter()
        chosen = None if classes is None else options.class_names(classes)
        predictions = evaluate_checkpoint(model, faces, report, chosen, tta=tta)
    if passes > 1:
        milliseconds = 1000 * (time.perf_counter() - started) / len(predictions)
        console.say(f"--tta {tta}: {passes} passes a face, {milliseconds:.2f} ms a face")
    if table:
        predictions.save(table)
    metrics = evaluate_table(predictions) | grouped.judged(predictions, group_file)
    cleaned = evaluate_table(predictions.rows(index.kept(split, predictions.names))) if index else None
    if json:
        console.put_json(metrics | ({"clean": {**cleaned, "index_sha256": index.sha256}} if index and cleaned else {}))
    else:
        show(metrics, f"{model.name} on {split}" + (f", {tta}" if passes > 1 else ""), cleaned)


def show(metrics: dict[str, Any], title: str, cleaned: dict[str, Any] | None = None) -> None:
    """Print the figures as two tables, those of clean faces beside the others where there are any."""
    shown = [metrics] if cleaned is None else [metrics, cleaned]
    summary = console.make_table("figure", *(["value"] if cleaned is None else ["all faces", "clean faces"]), title=title)
    summary.add_row("accuracy", *(_accuracy(each) for each in shown))
    summary.add_row("n", *(f"{each['n']:,}" for each in shown))
    for key in ("top3_accuracy", "macro_precision", "macro_recall", "macro_f1", "mcc", "log_loss", "roc_auc", "ece"):
        summary.add_row(key, *(_number(each[key]) for each in shown))
    classes = console.make_table("class", "precision", "recall", "f1", "roc_auc", "n")
    for name, row in metrics["per_class"].items():
        classes.add_row(name, *(_number(row[key]) for key in ("precision", "recall", "f1", "roc_auc")), f"{row['n']:,}")
    console.put_table(summary)
    console.put_table(classes)
    grouped.show(metrics.get("groups", []))


def _accuracy(metrics: dict[str, Any]) -> str:
    low, high = metrics["ci95"]
    return f"{console.percent(metrics['accuracy'])} (95 %: {console.percent(low)} to {console.percent(high)})"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
