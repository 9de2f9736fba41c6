"""``fer explain``: heatmaps of pictures, or of a data set's most confident hits and misses."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from fer.cli import console, options

app = typer.Typer()


@app.command()
def explain(
    images: Annotated[Optional[list[Path]], typer.Argument(help="Pictures. [default: the embedded sample]")] = None,
    checkpoint: options.Checkpoint = None,
    data: options.Data = None,
    split: options.Split = "validation",
    target: Annotated[Optional[str], typer.Option(help="Class to explain. [default: each face's prediction]")] = None,
    method: Annotated[str, typer.Option(help="Explanation method: gradcam.")] = "gradcam",
    detector: options.Detector = "haar",
    out: Annotated[Path, typer.Option(help="Folder for the pictures and explanations.json.")] = Path("explanations"),
) -> None:
    """Show where the network looks: one PNG a face, or a gallery of a data set, and the numbers as JSON.

    Prints the paths of what was written.
    """
    from analysis.gallery import explain_split
    from analysis.pictures import explain_pictures
    from fer.checkpoint import load as load_checkpoint
    from fer.errors import ConfigError
    from fer.samples import sample_path

    if data and images:
        raise ConfigError("give pictures, or a data set with --data, not both")
    model = load_checkpoint(checkpoint)
    if data:
        from fer.data import load

        with console.progress("reading faces") as report:
            faces = load(data, report).split(split)
        with console.progress("judging faces") as report:
            written = explain_split(model, faces, out, method, target, report)
    else:
        written, notes = explain_pictures(model, images or [sample_path()], out, method, target, detector)
        for note in notes:
            console.say(note)
    for path in written:
        console.put(str(path))
