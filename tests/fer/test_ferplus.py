"""FER+ votes: the rules by hand-counted examples, the pairing of votes and faces, and what is refused."""

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from fer.config import LABELS
from fer.data import Corpus, FaceSet, load
from fer.data.ferplus import RULES, apply_votes
from fer.data.names import paired
from fer.emotions import EMOTIONS
from fer.errors import DataError, UnknownNameError
from tests import fakes
from tests.conftest import REAL_DATA

MAJORITY, SOFT = "ferplus-majority", "ferplus-soft"
COLUMNS = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
OURS = dict(zip(COLUMNS.split(",")[:7], ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear"), strict=True))
REAL_VOTES = REAL_DATA.parent / "ferplus.csv"


def for_class(label, votes=10):
    """The ten cells of an image with all votes for one class."""
    return ",".join(str(votes) if OURS.get(column) == label else "0" for column in COLUMNS.split(","))


def official(path, rows):
    """fer2013new.csv of (usage, cells)."""
    lines = [f"{usage},fer{i:07}.png,{cells}" for i, (usage, cells) in enumerate(rows)]
    path.write_text("\n".join([f"Usage,Image name,{COLUMNS}", *lines]) + "\n", encoding="utf-8")
    return path


def by_file(path, rows):
    """A csv of (file, cells)."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "usage", *COLUMNS.split(",")])
    writer.writerows([name, "Training", *cells.split(",")] for name, cells in rows)
    path.write_text(table.getvalue(), encoding="utf-8")
    return path


def corpus_of(origin="faces", **names):
    """Angry faces by the names of each split."""
    splits = {}
    for split, called in names.items():
        images = torch.stack([torch.from_numpy(fakes.fake_face("angry", i))[None] for i in range(len(called))])
        splits[split] = FaceSet(images, torch.zeros(len(called), dtype=torch.int64), tuple(called), split)
    return Corpus(Path(origin), splits)


def labels_of(faces):
    return dict(zip(faces.names, [EMOTIONS[label] for label in faces.labels], strict=True))


# the rules; votes in FER+'s order: neutral happy surprise sad angry disgust fear contempt unknown no-face

EXAMPLES = [
    ("10,0,0,0,0,0,0,0,0,0", "neutral", {"neutral": 1}),
    ("0,0,6,0,0,0,4,0,0,0", "surprise", {"surprise": 0.6, "fear": 0.4}),
    ("4,0,0,1,3,2,0,0,0,0", None, {"neutral": 4 / 9, "angry": 3 / 9, "disgust": 2 / 9}),  # 4 of 9 is no majority
    ("5,0,0,5,0,0,0,0,0,0", None, {"neutral": 0.5, "sad": 0.5}),  # nor is a half
    ("0,5,1,1,1,1,1,0,0,0", "happy", {"happy": 1}),  # single votes do not count against it
    ("4,0,0,0,0,0,0,2,2,2", None, {"neutral": 1}),  # votes without a class of ours do
    ("3,0,0,0,0,0,0,7,0,0", None, {"neutral": 1}),  # contempt wins
    ("0,0,0,2,0,0,0,0,8,0", None, {"sad": 1}),  # unknown wins
    ("0,0,0,0,0,0,1,0,0,9", None, None),  # no face, and a single vote
    ("1,1,1,1,1,1,1,1,1,1", None, None),
    ("0,0,0,0,0,0,0,0,0,0", None, None),
    ("0,0,0,0,3,0,0,0,0,0", "angry", {"angry": 1}),  # fewer than ten people
]


@pytest.fixture
def examples(tmp_path):
    votes = official(tmp_path / "fer2013new.csv", [("Training", cells) for cells, _, _ in EXAMPLES])
    return corpus_of(train=[f"row {i + 2}" for i in range(len(EXAMPLES))]), votes


def test_the_majority_rule(examples):
    faces = apply_votes(*examples, MAJORITY)[0].split("train")
    assert labels_of(faces) == {f"row {i + 2}": label for i, (_, label, _) in enumerate(EXAMPLES) if label}
    assert faces.targets is None and faces.labels.dtype == torch.int64


def test_the_soft_rule(examples):
    faces = apply_votes(*examples, SOFT)[0].split("train")
    expected = [[shares.get(name, 0) for name in EMOTIONS] for _, _, shares in EXAMPLES if shares]
    assert faces.names == tuple(f"row {i + 2}" for i, (_, _, shares) in enumerate(EXAMPLES) if shares)
    assert faces.targets.dtype == torch.float32
    assert torch.allclose(faces.targets, torch.tensor(expected, dtype=torch.float32))
    assert torch.allclose(faces.targets.sum(dim=1), torch.ones(len(faces)))


def test_soft_labels_are_the_largest_share_and_the_first_of_equals(examples):
    faces = apply_votes(*examples, SOFT)[0].split("train")
    assert labels_of(faces) == {
        f"row {i + 2}": max(EMOTIONS, key=lambda name: shares.get(name, 0))
        for i, (_, _, shares) in enumerate(EXAMPLES)
        if shares
    }


def test_faces_keep_their_pixels(examples):
    corpus, _ = examples
    before = dict(zip(corpus.split("train").names, corpus.split("train").images, strict=True))
    after = apply_votes(*examples, SOFT)[0].split("train")
    assert all(torch.equal(before[name], image) for name, image in zip(after.names, after.images, strict=True))


def test_other_labels_are_another_data_set(examples):
    relabelled = [apply_votes(*examples, rule)[0].fingerprint for rule in (MAJORITY, SOFT)]
    assert len({examples[0].fingerprint, *relabelled}) == 3


@pytest.mark.parametrize(("rule", "kept"), [(MAJORITY, 4), (SOFT, 9)])
def test_the_sentence_names_rule_and_counts(rule, kept, examples):
    sentence = apply_votes(*examples, rule)[1]
    assert sentence.startswith(f"labels {rule} (FER+, Barsoum et al. 2016): single votes")
    assert sentence.endswith(f"kept {kept} of 12 train images")


def test_the_rules_are_those_of_the_configuration(examples):
    assert ("fer", *RULES) == LABELS
    with pytest.raises(UnknownNameError, match="ferplus-majority"):
        apply_votes(*examples, "ferplus-mayority")


# whose votes they are


def test_rows_of_the_official_csv_belong_to_rows_of_the_challenge_csv(tmp_path):
    order = [
        ("Training", "fear"),
        ("PublicTest", "sad"),
        ("Training", "happy"),
        ("PrivateTest", "angry"),
        ("PublicTest", "fear"),
    ]
    rows = [fakes.csv_line("neutral", fakes.fake_face(label, i), usage) for i, (usage, label) in enumerate(order)]
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join(["emotion,pixels,Usage", *rows[:2], "", *rows[2:]]), encoding="utf-8")
    votes = official(tmp_path / "fer2013new.csv", [(usage, for_class(label)) for usage, label in order])
    corpus, sentence = apply_votes(load(path), votes, MAJORITY)
    found = {
        image.numpy().tobytes(): EMOTIONS[label]
        for faces in corpus.splits.values()
        for image, label in zip(faces.images, faces.labels, strict=True)
    }
    assert found == {fakes.fake_face(label, i).tobytes(): label for i, (_, label) in enumerate(order)}
    assert "kept 2 of 2 train and 2 of 2 validation and 1 of 1 test images" in sentence


@pytest.mark.parametrize("rename", [str, lambda name: f"fer/{name}", lambda name: f"{Path(name).stem}.jpg"])
def test_votes_by_file_find_their_faces(rename, fake_zip, tmp_path):
    corpus = load(fake_zip)
    names = [name for faces in corpus.splits.values() for name in faces.names]
    wanted = {name: EMOTIONS[i % 7] for i, name in enumerate(names)}
    votes = by_file(tmp_path / "votes.csv", [(rename(name), for_class(wanted[name])) for name in reversed(names)])
    relabelled, sentence = apply_votes(corpus, votes, MAJORITY)
    assert {name: label for faces in relabelled.splits.values() for name, label in labels_of(faces).items()} == wanted
    assert sentence.endswith("kept 42 of 42 train and 21 of 21 validation and 14 of 14 test images")


def test_the_official_csv_may_name_the_files_of_a_folder(tmp_path):
    votes = official(tmp_path / "votes.csv", [("Training", for_class("sad")), ("Training", for_class("fear"))])
    corpus = corpus_of(train=["train/happy/fer0000001.png", "train/happy/fer0000000.png"])
    assert list(labels_of(apply_votes(corpus, votes, MAJORITY)[0].split("train")).values()) == ["fear", "sad"]


def test_kaggles_archive_is_told_that_the_official_csv_goes_by_rows(fake_zip, tmp_path):
    votes = official(tmp_path / "fer2013new.csv", [("Training", for_class("sad"))] * 77)
    with pytest.raises(DataError) as caught:
        apply_votes(load(fake_zip), votes, MAJORITY)
    assert "'fer0000000.png'" in str(caught.value) and "name that csv with --data" in str(caught.value)
    assert "fer2013.csv" in str(caught.value) and "a column file that has the names of your files" in str(caught.value)


def test_paths_of_windows_are_paths(tmp_path):
    votes = by_file(
        tmp_path / "votes.csv", [("train\\sad\\1.png", for_class("sad")), ("train\\fear\\1.png", for_class("fear"))]
    )
    corpus = corpus_of(train=["train/fear/1.png", "train/sad/1.png"])
    assert list(labels_of(apply_votes(corpus, votes, MAJORITY)[0].split("train")).values()) == ["fear", "sad"]


def test_images_without_votes_are_dropped_and_counted(tmp_path):
    votes = by_file(tmp_path / "votes.csv", [("train/sad/1.png", for_class("sad"))])
    relabelled, sentence = apply_votes(corpus_of(train=["train/sad/0.png", "train/sad/1.png"]), votes, SOFT)
    assert labels_of(relabelled.split("train")) == {"train/sad/1.png": "sad"}
    assert sentence.endswith("kept 1 of 2 train images; 1 have no votes in votes.csv")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (["a/1.png", "b/1.png", "2.png"], ["x/1.png", "x/2.png"]),  # whose votes 1 has is unknown
        (["1.png", "2.png"], ["x/1.png", "y/1.png", "x/2.png"]),  # who has the votes of 1 is unknown
    ],
)
def test_base_names_that_several_files_share_are_nobodys(theirs, ours, tmp_path):
    votes = by_file(tmp_path / "votes.csv", [(name, for_class("sad")) for name in theirs])
    relabelled, sentence = apply_votes(corpus_of(train=ours), votes, MAJORITY)
    assert relabelled.split("train").names == ("x/2.png",)
    assert f"{len(ours) - 1} have no votes" in sentence


def test_a_face_does_not_take_the_votes_of_another_with_its_base_name(tmp_path):
    votes = by_file(tmp_path / "votes.csv", [("train/sad/1.png", for_class("sad")), ("train/sad/2.png", for_class("sad"))])
    corpus = corpus_of(train=["train/fear/1.png", "train/sad/2.png"])
    assert apply_votes(corpus, votes, MAJORITY)[0].split("train").names == ("train/sad/2.png",)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (["train/angry/1.png", "train/angry/2.png", "x/3.png"], ["train/angry/1.png", "angry/2.png", "3.png"], [0, 1, 2]),
        (["1.png", "2.png"], ["2.jpg", "train/sad/1.jpg"], [1, 0]),
        (["train/sad/1.png", "a/2.png", "b/2.png"], ["train/sad/1.png", "2.png"], [0, -1, -1]),  # whose 2 is is unknown
        (["train/sad/1.png", "a/2.png"], ["train/sad/1.png", "2.png", "b/2.png"], [0, -1]),  # which 2 is its is unknown
        (["train/sad/1.png", "train/fear/2.png"], ["train/sad/1.png", "train/sad/2.png"], [0, -1]),  # another class
        (["train/sad/1.png", "sad/1.png"], ["train/sad/1.png", "1.png"], [0, -1]),
        ([], ["1.png"], []),
    ],
)
def test_names_in_different_forms_are_paired_each_by_its_end(ours, theirs, expected):
    assert paired(ours, theirs) == expected


# forms of the file


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeffUsage,Image name,{COLUMNS}\r\nTraining,,3,0,0,0,0,0,0,0,0,0\r\n\r\n",
        f"{COLUMNS},Image name,Usage\n3,0,0,0,0,0,0,0,0,0,,Training",
        f" USAGE , image NAME ,{COLUMNS.upper()}\nTraining,, 3 ,0,0,0,0,0,0,0,0,0\n",
        f"usage,image name,{','.join([*OURS.values(), 'contempt', 'unknown', 'nf'])}\nTraining,,3.0,0,0,0,0,0,0,0,0,0.\n",
    ],
    ids=["windows", "order", "case and spaces", "our spelling"],
)
def test_order_case_and_spelling_of_the_columns_do_not_matter(text, tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert labels_of(apply_votes(corpus_of(train=["row 2"]), str(path), MAJORITY)[0].split("train")) == {"row 2": "neutral"}


def test_votes_by_file_name_need_no_usage(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(f"file,{COLUMNS}\nrow 2,{for_class('sad')}\n", encoding="utf-8")
    assert labels_of(apply_votes(corpus_of(train=["row 2"]), str(path), MAJORITY)[0].split("train")) == {"row 2": "sad"}


# what is refused

HEAD = f"Usage,Image name,{COLUMNS}\n"
FILES = f"file,usage,{COLUMNS}\n"
GOOD = f"Training,a.png,{for_class('sad')}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no FER+ csv"),
        ("\0\1\2", "is no FER+ csv"),
        ("emotion,pixels,Usage\n0,1 2 3,Training\n", "is no FER+ csv: its columns ['emotion', 'pixels', 'usage'] lack angry"),
        (HEAD.replace("Usage,", "") + "a.png" + ",1" * 10, "lack usage"),
        (HEAD.replace("contempt,", "") + "Training,a.png" + ",1" * 9, "lack contempt; get fer2013new.csv"),
        (HEAD.replace("Image name", "picture") + GOOD, "lack neither file nor Image name"),
        (HEAD, "no rows; get fer2013new.csv"),
        (HEAD + GOOD.replace("10", "ten"), "line 2: 'ten' for sad; votes are whole numbers from 0 up"),
        (HEAD + GOOD.replace("10", "-1"), "'-1' for sad"),
        (HEAD + GOOD.replace("10", "0.5"), "'0.5' for sad"),
        (HEAD + GOOD.replace("10", "nan"), "'nan' for sad"),
        (HEAD + GOOD.replace("10", "9" * 400), "for sad"),
        (HEAD + GOOD.replace("10", ""), "'' for sad"),
        (HEAD + "Training,a.png,1,1\n", "line 2: '' for angry; line 2: '' for disgust; line 2: '' for fear; and 5 more"),
        (HEAD + GOOD, "has 1 rows, faces 2; take both whole"),
        (HEAD + GOOD * 3, "has 3 rows, faces 2; take both whole"),
        (HEAD + GOOD + GOOD.replace("Training", "PublicTest"), "row 2 is 'PublicTest', line 3 of faces belongs to train"),
        (HEAD + GOOD + GOOD.replace("Training", ""), "row 2 is '', line 3 of faces belongs to train"),
        (FILES + GOOD.replace("Training,a.png", "a.png,Training"), "(with names such as 'a.png') has votes for not one image"),
        (HEAD + f"Training,,{'1,' * 9}1\n" * 2, "ferplus-majority leaves no image of the train split; name other votes"),
    ],
)
def test_other_files_are_refused_in_one_line(text, message, tmp_path):
    path = tmp_path / "votes.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        apply_votes(corpus_of(train=["row 2", "row 3"]), path, MAJORITY)
    assert message in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00\xd8", b"Usage," + b"x" * 200_000], ids=["missing", "bytes", "wide"])
def test_files_that_cannot_be_read_are_named(content, tmp_path):
    path = tmp_path / "fer2013new.csv"
    if content:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read FER\+ votes from .*fer2013new\.csv: .*; get fer2013new\.csv"):
        apply_votes(corpus_of(train=["row 2"]), path, MAJORITY)


@pytest.mark.parametrize("path", ["", "\0"])
def test_paths_that_are_no_files_are_refused(path):
    with pytest.raises(DataError, match="cannot read FER"):
        apply_votes(corpus_of(train=["row 2"]), path, MAJORITY)


@pytest.mark.parametrize("name", [".", "..", "/", "", "a/"])
def test_strange_names_belong_to_nobody(name, tmp_path):
    votes = by_file(tmp_path / "votes.csv", [(name, for_class("sad")), ("1.png", for_class("fear"))])
    corpus = corpus_of(train=["train/sad/1.png", "train/sad/2.png"])
    assert labels_of(apply_votes(corpus, votes, MAJORITY)[0].split("train")) == {"train/sad/1.png": "fear"}


# the real votes


def elected(votes):
    """The class of ours with more than half of the votes that are not alone."""
    counted = {column: n for column, n in votes.items() if n >= 2}
    return next((OURS.get(column) for column, n in counted.items() if n > sum(counted.values()) / 2), None)


@pytest.fixture(scope="module")
def real_votes():
    with REAL_VOTES.open(newline="", encoding="utf-8") as file:
        return {row["file"]: {column: int(row[column]) for column in COLUMNS.split(",")} for row in csv.DictReader(file)}


@pytest.mark.realdata
def test_real_majorities(real_votes):
    corpus, sentence = apply_votes(load(REAL_DATA), REAL_VOTES, MAJORITY)
    expected = {name: elected(votes) for name, votes in real_votes.items() if elected(votes)}
    assert {name: label for faces in corpus.splits.values() for name, label in labels_of(faces).items()} == expected
    sizes = Counter(name.split("/")[0] for name in expected)
    assert f"kept {sizes['train']:,} of 28,709 train and {sizes['test']:,} of 3,589 validation images" in sentence
    assert f"; {28_709 + 3_589 - len(real_votes)} have no votes in ferplus.csv" in sentence


@pytest.mark.realdata
def test_real_shares(real_votes):
    corpus, _ = apply_votes(load(REAL_DATA), REAL_VOTES, SOFT)
    faces = corpus.split("train")
    spelt = {ours: theirs for theirs, ours in OURS.items()}
    table = {
        name: np.array([votes[spelt[label]] if votes[spelt[label]] > 1 else 0 for label in EMOTIONS])
        for name, votes in real_votes.items()
        if name.startswith("train/")
    }
    table = {name: votes / votes.sum() for name, votes in table.items() if votes.any()}
    assert set(faces.names) == set(table) and len(faces) == len(table)
    assert np.allclose(faces.targets.numpy(), np.stack([table[name] for name in faces.names]), atol=1e-6)


@pytest.mark.realdata
def test_real_majorities_agree_with_most_labels_of_fer():
    corpus = load(REAL_DATA)
    before = {name: label for faces in corpus.splits.values() for name, label in labels_of(faces).items()}
    for faces in apply_votes(corpus, REAL_VOTES, MAJORITY)[0].splits.values():
        agreeing = np.mean([before[name] == label for name, label in labels_of(faces).items()])
        assert 0.6 < agreeing < 0.75  # votes in a wrong order would agree in a fifth
