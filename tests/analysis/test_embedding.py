"""The map of features and how the classes lie in them, against other implementations and hand-made toys."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.distance import cdist
from scipy.stats import binomtest, entropy
from sklearn.metrics import recall_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from analysis.figures import embedding as figures
from analysis.figures import neighbours
from analysis.learnt.embedding import embed, extremes, perplexity_for
from analysis.learnt.separation import Mingling, separate, votes
from fer.emotions import COLOURS, EMOTIONS
from fer.errors import ConfigError, DataError
from fer.types import PredictionTable


def blobs(n: int = 60, classes: int = 3, apart: float = 4.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clouds in 12 dimensions, and which one each row belongs to."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (rng.normal(0, 1, (n, 12)) + apart * rng.normal(0, 1, (classes, 12))[labels]).astype(np.float32), labels


def table_of(labels: np.ndarray, predicted: np.ndarray | None = None) -> PredictionTable:
    logits = np.eye(7)[labels if predicted is None else predicted] * 4
    return PredictionTable(logits, labels, tuple(map(str, range(len(labels)))), EMOTIONS, "validation")


# the map


def divergence(values: np.ndarray, points: np.ndarray, perplexity: float) -> float:
    """KL(P‖Q) of van der Maaten & Hinton 2008, written out."""
    n = len(values)
    squares = cdist(values, values, "sqeuclidean")

    def row(i: int, beta: float) -> np.ndarray:
        far = np.where(np.arange(n) == i, np.inf, squares[i])
        near = np.exp(-beta * (far - far.min()))
        return near / near.sum()

    betas = [brentq(lambda b, i=i: entropy(row(i, b)) - np.log(perplexity), 1e-6, 10) for i in range(n)]
    p = np.array([row(i, beta) for i, beta in enumerate(betas)])
    p = (p + p.T) / (2 * n)
    q = 1 / (1 + cdist(points, points, "sqeuclidean"))
    np.fill_diagonal(q, 0)
    q /= q.sum()
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def test_the_divergence_is_that_of_the_points():
    values, _ = blobs(31)  # 31 faces: all of them are among three times the ten neighbours
    found = embed(values, 10)
    assert found.points.shape == (31, 2) and found.components == 12
    assert found.kl_divergence == pytest.approx(divergence(values, found.points, 10), rel=0.02)


def trust(values: np.ndarray, points: np.ndarray, k: int) -> float:
    """Venna & Kaski 2001, face by face."""
    n, penalty = len(values), 0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        by_features = sorted(others, key=lambda j: np.linalg.norm(values[i] - values[j]))
        on_map = sorted(others, key=lambda j: np.linalg.norm(points[i] - points[j]))
        penalty += sum(max(0, by_features.index(j) + 1 - k) for j in on_map[:k])
    return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * penalty


def test_trustworthiness_is_that_of_the_points():
    values, _ = blobs(40, apart=1.0)
    found = embed(values)
    assert found.neighbours == 10 and found.trustworthiness < 1
    assert found.trustworthiness == pytest.approx(trust(values, found.points, 10), abs=1e-6)


def test_the_share_of_variance_is_that_of_the_first_fifty_directions():
    values = np.random.default_rng(0).normal(0, 1, (120, 80)).astype(np.float32)
    squares = np.linalg.svd(values - values.mean(axis=0), compute_uv=False) ** 2
    found = embed(values)
    assert found.components == 50
    assert found.variance_kept == pytest.approx(squares[:50].sum() / squares.sum(), rel=1e-3)


def test_groups_far_apart_stay_apart_on_the_map():
    values, labels = blobs(apart=8.0)
    assert (votes(embed(values).points, labels, 5) == labels).all()


def test_a_seed_gives_the_same_map_again():
    values, _ = blobs()
    np.testing.assert_array_equal(embed(values, seed=3).points, embed(values, seed=3).points)


@pytest.mark.parametrize("shape", [(5, 12), (12, 1), (12, 2)])
def test_few_faces_and_few_features_make_a_map_too(shape):
    found = embed(np.random.default_rng(0).normal(0, 1, shape).astype(np.float32))
    assert found.points.shape == (shape[0], 2) and np.isfinite(found.points).all()
    assert 0 <= found.trustworthiness <= 1 and found.perplexity == pytest.approx((shape[0] - 1) / 3)


def test_faces_that_occur_twice_make_a_map_too():
    values, _ = blobs(12)
    assert np.isfinite(embed(np.repeat(values, 2, axis=0)).points).all()


@pytest.mark.parametrize("perplexity", [0.5, -3, 20, 1000, float("nan"), float("inf")])
def test_an_impossible_perplexity_is_an_expected_error(perplexity):
    with pytest.raises(ConfigError, match="choose about 6"):
        perplexity_for(20, perplexity)


@pytest.mark.parametrize("values, line", [(np.ones((4, 3)), "4 faces make no map"), (np.ones((20, 3)), "are the same")])
def test_what_can_not_be_mapped_is_an_expected_error(values, line):
    with pytest.raises(DataError, match=line):
        embed(values.astype(np.float32))


def test_extremes_are_the_farthest_of_each_class_and_lie_apart():
    # two arms: class 0 to the right, class 1 upwards; the middle is heavy
    points = [(0, 0)] * 100 + [(10 - i / 10, 0) for i in range(40)] + [(0, 8 - i / 10) for i in range(40)]
    labels = np.array([2] * 100 + [0] * 40 + [1] * 40)
    rows = extremes(np.array(points, dtype=np.float32), labels, each=2, apart=0.05)
    assert rows[:2] == (100, 140)
    assert set(rows[3:5]) == {105, 145}  # 9.5 and 7.5: 0.05 of a radius of about 8.8 away
    assert len(rows) == 5  # the third class lies in one place


def test_a_class_that_is_not_there_has_no_extremes():
    assert extremes(np.eye(2, dtype=np.float32), np.array([3, 3])) == (0,)


# the classes in the features


def test_votes_are_those_of_leave_one_out():
    values, labels = blobs(70, classes=7, apart=1.0)
    expected = cross_val_predict(KNeighborsClassifier(10), values, labels, cv=LeaveOneOut())
    assert 0 < (expected == labels).mean() < 1
    np.testing.assert_array_equal(votes(values, labels, 10), expected)


def test_a_tie_goes_to_the_class_that_stands_first():
    assert votes(np.array([[0.0], [1.0], [-1.0]], dtype=np.float32), np.array([0, 2, 1]), 2).tolist() == [1, 0, 0]


def silhouette(values: np.ndarray, labels: np.ndarray, i: int) -> float:
    """Rousseeuw 1987, for one face."""
    distance = np.linalg.norm(values - values[i], axis=1)
    own = [j for j in np.flatnonzero(labels == labels[i]) if j != i]
    inside = distance[own].mean()
    outside = min(distance[labels == other].mean() for other in np.unique(labels) if other != labels[i])
    return (outside - inside) / max(inside, outside)


def test_silhouettes_are_means_over_all_and_over_every_class():
    values, labels = blobs(45, apart=1.0)
    found = separate(table_of(labels), values, {})
    by_face = np.array([silhouette(values, labels, i) for i in range(45)])
    assert found.silhouette == pytest.approx(by_face.mean(), abs=1e-5)
    for c, name in enumerate(EMOTIONS):
        expected = by_face[labels == c].mean() if c < 3 else None
        assert found.by_class[name].silhouette == (None if expected is None else pytest.approx(expected, abs=1e-5))


def test_shares_confusion_and_mingling_of_a_toy():
    """Angry faces at 0..5, disgust at 10..15 but for one at 3.4 and two answered wrong, on a line."""
    places = [0, 1, 2, 3, 4, 5, 3.4, 11, 12, 13, 14, 15]
    labels = np.array([0] * 6 + [1] * 6)
    predicted = labels.copy()
    predicted[[0, 7]] = 4
    values = np.array(places, dtype=np.float32)[:, None]
    found = separate(table_of(labels, predicted), values, {"mirrored": -values, "constant": values * 0}, k=3)
    assert (found.n, found.k, found.most_frequent) == (12, 3, 0.5)
    assert found.model.accuracy == pytest.approx(10 / 12)
    assert found.votes["features"].accuracy == found.votes["mirrored"].accuracy == pytest.approx(11 / 12)
    assert [row[:2] for row in found.confusion[:2]] == [(6, 0), (1, 5)]
    one = found.by_class["disgust"]
    assert (one.n, one.votes.accuracy) == (6, pytest.approx(5 / 6))
    assert one.votes.ci95 == pytest.approx(proportion_interval(5, 6), abs=1e-6)
    assert found.mingling == (Mingling("disgust", "angry", 1, pytest.approx(1 / 6)),)
    low, high = found.votes["features"].ci95
    assert low == pytest.approx(0.6461, abs=1e-3) and high == pytest.approx(0.9851, abs=1e-3)  # Wilson, 11 of 12


def test_neighbours_are_fewer_where_faces_are():
    values, labels = blobs(6)
    assert separate(table_of(labels), values, {}).k == 5


def test_one_class_alone_has_no_silhouette():
    values, _ = blobs(12)
    found = separate(table_of(np.full(12, 3)), values, {})
    assert found.silhouette is None and {one.silhouette for one in found.by_class.values()} == {None}
    assert found.by_class["happy"].n == 12 and found.by_class["happy"].votes.accuracy == 1
    assert found.by_class["sad"].n == 0 and found.by_class["sad"].votes is None
    assert found.votes["features"].accuracy == 1 and found.mingling == ()


def test_one_face_has_no_neighbours():
    with pytest.raises(DataError, match="no neighbours"):
        separate(table_of(np.array([3])), np.zeros((1, 4), dtype=np.float32), {})


def proportion_interval(right: int, n: int) -> tuple[float, float]:
    """Wilson's, by scipy."""
    found = binomtest(right, n).proportion_ci(method="wilson")
    return found.low, found.high


def test_recalls_of_the_votes_are_those_of_scikit_learn():
    values, labels = blobs(70, classes=7, apart=1.0)
    found = separate(table_of(labels), values, {})
    expected = recall_score(labels, votes(values, labels, 10), average=None)
    assert [one.votes.accuracy for one in found.by_class.values()] == pytest.approx(list(expected))


# the pictures


def rgb_of(ax_points) -> list[tuple[float, ...]]:
    return [tuple(round(float(v), 3) for v in colour[:3]) for colour in ax_points.get_facecolors()]


def test_every_point_has_the_colour_of_its_emotion_and_every_class_its_n():
    values, labels = blobs(30)
    made, table = embed(values), table_of(labels)
    fig = figures.figure(made, table, np.zeros((30, 48, 48), dtype=np.uint8), [0, 4], "title")
    (ax,) = fig.axes
    (points,) = ax.collections
    offsets, colours = np.asarray(points.get_offsets()), rgb_of(points)
    for point, label in zip(made.points, labels, strict=True):
        code = COLOURS[EMOTIONS[label]].lstrip("#")
        expected = tuple(round(int(code[i : i + 2], 16) / 255, 3) for i in (0, 2, 4))
        assert colours[np.linalg.norm(offsets - point, axis=1).argmin()] == expected
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"{name}, n = 10" for name in EMOTIONS[:3]]
    assert {text.get_text() for text in ax.texts} == set(EMOTIONS[:3])
    assert len(ax.images) == 2 and ax.get_xlabel() and ax.get_ylabel()


def test_right_and_wrong_are_counted_and_marked_apart():
    values, labels = blobs(30)
    predicted = labels.copy()
    predicted[:4] = 6
    fig = figures.right_figure(embed(values), table_of(labels, predicted), "title")
    assert [text.get_text() for text in fig.axes[0].get_legend().get_texts()] == ["right, n = 26", "wrong, n = 4"]
    assert [len(points.get_offsets()) for points in fig.axes[0].collections] == [26, 4]


@pytest.mark.parametrize("turn", [0.0, 0.3, 2.0])
def test_faces_that_lie_evenly_around_keep_their_directions(turn):
    angles = np.random.default_rng(0).permutation(7) * 2 * np.pi / 7 + turn
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    np.testing.assert_allclose(figures.ring(3 * directions), directions, atol=1e-5)


def test_faces_in_one_direction_are_spread_evenly_without_crossing():
    angles = np.linspace(0, 0.1, 5)
    places = figures.ring(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    found = np.unwrap(np.arctan2(places[:, 1], places[:, 0]))
    np.testing.assert_allclose(np.diff(found), 2 * np.pi / 5, atol=1e-5)


@pytest.mark.parametrize("rows", [[], [0], list(range(21))])
def test_faces_around_the_map_do_not_overlap(rows):
    values, labels = blobs(30)
    made = embed(values)
    fig = figures.figure(made, table_of(labels), np.zeros((30, 48, 48), dtype=np.uint8), rows, "title")
    edges = [image.get_extent() for image in fig.axes[0].images]
    assert len(edges) == len(rows)
    for i, one in enumerate(edges):
        for two in edges[:i]:
            assert one[1] <= two[0] or two[1] <= one[0] or one[3] <= two[2] or two[3] <= one[2]


def test_the_picture_of_the_neighbours_shows_the_counts():
    values, labels = blobs(70, classes=7, apart=1.0)
    found = separate(table_of(labels), values, {"map": values[:, :2]})
    left, right = neighbours.figure(found, "title").axes
    counts = [int(text.get_text().split("\n")[1]) for text in left.texts]
    assert counts == [count for row in found.confusion for count in row]
    assert [bar.get_height() for bar in right.patches] == pytest.approx(
        [found.model.accuracy, *(share.accuracy for share in found.votes.values())]
    )
