"""``fer pretrain``: starting weights from natural images."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from fer.cli import console

app = typer.Typer(add_completion=False)


@app.command()
def pretrain(
    architecture: Annotated[str, typer.Argument(help="One of `fer models`.")],
    data: Annotated[Path, typer.Option("--data", "-d", help="Tar, zip or folder of train/<class>/ and validation/<class>/.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File that receives the weights, for --init.")],
    epochs: Annotated[Optional[int], typer.Option(help="Same as --set epochs=N.")] = None,
    assignments: Annotated[
        Optional[list[str]], typer.Option("--set", help="key=value, over the recipe pretrain; repeatable.")
    ] = None,
) -> None:
    """Train an architecture to classify natural images: an offline start for --mode finetune and feature-extract.

    Prints the file. Stopped, the same command goes on with the next epoch.
    Afterwards: fer train ARCHITECTURE --mode finetune --init FILE
    """
    from fer.environment import bind_threads

    bind_threads()
    from fer.cli.train import with_epochs
    from fer.config import RunConfig
    from fer.data.natural import load_natural
    from fer.errors import ConfigError, InterruptedRunError
    from fer.files import check_place
    from fer.overrides import parse_assignments, read_recipe, with_values
    from fer.training.memory import memory_advice
    from fer.training.pretrain import PretrainEpoch, pretrained_form, unfinished
    from fer.training.pretrain import pretrain as run

    base = with_values(RunConfig(), {"model": architecture} | read_recipe("pretrain"), "recipe pretrain")
    given: dict[str, Any] = {"model": architecture} | ({} if epochs is None else {"epochs": epochs})
    config = with_values(base, with_epochs(base, parse_assignments(assignments or []) | given), "command line")
    check_place(out)
    form = pretrained_form(config)  # what cannot be done is said before a hundred thousand images are read
    by_recipe = with_epochs(base, {"epochs": config.epochs}).get("small_epochs", base.small_epochs)
    if form.fixed_size and config.small_epochs not in (0, by_recipe):
        size = form.preprocess.size
        raise ConfigError(
            f"{config.model} takes inputs of {size} pixels only, not small_epochs={config.small_epochs}; leave that out"
        )
    with console.progress("reading images") as report:
        natural = load_natural(data, report)
    counts = ", ".join(f"{len(labels):,} {split}" for split, labels in natural.labels.items())
    console.say(f"{architecture} on {counts} images of {len(natural.classes)} classes")

    def say(epoch: PretrainEpoch) -> None:
        console.say(
            f"epoch {epoch.epoch:3}/{config.epochs}  loss {epoch.train_loss:.4f}  "
            f"validation {console.percent(epoch.validation_accuracy)}  {epoch.images_per_second:,.0f} images/s"
        )

    with console.progress("pretraining") as report, memory_advice(config), console.cleaned_up():
        try:
            run(config, natural, out, say, report, console.say)
        except KeyboardInterrupt as stop:
            if not unfinished(out).exists():  # nothing is saved yet
                raise
            raise InterruptedRunError("stopped; the same command goes on after the last whole epoch", 130) from stop
    console.put(str(out))
