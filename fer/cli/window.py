"""A window with the picture of a camera, and the keys pressed in it."""

import os
import subprocess
import sys

import cv2

from fer.types import ByteArray

_TITLE = "fer"
_ESCAPE = 27
# Qt ends the whole process where it cannot reach the screen: it is asked in one of its own.
_TRY = "import cv2; cv2.namedWindow('fer'); cv2.destroyAllWindows()"


def can_show() -> bool:
    """True where there is a screen, and an OpenCV that draws on it."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        return subprocess.run([sys.executable, "-c", _TRY], capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


class Window:
    """Open from the first picture on."""

    def __init__(self) -> None:
        self._is_open = False

    def show(self, image: ByteArray, wait: float = 0.001) -> str:
        """Show uint8 (H, W, 3) RGB and return the key pressed in the meantime: a character, or an empty string.

        Escape and closing the window read as ``q``.

        Args:
            image: the picture.
            wait: seconds for which a key is waited for.
        """
        if self._is_open and not self._is_there():
            return "q"
        if not self._is_open:
            cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(_TITLE, image.shape[1], image.shape[0])
        cv2.imshow(_TITLE, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self._is_open = True
        key = cv2.waitKey(max(1, round(wait * 1000)))
        return "" if key < 0 else "q" if key & 0xFF == _ESCAPE else chr(key & 0xFF)

    def _is_there(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1)
        except cv2.error:  # Qt's word for a window that a person has closed
            return False

    def close(self) -> None:
        """Take the window away."""
        if self._is_open and self._is_there():
            cv2.destroyAllWindows()
