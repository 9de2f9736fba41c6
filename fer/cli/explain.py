"""``fer explain``: heatmaps of pictures, or of a whole data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from fer.cli import console, options
from fer.cli.judged_by import say_other_labels

if TYPE_CHECKING:
    from analysis.question import Question
    from fer.predict import Model

app = typer.Typer(add_completion=False)


@app.command()
def explain(
    images: Annotated[Optional[list[Path]], typer.Argument(help="Pictures. [default: the embedded sample]")] = None,
    checkpoint: options.Checkpoint = None,
    data: Annotated[
        Optional[Path],
        typer.Option("--data", "-d", help="Instead of pictures, a whole split of this FER-2013 zip, fer2013.csv or folder."),
    ] = None,
    split: Annotated[Optional[str], typer.Option(help="Of --data: validation, test or train. [default: validation]")] = None,
    target: Annotated[
        Optional[str],
        typer.Option(help="Class to explain, top1, top2, top3, or all for every class. [default: each face's prediction]"),
    ] = None,
    against: Annotated[
        Optional[str], typer.Option(help="Set the target against this class (or top2): why fear and not surprise.")
    ] = None,
    method: options.Methods = None,
    layer: options.Layers = None,
    detector: options.Detector = options.AUTO,
    detector_model: options.DetectorModel = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the pictures and explanations.json; with several questions of a data set a folder each in it."
        ),
    ] = Path("explanations"),
    list_methods: Annotated[bool, typer.Option("--list", help="List the methods and leave.")] = False,
) -> None:
    """Show where the network looks: one PNG a face, or the maps of a whole data set, and the numbers as JSON.

    Without --method: gradcam. Prints the paths of what was written.
    """
    if list_methods:
        show_methods()
        return
    from analysis.question import DEFAULT_METHOD, questions
    from fer.errors import ConfigError
    from fer.files import check_folder
    from fer.predict import exported_default, open_model
    from fer.samples import sample_path

    if data and images:
        raise ConfigError("give pictures, or a data set with --data, not both")
    if split and not data:
        raise ConfigError("--split belongs to --data; name a data set with it")
    if data and (detector != options.AUTO or detector_model):
        raise ConfigError("the faces of --data are cut out already; leave out --detector and --detector-model")
    check_folder(out)
    methods = method or [DEFAULT_METHOD]
    needs_network = data or layer or set(methods) != {DEFAULT_METHOD}
    model = (None if checkpoint or needs_network else exported_default()) or open_model(checkpoint)
    asked = questions(model, methods, target, against, layer or [])
    if data:
        written = _explained_set(model, data, split or "validation", asked, out)
    else:
        from analysis.pictures import explain_pictures
        from fer.faces import Search

        written, notes = explain_pictures(model, images or [sample_path()], out, asked, Search(detector, detector_model))
        for note in notes:
            console.say(note)
    for path in written:
        console.put(str(path))


def _explained_set(model: "Model", data: Path, split: str, asked: Sequence["Question"], out: Path) -> list[Path]:
    """Explain a split by every question, each in a folder of its own; what was written."""
    from analysis.explain import check
    from analysis.gallery import explain_split
    from fer.data import load
    from fer.predict import checkpoint_only

    network = checkpoint_only(model)
    for question in asked:  # the last one's mistake is not to be said after the first one's pass
        check(network, question)
    say_other_labels(network)
    with console.progress("reading faces") as report:
        faces = load(data, report).split(split)
    written = []
    for question, folder in zip(asked, folders(asked), strict=True):
        with console.progress(f"judging and explaining faces {folder}".strip()) as report:
            found, notes = explain_split(network, faces, out / folder, question, report)
        written += found
        for note in notes:
            console.say(f"{out / folder}: {note}")
    return written


def show_methods() -> None:
    """Print every method with what it does and costs."""
    from analysis.explain import METHODS

    table = console.make_table("method", "what it shows", "passes a face", "every class has its own map", "reference")
    for name in METHODS:
        entry = METHODS[name]
        table.add_row(name, entry.summary, entry.passes, "yes" if entry.follows_target else "no", entry.reference)
    console.put_table(table)


def folders(asked: Sequence["Question"]) -> list[str]:
    """A folder for each of several questions; the one given where there is one."""
    if len(asked) == 1:
        return [""]
    return ["-".join([q.method, str(q.target or ""), *q.layers]).rstrip("-") for q in asked]
