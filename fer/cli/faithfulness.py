"""``fer faithfulness``: which explanation method can be trusted on which checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from analysis.faithfulness import Plan, Report
    from fer.checkpoint import Checkpoint

app = typer.Typer(add_completion=False)


@app.command()
def faithfulness(
    checkpoints: Annotated[
        Optional[list[str]], typer.Argument(help="Checkpoint files or names. [default: the default release]")
    ] = None,
    data: options.Data = None,
    split: options.Split = "validation",
    method: options.Methods = None,
    layer: options.Layers = None,
    faces: Annotated[int, typer.Option(min=2, help="Faces that are asked about, a seeded sample.")] = 100,
    other_seed: Annotated[
        Optional[str], typer.Option(help="A checkpoint of another seed; its maps are compared with those of every one.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the sample and the intervals.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the picture and faithfulness.json.")] = Path("faithfulness"),
    json: options.Json = False,
) -> None:
    """Measure how far maps can be trusted, beside a random map and a blob in the middle.

    Does the score fall when the pixels go that a map names? Do maps depend on the weights, and hold still when a face is
    mirrored or moved?
    Without --method: gradcam, layercam, hirescam.
    """
    from analysis import faithfulness as study
    from analysis.explain import METHODS
    from analysis.figures import faithfulness as chart
    from analysis.figures import save
    from fer.data import load
    from fer.files import check_folder, make_folder, write_json

    methods = tuple(dict.fromkeys(method or study.DEFAULT_METHODS))
    for name in methods:
        METHODS[name]  # what is unknown or impossible is said before anything is done
    check_folder(out)
    plan = study.Plan(methods, faces, seed, tuple(dict.fromkeys(layer or ())))
    models, other = _opened(checkpoints or [""], plan, other_seed)
    say_other_labels(*models)
    with console.progress("reading faces") as report:
        judged = study.shared_faces(models, load(data, report).split(split))
    if any(set(model.card.classes) > set(judged.classes) for model in models):
        console.say(f"measured on faces of {', '.join(judged.classes)}, which all checkpoints know")
    reports: list[Report] = []
    for model in models:
        with console.progress(f"measuring {model.name}") as report:
            reports += study.rate(model, judged, plan, other, report)
    content = study.to_dict(reports, plan, split, reports[0].n, models)
    make_folder(out)
    write_json(out / "faithfulness.json", content)
    title = f"How faithful the maps are: {split} split, n = {reports[0].n:,} faces"
    save(chart.figure(reports, title), out / "faithfulness.png")
    console.wrote(out / name for name in ("faithfulness.json", "faithfulness.png"))
    if json:
        console.put_json(content)
    else:
        show(reports, title)


def _opened(names: Sequence[str], plan: Plan, other_seed: str | None) -> tuple[list[Checkpoint], Checkpoint | None]:
    """The checkpoints by names that tell them apart, and that of another seed; refused where a way or class does not fit."""
    from dataclasses import replace

    from analysis import faithfulness as study
    from analysis.explain import check
    from analysis.tables import display_names
    from fer.checkpoint import load
    from fer.released import find

    paths = [find(name or None) for name in names]
    models = [replace(load(path), name=name) for path, name in zip(paths, display_names(paths), strict=True)]
    other = load(other_seed) if other_seed else None
    for model in models:
        for way in plan.ways(model):
            if other:
                check(other, way)
        if other:
            study.refuse_other_classes(model, other)
    return models, other


def show(reports: Sequence[Report], title: str) -> None:
    """Print the measures with what they are better by than a blob, then what else was seen, then the verdicts."""
    from analysis.perturbation import MEASURES

    arrows = {name: f"{name} {'↑' if MEASURES[name].higher_is_better else '↓'}" for name in MEASURES}
    table = console.make_table(
        "checkpoint", "method", *arrows.values(), "ms a map", title=f"{title} (in brackets: over a centred blob)"
    )
    for report in reports:
        cells = [
            f"{r.value.mean:.3f} ({r.over_blob.mean:+.3f}: {r.over_blob.low:+.3f} to {r.over_blob.high:+.3f})"
            for r in report.ratings.values()
        ]
        table.add_row(report.checkpoint, report.way, *cells, f"{report.milliseconds:.1f}")
    still = console.make_table(
        "checkpoint",
        "method",
        "untrained head (ranks)",
        "untrained net (ranks)",
        "mirrored",
        "moved",
        "other seed",
        title="correlation with the maps of the same network, or the same face, changed",
    )
    for report in reports:
        values = (report.head_randomised, report.all_randomised, report.flip, report.shift, report.other_seed)
        still.add_row(report.checkpoint, report.way, *("" if v is None else f"{v:.2f}" for v in values))
    console.put_table(table)
    console.put_table(still)
    for report in reports:
        console.put(f"{report.name}: {report.verdict}")
