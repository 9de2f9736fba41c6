"""``fer ensemble``: several checkpoints as one."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from fer.cli import console, options

app = typer.Typer()


@app.command()
def ensemble(
    checkpoints: Annotated[list[str], typer.Argument(help="Two or more checkpoint files or released names.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File that receives the ensemble.")],
    weights: Annotated[Optional[str], typer.Option(help="One number a member: 2,1,1. [default: all alike]")] = None,
    data: options.Data = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights in half precision.")] = False,
) -> None:
    """Average the probabilities of several checkpoints; the result is a checkpoint like any other.

    Prints its accuracy on the validation split beside that of every member.
    """
    from fer import checkpoint as files
    from fer.combine import combine, measured
    from fer.data import load
    from fer.evaluation import evaluate_checkpoint
    from fer.metrics import evaluate_table

    members = [files.load(name) for name in checkpoints]
    together = combine(members, _numbers(weights) if weights else None)
    with console.progress("reading faces") as report:
        faces = load(data, report).split("validation")
    for model in members:
        _say(model.name, evaluate_table(evaluate_checkpoint(model, faces)))
    with console.progress("judging faces") as report:
        metrics = evaluate_table(evaluate_checkpoint(together, faces, report))
    _say("ensemble", metrics)
    together = measured(together, metrics, "validation")
    files.save(out, together.model.state_dict(), together.card, half=half)
    console.put(str(out))


def _numbers(text: str) -> list[float]:
    from fer.errors import ConfigError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"--weights {text}: write numbers with commas between them, such as 2,1,1") from error


def _say(name: str, metrics: dict[str, Any]) -> None:
    low, high = metrics["ci95"]
    console.say(f"{name}: {console.percent(metrics['accuracy'])} (95 % {console.percent(low)} to {console.percent(high)})")
