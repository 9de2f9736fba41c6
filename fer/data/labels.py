"""Which labels and classes of a data set a run uses."""

from fer.config import RunConfig
from fer.data.faceset import Corpus
from fer.data.ferplus import apply_votes
from fer.errors import ConfigError


def relabel(corpus: Corpus, config: RunConfig) -> tuple[Corpus, str]:
    """The corpus with the configured labels and classes, and a sentence on the votes used ("" for FER-2013's own labels).

    Raises:
        ConfigError: FER+ labels without a file of votes, or votes without FER+ labels.
        DataError: the votes do not belong to the data, or a class has no face.
    """
    if config.labels != "fer" and not config.votes:
        raise ConfigError(f"labels {config.labels} need the FER+ votes; name the file with --votes fer2013new.csv")
    if config.labels == "fer" and config.votes:
        raise ConfigError(f"votes {config.votes} are not used with labels fer; add --labels ferplus-majority or ferplus-soft")
    note = corpus.labels_note
    if config.votes and not note:
        corpus, note = apply_votes(corpus, config.votes, config.labels)
    return corpus.only(config.classes), note
