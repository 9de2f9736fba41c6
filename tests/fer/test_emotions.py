import pytest

from fer.emotions import COLOURS, CSV_CODES, EMOTIONS, SYNONYMS, canonical
from fer.errors import UnknownNameError
from fer.registry import Registry


def test_classes_are_alphabetical_and_complete():
    assert list(EMOTIONS) == sorted(CSV_CODES) == sorted(COLOURS)
    assert set(SYNONYMS.values()) <= set(EMOTIONS)


@pytest.mark.parametrize(("name", "expected"), [("happy", "happy"), (" Anger ", "angry"), ("SADNESS", "sad")])
def test_other_spellings_are_understood(name, expected):
    assert canonical(name) == expected


@pytest.mark.parametrize(("name", "hint"), [("hapy", "did you mean 'happy'"), ("contempt", "known classes: angry, disgust")])
def test_unknown_classes_are_named_with_the_known_ones(name, hint):
    with pytest.raises(UnknownNameError, match=f"unknown class '{name}'.*{hint}"):
        canonical(name)


def test_a_registry_refuses_duplicates_and_lists_what_it_knows():
    registry: Registry[int] = Registry("fruit")
    registry.add("apple", 1)
    with pytest.raises(ValueError, match="fruit 'apple' is registered twice"):
        registry.add("apple", 2)
    with pytest.raises(UnknownNameError, match=r"unknown fruit 'aple' \(did you mean 'apple'\?\); known: apple"):
        registry["aple"]
