"""Released checkpoints: stored small, measured again as stored, listed from their cards."""

from dataclasses import replace
from pathlib import Path

from fer import checkpoint as checkpoints
from fer.checkpoint import RELEASED, Card, Checkpoint
from fer.data import FaceSet
from fer.errors import CheckpointError, OutputError
from fer.evaluation import evaluate_checkpoint
from fer.files import write_whole
from fer.metrics import evaluate_table
from fer.types import Progress

#: The README's table stands between these two lines.
TABLE_START = "<!-- table of released checkpoints: written by `fer zoo table` -->"
TABLE_END = "<!-- end of table -->"

_README = RELEASED.parent / "README.md"
_INTRODUCTION = """# Released checkpoints

Trained by this code on the Training split of FER-2013; epoch and recipe chosen on PublicTest (validation).
Every file has a card of the same name (.json): configuration, seed, class weights, data fingerprint, versions, all metrics.
`fer evaluate --checkpoint NAME` measures the figures again. Written by `fer zoo table`.
"""


def release(source: Checkpoint, validation: FaceSet, path: Path, progress: Progress | None = None) -> Card:
    """Store a checkpoint in half precision with its card beside it, the figures measured on the stored weights.

    Raises:
        OutputError: the folder is not writable.
    """
    state = source.model.state_dict()
    source.model.load_state_dict({k: v.half().float() if v.is_floating_point() else v for k, v in state.items()})
    metrics = evaluate_table(evaluate_checkpoint(source, validation, progress))
    measured = {**source.card.metrics, "validation": metrics}
    card = replace(source.card, validation_accuracy=metrics["accuracy"], metrics=measured)
    card = checkpoints.save(path, source.model.state_dict(), card, half=True)
    write_whole(path.with_suffix(".json"), (card.to_json() + "\n").encode())
    return card


def set_default(name: str) -> None:
    """Make a released checkpoint the one that is used where none is named."""
    write_whole(RELEASED / "DEFAULT", f"{name}\n".encode())


def markdown_table() -> str:
    """The released checkpoints as a Markdown table, from their cards."""
    rows = [
        "| checkpoint | architecture | PublicTest accuracy (95 %) | macro F1 | log loss | ECE | n "
        "| MB | trained on | minutes |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(rows + [_row(name) for name in checkpoints.released_names()])


def _row(name: str) -> str:
    path = checkpoints.find(name)
    card = checkpoints.read_card(checkpoints.read(path), path)
    m = card.metrics["validation"]
    low, high = m["ci95"]
    mark = " (default)" if name == checkpoints.default_name() else ""
    accuracy = f"{100 * m['accuracy']:.2f} % ({100 * low:.1f}–{100 * high:.1f})"
    figures = f"{m['macro_f1']:.3f} | {m['log_loss']:.3f} | {m['ece']:.3f} | {m['n']:,}"
    size = f"{path.stat().st_size / 1e6:.1f}"
    hardware = f"{card.hardware.get('device', 'unknown')} | {card.hardware.get('minutes', '')}"
    return f"| `{name}`{mark} | {card.architecture} | {accuracy} | {figures} | {size} | {hardware} |"


def write_tables() -> None:
    """Write checkpoints/README.md and the table inside the README anew.

    Raises:
        CheckpointError: the README has lost the marks between which its table stands.
        OutputError: a file cannot be written.
    """
    table = markdown_table()
    write_whole(RELEASED / "README.md", f"{_INTRODUCTION}\n{table}\n".encode())
    try:
        text = _README.read_text(encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot read {_README}: {error.strerror}; run this in a clone of the project") from error
    head, start, rest = text.partition(TABLE_START)
    _, end, tail = rest.partition(TABLE_END)
    if not start or not end:
        raise CheckpointError(f"{_README} has no line {TABLE_START!r} or {TABLE_END!r}; put them back around its table")
    write_whole(_README, f"{head}{start}\n{table}\n{end}{tail}".encode())
