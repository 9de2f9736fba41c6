"""``fer latency``: what a face costs by each runtime, here and now."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Optional

import typer

from fer.cli import console, options

app = typer.Typer(add_completion=False)


@app.command()
def latency(
    models: Annotated[
        Optional[list[str]], typer.Argument(help="Checkpoints and exported models. [default: the default release]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Cores that each may use.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Passes of which the median is taken.")] = 15,
    json: options.Json = False,
) -> None:
    """Time models on the CPU on faces of random pixels: one at a time, and in batches of 64, preprocessing included.

    Rounds go from model to model, so that a machine that slows down slows all of them.
    """
    from fer.latency import race

    results = race(models or [None], threads, rounds)
    if json:
        console.put_json([asdict(result) for result in results])
        return
    table = console.make_table("model", "runtime", "ms a face", "in batches of 64", "faces a second", "megabytes")
    for r in results:
        rate = f"{1000 / r.latency.batched:,.0f}"
        table.add_row(r.name, r.runtime, f"{r.latency.single:.2f}", f"{r.latency.batched:.2f}", rate, f"{r.megabytes:.2f}")
    console.put_table(table)
