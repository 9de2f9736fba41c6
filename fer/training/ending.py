"""Which weights a run ends with: those of its best epoch, or of its last."""

from contextlib import AbstractContextManager

from fer.checkpoint import Checkpoint
from fer.data import FaceSet
from fer.metrics import evaluate_table
from fer.training.norms import may_settle, settled
from fer.types import PredictionTable, Progress


def best_ending(
    best: Checkpoint,
    last: Checkpoint,
    faces: tuple[FaceSet, FaceSet],
    monitor: str,
    progress: Progress | None = None,
    autocast: AbstractContextManager[object] | None = None,
) -> tuple[Checkpoint, PredictionTable]:
    """The better of two epochs with settled norms, and its table over the validation faces.

    The best epoch was chosen with the statistics of augmented faces, and settling may move an epoch by more than the last
    ones differ. So the last, whose learning rate was the lowest, is judged again beside it (docs/adr/0017).

    Args:
        best: of the epoch with the best monitored figure so far; the answer where the two are equal.
        last: of the last epoch.
        faces: of training and validation.
        monitor: "accuracy", "loss" or "macro_f1"; among equals the log loss decides.
        progress: told images done and all, of each pass.
        autocast: number format in which statistics are taken; float32 where None.
    """
    found = settled(best, *faces, progress, autocast)
    if last.card.best_epoch == best.card.best_epoch or not may_settle(last):
        return found
    other = settled(last, *faces, progress, autocast)
    return max(found, other, key=lambda ending: _merit(ending[1], monitor))


def _merit(table: PredictionTable, monitor: str) -> tuple[float, float]:
    figures = evaluate_table(table)
    surely = -figures["log_loss"]
    return (surely if monitor == "loss" else figures[monitor]), surely
