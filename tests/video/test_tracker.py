"""Faces keep their numbers: moving, leaving and coming back, crossing; and boxes stay where a full search finds them."""

import cv2
import numpy as np
import pytest

from fer.faces import Find, Hint, Margin, Search
from fer.video import Tracker, Tracking
from fer.video.tracker import overlap
from tests.video import films

FPS = films.FPS


def follow(pictures, settings=None):
    """The tracks of every frame as {number: box}, of those that were found in it."""
    tracker = Tracker(Search("haar").open(), settings or Tracking())
    return [
        {t.number: t.find for t in tracker.update(picture, number / FPS) if t.found} for number, picture in enumerate(pictures)
    ]


def numbers(found):
    return {number for frame in found for number in frame}


def iou(a, b):
    """By pixels, another way than the tracker's."""
    grid = np.zeros((2, 240, 320), bool)
    for layer, f in zip(grid, (a, b), strict=True):
        layer[round(f.y1) : round(f.y2), round(f.x1) : round(f.x2)] = True
    return (grid[0] & grid[1]).sum() / (grid[0] | grid[1]).sum()


def test_overlap_is_that_of_their_pixels():
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y, u, v = rng.integers(0, 100, 4)
        a, b = Find(x, y, x + 60, y + 60, 1.0), Find(u, v, u + 90, v + 90, 1.0)
        assert overlap(a, b) == pytest.approx(iou(a, b))


def test_after_a_cut_a_face_at_the_same_place_is_another_until_it_looks_the_same():
    """Scene, other scene, first scene again."""
    rng, scenes = np.random.default_rng(1), []
    for head, behind in ((films.head(), films.background()), (films.head("other"), 255 - films.background()[::-1, ::-1])):
        picture = behind.copy()
        films.place(picture, head, 80, 60)
        scenes.append(picture)
    pictures = [scenes[n // 40 % 2] for n in range(120)]
    found = follow([(p + rng.integers(-5, 6, p.shape)).clip(0, 255).astype(np.uint8) for p in pictures])
    shown = [numbers(found[start : start + 40]) for start in (0, 40, 80)]
    assert shown == [{1}, {2}, {1}]
    assert all(found[start + 3] for start in (0, 40, 80))  # at once, not at the next search of the whole picture


@pytest.mark.parametrize("change", ["light", "movement", "noise"])
def test_what_is_no_cut_keeps_its_number(change):
    def place(n):
        return (40 + 12 * n if change == "movement" and n < 14 else 60), 60

    pictures = list(films.frames(60, (films.head(), place)))
    rng = np.random.default_rng(2)
    if change == "light":
        pictures = [p if n < 30 else cv2.convertScaleAbs(p, alpha=0.55) for n, p in enumerate(pictures)]
    if change == "noise":
        pictures = [(p + rng.normal(0, 25, p.shape)).clip(0, 255).astype(np.uint8) for p in pictures]
    assert numbers(follow(pictures)) == {1}


def test_a_moving_face_has_one_number_from_the_third_frame_on():
    def path(n):
        return 90 + 80 * np.sin(n / 20), 60 + 40 * np.cos(n / 15)

    found = follow(films.frames(120, (films.head(), path)))
    assert found[0] == found[1] == {}
    assert sum(frame.keys() == {1} for frame in found) >= 115
    assert numbers(found) == {1}
    # the face of the sample lies 98 pixels right of its head's corner there, .6 of that here
    for n, frame in enumerate(found):
        if frame:
            x, y = path(n)
            np.testing.assert_allclose(frame[1].centre, (x + 62, y + 46), atol=8)


def test_boxes_agree_with_a_full_search_of_every_frame():
    pictures = list(films.frames(100, (films.head(), lambda n: (90 + 80 * np.sin(n / 20), 60 + 40 * np.cos(n / 15)))))
    detector, followed = Search("haar").open(), follow(pictures)
    both = [(frame[1], detector.find(picture)) for frame, picture in zip(followed, pictures, strict=True) if frame]
    pairs = [max(iou(box, other) for other in full) for box, full in both if full]
    assert len(pairs) > 90
    assert np.mean(pairs) >= 0.9


def test_a_face_that_leaves_and_comes_back_keeps_its_number():
    def path(n):
        return (120 + 6.0 * n if n < 60 else 480 - 6.0 * (n - 60), 60)

    found = follow(films.frames(120, (films.head(), path)))
    there = [bool(frame) for frame in found]
    assert any(there[:20]) and not any(there[45:75]) and all(there[114:])
    assert numbers(found) == {1}


def test_one_that_comes_back_too_late_or_as_another_has_a_new_number():
    def path(n):
        return (60, 60) if n < 30 or n > 80 else None

    def later(n):
        return (60, 60) if n > 80 else None

    def before(n):
        return (60, 60) if n < 30 else None

    forgetful = Tracking(memory=1.5)
    assert numbers(follow(films.frames(110, (films.head(), path)), forgetful)) == {1, 2}
    assert numbers(follow(films.frames(110, (films.head(), path)))) == {1}
    two = follow(films.frames(110, (films.head(), before), (films.head("other"), later)))
    assert numbers(two[:60]) == {1}
    assert numbers(two[90:]) == {2}


def test_two_faces_that_cross_keep_their_numbers():
    def front(n):
        return -10 + 2.0 * n, 40

    def back(n):
        return 200 - 2.0 * n, 70

    found = follow(films.frames(110, (films.head("other"), back), (films.head(), front)))
    first, last = found[10], found[-5]
    assert first.keys() == last.keys() == numbers(found) == {1, 2}
    assert first[1].centre[0] < first[2].centre[0]  # numbered from left to right
    assert last[1].centre[0] > last[2].centre[0]
    hidden = sum(1 not in frame or 2 not in frame for frame in found)
    assert hidden > 15  # one of them was not to be seen for a while


class Scripted:
    """A detector that finds what the test says, in whole pictures and in parts of them."""

    name, margin, leans = "scripted", Margin(), ()

    def __init__(self, script):
        self.script, self.frame, self.calls = script, -1, []

    def find(self, image, hint=None):
        self.calls.append((image.shape, hint))
        return [find for find in self.script(self.frame, image, hint)]


def scripted(script, count, settings=None):
    detector, found = Scripted(script), []
    tracker = Tracker(detector, settings or Tracking())
    for number in range(count):
        detector.frame = number
        found.append([t.number for t in tracker.update(np.zeros((240, 320, 3), np.uint8), number / FPS) if t.found])
    return detector, found


def test_a_false_box_that_flickers_gets_no_number():
    def flicker(frame, image, hint):
        return [Find(10, 10, 60, 60, 1.0)] if frame % 10 == 0 and image.shape[0] == 120 else []

    _, found = scripted(flicker, 60)
    assert not any(found)


def test_the_whole_picture_is_searched_every_few_frames_only():
    empty, _ = scripted(lambda *_: [], 30, Tracking(every=6))
    assert len(empty.calls) == 15
    assert {shape for shape, _ in empty.calls} == {(120, 160, 3)}  # reduced to half

    def still(frame, image, hint):
        return [Find(60, 40, 85, 65, 1.0) if image.shape[0] == 120 else Find(17, 17, 67, 67, 1.0)]

    followed, _ = scripted(still, 30, Tracking(every=6))
    assert sum(shape == (120, 160, 3) for shape, _ in followed.calls) == 5


def test_known_faces_are_searched_around_their_place_with_their_size():
    def centre(frame, image, hint):
        middle = np.array(image.shape[1::-1]) / 2 if hint and frame % 10 else np.array((80, 60))
        side = 25 if image.shape[0] == 120 else 50
        return [Find(*(middle - side / 2), *(middle + side / 2), 1.0)]

    detector, found = scripted(centre, 10)
    assert found[-1] == [1]
    for shape, hint in detector.calls[2:]:
        assert shape[0] == shape[1] == pytest.approx(1.7 * 50, abs=2)
        assert isinstance(hint, Hint)
        assert (hint.smallest, hint.largest) == pytest.approx((40, 62.5))


def test_a_face_that_is_missed_for_long_is_searched_no_farther_than_half_its_side():
    """With the speed that it had, 16 pixels a frame, it would be out of the picture after .9 seconds."""

    def runs_right(frame, image, hint):
        if frame == 6:
            return []
        if image.shape[0] == 120 or not hint:
            return [Find(20, 30, 45, 55, 1.0)] if frame == 0 else []
        (x, y), ahead = np.array(image.shape[1::-1]) / 2, 16 if frame else 0
        return [Find(x + ahead - 25, y - 25, x + ahead + 25, y + 25, 1.0)]

    detector, places = Scripted(runs_right), []
    tracker = Tracker(detector, Tracking())
    for frame, seconds in enumerate([*(number / FPS for number in range(6)), 5 / FPS + 0.9]):
        detector.frame = frame
        places += [track.find.centre for track in tracker.update(np.zeros((240, 640, 3), np.uint8), seconds)]
    before, missed = places[-2:]
    assert missed[0] - before[0] == pytest.approx(25)
    assert abs(missed[1] - before[1]) <= 25


@pytest.mark.parametrize("size", [(48, 64), (1080, 1920), (1, 1), (200, 20)])
def test_frames_of_any_size_are_searched(size):
    tracker = Tracker(Search("haar").open())
    for number in range(3):
        assert tracker.update(np.full((*size, 3), 90, np.uint8), number / FPS) == []


def test_a_large_frame_is_followed_in_its_own_pixels():
    import cv2

    pictures = [cv2.resize(p, None, fx=4, fy=4) for p in films.frames(12, (films.head(), films.still))]
    (face,) = follow(pictures)[-1].values()
    np.testing.assert_allclose(face.centre, (4 * (60 + 62), 4 * (60 + 46)), atol=30)


def test_a_head_that_begins_to_lean_is_still_followed():
    import cv2

    def turned(picture, angle):
        turn = cv2.getRotationMatrix2D((122, 106), -angle, 1.0)
        return cv2.warpAffine(picture, turn, (320, 240), borderMode=cv2.BORDER_REPLICATE)

    upright = list(films.frames(60, (films.head(), films.still)))
    found = follow([turned(picture, min(25.0, n / 1.5)) for n, picture in enumerate(upright)])
    assert numbers(found) == {1}
    assert found[-1][1].angle == 25.0


def test_a_face_that_jumps_takes_its_number_along():
    """As over a line that loses frames: found anew elsewhere while it is still searched at its old place."""
    found = follow(films.frames(60, (films.head(), lambda n: (5, 20) if n < 30 else (190, 110))))
    assert found[25].keys() == found[55].keys() == numbers(found) == {1}


@pytest.mark.parametrize("times", ["even", "pairs", "bursts"])
def test_frames_that_come_in_bursts_lose_no_face(times):
    """Frames of a stream arrive when they will: in pairs at one time, or five within 8 ms and then none for a while."""
    tracker, found = Tracker(Search("haar").open()), 0
    pictures = films.frames(100, (films.head(), lambda n: (90 + 60 * np.sin(n / 12), 60)))
    for number, picture in enumerate(pictures):
        seconds = {
            "even": number / FPS,
            "pairs": (number // 2) * 2 / FPS,
            "bursts": (number // 5) * 5 / FPS + (number % 5) * 0.002,
        }[times]
        found += any(track.found for track in tracker.update(picture, seconds))
    assert found >= 88


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (1280, 720)])
def test_a_face_of_an_eighth_of_the_shorter_side_is_found(size):
    import cv2

    head = films.head()
    side = min(size) / 8 * 1.05
    small = cv2.resize(head, None, fx=side / 58, fy=side / 58, interpolation=cv2.INTER_AREA)
    tracker, picture = Tracker(Search("haar").open()), films.background(size[1], size[0]).copy()
    films.place(picture, small, size[1] * 0.4, size[0] * 0.4)
    rng = np.random.default_rng(0)
    noisy = ((picture + rng.integers(-5, 6, picture.shape)).clip(0, 255).astype(np.uint8) for _ in range(20))
    assert [tracker.update(frame, number / FPS) for number, frame in enumerate(noisy)][-1]
