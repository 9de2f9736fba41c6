"""``fer models``: the architectures that can be trained."""

from typing import Any

import typer

from fer.cli import console, options

app = typer.Typer(add_completion=False)


@app.command()
def models(json: options.Json = False) -> None:
    """List the architectures, their input, CAM layer, weights count and reference."""
    rows = describe()
    if json:
        console.put_json(rows)
        return
    table = console.make_table("name", "variant", "input", "CAM layer", "weights", "summary", "reference")
    for row in rows:
        shape = f"{row['channels']}×{row['size']}×{row['size']}"
        million = f"{row['parameters'] / 1e6:.2f} M"
        table.add_row(
            row["name"], row["variant"], shape, ", ".join(row["cam_layers"]), million, row["summary"], row["reference"]
        )
    console.put_table(table)


def describe() -> list[dict[str, Any]]:
    """One row for every form of every architecture."""
    import torch

    from fer.emotions import EMOTIONS
    from fer.models import MODELS

    rows = []
    for name in MODELS:
        entry = MODELS[name]
        for variant, spec in entry.variants.items():
            with torch.device("meta"):  # weights are counted, and not drawn
                net = spec.build(len(EMOTIONS), 0.0)
            rows.append(
                {
                    "name": name,
                    "variant": variant,
                    "modes": list(entry.modes(variant)),
                    "size": spec.preprocess.size,
                    "channels": spec.preprocess.channels,
                    "cam_layers": list(spec.cam_layers),
                    "parameters": sum(p.numel() for p in net.parameters()),
                    "summary": entry.summary,
                    "reference": entry.reference,
                }
            )
    return rows
