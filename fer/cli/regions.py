"""``fer regions``: brows, eyes, nose, mouth: where a model looks, and what it would miss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from analysis.explain import HeatmapTable, Question
    from analysis.means import Mean
    from analysis.regions.report import Group, RegionReport
    from fer.checkpoint import Checkpoint
    from fer.data import Corpus
    from fer.types import PredictionTable

app = typer.Typer(add_completion=False)


@app.command()
def regions(
    checkpoint: options.CheckpointOnly = None,
    data: options.Data = None,
    split: options.Split = "validation",
    source: Annotated[
        Optional[Path],
        typer.Option("--from", help="Folder with predictions.npz and heatmaps.npz of fer explain --data, or of this command."),
    ] = None,
    method: Annotated[
        Optional[str], typer.Option("--method", "-m", help="Explanation method. [default: that of --from, or gradcam]")
    ] = None,
    faces: Annotated[
        int, typer.Option(min=1, help="Faces whose regions are covered, as many of every class as there are.")
    ] = 500,
    cover: Annotated[
        str, typer.Option(help="How a region is covered: grey (the mean of the Training split) or blurred.")
    ] = "grey",
    out: Annotated[Path, typer.Option(help="Folder for regions.json, the pictures and the tables.")] = Path("regions"),
    json: options.Json = False,
) -> None:
    """Share of the maps and worth of every region of the face, a class, beside what its action units let expect."""
    from analysis.explain import DEFAULT_METHOD, Question, check
    from analysis.pairing import paired
    from analysis.passes import save_pass
    from analysis.regions.effects import COVERS
    from analysis.regions.study import Plan, study, write
    from fer.checkpoint import load as load_checkpoint
    from fer.data import load
    from fer.files import check_folder, make_folder

    COVERS[cover]  # what is unknown or impossible is said before anything is done
    check_folder(out)
    model = load_checkpoint(checkpoint)
    question = Question(method=method or DEFAULT_METHOD)
    if not source:  # else its maps are there
        check(model, question)
    say_other_labels(model)
    tables = _saved(source, model, split, method) if source else None
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    if tables is None:
        tables = _explained(model, corpus, split, question)
        make_folder(out)
        save_pass(out, *tables)
    judged = paired(tables[0], corpus)
    with console.progress("covering regions") as report:
        found = study(model, judged, tables, Plan(faces, cover), progress=report)
    console.wrote(write(found, tables, judged.images.cpu().numpy()[:, 0], out))
    console.put_json(found.to_dict()) if json else show(found)


def _saved(folder: Path, model: Checkpoint, split: str, method: str | None) -> tuple[PredictionTable, HeatmapTable]:
    from analysis.passes import load_pass
    from analysis.regions.report import check_tables
    from fer.errors import ConfigError

    table, heatmaps = load_pass(folder, model)
    check_tables(table, heatmaps)
    if table.split != split:
        raise ConfigError(f"{folder} is of the {table.split} split; add --split {table.split}")
    if method not in (None, heatmaps.method):
        raise ConfigError(f"{folder} holds maps of {heatmaps.method}, not of {method}; leave out --method or --from")
    return table, heatmaps


def _explained(model: Checkpoint, corpus: Corpus, split: str, question: Question) -> tuple[PredictionTable, HeatmapTable]:
    from analysis.explain import explain_set

    with console.progress("judging and explaining faces") as report:
        return explain_set(model, corpus.split(split), question, report)


def show(found: RegionReport) -> None:
    """Print lift and effect of every region, a class, then the verdicts in words."""
    title = f"{found.checkpoint} on {found.split}, {found.method}, n = {found.n:,}, covered ({found.cover}): {found.covered:,}"
    table = console.make_table("class", "", "faces", *found.area, title=f"{title}\nlift / drop in points when covered")
    table.add_row("", "area", "", *(console.percent(share) for share in found.area.values()))
    for group in found.groups:
        cells = [f"{_lift(group.lift[name])} / {_points(group.effect[name])}" for name in found.area]
        table.add_row(group.name, group.group, _count(group), *cells)
    console.put_table(table)
    verdicts = console.make_table(
        "class", "expected", "lift over the rest", "share over other classes", "drop over the rest", "right over wrong"
    )
    for verdict in found.verdicts:
        figures = (
            _signed(verdict.lift),
            *(_signed(m, 100) for m in (verdict.specific, verdict.effect, verdict.right_less_wrong)),
        )
        verdicts.add_row(verdict.name, ", ".join(verdict.expected) or "nothing", *figures)
    console.put_table(verdicts)
    for verdict in found.verdicts:
        console.put(verdict.words)
    _show_background(found)


def _show_background(found: RegionReport) -> None:
    seen = found.background
    strays = sum(seen.faces.values())
    classes = f"classes that do: {', '.join(seen.flagged)}" if seen.flagged else "no class does on average"
    console.put(
        f"looks at the background (more than {console.percent(seen.area)} of the map, its share of the picture): "
        f"{strays:,} of {found.n:,} faces; {classes}; {found.empty:,} empty maps"
    )
    for stray in seen.worst:
        strength = "" if stray.strength is None else f", peak {stray.strength:.2f} of the median map's"
        console.put(f"  {console.percent(stray.share)}  {stray.name}  {stray.label}, answered {stray.predicted}{strength}")


def _count(group: Group) -> str:
    return f"{group.n:,}" + (f" ({group.empty:,} empty)" if group.empty else "")


def _lift(mean: Mean) -> str:
    return "–" if mean.mean is None else f"{mean.mean:.2f}"


def _points(mean: Mean) -> str:
    return "–" if mean.mean is None else f"{100 * mean.mean:+.1f}"


def _signed(mean: Mean, scale: float = 1.0) -> str:
    if mean.mean is None:
        return "–"
    interval = f" ({scale * mean.ci95[0]:+.2f} to {scale * mean.ci95[1]:+.2f})" if mean.ci95 else ""
    return f"{scale * mean.mean:+.2f}{interval}"
