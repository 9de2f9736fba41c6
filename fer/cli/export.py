"""``fer export``: a checkpoint in another form, with a measurement of what the conversion changed."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from fer.cli import console, options

if TYPE_CHECKING:
    from fer.card import Card
    from fer.data import Corpus
    from fer.export import Evidence
    from fer.portable.seal import Seal

app = typer.Typer(add_completion=False)


@app.command()
def export(
    checkpoint: Annotated[
        Optional[str], typer.Argument(help="Checkpoint: file, run or released name. [default: the default release]")
    ] = None,
    format: Annotated[str, typer.Option("--format", "-f", help="onnx, onnx-int8, torch-export or openvino.")] = "onnx",
    out: Annotated[Optional[Path], typer.Option("--out", "-o", help="File to write. [default: NAME, in this folder]")] = None,
    data: Annotated[
        Optional[Path],
        typer.Option(
            "--data", "-d", help="Labelled faces of the proof: FER-2013 zip, fer2013.csv or folder. [default: --calibrate]"
        ),
    ] = None,
    calibrate: Annotated[
        Optional[Path], typer.Option(help="Faces whose activations set the scales of onnx-int8. [default: --data]")
    ] = None,
    opset: Annotated[Optional[int], typer.Option(help="Version of ONNX's operators.")] = None,
    space: Annotated[
        Optional[Path], typer.Option(help="New folder for a Hugging Face Space: the page with this model, without torch.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write a model that runs without torch, compared with its checkpoint on the validation split.

    A conversion that changes more than its format may is refused. Without --data random pixels are compared, which
    show differences of logits and heatmaps but no accuracy. Prints the file and the proof, which also travels inside it.
    """
    from apps.space import write_space
    from fer.checkpoint import load as load_checkpoint
    from fer.errors import ConfigError
    from fer.export import DEFAULT_OPSET, FORMATS
    from fer.export import export as write
    from fer.files import workshop
    from fer.portable import load as load_portable

    chosen = FORMATS[format]
    if opset is not None and not chosen.has_opset:
        raise ConfigError(f"{format} is not written in ONNX's operators; leave out --opset")
    if space:
        space = space.resolve()
        _check_space(space, out, chosen.suffix)
    if calibrate and not chosen.calibrates:
        raise ConfigError(f"--calibrate sets scales of integers, {format} has none; leave it out, or name faces with --data")
    model = load_checkpoint(checkpoint)
    name = f"{model.name}{'-int8' if chosen.calibrates else ''}{chosen.suffix}"
    evidence = _evidence(model.card, data or calibrate, (calibrate or data) if chosen.calibrates else None)
    with console.cleaned_up(), workshop(space) if space else nullcontext(Path()) as folder:
        target = folder / name if space else out or Path(name)
        with console.progress("comparing faces") as report:
            seal = write(model, target, format, evidence, opset=DEFAULT_OPSET if opset is None else opset, progress=report)
        if space:
            exported = load_portable(target)
            write_space(space, target, exported)
            if exported.lacks_maps:
                console.say(f"{exported.lacks_maps}; the page of this Space shows verdicts without heatmaps")
            target = space / name
    if json:
        console.put_json({"path": str(target), "format": format, "lacks_maps": seal.lacks_maps, "proof": seal.proof})
    else:
        show(seal, target)


def _check_space(space: Path, out: Path | None, suffix: str) -> None:
    """Say what cannot be before anything is done for it."""
    from fer.errors import ConfigError
    from fer.files import make_folder, refuse_used

    if out:
        raise ConfigError("--space puts the model into its folder; leave out --out")
    if suffix != ".onnx":
        raise ConfigError("a Space runs ONNX; use --format onnx or onnx-int8")
    refuse_used(space)
    make_folder(space.parent)


def _evidence(card: Card, labelled: Path | None, calibration: Path | None) -> Evidence:
    from fer.data import load
    from fer.errors import ConfigError
    from fer.evaluation import validation_faces
    from fer.export import Evidence, calibration_faces

    @cache
    def read(path: Path) -> Corpus:
        with console.progress("reading faces") as report:
            return load(path, report)

    faces = validation_faces(card, read(labelled)) if labelled else None
    # without a validation split a part of the training faces is the proof's; scales need faces, whatever their labels
    if calibration and "train" not in read(calibration).splits:
        raise ConfigError(
            f"{calibration} has no train split, whose faces scale integers; name data that has one by --calibrate"
        )
    seen = read(calibration).only(card.classes).for_training()[0] if calibration else None
    return Evidence(faces, calibration_faces(seen) if seen else None)


def show(seal: Seal, path: Path) -> None:
    """Print the file's path and its proof as a table."""
    from fer.released import bytes_on_disk

    proof = seal.proof
    table = console.make_table("figure", "checkpoint", "exported", title=f"{path} on {proof['n']:,} faces ({proof['faces']})")
    for name, form in (("accuracy", console.percent), ("calibration_error", console.number)):
        if proof[name]:
            table.add_row(name.replace("_", " "), *(form(value) for value in proof[name]))
    table.add_row("same class", "", console.percent(proof["agreement"]))
    table.add_row("largest difference of a logit", "", f"{proof['logits']:.2g}")
    table.add_row("correlation of heatmaps", "", _maps(seal, proof))
    table.add_row("megabytes", "", f"{bytes_on_disk(path) / 1e6:.2f}")
    console.put(str(path))
    console.put_table(table)


def _maps(seal: Seal, proof: Any) -> str:
    if seal.lacks_maps:
        return f"no heatmaps: {seal.lacks_maps}"
    value = proof["map_correlation"]
    return f"{'none has a pattern' if value is None else f'{value:.4f}'} ({proof['maps']} faces)"
