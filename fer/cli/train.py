"""``fer train``: train one architecture on one data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options

if TYPE_CHECKING:
    from fer.config import RunConfig
    from fer.training.run import Run

app = typer.Typer(add_completion=False)

Text = Optional[str]


@app.command()
def train(
    architecture: Annotated[
        Text, typer.Argument(help="One of `fer models`, or timm:NAME. Not with --resume, --config.")
    ] = None,
    mode: Annotated[Text, typer.Option(help="scratch, finetune, feature-extract or gradual. [default: scratch]")] = None,
    data: options.Data = None,
    recipe: Annotated[Text, typer.Option(help="Shipped recipe or YAML file. [default: the architecture's]")] = None,
    config: Annotated[
        Optional[Path], typer.Option(help="Repeat a run: its config.yaml, no recipe and no --set beside it.")
    ] = None,
    assignments: Annotated[Optional[list[str]], typer.Option("--set", help="key=value, over the recipe; repeatable.")] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Same as --set epochs=N.")] = None,
    seed: Annotated[Optional[int], typer.Option(help="Same as --set seed=N.")] = None,
    init: Annotated[Optional[str], typer.Option(help="Starting weights: file, run or release, instead of a download.")] = None,
    classes: Annotated[Text, typer.Option(help="Only these classes: angry,happy,…")] = None,
    labels: Annotated[Text, typer.Option(help="fer, ferplus-majority or ferplus-soft. [default: fer]")] = None,
    votes: options.Votes = None,
    clean: Annotated[Optional[Path], typer.Option(help="Leave out training faces: clean.json of fer data check.")] = None,
    class_weights: Annotated[Text, typer.Option(help="none, balanced, or a JSON file. [default: none]")] = None,
    teacher: Annotated[Optional[list[str]], typer.Option(help="Checkpoint to learn from; repeatable.")] = None,
    temperature: Annotated[Optional[float], typer.Option(help="Softens the teachers' probabilities.")] = None,
    alpha: Annotated[Optional[float], typer.Option(help="The teachers' part of the loss, 0..1.")] = None,
    unfreeze_every: Annotated[Optional[int], typer.Option(help="Mode gradual: epochs until the next stage is freed.")] = None,
    folds: Annotated[int, typer.Option(help="Cross-validate: so many runs over parts of the train split.")] = 0,
    seeds: Annotated[int, typer.Option(help="Repeat with so many seeds; mean and deviation are reported.")] = 0,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[
        int, typer.Option(help="Processes a machine: GPUs, or shares of a CPU; not for gradual, --folds, --seeds.")
    ] = 1,
    num_nodes: Annotated[int, typer.Option(help="Machines; start it on each by torchrun or srun.")] = 1,
    runs: Annotated[Optional[Path], typer.Option(help="Folder that receives the run's folder. [default: runs]")] = None,
    resume: Annotated[Optional[Path], typer.Option(help="Continue the run in this folder where it stopped.")] = None,
    changed_data: Annotated[bool, typer.Option("--changed-data", help="Resume although the data set has changed.")] = False,
) -> None:
    """Train an architecture; keep the epoch that is best on the validation split.

    Prints the run's folder: best.pth, last.pth, config.yaml, history.csv, metrics.json, pictures, TensorBoard events.
    Ctrl-C saves and says how to go on.
    """
    from fer.environment import bind_threads

    if devices * num_nodes == 1:
        bind_threads()
    from fer.training.hardware import Hardware
    from fer.training.run import Continuation
    from fer.training.store import read_config

    shorthand = {
        "mode": mode,
        "epochs": epochs,
        "seed": seed,
        "init": init,
        "classes": classes,
        "labels": labels,
        "votes": votes and str(votes),
        "clean": clean and str(clean),
        "loss.class_weights": class_weights,
        "distillation.teachers": teacher or None,
        "distillation.temperature": temperature,
        "distillation.alpha": alpha,
        "unfreeze_every": unfreeze_every,
    }
    hardware = Hardware(accelerator, devices, num_nodes)
    if resume or config:
        given = (architecture, recipe, assignments or None, resume and (config or runs), *shorthand.values())
        refuse_changes("--resume" if resume else "--config", any(value is not None for value in given))
    if resume:
        refuse_series(resume, folds or seeds, changed_data)
        resolved, folder = read_config(resume), resume
    else:
        resolved = repeat(config) if config else resolve(architecture, recipe, assignments or [], shorthand)
        folder = free_folder(runs or Path("runs"), resolved)
        check_heeded([resolved], assignments or [], shorthand)
        refuse_changed_data(changed_data)
    check_named(resolved, resumed=resume is not None)
    with console.progress("reading faces") as report:
        from fer.data import load

        corpus = load(data, report)
    if folds or seeds:
        train_series(resolved, corpus, folder, hardware, folds=folds, seeds=seeds)
        if console.is_first_process():
            console.put(str(folder))
        return
    from fer.cli.live import watched

    with watched(resolved, corpus, folder) as watch:
        from fer.training.run import train as run_training

        run = run_training(
            resolved, corpus, folder, watch, hardware=hardware, continuation=Continuation(resume is not None, changed_data)
        )
    if console.is_first_process():
        report_run(run)


def refuse_changes(option: str, changed: bool) -> None:
    """ConfigError where what is to be repeated or continued is also to be another run."""
    from fer.errors import ConfigError

    if changed:
        raise ConfigError(
            f"{option} takes the whole configuration of its run; leave out the architecture, --set, --runs and the options "
            "that stand for it, or start a changed run with --recipe runs/.../config.yaml"
        )


def refuse_changed_data(changed_data: bool) -> None:
    """ConfigError where a run that begins is told that its data has changed."""
    from fer.errors import ConfigError

    if changed_data:
        raise ConfigError("--changed-data is for a run that goes on; name it with --resume, or leave it out")


def check_heeded(configs: Sequence[RunConfig], assignments: list[str], shorthand: dict[str, Any]) -> None:
    """ConfigError where ``--set`` or an option gives a key that none of these runs would heed."""
    from fer.heeded import refuse_unheeded
    from fer.overrides import by_full_key, parse_assignments

    assigned = by_full_key(parse_assignments(assignments), "command line")
    options = {key: f"--{key.rpartition('.')[2].replace('_', '-')}" for key, value in shorthand.items() if value is not None}
    refuse_unheeded(configs, {key: f"--set {key}" for key in assigned} | options)


def free_folder(runs: Path, config: RunConfig) -> Path:
    """A folder for a new run, not yet made; OutputError where ``runs`` can hold none: known before the data are read."""
    from fer.files import check_folder
    from fer.training.run import new_folder

    check_folder(runs)
    return new_folder(runs, config)


def check_named(config: RunConfig, *, resumed: bool = False) -> None:
    """FerError where starting weights or a teacher are named that are not there: known before the data are read."""
    from fer.training.start import starting_file
    from fer.training.teachers import check_teachers

    check_teachers(config)
    if config.init and not resumed:  # a run that goes on has its own weights
        starting_file(config.init)


def refuse_series(folder: Path, runs: int, changed_data: bool) -> None:
    """ConfigError where a series is resumed as a single run, or on other data."""
    from fer.errors import ConfigError
    from fer.training.series import KINDS, is_fold, kind_of

    if runs and changed_data:
        raise ConfigError("a series is of one data set; --changed-data is for single runs, so name the data it began with")
    if is_fold(folder):  # trained on a part of the data that only its series knows
        raise ConfigError(
            f"{folder} is a fold of {folder.parent}; resume that with {KINDS['fold']} and the number it began with"
        )
    kind = kind_of(folder)
    if kind and not runs:
        raise ConfigError(f"{folder} is a series over {kind}s; resume it with {KINDS[kind]} and the number it began with")


def resolve(architecture: str | None, recipe: str | None, assignments: list[str], shorthand: dict[str, Any]) -> RunConfig:
    """Defaults < recipe < ``--set`` < the options that are short for it.

    Where no recipe is named it is the architecture's for its mode, or that mode's for all architectures. Where no mode is
    named it is that which the recipe is for by its name.

    Raises:
        FerError: a name, key or value is unknown or impossible.
    """
    from fer.config import RunConfig
    from fer.errors import ConfigError
    from fer.models import MODELS
    from fer.overrides import mode_of, parse_assignments, read_recipe, recipe_of, with_values

    if recipe and not architecture:
        architecture = str(read_recipe(recipe).get("model") or "")
    if not architecture:
        lacks = f"recipe {recipe} names no architecture: fer train NAME --recipe {recipe}" if recipe else ""
        raise ConfigError(f"{lacks or 'name an architecture: fer train NAME'}; known: {', '.join(MODELS)}, timm:NAME")
    refuse_recipe(architecture)
    entry = MODELS[architecture]
    assigned = parse_assignments(assignments)
    if assigned.get("model", entry.name) not in (entry.name, architecture):
        raise ConfigError(f"--set model={assigned['model']} beside {architecture}; name one architecture, and once")
    mode = shorthand.get("mode") or assigned.get("mode") or mode_of(recipe or "") or "scratch"
    config = with_values(RunConfig(), {"model": entry.name, "mode": mode}, "command line")
    name = recipe or recipe_of(architecture, mode)
    if name:
        config = with_values(config, read_recipe(name), f"recipe {name}")
    given = {key: value for key, value in shorthand.items() if value is not None} | {"model": entry.name}
    settings = {key: value for key, value in assigned.items() if key not in given}
    # in one step, since some values are only possible together
    config = with_values(config, with_epochs(config, settings | given), "command line")
    entry.variant_for(config.mode, bool(config.init))  # an impossible mode is said before the data is read
    return config


def refuse_recipe(name: str) -> None:
    """ConfigError where a shipped recipe is named in an architecture's place."""
    from fer.errors import ConfigError
    from fer.models import MODELS
    from fer.overrides import read_recipe, recipe_config, recipe_names

    if name in MODELS or name not in recipe_names():
        return
    config = recipe_config(name)
    own = f"{config.model} --mode {config.mode}" if config.model in MODELS else f"NAME --recipe {name}"
    command = f"--recipe {name}" if "model" in read_recipe(name) else own
    raise ConfigError(f"{name} is no architecture but a recipe: fer train {command}")


def with_epochs(recipe: RunConfig, values: dict[str, Any]) -> dict[str, Any]:
    """The values, and where they change the epochs of a recipe with small faces first, so many of these as keep their share."""
    epochs = values.get("epochs")
    if not recipe.small_epochs or not isinstance(epochs, int) or "small_epochs" in values:
        return values
    return values | {"small_epochs": recipe.small_epochs * epochs // recipe.epochs}


def repeat(path: Path) -> RunConfig:
    """Exactly the configuration of a file such as a run's config.yaml; ConfigError where it is none."""
    from fer.config import RunConfig
    from fer.errors import ConfigError
    from fer.overrides import read_values, with_values

    if not path.is_file():
        raise ConfigError(f"--config {path}: no such file; give a run's config.yaml, or name a shipped recipe with --recipe")
    values = read_values(path, "--config", "give a run's config.yaml")
    if "model" not in values:
        raise ConfigError(f"--config {path} names no model; give a run's config.yaml, or fer train NAME --recipe {path}")
    return with_values(RunConfig(), values, f"--config {path}")


def train_series(config: RunConfig, corpus: Any, folder: Path, hardware: Any, *, folds: int = 0, seeds: int = 0) -> None:
    """Train over folds or seeds and say what came out.

    Raises:
        FerError: both or an impossible number are asked for, or a run is not possible.
        InterruptedRunError: stopped; the message says how to go on.
    """
    from fer.cli.live import watched
    from fer.errors import ConfigError, InterruptedRunError
    from fer.training.run import resume_command
    from fer.training.series import cross_validate, kind_of, repeat_seeds

    if folds and seeds:
        raise ConfigError("--folds and --seeds are two different questions; ask one of them")
    if hardware.processes > 1:
        raise ConfigError("--folds and --seeds train one run after the other on one device; use --devices 1")
    try:
        series = (
            cross_validate(config, corpus, folder, folds, watched, hardware)
            if folds
            else repeat_seeds(config, corpus, folder, seeds, watched, hardware)
        )
    except (InterruptedRunError, KeyboardInterrupt) as error:
        if not kind_of(folder):  # nothing is saved yet
            raise
        option = ("--folds", str(folds)) if folds else ("--seeds", str(seeds))
        raise InterruptedRunError(
            f"saved; continue the series with: {resume_command(folder, corpus, hardware, *option)}",
            getattr(error, "code", 130),
        ) from error
    if console.is_first_process():
        for line in series.lines():
            console.say(line)


def report_run(run: Run) -> None:
    """Draw a finished run, say how good its best epoch is, print where it lies."""
    draw(run)
    metrics = run.card.metrics["validation"]
    low, high = metrics["ci95"]
    console.say(
        f"best epoch {run.card.best_epoch}: validation {console.percent(metrics['accuracy'])} "
        f"(95 % {console.percent(low)} to {console.percent(high)}, n {metrics['n']}), "
        f"train {console.percent(run.card.train_accuracy)}, {run.card.hardware['minutes']} min"
    )
    if "validation/clean" in run.card.metrics:
        cleaned = run.card.metrics["validation/clean"]
        console.say(
            f"on the {cleaned['n']:,} clean validation faces {console.percent(cleaned['accuracy'])}, "
            f"on all {metrics['n']:,} {console.percent(metrics['accuracy'])}"
        )
    console.put(str(run.folder))


def draw(run: Run) -> None:
    """Write training curves and confusion matrix into the run's folder."""
    from fer.run_files import CONFUSION_PICTURE, CURVES_PICTURE

    try:
        from analysis.figures import confusion, curves, save
    except ImportError as error:
        console.say(f"no pictures: {error.name} is not installed")
        return
    save(curves.figure(run.history, run.card), run.folder / CURVES_PICTURE)
    save(confusion.figure(run.card.metrics["validation"]), run.folder / CONFUSION_PICTURE)
