"""``fer evaluate``: every figure of a checkpoint on a split."""

import time
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from fer.cli import console, options

app = typer.Typer()

_SHOWN = (
    "top3_accuracy",
    "macro_precision",
    "macro_recall",
    "macro_f1",
    "mcc",
    "log_loss",
    "roc_auc",
    "ece",
    "adaptive_ece",
    "brier",
)


@app.command()
def evaluate(
    checkpoint: options.Checkpoint = None,
    data: options.Data = None,
    split: options.Split = "validation",
    classes: Annotated[Optional[str], typer.Option(help="Only these classes, as faces and as answers: angry,happy,…")] = None,
    labels: Annotated[str, typer.Option(help="fer, ferplus-majority or ferplus-soft (judged by the most votes).")] = "fer",
    votes: Annotated[Optional[Path], typer.Option(help="FER+ votes: fer2013new.csv, or a csv keyed by file name.")] = None,
    tta: options.Tta = "none",
    json: options.Json = False,
    table: Annotated[Optional[Path], typer.Option(help="Also save the prediction table here (.npz).")] = None,
) -> None:
    """Run a checkpoint once over a split and print its figures."""
    from fer.checkpoint import load as load_checkpoint
    from fer.config import RunConfig
    from fer.data import load
    from fer.data.labels import relabel
    from fer.data.views import TTA
    from fer.evaluation import evaluate_checkpoint
    from fer.metrics import evaluate_table
    from fer.overrides import with_values

    passes = len(TTA[tta])
    model = load_checkpoint(checkpoint)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    settings = with_values(RunConfig(), {"labels": labels, "votes": str(votes) if votes else ""}, "command line")
    corpus, note = relabel(corpus, settings)
    if note:
        console.say(note)
    faces = corpus.split(split)
    with console.progress("judging faces") as report:
        started = time.perf_counter()
        chosen = None if classes is None else options.class_names(classes)
        predictions = evaluate_checkpoint(model, faces, report, chosen, tta=tta)
    if passes > 1:
        milliseconds = 1000 * (time.perf_counter() - started) / len(predictions)
        console.say(f"--tta {tta}: {passes} passes a face, {milliseconds:.2f} ms a face")
    if table:
        predictions.save(table)
    metrics = evaluate_table(predictions)
    if json:
        console.put_json(metrics)
    else:
        show(metrics, f"{model.name} on {split}" + (f", {tta}" if passes > 1 else ""))


def show(metrics: dict[str, Any], title: str) -> None:
    """Print the figures as two tables."""
    low, high = metrics["ci95"]
    summary = console.make_table("figure", "value", title=title)
    summary.add_row(
        "accuracy", f"{console.percent(metrics['accuracy'])} (95 %: {console.percent(low)} to {console.percent(high)})"
    )
    summary.add_row("n", f"{metrics['n']:,}")
    for key in _SHOWN:
        summary.add_row(key, _number(metrics[key]))
    classes = console.make_table("class", "precision", "recall", "f1", "roc_auc", "n")
    for name, row in metrics["per_class"].items():
        classes.add_row(name, *(_number(row[key]) for key in ("precision", "recall", "f1", "roc_auc")), f"{row['n']:,}")
    console.put_table(summary)
    console.put_table(classes)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
