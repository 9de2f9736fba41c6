"""What the page shows, taken apart: its pictures, its elements."""

import io
from html.parser import HTMLParser

import numpy as np
from PIL import Image


def pixels(picture):
    """A JPEG as uint8 (H, W, 3)."""
    with Image.open(io.BytesIO(picture)) as image:
        return np.asarray(image.convert("RGB"))


class Elements(HTMLParser):
    """Tags with their attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, name):
        return [attributes for tag, attributes in self.found if tag == name]
