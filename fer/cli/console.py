"""Messages and progress on stderr; stdout is left to data.

Rich takes a sixth of a second to import, so that it is imported where something is drawn.
"""

from __future__ import annotations

import codecs
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer.signals import endings
from fer.words import number as number  # noqa: PLC0414 commands say console.number
from fer.words import p_value as p_value  # noqa: PLC0414 commands say console.p_value
from fer.words import percent as percent  # noqa: PLC0414 commands say console.percent
from fer.words import with_interval as with_interval  # noqa: PLC0414 commands say console.with_interval

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

Report = Callable[[int, int], None]

# Letters of a line in a pipe, which has no width: no table is wider.
_WIDEST = 100_000


@cache
def messages() -> Console:
    """The console for people; its output is never parsed."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """One message line for a person."""
    messages().print(text, markup=False, soft_wrap=True)


def wrote(paths: Iterable[Path]) -> None:
    """Say which files a command left beside the figures that it puts; where files are all it gives, it puts their paths."""
    for path in paths:
        say(f"wrote {path}")


def put(text: str) -> None:
    """One piece of data."""
    sys.stdout.write(text + "\n")


def put_json(value: Any) -> None:
    """Data as indented JSON; in ASCII where the output is not UTF-8, as JSON has to be."""
    is_utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    put(json.dumps(value, indent=2, ensure_ascii=not is_utf8))


def make_table(*columns: str, title: str | None = None) -> Table:
    """An empty table with these columns."""
    from rich.table import Table

    return Table(*columns, title=title)


def put_table(table: Table) -> None:
    """A table as data: to the width of the terminal, or wide enough for every column in a pipe."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)  # names of files and groups may hold brackets
    if not console.is_terminal:
        console.width = _WIDEST
        console.width = console.measure(table).maximum
    console.print(table)


@contextmanager
def cleaned_up() -> Iterator[None]:
    """SIGTERM, or a terminal that is closed, ends the command as Ctrl-C does, so that nothing half made is left."""
    try:
        before = {one: signal.signal(one, signal.default_int_handler) for one in endings()}
    except ValueError:  # not in the main thread, where no signal arrives
        yield
        return
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def is_first_process() -> bool:
    """False in all but one of the processes of a distributed run; set by torchrun, SLURM and Lightning."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "NODE_RANK"))


@contextmanager
def progress(what: str) -> Iterator[Report]:
    """A bar that starts with the first report (done, total) and shows rate and time left."""
    with make_progress() as bars:
        task = bars.add_task(what, total=None, visible=False)

        def report(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=True)

        yield report


def make_progress() -> Progress:
    """The project's progress bars, on stderr, gone when they are done."""
    from rich import progress as rich

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
    )
    # in a pipe rich would end with an empty line
    return rich.Progress(*columns, console=messages(), transient=True, disable=not messages().is_terminal)
