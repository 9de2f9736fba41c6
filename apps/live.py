"""What the page shows of a visitor's camera: the present frame with numbered faces, and their smoothed expressions in words."""

import io
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import Image

from analysis.figures.scene import shown
from analysis.live import drawn
from apps.offered import turn
from fer.errors import ConfigError
from fer.images import decode
from fer.predict import Predictor, lacks_maps
from fer.video import Recogniser, Seen
from fer.words import counted

#: Frames of more bytes are refused: those of a camera have 50,000.
MAX_FRAME = 2_000_000
#: And of more pixels: those of a camera have 300,000 to 2,100,000.
MAX_PIXELS = 2_500_000
_QUALITY = 80
# weight of the last frame in the rate that is shown
_RATE = 0.15


@dataclass(frozen=True)
class Update:
    """What a visitor gets for a frame: the picture as JPEG, and a line of words."""

    jpeg: bytes
    note: str


class Visit:
    """A visitor's camera from its first frame on; remembers faces and nothing else, and that in memory only.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._last, self._rate = clock, 0.0, 0.0
        self._checkpoint = ""
        self._recogniser: Recogniser | None = None
        self._one_at_a_time = threading.Lock()

    def see(self, frame: bytes, checkpoint: str, *, maps: bool) -> Update:
        """Judge the next frame.

        Args:
            frame: encoded as any picture that :mod:`fer.images` reads.
            checkpoint: what judges it; may change from frame to frame.
            maps: whether heatmaps lie over the faces; a checkpoint without them says so in the note.

        Raises:
            ImageError: no picture.
            ConfigError: a frame of more than 2 MB or 2.5 megapixels.
        """
        if len(frame) > MAX_FRAME:
            raise ConfigError(f"a frame of {len(frame):,} bytes; a camera's has at most {MAX_FRAME:,}")
        image = decode(frame, "the picture", MAX_PIXELS)
        with self._one_at_a_time, turn(checkpoint) as asked:
            now, recogniser = self._clock(), self._ready(checkpoint, asked)
            scene, rate = recogniser.see(image, now), self._pace(now)
            reason = lacks_maps(recogniser.model) if maps else ""
            shown_image = drawn(image, scene, recogniser.model, maps=maps and not reason)
        picture = io.BytesIO()
        Image.fromarray(shown_image).save(picture, "JPEG", quality=_QUALITY)
        told = (_words(shown(scene)), f"{rate:.0f} updates a second", reason)
        return Update(picture.getvalue(), " · ".join(filter(None, told)))

    def _ready(self, checkpoint: str, asked: Predictor) -> Recogniser:
        if self._recogniser is None:
            self._recogniser = Recogniser(asked)
        elif checkpoint != self._checkpoint:
            self._recogniser.use(asked)
        self._checkpoint = checkpoint
        return self._recogniser

    def _pace(self, now: float) -> float:
        if self._last:
            rate = 1 / max(1e-3, now - self._last)
            self._rate += (rate - self._rate) * (_RATE if self._rate else 1.0)
        self._last = now
        return self._rate


def _words(faces: Sequence[Seen]) -> str:
    if not faces:
        return "no face found"
    told = (f"{seen.number} {', '.join(f'{name} {p:.0%}' for name, p in seen.prediction.top(3))}" for seen in faces)
    return f"{counted(len(faces), 'face')}: {'; '.join(told)}"
