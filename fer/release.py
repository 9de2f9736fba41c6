"""Released checkpoints: stored small, measured again as stored, listed from their cards."""

import copy
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fer import checkpoint as checkpoints
from fer import released
from fer.calibration import biases_pay, calibrate, fit_temperature, halves, have_all_classes
from fer.card import MAJORITY, Card
from fer.checkpoint import Checkpoint
from fer.data import Corpus, FaceSet
from fer.data.photos import clean
from fer.emotions import EMOTIONS
from fer.errors import CheckpointError, DataError, OutputError
from fer.evaluation import evaluate_checkpoint, labelled_for, make_table, validation_faces
from fer.files import write_whole
from fer.floors import FLOORS, MOST_ECE, Floor
from fer.metrics import evaluate_table
from fer.models.ensemble import Ensemble
from fer.models.head import add_to_logits
from fer.models.weights import State
from fer.portable import read_seal
from fer.training.norms import may_settle, settled
from fer.types import PredictionTable, Progress

#: Test-time augmentations that every release is measured with beside none.
MEASURED_TTA = ("flip", "tencrop")
#: Half precision is taken where accuracy and log loss move by no more.
HALF_TOLERANCE = 1e-4
#: What share of a network's numbers a tensor holds at least to be tried in half precision, one choice after the other.
HALVED_SHARES = (0.0, 0.01, 0.05, 0.2)
#: Keys of a configuration that may name files.
_FILES = ("init", "votes", "clean", "class_weights", "teachers")
#: The README's table stands between these two lines.
TABLE_START = "<!-- table of released checkpoints: written by `fer zoo table` -->"
TABLE_END = "<!-- end of table -->"

_EXPORTS = """Models that run without torch, by `fer export NAME --format FORMAT --data fer2013.zip`; each holds its proof.
"""

_INTRODUCTION = """# Released checkpoints

Trained by this code on the Training split of FER-2013; epoch and recipe chosen on PublicTest (validation).
Every file has a card of the same name (.json): configuration, seed, class weights, data fingerprint, versions, all metrics;
a history (.csv) where its run has one.

- accuracy: without test-time augmentation, with the mirrored face (2 passes), with ten crops (10 passes), on n faces;
- clean: validation faces that are no copy of a training photo, mirrored or not, and not blank, without test-time augmentation;
- models of FER+'s votes are judged by its majority rule, on the faces that have a label by it: another task
  (`--labels ferplus-majority --votes ferplus.csv`);
- in brackets behind an accuracy: its 95 % interval;
- ECE: on the half of the validation split that temperature and class biases were not fitted on; open where it is more than
  0.030, which was asked for;
- floor: what was asked of a model before it was trained, alone and with the better test-time augmentation; open until both
  are reached.

`fer evaluate --checkpoint NAME --tta TTA` measures accuracy and macro F1 again, `fer confidence --checkpoint NAME` the ECE of
the held-out half; clean is measured at release. `sha256sum -c SHA256SUMS` checks the files.
Written by `fer zoo table`.
"""


def release(source: Checkpoint, corpus: Corpus, path: Path, progress: Progress | None = None) -> Card:
    """Store a checkpoint with its card beside it, all figures measured on the stored weights.

    Batch norms are settled first (:func:`fer.training.norms.settled`).

    Weights are stored in half precision, all or the largest ones, where that changes accuracy and log loss by at most 1e-4.
    Temperature and, where they pay, class biases are fitted on one half of the validation split; the card has the figures of
    the other half under ``validation/held-out``. The biases go into the last layer's; an ensemble, which has none, gets a
    temperature alone.

    Faces have the labels that the checkpoint was trained on; one trained on soft FER+ votes is also judged by their majority.

    Raises:
        DataError: no training and validation faces, others than the card tells of, or the votes are not where they were.
        OutputError: the folder is not writable.
    """
    train, validation = labelled_for(source.card, corpus).for_training()
    if source.card.judged_faces not in ("", validation.fingerprint):
        raise DataError(
            f"{source.name} was chosen on other validation faces than those of {corpus.origin}; "
            "name the data of its run with --data (a fold's run has faces of its own and is not released)"
        )
    source = _settled(source, train, validation, progress)
    source, table, half = _stored(_calibrated(source, validation, progress), validation, progress)
    photos = _photos(source.card, corpus, train)
    tables = {"": table}
    for tta in MEASURED_TTA:
        tables[f"/{tta}"] = evaluate_checkpoint(source, validation, progress, tta=tta)
    metrics = {
        **_figures("validation", tables, clean(validation, photos)),
        "validation/held-out": evaluate_table(halves(table)[1]),
    }
    if source.card.labels == "ferplus-soft":  # the figures that others give
        agreed = validation_faces(source.card, corpus, labels="ferplus-majority")
        relabelled = {end: _relabelled(one, source, agreed) for end, one in tables.items()}
        held_out = np.isin(relabelled[""].names, halves(table)[1].names)
        metrics |= _figures(MAJORITY, relabelled, clean(agreed, photos))
        metrics[f"{MAJORITY}/held-out"] = evaluate_table(relabelled[""].rows(np.flatnonzero(held_out)))
    earlier = {key: figures for key, figures in source.card.metrics.items() if key != "validation/clean"}
    metrics = earlier | metrics
    accuracy, config = metrics["validation"]["accuracy"], _without_folders(source.card.config)
    card = replace(source.card, validation_accuracy=accuracy, metrics=metrics, config=config)
    card = checkpoints.save(path, source.model.state_dict(), card, half=half)
    write_whole(path.with_suffix(".json"), (card.to_json() + "\n").encode())
    return card


def _without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration whose files are called by their names alone: folders are those of the machine that trained."""
    found = copy.deepcopy(dict(config))
    groups = [group for group in (found, *found.values()) if isinstance(group, dict)]
    for group in groups:
        for key in _FILES:
            value = group.get(key)
            if isinstance(value, str):
                group[key] = Path(value).name
            elif value:
                group[key] = [Path(each).name for each in value]
    return found


def _figures(split: str, tables: Mapping[str, PredictionTable], unknown: torch.Tensor) -> dict[str, dict[str, Any]]:
    """What a card says of a split: alone, with test-time augmentation, and of ``unknown`` faces, which are no copies."""
    found = {f"{split}{end}": evaluate_table(table) for end, table in tables.items()}
    return found | ({f"{split}/clean": evaluate_table(tables[""].rows(unknown.numpy()))} if unknown.any() else {})


def _relabelled(table: PredictionTable, source: Checkpoint, faces: FaceSet) -> PredictionTable:
    """What was said of some of a table's faces, beside other labels for them."""
    place = {name: row for row, name in enumerate(table.names)}
    logits = table.logits[[place[name] for name in faces.names]]
    return make_table(source, faces, torch.from_numpy(logits), tta=table.source["tta"])


def _photos(card: Card, corpus: Corpus, train: FaceSet) -> FaceSet:
    """The photos that are no test of the network: of the whole train split, also those of classes that it does not know."""
    whole = labelled_for(card, corpus, classes=",".join(EMOTIONS), clean="").splits
    return whole["train"] if "validation" in whole else train


def _settled(source: Checkpoint, train: FaceSet, validation: FaceSet, progress: Progress | None) -> Checkpoint:
    """With the better statistics of batch norms, and what it then makes of the training faces."""
    found = settled(source, train, validation, progress)[0] if may_settle(source) else source
    if found is source and source.card.metrics:  # of a run that did not end, the figure is of augmented faces
        return source
    accuracy = evaluate_table(evaluate_checkpoint(found, train, progress))["accuracy"]
    return replace(found, card=replace(found.card, train_accuracy=accuracy))


def _calibrated(source: Checkpoint, validation: FaceSet, progress: Progress | None) -> Checkpoint:
    """The same network with confidences that are right on one half of a split."""
    card, model = replace(source.card, temperature=1.0), copy.deepcopy(source.model)
    one, other = halves(evaluate_checkpoint(replace(source, card=card), validation, progress))
    found = calibrate(one.logits, one.labels)
    one_head = not isinstance(model, Ensemble) and not card.spec.more_heads
    movable = one_head and have_all_classes(one, other) and biases_pay(one, other)
    if not movable or not add_to_logits(model, card.spec.head, torch.tensor(found.biases)):
        return replace(source, card=replace(card, temperature=fit_temperature(one.logits, one.labels)))
    before = card.biases or (0.0,) * len(card.classes)
    biases = tuple(old + new for old, new in zip(before, found.biases, strict=True))
    return Checkpoint(model, replace(card, temperature=found.temperature, biases=biases), source.name)


def _stored(
    source: Checkpoint, validation: FaceSet, progress: Progress | None
) -> tuple[Checkpoint, PredictionTable, tuple[str, ...]]:
    """The checkpoint with its weights as they will be stored, its table, and the names of those in half precision."""
    state, exact = source.model.state_dict(), evaluate_checkpoint(source, validation, progress)
    before = evaluate_table(exact)
    for names in _large(state):
        rounded = replace(source, model=copy.deepcopy(source.model))
        rounded.model.load_state_dict(checkpoints.rounded(state, names))
        small = evaluate_checkpoint(rounded, validation, progress)
        after = evaluate_table(small)
        if all(abs(before[key] - after[key]) <= HALF_TOLERANCE for key in ("accuracy", "log_loss")):
            return rounded, small, names
    return source, exact, ()


def _large(state: State) -> Iterator[tuple[str, ...]]:
    """All tensors, then fewer and fewer: those that hold at least a share of all numbers, each choice once."""
    sizes = {name: tensor.numel() for name, tensor in state.items()}
    choices = (tuple(name for name, size in sizes.items() if size >= share * sum(sizes.values())) for share in HALVED_SHARES)
    yield from (names for names in dict.fromkeys(choices) if names)


def set_default(name: str) -> None:
    """Make a released checkpoint the one that is used where none is named."""
    write_whole(released.RELEASED / "DEFAULT", f"{name}\n".encode())


def markdown_table() -> str:
    """The released checkpoints as a Markdown table, from their cards."""
    rows = [
        "| checkpoint | architecture | accuracy (95 %) | flip | ten-crop | clean | n (clean) | macro F1 | ECE | MB "
        "| trained on | minutes | floor (with flip or ten-crop) |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    names = released.released_names()
    absent = ", ".join(f"`{name}` {FLOORS[name]}" for name in FLOORS if name not in names)
    return "\n".join([*rows, *map(_row, names), *(["", f"Floors that wait for their models: {absent}."] if absent else [])])


def lacks(floor: Floor, card: Card) -> list[str]:
    """What a released card lacks of a floor, in words."""
    split = _judged_by(card)
    measured = {tta: card.metrics.get(f"{split}/{tta}") for tta in MEASURED_TTA}
    averaged = {tta: 100 * figures["accuracy"] for tta, figures in measured.items() if figures}
    if not averaged:
        return [f"no figure with --tta {' or '.join(MEASURED_TTA)}: fer zoo add measures it"]
    alone = card.metrics[split]["accuracy"] if split == MAJORITY else card.validation_accuracy
    return floor.lacks(100 * alone, averaged)


def _judged_by(card: Card) -> str:
    """Which of a card's figures stand in the table: those by the majority rule, where it has them."""
    return MAJORITY if MAJORITY in card.metrics else "validation"


def exports_table() -> str:
    """The released exports as a Markdown table, from the proofs inside them; empty where there are none."""
    rows = [_export_row(path) for path in released.released_files(".onnx")]
    head = ["| exported model | format | accuracy of the checkpoint | after export | same class | heatmaps correlate by | MB |"]
    return "\n".join([*head, "|---|---|---|---|---|---|---|", *rows]) if rows else ""


def _export_row(path: Path) -> str:
    seal = read_seal(path)
    proof, maps = seal.proof, seal.proof["map_correlation"]
    shares = (*(proof["accuracy"] or (None, None)), proof["agreement"])  # without labelled faces there is no accuracy
    cells = [
        f"`{path.name}`",
        seal.format,
        *("–" if share is None else f"{100 * share:.2f} %" for share in shares),
        "–" if maps is None else f"{maps:.3f}",
        f"{released.bytes_on_disk(path) / 1e6:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _row(name: str) -> str:
    path = released.RELEASED / f"{name}.pth"
    card = checkpoints.read_card(checkpoints.read(path), path)
    mark, split = " (default)" if name == released.default_name() else "", _judged_by(card)
    figures, unknown = card.metrics.get(split, {}), card.metrics.get(f"{split}/clean")
    averaged = (card.metrics.get(f"{split}/{tta}") for tta in MEASURED_TTA)
    cells = [
        f"`{name}`{mark}",
        ", ".join([card.architecture, *card.marks]),
        *(_accuracy(each) for each in (figures, *averaged, unknown)),
        f"{_number(figures, 'n', ',')} ({unknown['n']:,})" if unknown else _number(figures, "n", ","),
        _number(figures, "macro_f1", ".3f"),
        _calibration(card.metrics.get(f"{split}/held-out", figures)),
        f"{path.stat().st_size / 1e6:.1f}",
        card.hardware.get("device", "unknown"),
        str(card.hardware.get("minutes", "")),
        f"{FLOORS[name]} {'open' if lacks(FLOORS[name], card) else 'reached'}" if name in FLOORS else "–",
    ]
    return f"| {' | '.join(cells)} |"


def _number(metrics: Mapping[str, Any], key: str, form: str) -> str:
    return format(metrics[key], form) if key in metrics else "–"


def _calibration(metrics: Mapping[str, Any]) -> str:
    return _number(metrics, "ece", ".3f") + (" (open)" if metrics.get("ece", 0) > MOST_ECE else "")


def _accuracy(metrics: Mapping[str, Any] | None) -> str:
    if not metrics:
        return "–"
    low, high = metrics["ci95"]
    return f"{100 * metrics['accuracy']:.2f} % ({100 * low:.1f}–{100 * high:.1f})"


def write_tables() -> None:
    """Write checkpoints/README.md, checkpoints/SHA256SUMS and the table inside the README anew.

    Raises:
        CheckpointError: the README has lost the marks between which its table stands; nothing is written then.
        OutputError: a file cannot be read or written.
    """
    folder, readme = released.RELEASED, released.RELEASED.parent / "README.md"
    table = markdown_table()
    parts = [_INTRODUCTION, table, *([f"\n{_EXPORTS}\n{exports}"] if (exports := exports_table()) else [])]
    files = sorted([*released.released_files(".pth"), *released.released_files(".onnx")])
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    page = _with_table(readme, table)
    write_whole(folder / "README.md", ("\n".join(parts) + "\n").encode())
    write_whole(folder / "SHA256SUMS", "".join(sums).encode())
    write_whole(readme, page.encode())


def _with_table(readme: Path, table: str) -> str:
    """The README's text with another table between its marks."""
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot read {readme}: {error.strerror}; run this in a clone of the project") from error
    head, start, rest = text.partition(TABLE_START)
    _, end, tail = rest.partition(TABLE_END)
    if not start or not end:
        raise CheckpointError(f"{readme} has no line {TABLE_START!r} or {TABLE_END!r}; put them back around its table")
    return f"{head}{start}\n{table}\n{end}{tail}"
