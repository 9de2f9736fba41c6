"""``fer report``: all that is known of a checkpoint on a split, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from analysis.report.material import Material
    from fer.checkpoint import Checkpoint
    from fer.data import Corpus

app = typer.Typer(add_completion=False)


@app.command()
def report(
    checkpoint: options.CheckpointOnly = None,
    data: options.Data = None,
    split: Annotated[Optional[str], typer.Option(help="validation, test or train. [default: validation]")] = None,
    method: Annotated[Optional[str], typer.Option(help="Explanation method of the maps. [default: gradcam]")] = None,
    source: Annotated[
        Optional[Path], typer.Option("--from", help="Folder of an earlier fer explain --data, instead of running the model.")
    ] = None,
    votes: options.Votes = None,
    more: Annotated[
        Optional[list[Path]],
        typer.Option(
            "--with",
            help="Result of another command: its JSON or its folder; repeatable.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.html and report.json.")] = Path("report"),
) -> None:
    """Write one page with everything: figures, confidence, calibration, maps, galleries, mistakes, labels, data.

    report.html opens from disk without a network; every number on it is in report.json. Prints both paths.
    """
    from dataclasses import replace

    from analysis.report import Report
    from analysis.report.extras import read_extras, refuse_other_checkpoint, refuse_other_data, refuse_other_faces
    from analysis.report.material import votes_of
    from fer.checkpoint import load as load_checkpoint
    from fer.data import load
    from fer.errors import ConfigError
    from fer.files import check_folder

    if source and (split or method):
        raise ConfigError("give --from, or a split and a method to run the model on, not both")
    check_folder(out)
    extras = read_extras(more or [])
    model = load_checkpoint(checkpoint)
    say_other_labels(model)
    refuse_other_checkpoint(extras, model)
    with console.progress("reading faces") as progress:
        corpus = load(data, progress)
    refuse_other_data(extras, corpus)
    material = _material(model, corpus, source, split, method)
    refuse_other_faces(extras, material.table)
    material = replace(material, votes=votes_of(material, votes), extras=extras)
    with console.progress("drawing sections") as progress:
        made = Report.of(material, progress)
    for path in made.write(out):
        console.put(str(path))


def _material(model: Checkpoint, corpus: Corpus, source: Path | None, split: str | None, method: str | None) -> Material:
    from analysis.explain import Question, check
    from analysis.question import DEFAULT_METHOD
    from analysis.report.material import gather, recall

    if source:
        return recall(model, corpus, source)
    question = Question(method=method or DEFAULT_METHOD)
    check(model, question)
    with console.progress("judging and explaining faces") as progress:
        return gather(model, corpus, split or "validation", question, progress)
