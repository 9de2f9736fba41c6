"""``fer distill``: a small network learns what a large one says."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from fer.cli import console, options

app = typer.Typer(add_completion=False)


@app.command()
def distill(
    teacher: Annotated[list[str], typer.Option(help="Checkpoint to learn from; repeatable, probabilities are averaged.")],
    student: Annotated[str, typer.Option(help="Architecture that learns; its recipe is taken.")],
    data: options.Data = None,
    recipe: Annotated[Optional[str], typer.Option(help="Shipped recipe or YAML file. [default: the student's]")] = None,
    temperature: Annotated[Optional[float], typer.Option(help="Softens the teachers' probabilities.")] = None,
    alpha: Annotated[Optional[float], typer.Option(help="The teachers' part of the loss, 0..1.")] = None,
    assignments: Annotated[Optional[list[str]], typer.Option("--set", help="key=value, over the recipe; repeatable.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that receives the run's folder.")] = Path("runs"),
) -> None:
    """Train a student on what teachers say of every training face, asked once and kept; prints the run's folder.

    The same at every step, about augmented faces: fer train STUDENT --teacher CHECKPOINT --set ahead=false.
    """
    from fer.environment import bind_threads

    bind_threads()
    from fer.cli.live import watched
    from fer.cli.train import check_heeded, check_named, free_folder, report_run, resolve
    from fer.data import load
    from fer.training.run import train

    shorthand = {
        "distillation.teachers": teacher,
        "distillation.temperature": temperature,
        "distillation.alpha": alpha,
        "distillation.ahead": True,
    }
    refuse_unasked(assignments or [])
    config = resolve(student, recipe, assignments or [], shorthand)
    check_heeded([config], assignments or [], {})
    check_named(config)
    folder = free_folder(runs, config)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    with watched(config, corpus, folder) as watch:
        run = train(config, corpus, folder, watch)
    report_run(run)


def refuse_unasked(assignments: list[str]) -> None:
    """ConfigError where teachers are not to be asked ahead, which is what the command does."""
    from fer.config import RunConfig
    from fer.errors import ConfigError
    from fer.overrides import parse_assignments, with_values

    own = {key: value for key, value in parse_assignments(assignments).items() if key == "ahead" or "distillation" in key}
    ahead = with_values(RunConfig(), {"ahead": True}, "fer distill")
    if not with_values(ahead, own, "command line").distillation.ahead:
        raise ConfigError(
            "ahead=false: fer distill asks teachers once, ahead; leave it out, or have them asked at every step by "
            "fer train STUDENT --teacher CHECKPOINT --set ahead=false"
        )
