"""What the files of a training run are called, and the networks in them."""

from pathlib import Path

LAST, PREVIOUS, BEST, CONFIG, METRICS = "last.pth", "previous.pth", "best.pth", "config.yaml", "metrics.json"
#: The prediction table of the validation split; ``metrics.json``, written after it, says that the run is finished.
TABLE = "validation.npz"
#: Pictures that ``fer train`` draws of a finished run.
CURVES_PICTURE, CONFUSION_PICTURE = "training_curves.png", "confusion_matrix.png"


def network_name(path: Path) -> str:
    """Name of the network in a file: the file's, or the folder's where it is a run, whose files are called alike in every run.

    >>> network_name(Path("checkpoints/fast_cnn.pth"))
    'fast_cnn'
    """
    folder = path.absolute().parent
    if path.name not in (BEST, LAST, PREVIOUS) or not (folder / CONFIG).is_file():
        return path.stem
    return folder.name if path.name == BEST else f"{folder.name}-{path.stem}"
