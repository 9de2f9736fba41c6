"""FER+ votes for a fake set: all ten of every face for one class that is not the data set's own label."""

from pathlib import Path

from fer.data import Corpus
from fer.emotions import EMOTIONS

#: FER+'s columns, and which of our classes they are.
COLUMNS = {
    **{"neutral": "neutral", "happiness": "happy", "surprise": "surprise", "sadness": "sad"},
    **{"anger": "angry", "disgust": "disgust", "fear": "fear", "contempt": "", "unknown": "", "NF": ""},
}


def next_class(label: int) -> int:
    """The class that the votes are for."""
    return (label + 1) % len(EMOTIONS)


def write_votes(path: Path, corpus: Corpus, without: int = 0) -> Path:
    """Votes keyed by file; the first ``without`` faces of every split have none."""
    lines = ["file,usage," + ",".join(COLUMNS)]
    for faces in corpus.splits.values():
        for name, label in list(zip(faces.names, faces.labels.tolist(), strict=True))[without:]:
            wanted = EMOTIONS[next_class(EMOTIONS.index(faces.classes[label]))]
            lines.append(f"{name},Training," + ",".join("10" if own == wanted else "0" for own in COLUMNS.values()))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
