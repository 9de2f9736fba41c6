"""``fer labels``: which labels of a data set are probably wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options

if TYPE_CHECKING:
    from analysis.labels.report import LabelReport
    from fer.data import Corpus
    from fer.types import PredictionTable

app = typer.Typer(add_completion=False, help="Find labels that are probably wrong.")

# Of --architecture.
_FOLDS, _RUNS = 5, Path("runs")


@app.callback()
def _labels() -> None:
    """Find labels that are probably wrong."""


@app.command()
def audit(
    series: Annotated[Optional[Path], typer.Option(help="Folder of a finished fer train NAME --folds K.")] = None,
    table: Annotated[
        Optional[Path], typer.Option(help="Prediction table (.npz) of a model that did not train on its faces.")
    ] = None,
    architecture: Annotated[Optional[str], typer.Option(help="Train this one over folds first.")] = None,
    folds: Annotated[Optional[int], typer.Option(help="With --architecture: how many folds. [default: 5]")] = None,
    assignments: Annotated[
        Optional[list[str]], typer.Option("--set", help="With --architecture: key=value, repeatable.")
    ] = None,
    runs: Annotated[
        Optional[Path], typer.Option(help="With --architecture: folder that receives the series. [default: runs]")
    ] = None,
    data: options.Data = None,
    votes: options.Votes = None,
    out: Annotated[Path, typer.Option(help="Folder for label-audit.json, suspects.csv and figures.")] = Path("label-audit"),
    top: Annotated[int, typer.Option(min=1, max=1000, help="Suspects in the gallery.")] = 64,
    json: options.Json = False,
) -> None:
    """Rank the labels of a data set by how probably they are wrong (confident learning), with a gallery.

    Needs what networks say of faces they did not train on: --series, --table or --architecture. With --votes the
    ranking and the model's mistakes are set beside what the ten taggers of FER+ say.
    """
    if architecture:
        from fer.environment import bind_threads

        bind_threads()
    from analysis.labels.audit import audit as audit_labels
    from analysis.labels.report import LabelReport
    from analysis.labels.tagger_votes import check
    from analysis.pairing import paired, paired_votes
    from fer.data.ferplus import read_votes
    from fer.errors import ConfigError
    from fer.files import check_folder

    if sum(given is not None for given in (series, table, architecture)) != 1:
        raise ConfigError("give one of --series FOLDER, --table FILE.npz, or --architecture NAME to train over folds first")
    if not architecture and (folds is not None or assignments or runs):
        raise ConfigError("--folds, --set and --runs belong to --architecture; leave them out, or name one to train")
    check_folder(out)
    if architecture:
        check_folder(runs or _RUNS)
    with console.progress("reading faces") as report:
        from fer.data import load

        corpus = load(data, report)
    if votes:
        read_votes(corpus, votes)  # what is wrong with them is said before anything is trained
    predictions = _train(architecture, folds, assignments or [], runs, corpus) if architecture else _read(series, table)
    faces = paired(predictions, corpus)
    counted = None if votes is None else paired_votes(predictions, corpus, votes)
    found = audit_labels(predictions)
    result = LabelReport(
        found, faces, counted, None if counted is None else check(predictions, found.order, counted, len(found.suspects))
    )
    written = result.write(out, top)
    console.wrote(written)
    if json:
        console.put_json(result.to_dict())
    else:
        show(result)


def _read(series: Path | None, table: Path | None) -> PredictionTable:
    from analysis.left_out import refuse_left_out
    from fer.training import out_of_fold
    from fer.types import PredictionTable

    if series:
        return out_of_fold.load(series)
    assert table is not None
    predictions = PredictionTable.load(table)
    refuse_left_out(predictions, table)
    if predictions.split == "train" and "folds" not in predictions.source:
        console.say(
            f"{table} is of the train split: where its model trained on these faces, it has learnt their wrong labels, too, "
            "and few will be found; fer train NAME --folds 5 gives a table without that"
        )
    return predictions


def _train(architecture: str, folds: int | None, assignments: list[str], runs: Path | None, corpus: Corpus) -> PredictionTable:
    """The table of a new series over folds."""
    from fer.cli.train import check_heeded, resolve, train_series
    from fer.errors import ConfigError
    from fer.training import out_of_fold
    from fer.training.hardware import Hardware
    from fer.training.run import new_folder

    folds = _FOLDS if folds is None else folds
    if folds < 2:
        raise ConfigError(f"--folds {folds}: two or more are needed")
    config = resolve(architecture, None, assignments, {})
    check_heeded([config], assignments, {})
    folder = new_folder(runs or _RUNS, config)
    train_series(config, corpus, folder, Hardware(), folds=folds)
    console.say(f"{folder}: audit it again with fer labels audit --series {folder}")
    return out_of_fold.load(folder)


def show(result: LabelReport) -> None:
    """Print what was found as tables."""
    found = result.audit
    classes = console.make_table(
        "class", "faces", "suspect", "share", "suggested for others",
        title=f"{len(found.suspects):,} suspect labels of {found.n:,}; estimated wrong: {console.percent(found.noise_rate)}",
    )  # fmt: skip
    for name, counts in found.per_class.items():
        share = console.percent(counts.suspects / counts.n) if counts.n else "undefined"
        classes.add_row(name, f"{counts.n:,}", f"{counts.suspects:,}", share, f"{counts.suggested:,}")
    console.put_table(classes)
    if result.check:
        _show_check(result.check)


def _show_check(check: Any) -> None:
    title = f"no tagger chose the label: {console.percent(check.base_rate)} of {check.n:,} faces with votes"
    ranking = console.make_table("first k", "no tagger chose the label", "95 %", title=title)
    for at in check.precision:
        low, high = at.ci95
        ranking.add_row(
            f"{at.k:,}{' (all suspects)' * (at.k == check.flagged)}",
            console.percent(at.precision),
            f"{console.percent(low)} to {console.percent(high)}",
        )
    rates = console.make_table("taggers of ten for the label", "faces", "errors", "error rate", title="errors by agreement")
    for at in check.by_agreement:
        rates.add_row(at.kind, f"{at.n:,}", f"{at.errors:,}", "undefined" if at.rate is None else console.percent(at.rate))
    kinds = console.make_table("mistakes", "", "number", "share", "taggers prefer the model's answer", title="mistakes")
    for kind in check.mistakes:
        share = "undefined" if kind.share is None else console.percent(kind.share)
        kinds.add_row(kind.kind, kind.support, f"{kind.errors:,}", share, f"{kind.model_preferred:,}")
    for table in (ranking, rates, kinds):
        console.put_table(table)
