"""Which files that can run code may be opened: those written here, and whatever the user has vouched for.

``torch.export.load`` unpickles what an archive asks it to, and evaluates expressions in it: a checksum within the file
says nothing of who wrote it.
"""

import hashlib
import os
from pathlib import Path

from fer.errors import CheckpointError
from fer.files import cache_folder, make_folder, write_whole

#: Set to anything, this environment variable vouches for every file.
VOUCHED = "FER_TRUST_PT2"


def remember(content: bytes) -> None:
    """Keep in the cache folder that this program has written a file of this content.

    Raises:
        OutputError: the cache cannot be written, so that the file could not be opened here.
    """
    make_folder(cache_folder())
    write_whole(_mark(content), b"")


def check_trusted(path: Path, content: bytes) -> None:
    """Refuse what was not written here.

    Raises:
        CheckpointError: the file is unknown, and nobody vouches for it.
    """
    if not os.environ.get(VOUCHED) and not _mark(content).is_file():
        raise CheckpointError(
            f"{path}: a .pt2 can run code of whoever wrote it, and this one was not exported here; use an .onnx, "
            f"or set {VOUCHED}=1 if you trust its writer"
        )


def _mark(content: bytes) -> Path:
    return cache_folder() / f"written-{hashlib.sha256(content).hexdigest()}"
