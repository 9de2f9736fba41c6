"""``fer info``: what runs here and what is wrong with it."""

from typing import Any

import typer

from fer.cli import console, options

app = typer.Typer(add_completion=False)


@app.command()
def info(json: options.Json = False) -> None:
    """Show versions, device, the path fer runs from, and what is wrong with the environment."""
    facts = gather()
    if json:
        console.put_json(facts)
        return
    for key in ("path", "device", "bf16", "cache", "checkpoints"):
        console.put(f"{key:24} {facts[key]}")
    for name, version in facts["versions"].items():
        console.put(f"{name:24} {version}")
    for problem in facts["problems"]:
        console.put(f"problem: {problem['what']}; {problem['cure']}")
    if not facts["problems"]:
        console.put("nothing wrong was found")


def gather() -> dict[str, Any]:
    """Everything the command shows, as plain values."""
    from contextlib import suppress
    from pathlib import Path

    import fer
    from fer import environment
    from fer.files import cache_folder
    from fer.released import released_names

    device: str = "unknown"
    bf16: bool | str = "unknown"
    with suppress(ImportError):  # without torch; that it is missing stands among the problems
        device, bf16 = environment.device_name(), environment.bf16_pays()
    return {
        "path": str(Path(fer.__file__).parent),
        "device": device,
        "bf16": bf16,
        "cache": str(cache_folder()),
        "checkpoints": released_names(),
        "versions": environment.versions(),
        "problems": [{"what": p.what, "cure": p.cure} for p in environment.problems()],
    }
