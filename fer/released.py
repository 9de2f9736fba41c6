"""Which models are shipped with the program, and how one is found by name; loads none of them."""

import os
from pathlib import Path

from fer import run_files
from fer.errors import CheckpointError

#: Checkpoints shipped with the program.
RELEASED = Path(__file__).resolve().parent.parent / "checkpoints"
_DEFAULT_FILE = RELEASED / "DEFAULT"


def find(name: str | Path | None) -> Path:
    """Path of a checkpoint or exported model, named by its file, its release or the folder of the run whose best it is.

    Raises:
        CheckpointError: there is none.
    """
    name = default_name() if name is None else str(name)
    if Path(name).is_file():
        return Path(name)
    released = next((path for suffix in (".pth", ".onnx") if (path := RELEASED / f"{name}{suffix}").is_file()), None)
    if os.sep not in name and released:
        return released
    best = Path(name) / run_files.BEST
    if best.is_file():
        return best
    known = ", ".join([*released_names(), *exported_names()]) or "none"
    what = f"a folder without {run_files.BEST}" if Path(name).is_dir() else "neither a file nor a released name"
    raise CheckpointError(f"no checkpoint {name}: {what} (released: {known})")


def released_files(suffix: str) -> list[Path]:
    """The shipped files that end in ``.pth`` or ``.onnx``; what a release that was killed left behind begins with a dot."""
    return sorted(path for path in RELEASED.glob(f"*{suffix}") if not path.name.startswith("."))


def released_names() -> list[str]:
    """Names of the checkpoints shipped with the program, the default first."""
    names = [path.stem for path in released_files(".pth")]
    return sorted(names, key=lambda name: name != default_name())


def exported_names() -> list[str]:
    """Names of the exported models shipped beside them, but for those that :func:`find` takes for a checkpoint."""
    return [path.stem for path in released_files(".onnx") if not path.with_suffix(".pth").exists()]


def exported_file(name: str) -> Path:
    """Path of a shipped export; :func:`find` gives the checkpoint where that has the same name."""
    return RELEASED / f"{name}.onnx"


def live_names(first: str | None = None) -> list[str]:
    """What may answer a camera: ``first``, then all that is shipped, the fastest before others.

    Exported models come before checkpoints, the default's before others'.

    Raises:
        CheckpointError: nothing is shipped, and no ``first`` is given.
    """
    exported = sorted(exported_names(), key=lambda name: not name.startswith(default_name()))
    names = [*([first] if first else []), *exported, *released_names()]
    return names or [default_name()]  # that says what is missing


def default_name() -> str:
    """Name of the checkpoint that is used where none is named."""
    try:
        return _DEFAULT_FILE.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CheckpointError("no default checkpoint is shipped; name one with --checkpoint FILE") from error


def bytes_on_disk(path: Path) -> int:
    """Size of a model's file, and of the weights that OpenVINO keeps in a .bin beside its .xml."""
    return sum(part.stat().st_size for part in (path, *([path.with_suffix(".bin")] if path.suffix == ".xml" else [])))
