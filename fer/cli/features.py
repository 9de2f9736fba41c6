"""``fer features``: what a network has learnt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from analysis.learnt import Learnt

app = typer.Typer(add_completion=False)

#: Pairs of mingling classes that are printed.
_PAIRS = 5


@app.command()
def features(
    checkpoint: options.CheckpointOnly = None,
    data: options.Data = None,
    split: options.Split = "validation",
    faces: Annotated[int, typer.Option(min=5, max=10_000, help="Faces looked at, a seeded sample.")] = 4000,
    perplexity: Annotated[
        Optional[float], typer.Option(help="About how many neighbours t-SNE keeps together. [default: 30, less for few faces]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the sample and of the map.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the features, pictures and JSON.")] = Path("features"),
    json: options.Json = False,
) -> None:
    """Map what enters the last layer by t-SNE, measure how it keeps the classes apart, show filters and maps by depth."""
    from analysis.learnt import Plan, check, study, write
    from fer.checkpoint import load as load_checkpoint
    from fer.data import load
    from fer.files import make_folder

    model = load_checkpoint(checkpoint)
    say_other_labels(model)
    with console.progress("reading faces") as report:
        looked_at = load(data, report).split(split)
    plan = Plan(faces, perplexity, seed)
    check(model, looked_at, plan)
    make_folder(out)  # what cannot be written is said before the long work
    with console.progress("working") as report:
        learnt = study(model, looked_at, plan, report, console.say)
    written = write(learnt, out)
    console.put_json(learnt.to_dict()) if json else show(learnt)
    console.wrote(written)


def show(learnt: Learnt) -> None:
    """Print the figures as tables: right answers by space and by class, the classes that mingle, the maps by depth."""
    found, made, table = learnt.separation, learnt.embedding, learnt.features.table
    title = f"{table.source['checkpoint']} on {found.n:,} of {learnt.of:,} faces of {table.split}"
    figures = console.make_table("figure", "value", title=title)
    figures.add_row("accuracy", console.with_interval(found.model.accuracy, found.model.ci95))
    for space, share in found.votes.items():
        figures.add_row(f"{found.k} neighbours, {space}", console.with_interval(share.accuracy, share.ci95))
    figures.add_row("most frequent class", console.percent(found.most_frequent))
    figures.add_row("silhouette", console.number(found.silhouette))
    figures.add_row(f"trustworthiness ({made.neighbours})", console.number(made.trustworthiness))
    figures.add_row(f"KL divergence (perplexity {made.perplexity:g})", console.number(made.kl_divergence))
    console.put_table(figures)
    classes = console.make_table("class", "faces", f"{found.k} neighbours, features", "silhouette")
    for name, one in found.by_class.items():
        votes = "undefined" if one.votes is None else console.with_interval(one.votes.accuracy, one.votes.ci95)
        classes.add_row(name, f"{one.n:,}", votes, console.number(one.silhouette))
    console.put_table(classes)
    pairs = console.make_table("label", "neighbours", "faces", "of the label")
    for pair in found.mingling[:_PAIRS]:
        pairs.add_row(pair.label, pair.neighbours, f"{pair.count:,}", console.percent(pair.share))
    console.put_table(pairs)
    depths = console.make_table("layer", "faces", "entropy of the map", "area of its half")
    for spread in learnt.depth.spreads:
        area = "undefined" if spread.half_area is None else console.percent(spread.half_area)
        depths.add_row(spread.layer, f"{spread.n:,}", console.number(spread.entropy), area)
    console.put_table(depths)
