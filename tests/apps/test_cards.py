"""The HTML that the page draws by itself."""

import re

import pytest

from apps.cards import bars, comparison, face_cards
from apps.compare import Comparison, Map, Opinion
from apps.look import FaceCard
from fer.predict import Predictor
from fer.samples import sample_path
from tests.apps.shown import Elements

EVIL = '"><img src=x onerror=alert(1)>'


def card(title="1. happy, 96%", regions=None, caption="gradcam: happy", number=1):
    probabilities = {"angry": 0.02, "happy": 0.9, "sad": 0.05, "fear": 0.03}
    shares = {"mouth": 0.7} if regions is None else regions
    return FaceCard(number, title, probabilities, b"face", b"overlay", caption, shares)


def test_every_face_has_its_two_pictures_with_words_and_a_border_for_the_keyboard():
    elements = Elements(face_cards([card(), card("3. sad, 40%", number=3)]))
    words = [one["alt"] for one in elements.of("img")]
    assert words == ["face 1", "face 1 with the heatmap over it: gradcam: happy"] + [
        word.replace("face 1", "face 3") for word in ("face 1", "face 1 with the heatmap over it: gradcam: happy")
    ]
    assert [one["aria-label"] for one in elements.of("input")] == [
        f"Border between face {number} and its heatmap" for number in (1, 3)
    ]
    assert [one["data-name"] for one in elements.of("button")] == ["heatmap-1.jpg", "heatmap-3.jpg"]


def test_bars_are_the_three_largest_in_order_and_as_long_as_their_shares():
    drawn = bars("Top 3", card().probabilities, "top3")
    assert re.findall(r"<li><span>(\w+)</span><span>([\d%]+)</span>", drawn) == [
        ("happy", "90%"),
        ("sad", "5%"),
        ("fear", "3%"),
    ]
    assert re.findall(r"width: ([\d%]+)", drawn) == ["90%", "5%", "3%"]


def test_an_empty_map_is_said():
    assert "nothing in this face speaks for the class" in face_cards([card(regions={})])
    assert "nothing in this face" not in face_cards([card()])


def test_without_a_heatmap_the_card_has_the_face_alone_and_the_reason():
    drawn = face_cards([FaceCard(2, "2. happy, 96%", {"happy": 0.9}, b"face", None, f"m gives no heatmaps {EVIL}", {})])
    elements = Elements(drawn)
    assert [one["alt"] for one in elements.of("img")] == ["face 2"] and not [*elements.of("input"), *elements.of("button")]
    assert "2. happy, 96%" in drawn and "m gives no heatmaps" in drawn and EVIL not in drawn
    assert "The heatmap is empty" not in drawn


def test_no_face_no_card():
    assert face_cards([]) == ""


@pytest.fixture(scope="module")
def prediction():
    (prediction,) = Predictor("fast_cnn-int8").predict(sample_path())
    return prediction


def test_opinions_show_their_maps_or_why_there_are_none(prediction):
    maps = (Map("gradcam: happy", None, b"picture"), Map("this checkpoint knows gradcam only"))
    drawn = comparison(Comparison(b"face", "1 face found.", (Opinion("best", prediction, maps),)))
    assert [one["alt"] for one in Elements(drawn).of("img")] == ["the face that is compared", "heatmap, gradcam: happy"]
    assert f"best: happy, {prediction.confidence:.0%}" in drawn and "knows gradcam only" in drawn


def test_names_do_not_act_as_html(prediction):
    opinion = Opinion(EVIL, prediction, (Map(EVIL, None, b"picture"), Map(EVIL)))
    for drawn in (
        face_cards([card(EVIL, {EVIL: 0.5}, EVIL)]),
        comparison(Comparison(b"face", "", (opinion,))),
        bars(EVIL, {EVIL: 0.5}, "top3"),
    ):
        assert all("onerror" not in attributes for _, attributes in Elements(drawn).found)
        assert all(one.get("src", "").startswith("data:image/jpeg;base64,") for one in Elements(drawn).of("img"))
