"""``fer data``: look at a data set, or get FER-2013."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from fer.cli import console, data_check, options

app = typer.Typer(add_completion=False, help="Look at a data set, check and clean it, or download FER-2013.")


@app.command()
def info(
    path: Annotated[Optional[Path], typer.Argument(help="Zip, csv or folder. [default: $FER_DATA, then data/]")] = None,
    json: options.Json = False,
) -> None:
    """Count images per split and class; show the fingerprint and what was skipped."""
    from fer.data import load

    with console.progress("reading faces") as report:
        corpus = load(path, report)
    counts = {name: faces.counts for name, faces in corpus.splits.items()}
    if json:
        skipped = [{"reason": s.reason, "count": s.count, "example": s.example} for s in corpus.skipped]
        splits = {
            name: {"n": len(faces), "counts": faces.counts, "fingerprint": faces.fingerprint}
            for name, faces in corpus.splits.items()
        }
        console.put_json({"path": str(corpus.origin), "fingerprint": corpus.fingerprint, "splits": splits, "skipped": skipped})
        return
    table = console.make_table("class", *counts, title=str(corpus.origin))
    for label in next(iter(counts.values())):
        table.add_row(label, *(f"{counts[split][label]:,}" for split in counts))
    table.add_section()
    table.add_row("all", *(f"{sum(counts[split].values()):,}" for split in counts))
    console.put_table(table)
    console.put(f"fingerprint {corpus.fingerprint}")
    for skip in corpus.skipped:
        console.put(f"skipped {skip.count}: {skip.reason}, such as {skip.example}")
    if not corpus.skipped:
        console.put("nothing was skipped")


app.command()(data_check.check)
app.command()(data_check.clean)


@app.command()
def download(
    out: Annotated[Path, typer.Option(help="Folder that receives the data set.")] = Path("data"),
) -> None:
    """Fetch msambare/fer2013 from Kaggle by kagglehub (needs a Kaggle account)."""
    from fer.data.kaggle import download as fetch

    console.say(f"fetching FER-2013 into {out} ...")
    console.put(str(fetch(out)))
