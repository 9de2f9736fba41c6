"""``fer compare``: several checkpoints on the same faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from rich.table import Table

    from analysis.compare import Comparison
    from analysis.disagreement import Gallery

app = typer.Typer(add_completion=False)


@app.command()
def compare(
    checkpoints: Annotated[list[str], typer.Argument(help="Two or more checkpoint files or released names.")],
    data: options.Data = None,
    split: options.Split = "validation",
    table: Annotated[
        Optional[list[Path]], typer.Option(help="Table saved by fer evaluate --table, instead of a pass; repeatable.")
    ] = None,
    maps: Annotated[int, typer.Option(min=0, help="Faces whose maps are compared; 0: none.")] = 256,
    method: options.Method = "gradcam",
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap and of the sample of faces.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the pictures, compare.json and disagreements.json.")] = Path(
        "comparison"
    ),
    json: options.Json = False,
) -> None:
    """Compare checkpoints: accuracy, McNemar's test, recall by class, the faces they dispute, the likeness of their maps."""
    from analysis.compare import Comparison, require_same_classes, require_same_faces
    from analysis.disagreement import galleries, map_similarities
    from analysis.explain import METHODS, Question, check
    from analysis.sampling import sample
    from analysis.tables import display_names, tables_of
    from fer.checkpoint import load as load_checkpoint
    from fer.data import load
    from fer.errors import ConfigError
    from fer.files import check_folder
    from fer.released import find

    if len(checkpoints) < 2:
        raise ConfigError(f"{checkpoints[0]} alone cannot be compared; name two or more checkpoints")
    METHODS[method]  # an unknown name is said before anything is done
    check_folder(out)
    paths = [find(name) for name in checkpoints]
    models = {name: load_checkpoint(path) for name, path in zip(display_names(paths), paths, strict=True)}
    require_same_classes({name: model.card.classes for name, model in models.items()})
    for model in models.values():
        check(model, Question(method=method))
    say_other_labels(*models.values())
    with console.progress("reading faces") as report:
        faces = load(data, report).split(split)
    with console.progress("judging faces") as report:
        tables = tables_of(models, faces, table or [], report)
    require_same_faces(tables)
    comparison = Comparison.of(tables, seed)
    first = next(iter(tables.values()))
    faces, rows = faces.only(first.classes), sample(len(first), maps, seed)
    similarities = map_similarities(models, first, faces, rows, method) if maps else []
    disputes = galleries(models, tables, faces, method)
    content = {
        **comparison.to_dict(),
        "sources": {name: dict(one.source) for name, one in tables.items()},
        "map_similarity": similarities,
    }
    _write(out, comparison, content, disputes)
    if json:
        console.put_json(content)
    else:
        _show(content)


def _write(out: Path, comparison: Comparison, content: dict[str, Any], disputes: list[Gallery]) -> None:
    """Numbers as JSON and pictures of them; says where."""
    from analysis.figures import comparison as figure_of_comparison
    from analysis.figures import disputes as figure_of_disputes
    from analysis.figures import save
    from fer.files import make_folder, write_json

    make_folder(out)
    write_json(out / "compare.json", content)
    write_json(out / "disagreements.json", [gallery.to_dict() for gallery in disputes])
    pictures = {"compare.png": figure_of_comparison.figure(comparison)}
    for gallery in disputes:
        name = f"disagreements-{gallery.a}-{gallery.b}.png".replace("/", "_")
        pictures[name] = figure_of_disputes.figure(gallery)
    for name, figure in pictures.items():
        save(figure, out / name)
    console.wrote(out / name for name in ("compare.json", "disagreements.json", *pictures))


def _show(content: dict[str, Any]) -> None:
    """Print models, pairs and classes as tables."""
    console.put_table(_models(content))
    likeness = {(row["a"], row["b"]): row for row in content["map_similarity"]}
    for pair in content["pairs"]:
        console.put_table(_pair(pair, likeness.get((pair["a"], pair["b"]))))
        console.put_table(_classes(pair))


def _models(content: dict[str, Any]) -> Table:
    table = console.make_table("model", "accuracy (95 %)", "n", title=f"{content['split']} split")
    for score in content["models"]:
        low, high = (console.percent(value) for value in score["ci95"])
        table.add_row(score["name"], f"{console.percent(score['accuracy'])} ({low} to {high})", f"{score['n']:,}")
    return table


def _pair(pair: dict[str, Any], alike: dict[str, Any] | None) -> Table:
    table = console.make_table("figure", "value", title=f"{pair['b']} against {pair['a']}")
    table.add_row("better by, points (95 %)", _points(pair))
    table.add_row("both right", f"{pair['both_right']:,}")
    table.add_row(f"only {pair['a']} right", f"{pair['only_a']:,}")
    table.add_row(f"only {pair['b']} right", f"{pair['only_b']:,}")
    table.add_row("both wrong", f"{pair['both_wrong']:,}")
    table.add_row("same answer", console.percent(pair["agreement"]))
    table.add_row("McNemar, exact", f"p = {console.p_value(pair['p'])} (Holm: {console.p_value(pair['p_holm'])})")
    if alike:
        correlations = (_number(alike[key]) for key in ("pearson", "spearman", "pearson_of_others"))
        text = "{} (ranks: {}; maps of other faces: {})".format(*correlations)
        table.add_row(f"correlation of {alike['n']:,} {alike['method']} maps", text)
    return table


def _classes(pair: dict[str, Any]) -> Table:
    table = console.make_table("class", f"recall of {pair['a']}", f"of {pair['b']}", "better by (95 %)", "n")
    for name, row in pair["per_class"].items():
        recalls = ["no face"] * 2 if row["a"] is None else [console.percent(row[key]) for key in ("a", "b")]
        table.add_row(name, *recalls, _points(row), f"{row['n']:,}")
    return table


def _points(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return ""
    low, high = (f"{100 * value:+.2f}" for value in row["ci95"])
    return f"{100 * row['difference']:+.2f} ({low} to {high})"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
