"""Following faces from frame to frame: the whole picture is searched every few frames, the places of known faces in all others.

A face keeps its number while it is followed, through short occlusions, and when it comes back soon after it has left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from fer.faces import Detector, Find, Hint
from fer.types import ByteArray
from fer.video.likeness import likeness, look_of

# Two frames whose small grey pictures correlate by less, and differ by more on average, are of two scenes.
_CUT, _CHANGED = 0.5, 20.0
_THUMB = (32, 24)
# Frames are searched at this shorter side, and no longer than that; whole ones at half of it.
_SHORTER, _LONGER = 480, 1280
_WHOLE = 0.5
# Smallest face that is searched anew, as a share of the shorter side; from an eighth on it is found as a rule.
_SMALLEST = 0.1
# Where no face is followed the whole picture is searched so many times more often.
_EMPTY = 3
# A known face is searched at these shares of its side, in a square so many sides wide, more after it was missed.
_SHRINK, _GROW = 0.8, 1.25
_AROUND, _MISSED = 1.7, 2.4
# A find belongs to a track no farther away than this many sides.
_REACH = 0.8
# Finds that overlap by more are one face.
_SAME = 0.4
# Likeness from which on two views are of one face.
_ALIKE = 0.75
# How quickly a track takes over a new speed. Frames of a stream may come in bursts: a speed is never taken over a shorter
# time than this many seconds, and never leads farther than this share of a face's side.
_SPEED, _SHORTEST, _FARTHEST = 0.4, 1 / 30, 0.5
# A face that is half hidden does not look like itself: a new look is added to the known ones after so many frames only.
_ANOTHER, _KNOWN = 30, 4


@dataclass(frozen=True)
class Tracking:
    """How faces are followed.

    Attributes:
        every: frames from one search of the whole picture to the next; a third of them while there is no face.
        confirm: frames in which a face must be found before it counts: a detector's false boxes rarely stay.
        patience: seconds for which a face is searched where it must be, after it was found last.
        memory: seconds after which a face that comes back has a new number.
    """

    every: int = 10
    confirm: int = 3
    patience: float = 1.0
    memory: float = 10.0


DEFAULT = Tracking()


@dataclass(eq=False)
class Track:
    """One face as it is followed; pixels are those of the frame.

    Attributes:
        number: from 1, in the order of appearance.
        find: where it was found last, moved on with its speed since.
        looks: how it has looked.
        seen_at: seconds when it was found last.
        found: whether it was found in this very frame.
    """

    find: Find
    looks: tuple[ByteArray, ...]
    seen_at: float
    number: int = 0
    hits: int = 1
    strange: int = 0
    found: bool = True
    velocity: tuple[float, float] = (0.0, 0.0)


@dataclass(eq=False)
class Tracker:
    """Frames in, tracks out; one tracker a film.

    >>> from fer.faces import Search
    >>> tracker = Tracker(Search("none").open())
    >>> tracker.update(np.zeros((48, 64, 3), np.uint8), 0.0)
    []
    """

    detector: Detector
    settings: Tracking = DEFAULT
    _tracks: list[Track] = field(default_factory=list)
    _gone: list[Track] = field(default_factory=list)
    _frames: int = 0
    _numbers: int = 0
    _last: float = 0.0
    _thumb: ByteArray | None = None

    def update(self, image: ByteArray, seconds: float) -> list[Track]:
        """The faces of the next frame: those that have been found often enough, and not been missed for too long.

        Args:
            image: uint8 (H, W, 3) RGB.
            seconds: its time; never before that of the last frame.
        """
        scale = min(1.0, _SHORTER / min(image.shape[:2]), _LONGER / max(image.shape[:2]))
        size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8) if scale < 1 else image
        self._begin_scene(small)
        for track in self._tracks:
            _move_on(track, seconds - self._last)
        finds = [
            find for track in self._tracks for find in self._search(small, track.find.moved(scale), missed=not track.found)
        ]
        if self._frames % (self.settings.every if self._tracks else max(1, self.settings.every // _EMPTY)) == 0:
            finds += self._search_all(small, [track.find.moved(scale) for track in self._tracks])
        self._match([find.moved(1 / scale) for find in _distinct(finds)], image, seconds)
        self._forget(seconds)
        self._frames, self._last = self._frames + 1, seconds
        return [track for track in self._tracks if track.number]

    def _begin_scene(self, image: ByteArray) -> None:
        """After a cut nobody is where they were: who looks like somebody before gets that number again."""
        thumb = np.asarray(cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), _THUMB, interpolation=cv2.INTER_AREA), np.uint8)
        if self._thumb is not None and is_cut(self._thumb, thumb):
            self._gone += [track for track in self._tracks if track.number]
            self._tracks, self._frames = [], 0  # the whole picture is searched at once
        self._thumb = thumb

    def _search(self, image: ByteArray, known: Find, *, missed: bool = False) -> list[Find]:
        """Finds around the place where a face must be."""
        (x, y), half = known.centre, known.side * (_MISSED if missed else _AROUND) / 2
        x1, y1 = max(0, int(x - half)), max(0, int(y - half))
        place = image[y1 : max(0, int(y + half)), x1 : max(0, int(x + half))]
        if min(place.shape[:2]) < known.side * _SHRINK:
            return []  # too little of it is inside
        place = np.ascontiguousarray(place)
        others = [angle for angle in (0.0, *self.detector.leans) if angle != known.angle] if missed else []
        for angle in (known.angle, *others):  # a head that is missed may have begun to lean
            hint = Hint(known.side * _SHRINK, known.side * _GROW, angle)
            if found := self.detector.find(place, hint):
                return [find.moved(1.0, x1, y1) for find in found]
        return []

    def _search_all(self, image: ByteArray, known: Sequence[Find]) -> list[Find]:
        """Faces anywhere that are not followed yet; found in the reduced picture, placed in the whole one."""
        size = (max(1, round(image.shape[1] * _WHOLE)), max(1, round(image.shape[0] * _WHOLE)))
        reduced = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        # one that leans is only searched where there is none at all: it costs three searches
        hint = Hint(min(size) * _SMALLEST, max(size)) if known or self._frames % (3 * self.settings.every) else None
        found = [find.moved(1 / _WHOLE) for find in self.detector.find(reduced, hint)]
        new = [find for find in found if all(overlap(find, other) < _SAME for other in known)]
        return [(self._search(image, find) or [find])[0] for find in new]

    def _match(self, finds: Sequence[Find], image: ByteArray, seconds: float) -> None:
        """Give every find to the track that it fits best; those left over begin tracks."""
        looks, tracks = [look_of(image, find) for find in finds], list(self._tracks)
        pairs = [
            (_misfit(track, find, look), t, f)
            for t, track in enumerate(tracks)
            for f, (find, look) in enumerate(zip(finds, looks, strict=True))
            if _within_reach(track.find, find)
        ]
        taken: dict[int, int] = {}
        for _, t, f in sorted(pairs):
            if t not in taken.values() and f not in taken:
                taken[f] = t
        for t, track in enumerate(tracks):
            track.found = t in taken.values()
        for f, (find, look) in sorted(enumerate(zip(finds, looks, strict=True)), key=lambda item: item[1][0].x1):
            if f in taken:
                self._go_on(tracks[taken[f]], find, look, seconds)
            else:
                self._tracks.append(self._confirmed(Track(find, (look,), seconds)))

    def _go_on(self, track: Track, find: Find, look: ByteArray, seconds: float) -> None:
        step = max(_SHORTEST, seconds - self._last)
        moved = (new - old for new, old in zip(find.centre, track.find.centre, strict=True))
        # its place had been moved on with its speed: what is left is the error of that speed
        track.velocity = tuple(  # type: ignore[assignment]
            speed + _SPEED * error / step for speed, error in zip(track.velocity, moved, strict=True)
        )
        track.find, track.seen_at, track.hits = find, seconds, track.hits + 1
        track.strange = 0 if _alike(track, look) >= _ALIKE else track.strange + 1
        if track.strange == _ANOTHER:
            track.looks, track.strange = (*track.looks, look)[-_KNOWN:], 0
        self._confirmed(track)

    def _confirmed(self, track: Track) -> Track:
        """The track, numbered once it was found often enough: as one that has left and looks the same, or anew."""
        if track.number or track.hits < self.settings.confirm:
            return track
        absent = [*self._gone, *(other for other in self._tracks if other.number and not other.found)]
        old = max(absent, key=lambda other: _alike(other, track.looks[-1]), default=None)
        if old and _alike(old, track.looks[-1]) >= _ALIKE:
            for others in (self._gone, self._tracks):
                if old in others:
                    others.remove(old)
            track.number = old.number
        else:
            self._numbers += 1
            track.number = self._numbers
        return track

    def _forget(self, seconds: float) -> None:
        patience = {True: self.settings.patience, False: 0.0}
        lost = [track for track in self._tracks if seconds - track.seen_at > patience[bool(track.number)]]
        self._tracks = [track for track in self._tracks if track not in lost]
        self._gone = [g for g in (*self._gone, *lost) if g.number and seconds - g.seen_at <= self.settings.memory]


def is_cut(before: ByteArray, after: ByteArray) -> bool:
    """Whether two small grey pictures uint8 (h, w) of successive frames show different scenes.

    >>> dark = np.tile(np.arange(0, 128, 4, dtype=np.uint8), (24, 1))
    >>> is_cut(dark, dark[:, ::-1]), is_cut(dark, dark + 60)  # another picture; the same under more light
    (True, False)
    """
    if np.abs(before.astype(np.int16) - after).mean() < _CHANGED:
        return False
    return float(cv2.matchTemplate(before, after, cv2.TM_CCOEFF_NORMED)[0, 0]) < _CUT


def overlap(a: Find, b: Find) -> float:
    """Intersection over union of two boxes, 0..1."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    areas = ((f.x2 - f.x1) * (f.y2 - f.y1) for f in (a, b))
    return width * height / (sum(areas) - width * height)


def _distinct(finds: Sequence[Find]) -> list[Find]:
    kept: list[Find] = []
    for find in sorted(finds, key=lambda find: -find.score):
        if all(overlap(find, other) < _SAME for other in kept):
            kept.append(find)
    return kept


def _move_on(track: Track, step: float) -> None:
    most = _FARTHEST * track.find.side
    x, y = (float(np.clip(speed * step, -most, most)) for speed in track.velocity)
    track.find = track.find.moved(1.0, x, y)
    if not track.found:
        track.velocity = (track.velocity[0] * 0.95, track.velocity[1] * 0.95)


def _distance(a: Find, b: Find) -> float:
    """Between centres, in sides of the larger."""
    (x, y), (u, v) = a.centre, b.centre
    return float(np.hypot(x - u, y - v)) / max(a.side, b.side, 1e-6)


def _within_reach(known: Find, find: Find) -> bool:
    return _distance(known, find) < _REACH and max(known.side, find.side) < 1.6 * min(known.side, find.side)


def _alike(track: Track, look: ByteArray) -> float:
    return max(likeness(known, look) for known in track.looks)


def _misfit(track: Track, find: Find, look: ByteArray) -> float:
    return _distance(track.find, find) + (1 - _alike(track, look))
