"""Images in, predictions out: the one way that the CLI, the app and other programs share.

A checkpoint is judged by torch; an exported model by its own runtime, and then torch is not loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from fer.card import Card
from fer.errors import CheckpointError, ConfigError
from fer.faces import DEFAULT_DETECTOR, Detector, Search, cut_faces, is_cut_out
from fer.images import ImageInput, grey_batch, read
from fer.portable import Portable, is_portable
from fer.portable import load as load_portable
from fer.released import default_name, exported_file, find
from fer.types import FACE_SIZE, ByteArray, Face, FloatArray, Prediction
from fer.views import TTA

if TYPE_CHECKING:
    from fer.checkpoint import Checkpoint

#: What answers: a checkpoint, or a model exported from one. Both have a card and a name.
Model: TypeAlias = Union["Checkpoint", Portable]


class Predictor:
    """A model and a face detector, loaded once.

    Args:
        model: file of a checkpoint or an exported model, released name, loaded model, or None for the shipped default.
        detector: name in :data:`fer.faces.DETECTORS`, a search that names the detector's model
            file, too, or a detector that is open.
        tta: test-time augmentation, a name in :data:`fer.views.TTA`.

    Raises:
        CheckpointError: the model cannot be used.
        UnknownNameError: no such detector or test-time augmentation.
        WeightsError: the detector's model file cannot be read or fetched.

    >>> from fer.samples import sample_path
    >>> Predictor().predict(sample_path())[0].label
    'happy'
    """

    def __init__(
        self, model: str | Path | Model | None = None, detector: str | Search | Detector = DEFAULT_DETECTOR, tta: str = "none"
    ) -> None:
        TTA[tta]  # an unknown name is said before anything is loaded
        self.tta = tta
        search = Search(detector) if isinstance(detector, str) else detector
        self.detector = search.open() if isinstance(search, Search) else search
        self.model = open_model(model) if model is None or isinstance(model, str | Path) else model
        if isinstance(self.model, Portable):
            self.model.views(tta)  # nor is anything detected for views that it cannot take

    def faces(self, image: ImageInput) -> tuple[Face, ...]:
        """Faces from left to right; the whole image, marked so, where none is found.

        Raises:
            ImageError: the image cannot be read.
        """
        return cut_faces(read(image), self.detector)

    def judge(self, faces: Sequence[Face]) -> tuple[Prediction, ...]:
        """One prediction a face, all in one batch."""
        if not faces:
            return ()
        logits, classes = model_logits(self.model, grey_batch(faces), tta=self.tta), self.model.card.classes
        return tuple(Prediction(face, row, classes) for face, row in zip(faces, logits, strict=True))

    def predict(self, image: ImageInput) -> tuple[Prediction, ...]:
        """Detect and judge every face of one image.

        Raises:
            ImageError: the image cannot be read.
        """
        return self.judge(self.faces(image))

    def note(self, path: Path, predictions: Sequence[Prediction]) -> str | None:
        """What a person should be told of an image's predictions, or None."""
        if self.detector.name == "none" or not predictions[0].face.is_whole_image:
            return None
        if is_cut_out(predictions[0].face.image):
            return f"{path}: small picture: taken as a face already cut out"
        return f"{path}: no face found: whole image used"


def open_model(name: str | Path | None = None, *, threads: int = 0, device: str | None = None) -> Model:
    """Load a checkpoint or an exported model; torch only for what needs it.

    Args:
        name: file, released name, or None for the shipped default.
        threads: that an exported model may use; 0 for one a core.
        device: of a checkpoint; the best there is where None. Exported models run on the CPU.

    Raises:
        CheckpointError: not there, damaged, foreign or newer.
    """
    path = find(name)
    if is_portable(path):
        return load_portable(path, threads=threads)
    try:
        from fer.checkpoint import load
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{path}: a checkpoint needs {error.name}, which is not installed; use an exported .onnx"
        ) from error
    return load(path, device)


def exported_default(tta: str = "none") -> Portable | None:
    """The shipped default as the exported model beside it, which answers alike and starts without torch.

    Returns:
        None where none is shipped, it was made of other weights, or ``tta`` has views that only a checkpoint takes.

    Raises:
        CheckpointError: it is damaged.
        UnknownNameError: no such test-time augmentation.
    """
    path = exported_file(default_name())
    if any(view.side != FACE_SIZE for view in TTA[tta]) or not path.is_file():
        return None
    model = load_portable(path)
    try:
        card = Card.from_json(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, KeyError, TypeError, ValueError):  # what the checkpoint's weights are cannot be told
        return None
    return model if model.card.weights_sha256 == card.weights_sha256 else None


def model_logits(model: Model, pixels: ByteArray, *, tta: str = "none") -> FloatArray:
    """Logits float32 (N, C) of uint8 (N, 1, 48, 48) grey faces, divided by the card's temperature."""
    if isinstance(model, Portable):
        return model.answer(pixels, tta=tta)
    import torch

    from fer.evaluation import judge

    logits: FloatArray = judge(model, torch.from_numpy(pixels), tta=tta).cpu().numpy()
    return logits


def lacks_maps(model: Model) -> str:
    """Why a model gives no heatmaps, and what does; empty where it gives them, as every checkpoint does."""
    return model.lacks_maps if isinstance(model, Portable) else ""


def checkpoint_only(model: Model) -> Checkpoint:
    """The same checkpoint; ConfigError for an exported model, in whose network nothing can be looked at."""
    if isinstance(model, Portable):
        raise ConfigError(f"{model.name} is an exported model; this needs the checkpoint it was made from, a .pth")
    return model
