"""``fer compare-modes``: feature extraction beside fine-tuning."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from fer.cli import console, options

app = typer.Typer(add_completion=False)


@app.command(name="compare-modes")
def compare_modes(
    architecture: Annotated[str, typer.Argument(help="One of `fer models`, or timm:NAME.")],
    modes: Annotated[
        str, typer.Option(help="Modes to compare, with commas between them.")
    ] = "feature-extract,gradual,finetune",
    init: Annotated[Optional[str], typer.Option(help="Starting weights: file, run or release, instead of a download.")] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Epochs of every mode. [default: each recipe's]")] = None,
    data: options.Data = None,
    assignments: Annotated[Optional[list[str]], typer.Option("--set", help="key=value, over the recipes; repeatable.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that receives a folder for every mode.")] = Path("runs"),
    json: options.Json = False,
) -> None:
    """Train one architecture in several modes from the same weights and seed, and print them side by side."""
    from fer.environment import bind_threads

    bind_threads()
    from fer.cli.live import watched
    from fer.cli.train import check_heeded, check_named, draw, resolve
    from fer.data import load
    from fer.errors import InterruptedRunError
    from fer.files import check_folder
    from fer.training.run import new_folder, train

    configs, wanted = [], [mode.strip() for mode in modes.split(",")]
    for mode in wanted:
        # beside modes that take it, scratch goes without; alone it is refused as anywhere
        start = init if mode != "scratch" or set(wanted) == {"scratch"} else None
        configs.append(resolve(architecture, None, assignments or [], {"epochs": epochs, "init": start, "mode": mode}))
        check_named(configs[-1])
    check_heeded(configs, assignments or [], {})  # what one mode heeds may be given beside others
    check_folder(runs)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    rows = []
    for number, config in enumerate(configs, 1):
        folder = new_folder(runs, config)
        try:
            with watched(config, corpus, folder) as watch:
                run = train(config, corpus, folder, watch)
        except InterruptedRunError as error:
            left = f"; not begun: {', '.join(wanted[number:])}" if wanted[number:] else ""
            raise InterruptedRunError(f"{error}{left}", error.code) from error
        draw(run)
        rows.append(_row(config.mode, run))
        console.say(f"{config.mode}: validation {_accuracy(rows[-1])}, {rows[-1]['run']}")  # should a later mode fail
    if json:
        console.put_json(rows)
        return
    table = console.make_table(
        "mode", "validation accuracy (95 %)", "macro F1", "train accuracy", "best epoch", "minutes", "run"
    )
    for row in rows:
        rest = (f"{row['macro_f1']:.3f}", console.percent(row["train_accuracy"]), str(row["best_epoch"]), str(row["minutes"]))
        table.add_row(row["mode"], _accuracy(row), *rest, row["run"])
    console.put_table(table)


def _accuracy(row: dict[str, Any]) -> str:
    low, high = row["ci95"]
    return f"{console.percent(row['accuracy'])} ({console.percent(low)} to {console.percent(high)})"


def _row(mode: str, run: Any) -> dict[str, Any]:
    metrics = run.card.metrics["validation"]
    return {
        "mode": mode,
        **{key: metrics[key] for key in ("accuracy", "ci95", "macro_f1", "n")},
        "train_accuracy": run.card.train_accuracy,
        "best_epoch": run.card.best_epoch,
        "minutes": run.card.hardware["minutes"],
        "run": str(run.folder),
    }
