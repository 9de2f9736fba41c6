"""What the figures show."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageColor

from analysis.figures import confusion, curves, panel, save
from analysis.figures.boxes import draw_boxes
from analysis.figures.overlay import overlay, resized
from fer.card import Card
from fer.emotions import COLOURS, EMOTIONS
from fer.errors import OutputError
from fer.training.history import Epoch, History
from fer.types import Box, Face, Heatmap, Prediction, Preprocess


def heatmap_of(values: np.ndarray, peak: float = 1.0) -> Heatmap:
    return Heatmap(values, peak, "happy", "gradcam")


def prediction_of(label: str, box: Box, image: np.ndarray | None = None) -> Prediction:
    image = np.full((box.height, box.width, 3), 90, np.uint8) if image is None else image
    logits = np.where(np.array(EMOTIONS) == label, 3.0, 0.0)
    return Prediction(Face(image, box, 1.0, "haar"), logits)


def history_of(*accuracies: float) -> History:
    return History([Epoch(i, 0.1, 2.0 - a, a / 2, 1.5 - a, a, 1.0) for i, a in enumerate(accuracies, 1)])


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


# overlay


def test_an_overlay_has_the_size_of_the_face_whatever_the_size_of_the_map():
    face = np.random.default_rng(0).integers(0, 256, (70, 50, 3), np.uint8)
    result = overlay(face, heatmap_of(np.random.default_rng(1).random((48, 48))))
    assert result.shape == (70, 50, 3) and result.dtype == np.uint8


def test_a_cold_map_leaves_the_grey_face():
    face = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    result = overlay(face, heatmap_of(np.zeros((48, 48)), peak=0.0))
    np.testing.assert_allclose(result, np.repeat(face.mean(axis=2, keepdims=True), 3, axis=2), atol=0.51)


def test_a_hot_spot_is_coloured_and_the_rest_stays_grey():
    values = np.zeros((48, 48))
    values[10:20, 10:20] = 1
    result = overlay(np.full((48, 48, 3), 60, np.uint8), heatmap_of(values)).astype(int)
    spread = result.max(axis=2) - result.min(axis=2)
    assert spread[12:18, 12:18].min() > 50
    assert (result[30:] == 60).all()


def test_the_hottest_spot_of_an_overlay_still_shows_the_face():
    face = np.zeros((48, 48, 3), np.uint8)
    face[:, 24:] = 255
    result = overlay(face, heatmap_of(np.ones((48, 48)))).astype(int)
    assert (result[:, 30] - result[:, 10]).mean() > 40


def test_an_overlay_does_not_change_the_face_it_was_given():
    face = np.full((48, 48, 3), 60, np.uint8)
    overlay(face, heatmap_of(np.ones((48, 48))))
    assert (face == 60).all()


def test_a_resized_map_keeps_its_place_and_range():
    values = np.zeros((48, 48))
    values[:24, :24] = 1
    large = resized(heatmap_of(values), width=192, height=96)
    assert large.shape == (96, 192)
    assert large.min() >= 0 and large.max() <= 1
    assert large[10, 20] == 1 and large[80, 20] == 0 and large[10, 170] == 0


# boxes


def test_every_face_is_boxed_in_the_colour_of_its_label():
    image = np.full((400, 600, 3), 90, np.uint8)
    boxes = {"happy": Box(60, 100, 220, 300), "sad": Box(320, 120, 500, 330)}
    result = draw_boxes(image, [prediction_of(label, box) for label, box in boxes.items()])
    assert result.shape == image.shape and result.dtype == np.uint8
    for label, box in boxes.items():
        colour = ImageColor.getrgb(COLOURS[label])
        middle = (box.y1 + box.y2) // 2
        for place in ((middle, box.x1), (middle, box.x2 - 1), (box.y2 - 1, (box.x1 + box.x2) // 2)):
            assert tuple(result[place]) == colour
    assert (result[150:250, 100:180] == 90).all()


def test_the_label_of_a_face_at_the_upper_right_edge_stays_inside_the_picture():
    image = np.full((300, 300, 3), 90, np.uint8)
    result = draw_boxes(image, [prediction_of("surprise", Box(200, 0, 300, 100))])
    colour = np.array(ImageColor.getrgb(COLOURS["surprise"]))
    label = (np.abs(result[:18].astype(int) - colour).sum(axis=2) == 0).sum(axis=1)
    assert result.shape == image.shape
    assert label.max() > 60  # the plate behind the text is wider than a box's two lines


def test_boxing_leaves_the_picture_itself_alone():
    image = np.full((200, 200, 3), 90, np.uint8)
    draw_boxes(image, [prediction_of("happy", Box(20, 20, 180, 180))])
    assert (image == 90).all()


def test_a_picture_without_faces_stays_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    assert np.array_equal(draw_boxes(image, []), image)


# confusion, curves, panel


def test_the_confusion_figure_shows_shares_counts_names_accuracy_and_n():
    metrics = {
        "confusion_matrix": [[3, 1], [0, 0]],
        "per_class": {"angry": {}, "disgust": {}},
        "accuracy": 0.75,
        "n": 1234,
    }
    figure = confusion.figure(metrics)
    (ax,) = figure.axes
    assert texts(figure) == ["75%\n3", "25%\n1", "0%\n0", "0%\n0"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["angry", "disgust"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["angry", "disgust"]
    assert ax.get_title() == "accuracy 75.00%, n = 1,234"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "label")


def test_the_confusion_figure_is_drawn_on_the_axes_it_is_given():
    ax = Figure().subplots()
    metrics = {"confusion_matrix": [[1]], "per_class": {"angry": {}}, "accuracy": 1.0, "n": 1}
    assert confusion.draw(ax, metrics) is ax
    assert len(ax.images) == 1


def test_the_curves_show_both_splits_and_mark_the_best_epoch():
    card = Card("custom_cnn", "small", EMOTIONS, Preprocess(), best_epoch=2, validation_accuracy=0.615)
    figure = curves.figure(history_of(0.2, 0.6, 0.5), card)
    left, right = figure.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "accuracy")
    lines = {line.get_label(): line for line in right.lines}
    assert list(lines["validation"].get_ydata()) == [0.2, 0.6, 0.5]
    assert list(lines["train (augmented)"].get_ydata()) == [0.1, 0.3, 0.25]
    best = lines["best: epoch 2"]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([2], [0.6])
    assert "61.50%" in right.get_title()  # with settled norms it is another figure than the epoch's


def test_the_panel_names_verdict_method_target_and_every_probability():
    prediction = prediction_of("sad", Box(0, 0, 48, 48))
    figure = panel.figure(prediction, [heatmap_of(np.zeros((48, 48)), peak=0.25)])
    titles = [ax.get_title() for ax in figure.axes]
    assert figure.get_suptitle() == f"sad, {prediction.confidence:.1%}"
    assert titles[1] == "gradcam: happy, peak 0.25"
    bars = figure.axes[3]
    assert [t.get_text() for t in bars.get_yticklabels()] == list(EMOTIONS)
    assert [bar.get_width() for bar in bars.patches] == pytest.approx(list(prediction.probabilities.values()))
    assert texts(figure) == [f"{p:.1%}" for p in prediction.probabilities.values()]


# saving


def test_a_figure_is_written_as_a_picture(tmp_path):
    save(confusion.figure({"confusion_matrix": [[1]], "per_class": {"angry": {}}, "accuracy": 1.0, "n": 1}), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 300


def test_a_picture_has_150_dots_an_inch(tmp_path):
    save(Figure(figsize=(4, 2)), tmp_path / "empty.png")
    with Image.open(tmp_path / "empty.png") as picture:
        assert picture.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def test_a_figure_that_cannot_be_written_is_an_expected_error(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        save(Figure(), tmp_path / "nowhere" / "c.png")
