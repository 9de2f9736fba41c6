"""Memory that pictures took is used again: without this the page grows for as long as it is asked (docs/page.md)."""

import ctypes
import os
import sys

#: Pools that all threads share; left alone, glibc gives nearly every thread one of its own, and none takes from another's.
ARENAS = 2
# glibc's M_ARENA_MAX, see mallopt(3)
_ARENA_MAX = -8
_WISH = "MALLOC_ARENA_MAX"


def share_arenas() -> bool:
    """Bound the number of pools that threads take memory from; True where that could be done and nobody wished otherwise.

    >>> share_arenas() in (True, False)
    True
    """
    if not sys.platform.startswith("linux") or _WISH in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc have none
    return bool(mallopt and mallopt(_ARENA_MAX, ARENAS))
