"""Model files of detectors: fetched once where a person asks for it, known by their sha256, kept in the cache folder."""

import hashlib
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from fer.errors import WeightsError
from fer.files import cache_folder, make_folder, write_whole

#: A dead network is reported after this many seconds instead of never.
_TIMEOUT = 30.0


@dataclass(frozen=True)
class ModelFile:
    """A file on the net: its address, and its sha256, by which it is known wherever it comes from."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """File name, the last part of the address."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def path(self) -> Path:
        """Where it is kept once it has been fetched."""
        return cache_folder() / "detectors" / self.name

    @property
    def is_here(self) -> bool:
        """True where it has been fetched and is whole."""
        try:
            return self.path.is_file() and self._fits(self.path.read_bytes())
        except OSError:
            return False

    def fetch(self) -> Path:
        """The file in the cache, fetched unless it is there.

        Raises:
            WeightsError: no network, or another file came.
            OutputError: the cache folder is not writable.
        """
        if not self.is_here:
            data = self._download()
            make_folder(self.path.parent)
            write_whole(self.path, data)
        return self.path

    def _download(self) -> bytes:
        try:
            with urlopen(self.url, timeout=_TIMEOUT) as answer:
                data: bytes = answer.read(self.size + 1)
        except (URLError, HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or " ".join(str(error).split())
            raise WeightsError(f"cannot fetch {self.name} ({reason}); {self._by_hand}") from error
        if not self._fits(data):
            raise WeightsError(f"{self.url} gave another file than {self.name}, its sha256 is wrong; {self._by_hand}")
        return data

    def _fits(self, data: bytes) -> bool:
        return hashlib.sha256(data).hexdigest() == self.sha256

    @property
    def _by_hand(self) -> str:
        return f"fetch {self.url} on a machine with network and pass --detector-model FILE, or use --detector haar"
