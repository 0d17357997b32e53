"""Running cells: what is left to do, in this process or in a pool of them."""

from __future__ import annotations

import multiprocessing
import queue
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import groupby
from pathlib import Path
from typing import Literal

from bench.cell import Cell, Workbench, run_and_store
from bench.executors.channel import Queue, Sender, Unheard, drain
from bench.executors.quiet import quieten
from bench.pipeline.watched import Listener, WatchedStore
from bench.plan import Planned
from bench.records.run import Record
from bench.records.store import Store
from reaugkd.errors import UserError

Overwrite = Literal["never", "missing", "always"]
Done = Callable[[Cell, Record], None]
Begun = Callable[[str], None]
TICK = 0.1
"""Seconds between two looks at what the workers of a pool tell."""

_WORKBENCH: list[Workbench] = []  # of a worker process, made once by its initializer
_SENDERS: list[Sender] = []  # the same


def _unheard(key: str) -> None:
    """Whoever is not told that a cell begins."""


class WorkerError(UserError):
    """A process of the pool died; what it had finished is kept."""


def left(planned: Iterable[Planned], store: Store, overwrite: Overwrite) -> list[Planned]:
    """The cells to run.

    ``missing`` (the default) runs what has no usable record or did not end well, ``never`` only
    what has no record at all, ``always`` everything. Students and indexes come from the cache
    in every case: to train them again, give another ``--cache``.
    """

    def wanted(cell: Cell) -> bool:
        found = store.read(cell.key)
        if overwrite == "always" or found is None:
            return True
        return overwrite == "missing" and not (isinstance(found, Record) and found.status == "ok")

    return [one for one in planned if wanted(one.cell)]


def groups(planned: Sequence[Planned]) -> list[list[Planned]]:
    """Cells that share a student, together: what one worker does in one go."""
    return [list(g) for _, g in groupby(planned, key=lambda p: p.cell.needs or p.cell.key)]


def run_group(
    group: Iterable[Planned], workbench: Workbench, store: Store, begun: Begun = _unheard
) -> Iterator[tuple[Cell, Record]]:
    """Run the cells in order; those whose student failed are skipped with the reason.

    Args:
        group: the cells.
        workbench: runs them.
        store: where the records go.
        begun: told the key of every cell before it is run.

    Raises:
        StoreError: if a record cannot be written; nothing that was finished is lost.
    """
    failed: dict[str, str] = {}
    for planned in group:
        cell = planned.cell
        begun(cell.key)
        reason = planned.skip or failed.get(cell.needs or "")
        if reason is None:
            record = run_and_store(cell, workbench, store)
        else:
            record = workbench.skipped(cell, reason)
            store.write(record)
        if record.status == "failed":
            failed[cell.key] = f"its student failed: {record.reason}"
        yield cell, record


def in_process(
    planned: Sequence[Planned],
    workbench: Workbench,
    store: Store,
    done: Done,
    begun: Begun = _unheard,
) -> None:
    """Run the cells here, one after another."""
    for group in groups(planned):
        for cell, record in run_group(group, workbench, store, begun):
            done(cell, record)


def in_pool(
    planned: Sequence[Planned],
    cache: Path,
    store: Store,
    command: str,
    done: Done,
    *,
    workers: int,
    threads: int,
    listener: Callable[[int], Listener] = lambda _: Unheard(),
) -> None:
    """Run groups of cells in ``workers`` fresh processes with ``threads`` torch threads each.

    Args:
        planned: the cells.
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
    cells, events = {p.cell.key: p.cell for p in planned}, context.SimpleQueue()

    def ended(key: str) -> None:
        cell = cells.pop(key, None)  # told by its worker, and again with the result of its group
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
        submitted = [pool.submit(_work, group, store.folder) for group in groups(planned)]
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
    """``count`` futures as they are finished; ``tick`` is called before each and while waiting."""
    while count:
        try:
            future = finished.get(timeout=TICK)
        except queue.Empty:
            look()
            continue
        look()
        count -= 1
        yield future


def _start(cache: Path, command: str, threads: int, events: Queue) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the parent's to tell
    torch.set_num_threads(threads)
    quieten()
    sender = Sender(events)
    _SENDERS.append(sender)
    _WORKBENCH.append(Workbench(WatchedStore(cache, sender), sender, command))


def _work(group: list[Planned], folder: Path) -> list[str]:
    sender, keys = _SENDERS[0], []
    for cell, _ in run_group(group, _WORKBENCH[0], Store(folder), sender.begun):
        sender.ended(cell.key)
        keys.append(cell.key)
    return keys
