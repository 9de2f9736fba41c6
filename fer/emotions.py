"""The seven expression classes of FER-2013: their order, names, colours and other people's spellings."""

import difflib
from collections.abc import Sequence

from fer.errors import UnknownNameError

#: Class order of every logit, probability and table in this project (alphabetical).
EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

#: Emotion codes 0..6 of the challenge's ``fer2013.csv`` (not alphabetical).
#: Goodfellow et al. 2013, "Challenges in Representation Learning".
CSV_CODES: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

#: Spellings used by other data sets (FER+, RAF-DB, AffectNet) for the same classes.
SYNONYMS: dict[str, str] = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}

#: One colour a class, told apart also by people with colour-vision deficiency (after Petroff 2021).
COLOURS: dict[str, str] = {
    "angry": "#e42536",
    "disgust": "#86c8dd",
    "fear": "#964a8b",
    "happy": "#ffa90e",
    "neutral": "#717581",
    "sad": "#3f90da",
    "surprise": "#b9ac70",
}


def canonical(name: str) -> str:
    """Class name for a spelling found in a folder or typed by a person.

    Raises:
        UnknownNameError: no class is spelt so; the message suggests the nearest one.

    >>> canonical("Happiness")
    'happy'
    """
    key = name.strip().lower()
    key = SYNONYMS.get(key, key)
    if key in EMOTIONS:
        return key
    raise UnknownNameError(f"unknown class {name!r}{suggestion(key, EMOTIONS)}; known classes: {', '.join(EMOTIONS)}")


def suggestion(name: str, known: Sequence[str]) -> str:
    """``" (did you mean 'x'?)"`` for the closest known name, or an empty string.

    >>> suggestion("hapy", EMOTIONS)
    " (did you mean 'happy'?)"
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
