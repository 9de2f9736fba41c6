"""Every frame's faces with their numbers and with probabilities that are smoothed over time."""

from dataclasses import dataclass
from math import exp

import numpy as np

from fer.faces import cut
from fer.predict import Model, Predictor
from fer.types import ByteArray, Face, FloatArray, Prediction
from fer.video.tracker import DEFAULT, Track, Tracker, Tracking

#: Time constant of the smoothing in seconds: after so long a new expression has 63 % of the weight.
SMOOTHING = 0.5

# The logarithm of a probability that has become 0 in float32 stays finite.
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Seen:
    """A numbered face of a frame.

    Attributes:
        number: from 1; a face keeps it.
        prediction: the face with its smoothed probabilities.
        probs: float32 (C,), of this frame alone; of the last one in which the face was found, where it is not in this.
        missed: seconds for which the face was not found and its box only carried on; 0 where it was found in this frame.
    """

    number: int
    prediction: Prediction
    probs: FloatArray
    missed: float = 0.0

    @property
    def found(self) -> bool:
        """Whether the face was found in this very frame."""
        return self.missed == 0


@dataclass(frozen=True, eq=False)
class Scene:
    """What is seen in a frame: its time and its faces by number."""

    seconds: float
    faces: tuple[Seen, ...]


def smoothed(before: FloatArray, now: FloatArray, step: float, constant: float) -> FloatArray:
    """Exponential moving average of probabilities: what was weighs exp(-step / constant), both in seconds.

    >>> [f"{value:.3f}" for value in smoothed(np.float32([1, 0]), np.float32([0, 1]), 0.5, 0.5)]
    ['0.368', '0.632']
    """
    kept = exp(-step / constant) if constant > 0 else 0.0
    return np.asarray(before * np.float32(kept) + now * np.float32(1 - kept), np.float32)


@dataclass(eq=False)
class _Memory:
    smooth: FloatArray
    probs: FloatArray
    classes: tuple[str, ...]
    at: float
    is_of_another_model: bool = False


class Recogniser:
    """A predictor that remembers: frames of one film in, scenes out.

    Args:
        predictor: model and detector; its test-time augmentation is used, too.
        tracking: how faces are followed.
        smoothing: time constant in seconds; 0 for none.

    >>> from fer.images import read
    >>> from fer.samples import sample_path
    >>> recogniser, image = Recogniser(Predictor()), read(sample_path())
    >>> scenes = [recogniser.see(image, number / 25) for number in range(3)]
    >>> [(seen.number, seen.prediction.label) for seen in scenes[-1].faces]
    [(1, 'happy')]
    """

    def __init__(self, predictor: Predictor, tracking: Tracking = DEFAULT, smoothing: float = SMOOTHING) -> None:
        self._predictor, self.smoothing = predictor, smoothing
        self._tracker = Tracker(predictor.detector, tracking)
        self._tracks: list[Track] = []
        self._memories: dict[int, _Memory] = {}
        self._forget_after = tracking.memory

    @property
    def model(self) -> Model:
        """What judges the faces."""
        return self._predictor.model

    def use(self, predictor: Predictor) -> None:
        """Go on with another model; tracks stay, smoothing begins anew where a face is found next."""
        self._predictor = predictor
        for memory in self._memories.values():
            memory.is_of_another_model = True

    def see(self, image: ByteArray, seconds: float) -> Scene:
        """Find, follow and judge the faces of the next frame.

        Args:
            image: uint8 (H, W, 3) RGB.
            seconds: its time; never before that of the last frame.
        """
        self._tracks = self._tracker.update(image, seconds)
        return self.see_again(image, seconds)

    def see_again(self, image: ByteArray, seconds: float) -> Scene:
        """Judge the faces of the last frame once more, as after :meth:`use`: nobody is looked for or counted again."""
        detector = self._predictor.detector
        faces = [(track, face) for track in self._tracks if (face := cut(image, track.find, detector.margin, detector.name))]
        fresh = [(track.number, face) for track, face in faces if track.found or track.number not in self._memories]
        for (number, _), judged in zip(fresh, self._predictor.judge([face for _, face in fresh]), strict=True):
            self._remember(number, judged.probs, seconds)
        self._forget(seconds)
        found = (self._seen(track, face, seconds - track.seen_at) for track, face in faces)
        return Scene(seconds, tuple(sorted(found, key=lambda seen: seen.number)))

    def _seen(self, track: Track, face: Face, missed: float) -> Seen:
        memory = self._memories[track.number]
        logits = np.log(np.maximum(memory.smooth, _TINY))
        return Seen(track.number, Prediction(face, logits, memory.classes), memory.probs, missed)

    def _remember(self, number: int, probs: FloatArray, seconds: float) -> None:
        before = self._memories.get(number)
        goes_on = before and not before.is_of_another_model
        smooth = smoothed(before.smooth, probs, seconds - before.at, self.smoothing) if before and goes_on else probs
        self._memories[number] = _Memory(smooth, probs, self.model.card.classes, seconds)

    def _forget(self, seconds: float) -> None:
        old = [number for number, memory in self._memories.items() if seconds - memory.at > self._forget_after]
        for number in old:
            del self._memories[number]
