"""Tables of several checkpoints on the same faces: saved ones where they are given, one pass of the model elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from analysis.left_out import refuse_left_out
from analysis.passes import other_way
from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.errors import ConfigError, DataError
from fer.evaluation import evaluate_checkpoint
from fer.run_files import network_name
from fer.types import PredictionTable, Progress


def tables_of(
    models: Mapping[str, Checkpoint], faces: FaceSet, saved: Sequence[Path] = (), progress: Progress | None = None
) -> dict[str, PredictionTable]:
    """One table a model, in the order of ``models``.

    Args:
        models: by the name they go by.
        faces: what they are asked about.
        saved: tables that ``fer evaluate --table`` wrote; each is taken for the model whose weights it names.
        progress: told faces done and all, of every model that is run.

    Raises:
        ConfigError: the same weights twice.
        DataError: a table cannot be read, or is of another model, of an exported one, of several views, or of other faces.
    """
    names: dict[str, str] = {}
    for name, model in models.items():
        if names.setdefault(model.card.weights_sha256, name) != name:
            twin = names[model.card.weights_sha256]
            raise ConfigError(f"{twin} and {name} are the same weights; name different checkpoints")
    read = dict(_owned(path, models, faces) for path in saved)
    return {name: read[name] if name in read else evaluate_checkpoint(model, faces, progress) for name, model in models.items()}


def _owned(path: Path, models: Mapping[str, Checkpoint], faces: FaceSet) -> tuple[str, PredictionTable]:
    table = PredictionTable.load(path)
    weights = table.source.get("weights_sha256", "")
    owner = next((name for name, model in models.items() if model.card.weights_sha256 == weights), None)
    if owner is None:
        made = table.source.get("checkpoint", "an unknown checkpoint")
        raise DataError(f"{path} is the table of {made}, not of {' or '.join(models)}; name its checkpoint, too")
    refuse_left_out(table, path)
    if way := other_way(table):
        raise DataError(
            f"{path} is {way}, not of {owner} itself; write it anew by fer evaluate, of the .pth itself and without --tta"
        )
    faces = faces.only(models[owner].card.classes)
    # the fingerprint knows neither names nor order, and faces are shown by both
    if table.source.get("data") != faces.fingerprint or sorted(table.names) != sorted(faces.names):
        raise DataError(
            f"{path} is of other faces than the {len(faces):,} of this {faces.split} split; write it anew with fer evaluate"
        )
    place = {name: row for row, name in enumerate(table.names)}
    return owner, table.rows(np.array([place[name] for name in faces.names]))


def display_names(paths: Sequence[Path]) -> list[str]:
    """What the networks in files are called; where two are called alike, as many folders before the file as tell them apart.

    >>> display_names([Path("runs/a/best.pth"), Path("runs/b/best.pth")])
    ['a/best', 'b/best']
    """
    names = [network_name(path) for path in paths]
    if len(set(names)) == len(names):
        return names
    parts = [path.resolve().with_suffix("").parts for path in paths]
    for depth in range(1, max(map(len, parts), default=0)):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ConfigError(f"{', '.join(map(str, paths))}: a file is named twice; name different checkpoints")
