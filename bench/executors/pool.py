"""Running cells in a pool of processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.executors import tied
from bench.executors.groups import Done, by_turns, groups, run_group
from bench.executors.quiet import quieten
from bench.pipeline.watched import WatchedStore
from bench.pipeline.workbench import Workbench
from bench.progress.desk import Desk
from bench.progress.live import RunView
from bench.records.run import Record
from bench.records.store import Store
from reaugkd.errors import UserError

TICK = 0.1
"""Seconds between two looks at what the workers of a pool tell."""

Messages = SimpleQueue[tuple[int, str, Any]]
"""Process id, what it tells (``note``, ``now``, ``ended``), a text or its activity.

Whoever puts into a simple queue waits until it is written, so what a worker told before its result
is there before its result.
"""


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
    view: RunView,
) -> None:
    """Run groups of cells in ``workers`` fresh processes with ``threads`` torch threads each.

    ``done`` is told of every record as soon as it is written, ``view`` of what the workers do.

    Raises:
        StoreError: if a record cannot be written.
        WorkerError: if a worker is killed, e.g. for the memory it takes.
    """
    context = multiprocessing.get_context("spawn")  # torch's thread pools do not survive a fork
    by_key, messages = {cell.key: cell for cell in cells}, context.SimpleQueue()

    def listen() -> None:
        while not messages.empty():
            worker, kind, content = messages.get()
            if kind == "note":
                view.note(content)
                continue
            view.show(worker, content)
            if kind == "ended" and isinstance(record := store.read(content.key), Record):
                done(by_key[content.key], record)

    start = (cache, command, threads, messages, view.lines)
    with ProcessPoolExecutor(workers, context, tied.start, start) as pool:
        working = {pool.submit(_work, group, store.folder) for group in by_turns(groups(cells))}
        try:
            while working:
                finished, working = wait(working, TICK, FIRST_COMPLETED)
                listen()
                for future in finished:
                    future.result()
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


_WORKER: list[tuple[Workbench, Desk, Messages]] = []  # of a process, made once by its initializer


def begin(cache: Path, command: str, threads: int, messages: Messages, lines: bool) -> None:
    """Make this process a worker."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the parent's to tell
    torch.set_num_threads(threads)
    quieten()
    worker = os.getpid()
    desk = Desk(
        lambda text: messages.put((worker, "note", text)),
        lambda activity: messages.put((worker, "now", activity)),
        lines,
    )
    _WORKER.append((Workbench(WatchedStore(cache, desk), desk, command), desk, messages))


def _work(group: list[Cell], folder: Path) -> None:
    workbench, desk, messages = _WORKER[0]
    for _ in run_group(group, workbench, Store(folder), desk.begun):
        messages.put((os.getpid(), "ended", desk.activity))
