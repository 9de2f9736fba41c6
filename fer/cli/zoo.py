"""``fer zoo``: the released checkpoints and their table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options

if TYPE_CHECKING:
    from fer.config import RunConfig
    from fer.data import Corpus
    from fer.training.run import Watch

app = typer.Typer(add_completion=False, help="Train and release checkpoints, and write their table.")


@app.command()
def add(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a finished run, or its best.pth.")],
    name: Annotated[str, typer.Argument(help="Name under checkpoints/, such as custom_cnn.")],
    data: options.Data = None,
    default: Annotated[bool, typer.Option("--default", help="Make it the one used where none is named.")] = False,
) -> None:
    """Calibrate a checkpoint, store it small, measure it as stored on the validation split, write card and table.

    Weights are kept in half precision where that leaves the figures as they are.
    One of the same name is replaced where the new one answers better.
    """
    from fer.data import load
    from fer.errors import ConfigError
    from fer.release import set_default, write_tables
    from fer.released import RELEASED, find
    from fer.zoo import check_name, release_best

    checkpoint = find(checkpoint)
    check_name(name, checkpoint)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    with console.progress("judging faces") as report:
        card, stored = release_best(name, checkpoint, corpus, RELEASED, report)
    if not stored:
        raise ConfigError(
            f"not stored: {name} with {console.percent(card.validation_accuracy)} is no better than what is released; "
            "give it another name, or remove that one first"
        )
    if default:
        set_default(name)
    write_tables()
    console.put(f"{RELEASED / name}.pth {console.percent(card.validation_accuracy)}")


@contextmanager
def _without_pictures(config: RunConfig, corpus: Corpus, folder: Path) -> Iterator[Watch]:
    """What is shown of a run, but for pictures at every epoch: a fast GPU would wait for them."""
    from dataclasses import replace

    from fer.cli.live import watched
    from fer.training.run import nothing

    with watched(config, corpus, folder) as watch:
        yield replace(watch, on_picture=nothing)


@app.command()
def train(
    names: Annotated[
        Optional[list[str]], typer.Argument(help="Models for release. [default: all of the list, most of them for a GPU]")
    ] = None,
    data: options.Data = None,
    runs: Annotated[
        Path, typer.Option(help="Folder of the runs, one a name; finished ones are kept, stopped ones go on.")
    ] = Path("runs/zoo"),
    out: Annotated[
        Optional[Path], typer.Option("--out", "-o", help="Where releases go; teachers come from checkpoints/. [default: there]")
    ] = None,
    votes: Annotated[Optional[Path], typer.Option(help="FER+ votes, for the models that learn from them.")] = None,
    assignments: Annotated[Optional[list[str]], typer.Option("--set", help="key=value, over the recipes; repeatable.")] = None,
) -> None:
    """Train released models from their recipes; each is released when it is done and better than what is there.

    ``ensemble`` is put together from its released members, with fitted weights.

    Prints a line a model: its file, its validation accuracy, what it lacks of its floor. One that fails does not stop
    the others.
    """
    from fer.environment import bind_threads

    bind_threads()
    from fer.data import load
    from fer.errors import FerError, InterruptedRunError, TrainingError
    from fer.files import check_folder, make_folder
    from fer.release import write_tables
    from fer.released import RELEASED
    from fer.zoo import release_best, verdict

    chosen = _chosen(names, votes, assignments or [])
    target = out or RELEASED
    make_folder(target)
    check_folder(runs)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    failed = []
    try:
        for name, config in chosen.items():
            try:
                best = _made(name, config, corpus, runs, target)
                card, stored = release_best(name, best, corpus, target)
            except InterruptedRunError as error:  # which tells how to finish a run, not how to release it
                raise InterruptedRunError(f"{name}: saved; the same command goes on with it", error.code) from error
            except FerError as error:
                failed.append(name)
                console.say(f"{name}: {error}")
                continue
            released = target / f"{name}.pth"
            kept = "stored" if stored else f"not stored, {released} is as good"
            measured = released if stored else best
            console.put(f"{measured} {console.percent(card.validation_accuracy)} ({kept}; {verdict(name, card)})")
    finally:  # also where it is stopped: what is released stands in the tables
        if target.resolve() == RELEASED.resolve():
            write_tables()
    if failed:
        raise TrainingError(f"not trained: {', '.join(failed)}; the reasons stand above")


def _made(name: str, config: RunConfig | None, corpus: Corpus, runs: Path, target: Path) -> Path:
    """The best checkpoint of a release's run, which is trained where it is not; of an ensemble, put together anew."""
    from fer.zoo import put_together, train_release

    if config is not None:
        return train_release(name, config, corpus, runs, _without_pictures, target)
    with console.progress("judging members") as report:
        return put_together(name, corpus, runs, target, report)


def _chosen(names: list[str] | None, votes: Path | None, assignments: list[str]) -> dict[str, RunConfig | None]:
    """Configurations by name, None for an ensemble; without names of all models for which there is what they need."""
    from fer.cli.train import check_heeded, with_epochs
    from fer.emotions import suggestion
    from fer.errors import UnknownNameError
    from fer.overrides import parse_assignments, recipe_config, with_values
    from fer.zoo import ENSEMBLES, ZOO

    for name in names or ():  # an unknown name is said before anything is trained
        if name not in ZOO:
            raise UnknownNameError(f"unknown released model {name!r}{suggestion(name, ZOO)}; known: {', '.join(ZOO)}")
    changes = parse_assignments(assignments)
    chosen: dict[str, RunConfig | None] = {}
    for name in names or ZOO:
        if name in ENSEMBLES:
            chosen[name] = None
            continue
        base = recipe_config(name)
        config = with_values(base, with_epochs(base, changes), "command line")
        if config.labels != "fer" and votes:
            config = with_values(config, {"votes": str(votes)}, "command line")
        elif config.labels != "fer" and not names:
            console.say(f"{name} learns from FER+ votes: left out, name their file with --votes")
            continue
        chosen[name] = config
    check_heeded([config for config in chosen.values() if config], assignments, {})
    return chosen


@app.command()
def speedrun(
    data: options.Data = None,
    recipe: Annotated[Optional[str], typer.Option(help="Recipe. [default: speedrun on a GPU, speedrun-cpu without]")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that receives the run's folder.")] = Path("runs"),
) -> None:
    """Train against the clock, from this command to the end of the run, data included; prints JSON."""
    started = time.perf_counter()
    from fer.environment import bind_threads

    bind_threads()
    from fer.cli.live import line
    from fer.cli.train import free_folder
    from fer.data import load
    from fer.environment import best_device, device_name
    from fer.overrides import recipe_config
    from fer.training.run import Watch
    from fer.training.run import train as run_training

    name = recipe or ("speedrun" if best_device() == "cuda" else "speedrun-cpu")
    config = recipe_config(name)
    folder = free_folder(runs, config)
    corpus = load(data)
    loaded = time.perf_counter() - started
    ends = []

    def on_epoch(epoch: Any, is_best: bool) -> None:
        ends.append(time.perf_counter() - started)
        console.say(f"{ends[-1]:.1f} s: {line(epoch, config.epochs, is_best)}")

    run = run_training(config, corpus, folder, Watch(on_epoch=on_epoch))
    metrics, seconds = run.card.metrics["validation"], time.perf_counter() - started
    result = {"accuracy": metrics["accuracy"], "ci95": metrics["ci95"], "n": metrics["n"], "seconds": round(seconds, 1)}
    parts = {"seconds_loading": round(loaded, 1), "seconds_last_epoch": round(ends[-1], 1)}
    place = {"device": device_name(), "recipe": name, "folder": str(run.folder)}
    console.put_json(result | parts | place)


@app.command()
def pareto(
    out: Annotated[Path, typer.Option("--out", "-o", help="Picture to write (.png); the figures go beside it as .json.")],
) -> None:
    """Time every released model of all seven classes on this CPU; draw accuracy against milliseconds a face and megabytes."""
    import json

    from analysis.figures import pareto as drawing
    from analysis.figures import save
    from fer.environment import device_name
    from fer.errors import OutputError
    from fer.files import check_place, write_whole
    from fer.pareto import points

    if out.suffix != ".png":
        raise OutputError(f"cannot write {out}: the picture is a PNG, and its figures go beside it; give a name ending in .png")
    check_place(out)  # before the minutes that it takes
    with console.progress("timing models") as report:
        rows, device = points(report), device_name("cpu")
    content = json.dumps({"device": device, "models": rows}, indent=2) + "\n"
    write_whole(out.with_suffix(".json"), content.encode())
    save(drawing.figure(rows, device), out)
    console.put(str(out))


@app.command()
def table() -> None:
    """Write the table of released checkpoints anew from their cards: checkpoints/README.md and the README."""
    from fer.release import markdown_table, write_tables

    write_tables()
    console.put(markdown_table())
