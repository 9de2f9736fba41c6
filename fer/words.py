"""Numbers in words: one way of writing each kind of figure, for the command line and for pages."""

import os
import shlex
import subprocess
from collections.abc import Sequence


def percent(value: float) -> str:
    """``0.6612`` as ``66.12 %``."""
    return f"{100 * value:.2f} %"


def p_value(value: float | None) -> str:
    """``0.0312`` as ``0.031``, what is tiny as ``< 0.001``, None as nothing."""
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def with_interval(share: float, interval: Sequence[float]) -> str:
    """``0.6612`` and its bounds as ``66.12 % (95 %: 64.55 % to 67.65 %)``."""
    low, high = interval
    return f"{percent(share)} (95 %: {percent(low)} to {percent(high)})"


def number(value: float | None) -> str:
    """Four decimals, or ``undefined``."""
    return "undefined" if value is None else f"{value:.4f}"


def shortened(text: str, most: int) -> str:
    r"""The beginning of a text, in one line.

    >>> shortened("one\n  two three", 8)
    'one two…'
    """
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not 1.

    >>> counted(1, "face"), counted(2000, "frame")
    ('1 face', '2,000 frames')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def command(words: Sequence[str], *, for_windows: bool = os.name == "nt") -> str:
    r"""A command as its line is to be typed; ``cmd.exe`` takes single quotes for letters.

    >>> command(["fer", "train", "--resume", "runs/a b"], for_windows=False)
    "fer train --resume 'runs/a b'"
    >>> command(["fer", "train", "--resume", r"runs\a b"], for_windows=True)
    'fer train --resume "runs\\a b"'
    """
    return subprocess.list2cmdline(words) if for_windows else shlex.join(words)
