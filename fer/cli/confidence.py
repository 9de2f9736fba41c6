"""``fer confidence``: how far a checkpoint's confidence can be believed, and when it should say "unsure"."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from analysis.calibration import CalibrationScores
    from analysis.confidence import Study
    from fer.types import PredictionTable

app = typer.Typer(add_completion=False)


@app.command()
def confidence(
    checkpoint: options.CheckpointOnly = None,
    data: options.Data = None,
    split: Annotated[Optional[str], typer.Option(help="validation, test or train. [default: validation]")] = None,
    table: Annotated[Optional[Path], typer.Option(help="A table of fer evaluate --table, instead of running a model.")] = None,
    accuracy: Annotated[float, typer.Option(help='Accuracy that answers are to have that are not "unsure".')] = 0.8,
    out: Annotated[Path, typer.Option(help="Folder for confidence.json and the pictures.")] = Path("confidence"),
    json: options.Json = False,
) -> None:
    """Calibration before and after temperature scaling, reliability, histograms, and a threshold for "unsure".

    Calibration and threshold are judged on faces that they were not fitted on, as far as these are known. The pictures are
    drawn from confidence.json.
    """
    from analysis.abstention import check_accuracy
    from analysis.confidence import study, write
    from fer.errors import ConfigError
    from fer.files import check_folder

    if table and (checkpoint or data or split):
        raise ConfigError("give --table, or a checkpoint, data and split to run it on, not both")
    check_accuracy(accuracy)
    check_folder(out)
    predictions = _read(table) if table else _judged(checkpoint, data, split or "validation")
    found = study(predictions, accuracy)
    written = write(found, out)
    if json:
        console.put_json(found.to_dict())
    else:
        show(found)
    console.wrote(written)


def _read(path: Path) -> "PredictionTable":
    from analysis.left_out import refuse_left_out
    from fer.types import PredictionTable

    table = PredictionTable.load(path)
    refuse_left_out(table, path)
    return table


def _judged(checkpoint: str | None, data: Path | None, split: str) -> "PredictionTable":
    from fer.checkpoint import load as load_checkpoint
    from fer.data import load
    from fer.evaluation import evaluate_checkpoint

    model = load_checkpoint(checkpoint)
    say_other_labels(model)
    with console.progress("reading faces") as report:
        faces = load(data, report).split(split)
    with console.progress("judging faces") as report:
        return evaluate_checkpoint(model, faces, report)


def show(found: "Study") -> None:
    """Print calibration, one row for each set of faces and scaling, and the threshold."""
    columns = ("n", "accuracy", "ECE", "ECE by chance (95 %)", "adaptive ECE", "Brier", "NLL")
    scores = console.make_table("faces", "temperature", *columns, title=f"calibration, {found.split} split")
    temperature = f"{float(found.source['temperature']):.4f}" if "temperature" in found.source else "unknown"
    if found.scaling:
        scores.add_row(found.scaling.faces, "1 (raw)", *_cells(found.scaling.raw))
        scores.add_row(found.scaling.faces, f"{found.scaling.temperature:.4f}", *_cells(found.scaling.scaled))
    scores.add_row("all faces of the table", temperature, *_cells(found.scores))
    scores.add_row("all faces of the table", "of the other half", *_cells(found.cross_fitted))
    console.put_table(scores)
    halves = console.make_table("half", "answered", "coverage", "accuracy", "95 % interval", title=_threshold(found))
    for name, kept in (("chosen on", found.abstention.fitted), ("other", found.abstention.held_out)):
        percent, interval = "–", "–"
        if kept.accuracy is not None and kept.interval:
            percent, interval = console.percent(kept.accuracy), " to ".join(console.percent(p) for p in kept.interval)
        halves.add_row(name, f"{kept.n:,} of {kept.of:,}", console.percent(kept.coverage), percent, interval)
    console.put_table(halves)


def _cells(scores: "CalibrationScores") -> list[str]:
    chance = f"{scores.chance.mean:.4f} ({scores.chance.high:.4f})"
    figures = (f"{value:.4f}" for value in (scores.adaptive_ece, scores.brier, scores.log_loss))
    return [f"{scores.n:,}", console.percent(scores.accuracy), f"{scores.ece:.4f}", chance, *figures]


def _threshold(found: "Study") -> str:
    wanted = f"{found.abstention.wanted:.0%} accuracy"
    if found.abstention.threshold is None:
        return f"no threshold reaches {wanted}"
    return f'"unsure" below {found.abstention.threshold:.4f}, chosen for {wanted}'
