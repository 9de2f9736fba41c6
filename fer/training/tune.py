"""Searching learning rate, augmentation and regularisation with Optuna, in a study that survives a stop."""

import dataclasses
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import yaml

from fer import run_files
from fer.config import RunConfig
from fer.data import Corpus
from fer.data.labels import relabel
from fer.errors import ConfigError
from fer.files import make_folder, sweep, write_whole
from fer.overrides import with_values
from fer.training.history import Epoch
from fer.training.plan import make_model, make_plan
from fer.training.run import Continuation, train
from fer.training.series import Watched
from fer.training.store import has_state
from fer.training.tally import DivergedError
from fer.words import shortened

#: Key → lowest, highest, whether in logarithmic steps.
Ranges = Mapping[str, tuple[float, float, bool]]

#: What is searched beside the learning rate.
SPACE: Ranges = {
    "optimizer.weight_decay": (1e-5, 5e-3, True),
    "dropout": (0.0, 0.6, False),
    "loss.label_smoothing": (0.0, 0.2, False),
    "augmentation.rotate": (0.0, 20.0, False),
    "augmentation.zoom": (0.0, 0.3, False),
    "augmentation.shift": (0.0, 0.2, False),
    "augmentation.erase": (0.0, 0.5, False),
    "augmentation.mixup": (0.0, 1.0, False),
}

#: Files in the folder of a study: the study itself, and the recipe of its best trial.
STUDY, RECIPE = "study.db", "best.yaml"
# Attribute of a trial: the name of its run's folder.
_PLACE = "place"

#: Range of the learning rate by optimizer.
RATES: dict[str, tuple[float, float]] = {"sgd": (3e-3, 0.3), "adam": (1e-4, 1e-2), "adamw": (1e-4, 1e-2)}


@dataclass(frozen=True)
class Best:
    """What a study found: the recipe file, its validation accuracy, and how the trials ended."""

    recipe: Path
    accuracy: float
    finished: int
    pruned: int


def tune(config: RunConfig, corpus: Corpus, folder: Path, trials: int, watched: Watched, settled: Collection[str] = ()) -> Best:
    """Run trials until the study in ``folder`` has so many, pruning those that lag; write the best as a recipe.

    The first trial is ``config`` itself, so that what is found is no worse on the validation split.
    ``settled`` names keys, in full, that keep what ``config`` has for them. A folder that holds a study already is
    continued, a trial that was stopped at the step where it stood. A trial that diverges counts as pruned.

    Raises:
        FerError: the data set, configuration or weights do not allow a run; then no study is begun.
        ConfigError: Optuna is not installed, nothing is left to search, the study is damaged or one of other data or settings,
            or no trial has finished.
        InterruptedRunError: Ctrl-C, SIGTERM or the end of the terminal came.
    """
    optuna = _optuna()
    ranges = space(config, settled)
    if not (folder / STUDY).exists():  # one that goes on has been through it
        _try_recipe(config, corpus)
    make_folder(folder)
    sweep(folder, RECIPE)
    study = _open_study(optuna, config, corpus, folder, ranges)

    def judge(trial: Any) -> float:
        values = suggest(trial, ranges)
        chosen = with_values(config, values, f"trial {trial.number}")
        place = folder / trial.user_attrs.get(_PLACE, f"trial-{trial.number:03}")
        trial.set_user_attr(_PLACE, place.name)
        going_on = Continuation(resume=has_state(place))
        with watched(chosen, corpus, place) as watch:

            def on_epoch(epoch: Epoch, is_best: bool) -> None:
                watch.on_epoch(epoch, is_best)
                trial.report(epoch.validation_accuracy, epoch.epoch)
                if trial.should_prune():
                    watch.on_note(f"trial {trial.number} lags behind the others and ends here")
                    raise optuna.TrialPruned

            own = replace(watch, on_epoch=on_epoch)
            try:
                return float(train(chosen, corpus, place, own, continuation=going_on).card.validation_accuracy)
            except DivergedError as error:
                watch.on_note(f"trial {trial.number} ends here: {error}")
                raise optuna.TrialPruned from error

    states = optuna.trial.TrialState
    _put_back_stopped(optuna, study, folder)
    left = trials - len(study.get_trials(states=(states.COMPLETE, states.PRUNED)))
    if left > 0:
        study.optimize(judge, n_trials=left)
    finished, pruned = (len(study.get_trials(states=(state,))) for state in (states.COMPLETE, states.PRUNED))
    if not finished:
        raise ConfigError(f"no trial of the study in {folder} has finished; raise --trials")
    best = with_values(config, study.best_trial.params, "best trial")
    text = (
        f"# Best of {finished} finished and {pruned} pruned trials: {100 * study.best_value:.2f} % on the validation split.\n"
    )
    recipe = folder / RECIPE
    write_whole(recipe, (text + yaml.safe_dump(differences(best), sort_keys=False)).encode())
    return Best(recipe, float(study.best_value), finished, pruned)


def _try_recipe(config: RunConfig, corpus: Corpus) -> None:
    """FerError where the data or the starting weights do not allow the recipe itself, so that no study begins with that."""
    faces, _ = relabel(corpus, config)[0].for_training()
    make_model(make_plan(config, faces))


def _open_study(optuna: Any, config: RunConfig, corpus: Corpus, folder: Path, ranges: Ranges) -> Any:
    from sqlalchemy.exc import SQLAlchemyError

    path = folder / STUDY
    try:
        storage = f"sqlite:///{path}"
        # a file holds one study, whichever architecture it is of: what else sets this one apart is said below
        names = optuna.get_all_study_names(storage)
        study = optuna.create_study(
            study_name=names[0] if names and config.model not in names else config.model,
            storage=storage,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=config.epochs // 4),
        )
        # a study that goes on must not draw again what it drew at first
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials))
        asked = {"data": corpus.fingerprint, "settings": yaml.safe_dump(config.to_dict()), "searched settings": sorted(ranges)}
        for what, value in asked.items():
            if study.user_attrs.get(what, value) != value:
                raise ConfigError(f"the study in {folder} is of other {what}; name those it began with, or another --study")
            study.set_user_attr(what, value)
        if not study.trials:
            study.enqueue_trial(own_values(config, ranges))
    except SQLAlchemyError as error:
        raise ConfigError(f"{path} is no study ({shortened(str(error), 120)}); remove it, or name another --study") from error
    return study


def _put_back_stopped(optuna: Any, study: Any, folder: Path) -> None:
    """Have the trials that were stopped or killed tried first, each in its own folder."""
    states = optuna.trial.TrialState
    for trial in study.get_trials(states=(states.RUNNING,)):
        study.tell(trial.number, state=states.FAIL)
    newest = {trial.user_attrs[_PLACE]: trial for trial in study.get_trials() if _PLACE in trial.user_attrs}
    for place, trial in newest.items():  # what went on and was pruned then is done with
        # also where it was stopped before its first state was kept: else the recipe's own values might never be tried
        if trial.state == states.FAIL and not (folder / place / run_files.METRICS).exists():
            study.enqueue_trial(trial.params, user_attrs={_PLACE: place})


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("fer tune needs Optuna; pip install 'ferscope[tune]'") from error
    optuna.logging.set_verbosity(logging.ERROR)  # it warns with a traceback of every trial that is stopped
    return optuna


def space(config: RunConfig, settled: Collection[str] = ()) -> Ranges:
    """What is searched for a configuration: :data:`SPACE` and the learning rate, without the keys that are settled.

    A range reaches as far as the configuration's own value, but that none in logarithmic steps reaches 0.

    Raises:
        ConfigError: nothing is left.

    >>> space(RunConfig(mode="finetune", dropout=0.7))["dropout"]
    (0.0, 0.7, False)
    """
    ranges = {"optimizer.lr": (*RATES[config.optimizer.name], True), **SPACE}
    left = {key: value for key, value in ranges.items() if key not in settled}
    if not left:
        raise ConfigError(f"nothing is left to search; leave out --set for one of {', '.join(ranges)}, or use fer train")
    return {key: _reaching(attrgetter(key)(config), *bounds) for key, bounds in left.items()}


def _reaching(value: float, low: float, high: float, log: bool) -> tuple[float, float, bool]:
    return (low if log and not value else min(low, value)), max(high, value), log


def own_values(config: RunConfig, ranges: Ranges) -> dict[str, float]:
    """The configuration's place in the ranges; of ranges in logarithmic steps the lowest stands for 0."""
    return {key: max(attrgetter(key)(config), low) for key, (low, _, _) in ranges.items()}


def suggest(trial: Any, ranges: Ranges) -> dict[str, float]:
    """One point of the ranges, drawn by the study: key → value."""
    return {key: trial.suggest_float(key, low, high, log=log) for key, (low, high, log) in ranges.items()}


def differences(config: RunConfig) -> dict[str, Any]:
    """The values that are not the defaults, nested as in a recipe; the architecture is left to the command."""
    return {key: value for key, value in _differing(config, RunConfig()) if key != "model"}


def _differing(value: Any, default: Any) -> Iterator[tuple[str, Any]]:
    for f in dataclasses.fields(value):
        own, other = getattr(value, f.name), getattr(default, f.name)
        if own == other:
            continue
        if dataclasses.is_dataclass(own):
            yield f.name, dict(_differing(own, other))
        else:
            yield f.name, list(own) if isinstance(own, tuple) else own
