"""What the files of a training run are called."""

LAST, PREVIOUS, BEST, CONFIG, METRICS = "last.pth", "previous.pth", "best.pth", "config.yaml", "metrics.json"
#: The prediction table of the validation split; ``metrics.json``, written after it, says that the run is finished.
TABLE = "validation.npz"
#: Pictures that ``fer train`` draws of a finished run.
CURVES_PICTURE, CONFUSION_PICTURE = "training_curves.png", "confusion_matrix.png"
