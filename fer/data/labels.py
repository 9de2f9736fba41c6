"""Which faces, labels and classes of a data set a run uses."""

from pathlib import Path

from fer.config import RunConfig
from fer.data.clean import CleanIndex, read_index
from fer.data.faceset import Corpus
from fer.data.ferplus import apply_votes
from fer.errors import ConfigError
from fer.files import expanded


def relabel(corpus: Corpus, config: RunConfig) -> tuple[Corpus, str]:
    """The corpus with the configured labels and classes, and a sentence on the votes used ("" for FER-2013's own labels).

    With a clean index, the train split loses the faces that it names; ``clean_note`` says how many stayed.

    Raises:
        ConfigError: FER+ labels without a file of votes, or votes without FER+ labels.
        DataError: the votes or the index do not belong to the data, or a class has no face.
    """
    if config.labels != "fer" and not config.votes:
        raise ConfigError(
            f"labels {config.labels} need the FER+ votes; name their file, fer2013new.csv, with --votes, "
            "or as votes=... where the command takes --set"
        )
    if config.labels == "fer" and config.votes:
        raise ConfigError(
            f"votes {config.votes} are not used with labels fer; add --labels ferplus-majority or ferplus-soft, "
            "or labels=... where the command takes --set"
        )
    index = None if corpus.clean_note else clean_index(corpus, config.clean)
    note = corpus.labels_note
    if config.votes and not note:
        voted, note = apply_votes(corpus, config.votes, config.labels)
        corpus = voted.only(config.classes)
        note += _of_classes(voted, corpus)
    corpus = corpus.only(config.classes)
    return index.clean_train(corpus) if index else corpus, note


def _of_classes(voted: Corpus, chosen: Corpus) -> str:
    """How many of the faces with FER+ labels have one of the chosen classes; empty where these are all."""
    if all(len(chosen.splits[name]) == len(faces) for name, faces in voted.splits.items()):
        return ""
    return f"; of these classes are {' and '.join(f'{len(faces):,} {name}' for name, faces in chosen.splits.items())}"


def clean_index(corpus: Corpus, path: str | Path) -> CleanIndex | None:
    """The index of a file, None for ""; to be asked before labels or classes change, after which the data look like others.

    Raises:
        DataError: no index, or one of another data set.
    """
    if not str(path):
        return None
    index = read_index(expanded(path))
    index.refuse_other(corpus)
    return index
