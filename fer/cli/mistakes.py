"""``fer mistakes``: every face of a split on one page, the wrong ones first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from analysis.mistakes import Mistakes
    from fer.checkpoint import Checkpoint
    from fer.types import PredictionTable

app = typer.Typer(add_completion=False)

#: Pairs that are printed.
_SHOWN = 12


@app.command()
def mistakes(
    checkpoint: options.CheckpointOnly = None,
    data: options.Data = None,
    split: options.Split = "validation",
    table: Annotated[
        Optional[Path], typer.Option(help="Prediction table (.npz) of this checkpoint; its answers are shown.")
    ] = None,
    votes: options.Votes = None,
    method: options.Method = "gradcam",
    out: Annotated[Path, typer.Option(help="Folder for mistakes.html, mistakes.json and a gallery.")] = Path("mistakes"),
    json: options.Json = False,
) -> None:
    """Show what a checkpoint gets wrong: pairs of expressions, and every face with map, probabilities, name and votes.

    mistakes.html opens from disk. Prints the most frequent confusions.
    """
    from analysis.explain import METHODS, Question, check, explain_set
    from analysis.map_layers import contrast_layer, own_layer
    from analysis.mistakes_page import MistakesReport
    from analysis.pairing import paired, paired_votes
    from fer.checkpoint import load as load_checkpoint
    from fer.data import load
    from fer.data.ferplus import read_votes
    from fer.files import check_folder

    METHODS[method]  # an unknown name is said before anything is done
    check_folder(out)
    model = load_checkpoint(checkpoint)
    check(model, Question(method=method))
    say_other_labels(model)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    if votes:
        read_votes(corpus, votes)  # a file that does not fit is said before the long part
    if table:
        predictions = _table(model, split, table)
        faces = paired(predictions, corpus)
        asked = Question([predictions.classes[place] for place in predictions.predicted], method)
    else:
        faces, asked = corpus.split(split).only(model.card.classes), Question(method=method)
    with console.progress("judging and explaining faces") as report:
        judged, heatmaps = explain_set(model, faces, asked, report)
    predictions = predictions if table else judged
    counted = None if votes is None else paired_votes(predictions, corpus, votes)
    layers = [own_layer(heatmaps)]
    if METHODS[method].follows_target:  # a map that is the same for every class cannot be set against one
        with console.progress("explaining mistakes") as report:
            layers.append(contrast_layer(model, faces, predictions, method, report))
    page = MistakesReport(predictions, faces.images, counted, layers)
    console.wrote(page.write(out))
    found = page.mistakes
    if json:
        console.put_json(found.to_dict())
    else:
        show(found, f"{model.name} on {predictions.split}")


def _table(model: Checkpoint, split: str, path: Path) -> PredictionTable:
    from analysis.passes import check_maker
    from fer.errors import ConfigError
    from fer.types import PredictionTable

    table = PredictionTable.load(path)
    check_maker(table, model, path)  # its maps would be shown
    if table.split != split:
        raise ConfigError(f"{path} is of the {table.split} split; add --split {table.split}")
    return table


def show(found: Mistakes, title: str) -> None:
    """Print the most frequent pairs as a table."""
    pairs = console.make_table(
        "label", "prediction", "faces", "of the label", "of all mistakes",
        title=f"{title}: {found.wrong:,} of {found.n:,} wrong, {console.with_interval(found.rate, found.ci95)}",
    )  # fmt: skip
    if not found.pairs:
        console.put(f"{title}: none of {found.n:,} is wrong")
        return
    for pair in found.pairs[:_SHOWN]:
        shares = console.percent(pair.share_of_label), console.percent(pair.share_of_mistakes)
        pairs.add_row(pair.label, pair.predicted, f"{pair.count:,}", *shares)
    console.put_table(pairs)
