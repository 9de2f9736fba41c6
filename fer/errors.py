"""Every error a user can cause or cure, in one tree.

::

    FerError                    anything the CLI reports in one line, with exit code 2 unless it has its own
    ├── ImageError              a file is not a picture this program reads
    ├── DataError               a data set is missing, unsafe or inconsistent
    ├── CheckpointError         a checkpoint is damaged, foreign or newer than this program
    ├── ConfigError             an option or recipe has an unknown key or an impossible value
    ├── UnknownNameError        a name is in no registry; the message lists the known ones
    ├── WeightsError            pretrained weights cannot be fetched or do not fit
    ├── TrainingError           a run diverged or ran out of memory
    ├── InterruptedRunError     a run was stopped from outside and can be resumed
    ├── VideoError              a camera or film cannot be opened, or ends before it should
    ├── ExportError             a model cannot be converted, or lost too much when it was
    ├── ServingError            the page cannot be served where it was asked for
    └── OutputError             a result cannot be written

Messages say what came, what is allowed and what to do. Errors of other libraries are
translated once, where they arise, with ``raise ... from``.
"""


class FerError(Exception):
    """Base of all expected errors: its text is complete advice on a single line."""


class ImageError(FerError):
    """A file or buffer that is no readable picture."""


class DataError(FerError):
    """A data set that is missing, unsafe or inconsistent."""


class CheckpointError(FerError):
    """A checkpoint that is damaged, foreign, or of a newer schema."""


class ConfigError(FerError):
    """An unknown configuration key or an impossible value."""


class UnknownNameError(FerError):
    """A name that no registry holds."""


class WeightsError(FerError):
    """Pretrained weights that cannot be fetched or do not fit the architecture."""


class TrainingError(FerError):
    """A training run that cannot go on."""


class InterruptedRunError(FerError):
    """A run that was asked to stop and saved its state; ``code`` is the exit code that tells so."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ExportError(FerError):
    """A conversion that is not possible, or that changed the answers more than it may."""


class VideoError(FerError):
    """A camera, film or stream that cannot be used, or that failed while it was."""


class ServingError(FerError):
    """A page that cannot be served where it was asked for."""


class OutputError(FerError):
    """A result that cannot be written where it was asked for."""
