"""A frame of a film with what is seen in it."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from analysis.figures.boxes import draw_boxes
from analysis.figures.overlay import overlay
from fer.types import ByteArray, Face, Heatmap
from fer.video import Scene, Seen

#: Seconds for which the box of a face that is not found is still drawn: it bridges single frames, and leaves no ghosts.
LINGER = 0.3


def shown(scene: Scene) -> list[Seen]:
    """The faces of a scene that are drawn."""
    return [seen for seen in scene.faces if seen.missed <= LINGER]


def draw_scene(image: ByteArray, scene: Scene, heatmaps: Sequence[Heatmap | None] = ()) -> ByteArray:
    """Copy of uint8 (H, W, 3) with boxes, numbers and smoothed expressions; maps, one or None a drawn face, under the boxes."""
    faces = shown(scene)
    if heatmaps:
        image = image.copy()
        for seen, heatmap in zip(faces, heatmaps, strict=True):
            if heatmap:
                _lay(image, seen.prediction.face, heatmap)
    return draw_boxes(image, [seen.prediction for seen in faces], [seen.number for seen in faces])


def draw_status(image: ByteArray, text: str) -> ByteArray:
    """Copy with a line of text in the lower left corner."""
    picture = Image.fromarray(image)
    pen, size = ImageDraw.Draw(picture), max(12, min(image.shape[:2]) // 32)
    left, top, right, bottom = pen.textbbox((0, 0), text, font_size=size)
    y = image.shape[0] - (bottom - top) - size
    pen.rectangle((0, y, right - left + size, image.shape[0]), fill="black")
    pen.text((size // 2 - left, y + size // 2 - top), text, fill="white", font_size=size)
    return np.asarray(picture)


def _lay(image: ByteArray, face: Face, heatmap: Heatmap) -> None:
    """Put a face's map over its place in the frame; where the face was turned upright, it is turned back."""
    box, (x, y), picture = face.box, face.inset, overlay(face.image, heatmap)
    layers = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    if face.angle:
        back = cv2.getRotationMatrix2D(face.pivot, -face.angle, 1.0)
        layers = np.asarray(cv2.warpAffine(layers, back, picture.shape[1::-1]))
    visible = layers[y : y + box.height, x : x + box.width]
    inside = visible[..., 3] > 127
    image[box.y1 : box.y2, box.x1 : box.x2][inside] = visible[inside, :3]
