"""Several runs of one configuration: over seeds, or over folds of the train split; their mean and deviation."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from fer import run_files
from fer.config import RunConfig
from fer.data import Corpus
from fer.data.faceset import TO_TRAIN_ON
from fer.data.folds import folds as split_folds
from fer.data.labels import relabel
from fer.errors import ConfigError
from fer.files import sweep
from fer.training import out_of_fold, store
from fer.training.fit import Job
from fer.training.hardware import Hardware
from fer.training.run import Continuation, Watch, train
from fer.training.start import STARTED_FROM, read_start

#: Opens what is shown of one run.
Watched = Callable[[RunConfig, Corpus, Path], AbstractContextManager[Watch]]

SUMMARY = "summary.json"
#: What begins the names of a series' runs, and the option that asks for it.
KINDS = {"seed": "--seeds", "fold": "--folds"}
FIGURES = ("accuracy", "macro_f1", "log_loss", "ece")


@dataclass(frozen=True)
class Spread:
    """A figure over several runs: its values, their mean, their standard deviation (n − 1)."""

    values: tuple[float, ...]
    mean: float
    sd: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Mean and deviation of two or more values.

        >>> Spread.of([0.5, 0.7]).mean
        0.6
        """
        return cls(tuple(values), statistics.fmean(values), statistics.stdev(values))


@dataclass(frozen=True)
class Series:
    """What several runs came to: figure → :class:`Spread`, and what distinguished the runs."""

    names: tuple[str, ...]
    figures: dict[str, Spread]

    def lines(self) -> list[str]:
        """One line a figure, for a person."""
        return [
            f"{name}: {s.mean:.4f} ± {s.sd:.4f} over {len(s.values)} runs ({', '.join(f'{v:.4f}' for v in s.values)})"
            for name, s in self.figures.items()
        ]


def kind_of(folder: Path) -> str:
    """What the runs in a folder differ by, a key of :data:`KINDS`; empty where it holds no series."""
    return next((kind for kind in KINDS if any(folder.glob(f"{kind}-*/{run_files.CONFIG}"))), "")


def is_fold(folder: Path) -> bool:
    """Whether a folder is that of one fold in a series."""
    place = folder.absolute()
    return place.name.startswith("fold-") and (place / run_files.CONFIG).is_file() and kind_of(place.parent) == "fold"


def repeat_seeds(
    config: RunConfig, corpus: Corpus, folder: Path, count: int, watched: Watched, hardware: Hardware | None = None
) -> Series:
    """Train with ``count`` seeds from the configured one on; figures of the validation split.

    In the folder of a series that was stopped, finished runs are kept and the stopped one goes on.

    Raises:
        ConfigError: fewer than two.
        FerError: as :func:`fer.training.run.train`.
    """
    if count < 2:
        raise ConfigError(f"seeds={count}: two or more are needed for a deviation")
    jobs = {f"seed-{seed}": (replace(config, seed=seed), corpus) for seed in range(config.seed, config.seed + count)}
    series = _series(config, jobs, folder, watched, hardware)
    store.write_json(folder / SUMMARY, asdict(series))
    return series


def cross_validate(
    config: RunConfig, corpus: Corpus, folder: Path, k: int, watched: Watched, hardware: Hardware | None = None
) -> Series:
    """Train on all but one of ``k`` parts of the train split and judge that part, for every part.

    The parts hold all classes in the same shares; copies of one photo stay in one part. What every run says of its part
    is put together in ``out-of-fold.npz``, one table of the whole train split.

    Raises:
        ConfigError: teachers, or the start, may have seen what is held out.
        DataError: more parts than the smallest class has photos.
        FerError: as :func:`fer.training.run.train`.
    """
    _refuse_lessons(config)
    # once for all: the votes of a whole data set do not fit its parts
    corpus, note = relabel(corpus, config)
    faces = corpus.split("train", TO_TRAIN_ON)
    jobs, parts = {}, split_folds(faces, k, config.seed)
    for number, (kept, judged) in enumerate(parts, 1):
        splits = {"train": faces.select(kept), "validation": replace(faces.select(judged), split="validation")}
        jobs[out_of_fold.run_name(number)] = (config, replace(corpus, splits=splits, labels_note=note))
    held_out = [judged for _, judged in parts]
    out_of_fold.check_finished(folder, held_out, faces)
    series = _series(config, jobs, folder, watched, hardware)
    out_of_fold.save(folder, held_out, faces)
    store.write_json(folder / SUMMARY, asdict(series))
    return series


def _refuse_lessons(config: RunConfig) -> None:
    """ConfigError where a run would learn from networks that may have seen the part that is held out from it."""
    if config.distillation.teachers:
        names = ", ".join(config.distillation.teachers)
        raise ConfigError(f"the teachers {names} may have learnt from what folds hold out; use --set teachers=[]")
    if STARTED_FROM in read_start(config).about:
        raise ConfigError(
            f"{config.init} may have learnt from what folds hold out; use --mode scratch, or a trunk of fer pretrain"
        )


def _series(
    config: RunConfig,
    jobs: dict[str, tuple[RunConfig, Corpus]],
    folder: Path,
    watched: Watched,
    hardware: Hardware | None,
) -> Series:
    if store.has_state(folder):
        raise ConfigError(f"{folder} is a single run, no series; resume it without --folds and --seeds")
    kind = kind_of(folder)
    if kind and not next(iter(jobs)).startswith(kind):
        raise ConfigError(f"{folder} is a series over {kind}s; resume it with {KINDS[kind]}")
    for name in (SUMMARY, out_of_fold.OUT_OF_FOLD):
        sweep(folder, name)

    @contextmanager
    def opened(own: RunConfig, corpus: Corpus, run: Path) -> Iterator[Watch]:
        """The folder of the series is made when its first run is known to be good."""
        with watched(own, corpus, run) as watch:

            def begin(job: Job) -> None:
                store.prepare(folder, config)
                watch.on_start(job)

            yield replace(watch, on_start=begin)

    metrics = [_metrics(own, corpus, folder / name, opened, hardware) for name, (own, corpus) in jobs.items()]
    return Series(tuple(jobs), {figure: Spread.of([m[figure] for m in metrics]) for figure in FIGURES})


def _metrics(config: RunConfig, corpus: Corpus, folder: Path, watched: Watched, hardware: Hardware | None) -> dict[str, float]:
    """Figures of one run of a series: read where it is finished, continued where it was stopped."""
    finished = folder / run_files.METRICS
    if finished.exists():
        store.check_finished(folder, config, corpus)
        figures: dict[str, float] = store.read_json(finished)
        if not set(FIGURES) <= set(figures):
            raise ConfigError(f"{finished} lacks figures of a finished run; remove it, and its run goes on")
        return figures
    going_on = Continuation(resume=store.has_state(folder))
    with watched(config, corpus, folder) as watch:
        run = train(config, corpus, folder, watch, hardware=hardware, continuation=going_on)
    return dict(run.card.metrics["validation"])
