"""FER-2013 from Kaggle, by Kaggle's own client."""

import shutil
from pathlib import Path

from fer.errors import DataError, OutputError
from fer.files import check_folder, refuse_used, whole_folder

#: The data set on Kaggle whose layout this project reads.
HANDLE = "msambare/fer2013"
_BY_HAND = f"download archive.zip from kaggle.com/datasets/{HANDLE} with a browser and put it into data/"


def download(out: Path) -> Path:
    """Fetch the data set and copy it to ``out``; returns ``out``.

    Raises:
        DataError: kagglehub is missing, or Kaggle is out of reach or refuses.
        OutputError: ``out`` is in use, or cannot be written.
    """
    check_folder(out)
    refuse_used(out)
    try:
        import kagglehub
    except ImportError as error:
        raise DataError(f"kagglehub is not installed: pip install 'ferscope[kaggle]', or {_BY_HAND}") from error

    try:
        fetched = Path(kagglehub.dataset_download(HANDLE))
    except Exception as error:  # its own errors, of network, token and archive, have nothing in common
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"Kaggle gave no data ({reason}); check network and kaggle.json, or {_BY_HAND}") from error
    try:
        with whole_folder(out) as folder:  # half a data set would pass for one
            shutil.copytree(fetched, folder, dirs_exist_ok=True)
    except shutil.Error as error:
        reason = " ".join(str(error).split())[:200]
        raise OutputError(f"cannot write {out} ({reason}); choose another folder, or make room") from error
    return out
