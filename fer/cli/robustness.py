"""``fer robustness``: a checkpoint on worse photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from analysis.robustness import Robustness

app = typer.Typer(add_completion=False)

# those of fer.data.corruptions, which takes longer to import than a help page may
_NAMES = "blur, noise, jpeg, darker, brighter, contrast, resolution, rotation, glasses, mask"


@app.command()
def robustness(
    checkpoint: options.CheckpointOnly = None,
    data: options.Data = None,
    split: options.Split = "validation",
    corruption: Annotated[Optional[list[str]], typer.Option(help=f"One of {_NAMES}; repeatable. [default: all]")] = None,
    faces: Annotated[int, typer.Option(min=1, help="Faces judged, a seeded sample.")] = 1000,
    maps: Annotated[int, typer.Option(min=0, help="Faces whose maps are compared; 0: none.")] = 64,
    method: options.Method = "gradcam",
    seed: Annotated[int, typer.Option(min=0, help="Of the samples and of the noise.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and robustness.json.")] = Path("robustness"),
    json: options.Json = False,
) -> None:
    """Blur, noise, JPEG, light, contrast, resolution, rotation, glasses and mask at five severities.

    Prints accuracy, calibration error and how far the maps stay the same.
    """
    from analysis.explain import METHODS, Question, check
    from analysis.robustness import Plan, stress
    from analysis.strip import portrait, strips
    from fer.checkpoint import load as load_checkpoint
    from fer.data import load
    from fer.data.corruptions import CORRUPTIONS
    from fer.files import check_folder

    METHODS[method]  # unknown names are said before anything is done
    check_folder(out)
    names = tuple(dict.fromkeys(corruption or CORRUPTIONS))
    for name in names:
        CORRUPTIONS[name]
    model = load_checkpoint(checkpoint)
    if maps:
        check(model, Question(method=method))
    say_other_labels(model)
    with console.progress("reading faces") as report:
        judged = load(data, report).split(split)
    with console.progress("passes") as report:
        result = stress(model, judged, Plan(names, faces, maps, method, seed), report)
    tiles = strips(model, portrait(model), names, seed)
    content = {**result.to_dict(), "sample": {name: [tile.to_dict() for tile in row] for name, row in tiles.items()}}
    _write(out, result, content, tiles)
    if json:
        console.put_json(content)
    else:
        _show(result)


def _write(out: Path, result: Robustness, content: dict[str, Any], tiles: dict[str, Any]) -> None:
    """Numbers as JSON and pictures of them; says where."""
    from analysis.figures import robustness as curves
    from analysis.figures import save, strip
    from fer.files import make_folder, write_json

    make_folder(out)
    write_json(out / "robustness.json", content)
    save(curves.figure(result), out / "robustness.png")
    save(strip.figure(tiles, result.checkpoint), out / "corruptions.png")
    console.wrote(out / name for name in ("robustness.json", "robustness.png", "corruptions.png"))


def _show(result: Robustness) -> None:
    """Print a line a corruption and severity, then the drops."""
    clean = result.clean
    title = f"{result.checkpoint} on {result.n:,} faces of {result.split}, {result.maps:,} {result.method} maps"
    table = console.make_table("corruption", "severity", "level", "accuracy (95 %)", "ECE", "maps: r", title=title)
    table.add_row("none", "", "", _accuracy(clean), f"{clean.ece:.3f}", "")
    for name in result.corruptions:
        for stress in result.of(name):
            condition = stress.condition
            r = "" if condition.map_correlation is None else f"{condition.map_correlation:.2f}"
            table.add_row(name, str(stress.severity), f"{stress.level:g}", _accuracy(condition), f"{condition.ece:.3f}", r)
    drops = console.make_table("corruption", "mean drop in accuracy, points", "level counts")
    for name in result.corruptions:
        drops.add_row(name, f"{100 * result.drop(name):.2f}", result.of(name)[0].unit)
    drops.add_row("all", f"{100 * result.mean_drop:.2f}", "")
    console.put_table(table)
    console.put_table(drops)


def _accuracy(condition: Any) -> str:
    low, high = (console.percent(value) for value in condition.ci95)
    return f"{console.percent(condition.accuracy)} ({low} to {high})"
