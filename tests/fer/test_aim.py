"""Whose score is explained: what is refused, and in which words."""

import pytest

from fer.aim import make_aim
from fer.emotions import EMOTIONS
from fer.errors import ConfigError

SAME = {
    "two classes and one": (["angry", "happy"], "happy", "happy"),
    "one class and two": ("happy", ["angry", "happy"], "happy"),
    "two and two": (["sad", "fear"], ["fear", "fear"], "fear"),
    "two spellings": ("Anger", "angry", "angry"),
    "ranks": ("top2", "top2", "top2"),
    "the prediction": (None, "top1", "top1"),
}


@pytest.mark.parametrize("case", SAME)
def test_the_class_that_is_set_against_itself_is_named_alone(case):
    target, against, name = SAME[case]
    with pytest.raises(ConfigError) as raised:
        make_aim(EMOTIONS, 2, target, against)
    assert str(raised.value) == f"target and contrast are both {name!r}; name two different classes"


def test_classes_that_differ_face_by_face_are_no_contradiction():
    aim = make_aim(EMOTIONS, 2, ["angry", "happy"], ["happy", "angry"])
    assert aim.target == aim.against[::-1]
