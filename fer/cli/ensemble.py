"""``fer ensemble``: several checkpoints as one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fer.cli import console, options

app = typer.Typer(add_completion=False)

# Of checkpoints: others are opened as what their ending says.
_ENDINGS = (".pth", ".pt")


@app.command()
def ensemble(
    checkpoints: Annotated[list[str], typer.Argument(help="Two or more checkpoint files or released names.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File that receives the ensemble (.pth).")],
    weights: Annotated[
        str, typer.Option(help="uniform, fit (least log loss on the validation split), or one number a member: 2,1,1.")
    ] = "uniform",
    data: options.Data = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights in half precision.")] = False,
) -> None:
    """Average the probabilities of several checkpoints; the result is a checkpoint like any other.

    Prints its accuracy on the validation split beside that of every member, and what each one brings; the card keeps it.
    """
    from fer import checkpoint as files
    from fer.combine import combine
    from fer.data import load
    from fer.ensembles import assemble
    from fer.errors import OutputError
    from fer.files import check_place

    if out.suffix not in _ENDINGS:
        endings = " or ".join(_ENDINGS)
        raise OutputError(f"cannot write {out}: an ensemble is a checkpoint; give a name ending in {endings}, and export that")
    check_place(out)
    members = [files.load(name) for name in checkpoints]
    if half:  # what is measured is what is stored
        for one in members:
            state = one.model.state_dict()
            one.model.load_state_dict(files.rounded(state, half=state))
    shares = weights if weights in ("uniform", "fit") else _numbers(weights)
    combine(members, None if isinstance(shares, str) else shares)  # members that do not fit are said before data is read
    with console.progress("reading faces") as report:
        corpus = load(data, report)
    with console.progress("judging faces") as report:
        judged = assemble(members, corpus, shares, report)
    card = judged.checkpoint.card
    for member, metrics in zip(card.members, judged.members, strict=True):
        without = console.percent(member["accuracy_without"])
        _say(str(member["name"]), metrics, f", weight {member['weight']:g}, {without} without it")
    disagreement = console.percent(card.config["disagreement"])
    _say("ensemble", card.metrics["validation"], f", members disagree on {disagreement}")
    state = judged.checkpoint.model.state_dict()
    files.save(out, state, card, half=state if half else ())
    console.put(str(out))


def _numbers(text: str) -> list[float]:
    from fer.errors import ConfigError

    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"--weights {text}: write uniform, fit, or numbers with commas between them, such as 2,1,1"
        ) from error


def _say(name: str, metrics: dict[str, Any], more: str) -> None:
    low, high = metrics["ci95"]
    console.say(
        f"{name}: {console.percent(metrics['accuracy'])} (95 % {console.percent(low)} to {console.percent(high)}{more})"
    )
