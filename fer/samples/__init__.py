"""The embedded sample picture, for trying everything without data.

``astronaut.jpg``: NASA's portrait of Eileen Collins (Great Images in NASA, 1993), in the public domain,
cut to head and shoulders.
"""

from pathlib import Path


def sample_path() -> Path:
    """Path of the portrait: 512×512 pixels, RGB, one smiling face."""
    return Path(__file__).with_name("astronaut.jpg")
