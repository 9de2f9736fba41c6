"""Folders of pictures through several processes into one table."""

import hashlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fer.bulk.listing import Part, count, parts
from fer.bulk.stage import Columns, FaceStage
from fer.bulk.store import Store
from fer.environment import cores
from fer.errors import DataError, InterruptedRunError
from fer.faces import DEFAULT_DETECTOR, Search
from fer.released import find
from fer.signals import children_deaf
from fer.types import Progress

#: Parts that wait for each process: enough that none idles, few enough that memory stays small.
_AHEAD = 3
# Windows waits for no more processes at once.
_MOST = 61 if sys.platform == "win32" else sys.maxsize
_GO_ON = "the same command goes on from there"


@dataclass(frozen=True)
class Bulk:
    """How pictures are gone through; ``processes`` 0 for one a core."""

    model: str | None = None
    detector: str | Search = DEFAULT_DETECTOR
    tta: str = "none"
    processes: int = 0


DEFAULT = Bulk()


@dataclass(frozen=True)
class Summary:
    """What came of a run: pictures gone through, faces found, files that could not be read, files of other kinds.

    ``whole`` pictures were searched, had no face and were judged as they are: a row each, and no face. ``kept`` pictures
    were done by an earlier run that was stopped.
    """

    pictures: int
    faces: int
    whole: int
    unreadable: int
    other_files: int
    kept: int
    table: Path
    errors: Path


def predict_files(sources: Sequence[Path], out: Path, bulk: Bulk = DEFAULT, progress: Progress | None = None) -> Summary:
    """Judge every face of every picture: one row a face in ``out``, unreadable files in a list beside it.

    Stopped at any moment, the same call goes on where it was: finished parts are kept until the table is made.

    Args:
        sources: pictures, and folders that are searched to any depth.
        out: table to write, ``.parquet`` or ``.csv``; replaced when all is done.
        bulk: model, detector and processes.
        progress: told pictures done and all.

    Raises:
        DataError: a source does not exist, or there is no picture.
        CheckpointError: the model cannot be used.
        ConfigError: an unknown ending, or parts of another model lie beside ``out``.
        OutputError: the table cannot be written, or another run writes it.
        InterruptedRunError: Ctrl-C; what is done is kept.
    """
    store = Store(out)
    total, others = count(sources)
    if not total:
        raise DataError(f"no picture in {', '.join(map(str, sources))}; name pictures, or folders that hold some")
    stage = FaceStage(bulk.model, bulk.detector, bulk.tta)  # what is wrong is said before anything is begun
    weights = hashlib.sha256(find(bulk.model).read_bytes()).hexdigest()
    done = _Done(total, progress)
    with store.open({"model": weights, "detector": _detector(stage.detector, bulk.detector), "tta": bulk.tta}):
        try:
            _work(sources, store, bulk, done)
        except KeyboardInterrupt as error:
            raise InterruptedRunError(f"stopped after {done.pictures:,} of {total:,} pictures; {_GO_ON}", 130) from error
        except BrokenProcessPool as error:
            died = "a process died, for want of memory perhaps; with fewer --processes"
            raise InterruptedRunError(f"{died}, {_GO_ON}", 2) from error
        found = store.join(done.parts)
    whole = 0 if stage.detector == "none" else found.whole  # nothing was searched: every picture is a face by agreement
    return Summary(total, found.rows - whole, whole, found.unreadable, others, done.kept, out, store.errors)


def _detector(name: str, search: str | Search) -> str:
    """Which detector searches, and with which file where one was given: others of its kind find other boxes."""
    file = search.model if isinstance(search, Search) else None
    return f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}" if file else name


@dataclass
class _Done:
    """How far a run is: its parts in order, pictures gone through, and those that an earlier run had done."""

    total: int
    progress: Progress | None
    parts: list[Path] = field(default_factory=list)
    pictures: int = 0
    kept: int = 0

    def add(self, part: Part) -> None:
        self.pictures += len(part.paths)
        if self.progress:
            self.progress(self.pictures, max(self.pictures, self.total))


def _work(sources: Sequence[Path], store: Store, bulk: Bulk, done: _Done) -> None:
    """Have every part judged that is not there yet; a few wait for each process."""
    processes = min(bulk.processes or cores(), _MOST)
    waiting: deque[tuple[Part, Future[Columns]]] = deque()
    with _pool(processes, bulk) as pool:
        try:
            for part in parts(sources):
                done.parts.append(store.path(part))
                if store.has(part):
                    done.kept += len(part.paths)
                    done.add(part)
                    continue
                with children_deaf():  # a process that is still starting would end with a traceback of its own
                    waiting.append((part, pool.submit(_judge, part.paths)))
                if len(waiting) >= _AHEAD * processes:
                    _finish(waiting, store, done)
            while waiting:
                _finish(waiting, store, done)
        except KeyboardInterrupt:
            _keep_finished(waiting, store, done)
            raise


def _finish(waiting: deque[tuple[Part, Future[Columns]]], store: Store, done: _Done) -> None:
    part, columns = waiting[0]
    store.put(part, columns.result())
    waiting.popleft()
    done.add(part)


def _keep_finished(waiting: deque[tuple[Part, Future[Columns]]], store: Store, done: _Done) -> None:
    """Store what is done of the parts that wait; whoever stops does not want to wait for the others."""
    for part, columns in waiting:
        if columns.done() and not columns.cancelled() and columns.exception() is None and not store.has(part):
            store.put(part, columns.result())
            done.pictures += len(part.paths)


@contextmanager
def _pool(processes: int, bulk: Bulk) -> Iterator[ProcessPoolExecutor]:
    """Processes ready to judge; ended at once where the work fails or is stopped."""
    context = multiprocessing.get_context("spawn")  # torch and ONNX Runtime do not survive a fork
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, context, _start, (bulk,))
    try:
        yield pool
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_stage: FaceStage


def _start(bulk: Bulk) -> None:
    """Make a process ready: one thread, Ctrl-C left to the process that gathers, and no life without that one."""
    global _stage  # noqa: PLW0603  the only way to hand a worker what it is to keep
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2

    cv2.setNumThreads(1)
    _stage = FaceStage(bulk.model, bulk.detector, bulk.tta)


def _end_with_parent() -> None:
    """Leave when the process that gathers was killed: a pool's workers would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _judge(paths: Sequence[str]) -> Columns:
    return _stage({"path": paths})
