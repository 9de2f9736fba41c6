"""The ``fer`` command: a table of commands that are imported when they are called.

Stdout is data, stderr is messages. Expected errors are one line and exit code 2.
"""

import errno
import importlib
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from fer.errors import FerError, InterruptedRunError
from fer.files import ESCAPED

#: Command → module under ``fer.cli`` that holds it as ``app``. The order is that of the help page.
COMMANDS: dict[str, str] = {
    "train": "fer.cli.train",
    "evaluate": "fer.cli.evaluate",
    "predict": "fer.cli.predict",
    "webcam": "fer.cli.webcam",
    "confidence": "fer.cli.confidence",
    "explain": "fer.cli.explain",
    "faithfulness": "fer.cli.faithfulness",
    "regions": "fer.cli.regions",
    "features": "fer.cli.features",
    "compare": "fer.cli.compare",
    "robustness": "fer.cli.robustness",
    "mistakes": "fer.cli.mistakes",
    "report": "fer.cli.report",
    "export": "fer.cli.export",
    "latency": "fer.cli.latency",
    "ensemble": "fer.cli.ensemble",
    "distill": "fer.cli.distill",
    "pretrain": "fer.cli.pretrain",
    "tune": "fer.cli.tune",
    "compare-modes": "fer.cli.compare_modes",
    "models": "fer.cli.models",
    "detectors": "fer.cli.detectors",
    "labels": "fer.cli.labels",
    "data": "fer.cli.data",
    "zoo": "fer.cli.zoo",
    "info": "fer.cli.info",
}

_STOPPED = 130


class LazyGroup(TyperGroup):
    """Imports a command's module when the command is looked up."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command itself, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command = typer.main.get_command(importlib.import_module(COMMANDS[cmd_name]).app)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=LazyGroup,
    name="fer",
    help="Facial expression models that explain themselves: train, evaluate, predict, explain.",
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"ferscope {version('ferscope')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Facial expression models that explain themselves: train, evaluate, predict, explain."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command line (without one: its help); returns 0, 2 for an expected error, 128 + the number of a signal."""
    given = sys.argv[1:] if arguments is None else arguments
    words = arguments if given else ["--help"]  # None: typer takes what was given, and expands * and ? on Windows
    _open_what_is_closed()
    _escape_what_cannot_be_written()
    try:
        code = int(typer.main.get_command(app).main(words, prog_name="fer", standalone_mode=False) or 0)
        sys.stdout.flush()  # what the disk or the pipe refuses is known here, not when Python ends
        return _complain("stopped", code) if code == _STOPPED else code  # typer's answer to Ctrl-C
    except InterruptedRunError as error:
        from fer.cli.console import is_first_process

        # several processes stop together, and one says so; errors may be one process's own
        return _complain(str(error), error.code) if is_first_process() else error.code
    except FerError as error:
        return _complain(str(error))
    except (typer.Abort, KeyboardInterrupt):
        return _complain("stopped", _STOPPED)
    except (BrokenPipeError, SystemExit) as error:
        if not isinstance(error.__context__ if isinstance(error, SystemExit) else error, BrokenPipeError):
            raise  # typer makes the second of the first, others mean what they say
        _forget_output()  # whoever read it has gone, as `head` does: nothing to report
        return 0
    except (ModuleNotFoundError, TyperException, OSError) as error:
        return _complain(_advice(error))


def _forget_output() -> None:
    """What could not be written is not tried again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_what_is_closed() -> None:
    """Python has no stream where a program is started with its output closed, as some daemons do: nobody reads it there."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 open to the end


def _escape_what_cannot_be_written() -> None:
    """Names of files that are no UTF-8, and signs that the encoding of a stream lacks, are escaped instead of an end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPED)


def _advice(error: ModuleNotFoundError | TyperException | OSError) -> str:
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC and error.filename is None:
            _forget_output()
            return f"cannot write the output: {error.strerror}; make room"
        if error.filename is None:
            raise error  # of no file that the user has named
        return f"{error.filename}: {error.strerror}; check the path and who may read it"
    if isinstance(error, ModuleNotFoundError):
        return f"this needs {error.name}, which is not installed; pip install ferscope"
    context = getattr(error, "ctx", None)
    return f"{error.format_message().rstrip('.')}; see {context.command_path if context else 'fer'} --help"


def _complain(message: str, code: int = 2) -> int:
    print(f"fer: {' '.join(message.split())}", file=sys.stderr)
    return code
