"""``fer zoo``: the released checkpoints and their table."""

from pathlib import Path
from typing import Annotated

import typer

from fer.cli import console, options

app = typer.Typer(help="Release checkpoints and list them.")


@app.command()
def add(
    checkpoint: Annotated[Path, typer.Argument(help="best.pth of a finished run.")],
    name: Annotated[str, typer.Argument(help="Name under checkpoints/, such as custom_cnn.")],
    data: options.Data = None,
    default: Annotated[bool, typer.Option("--default", help="Make it the one used where none is named.")] = False,
) -> None:
    """Store a checkpoint in half precision, measure it again on the validation split, write its card and the table."""
    from fer.checkpoint import RELEASED
    from fer.checkpoint import load as load_checkpoint
    from fer.data import load
    from fer.release import release, set_default, write_tables

    model = load_checkpoint(checkpoint)
    with console.progress("reading faces") as report:
        faces = load(data, report).split("validation")
    with console.progress("judging faces") as report:
        card = release(model, faces, RELEASED / f"{name}.pth", report)
    if default:
        set_default(name)
    write_tables()
    console.put(f"{RELEASED / name}.pth {console.percent(card.validation_accuracy)}")


@app.command()
def table() -> None:
    """Write the table of released checkpoints anew from their cards: checkpoints/README.md and the README."""
    from fer.release import markdown_table, write_tables

    write_tables()
    console.put(markdown_table())
