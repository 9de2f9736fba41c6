"""Images in, predictions out: the one way that the CLI, the app and other programs share."""

from collections.abc import Sequence
from pathlib import Path

from fer.checkpoint import Checkpoint, load
from fer.data.preprocess import face_batch
from fer.data.views import TTA
from fer.evaluation import judge
from fer.faces import DEFAULT_DETECTOR, DETECTORS, cut_faces
from fer.images import ImageInput, read
from fer.types import Face, Prediction


class Predictor:
    """A checkpoint and a face detector, loaded once.

    Args:
        checkpoint: file, released name, loaded checkpoint, or None for the shipped default.
        detector: name in :data:`fer.faces.DETECTORS`.
        tta: test-time augmentation, a name in :data:`fer.data.views.TTA`.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        UnknownNameError: no such detector or test-time augmentation.

    >>> from fer.samples import sample_path
    >>> Predictor().predict(sample_path())[0].label
    'happy'
    """

    def __init__(
        self, checkpoint: str | Path | Checkpoint | None = None, detector: str = DEFAULT_DETECTOR, tta: str = "none"
    ) -> None:
        TTA[tta]  # an unknown name is said before anything is loaded
        self.tta = tta
        self.detector_name = detector
        self.detector = DETECTORS[detector]()
        self.checkpoint = checkpoint if isinstance(checkpoint, Checkpoint) else load(checkpoint)

    def faces(self, image: ImageInput) -> tuple[Face, ...]:
        """Faces from left to right; the whole image, marked so, where none is found.

        Raises:
            ImageError: the image cannot be read.
        """
        return cut_faces(read(image), self.detector, self.detector_name)

    def judge(self, faces: Sequence[Face]) -> tuple[Prediction, ...]:
        """One prediction a face, all in one batch."""
        if not faces:
            return ()
        logits, classes = judge(self.checkpoint, face_batch(faces), tta=self.tta), self.checkpoint.card.classes
        return tuple(Prediction(face, row, classes) for face, row in zip(faces, logits.cpu().numpy(), strict=True))

    def predict(self, image: ImageInput) -> tuple[Prediction, ...]:
        """Detect and judge every face of one image.

        Raises:
            ImageError: the image cannot be read.
        """
        return self.judge(self.faces(image))

    def note(self, path: Path, predictions: Sequence[Prediction]) -> str | None:
        """What a person should be told of an image's predictions, or None."""
        if self.detector_name == "none" or not predictions[0].face.is_whole_image:
            return None
        return f"{path}: no face found: whole image used"
