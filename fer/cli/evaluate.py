"""``fer evaluate``: every figure of a checkpoint on a split, or a close look at one class."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options

if TYPE_CHECKING:
    from analysis.emotion import EmotionLook
    from fer.checkpoint import Checkpoint
    from fer.data import FaceSet
    from fer.types import PredictionTable

app = typer.Typer()

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
    votes: Annotated[Optional[Path], typer.Option(help="FER+ votes: fer2013new.csv, or a csv keyed by file name.")] = None,
    tta: options.Tta = "none",
    emotion: Annotated[Optional[str], typer.Option(help="Look at the faces of this class alone.")] = None,
    num_samples: Annotated[Optional[int], typer.Option(help="So many of them, drawn. [default: all]")] = None,
    out: Annotated[Optional[Path], typer.Option(help="Folder for the class's histogram, gallery and numbers.")] = None,
    json: options.Json = False,
    table: Annotated[Optional[Path], typer.Option(help="Also save the prediction table here (.npz).")] = None,
) -> None:
    """Run a checkpoint once over a split and print its figures.

    With --emotion only the faces of that class are judged: how many are recognised, and what the others are taken for.
    """
    from fer.checkpoint import load as load_checkpoint
    from fer.errors import ConfigError
    from fer.metrics import evaluate_table

    if not emotion and (num_samples is not None or out):
        raise ConfigError("--num-samples and --out belong to --emotion; name a class with it")
    model = load_checkpoint(checkpoint)
    faces, available = _faces(data, labels, votes, split), 0
    chosen = None if classes is None else options.class_names(classes)
    if emotion:
        from analysis.emotion import sample_faces

        faces, available = sample_faces(faces, emotion, chosen or model.card.classes, num_samples)
    predictions = _judged(model, faces, chosen, tta)
    if table:
        predictions.save(table)
    title = f"{model.name} on {split}" + (f", {tta}" if tta != "none" else "")
    if emotion:
        _look(predictions, faces, available, title, out, json)
    elif json:
        console.put_json(evaluate_table(predictions))
    else:
        show(evaluate_table(predictions), title)


def _faces(data: Path | None, labels: str, votes: Path | None, split: str) -> "FaceSet":
    from fer.config import RunConfig
    from fer.data import load
    from fer.data.labels import relabel
    from fer.overrides import with_values

    with console.progress("reading faces") as report:
        corpus = load(data, report)
    settings = with_values(RunConfig(), {"labels": labels, "votes": str(votes) if votes else ""}, "command line")
    corpus, note = relabel(corpus, settings)
    if note:
        console.say(note)
    return corpus.split(split)


def _judged(model: "Checkpoint", faces: "FaceSet", classes: list[str] | None, tta: str) -> "PredictionTable":
    from fer.data.views import TTA
    from fer.evaluation import evaluate_checkpoint

    passes = len(TTA[tta])
    with console.progress("judging faces") as report:
        started = time.perf_counter()
        predictions = evaluate_checkpoint(model, faces, report, classes, tta=tta)
    if passes > 1:
        milliseconds = 1000 * (time.perf_counter() - started) / len(predictions)
        console.say(f"--tta {tta}: {passes} passes a face, {milliseconds:.2f} ms a face")
    return predictions


def _look(predictions: "PredictionTable", faces: "FaceSet", available: int, title: str, out: Path | None, json: bool) -> None:
    from analysis.emotion import look_at, write

    look = look_at(predictions, faces.classes[0], available)
    for path in write(look, predictions, faces, out) if out else ():
        console.say(f"written: {path}")
    if json:
        console.put_json(look.to_dict())
    else:
        show_look(look, title)


def show_look(look: "EmotionLook", title: str) -> None:
    """Print what a model makes of one class as two tables."""
    from analysis.emotion import describe_sample

    summary = console.make_table("figure", "value", title=f"{look.emotion}: {title}")
    summary.add_row("accuracy", _with_interval(look.accuracy, look.interval))
    summary.add_row("n", describe_sample(look))
    for name, value in (("right", look.confidence_right), ("wrong", look.confidence_wrong)):
        summary.add_row(f"mean confidence, {name}", _number(value))
    answers = console.make_table("taken for", "faces", "share")
    for name, count in sorted(look.answers.items(), key=lambda item: -item[1]):
        answers.add_row(name, f"{count:,}", console.percent(count / look.n))
    console.put_table(summary)
    console.put_table(answers)


def show(metrics: dict[str, Any], title: str) -> None:
    """Print the figures as two tables."""
    summary = console.make_table("figure", "value", title=title)
    summary.add_row("accuracy", _with_interval(metrics["accuracy"], metrics["ci95"]))
    summary.add_row("n", f"{metrics['n']:,}")
    for key in _SHOWN:
        summary.add_row(key, _number(metrics[key]))
    classes = console.make_table("class", "precision", "recall", "f1", "roc_auc", "n")
    for name, row in metrics["per_class"].items():
        classes.add_row(name, *(_number(row[key]) for key in ("precision", "recall", "f1", "roc_auc")), f"{row['n']:,}")
    console.put_table(summary)
    console.put_table(classes)


def _with_interval(accuracy: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"{console.percent(accuracy)} (95 %: {console.percent(low)} to {console.percent(high)})"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
