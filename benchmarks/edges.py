"""What a picture's edge costs a face: cut off and stretched to a square, or with the pixels at the edge going on.

    python benchmarks/edges.py DATA [MODEL]

Prints a Markdown table: accuracy on validation faces of which so many of the 48 columns or rows lie outside of the picture.
"""

import sys

import numpy as np

from fer.data import load
from fer.faces import Find, Margin, cut
from fer.images import grey_square
from fer.predict import Model, model_logits, open_model
from fer.types import FACE_SIZE, ByteArray

SIDES = {"left": (1, 0), "right": (-1, 0), "top": (0, 1), "bottom": (0, -1)}
MISSING = (5, 10, 14)


def at_edge(face: ByteArray, side: tuple[int, int], missing: int) -> tuple[ByteArray, ByteArray]:
    """uint8 (48, 48) each: what is left of a face stretched to a square, and as it is cut out of the picture."""
    x, y = (missing * step for step in side)
    visible = face[max(0, y) : FACE_SIZE + min(0, y), max(0, x) : FACE_SIZE + min(0, x)]
    picture = np.repeat(visible[..., None], 3, axis=2)
    corner = (-max(0, x), -max(0, y))
    found = cut(picture, Find(*corner, corner[0] + FACE_SIZE, corner[1] + FACE_SIZE, 1.0), Margin(), "edge")
    assert found
    return grey_square(picture, FACE_SIZE), grey_square(found.image, FACE_SIZE)


def accuracy(model: Model, faces: ByteArray, labels: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> str:
    """In percent, of uint8 (N, 48, 48)."""
    return f"{100 * float((model_logits(model, faces[:, None]).argmax(1) == labels).mean()):.1f} %"


def main() -> None:
    """Print the table."""
    model, split = open_model(*sys.argv[2:]), load(sys.argv[1]).split("validation")
    faces, labels = split.images[:, 0].numpy(), split.labels.numpy()
    print(f"{model.name}, n = {len(faces):,}; whole faces {accuracy(model, faces, labels)}\n")
    print("| outside | stretched | edge goes on |\n|---|---|---|")
    for name, side in SIDES.items():
        for missing in MISSING:
            pairs = [at_edge(face, side, missing) for face in faces]
            stretched, going_on = (accuracy(model, np.stack(each), labels) for each in zip(*pairs, strict=True))
            print(f"| {missing} of 48, {name} | {stretched} | {going_on} |")


if __name__ == "__main__":
    main()
