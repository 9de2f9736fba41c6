"""``fer train``: train one architecture on one data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options

if TYPE_CHECKING:
    from fer.config import RunConfig
    from fer.training.history import Epoch
    from fer.training.run import Run

app = typer.Typer()


@app.command()
def train(
    architecture: Annotated[Optional[str], typer.Argument(help="One of `fer models`. Not needed with --resume.")] = None,
    mode: Annotated[
        str, typer.Option(help="scratch, finetune or feature-extract (the last two: ImageNet weights).")
    ] = "scratch",
    data: options.Data = None,
    recipe: Annotated[Optional[str], typer.Option(help="Shipped recipe or YAML file. [default: the architecture's]")] = None,
    assignments: Annotated[Optional[list[str]], typer.Option("--set", help="key=value, over the recipe; repeatable.")] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Same as --set epochs=N.")] = None,
    seed: Annotated[Optional[int], typer.Option(help="Same as --set seed=N.")] = None,
    init: Annotated[Optional[Path], typer.Option(help="Local starting weights instead of a download.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that receives the run's folder.")] = Path("runs"),
    resume: Annotated[Optional[Path], typer.Option(help="Continue the run in this folder where it stopped.")] = None,
) -> None:
    """Train an architecture; keep the epoch that is best on the validation split.

    Prints the run's folder: best.pth, last.pth, config.yaml, history.csv, metrics.json, pictures, TensorBoard events.
    """
    from fer.data import load
    from fer.training.run import new_folder, read_config

    if resume:
        config, folder = read_config(resume), resume
    else:
        shorthand = {"epochs": epochs, "seed": seed, "init": str(init) if init else None}
        config = resolve(architecture, mode, recipe, assignments or [], shorthand)
        folder = new_folder(runs, config)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    run = _train(config, corpus, folder, resume is not None)
    draw(run)
    metrics = run.card.metrics["validation"]
    low, high = metrics["ci95"]
    console.say(
        f"best epoch {run.card.best_epoch}: validation {console.percent(metrics['accuracy'])} "
        f"(95 % {console.percent(low)} to {console.percent(high)}, n {metrics['n']}), "
        f"train {console.percent(run.card.train_accuracy)}, {run.card.hardware['minutes']} min"
    )
    console.put(str(run.folder))


def resolve(
    architecture: str | None, mode: str, recipe: str | None, assignments: list[str], shorthand: dict[str, Any]
) -> RunConfig:
    """Defaults < recipe < ``--set`` < the options that are short for it.

    Raises:
        FerError: a name, key or value is unknown or impossible.
    """
    from fer.config import RunConfig, parse_assignments, read_recipe, recipe_names, with_values
    from fer.errors import ConfigError
    from fer.models import MODELS

    if not architecture:
        raise ConfigError(f"name an architecture: fer train NAME; known: {', '.join(MODELS)}")
    entry = MODELS[architecture]
    config = with_values(RunConfig(), {"model": entry.name, "mode": mode}, "command line")
    own = architecture if mode == "scratch" else f"{architecture}-{mode}"
    name = recipe or (own if own in recipe_names() else None)
    if name:
        config = with_values(config, read_recipe(name), f"recipe {name}")
    config = with_values(config, parse_assignments(assignments), "--set")
    given = {key: value for key, value in shorthand.items() if value is not None}
    config = with_values(config, given, "command line")
    entry.variant_for(config.mode, bool(config.init))  # an impossible mode is said before the data is read
    return config


def _train(config: RunConfig, corpus: Any, folder: Path, resume: bool) -> Run:
    from fer.training.run import Watch, train

    with console.make_progress() as bars:
        task = bars.add_task(f"epoch 1/{config.epochs}", total=None)

        def on_start() -> None:
            faces = ", ".join(f"{len(split):,} {name}" for name, split in corpus.splits.items())
            console.say(f"{config.model} ({config.mode}, {config.epochs} epochs) on {faces} faces; results go to {folder}")

        def on_step(epoch: int, step: int, steps: int) -> None:
            bars.update(task, description=f"epoch {epoch}/{config.epochs}", completed=step, total=steps)

        def on_epoch(epoch: Epoch, is_best: bool) -> None:
            console.say(
                f"epoch {epoch.epoch:3}/{config.epochs}  loss {epoch.train_loss:.4f}  "
                f"train {console.percent(epoch.train_accuracy)}  validation {console.percent(epoch.validation_accuracy)}"
                f"{'  best' if is_best else ''}  {epoch.seconds:.0f} s"
            )

        def on_evaluate(done: int, total: int) -> None:
            bars.update(task, description="evaluating the best epoch", completed=done, total=total)

        try:
            return train(config, corpus, folder, Watch(on_step, on_epoch, on_evaluate, on_start), resume=resume)
        except KeyboardInterrupt:
            if (folder / "last.pth").exists():
                console.say(f"continue with: fer train --resume {folder}")
            raise


def draw(run: Run) -> None:
    """Write training_curves.png and confusion_matrix.png into the run's folder."""
    from analysis.figures import confusion, curves, save

    save(curves.figure(run.history), run.folder / "training_curves.png")
    save(confusion.figure(run.card.metrics["validation"]), run.folder / "confusion_matrix.png")
