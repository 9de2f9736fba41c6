"""A finished result as the page shows it; without a browser."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from analysis.finished import Finished, open_finished
from apps.explore import PAGE, Cell, Shelf, faces, matrix, overview
from fer.emotions import EMOTIONS
from fer.errors import DataError
from fer.types import Heatmap, PredictionTable
from tests.analysis.test_mistakes_page import EVIL, report_of
from tests.apps.shown import Elements


def result(n=200, classes=EMOTIONS, images=True):
    """Random answers; every face is of the one shade that tells its row."""
    rng = np.random.default_rng(6)
    table = PredictionTable(
        rng.normal(size=(n, len(classes))) * 2,
        rng.integers(0, len(classes), n),
        tuple(f"test/{row}.png" for row in range(n)),
        classes,
        "validation",
        {"checkpoint": "best"},
    )
    shades = np.repeat(np.arange(n, dtype=np.uint8), 48 * 48).reshape(n, 48, 48) if images else None
    return Finished("run", table, shades)


def shades(shown):
    """Of the faces that are shown, in order."""
    sources = [one["src"].partition(",")[2] for one in Elements(shown.faces).of("img")]
    pictures = [Image.open(io.BytesIO(base64.b64decode(source))) for source in sources]
    return [round(np.asarray(picture.convert("L")).mean()) for picture in pictures]


def test_figures_and_counts_are_those_of_the_table():
    one = result()
    found, table = overview(one), one.table
    for row in range(7):
        for column in range(7):
            expected = int(((table.labels == row) & (table.predicted == column)).sum())
            assert found.counts[row][column] == expected
    accuracy = (table.labels == table.predicted).mean()
    assert f"accuracy {100 * accuracy:.2f} %" in found.words and "n = 200" in found.words
    off = {(r, c): found.counts[r][c] for r in range(7) for c in range(7) if r != c}
    most = max(off.values())
    assert off[EMOTIONS.index(found.cell.label), EMOTIONS.index(found.cell.answer)] == most
    with Image.open(io.BytesIO(found.histograms)) as picture:
        assert picture.format == "PNG" and picture.width > 800


def test_every_cell_is_a_button_that_says_what_it_holds():
    found = overview(result())
    buttons = Elements(matrix(found)).of("button")
    assert len(buttons) == 49
    for place, button in enumerate(buttons):
        label, answer = EMOTIONS[place // 7], EMOTIONS[place % 7]
        count, share = found.counts[place // 7][place % 7], found.counts[place // 7][place % 7] / sum(found.counts[place // 7])
        what = f"{label} recognised" if label == answer else f"{label} taken for {answer}"
        assert button["aria-label"].startswith(f"{what}: {count} face")
        assert (button["data-label"], button["data-answer"]) == (label, answer)
        assert button["style"] == f"--share:{share:.3f}"
    assert [b["aria-pressed"] for b in buttons].count("true") == 1


def test_faces_of_a_cell_come_the_surest_first_a_page_at_a_time():
    one = result(250, EMOTIONS[:2])
    table = one.table
    rows = [r for r in range(250) if (table.labels[r], table.predicted[r]) == (0, 1)]
    rows.sort(key=lambda r: -table.probs[r].max())
    assert len(rows) > 2 * PAGE
    for first in (0, PAGE, len(rows) // PAGE * PAGE):
        shown = faces(one, Cell(EMOTIONS[0], EMOTIONS[1], first), maps=False)
        assert shown.n == len(rows)
        assert shades(shown) == pytest.approx(rows[first : first + PAGE], abs=2)  # of a JPEG
        assert f"shown are {first + 1} to {min(first + PAGE, len(rows))}" in shown.words


@pytest.mark.parametrize("first", [-5, 10_000])
def test_a_page_that_is_not_there_is_the_nearest_one(first):
    one = result(250, EMOTIONS[:2])
    cell = Cell(EMOTIONS[0], EMOTIONS[1], first)
    last = (faces(one, cell, maps=False).n - 1) // PAGE * PAGE
    shown = faces(one, cell, maps=False)
    assert f"shown are {1 if first < 0 else last + 1} to" in shown.words
    assert shown.first == (0 if first < 0 else last)  # from where the visitor leafs on


def test_words_tell_hits_from_confusions_and_share_of_the_label():
    one = result()
    hits = int(((one.table.labels == 3) & (one.table.predicted == 3)).sum())
    share = hits / int((one.table.labels == 3).sum())
    words = faces(one, Cell("happy", "happy"), maps=False).words
    assert words.startswith(f"**happy, recognised**: {hits} face") and f"{100 * share:.2f} % of happy" in words
    assert faces(one, Cell("happy", "sad"), maps=False).words.startswith("**happy, taken for sad**: ")


def test_maps_are_laid_over_the_faces_on_request():
    hot = Heatmap(np.eye(48, dtype=np.float32), 1.0, "happy", "gradcam")
    one = result(30)
    with_maps = Finished("run", one.table, one.images, lambda row: hot, "gradcam")
    cell = overview(with_maps).cell
    assert overview(with_maps).question == "gradcam"
    plain, laid = faces(with_maps, cell, maps=False), faces(with_maps, cell, maps=True)
    assert plain.faces == faces(one, cell, maps=True).faces  # without maps there is nothing to lay over
    assert plain.faces != laid.faces


def test_without_faces_the_words_stay():
    shown = faces(result(images=False), Cell("happy", "sad"), maps=False)
    assert shown.faces == "" and shown.words


def test_a_class_that_is_not_there_is_an_expected_error():
    with pytest.raises(DataError, match="knows no bored; its classes: angry"):
        faces(result(), Cell("bored", "sad"), maps=False)


def test_names_of_files_and_checkpoints_do_not_act_as_html(tmp_path):
    report_of(30).write(tmp_path)  # its first face is called EVIL
    opened = open_finished(tmp_path)
    row = opened.table.names.index(EVIL)
    cell = Cell(EMOTIONS[opened.table.labels[row]], EMOTIONS[opened.table.predicted[row]])
    elements = Elements(faces(opened, cell, maps=False).faces)
    assert all(one["src"].startswith("data:image/jpeg") and "onerror" not in one for one in elements.of("img"))
    assert elements.of("script") == []
    table = PredictionTable([[1, 0]], [0], ("a",), EMOTIONS[:2], "validation", {"checkpoint": "<b>*[x](y)*</b>"})
    words = overview(Finished("run", table)).words
    assert "<b>" not in words and re.search(r"\\\[x\\\]", words)


def test_a_shelf_shows_names_opens_them_once_and_sees_changes(tmp_path):
    report_of(30, first_name="a.png").write(tmp_path / "results" / "one")
    shelf = Shelf([tmp_path / "results"])
    assert shelf.names() == ["results/one"]
    first = shelf.open("results/one")
    assert shelf.open("results/one") is first
    report_of(40, first_name="a.png").write(tmp_path / "results" / "one")
    assert len(shelf.open("results/one").table) == 40
    report_of(30, first_name="a.png").write(tmp_path / "results" / "two")
    assert shelf.names() == ["results/one", "results/two"]


@pytest.mark.parametrize("name", ["", "results", "../results/one", "results/../../etc", "/etc/passwd"])
def test_only_what_is_on_the_shelf_is_opened(tmp_path, name):
    report_of(30, first_name="a.png").write(tmp_path / "results" / "one")
    with pytest.raises(DataError, match="no finished result is called"):
        Shelf([tmp_path / "results"]).open(name)


def test_what_is_damaged_is_said_without_the_folders_above(tmp_path):
    report_of(30, first_name="a.png").write(tmp_path / "results" / "one")
    (tmp_path / "results" / "one" / "mistakes.html").write_text("nothing")
    with pytest.raises(DataError, match="results/one is damaged") as said:
        Shelf([tmp_path / "results"]).open("results/one")
    assert str(tmp_path) not in str(said.value)
