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
    from dataclasses import replace

    from fer import checkpoint as files
    from fer.combine import combine, contributions, fit_weights, judged_on, measured
    from fer.data import load
    from fer.errors import OutputError
    from fer.evaluation import evaluate_checkpoint, validation_faces
    from fer.files import check_place
    from fer.metrics import evaluate_table

    if out.suffix not in _ENDINGS:
        endings = " or ".join(_ENDINGS)
        raise OutputError(f"cannot write {out}: an ensemble is a checkpoint; give a name ending in {endings}, and export that")
    check_place(out)
    members = [files.load(name) for name in checkpoints]
    if half:  # what is measured is what is stored
        for one in members:
            state = one.model.state_dict()
            one.model.load_state_dict(files.rounded(state, half=state))
    shares = None if weights in ("uniform", "fit") else _numbers(weights)
    together = combine(members, shares)
    with console.progress("reading faces") as report:
        corpus = load(data, report)
        faces = validation_faces(together.card, corpus)
    tables = [evaluate_checkpoint(model, faces) for model in members]
    if weights == "fit":
        shares = fit_weights(tables)
        together = combine(members, shares)
    brought = contributions(tables, shares or [1.0] * len(members))
    with console.progress("judging faces") as report:
        metrics = evaluate_table(evaluate_checkpoint(together, faces, report))
    for member, table, without in zip(together.card.members, tables, brought["accuracy_without"], strict=True):
        _say(
            str(member["name"]), evaluate_table(table), f", weight {member['weight']:g}, {console.percent(without)} without it"
        )
    _say("ensemble", metrics, f", members disagree on {console.percent(brought['disagreement'])}")
    described = [
        {**member, "accuracy_without": without}
        for member, without in zip(together.card.members, brought["accuracy_without"], strict=True)
    ]
    config = {**together.card.config, "disagreement": brought["disagreement"], "weights": weights}
    card = replace(judged_on(together.card, corpus.origin.name, faces), members=tuple(described), config=config)
    together = measured(replace(together, card=card), metrics, "validation")
    state = together.model.state_dict()
    files.save(out, state, together.card, half=state if half else ())
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
