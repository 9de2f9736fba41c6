"""``fer tune``: search a recipe."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from fer.cli import console, options

app = typer.Typer(add_completion=False)


@app.command()
def tune(
    architecture: Annotated[str, typer.Argument(help="One of `fer models`, or timm:NAME.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials of the study in all, those of earlier calls counted.")] = 20,
    epochs: Annotated[Optional[int], typer.Option(help="Epochs a trial. [default: the recipe's]")] = None,
    data: options.Data = None,
    recipe: Annotated[Optional[str], typer.Option(help="Where the search starts. [default: the architecture's]")] = None,
    assignments: Annotated[
        Optional[list[str]], typer.Option("--set", help="key=value, over the recipe, and not searched; repeatable.")
    ] = None,
    study: Annotated[Optional[Path], typer.Option(help="Folder of the study; an existing one goes on.")] = None,
) -> None:
    """Search learning rate, augmentation and regularisation; trials that lag are ended early (Optuna, SQLite).

    Prints the recipe of the best trial, for `fer train ARCH --recipe FILE`.
    """
    from fer.environment import bind_threads

    bind_threads()
    from fer.cli.live import watched
    from fer.cli.train import check_heeded, check_named, resolve
    from fer.data import load
    from fer.errors import InterruptedRunError
    from fer.files import check_folder
    from fer.overrides import by_full_key, parse_assignments
    from fer.training.tune import STUDY, space
    from fer.training.tune import tune as search
    from fer.words import counted

    config = resolve(architecture, recipe, assignments or [], {"epochs": epochs})
    check_heeded([config], assignments or [], {})
    settled = by_full_key(parse_assignments(assignments or []), "command line")
    space(config, settled)  # says, before the data is read, where nothing is left to search
    folder = study or Path("runs") / f"tune-{architecture.replace(':', '-')}"
    check_named(config)
    check_folder(folder)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    try:
        best = search(config, corpus, folder, trials, watched, settled)
    except (InterruptedRunError, KeyboardInterrupt) as error:
        if not (folder / STUDY).exists():  # nothing is saved yet
            raise
        raise InterruptedRunError(
            f"saved; the same command goes on with the study in {folder}", getattr(error, "code", 130)
        ) from error
    console.say(
        f"best of {counted(best.finished, 'finished trial')} ({best.pruned} ended early): "
        f"validation {console.percent(best.accuracy)}"
    )
    console.put(str(best.recipe))
