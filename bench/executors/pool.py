"""Running cells in a pool of processes."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from bench.cell import Cell
from bench.executors.groups import Done, groups, run_group
from bench.executors.quiet import quieten
from bench.pipeline.watched import Listener, WatchedStore
from bench.pipeline.workbench import Workbench
from bench.progress.events import Event, Sender, drain
from bench.records.run import Record
from bench.records.store import Store
from reaugkd.errors import UserError

TICK = 0.1
"""Seconds between two looks at what the workers of a pool tell."""


class WorkerError(UserError):
    """A process of the pool died; what it had finished is kept."""


def run_in_pool(
    cells: Sequence[Cell],
    cache: Path,
    store: Store,
    command: str,
    done: Done,
    *,
    workers: int,
    threads: int,
    listener: Callable[[int], Listener],
) -> None:
    """Run groups of cells in ``workers`` fresh processes with ``threads`` torch threads each.

    Args:
        cells: the cells.
        cache: where expensive steps are kept.
        store: where the records go.
        command: the command line, for provenance.
        done: told of every record as soon as it is written.
        workers: number of processes.
        threads: of torch, per process.
        listener: process id of a worker -> who is told, here, what it does.

    Raises:
        StoreError: if a record cannot be written.
        WorkerError: if a worker is killed, e.g. for the memory it takes.
    """
    context = multiprocessing.get_context("spawn")  # torch's thread pools do not survive a fork
    waiting, events = {cell.key: cell for cell in cells}, context.SimpleQueue()

    def ended(key: str) -> None:
        cell = waiting.pop(key, None)  # told by its worker, and again with the result of its group
        record = store.read(key) if cell else None
        if cell and isinstance(record, Record):
            done(cell, record)

    def look() -> None:
        drain(events, listener, ended)

    with ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_start,
        initargs=(cache, command, threads, events),
    ) as pool:
        finished: queue.SimpleQueue[Future[list[str]]] = queue.SimpleQueue()
        submitted = [pool.submit(_work, group, store.folder) for group in groups(cells)]
        for future in submitted:
            future.add_done_callback(finished.put)
        try:
            for future in _arriving(finished, len(submitted), look):
                for key in future.result():
                    ended(key)
        except BrokenProcessPool as error:
            raise WorkerError(
                "a worker was killed, perhaps for want of memory: the same command resumes, "
                "fewer --max-workers need less"
            ) from error
        except BaseException:  # Ctrl-C too: no worker may go on behind the user's back
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()  # what it was doing is lost, or resumed from its checkpoint
            raise


def _arriving(
    finished: queue.SimpleQueue[Future[list[str]]], count: int, look: Callable[[], None]
) -> Iterator[Future[list[str]]]:
    """``count`` futures as they are finished; ``look`` is called before each and while waiting."""
    while count:
        try:
            future = finished.get(timeout=TICK)
        except queue.Empty:
            look()
            continue
        look()
        count -= 1
        yield future


@dataclass(frozen=True)
class _Worker:
    """What a process of the pool keeps between two groups."""

    workbench: Workbench
    sender: Sender


_WORKER: list[_Worker] = []  # of a worker process, made once by its initializer


def _start(cache: Path, command: str, threads: int, events: SimpleQueue[Event]) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the parent's to tell
    torch.set_num_threads(threads)
    quieten()
    sender = Sender(events)
    _WORKER.append(_Worker(Workbench(WatchedStore(cache, sender), sender, command), sender))


def _work(group: list[Cell], folder: Path) -> list[str]:
    worker, keys = _WORKER[0], []
    for cell, _ in run_group(group, worker.workbench, Store(folder), worker.sender.begun):
        worker.sender.ended(cell.key)
        keys.append(cell.key)
    return keys
