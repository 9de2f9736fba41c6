import numpy as np
import pytest

from fer.emotions import EMOTIONS
from fer.errors import DataError, OutputError
from fer.types import Box, Face, Heatmap, Prediction, PredictionTable, Preprocess, softmax


def face(width=4, height=3):
    return Face(np.zeros((height, width, 3), np.uint8), Box(0, 0, width, height), 1.0, "haar")


def table(n=3):
    logits = np.arange(n * 7, dtype=np.float32).reshape(n, 7) % 5
    return PredictionTable(logits, np.arange(n) % 7, tuple(f"face {i}" for i in range(n)), EMOTIONS, "test", {"data": "x"})


@pytest.mark.parametrize("corners", [(5, 0, 5, 9), (0, 9, 5, 9), (-1, 0, 5, 9), (0, -1, 5, 9), (6, 0, 5, 9)])
def test_a_box_that_is_empty_or_negative_is_refused(corners):
    with pytest.raises(ValueError, match="box"):
        Box(*corners)


def test_a_face_must_fill_its_box():
    with pytest.raises(ValueError, match="does not fill"):
        Face(np.zeros((3, 4, 3), np.uint8), Box(0, 0, 3, 4), 1.0, "haar")


def test_arrays_are_copied_and_read_only():
    pixels = np.zeros((3, 4, 3), np.uint8)
    value = Face(pixels, Box(0, 0, 4, 3), 1.0, "haar")
    pixels[:] = 9
    assert value.image.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        value.image[0, 0, 0] = 1


def test_softmax_of_known_logits_and_of_huge_ones():
    assert softmax([0.0, np.log(3.0)]) == pytest.approx([0.25, 0.75])
    assert softmax([1e4, -1e4]).tolist() == [1.0, 0.0]


def test_a_prediction_names_its_best_classes():
    prediction = Prediction(face(), [0, 0, 1, 5, 0, 0, 3])
    assert prediction.label == "happy"
    assert [name for name, _ in prediction.top(3)] == ["happy", "surprise", "fear"]
    assert (
        prediction.confidence == prediction.probabilities["happy"] == pytest.approx(np.exp(5) / (np.exp([5, 1, 3]).sum() + 4))
    )
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


@pytest.mark.parametrize("logits", [[0, 1], [[0] * 7], [np.nan] + [0] * 6, [np.inf] + [0] * 6])
def test_impossible_logits_are_refused(logits):
    with pytest.raises(ValueError, match="logits"):
        Prediction(face(), logits)


@pytest.mark.parametrize(
    ("values", "peak"), [([[1.1]], 1.0), ([[-0.1]], 1.0), ([[np.nan]], 1.0), ([[0.5]], -1.0), ([0.5], 1.0)]
)
def test_impossible_heatmaps_are_refused(values, peak):
    with pytest.raises(ValueError, match="heatmap"):
        Heatmap(values, peak, "happy", "gradcam")


@pytest.mark.parametrize("change", [{"size": 8}, {"channels": 2}, {"mean": (0.5, 0.5)}, {"std": (0.0,)}])
def test_impossible_preprocessing_is_refused(change):
    with pytest.raises(ValueError, match=r"size|channels|deviations"):
        Preprocess(**change)


def test_preprocessing_survives_json():
    value = Preprocess(224, 3, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert Preprocess.from_dict(value.to_dict()) == value


def test_a_table_survives_the_disk(tmp_path):
    before = table()
    before.save(tmp_path / "t.npz")
    after = PredictionTable.load(tmp_path / "t.npz")
    np.testing.assert_array_equal(after.logits, before.logits)
    np.testing.assert_array_equal(after.labels, before.labels)
    assert (after.names, after.classes, after.split, after.source) == (before.names, EMOTIONS, "test", {"data": "x"})


def test_a_table_with_a_label_outside_its_classes_is_refused():
    with pytest.raises(ValueError, match="labels"):
        PredictionTable(np.zeros((1, 7)), [7], ("a",), EMOTIONS, "test")


def test_missing_or_damaged_table_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"t\.npz"):
        PredictionTable.load(tmp_path / "t.npz")
    table().save(tmp_path / "t.npz")
    (tmp_path / "t.npz").write_bytes(b"PK broken")
    with pytest.raises(DataError, match=r"t\.npz"):
        PredictionTable.load(tmp_path / "t.npz")


def test_a_table_that_is_missing_is_not_said_to_be_another_file(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "alone.npz").touch()
    for name, words in {
        "t.npz": "t.npz is missing",
        "folder": "folder is a folder",
        "alone.npz": r"alone\.npz is no prediction table of fer: the \.json beside it is missing",
    }.items():
        with pytest.raises(DataError, match=f"{words}; name the .npz of fer evaluate --table"):
            PredictionTable.load(tmp_path / name)


def test_whatever_byte_of_a_table_is_damaged_it_is_named(tmp_path):
    table().save(tmp_path / "t.npz")
    whole, refused = (tmp_path / "t.npz").read_bytes(), 0
    for damaged in [b"", *(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(len(whole)))]:
        (tmp_path / "t.npz").write_bytes(damaged)
        try:
            PredictionTable.load(tmp_path / "t.npz")
        except DataError as error:
            refused += "t.npz" in str(error)
    assert refused > len(whole) / 4  # the others say what unpacking does not need, such as dates


def test_half_a_table_file_is_named(tmp_path):
    table().save(tmp_path / "t.npz")
    (tmp_path / "t.npz").write_bytes((tmp_path / "t.npz").read_bytes()[:-40])
    with pytest.raises(DataError, match=r"t\.npz"):
        PredictionTable.load(tmp_path / "t.npz")


def test_a_table_of_other_classes_is_refused(tmp_path):
    PredictionTable(np.zeros((1, 2)), [0], ("a",), ("cat", "dog"), "test").save(tmp_path / "t.npz")
    with pytest.raises(DataError, match=r"cat.*known classes: angry"):
        PredictionTable.load(tmp_path / "t.npz")


def test_a_table_of_one_class_is_refused(tmp_path):
    PredictionTable(np.zeros((3, 1)), [0, 0, 0], ("a", "b", "c"), ("angry",), "test").save(tmp_path / "t.npz")
    with pytest.raises(DataError, match="one class"):
        PredictionTable.load(tmp_path / "t.npz")


def test_a_table_that_names_its_temperature_names_the_product_when_it_is_cooled_again():
    hot = PredictionTable([[2.0, 4.0]], [0], ("a",), ("fear", "sad"), "test", {"temperature": "2.0"})
    assert hot.cooled(0.5).source["temperature"] == "1.0" and hot.cooled(0.5).logits.tolist() == [[4.0, 8.0]]
    assert "temperature" not in table().cooled(2.0).source


@pytest.mark.parametrize("name", ["t.json", "t"])
def test_a_table_is_not_saved_under_the_name_of_its_own_second_file(name, tmp_path):
    with pytest.raises(OutputError, match=r"end in \.npz"):
        table().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_named_when_saving(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        table().save(tmp_path / "nowhere" / "t.npz")
