"""Processes that end with the one that started them, however that one ends.

Whoever is killed can tell nobody. But the system closes what it held: a pipe that only the parent
can write to is at its end when the parent is gone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.connection import wait
from stat import S_ISFIFO

STDIN = 0
ORPHANED = 1
"""The exit code of a process whose parent is gone; nobody is left to read it."""


@contextmanager
def lifeline() -> Iterator[int]:
    """The reading end of a pipe, for the stdin of a process that calls :func:`end_with_parent`.

    It closes at the end of the block, or with this process.
    """
    reading, writing = os.pipe()  # not inherited unless handed over, so this is the only writer
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def end_with_parent() -> None:
    """From now on, end this process at once when its parent has ended.

    That is the parent of a process of ``multiprocessing``, or whoever holds the :func:`lifeline`
    that is this process's stdin; without either nothing happens. What was being written is lost
    as after a kill: files of this project appear whole or not at all.
    """
    parent = parent_process()
    if parent is not None:
        tie = parent.sentinel
    elif S_ISFIFO(os.fstat(STDIN).st_mode):
        tie = STDIN
    else:
        return
    threading.Thread(target=_end_after, args=(tie,), name="lifeline", daemon=True).start()


def _end_after(tie: int) -> None:
    wait([tie])  # nothing is ever written: what can be read is the end
    os._exit(ORPHANED)  # the main thread may be deep in a library and never look up
